//! The whole command tree.

use crate::args::{console, door, example, fields, listing, query, work};
use crate::session::House;
use clap::{Arg, ArgAction, Command, value_parser};
use clap_complete::Shell;
use std::ffi::OsString;
use vm_contracts::{AnyEngine, Kind, Shape, Spec};

/// Commands of the program itself; no engine may have such a name.
pub const OWN_COMMANDS: [&str; 23] = [
    "exec",
    "record",
    "explain",
    "init",
    "status",
    "doctor",
    "fsck",
    "reindex",
    "serve",
    "query",
    "receipt",
    "prove",
    "verify",
    "backup",
    "restore",
    "export",
    "accept-cut",
    "clock",
    "actor",
    "config",
    "conform",
    "completions",
    "reference",
];
/// Words of the lifecycle and of every engine; no operation or report may have such a name.
pub const RESERVED_VERBS: [&str; 14] = [
    "plan",
    "run",
    "next",
    "complete-stage",
    "abort",
    "seal",
    "runs",
    "output",
    "query",
    "import",
    "export",
    "verify",
    "conform",
    "help",
];

/// The command line of a program with these engines.
pub fn build(house: House) -> Command {
    let engines: Vec<Command> = house.iter().map(|e| engine(*e)).collect();
    let (doors, evidence) = (door::commands(), evidence());
    let (keeping, itself) = (keeping(house), about_itself());
    let groups = [
        ("What was done", doors.iter().collect()),
        ("Engines", engines.iter().collect()),
        ("Receipts and proofs", evidence.iter().collect()),
        ("The home", keeping.iter().collect()),
        ("This program", itself.iter().collect()),
    ];
    let template = listing::template(&groups);
    Command::new("vm")
        .help_template(template)
        .version(env!("CARGO_PKG_VERSION"))
        .propagate_version(true)
        .about("Turns serious operations into signed receipts, and shows what they prove")
        .subcommand_required(true)
        .args(global())
        .subcommands(doors)
        .subcommands(engines)
        .subcommands(evidence)
        .subcommands(keeping)
        .subcommands(itself)
}

/// The command line for these words: the whole tree, or for a hook its own branch alone. An agent waits for each hook,
/// and building the tree of all engines takes longer than all else that the process does before it speaks.
pub fn for_words(house: House, words: &[OsString]) -> Command {
    if !is_hook(words) {
        return build(house);
    }
    let console = Command::new(console::ENGINE).subcommand_required(true);
    Command::new("vm")
        .subcommand_required(true)
        .args(global())
        .subcommand(console.subcommand(console::hook()))
}

/// Whether the words are `vm [flags of every command] console hook …`.
fn is_hook(words: &[OsString]) -> bool {
    let mut rest = words.iter().skip(1).map(|w| w.to_str().unwrap_or_default());
    loop {
        match rest.next() {
            Some("--home" | "--wait" | "--actor-key") => drop(rest.next()),
            Some("--json") => {}
            Some(console::ENGINE) => return rest.next() == Some("hook"),
            _ => return false,
        }
    }
}

/// Flags of every command; they stand behind a command's own.
fn global() -> Vec<Arg> {
    const BEHIND: usize = 900;
    vec![
        Arg::new("home").long("home").value_name("DIR").global(true).display_order(BEHIND).help(
            "The ledger home [default: $VM_HOME, else vaultmesh in the user's data directory]",
        ),
        Arg::new("json")
            .long("json")
            .action(ArgAction::SetTrue)
            .global(true)
            .display_order(BEHIND + 1)
            .help("Answer with one JSON document, errors too"),
        Arg::new("wait")
            .long("wait")
            .value_name("SECONDS")
            .value_parser(value_parser!(u64).range(0..=crate::config::WAIT_SECONDS_MAX))
            .global(true)
            .display_order(BEHIND + 2)
            .help(
                "How long to wait while another process owns the home [default: as configured, 30]",
            ),
        Arg::new("actor-key")
            .long("actor-key")
            .value_name("FILE")
            .global(true)
            .display_order(BEHIND + 3)
            .help("Act and sign with this Ed25519 key (PKCS#8 PEM) [default: $VM_ACTOR_KEY, else the user of this machine, unsigned]"),
    ]
}

