//! The words of the lifecycle: plan, run, next, complete-stage, abort, seal, runs.

mod attach;
mod output;

pub use output::output;

use crate::answer::call;
use crate::answer::run::{self, View};
use crate::args::{fields, work};
use crate::commands::operate::{self, FAULT};
use crate::commands::{required, text};
use crate::exit::{OK, Stop};
use crate::screen::{Screen, Tone};
use crate::session::Session;
use clap::ArgMatches;
use std::path::{Path, PathBuf};
use vm_contracts::{AnyEngine, Failure, Map, Refusal, Shape, Status, Value};
use vm_ledger::{Opened, Run};

/// Prints a contract. It is one JSON document already, so `--json` changes nothing.
pub fn plan(
    session: &mut Session<'_>,
    engine: &'static dyn AnyEngine,
    given: &ArgMatches,
) -> Result<u8, Stop> {
    let (spec, given) = match given.subcommand() {
        Some((verb, below)) => (engine.operation(verb), below),
        None => (work::planned_directly(engine), given),
    };
    let spec = spec.expect("clap knows the verbs, and asks for one where none is meant");
    let call = operate::call_of(session, engine, spec, given)?;
    session.in_home(|screen, ledger| {
        let handed = ledger.plan(call)?;
        for note in &handed.notes {
            screen.note(note);
        }
        screen.raw(handed.to_text().as_bytes())?;
        Ok(OK)
    })
}

/// Opens the run of a contract, and says what comes next.
pub fn run(
    session: &mut Session<'_>,
    engine: &'static dyn AnyEngine,
    given: &ArgMatches,
) -> Result<u8, Stop> {
    let path = required(given, "file");
    let bytes = session.screen.take_in(path)?;
    of_engine(engine, &bytes)?;
    let (home, by) = (home(session)?, session.actor()?);
    session.in_home(|screen, ledger| {
        let opened = ledger.run(&bytes, &by)?;
        say_opened(screen, engine, &opened, &home)
    })
}

/// Refuses a contract of another engine before anything is done; what else is wrong with it, the ledger says.
fn of_engine(engine: &dyn AnyEngine, contract: &[u8]) -> Result<(), Failure> {
    let handed = vm_ledger::Handed::parse(contract)?;
    let op = &handed.contract.op;
    match op.split_once('.') {
        Some((name, _)) if name != engine.name() => {
            let what = format!("the contract is of {op}, not of {}", engine.name());
            let shown: String = name.chars().take(64).collect();
            Err(Refusal::malformed("other_engine", what)
                .field("op")
                .hint(format!("Run it with `vm {shown} run`."))
                .into())
        }
        _ => Ok(()),
    }
}

/// Prints a run that was opened; one whose effects failed exits as a fault does.
pub fn say_opened(
    screen: &mut Screen<'_>,
    engine: &'static dyn AnyEngine,
    opened: &Opened,
    home: &Path,
) -> Result<u8, Stop> {
    let Opened { run, existing } = opened;
    let view = View { engine, run, home };
    let code = if effects_failed(engine, run) { FAULT } else { OK };
    if screen.json {
        let mut document = run::to_json(&view);
        document["existing"] = (*existing).into();
        screen.document(&document)?;
        return Ok(code);
    }
    let word = match (existing, run.state.status) {
        (true, _) => (Tone::Note, "already open"),
        (false, Status::Aborted) => (Tone::Bad, "aborted"),
        (false, Status::Completed) => (Tone::Good, "carried out"),
        (false, _) => (Tone::Good, "opened"),
    };
    run::headline(screen, &view, word)?;
    run::next(screen, &view)?;
    Ok(code)
}

/// Whether the effects of a run failed; work of people that was given up is no failure.
pub fn effects_failed(engine: &dyn AnyEngine, run: &Run) -> bool {
    let is_staged = matches!(engine.shape(run.verb), Some(Shape::Staged(_)));
    !is_staged && run.state.status == Status::Aborted
}

/// Shows the checklist of an open run.
pub fn next(
    session: &mut Session<'_>,
    engine: &'static dyn AnyEngine,
    given: &ArgMatches,
) -> Result<u8, Stop> {
    let (id, home) = (required(given, "run"), home(session)?);
    session.in_home(|screen, ledger| {
        let run = ledger.open_run(engine.name(), id)?;
        say(screen, engine, &run, &home, (Tone::Strong, "run"))
    })
}

