//! `vm <engine> <verb> --batch FILE|-`: many calls, one on each line; one result a line.

use crate::asked::{self, CALL_BYTES_MAX};
use crate::commands::text;
use crate::exit::{self, OK, Stop, output, unreadable};
use crate::screen::{Progress, Screen};
use crate::session::Session;
use clap::ArgMatches;
use serde_json::{Value, json};
use std::io::{self, BufRead, BufReader, Read, Write};
use vm_contracts::{Actor, AnyEngine, Call, Failure, RefusalKind, Spec};
use vm_ledger::{Answer, Ledger};

/// Calls that are committed together.
const CALLS_MAX: usize = 1_024;
/// Bytes of calls that are committed together; with it memory is bounded however long lines are.
const BYTES_MAX: usize = 16 << 20;
/// Bytes read at a time.
const BUFFER: usize = 256 << 10;

/// The batch's file, where the command names one.
pub fn path(given: &ArgMatches) -> Option<&str> {
    given.try_get_one::<String>("batch").ok().flatten().and_then(|_| text(given, "batch"))
}

/// Commits the calls in order, as many at a time as are at hand.
pub fn run(
    session: &mut Session<'_>,
    engine: &'static dyn AnyEngine,
    spec: &'static Spec,
    path: &str,
) -> Result<u8, Stop> {
    let (actor, prefix) = (session.actor()?, session.id.clone());
    let file = match path {
        "-" => None,
        path => Some(open(session, path)?),
    };
    session.in_home(|screen, ledger| {
        let Screen { out, err, input, live, .. } = screen;
        let total = file.as_ref().and_then(|f| f.metadata().ok()).map_or(0, |meta| meta.len());
        let mut source: Box<dyn Read + '_> = match file {
            Some(file) => Box::new(file),
            None => Box::new(&mut **input),
        };
        let mut batch = Batch::new(ledger, engine, spec, actor, prefix);
        batch.all(&mut *source, &mut **out, (&mut **err, *live), total)
    })
}

fn open(session: &Session<'_>, path: &str) -> Result<std::fs::File, Failure> {
    let found = session.screen.paths.find(path);
    let file = std::fs::File::open(&found).map_err(|e| unreadable(path, &e))?;
    match file.metadata() {
        Ok(meta) if meta.is_dir() => Err(unreadable(path, &io::ErrorKind::IsADirectory.into())),
        _ => Ok(file),
    }
}

/// A line of input that waits for its answer.
enum Waiting {
    /// It is the next of the calls.
    Call(u64, String),
    /// It is none.
    Refused(u64, Failure),
}

struct Batch<'a> {
    ledger: &'a Ledger,
    engine: &'static dyn AnyEngine,
    spec: &'static Spec,
    actor: Actor,
    prefix: String,
    /// Lines read.
    line: u64,
    calls: Vec<Call>,
    waiting: Vec<Waiting>,
    bytes: usize,
    committed: u64,
    existing: u64,
    failed: u64,
    /// Exit code of the first line that failed.
    code: u8,
    /// The ledger takes no more, since this line.
    stopped: Option<u64>,
}

impl<'a> Batch<'a> {
    fn new(
        ledger: &'a Ledger,
        engine: &'static dyn AnyEngine,
        spec: &'static Spec,
        actor: Actor,
        prefix: String,
    ) -> Self {
        Self {
            ledger,
            engine,
            spec,
            actor,
            prefix,
            line: 0,
            calls: Vec::new(),
            waiting: Vec::new(),
            bytes: 0,
            committed: 0,
            existing: 0,
            failed: 0,
            code: OK,
            stopped: None,
        }
    }

    fn all(
        &mut self,
        input: &mut dyn Read,
        out: &mut dyn Write,
        (err, live): (&mut dyn Write, bool),
        total: u64,
    ) -> Result<u8, Stop> {
        let mut progress = Progress::new(live);
        let mut input = BufReader::with_capacity(BUFFER, input);
        let mut line = Vec::new();
        let mut done = 0;
        while self.stopped.is_none() {
            line.clear();
            let length = next_line(&mut input, &mut line).map_err(|e| self.unread(&e))?;
            if length == 0 {
                break;
            }
            done += length;
            self.take(&line);
            // What is at hand is committed together; a slow writer is answered line by line.
            let at_hand = input.buffer().contains(&b'\n');
            if self.waiting.len() >= CALLS_MAX || self.bytes >= BYTES_MAX || !at_hand {
                self.commit(out)?;
                progress.step(err, "batch: bytes", done, total.max(done));
            }
        }
        self.commit(out)?;
        progress.end(err);
        self.sum(err);
        Ok(self.code)
    }

    /// What could be read before is answered; the rest is told with the place.
    fn unread(&self, e: &io::Error) -> Stop {
        let what = format!("cannot read on after line {}: {e}", self.line);
        vm_contracts::Fault::new("read_failed", what)
            .hint("Lines that were answered stand; the same batch with the same ids goes on.")
            .into()
    }

