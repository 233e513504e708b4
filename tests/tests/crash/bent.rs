//! Planted bugs: a file system that makes the ledger behave as if its flow had lost a step.
//!
//! A campaign that does not notice these proves nothing, so each must be caught.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use vm_ledger::fs::Fs;
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
}

/// All of them.
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
}

impl Bent {
    pub fn new(bug: Bug, fs: Arc<CrashFs>) -> Self {
        Self { bug, fs, owed: Mutex::default(), full: AtomicBool::new(false) }
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
    }
}

fn is_lines(path: &str) -> bool {
    path.starts_with("receipts/") && path.ends_with(".jsonl")
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
    fn create_dir(&self, dir: &str) -> io::Result<bool> {
        self.change();
        self.fs.create_dir(dir)
    }
    fn append(&self, path: &str, at: u64, bytes: &[u8]) -> io::Result<()> {
        self.change();
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
    /// Whether the home has no lines yet, so that a sync of its root serves a new directory.
    fn fresh(&self) -> bool {
        let lines = self.fs.image();
        !lines.paths().any(is_lines)
    }
}