/// Everything of one engine.
fn engine(engine: &'static dyn AnyEngine) -> Command {
    let name = engine.name();
    let direct = |s: &'static Spec| match engine.shape(s.verb) {
        Some(Shape::Record) => batched(operation(name, s), s),
        _ => operation(name, s),
    };
    let operations: Vec<Command> = engine.operations().into_iter().map(direct).collect();
    let asked = |s: &'static Spec| door::of_repository(name, report(name, s));
    let reports: Vec<Command> = engine.reports().into_iter().map(asked).collect();
    let query = Command::new("query")
        .about(format!("List receipts of the scroll {}", engine.scroll()))
        .args(query::args(engine))
        .after_help("A QUERY compares with =, !=, <, <=, >, >= and ^= (begins with); quote values that hold blanks.\nWhat happened at the very moment of a --to is not in the list.");
    let steps = work::commands(engine);
    let mut files = vec![query, work::output_command(engine)];
    files.extend((!engine.imports().is_empty()).then(|| import(engine)));
    files.extend((!engine.exports().is_empty()).then(|| export(engine)));
    let capture = if name == console::ENGINE { console::commands() } else { Vec::new() };
    let template = listing::template(&[
        ("Capture", capture.iter().collect()),
        ("Operations", operations.iter().collect()),
        ("Step by step", steps.iter().collect()),
        ("Reports", reports.iter().collect()),
        ("Receipts and files", files.iter().collect()),
    ]);
    Command::new(name)
        .about(engine.about())
        .help_template(template)
        .after_help(format!("A verb with its fields and an example: vm {name} VERB --help"))
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommands(capture)
        .subcommands(operations)
        .subcommands(steps)
        .subcommands(reports)
        .subcommands(files)
}

/// One operation under `path`: `vm treasury`, or `vm treasury plan`.
pub(crate) fn operation(engine: &str, spec: &'static Spec) -> Command {
    Command::new(spec.verb)
        .about(spec.about)
        .override_usage(fields::usage(&format!("vm {engine}"), spec))
        .args(operation_args(spec))
        .after_help(after(engine, spec))
}

/// Flags of an operation: its fields, and those of every call.
pub(crate) fn operation_args(spec: &'static Spec) -> Vec<Arg> {
    let inputs = spec.fields.iter().filter(|f| f.is_input());
    let ids: Vec<String> = inputs.map(|f| fields::arg_id(f.name)).collect();
    let mut args = fields::args(spec);
    args.push(
        Arg::new("intent")
            .long("intent")
            .value_name("FILE")
            .conflicts_with_all(ids)
            .help("Take the whole intent as JSON from a file, or - for standard input"),
    );
    args.push(
        Arg::new("id")
            .long("id")
            .value_name("ID")
            .help("Id of the call; the same id and intent again gives the same receipts"),
    );
    args.push(
        Arg::new("tag")
            .long("tag")
            .value_name("TAG")
            .action(ArgAction::Append)
            .help("Short public word kept on each receipt; repeatable"),
    );
    args
}

/// A record can be given many times in one command.
fn batched(command: Command, spec: &'static Spec) -> Command {
    let inputs = spec.fields.iter().filter(|f| f.is_input());
    let mut apart: Vec<String> = inputs.map(|f| fields::arg_id(f.name)).collect();
    apart.extend(["intent".to_owned(), "tag".to_owned()]);
    command.arg(
        Arg::new("batch").long("batch").value_name("FILE").conflicts_with_all(apart).help(
            "Take many calls from a file, or - for standard input: {\"intent\": …, \"id\": …, \"tags\": …} on each line, one result a line; a line without an id gets --id and its number",
        ),
    )
}

fn report(engine: &str, spec: &'static Spec) -> Command {
    Command::new(spec.verb)
        .about(spec.about)
        .override_usage(fields::usage(&format!("vm {engine}"), spec))
        .args(fields::args(spec))
        .arg(
            Arg::new("at")
                .long("at")
                .value_name("TIME|SIZE")
                .help("Answer as of this time, or of this number of receipts"),
        )
        .after_help(after(engine, spec))
}

