//! What each command does. A command parses its own arguments, works, and prints one answer.

mod accept;
mod actor;
mod backup;
mod completions;
mod config;
pub mod conform;
mod doctor;
mod export;
mod fsck;
mod import;
mod init;
mod operate;
mod prove;
mod query;
mod receipt;
pub mod reference;
mod report;
mod status;
mod tiles;
mod verify;
mod work;

use crate::exit::Stop;
use crate::session::Session;
use clap::ArgMatches;
use vm_contracts::AnyEngine;

/// Carries out the parsed command line; returns the exit code.
pub fn dispatch(session: &mut Session<'_>, given: &ArgMatches) -> Result<u8, Stop> {
    let (name, given) = given.subcommand().expect("clap refuses a command line without a command");
    match name {
        "init" => init::run(session, given),
        "status" => status::run(session),
        "doctor" => doctor::run(session),
        "fsck" => fsck::run(session),
        "query" => query::any_scroll(session, given),
        "receipt" => receipt::run(session, below(given).1),
        "prove" => prove::run(session, given),
        "verify" => verify::run(session, given),
        "backup" => backup::backup(session, given),
        "restore" => backup::restore(session, given),
        "export" => tiles::run(session, given),
        "accept-cut" => accept::cut(session, given),
        "clock" => accept::clock(session),
        "actor" => actor::run(session, given),
        "config" => config::explain(session),
        "conform" => conform::run(session, given),
        "completions" => completions::run(session, given),
        "reference" => reference::run(session),
        engine => {
            let engine = session.engine(engine)?;
            of_engine(session, engine, given)
        }
    }
}

fn of_engine(
    session: &mut Session<'_>,
    engine: &'static dyn AnyEngine,
    given: &ArgMatches,
) -> Result<u8, Stop> {
    let (verb, given) = below(given);
    match verb {
        "plan" => work::plan(session, engine, given),
        "run" => work::run(session, engine, given),
        "next" => work::next(session, engine, given),
        "complete-stage" => work::complete_stage(session, engine, given),
        "abort" => work::abort(session, engine, given),
        "seal" => work::seal(session, engine, given),
        "runs" => work::runs(session, engine),
        "output" => work::output(session, engine, given),
        "query" => query::of_engine(session, engine, given),
        "import" => import::run(session, engine, given),
        "export" => export::run(session, engine, given),
        verb => match engine.operation(verb) {
            Some(spec) => operate::run(session, engine, spec, given),
            None => report::run(session, engine, verb, given),
        },
    }
}

fn below(given: &ArgMatches) -> (&str, &ArgMatches) {
    given.subcommand().expect("clap refuses this command without a verb")
}

/// The text of an argument.
fn text<'a>(given: &'a ArgMatches, id: &str) -> Option<&'a str> {
    given.get_one::<String>(id).map(String::as_str)
}

/// The text of an argument that clap requires.
fn required<'a>(given: &'a ArgMatches, id: &str) -> &'a str {
    text(given, id).expect("clap requires this argument")
}
