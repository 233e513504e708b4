//! A file system in memory without crashes: for laws and fuzzing, where only the bytes matter.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use vm_ledger::fs::{Fs, GUARD, Paged};

/// All files by path.
pub type Files = BTreeMap<String, Vec<u8>>;

#[derive(Debug, Default)]
struct Inside {
    files: Files,
    dirs: BTreeSet<String>,
}

impl Inside {
    fn move_dir(&mut self, from: &str, to: &str) -> io::Result<()> {
        if self.dirs.contains(to) || self.files.contains_key(to) {
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, to.to_owned()));
        }
        let below = format!("{from}/");
        let moved = |path: &String| format!("{to}/{}", &path[below.len()..]);
        let (gone, stay): (Files, Files) =
            std::mem::take(&mut self.files).into_iter().partition(|(p, _)| p.starts_with(&below));
        self.files = stay;
        self.files.extend(gone.iter().map(|(path, bytes)| (moved(path), bytes.clone())));
        let (gone, stay): (BTreeSet<_>, BTreeSet<_>) =
            std::mem::take(&mut self.dirs).into_iter().partition(|p| p.starts_with(&below));
        self.dirs = stay;
        self.dirs.extend(gone.iter().map(moved));
        self.dirs.remove(from);
        self.dirs.insert(to.to_owned());
        Ok(())
    }
}

/// Files and directories in memory.
#[derive(Debug, Default)]
pub struct MemoryFs {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    inside: Mutex<Inside>,
    touches: AtomicU64,
}

impl Shared {
    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.touches.fetch_add(1, Ordering::SeqCst);
        self.inside.lock().expect("no holder of this lock panics")
    }
}

impl MemoryFs {
    /// A file system that holds these files.
    pub fn with(files: Files) -> Self {
        let mut dirs = BTreeSet::from([GUARD.to_owned()]);
        for path in files.keys() {
            dirs.extend(path.match_indices('/').map(|(at, _)| path[..at].to_owned()));
        }
        let inside = Mutex::new(Inside { files, dirs });
        Self { shared: Arc::new(Shared { inside, touches: AtomicU64::new(0) }) }
    }

    /// A copy of all files.
    pub fn files(&self) -> Files {
        self.shared.inside.lock().expect("no holder of this lock panics").files.clone()
    }

    /// How often anything was read or written through the trait.
    pub fn touches(&self) -> u64 {
        self.shared.touches.load(Ordering::SeqCst)
    }

    /// Every file of the home itself, without the guard directory.
    pub fn home(&self) -> Files {
        let mut files = self.files();
        files.retain(|path, _| !path.starts_with(GUARD));
        files
    }

    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.shared.inside()
    }
}

fn absent(path: &str) -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, format!("{path} is not there"))
}

impl Fs for MemoryFs {
    fn read(&self, path: &str) -> io::Result<Vec<u8>> {
        self.inside().files.get(path).cloned().ok_or_else(|| absent(path))
    }

    fn read_at(&self, path: &str, from: u64, len: usize) -> io::Result<Vec<u8>> {
        let bytes = self.read(path)?;
        let from = usize::try_from(from).unwrap_or(usize::MAX).min(bytes.len());
        let to = from.saturating_add(len).min(bytes.len());
        Ok(bytes[from..to].to_vec())
    }

    fn len(&self, path: &str) -> io::Result<Option<u64>> {
        Ok(self.inside().files.get(path).map(|bytes| bytes.len() as u64))
    }

    fn list(&self, dir: &str) -> io::Result<Vec<String>> {
        let prefix = if dir.is_empty() { String::new() } else { format!("{dir}/") };
        let inside = self.inside();
        let below = |path: &String| {
            let name = path.strip_prefix(&prefix)?.split('/').next()?.to_owned();
            (!name.is_empty() && name != GUARD).then_some(name)
        };
        let names: BTreeSet<String> =
            inside.files.keys().chain(&inside.dirs).filter_map(below).collect();
        Ok(names.into_iter().collect())
    }

    fn create_dir(&self, dir: &str) -> io::Result<bool> {
        Ok(self.inside().dirs.insert(dir.to_owned()))
    }

