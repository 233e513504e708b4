//! The receipt of a drill whose stages are all completed: everything in it is worked out from contract and state.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};
use vm_contracts::{Moment, Refusal, RunView, Stage, StageState, Status};

use super::drill::{Told, allowed, flag, told};
use crate::outcome::{Outcome, by_technique, detection_rate_bp, median_ms, pair};
use crate::state::State;

/// Most bytes that the outcomes of single stages may take in the line. With all other lists at their limits a line
/// then still has a few thousand bytes left below 65,535.
const STAGE_OUTCOMES_BYTES_MAX: usize = 20_000;

/// One stage of the contract, what happened of it, and what was said.
struct Done<'a> {
    stage: &'a Stage,
    state: &'a StageState,
    told: Told,
}

impl Done<'_> {
    fn list(&self, name: &str) -> Vec<&str> {
        let list = self.stage.details.get(name).and_then(Value::as_array);
        list.into_iter().flatten().filter_map(Value::as_str).collect()
    }

    fn time_to_detect_ms(&self) -> Option<i64> {
        let ms = self.told.detected_at?.unix_ms() - self.told.started_at?.unix_ms();
        (ms >= 0).then_some(ms)
    }
}

/// The body of the receipt.
pub(super) fn body(state: &State, run: RunView<'_>) -> Result<Map<String, Value>, Refusal> {
    let mut all = Vec::with_capacity(run.contract.stages.len());
    for stage in &run.contract.stages {
        let done = run.state.stage(&stage.id).filter(|s| s.status == Status::Completed);
        let Some(done) = done else {
            let what = format!("stage {} is not completed", stage.id);
            return Err(Refusal::conflict("stages_open", what)
                .hint("Complete it, if as not_run, or abort the drill."));
        };
        all.push(Done { stage, state: done, told: told(&done.fields)? });
    }
    let mut body = Map::new();
    envelope(&mut body, run, &all);
    lists(&mut body, &all);
    results(&mut body, &all);
    body.insert("approvals".to_owned(), Value::from(approvals(state, run, &all)?));
    body.retain(|_, value| value.as_array().is_none_or(|list| !list.is_empty()));
    Ok(body)
}

fn envelope(body: &mut Map<String, Value>, run: RunView<'_>, all: &[Done<'_>]) {
    let id = &run.contract.id;
    let completed = all.iter().filter_map(|d| d.state.completed_at.as_deref()).max();
    let plan = |name: &str| run.contract.plan.get(name).cloned().unwrap_or_default();
    let fields = [
        ("drill_id", json!(id)),
        ("title", json!(run.contract.title)),
        ("severity", json!(run.contract.severity.as_deref().unwrap_or("unknown"))),
        ("timestamp_started", json!(run.state.created_at)),
        ("timestamp_completed", json!(completed.unwrap_or(&run.state.updated_at))),
        ("status", json!(Status::Completed.word())),
        ("stages_total", json!(run.contract.stages.len())),
        ("stages_completed", json!(all.len())),
        ("proof_path", json!(format!("cases/drills/{id}/PROOF.json"))),
        ("artifacts_manifest", json!(format!("cases/drills/{id}/ARTIFACTS.sha256"))),
        ("runbook_name", plan("runbook_name")),
        ("runbook_format", plan("runbook_format")),
        ("runbook_digest", plan("runbook_digest")),
    ];
    body.extend(fields.map(|(name, value)| (name.to_owned(), value)));
}

/// Names that occur in the stages, each once, in their order.
fn lists(body: &mut Map<String, Value>, all: &[Done<'_>]) {
    fn each<'a>(all: &'a [Done<'a>], names: impl Fn(&'a Done<'a>) -> Vec<&'a str>) -> Value {
        let mut seen = BTreeSet::new();
        all.iter().flat_map(names).filter(|name| seen.insert(*name)).collect()
    }
    let fields = [
        ("domains", each(all, |d| d.stage.skill.as_deref().into_iter().collect())),
        ("workflows", each(all, |d| d.stage.workflow.as_deref().into_iter().collect())),
        ("techniques", each(all, |d| d.list("techniques"))),
        ("tactics", each(all, |d| d.list("tactics"))),
        ("platforms", each(all, |d| d.list("platforms"))),
    ];
    body.extend(fields.map(|(name, value)| (name.to_owned(), value)));
}

fn results(body: &mut Map<String, Value>, all: &[Done<'_>]) {
    let count = |outcome: Outcome| all.iter().filter(|d| d.told.outcome == outcome).count() as u64;
    let mut outcomes = Vec::new();
    for outcome in Outcome::ALL {
        body.insert(outcome.word().to_owned(), Value::from(count(outcome)));
        if count(outcome) > 0 {
            outcomes.push(outcome.word());
        }
    }
    body.insert("outcomes".to_owned(), Value::from(outcomes));
    let techniques = by_technique(all.iter().map(|d| (d.told.outcome, d.list("techniques"))));
    let pairs: Vec<String> = techniques.iter().map(|(id, outcome)| pair(id, *outcome)).collect();
    body.insert("technique_outcomes".to_owned(), Value::from(pairs));
    let stages: Value = all.iter().map(one).collect();
    if stages.to_string().len() <= STAGE_OUTCOMES_BYTES_MAX {
        body.insert("stage_outcomes".to_owned(), stages);
    }
    let noticed = count(Outcome::Blocked) + count(Outcome::Detected);
    let run = all.len() as u64 - count(Outcome::NotRun);
    if let Some(rate) = detection_rate_bp(noticed, run) {
        body.insert("detection_rate_bp".to_owned(), Value::from(rate));
    }
    if let Some(ms) = median_ms(all.iter().filter_map(Done::time_to_detect_ms).collect()) {
        body.insert("time_to_detect_ms".to_owned(), Value::from(ms));
    }
    let mut cleanups =
        all.iter().filter(|d| d.told.outcome.is_run() && flag(d.stage, "cleanup")).peekable();
    if cleanups.peek().is_some() {
        let clean = |d: &Done<'_>| matches!(d.told.cleanup.as_deref(), Some("done" | "not_needed"));
        let verified = cleanups.all(clean);
        body.insert("cleanup_verified".to_owned(), Value::from(verified));
    }
}

fn one(done: &Done<'_>) -> Value {
    let mut out = json!({"stage": done.stage.id, "outcome": done.told.outcome.word()});
    if let Some(technique) = done.list("techniques").first() {
        out["technique"] = json!(technique);
    }
    if let Some(ms) = done.time_to_detect_ms() {
        out["time_to_detect_ms"] = json!(ms);
    }
    out
}

/// Ids of the approvals that let stages go ahead, each once. Completing a stage asked for one at that moment; an
/// approval never goes away, so it is found again.
fn approvals(state: &State, run: RunView<'_>, all: &[Done<'_>]) -> Result<Vec<String>, Refusal> {
    let mut out: Vec<String> = Vec::new();
    for done in all {
        let said = done.state.completed_at.as_deref().and_then(|t| Moment::parse(t).ok());
        let (Some(at), Some(by)) = (said, done.state.by.as_deref()) else {
            let what = format!("stage {} does not say who completed it and when", done.stage.id);
            return Err(Refusal::conflict("stages_open", what));
        };
        if let Some(id) = allowed(state, run, done.stage, &done.told, by, at)?
            && !out.contains(&id)
        {
            out.push(id);
        }
    }
    Ok(out)
}
