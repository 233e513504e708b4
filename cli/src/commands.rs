//! What each command does. A command parses its own arguments, works, and prints one answer.

mod accept;
mod actor;
mod backup;
pub mod batch;
mod completions;
mod config;
pub mod conform;
pub mod console;
mod doctor;
mod export;
mod fsck;
pub mod import;
mod init;
pub mod operate;
mod prove;
mod query;
mod receipt;
pub mod reference;
mod reindex;
mod report;
mod serve;
mod status;
mod tiles;
mod verify;
pub mod work;

use crate::client::forward::Kind;
use crate::exit::Stop;
use crate::session::{House, Session};
use clap::ArgMatches;
use vm_contracts::AnyEngine;

/// Carries out the parsed command line; returns the exit code.
pub fn dispatch(session: &mut Session<'_>, given: &ArgMatches) -> Result<u8, Stop> {
    let (name, given) = given.subcommand().expect("clap refuses a command line without a command");
    match name {
        "exec" => console::exec::run(session, given),
        "record" => console::record::run(session, given),
        "explain" => console::explain::run(session, given),
        "init" => init::run(session, given),
        "status" => status::run(session),
        "doctor" => doctor::run(session),
        "serve" => serve::run(session),
        "fsck" => fsck::run(session),
        "reindex" => reindex::run(session, given),
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

/// Commands that run a program, need no home, make one, read one as it lies there, or come to own it.
const ALONE: [&str; 11] = [
    "exec",
    "init",
    "doctor",
    "verify",
    "restore",
    "actor",
    "config",
    "conform",
    "completions",
    "reference",
    "serve",
];

/// Whether the owner of the home carries the command out, where there is one.
pub fn is_for_the_owner(given: &ArgMatches) -> bool {
    given.subcommand().is_some_and(|(name, below)| {
        !ALONE.contains(&name) && !capture(name, below).is_some_and(console::is_alone)
    })
}

/// Whether the command finds the owner itself, and says to it what this process saw.
pub fn finds_the_owner(given: &ArgMatches) -> bool {
    given
        .subcommand()
        .is_some_and(|(name, below)| capture(name, below).is_some_and(console::finds_the_owner))
}

/// The word of `vm console` that is given.
fn capture<'a>(name: &str, below: &'a ArgMatches) -> Option<&'a str> {
    let word = below.subcommand_name()?;
    (name == crate::args::console::ENGINE).then_some(word)
}

/// What the command is, where it has to be told that its answer was lost.
pub fn kind(house: House, given: &ArgMatches) -> Kind {
    let named = given.subcommand().and_then(|(name, below)| {
        let engine = house.iter().find(|e| e.name() == name)?;
        let (verb, below) = below.subcommand()?;
        engine.operation(verb).map(|_| below)
    });
    let is_batch = named.is_some_and(|below| batch::path(below).is_some());
    Kind { is_call: named.is_some(), is_batch }
}

fn of_engine(
    session: &mut Session<'_>,
    engine: &'static dyn AnyEngine,
    given: &ArgMatches,
) -> Result<u8, Stop> {
    let (verb, given) = below(given);
    if engine.name() == crate::args::console::ENGINE
        && let Some(done) = console::run(session, verb, given)
    {
        return done;
    }
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
