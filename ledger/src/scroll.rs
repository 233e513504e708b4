//! One scroll as the writer holds it: its tree, its calls by id, its fold.
//!
//! [`Scroll::take_in`] is the only way a line enters, for lines found at open, lines of another writer and lines just
//! committed. What was taken in stays in memory until the index holds it ([`crate::shelf`]); without an index, for good.

use crate::hashes::Hashes;
use crate::index::{Index, Mark, Snapshot};
use std::collections::HashMap;
use std::sync::Arc;
use vm_contracts::{AnyEngine, AnyState, Base, Refusal, RefusalKind};
use vm_receipts::digest::Blake3;
use vm_receipts::line::{Line, Prev};
use vm_receipts::moment::Moment;
use vm_scrolls::query::terms::{Term, TermFields};
use vm_scrolls::tree::Hash;

/// Receipt types of the ledger itself; they may stand in any scroll.
pub const LEDGER_TYPES: [&str; 4] =
    ["ledger_open", "ledger_restored", "ledger_cut_accepted", "ledger_clock_accepted"];

/// The lines one call left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Sequence number of the first.
    pub first: u64,
    /// How many.
    pub of: u32,
    /// What was asked for.
    pub intent: Blake3,
}

/// A scroll, as far as it is in memory.
pub struct Scroll {
    /// Its name.
    pub name: String,
    /// The engine that writes it.
    pub engine: Option<&'static dyn AnyEngine>,
    /// The engine's state; tentative while a batch is decided.
    pub state: Box<dyn AnyState>,
    /// Its tree.
    pub hashes: Hashes,
    /// `at` of the last line.
    pub last_at: Option<Moment>,
    /// Why nothing may be appended, if so.
    pub read_only: Option<Refusal>,
    /// Where what is not in memory is read from.
    pub(crate) shelf: Option<Shelf>,
    /// What the index does not hold yet.
    pub(crate) fresh: Fresh,
    /// What is on its way into the index.
    pub(crate) taken: HashMap<String, Group>,
    /// Something is on its way into the index.
    pub(crate) in_flight: bool,
    /// The index could not be written; all goes on in memory.
    pub(crate) unshelvable: bool,
    /// Which of the scroll's lives in this process it is: one that was opened again forgets what was on its way.
    pub(crate) life: u64,
    /// The batch that lines now being taken in belong to.
    batch: Option<Prev>,
    /// Receipt types of the engine; asked for once, not for every line.
    types: Vec<&'static str>,
    /// What a query may look for.
    pub(crate) fields: Arc<TermFields>,
}

/// The index of a scroll and how far it has come.
pub(crate) struct Shelf {
    pub index: Arc<Index>,
    pub seen: Arc<Snapshot>,
}

/// What was taken in since the index was last given anything.
#[derive(Default)]
pub(crate) struct Fresh {
    /// Calls by id.
    pub ids: HashMap<String, Group>,
    /// Calls with an id that was there already: only a damaged history has any, and a query must find them all the same.
    pub repeats: Vec<(String, Group)>,
    /// Terms of each line; kept only where there is an index to come.
    pub terms: Vec<(u64, Vec<Term>)>,
}

impl Scroll {
    /// An empty scroll.
    pub fn new(name: &str, engine: Option<&'static dyn AnyEngine>) -> Self {
        Self {
            name: name.to_owned(),
            engine,
            state: engine.map_or_else(|| Box::new(()) as Box<dyn AnyState>, AnyEngine::blank),
            hashes: Hashes::in_memory(),
            last_at: None,
            read_only: None,
            shelf: None,
            fresh: Fresh::default(),
            taken: HashMap::new(),
            in_flight: false,
            unshelvable: false,
            life: 0,
            batch: None,
            types: engine.map_or_else(Vec::new, AnyEngine::types),
            fields: Arc::new(crate::shelf::term_fields(engine)),
        }
    }

    /// Stands on an index from here on; for a scroll that is still empty.
    pub(crate) fn stand_on(&mut self, shelf: Shelf, hashes: Hashes) {
        let mark = shelf.seen.mark();
        self.last_at = mark.last_at;
        self.batch = mark.batch;
        if let Some(what) = mark.unknown.clone() {
            self.read_only = Some(unknown_type(what));
        }
        let base: Arc<dyn Base> = shelf.seen.clone();
        self.state.attach(&base);
        self.hashes = hashes;
        self.shelf = Some(shelf);
    }

