//! What `open` does to a scroll's files before a line of them is believed.
//!
//! Lines below signed-state are evidence: if one does not read, that is [`Corrupt`] and everything stops. Lines above
//! it were perhaps acknowledged and perhaps never reached the disk. A crash leaves there a last batch with missing
//! bytes (NULs, or the end of the file); it was never acknowledged, so it is set aside in quarantine and cut back to
//! the last complete call. Anything else that does not read there is damage: lines that somebody may have been
//! promised. Then nothing is cut until a person accepts it (`vm accept-cut`).
//!
//! Whatever is kept above signed-state is copied to a new, synced file before it is believed: after a failed sync the
//! page cache shows bytes that the disk never took.
//!
//! Only the end of a scroll is looked at here: from where the index has come to, or from the file that signed-state ends
//! in. Files before that are full, and are compared when they are taken in or read.

use crate::fs::{Fs, make_dir};
use crate::segments::{scroll_dir, segment_path};
use std::io;
use vm_contracts::{Corrupt, Failure, Fault};
use vm_receipts::key::PublicKey;
use vm_receipts::line::{self, Line};

/// Where cut bytes are kept.
pub const QUARANTINE: &str = "quarantine";

/// A scroll whose files are in order, as far as it may be used.
#[derive(Debug)]
pub struct Recovered {
    /// The first line that was looked at.
    pub base: u64,
    /// Lengths of the usable lines from there on, ends included.
    pub lengths: Vec<u64>,
    /// What was found and done, for people.
    pub notes: Vec<String>,
    /// Lines that do not read and may have been acknowledged; the scroll is then read-only.
    pub damage: Option<Damage>,
    /// There was no space to copy what stands above signed-state; only what is signed may be used.
    pub full: bool,
}

/// Bytes above signed-state that do not read and are no tear.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// Sequence number from which lines cannot be used.
    pub from: u64,
    /// File of the first bad line.
    pub file: String,
    /// Its line number from 1.
    pub line: u64,
    /// Byte offset of the fault in that file.
    pub byte: u64,
    /// What is wrong with it.
    pub claim: String,
}

/// The lines that are known to be in order: so many, of which the file that the next one goes into holds `end` bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// Lines.
    pub size: u64,
    /// Bytes.
    pub end: u64,
}

impl Known {
    /// What recovery may begin at: what is known, or the file that signed-state ends in, whichever is further.
    fn or_file_of(self, signed: u64, per_file: u64) -> Self {
        let first = signed - signed % per_file;
        if first > self.size { Known { size: first, end: 0 } } else { self }
    }
}

/// One file's bytes, from where the known lines end, and the lines in them.
struct Segment {
    first: u64,
    /// Lines it holds when it is full.
    room: u64,
    /// Lines of it that are known.
    known: u64,
    /// Bytes of it that hold them.
    skipped: u64,
    path: String,
    bytes: Vec<u8>,
}

/// The first line that does not read.
#[derive(Clone)]
struct Bad {
    seq: u64,
    path: String,
    line: u64,
    byte: u64,
    claim: String,
    torn: bool,
}

