//! A growing tree that keeps its newest leaves and forgets the others.
//!
//! Whoever keeps the older hashes elsewhere (in tiles) needs only the right edge in memory: enough to
//! append, to know every root, and to write the next tiles.

use std::collections::VecDeque;

use super::{
    Hash, MAX_SIZE, ProofError, check_length, check_size, empty_root, fold_peaks, node_hash,
};

/// Leaves are forgotten in whole tiles: of a tile that is not full, all leaves stay.
const FORGET_STEP: u64 = 256;
/// Space a row may hold beyond its need before it is given back.
const SPARE: usize = 1_024;

/// Hashes of the complete subtrees from some leaf on, and the peaks of what lies before it.
#[derive(Debug, Clone, Default)]
pub struct Window {
    size: u64,
    rows: Vec<Row>,
}

/// Complete subtrees of one level, without a gap, up to the newest.
#[derive(Debug, Clone, Default)]
struct Row {
    first: u64,
    hashes: VecDeque<Hash>,
}

impl Row {
    fn get(&self, index: u64) -> Option<Hash> {
        let place = usize::try_from(index.checked_sub(self.first)?).ok()?;
        self.hashes.get(place).copied()
    }

    /// Drops what stands before `index`; the row's end stays where it is.
    fn drop_before(&mut self, index: u64) {
        let count = index.saturating_sub(self.first).min(self.hashes.len() as u64);
        self.hashes.drain(..count as usize);
        self.first += count;
        if self.hashes.capacity() > 2 * self.hashes.len() + SPARE {
            self.hashes.shrink_to_fit();
        }
    }
}

impl Window {
    /// The window over the empty tree.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A window that knows only the peaks of the first `size` leaves, largest first; their number must
    /// be the number of set bits.
    pub fn from_peaks(size: u64, peaks: Vec<Hash>) -> Result<Self, ProofError> {
        check_size(size, MAX_SIZE)?;
        check_length(size.count_ones() as usize, peaks.len())?;
        let levels = 64 - size.leading_zeros();
        let mut smallest_first = peaks.into_iter().rev();
        let row = |level: u32| match (size >> level) & 1 {
            1 => Row {
                first: (size >> level) - 1,
                hashes: smallest_first.next().into_iter().collect(),
            },
            _ => Row { first: size >> level, hashes: VecDeque::new() },
        };
        Ok(Self { size, rows: (0..levels).map(row).collect() })
    }

    /// Appends one leaf hash in amortised constant and at worst logarithmic time.
    pub fn push(&mut self, leaf: Hash) {
        let mut hash = leaf;
        let mut index = self.size;
        for level in 0.. {
            if self.rows.len() == level {
                self.rows.push(Row::default());
            }
            let row = &mut self.rows[level];
            let left = row.hashes.back().copied();
            row.hashes.push_back(hash);
            if index & 1 == 0 {
                break;
            }
            let left =
                left.expect("a left sibling without its parent is a peak, and peaks are kept");
            hash = node_hash(&left, &hash);
            index >>= 1;
        }
        self.size += 1;
    }

    /// Number of leaves, forgotten ones included.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The first leaf from which on all leaves and the subtrees over them are in memory.
    #[must_use]
    pub fn first_leaf(&self) -> u64 {
        self.rows.first().map_or(0, |row| row.first)
    }

    /// Root over all leaves.
    #[must_use]
    pub fn root(&self) -> Hash {
        fold_peaks(&self.peaks()).unwrap_or_else(empty_root)
    }

    /// The largest complete subtrees, largest first: one for each set bit of the size.
    #[must_use]
    pub fn peaks(&self) -> Vec<Hash> {
        let rows = self.rows.iter().enumerate().rev();
        rows.filter(|(level, _)| (self.size >> level) & 1 == 1)
            .map(|(_, row)| *row.hashes.back().expect("peaks are never forgotten"))
            .collect()
    }

    /// Hash of the complete subtree `index` of `level`, if it is complete and in memory.
    #[must_use]
    pub fn subtree(&self, level: u8, index: u64) -> Option<Hash> {
        self.rows.get(usize::from(level))?.get(index)
    }

    /// Hashes of the complete subtrees of `level` from `index` on; those forgotten are left out, so the
    /// index of the first is returned with them.
    #[must_use]
    pub fn row_from(&self, level: u8, index: u64) -> (u64, Vec<Hash>) {
        let Some(row) = self.rows.get(usize::from(level)) else { return (0, Vec::new()) };
        let skip = index.saturating_sub(row.first).min(row.hashes.len() as u64);
        (row.first + skip, row.hashes.range(skip as usize..).copied().collect())
    }

    /// Forgets the subtrees that lie wholly before leaf `before`, rounded down to a multiple of 256,
    /// except the peaks of what lies there.
    pub fn forget(&mut self, before: u64) {
        let before = before.min(self.size) / FORGET_STEP * FORGET_STEP;
        for (level, row) in self.rows.iter_mut().enumerate() {
            // A peak of the leaves before the cut stands just left of it.
            let kept = (before >> level) - ((before >> level) & 1);
            row.drop_before(kept);
        }
    }
}

impl Extend<Hash> for Window {
    fn extend<T: IntoIterator<Item = Hash>>(&mut self, leaves: T) {
        leaves.into_iter().for_each(|leaf| self.push(leaf));
    }
}
