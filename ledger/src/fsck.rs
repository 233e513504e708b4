//! `vm fsck`: does everything in the home agree with everything else? Reads only.

mod private;
mod tiles;

use crate::audit::{self, Progress, self_asserted_trust};
use crate::clock::SystemEntropy;
use crate::fs::Fs;
use crate::guard::{Guard, SIGNED_STATE};
use crate::openings::Openings;
use crate::recover::QUARANTINE;
use crate::run::{RunFolder, run_dir};
use crate::segments::scroll_dir;
use crate::writer::{Settings, root_path};
use std::sync::Arc;
use vm_contracts::{AnyEngine, Failure};
use vm_scrolls::checkpoint::Checkpoint;
use vm_scrolls::verdict::{Findings, Verdict};

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// As it should be.
    Ok,
    /// Worth knowing.
    Note,
    /// Something must be done.
    Problem,
}

impl Level {
    /// The word for tables and JSON.
    pub fn word(self) -> &'static str {
        match self {
            Level::Ok => "ok",
            Level::Note => "note",
            Level::Problem => "problem",
        }
    }
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How much it matters.
    pub level: Level,
    /// What was looked at.
    pub subject: String,
    /// What was found.
    pub detail: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Finding {
    /// A finding without a hint.
    pub fn new(level: Level, subject: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { level, subject: subject.into(), detail: detail.into(), hint: None }
    }

    /// Adds what to do about it.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// Verifies the lines under the home's own keys, then compares signed-state, ROOT files and leftovers with them.
///
/// Private values are checked for their openings with the home's own key; nothing of them is shown.
pub fn fsck(
    disk: &Arc<dyn Fs>,
    settings: &Settings,
    engines: &[&'static dyn AnyEngine],
    progress: Progress<'_>,
) -> (Verdict, Vec<Finding>) {
    let mut findings = Vec::new();
    let fs = &**disk;
    let trust = match self_asserted_trust(fs) {
        Ok(trust) => trust,
        Err(e) => {
            let mut missing = Findings::new();
            missing.undecided("keys", e.to_string());
            findings.push(Finding::new(Level::Problem, "keys", e.to_string()));
            return (missing.verdict("home", true), findings);
        }
    };
    let guard = signed_state(fs, settings, &trust, &mut findings);
    // Under the higher of both copies: a home that was put back whole to an older state is noticed by the one outside.
    let verdict = match &guard {
        Some(guard) => audit::verify_signed(fs, &trust, Some(guard), progress),
        None => audit::verify_home(fs, &trust, progress),
    };
    let mut openings = Openings::new(disk.clone(), Arc::new(SystemEntropy), &settings.ledger);
    for scroll in audit::scrolls(fs).unwrap_or_default() {
        private::check(disk, &mut openings, engines, &scroll, &mut findings);
        tiles::check(disk, &scroll, &mut findings, progress);
    }
    open_runs(fs, &mut findings);
    leftovers(fs, &mut findings);
    (verdict, findings)
}

fn signed_state(
    fs: &dyn Fs,
    settings: &Settings,
    trust: &vm_scrolls::trust::Trust,
    findings: &mut Vec<Finding>,
) -> Option<Guard> {
    let mut notes = Vec::new();
    let guard = match Guard::load(fs, &settings.ledger, &mut notes) {
        Ok(guard) => guard,
        Err(Failure::Corrupt(c)) => {
            let mut finding = Finding::new(Level::Problem, c.file, c.claim);
            finding.hint = c.hint;
            findings.push(finding);
            return None;
        }
        Err(e) => {
            findings.push(Finding::new(Level::Problem, SIGNED_STATE, e.to_string()));
            return None;
        }
    };
    findings.extend(notes.into_iter().map(|n| Finding::new(Level::Note, SIGNED_STATE, n)));
    for (scroll, signed) in guard.scrolls(&settings.origin("")) {
        let root =
            fs.read(&root_path(scroll)).ok().and_then(|b| Checkpoint::open(&b, &trust.logs).ok());
        let finding = match root {
            None => {
                Finding::new(Level::Problem, root_path(scroll), "it is missing or does not verify")
                    .hint("If `vm verify` finds the lines in order, the next command that opens the home signs it again.")
            }
            Some((c, _)) if c.size > signed.size => Finding::new(
                Level::Problem,
                SIGNED_STATE,
                format!(
                    "{scroll}: ROOT is signed for {} lines, signed-state says {}",
                    c.size, signed.size
                ),
            ),
            Some((c, _)) if c.size < signed.size => Finding::new(
                Level::Note,
                root_path(scroll),
                format!("it is behind: {} lines of {}", c.size, signed.size),
            ),
            Some((c, _)) if c.root != signed.root => Finding::new(
                Level::Problem,
                SIGNED_STATE,
                format!("{scroll}: another root than ROOT's at size {}", c.size),
            ),
            Some((c, _)) => Finding::new(
                Level::Ok,
                SIGNED_STATE,
                format!("{scroll}: agrees with ROOT at size {}", c.size),
            ),
        };
        findings.push(finding);
    }
    Some(guard)
}

/// Runs that wait for somebody; and folders that are none.
fn open_runs(fs: &dyn Fs, findings: &mut Vec<Finding>) {
    for scroll in fs.list("runs").unwrap_or_default() {
        for id in fs.list(&format!("runs/{scroll}")).unwrap_or_default() {
            let dir = run_dir(&scroll, &id);
            let folder = RunFolder::new(fs, &dir);
            let finding = match folder.contract().and_then(|_| folder.state()) {
                Ok(state) => {
                    let what = format!(
                        "an open run, {}, last touched {}",
                        state.status.word(),
                        state.updated_at
                    );
                    Finding::new(Level::Note, dir.as_str(), what)
                }
                Err(failure) => Finding::new(Level::Problem, dir.as_str(), failure.to_string()),
            };
            findings.push(finding);
        }
    }
}

fn leftovers(fs: &dyn Fs, findings: &mut Vec<Finding>) {
    for name in fs.list(QUARANTINE).unwrap_or_default() {
        findings.push(
            Finding::new(Level::Note, format!("{QUARANTINE}/{name}"), "recovery cut these bytes off; they were never committed, or their loss was accepted")
                .hint("Keep it as long as somebody may ask for it; the ledger never reads it."),
        );
    }
    for scroll in audit::scrolls(fs).unwrap_or_default() {
        for name in fs.list(&scroll_dir(&scroll)).unwrap_or_default() {
            if !name.ends_with(".jsonl") {
                findings.push(Finding::new(
                    Level::Note,
                    format!("{}/{name}", scroll_dir(&scroll)),
                    "left over from an interrupted recovery; the ledger never reads it",
                ));
            }
        }
    }
}
