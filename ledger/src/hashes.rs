//! The tree of one scroll as its writer holds it: the newest hashes in memory, all older ones in tiles on disk.
//!
//! Tiles (`tiles/<scroll>/tile/...`, C2SP tlog-tiles) can be made again from the lines, so nothing about them is
//! synced and nothing read from them is believed: a tile is held against its parent's entry, the parent against its
//! own, up to the peaks in memory. What does not fit is a `tiles_damaged` fault that names the file; the tile is
//! noted, and [`Hashes::mend`] makes it again from the lines.
//!
//! The order of work: `push` under the writer's lock; now and then `pending` there too; [`Tiles::store`] of that, on
//! any thread, while the writer goes on; then `stored` under the lock again, which forgets what the tiles hold.

mod check;
mod files;
mod mend;
mod pending;
#[cfg(test)]
mod tests;

use std::cell::Cell;
use std::sync::Arc;
use vm_contracts::{Failure, Fault};
use vm_scrolls::tree::{self, Hash, ProofError, Window};

pub use check::{Wrong, check};
pub use files::{TILES_KEPT, Tiles};
pub use mend::Rebuilt;
pub use pending::{Pending, Stored};

/// Stable code of a tile that is missing or is not what the root covers.
pub const TILES_DAMAGED: &str = "tiles_damaged";
/// Most tiles that one question may need made again before it is given up.
const MENDS_MAX: usize = 64;

/// Reads lines, without their line feeds: from this sequence number, this many.
pub type ReadLines<'a> = &'a mut dyn FnMut(u64, usize) -> Result<Vec<Vec<u8>>, Failure>;

/// Why a hash was not given.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// A tile is missing, or is not what the root covers.
    Damaged(files::Damage),
    /// The question does not fit the tree.
    Range(ProofError),
}

impl From<ProofError> for Trouble {
    fn from(e: ProofError) -> Self {
        Self::Range(e)
    }
}

impl From<Trouble> for Fault {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Damaged(damage) => damage.fault(),
            Trouble::Range(e) => Fault { retryable: false, ..Fault::new(e.code(), e.to_string()) },
        }
    }
}

/// The tree of one scroll.
pub struct Hashes {
    window: Window,
    tiles: Option<Arc<Tiles>>,
    /// The tiles hold all hashes of the first leaves, this many.
    stored: u64,
}

impl Hashes {
    /// The empty tree of a scroll without tiles: all hashes stay in memory.
    pub fn in_memory() -> Self {
        Self { window: Window::new(), tiles: None, stored: 0 }
    }

    /// A tree whose first `size` leaves stand in tiles; `peaks` must come from a trusted place, as from
    /// [`Hashes::peaks`] at that size. Reads nothing.
    pub fn over(tiles: Arc<Tiles>, size: u64, peaks: Vec<Hash>) -> Result<Self, ProofError> {
        Ok(Self { window: Window::from_peaks(size, peaks)?, tiles: Some(tiles), stored: size })
    }

    /// Appends a leaf hash.
    pub fn push(&mut self, leaf: Hash) {
        self.window.push(leaf);
    }

    /// Number of leaves.
    pub fn size(&self) -> u64 {
        self.window.size()
    }

    /// Root over all leaves.
    pub fn root(&self) -> Hash {
        self.window.root()
    }

    /// The largest complete subtrees, largest first: what [`Hashes::over`] takes.
    pub fn peaks(&self) -> Vec<Hash> {
        self.window.peaks()
    }

    /// The tiles behind this tree, if there are any.
    pub fn tiles(&self) -> Option<&Arc<Tiles>> {
        self.tiles.as_ref()
    }

    /// Number of leaves that the tiles hold.
    pub fn stored_size(&self) -> u64 {
        self.stored
    }

    /// Hash of the complete subtree over leaves `index * 2^level .. (index + 1) * 2^level`.
    pub fn fetch(&self, level: u8, index: u64) -> Result<Hash, Fault> {
        Ok(self.subtree(level, index)?)
    }

    /// Hash of one leaf.
    pub fn leaf(&self, seq: u64) -> Result<Hash, Fault> {
        self.fetch(0, seq)
    }

