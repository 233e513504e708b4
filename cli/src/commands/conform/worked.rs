//! Rows about work that takes steps, shown by going through it in a scratch home of its own.

use crate::commands::conform::Shown;
use crate::commands::conform::carry::{Left, carry, complete, open, ready};
use crate::commands::conform::scratch::{Scratch, call, example, tell};
use crate::commands::verify::case_verdict;
use crate::exit::Stop;
use crate::session::{House, actor};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use vm_contracts::{AnyEngine, Call, Contract, Failure, Fault, OwnerGate, Shape, Spec};
use vm_ledger::Run;
use vm_ledger::audit::self_asserted_trust;
use vm_ledger::home::Owned;
use vm_receipts::case::MANIFEST;
use vm_receipts::digest::Sha256;
use vm_receipts::line::{End, Line};
use vm_scrolls::trust::Trust;
use vm_scrolls::verdict::Outcome;

/// What the stages of the trial leave.
const LEFT: [Left; 2] = [
    ("conform.txt", false, b"seen in the open\n"),
    ("conform-private.txt", true, b"seen by conform alone 7f1c\n"),
];

/// What this trial of the state leaves to others.
const WITHIN: &str = "power cuts within a step are tried by the crash suites of tests/";

/// What going step by step showed.
pub struct Worked {
    pub contract: Shown,
    pub state: Shown,
    pub outputs: Shown,
}

/// Plans every example, and goes through work of each shape.
pub fn work(house: House, engine: &'static dyn AnyEngine) -> Result<Worked, Stop> {
    let mut trial = Trial { scratch: Scratch::make(house)?, engine, owned: None, runs: 0 };
    tell(trial.owned()?, engine)?;
    let mut worked =
        Worked { contract: Shown::default(), state: Shown::default(), outputs: Shown::default() };
    plans(&mut trial, &mut worked.contract)?;
    let staged = |s: &&Spec| matches!(engine.shape(s.verb), Some(Shape::Staged(_)));
    match engine.operations().into_iter().find(staged) {
        Some(spec) => {
            stages(&mut trial, spec, &mut worked)?;
            given_up(&mut trial, spec, &mut worked.state)?;
        }
        None => record(&mut trial, &mut worked)?,
    }
    Ok(worked)
}

/// The scratch home, left and opened again as often as the trial likes.
struct Trial {
    scratch: Scratch,
    engine: &'static dyn AnyEngine,
    owned: Option<Owned>,
    runs: u32,
}

impl Trial {
    fn owned(&mut self) -> Result<&Owned, Failure> {
        if self.owned.is_none() {
            self.owned = Some(self.scratch.open(Arc::new(OwnerGate))?);
        }
        Ok(self.owned.as_ref().expect("it was opened just now"))
    }

    /// Leaves the home as a process does that ends between two steps: nothing is flushed or closed.
    fn cut_off(&mut self) {
        self.owned = None;
    }

    /// A call of its own of an example.
    fn call(&mut self, spec: &Spec) -> Result<Call, Failure> {
        self.runs += 1;
        let mut call = call(self.engine.name(), spec, example(spec))?;
        call.id = Some(format!("conform-{}-{}", spec.verb, self.runs));
        Ok(call)
    }

    /// Leaves the home, opens it again, and claims that the run stands as it stood.
    fn resumed(&mut self, run: &Run, shown: &mut Shown) -> Result<(), Failure> {
        self.cut_off();
        let (name, id) = (run.engine, run.contract.id.as_str());
        let again = self.owned()?.ledger.open_run(name, id)?;
        if again != *run {
            shown.wrong.push(format!("run {id} is not resumed as it stood"));
        }
        Ok(())
    }

    fn dir(&self, below: &str) -> PathBuf {
        self.scratch.home().join(below)
    }

    fn trust(&self) -> Result<Trust, Failure> {
        self_asserted_trust(&self.scratch.disk())
    }
}

fn code<T>(result: Result<T, Failure>) -> Option<String> {
    match result {
        Err(Failure::Refusal(refusal)) => Some(refusal.code),
        _ => None,
    }
}

fn expect<T>(shown: &mut Shown, result: Result<T, Failure>, want: &str, what: &str) {
    let found = code(result);
    if found.as_deref() != Some(want) {
        let found = found.unwrap_or_else(|| "no refusal".into());
        shown.wrong.push(format!("{what} gives {found}, not {want}"));
    }
}

/// Row 3 of every example; some can be planned only after others were carried through.
fn plans(trial: &mut Trial, shown: &mut Shown) -> Result<(), Failure> {
    let mut left = trial.engine.operations();
    loop {
        let before = left.len();
        let mut refused = Vec::new();
        for spec in std::mem::take(&mut left) {
            match planned(trial, spec, shown) {
                Ok(()) => {
                    let (engine, call) = (trial.engine, trial.call(spec)?);
                    // Whether it can be carried through as well is another row's question.
                    let _ = carry(trial.owned()?, engine, call);
                }
                Err(Failure::Refusal(refusal)) => refused.push((spec, refusal.code)),
                Err(failure) => return Err(failure),
            }
        }
        if refused.is_empty() || refused.len() == before {
            shown.open.extend(refused.into_iter().map(|(spec, code)| {
                format!("the example of {} needs more to be planned ({code})", spec.verb)
            }));
            return Ok(());
        }
        left = refused.into_iter().map(|(spec, _)| spec).collect();
    }
}

