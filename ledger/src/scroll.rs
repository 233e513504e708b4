//! One scroll as the writer holds it: its tree, its calls by id, its fold.
//!
//! [`Scroll::take_in`] is the only way a line enters, for lines found at open, lines of another writer and lines just
//! committed.

use std::collections::HashMap;
use vm_contracts::{AnyEngine, AnyState, Refusal, RefusalKind};
use vm_receipts::digest::Blake3;
use vm_receipts::line::{Line, Prev};
use vm_receipts::moment::Moment;
use vm_scrolls::tree::{self, Hash, MemoryTree};

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

/// A scroll in memory.
pub struct Scroll {
    /// Its name.
    pub name: String,
    /// The engine that writes it.
    pub engine: Option<&'static dyn AnyEngine>,
    /// The engine's state; tentative while a batch is decided.
    pub state: Box<dyn AnyState>,
    /// Hashes of all complete subtrees.
    pub tree: MemoryTree,
    /// Calls by id.
    pub ids: HashMap<String, Group>,
    /// `at` of the last line.
    pub last_at: Option<Moment>,
    /// Why nothing may be appended, if so.
    pub read_only: Option<Refusal>,
    /// The batch that lines now being taken in belong to.
    batch: Option<Prev>,
    /// Receipt types of the engine; asked for once, not for every line.
    types: Vec<&'static str>,
}

impl Scroll {
    /// An empty scroll.
    pub fn new(name: &str, engine: Option<&'static dyn AnyEngine>) -> Self {
        Self {
            name: name.to_owned(),
            engine,
            state: engine.map_or_else(|| Box::new(()) as Box<dyn AnyState>, AnyEngine::blank),
            tree: MemoryTree::new(),
            ids: HashMap::new(),
            last_at: None,
            read_only: None,
            batch: None,
            types: engine.map_or_else(Vec::new, AnyEngine::types),
        }
    }

    /// Number of lines taken in.
    pub fn size(&self) -> u64 {
        self.tree.size()
    }

    /// Root over them.
    pub fn root(&self) -> Hash {
        self.tree.root()
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
            self.read_only = Some(
                Refusal::new("unknown_receipt_type", RefusalKind::Unavailable, what)
                    .hint("Use a version of vm that knows this receipt type."),
            );
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

    /// Takes a durable line in. `folded` says that the fold has seen it already, tentatively.
    pub fn take_in(&mut self, line: &Line, bytes: &[u8], folded: bool) {
        if !folded {
            self.fold(line);
        }
        self.batch = Some(line.prev);
        self.tree.push(tree::leaf_hash(bytes));
        self.last_at = Some(line.at);
        self.ids.entry(line.id.clone()).or_insert_with(|| Group {
            first: line.seq,
            of: line.part.of,
            intent: line.intent,
        });
    }

    /// Makes the tentative fold permanent, at the end of a batch.
    pub fn promote(&mut self) {
        self.state.promote();
    }

    /// The group of a call, if the scroll holds it.
    pub fn group(&self, id: &str) -> Option<&Group> {
        self.ids.get(id)
    }
}
