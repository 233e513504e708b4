//! How what was taken in gets into the index and the tiles, and what is done when they do not read.
//!
//! Neither is ever needed for an acknowledgement, and both can be made again from the lines. A scroll of few lines has
//! none: its lines are taken in at every open. Once there are enough, what is new is handed over in a job, which a
//! thread of its own can carry out while the writer goes on; until it is done, all of it stays readable in memory.
//!
//! Only lines whose root stands in signed-state are handed over, so an index is never ahead of what recovery believes.

use crate::fs::Fs;
use crate::hashes::{Hashes, Pending, TILES_DAMAGED, Tiles};
use crate::index::{self, Batch, Found, Identity, Index, Mark, Snapshot};
use crate::recover::Known;
use crate::scroll::Shelf;
use crate::segments::{Layout, Places, segment_path};
use crate::writer::Writer;
use serde_json::json;
use std::collections::HashMap;
use std::ops::Bound;
use std::sync::Arc;
use vm_contracts::{AnyEngine, Base, Corrupt, Entries, Failure, Fault, Kind};
use vm_receipts::digest::Blake3;
use vm_receipts::json;
use vm_scrolls::query::terms::TermFields;
use vm_scrolls::query::{QueryField, QueryKind, Schema};
use vm_scrolls::tree::{Window, leaf_hash};

/// Lines that a scroll must have beyond its index before they are handed over.
pub const INDEX_AFTER: u64 = 64;
/// Lines after which they are handed over at once, even while work goes on.
const AT_ONCE: u64 = 16_384;
/// Lines after which work waits until some are handed over, so that memory stays bounded.
const MOST: u64 = 262_144;
/// Bytes read at a time when lines are taken in from files.
const CHUNK: usize = 4 << 20;

/// Where a home keeps its index and its tiles.
#[derive(Clone)]
pub struct Shelving {
    /// The same disk as the ledger's, with handles of its own: the work of the index never waits for a sync of lines,
    /// nor the other way round.
    pub fs: Arc<dyn Fs>,
    /// Lines beyond the index that are worth handing over; [`INDEX_AFTER`] in every released home.
    pub after: u64,
}

/// What may be filtered by in an engine's scroll.
pub fn schema(engine: Option<&dyn AnyEngine>) -> Schema {
    let fields = engine.map(AnyEngine::filters).unwrap_or_default();
    let declared =
        fields.iter().filter_map(|f| Some(QueryField::new(f.name, query_kind(&f.kind)?)));
    Schema::new(declared.collect())
}

fn query_kind(kind: &Kind) -> Option<QueryKind> {
    Some(match kind {
        Kind::Text(_) | Kind::Name(_) | Kind::Choice(_) => QueryKind::Text,
        Kind::Integer(..) => QueryKind::Integer,
        Kind::Decimal(_) => QueryKind::Decimal,
        Kind::Time => QueryKind::Time,
        Kind::Bool => QueryKind::Bool,
        Kind::TextList(..) => QueryKind::TextList,
        Kind::List(..) | Kind::Document(_) | Kind::Documents(..) => return None,
    })
}

/// What an index finds lines by.
pub(crate) fn term_fields(engine: Option<&'static dyn AnyEngine>) -> TermFields {
    TermFields::new(&schema(engine))
}

/// What an engine's index is made by: another version of it must make its own.
fn shape(engine: &dyn AnyEngine) -> String {
    let terms = TermFields::new(&schema(Some(engine))).text();
    let all = json!({"terms": terms, "types": engine.types()});
    let bytes = json::canonical(&all).expect("names hold no numbers");
    Blake3::of(&bytes).to_string()
}

/// An index that holds nothing yet.
pub(crate) struct Nothing;