/// Row 3: a plan has stages, writes nothing, reads back, and cannot be edited by hand.
fn planned(trial: &mut Trial, spec: &'static Spec, shown: &mut Shown) -> Result<(), Failure> {
    let (verb, call) = (spec.verb, trial.call(spec)?);
    let (by, id) = (call.actor.clone(), call.id.clone().unwrap_or_default());
    let engine = trial.engine;
    let ledger = &trial.owned()?.ledger;
    let handed = ledger.plan(call)?;
    let text = handed.to_text();
    let read = vm_ledger::Handed::parse(text.as_bytes())?;
    let sound = !handed.contract.stages.is_empty() && read.contract == handed.contract;
    if !sound {
        shown.wrong.push(format!("the contract of {verb} has no stages or does not read back"));
    }
    let mut edited = read.clone();
    edited.contract.title.push_str(" (edited)");
    let refused = ledger.run(edited.to_text().as_bytes(), &by);
    expect(shown, refused, "contract_changed", &format!("an edited contract of {verb}"));
    let (open, _) = ledger.open_runs(Some(engine.name()))?;
    if open.iter().any(|run| run.contract.id == id) {
        shown.wrong.push(format!("planning {verb} left a run"));
    }
    if sound {
        let count = handed.contract.stages.len();
        let word = if count == 1 { "stage" } else { "stages" };
        shown.held.push(format!("{verb}: {count} {word}, refused once edited"));
    }
    Ok(())
}

/// Rows 3 to 5 for work of people: every wrong step refused, every step survives the end of its process.
fn stages(trial: &mut Trial, spec: &'static Spec, worked: &mut Worked) -> Result<(), Stop> {
    let (engine, by) = (trial.engine, actor()?);
    let call = trial.call(spec)?;
    let mut run = open(trial.owned()?, call)?;
    let (name, id) = (run.engine, run.contract.id.clone());
    trial.resumed(&run, &mut worked.state)?;
    let waits = |c: &Contract| c.stages.iter().find(|s| !s.after.is_empty()).map(|s| s.id.clone());
    if let Some(late) = waits(&run.contract) {
        let early = complete(trial.owned()?, engine, &run, &late, &[]);
        expect(&mut worked.state, early, "stage_too_early", "a stage before its turn");
    }
    let sealed = trial.owned()?.ledger.seal_run(name, &id, &by);
    expect(&mut worked.state, sealed, "stages_open", "sealing with open stages");
    let mut left: &[Left] = &LEFT;
    while let Some(stage) = ready(&run) {
        run = complete(trial.owned()?, engine, &run, &stage, left)?;
        left = &[];
        trial.resumed(&run, &mut worked.state)?;
        let again = complete(trial.owned()?, engine, &run, &stage, &[]);
        expect(&mut worked.state, again, "stage_completed", "a stage completed twice");
    }
    let owned = trial.owned()?;
    let sealing = owned.ledger.seal_run(name, &id, &by)?;
    let again = owned.ledger.seal_run(name, &id, &by);
    expect(&mut worked.state, again, "already_sealed", "sealing twice");
    let gone = owned.ledger.abort_run(name, &id, None, &by);
    expect(&mut worked.state, gone, "already_sealed", "giving up what is sealed");
    let count = run.state.stages.len();
    worked.state.held.push(WITHIN.into());
    worked.state.held.push(format!(
        "{}: {count} stages in their order, each once; resumed after the end of a process behind each; sealed once",
        spec.verb
    ));
    let line = sealing.answer.lines.first().and_then(|bytes| Line::parse(bytes).ok());
    worked.contract.claim(
        line.is_some_and(|line| line.contract == run.digest),
        "the receipt names the digest of the contract that was run",
    );
    let dir = trial.dir(sealing.case.as_deref().unwrap_or_default());
    outputs(trial, &id, &dir, &mut worked.outputs)
}

/// A run that was given up takes nothing more, and its receipt says so.
fn given_up(trial: &mut Trial, spec: &'static Spec, shown: &mut Shown) -> Result<(), Failure> {
    let (engine, by) = (trial.engine, actor()?);
    let call = trial.call(spec)?;
    let owned = trial.owned()?;
    let run = open(owned, call)?;
    let first = ready(&run).unwrap_or_default();
    let run = owned.ledger.abort_run(run.engine, &run.contract.id, Some("trial"), &by)?;
    let after = complete(owned, engine, &run, &first, &[]);
    expect(shown, after, "run_ended", "a stage of a run that was given up");
    trial.resumed(&run, shown)?;
    let sealing = trial.owned()?.ledger.seal_run(run.engine, &run.contract.id, &by)?;
    let line = sealing.answer.lines.first().and_then(|bytes| Line::parse(bytes).ok());
    shown.claim(
        line.is_some_and(|line| line.end == End::Aborted),
        "a run that was given up is sealed as aborted",
    );
    Ok(())
}

