//! The binary `vm`: composition root and every surface.
//!
//! Only this crate prints, listens or reads configuration. What it offers for an engine is generated from the
//! engine's Spec tables; nothing about an operation is written here a second time. It decides nothing about
//! receipts: the ledger does, and the verifiers of `vm_scrolls` check without it.

pub mod answer;
pub mod args;
pub mod commands;
pub mod config;
pub mod exit;
pub mod house;
pub mod screen;
pub mod session;
pub mod suggest;
pub mod table;
pub mod usage;

use crate::config::Flags;
use crate::exit::Stop;
use crate::screen::Screen;
use crate::session::{House, Session};
use clap::ArgMatches;
use std::ffi::OsString;
use std::io::{self, IsTerminal};
use std::path::PathBuf;
use std::process::ExitCode;

/// Starts the process: `vm …`, or an alias that stands for one of its engines.
pub fn start(alias: Option<&str>) -> ExitCode {
    let mut words: Vec<OsString> = std::env::args_os().collect();
    if let Some(engine) = alias {
        // Usage lines are shown as they can be typed: the alias is `vm` and the engine's name.
        words.splice(..1.min(words.len()), ["vm".into(), engine.into()]);
    }
    let no_colour = std::env::var_os("NO_COLOR").is_some_and(|v| !v.is_empty());
    let (stdout, stderr, stdin) = (io::stdout(), io::stderr(), io::stdin());
    let colour = stdout.is_terminal() && !no_colour;
    let live = stderr.is_terminal();
    let mut out = io::BufWriter::new(stdout.lock());
    let screen = Screen {
        out: &mut out,
        err: &mut stderr.lock(),
        input: &mut stdin.lock(),
        colour,
        live,
        json: false,
    };
    ExitCode::from(run(house::HOUSE, words, screen))
}

/// Runs one command line and returns its exit code.
pub fn run(house: House, words: Vec<OsString>, mut screen: Screen<'_>) -> u8 {
    // An error of the command line itself must be told as JSON too, before it was parsed.
    screen.json = words.iter().take_while(|w| *w != "--").any(|w| w == "--json");
    let given = match args::build(house).try_get_matches_from(words) {
        Ok(given) => given,
        Err(e) => return say(&mut screen, house, Err(Stop::Usage(Box::new(e)))),
    };
    let leaf = leaf(&given);
    screen.json = leaf.get_flag("json");
    let flags = Flags {
        home: leaf.get_one::<String>("home").map(PathBuf::from),
        wait_seconds: leaf.get_one::<u64>("wait").copied(),
        actor_key: leaf
            .get_one::<String>("actor-key")
            .map(PathBuf::from)
            .or_else(|| std::env::var_os("VM_ACTOR_KEY").map(PathBuf::from)),
    };
    let mut session = Session { house, screen, flags };
    let result = commands::dispatch(&mut session, &given);
    say(&mut session.screen, house, result)
}

fn leaf(given: &ArgMatches) -> &ArgMatches {
    given.subcommand().map_or(given, |(_, below)| leaf(below))
}

/// Says why a command stopped, and maps it to the exit code.
fn say(screen: &mut Screen<'_>, house: House, result: Result<u8, Stop>) -> u8 {
    let result = result.and_then(|code| screen.flush().map(|()| code));
    let failure = match result {
        Ok(code) => return code,
        // Whoever read our output has what it wanted; what was done stays done.
        Err(Stop::Output(e)) if e.kind() == io::ErrorKind::BrokenPipe => return exit::OK,
        Err(Stop::Output(e)) => vm_contracts::Fault::new(
            "output_failed",
            format!("standard output cannot be written: {e}"),
        )
        .hint("What was done stays done: `vm receipt show ID` or the same call under its id shows it.")
        .into(),
        Err(Stop::Usage(e)) => match usage::explain(screen, house, &e) {
            Ok(code) => return code,
            Err(failure) => failure,
        },
        Err(Stop::Failure(failure)) => failure,
    };
    let text = match screen.json {
        true => format!("{}\n", exit::to_json(&failure)),
        false => exit::to_text(&failure),
    };
    // When standard error is gone as well, the exit code still says it.
    let _ = screen.err.write_all(text.as_bytes());
    exit::surface(&failure).exit
}
