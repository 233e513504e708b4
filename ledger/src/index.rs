//! The index of a scroll: its projections, its calls by id, where its lines start, and which lines have which terms.
//!
//! One file for each scroll, `index/<scroll>.redb`, made from the lines and from nothing else, so that it can be made
//! again at any time; no acknowledgement waits for it. It says how far it has come in the same transaction that takes
//! it there, and every block of the file carries a check: an index that cannot be believed says so, and is never
//! believed by half.

mod apply;
mod blocks;
mod keys;
mod plan;
mod snapshot;
mod stretch;
mod trouble;

pub use plan::{Candidates, candidates};
pub use snapshot::{Postings, Snapshot};

use crate::fs::{Fs, make_dir};
use crate::scroll::Group;
use blocks::{Backend, Blocks, Opened};
use redb::{Database, ReadableDatabase, TableError};
use std::sync::{Arc, Mutex, PoisonError};
use trouble::Trouble;
use vm_contracts::Fault;
use vm_contracts::state::Change;
use vm_receipts::line::Prev;
use vm_receipts::moment::Moment;
use vm_scrolls::query::terms::Term;
use vm_scrolls::tree::Hash;

/// The directory of all indexes.
pub const DIR: &str = "index";
/// Memory that an index may keep of its file, unless said otherwise.
pub const CACHE_BYTES: usize = 16 << 20;

/// What an index is of. One with another identity is not used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Id of the ledger.
    pub ledger: String,
    /// Name of the scroll.
    pub scroll: String,
    /// Version of the engine's fold.
    pub fold: u32,
    /// Digest of all else that decides what stands in the index: format version, receipt types, declared filters.
    pub shape: String,
}

/// Where the index has come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Number of lines in it.
    pub size: u64,
    /// Root over them.
    pub root: Hash,
    /// Hashes of the complete subtrees that make the root.
    pub peaks: Vec<Hash>,
    /// `at` of the last line.
    pub last_at: Option<Moment>,
    /// The batch that the last line belongs to.
    pub batch: Option<Prev>,
    /// End of the last line in its receipts file.
    pub file_bytes: u64,
    /// Why the scroll is read-only for good: a receipt type that nobody here knows.
    pub unknown: Option<String>,
}

impl Mark {
    /// Before the first line.
    pub fn start() -> Self {
        let root = vm_scrolls::tree::empty_root();
        let (peaks, last_at, batch, unknown) = (Vec::new(), None, None, None);
        Self { size: 0, root, peaks, last_at, batch, file_bytes: 0, unknown }
    }
}

/// Lines that are taken into the index together.
#[derive(Clone, Debug)]
pub struct Batch {
    /// Where it has come to with them.
    pub mark: Mark,
    /// Changes of the state, by part.
    pub state: Vec<(&'static str, Change)>,
    /// The groups of the calls. The first group of an id stays.
    pub ids: Vec<(String, Group)>,
    /// Number of lines before these.
    pub first: u64,
    /// For each line, where it starts in its receipts file.
    pub starts: Vec<u32>,
    /// Terms of the lines, in the order of the lines; a line may be absent.
    pub terms: Vec<(u64, Vec<Term>)>,
}

/// What is found where an index should be.
pub enum Found {
    /// An index that goes on from its mark.
    Index(Index, Mark),
    /// An empty one, made now.
    Blank(Index),
    /// Something that is not used; [`Index::discard`] makes room for a new one.
    Unusable {
        /// Why, for people.
        why: String,
    },
}

/// The open index of one scroll.
pub struct Index {
    shelf: Arc<Shelf>,
    identity: Identity,
    /// Held while a batch is applied.
    applying: Mutex<()>,
}

/// The store and its file, for as long as anybody reads them.
struct Shelf {
    db: Database,
    blocks: Arc<Blocks>,
    trouble: Arc<Trouble>,
}

impl Drop for Shelf {
    fn drop(&mut self) {
        // The store would write its free space and sync three times; its last commit has all of that already.
        self.blocks.leave();
    }
}

/// Path of the index of a scroll.
pub fn path(scroll: &str) -> String {
    format!("{DIR}/{scroll}.redb")
}

/// The fault of a store that answers with an error.
fn failed(scroll: &str, what: impl std::fmt::Display) -> Fault {
    Fault::new("index_failed", format!("the index of {scroll} failed: {what}"))
        .hint("Run `vm reindex`; the receipts are untouched.")
}

impl Index {
    /// Opens the index of a scroll, or makes an empty one.
    pub fn open(fs: &Arc<dyn Fs>, identity: &Identity) -> Result<Found, Fault> {
        Self::open_with(fs, identity, CACHE_BYTES)
    }