impl Base for Nothing {
    fn get(&self, _part: &'static str, _key: &[u8]) -> Option<Vec<u8>> {
        None
    }
    fn range(&self, _part: &'static str, _from: Bound<&[u8]>, _to: Bound<&[u8]>) -> Entries<'_> {
        Box::new(std::iter::empty())
    }
    fn fail(&self, _what: String) {}
    fn trouble(&self) -> Option<String> {
        None
    }
}

impl Places for Snapshot {
    fn starts(&self, from: u64, count: usize) -> Option<Vec<u32>> {
        Snapshot::starts(self, from, count)
    }
}

/// What is handed over to the index and the tiles of one scroll.
pub(crate) struct Job {
    scroll: String,
    /// Which life of the scroll in memory it was taken from.
    life: u64,
    index: Arc<Index>,
    tiles: Arc<Tiles>,
    pending: Pending,
    batch: Batch,
}

impl Job {
    /// Writes it; the tiles first, so that the index never speaks of hashes that were not written.
    pub fn run(&self) -> Result<(), Fault> {
        self.tiles.store(&self.pending)?;
        self.index.apply(&self.batch)
    }

    /// The same; a panic in the store is a fault of the index and nothing else.
    pub fn run_guarded(&self) -> Result<(), Fault> {
        let run = std::panic::AssertUnwindSafe(|| self.run());
        std::panic::catch_unwind(run).unwrap_or_else(|_| {
            Err(Fault::new("index_failed", format!("writing the index of {} failed", self.scroll)))
        })
    }
}

/// An index that fits its scroll, and how far recovery may rely on it.
pub(crate) struct Fitting {
    pub shelf: Shelf,
    pub known: Known,
}

impl Writer {
    fn identity(&self, name: &str, engine: &dyn AnyEngine) -> Identity {
        Identity {
            ledger: self.settings.ledger.clone(),
            scroll: name.to_owned(),
            fold: engine.fold_version(),
            shape: shape(engine),
        }
    }

    /// The index of a scroll, where there is one that fits what was signed; otherwise why not, if that is worth saying.
    pub(crate) fn fitting(&self, name: &str) -> Result<Fitting, Option<String>> {
        let engine = self.engines.iter().find(|e| e.scroll() == name);
        let (Some(shelving), Some(engine)) = (&self.shelving, engine) else { return Err(None) };
        let there = shelving.fs.len(&index::path(name)).is_ok_and(|len| len.is_some());
        if !there {
            return Err(None);
        }
        let unreadable = |fault: Fault| Some(format!("cannot be read: {fault}"));
        let found = Index::open(&shelving.fs, &self.identity(name, *engine)).map_err(unreadable)?;
        let (index, mark) = match found {
            Found::Index(index, mark) => (index, mark),
            Found::Blank(_) => return Err(Some("is empty".into())),
            Found::Unusable { why } => return Err(Some(why)),
        };
        let unfit = || Some("does not fit the lines that were signed".to_owned());
        let known = self.known_by(name, &mark).ok_or_else(unfit)?;
        let seen = index.snapshot().map_err(unreadable)?;
        match seen.trouble() {
            Some(what) => Err(Some(what)),
            None => Ok(Fitting { shelf: Shelf { index: Arc::new(index), seen }, known }),
        }
    }

    /// Whether the root in signed-state follows from where the index has come to and the lines after it; then where
    /// they end. Nothing is believed of an index before.
    fn known_by(&self, name: &str, mark: &Mark) -> Option<Known> {
        let signed = self.signed(name).filter(|signed| signed.size >= mark.size)?;
        let mut tree = Window::from_peaks(mark.size, mark.peaks.clone()).ok()?;
        let mut known = Known { size: mark.size, end: mark.file_bytes };
        if tree.root() != mark.root || !self.ends_in_a_line(name, known) {
            return None;
        }
        let per_file = self.segments.as_ref().map_or(u64::MAX, |s| s.per_file());
        let mut frames = Frames::new(name, per_file, known);
        while known.size < signed.size {
            let line = frames.next(&*self.fs).ok()??;
            tree.push(leaf_hash(&line));
            known.size += 1;
            known.end = if known.size.is_multiple_of(per_file) { 0 } else { frames.end };
        }
        (tree.root() == signed.root).then_some(known)
    }

    /// Whether the file that the next line goes into has a line that ends where the known ones do.
    fn ends_in_a_line(&self, name: &str, known: Known) -> bool {
        let per_file = self.segments.as_ref().map_or(u64::MAX, |s| s.per_file());
        let path = segment_path(name, known.size - known.size % per_file);
        let last = |end: u64| self.fs.read_at(&path, end - 1, 1).ok();
        match known.size.is_multiple_of(per_file) {
            true => known.end == 0,
            false => known.end > 0 && last(known.end).is_some_and(|byte| byte == b"\n"),
        }
    }

