//! The binary `vm`: composition root and every surface.
//!
//! Only this crate prints, listens or reads configuration. What it offers for an engine is generated from the
//! engine's Spec tables; nothing about an operation is written here a second time. It decides nothing about
//! receipts: the ledger does, and the verifiers of `vm_scrolls` check without it.

pub mod answer;
pub mod args;
pub mod asked;
pub mod client;
pub mod commands;
pub mod config;
pub mod exit;
pub mod frame;
pub mod git;
pub mod house;
pub mod paths;
pub mod screen;
pub mod serve;
pub mod session;
pub mod socket;
pub mod sources;
pub mod suggest;
pub mod table;
pub mod usage;

use crate::client::{Client, forward};
use crate::config::{Flags, Loaded};
use crate::exit::Stop;
use crate::paths::Paths;
use crate::screen::Screen;
use crate::session::{House, Remembered, Session, Way, Words};
use clap::ArgMatches;
use std::cell::RefCell;
use std::ffi::OsString;
use std::io::{self, IsTerminal};
use std::path::PathBuf;
use std::process::ExitCode;
use std::rc::Rc;
use vm_contracts::Refusal;
use vm_ledger::Ledger;

/// Of every program of this workspace: receipts are many small values, made on one thread and let go on another.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

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
        paths: Paths::default(),
    };
    ExitCode::from(run(house::HOUSE, words, screen))
}

/// Runs one command line and returns its exit code.
pub fn run(house: House, words: Vec<OsString>, mut screen: Screen<'_>) -> u8 {
    let given = match parse(house, &words, &mut screen) {
        Ok(given) => given,
        Err(code) => return commands::console::hook::exit_of_usage(&words, code),
    };
    let leaf = leaf(&given);
    let flags = Flags {
        home: leaf.get_one::<String>("home").map(PathBuf::from),
        wait_seconds: leaf.get_one::<u64>("wait").copied(),
        actor_key: actor_key(leaf).or_else(|| std::env::var_os("VM_ACTOR_KEY").map(PathBuf::from)),
    };
    let named = leaf.try_get_one::<String>("id").ok().flatten().cloned();
    let read = Rc::new(RefCell::new(Some(Vec::new())));
    let Screen { out, err, input, colour, live, json, paths } = screen;
    let mut input = Remembered { inner: input, read: read.clone() };
    let screen = Screen { out, err, input: &mut input, colour, live, json, paths };
    let way = Way::Find(Words { all: words, read, kind: commands::kind(house, &given) });
    let id = named.unwrap_or_else(session::fresh_id);
    let mut session = Session { house, screen, flags, id, way };
    let result = at_the_owner(&mut session, &given).and_then(|done| match done {
        Some(code) => Ok(code),
        None => commands::dispatch(&mut session, &given),
    });
    say(&mut session.screen, house, result)
}

/// Has the command carried out by the process that owns the home, where one serves.
fn at_the_owner(session: &mut Session<'_>, given: &ArgMatches) -> Result<Option<u8>, Stop> {
    if !commands::is_for_the_owner(given) || commands::finds_the_owner(given) {
        return Ok(None);
    }
    match Client::connect(&config::home(&session.flags)?.0)? {
        Some(owner) => forward::try_command(session, owner),
        None => Ok(None),
    }
}

/// A command line that a client of this process sent, with what stands around it there.
pub struct Sent {
    /// The words, the program's name first.
    pub words: Vec<OsString>,
    /// The home as the client spells it.
    pub home: PathBuf,
    /// The client's key file, if it acts with one.
    pub actor_key: Option<PathBuf>,
    /// Id for a call that names none.
    pub id: String,
}

/// Runs a client's command line in the home that this process owns.
pub fn run_lent<'a>(
    house: House,
    sent: Sent,
    mut screen: Screen<'a>,
    (ledger, loaded): (&'a Ledger, &'a Loaded),
) -> u8 {
    let Sent { words, home, actor_key, id } = sent;
    let given = match parse(house, &words, &mut screen) {
        Ok(given) => given,
        Err(code) => return code,
    };
    let flags = Flags { home: Some(home), wait_seconds: None, actor_key };
    let mut session = Session { house, screen, flags, id, way: Way::Lent { ledger, loaded } };
    let result = match commands::is_for_the_owner(&given) {
        true => commands::dispatch(&mut session, &given),
        false => Err(Refusal::malformed(
            "not_forwarded",
            "this command is carried out where it is given",
        )
        .into()),
    };
    say(&mut session.screen, house, result)
}

/// Parses the words; an error of the command line is told at once, and its exit code given back.
fn parse(house: House, words: &[OsString], screen: &mut Screen<'_>) -> Result<ArgMatches, u8> {
    // An error of the command line itself must be told as JSON too, before it was parsed.
    screen.json = words.iter().take_while(|w| *w != "--").any(|w| w == "--json");
    let given = args::tree::for_words(house, words)
        .try_get_matches_from(words)
        .map_err(|e| say(screen, house, Err(Stop::Usage(Box::new(e)))))?;
    screen.json = leaf(&given).get_flag("json");
    Ok(given)
}

fn actor_key(leaf: &ArgMatches) -> Option<PathBuf> {
    leaf.get_one::<String>("actor-key").map(PathBuf::from)
}

fn leaf(given: &ArgMatches) -> &ArgMatches {
    given.subcommand().map_or(given, |(_, below)| leaf(below))
}

/// Says why a command stopped, and maps it to the exit code.
fn say(screen: &mut Screen<'_>, house: House, result: Result<u8, Stop>) -> u8 {
    let result = result.and_then(|code| screen.flush().map(|()| code));
    let failure = match result {
        Ok(code) | Err(Stop::Done(code)) => return code,
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
