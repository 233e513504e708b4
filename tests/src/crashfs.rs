//! A file system in memory that crashes: it promises no more than POSIX does.
//!
//! Each file has bytes that readers see and bytes that the disk holds; a sync moves 512-byte blocks from one to the
//! other. Names wait for a directory sync in the same way. A crash picks, independently, which waiting blocks,
//! lengths and names had reached the disk: [`crash_states`] walks all picks where they are few and samples them where
//! they are many.
//!
//! After a failed sync the blocks are marked clean although the disk may not have taken them: readers go on seeing
//! them, a later sync answers `Ok`, and a crash shows what the disk really holds. Names are kinder: a failed
//! directory sync leaves them waiting, because a file system with a journal either commits them later or goes
//! read-only.

mod image;
mod paged;

pub use image::{BLOCK, Image, crash_states};

use crate::world::Dice;
use image::{Change, Node, below, missing};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};
use vm_ledger::fs::{Fs, Paged, parent};

/// What goes wrong, and when. Calls of the trait are counted from 0, reads included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Trouble {
    /// This call fails with an input/output error.
    pub eio_at: Option<u64>,
    /// From this call on the disk has only `room` bytes left.
    pub full_from: Option<u64>,
    /// Bytes left then.
    pub room: usize,
}

struct Inside {
    image: Image,
    /// The image before each changing call.
    trail: Option<Vec<Image>>,
    trouble: Trouble,
    calls: u64,
    changes: u64,
    dice: Dice,
    /// Whether the disk writes blocks back by itself now and then.
    writes_back: bool,
    /// Whether each call is printed.
    told: bool,
}

/// The crashing file system.
pub struct CrashFs {
    shared: Arc<Shared>,
}

/// What the file system and its files written in place have in common.
struct Shared(Mutex<Inside>);

impl CrashFs {
    /// A file system that begins with this image.
    pub fn new(image: Image, seed: u64) -> Self {
        let inside = Inside {
            image,
            trail: None,
            trouble: Trouble::default(),
            calls: 0,
            changes: 0,
            dice: Dice::new(seed),
            writes_back: false,
            told: std::env::var_os("VM_TELL").is_some(),
        };
        Self { shared: Arc::new(Shared(Mutex::new(inside))) }
    }

    /// Remembers the image before each changing call from now on.
    pub fn recording(self) -> Self {
        self.inside().trail = Some(Vec::new());
        self
    }

    /// Lets the disk write blocks back by itself.
    pub fn writing_back(self) -> Self {
        self.inside().writes_back = true;
        self
    }

    /// Prepares trouble, counted from the next call.
    pub fn trouble(&self, trouble: Trouble) {
        let mut inside = self.inside();
        inside.calls = 0;
        inside.trouble = trouble;
    }

    /// Number of calls since the last [`CrashFs::trouble`].
    pub fn calls(&self) -> u64 {
        self.inside().calls
    }

    /// Number of changing calls.
    pub fn changes(&self) -> u64 {
        self.inside().changes
    }

    /// Writes at any place of a file, as a database does.
    pub fn write_at(&self, path: &str, at: usize, bytes: &[u8]) -> io::Result<()> {
        let mut inside = self.change_call();
        inside.count("write_at", path)?;
        inside.image.file(path)?.put(at, bytes);
        Ok(())
    }

    /// Cuts a file, or lengthens it with zeros.
    pub fn set_len(&self, path: &str, len: usize) -> io::Result<()> {
        let old = self.image().read(path).ok_or_else(|| missing(path))?.len();
        match len > old {
            true => self.write_at(path, old, &vec![0; len - old]),
            false => self.truncate(path, len as u64),
        }
    }

    /// A sync that fails: some of what waits arrives, and all of it counts as written from then on.
    pub fn fail_sync(&self, path: &str) -> io::Result<()> {
        let mut inside = self.change_call();
        inside.count("failing sync", path)?;
        let mut dice = inside.dice.clone();
        inside.image.file(path)?.fail_sync(&mut dice);
        inside.dice = dice;
        Ok(())
    }

    /// The image now.
    pub fn image(&self) -> Image {
        self.inside().image.clone()
    }

    /// Takes the images before each changing call, and the last one.
    pub fn take_trail(&self) -> Vec<Image> {
        let mut inside = self.inside();
        let mut trail = inside.trail.take().unwrap_or_default();
        trail.push(inside.image.clone());
        trail
    }

    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.shared.inside()
    }

    fn read_call(&self, what: &str, path: &str) -> io::Result<MutexGuard<'_, Inside>> {
        self.shared.read_call(what, path)
    }

    fn change_call(&self) -> MutexGuard<'_, Inside> {
        self.shared.change_call()
    }
}

