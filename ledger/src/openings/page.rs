//! One page: frames one after another, each `u32 BE length ‖ nonce ‖ ciphertext ‖ tag`, each bound to its byte offset.
//!
//! Reading walks from frame to frame. Where one does not open, the next place at which a frame opens is searched byte by
//! byte: a frame opens only at its own offset, so nothing false is found, and a changed length costs no more than the
//! frame it belongs to. What stands after the last frame that opens is a *tear* where it looks like what a crash leaves
//! (it ends early, or holds a run of NULs), and damage otherwise.

use super::crypt::{self, Key, OVERHEAD};
use super::{FileKey, Opening, PAGE_RECEIPTS};
use crate::clock::Entropy;
use crate::fs::Fs;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use std::io;
use vm_contracts::{Map, Value};
use vm_receipts::json;
use zeroize::{Zeroize, Zeroizing};

/// Longest frame that is written or read, without its length.
pub(super) const FRAME_MAX: usize = 16 << 20;
/// A frame is closed when it holds this much, so that reading one value does not decrypt a whole page.
const FRAME_TARGET: usize = 64 << 10;
/// Shortest frame: an empty list.
const FRAME_MIN: usize = OVERHEAD + 2;
/// Bytes of the length in front of a frame.
const PREFIX: u64 = 4;
/// How many bytes are tried in all when frames are searched after damage; a page made to be slow is given up.
const SEARCH_MAX: usize = 64 << 20;
/// So many NULs in a row are no ciphertext: what a file system shows where bytes never reached the disk.
const NULS: usize = 16;

const PLACE: &str = "vm/openings/v1";

/// First sequence number of the page a receipt belongs to.
pub(super) fn first_of(seq: u64) -> u64 {
    seq - seq % PAGE_RECEIPTS
}

/// Directory of a scroll's openings.
pub(super) fn dir(scroll: &str) -> String {
    format!("openings/{scroll}")
}

/// Path of a page.
pub(super) fn path(scroll: &str, first: u64) -> String {
    format!("openings/{scroll}/{first:020}.page")
}

/// What binds a frame to its place: all but its offset.
pub(super) struct Binding {
    pub ledger: String,
    pub scroll: String,
    pub first: u64,
    pub key: Key,
}

impl Binding {
    fn place(&self, at: u64) -> Vec<u8> {
        let (first, at) = (format!("{:020}", self.first), at.to_string());
        crypt::place(&[PLACE, &self.ledger, &self.scroll, &first, &at])
    }

    /// Opens what stands behind the length at `at`.
    fn open(&self, at: u64, sealed: &[u8]) -> Option<Vec<Opening>> {
        decode(&crypt::open(&self.key, &self.place(at), sealed)?)
    }

    /// One frame for each of these contents, as they stand from byte `at` on, and what is in each.
    pub(super) fn frames(
        &self,
        mut at: u64,
        contents: &[Content],
        entropy: &dyn Entropy,
    ) -> (Vec<u8>, Vec<Frame>) {
        let (mut bytes, mut frames) = (Vec::new(), Vec::new());
        for content in contents {
            let sealed = crypt::close(&self.key, &self.place(at), &content.text, entropy);
            let length = u32::try_from(sealed.len()).expect("a content is at most 16 MiB");
            bytes.extend_from_slice(&length.to_be_bytes());
            bytes.extend_from_slice(&sealed);
            let end = at + PREFIX + u64::from(length);
            frames.push(Frame { at, end, seqs: content.seqs.clone() });
            at = end;
        }
        (bytes, frames)
    }
}

/// The plain text of a frame to be, and the sequence numbers in it.
pub(super) struct Content {
    text: Zeroizing<Vec<u8>>,
    seqs: Vec<u64>,
}

/// Cuts records into frames. All that follow each other with one sequence number stay together; `Err` names the one
/// whose records are too large for a frame.
pub(super) fn contents(records: &[&Opening]) -> Result<Vec<Content>, u64> {
    let mut contents: Vec<Content> = Vec::new();
    for call in records.chunk_by(|a, b| a.seq == b.seq) {
        let mut text = Zeroizing::new(Vec::new());
        for record in call {
            if !text.is_empty() {
                text.push(b',');
            }
            text.extend_from_slice(&encode(record));
        }
        if text.len() + 2 + OVERHEAD > FRAME_MAX {
            return Err(call[0].seq);
        }
        let seq = call[0].seq;
        match contents.last_mut().filter(|c| c.text.len() + text.len() <= FRAME_TARGET) {
            Some(open) => {
                open.text.push(b',');
                open.text.extend_from_slice(&text);
                open.seqs.push(seq);
            }
            None => {
                text.insert(0, b'[');
                contents.push(Content { text, seqs: vec![seq] });
            }
        }
    }
    contents.iter_mut().for_each(|content| content.text.push(b']'));
    Ok(contents)
}

