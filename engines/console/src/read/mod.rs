//! Readers of foreign records.
//!
//! Each format is read into [`event::Event`]s; [`follow::Follow`] pairs them and hands calls of the ledger to a sink;
//! [`planner::Planner`] writes those calls, for the readers as for whoever sees an act as it happens
//! ([`hook`] reads what agents tell a program that they start for each event).
//!
//! A record is outside bytes, and much of it is text that anybody could write: a prompt, the output of a command. Only
//! what the format itself puts in a place counts for that place. What does not read is counted and named, and the rest
//! goes on.

pub mod claude;
pub mod contents;
pub mod event;
pub mod files;
pub mod follow;
pub mod hook;
pub mod json;
pub mod lines;
pub mod otlp;
pub mod planner;
pub mod text;
pub mod tool;
pub mod trajectory;

use crate::state::State;
use follow::Follow;
use lines::{Line, Lines};
use serde_json::Value;
use std::io::{BufRead, Read};
use vm_contracts::{
    Failure, Fault, Feed, Import, Importer, Moment, NoPlaces, Planned, Refusal, RefusalKind, Sink,
    Source, Streaming,
};

/// Longest document that is read whole. Lines have no such limit together.
pub const DOCUMENT_BYTES_MAX: u64 = 48 << 20;
/// Places of bad lines that are named one by one.
const NAMED_MAX: u64 = 20;

/// The formats, for the engine's list.
pub const IMPORTERS: &[&dyn Importer<State>] = &[&CLAUDE, &CLAUDE_DOCUMENT, &TRAJECTORY, &OTLP];

/// Claude Code's transcripts.
pub static CLAUDE: Format = Format {
    name: "claude",
    about: "Claude Code sessions as JSON lines",
    endings: &["jsonl"],
    stream: claude_lines,
};
/// Older transcripts of Claude Code, one document each; OpenTelemetry documents are recognised too.
pub static CLAUDE_DOCUMENT: Format = Format {
    name: "claude-json",
    about: "Claude Code sessions in one older document",
    endings: &["json"],
    stream: claude_document,
};
/// Trajectories of SWE-agent.
pub static TRAJECTORY: Format = Format {
    name: "swe-agent",
    about: "SWE-agent trajectories",
    endings: &["traj"],
    stream: swe_agent,
};
/// OpenTelemetry, one document or one in each line.
pub static OTLP: Format = Format {
    name: "otlp",
    about: "OpenTelemetry JSON, traces and logs of the GenAI conventions",
    endings: &["otlp"],
    stream: open_telemetry,
};

/// How a format is read.
type Reader = fn(Feed<'_>, &mut dyn BufRead, &mut dyn Sink<State>) -> Result<(), Failure>;

/// A format that is read piece by piece.
pub struct Format {
    name: &'static str,
    about: &'static str,
    endings: &'static [&'static str],
    stream: Reader,
}

impl Importer<State> for Format {
    fn format(&self) -> &'static str {
        self.name
    }
    fn about(&self) -> &'static str {
        self.about
    }
    fn endings(&self) -> &'static [&'static str] {
        self.endings
    }
    fn read(&self, state: &State, source: Source<'_>) -> Result<Import, Refusal> {
        collect(self, state, source)
    }
    fn streaming(&self) -> Option<&dyn Streaming<State>> {
        Some(self)
    }
}

impl Streaming<State> for Format {
    fn stream(
        &self,
        feed: Feed<'_>,
        input: &mut dyn BufRead,
        sink: &mut dyn Sink<State>,
    ) -> Result<(), Failure> {
        (self.stream)(feed, input, sink)
    }
}

fn claude_lines(
    feed: Feed<'_>,
    input: &mut dyn BufRead,
    sink: &mut dyn Sink<State>,
) -> Result<(), Failure> {
    let mut follow = Follow::new(feed, "transcript", "claude");
    let mut head = Vec::new();
    let read = input.take(HEAD_BYTES).read_to_end(&mut head);
    read.map_err(|e| unread(feed.name, &e))?;
    let mut claude = None;
    let mut bad = Bad::default();
    let mut input = head.as_slice().chain(input);
    each_line(feed.name, &mut input, &mut |number, line| {
        let read = match line {
            Line::TooLong => Err(format!("it has more than {} bytes", lines::LINE_BYTES_MAX)),
            Line::Read(line) if line.iter().all(u8::is_ascii_whitespace) => return Ok(()),
            Line::Read(line) => {
                let named = || unnamed(feed.key, first_lines(&head));
                claude.get_or_insert_with(|| claude::Claude::new(feed.key, named()));
                json::document(line)
            }
        };
        let place = format!("line {number}");
        let read = match (read, &mut claude) {
            (Ok(entry), Some(claude)) => claude.entry(&entry, &place, &mut follow, sink)?,
            (read, _) => read.map(drop),
        };
        if let Err(why) = read {
            follow.malformed();
            bad.add(&place, &why);
        }
        Ok(())
    })?;
    bad.tell("lines", sink);
    finish(claude, follow, sink)
}