impl Shared {
    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.0.lock().expect("no holder of this lock panics")
    }

    fn read_call(&self, what: &str, path: &str) -> io::Result<MutexGuard<'_, Inside>> {
        let mut inside = self.inside();
        inside.count(what, path)?;
        Ok(inside)
    }

    fn change_call(&self) -> MutexGuard<'_, Inside> {
        let mut inside = self.inside();
        inside.changes += 1;
        if inside.trail.is_some() {
            let image = inside.image.clone();
            inside.trail.get_or_insert_with(Vec::new).push(image);
        }
        inside
    }
}

impl Inside {
    fn count(&mut self, what: &str, path: &str) -> io::Result<()> {
        if self.told {
            println!("    call {}, change {}: {what} {path}", self.calls, self.changes);
        }
        self.calls += 1;
        match self.trouble.eio_at == Some(self.calls - 1) {
            true => Err(io::Error::other(format!("{path}: input/output error (planted)"))),
            false => Ok(()),
        }
    }

    /// How many of these bytes still fit.
    fn fits(&mut self, bytes: usize) -> usize {
        match self.trouble.full_from {
            Some(from) if self.calls > from => {
                let taken = bytes.min(self.trouble.room);
                self.trouble.room -= taken;
                taken
            }
            _ => bytes,
        }
    }

    fn freed(&mut self, bytes: usize) {
        if self.trouble.full_from.is_some_and(|from| self.calls > from) {
            self.trouble.room += bytes;
        }
    }

    /// The disk takes some blocks by itself.
    fn write_back(&mut self, path: &str) {
        if let Some(number) = self.image.number(path) {
            self.write_back_numbered(number);
        }
    }

    fn write_back_numbered(&mut self, number: u64) {
        if !self.writes_back || self.dice.below(3) != 0 {
            return;
        }
        let mut dice = self.dice.clone();
        if let Some(file) = self.image.numbered(number) {
            let blocks: Vec<usize> =
                file.dirty.iter().copied().filter(|_| dice.below(2) == 0).collect();
            file.take_early(&blocks);
        }
        self.dice = dice;
    }
}

fn full(path: &str) -> io::Error {
    io::Error::new(io::ErrorKind::StorageFull, format!("{path}: no space left (planted)"))
}

impl Fs for CrashFs {
    fn read(&self, path: &str) -> io::Result<Vec<u8>> {
        let inside = self.read_call("read", path)?;
        inside.image.read(path).map(|bytes| bytes.to_vec()).ok_or_else(|| missing(path))
    }

    fn read_at(&self, path: &str, from: u64, len: usize) -> io::Result<Vec<u8>> {
        let inside = self.read_call("read_at", path)?;
        let bytes = inside.image.read(path).ok_or_else(|| missing(path))?;
        let from = usize::try_from(from).unwrap_or(usize::MAX).min(bytes.len());
        let to = from.saturating_add(len).min(bytes.len());
        Ok(bytes[from..to].to_vec())
    }

    fn len(&self, path: &str) -> io::Result<Option<u64>> {
        let inside = self.read_call("len", path)?;
        Ok(inside.image.read(path).map(|bytes| bytes.len() as u64))
    }

    fn list(&self, dir: &str) -> io::Result<Vec<String>> {
        let inside = self.read_call("list", dir)?;
        let here = inside.image.names.keys().filter(|path| parent(path) == dir);
        Ok(here.map(|path| path.rsplit('/').next().unwrap_or(path).to_owned()).collect())
    }

    fn create_dir(&self, dir: &str) -> io::Result<bool> {
        let mut inside = self.change_call();
        inside.count("create_dir", dir)?;
        let above = parent(dir);
        if !above.is_empty() && inside.image.names.get(above) != Some(&Node::Directory) {
            return Err(missing(above));
        }
        if inside.image.names.contains_key(dir) {
            return Ok(false);
        }
        if inside.fits(1) == 0 {
            return Err(full(dir));
        }
        inside.image.change(Change::Put(dir.to_owned(), Node::Directory));
        Ok(true)
    }