/// The canonical list of these records, for what is no page.
pub(super) fn encode_all(records: &[Opening]) -> Zeroizing<Vec<u8>> {
    let mut text = Zeroizing::new(vec![b'[']);
    for record in records {
        if text.len() > 1 {
            text.push(b',');
        }
        text.extend_from_slice(&encode(record));
    }
    text.push(b']');
    text
}

/// A record as canonical JSON.
fn encode(record: &Opening) -> Zeroizing<Vec<u8>> {
    let mut value = json!({
        "digest": record.digest, "disclosure": record.disclosure, "seq": record.seq,
    });
    if let Some(file) = &record.file {
        value["file"] = json!({"id": file.id, "key": STANDARD.encode(file.key), "name": file.name});
    }
    let text = json::canonical(&value).expect("texts, and a sequence number below 2^53");
    wipe(value);
    Zeroizing::new(text)
}

/// Reads a list of records; `None` where it is none.
pub(super) fn decode(text: &[u8]) -> Option<Vec<Opening>> {
    json::check_canonical(text).ok()?;
    let Value::Array(items) = json::parse(text).ok()? else { return None };
    items.into_iter().map(record).collect()
}

fn record(value: Value) -> Option<Opening> {
    let Value::Object(mut map) = value else { return None };
    let file = match map.remove("file") {
        Some(Value::Object(file)) => Some(file_key(file)?),
        Some(_) => return None,
        None => None,
    };
    let seq = map.remove("seq")?.as_u64()?;
    let (digest, disclosure) = (text(&mut map, "digest")?, text(&mut map, "disclosure")?);
    map.is_empty().then_some(Opening { seq, digest, disclosure, file })
}

fn file_key(mut map: Map<String, Value>) -> Option<FileKey> {
    let (id, name) = (text(&mut map, "id")?, text(&mut map, "name")?);
    let encoded = Zeroizing::new(text(&mut map, "key")?);
    let bytes = Zeroizing::new(STANDARD.decode(encoded.as_bytes()).ok()?);
    let key = <[u8; 32]>::try_from(bytes.as_slice()).ok()?;
    map.is_empty().then_some(FileKey { id, name, key })
}

fn text(map: &mut Map<String, Value>, name: &str) -> Option<String> {
    match map.remove(name)? {
        Value::String(text) => Some(text),
        _ => None,
    }
}

/// Wipes the texts of a value that was built to be written.
fn wipe(value: Value) {
    match value {
        Value::String(mut text) => text.zeroize(),
        Value::Object(map) => map.into_iter().for_each(|(_, value)| wipe(value)),
        Value::Array(items) => items.into_iter().for_each(wipe),
        _ => {}
    }
}

/// One frame that opens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    pub at: u64,
    pub end: u64,
    /// Whose records are in it.
    pub seqs: Vec<u64>,
}

/// Bytes that are no frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Damage {
    pub at: u64,
    pub what: &'static str,
}

/// What a walk found.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Walked {
    pub frames: Vec<Frame>,
    pub damage: Vec<Damage>,
    /// Where frames end and the next may be put.
    pub end: u64,
    /// Length of the file; above `end` stands a tear.
    pub len: u64,
    /// Files whose keys are in the page, each with the sequence number of its call.
    pub files: Vec<(u64, FileKey)>,
}

/// Walks through a page.
pub(super) fn walk(fs: &dyn Fs, path: &str, binding: &Binding) -> io::Result<Walked> {
    let len = fs.regular(path)?.unwrap_or(0);
    let mut window = Window { fs, path, len, start: 0, bytes: Vec::new() };
    let mut walked = Walked { len, ..Walked::default() };
    let mut budget = SEARCH_MAX;
    let mut at = 0;
    while at < len {
        if let Some((end, records)) = frame_at(&mut window, binding, at)? {
            take(&mut walked, at, end, records);
            at = end;
            continue;
        }
        let next = search(&mut window, binding, at, &mut budget)?;
        let end = next.unwrap_or(len);
        let sealed = end.saturating_sub(at + PREFIX);
        let rescued = match usize::try_from(sealed) {
            Ok(n) if budget > 0 && (FRAME_MIN..=FRAME_MAX).contains(&n) => {
                binding.open(at, window.slice(at + PREFIX, n)?)
            }
            _ => None,
        };
        if let Some(records) = rescued {
            walked.damage.push(Damage {
                at,
                what: "the length of a frame was changed; what it holds still reads",
            });
            take(&mut walked, at, end, records);
        } else if next.is_none() && budget > 0 && is_tear(&mut window, at)? {
            walked.end = at;
            return Ok(walked);
        } else {
            walked.damage.push(Damage {
                at,
                what: "a frame does not open: it was changed, moved or is of another ledger",
            });
        }
        at = end;
    }
    walked.end = at;
    Ok(walked)
}

