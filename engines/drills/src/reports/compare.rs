//! `compare`: what became better or worse from one drill to another.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::json;
use vm_contracts::{Failure, Field, History, Kind, Refusal, Report, Spec, Value};

use super::moment_text;
use crate::ops::ID;
use crate::ops::action_item::unknown_drill;
use crate::outcome::Outcome;
use crate::runbook::NAME_BYTES_MAX;
use crate::state::{Drill, State};

/// Compares two drills.
pub struct Compare;

/// The question.
#[derive(Deserialize)]
pub struct Question {
    a: Option<String>,
    b: Option<String>,
}

/// Words for a change.
const CHANGES: &[&str] = &["better", "worse", "same", "only_a", "only_b"];

const TECHNIQUE: &[Field] = &[
    Field::new("technique", Kind::Name(9), "ATT&CK technique"),
    Field::new("a", Kind::Choice(Outcome::WORDS), "its worst outcome in the first drill")
        .optional(),
    Field::new("b", Kind::Choice(Outcome::WORDS), "its worst outcome in the second drill")
        .optional(),
    Field::new("change", Kind::Choice(CHANGES), "what became of it"),
];

const DRILL: &[Field] = &[
    Field::new("drill_id", ID, "id of the drill"),
    Field::new("timestamp_completed", Kind::Time, "when it was completed"),
    Field::new("runbook_name", Kind::Name(NAME_BYTES_MAX), "its runbook"),
    Field::new("stages_total", Kind::Integer(0, 1_000), "its stages"),
    Field::new("detection_rate_bp", Kind::Integer(0, 10_000), "noticed among run").optional(),
    Field::new("time_to_detect_ms", Kind::Integer(0, i64::MAX), "median time").optional(),
];

static SPEC: Spec = Spec {
    verb: "compare",
    about: "Show what became better or worse from one drill to another",
    needs: "drills.read",
    types: &[],
    fields: &[
        Field::new("a", ID, "the earlier drill; the last before B with its runbook if not given")
            .optional(),
        Field::new("b", ID, "the later drill; the one sealed last if it is not given").optional(),
        Field::new("same_runbook", Kind::Bool, "whether both followed the same text").computed(),
        Field::new("better", Kind::Integer(0, 1_000), "techniques that are noticed better")
            .computed(),
        Field::new("worse", Kind::Integer(0, 1_000), "techniques that are noticed worse")
            .computed(),
        Field::new("same", Kind::Integer(0, 1_000), "techniques without a change").computed(),
        Field::new(
            "rate_change_bp",
            Kind::Integer(-10_000, 10_000),
            "change of the detection rate, in basis points",
        )
        .computed(),
        Field::new("drills", Kind::List(2, DRILL), "the two drills").computed(),
        Field::new("techniques", Kind::List(1_000, TECHNIQUE), "each technique").computed(),
    ],
    example: r#"{}"#,
};

impl Report for Compare {
    type State = State;
    type Question = Question;

    fn spec(&self) -> &'static Spec {
        &SPEC
    }

    fn answer(
        &self,
        state: &State,
        _history: &mut dyn History,
        question: Question,
    ) -> Result<Value, Failure> {
        let drill =
            |id: &String, field: &str| state.drills.get(id).ok_or_else(|| unknown_drill(id, field));
        let b_id = question.b.or_else(|| state.last.get().clone()).unwrap_or_default();
        let b = drill(&b_id, "b")?;
        let Some(a_id) = question.a.or_else(|| before(state, &b)) else {
            let what = format!("no drill before {b_id} followed the runbook {:?}", b.runbook);
            return Err(Refusal::not_found("no_earlier_drill", what)
                .field("a")
                .hint("Name one with --a; `vm drills list` shows them.")
                .into());
        };
        let a = drill(&a_id, "a")?;
        let names: BTreeSet<&String> = a.techniques.keys().chain(b.techniques.keys()).collect();
        let mut rows = Vec::new();
        let mut counts = [0u64; 5];
        for name in names {
            let (was, is) = (a.techniques.get(name), b.techniques.get(name));
            let change = change(was.copied(), is.copied());
            counts[change] += 1;
            rows.push(json!({
                "technique": name,
                "a": was.map(|o| o.word()),
                "b": is.map(|o| o.word()),
                "change": CHANGES[change],
            }));
        }
        let rate_change = match (a.detection_rate_bp, b.detection_rate_bp) {
            (Some(was), Some(is)) => {
                i64::try_from(is).ok().zip(i64::try_from(was).ok()).map(|(is, was)| is - was)
            }
            _ => None,
        };
        Ok(json!({
            "a": a_id,
            "b": b_id,
            "same_runbook": a.runbook_digest == b.runbook_digest,
            "better": counts[0],
            "worse": counts[1],
            "same": counts[2],
            "rate_change_bp": rate_change,
            "drills": [shown(&a_id, &a), shown(&b_id, &b)],
            "techniques": rows,
        }))
    }
}