    /// Stands a new scroll on its index, or on nothing.
    pub(crate) fn stand(&mut self, name: &str, shelf: Option<Shelf>) {
        let Some(segments) = self.segments.clone() else { return };
        // One for each scroll and process, whatever becomes of the scroll: two would write under the same names.
        let tiles = self.shelving.clone().map(|s| {
            let open = || Arc::new(Tiles::open(s.fs.clone(), name));
            self.tiles.entry(name.to_owned()).or_insert_with(open).clone()
        });
        let scroll = self.scroll_mut(name);
        let nothing: Arc<dyn Base> = Arc::new(Nothing);
        match (tiles, shelf) {
            (Some(tiles), Some(shelf)) => {
                let mark = shelf.seen.mark();
                let (size, end) = (mark.size, mark.file_bytes);
                let hashes = Hashes::over(tiles, size, mark.peaks.clone())
                    .expect("the number of peaks was compared with the size");
                let layout = Layout::beyond(segments.per_file(), size, end, shelf.seen.clone());
                segments.set_layout(name, layout);
                scroll.stand_on(shelf, hashes);
            }
            (Some(tiles), None) => {
                segments.set_layout(name, Layout::new(segments.per_file()));
                scroll.state.attach(&nothing);
                scroll.hashes =
                    Hashes::over(tiles, 0, Vec::new()).expect("an empty tree has no peaks");
            }
            (None, _) => segments.set_layout(name, Layout::new(segments.per_file())),
        }
    }

    /// Takes lines in from full files and the beginning of the last, until the scroll has `to` of them.
    pub(crate) fn take_files(&mut self, name: &str, to: u64) -> Result<(), Failure> {
        let Some(segments) = self.segments.clone() else { return Ok(()) };
        let from = Known { size: self.scroll(name).size(), end: segments.ask(name, Layout::end) };
        let mut frames = Frames::new(name, segments.per_file(), from);
        let fs = self.fs.clone();
        while self.scroll(name).size() < to {
            let Some(line) = frames.next(&*fs)? else { return Err(frames.ends_early().into()) };
            self.take_in_bytes(name, &line)?;
            segments.change(name, |layout| layout.extend([line.len() as u64 + 1].into_iter()));
            if self.beyond_index(name) >= AT_ONCE {
                self.scroll_mut(name).promote();
                self.shelve_scroll(name, AT_ONCE);
            }
        }
        self.scroll_mut(name).promote();
        Ok(())
    }

    /// Lines that were taken in and not handed over.
    pub(crate) fn beyond_index(&self, name: &str) -> u64 {
        match &self.shelving {
            Some(_) => self.scroll(name).fresh.terms.len() as u64,
            None => 0,
        }
    }

    /// Whether work must wait for the index, so that memory stays bounded.
    pub(crate) fn is_far_behind(&self) -> bool {
        self.shelved_in_flight > 0
            && self.scrolls.keys().any(|name| self.beyond_index(name) >= MOST)
    }

    /// What is due after a commit or a tick: a scroll with many lines beyond its index, and right after signed-state
    /// was written, any scroll with enough of them.
    pub(crate) fn due_jobs(&mut self) -> Vec<Job> {
        if self.shelving.is_none() || self.stopped.is_some() {
            return Vec::new();
        }
        let least =
            if std::mem::take(&mut self.just_published) { self.worth_shelving() } else { AT_ONCE };
        let due = |w: &Self, name: &String| {
            let scroll = w.scroll(name);
            !scroll.in_flight && !scroll.unshelvable && w.beyond_index(name) >= least.max(1)
        };
        let names: Vec<String> = self.scrolls.keys().filter(|n| due(self, n)).cloned().collect();
        if names.iter().any(|name| self.unpublished.contains(name)) && self.publish().is_err() {
            // Whoever commits next is told why.
            return Vec::new();
        }
        self.just_published = false;
        names.iter().filter_map(|name| self.begin_shelving(name)).collect()
    }

