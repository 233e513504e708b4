//! `vm exec`, `vm record` and `vm explain`: the doors of the console that need no agent, and what they share with the
//! commands of the engine.

use crate::args::console;
use clap::{Arg, ArgAction, Command, value_parser};
use std::ffi::OsString;

/// The commands of the program's first level.
pub fn commands() -> Vec<Command> {
    vec![exec(), record(), explain_args(Command::new("explain").about(EXPLAIN))]
}

const EXPLAIN: &str = "Say file by file whether recorded edits explain a commit";

fn exec() -> Command {
    Command::new("exec")
        .about("Run a program, and leave receipts of what was run and how it ended")
        .override_usage("vm exec [OPTIONS] -- PROGRAM [ARGUMENT]...")
        .arg(flag("keep", "Keep what it writes, encrypted, as evidence: the first 64 MiB of each stream"))
        .arg(word("type", "TYPE", "Type of the evidence that --keep leaves").default_value("command-output"))
        .arg(word("session", "ID", "Session it belongs to [default: $VM_SESSION, else one of its own]"))
        .arg(word("id", "ID", "Id of the receipt of how it ended, and of the call; to be used once"))
        .arg(tags())
        .arg(flag("fail-open", "Run it even where nothing can be recorded"))
        .arg(flag("quiet", "Say nothing of its own"))
        .arg(
            Arg::new("argv")
                .value_name("PROGRAM")
                .required(true)
                .num_args(1..)
                .last(true)
                .value_parser(value_parser!(OsString))
                .help("The program and its arguments, after --; private, and without what looks like a secret"),
        )
        .after_help(
            "Its input is that of this command; what it writes passes through byte for byte. The exit code is the program's, \
             or 128 and the number of the signal that ended it. Without a receipt of the call nothing is run. Where only the \
             receipt of its end fails, the exit code says so unless the program has failed itself.",
        )
}

fn record() -> Command {
    Command::new("record")
        .about("Take any file or statement in as evidence; its bytes are kept encrypted")
        .arg(Arg::new("file").value_name("FILE").required(true).help("The file, or - for standard input"))
        .arg(word("type", "TYPE", "What it is, such as test-report").required(true))
        .arg(word("name", "NAME", "What it is called [default: the name of the file]"))
        .arg(word("media-type", "TYPE", "Such as application/json"))
        .arg(word("note", "TEXT", "Why it is kept; private"))
        .arg(word("session", "ID", "Session it belongs to"))
        .arg(word("call", "ID", "Call of the session it belongs to").requires("session"))
        .arg(tags())
        .arg(word("id", "ID", "Id of the call; the same id and file again gives the same receipt"))
        .arg(flag("no-keep", "Keep only its digest"))
        .arg(word("observed-by", "WORD", "Who saw it").default_value("person").hide(true))
        .after_help("`vm prove ID -o PROOF.json` then writes a proof of it that verifies without this machine.")
}

/// Reports of the console that can be asked about a commit or a file of a repository take these words too.
pub fn of_repository(engine: &str, report: Command) -> Command {
    match (engine, report.get_name()) {
        (console::ENGINE, "explain") => explain_args(report).override_usage(
            "vm console explain [COMMIT] [OPTIONS]\n       vm console explain --files <JSON> [OPTIONS]",
        ),
        (console::ENGINE, "blame") => blame_args(report).override_usage(
            "vm console blame FILE [OPTIONS]\n       vm console blame --file-id <NAME> [OPTIONS]",
        ),
        _ => report,
    }
}

/// Adds what a question about a commit takes.
fn explain_args(command: Command) -> Command {
    command
        .arg(
            Arg::new("commit")
                .value_name("COMMIT")
                .help("HEAD, a branch, a tag or an id, with ~N or ^N behind it [default: HEAD]"),
        )
        .arg(repository())
        .arg(recorded_as())
        .arg(flag("check", "Exit with 3 where a file is not explained"))
        .arg(flag("all", "List all files, however many"))
}

/// Adds what a question about a file takes.
fn blame_args(command: Command) -> Command {
    command
        .arg(Arg::new("file").value_name("FILE").help("A file of a repository, as it stands there"))
        .arg(repository())
        .arg(recorded_as())
}

/// `vm console commit`.
pub fn commit() -> Command {
    Command::new("commit")
        .about("Record a commit, and how far recorded edits explain it; the post-commit hook calls this")
        .arg(Arg::new("commit").value_name("COMMIT").help("HEAD, a branch, a tag or an id, with ~N or ^N behind it [default: HEAD]"))
        .arg(repository())
        .arg(recorded_as())
        .arg(tags())
        .arg(flag("quiet", "Say nothing where it is recorded"))
        .arg(
            word("within", "SECONDS", "End after so long with exit code 5, recorded or not [default: wait]")
                .value_parser(clap::value_parser!(u64).range(1..=86_400)),
        )
}

/// `vm console wrapped`: what `vm exec` tells, for the process that owns the home.
pub fn wrapped() -> Command {
    Command::new("wrapped").about("Take in what vm exec tells on standard input").hide(true)
}

fn repository() -> Arg {
    word("repository", "DIR", "A directory of the repository [default: the working directory]")
}

fn recorded_as() -> Arg {
    word(
        "recorded-as",
        "DIR",
        "Path of its work tree where edits were recorded on another machine; repeatable",
    )
    .action(ArgAction::Append)
}

fn tags() -> Arg {
    word("tag", "TAG", "Short public word kept on each receipt; repeatable")
        .action(ArgAction::Append)
}

fn word(name: &'static str, value: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).value_name(value).help(help)
}

fn flag(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).action(ArgAction::SetTrue).help(help)
}
