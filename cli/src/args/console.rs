//! What `vm console` has beside its operations and reports: the ways in which acts of agents are observed.

use crate::args::door;
use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgAction, Command, value_parser};

/// Name of the engine these commands stand under.
pub const ENGINE: &str = "console";

/// Agents whose events are understood.
pub const AGENTS: [&str; 4] = ["claude", "codex", "gemini", "cursor"];

/// Commands of capture, in the order in which a person meets them.
pub fn commands() -> Vec<Command> {
    vec![
        install(),
        uninstall(),
        doctor(),
        door::commit(),
        hook(),
        proxy(),
        spool(),
        door::wrapped(),
    ]
}

fn install() -> Command {
    Command::new("install")
        .about("Have a coding agent, or git, tell this ledger what it does; prints each change")
        .arg(target("Whose settings to change"))
        .arg(flag("guard", "Fail closed: what cannot be recorded or is denied does not happen"))
        .args(place())
        .arg(flag("dry-run", "Print the change and make none"))
        .after_help(PROMISE)
}

fn uninstall() -> Command {
    Command::new("uninstall")
        .about("Take the hooks out again; a file nobody edited since is restored byte for byte")
        .arg(target("Whose settings to change"))
        .args(place())
        .arg(flag("dry-run", "Print the change and make none"))
}

fn doctor() -> Command {
    Command::new("doctor")
        .about("Send a canary event through each installed hook and say what comes of it")
        .arg(target("Only this one [default: all that are installed]").required(false))
        .args(place())
}

/// `vm console hook`.
pub fn hook() -> Command {
    Command::new("hook")
        .about("Take one event of an agent from standard input; the agent calls this")
        .arg(
            Arg::new("agent")
                .long("agent")
                .value_name("AGENT")
                .default_value("claude")
                .value_parser(PossibleValuesParser::new(AGENTS))
                .help("Whose event it is"),
        )
        .arg(mode())
        .after_help("In record mode the exit code is 0 whatever happens. In guard mode it is 2 where the act must not happen, or could not be recorded.")
}

fn proxy() -> Command {
    Command::new("proxy")
        .about("Stand between an agent and an MCP server on standard streams, and record its tool calls")
        .arg(
            Arg::new("session")
                .long("session")
                .value_name("ID")
                .help("Session the calls belong to [default: $VM_SESSION, else a new one]"),
        )
        .arg(
            Arg::new("server")
                .value_name("SERVER")
                .required(true)
                .num_args(1..)
                .last(true)
                .value_parser(value_parser!(std::ffi::OsString))
                .help("The server and its arguments, after --"),
        )
        .after_help("Every byte passes through as it is, both ways. The exit code is the server's.")
}

fn spool() -> Command {
    Command::new("spool").about("Take in the events that were kept aside while nobody could write")
}

fn mode() -> Arg {
    Arg::new("mode")
        .long("mode")
        .value_name("MODE")
        .default_value("record")
        .value_parser(PossibleValuesParser::new(["record", "guard"]))
        .help("What to do where an event cannot be recorded: let it pass, or stop it")
}

fn target(help: &'static str) -> Arg {
    let all: Vec<&str> = AGENTS.into_iter().chain(["git"]).collect();
    Arg::new("target")
        .value_name("AGENT")
        .required(true)
        .value_parser(PossibleValuesParser::new(all))
        .help(help)
}

fn place() -> [Arg; 2] {
    [
        flag("project", "The settings of this project").conflicts_with("user"),
        flag("user", "The settings of this user [default; git: the repository]"),
    ]
}

fn flag(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).action(ArgAction::SetTrue).help(help)
}

/// What each way of observing does not promise; said by help and by `doctor`.
pub const PROMISE: &str = "\
record: an agent under the same user can bypass the hook, and can read and delete what lies under that user; what it did \
without the hook shows as a gap when its transcript is imported.
guard: what the hook sees is denied or recorded before it happens. It binds an agent only where the ledger belongs to \
another user, which `install` does not set up: today that is a hook line written by hand that begins with sudo \
(docs/agent-recorder.md). Under the same user it protects from accidents.";
