//! Importing a source of any size: read as it goes, committed in chunks, so that memory does not grow with it.

use super::places::Disk;
use super::{CHUNK, Tally, call, say};
use crate::exit::{self, OK, Stop};
use crate::screen::{Progress, Screen, Tone};
use crate::session::Session;
use crate::sources::open_file;
use crate::table::Table;
use serde_json::json;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::io::{self, BufReader, Cursor, Read, Write};
use vm_contracts::{
    Actor, AnyEngine, AnyState, Failure, Feed, Planned, Refusal, RefusalKind, Sink,
};
use vm_ledger::Ledger;
use vm_ledger::clock::{Clock, SystemClock};

/// Bytes read at a time.
const BUFFER: usize = 1 << 20;
/// Most bytes of standard input, which are held in memory; on disk they would lie open.
const PIPED_MAX: u64 = 256 << 20;

/// What to read.
pub struct Asked<'a> {
    /// The file as it was named, or `-`.
    pub path: &'a str,
    /// Its last part.
    pub name: &'a str,
    /// The format, if it was named.
    pub format: Option<&'a str>,
    /// Whether to only say what would be.
    pub dry: bool,
}

/// Reads the source and commits its calls on the way.
pub fn run(
    session: &mut Session<'_>,
    engine: &'static dyn AnyEngine,
    asked: &Asked<'_>,
) -> Result<u8, Stop> {
    let actor = session.actor()?;
    let given = open(session, asked.path)?;
    session.in_home(|screen, ledger| {
        let came = stream(screen, (ledger, engine, actor), given, asked)?;
        tell(screen, asked.path, came)
    })
}

/// What is read: a file, or all that came on standard input, and how long it is.
struct Given {
    source: Box<dyn Read>,
    bytes: u64,
}

/// Opens the file. Standard input is read to its end before the home is held: whatever writes to it may need the home
/// itself, and nobody else should wait for it.
fn open(session: &mut Session<'_>, path: &str) -> Result<Given, Stop> {
    if path == "-" {
        let Some(bytes) = session.screen.take_in_up_to(path, PIPED_MAX)? else {
            let what = format!("standard input is longer than {PIPED_MAX} bytes");
            let refusal = Refusal::new("too_large", RefusalKind::TooLarge, what);
            return Err(refusal
                .hint("Write it to a file and import that; it may have any size.")
                .into());
        };
        return Ok(Given { bytes: bytes.len() as u64, source: Box::new(Cursor::new(bytes)) });
    }
    let found = session.screen.paths.find(path);
    let file = open_file(&found).map_err(|e| exit::unreadable(path, &e))?;
    let bytes = file.metadata().map_or(0, |meta| meta.len());
    Ok(Given { bytes, source: Box::new(file) })
}

/// What an import came to.
struct Came {
    end: Result<(), Failure>,
    tally: Tally,
    notices: Vec<String>,
    dry: Option<BTreeMap<&'static str, u64>>,
    stopped: bool,
}

fn stream(
    screen: &mut Screen<'_>,
    (ledger, engine, actor): (&Ledger, &'static dyn AnyEngine, Actor),
    given: Given,
    asked: &Asked<'_>,
) -> Result<Came, Failure> {
    let key = ledger.import_key()?;
    let feed = Feed { name: asked.name, key: &key, now: SystemClock.wall(), places: &Disk };
    let read = Cell::new(0);
    let Screen { err, live, .. } = screen;
    let mut source = BufReader::with_capacity(BUFFER, Counted { inner: given.source, read: &read });
    let mut committer = Committer {
        ledger,
        engine,
        actor,
        dry: asked.dry.then(BTreeMap::new),
        waiting: Vec::with_capacity(CHUNK),
        tally: Tally::default(),
        notices: Vec::new(),
        stopped: false,
        progress: Progress::new(*live),
        err: &mut **err,
        read: &read,
        total: given.bytes,
    };
    let end = engine.stream(asked.format, feed, &mut source, &mut committer);
    // What was read before the source broke off is committed too.
    let rest = if committer.stopped { Ok(()) } else { committer.commit() };
    committer.progress.end(committer.err);
    let Committer { tally, notices, dry, stopped, .. } = committer;
    Ok(Came { end: end.and(rest), tally, notices, dry, stopped })
}

fn tell(screen: &mut Screen<'_>, path: &str, came: Came) -> Result<u8, Stop> {
    let Came { end, tally, notices, dry, stopped } = came;
    if let Some(verbs) = dry {
        end?;
        would(screen, path, &verbs, tally.known, &notices)?;
        return Ok(OK);
    }
    match end {
        Err(failure) if !stopped => {
            if !tally.is_empty() {
                say(screen, path, &notices, &tally)?;
            }
            Err(failure.into())
        }
        _ => {
            say(screen, path, &notices, &tally)?;
            Ok(tally.failed.first().map_or(OK, |(_, _, failure)| exit::surface(failure).exit))
        }
    }
}

/// Says how much was read.
struct Counted<'a, R> {
    inner: R,
    read: &'a Cell<u64>,
}