fn claude_document(
    feed: Feed<'_>,
    input: &mut dyn BufRead,
    sink: &mut dyn Sink<State>,
) -> Result<(), Failure> {
    let (bytes, document) = whole(feed.name, input)?;
    if otlp::is_one(&document) {
        let mut follow = Follow::new(feed, "otlp", "otlp");
        otlp::each(&document, "document", &mut |event| follow.event(event, sink))?;
        return follow.finish(sink);
    }
    let Some(entries) = claude::entries(&document) else {
        return Err(not_this(feed.name, "no list of entries").into());
    };
    let named = json::any_text(&document, &["sessionId", "session_id", "id"]);
    let fallback = named.map_or_else(|| unnamed(feed.key, &bytes), str::to_owned);
    let mut follow = Follow::new(feed, "transcript", "claude-json");
    let mut claude = claude::Claude::new(feed.key, fallback);
    let mut bad = Bad::default();
    for (number, entry) in entries.iter().enumerate() {
        let place = format!("entry {}", number + 1);
        if let Err(why) = claude.entry(entry, &place, &mut follow, sink)? {
            follow.malformed();
            bad.add(&place, &why);
        }
    }
    bad.tell("entries", sink);
    finish(Some(claude), follow, sink)
}

fn swe_agent(
    feed: Feed<'_>,
    input: &mut dyn BufRead,
    sink: &mut dyn Sink<State>,
) -> Result<(), Failure> {
    let (bytes, document) = whole(feed.name, input)?;
    let session = unnamed(feed.key, &bytes);
    let Some(events) = trajectory::events(&document, &session) else {
        return Err(not_this(feed.name, "no list of steps").into());
    };
    let mut follow = Follow::new(feed, "transcript", "swe-agent");
    for event in events {
        follow.event(event, sink)?;
    }
    follow.finish(sink)
}

fn open_telemetry(
    feed: Feed<'_>,
    input: &mut dyn BufRead,
    sink: &mut dyn Sink<State>,
) -> Result<(), Failure> {
    let mut follow = Follow::new(feed, "otlp", "otlp");
    let mut bad = Bad::default();
    let mut head = Vec::new();
    let first = first_line(feed.name, input, &mut head)?;
    if !first {
        // One document over many lines: the first one alone is no JSON.
        let mut all = head.chain(&mut *input);
        let (_, document) = whole(feed.name, &mut all)?;
        if !otlp::is_one(&document) {
            return Err(not_this(feed.name, "no resourceSpans and no resourceLogs").into());
        }
        otlp::each(&document, "document", &mut |event| follow.event(event, sink))?;
        return follow.finish(sink);
    }
    let mut all = head.chain(&mut *input);
    each_line(feed.name, &mut all, &mut |number, line| {
        let place = format!("line {number}");
        let read = match line {
            Line::TooLong => Err(format!("it has more than {} bytes", lines::LINE_BYTES_MAX)),
            Line::Read(line) if line.iter().all(u8::is_ascii_whitespace) => return Ok(()),
            Line::Read(line) => json::document(line),
        };
        let read = read.and_then(|document| {
            let one = otlp::is_one(&document).then_some(document);
            one.ok_or_else(|| "no resourceSpans and no resourceLogs".to_owned())
        });
        match read {
            Ok(document) => {
                otlp::each(&document, &place, &mut |event| follow.event(event, sink))?;
            }
            Err(why) => {
                follow.malformed();
                bad.add(&place, &why);
            }
        }
        Ok(())
    })?;
    bad.tell("lines", sink);
    follow.finish(sink)
}

/// Reads the first line with something in it into `head`; whether it is JSON by itself.
fn first_line(name: &str, input: &mut dyn BufRead, head: &mut Vec<u8>) -> Result<bool, Failure> {
    let mut limited = input.take(lines::LINE_BYTES_MAX as u64);
    limited.read_until(b'\n', head).map_err(|e| unread(name, &e))?;
    Ok(head.is_empty() || json::document(head).is_ok_and(|document| otlp::is_one(&document)))
}

fn finish(
    claude: Option<claude::Claude<'_>>,
    follow: Follow<'_>,
    sink: &mut dyn Sink<State>,
) -> Result<(), Failure> {
    follow.finish(sink)?;
    let Some(claude) = claude else { return Ok(()) };
    for (count, what) in [
        (claude.summaries, "summaries have no receipt of their own"),
        (claude.repeated, "messages repeat one before and were passed over"),
        (claude.disorder, "messages are older than the ones they answer"),
    ] {
        if count > 0 {
            sink.notice(format!("{count} {what}"));
        }
    }
    Ok(())
}

