//! The lines of a scroll in blocks: what is read ahead while the block before is checked. Memory holds a few blocks,
//! however long the files are.

use super::{at_file, walk};
use crate::fs::Fs;
use crate::segments::{SEGMENT_LINES, scroll_dir, segment_path};
use std::collections::VecDeque;
use std::io;
use std::ops::Range;
use std::sync::Arc;
use vm_receipts::line::LINE_MAX;
use vm_scrolls::verdict::Place;
use walk::Stop;

/// Bytes that are read at once.
const BLOCK: usize = 2 << 20;
/// Longest file: a full one of the longest lines.
const FILE_BYTES_MAX: u64 = SEGMENT_LINES * (LINE_MAX as u64 + 1);

/// Whole lines of one file, and what follows them there.
pub(super) struct Block {
    /// Path of the file, for places.
    pub(super) file: Arc<str>,
    /// Whether it is the scroll's last file.
    pub(super) last: bool,
    /// Whether these are the file's first lines.
    pub(super) first: bool,
    bytes: Vec<u8>,
    lines: Vec<Range<usize>>,
    pub(super) then: Then,
}

/// What follows the lines of a block.
pub(super) enum Then {
    /// More lines of the same file.
    More,
    /// The end of the file.
    End,
    /// So many bytes without a line feed, and the end of the file.
    Unended(u64),
    /// A line longer than any line may be: its bytes, and whether there are NULs among them.
    TooLong(u64, bool),
    /// The file cannot be gone through.
    Stop(Stop),
}

impl Block {
    /// The lines, without their LF.
    pub(super) fn lines(&self) -> Vec<&[u8]> {
        self.lines.iter().map(|place| &self.bytes[place.clone()]).collect()
    }

    fn stopped(file: Arc<str>, last: bool, stop: Stop) -> Block {
        Block {
            file,
            last,
            first: true,
            bytes: Vec::new(),
            lines: Vec::new(),
            then: Then::Stop(stop),
        }
    }
}

/// Reads the files of a scroll one after another.
pub(super) struct Blocks<'a> {
    fs: &'a dyn Fs,
    scroll: &'a str,
    /// Names that are still to be read, and which file the next is.
    names: VecDeque<String>,
    next: u64,
    open: Option<Open>,
    /// Bytes that are read at once.
    at_once: usize,
}

/// A file that is being read.
struct Open {
    file: Arc<str>,
    last: bool,
    at: u64,
    first: bool,
    /// What was read after the last LF.
    rest: Vec<u8>,
}

impl<'a> Blocks<'a> {
    pub(super) fn new(fs: &'a dyn Fs, scroll: &'a str) -> Result<Blocks<'a>, Stop> {
        let dir = scroll_dir(scroll);
        let mut names = fs.list(&dir).map_err(|e| unreadable(&dir, &e))?;
        names.retain(|name| !name.ends_with(".new"));
        Ok(Blocks { fs, scroll, names: names.into(), next: 0, open: None, at_once: BLOCK })
    }

    /// Most lines that the files can hold, when all is well.
    pub(super) fn lines_max(&self) -> u64 {
        self.names.len() as u64 * SEGMENT_LINES
    }

    /// The next block; `None` after the last.
    pub(super) fn next(&mut self) -> Option<Block> {
        if self.open.is_none() {
            let name = self.names.pop_front()?;
            match self.begin(&name) {
                Ok(open) => self.open = Some(open),
                Err(block) => return Some(*block),
            }
        }
        let open = self.open.as_mut()?;
        let block = match open.block(self.fs, self.at_once) {
            Ok(block) => block,
            Err(e) => {
                let stop = unreadable(&open.file, &e);
                Block::stopped(open.file.clone(), open.last, stop)
            }
        };
        if !matches!(block.then, Then::More) {
            self.open = None;
        }
        Some(block)
    }

    /// Looks at the next file before it is read.
    fn begin(&mut self, name: &str) -> Result<Open, Box<Block>> {
        let (scroll, last) = (self.scroll, self.names.is_empty());
        let path = segment_path(scroll, self.next * SEGMENT_LINES);
        self.next += 1;
        let file: Arc<str> = format!("{}/{name}", scroll_dir(scroll)).into();
        let stopped = |claim: &str, detail: String| {
            let place = Place { line: Some(0), byte: Some(0), ..at_file(&file, claim) };
            Err(Box::new(Block::stopped(file.clone(), last, Stop { place, detail })))
        };
        if *file != *path {
            let detail =
                format!("the next file of {scroll} must be {path}; one is missing or misnamed");
            return stopped("file_name", detail);
        }
        if self.fs.len(&path).is_ok_and(|len| len.is_some_and(|len| len > FILE_BYTES_MAX)) {
            let detail =
                format!("the file has more than {FILE_BYTES_MAX} bytes, which no lines need");
            return stopped("file_lines", detail);
        }
        Ok(Open { file, last, at: 0, first: true, rest: Vec::new() })
    }
}

