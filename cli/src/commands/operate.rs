//! `vm <engine> <verb>`: one call, in one go as far as it goes without people.

use crate::answer::call;
use crate::args::fields;
use crate::commands::{batch, text, work};
use crate::exit::{OK, Stop};
use crate::session::Session;
use crate::sources;
use clap::ArgMatches;
use vm_contracts::{AnyEngine, Call, Failure, Lost, Shape, Spec, edge};
use vm_ledger::{Answer, Ledger, Opened, Sealing};

/// Exit code of a call whose effects failed: its receipt is there and says so.
pub const FAULT: u8 = 4;

/// Commits one call and prints its receipts; work of people is opened, and what comes next is printed.
pub fn run(
    session: &mut Session<'_>,
    engine: &'static dyn AnyEngine,
    spec: &'static Spec,
    given: &ArgMatches,
) -> Result<u8, Stop> {
    if let Some(path) = batch::path(given) {
        return batch::run(session, engine, spec, path);
    }
    let call = call_of(session, engine, spec, given)?;
    sources::read_ahead(&mut session.screen, engine.shape(spec.verb), &call.intent)?;
    let id = call.id.clone().unwrap_or_default();
    let home = session.home()?;
    session.in_home(|screen, ledger| {
        match carry_out(ledger, engine, call).map_err(|e| with_id(e, &id))? {
            Outcome::Committed(answer) => {
                call::print(screen, &answer)?;
                Ok(OK)
            }
            Outcome::Sealed(sealing) => {
                call::print_sealing(screen, &sealing, &home)?;
                Ok(if call::is_aborted(&sealing.answer)? { FAULT } else { OK })
            }
            Outcome::Opened(opened, notes) => {
                notes.iter().for_each(|note| screen.note(note));
                work::say_opened(screen, engine, &opened, &home)
            }
        }
    })
}

/// What a call came to, as far as it goes without people.
pub enum Outcome {
    /// A record; or work that was sealed under this id before.
    Committed(Answer),
    /// An operation whose effects were carried out, or had been.
    Sealed(Sealing),
    /// Work of people was opened; beside it, what planning had to say.
    Opened(Box<Opened>, Vec<String>),
}

/// Carries out a call that has its id.
pub fn carry_out(
    ledger: &Ledger,
    engine: &'static dyn AnyEngine,
    call: Call,
) -> Result<Outcome, Failure> {
    let id = call.id.clone().unwrap_or_default();
    match engine.shape(&call.verb) {
        Some(Shape::Operation(_)) => Ok(Outcome::Sealed(ledger.perform(call)?)),
        Some(Shape::Staged(_)) if !is_sealed(ledger, engine, &id)? => {
            let by = call.actor.clone();
            let handed = ledger.plan(call)?;
            let contract = handed.to_text();
            let opened =
                ledger.run(contract.as_bytes(), &by).map_err(|e| open_already(engine, e, &id))?;
            Ok(Outcome::Opened(Box::new(opened), handed.notes))
        }
        _ => Ok(Outcome::Committed(ledger.submit(call)?)),
    }
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
    // Drawn on this side, so that it can be told where the ledger cannot say whether the call was written.
    let id = text(given, "id").map_or_else(|| session.id.clone(), str::to_owned);
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
