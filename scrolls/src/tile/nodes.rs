//! One tile with all nodes above its hashes, and a whole tree cut into tiles leaf by leaf.

use super::{TILE_HEIGHT, TILE_WIDTH, TilePath};
use crate::tree::{Hash, node_hash};

/// The hashes of one tile and every complete subtree inside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TileNodes {
    index: u64,
    /// Subtrees by height above the tile's own level; the last row has one hash when the tile is full.
    heights: Vec<Vec<Hash>>,
}

impl TileNodes {
    /// Computes the nodes above the first 256 hashes of tile `index`.
    #[must_use]
    pub fn new(index: u64, mut hashes: Vec<Hash>) -> Self {
        hashes.truncate(usize::from(TILE_WIDTH));
        let mut heights = vec![hashes];
        while let Some(row) = heights.last().filter(|row| row.len() > 1) {
            let pairs = row.as_chunks::<2>().0;
            let above = pairs.iter().map(|[left, right]| node_hash(left, right)).collect();
            heights.push(above);
        }
        Self { index, heights }
    }

    /// The hashes the tile is made of.
    #[must_use]
    pub fn hashes(&self) -> &[Hash] {
        self.heights.first().map_or(&[], Vec::as_slice)
    }

    /// Hash over the whole tile, if it is full.
    #[must_use]
    pub fn root(&self) -> Option<Hash> {
        self.heights.get(usize::from(TILE_HEIGHT))?.first().copied()
    }

    /// Hash of the complete subtree (`level`, `index`) of the tree; `None` when it is not in this tile.
    /// Of the level only the height above the tile matters.
    #[must_use]
    pub fn subtree(&self, level: u8, index: u64) -> Option<Hash> {
        let height = level % TILE_HEIGHT;
        let first = self.index.checked_mul(u64::from(TILE_WIDTH))? >> height;
        let place = usize::try_from(index.checked_sub(first)?).ok()?;
        self.heights.get(usize::from(height))?.get(place).copied()
    }

    /// Height and index, as in [`TileNodes::subtree`], of the largest subtrees inside the tile when it
    /// has `width` hashes, below 256: what a partial tile is checked by. A full one has its root.
    pub fn peaks(&self, width: u16) -> impl Iterator<Item = (u8, u64)> {
        let end = self.index.saturating_mul(u64::from(TILE_WIDTH)) + u64::from(width);
        (0..TILE_HEIGHT)
            .filter(move |height| (width >> height) & 1 == 1)
            .map(move |height| (height, (end >> height) - 1))
    }
}

/// Cuts a tree into its tiles, leaf by leaf, holding one tile of each level.
#[derive(Debug, Clone, Default)]
pub struct Cutter {
    /// Number and hashes of the tile being filled, by tile level.
    open: Vec<(u64, Vec<Hash>)>,
}

impl Cutter {
    /// Begins with the empty tree.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next leaf; calls `put` with every tile that is full now, lower levels first.
    pub fn push<E>(
        &mut self,
        leaf: Hash,
        put: &mut impl FnMut(TilePath, &[Hash]) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut hash = leaf;
        for level in 0.. {
            if self.open.len() == usize::from(level) {
                self.open.push((0, Vec::new()));
            }
            let (index, hashes) = &mut self.open[usize::from(level)];
            hashes.push(hash);
            if hashes.len() < usize::from(TILE_WIDTH) {
                break;
            }
            put(TilePath { level, index: *index, width: TILE_WIDTH }, hashes)?;
            let full = TileNodes::new(*index, std::mem::take(hashes));
            *index += 1;
            hash = full.root().expect("256 hashes make a full tile");
        }
        Ok(())
    }

    /// Calls `put` with the partial tiles at the end of the tree.
    pub fn finish<E>(
        self,
        put: &mut impl FnMut(TilePath, &[Hash]) -> Result<(), E>,
    ) -> Result<(), E> {
        for (level, (index, hashes)) in (0..).zip(self.open) {
            if !hashes.is_empty() {
                put(TilePath { level, index, width: hashes.len() as u16 }, &hashes)?;
            }
        }
        Ok(())
    }
}
