//! Where lines are kept, spoken in positions: the seam between the ledger and its storage.

use std::collections::HashMap;
use std::sync::Mutex;
use vm_contracts::Fault;

/// Most lines of one batch.
pub const BATCH_LINES_MAX: usize = 16_384;
/// Most bytes of one batch, line ends included.
pub const BATCH_BYTES_MAX: usize = 8 * 1024 * 1024;

/// What became of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Created {
    /// All lines are durable at the position. This is the commit point.
    Created,
    /// Another writer holds the position; nothing of ours was written.
    Taken,
    /// The write was not confirmed; it may or may not be there. Nothing may be answered from memory any more.
    Unknown(String),
    /// There was no space; nothing of the batch is there, durably.
    Full(String),
}

/// Obligations of a store.
///
/// - A batch lands whole at its position or not at all, for every reader and after every crash. (On disk the
///   recovery of the next open makes it so.)
/// - `Created` is returned only after the lines are durable. It is never returned for a position that holds other
///   bytes, and no position is ever freed.
/// - `read` returns only bytes that a later crash cannot take away.
/// - Methods may be called from several threads.
pub trait Store: Send + Sync {
    /// Lines from position `at` on, without their ends, at most `max` of them; empty where nothing is yet.
    fn read(&self, scroll: &str, at: u64, max: usize) -> Result<Vec<Vec<u8>>, Fault>;
    /// Puts the lines at position `at`, each without its end.
    fn create(&self, scroll: &str, at: u64, lines: &[Vec<u8>]) -> Created;
}

/// Lines in memory: for tests of the commit loop, and of what a second writer does to it.
#[derive(Default)]
pub struct Memory {
    scrolls: Mutex<HashMap<String, Vec<Vec<u8>>>>,
}

impl Memory {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }
}

impl Store for Memory {
    fn read(&self, scroll: &str, at: u64, max: usize) -> Result<Vec<Vec<u8>>, Fault> {
        let scrolls = self.scrolls.lock().expect("no holder of this lock panics");
        let lines = scrolls.get(scroll).map_or(&[][..], Vec::as_slice);
        let from = usize::try_from(at).unwrap_or(usize::MAX).min(lines.len());
        Ok(lines[from..].iter().take(max).cloned().collect())
    }

    fn create(&self, scroll: &str, at: u64, new: &[Vec<u8>]) -> Created {
        let mut scrolls = self.scrolls.lock().expect("no holder of this lock panics");
        let lines = scrolls.entry(scroll.to_owned()).or_default();
        if lines.len() as u64 != at {
            return Created::Taken;
        }
        lines.extend_from_slice(new);
        Created::Created
    }
}
