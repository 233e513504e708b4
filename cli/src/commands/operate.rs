//! `vm <engine> <verb>`: one call.

use crate::answer::call;
use crate::args::fields;
use crate::commands::text;
use crate::exit::{OK, Stop};
use crate::session::{self, Session};
use clap::ArgMatches;
use vm_contracts::{AnyEngine, Failure, Lost, Spec, edge};
use vm_ledger::clock::{Clock, SystemClock, SystemEntropy, uuid_v7};

/// Commits one call and prints its receipts.
pub fn run(
    session: &mut Session<'_>,
    engine: &'static dyn AnyEngine,
    spec: &'static Spec,
    given: &ArgMatches,
) -> Result<u8, Stop> {
    let intent = fields::intent(spec, given, &mut session.screen)?;
    // What the declaration alone refuses needs no home and no lock; the ledger asks the same again.
    edge::admit(spec, &intent).map_err(|r| fields::with_suggestion(spec, r))?;
    let tags = given.get_many::<String>("tag").unwrap_or_default().cloned().collect();
    // Drawn here, so that it can be told where the ledger cannot say whether the call was written.
    let drawn = || uuid_v7(SystemClock.read().wall, &SystemEntropy);
    let id = text(given, "id").map_or_else(drawn, str::to_owned);
    let call = session::call(engine.name(), spec.verb, intent, Some(id.clone()), tags)?;
    session.in_home(|screen, ledger| {
        let answer = ledger.submit(call).map_err(|e| with_id(e, &id))?;
        call::print(screen, &answer)?;
        Ok(OK)
    })
}

/// A lost call is asked for again under its id, so whoever gave none must learn it.
fn with_id(failure: Failure, id: &str) -> Failure {
    match failure {
        Failure::Lost(lost) => Lost { message: format!("{}; its id is {id}", lost.message) }.into(),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use vm_contracts::Refusal;

    #[test]
    fn a_lost_call_tells_the_id_to_ask_again_with() {
        let lost = Lost { message: "the write was not confirmed".into() };
        let told = with_id(lost.into(), "dues-may").to_string();
        assert!(told.ends_with("; its id is dues-may"), "{told}");
        let refused = with_id(Refusal::malformed("bad_id", "no").into(), "x").to_string();
        assert_eq!(refused, "no");
    }
}