fn after(engine: &str, spec: &Spec) -> String {
    let mut text = format!("Needs: {}\n", spec.needs);
    if !spec.types.is_empty() {
        text.push_str(&format!("Receipts: {}\n", spec.types.join(", ")));
    }
    for field in spec.fields.iter().filter(|f| f.is_input()) {
        let Kind::List(_, inner) = field.kind else { continue };
        text.push_str(&format!("Each of --{}:\n", fields::flag(field)));
        for f in inner.iter().filter(|f| f.is_input()) {
            text.push_str(&format!(
                "  {}: {} [{}]\n",
                f.name,
                fields::sentence(f.about),
                fields::remarks(f)
            ));
        }
    }
    text.push_str(&format!("Example:\n{}", example::command_line(engine, spec, "  ")));
    text
}

fn import(engine: &'static dyn AnyEngine) -> Command {
    let imports = engine.imports();
    let lines: Vec<String> = imports
        .iter()
        .map(|(name, about, ends)| format!("  {name}: {about} (.{})", ends.join(", .")))
        .collect();
    Command::new("import")
        .about("Read a file of another tool into receipts")
        .arg(Arg::new("file").value_name("FILE").required(true).help("The file, or - for standard input"))
        .arg(
            Arg::new("format")
                .long("format")
                .value_name("FORMAT")
                .value_parser(imports.iter().map(|i| i.0).collect::<Vec<_>>())
                .help("Format of the file [default: told from its ending]"),
        )
        .arg(Arg::new("dry-run").long("dry-run").action(ArgAction::SetTrue).help("Only say what would be committed"))
        .after_help(format!(
            "Formats:\n{}\nEach entry is its own call: some may be committed when others are refused; the same file again appends nothing.",
            lines.join("\n")
        ))
}

fn export(engine: &'static dyn AnyEngine) -> Command {
    let exports = engine.exports();
    let lines: Vec<String> =
        exports.iter().map(|(name, about)| format!("  {name}: {about}")).collect();
    Command::new("export")
        .about("Write state and history for another tool")
        .arg(
            Arg::new("format")
                .long("format")
                .value_name("FORMAT")
                .required(true)
                .value_parser(exports.iter().map(|e| e.0).collect::<Vec<_>>())
                .help("Format to write"),
        )
        .arg(output("The file to write [default: standard output]"))
        .after_help(format!("Formats:\n{}", lines.join("\n")))
}

fn output(help: &'static str) -> Arg {
    Arg::new("output").long("output").short('o').value_name("FILE").help(help)
}

fn repeated(name: &'static str, value: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).value_name(value).action(ArgAction::Append).help(help)
}

fn reference(help: &'static str) -> Arg {
    Arg::new("receipt").value_name("SCROLL/SEQ|ID").required(true).help(help)
}