/// The last drill before this one that followed a runbook of the same name.
fn before(state: &State, drill: &Drill) -> Option<String> {
    let earlier =
        state.drills.iter().filter(|(_, d)| d.seq < drill.seq && d.runbook == drill.runbook);
    earlier.max_by_key(|(_, d)| d.seq).map(|(id, _)| id)
}

/// Place in [`CHANGES`]. What was not tried says nothing.
fn change(was: Option<Outcome>, is: Option<Outcome>) -> usize {
    match (was.filter(|o| o.is_run()), is.filter(|o| o.is_run())) {
        (Some(was), Some(is)) if is < was => 0,
        (Some(was), Some(is)) if is > was => 1,
        (Some(_), None) => 3,
        (None, Some(_)) => 4,
        _ => 2,
    }
}

fn shown(id: &str, drill: &Drill) -> Value {
    json!({
        "drill_id": id,
        "timestamp_completed": moment_text(drill.completed_ms),
        "runbook_name": drill.runbook,
        "stages_total": drill.stages,
        "detection_rate_bp": drill.detection_rate_bp,
        "time_to_detect_ms": drill.time_to_detect_ms,
    })
}

#[cfg(test)]
mod tests {
    use crate::testing::Bench;
    use serde_json::{Value, json};

    #[test]
    fn each_technique_is_better_worse_or_the_same() {
        let mut bench = Bench::new();
        bench.drilled("a", &["missed", "detected", "logged", "blocked", "not_run"]);
        bench.drilled("b", &["detected", "missed", "logged", "not_run", "blocked"]);
        let got = bench.report("compare", json!({"a": "a", "b": "b"}));
        let changes: Vec<&Value> =
            got["techniques"].as_array().unwrap().iter().map(|r| &r["change"]).collect();
        assert_eq!(changes, ["better", "worse", "same", "only_a", "only_b"]);
        assert_eq!(
            (&got["better"], &got["worse"], &got["same"]),
            (&json!(1), &json!(1), &json!(1))
        );
        assert_eq!(got["drills"][0]["detection_rate_bp"], 5000);
        assert_eq!(got["rate_change_bp"], 0);
        assert_eq!(got["same_runbook"], true);
        assert_eq!(bench.report("compare", json!({})), got);
    }

    #[test]
    fn a_drill_that_nobody_sealed_cannot_be_compared() {
        let mut bench = Bench::new();
        let refusal = bench.try_report("compare", json!({})).unwrap_err();
        assert_eq!(refusal.code(), "unknown_drill");
        bench.tabletop("t", "ransomware");
        bench.drilled("d", &["missed"]);
        // The one before followed another runbook.
        let refusal = bench.try_report("compare", json!({})).unwrap_err();
        assert_eq!(refusal.code(), "no_earlier_drill");
        let refusal = bench.try_report("compare", json!({"a": "x", "b": "y"})).unwrap_err();
        assert_eq!(refusal.code(), "unknown_drill");
    }
}
