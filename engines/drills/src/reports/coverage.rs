//! `coverage`: what each technique last came to, over all drills.

use serde::Deserialize;
use serde_json::json;
use vm_contracts::{Failure, Field, History, Kind, Report, Spec, Value};

use super::moment_text;
use crate::attack::TECHNIQUE_BYTES_MAX;
use crate::ops::ID;
use crate::outcome::Outcome;
use crate::state::State;

/// Shows coverage.
pub struct Coverage;

/// The question.
#[derive(Deserialize)]
pub struct Question {
    technique: Option<String>,
    outcome: Option<String>,
}

static SPEC: Spec = Spec {
    verb: "coverage",
    about: "Show what each technique last came to",
    needs: "drills.read",
    types: &[],
    fields: &[
        Field::new(
            "technique",
            Kind::Name(TECHNIQUE_BYTES_MAX),
            "this technique and its sub-techniques",
        )
        .optional(),
        Field::new(
            "outcome",
            Kind::Choice(Outcome::WORDS),
            "only techniques that last came to this",
        )
        .optional(),
        Field::new("drill_id", ID, "the last drill that tried it").computed(),
        Field::new("last_at", Kind::Time, "when that drill was completed").computed(),
        Field::new("drills", Kind::Integer(0, i64::MAX), "in how many drills it was tried")
            .computed(),
    ],
    example: r#"{"outcome":"missed"}"#,
};

impl Report for Coverage {
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
        let below = |id: &str, wanted: &str| {
            id.strip_prefix(wanted).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        let mut rows = Vec::new();
        for (technique, seen) in state.techniques.iter() {
            let wanted = question.technique.as_deref().is_none_or(|t| below(&technique, t))
                && question.outcome.as_deref().is_none_or(|o| seen.outcome.word() == o);
            if wanted {
                rows.push(json!({
                    "technique": technique,
                    "outcome": seen.outcome.word(),
                    "drill_id": seen.drill_id,
                    "last_at": moment_text(seen.completed_ms),
                    "drills": seen.drills,
                }));
            }
        }
        Ok(Value::Array(rows))
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::Bench;
    use serde_json::json;

    #[test]
    fn the_last_try_counts_and_what_was_not_run_is_no_try() {
        let mut bench = Bench::new();
        bench.drilled("a", &["missed", "detected"]);
        bench.drilled("b", &["blocked", "not_run"]);
        let rows = bench.report("coverage", json!({}));
        assert_eq!(rows[0]["outcome"], "blocked");
        assert_eq!((&rows[0]["drill_id"], &rows[0]["drills"]), (&json!("b"), &json!(2)));
        assert_eq!((&rows[1]["drill_id"], &rows[1]["drills"]), (&json!("a"), &json!(1)));
        let only = bench.report("coverage", json!({"outcome": "detected"}));
        assert_eq!(only.as_array().unwrap().len(), 1);
        // T1000 is not below T10.
        assert_eq!(bench.report("coverage", json!({"technique": "T10"})), json!([]));
        assert_eq!(
            bench.report("coverage", json!({"technique": "T1000"})).as_array().unwrap().len(),
            1
        );
    }
}