/// Reading, proving, verifying.
fn evidence() -> Vec<Command> {
    vec![
        Command::new("query")
            .about("List receipts of any scroll")
            .arg(Arg::new("scroll").value_name("SCROLL").required(true).help("The scroll"))
            .args(query::paging())
            .arg(query::private())
            .arg(query::text_arg()),
        Command::new("receipt")
            .about("Look at receipts")
            .subcommand_required(true)
            .arg_required_else_help(true)
            .subcommand(
                Command::new("show").about("Show one receipt, or all of a call").arg(reference("Place such as treasury/12, or the id of a call")).arg(query::private()),
            ),
        Command::new("prove")
            .about("Write a proof of one receipt that verifies without the home")
            .arg(reference("Place such as treasury/12, or the id of a call that left one receipt"))
            .arg(output("The file to write [default: standard output]"))
            .arg(
                Arg::new("tlog-proof")
                    .long("tlog-proof")
                    .action(ArgAction::SetTrue)
                    .help("Write a C2SP tlog-proof; with --output the line goes beside it, under the ending .line"),
            )
            .arg(repeated("artifact", "PATH", "Name this file of the case alone, such as outputs/findings.md; repeatable [default: all files, by digest]").conflicts_with("tlog-proof"))
            .arg(repeated("disclose", "NAME", "Open this private value, or this private output by its own name; repeatable").conflicts_with("tlog-proof"))
            .arg(
                Arg::new("disclose-all")
                    .long("disclose-all")
                    .action(ArgAction::SetTrue)
                    .conflicts_with_all(["disclose", "tlog-proof"])
                    .help("Open every private value that this home can open"),
            ),
        Command::new("verify")
            .about("Verify a home or a proof; says what holds, what does not, and what was not checked")
            .arg(Arg::new("target").value_name("TARGET").help("A home, a case folder, a PROOF.json or a .tlog-proof [default: the home]"))
            .arg(Arg::new("trust").long("trust").value_name("FILE").help("Public keys to believe, such as the keys/trust.txt of a home"))
            .arg(Arg::new("line").long("line").value_name("FILE").help("The receipt line of a .tlog-proof [default: the file beside it with the ending .line]"))
            .arg(repeated("artifact", "FILE[=PATH]", "Compare this file with the proof's file of that path, or of its own name; repeatable"))
            .after_help("Files of the case that stand beside a PROOF.json are compared with it.\nExit codes: 0 verified, 6 tampered, 7 cannot-evaluate, 8 absent."),
    ]
}

/// Making and keeping a home.
fn keeping(house: House) -> Vec<Command> {
    let scrolls: Vec<&str> = house.iter().map(|e| e.scroll()).collect();
    let dir = |name: &'static str, help: &'static str| {
        Arg::new(name).value_name("DIR").required(true).help(help)
    };
    vec![
        Command::new("init")
            .about("Make a home: directories, two signing keys, configuration")
            .arg(Arg::new("domain").long("domain").value_name("NAME").help("Name of who keeps this ledger, first part of every checkpoint's origin [default: local]"))
            .arg(Arg::new("node").long("node").value_name("NAME").help("This node's name in receipts and origins [default: one is drawn]"))
            .arg(Arg::new("guard").long("guard").value_name("DIR").help("Where to note a second time what was signed, outside the home [default: the user's state directory]"))
            .arg(Arg::new("demo").long("demo").action(ArgAction::SetTrue).help("Mark every receipt as a demonstration")),
        Command::new("status").about("Say what the home holds"),
        Command::new("doctor").about("Check file system, locks, keys, clock, space and permissions"),
        Command::new("fsck").about("Check that everything in the home agrees; changes nothing"),
        Command::new("reindex")
            .about("Make index and tiles again from the receipts; no receipt changes")
            .arg(Arg::new("scroll").value_name("SCROLL").help(format!("One scroll [default: all; here {}]", scrolls.join(", ")))),
        Command::new("serve")
            .about("Own the home and work for every command that is given meanwhile, until it is told to stop")
            .after_help("Commands that need the home find the socket by themselves. SIGTERM or SIGINT ends it: what was begun is finished first; a second signal ends it at once."),
        Command::new("backup")
            .about("Write a copy of the home that can be restored")
            .arg(dir("to", "New directory for the copy"))
            .arg(Arg::new("no-keys").long("no-keys").action(ArgAction::SetTrue).help("Leave the secret keys out")),
        Command::new("restore")
            .about("Make the home from a backup; leaves a receipt")
            .arg(dir("from", "Directory that vm backup wrote"))
            .arg(Arg::new("node").long("node").value_name("NAME").help("New node name; needed where the backup is older than what was signed")),
        Command::new("export")
            .about("Write scrolls as static files for any web server")
            .arg(Arg::new("tiles").long("tiles").value_name("DIR").required(true).help("Directory for C2SP tiles, entry bundles and checkpoints"))
            .arg(Arg::new("scroll").value_name("SCROLL").help(format!("One scroll [default: all; here {}]", scrolls.join(", ")))),
        Command::new("accept-cut")
            .about("Set damaged lines at the end of a scroll aside, and leave a receipt that says so")
            .arg(Arg::new("scroll").value_name("SCROLL").required(true).help("The scroll")),
        Command::new("clock").about("The clock of this ledger").subcommand_required(true).arg_required_else_help(true).subcommand(
            Command::new("accept").about("Accept that the clock jumped ahead, and leave a receipt that says so"),
        ),
    ]
}

