//! What people do to runs, in few words: plan, run, complete a stage, give up, seal.

use crate::world::call;
use serde_json::json;
use vm_contracts::{Actor, Call, Failure, Map, Value};
use vm_ledger::{Attach, Ledger, Opened, Run, Sealing};

/// Who does all of it.
pub fn by() -> Actor {
    Actor::local(1000)
}

/// A stage's fields: it was done, and what there is to say of it in private.
pub fn done(note: Option<&str>) -> Map<String, Value> {
    let mut fields = Map::from_iter([("outcome".to_owned(), json!("done"))]);
    fields.extend(note.map(|note| ("note".to_owned(), json!(note))));
    fields
}

/// A file of a stage.
pub fn file<'a>(name: &str, private: bool, bytes: &'a [u8]) -> Attach<'a> {
    Attach { name: name.into(), private, source: Some(Box::new(bytes)) }
}

/// A file that stands in `outputs/` already.
pub fn in_place(name: &str) -> Attach<'static> {
    Attach { name: name.into(), private: false, source: None }
}

/// The contract of a call, as it is handed out.
pub fn plan(ledger: &Ledger, call: Call) -> Result<Vec<u8>, Failure> {
    ledger.plan(call).map(|handed| handed.to_text().into_bytes())
}

/// Plans and runs.
pub fn open(ledger: &Ledger, call: Call) -> Result<Opened, Failure> {
    ledger.run(&plan(ledger, call)?, &by())
}

/// Completes stage `n` of a piece of work.
pub fn complete(
    ledger: &Ledger,
    id: &str,
    n: usize,
    note: Option<&str>,
    files: Vec<Attach<'_>>,
) -> Result<Run, Failure> {
    ledger.complete_stage("toy", id, &format!("stage-{n}"), &done(note), files, &by())
}

/// Gives a run up.
pub fn abort(ledger: &Ledger, id: &str, reason: Option<&str>) -> Result<Run, Failure> {
    ledger.abort_run("toy", id, reason, &by())
}

/// Seals a run.
pub fn seal(ledger: &Ledger, id: &str) -> Result<Sealing, Failure> {
    ledger.seal_run("toy", id, &by())
}

/// `toy pay` that fails like this.
pub fn failing_pay(id: &str, fail: &str) -> Call {
    call(id, "pay", json!({"amount": 5, "to": "somebody", "fail": fail}))
}