    fn append(&self, path: &str, at: u64, bytes: &[u8]) -> io::Result<()> {
        let mut inside = self.inside();
        let file = inside.files.entry(path.to_owned()).or_default();
        if file.len() as u64 != at {
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, "another length"));
        }
        file.extend_from_slice(bytes);
        Ok(())
    }

    fn write(&self, path: &str, bytes: &[u8]) -> io::Result<()> {
        self.inside().files.insert(path.to_owned(), bytes.to_vec());
        Ok(())
    }

    fn truncate(&self, path: &str, len: u64) -> io::Result<()> {
        let mut inside = self.inside();
        let file = inside.files.get_mut(path).ok_or_else(|| absent(path))?;
        file.truncate(usize::try_from(len).unwrap_or(usize::MAX));
        Ok(())
    }

    fn sync(&self, _: &str) -> io::Result<()> {
        Ok(())
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut inside = self.inside();
        if inside.dirs.contains(from) {
            return inside.move_dir(from, to);
        }
        let bytes = inside.files.remove(from).ok_or_else(|| absent(from))?;
        inside.files.insert(to.to_owned(), bytes);
        Ok(())
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        self.inside().files.remove(path);
        Ok(())
    }

    fn sync_dir(&self, _: &str) -> io::Result<()> {
        Ok(())
    }

    fn remove_dir(&self, dir: &str) -> io::Result<()> {
        let mut inside = self.inside();
        let below = format!("{dir}/");
        let inhabited =
            inside.files.keys().chain(&inside.dirs).any(|path| path.starts_with(&below));
        if inhabited {
            return Err(io::Error::new(io::ErrorKind::DirectoryNotEmpty, dir.to_owned()));
        }
        inside.dirs.remove(dir);
        Ok(())
    }

    fn paged(&self, path: &str) -> io::Result<Arc<dyn Paged>> {
        self.inside().files.entry(path.to_owned()).or_default();
        Ok(Arc::new(MemoryPaged { shared: self.shared.clone(), path: path.to_owned() }))
    }
}

/// A file in memory that is written in place.
struct MemoryPaged {
    shared: Arc<Shared>,
    path: String,
}

impl MemoryPaged {
    fn on_file<T>(&self, work: impl FnOnce(&mut Vec<u8>) -> io::Result<T>) -> io::Result<T> {
        work(self.shared.inside().files.get_mut(&self.path).ok_or_else(|| absent(&self.path))?)
    }
}

/// The range of `len` bytes from `at` on.
pub(crate) fn span(at: u64, len: usize) -> io::Result<std::ops::Range<usize>> {
    let from = usize::try_from(at).ok();
    let to = from.and_then(|from| from.checked_add(len));
    from.zip(to).map(|(from, to)| from..to).ok_or_else(|| io::ErrorKind::InvalidInput.into())
}

impl Paged for MemoryPaged {
    fn len(&self) -> io::Result<u64> {
        self.on_file(|file| Ok(file.len() as u64))
    }

    fn read_at(&self, at: u64, buf: &mut [u8]) -> io::Result<()> {
        let span = span(at, buf.len())?;
        self.on_file(|file| {
            let bytes = file.get(span).ok_or(io::ErrorKind::UnexpectedEof)?;
            buf.copy_from_slice(bytes);
            Ok(())
        })
    }

    fn write_at(&self, at: u64, bytes: &[u8]) -> io::Result<()> {
        let span = span(at, bytes.len())?;
        self.on_file(|file| {
            file.resize(file.len().max(span.end), 0);
            file[span].copy_from_slice(bytes);
            Ok(())
        })
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let len = span(len, 0)?.start;
        self.on_file(|file| {
            file.resize(len, 0);
            Ok(())
        })
    }

    fn sync(&self) -> io::Result<()> {
        self.on_file(|_| Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_that_moves_takes_its_content_along() {
        let fs = MemoryFs::default();
        for dir in ["a", "a/b", "c"] {
            fs.create_dir(dir).unwrap();
        }
        fs.append("a/b/f", 0, b"1").unwrap();
        fs.append("a/bf", 0, b"2").unwrap();
        assert_eq!(fs.remove_dir("a/b").unwrap_err().kind(), io::ErrorKind::DirectoryNotEmpty);
        fs.rename("a/b", "c/d").unwrap();
        assert_eq!(fs.read("c/d/f").unwrap(), b"1");
        assert_eq!(fs.list("a").unwrap(), ["bf"]);
        assert_eq!(fs.rename("c", "a").unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        fs.remove("c/d/f").unwrap();
        fs.remove_dir("c/d").unwrap();
        fs.remove_dir("c/d").unwrap();
        assert!(fs.list("c").unwrap().is_empty());
    }
}