    /// Whether something is on its way into an index.
    pub(crate) fn is_shelving(&self) -> bool {
        self.shelved_in_flight > 0
    }

    /// Lines beyond the index that are worth handing over at a quiet moment.
    pub(crate) fn worth_shelving(&self) -> u64 {
        self.shelving.as_ref().map_or(u64::MAX, |s| s.after)
    }

    /// Hands over, here and now, what every scroll has beyond its index, where it is worth it.
    pub fn shelve(&mut self) {
        let least = self.worth_shelving();
        let names: Vec<String> = self.scrolls.keys().cloned().collect();
        names.iter().for_each(|name| self.shelve_scroll(name, least));
    }

    fn shelve_scroll(&mut self, name: &str, least: u64) {
        if self.beyond_index(name) < least.max(1) {
            return;
        }
        if let Some(job) = self.begin_shelving(name) {
            let done = job.run_guarded();
            self.end_shelving(job, done);
        }
    }

    /// Takes what a scroll has beyond its index, where all of it stands in signed-state and nothing is on its way yet.
    fn begin_shelving(&mut self, name: &str) -> Option<Job> {
        let segments = self.segments.clone()?;
        let signed = self.signed(name).map_or(0, |s| s.size);
        let size = self.scroll(name).size();
        if self.stopped.is_some() || self.full || self.unpublished.contains(name) || size > signed {
            return None;
        }
        let scroll = self.scroll(name);
        if scroll.in_flight || scroll.unshelvable || scroll.trouble().is_some() {
            return None;
        }
        let index = match self.index_of(name) {
            Ok(index) => index?,
            Err(fault) => {
                self.scroll_mut(name).unshelvable = true;
                self.messages.push(format!("the index of {name} cannot be written: {fault}"));
                return None;
            }
        };
        let scroll = self.scrolls.get_mut(name)?;
        let (tiles, pending) = (scroll.hashes.tiles()?.clone(), scroll.hashes.pending());
        let (first, starts) = segments.ask(name, |l| (l.newer().0, l.newer().1.to_vec()));
        let mark = scroll.mark(segments.ask(name, Layout::end));
        let fresh = std::mem::take(&mut scroll.fresh);
        scroll.taken.extend(fresh.ids);
        let mut ids: Vec<_> =
            scroll.taken.iter().map(|(id, group)| (id.clone(), group.clone())).collect();
        ids.extend(fresh.repeats);
        let state = scroll.state.take_changes();
        scroll.in_flight = true;
        self.shelved_in_flight += 1;
        let batch = Batch { mark, state, ids, first, starts, terms: fresh.terms };
        let life = self.scroll(name).life;
        Some(Job { scroll: name.to_owned(), life, index, tiles, pending, batch })
    }

    /// The scroll's index; made if there is none yet.
    fn index_of(&self, name: &str) -> Result<Option<Arc<Index>>, Fault> {
        let (Some(shelving), Some(engine)) = (&self.shelving, self.scroll(name).engine) else {
            return Ok(None);
        };
        if let Some(shelf) = &self.scroll(name).shelf {
            return Ok(Some(shelf.index.clone()));
        }
        // Whatever stands under its name did not fit when the scroll was opened.
        Index::discard(&*shelving.fs, name)?;
        match Index::open(&shelving.fs, &self.identity(name, engine))? {
            Found::Blank(index) => Ok(Some(Arc::new(index))),
            Found::Index(..) | Found::Unusable { .. } => {
                Err(Fault::new("index_damaged", format!("{} is not new", index::path(name))))
            }
        }
    }