    fn take(&mut self, bytes: &[u8]) {
        self.line += 1;
        if bytes.trim_ascii().is_empty() {
            return;
        }
        self.bytes += bytes.len();
        match asked::line(bytes) {
            Ok(asked) => {
                let id = asked.id.unwrap_or_else(|| format!("{}-{}", self.prefix, self.line));
                self.waiting.push(Waiting::Call(self.line, id.clone()));
                self.calls.push(Call {
                    id: Some(id),
                    actor: self.actor.clone(),
                    surface: "cli".into(),
                    engine: self.engine.name().into(),
                    verb: self.spec.verb.into(),
                    intent: asked.intent,
                    tags: asked.tags,
                });
            }
            Err(refusal) => self.waiting.push(Waiting::Refused(self.line, refusal.into())),
        }
    }

    fn commit(&mut self, out: &mut dyn Write) -> Result<(), Stop> {
        self.bytes = 0;
        let calls = std::mem::take(&mut self.calls);
        let mut answers = self.ledger.submit_all(calls).into_iter();
        for waiting in std::mem::take(&mut self.waiting) {
            let told = match waiting {
                Waiting::Refused(line, failure) => self.told_failure(line, None, &failure),
                Waiting::Call(line, id) => match answers.next().expect("each call has an answer") {
                    Ok(answer) => self.told(line, &id, &answer),
                    Err(failure) => self.told_failure(line, Some(&id), &failure),
                },
            };
            writeln!(out, "{told}").map_err(output)?;
        }
        // An answer that was given must be with whoever asked before the next is worked on.
        out.flush().map_err(output)
    }

    fn told(&mut self, line: u64, id: &str, answer: &Answer) -> Value {
        match answer.existing {
            true => self.existing += 1,
            false => self.committed += 1,
        }
        brief(line, id, answer)
    }

    fn told_failure(&mut self, line: u64, id: Option<&str>, failure: &Failure) -> Value {
        if self.failed == 0 {
            self.code = exit::surface(failure).exit;
        }
        self.failed += 1;
        if stops(failure) {
            self.stopped.get_or_insert(line);
        }
        json!({"line": line, "id": id, "error": exit::to_json(failure)})
    }

    fn sum(&self, err: &mut dyn Write) {
        let Self { committed, existing, failed, prefix, .. } = self;
        let text = format!(
            "batch: {committed} calls committed, {existing} were there already, {failed} failed\n"
        );
        // As every note: failing to say it changes nothing that was done.
        let _ = err.write_all(text.as_bytes());
        if let Some(line) = self.stopped {
            let text = format!(
                "note: the ledger took no more at line {line}; once it does, the same batch with --id {prefix} goes on from there\n"
            );
            let _ = err.write_all(text.as_bytes());
        }
    }
}

/// Where the receipts of a call stand, without the receipts.
pub fn brief(line: u64, id: &str, answer: &Answer) -> Value {
    json!({
        "line": line,
        "id": id,
        "scroll": answer.scroll,
        "first": answer.first,
        "of": answer.lines.len(),
        "existing": answer.existing,
    })
}

/// Whether the ledger takes no more calls after this failure.
pub fn stops(failure: &Failure) -> bool {
    match failure {
        Failure::Refusal(refusal) => refusal.kind == RefusalKind::Unavailable,
        _ => true,
    }
}

/// The next line without its end; how many bytes of input it took, 0 at the end. A line beyond the limit is passed
/// over but for its beginning, which is enough to refuse it.
fn next_line(input: &mut dyn BufRead, line: &mut Vec<u8>) -> io::Result<u64> {
    let mut taken = 0;
    loop {
        let piece = match input.fill_buf() {
            Ok(piece) => piece,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(e) => return Err(e),
        };
        if piece.is_empty() {
            return Ok(taken);
        }
        let end = piece.iter().position(|b| *b == b'\n');
        let part = &piece[..end.unwrap_or(piece.len())];
        let room = (CALL_BYTES_MAX + 1).saturating_sub(line.len());
        line.extend_from_slice(&part[..part.len().min(room)]);
        let count = part.len() + usize::from(end.is_some());
        input.consume(count);
        taken += count as u64;
        if end.is_some() {
            return Ok(taken);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_cut_at_line_ends_and_a_long_one_is_not_kept_whole() {
        let mut input: &[u8] = b"ab\n\ncd";
        let mut lines = Vec::new();
        let mut line = Vec::new();
        while next_line(&mut input, &mut line).unwrap() > 0 {
            lines.push(std::mem::take(&mut line));
        }
        assert_eq!(lines, [b"ab".to_vec(), vec![], b"cd".to_vec()]);
        let long = [vec![b'x'; CALL_BYTES_MAX * 2], b"\ny".to_vec()].concat();
        let mut input = BufReader::new(&long[..]);
        next_line(&mut input, &mut line).unwrap();
        assert_eq!(line.len(), CALL_BYTES_MAX + 1);
        assert_eq!(asked::line(&line).unwrap_err().code, "too_large");
        line.clear();
        next_line(&mut input, &mut line).unwrap();
        assert_eq!(line, b"y");
    }
}
