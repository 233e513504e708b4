//! A file system in memory without crashes: for laws and fuzzing, where only the bytes matter.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard};
use vm_ledger::fs::{Fs, GUARD};

/// All files by path.
pub type Files = BTreeMap<String, Vec<u8>>;

/// Files and directories in memory.
#[derive(Debug, Default)]
pub struct MemoryFs {
    inside: Mutex<(Files, BTreeSet<String>)>,
    touches: AtomicU64,
}

impl MemoryFs {
    /// A file system that holds these files.
    pub fn with(files: Files) -> Self {
        let mut dirs = BTreeSet::from([GUARD.to_owned()]);
        for path in files.keys() {
            dirs.extend(path.match_indices('/').map(|(at, _)| path[..at].to_owned()));
        }
        Self { inside: Mutex::new((files, dirs)), touches: AtomicU64::new(0) }
    }

    /// A copy of all files.
    pub fn files(&self) -> Files {
        self.inside.lock().expect("no holder of this lock panics").0.clone()
    }

    /// How often anything was read or written through the trait.
    pub fn touches(&self) -> u64 {
        self.touches.load(Ordering::SeqCst)
    }

    /// Every file of the home itself, without the guard directory.
    pub fn home(&self) -> Files {
        let mut files = self.files();
        files.retain(|path, _| !path.starts_with(GUARD));
        files
    }

    fn inside(&self) -> MutexGuard<'_, (Files, BTreeSet<String>)> {
        self.touches.fetch_add(1, Ordering::SeqCst);
        self.inside.lock().expect("no holder of this lock panics")
    }
}

fn absent(path: &str) -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, format!("{path} is not there"))
}

impl Fs for MemoryFs {
    fn read(&self, path: &str) -> io::Result<Vec<u8>> {
        self.inside().0.get(path).cloned().ok_or_else(|| absent(path))
    }

    fn read_at(&self, path: &str, from: u64, len: usize) -> io::Result<Vec<u8>> {
        let bytes = self.read(path)?;
        let from = usize::try_from(from).unwrap_or(usize::MAX).min(bytes.len());
        let to = from.saturating_add(len).min(bytes.len());
        Ok(bytes[from..to].to_vec())
    }

    fn len(&self, path: &str) -> io::Result<Option<u64>> {
        Ok(self.inside().0.get(path).map(|bytes| bytes.len() as u64))
    }

    fn list(&self, dir: &str) -> io::Result<Vec<String>> {
        let prefix = if dir.is_empty() { String::new() } else { format!("{dir}/") };
        let inside = self.inside();
        let below = |path: &String| {
            let name = path.strip_prefix(&prefix)?.split('/').next()?.to_owned();
            (!name.is_empty() && name != GUARD).then_some(name)
        };
        let names: BTreeSet<String> = inside.0.keys().chain(&inside.1).filter_map(below).collect();
        Ok(names.into_iter().collect())
    }

    fn create_dir(&self, dir: &str) -> io::Result<bool> {
        Ok(self.inside().1.insert(dir.to_owned()))
    }

    fn append(&self, path: &str, at: u64, bytes: &[u8]) -> io::Result<()> {
        let mut inside = self.inside();
        let file = inside.0.entry(path.to_owned()).or_default();
        if file.len() as u64 != at {
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, "another length"));
        }
        file.extend_from_slice(bytes);
        Ok(())
    }

    fn write(&self, path: &str, bytes: &[u8]) -> io::Result<()> {
        self.inside().0.insert(path.to_owned(), bytes.to_vec());
        Ok(())
    }

    fn truncate(&self, path: &str, len: u64) -> io::Result<()> {
        let mut inside = self.inside();
        let file = inside.0.get_mut(path).ok_or_else(|| absent(path))?;
        file.truncate(usize::try_from(len).unwrap_or(usize::MAX));
        Ok(())
    }

    fn sync(&self, _: &str) -> io::Result<()> {
        Ok(())
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut inside = self.inside();
        let bytes = inside.0.remove(from).ok_or_else(|| absent(from))?;
        inside.0.insert(to.to_owned(), bytes);
        Ok(())
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        self.inside().0.remove(path);
        Ok(())
    }

    fn sync_dir(&self, _: &str) -> io::Result<()> {
        Ok(())
    }
}