fn take(walked: &mut Walked, at: u64, end: u64, records: Vec<Opening>) {
    let mut seqs: Vec<u64> = records.iter().map(|r| r.seq).collect();
    seqs.dedup();
    walked.files.extend(records.into_iter().filter_map(|mut r| Some((r.seq, r.file.take()?))));
    walked.frames.push(Frame { at, end, seqs });
}

/// Reads the records of a frame that a walk has found.
pub(super) fn read(
    fs: &dyn Fs,
    path: &str,
    binding: &Binding,
    frame: &Frame,
) -> io::Result<Option<Vec<Opening>>> {
    let from = frame.at + PREFIX;
    let len = usize::try_from(frame.end - from).unwrap_or(0);
    let sealed = fs.read_at(path, from, len)?;
    Ok(binding.open(frame.at, &sealed))
}

/// The length that stands at `at`, where a frame of it would fit.
fn length_at(window: &mut Window<'_>, at: u64) -> io::Result<Option<usize>> {
    let prefix = window.slice(at, PREFIX as usize)?;
    let Some(prefix) = prefix.first_chunk::<4>() else { return Ok(None) };
    let length = u32::from_be_bytes(*prefix);
    let fits = at + PREFIX + u64::from(length) <= window.len;
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    Ok(Some(length).filter(|l| fits && (FRAME_MIN..=FRAME_MAX).contains(l)))
}

fn frame_at(
    window: &mut Window<'_>,
    binding: &Binding,
    at: u64,
) -> io::Result<Option<(u64, Vec<Opening>)>> {
    let Some(length) = length_at(window, at)? else { return Ok(None) };
    let sealed = window.slice(at + PREFIX, length)?;
    Ok(binding.open(at, sealed).map(|records| (at + PREFIX + length as u64, records)))
}

/// The next place after `at` where a frame opens, within the budget.
fn search(
    window: &mut Window<'_>,
    binding: &Binding,
    at: u64,
    budget: &mut usize,
) -> io::Result<Option<u64>> {
    let last = window.len.saturating_sub(PREFIX + FRAME_MIN as u64);
    for candidate in at + 1..=last {
        // A step costs too, so that a long file without a single frame has an end.
        *budget = budget.saturating_sub(1);
        let length = length_at(window, candidate)?;
        *budget = budget.saturating_sub(length.unwrap_or(0));
        if *budget == 0 {
            // The length that stands there may still lead further.
            return match length_at(window, at)? {
                Some(length) => {
                    let next = at + PREFIX + length as u64;
                    Ok(frame_at(window, binding, next)?.map(|_| next))
                }
                None => Ok(None),
            };
        }
        if length.is_some() && frame_at(window, binding, candidate)?.is_some() {
            return Ok(Some(candidate));
        }
    }
    Ok(None)
}

/// Whether what stands from `at` to the end looks like what a crash leaves of an append.
fn is_tear(window: &mut Window<'_>, at: u64) -> io::Result<bool> {
    let rest = window.len - at;
    let prefix = window.slice(at, PREFIX as usize)?;
    let claimed = prefix.first_chunk::<4>().map(|p| u32::from_be_bytes(*p));
    let Some(claimed) = claimed else { return Ok(true) };
    let plausible = (FRAME_MIN..=FRAME_MAX).contains(&usize::try_from(claimed).unwrap_or(0));
    if plausible && PREFIX + u64::from(claimed) > rest {
        return Ok(true);
    }
    let (mut from, mut run) = (at, 0);
    while from < window.len {
        let piece = window.slice(from, WINDOW)?;
        for byte in piece {
            run = if *byte == 0 { run + 1 } else { 0 };
            if run == NULS {
                return Ok(true);
            }
        }
        from += piece.len().max(1) as u64;
    }
    Ok(false)
}

/// Bytes read at a time.
const WINDOW: usize = 1 << 20;

/// A file read in large pieces: memory stays bounded, however long it is.
struct Window<'a> {
    fs: &'a dyn Fs,
    path: &'a str,
    len: u64,
    start: u64,
    bytes: Vec<u8>,
}

impl Window<'_> {
    /// Bytes `[from, from + len)`, fewer where the file ends.
    fn slice(&mut self, from: u64, len: usize) -> io::Result<&[u8]> {
        let to = (from + len as u64).min(self.len);
        if from < self.start || to > self.start + self.bytes.len() as u64 {
            self.bytes = self.fs.read_at(self.path, from, len.max(WINDOW))?;
            self.start = from;
        }
        let at = usize::try_from(from - self.start).unwrap_or(usize::MAX).min(self.bytes.len());
        let end = usize::try_from(to.saturating_sub(self.start)).unwrap_or(usize::MAX);
        Ok(&self.bytes[at..end.clamp(at, self.bytes.len())])
    }
}