    fn append(&self, path: &str, at: u64, bytes: &[u8]) -> io::Result<()> {
        let mut inside = self.change_call();
        inside.count("append", path)?;
        let len = inside.image.read(path).map(|b| b.len() as u64);
        if len.unwrap_or(0) != at || (len.is_none() && at != 0) {
            let what = format!("{path} has {len:?} bytes where {at} were expected");
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, what));
        }
        let fits = inside.fits(bytes.len());
        if len.is_none() {
            inside.image.create(path)?;
        }
        inside.image.file(path)?.append(&bytes[..fits]);
        inside.write_back(path);
        match fits == bytes.len() {
            true => Ok(()),
            false => Err(full(path)),
        }
    }

    fn write(&self, path: &str, bytes: &[u8]) -> io::Result<()> {
        let mut inside = self.change_call();
        inside.count("write", path)?;
        match inside.image.read(path) {
            None => inside.image.create(path)?,
            Some(old) => {
                inside.freed(old.len());
                inside.image.file(path)?.truncate(0);
            }
        }
        let fits = inside.fits(bytes.len());
        inside.image.file(path)?.append(&bytes[..fits]);
        inside.write_back(path);
        match fits == bytes.len() {
            true => Ok(()),
            false => Err(full(path)),
        }
    }

    fn truncate(&self, path: &str, len: u64) -> io::Result<()> {
        let mut inside = self.change_call();
        inside.count("truncate", path)?;
        let before = inside.image.read(path).ok_or_else(|| missing(path))?.len();
        let len = usize::try_from(len).unwrap_or(usize::MAX);
        if len > before {
            return Err(io::Error::other(format!("{path} is only cut, never grown")));
        }
        inside.freed(before - len);
        inside.image.file(path)?.truncate(len);
        Ok(())
    }

    fn sync(&self, path: &str) -> io::Result<()> {
        let mut inside = self.change_call();
        if let Err(e) = inside.count("sync", path) {
            let mut dice = inside.dice.clone();
            if let Ok(file) = inside.image.file(path) {
                file.fail_sync(&mut dice);
            }
            inside.dice = dice;
            return Err(e);
        }
        inside.image.file(path)?.sync();
        Ok(())
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut inside = self.change_call();
        inside.count("rename", from)?;
        let node = inside.image.names.get(from).copied().ok_or_else(|| missing(from))?;
        let taken = inside.image.names.get(to) == Some(&Node::Directory)
            || (node == Node::Directory && inside.image.names.contains_key(to));
        if taken {
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, format!("{to} is there")));
        }
        let above = parent(to);
        if !above.is_empty() && inside.image.names.get(above) != Some(&Node::Directory) {
            return Err(missing(above));
        }
        let (from, to) = (from.to_owned(), to.to_owned());
        inside.image.change(Change::Move { from, to, node, synced: None });
        Ok(())
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        let mut inside = self.change_call();
        inside.count("remove", path)?;
        if let Some(bytes) = inside.image.read(path) {
            inside.freed(bytes.len());
            inside.image.change(Change::Drop(path.to_owned()));
        }
        Ok(())
    }

    fn sync_dir(&self, dir: &str) -> io::Result<()> {
        let mut inside = self.change_call();
        inside.count("sync_dir", dir)?;
        let image = &mut inside.image;
        if !dir.is_empty() && image.names.get(dir) != Some(&Node::Directory) {
            return Err(missing(dir));
        }
        for mut change in std::mem::take(&mut image.waiting) {
            match change.settles(dir) {
                true => change.apply(Arc::make_mut(&mut image.held)),
                false => image.waiting.push(change),
            }
        }
        Ok(())
    }

    fn remove_dir(&self, dir: &str) -> io::Result<()> {
        let mut inside = self.change_call();
        inside.count("remove_dir", dir)?;
        if below(&inside.image.names, dir).next().is_some() {
            return Err(io::Error::new(io::ErrorKind::DirectoryNotEmpty, dir.to_owned()));
        }
        if inside.image.names.get(dir) == Some(&Node::Directory) {
            inside.image.change(Change::Drop(dir.to_owned()));
        }
        Ok(())
    }

    fn paged(&self, path: &str) -> io::Result<Arc<dyn Paged>> {
        let mut inside = self.change_call();
        inside.count("paged", path)?;
        if inside.image.read(path).is_none() {
            if inside.fits(1) == 0 {
                return Err(full(path));
            }
            inside.image.create(path)?;
        }
        let number = inside.image.number(path).ok_or_else(|| missing(path))?;
        Ok(Arc::new(paged::CrashPaged::new(self.shared.clone(), number, path)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fs() -> CrashFs {
        CrashFs::new(Image::default(), 1)
    }

    #[test]
    fn what_was_not_synced_may_be_lost_kept_or_torn() {
        let fs = fs();
        fs.append("a", 0, b"old\n").unwrap();
        fs.sync("a").unwrap();
        fs.sync_dir("").unwrap();
        fs.append("a", 4, &[b'x'; 1500]).unwrap();
        let states = crash_states(&fs.image(), 1_000, &mut Dice::new(1));
        let contents: Vec<_> = states.iter().map(|s| s.read("a").unwrap()).collect();
        assert!(contents.iter().all(|c| c.starts_with(b"old\n")));
        assert!(contents.iter().any(|c| c.len() == 4), "lost");
        assert!(contents.iter().any(|c| c.len() == 1504 && !c.contains(&0)), "kept");
        let torn = |c: &&Arc<Vec<u8>>| c.len() == 1504 && c[600] == 0 && c[1100] == b'x';
        assert!(contents.iter().any(|c| torn(&c)), "torn in the middle");
    }

    #[test]
    fn a_name_waits_for_its_directory() {
        let fs = fs();
        fs.create_dir("d").unwrap();
        fs.append("d/a", 0, b"1").unwrap();
        fs.sync("d/a").unwrap();
        fs.sync_dir("d").unwrap();
        assert_eq!(fs.image().all_lost().read("d/a"), None, "the directory's own name waits");
        fs.sync_dir("").unwrap();
        assert_eq!(*fs.image().all_lost().read("d/a").unwrap(), b"1");
        fs.rename("d/a", "d/b").unwrap();
        assert!(fs.image().all_lost().read("d/a").is_some());
        assert!(fs.image().all_kept().read("d/b").is_some());
    }

    #[test]
    fn a_directory_moves_whole_and_waits_for_both_of_its_directories() {
        let fs = fs();
        for dir in ["runs", "cases", "runs/a", "runs/a/out"] {
            fs.create_dir(dir).unwrap();
        }
        for file in ["runs/a/f", "runs/a/out/g"] {
            fs.append(file, 0, b"1").unwrap();
            fs.sync(file).unwrap();
        }
        ["runs/a/out", "runs/a", "runs", ""].iter().for_each(|dir| fs.sync_dir(dir).unwrap());
        fs.rename("runs/a", "cases/a").unwrap();
        assert_eq!(fs.read("cases/a/out/g").unwrap(), b"1");
        assert!(fs.list("runs").unwrap().is_empty());
        fs.sync_dir("cases").unwrap();
        fs.sync_dir("cases").unwrap();
        let both = [fs.image().all_lost(), fs.image().all_kept()];
        assert!(both[0].read("runs/a/out/g").is_some() && both[0].read("cases/a/f").is_none());
        assert!(both[1].read("cases/a/out/g").is_some() && both[1].read("runs/a/f").is_none());
        fs.sync_dir("runs").unwrap();
        assert!(fs.image().all_lost().read("cases/a/out/g").is_some());
        assert!(fs.image().is_settled());
        fs.remove_dir("cases/a").unwrap_err();
    }

    #[test]
    fn after_a_failed_sync_readers_see_what_the_disk_never_took() {
        let lies = (0..64).filter(|seed| {
            let fs = CrashFs::new(Image::default(), *seed);
            fs.append("a", 0, b"1").unwrap();
            fs.sync("a").unwrap();
            fs.sync_dir("").unwrap();
            fs.append("a", 1, b"2").unwrap();
            fs.trouble(Trouble { eio_at: Some(0), ..Trouble::default() });
            fs.sync("a").unwrap_err();
            assert_eq!(fs.read("a").unwrap(), b"12");
            fs.sync("a").unwrap();
            *fs.image().all_kept().read("a").unwrap() == b"1"
        });
        assert!(lies.count() > 8);
    }

    #[test]
    fn a_full_disk_takes_part_of_an_append() {
        let fs = fs();
        fs.append("a", 0, b"1").unwrap();
        fs.trouble(Trouble { full_from: Some(0), room: 3, ..Trouble::default() });
        let e = fs.append("a", 1, b"23456").unwrap_err();
        assert_eq!(e.kind(), io::ErrorKind::StorageFull);
        assert_eq!(fs.read("a").unwrap(), b"1234");
        fs.truncate("a", 1).unwrap();
        fs.append("a", 1, b"xyz").unwrap();
    }
}