/// Brings the files of one scroll, of `per_file` lines each, into a state that can be taken in. `signed` is the size in
/// signed-state; lines that are `known` are not looked at again.
pub fn recover(
    fs: &dyn Fs,
    scroll: &str,
    signed: u64,
    per_file: u64,
    issuer: &PublicKey,
    known: Known,
) -> Result<Recovered, Failure> {
    let known = known.or_file_of(signed, per_file);
    let segments = read_segments(fs, scroll, per_file, known)?;
    let scan = scan(&segments, known.size, &Judge { scroll, signed, issuer })?;
    let mut notes = Vec::new();
    let total = known.size + scan.lines.len() as u64;
    let Some(bad) = &scan.bad else {
        let keep = complete_calls(&scan, signed, total);
        if keep < total || total > signed {
            return rewritten(fs, scroll, &segments, scan, (signed, keep), notes);
        } else if !segments.is_empty() {
            // A recovery that died between its rename and the sync of the directory left a name that only the page
            // cache knows; what is appended under it would be lost with it.
            let dir = scroll_dir(scroll);
            fs.sync_dir(&dir).map_err(|e| io_fault("sync", &dir, &e))?;
        }
        return Ok(finish(scan, keep, notes, None));
    };
    if bad.seq < signed {
        return Err(Failure::Corrupt(corrupt(bad, signed)));
    }
    let keep = complete_calls(&scan, signed, bad.seq);
    if !bad.torn || scan.later_batch {
        let Bad { path: file, line, byte, claim, .. } = bad.clone();
        let damage = Damage { from: keep, file, line, byte, claim };
        notes.push(format!(
            "{scroll} is read-only: {}, line {}, byte {}: {}; lines from {} on may have been acknowledged",
            damage.file, damage.line, damage.byte, damage.claim, damage.from
        ));
        if keep > signed {
            renew(fs, scroll, &segments, signed)?;
        }
        return Ok(finish(scan, keep, notes, Some(damage)));
    }
    rewritten(fs, scroll, &segments, scan, (signed, keep), notes)
}

/// Rewrites what stands above signed-state; without space for that, only what is signed may be used.
fn rewritten(
    fs: &dyn Fs,
    scroll: &str,
    segments: &[Segment],
    scan: Scan,
    (signed, keep): (u64, u64),
    mut notes: Vec<String>,
) -> Result<Recovered, Failure> {
    match rewrite(fs, scroll, segments, &scan, signed, keep, &mut notes) {
        Ok(()) => Ok(finish(scan, keep, notes, None)),
        Err(Failure::Fault(fault)) if fault.code == NO_SPACE => {
            notes.push(format!("{scroll}: there is no space to make {} lines above signed-state safe; only what is signed can be read", keep - signed.min(keep)));
            Ok(Recovered { full: true, ..finish(scan, signed.min(keep), notes, None) })
        }
        Err(failure) => Err(failure),
    }
}

/// Cuts everything from `keep` on, keeping a copy in quarantine; for `vm accept-cut`. Says what was done.
pub fn cut(
    fs: &dyn Fs,
    scroll: &str,
    (keep, signed): (u64, u64),
    per_file: u64,
    issuer: &PublicKey,
    known: Known,
) -> Result<Vec<String>, Failure> {
    let known = known.or_file_of(signed.min(keep), per_file);
    let segments = read_segments(fs, scroll, per_file, known)?;
    let scan = scan(&segments, known.size, &Judge { scroll, signed, issuer })?;
    let mut notes = Vec::new();
    rewrite(fs, scroll, &segments, &scan, signed.min(keep), keep, &mut notes)?;
    Ok(notes)
}

fn finish(scan: Scan, keep: u64, notes: Vec<String>, damage: Option<Damage>) -> Recovered {
    let kept = usize::try_from(keep.saturating_sub(scan.base)).unwrap_or(usize::MAX);
    let lengths = scan.lines.iter().take(kept).map(|l| l.bytes).collect();
    Recovered { base: scan.base, lengths, notes, damage, full: false }
}

/// Code of a fault for want of space.
pub const NO_SPACE: &str = "no_space";

fn io_fault(what: &str, path: &str, e: &io::Error) -> Failure {
    let code = if is_full(e) { NO_SPACE } else { "recovery_failed" };
    Fault::new(code, format!("cannot {what} {path}: {e}")).into()
}

