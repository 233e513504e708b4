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

use crate::fs::{Fs, make_dir};
use crate::segments::{Layout, scroll_dir, segment_path};
use std::io;
use vm_contracts::{Corrupt, Failure, Fault};
use vm_receipts::key::PublicKey;
use vm_receipts::line::{self, Line};

/// Where cut bytes are kept.
pub const QUARANTINE: &str = "quarantine";

/// A scroll whose files are in order, as far as it may be used.
#[derive(Debug)]
pub struct Recovered {
    /// Where the usable lines lie.
    pub layout: Layout,
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

/// One file's bytes and the lines in them.
struct Segment {
    first: u64,
    /// Lines it holds when it is full.
    room: u64,
    path: String,
    bytes: Vec<u8>,
}

/// The first line that does not read.
struct Bad {
    seq: u64,
    path: String,
    line: u64,
    byte: u64,
    claim: String,
    torn: bool,
}

/// Brings the files of one scroll, of `per_file` lines each, into a state that can be taken in. `signed` is the size in
/// signed-state.
pub fn recover(
    fs: &dyn Fs,
    scroll: &str,
    signed: u64,
    per_file: u64,
    issuer: &PublicKey,
) -> Result<Recovered, Failure> {
    let segments = read_segments(fs, scroll, per_file)?;
    let scan = scan(&segments, &Judge { scroll, signed, issuer })?;
    let mut notes = Vec::new();
    let total = scan.lines.len() as u64;
    let Some(bad) = scan.bad else {
        let keep = complete_calls(&scan.lines, signed, total);
        if keep < total || total > signed {
            return rewritten(fs, scroll, &segments, scan.lines, (signed, keep), per_file, notes);
        } else if !segments.is_empty() {
            // A recovery that died between its rename and the sync of the directory left a name that only the page
            // cache knows; what is appended under it would be lost with it.
            let dir = scroll_dir(scroll);
            fs.sync_dir(&dir).map_err(|e| io_fault("sync", &dir, &e))?;
        }
        return finish(scan.lines, keep, per_file, notes, None);
    };
    if bad.seq < signed {
        return Err(Failure::Corrupt(corrupt(&bad, signed)));
    }
    let keep = complete_calls(&scan.lines, signed, bad.seq);
    if !bad.torn || scan.later_batch {
        let damage =
            Damage { from: keep, file: bad.path, line: bad.line, byte: bad.byte, claim: bad.claim };
        notes.push(format!(
            "{scroll} is read-only: {}, line {}, byte {}: {}; lines from {} on may have been acknowledged",
            damage.file, damage.line, damage.byte, damage.claim, damage.from
        ));
        if keep > signed {
            renew(fs, scroll, &segments, signed)?;
        }
        return finish(scan.lines, keep, per_file, notes, Some(damage));
    }
    rewritten(fs, scroll, &segments, scan.lines, (signed, keep), per_file, notes)
}

/// Rewrites what stands above signed-state; without space for that, only what is signed may be used.
fn rewritten(
    fs: &dyn Fs,
    scroll: &str,
    segments: &[Segment],
    lines: Vec<Found>,
    (signed, keep): (u64, u64),
    per_file: u64,
    mut notes: Vec<String>,
) -> Result<Recovered, Failure> {
    match rewrite(fs, scroll, segments, &lines, signed, keep, &mut notes) {
        Ok(()) => finish(lines, keep, per_file, notes, None),
        Err(Failure::Fault(fault)) if fault.code == NO_SPACE => {
            notes.push(format!("{scroll}: there is no space to make {} lines above signed-state safe; only what is signed can be read", keep - signed.min(keep)));
            let signed = finish(lines, signed.min(keep), per_file, notes, None)?;
            Ok(Recovered { full: true, ..signed })
        }
        Err(failure) => Err(failure),
    }
}

/// Cuts everything from `keep` on, keeping a copy in quarantine; for `vm accept-cut`. Returns the copy's path.
pub fn cut(
    fs: &dyn Fs,
    scroll: &str,
    keep: u64,
    signed: u64,
    per_file: u64,
    issuer: &PublicKey,
) -> Result<(Layout, Vec<String>), Failure> {
    let segments = read_segments(fs, scroll, per_file)?;
    let scan = scan(&segments, &Judge { scroll, signed, issuer })?;
    let mut notes = Vec::new();
    rewrite(fs, scroll, &segments, &scan.lines, signed.min(keep), keep, &mut notes)?;
    let recovered = finish(scan.lines, keep, per_file, Vec::new(), None)?;
    Ok((recovered.layout, notes))
}

fn finish(
    lines: Vec<Found>,
    keep: u64,
    per_file: u64,
    notes: Vec<String>,
    damage: Option<Damage>,
) -> Result<Recovered, Failure> {
    let mut layout = Layout::new(per_file);
    layout.extend(lines.iter().take(usize::try_from(keep).unwrap_or(usize::MAX)).map(|l| l.bytes));
    Ok(Recovered { layout, notes, damage, full: false })
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

fn read_segments(fs: &dyn Fs, scroll: &str, per_file: u64) -> Result<Vec<Segment>, Failure> {
    let dir = scroll_dir(scroll);
    let names = fs.list(&dir).map_err(|e| io_fault("list", &dir, &e))?;
    let mut segments = Vec::new();
    for name in names.iter().filter(|n| n.ends_with(".jsonl")) {
        let first = segments.len() as u64 * per_file;
        let path = segment_path(scroll, first);
        if path != format!("{dir}/{name}") {
            return Err(Failure::Corrupt(Corrupt {
                file: format!("{dir}/{name}"),
                line: None,
                byte: None,
                claim: format!(
                    "the next file of {scroll} must be {path}; one is missing or misnamed"
                ),
                hint: Some("Put the missing file back from a backup; nothing was changed.".into()),
            }));
        }
        let bytes = fs.read(&path).map_err(|e| io_fault("read", &path, &e))?;
        segments.push(Segment { first, room: per_file, path, bytes });
    }
    Ok(segments)
}

/// A line that reads: its length with its end, and what its call looks like above signed-state.
struct Found {
    bytes: u64,
    part: Option<(u32, u32)>,
}

struct Scan {
    lines: Vec<Found>,
    bad: Option<Bad>,
    /// After the first bad line stands an intact one whose batch began later: the bad one's batch was durable.
    later_batch: bool,
}

fn scan(segments: &[Segment], judge: &Judge<'_>) -> Result<Scan, Failure> {
    let mut scan = Scan { lines: Vec::new(), bad: None, later_batch: false };
    let mut before = None;
    for (i, segment) in segments.iter().enumerate() {
        let mut rest = &segment.bytes[..];
        let mut number = 0;
        while !rest.is_empty() {
            let byte = (segment.bytes.len() - rest.len()) as u64;
            let end = rest.iter().position(|b| *b == b'\n');
            let (text, after) = match end {
                Some(end) => (&rest[..end], &rest[end + 1..]),
                None => (rest, &rest[rest.len()..]),
            };
            number += 1;
            rest = after;
            match &scan.bad {
                None => {
                    let seq = scan.lines.len() as u64;
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
                seq: scan.lines.len() as u64,
                path: segment.path.clone(),
                line: number + 1,
                byte: segment.bytes.len() as u64,
                claim: format!(
                    "the file ends after {number} lines although {} follows",
                    segments[i + 1].path
                ),
                torn: true,
            });
        }
        debug_assert_eq!(segment.first, i as u64 * segment.room);
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
fn complete_calls(lines: &[Found], signed: u64, limit: u64) -> u64 {
    let mut complete = signed.min(limit);
    for seq in signed..limit {
        let Some((n, of)) = lines[usize::try_from(seq).unwrap_or(usize::MAX)].part else { break };
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
    lines: &[Found],
    signed: u64,
    keep: u64,
    notes: &mut Vec<String>,
) -> Result<(), Failure> {
    let mut cut = Vec::new();
    let mut plan = Vec::new();
    for segment in segments.iter().filter(|s| s.first + s.room > signed) {
        let here = keep.saturating_sub(segment.first).min(segment.room);
        let from = usize::try_from(segment.first).unwrap_or(usize::MAX).min(lines.len());
        let held: u64 =
            lines[from..].iter().take(usize::try_from(here).unwrap_or(0)).map(|l| l.bytes).sum();
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
        let result = match held {
            0 => fs.remove(&segment.path),
            _ => copy(fs, &segment.path, &segment.bytes[..*held]),
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
        copy(fs, &segment.path, &segment.bytes)
            .and_then(|()| fs.sync_dir(&scroll_dir(scroll)))
            .map_err(|e| io_fault("rewrite", &segment.path, &e))?;
    }
    Ok(())
}

fn copy(fs: &dyn Fs, path: &str, bytes: &[u8]) -> io::Result<()> {
    let fresh = format!("{path}.new");
    fs.write(&fresh, bytes)?;
    fs.sync(&fresh)?;
    fs.rename(&fresh, path)
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
