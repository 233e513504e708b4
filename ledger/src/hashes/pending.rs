//! What the tiles lack, taken from memory in one go, and how it is written.

use super::files::{Tiles, hashes_at};
use std::sync::Arc;
use vm_contracts::Fault;
use vm_scrolls::tile::{TILE_HEIGHT, TILE_WIDTH, TileNodes, TilePath, tiles_between};
use vm_scrolls::tree::{Hash, Window};

/// Hashes of the leaves from one size to another, as tiles need them. Cloning it copies no hash.
#[derive(Clone, Debug)]
pub struct Pending {
    from: u64,
    size: u64,
    /// For each tile level the index of the first hash here, and the hashes.
    rows: Arc<[(u64, Vec<Hash>)]>,
    /// Level, index and hash of the peaks at `from`: what stored tiles are held against.
    peaks: Arc<[(u8, u64, Hash)]>,
}

/// What storing came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stored {
    /// Leaves the tiles hold now.
    pub size: u64,
    /// Tiles written.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Partial tiles taken away because wider ones are there.
    pub removed: u64,
}

impl Pending {
    pub(super) fn new(window: &Window, from: u64) -> Self {
        let size = window.size();
        let tile = u64::from(TILE_WIDTH);
        let levels = (0..8_u8).take_while(|level| hashes_at(size, *level) > 0);
        let rows = levels
            .map(|level| {
                let first = hashes_at(from, level) / tile * tile;
                window.row_from(level * TILE_HEIGHT, first)
            })
            .collect();
        let set = (0..64_u8).filter(|level| (from >> level) & 1 == 1);
        let peaks = set.filter_map(|level| {
            let index = (from >> level) - 1;
            Some((level, index, window.subtree(level, index)?))
        });
        Self { from, size, rows, peaks: peaks.collect() }
    }

    /// Leaves that the tiles held when this was taken.
    pub fn from(&self) -> u64 {
        self.from
    }

    /// Leaves that the tiles hold once this is stored.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Whether the tiles lack nothing.
    pub fn is_empty(&self) -> bool {
        self.from == self.size
    }

    fn known(&self) -> impl Fn(u8, u64) -> Option<Hash> {
        |level, index| {
            self.peaks.iter().find(|peak| (peak.0, peak.1) == (level, index)).map(|peak| peak.2)
        }
    }
}

impl Tiles {
    /// Writes the tiles that `pending` adds: at every level the full ones, then the partial one, then takes away the
    /// partial ones that these replace. Nothing is synced: after a crash tiles may be missing, short or zero, which is
    /// noticed when they are read. May run while others read.
    pub fn store(&self, pending: &Pending) -> Result<Stored, Fault> {
        let mut dirs = self.writing();
        let mut done = Stored { size: pending.size, ..Stored::default() };
        let mut run: Option<(u8, u64, Vec<Hash>)> = None;
        for tile in tiles_between(pending.from, pending.size) {
            if run.as_ref().is_none_or(|(level, ..)| *level != tile.level) {
                run = Some(self.run(pending, tile.level)?);
            }
            let Some((_, first, hashes)) = &run else { continue };
            let at = (tile.index * u64::from(TILE_WIDTH) - first) as usize;
            let hashes = &hashes[at..at + usize::from(tile.width)];
            self.write(&mut dirs, &tile, hashes)?;
            done.files += 1;
            done.bytes += hashes.len() as u64 * 32;
            // The next store begins with this one; level 0 has its leaves in memory.
            if !tile.is_full() && tile.level > 0 {
                self.keep(&tile, TileNodes::new(tile.index, hashes.to_vec()));
            }
        }
        for level in 0..8 {
            let (old, new) = (hashes_at(pending.from, level), hashes_at(pending.size, level));
            let width = (old % u64::from(TILE_WIDTH)) as u16;
            let index = old / u64::from(TILE_WIDTH);
            if old == new || width == 0 {
                continue;
            }
            if new / u64::from(TILE_WIDTH) > index {
                done.removed += self.remove_partials(&mut dirs, level, index)?;
            } else {
                let file = self.path(&TilePath { level, index, width });
                self.fs.remove(&file).map_err(|e| self.io_fault("remove", &file, &e))?;
                done.removed += 1;
            }
        }
        Ok(done)
    }

    /// The hashes of one tile level from the start of the tile that changes first. What memory has forgotten of that
    /// tile is taken from its stored part, held against the peaks so that damage does not spread.
    fn run(&self, pending: &Pending, level: u8) -> Result<(u8, u64, Vec<Hash>), Fault> {
        let tile = u64::from(TILE_WIDTH);
        let old = hashes_at(pending.from, level);
        let first = old / tile * tile;
        let none = (old, Vec::new());
        let (known_from, hashes) = pending.rows.get(usize::from(level)).unwrap_or(&none);
        let mut run = Vec::with_capacity(hashes.len() + usize::from(TILE_WIDTH));
        if *known_from > first {
            let path = TilePath { level, index: old / tile, width: (old % tile) as u16 };
            let nodes = self.nodes(pending.from, &pending.known(), &path).map_err(Fault::from)?;
            run.extend_from_slice(&nodes.hashes()[..(known_from - first) as usize]);
        }
        run.extend_from_slice(hashes);
        Ok((level, first, run))
    }
}
