//! `list`: the sealed drills, the latest first.

use serde::Deserialize;
use serde_json::json;
use vm_contracts::{Failure, Field, History, Kind, Report, Spec, Value};

use super::moment_text;
use crate::ops::{ID, SEVERITY};
use crate::outcome::Outcome;
use crate::runbook::NAME_BYTES_MAX;
use crate::state::State;

/// Lists drills.
pub struct List;

/// The question.
#[derive(Deserialize)]
pub struct Question {
    runbook_name: Option<String>,
    severity: Option<String>,
    limit: Option<usize>,
}

/// Rows shown if the question does not say.
const ROWS: usize = 1_000;

static SPEC: Spec = Spec {
    verb: "list",
    about: "List the sealed drills, the latest first",
    needs: "drills.read",
    types: &[],
    fields: &[
        Field::new("runbook_name", Kind::Name(NAME_BYTES_MAX), "only drills of this runbook")
            .optional(),
        Field::new("severity", SEVERITY, "only drills of this severity").optional(),
        Field::new("limit", Kind::Integer(1, 100_000), "most rows; 1,000 if it is not given")
            .optional(),
        Field::new("drill_id", ID, "id of the drill").computed(),
        Field::new("timestamp_completed", Kind::Time, "when it was completed").computed(),
        Field::new("stages_total", Kind::Integer(0, 1_000), "its stages").computed(),
        Field::new("missed", Kind::Integer(0, 1_000), "stages that nothing shows").computed(),
        Field::new("not_run", Kind::Integer(0, 1_000), "stages that were not tried").computed(),
        Field::new(
            "detection_rate_bp",
            Kind::Integer(0, 10_000),
            "noticed among run, in basis points",
        )
        .computed(),
        Field::new("time_to_detect_ms", Kind::Integer(0, i64::MAX), "median time to detect")
            .computed(),
    ],
    example: r#"{"severity":"critical"}"#,
};

impl Report for List {
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
        let wanted = |d: &crate::state::Drill| {
            question.runbook_name.as_ref().is_none_or(|n| *n == d.runbook)
                && question.severity.as_ref().is_none_or(|s| *s == d.severity)
        };
        let mut drills: Vec<_> = state.drills.iter().filter(|(_, d)| wanted(d)).collect();
        drills.sort_by_key(|(_, d)| std::cmp::Reverse((d.completed_ms, d.seq)));
        let rows = drills.into_iter().take(question.limit.unwrap_or(ROWS)).map(|(id, d)| {
            json!({
                "drill_id": id,
                "timestamp_completed": moment_text(d.completed_ms),
                "runbook_name": d.runbook,
                "severity": d.severity,
                "stages_total": d.stages,
                "missed": d.counts[Outcome::Missed as usize],
                "not_run": d.counts[Outcome::NotRun as usize],
                "detection_rate_bp": d.detection_rate_bp,
                "time_to_detect_ms": d.time_to_detect_ms,
            })
        });
        Ok(rows.collect())
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::Bench;
    use serde_json::json;

    #[test]
    fn the_latest_comes_first_and_filters_narrow() {
        let mut bench = Bench::new();
        bench.drilled("a", &["missed"]);
        bench.wait_s(60);
        bench.drilled("b", &["not_run"]);
        let rows = bench.report("list", json!({}));
        assert_eq!((&rows[0]["drill_id"], &rows[1]["drill_id"]), (&json!("b"), &json!("a")));
        assert_eq!(rows[0]["detection_rate_bp"], json!(null));
        assert_eq!(rows[1]["detection_rate_bp"], 0);
        assert_eq!(bench.report("list", json!({"limit": 1})).as_array().unwrap().len(), 1);
        assert_eq!(bench.report("list", json!({"severity": "low"})), json!([]));
    }
}
