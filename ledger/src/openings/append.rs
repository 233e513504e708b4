//! Appending records to their pages, durably or not at all.

use super::page::{self, Content};
use super::{KEYRING, Kept, Opening, Openings, Page, check_name, keys, read_failed};
use crate::fs::{Fs, make_dir};
use crate::recover::{NO_SPACE, QUARANTINE, is_full};
use std::collections::BTreeMap;
use std::io;
use vm_contracts::{Failure, Refusal, RefusalKind};

/// Bytes copied at a time.
const COPY: usize = 1 << 20;

/// A step that failed, and what it was working on.
enum Broken {
    /// Nothing was written.
    Failure(Failure),
    /// A write without space; what it left is cut back.
    Full(String),
    /// Anything else.
    Unknown(String),
}

impl From<Failure> for Broken {
    fn from(failure: Failure) -> Self {
        Broken::Failure(failure)
    }
}

/// Of a failed step in which a lack of space leaves nothing that matters.
fn broken(path: &str) -> impl Fn(io::Error) -> Broken + '_ {
    move |e| match is_full(&e) {
        true => Broken::Full(format!("{path}: {e}")),
        false => Broken::Unknown(format!("{path}: {e}")),
    }
}

/// Of a failed sync: whatever the reason, nobody knows what is on the disk.
fn unsynced(path: &str) -> impl Fn(io::Error) -> Broken + '_ {
    move |e| Broken::Unknown(format!("{path}: {e}"))
}

impl Openings {
    /// Puts records into their pages, durably. One write and one sync for each page.
    pub fn append(&mut self, scroll: &str, records: &[Opening]) -> Kept {
        if let Some(why) = &self.stopped {
            return Kept::Unknown(why.clone());
        }
        if records.is_empty() {
            return Kept::Yes;
        }
        let done = sorted(scroll, records).map_err(Broken::from).and_then(|pages| {
            self.ensure_key()?;
            self.write_pages(scroll, &pages)
        });
        match done {
            Ok(()) => Kept::Yes,
            Err(Broken::Full(what)) => Kept::Full(what),
            Err(Broken::Failure(Failure::Fault(f))) if f.code == NO_SPACE => Kept::Full(f.message),
            Err(Broken::Failure(Failure::Lost(lost))) => Kept::Unknown(lost.message),
            Err(Broken::Failure(failure)) => Kept::Failed(failure),
            Err(Broken::Unknown(what)) => {
                self.stop(what.clone());
                Kept::Unknown(what)
            }
        }
    }

    fn write_pages(&mut self, scroll: &str, pages: &[(u64, Vec<Content>)]) -> Result<(), Broken> {
        for dir in ["openings".to_owned(), page::dir(scroll)] {
            self.make_dir_once(&dir).map_err(broken(&dir))?;
        }
        // All pages are made ready before the first is written, so that a refusal has written nothing.
        for (first, _) in pages {
            let settled = self.settle(scroll, *first);
            if settled.is_err() {
                // Its file may be the old one or the copy.
                let path = page::path(scroll, *first);
                self.pages.retain(|page| page.path != path);
            }
            settled?;
        }
        let mut written = Vec::new();
        for (first, contents) in pages {
            let page = self.page_to_write(scroll, *first)?;
            written.push((page.path.clone(), page.end));
            let done = self.write_page(scroll, *first, contents);
            if let Err(Broken::Full(_) | Broken::Failure(_)) = &done {
                self.cut_back(scroll, &written).map_err(|e| {
                    Broken::Unknown(format!("{scroll}: cutting back what was written failed: {e}"))
                })?;
            }
            done?;
        }
        Ok(())
    }

    fn write_page(&mut self, scroll: &str, first: u64, contents: &[Content]) -> Result<(), Broken> {
        let (fs, entropy) = (self.fs.clone(), self.entropy.clone());
        let page = self.page_to_write(scroll, first)?;
        let at = page.end;
        let (bytes, frames) = page.binding.frames(at, contents, &*entropy);
        fs.append(&page.path, at, &bytes).map_err(broken(&page.path))?;
        fs.sync(&page.path).map_err(unsynced(&page.path))?;
        if at == 0 {
            fs.sync_dir(&page::dir(scroll)).map_err(unsynced(&page.path))?;
        }
        page.end += bytes.len() as u64;
        page.len = page.end;
        page.frames.extend(frames);
        Ok(())
    }

    /// After a write that found no space: takes back what stands of the append, durably.
    fn cut_back(&mut self, scroll: &str, written: &[(String, u64)]) -> io::Result<()> {
        for (path, before) in written {
            self.pages.retain(|page| page.path != *path);
            match self.fs.regular(path)? {
                Some(_) if *before == 0 => {
                    self.settled.remove(path);
                    self.fs.remove(path)?;
                    self.fs.sync_dir(&page::dir(scroll))?;
                }
                Some(_) => {
                    self.fs.truncate(path, *before)?;
                    self.fs.sync(path)?;
                }
                None => {}
            }
        }
        Ok(())
    }

