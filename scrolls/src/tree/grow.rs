//! Growing trees: the frontier that a writer keeps, and the whole tree that serves proofs from memory.

use super::{
    Hash, MAX_SIZE, ProofError, check_length, check_size, consistency_proof, empty_root,
    fold_peaks, inclusion_proof, node_hash, peaks_from, root_from,
};

/// The right edge of a growing tree: one hash per set bit of the size, largest subtree first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Frontier {
    size: u64,
    peaks: Vec<Hash>,
}

impl Frontier {
    /// The frontier of the empty tree.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Restores a frontier from its size and peaks; the number of peaks must be the number of set bits.
    pub fn from_peaks(size: u64, peaks: Vec<Hash>) -> Result<Self, ProofError> {
        check_size(size, MAX_SIZE)?;
        check_length(size.count_ones() as usize, peaks.len())?;
        Ok(Self { size, peaks })
    }

    /// Appends one leaf hash in amortised constant and at worst logarithmic time.
    pub fn push(&mut self, leaf: Hash) {
        let mut hash = leaf;
        for _ in 0..self.size.trailing_ones() {
            let left = self.peaks.pop().expect("one peak stands for every set bit of the size");
            hash = node_hash(&left, &hash);
        }
        self.peaks.push(hash);
        self.size += 1;
    }

    /// Number of leaves.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The subtree hashes, largest first.
    #[must_use]
    pub fn peaks(&self) -> &[Hash] {
        &self.peaks
    }

    /// Root over all leaves so far.
    #[must_use]
    pub fn root(&self) -> Hash {
        fold_peaks(&self.peaks).unwrap_or_else(empty_root)
    }
}

/// A whole tree in memory: the hashes of all complete subtrees, one list per level.
#[derive(Debug, Clone, Default)]
pub struct MemoryTree {
    levels: Vec<Vec<Hash>>,
}

impl MemoryTree {
    /// The empty tree.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends one leaf hash and completes the subtrees that end with it.
    pub fn push(&mut self, leaf: Hash) {
        let mut hash = leaf;
        for level in 0.. {
            if self.levels.len() == level {
                self.levels.push(Vec::new());
            }
            let row = &mut self.levels[level];
            row.push(hash);
            let Some([left, right]) =
                row.len().is_multiple_of(2).then(|| row.last_chunk()).flatten()
            else {
                return;
            };
            hash = node_hash(left, right);
        }
    }

    /// Cuts back to the first `size` leaves; does nothing when there are fewer.
    pub fn truncate(&mut self, size: u64) {
        for (level, row) in self.levels.iter_mut().enumerate() {
            row.truncate(usize::try_from(size >> level).unwrap_or(usize::MAX));
        }
    }

    /// Number of leaves.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.levels.first().map_or(0, |row| row.len() as u64)
    }

    /// Hash of the complete subtree `index` of `level`, if it is complete.
    #[must_use]
    pub fn subtree(&self, level: u8, index: u64) -> Option<Hash> {
        let row = self.levels.get(usize::from(level))?;
        row.get(usize::try_from(index).ok()?).copied()
    }

    /// Root over all leaves.
    #[must_use]
    pub fn root(&self) -> Hash {
        self.root_at(self.size()).expect("the tree holds all its own leaves")
    }

    /// Root over the first `size` leaves; `None` when there are fewer.
    #[must_use]
    pub fn root_at(&self, size: u64) -> Option<Hash> {
        if size > self.size() { None } else { root_from(size, &mut |l, i| self.fetch(l, i)).ok() }
    }

    /// The frontier at the present size, to go on from without the whole tree.
    #[must_use]
    pub fn frontier(&self) -> Frontier {
        let size = self.size();
        let peaks = peaks_from(size, &mut |l, i| self.fetch(l, i));
        Frontier { size, peaks: peaks.expect("the tree holds all its own leaves") }
    }

    /// Inclusion proof of leaf `index` in the tree of the first `size` leaves.
    pub fn inclusion_proof(&self, size: u64, index: u64) -> Result<Vec<Hash>, ProofError> {
        check_size(size, self.size())?;
        inclusion_proof(size, index, &mut |l, i| self.fetch(l, i))
    }

    /// Consistency proof between the trees of the first `old` and the first `new` leaves.
    pub fn consistency_proof(&self, old: u64, new: u64) -> Result<Vec<Hash>, ProofError> {
        check_size(new, self.size())?;
        consistency_proof(old, new, &mut |l, i| self.fetch(l, i))
    }

    /// `subtree` with the error a proof wants.
    pub fn fetch(&self, level: u8, index: u64) -> Result<Hash, ProofError> {
        self.subtree(level, index).ok_or(ProofError::SizeOutOfRange {
            size: index.saturating_add(1).checked_shl(u32::from(level)).unwrap_or(u64::MAX),
            limit: self.size(),
        })
    }
}

impl Extend<Hash> for MemoryTree {
    fn extend<T: IntoIterator<Item = Hash>>(&mut self, leaves: T) {
        leaves.into_iter().for_each(|leaf| self.push(leaf));
    }
}
