//! `resolve-item`: a finding is dealt with.

use serde::Deserialize;
use serde_json::{Map, Value};
use vm_contracts::{Asked, Draft, Field, Kind, Record, Refusal, Spec};

use super::{ID, NOTE_BYTES_MAX};
use crate::state::State;

/// Resolves a finding.
pub struct ResolveItem;

/// The intent.
#[derive(Deserialize)]
pub struct Fact {
    item_id: String,
    resolution: String,
}

static SPEC: Spec = Spec {
    verb: "resolve-item",
    about: "Say how a finding was dealt with",
    needs: "drills.resolve-item",
    types: &["drill_action_item_resolve"],
    fields: &[
        Field::new("item_id", ID, "id of the finding").filter(),
        Field::new(
            "resolution",
            Kind::Choice(&["changed", "accepted", "not_applicable"]),
            "changed, or the risk is accepted, or it no longer applies",
        )
        .filter(),
        Field::new("note", Kind::Text(NOTE_BYTES_MAX), "what was done").optional().private(),
        Field::new("drill_id", ID, "drill it came from").computed().filter(),
    ],
    example: r#"{"item_id":"item-1","resolution":"changed"}"#,
};

impl Record for ResolveItem {
    type State = State;
    type Fact = Fact;

    fn spec(&self) -> &'static Spec {
        &SPEC
    }

    fn check(&self, state: &State, fact: Fact, _asked: Asked<'_>) -> Result<Vec<Draft>, Refusal> {
        let Some(item) = state.items.get(&fact.item_id) else {
            let what = format!("no finding has the id {:?}", fact.item_id);
            return Err(Refusal::not_found("unknown_item", what).field("item_id"));
        };
        if let Some(before) = item.resolution {
            let what = format!("the finding {} is resolved already: {before}", fact.item_id);
            return Err(Refusal::conflict("item_resolved", what)
                .field("item_id")
                .hint("Note a new finding if it came back."));
        }
        let fields = [
            ("item_id", fact.item_id),
            ("resolution", fact.resolution),
            ("drill_id", item.drill_id),
        ];
        let body: Map<String, Value> =
            fields.into_iter().map(|(name, value)| (name.to_owned(), Value::from(value))).collect();
        Ok(vec![Draft::new("drill_action_item_resolve", body)])
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{Bench, refused};
    use serde_json::json;

    #[test]
    fn a_finding_is_resolved_once() {
        let mut bench = Bench::new();
        bench.drilled("d1", &["missed"]);
        let item = json!({"drill_id": "d1", "stage": "01-one", "title": "x"});
        let id = bench.ok("action-item", item)[0].id.clone();
        let resolve = |id: &str| json!({"item_id": id, "resolution": "changed"});
        refused(bench.call("resolve-item", resolve("other")), "unknown_item");
        let line = &bench.ok("resolve-item", resolve(&id))[0];
        assert_eq!(line.body["drill_id"], "d1");
        refused(bench.call("resolve-item", resolve(&id)), "item_resolved");
    }
}
