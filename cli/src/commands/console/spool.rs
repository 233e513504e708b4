//! The spool: acts of agents that nobody could write, kept aside until somebody can.
//!
//! `spool/<session>.jsonl` in the home, one sealed line for each event: what was planned and redacted already, closed
//! under a key of the home. It is no evidence and no ledger file. Whoever owns the home next takes it in, as observed
//! by the spool, and leaves a receipt that says that there was a gap. Calls have the ids they would have had, so one
//! that was written after all is not written twice, and a crash before the file is deleted costs nothing.

use super::deliver::Wish;
use serde_json::{Map, Value, json};
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;
use vm_contracts::Moment;
use vm_ledger::clock::SystemEntropy;
use vm_ledger::openings::Aside;
use vm_receipts::Blake3;

/// Directory in the home.
pub const DIRECTORY: &str = "spool";
/// Counts, by its lines, what was lost because the spool was full. Each says when, so that no two are alike.
const OVERFLOW: &str = "overflow";
/// Bound into each box.
const WHAT: &str = "spool";
/// All files together; an agent works for days before it has written so much.
const BYTES_MAX: u64 = 64 << 20;
/// Most files, so that listing them stays cheap.
const FILES_MAX: usize = 10_000;
/// What follows the session in the name of a file of one event's own: its id and the endings.
const OWN_BYTES: usize = ".".len() + 36 + ".jsonl".len();
/// How often a file that another process appends to is tried again.
const TRIES: u32 = 20;

/// Why an event is here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// Another process had the home.
    NoOwner,
    /// The home did not answer in time.
    Deadline,
    /// The event did not read.
    Malformed,
    /// The home could not be written.
    Disk,
    /// The spool had no room.
    SpoolFull,
}

impl Reason {
    /// As receipts say it.
    pub fn word(self) -> &'static str {
        match self {
            Reason::NoOwner => "no_owner",
            Reason::Deadline => "deadline",
            Reason::Malformed => "malformed",
            Reason::Disk => "disk",
            Reason::SpoolFull => "spool_full",
        }
    }

    fn of(word: &str) -> Option<Self> {
        let all = [Self::NoOwner, Self::Deadline, Self::Malformed, Self::Disk, Self::SpoolFull];
        all.into_iter().find(|r| r.word() == word)
    }
}

/// One event: its calls, or none where it was lost.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Why it is here.
    pub reason: Reason,
    /// When it was seen.
    pub at: String,
    /// The session it is of, if that is known.
    pub session: Option<String>,
    /// What was to be called.
    pub calls: Vec<Wish>,
}

/// What one file of the spool holds.
#[derive(Debug, Default, PartialEq)]
pub struct Held {
    /// Its events, in the order in which they came.
    pub events: Vec<Event>,
    /// Lines that do not read or open.
    pub torn: u64,
    /// Names this content, so that its gap is told once.
    pub digest: String,
    /// Calls that the ledger refuses now: why their event was kept, and the code.
    pub refused: Vec<(Reason, String)>,
}

impl Held {
    /// Whether there was nothing.
    pub fn is_empty(&self) -> bool {
        self.events.is_empty() && self.torn == 0
    }
}

/// A file of the spool that nobody else appends to while it is held.
pub struct Taken {
    path: PathBuf,
    file: BufReader<File>,
    from: u64,
    until: u64,
}

