//! Receipt lines on disk: `receipts/<scroll>/<first sequence number, 20 digits>.jsonl`, a new file every 2^16 lines.

use crate::fs::{Fs, make_dir};
use crate::store::{Created, Store};
use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex};
use vm_contracts::Fault;
use vm_receipts::line::LINE_MAX;

/// Lines of a full file: the leaves of one level-1 tile.
pub const SEGMENT_LINES: u64 = 1 << 16;

/// Path of the file that begins with this sequence number.
pub fn segment_path(scroll: &str, first: u64) -> String {
    format!("receipts/{scroll}/{first:020}.jsonl")
}

/// Directory of a scroll's files.
pub fn scroll_dir(scroll: &str) -> String {
    format!("receipts/{scroll}")
}

/// Where older lines begin: what an index knows.
pub trait Places: Send + Sync {
    /// The byte at which each of these lines begins in its file; `None` where that is not known.
    fn starts(&self, from: u64, count: usize) -> Option<Vec<u32>>;
}

/// Where the lines of one scroll lie. All files but the last are full, so the file of a line follows from its number;
/// where in the file it begins is kept here for newer lines, and by an index for older ones.
#[derive(Clone)]
pub struct Layout {
    /// Lines of a full file.
    per_file: u64,
    len: u64,
    /// Bytes there are in the file that the next line goes into.
    end: u64,
    /// The first line whose place is kept here.
    from: u64,
    /// A full file of the longest lines has 2^32 bytes, so each line begins below that.
    starts: Vec<u32>,
    older: Option<Arc<dyn Places>>,
}

impl Default for Layout {
    fn default() -> Self {
        Self::new(SEGMENT_LINES)
    }
}

impl Layout {
    /// No lines yet, in files that will hold this many each; every released home has [`SEGMENT_LINES`].
    pub fn new(per_file: u64) -> Self {
        Self { per_file, len: 0, end: 0, from: 0, starts: Vec::new(), older: None }
    }

    /// So many lines whose places `older` knows; the file that the next one goes into has `end` bytes.
    pub fn beyond(per_file: u64, len: u64, end: u64, older: Arc<dyn Places>) -> Self {
        Self { per_file, len, end, from: len, starts: Vec::new(), older: Some(older) }
    }

    /// Number of lines.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether there are no lines.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Bytes there are in the file that the next line goes into.
    pub fn end(&self) -> u64 {
        self.end
    }

    /// The first line whose place is kept here, and the places.
    pub fn newer(&self) -> (u64, &[u32]) {
        (self.from, &self.starts)
    }

    /// Takes in lines of these lengths, ends included, after those already known.
    pub fn extend(&mut self, line_lengths: impl Iterator<Item = u64>) {
        for length in line_lengths {
            self.starts.push(u32::try_from(self.end).unwrap_or(u32::MAX));
            self.len += 1;
            self.end = if self.len.is_multiple_of(self.per_file) { 0 } else { self.end + length };
        }
    }

    /// Forgets all lines from `keep` on; their places must be kept here.
    pub fn truncate(&mut self, keep: u64) {
        let kept = usize::try_from(keep.saturating_sub(self.from)).unwrap_or(usize::MAX);
        if let Some(start) = self.starts.get(kept) {
            self.end = if keep.is_multiple_of(self.per_file) { 0 } else { u64::from(*start) };
            self.starts.truncate(kept);
            self.len = keep;
        }
    }

    /// `older` knows the places of the first `to` lines now.
    pub fn settle(&mut self, to: u64, older: Arc<dyn Places>) {
        let gone = usize::try_from(to.saturating_sub(self.from)).unwrap_or(usize::MAX);
        self.starts.drain(..gone.min(self.starts.len()));
        self.from = self.from.max(to);
        self.older = Some(older);
    }

    /// First sequence number of the file that holds a line.
    fn first_of(&self, seq: u64) -> u64 {
        seq - seq % self.per_file
    }

    /// First sequence number of the file a line stands in, and where in the file it begins.
    pub fn place(&self, seq: u64) -> (u64, u64) {
        let byte = match seq == self.len {
            true => Some(self.end),
            false => self.starts(seq, 1).map(|starts| u64::from(starts[0])),
        };
        (self.first_of(seq), byte.unwrap_or(0))
    }

    /// Where lines begin that are there, all of one file.
    fn starts(&self, at: u64, count: usize) -> Option<Vec<u32>> {
        let old = usize::try_from(self.from.saturating_sub(at)).unwrap_or(usize::MAX).min(count);
        let mut starts = match old {
            0 => Vec::new(),
            old => self.older.as_ref()?.starts(at, old).filter(|found| found.len() == old)?,
        };
        let from = usize::try_from(at.max(self.from) - self.from).unwrap_or(usize::MAX);
        starts.extend_from_slice(self.starts.get(from..from + count - old)?);
        Some(starts)
    }