/// Whether an error says that there is no space, on the disk or in a quota.
pub fn is_full(e: &io::Error) -> bool {
    matches!(e.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// The files of a scroll in order; those that hold only known lines are named and not read.
fn read_segments(
    fs: &dyn Fs,
    scroll: &str,
    per_file: u64,
    known: Known,
) -> Result<Vec<Segment>, Failure> {
    let dir = scroll_dir(scroll);
    let names = fs.list(&dir).map_err(|e| io_fault("list", &dir, &e))?;
    let mut segments = Vec::new();
    let mut first = 0;
    for name in names.iter().filter(|n| n.ends_with(".jsonl")) {
        let path = segment_path(scroll, first);
        if path != format!("{dir}/{name}") {
            return Err(missing(scroll, &path, format!("{dir}/{name}")).into());
        }
        if first + per_file > known.size {
            let here = known.size.saturating_sub(first);
            let skipped = if here == 0 { 0 } else { known.end };
            let bytes = read_from(fs, &path, skipped).map_err(|e| io_fault("read", &path, &e))?;
            segments.push(Segment { first, room: per_file, known: here, skipped, path, bytes });
        }
        first += per_file;
    }
    if first < known.size {
        let path = segment_path(scroll, first);
        return Err(missing(scroll, &path, dir).into());
    }
    Ok(segments)
}

fn missing(scroll: &str, path: &str, file: String) -> Corrupt {
    Corrupt {
        file,
        line: None,
        byte: None,
        claim: format!("the next file of {scroll} must be {path}; one is missing or misnamed"),
        hint: Some("Put the missing file back from a backup; nothing was changed.".into()),
    }
}

fn read_from(fs: &dyn Fs, path: &str, skipped: u64) -> io::Result<Vec<u8>> {
    if skipped == 0 {
        return fs.read(path);
    }
    let len = fs.len(path)?.unwrap_or(0);
    if len < skipped {
        let what = format!("it has {len} bytes, and {skipped} of them were taken in before");
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, what));
    }
    fs.read_at(path, skipped, usize::try_from(len - skipped).unwrap_or(usize::MAX))
}

/// A line that reads: its length with its end, and what its call looks like above signed-state.
struct Found {
    bytes: u64,
    part: Option<(u32, u32)>,
}

struct Scan {
    /// Number of the first line in `lines`.
    base: u64,
    lines: Vec<Found>,
    bad: Option<Bad>,
    /// After the first bad line stands an intact one whose batch began later: the bad one's batch was durable.
    later_batch: bool,
}

fn scan(segments: &[Segment], base: u64, judge: &Judge<'_>) -> Result<Scan, Failure> {
    let mut scan = Scan { base, lines: Vec::new(), bad: None, later_batch: false };
    let mut before = None;
    for (i, segment) in segments.iter().enumerate() {
        let mut rest = &segment.bytes[..];
        let mut number = segment.known;
        while !rest.is_empty() {
            let byte = segment.skipped + (segment.bytes.len() - rest.len()) as u64;
            let end = rest.iter().position(|b| *b == b'\n');
            let (text, after) = match end {
                Some(end) => (&rest[..end], &rest[end + 1..]),
                None => (rest, &rest[rest.len()..]),
            };
            number += 1;
            rest = after;
            match &scan.bad {
                None => {
                    let seq = base + scan.lines.len() as u64;
                    let over = number > segment.room;
                    match judge.line(text, seq, before.as_ref(), end.is_none(), over) {
                        Ok(line) => {
                            let part = line.as_ref().map(|l| (l.part.n, l.part.of));
                            scan.lines.push(Found { bytes: text.len() as u64 + 1, part });
                            before = line;
                        }
                        Err((at, claim, torn)) => {
                            let path = segment.path.clone();
                            scan.bad =
                                Some(Bad { seq, path, line: number, byte: byte + at, claim, torn });
                        }
                    }
                }
                Some(bad) => {
                    let began_later = Line::parse(text).is_ok_and(|l| l.prev.size > bad.seq);
                    scan.later_batch |= began_later;
                }
            }
        }
        let short = number < segment.room && i + 1 < segments.len();
        if short && scan.bad.is_none() {
            scan.bad = Some(Bad {
                seq: base + scan.lines.len() as u64,
                path: segment.path.clone(),
                line: number + 1,
                byte: segment.skipped + segment.bytes.len() as u64,
                claim: format!(
                    "the file ends after {number} lines although {} follows",
                    segments[i + 1].path
                ),
                torn: true,
            });
        }
    }
    Ok(scan)
}

