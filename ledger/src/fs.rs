//! The disk, as the ledger uses it: few verbs, each with its durability said.
//!
//! Every byte the ledger keeps passes this trait, so a crash file system in tests sees each write, sync and rename
//! of the real flow. Paths are relative to the home, with `/`; those under [`GUARD`] go to the guard directory,
//! which holds the second copy of signed-state outside the home.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

/// Prefix of paths that live in the guard directory.
pub const GUARD: &str = "@guard";

/// Obligations of a file system.
///
/// - Nothing is durable before the matching sync has returned `Ok`: bytes by [`sync`](Fs::sync), names (creation,
///   rename, removal) by [`sync_dir`](Fs::sync_dir) of the parent.
/// - A failed sync says nothing about what reached the disk; callers never retry it.
/// - Methods may be called from several threads, but one file has one writer.
pub trait Fs: Send + Sync {
    /// Whole content of a regular file; anything else under the name is refused.
    fn read(&self, path: &str) -> io::Result<Vec<u8>>;
    /// Bytes `[from, from + len)`; fewer where the file ends.
    fn read_at(&self, path: &str, from: u64, len: usize) -> io::Result<Vec<u8>>;
    /// Length, or `None` where there is no such file.
    fn len(&self, path: &str) -> io::Result<Option<u64>>;
    /// Names in a directory, sorted; empty where there is no such directory.
    fn list(&self, dir: &str) -> io::Result<Vec<String>>;
    /// Makes one directory; its parent must exist. `true` if it was not there before.
    fn create_dir(&self, dir: &str) -> io::Result<bool>;
    /// Appends in one write to a file whose length is exactly `at`; `at` 0 may create it.
    fn append(&self, path: &str, at: u64, bytes: &[u8]) -> io::Result<()>;
    /// Creates or replaces a file with this content; not atomic, meant for a temporary name.
    fn write(&self, path: &str, bytes: &[u8]) -> io::Result<()>;
    /// Cuts a file to this length.
    fn truncate(&self, path: &str, len: u64) -> io::Result<()>;
    /// Makes a file's content and length durable (fdatasync).
    fn sync(&self, path: &str) -> io::Result<()>;
    /// Renames over what is there. A directory takes its content along; no directory may stand under its new name.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    /// Removes a file; absent is fine.
    fn remove(&self, path: &str) -> io::Result<()>;
    /// Makes the names in a directory durable.
    fn sync_dir(&self, dir: &str) -> io::Result<()>;
    /// Removes an empty directory; absent is fine.
    fn remove_dir(&self, dir: &str) -> io::Result<()>;
    /// Length of a regular file reached through no link, or `None` where there is nothing of that name. Anything else
    /// under the name is refused with [`io::ErrorKind::InvalidInput`].
    fn regular(&self, path: &str) -> io::Result<Option<u64>> {
        self.len(path)
    }
    /// A file that is read and written in place, made if there is none. Its directory must exist.
    fn paged(&self, path: &str) -> io::Result<Arc<dyn Paged>>;
}

/// A file that is read and written in place; for what can be made again, never for the receipts.
///
/// Nothing is durable before [`sync`](Paged::sync) has returned `Ok`, and until then any part of what was written may
/// be on the disk. One file has one writer; reads may come from several threads at once.
pub trait Paged: Send + Sync {
    /// Length in bytes.
    fn len(&self) -> io::Result<u64>;
    /// Fills `buf` from these bytes on; it is an error if the file ends before.
    fn read_at(&self, at: u64, buf: &mut [u8]) -> io::Result<()>;
    /// Writes over what is there; a file that ends before `at` is filled up with zeros.
    fn write_at(&self, at: u64, bytes: &[u8]) -> io::Result<()>;
    /// Cuts the file, or lengthens it with zeros.
    fn set_len(&self, len: u64) -> io::Result<()>;
    /// Makes content and length durable.
    fn sync(&self) -> io::Result<()>;
    /// Whether the file has no bytes.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }
}

/// Replaces a small file so that after a crash either the old or the new content is there, whole.
pub fn replace(fs: &dyn Fs, path: &str, bytes: &[u8]) -> io::Result<()> {
    let temporary = format!("{path}.tmp");
    fs.write(&temporary, bytes)?;
    fs.sync(&temporary)?;
    fs.rename(&temporary, path)?;
    fs.sync_dir(parent(path))
}