/// Lines or entries that did not read: the first ones by place, all by number.
#[derive(Default)]
struct Bad {
    count: u64,
    named: Vec<String>,
}

impl Bad {
    fn add(&mut self, place: &str, why: &str) {
        self.count += 1;
        if self.count <= NAMED_MAX {
            self.named.push(format!("{place} does not read: {why}"));
        }
    }

    fn tell(self, what: &str, sink: &mut dyn Sink<State>) {
        self.named.into_iter().for_each(|named| sink.notice(named));
        if self.count > NAMED_MAX {
            sink.notice(format!("{} {what} do not read, these and more", self.count));
        }
    }
}

/// The session of a record that names none: by its beginning, so that the same record again is the same session.
fn unnamed(key: &[u8; 32], bytes: &[u8]) -> String {
    format!("unnamed/{}", blake3::keyed_hash(key, bytes).to_hex())
}

/// Most bytes and lines at the beginning of a transcript that tell it from others. Few, so that one that grows keeps
/// its name; and more than one, because many begin alike.
const HEAD_BYTES: u64 = 64 << 10;
const HEAD_LINES: usize = 16;

fn first_lines(head: &[u8]) -> &[u8] {
    let mut ends = head.iter().enumerate().filter(|(_, b)| **b == b'\n').map(|(at, _)| at + 1);
    &head[..ends.nth(HEAD_LINES - 1).unwrap_or(head.len())]
}

fn each_line(
    name: &str,
    input: &mut dyn BufRead,
    visit: &mut dyn FnMut(u64, Line<'_>) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut lines = Lines::new(input);
    while let Some((number, line)) = lines.read().map_err(|e| unread(name, &e))? {
        visit(number, line)?;
    }
    Ok(())
}

fn whole(name: &str, input: &mut dyn BufRead) -> Result<(Vec<u8>, Value), Failure> {
    let mut bytes = Vec::new();
    input.take(DOCUMENT_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(|e| unread(name, &e))?;
    if bytes.len() as u64 > DOCUMENT_BYTES_MAX {
        let what = format!("{name} is one document of more than {DOCUMENT_BYTES_MAX} bytes");
        return Err(Refusal::new("too_large", RefusalKind::TooLarge, what)
            .hint("Sessions as JSON lines may have any size.")
            .into());
    }
    let document = json::document(&bytes).map_err(|why| not_this(name, &why))?;
    Ok((bytes, document))
}

fn unread(name: &str, e: &std::io::Error) -> Failure {
    Fault::new("read_failed", format!("cannot read on in {name}: {e}"))
        .hint("What was read before is recorded; the same file again goes on.")
        .into()
}

fn not_this(name: &str, why: &str) -> Refusal {
    Refusal::malformed("record_malformed", format!("{name} is no record of this format: {why}"))
        .hint("Name the format with --format, or see whether the file is whole.")
}

/// A sink that keeps what it takes, beside a state that stays as it is.
pub struct Kept<'a> {
    state: &'a State,
    /// What was taken.
    pub import: Import,
    /// How many calls were there already.
    pub known: u64,
}

impl<'a> Kept<'a> {
    /// Beside this state.
    pub fn new(state: &'a State) -> Self {
        Self { state, import: Import::default(), known: 0 }
    }
}

impl Sink<State> for Kept<'_> {
    fn look(&mut self, ask: &mut dyn FnMut(&State)) -> Result<(), Failure> {
        ask(self.state);
        Ok(())
    }
    fn take(&mut self, planned: Planned) -> Result<(), Failure> {
        self.import.calls.push(planned);
        Ok(())
    }
    fn known(&mut self, calls: u64) {
        self.known += calls;
    }
    fn notice(&mut self, notice: String) {
        self.import.notices.push(notice);
    }
}

fn collect(
    reader: &dyn Streaming<State>,
    state: &State,
    source: Source<'_>,
) -> Result<Import, Refusal> {
    let feed = Feed { name: source.name, key: source.key, now: Moment::MAX, places: &NoPlaces };
    let mut kept = Kept::new(state);
    match reader.stream(feed, &mut &source.bytes[..], &mut kept) {
        Ok(()) => Ok(kept.import),
        Err(Failure::Refusal(refusal)) => Err(refusal),
        // Bytes in memory always read, and this sink takes everything.
        Err(other) => Err(Refusal::malformed("record_malformed", other.to_string())),
    }
}

#[cfg(test)]
mod tests;