    /// What a job came to. If it failed, nothing is lost: all of it stays in memory, and goes again with the next.
    pub(crate) fn end_shelving(&mut self, job: Job, done: Result<(), Fault>) {
        self.shelved_in_flight -= 1;
        let same = self.scrolls.get(&job.scroll).is_some_and(|s| s.life == job.life);
        if !same {
            return;
        }
        let seen = done.and_then(|()| job.index.snapshot());
        let scroll = self.scrolls.get_mut(&job.scroll).expect("it was found above");
        scroll.in_flight = false;
        match seen {
            Ok(seen) => {
                let size = seen.mark().size;
                let base: Arc<dyn Base> = seen.clone();
                scroll.state.settle(&base);
                scroll.hashes.stored(size);
                scroll.taken = HashMap::new();
                scroll.shelf = Some(Shelf { index: job.index, seen: seen.clone() });
                if let Some(segments) = &self.segments {
                    segments.change(&job.scroll, |layout| layout.settle(size, seen));
                }
            }
            Err(fault) => {
                let mut terms = job.batch.terms;
                terms.append(&mut scroll.fresh.terms);
                scroll.fresh.terms = terms;
                let ids = job.batch.ids.into_iter();
                let again = ids.filter(|(id, group)| scroll.taken.get(id) != Some(group));
                scroll.fresh.repeats.extend(again);
                if fault.code == TILES_DAMAGED && self.mend_tiles(&job.scroll) {
                    return;
                }
                let scroll = self.scroll_mut(&job.scroll);
                scroll.unshelvable = true;
                scroll.fresh.terms = Vec::new();
                self.messages.push(format!(
                    "the index of {} could not be written ({fault}); its receipts are safe, and it goes on in memory until the next start",
                    job.scroll
                ));
            }
        }
    }

    /// Makes the index of a scroll again, from its lines; for one that does not read, and for `vm reindex`.
    ///
    /// It happens once for a scroll in one process; an index that does not read after that is done without.
    pub(crate) fn heal(&mut self, name: &str) -> Result<u64, Failure> {
        if self.shelving.is_none() {
            return Ok(0);
        }
        // Only what stands in signed-state can be handed over while the lines are taken in.
        self.publish()?;
        *self.healed.entry(name.to_owned()).or_default() += 1;
        let again = self.bring_in_without_index(name);
        if let Err(failure) = again {
            // The scroll is half there; nothing may be answered from that.
            self.stop(format!("the index of {name} could not be made again: {failure}"));
            return Err(failure);
        }
        self.shelve_scroll(name, 1);
        Ok(self.scroll(name).size())
    }

    /// Whether a scroll's index was made again before and still did not read.
    pub(crate) fn does_without_index(&self, name: &str) -> bool {
        self.healed.get(name).is_some_and(|times| *times > 1)
    }

    /// Tiles that a job found damaged, made again.
    fn mend_tiles(&self, name: &str) -> bool {
        let mut read = |at: u64, count: usize| Ok(self.store.read(name, at, count)?);
        self.scroll(name).hashes.mend(&mut read).is_ok_and(|rebuilt| rebuilt.tiles > 0)
    }

    /// `vm reindex`: index and tiles of a scroll, again from its lines. Gives the number of lines.
    pub fn reindex(&mut self, name: &str) -> Result<u64, Failure> {
        self.usable()?;
        self.publish()?;
        crate::ledger::known_scroll(self, name)?;
        self.healed.remove(name);
        let size = self.heal(name)?;
        self.rebuild_tiles(name)?;
        Ok(size)
    }

    /// Makes all tiles that the index speaks of again, where they are not there.
    fn rebuild_tiles(&mut self, name: &str) -> Result<(), Failure> {
        let scroll = self.scroll(name);
        let Some(tiles) = scroll.hashes.tiles() else { return Ok(()) };
        let mut read = |at: u64, count: usize| Ok(self.store.read(name, at, count)?);
        let (rebuilt, _) = tiles.rebuild(scroll.hashes.stored_size(), &mut read, &mut |_, _| {})?;
        if rebuilt.tiles > 0 {
            let what = format!("{} tiles of {name} were made again from its lines", rebuilt.tiles);
            self.messages.push(what);
        }
        Ok(())
    }

    /// Tiles that were taken away as a whole are noticed at open, others when they are read.
    pub(crate) fn reach_tiles(&mut self, name: &str) -> Result<(), Failure> {
        let hashes = &self.scroll(name).hashes;
        let there = match hashes.tiles() {
            Some(tiles) => tiles.reach(hashes.stored_size()).unwrap_or(false),
            None => true,
        };
        if there {
            return Ok(());
        }
        match self.rebuild_tiles(name) {
            // What cannot be written now is made again where it is needed.
            Err(Failure::Fault(fault)) => {
                self.messages.push(format!("tiles of {name} are missing: {fault}"));
                Ok(())
            }
            other => other,
        }
    }

