//! What an index holds at one moment.

use super::stretch::{Places, STRETCH, split};
use super::{Identity, Mark, Shelf, failed, keys};
use crate::scroll::Group;
use redb::{AccessGuard, ReadOnlyTable, ReadTransaction, ReadableDatabase, TableError};
use std::collections::HashMap;
use std::ops::Bound;
use std::sync::{Arc, Mutex, PoisonError};
use vm_contracts::Fault;
use vm_contracts::state::{Base, Entries};
use vm_scrolls::query::Order;
use vm_scrolls::query::terms::Term;

type Bytes = &'static [u8];
type Part = Option<Arc<ReadOnlyTable<Bytes, Bytes>>>;

/// What an index holds at one moment; batches applied later do not show.
///
/// Nothing here returns the errors of the file: what cannot be read is not there, and is remembered as
/// [`trouble`](Base::trouble), which whoever read must ask for before believing what was read.
pub struct Snapshot {
    // The tables and the transaction go before the store they read.
    ids: Option<ReadOnlyTable<Bytes, &'static [u8; 44]>>,
    starts: Option<ReadOnlyTable<u64, Bytes>>,
    terms: Option<ReadOnlyTable<Bytes, Bytes>>,
    parts: Mutex<HashMap<&'static str, Part>>,
    reading: ReadTransaction,
    shelf: Arc<Shelf>,
    scroll: String,
    mark: Mark,
    repeated: bool,
}

/// A table, or nothing where none was made yet.
fn there<T>(table: Result<T, TableError>) -> Result<Option<T>, redb::Error> {
    match table {
        Ok(table) => Ok(Some(table)),
        Err(TableError::TableDoesNotExist(_)) => Ok(None),
        Err(e) => Err(e.into()),
    }
}

impl Snapshot {
    pub(super) fn take(shelf: &Arc<Shelf>, identity: &Identity) -> Result<Self, Fault> {
        if let Some(what) = shelf.trouble.first() {
            return Err(failed(&identity.scroll, what));
        }
        let taken = Self::read(shelf, &identity.scroll);
        taken.map_err(|e| failed(&identity.scroll, shelf.trouble.or(e)))
    }

    fn read(shelf: &Arc<Shelf>, scroll: &str) -> Result<Self, redb::Error> {
        let reading = shelf.db.begin_read()?;
        let (mut mark, mut repeated) = (Mark::start(), false);
        if let Some(about) = there(reading.open_table(keys::ABOUT))? {
            let said = about.get(keys::MARK)?.and_then(|mark| keys::read_mark(mark.value()));
            mark = said.ok_or_else(|| redb::Error::Corrupted("its mark does not read".into()))?;
            repeated = about.get(keys::REPEATED)?.is_some();
        }
        Ok(Self {
            ids: there(reading.open_table(keys::IDS))?,
            starts: there(reading.open_table(keys::STARTS))?,
            terms: there(reading.open_table(keys::TERMS))?,
            parts: Mutex::default(),
            reading,
            shelf: shelf.clone(),
            scroll: scroll.to_owned(),
            mark,
            repeated,
        })
    }

    /// Where the index had come to.
    pub fn mark(&self) -> &Mark {
        &self.mark
    }

    /// The scroll it is of.
    pub fn scroll(&self) -> &str {
        &self.scroll
    }

    /// What failed so far, as the fault that a caller answers with.
    pub fn check(&self) -> Result<(), Fault> {
        self.trouble().map_or(Ok(()), |what| Err(failed(&self.scroll, what)))
    }

    /// The value, unless reading it failed, which is remembered.
    fn read_or_note<T>(&self, read: Result<T, impl std::fmt::Display>) -> Option<T> {
        read.map_err(|e| self.fail(self.shelf.trouble.or(e))).ok()
    }

    /// The lines of the call with this id: the first, if there are several calls.
    pub fn group(&self, id: &str) -> Option<Group> {
        let found = self.ids.as_ref()?.get(id.as_bytes());
        Some(keys::read_group(self.read_or_note(found)??.value()))
    }

    /// Whether some id stands in more than one group, so that [`group`](Self::group) does not find all lines.
    pub fn ids_repeat(&self) -> bool {
        self.repeated
    }

    /// The groups whose ids begin so, by id; `None` if there are more than `most`.
    pub fn groups_by_prefix(&self, prefix: &str, most: usize) -> Option<Vec<Group>> {
        let Some(ids) = &self.ids else { return Some(Vec::new()) };
        let mut groups = Vec::new();
        let range = self.read_or_note(ids.range::<&[u8]>(prefix.as_bytes()..))?;
        for entry in range {
            let (id, group) = self.read_or_note(entry)?;
            if !id.value().starts_with(prefix.as_bytes()) {
                break;
            }
            if groups.len() == most {
                return None;
            }
            groups.push(keys::read_group(group.value()));
        }
        Some(groups)
    }

    /// The byte at which a line starts in its receipts file.
    pub fn start(&self, seq: u64) -> Option<u32> {
        self.starts(seq, 1)?.pop()
    }

    /// The bytes at which lines from `from` on start; fewer where the index ends, `None` where it fails.
    pub fn starts(&self, from: u64, count: usize) -> Option<Vec<u32>> {
        let end = from.saturating_add(count as u64).min(self.mark.size);
        let mut starts = Vec::new();
        let mut next = from;
        while next < end {
            let (chunk, skipped) = (next / keys::CHUNK, (next % keys::CHUNK) as usize);
            let wanted = (end - next).min(keys::CHUNK - skipped as u64) as usize;
            let found = self.read_or_note(self.starts.as_ref()?.get(chunk))?;
            let before = starts.len();
            if let Some(bytes) = &found {
                starts.extend(keys::read_starts(bytes.value()).skip(skipped).take(wanted));
            }
            if starts.len() - before != wanted {
                self.fail(format!("it does not say where line {next} starts"));
                return None;
            }
            next += wanted as u64;
        }
        Some(starts)
    }

