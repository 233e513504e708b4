//! `findings`: what drills found, and how far it was dealt with.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::json;
use vm_contracts::{Failure, Field, History, Kind, Report, Spec, Term, Value};

use crate::ops::{ID, SEVERITY};
use crate::state::{State, text};

/// Lists findings.
pub struct Findings;

/// The question.
#[derive(Deserialize)]
pub struct Question {
    drill_id: Option<String>,
    #[serde(default)]
    resolved: bool,
}

static SPEC: Spec = Spec {
    verb: "findings",
    about: "List what drills found and nobody has dealt with yet",
    needs: "drills.read",
    types: &[],
    fields: &[
        Field::new("drill_id", ID, "only findings of this drill").optional(),
        Field::new("resolved", Kind::Bool, "show those that were dealt with too").optional(),
        Field::new("item_id", ID, "id of the finding").computed(),
        Field::new("stage", ID, "stage that showed it").computed(),
        Field::new("title", Kind::Text(500), "what is to be changed, where this home can open it")
            .computed(),
        Field::new("severity", SEVERITY, "how serious it is").computed(),
        Field::new("owner", ID, "who takes care of it").computed(),
        Field::new("due", Kind::Time, "until when").computed(),
        Field::new("resolution", Kind::Text(32), "how it was dealt with").computed(),
    ],
    example: r#"{"resolved":true}"#,
};

impl Report for Findings {
    type State = State;
    type Question = Question;

    fn spec(&self) -> &'static Spec {
        &SPEC
    }

    fn answer(
        &self,
        state: &State,
        history: &mut dyn History,
        question: Question,
    ) -> Result<Value, Failure> {
        let mut titles = titles(history, question.drill_id.as_deref())?;
        let mut rows = Vec::new();
        for (id, item) in state.items.iter() {
            let wanted = question.drill_id.as_ref().is_none_or(|d| *d == item.drill_id)
                && (question.resolved || item.resolution.is_none());
            if wanted {
                rows.push(json!({
                    "item_id": id,
                    "drill_id": item.drill_id,
                    "stage": item.stage,
                    "title": titles.remove(&id),
                    "severity": item.severity,
                    "owner": item.owner,
                    "due": item.due,
                    "resolution": item.resolution,
                }));
            }
        }
        Ok(Value::Array(rows))
    }
}

/// Titles of findings that this home can open, by the id of the finding.
pub(crate) fn titles(
    history: &mut dyn History,
    drill_id: Option<&str>,
) -> Result<BTreeMap<String, Value>, Failure> {
    let term = |field: &str, value: &str| Term { field: field.to_owned(), value: value.to_owned() };
    let mut terms = vec![term("type", "drill_action_item")];
    terms.extend(drill_id.map(|id| term("drill_id", id)));
    let mut lines = Vec::new();
    history.scan(&terms, &mut |line| {
        lines.push(line.clone());
        true
    })?;
    let mut out = BTreeMap::new();
    for line in lines {
        if let (Some(id), Some(title)) =
            (text(&line.body, "item_id"), history.opened(&line)?.remove("title"))
        {
            out.insert(id.to_owned(), title);
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use crate::testing::Bench;
    use serde_json::json;

    #[test]
    fn open_findings_show_with_the_title_that_can_be_opened() {
        let mut bench = Bench::new();
        bench.drilled("d1", &["missed"]);
        let note = |title: &str| json!({"drill_id": "d1", "stage": "01-one", "title": title});
        let first = bench.ok("action-item", note("print the list"))[0].id.clone();
        bench.ok("action-item", note("call earlier"));
        bench.ok("resolve-item", json!({"item_id": first, "resolution": "accepted"}));
        let open = bench.report("findings", json!({}));
        assert_eq!(open.as_array().unwrap().len(), 1);
        assert_eq!(open[0]["title"], "call earlier");
        let all = bench.report("findings", json!({"resolved": true, "drill_id": "d1"}));
        assert_eq!(all[0]["resolution"], "accepted");
        bench.forget();
        assert_eq!(bench.report("findings", json!({}))[0]["title"], json!(null));
    }
}