    /// [`open`](Self::open) with this much memory for what is read of the file.
    pub fn open_with(
        fs: &Arc<dyn Fs>,
        identity: &Identity,
        cache_bytes: usize,
    ) -> Result<Found, Fault> {
        let path = path(&identity.scroll);
        let io = |e: std::io::Error| failed(&identity.scroll, format!("{path}: {e}"));
        let there = match fs.len(&path).map_err(io)? {
            Some(len) => len > 0,
            None => {
                make_dir(&**fs, DIR).map_err(io)?;
                false
            }
        };
        let trouble = Arc::new(Trouble::default());
        let file = fs.paged(&path).map_err(io)?;
        if !there {
            fs.sync_dir(DIR).map_err(io)?;
        }
        let blocks = match Blocks::open(file, trouble.clone()).map_err(io)? {
            Opened::Old(blocks) | Opened::New(blocks) => blocks,
            Opened::Damaged(why) => return Ok(Found::Unusable { why }),
        };
        let opened = Database::builder()
            .set_cache_size(cache_bytes)
            // A repair reads the whole file; making the index again is as good.
            .set_repair_callback(redb::RepairSession::abort)
            .create_with_backend(Backend(blocks.clone()));
        let db = match opened {
            Ok(db) => db,
            Err(e) => return Ok(Found::Unusable { why: trouble.or(e) }),
        };
        let shelf = Arc::new(Shelf { db, blocks, trouble });
        let index = Self { shelf, identity: identity.clone(), applying: Mutex::new(()) };
        Ok(match index.look() {
            Ok(Some(mark)) => Found::Index(index, mark),
            Ok(None) => Found::Blank(index),
            Err(why) => Found::Unusable { why },
        })
    }

    /// Whose index it is and how far it has come; `None` if nothing was ever applied.
    fn look(&self) -> Result<Option<Mark>, String> {
        let said = |what: String| self.shelf.trouble.or(what);
        let reading = self.shelf.db.begin_read().map_err(|e| said(e.to_string()))?;
        let about = match reading.open_table(keys::ABOUT) {
            Ok(about) => about,
            Err(TableError::TableDoesNotExist(_)) => return Ok(None),
            Err(e) => return Err(said(e.to_string())),
        };
        let get = |key: &str| about.get(key).map_err(|e| said(e.to_string()));
        let Some(identity) = get(keys::IDENTITY)? else {
            return Err("it does not say what it is of".to_owned());
        };
        keys::check_identity(identity.value(), &self.identity)?;
        let mark = get(keys::MARK)?.and_then(|mark| keys::read_mark(mark.value()));
        mark.map(Some).ok_or_else(|| "it does not say how far it has come".to_owned())
    }

    /// Removes the file of an index, whatever it holds.
    pub fn discard(fs: &dyn Fs, scroll: &str) -> Result<(), Fault> {
        let path = path(scroll);
        fs.remove(&path).map_err(|e| failed(scroll, format!("{path} cannot be removed: {e}")))
    }

    /// Takes a batch in, in one durable transaction. Snapshots that are there already go on reading what they read;
    /// another thread may do so meanwhile. After an error the index says what failed and takes nothing in any more if
    /// its file is at fault.
    pub fn apply(&self, batch: &Batch) -> Result<(), Fault> {
        let _one_at_a_time = self.applying.lock().unwrap_or_else(PoisonError::into_inner);
        apply::apply(&self.shelf, &self.identity, batch)
    }

    /// What the index holds now. A snapshot keeps the room of everything that is replaced after it was taken, so it
    /// should not outlive the next few batches.
    pub fn snapshot(&self) -> Result<Arc<Snapshot>, Fault> {
        Snapshot::take(&self.shelf, &self.identity).map(Arc::new)
    }

    /// What failed, if anything did; all reads and writes fail from then on.
    pub fn trouble(&self) -> Option<String> {
        self.shelf.trouble.first().map(str::to_owned)
    }
}
