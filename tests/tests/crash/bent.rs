//! Planted bugs: a file system that makes the ledger behave as if its flow had lost a step.
//!
//! A campaign that does not notice these proves nothing, so each must be caught.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use vm_ledger::fs::{Fs, parent};
use vm_tests::crashfs::CrashFs;

/// A step left out or moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bug {
    /// Lines are never synced.
    LinesNotSynced,
    /// The answer leaves before the lines are synced: the sync runs at the next change.
    AnswerBeforeSync,
    /// signed-state and ROOT are written before the lines are synced.
    RootBeforeLines,
    /// Names are never made durable.
    DirectoriesNotSynced,
    /// The names of new directories are not made durable.
    ParentsNotSynced,
    /// signed-state and ROOT are renamed into place without a sync of their content.
    RenameNotSynced,
    /// What recovery kept is believed from the page cache: cut in place, without a sync.
    CutNotSynced,
    /// What recovery kept is copied, and the copy is not synced.
    CopyNotSynced,
    /// Recovery cuts after the last whole line instead of the last whole call.
    HalfCallKept,
    /// A failed sync is tried again, and the second `Ok` believed.
    SyncRetried,
    /// What recovery cuts is thrown away.
    CutThrownAway,
    /// After a full disk the batch is not taken back.
    NotCutBack,
    /// Opening trusts the name of a recovered file although its recovery died before the directory was synced.
    DeadNameTrusted,
    /// The lines of a call in two files: the answer waits for the older file only.
    OlderFileOnly,
    /// The claim is written after the effect: with the first change that follows its own sync.
    ClaimAfterEffect,
    /// The name of the claim is not made durable.
    ClaimNotDurable,
    /// contract.json and state.json are renamed into place without a sync of their content.
    RunNotSynced,
    /// The name of a run's folder is not made durable.
    RunNameNotSynced,
    /// Openings of an open run are renamed into place without a sync of their content.
    RunOpeningsNotSynced,
    /// Openings are synced after the lines that need them, which is after the answer.
    OpeningsAfterLines,
    /// What a stage left is not synced before state.json says that it is there.
    OutputNotSynced,
    /// A folder goes to cases/ before what was written into it last is durable.
    CaseNotSynced,
}

/// Those of runs and private values.
pub const RUN_BUGS: [Bug; 8] = [
    Bug::ClaimAfterEffect,
    Bug::ClaimNotDurable,
    Bug::RunNotSynced,
    Bug::RunNameNotSynced,
    Bug::RunOpeningsNotSynced,
    Bug::OpeningsAfterLines,
    Bug::OutputNotSynced,
    Bug::CaseNotSynced,
];

/// Those of the commit flow.
pub const BUGS: [Bug; 14] = [
    Bug::LinesNotSynced,
    Bug::AnswerBeforeSync,
    Bug::RootBeforeLines,
    Bug::DirectoriesNotSynced,
    Bug::ParentsNotSynced,
    Bug::RenameNotSynced,
    Bug::CutNotSynced,
    Bug::CopyNotSynced,
    Bug::HalfCallKept,
    Bug::SyncRetried,
    Bug::CutThrownAway,
    Bug::NotCutBack,
    Bug::DeadNameTrusted,
    Bug::OlderFileOnly,
];

/// The bent file system.
pub struct Bent {
    bug: Bug,
    fs: Arc<CrashFs>,
    /// Syncs that were answered and have not run.
    owed: Mutex<Vec<String>>,
    /// Whether a write of lines has found no space.
    full: AtomicBool,
    /// A claim that is to be written later, and whether its turn has come.
    claim: Mutex<Option<(String, Vec<u8>, bool)>>,
}

impl Bent {
    pub fn new(bug: Bug, fs: Arc<CrashFs>) -> Self {
        Self {
            bug,
            fs,
            owed: Mutex::default(),
            full: AtomicBool::new(false),
            claim: Mutex::default(),
        }
    }

