//! Syncs that fail: strace answers one of them with EIO, and the model lets some of what waited be gone for good, while
//! readers go on seeing it. The same command is then given again, as a user would, and power is lost at every step of it.

use super::crash::{self, Reach};
use super::flow::{Flow, Step};
use super::place::{Place, words};
use super::record::{Recorded, Recorder, prepare, recording};
use super::trace::Op;
use crate::scratch::Scratch;
use std::path::Path;

/// More calls than any command makes.
const NTH_MAX: usize = 400;

/// What was found.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// Syncs that were made to fail.
    pub injected: usize,
    /// Crash states that were opened afterwards.
    pub states: usize,
    /// Exit codes of the commands, with how often each was seen.
    pub exits: std::collections::BTreeMap<u8, usize>,
    /// The first bad thing.
    pub bad: Option<String>,
}

impl Found {
    /// Adds what was found elsewhere.
    pub fn add(&mut self, other: Found) {
        self.injected += other.injected;
        self.states += other.states;
        other.exits.into_iter().for_each(|(code, n)| *self.exits.entry(code).or_default() += n);
        self.bad = self.bad.take().or(other.bad);
    }
}

/// Lets each fdatasync and each fsync of each command of a flow fail once.
///
/// # Errors
/// The campaign itself cannot go on.
pub fn failing_syncs(flow: &Flow, vm: &Path, reach: Reach) -> Result<Found, String> {
    let mut found = Found::default();
    for step in 0..flow.steps.len() {
        for call in ["fdatasync", "fsync"] {
            for nth in 1..=NTH_MAX {
                let Some(recorded) = twice(flow, step, vm, call, nth, &mut found)? else { break };
                let again = two_steps(flow, step);
                let ops: Vec<_> = recorded.takes.iter().map(|take| take.ops.clone()).collect();
                let count = crash::run(&again, &recorded, &ops, reach)?;
                found.states += count.states;
                let told = |bad| {
                    format!("{call} number {nth} of {:?} failed: {bad}", flow.steps[step].words)
                };
                found.bad = found.bad.take().or(count.first_bad.map(told));
            }
        }
    }
    Ok(found)
}

/// The command whose sync fails and the same again. Either may have got anywhere.
fn two_steps(flow: &Flow, step: usize) -> Flow {
    let one = Step { in_parts: true, ..flow.steps[step].clone() };
    Flow { steps: vec![one.clone(), one], probes: vec![words("status --json")], ..flow.clone() }
}

/// A place in which everything before this step is done.
fn ready(flow: &Flow, step: usize) -> Result<Scratch, String> {
    let scratch = Scratch::new().map_err(|e| e.to_string())?;
    let place = Place::new(scratch.path());
    prepare(flow, &place)?;
    for step in &flow.steps[..step] {
        let said = place.here(&step.words);
        if said.code != 0 {
            return Err(format!("{:?} came to {said:?}", step.words));
        }
    }
    Ok(scratch)
}

/// Runs the command with a failing sync, and again without; nothing where it makes fewer syncs.
fn twice(
    flow: &Flow,
    step: usize,
    vm: &Path,
    call: &str,
    nth: usize,
    found: &mut Found,
) -> Result<Option<Recorded>, String> {
    let scratch = ready(flow, step)?;
    let place = Place::new(scratch.path());
    let step = &flow.steps[step];
    let mut recorder = Recorder::new(&place, vm, nth as u64)?;
    let mut strace = recording();
    strace.extend(["-e".into(), format!("inject={call}:error=EIO:when={nth}")]);
    let first = recorder.run(&step.words, &strace)?;
    if !recorder.recorded.takes[0].ops.iter().any(|op| matches!(op, Op::FailedSync(_))) {
        return Ok(None);
    }
    found.injected += 1;
    *found.exits.entry(first.code).or_default() += 1;
    let mut wrong = |what: &str, said: &dyn std::fmt::Debug| {
        let told = format!("{call} number {nth} of {:?} failed: {what}: {said:.600?}", step.words);
        found.bad.get_or_insert(told);
    };
    // 0 where nothing of worth depended on it; else a clear failure, never a panic, and nothing acknowledged.
    if !matches!(first.code, 0 | 1 | 4 | 5) || first.err.contains("panicked") {
        wrong("it ended badly", &first);
    }
    let lines_failed = recorder.recorded.takes[0]
        .ops
        .iter()
        .any(|op| matches!(op, Op::FailedSync(path) if path.ends_with(".jsonl")));
    if lines_failed && first.code != 5 {
        wrong("lines were not confirmed and it did not say Lost", &first);
    }
    if first.code != 0
        && !first.out.is_empty()
        && first.out.contains("\"receipts\"")
        && lines_failed
    {
        wrong("it acknowledged what was not confirmed", &first);
    }
    let second = recorder.run(&step.words, &recording())?;
    if second.code != 0 && (step.done.is_empty() || !second.names(step.done)) {
        wrong("the same command again failed", &second);
    }
    Ok(Some(recorder.recorded))
}

/// Whether a program is caught that goes on after a failed sync as if it had come through: the failing call is the one
/// of the lines, and the answer is heard all the same.
///
/// # Errors
/// The campaign itself cannot go on.
pub fn planted(vm: &Path, reach: Reach) -> Result<bool, String> {
    let flow = super::flow::one_transfer();
    let told = super::record::record(&flow, vm)?;
    let ignored = |op: &Op| match op {
        Op::Sync(path) if path.ends_with(".jsonl") => Op::FailedSync(path.clone()),
        other => other.clone(),
    };
    let ops: Vec<Vec<Op>> =
        told.takes.iter().map(|take| take.ops.iter().map(ignored).collect()).collect();
    // What is left of a failed sync is drawn, so a few draws show each kind.
    for seed in 0..8 {
        let reach = Reach { seed, until_bad: true, ..reach };
        if crash::run(&flow, &told, &ops, reach)?.bad > 0 {
            return Ok(true);
        }
    }
    Ok(false)
}
