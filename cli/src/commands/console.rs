//! `vm console …`: how the acts of agents come into the ledger, beside what every engine has.

mod before;
mod blame;
mod commit;
pub mod deliver;
mod dialect;
mod doctor;
pub mod envelope;
mod examine;
pub mod exec;
pub mod explain;
mod glance;
pub mod hook;
mod install;
pub mod observe;
pub mod plan;
mod proxy;
pub mod record;
mod rules;
pub mod spool;
pub mod take;
mod wrapped;

use crate::exit::{OK, Stop};
use crate::screen::Tone;
use crate::session::Session;
use clap::ArgMatches;

/// Carries out a command of capture; `None` for what every engine has.
pub fn run(session: &mut Session<'_>, verb: &str, given: &ArgMatches) -> Option<Result<u8, Stop>> {
    Some(match verb {
        "wrapped" => wrapped::run(session),
        "commit" => commit::run(session, given),
        "explain" if explain::is_about_a_commit(given) => explain::run(session, given),
        "blame" if explain::is_about_a_commit(given) => blame::run(session, given),
        "hook" => hook::run(session, given),
        "install" => install::install(session, given),
        "uninstall" => install::uninstall(session, given),
        "doctor" => doctor::run(session, given),
        "proxy" => proxy::run(session, given),
        "spool" => take_in(session),
        _ => return None,
    })
}

/// Whether the process that is given the word carries it out itself, even where another one owns the home.
pub fn is_alone(word: &str) -> bool {
    ["install", "uninstall", "doctor", "proxy", "spool"].contains(&word)
}

/// Whether the process looks for the owner itself, because it tells it more than its words.
pub fn finds_the_owner(word: &str) -> bool {
    word == "hook"
}

/// `vm console spool`: takes in what waits there.
fn take_in(session: &mut Session<'_>) -> Result<u8, Stop> {
    let loaded = session.loaded()?;
    let wait = deliver::patience(session)?;
    let verdict = hook::carry(session, &loaded, &envelope::Envelope::empty(), wait)?;
    match session.screen.json {
        true => session.screen.document(&serde_json::json!({"events": verdict.recorded}))?,
        false => {
            let rest = format!("  {} events of the spool", verdict.recorded);
            session.screen.toned(Tone::Good, "taken in", &rest)?;
        }
    }
    Ok(OK)
}