impl Taken {
    /// What the next lines hold, at most so many.
    pub fn next(&mut self, aside: &Aside, verbs: &[&'static str], most: usize) -> io::Result<Held> {
        let is_overflow = self.path.ends_with(OVERFLOW);
        // What is lost alike is told in one receipt.
        let most = if is_overflow { usize::MAX } else { most };
        let (mut bytes, mut lines, mut line) = (Vec::new(), 0, Vec::new());
        self.from = self.until;
        while lines < most {
            line.clear();
            let count = (&mut self.file).take(BYTES_MAX * 2).read_until(b'\n', &mut line)?;
            if count == 0 {
                break;
            }
            if line != b"\n" {
                lines += 1;
                bytes.extend_from_slice(&line);
            } else if bytes.is_empty() {
                self.from += 1;
            }
            self.until += count as u64;
        }
        Ok(if is_overflow { overflow(&bytes) } else { read(&bytes, aside, verbs) })
    }

    /// What came last stands in the ledger: it is wiped from the file, so that nobody takes it in again. Where that
    /// fails, or a crash undoes it, it is taken in again and found to be there.
    pub fn told(&mut self) {
        let piece = [b'\n'; 8_192];
        let mut from = self.from;
        while from < self.until {
            let most = usize::try_from(self.until - from).unwrap_or(usize::MAX).min(piece.len());
            if self.file.get_ref().write_all_at(&piece[..most], from).is_err() {
                return;
            }
            from += most as u64;
        }
    }

    /// Whether nothing follows.
    pub fn is_at_end(&mut self) -> io::Result<bool> {
        Ok(self.file.fill_buf()?.is_empty())
    }

    /// Everything in it stands in the ledger.
    pub fn done(self) -> io::Result<()> {
        fs::remove_file(&self.path)
    }
}

/// Appends an event; durable when it returns. Without a key of the home only that it was lost is written.
pub fn append(home: &Path, aside: Option<&Aside>, event: &Event) -> io::Result<()> {
    let directory = home.join(DIRECTORY);
    match DirBuilder::new().mode(0o700).create(&directory) {
        Err(e) if e.kind() != io::ErrorKind::AlreadyExists => return Err(e),
        _ => {}
    }
    if is_full(&directory)? {
        let mut file = exclusive(&directory.join(OVERFLOW))?.ok_or(io::ErrorKind::WouldBlock)?;
        return file.write_all(format!("{}\n", event.at).as_bytes());
    }
    let line = format!("{}\n", sealed(aside, event));
    let name = event.session.as_deref().unwrap_or("unknown");
    let mut file = match exclusive(&directory.join(format!("{name}.jsonl")))? {
        Some(file) => file,
        // Somebody holds it for long; a file of our own is taken in as well. It is held too: whoever takes it in must
        // not remove it between its making and our writing.
        None => {
            let own = format!("{name}.{}.jsonl", crate::session::fresh_id());
            exclusive(&directory.join(own))?.ok_or(io::ErrorKind::WouldBlock)?
        }
    };
    // One write: a crash leaves a torn last line at most. It is counted, and never glued to the next one.
    let line = if ends_torn(&mut file)? { format!("\n{line}") } else { line };
    file.write_all(line.as_bytes())?;
    file.sync_data()
}

fn appending(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(path)
}

/// Whether a crash left a line without its end.
fn ends_torn(file: &mut File) -> io::Result<bool> {
    let mut last = [b'\n'];
    if file.metadata()?.len() > 0 {
        file.seek(SeekFrom::End(-1))?;
        file.read_exact(&mut last)?;
    }
    Ok(last != *b"\n")
}

/// A file to append to that nobody takes in meanwhile; `None` where it is not to be had soon.
fn exclusive(path: &Path) -> io::Result<Option<File>> {
    for _ in 0..TRIES {
        let file = appending(path)?;
        match file.try_lock() {
            // Whoever took it in has deleted it, and what is written to it now is lost.
            Ok(()) if file.metadata()?.nlink() == 0 => {}
            Ok(()) => return Ok(Some(file)),
            Err(TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(2)),
            Err(TryLockError::Error(e)) => return Err(e),
        }
    }
    Ok(None)
}

fn is_full(directory: &Path) -> io::Result<bool> {
    let (mut bytes, mut files) = (0, 0);
    for entry in fs::read_dir(directory)? {
        bytes += entry?.metadata().map_or(0, |m| m.len());
        files += 1;
    }
    Ok(bytes >= BYTES_MAX || files >= FILES_MAX)
}

fn sealed(aside: Option<&Aside>, event: &Event) -> String {
    let calls: Vec<Value> = event
        .calls
        .iter()
        .map(|w| json!({"verb": w.verb, "id": w.id, "intent": w.intent, "tags": w.tags}))
        .collect();
    let all = json!({
        "reason": event.reason.word(), "at": event.at, "session": event.session, "calls": calls,
    });
    match aside {
        Some(aside) => {
            let sealed = aside.seal(WHAT, all.to_string().as_bytes(), &SystemEntropy);
            json!({"v": 1, "box": hex(&sealed)}).to_string()
        }
        None => {
            json!({"v": 1, "lost": event.reason.word(), "at": event.at, "session": event.session})
                .to_string()
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes
        .iter()
        .flat_map(|b| [DIGITS[usize::from(b >> 4)], DIGITS[usize::from(b & 15)]])
        .map(char::from)
        .collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |b: u8| char::from(b).to_digit(16).and_then(|d| u8::try_from(d).ok());
    let bytes = text.as_bytes();
    let pairs = bytes.chunks_exact(2);
    bytes
        .len()
        .is_multiple_of(2)
        .then(|| pairs.map(|p| Some(digit(p[0])? << 4 | digit(p[1])?)).collect())
        .flatten()
}

/// Files of the spool, by name.
pub fn files(home: &Path) -> io::Result<Vec<PathBuf>> {
    let mut all = Vec::new();
    let entries = match fs::read_dir(home.join(DIRECTORY)) {
        Ok(entries) => entries,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(all),
        Err(e) => return Err(e),
    };
    for entry in entries {
        let path = entry?.path();
        let ours = path.extension().is_some_and(|e| e == "jsonl") || path.ends_with(OVERFLOW);
        if ours && fs::symlink_metadata(&path).is_ok_and(|m| m.is_file()) {
            all.push(path);
        }
    }
    all.sort();
    Ok(all)
}

/// Whether a file of the spool holds events of a session.
pub fn is_of(path: &Path, session: &str) -> bool {
    let name = path.file_name().and_then(|name| name.to_str());
    let rest = name.and_then(|name| name.strip_prefix(session));
    rest.is_some_and(|rest| rest == ".jsonl" || rest.starts_with('.') && rest.len() == OWN_BYTES)
}

/// Takes hold of a file; `None` where somebody appends to it at this moment, or it is gone.
pub fn take(path: &Path) -> io::Result<Option<Taken>> {
    let file = match OpenOptions::new().read(true).write(true).open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(e),
    };
    match file.try_lock() {
        Ok(()) if file.metadata()?.nlink() == 0 => return Ok(None),
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Ok(None),
        Err(TryLockError::Error(e)) => return Err(e),
    }
    Ok(Some(Taken { path: path.to_owned(), file: BufReader::new(file), from: 0, until: 0 }))
}

fn overflow(bytes: &[u8]) -> Held {
    let mut held = Held { digest: Blake3::of(bytes).to_string(), ..Held::default() };
    for line in bytes.split(|b| *b == b'\n').filter(|l| !l.is_empty()) {
        let at = std::str::from_utf8(line).ok().and_then(|at| Moment::parse(at).ok());
        // One that was torn was lost all the same.
        let at = at.map_or_else(String::new, |at| at.to_string());
        held.events.push(Event { reason: Reason::SpoolFull, at, session: None, calls: Vec::new() });
    }
    held
}

/// Reads the lines of a file.
fn read(bytes: &[u8], aside: &Aside, verbs: &[&'static str]) -> Held {
    let mut held = Held { digest: Blake3::of(bytes).to_string(), ..Held::default() };
    for line in bytes.split(|b| *b == b'\n').filter(|l| !l.is_empty()) {
        match line_of(line, aside, verbs) {
            Some(event) => held.events.push(event),
            None => held.torn += 1,
        }
    }
    held
}

fn line_of(line: &[u8], aside: &Aside, verbs: &[&'static str]) -> Option<Event> {
    let value: Value = serde_json::from_slice(line).ok()?;
    let text = |v: &Value| v.as_str().map(str::to_owned);
    if let Some(reason) = value["lost"].as_str() {
        let (reason, at) = (Reason::of(reason)?, text(&value["at"])?);
        return Some(Event { reason, at, session: text(&value["session"]), calls: Vec::new() });
    }
    let opened = aside.open(WHAT, &unhex(value["box"].as_str()?)?)?;
    let all: Value = serde_json::from_slice(&opened).ok()?;
    let calls = all["calls"].as_array()?.iter().map(|call| {
        let verb = call["verb"].as_str()?;
        Some(Wish {
            verb: verbs.iter().find(|v| **v == verb)?,
            id: text(&call["id"])?,
            intent: call["intent"].as_object().cloned()?,
            tags: call["tags"].as_array()?.iter().map(text).collect::<Option<_>>()?,
        })
    });
    Some(Event {
        reason: Reason::of(all["reason"].as_str()?)?,
        at: text(&all["at"])?,
        session: text(&all["session"]),
        calls: calls.collect::<Option<_>>()?,
    })
}

/// What the receipt of a gap says: why, how many, since when and until when.
pub fn gaps(held: &Held) -> Vec<Wish> {
    let mut reasons: Vec<Reason> = held.events.iter().map(|e| e.reason).collect();
    reasons.sort();
    reasons.dedup();
    let mut all: Vec<Wish> = reasons
        .into_iter()
        .map(|reason| {
            let of: Vec<&Event> = held.events.iter().filter(|e| e.reason == reason).collect();
            let lost = of.iter().filter(|e| e.calls.is_empty()).count();
            let session = of.first().and_then(|e| e.session.clone());
            let same = of.iter().all(|e| e.session == session);
            let mut times: Vec<&str> =
                of.iter().map(|e| e.at.as_str()).filter(|at| !at.is_empty()).collect();
            times.sort_unstable();
            let mut gap = gap(held, reason.word(), of.len() as u64);
            let mut put = |name: &str, value: Option<Value>| {
                value.map(|value| gap.intent.insert(name.to_owned(), value));
            };
            put("session_id", session.filter(|_| same).map(Value::from));
            put("from_at", times.first().map(|at| (*at).into()));
            put("until_at", times.last().map(|at| (*at).into()));
            put("detail", detail(lost, reason, held).map(Value::from));
            gap
        })
        .collect();
    if held.torn > 0 {
        let mut torn = gap(held, Reason::Malformed.word(), held.torn);
        torn.id.push_str("-torn");
        torn.intent.insert("detail".into(), "lines of the spool that do not read".into());
        all.push(torn);
    }
    all
}

/// What became of events that did not only come late.
fn detail(lost: usize, reason: Reason, held: &Held) -> Option<String> {
    let mut codes: Vec<&str> =
        held.refused.iter().filter(|(of, _)| *of == reason).map(|(_, code)| &**code).collect();
    let refused = codes.len();
    codes.sort_unstable();
    codes.dedup();
    let mut told = Vec::new();
    if lost > 0 {
        told.push(format!("{lost} of them were not kept"));
    }
    if refused > 0 {
        told.push(format!("{refused} of their calls were refused: {}", codes.join(", ")));
    }
    (!told.is_empty()).then(|| told.join("; "))
}

fn gap(held: &Held, reason: &str, events: u64) -> Wish {
    let mut intent = Map::new();
    intent.insert("reason".into(), reason.into());
    intent.insert("events".into(), events.into());
    intent.insert("observed_by".into(), "spool".into());
    let digest = held.digest.rsplit(':').next().unwrap_or_default();
    let short = digest.get(..32).unwrap_or(digest);
    Wish { verb: "gap", id: format!("gap-{short}-{reason}"), intent, tags: Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spool_without_room_or_key_counts_what_is_lost() {
        let home = tempfile::tempdir().unwrap();
        let event = Event {
            reason: Reason::NoOwner,
            at: "2026-01-01T00:00:00.000Z".into(),
            session: Some("s-1".into()),
            calls: vec![Wish { verb: "gap", id: "g".into(), intent: Map::new(), tags: vec![] }],
        };
        append(home.path(), None, &event).unwrap();
        let text = fs::read_to_string(home.path().join("spool/s-1.jsonl")).unwrap();
        assert!(text.contains("no_owner") && !text.contains("calls"), "{text}");
        let big = File::create(home.path().join("spool/big.jsonl")).unwrap();
        big.set_len(BYTES_MAX).unwrap();
        (0..3).for_each(|_| append(home.path(), None, &event).unwrap());
        let overflow = fs::read(home.path().join("spool/overflow")).unwrap();
        assert_eq!(super::overflow(&overflow).events.len(), 3);
        // The same count at another time is another gap.
        let later =
            String::from_utf8(overflow.clone()).unwrap().replace("2026-01-01", "2026-01-02");
        let id = |bytes: &[u8]| gaps(&super::overflow(bytes))[0].id.clone();
        assert_ne!(id(&overflow), id(later.as_bytes()));
    }

    #[test]
    fn a_file_is_held_while_it_is_written_and_what_was_told_is_wiped() {
        let home = tempfile::tempdir().unwrap();
        let event = Event {
            reason: Reason::Disk,
            at: "2026-01-01T00:00:00.000Z".into(),
            session: Some("s-1".into()),
            calls: Vec::new(),
        };
        (0..3).for_each(|_| append(home.path(), None, &event).unwrap());
        let path = home.path().join("spool/s-1.jsonl");
        let mut taken = take(&path).unwrap().unwrap();
        // Nobody appends to it meanwhile: the event gets a file of its own, which belongs to the session too.
        append(home.path(), None, &event).unwrap();
        let names = files(home.path()).unwrap();
        assert!(names.len() == 2 && names.iter().all(|name| is_of(name, "s-1")), "{names:?}");
        assert!(!names.iter().any(|name| is_of(name, "s")), "{names:?}");
        let text = fs::read_to_string(&path).unwrap();
        let first = text.lines().next().unwrap().len() + 1;
        let mut line = Vec::new();
        taken.file.read_until(b'\n', &mut line).unwrap();
        taken.until = first as u64;
        taken.told();
        drop(taken);
        let left = fs::read_to_string(&path).unwrap();
        assert_eq!(left.lines().filter(|line| !line.is_empty()).count(), 2, "{left}");
    }

    #[test]
    fn a_torn_line_costs_itself_and_no_other() {
        let home = tempfile::tempdir().unwrap();
        let event = Event {
            reason: Reason::Disk,
            at: "2026-01-01T00:00:00.000Z".into(),
            session: Some("s-1".into()),
            calls: Vec::new(),
        };
        append(home.path(), None, &event).unwrap();
        let path = home.path().join("spool/s-1.jsonl");
        let whole = fs::read(&path).unwrap();
        fs::write(&path, [&whole[..], &whole[..whole.len() / 2]].concat()).unwrap();
        append(home.path(), None, &event).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        let sound = |line: &&str| serde_json::from_str::<Value>(line).is_ok();
        assert_eq!((text.lines().count(), text.lines().filter(sound).count()), (3, 2), "{text}");
    }

    #[test]
    fn gaps_say_why_how_many_and_between_when() {
        let event = |reason, at: &str, session: &str| Event {
            reason,
            at: at.into(),
            session: Some(session.into()),
            calls: Vec::new(),
        };
        let held = Held {
            events: vec![
                event(Reason::NoOwner, "2026-01-02T00:00:00.000Z", "a"),
                event(Reason::NoOwner, "2026-01-01T00:00:00.000Z", "b"),
                event(Reason::Deadline, "2026-01-03T00:00:00.000Z", "b"),
            ],
            torn: 2,
            digest: "blake3:00".into(),
            refused: vec![(Reason::NoOwner, "from_future".into())],
        };
        let gaps = gaps(&held);
        let told = |i: usize, name: &str| gaps[i].intent.get(name).cloned().unwrap_or_default();
        assert_eq!((told(0, "events"), told(0, "session_id")), (2.into(), Value::Null));
        let detail = told(0, "detail");
        assert!(detail.as_str().unwrap().contains("1 of their calls were refused: from_future"));
        assert_eq!(told(0, "from_at"), "2026-01-01T00:00:00.000Z");
        assert_eq!(told(0, "until_at"), "2026-01-02T00:00:00.000Z");
        assert_eq!((told(1, "reason"), told(1, "session_id")), ("deadline".into(), "b".into()));
        assert_eq!((told(2, "reason"), told(2, "events")), ("malformed".into(), 2.into()));
        let mut ids: Vec<&str> = gaps.iter().map(|g| g.id.as_str()).collect();
        ids.dedup();
        assert_eq!(ids.len(), 3);
    }
}