    /// The lines that have a term, from `from` on in this order.
    pub fn postings(&self, term: &Term, order: Order, from: u64) -> Postings<'_> {
        let here = Places::none();
        let mut postings =
            Postings { snapshot: self, term: term.clone(), order, stretch: None, here };
        postings.seek(from);
        postings
    }

    /// The places of a term in a stretch.
    pub(super) fn places(&self, stretch: u64, term: &Term) -> Option<Places> {
        let key = keys::term_key(stretch, term.field, &term.value);
        let found = self.read_or_note(self.terms.as_ref()?.get(key.as_slice()))??;
        self.decoded(&found)
    }

    fn decoded(&self, found: &AccessGuard<'_, Bytes>) -> Option<Places> {
        let places = Places::decode(found.value());
        if places.is_none() {
            self.fail("the places of a term do not read".to_owned());
        }
        places
    }

    /// The places in a stretch of all terms that begin so; `None` if there are more than `most` of them.
    pub(super) fn places_by_prefix(
        &self,
        stretch: u64,
        prefix: &Term,
        most: usize,
    ) -> Option<Places> {
        let mut places = Places::none();
        let Some(terms) = &self.terms else { return Some(places) };
        let begin = keys::prefix_key(stretch, prefix);
        let end = keys::after(&begin);
        let end = end.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
        let range = terms.range::<&[u8]>((Bound::Included(begin.as_slice()), end));
        for (n, entry) in self.read_or_note(range)?.enumerate() {
            if n == most {
                return None;
            }
            let (_, found) = self.read_or_note(entry)?;
            places.join(&self.decoded(&found)?);
        }
        Some(places)
    }

    fn part(&self, part: &'static str) -> Part {
        let mut parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(table) = parts.get(part) {
            return table.clone();
        }
        let name = keys::part_table(part);
        let opened = there(self.reading.open_table(keys::PartTable::new(&name)));
        let table = self.read_or_note(opened)?.map(Arc::new);
        parts.insert(part, table.clone());
        table
    }
}

impl Base for Snapshot {
    fn get(&self, part: &'static str, key: &[u8]) -> Option<Vec<u8>> {
        let found = self.part(part)?.get(key);
        self.read_or_note(found)?.map(|value| value.value().to_vec())
    }

    fn range(&self, part: &'static str, from: Bound<&[u8]>, to: Bound<&[u8]>) -> Entries<'_> {
        let Some(table) = self.part(part) else { return Box::new(std::iter::empty()) };
        if is_empty(from, to) {
            return Box::new(std::iter::empty());
        }
        let Some(range) = self.read_or_note(table.range::<&[u8]>((from, to))) else {
            return Box::new(std::iter::empty());
        };
        Box::new(range.map_while(|entry| {
            let (key, value) = self.read_or_note(entry)?;
            Some((key.value().to_vec(), value.value().to_vec()))
        }))
    }

    fn fail(&self, what: String) {
        self.shelf.trouble.note(&what);
    }

    fn trouble(&self) -> Option<String> {
        self.shelf.trouble.first().map(str::to_owned)
    }
}

/// Whether nothing can lie between two bounds; such a range is asked of no store.
fn is_empty(from: Bound<&[u8]>, to: Bound<&[u8]>) -> bool {
    use Bound::{Excluded, Included, Unbounded};
    match (from, to) {
        (Unbounded, _) | (_, Unbounded) => false,
        (Included(a), Included(b)) => a > b,
        (Included(a) | Excluded(a), Included(b) | Excluded(b)) => a >= b,
    }
}

/// The lines that have a term, in one order.
pub struct Postings<'a> {
    snapshot: &'a Snapshot,
    term: Term,
    order: Order,
    /// The stretch now being given out; `None` at the end.
    stretch: Option<u64>,
    here: Places,
}

impl Postings<'_> {
    /// Skips lines before `seq` in the order of these postings.
    pub fn seek(&mut self, seq: u64) {
        let size = self.snapshot.mark.size;
        self.stretch = None;
        let from = match self.order {
            Order::Asc if seq >= size => return,
            Order::Desc if size == 0 => return,
            Order::Asc => seq,
            Order::Desc => seq.min(size - 1),
        };
        let (stretch, place) = split(from);
        self.load(stretch);
        let place = u64::from(place);
        self.here.keep(&match self.order {
            Order::Asc => Places::between(place, STRETCH),
            Order::Desc => Places::between(0, place + 1),
        });
    }

    fn load(&mut self, stretch: u64) {
        self.stretch = Some(stretch);
        self.here = self.snapshot.places(stretch, &self.term).unwrap_or_else(Places::none);
    }
}

impl Iterator for Postings<'_> {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        loop {
            let stretch = self.stretch?;
            if let Some(place) = self.here.take_next(self.order) {
                return Some(stretch * STRETCH + u64::from(place));
            }
            let next = match self.order {
                Order::Asc => Some(stretch + 1).filter(|s| s * STRETCH < self.snapshot.mark.size),
                Order::Desc => stretch.checked_sub(1),
            };
            match next {
                Some(next) => self.load(next),
                None => self.stretch = None,
            }
        }
    }
}