    /// Root over the first `size` leaves; `None` when there are fewer.
    pub fn root_at(&self, size: u64) -> Result<Option<Hash>, Fault> {
        if size > self.size() {
            return Ok(None);
        }
        if size == self.size() {
            return Ok(Some(self.root()));
        }
        Ok(Some(tree::root_from(size, &mut |level, index| self.subtree(level, index))?))
    }

    /// Inclusion proof of leaf `seq` in the tree of the first `size` leaves, leaf's sibling first. In the tree of all
    /// leaves it is checked against the root before it is given out.
    pub fn inclusion_proof(&self, size: u64, seq: u64) -> Result<Vec<Hash>, Fault> {
        self.within(size)?;
        let from_tiles = Cell::new(false);
        let path = tree::inclusion_proof(size, seq, &mut |level, index| {
            from_tiles.set(from_tiles.get() || self.window.subtree(level, index).is_none());
            self.subtree(level, index)
        })?;
        if size == self.size() && from_tiles.get() {
            let leaf = self.subtree(0, seq)?;
            tree::verify_inclusion(&leaf, seq, size, &path, &self.root()).map_err(|e| {
                let what = format!("the proof of leaf {seq}, made from tiles, was not right: {e}");
                Fault::new(TILES_DAMAGED, what)
            })?;
        }
        Ok(path)
    }

    /// Consistency proof between the trees of the first `old` and the first `new` leaves.
    pub fn consistency_proof(&self, old: u64, new: u64) -> Result<Vec<Hash>, Fault> {
        self.within(new)?;
        Ok(tree::consistency_proof(old, new, &mut |level, index| self.subtree(level, index))?)
    }

    /// What the tiles lack: everything from the stored size on. Take it under the writer's lock, then store it anywhere.
    pub fn pending(&self) -> Pending {
        Pending::new(&self.window, self.stored)
    }

    /// The tiles hold the first `size` leaves now: forgets what stands there. The leaves of a tile that is not full stay.
    pub fn stored(&mut self, size: u64) {
        if self.tiles.is_some() {
            self.stored = size.clamp(self.stored, self.size());
            self.window.forget(self.stored);
        }
    }

    fn within(&self, size: u64) -> Result<(), Trouble> {
        match size > self.size() {
            true => Err(ProofError::SizeOutOfRange { size, limit: self.size() }.into()),
            false => Ok(()),
        }
    }

    fn subtree(&self, level: u8, index: u64) -> Result<Hash, Trouble> {
        if let Some(hash) = self.window.subtree(level, index) {
            return Ok(hash);
        }
        match &self.tiles {
            Some(tiles) => tiles.subtree(self.stored, &self.known(), level, index),
            None => {
                let size = index.saturating_add(1).checked_shl(level.into()).unwrap_or(u64::MAX);
                Err(ProofError::SizeOutOfRange { size, limit: self.size() }.into())
            }
        }
    }

    fn known(&self) -> impl Fn(u8, u64) -> Option<Hash> {
        |level, index| self.window.subtree(level, index)
    }

    /// Makes the tiles that were found damaged again from the lines, and says which. Writes nothing that does not fit
    /// the peaks in memory: lines that do not fit them are a `corrupt` failure.
    pub fn mend(&self, read: ReadLines<'_>) -> Result<Rebuilt, Failure> {
        match &self.tiles {
            Some(tiles) => tiles.mend(self.stored, &self.known(), read),
            None => Ok(Rebuilt::default()),
        }
    }

    /// Asks, and where tiles turn out to be damaged has them mended and asks again. Says what was rebuilt, if anything.
    pub fn mended<T>(
        &self,
        read: ReadLines<'_>,
        mut ask: impl FnMut(&Self) -> Result<T, Fault>,
    ) -> Result<(T, Rebuilt), Failure> {
        let mut rebuilt = Rebuilt::default();
        for _ in 0..MENDS_MAX {
            match ask(self) {
                Ok(answer) => return Ok((answer, rebuilt)),
                Err(fault) if fault.code == TILES_DAMAGED => {
                    let now = self.mend(read)?;
                    if now.tiles == 0 {
                        return Err(fault.into());
                    }
                    rebuilt.add(now);
                }
                Err(fault) => return Err(fault.into()),
            }
        }
        Ok((ask(self)?, rebuilt))
    }
}