/// Says of one line whether it may be believed.
struct Judge<'a> {
    scroll: &'a str,
    signed: u64,
    issuer: &'a PublicKey,
}

impl Judge<'_> {
    /// Below signed-state only the line's frame is looked at; the root that was signed covers its bytes, and taking it
    /// in compares them. Above, nothing covers it yet: only the seal of this node shows that it was written here.
    #[allow(clippy::type_complexity, reason = "one caller, and the three parts are named there")]
    fn line(
        &self,
        text: &[u8],
        seq: u64,
        before: Option<&Line>,
        unended: bool,
        over: bool,
    ) -> Result<Option<Line>, (u64, String, bool)> {
        if unended {
            return Err((text.len() as u64, "the line does not end".into(), true));
        }
        if over {
            return Err((0, "the file holds more lines than a full one".into(), false));
        }
        if seq < self.signed {
            return Ok(None);
        }
        let torn = text.contains(&0);
        let line = Line::parse(text).map_err(|e| (e.at as u64, e.message, torn))?;
        if line.seq != seq || line.scroll != self.scroll {
            let here = format!("{}/{seq}", self.scroll);
            let claim =
                format!("the line says {}/{} where {here} must stand", line.scroll, line.seq);
            return Err((0, claim, false));
        }
        sealed_here(text, &line, self.issuer).map_err(|claim| (0, claim, false))?;
        match continues_call(before, &line) {
            true => Ok(Some(line)),
            false => Err((
                0,
                format!(
                    "it is part {} of call {}, which is not what must follow",
                    line.part.n, line.id
                ),
                false,
            )),
        }
    }
}

/// Whether a line that no signed root covers was sealed by this node, unchanged since.
pub(crate) fn sealed_here(bytes: &[u8], line: &Line, issuer: &PublicKey) -> Result<(), String> {
    line::verify_proof(bytes, issuer).map_err(|e| e.message)?;
    let derived = line::record_digests(line);
    match line.artifacts.is_some() || derived == (line.contract, line.state, line.root_hash) {
        true => Ok(()),
        false => Err("contract, state or root_hash do not follow from the line".into()),
    }
}

/// Whether a line is the next part of the call above it, or begins one after a whole call. Without the line above
/// (it is below signed-state, where calls are whole) it must begin one.
fn continues_call(before: Option<&Line>, line: &Line) -> bool {
    match before.filter(|b| b.part.n < b.part.of) {
        Some(open) => {
            open.id == line.id
                && open.part.of == line.part.of
                && open.part.n + 1 == line.part.n
                && open.contract == line.contract
        }
        None => line.part.n == 1,
    }
}

/// The largest size up to `limit` at which no call is cut in two.
fn complete_calls(scan: &Scan, signed: u64, limit: u64) -> u64 {
    let mut complete = signed.min(limit);
    for seq in signed..limit {
        let found = usize::try_from(seq - scan.base).ok().and_then(|n| scan.lines.get(n));
        let Some((n, of)) = found.and_then(|line| line.part) else { break };
        if n == of {
            complete = seq + 1;
        }
    }
    complete
}

fn corrupt(bad: &Bad, signed: u64) -> Corrupt {
    Corrupt {
        file: bad.path.clone(),
        line: Some(bad.line),
        byte: Some(bad.byte),
        claim: format!("{} (the scroll was signed up to {signed} lines)", bad.claim),
        hint: Some("Nothing was changed. `vm verify` says what is still provable; restore the file from a backup.".into()),
    }
}

