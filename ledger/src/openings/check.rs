//! Everything under `openings/` of one scroll, read once: for `vm fsck`.

use super::page::{self, Walked};
use super::{FileKey, Openings, PAGE_RECEIPTS, files};
use std::collections::BTreeMap;
use std::io;
use vm_contracts::Failure;

/// Something about the openings that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flaw {
    /// Path relative to the home.
    pub file: String,
    /// Byte offset in the file, where there is one.
    pub byte: Option<u64>,
    /// What was found.
    pub what: String,
    /// Worth knowing only: what crashes leave, and the next write or nobody minds.
    pub harmless: bool,
}

impl Flaw {
    fn bad(file: &str, byte: Option<u64>, what: impl Into<String>) -> Self {
        Self { file: file.to_owned(), byte, what: what.into(), harmless: false }
    }

    fn note(file: &str, byte: Option<u64>, what: impl Into<String>) -> Self {
        Self { harmless: true, ..Self::bad(file, byte, what) }
    }

    fn of(failure: &Failure, file: &str) -> Self {
        match failure {
            Failure::Corrupt(c) => Self::bad(&c.file, c.byte, c.claim.clone()),
            other => Self::bad(file, None, other.to_string()),
        }
    }
}

/// Keys of the private files of a scroll, by call and name. A file that was written again has several.
type FileKeys = BTreeMap<(String, String), Vec<(u64, FileKey)>>;

impl Openings {
    /// Reads every page and every private file of a scroll of `size` lines; writes nothing. Whether an opening is
    /// missing only its line can tell, so it is not said here.
    pub fn check(&mut self, scroll: &str, size: u64) -> Vec<Flaw> {
        let dir = page::dir(scroll);
        let names = match super::check_name(scroll).map(|()| self.fs.list(&dir)) {
            Ok(Ok(names)) => names,
            Ok(Err(e)) => return vec![Flaw::bad(&dir, None, format!("cannot list it: {e}"))],
            Err(e) => return vec![Flaw::of(&e, &dir)],
        };
        let (mut flaws, mut keys) = (Vec::new(), FileKeys::new());
        let mut unread = false;
        for name in names.iter().filter(|name| *name != "files") {
            let path = format!("{dir}/{name}");
            match first_in(name) {
                Some(first) => match self.check_page(scroll, first, size, &mut flaws) {
                    Ok(walked) => {
                        unread |= !walked.damage.is_empty();
                        for (seq, key) in walked.files {
                            let name = (key.id.clone(), key.name.clone());
                            keys.entry(name).or_default().push((seq, key));
                        }
                    }
                    Err(e) => {
                        unread = true;
                        flaws.push(Flaw::of(&e, &path));
                    }
                },
                None => flaws.push(Flaw::note(
                    &path,
                    None,
                    "it is no page; a write that did not come to its end leaves such a file",
                )),
            }
        }
        self.check_files(scroll, size, &keys, &mut flaws);
        if let Err(e) = self.files_without_key(scroll, &keys, unread, &mut flaws) {
            flaws.push(Flaw::bad(&files::folder(scroll), None, format!("cannot list it: {e}")));
        }
        flaws
    }

    fn check_page(
        &mut self,
        scroll: &str,
        first: u64,
        size: u64,
        flaws: &mut Vec<Flaw>,
    ) -> Result<Walked, Failure> {
        let path = page::path(scroll, first);
        let read_failed = |e: io::Error| super::read_failed(&path, &e);
        if self.fs.regular(&path).map_err(read_failed)?.unwrap_or(0) == 0 {
            return Ok(Walked::default());
        }
        let binding = self.binding(scroll, first)?;
        let walked = page::walk(&*self.fs, &path, &binding).map_err(read_failed)?;
        flaws.extend(walked.damage.iter().map(|d| Flaw::bad(&path, Some(d.at), d.what)));
        if walked.end < walked.len {
            let tear = walked.len - walked.end;
            let what = format!(
                "its last {tear} bytes are a write that did not come to its end; the next one sets them aside"
            );
            flaws.push(Flaw::note(&path, Some(walked.end), what));
        }
        for frame in walked.frames.iter().filter(|f| f.seqs.iter().any(|seq| *seq >= size)) {
            let what = "it holds values of a call that was never committed";
            flaws.push(Flaw::note(&path, Some(frame.at), what));
        }
        Ok(walked)
    }

    fn check_files(&mut self, scroll: &str, size: u64, keys: &FileKeys, flaws: &mut Vec<Flaw>) {
        for ((id, name), keys) in keys {
            let mut first = None;
            let opens = keys.iter().any(|(_, key)| {
                let opened = self.open_file(scroll, key, &mut io::sink());
                opened.map_err(|e| first.get_or_insert(e).clone()).is_ok()
            });
            if let Some(e) = first.filter(|_| !opens) {
                let harmless = keys.iter().all(|(seq, _)| *seq >= size);
                flaws.push(Flaw { harmless, ..Flaw::of(&e, &files::path(scroll, id, name)) });
            }
        }
    }

    fn files_without_key(
        &self,
        scroll: &str,
        keys: &FileKeys,
        unread: bool,
        flaws: &mut Vec<Flaw>,
    ) -> io::Result<()> {
        for id in self.fs.list(&files::folder(scroll))? {
            for name in files::listed(&*self.fs, &files::dir(scroll, &id))? {
                let path = files::path(scroll, &id, &name);
                if keys.contains_key(&(id.clone(), name)) {
                    continue;
                }
                flaws.push(match unread {
                    true => Flaw::bad(&path, None, "no page that can be read holds its key"),
                    false => Flaw::note(
                        &path,
                        None,
                        "no page holds its key: its run is open, or was never sealed",
                    ),
                });
            }
        }
        Ok(())
    }
}

/// The first sequence number of the page of this name.
fn first_in(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(".page").filter(|d| d.len() == 20)?;
    let first: u64 = digits.parse().ok()?;
    (first.is_multiple_of(PAGE_RECEIPTS) && format!("{first:020}") == digits).then_some(first)
}
