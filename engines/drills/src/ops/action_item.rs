//! `action-item`: what a sealed drill found and somebody should change.

use serde::Deserialize;
use serde_json::{Map, Value};
use vm_contracts::{Asked, Draft, Field, Kind, Record, Refusal, Spec};

use super::{ID, SEVERITY};
use crate::state::{Drill, State};

/// Longest title of a finding, in bytes.
const TITLE_BYTES_MAX: usize = 500;

/// Notes a finding.
pub struct ActionItem;

/// The intent.
#[derive(Deserialize)]
pub struct Fact {
    drill_id: Option<String>,
    stage: String,
    item_id: Option<String>,
    severity: Option<String>,
    owner: Option<String>,
    due: Option<String>,
}

static SPEC: Spec = Spec {
    verb: "action-item",
    about: "Note what a sealed drill found and somebody should change",
    needs: "drills.action-item",
    types: &["drill_action_item"],
    fields: &[
        Field::new("drill_id", ID, "id of the drill; the one sealed last if it is not given")
            .optional()
            .filter(),
        Field::new("stage", ID, "id of the stage that showed it").filter(),
        Field::new("title", Kind::Text(TITLE_BYTES_MAX), "what is to be changed").private(),
        Field::new("severity", SEVERITY, "how serious it is; as the drill if it is not given")
            .optional()
            .filter(),
        Field::new("owner", ID, "pseudonym of who takes care of it").optional().filter(),
        Field::new("due", Kind::Time, "until when").optional().filter(),
        Field::new("item_id", ID, "id of the finding; that of the call if it is not given")
            .optional()
            .filter(),
    ],
    example: r#"{"stage":"01-first-sign","title":"Print the telephone list"}"#,
};

impl Record for ActionItem {
    type State = State;
    type Fact = Fact;

    fn spec(&self) -> &'static Spec {
        &SPEC
    }

    fn check(&self, state: &State, fact: Fact, asked: Asked<'_>) -> Result<Vec<Draft>, Refusal> {
        let drill_id = fact.drill_id.or_else(|| state.last.get().clone()).unwrap_or_default();
        let Some(drill) = state.drills.get(&drill_id) else {
            return Err(unknown_drill(&drill_id, "drill_id"));
        };
        let item_id = fact.item_id.unwrap_or_else(|| asked.id.to_owned());
        if state.items.contains(&item_id) {
            let what = format!("a finding {item_id:?} is there already");
            return Err(Refusal::conflict("exists", what).field("item_id"));
        }
        if !has_stage(&drill, &fact.stage) {
            let what = format!("the drill {drill_id} has no stage {:?}", fact.stage);
            return Err(Refusal::not_found("unknown_stage", what).field("stage"));
        }
        let mut body = Map::new();
        let severity = fact.severity.unwrap_or(drill.severity);
        for (name, value) in [
            ("drill_id", Some(drill_id)),
            ("stage", Some(fact.stage)),
            ("severity", Some(severity)),
            ("owner", fact.owner),
            ("due", fact.due),
            ("item_id", Some(item_id)),
        ] {
            if let Some(value) = value {
                body.insert(name.to_owned(), Value::from(value));
            }
        }
        Ok(vec![Draft::new("drill_action_item", body)])
    }
}

/// Whether the drill has this stage. A receipt without room for the ids says how many there are, and an id begins
/// with its place.
fn has_stage(drill: &Drill, stage: &str) -> bool {
    if !drill.stage_ids.is_empty() {
        return drill.stage_ids.iter().any(|id| id == stage);
    }
    let place = stage.split_once('-').and_then(|(place, _)| place.parse::<u64>().ok());
    place.is_some_and(|place| (1..=drill.stages).contains(&place))
}

/// No sealed drill has this id.
pub(crate) fn unknown_drill(id: &str, field: &str) -> Refusal {
    let what = match id {
        "" => "no drill is sealed yet".to_owned(),
        id => format!("no sealed drill has the id {id:?}"),
    };
    Refusal::not_found("unknown_drill", what)
        .field(field)
        .hint("`vm drills list` shows them; an open one is sealed first.")
}

#[cfg(test)]
mod tests {
    use crate::testing::{Bench, refused};
    use serde_json::json;

    #[test]
    fn a_finding_comes_from_a_stage_of_a_sealed_drill() {
        let mut bench = Bench::new();
        let intent =
            |stage: &str| json!({"drill_id": "d1", "stage": stage, "title": "secret words"});
        refused(bench.call("action-item", intent("01-one")), "unknown_drill");
        refused(
            bench.call("action-item", json!({"stage": "01-one", "title": "x"})),
            "unknown_drill",
        );
        bench.drilled("d1", &["missed", "blocked"]);
        refused(bench.call("action-item", intent("03-three")), "unknown_stage");
        let line = &bench.ok("action-item", intent("01-one"))[0];
        assert_eq!(line.body["severity"], "high");
        assert!(!serde_json::to_string(&line.body).unwrap().contains("secret"));
        let last = json!({"stage": "01-one", "title": "x", "item_id": "i1"});
        assert_eq!(bench.ok("action-item", last.clone())[0].body["drill_id"], "d1");
        refused(bench.call("action-item", last), "exists");
    }
}