    fn pay(&self) {
        for path in std::mem::take(&mut *self.owed.lock().expect("nobody panics here")) {
            // A file that is gone by now has nothing to sync.
            let _ = self.fs.sync(&path);
        }
    }

    fn owe(&self, path: &str) {
        self.owed.lock().expect("nobody panics here").push(path.to_owned());
    }

    /// Before every change but a sync of lines.
    fn change(&self) {
        if self.bug == Bug::AnswerBeforeSync {
            self.pay();
        }
        let due = self.claim.lock().expect("nobody panics here").take_if(|(_, _, due)| *due);
        if let Some((path, bytes, _)) = due {
            // As the flow itself does it, only too late.
            let _ = self.fs.append(&path, 0, &bytes).and_then(|()| self.fs.sync(&path));
            let _ = self.fs.sync_dir(parent(&path));
        }
    }

    /// Whether this sync belongs to a claim that is put off; its last one makes the claim due.
    fn put_off(&self, path: &str) -> bool {
        match self.claim.lock().expect("nobody panics here").as_mut() {
            Some((claim, _, _)) if claim == path => true,
            Some((claim, _, due)) if parent(claim) == path && !*due => {
                *due = true;
                true
            }
            _ => false,
        }
    }
}

fn is_lines(path: &str) -> bool {
    path.starts_with("receipts/") && path.ends_with(".jsonl")
}

fn is_claim(path: &str) -> bool {
    in_runs(path) && path.ends_with("/claim.1")
}

fn in_runs(path: &str) -> bool {
    path.starts_with("runs/")
}

fn is_copy(path: &str) -> bool {
    path.starts_with("receipts/") && path.ends_with(".new")
}

/// The longest beginning of whole lines that were not torn.
fn whole_lines(bytes: &[u8]) -> &[u8] {
    let sound = bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len());
    let end = bytes[..sound].iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1);
    &bytes[..end]
}

impl Fs for Bent {
    fn read(&self, path: &str) -> io::Result<Vec<u8>> {
        self.fs.read(path)
    }
    fn read_at(&self, path: &str, from: u64, len: usize) -> io::Result<Vec<u8>> {
        self.fs.read_at(path, from, len)
    }
    fn len(&self, path: &str) -> io::Result<Option<u64>> {
        self.fs.len(path)
    }
    fn list(&self, dir: &str) -> io::Result<Vec<String>> {
        self.fs.list(dir)
    }
    fn paged(&self, path: &str) -> io::Result<std::sync::Arc<dyn vm_ledger::fs::Paged>> {
        self.fs.paged(path)
    }
    fn create_dir(&self, dir: &str) -> io::Result<bool> {
        self.change();
        self.fs.create_dir(dir)
    }
    fn append(&self, path: &str, at: u64, bytes: &[u8]) -> io::Result<()> {
        self.change();
        if self.bug == Bug::ClaimAfterEffect && is_claim(path) {
            let claim = (path.to_owned(), bytes.to_vec(), false);
            *self.claim.lock().expect("nobody panics here") = Some(claim);
            return Ok(());
        }
        let done = self.fs.append(path, at, bytes);
        let full = done.as_ref().is_err_and(|e| e.kind() == io::ErrorKind::StorageFull);
        self.full.fetch_or(full, Ordering::Relaxed);
        done
    }

    fn write(&self, path: &str, bytes: &[u8]) -> io::Result<()> {
        self.change();
        match self.bug {
            Bug::CutThrownAway if path.starts_with("quarantine/") => self.fs.write(path, b""),
            Bug::CutNotSynced if is_copy(path) => {
                self.fs.truncate(path.trim_end_matches(".new"), bytes.len() as u64)
            }
            Bug::HalfCallKept if is_copy(path) => {
                let there = self.fs.read(path.trim_end_matches(".new"))?;
                self.fs.write(path, whole_lines(&there))
            }
            _ => self.fs.write(path, bytes),
        }
    }