/// Replaces every file that holds lines above signed-state by a synced copy of what is kept; what is not kept goes to
/// quarantine first.
fn rewrite(
    fs: &dyn Fs,
    scroll: &str,
    segments: &[Segment],
    scan: &Scan,
    signed: u64,
    keep: u64,
    notes: &mut Vec<String>,
) -> Result<(), Failure> {
    let mut cut = Vec::new();
    let mut plan = Vec::new();
    for segment in segments.iter().filter(|s| s.first + s.room > signed) {
        let here = keep.saturating_sub(segment.first).min(segment.room);
        let from = (segment.first + segment.known).saturating_sub(scan.base);
        let from = usize::try_from(from).unwrap_or(usize::MAX).min(scan.lines.len());
        let count = usize::try_from(here.saturating_sub(segment.known)).unwrap_or(0);
        let held: u64 = scan.lines[from..].iter().take(count).map(|l| l.bytes).sum();
        let held = usize::try_from(held).unwrap_or(usize::MAX).min(segment.bytes.len());
        cut.extend_from_slice(&segment.bytes[held..]);
        plan.push((segment, held));
    }
    if !cut.is_empty() {
        let path =
            set_aside(fs, scroll, keep, &cut).map_err(|e| io_fault("write to", QUARANTINE, &e))?;
        notes.push(format!(
            "{scroll}: {} bytes after line {keep} were never committed; they are kept in {path}",
            cut.len()
        ));
    }
    // Later files first: were the older one cut first and the machine stopped, a gap would stand between them.
    for (segment, held) in plan.iter().rev() {
        let result = match segment.known + *held as u64 {
            0 => fs.remove(&segment.path),
            _ => copy(fs, segment, &segment.bytes[..*held]),
        };
        result
            .and_then(|()| fs.sync_dir(&scroll_dir(scroll)))
            .map_err(|e| io_fault("rewrite", &segment.path, &e))?;
    }
    Ok(())
}

/// Copies every file that holds lines above signed-state, damaged end and all, so that what is believed of it is on
/// the disk and not only in the page cache. No byte changes.
fn renew(fs: &dyn Fs, scroll: &str, segments: &[Segment], signed: u64) -> Result<(), Failure> {
    for segment in segments.iter().filter(|s| s.first + s.room > signed) {
        copy(fs, segment, &segment.bytes)
            .and_then(|()| fs.sync_dir(&scroll_dir(scroll)))
            .map_err(|e| io_fault("rewrite", &segment.path, &e))?;
    }
    Ok(())
}

/// Replaces a file by its known part and these bytes, synced before the rename.
fn copy(fs: &dyn Fs, segment: &Segment, bytes: &[u8]) -> io::Result<()> {
    const CHUNK: u64 = 1 << 20;
    let fresh = format!("{}.new", segment.path);
    if segment.skipped == 0 {
        fs.write(&fresh, bytes)?;
    } else {
        fs.remove(&fresh)?;
        let mut at = 0;
        while at < segment.skipped {
            let len = usize::try_from(CHUNK.min(segment.skipped - at)).unwrap_or(usize::MAX);
            let part = fs.read_at(&segment.path, at, len)?;
            if part.is_empty() {
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof));
            }
            fs.append(&fresh, at, &part)?;
            at += part.len() as u64;
        }
        fs.append(&fresh, at, bytes)?;
    }
    fs.sync(&fresh)?;
    fs.rename(&fresh, &segment.path)
}

/// Keeps cut bytes under a name that is still free.
fn set_aside(fs: &dyn Fs, scroll: &str, keep: u64, bytes: &[u8]) -> io::Result<String> {
    make_dir(fs, QUARANTINE)?;
    let taken = fs.list(QUARANTINE)?;
    let name = (0u32..)
        .map(|n| format!("{scroll}.{keep:020}.{n}.cut"))
        .find(|name| !taken.contains(name))
        .expect("there are more numbers than files");
    let path = format!("{QUARANTINE}/{name}");
    fs.write(&path, bytes)?;
    fs.sync(&path)?;
    fs.sync_dir(QUARANTINE)?;
    Ok(path)
}
