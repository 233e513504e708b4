//! The words of the lifecycle, for every engine: plan, run, next, complete-stage, abort, seal, runs, output.

use crate::args::fields;
use crate::args::tree::{operation, operation_args};
use clap::{Arg, ArgAction, Command};
use vm_contracts::{AnyEngine, Field, Shape, Spec};

/// Commands of a run, in the order in which they come.
pub fn commands(engine: &'static dyn AnyEngine) -> Vec<Command> {
    let name = engine.name();
    let id = || Arg::new("run").value_name("ID").required(true).help("Id of the run");
    vec![
        plan(engine),
        Command::new("run")
            .about("Open the run of a contract, and carry out its effects where it has any")
            .arg(
                Arg::new("file")
                    .value_name("FILE")
                    .required(true)
                    .help("The contract.json that plan printed, or - for standard input"),
            )
            .after_help("The same contract again gives the run as it stands."),
        Command::new("next")
            .about("Show which stages of a run can be completed now, and what each asks for")
            .arg(id()),
        complete_stage(engine).arg(id().index(1)),
        Command::new("abort").about("Give a run up; it is still to be sealed").arg(id()).arg(
            Arg::new("reason")
                .long("reason")
                .value_name("TEXT")
                .help("Why [private: only a salted digest is kept in the open]"),
        ),
        Command::new("seal")
            .about("Seal a run that came to its end: its receipt, and its folder as a case")
            .arg(id()),
        Command::new("runs").about(format!("List the open runs of {name}")),
    ]
}

/// Operations that people carry out stage by stage.
pub fn staged(engine: &dyn AnyEngine) -> Vec<(&'static Spec, &'static [Field])> {
    let stages = |spec: &'static Spec| match engine.shape(spec.verb) {
        Some(Shape::Staged(fields)) => Some((spec, fields)),
        _ => None,
    };
    engine.operations().into_iter().filter_map(stages).collect()
}

/// What completing a stage takes: the fields of every staged operation, each name once.
pub fn stage_fields(engine: &dyn AnyEngine) -> Vec<&'static Field> {
    let mut all: Vec<&'static Field> = Vec::new();
    for field in staged(engine).into_iter().flat_map(|(_, fields)| fields) {
        if field.is_input() && !all.iter().any(|f| f.name == field.name) {
            all.push(field);
        }
    }
    all
}

/// The one operation whose fields stand directly under `plan`.
pub fn planned_directly(engine: &dyn AnyEngine) -> Option<&'static Spec> {
    match staged(engine).as_slice() {
        [(spec, _)] => Some(spec),
        _ => None,
    }
}

fn plan(engine: &'static dyn AnyEngine) -> Command {
    let name = engine.name();
    let below = engine.operations().into_iter().map(|spec| {
        let usage = fields::usage(&format!("vm {name} plan"), spec);
        operation(name, spec).override_usage(usage)
    });
    let plan = Command::new("plan")
        .about("Print the contract of an operation as JSON; nothing is written")
        .subcommands(below)
        .after_help(
            "The contract holds the private values of the call under \"disclosures\", because run needs them; to show the plan without them, take that member out.",
        );
    match planned_directly(engine) {
        None => plan.subcommand_required(true).arg_required_else_help(true),
        Some(spec) => {
            plan.args(operation_args(spec)).args_conflicts_with_subcommands(true).override_usage(
                format!("{}\n       vm {name} plan VERB [OPTIONS]", direct(name, spec)),
            )
        }
    }
}

/// The usage of the operation that needs no verb.
fn direct(engine: &str, spec: &Spec) -> String {
    let path = format!("vm {engine} plan");
    let usage = fields::usage(&path, spec);
    usage.replacen(&format!("{path} {}", spec.verb), &path, 1)
}

fn complete_stage(engine: &'static dyn AnyEngine) -> Command {
    let fields = stage_fields(engine);
    let ids: Vec<String> = fields.iter().map(|f| fields::arg_id(f.name)).collect();
    let files = |name: &'static str, help: &'static str| {
        Arg::new(name)
            .long(name)
            .value_name("PATH|NAME=PATH")
            .action(ArgAction::Append)
            .num_args(1..)
            .help(help)
    };
    Command::new("complete-stage")
        .about("Say what came of a stage, and which files it left")
        .arg(Arg::new("stage").value_name("STAGE").required(true).index(2).help("Id of the stage"))
        .args(fields.into_iter().map(fields::arg))
        .arg(files("outputs", "Files that the stage left; they stand open in the case"))
        .arg(files(
            "private-outputs",
            "Files of which the case holds a salted digest only; kept encrypted beside it",
        ))
        .arg(
            Arg::new("fields")
                .long("fields")
                .value_name("FILE")
                .conflicts_with_all(ids)
                .help("Take the fields of the stage as JSON from a file, or - for standard input"),
        )
        .after_help(
            "NAME=PATH keeps the file under another name, NAME=- takes it from standard input. A file that stands in the run's outputs/ folder is taken as it is there.",
        )
}

/// `output`: a file that a run left.
pub fn output_command(engine: &dyn AnyEngine) -> Command {
    Command::new("output")
        .about("Write a file that a run left, public or private")
        .arg(Arg::new("run").value_name("ID").required(true).help("Id of the run or case"))
        .arg(Arg::new("name").value_name("NAME").required(true).help("Own name of the file"))
        .arg(
            Arg::new("output")
                .long("output")
                .short('o')
                .value_name("FILE")
                .help("The file to write [default: standard output]"),
        )
        .after_help(format!(
            "`vm {} next ID` and the state.json of a case list the files.",
            engine.name()
        ))
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_engine_has_every_word_of_the_lifecycle() {
        for engine in crate::house::HOUSE {
            let tree = crate::args::build(crate::house::HOUSE);
            let command = tree.find_subcommand(engine.name()).unwrap();
            for word in ["plan", "run", "next", "complete-stage", "abort", "seal", "runs", "output"]
            {
                assert!(command.find_subcommand(word).is_some(), "{} {word}", engine.name());
            }
        }
    }
}
