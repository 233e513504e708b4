//! The directory an export goes to: outside the home, read by web servers at any moment.

use crate::home::io_fault;
use rayon::prelude::*;
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use vm_contracts::Failure;

/// Files that are synced together: enough to share the disk's work, few enough to remember.
const SYNC_EVERY: usize = 512;

/// Directory of one scroll.
pub(super) struct Directory {
    root: PathBuf,
}

impl Directory {
    pub(super) fn new(root: PathBuf) -> Self {
        Self { root }
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// The checkpoint that is there; at most one byte more than `max` of it.
    pub(super) fn checkpoint(&self, max: u64) -> Result<Option<Vec<u8>>, Failure> {
        let path = self.path("checkpoint");
        let read = || -> io::Result<Vec<u8>> {
            if !fs::metadata(&path)?.is_file() {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidInput,
                    "it is not a regular file",
                ));
            }
            let mut bytes = Vec::new();
            File::open(&path)?.take(max + 1).read_to_end(&mut bytes)?;
            Ok(bytes)
        };
        match read() {
            Ok(bytes) => Ok(Some(bytes)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(io_fault("read", &path, &e)),
        }
    }

    /// Puts the checkpoint in place by one rename. Everything it covers must be durable.
    pub(super) fn publish(&self, note: &[u8]) -> Result<(), Failure> {
        let path = self.path("checkpoint");
        if same(&path, note) {
            return Ok(());
        }
        let write = || -> io::Result<()> {
            fs::create_dir_all(&self.root)?;
            let temporary = replacement(&path, note)?;
            File::open(&temporary)?.sync_all()?;
            fs::rename(&temporary, &path)?;
            File::open(&self.root)?.sync_all()
        };
        write().map_err(|e| io_fault("write", &path, &e))
    }

    /// Takes partial files away where a full file, of a number below `full`, stands. Looks at the file number `edge` and
    /// at those beside it in its folder, which an export that was cut off may have left.
    pub(super) fn remove_partials(&self, name: &str, edge: u64, full: u64) -> Result<u64, Failure> {
        let path = self.path(name);
        let Some(folder) = path.parent() else { return Ok(0) };
        let first = edge - edge % 1_000;
        let remove = || -> io::Result<u64> {
            let mut removed = 0;
            for entry in entries(folder)? {
                let place = entry.strip_suffix(".p").and_then(|place| place.parse::<u64>().ok());
                if place.is_some_and(|place| place < 1_000 && first + place < full) {
                    removed += empty(&folder.join(entry))?;
                }
            }
            Ok(removed)
        };
        remove().map_err(|e| io_fault("clear", folder, &e))
    }
}

/// Names in a folder, none where there is no such folder.
fn entries(folder: &Path) -> io::Result<Vec<String>> {
    let listed = match fs::read_dir(folder) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        listed => listed?,
    };
    listed.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
}

/// Removes the partial files in a folder, and the folder where nothing else is in it.
fn empty(folder: &Path) -> io::Result<u64> {
    let mut removed = 0;
    for name in entries(folder)? {
        if name.strip_suffix(".tmp").unwrap_or(&name).parse::<u16>().is_ok() {
            fs::remove_file(folder.join(&name))?;
            removed += 1;
        }
    }
    match fs::remove_dir(folder) {
        // Something that is not ours is in it.
        Err(e) if e.kind() == io::ErrorKind::DirectoryNotEmpty => Ok(removed),
        other => other.map(|()| removed),
    }
}

/// Whether a file holds exactly these bytes.
fn same(path: &Path, bytes: &[u8]) -> bool {
    fs::metadata(path).is_ok_and(|meta| meta.is_file() && meta.len() == bytes.len() as u64)
        && fs::read(path).is_ok_and(|there| there == bytes)
}

/// Writes the bytes beside a file, under the name they are to be renamed from.
fn replacement(path: &Path, bytes: &[u8]) -> io::Result<PathBuf> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".tmp");
    let temporary = path.with_file_name(name);
    fs::write(&temporary, bytes)?;
    Ok(temporary)
}

/// Files written and not durable yet.
pub(super) struct NewFiles<'a> {
    to: &'a Directory,
    files: u64,
    bytes: u64,
    waiting: Vec<PathBuf>,
    /// Folders whose names changed; one for a thousand files.
    folders: BTreeSet<PathBuf>,
}

impl<'a> NewFiles<'a> {
    pub(super) fn new(to: &'a Directory) -> Self {
        Self { to, files: 0, bytes: 0, waiting: Vec::new(), folders: BTreeSet::new() }
    }

    /// Keeps a file that an export which was cut off has written; anything else under its name is replaced.
    pub(super) fn keep_or_write(&mut self, name: &str, bytes: &[u8]) -> Result<(), Failure> {
        let path = self.to.path(name);
        if !same(&path, bytes) {
            let write = || -> io::Result<()> {
                fs::create_dir_all(path.parent().unwrap_or(&self.to.root))?;
                fs::rename(replacement(&path, bytes)?, &path)
            };
            write().map_err(|e| io_fault("write", &path, &e))?;
            self.files += 1;
            self.bytes += bytes.len() as u64;
        }
        let above = path.ancestors().skip(1).take_while(|folder| folder.starts_with(&self.to.root));
        self.folders.extend(above.map(Path::to_owned));
        self.waiting.push(path);
        if self.waiting.len() >= SYNC_EVERY { self.sync() } else { Ok(()) }
    }

    fn sync(&mut self) -> Result<(), Failure> {
        let sync = |path: &PathBuf| {
            let synced = File::open(path).and_then(|file| file.sync_all());
            synced.map_err(|e| io_fault("sync", path, &e))
        };
        std::mem::take(&mut self.waiting).par_iter().try_for_each(sync)
    }

    /// Makes everything written so far durable, names included; returns how many files that were, and their bytes.
    pub(super) fn finish(mut self) -> Result<(u64, u64), Failure> {
        self.sync()?;
        for folder in &self.folders {
            let synced = File::open(folder).and_then(|dir| dir.sync_all());
            synced.map_err(|e| io_fault("sync", folder, &e))?;
        }
        Ok((self.files, self.bytes))
    }
}