    /// Bytes of the file that begins with `first` and is the one the next line goes into.
    fn file_len(&self, first: u64) -> u64 {
        if first == self.first_of(self.len) { self.end } else { 0 }
    }
}

/// Lines in files of this home. One process owns them.
pub struct Segments {
    fs: Arc<dyn Fs>,
    scrolls: Mutex<HashMap<String, Layout>>,
    per_file: u64,
}

impl Segments {
    /// A store over scrolls whose layout recovery has found.
    pub fn new(fs: Arc<dyn Fs>, scrolls: HashMap<String, Layout>) -> Self {
        Self::with_files_of(SEGMENT_LINES, fs, scrolls)
    }

    /// The same with shorter files, so that a campaign can cross their borders often.
    pub fn with_files_of(per_file: u64, fs: Arc<dyn Fs>, scrolls: HashMap<String, Layout>) -> Self {
        Self { fs, scrolls: Mutex::new(scrolls), per_file }
    }

    /// Lines of a full file.
    pub fn per_file(&self) -> u64 {
        self.per_file
    }

    /// First sequence number of the file a line stands in, and the byte at which it begins there.
    pub fn layout_place(&self, scroll: &str, seq: u64) -> (u64, u64) {
        let scrolls = self.scrolls.lock().expect("no holder of this lock panics");
        scrolls.get(scroll).map_or((seq - seq % self.per_file, 0), |layout| layout.place(seq))
    }

    /// Replaces what is known of a scroll, after recovery has changed its files.
    pub fn set_layout(&self, scroll: &str, layout: Layout) {
        self.scrolls
            .lock()
            .expect("no holder of this lock panics")
            .insert(scroll.to_owned(), layout);
    }

    /// Changes what is known of a scroll.
    pub fn change(&self, scroll: &str, change: impl FnOnce(&mut Layout)) {
        let mut scrolls = self.scrolls.lock().expect("no holder of this lock panics");
        change(scrolls.entry(scroll.to_owned()).or_insert_with(|| Layout::new(self.per_file)));
    }

    /// Asks something about where a scroll's lines lie.
    pub fn ask<T>(&self, scroll: &str, ask: impl FnOnce(&Layout) -> T) -> T {
        let scrolls = self.scrolls.lock().expect("no holder of this lock panics");
        match scrolls.get(scroll) {
            Some(layout) => ask(layout),
            None => ask(&Layout::new(self.per_file)),
        }
    }

    /// Lines of one file, from `at` on, `count` of them.
    fn read_file(
        &self,
        scroll: &str,
        layout: &Layout,
        at: u64,
        count: usize,
    ) -> Result<Vec<Vec<u8>>, Fault> {
        let path = segment_path(scroll, layout.first_of(at));
        let failed = |what: String| Fault::new("read_failed", what);
        let io = |e: io::Error| failed(format!("cannot read {path}: {e}"));
        let starts = layout.starts(at, count).ok_or_else(|| {
            failed(format!("where line {at} of {scroll} begins in {path} is not known"))
                .hint("Run the command again; if it stays so, `vm reindex`.")
        })?;
        let (first, last) = (u64::from(starts[0]), u64::from(starts[count - 1]));
        let next = at + count as u64;
        let end = match next {
            next if next == layout.len && !next.is_multiple_of(layout.per_file) => Some(layout.end),
            next if next.is_multiple_of(layout.per_file) => None,
            next => layout.starts(next, 1).map(|starts| u64::from(starts[0])),
        };
        // The end of a full file is wherever its last line ends.
        let reach = end.unwrap_or(last + LINE_MAX as u64 + 1);
        let length = usize::try_from(reach.saturating_sub(first)).unwrap_or(usize::MAX);
        let bytes = self.fs.read_at(&path, first, length).map_err(io)?;
        let short = || failed(format!("{path} is shorter than it was when it was opened"));
        let mut lines = Vec::with_capacity(count);
        for (n, start) in starts.iter().enumerate() {
            let from =
                usize::try_from(u64::from(*start).saturating_sub(first)).unwrap_or(usize::MAX);
            let rest = bytes.get(from..).ok_or_else(short)?;
            let to = match starts.get(n + 1) {
                Some(next) => next.checked_sub(*start).ok_or_else(short)? as usize,
                None => match end {
                    Some(_) => rest.len(),
                    None => rest.iter().position(|b| *b == b'\n').ok_or_else(short)? + 1,
                },
            };
            let line = rest.get(..to.saturating_sub(1)).ok_or_else(short)?;
            lines.push(line.to_vec());
        }
        Ok(lines)
    }

    /// The batch, cut where files end: (first of the file, bytes there before, bytes to add).
    fn parts(layout: &Layout, at: u64, lines: &[Vec<u8>]) -> Vec<(u64, u64, Vec<u8>)> {
        let mut parts: Vec<(u64, u64, Vec<u8>)> = Vec::new();
        for (seq, line) in (at..).zip(lines) {
            let first = seq - seq % layout.per_file;
            if parts.last().is_none_or(|p| p.0 != first) {
                parts.push((first, layout.file_len(first), Vec::new()));
            }
            let bytes = &mut parts.last_mut().expect("pushed above").2;
            bytes.extend_from_slice(line);
            bytes.push(b'\n');
        }
        parts
    }