impl<R: Read> Read for Counted<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.read.set(self.read.get() + count as u64);
        Ok(count)
    }
}

/// Commits what it is given, in order and in chunks.
struct Committer<'a> {
    ledger: &'a Ledger,
    engine: &'static dyn AnyEngine,
    actor: Actor,
    /// Calls by verb, where nothing is committed.
    dry: Option<BTreeMap<&'static str, u64>>,
    waiting: Vec<Planned>,
    tally: Tally,
    notices: Vec<String>,
    stopped: bool,
    progress: Progress,
    err: &'a mut dyn Write,
    read: &'a Cell<u64>,
    total: u64,
}

impl Committer<'_> {
    fn commit(&mut self) -> Result<(), Failure> {
        self.progress.step(
            self.err,
            "import: bytes",
            self.read.get(),
            self.total.max(self.read.get()),
        );
        let plans = std::mem::take(&mut self.waiting);
        if plans.is_empty() {
            return Ok(());
        }
        let mut places = Vec::with_capacity(plans.len());
        let mut calls = Vec::with_capacity(plans.len());
        for planned in plans {
            places.push((planned.place.clone(), planned.id.clone()));
            calls.push(call(self.engine, &self.actor, planned));
        }
        let answers = self.ledger.submit_all(calls);
        for ((place, id), answer) in places.into_iter().zip(answers) {
            match answer {
                Err(failure) if is_known(&failure) => self.tally.known += 1,
                answer => self.stopped |= self.tally.take(place, id, answer, self.stopped),
            }
        }
        match self.tally.failed.last() {
            Some((_, _, failure)) if self.stopped => Err(failure.clone()),
            _ => Ok(()),
        }
    }
}

/// Whether another observer recorded the same between the look and the commit.
fn is_known(failure: &Failure) -> bool {
    ["call_exists", "call_answered", "session_exists", "child_has_parent"].contains(&failure.code())
}

impl Sink<dyn AnyState> for Committer<'_> {
    fn look(&mut self, ask: &mut dyn FnMut(&dyn AnyState)) -> Result<(), Failure> {
        self.commit()?;
        self.ledger.look(self.engine.name(), ask)
    }

    fn take(&mut self, planned: Planned) -> Result<(), Failure> {
        if let Some(verbs) = &mut self.dry {
            *verbs.entry(planned.verb).or_default() += 1;
            return Ok(());
        }
        self.waiting.push(planned);
        match self.waiting.len() >= CHUNK {
            true => self.commit(),
            false => Ok(()),
        }
    }

    fn known(&mut self, calls: u64) {
        self.tally.known += calls;
    }

    fn notice(&mut self, notice: String) {
        self.notices.push(notice);
    }
}

fn would(
    screen: &mut Screen<'_>,
    path: &str,
    verbs: &BTreeMap<&str, u64>,
    known: u64,
    notices: &[String],
) -> Result<(), Stop> {
    let calls: u64 = verbs.values().sum();
    if screen.json {
        let document = json!({
            "file": path, "dry_run": true, "calls": calls, "known": known, "verbs": verbs, "notices": notices,
        });
        return screen.document(&document);
    }
    let rest = format!("  {path} would be {calls} calls; nothing was committed");
    screen.toned(Tone::Note, "dry run", &rest)?;
    let mut table = Table::new(["operation", "calls"]);
    verbs.iter().for_each(|(verb, count)| table.row([(*verb).to_owned(), count.to_string()]));
    screen.table(&table)?;
    notices.iter().for_each(|n| screen.note(n));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_another_observer_recorded_is_no_failure_and_other_refusals_are() {
        assert!(is_known(&Refusal::conflict("call_exists", "there").into()));
        assert!(!is_known(&Refusal::conflict("session_ended", "over").into()));
    }
}
