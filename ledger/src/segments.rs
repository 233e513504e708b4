//! Receipt lines on disk: `receipts/<scroll>/<first sequence number, 20 digits>.jsonl`, a new file every 2^16 lines.

use crate::fs::{Fs, make_dir};
use crate::store::{Created, Store};
use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex};
use vm_contracts::Fault;

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

/// Where the lines of one scroll lie: for each file, the byte at which each line begins, and the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    files: Vec<Vec<u64>>,
    /// Lines of a full file.
    per_file: u64,
}

impl Default for Layout {
    fn default() -> Self {
        Self::new(SEGMENT_LINES)
    }
}

impl Layout {
    /// No lines yet, in files that will hold this many each; every released home has [`SEGMENT_LINES`].
    pub fn new(per_file: u64) -> Self {
        Self { files: Vec::new(), per_file }
    }

    /// Number of lines.
    pub fn len(&self) -> u64 {
        match self.files.split_last() {
            Some((last, full)) => full.len() as u64 * self.per_file + last.len() as u64 - 1,
            None => 0,
        }
    }

    /// Whether there are no lines.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes in that a file holds lines ending at these bytes, after the lines already known.
    pub fn extend(&mut self, line_lengths: impl Iterator<Item = u64>) {
        for length in line_lengths {
            if self.len().is_multiple_of(self.per_file) && self.room_needed() {
                self.files.push(vec![0]);
            }
            let file = self.files.last_mut().expect("pushed above when there was none");
            let end = *file.last().expect("each file begins with 0");
            file.push(end + length);
        }
    }

    fn room_needed(&self) -> bool {
        self.files.last().is_none_or(|f| f.len() as u64 == self.per_file + 1)
    }

    /// First sequence number of the file a line stands in, and where in the file it begins.
    pub fn place(&self, seq: u64) -> (u64, u64) {
        let file = usize::try_from(seq / self.per_file).unwrap_or(usize::MAX);
        let line = usize::try_from(seq % self.per_file).unwrap_or(usize::MAX);
        let byte = self.files.get(file).and_then(|f| f.get(line)).copied().unwrap_or(0);
        (seq - seq % self.per_file, byte)
    }

    /// Bytes of the file that begins with `first`.
    fn file_len(&self, first: u64) -> u64 {
        let file = usize::try_from(first / self.per_file).unwrap_or(usize::MAX);
        self.files.get(file).and_then(|f| f.last()).copied().unwrap_or(0)
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

    /// Where a scroll's lines lie.
    pub fn layout(&self, scroll: &str) -> Layout {
        self.scrolls
            .lock()
            .expect("no holder of this lock panics")
            .get(scroll)
            .cloned()
            .unwrap_or_else(|| Layout::new(self.per_file))
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
        let layout = {
            let scrolls = self.scrolls.lock().expect("no holder of this lock panics");
            let Some(layout) = scrolls.get(scroll) else { return Ok(Vec::new()) };
            if at >= layout.len() {
                return Ok(Vec::new());
            }
            let count = usize::try_from(layout.len() - at).unwrap_or(usize::MAX).min(max);
            ranges(layout, at, count)
        };
        let mut lines = Vec::new();
        for (first, ends) in layout {
            let path = segment_path(scroll, first);
            let start = ends[0];
            let len = usize::try_from(ends[ends.len() - 1] - start).unwrap_or(usize::MAX);
            let bytes = self
                .fs
                .read_at(&path, start, len)
                .map_err(|e| Fault::new("read_failed", format!("cannot read {path}: {e}")))?;
            for pair in ends.windows(2) {
                let (from, to) = ((pair[0] - start) as usize, (pair[1] - start) as usize);
                let Some(line) = bytes.get(from..to.saturating_sub(1)) else {
                    return Err(Fault::new(
                        "read_failed",
                        format!("{path} is shorter than it was when it was opened"),
                    ));
                };
                lines.push(line.to_vec());
            }
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

/// The line borders of `count` lines from `at`, file by file.
fn ranges(layout: &Layout, at: u64, count: usize) -> Vec<(u64, Vec<u64>)> {
    let mut out = Vec::new();
    let (mut seq, end) = (at, at + count as u64);
    while seq < end {
        let first = seq - seq % layout.per_file;
        let stop = end.min(first + layout.per_file);
        let file = &layout.files[(first / layout.per_file) as usize];
        let (from, to) = ((seq - first) as usize, (stop - first) as usize);
        out.push((first, file[from..=to].to_vec()));
        seq = stop;
    }
    out
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
        assert_eq!(store.layout("toy").len(), SEGMENT_LINES + 3);
        assert_eq!(
            store.read("toy", SEGMENT_LINES - 2, 4).unwrap(),
            lines[SEGMENT_LINES as usize - 2..][..4]
        );
        assert_eq!(store.read("toy", SEGMENT_LINES + 3, 4).unwrap(), Vec::<Vec<u8>>::new());
        assert_eq!(fs.list("receipts/toy").unwrap().len(), 2);
    }
}