/// Makes sure a directory is there and its name is durable. The name is synced even if the directory was there: a
/// process that died between the two steps left a name that only the page cache knows.
pub fn make_dir(fs: &dyn Fs, dir: &str) -> io::Result<()> {
    fs.create_dir(dir)?;
    fs.sync_dir(parent(dir))
}

/// The directory a path stands in; the home itself is the empty path.
pub fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(dir, _)| dir)
}

/// The real disk.
pub struct Disk {
    home: PathBuf,
    guard: PathBuf,
    /// Handles of files being appended to. A sync must go through the handle that wrote: the kernel reports a
    /// write-back error once for each open file.
    open: Mutex<HashMap<String, File>>,
}

impl Disk {
    /// A disk rooted at `home`, with the guard directory beside it.
    pub fn new(home: impl Into<PathBuf>, guard: impl Into<PathBuf>) -> Self {
        Self { home: home.into(), guard: guard.into(), open: Mutex::new(HashMap::new()) }
    }

    fn path(&self, path: &str) -> PathBuf {
        match path.strip_prefix(GUARD) {
            Some(rest) => self.guard.join(rest.trim_start_matches('/')),
            None => self.home.join(path),
        }
    }

    fn handles(&self) -> std::sync::MutexGuard<'_, HashMap<String, File>> {
        self.open.lock().expect("no holder of this lock panics")
    }
}

fn no_file_of_ours() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file")
}

fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    use std::os::unix::fs::OpenOptionsExt;
    options.mode(0o600)
}

/// Only these few files are written again and again; a home has few scrolls, so few handles.
const HANDLES_MAX: usize = 64;

/// Longest file that is read: a full one of the longest lines.
const FILE_BYTES_MAX: u64 = crate::segments::SEGMENT_LINES << 16;

impl Fs for Disk {
    fn read(&self, path: &str) -> io::Result<Vec<u8>> {
        let path = self.path(path);
        // A pipe would wait for ever, a device would never end; nothing of ours is either.
        let meta = fs::symlink_metadata(&path)?;
        if !meta.is_file() {
            return Err(no_file_of_ours());
        }
        if meta.len() > FILE_BYTES_MAX {
            let what = format!("it has more than {FILE_BYTES_MAX} bytes");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
        }
        fs::read(path)
    }