    /// One write and one fdatasync for each file, the older first, then the directory if a name is new.
    fn write(&self, scroll: &str, parts: &[(u64, u64, Vec<u8>)]) -> Result<(), (io::Error, Step)> {
        let fs = &*self.fs;
        if parts.first().is_some_and(|p| p.0 == 0 && p.1 == 0) {
            make_dir(fs, "receipts").map_err(|e| (e, Step::Write))?;
            make_dir(fs, &scroll_dir(scroll)).map_err(|e| (e, Step::Write))?;
        }
        for (first, at, bytes) in parts {
            let path = segment_path(scroll, *first);
            fs.append(&path, *at, bytes).map_err(|e| (e, Step::Write))?;
            fs.sync(&path).map_err(|e| (e, Step::Sync))?;
        }
        if parts.iter().any(|p| p.1 == 0) {
            fs.sync_dir(&scroll_dir(scroll)).map_err(|e| (e, Step::Sync))?;
        }
        Ok(())
    }

    /// After a write that found no space: takes back what stands of the batch, durably.
    fn cut_back(&self, scroll: &str, parts: &[(u64, u64, Vec<u8>)]) -> io::Result<()> {
        let mut removed = false;
        for (first, at, _) in parts.iter().rev() {
            let path = segment_path(scroll, *first);
            match self.fs.len(&path)? {
                Some(_) if *at == 0 => {
                    self.fs.remove(&path)?;
                    removed = true;
                }
                Some(_) => {
                    self.fs.truncate(&path, *at)?;
                    self.fs.sync(&path)?;
                }
                None => {}
            }
        }
        match removed {
            true => self.fs.sync_dir(&scroll_dir(scroll)),
            false => Ok(()),
        }
    }
}

enum Step {
    Write,
    Sync,
}

impl Store for Segments {
    fn read(&self, scroll: &str, at: u64, max: usize) -> Result<Vec<Vec<u8>>, Fault> {
        let scrolls = self.scrolls.lock().expect("no holder of this lock panics");
        let Some(layout) = scrolls.get(scroll) else { return Ok(Vec::new()) };
        let mut lines = Vec::new();
        let end = at.saturating_add(max as u64).min(layout.len);
        let mut at = at;
        while at < end {
            let stop = end.min(layout.first_of(at) + layout.per_file);
            let count = usize::try_from(stop - at).unwrap_or(usize::MAX);
            lines.extend(self.read_file(scroll, layout, at, count)?);
            at = stop;
        }
        Ok(lines)
    }

    fn create(&self, scroll: &str, at: u64, lines: &[Vec<u8>]) -> Created {
        let mut scrolls = self.scrolls.lock().expect("no holder of this lock panics");
        let layout = scrolls.entry(scroll.to_owned()).or_insert_with(|| Layout::new(self.per_file));
        if layout.len() != at {
            return Created::Taken;
        }
        let parts = Self::parts(layout, at, lines);
        match self.write(scroll, &parts) {
            Ok(()) => {
                layout.extend(lines.iter().map(|l| l.len() as u64 + 1));
                Created::Created
            }
            Err((e, Step::Write)) if crate::recover::is_full(&e) => {
                match self.cut_back(scroll, &parts) {
                    Ok(()) => Created::Full(format!("{scroll}: {e}")),
                    Err(worse) => Created::Unknown(format!(
                        "{scroll}: {e}; then cutting back failed: {worse}"
                    )),
                }
            }
            Err((e, _)) => Created::Unknown(format!("{scroll}: {e}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::Disk;

    #[test]
    fn lines_are_found_again_across_a_file_border() {
        let home = tempfile::tempdir().unwrap();
        let fs: Arc<dyn Fs> = Arc::new(Disk::new(home.path(), home.path().join("g")));
        let store = Segments::new(fs.clone(), HashMap::new());
        let lines: Vec<Vec<u8>> =
            (0..SEGMENT_LINES + 3).map(|n| n.to_string().into_bytes()).collect();
        assert_eq!(store.create("toy", 0, &lines[..5]), Created::Created);
        assert_eq!(store.create("toy", 4, &lines[4..6]), Created::Taken);
        assert_eq!(store.create("toy", 5, &lines[5..]), Created::Created);
        assert_eq!(store.ask("toy", Layout::len), SEGMENT_LINES + 3);
        assert_eq!(
            store.read("toy", SEGMENT_LINES - 2, 4).unwrap(),
            lines[SEGMENT_LINES as usize - 2..][..4]
        );
        assert_eq!(store.read("toy", SEGMENT_LINES + 3, 4).unwrap(), Vec::<Vec<u8>>::new());
        assert_eq!(fs.list("receipts/toy").unwrap().len(), 2);
    }
}