    /// Whether an index did not read while something was decided or answered: then it is made again, and whatever it
    /// was must be done again.
    pub(crate) fn healed(&mut self) -> Result<bool, Failure> {
        let troubled: Vec<(String, String)> = self
            .scrolls
            .iter()
            .filter_map(|(name, scroll)| Some((name.clone(), scroll.trouble()?)))
            .collect();
        for (name, what) in &troubled {
            let size = self.heal(name)?;
            self.messages.push(rebuilt(name, &format!("does not read: {what}"), size));
        }
        Ok(!troubled.is_empty())
    }
}

/// Something was decided or answered on an index that did not read.
pub(crate) fn index_damaged(name: &str, what: &str) -> Fault {
    Fault::new("index_damaged", format!("the index of {name} does not read: {what}"))
        .hint("Ask again: it is made again from the receipts, which are not touched.")
}

/// What is said aloud when an index had to be made again.
pub(crate) fn rebuilt(name: &str, why: &str, size: u64) -> String {
    format!("the index of {name} {why}; it was built again from {size} receipts")
}

/// The lines of a scroll's files from some place on, one after the other, without their ends.
struct Frames<'a> {
    scroll: &'a str,
    per_file: u64,
    /// Number of the next line.
    at: u64,
    /// Where in its file the next line begins.
    end: u64,
    /// Bytes read and not given out, and where in the file they end.
    rest: Vec<u8>,
    given: usize,
    read_to: u64,
}

impl<'a> Frames<'a> {
    fn new(scroll: &'a str, per_file: u64, from: Known) -> Self {
        let (at, end) = (from.size, from.end);
        Self { scroll, per_file, at, end, rest: Vec::new(), given: 0, read_to: end }
    }

    fn path(&self) -> String {
        segment_path(self.scroll, self.at - self.at % self.per_file)
    }

    /// The next line; `None` where its file ends, whole or in the middle of a line.
    fn next(&mut self, fs: &dyn Fs) -> Result<Option<Vec<u8>>, Failure> {
        loop {
            let rest = &self.rest[self.given..];
            if let Some(length) = rest.iter().position(|b| *b == b'\n') {
                let line = rest[..length].to_vec();
                self.given += length + 1;
                self.end += length as u64 + 1;
                self.at += 1;
                if self.at.is_multiple_of(self.per_file) {
                    self.refuse_overfull(fs)?;
                    self.rest.clear();
                    (self.given, self.end, self.read_to) = (0, 0, 0);
                }
                return Ok(Some(line));
            }
            let path = self.path();
            let more = match fs.read_at(&path, self.read_to, CHUNK) {
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => Vec::new(),
                more => {
                    more.map_err(|e| Fault::new("read_failed", format!("cannot read {path}: {e}")))?
                }
            };
            if more.is_empty() {
                return Ok(None);
            }
            self.rest.drain(..self.given);
            self.given = 0;
            self.read_to += more.len() as u64;
            self.rest.extend_from_slice(&more);
        }
    }

    /// A full file ends with its last line.
    fn refuse_overfull(&self, fs: &dyn Fs) -> Result<(), Failure> {
        let path = segment_path(self.scroll, self.at - self.per_file);
        match fs.len(&path) {
            Ok(Some(len)) if len > self.end => {
                let claim = "the file holds more lines than a full one".to_owned();
                Err(self.corrupt(path, self.per_file + 1, claim).into())
            }
            _ => Ok(()),
        }
    }

    fn ends_early(&self) -> Corrupt {
        let lines = self.at % self.per_file;
        let claim = format!("the file ends after {lines} lines, and more were signed");
        self.corrupt(self.path(), lines + 1, claim)
    }

    fn corrupt(&self, file: String, line: u64, claim: String) -> Corrupt {
        let hint = "Nothing was changed. `vm verify` says what is still provable; restore the file from a backup.";
        Corrupt { file, line: Some(line), byte: Some(self.end), claim, hint: Some(hint.into()) }
    }
}