    fn read_at(&self, path: &str, from: u64, len: usize) -> io::Result<Vec<u8>> {
        let path = self.path(path);
        if !fs::symlink_metadata(&path)?.is_file() {
            return Err(no_file_of_ours());
        }
        let mut file = File::open(path)?;
        file.seek(SeekFrom::Start(from))?;
        let mut bytes = Vec::with_capacity(len);
        file.take(len as u64).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    fn len(&self, path: &str) -> io::Result<Option<u64>> {
        match fs::metadata(self.path(path)) {
            Ok(meta) => Ok(Some(meta.len())),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(e),
        }
    }

    fn list(&self, dir: &str) -> io::Result<Vec<String>> {
        let entries = match fs::read_dir(self.path(dir)) {
            Ok(entries) => entries,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(e) => return Err(e),
        };
        let mut names = Vec::new();
        for entry in entries {
            names.push(entry?.file_name().to_string_lossy().into_owned());
        }
        names.sort_unstable();
        Ok(names)
    }

    fn create_dir(&self, dir: &str) -> io::Result<bool> {
        use std::os::unix::fs::DirBuilderExt;
        match fs::DirBuilder::new().mode(0o700).create(self.path(dir)) {
            Ok(()) => Ok(true),
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            Err(e) => Err(e),
        }
    }

    fn append(&self, path: &str, at: u64, bytes: &[u8]) -> io::Result<()> {
        let mut handles = self.handles();
        if !handles.contains_key(path) {
            if handles.len() >= HANDLES_MAX {
                handles.clear();
            }
            let file =
                private(OpenOptions::new().create(at == 0).append(true)).open(self.path(path))?;
            handles.insert(path.to_owned(), file);
        }
        let file = handles.get_mut(path).expect("inserted above");
        let len = file.metadata()?.len();
        if len != at {
            let what = format!("{path} has {len} bytes where {at} were expected");
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, what));
        }
        file.write_all(bytes)
    }

    fn write(&self, path: &str, bytes: &[u8]) -> io::Result<()> {
        let mut handles = self.handles();
        let there = self.path(path);
        // A pipe would wait for a reader; what follows a link is not this home's.
        if fs::symlink_metadata(&there).is_ok_and(|meta| !meta.is_file()) {
            return Err(no_file_of_ours());
        }
        let mut file =
            private(OpenOptions::new().create(true).write(true).truncate(true)).open(there)?;
        file.write_all(bytes)?;
        handles.insert(path.to_owned(), file);
        Ok(())
    }

    fn truncate(&self, path: &str, len: u64) -> io::Result<()> {
        let mut handles = self.handles();
        // Opened for appending: the handle stays for the next append, which must go to the new end.
        let file = OpenOptions::new().append(true).open(self.path(path))?;
        file.set_len(len)?;
        handles.insert(path.to_owned(), file);
        Ok(())
    }

    fn sync(&self, path: &str) -> io::Result<()> {
        match self.handles().get(path) {
            Some(file) => file.sync_data(),
            None => File::open(self.path(path))?.sync_data(),
        }
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut handles = self.handles();
        // A handle under a directory that moves would write under a name that is another file's by then.
        let below = format!("{from}/");
        handles.retain(|path, _| path != from && path != to && !path.starts_with(&below));
        fs::rename(self.path(from), self.path(to))
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        self.handles().remove(path);
        match fs::remove_file(self.path(path)) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        }
    }

    fn sync_dir(&self, dir: &str) -> io::Result<()> {
        File::open(self.path(dir))?.sync_all()
    }

    fn remove_dir(&self, dir: &str) -> io::Result<()> {
        match fs::remove_dir(self.path(dir)) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        }
    }

    fn regular(&self, path: &str) -> io::Result<Option<u64>> {
        let absent = |e: io::Error| match e.kind() {
            io::ErrorKind::NotFound => Ok(None),
            _ => Err(e),
        };
        // A link anywhere on the way would lead out of the home.
        for (cut, _) in path.match_indices('/') {
            match fs::symlink_metadata(self.path(&path[..cut])) {
                Ok(meta) if meta.is_dir() => {}
                Ok(_) => {
                    let what = format!("{} is not a folder of this home", &path[..cut]);
                    return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
                }
                Err(e) => return absent(e),
            }
        }
        match fs::symlink_metadata(self.path(path)) {
            Ok(meta) if meta.is_file() => Ok(Some(meta.len())),
            Ok(_) => Err(no_file_of_ours()),
            Err(e) => absent(e),
        }
    }

    fn paged(&self, path: &str) -> io::Result<Arc<dyn Paged>> {
        let there = self.path(path);
        if fs::symlink_metadata(&there).is_ok_and(|meta| !meta.is_file()) {
            return Err(no_file_of_ours());
        }
        let mut options = OpenOptions::new();
        let options = options.read(true).write(true).create(true).truncate(false);
        Ok(Arc::new(DiskPaged(private(options).open(there)?)))
    }
}

/// A file of the real disk that is written in place.
struct DiskPaged(File);

impl Paged for DiskPaged {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn read_at(&self, at: u64, buf: &mut [u8]) -> io::Result<()> {
        self.0.read_exact_at(buf, at)
    }

    fn write_at(&self, at: u64, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all_at(bytes, at)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn sync(&self) -> io::Result<()> {
        self.0.sync_data()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_append_at_the_wrong_length_writes_nothing() {
        let home = tempfile::tempdir().unwrap();
        let disk = Disk::new(home.path(), home.path().join("g"));
        disk.append("a", 0, b"one\n").unwrap();
        disk.append("a", 4, b"two\n").unwrap();
        let wrong = disk.append("a", 4, b"twice\n").unwrap_err();
        assert_eq!(wrong.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(disk.read("a").unwrap(), b"one\ntwo\n");
    }

    #[test]
    fn a_cut_file_takes_the_next_append_at_its_new_end() {
        let home = tempfile::tempdir().unwrap();
        let disk = Disk::new(home.path(), home.path().join("g"));
        disk.append("a", 0, b"0123456789").unwrap();
        disk.truncate("a", 4).unwrap();
        disk.sync("a").unwrap();
        disk.append("a", 4, b"x").unwrap();
        assert_eq!(disk.read("a").unwrap(), b"0123x");
    }

    #[test]
    fn a_replaced_file_is_new_and_leaves_no_temporary_name() {
        let home = tempfile::tempdir().unwrap();
        let disk = Disk::new(home.path(), home.path().join("g"));
        replace(&disk, "r", b"1").unwrap();
        replace(&disk, "r", b"2").unwrap();
        assert_eq!(disk.read("r").unwrap(), b"2");
        assert_eq!(disk.list("").unwrap(), ["r"]);
    }
}
