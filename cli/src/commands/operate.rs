//! `vm <engine> <verb>`: one call, in one go as far as it goes without people.

use crate::answer::call;
use crate::args::fields;
use crate::commands::{text, work};
use crate::config;
use crate::exit::{OK, Stop};
use crate::session::Session;
use clap::ArgMatches;
use std::path::Path;
use vm_contracts::{AnyEngine, Call, Failure, Lost, Shape, Spec, edge};
use vm_ledger::Ledger;
use vm_ledger::clock::{Clock, SystemClock, SystemEntropy, uuid_v7};

/// Exit code of a call whose effects failed: its receipt is there and says so.
pub const FAULT: u8 = 4;

/// Commits one call and prints its receipts; work of people is opened, and what comes next is printed.
pub fn run(
    session: &mut Session<'_>,
    engine: &'static dyn AnyEngine,
    spec: &'static Spec,
    given: &ArgMatches,
) -> Result<u8, Stop> {
    let call = call_of(session, engine, spec, given)?;
    let id = call.id.clone().unwrap_or_default();
    let home = config::home(&session.flags)?.0;
    session.in_home(|screen, ledger| match engine.shape(spec.verb) {
        Some(Shape::Operation(_)) => {
            let sealing = ledger.perform(call).map_err(|e| with_id(e, &id))?;
            call::print_sealing(screen, &sealing, &home)?;
            Ok(if call::is_aborted(&sealing.answer)? { FAULT } else { OK })
        }
        Some(Shape::Staged(_)) if !is_sealed(ledger, engine, &id)? => {
            let by = call.actor.clone();
            let handed = ledger.plan(call)?;
            handed.notes.iter().for_each(|note| screen.note(note));
            let contract = handed.to_text();
            let opened =
                ledger.run(contract.as_bytes(), &by).map_err(|e| open_already(engine, e, &id))?;
            work::say_opened(screen, engine, &opened, Path::new(&home))
        }
        // A record; and work of people that was sealed under this id, which is answered from its receipts.
        _ => {
            let answer = ledger.submit(call).map_err(|e| with_id(e, &id))?;
            call::print(screen, &answer)?;
            Ok(OK)
        }
    })
}

/// The call that a command line asks for.
pub fn call_of(
    session: &mut Session<'_>,
    engine: &'static dyn AnyEngine,
    spec: &'static Spec,
    given: &ArgMatches,
) -> Result<Call, Stop> {
    let intent = fields::intent(spec, given, &mut session.screen)?;
    // What the declaration alone refuses needs no home and no lock; the ledger asks the same again.
    edge::admit(spec, &intent).map_err(|r| fields::with_suggestion(spec, r))?;
    let tags = given.get_many::<String>("tag").unwrap_or_default().cloned().collect();
    // Drawn here, so that it can be told where the ledger cannot say whether the call was written.
    let drawn = || uuid_v7(SystemClock.read().wall, &SystemEntropy);
    let id = text(given, "id").map_or_else(drawn, str::to_owned);
    Ok(session.call(engine.name(), spec.verb, intent, Some(id), tags)?)
}

fn is_sealed(ledger: &Ledger, engine: &dyn AnyEngine, id: &str) -> Result<bool, Failure> {
    let begun = ledger.writer().heads().iter().any(|h| h.scroll == engine.scroll());
    Ok(begun && ledger.find(engine.scroll(), id)?.is_some())
}

/// A contract is of its own time, so the same words again make another; whoever asks is shown the way on.
fn open_already(engine: &dyn AnyEngine, failure: Failure, id: &str) -> Failure {
    match failure {
        Failure::Refusal(r) if r.code == "run_exists" && r.hint.is_none() => {
            r.hint(format!("Go on with `vm {} next {id}`.", engine.name())).into()
        }
        other => other,
    }
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
