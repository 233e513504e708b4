//! `toy work`: done by people, one stage after the other.

use super::{TEXT_BYTES_MAX, ToyState};
use serde::Deserialize;
use serde_json::json;
use vm_contracts::{
    Asked, Draft, Field, Kind, Plan, Refusal, RunView, Spec, Stage, StageDone, Staged, Status,
    Value,
};

/// Most stages that one intent can ask for: more than a contract may have, so that the ledger has to say so.
pub const STAGES_ASKED_MAX: i64 = 2_000;

/// `toy work`: people do it.
pub struct Work;

/// Intent of [`Work`]. What is private is not read: the ledger keeps it.
#[derive(Deserialize)]
pub struct WorkIntent {
    title: String,
    stages: i64,
}

static WORK: Spec = Spec {
    verb: "work",
    about: "Do a piece of work, stage by stage",
    needs: "toy.work",
    types: &["toy_work"],
    fields: &[
        Field::new("title", Kind::Text(256), "what it is about").filter(),
        Field::new("prompt", Kind::Text(TEXT_BYTES_MAX), "what was asked for").private(),
        Field::new("stages", Kind::Integer(1, STAGES_ASKED_MAX), "how many stages").steering(),
        Field::new("people", Kind::TextList(8, 128), "who does it").optional().private_items(),
        Field::new("stages_total", Kind::Integer(1, 1_000), "stages of the plan").computed(),
        Field::new("stages_completed", Kind::Integer(0, 1_000), "stages that were done").computed(),
    ],
    example: r#"{"title":"a fence","prompt":"paint it","stages":2,"people":["Ann","Bob"]}"#,
};

const STAGE: &[Field] = &[
    Field::new("outcome", Kind::Choice(&["done", "failed", "not_run"]), "what came of it"),
    Field::new("note", Kind::Text(TEXT_BYTES_MAX), "what to say of it").optional().private(),
];

fn stage(n: i64) -> Stage {
    Stage {
        id: format!("stage-{n}"),
        order: u32::try_from(n).unwrap_or(u32::MAX),
        after: if n > 1 { vec![format!("stage-{}", n - 1)] } else { Vec::new() },
        ..Stage::default()
    }
}

impl Staged for Work {
    type State = ToyState;
    type Intent = WorkIntent;

    fn spec(&self) -> &'static Spec {
        &WORK
    }

    fn stage_fields(&self) -> &'static [Field] {
        STAGE
    }

    fn plan(&self, _: &ToyState, intent: WorkIntent, _: Asked<'_>) -> Result<Plan, Refusal> {
        let stages = (1..=intent.stages).map(stage).collect();
        Ok(Plan { title: intent.title, stages, ..Plan::default() })
    }

    fn complete(
        &self,
        _: &ToyState,
        _: RunView<'_>,
        done: &StageDone<'_>,
        _: Asked<'_>,
    ) -> Result<(), Refusal> {
        let not_run = done.fields.get("outcome").and_then(Value::as_str) == Some("not_run");
        match not_run && !done.outputs.is_empty() {
            true => {
                let what = "a stage that was not run has left no files";
                Err(Refusal::invariant("outputs_of_nothing", what).field("outputs"))
            }
            false => Ok(()),
        }
    }

    fn seal(&self, _: &ToyState, run: RunView<'_>, _: Asked<'_>) -> Result<Vec<Draft>, Refusal> {
        let completed = run.state.stages.iter().filter(|s| s.status == Status::Completed).count();
        let body = json!({
            "title": run.contract.intent.get("title"),
            "stages_total": run.contract.stages.len(),
            "stages_completed": completed,
        });
        Ok(vec![Draft::new("toy_work", body.as_object().cloned().unwrap_or_default())])
    }
}