impl Open {
    fn block(&mut self, fs: &dyn Fs, at_once: usize) -> io::Result<Block> {
        let mut bytes = std::mem::take(&mut self.rest);
        let read = fs.read_at(&self.file, self.at, at_once)?;
        self.at += read.len() as u64;
        let ended = read.len() < at_once;
        let searched = bytes.len();
        bytes.extend_from_slice(&read);
        drop(read);
        let lines = lines(&bytes, searched);
        let whole = lines.last().map_or(0, |line| line.end + 1);
        let rest = bytes.split_off(whole);
        let then = match ended {
            true if rest.is_empty() => Then::End,
            true => Then::Unended(rest.len() as u64),
            false if rest.len() > LINE_MAX => self.too_long(fs, at_once, &rest)?,
            false => {
                self.rest = rest;
                Then::More
            }
        };
        let first = std::mem::replace(&mut self.first, false);
        Ok(Block { file: self.file.clone(), last: self.last, first, bytes, lines, then })
    }

    /// Goes to the end of a line that no reader takes, without keeping it.
    fn too_long(&mut self, fs: &dyn Fs, at_once: usize, begun: &[u8]) -> io::Result<Then> {
        let (mut length, mut nul) = (begun.len() as u64, begun.contains(&0));
        loop {
            let read = fs.read_at(&self.file, self.at, at_once)?;
            self.at += read.len() as u64;
            let end = line_feed(&read);
            let more = &read[..end.unwrap_or(read.len())];
            length += more.len() as u64;
            nul |= more.contains(&0);
            match end {
                Some(_) => return Ok(Then::TooLong(length, nul)),
                None if read.len() < at_once => return Ok(Then::Unended(length)),
                None => {}
            }
        }
    }
}

/// Where the whole lines stand; there is no LF before `searched`.
fn lines(bytes: &[u8], searched: usize) -> Vec<Range<usize>> {
    let mut lines = Vec::with_capacity(bytes.len() / 600);
    let (mut start, mut at) = (0, searched);
    while let Some(length) = line_feed(&bytes[at..]) {
        lines.push(start..at + length);
        at += length + 1;
        start = at;
    }
    lines
}

/// Offset of the first LF. Sixty-four bytes are looked at together, which compilers turn into few instructions.
fn line_feed(bytes: &[u8]) -> Option<usize> {
    let is = |byte: &u8| *byte == b'\n';
    let chunk =
        bytes.chunks(64).position(|chunk| chunk.iter().fold(false, |hit, b| hit | is(b)))?;
    bytes[chunk * 64..].iter().position(is).map(|place| chunk * 64 + place)
}

pub(super) fn unreadable(path: &str, e: &io::Error) -> Stop {
    Stop { place: at_file(path, walk::READABLE), detail: format!("it cannot be read: {e}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::Disk;

    /// What a file of these bytes comes to, read so many bytes at once: its lines, and what follows them.
    fn read(bytes: &[u8], at_once: usize) -> (Vec<Vec<u8>>, String) {
        let home = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(home.path().join("receipts/toy")).unwrap();
        std::fs::write(home.path().join(segment_path("toy", 0)), bytes).unwrap();
        let disk = Disk::new(home.path(), home.path().join("g"));
        let mut blocks = Blocks::new(&disk, "toy").unwrap_or_else(|stop| panic!("{}", stop.detail));
        blocks.at_once = at_once;
        let mut lines = Vec::new();
        loop {
            let block = blocks.next().expect("the last block says that the file ends");
            assert!(!block.first || lines.is_empty());
            assert!(block.bytes.len() <= at_once + LINE_MAX + 1);
            lines.extend(block.lines().into_iter().map(<[u8]>::to_vec));
            let then = match block.then {
                Then::More => continue,
                Then::End => "end".to_owned(),
                Then::Unended(bytes) => format!("{bytes} unended"),
                Then::TooLong(bytes, nul) => format!("{bytes} too long {nul}"),
                Then::Stop(stop) => stop.detail,
            };
            assert!(blocks.next().is_none());
            return (lines, then);
        }
    }

    #[test]
    fn lines_come_whole_wherever_a_block_ends() {
        let lines: Vec<Vec<u8>> = (0..40_usize).map(|n| vec![b'x'; n * 7 % 90]).collect();
        let text: Vec<u8> = lines.iter().flat_map(|line| [&line[..], b"\n"].concat()).collect();
        for at_once in (1..200).chain([text.len() - 1, text.len(), text.len() + 1]) {
            assert_eq!(read(&text, at_once), (lines.clone(), "end".to_owned()), "{at_once}");
            let cut = read(&text[..text.len() - 3], at_once);
            assert_eq!(cut.1, format!("{} unended", lines[39].len() - 2), "{at_once}");
            assert_eq!(cut.0, lines[..39]);
        }
        assert_eq!(read(b"", 10), (Vec::new(), "end".to_owned()));
    }

    #[test]
    fn a_line_beyond_the_limit_is_measured_and_not_kept() {
        let long = |bytes: usize, rest: &str| [&vec![b'x'; bytes][..], rest.as_bytes()].concat();
        let says = |bytes: &[u8]| read(bytes, 1 << 12).1;
        assert_eq!(says(&long(LINE_MAX, "\n")), "end");
        assert_eq!(says(&long(300_000, "\n{}\n")), "300000 too long false");
        assert_eq!(says(&long(300_000, "\0y\n{}\n")), "300002 too long true");
        assert_eq!(says(&long(300_000, "")), "300000 unended");
    }
}