/// Settings, conformance, completions, the reference page.
fn about_itself() -> Vec<Command> {
    vec![
        Command::new("actor")
            .about("Who acts: a user of this machine, or whoever holds a key")
            .subcommand_required(true)
            .arg_required_else_help(true)
            .subcommand(
                Command::new("new")
                    .about("Make a key for a person or an agent, and print its DID")
                    .arg(
                        Arg::new("file")
                            .value_name("FILE")
                            .required(true)
                            .help("A file that is not there yet"),
                    ),
            )
            .subcommand(Command::new("show").about("Print who this command line acts as")),
        Command::new("config")
            .about("The settings of this home")
            .subcommand_required(true)
            .arg_required_else_help(true)
            .subcommand(
                Command::new("explain")
                    .about("Print every setting, its value and where that comes from"),
            ),
        Command::new("conform")
            .about("Show row by row how far an engine keeps what every engine must")
            .arg(Arg::new("engine").value_name("ENGINE").required(true).help("Name of the engine"))
            .arg(
                Arg::new("sample")
                    .long("sample")
                    .value_name("FILE")
                    .action(ArgAction::Append)
                    .help("A file of another tool to import in the trial as well; repeatable"),
            ),
        Command::new("completions").about("Print a completion script for a shell").arg(
            Arg::new("shell")
                .value_name("SHELL")
                .required(true)
                .value_parser(value_parser!(Shell))
                .help("The shell"),
        ),
        Command::new("reference").about("Print the whole reference as Markdown").hide(true),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tree_is_consistent() {
        build(crate::house::HOUSE).debug_assert();
    }

    #[test]
    fn no_engine_takes_a_name_of_the_program_and_no_verb_a_word_of_the_lifecycle() {
        for engine in crate::house::HOUSE {
            assert!(!OWN_COMMANDS.contains(&engine.name()), "{}", engine.name());
            for spec in engine.operations().into_iter().chain(engine.reports()) {
                assert!(!RESERVED_VERBS.contains(&spec.verb), "{} {}", engine.name(), spec.verb);
                let capture = console::commands();
                let taken = capture.iter().any(|c| c.get_name() == spec.verb);
                assert!(engine.name() != console::ENGINE || !taken, "{}", spec.verb);
            }
        }
    }

    #[test]
    fn a_hook_is_parsed_by_its_own_branch_as_by_the_whole_tree() {
        let words = |text: &str| text.split(' ').map(Into::into).collect::<Vec<OsString>>();
        for line in [
            "vm console hook",
            "vm --home /h --json console hook --agent cursor --mode guard",
            "vm console hook --home /h",
            "vm console hook --agent nobody",
            "vm console hook x",
        ] {
            assert!(is_hook(&words(line)), "{line}");
            let house = crate::house::HOUSE;
            let told = |tree: Command| match tree.try_get_matches_from(words(line)) {
                Ok(given) => {
                    let below = given.subcommand().and_then(|(_, b)| b.subcommand()).map(|b| b.1);
                    let text = |id| below.and_then(|b| b.get_one::<String>(id)).cloned();
                    Ok(["home", "agent", "mode"].map(text))
                }
                Err(e) => Err(e.kind()),
            };
            assert_eq!(told(for_words(house, &words(line))), told(build(house)), "{line}");
        }
        for other in ["vm exec -- vm console hook", "vm console sessions", "vm", "vm console"] {
            assert!(!is_hook(&words(other)), "{other}");
        }
    }

    #[test]
    fn own_commands_are_listed() {
        let tree = build(&[]);
        let names: Vec<&str> = tree.get_subcommands().map(Command::get_name).collect();
        assert!(names.iter().all(|n| OWN_COMMANDS.contains(n)), "{names:?}");
        assert_eq!(names.len(), OWN_COMMANDS.len());
    }
}