    fn truncate(&self, path: &str, len: u64) -> io::Result<()> {
        self.change();
        match self.bug {
            Bug::NotCutBack if self.full.load(Ordering::Relaxed) => Ok(()),
            _ => self.fs.truncate(path, len),
        }
    }

    fn sync(&self, path: &str) -> io::Result<()> {
        match self.bug {
            Bug::LinesNotSynced if is_lines(path) => Ok(()),
            Bug::AnswerBeforeSync | Bug::RootBeforeLines if is_lines(path) => {
                self.owe(path);
                Ok(())
            }
            Bug::RenameNotSynced if path.ends_with(".tmp") => Ok(()),
            Bug::CutNotSynced | Bug::CopyNotSynced if is_copy(path) => Ok(()),
            Bug::OlderFileOnly
                if is_lines(path) && !path.ends_with("/00000000000000000000.jsonl") =>
            {
                Ok(())
            }
            Bug::ClaimAfterEffect if self.put_off(path) => Ok(()),
            Bug::RunNotSynced if in_runs(path) && path.ends_with(".json.tmp") => Ok(()),
            Bug::RunOpeningsNotSynced if in_runs(path) && path.ends_with("openings.tmp") => Ok(()),
            Bug::OutputNotSynced if in_runs(path) && path.contains("/outputs/") => Ok(()),
            Bug::CaseNotSynced if path.ends_with("PROOF.json.tmp") => Ok(()),
            Bug::OpeningsAfterLines if path.ends_with(".page") => Ok(()),
            Bug::SyncRetried => self.fs.sync(path).or_else(|_| self.fs.sync(path)),
            _ => {
                self.change();
                self.fs.sync(path)
            }
        }
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.change();
        match self.bug {
            Bug::CutNotSynced if is_copy(from) => Ok(()),
            _ => self.fs.rename(from, to),
        }
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        self.change();
        match self.bug {
            Bug::NotCutBack if is_lines(path) && self.full.load(Ordering::Relaxed) => Ok(()),
            _ => self.fs.remove(path),
        }
    }

    fn remove_dir(&self, dir: &str) -> io::Result<()> {
        self.change();
        self.fs.remove_dir(dir)
    }

    fn sync_dir(&self, dir: &str) -> io::Result<()> {
        self.change();
        if self.bug == Bug::RootBeforeLines && dir.is_empty() {
            // By now signed-state and ROOT stand in the home.
            let done = self.fs.sync_dir(dir);
            self.pay();
            return done;
        }
        match self.bug {
            Bug::DirectoriesNotSynced => Ok(()),
            Bug::ClaimAfterEffect if self.put_off(dir) => Ok(()),
            Bug::ClaimNotDurable if self.has_fresh_claim(dir) => Ok(()),
            Bug::RunNameNotSynced if dir == "runs/toy" => Ok(()),
            Bug::DeadNameTrusted if dir.starts_with("receipts/") && self.fs.changes() == 0 => {
                Ok(())
            }
            Bug::ParentsNotSynced if dir == "receipts" || (dir.is_empty() && self.fresh()) => {
                Ok(())
            }
            _ => self.fs.sync_dir(dir),
        }
    }
}

impl Bent {
    /// Whether a claim stands in this folder whose run has no outcome yet.
    fn has_fresh_claim(&self, dir: &str) -> bool {
        let claimed = matches!(self.fs.len(&format!("{dir}/claim.1")), Ok(Some(_)));
        let state = self.fs.read(&format!("{dir}/state.json")).unwrap_or_default();
        claimed && state.windows(13).any(|w| w == b"\"in_progress\"")
    }

    /// Whether the home has no lines yet, so that a sync of its root serves a new directory.
    fn fresh(&self) -> bool {
        let lines = self.fs.image();
        !lines.paths().any(is_lines)
    }
}
