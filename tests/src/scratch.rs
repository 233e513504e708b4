//! Directories of one test, removed with it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

/// A directory that goes away when it is dropped. It stands in memory where the machine has such a place, because what
/// is synced there is never a measure of a disk.
#[derive(Debug)]
pub struct Scratch {
    path: PathBuf,
}

static NEXT: AtomicUsize = AtomicUsize::new(0);

impl Scratch {
    /// A new empty directory. All of one process have paths of equal length.
    ///
    /// # Errors
    /// The directory cannot be made.
    pub fn new() -> io::Result<Self> {
        let memory = Path::new("/dev/shm");
        let base = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
        Self::below(&fs::canonicalize(base)?)
    }

    /// The same below a directory of the caller's choice.
    ///
    /// # Errors
    /// The directory cannot be made.
    pub fn below(base: &Path) -> io::Result<Self> {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = base.join(format!("vm-{}-{number:06}", std::process::id()));
        fs::create_dir_all(&path)?;
        Ok(Self { path: fs::canonicalize(path)? })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // A leftover directory is no reason to fail.
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// Copies a directory with all regular files below it, and the permissions of directories.
///
/// # Errors
/// Something cannot be read or written.
pub fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (kind, target) = (entry.file_type()?, to.join(entry.file_name()));
        if kind.is_dir() {
            copy(&entry.path(), &target)?;
        } else if kind.is_file() {
            fs::copy(entry.path(), &target)?;
        }
    }
    fs::set_permissions(to, fs::metadata(from)?.permissions())
}
