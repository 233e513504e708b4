//! `vm <engine> <report>`: a question about the state, now or as of an earlier point.

use crate::answer::report;
use crate::args::fields;
use crate::commands::text;
use crate::exit::{OK, Stop};
use crate::session::Session;
use clap::ArgMatches;
use vm_contracts::{AnyEngine, Moment, Refusal, edge};
use vm_ledger::AsOf;

/// Answers a report.
pub fn run(
    session: &mut Session<'_>,
    engine: &'static dyn AnyEngine,
    verb: &str,
    given: &ArgMatches,
) -> Result<u8, Stop> {
    let spec = engine.reports().into_iter().find(|s| s.verb == verb).ok_or_else(|| {
        Refusal::not_found("unknown_report", format!("{} has no report {verb:?}", engine.name()))
    })?;
    let question = fields::intent(spec, given, &mut session.screen)?;
    edge::admit(spec, &question).map_err(|r| fields::with_suggestion(spec, r))?;
    let as_of = text(given, "at").map_or(Ok(AsOf::Now), as_of)?;
    session.in_home(|screen, ledger| {
        let (size, answer) = ledger.report(engine.name(), verb, &question, as_of)?;
        reached(engine.scroll(), size, as_of)?;
        report::print(screen, spec, engine.scroll(), size, &answer)?;
        Ok(OK)
    })
}

/// `--at 120` is a size, anything else a time.
fn as_of(text: &str) -> Result<AsOf, Refusal> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let parsed = match digits {
        true => text.parse().ok().map(AsOf::Size),
        false => Moment::parse_human(text).ok().map(AsOf::Time),
    };
    parsed.ok_or_else(|| {
        Refusal::malformed(
            "wrong_type",
            format!("--at {text:?} is neither a time nor a number of receipts"),
        )
        .field("at")
        .hint("Write a time such as 2026-01-31 or 2026-01-31T12:00:00Z, or a size such as 120.")
    })
}

/// An answer as of fewer receipts than were asked for would be taken for something else.
fn reached(scroll: &str, size: u64, as_of: AsOf) -> Result<(), Refusal> {
    match as_of {
        AsOf::Size(asked) if asked > size => {
            let what = format!("{scroll} has {size} receipts, not {asked}");
            let refusal = Refusal::not_found("no_such_size", what).field("at");
            Err(refusal.hint(format!("Give at most --at {size}, or leave it out.")))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_a_size_and_dates_a_time() {
        assert_eq!(as_of("12").unwrap(), AsOf::Size(12));
        let day = Moment::parse("2026-01-31T00:00:00.000Z").unwrap();
        assert_eq!(as_of("2026-01-31").unwrap(), AsOf::Time(day));
        for bad in ["", "yesterday", "-1", "99999999999999999999"] {
            assert_eq!(as_of(bad).unwrap_err().field.as_deref(), Some("at"), "{bad}");
        }
    }
}