/// Completes a stage.
pub fn complete_stage(
    session: &mut Session<'_>,
    engine: &'static dyn AnyEngine,
    given: &ArgMatches,
) -> Result<u8, Stop> {
    let (id, stage) = (required(given, "run"), required(given, "stage"));
    let fields = stage_fields(session, engine, given)?;
    let (home, by) = (home(session)?, session.actor()?);
    let real = session.loaded()?.home;
    let list = |name| given.get_many::<String>(name).unwrap_or_default().cloned().collect();
    let (open, private): (Vec<String>, Vec<String>) = (list("outputs"), list("private-outputs"));
    session.in_home(|screen, ledger| {
        let at_home = real.join(vm_ledger::run::run_dir(engine.scroll(), id)).join("outputs");
        let outputs = attach::outputs(screen, &at_home, &open, &private)?;
        let run = ledger
            .complete_stage(engine.name(), id, stage, &fields, outputs, &by)
            .map_err(|e| with_suggestion(engine, e))?;
        say(screen, engine, &run, &home, (Tone::Good, "stage completed"))
    })
}

fn stage_fields(
    session: &mut Session<'_>,
    engine: &dyn AnyEngine,
    given: &ArgMatches,
) -> Result<Map<String, Value>, Stop> {
    match text(given, "fields") {
        Some(path) => fields::from_json(&session.screen.take_in(path)?, path),
        None => fields::given_fields(work::stage_fields(engine), given, &mut session.screen),
    }
}

/// Says what an unknown field may have meant, where one operation alone has stages.
fn with_suggestion(engine: &dyn AnyEngine, failure: Failure) -> Failure {
    let known = work::stage_fields(engine);
    match failure {
        Failure::Refusal(refusal) => fields::suggest(known.iter().copied(), refusal).into(),
        other => other,
    }
}

/// Gives a run up.
pub fn abort(
    session: &mut Session<'_>,
    engine: &'static dyn AnyEngine,
    given: &ArgMatches,
) -> Result<u8, Stop> {
    let (id, reason) = (required(given, "run"), text(given, "reason"));
    let (home, by) = (home(session)?, session.actor()?);
    session.in_home(|screen, ledger| {
        let run = ledger.abort_run(engine.name(), id, reason, &by)?;
        say(screen, engine, &run, &home, (Tone::Note, "aborted"))
    })
}

/// Seals a run.
pub fn seal(
    session: &mut Session<'_>,
    engine: &'static dyn AnyEngine,
    given: &ArgMatches,
) -> Result<u8, Stop> {
    let id = required(given, "run");
    let (home, by) = (home(session)?, session.actor()?);
    session.in_home(|screen, ledger| {
        let sealing = ledger.seal_run(engine.name(), id, &by)?;
        call::print_sealing(screen, &sealing, &home)?;
        Ok(OK)
    })
}

/// Lists open runs.
pub fn runs(session: &mut Session<'_>, engine: &'static dyn AnyEngine) -> Result<u8, Stop> {
    let home = home(session)?;
    session.in_home(|screen, ledger| {
        let (runs, unreadable) = ledger.open_runs(Some(engine.name()))?;
        if screen.json {
            let one = |run| run::to_json(&View { engine, run, home: &home });
            let runs: Vec<Value> = runs.iter().map(one).collect();
            screen.document(&serde_json::json!({"runs": runs, "unreadable": unreadable}))?;
            return Ok(OK);
        }
        unreadable.iter().for_each(|what| screen.note(what));
        screen.table(&run::table(&runs))?;
        let word = if runs.len() == 1 { "run" } else { "runs" };
        screen.line(&format!("{} open {word} of {}", runs.len(), engine.name()))?;
        Ok(OK)
    })
}

fn say(
    screen: &mut Screen<'_>,
    engine: &'static dyn AnyEngine,
    run: &Run,
    home: &Path,
    word: (Tone, &str),
) -> Result<u8, Stop> {
    let view = View { engine, run, home };
    if screen.json {
        screen.document(&run::to_json(&view))?;
        return Ok(OK);
    }
    run::headline(screen, &view, word)?;
    run::next(screen, &view)?;
    Ok(OK)
}

fn home(session: &Session<'_>) -> Result<PathBuf, Failure> {
    session.home()
}