    fn page_to_write(&mut self, scroll: &str, first: u64) -> Result<&mut Page, Failure> {
        let at = self.load(scroll, first)?;
        Ok(&mut self.pages[at])
    }

    /// Makes a page ready for the first append of this process.
    ///
    /// A page that is there is copied to a new, synced file: after a failed sync of a process before, the page cache may
    /// show frames that the disk never took, and a hole among frames would follow. A tear is set aside on the way. A
    /// page that is not there gets a key, and the keyring is written even if it holds one: the write before may be
    /// known to the page cache only.
    fn settle(&mut self, scroll: &str, first: u64) -> Result<(), Broken> {
        let path = page::path(scroll, first);
        if self.settled.contains(&path) {
            return Ok(());
        }
        let fs = self.fs.clone();
        match fs.regular(&path).map_err(|e| read_failed(&path, &e))? {
            None | Some(0) => self.new_key(scroll, first)?,
            Some(_) => {
                let page = self.page_to_write(scroll, first)?;
                let (end, len) = (page.end, page.len);
                if len > end {
                    set_aside(&*fs, scroll, first, (end, len)).map_err(broken(QUARANTINE))?;
                }
                let fresh = format!("{path}.new");
                copy(&*fs, &path, (0, end), &fresh)
                    .and_then(|()| fs.rename(&fresh, &path))
                    .and_then(|()| fs.sync_dir(&page::dir(scroll)))
                    .map_err(broken(&path))?;
                self.page_to_write(scroll, first)?.len = end;
            }
        }
        self.settled.insert(path);
        Ok(())
    }

    fn new_key(&mut self, scroll: &str, first: u64) -> Result<(), Broken> {
        let (fs, entropy) = (self.fs.clone(), self.entropy.clone());
        let ledger = self.ledger.clone();
        let page = keys::Page { ledger: &ledger, scroll, first };
        let keys = self.keys.as_ref().expect("append ensures the key");
        let keyring = self.keyring.as_mut().expect("append ensures the keyring");
        if keyring.get(keys, &page)?.is_none() {
            keyring.add(keys, &page, &*entropy);
        }
        let saved = keyring.save(&*fs);
        saved.map_err(broken(KEYRING))
    }
}

/// Records by page, cut into frames; nothing is written yet.
fn sorted(scroll: &str, records: &[Opening]) -> Result<Vec<(u64, Vec<Content>)>, Failure> {
    check_name(scroll)?;
    let mut pages: BTreeMap<u64, Vec<&Opening>> = BTreeMap::new();
    for record in records {
        pages.entry(page::first_of(record.seq)).or_default().push(record);
    }
    let cut = |(first, records): (u64, Vec<&Opening>)| match page::contents(&records) {
        Ok(contents) => Ok((first, contents)),
        Err(seq) => Err(Refusal::new(
            "openings_too_large",
            RefusalKind::TooLarge,
            format!("the private values of the call at {scroll}/{seq} have more than 16 MiB"),
        )
        .hint("Give large values as files.")
        .into()),
    };
    pages.into_iter().map(cut).collect()
}

/// Copies the bytes `[from, to)` of a file to another, synced.
fn copy(fs: &dyn Fs, path: &str, range: (u64, u64), target: &str) -> io::Result<()> {
    let copied = copy_bytes(fs, path, range, target).and_then(|()| fs.sync(target));
    if copied.is_err() {
        // A half copy would only take space; the error told is the first one.
        let _ = fs.remove(target);
    }
    copied
}

fn copy_bytes(fs: &dyn Fs, path: &str, (from, to): (u64, u64), target: &str) -> io::Result<()> {
    fs.write(target, b"")?;
    let (mut at, mut put) = (from, 0);
    while at < to {
        let len = usize::try_from(to - at).unwrap_or(COPY).min(COPY);
        let bytes = fs.read_at(path, at, len)?;
        if bytes.is_empty() {
            return Err(io::Error::other(format!("{path} became shorter while it was copied")));
        }
        fs.append(target, put, &bytes)?;
        at += bytes.len() as u64;
        put += bytes.len() as u64;
    }
    Ok(())
}

/// Keeps the tear of a page under a name that is still free.
fn set_aside(fs: &dyn Fs, scroll: &str, first: u64, tear: (u64, u64)) -> io::Result<()> {
    make_dir(fs, QUARANTINE)?;
    let taken = fs.list(QUARANTINE)?;
    let name = (0u32..)
        .map(|n| format!("openings.{scroll}.{first:020}.{n}.cut"))
        .find(|name| !taken.contains(name))
        .expect("there are more numbers than files");
    copy(fs, &page::path(scroll, first), tear, &format!("{QUARANTINE}/{name}"))?;
    fs.sync_dir(QUARANTINE)
}
