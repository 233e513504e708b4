//! Carrying an example through, whatever its shape: decided at once, carried out, or stage by stage.

use crate::house::story_stage;
use crate::session::actor;
use vm_contracts::{
    AnyEngine, Call, Failure, Field, Kind, Map, Presence, Refusal, Shape, Status, Value,
};
use vm_ledger::home::Owned;
use vm_ledger::{Answer, Attach, Run};

/// Carries a call through to its receipts.
pub fn carry(owned: &Owned, engine: &'static dyn AnyEngine, call: Call) -> Result<Answer, Failure> {
    match engine.shape(&call.verb) {
        Some(Shape::Operation(_)) => Ok(owned.ledger.perform(call)?.answer),
        Some(Shape::Staged(_)) => {
            let mut run = open(owned, call)?;
            while let Some(stage) = ready(&run) {
                run = complete(owned, engine, &run, &stage, &[])?;
            }
            let by = run.contract.actor();
            Ok(owned.ledger.seal_run(run.engine, &run.contract.id, &by)?.answer)
        }
        _ => owned.ledger.submit(call),
    }
}

/// Plans a call and opens its run.
pub fn open(owned: &Owned, call: Call) -> Result<Run, Failure> {
    let by = call.actor.clone();
    let contract = owned.ledger.plan(call)?.to_text();
    Ok(owned.ledger.run(contract.as_bytes(), &by)?.run)
}

/// The first stage that can be completed now.
pub fn ready(run: &Run) -> Option<String> {
    let is_open = matches!(run.state.status, Status::Pending | Status::InProgress);
    let first = run.state.ready(&run.contract).next();
    first.filter(|_| is_open).map(|stage| stage.id.clone())
}

/// A file that a stage leaves in the trial: its name, whether it is private, its bytes.
pub type Left = (&'static str, bool, &'static [u8]);

/// Completes a stage with what the engine's story says of each, or with the first words that it takes.
pub fn complete(
    owned: &Owned,
    engine: &'static dyn AnyEngine,
    run: &Run,
    stage: &str,
    left: &[Left],
) -> Result<Run, Failure> {
    let by = actor()?;
    let mut last = None;
    for fields in said(engine, run.verb) {
        let attach = |(name, private, bytes): &Left| Attach {
            name: (*name).to_owned(),
            private: *private,
            source: Some(Box::new(*bytes)),
        };
        let outputs = left.iter().map(attach).collect();
        let (name, id) = (run.engine, run.contract.id.as_str());
        match owned.ledger.complete_stage(name, id, stage, &fields, outputs, &by) {
            Err(Failure::Refusal(refusal)) => last = Some(refusal),
            other => return other,
        }
    }
    let nothing = || Refusal::malformed("no_stages", format!("{} has no stages", run.verb));
    Err(last.unwrap_or_else(nothing).into())
}

/// What may be said of a stage, the likeliest first.
fn said(engine: &dyn AnyEngine, verb: &str) -> Vec<Map<String, Value>> {
    if let Some(text) = story_stage(engine.name()) {
        return vec![serde_json::from_str(text).unwrap_or_default()];
    }
    let Some(Shape::Staged(fields)) = engine.shape(verb) else { return Vec::new() };
    let required = |f: &&Field| f.presence == Presence::Required;
    let mut all = vec![Map::new()];
    for field in fields.iter().filter(required) {
        let values = samples(&field.kind);
        let with = |map: &Map<String, Value>, value: &Value| {
            let mut map = map.clone();
            map.insert(field.name.to_owned(), value.clone());
            map
        };
        all = all.iter().flat_map(|map| values.iter().map(|v| with(map, v))).collect();
    }
    all
}

fn samples(kind: &Kind) -> Vec<Value> {
    match kind {
        Kind::Choice(words) => words.iter().map(|w| Value::from(*w)).collect(),
        Kind::Integer(min, max) => vec![Value::from((*min).max(1).min(*max))],
        Kind::Decimal(_) => vec![Value::from("1")],
        Kind::Time => vec![Value::from("2026-01-31T12:00:00.000Z")],
        Kind::Bool => vec![Value::from(true), Value::from(false)],
        Kind::TextList(..) | Kind::Documents(..) | Kind::List(..) => vec![Value::Array(Vec::new())],
        Kind::Text(_) | Kind::Name(_) | Kind::Document(_) => vec![Value::from("x")],
    }
}