    /// Number of lines taken in.
    pub fn size(&self) -> u64 {
        self.hashes.size()
    }

    /// Root over them.
    pub fn root(&self) -> Hash {
        self.hashes.root()
    }

    /// Lines that the index holds.
    pub fn indexed(&self) -> u64 {
        self.shelf.as_ref().map_or(0, |shelf| shelf.seen.mark().size)
    }

    /// What of the index could not be read, if anything: then nothing that was decided or answered may be believed.
    pub fn trouble(&self) -> Option<String> {
        self.shelf.as_ref().and_then(|shelf| shelf.seen.trouble())
    }

    /// Where the index would have come to if it held everything taken in.
    pub(crate) fn mark(&self, file_bytes: u64) -> Mark {
        let unknown = self.read_only.as_ref().filter(|why| why.code == UNKNOWN_TYPE);
        Mark {
            size: self.size(),
            root: self.root(),
            peaks: self.hashes.peaks(),
            last_at: self.last_at,
            batch: self.batch,
            file_bytes,
            unknown: unknown.map(|why| why.message.clone()),
        }
    }

    /// Folds a line into the tentative state. An unknown type makes the scroll read-only: whoever cannot fold a line
    /// must not decide on top of it.
    pub fn fold(&mut self, line: &Line) {
        let known = match self.engine {
            Some(engine) if self.types.contains(&line.kind.as_str()) => {
                engine.fold(&mut *self.state, line);
                true
            }
            _ => LEDGER_TYPES.contains(&line.kind.as_str()),
        };
        if !known && self.read_only.is_none() {
            let what = format!(
                "{}/{} is a {:?}, which this version does not know",
                self.name, line.seq, line.kind
            );
            self.read_only = Some(unknown_type(what));
        }
    }

    /// Checks that a line read back continues this scroll. The signature is not checked here: the root that the log
    /// key signed covers these very bytes.
    pub fn check(&self, line: &Line) -> Result<(), String> {
        let here = self.size();
        if line.scroll != self.name || line.seq != here {
            return Err(format!(
                "the line says {}/{} where {}/{here} must stand",
                line.scroll, line.seq, self.name
            ));
        }
        let same_batch = self.batch == Some(line.prev);
        if !same_batch {
            if line.prev.size != here {
                return Err(format!(
                    "its prev.size is {}, but its batch begins at {here}",
                    line.prev.size
                ));
            }
            if line.prev.root != self.root() {
                return Err(format!(
                    "its prev.root is not the root over the {here} lines before it"
                ));
            }
        }
        match self.last_at {
            Some(before) if line.at < before => {
                Err(format!("its time {} is before {before} of the line above it", line.at))
            }
            _ => Ok(()),
        }
    }

    /// Takes a durable line in. `folded` says that the fold has seen it already, tentatively; `terms` are there where
    /// there is an index to come.
    pub fn take_in(&mut self, line: &Line, leaf: Hash, terms: Option<Vec<Term>>, folded: bool) {
        if !folded {
            self.fold(line);
        }
        self.batch = Some(line.prev);
        self.hashes.push(leaf);
        self.last_at = Some(line.at);
        self.fresh.terms.extend(terms.map(|terms| (line.seq, terms)));
        // The parts of a call follow each other, and an id is given out once.
        if line.part.n == 1 {
            let group = Group { first: line.seq, of: line.part.of, intent: line.intent };
            if self.fresh.ids.contains_key(&line.id) || self.taken.contains_key(&line.id) {
                self.fresh.repeats.push((line.id.clone(), group));
            } else {
                self.fresh.ids.insert(line.id.clone(), group);
            }
        }
    }

    /// Makes the tentative fold permanent, at the end of a batch.
    pub fn promote(&mut self) {
        self.state.promote();
    }

    /// The group of a call, if the scroll holds it.
    pub fn group(&self, id: &str) -> Option<Group> {
        let newer = self.fresh.ids.get(id).or_else(|| self.taken.get(id));
        newer.cloned().or_else(|| self.shelf.as_ref().and_then(|shelf| shelf.seen.group(id)))
    }
}

/// Code of the refusal to write above receipts that this version cannot fold.
const UNKNOWN_TYPE: &str = "unknown_receipt_type";

fn unknown_type(what: String) -> Refusal {
    Refusal::new(UNKNOWN_TYPE, RefusalKind::Unavailable, what)
        .hint("Use a version of vm that knows this receipt type.")
}