/// Row 5: the list names every file as `sha256sum` would; whatever byte of the case changes, the file is named.
fn outputs(trial: &mut Trial, id: &str, dir: &Path, shown: &mut Shown) -> Result<(), Stop> {
    let io = |e: std::io::Error| Fault::new("io", format!("{}: {e}", dir.display()));
    let list = std::fs::read_to_string(dir.join(MANIFEST)).map_err(io)?;
    let files: Vec<&str> = list.lines().filter_map(|l| l.split_once("  ")).map(|l| l.1).collect();
    let mut summed = String::new();
    for file in &files {
        let sum = Sha256::of(&std::fs::read(dir.join(file)).map_err(io)?).to_string();
        summed.push_str(&format!("{}  {file}\n", sum.trim_start_matches("sha256:")));
    }
    shown.claim(
        summed == list && !files.is_empty(),
        format!("{MANIFEST} names {} files with their sums", files.len()),
    );
    let trust = trial.trust()?;
    let mut found = 0;
    for file in &files {
        let path = dir.join(file);
        let good = std::fs::read(&path).map_err(io)?;
        let mut bad = good.clone();
        let middle = bad.len() / 2;
        if let Some(byte) = bad.get_mut(middle) {
            *byte ^= 1;
        }
        std::fs::write(&path, &bad).map_err(io)?;
        let verdict = case_verdict(dir, &trust)?;
        let named = verdict.first_bad.is_some_and(|place| place.file.ends_with(file));
        match verdict.outcome == Outcome::Tampered && named {
            true => found += 1,
            false => shown.wrong.push(format!("a flipped bit in {file} is not told")),
        }
        std::fs::write(&path, &good).map_err(io)?;
    }
    shown.held.push(format!("a flipped bit told with its file, in each of {found}"));
    shown.claim(case_verdict(dir, &trust)?.is_verified(), "put back, the case verifies");
    private_output(trial, id, shown)
}

fn private_output(trial: &mut Trial, id: &str, shown: &mut Shown) -> Result<(), Stop> {
    let scroll = trial.engine.scroll();
    let home = trial.scratch.home();
    for (name, _, bytes) in LEFT.iter().filter(|(_, private, _)| *private) {
        let mut read = Vec::new();
        trial.owned()?.ledger.private_output(scroll, id, name, &mut read)?;
        shown.claim(
            read == *bytes && !stands_in(&home, bytes),
            "a private output reads back, and stands nowhere in plain",
        );
    }
    Ok(())
}

/// Whether any file below holds these bytes. What cannot be read counts as holding them.
fn stands_in(dir: &Path, secret: &[u8]) -> bool {
    let Ok(entries) = std::fs::read_dir(dir) else { return true };
    entries.flatten().map(|entry| entry.path()).any(|path| match path.is_dir() {
        true => stands_in(&path, secret),
        false => std::fs::read(&path)
            .map_or(true, |bytes| bytes.windows(secret.len()).any(|w| w == secret)),
    })
}

/// Rows 4 and 5 of an engine that keeps facts alone: a run of a record waits, is sealed or given up, once.
fn record(trial: &mut Trial, worked: &mut Worked) -> Result<(), Stop> {
    let (engine, by) = (trial.engine, actor()?);
    let shown = &mut worked.state;
    for spec in engine.operations() {
        let call = trial.call(spec)?;
        let run = match open(trial.owned()?, call) {
            Ok(run) => run,
            Err(Failure::Refusal(_)) => continue,
            Err(failure) => return Err(failure.into()),
        };
        let (name, id) = (run.engine, run.contract.id.clone());
        trial.resumed(&run, shown)?;
        let owned = trial.owned()?;
        let staged = owned.ledger.complete_stage(
            name,
            &id,
            vm_contracts::work::ONLY_STAGE,
            &Default::default(),
            Vec::new(),
            &by,
        );
        expect(shown, staged, "no_stages", "completing a stage of a record");
        owned.ledger.seal_run(name, &id, &by)?;
        expect(shown, owned.ledger.seal_run(name, &id, &by), "already_sealed", "sealing twice");
        shown.held.push(format!("{}: opened, resumed, sealed once; no stages", spec.verb));
        break;
    }
    shown.held.push(WITHIN.into());
    if shown.held.len() == 1 {
        shown.open.push("no example could be run step by step".into());
    }
    worked.outputs.held.push(
        "no operation leaves files; contract, state and bundle hash of a record follow from its line (row 3)".into(),
    );
    Ok(())
}
