//! `vm <engine> <verb>`: one call.

use crate::answer::call;
use crate::args::fields;
use crate::commands::text;
use crate::exit::{OK, Stop};
use crate::session::{self, Session};
use clap::ArgMatches;
use vm_contracts::{AnyEngine, Failure, Spec, edge};

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
    let id = text(given, "id").map(str::to_owned);
    let call = session::call(engine.name(), spec.verb, intent, id, tags)?;
    session.in_home(|screen, ledger| {
        let answer = ledger.submit(call).map_err(|e: Failure| e)?;
        call::print(screen, &answer)?;
        Ok(OK)
    })
}
