//! The RFC 6962 Merkle tree with SHA-256: hashing, appending, making proofs and checking them.
//!
//! Everything here is pure. Proofs are made from a `fetch` of complete subtrees, so that memory,
//! tiles or a remote mirror can serve them; checks are exact in length and range. A proof does not
//! bind the size of its tree (RFC 6962 allows that): size and root come from a verified checkpoint.

mod grow;
mod window;

use std::fmt;

use sha2::{Digest, Sha256};

pub use grow::{Frontier, MemoryTree};
pub use window::Window;

/// A SHA-256 hash: a leaf, a node or a root.
pub type Hash = [u8; 32];

/// Largest tree this crate reads or makes; above it sizes no longer fit every peer's arithmetic.
pub const MAX_SIZE: u64 = 1 << 63;

/// Hash of a leaf: SHA-256(0x00 ‖ data) (RFC 6962 section 2.1).
#[must_use]
pub fn leaf_hash(data: &[u8]) -> Hash {
    Sha256::new().chain_update([0x00]).chain_update(data).finalize().into()
}

/// Hash of an inner node: SHA-256(0x01 ‖ left ‖ right) (RFC 6962 section 2.1).
#[must_use]
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    Sha256::new().chain_update([0x01]).chain_update(left).chain_update(right).finalize().into()
}

/// Root of the tree without leaves: SHA-256 of nothing.
#[must_use]
pub fn empty_root() -> Hash {
    Sha256::digest([]).into()
}

/// Why a proof was not made or not accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProofError {
    /// The index is not below the size.
    IndexOutOfRange {
        /// Leaf index asked for.
        index: u64,
        /// Size of the tree.
        size: u64,
    },
    /// The size is above `MAX_SIZE` or above what is there.
    SizeOutOfRange {
        /// The size asked for.
        size: u64,
        /// The largest size that can be served.
        limit: u64,
    },
    /// The old size is above the new one.
    SizesReversed {
        /// Old size.
        old: u64,
        /// New size.
        new: u64,
    },
    /// Nothing can be proved from an empty tree: every tree extends it.
    EmptyOld,
    /// The proof does not have the one length that fits.
    WrongLength {
        /// Number of hashes the proof must have.
        expected: usize,
        /// Number of hashes it has.
        found: usize,
    },
    /// The computed new root differs from the one given.
    RootMismatch,
    /// The computed old root differs from the one given.
    OldRootMismatch,
    /// A subtree's ends are not aligned as they must be.
    SubtreeMisaligned {
        /// First leaf of the subtree.
        start: u64,
        /// One past its last leaf.
        end: u64,
    },
}

impl ProofError {
    /// Stable code of this error.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::IndexOutOfRange { .. } => "proof_index_out_of_range",
            Self::SizeOutOfRange { .. } => "proof_size_out_of_range",
            Self::SizesReversed { .. } => "proof_sizes_reversed",
            Self::EmptyOld => "proof_from_empty_tree",
            Self::WrongLength { .. } => "proof_wrong_length",
            Self::RootMismatch => "proof_root_mismatch",
            Self::OldRootMismatch => "proof_old_root_mismatch",
            Self::SubtreeMisaligned { .. } => "proof_subtree_misaligned",
        }
    }
}

impl fmt::Display for ProofError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::IndexOutOfRange { index, size } => {
                write!(f, "leaf {index} is not in a tree of {size} leaves")
            }
            Self::SizeOutOfRange { size, limit } => {
                write!(f, "tree size {size} is above {limit}")
            }
            Self::SizesReversed { old, new } => {
                write!(f, "old size {old} is above new size {new}")
            }
            Self::EmptyOld => write!(f, "a consistency proof from an empty tree proves nothing"),
            Self::WrongLength { expected, found } => {
                write!(f, "the proof must have {expected} hashes, it has {found}")
            }
            Self::RootMismatch => write!(f, "the proof does not lead to the root"),
            Self::OldRootMismatch => write!(f, "the proof does not lead to the old root"),
            Self::SubtreeMisaligned { start, end } => {
                write!(f, "leaves {start}..{end} are not a subtree")
            }
        }
    }
}

impl std::error::Error for ProofError {}

/// Folds peaks from the right; `None` when there are none.
fn fold_peaks(peaks: &[Hash]) -> Option<Hash> {
    peaks.iter().rev().copied().reduce(|right, left| node_hash(&left, &right))
}

fn check_size(size: u64, limit: u64) -> Result<(), ProofError> {
    if size > limit { Err(ProofError::SizeOutOfRange { size, limit }) } else { Ok(()) }
}

fn check_length(expected: usize, found: usize) -> Result<(), ProofError> {
    if expected == found { Ok(()) } else { Err(ProofError::WrongLength { expected, found }) }
}

/// Largest power of two below `n`, for `n` ≥ 2: where RFC 6962 splits.
fn split(n: u64) -> u64 {
    1 << (63 - (n - 1).leading_zeros())
}

/// Hash over leaves `lo..hi`, where `lo` is a multiple of a power of two that is at least `hi - lo`.
fn range_hash<E>(
    mut lo: u64,
    hi: u64,
    fetch: &mut impl FnMut(u8, u64) -> Result<Hash, E>,
) -> Result<Hash, E> {
    let mut peaks = Vec::new();
    while lo < hi {
        let level = 63 - (hi - lo).leading_zeros();
        peaks.push(fetch(level as u8, lo >> level)?);
        lo += 1 << level;
    }
    Ok(fold_peaks(&peaks).unwrap_or_else(empty_root))
}

/// Root of the first `size` leaves, from complete subtrees.
pub fn root_from<E: From<ProofError>>(
    size: u64,
    fetch: &mut impl FnMut(u8, u64) -> Result<Hash, E>,
) -> Result<Hash, E> {
    check_size(size, MAX_SIZE)?;
    range_hash(0, size, fetch)
}

/// Peaks of the tree of `size` leaves, from complete subtrees: what `Frontier::from_peaks` takes.
pub fn peaks_from<E: From<ProofError>>(
    size: u64,
    fetch: &mut impl FnMut(u8, u64) -> Result<Hash, E>,
) -> Result<Vec<Hash>, E> {
    check_size(size, MAX_SIZE)?;
    let mut lo = 0;
    let mut peaks = Vec::new();
    while lo < size {
        let level = 63 - (size - lo).leading_zeros();
        peaks.push(fetch(level as u8, lo >> level)?);
        lo += 1 << level;
    }
    Ok(peaks)
}

/// Inclusion proof of leaf `index` in the tree of `size` leaves, leaf's sibling first
/// (RFC 6962 section 2.1.1). `fetch(level, index)` returns the hash of the complete subtree over
/// leaves `index * 2^level .. (index + 1) * 2^level`.
pub fn inclusion_proof<E: From<ProofError>>(
    size: u64,
    index: u64,
    fetch: &mut impl FnMut(u8, u64) -> Result<Hash, E>,
) -> Result<Vec<Hash>, E> {
    check_size(size, MAX_SIZE)?;
    if index >= size {
        return Err(ProofError::IndexOutOfRange { index, size }.into());
    }
    let (mut lo, mut hi) = (0, size);
    let mut path = Vec::new();
    while hi - lo > 1 {
        let middle = lo + split(hi - lo);
        if index < middle {
            path.push(range_hash(middle, hi, fetch)?);
            hi = middle;
        } else {
            path.push(range_hash(lo, middle, fetch)?);
            lo = middle;
        }
    }
    path.reverse();
    Ok(path)
}

/// Consistency proof between the trees of `old` and `new` leaves (RFC 6962 section 2.1.2).
/// `old` 0 is refused; equal sizes give the empty proof.
pub fn consistency_proof<E: From<ProofError>>(
    old: u64,
    new: u64,
    fetch: &mut impl FnMut(u8, u64) -> Result<Hash, E>,
) -> Result<Vec<Hash>, E> {
    check_size(new, MAX_SIZE)?;
    check_sizes(old, new)?;
    let (mut lo, mut hi) = (0, new);
    let mut path = Vec::new();
    while old != hi {
        let middle = lo + split(hi - lo);
        if old <= middle {
            path.push(range_hash(middle, hi, fetch)?);
            hi = middle;
        } else {
            path.push(range_hash(lo, middle, fetch)?);
            lo = middle;
        }
    }
    if lo > 0 {
        path.push(range_hash(lo, hi, fetch)?);
    }
    path.reverse();
    Ok(path)
}

fn check_sizes(old: u64, new: u64) -> Result<(), ProofError> {
    if old > new {
        return Err(ProofError::SizesReversed { old, new });
    }
    if old == 0 { Err(ProofError::EmptyOld) } else { Ok(()) }
}

/// Checks that `leaf` stands at `index` in the tree of `size` leaves with this `root`
/// (RFC 9162 section 2.1.3.2). The length of `path` must be exact.
pub fn verify_inclusion(
    leaf: &Hash,
    index: u64,
    size: u64,
    path: &[Hash],
    root: &Hash,
) -> Result<(), ProofError> {
    check_size(size, MAX_SIZE)?;
    if index >= size {
        return Err(ProofError::IndexOutOfRange { index, size });
    }
    let computed = climb(*leaf, index, size, path)?;
    if computed == *root { Ok(()) } else { Err(ProofError::RootMismatch) }
}

/// Number of hashes in the inclusion proof of `index` in a tree of `size` leaves.
fn inclusion_length(index: u64, size: u64) -> usize {
    // Below the level where the path joins the right edge every level has a sibling;
    // above it only the set bits of the index do.
    let inner = 64 - (index ^ (size - 1)).leading_zeros();
    let border = index.checked_shr(inner).unwrap_or(0).count_ones();
    (inner + border) as usize
}

/// The root that `path` leads to; `index < size` was checked.
fn climb(leaf: Hash, index: u64, size: u64, path: &[Hash]) -> Result<Hash, ProofError> {
    check_length(inclusion_length(index, size), path.len())?;
    let (mut node, mut last) = (index, size - 1);
    let mut hash = leaf;
    for sibling in path {
        if node & 1 == 1 || node == last {
            hash = node_hash(sibling, &hash);
            // A node on the right edge without a sibling moves up unchanged.
            while node & 1 == 0 && node != 0 {
                node >>= 1;
                last >>= 1;
            }
        } else {
            hash = node_hash(&hash, sibling);
        }
        node >>= 1;
        last >>= 1;
    }
    Ok(hash)
}

/// Root of the `index` leaves before a leaf, from its inclusion path, which must have been verified:
/// the left siblings on the path are the peaks of exactly those leaves.
#[must_use]
pub fn root_before(index: u64, size: u64, path: &[Hash]) -> Hash {
    let inner = 64 - (index ^ size.saturating_sub(1)).leading_zeros();
    let is_left = |place: usize| {
        // Above the joint with the right edge every hash of the path stands on the left.
        place >= inner as usize || (index >> place) & 1 == 1
    };
    let mut peaks: Vec<Hash> =
        path.iter().enumerate().filter(|(place, _)| is_left(*place)).map(|(_, h)| *h).collect();
    peaks.reverse();
    fold_peaks(&peaks).unwrap_or_else(empty_root)
}

/// Checks that the tree of `new_size` leaves extends the tree of `old_size` leaves
/// (RFC 9162 section 2.1.4.2). An old size of 0 is refused: it would prove nothing.
pub fn verify_consistency(
    old_size: u64,
    old_root: &Hash,
    new_size: u64,
    new_root: &Hash,
    path: &[Hash],
) -> Result<(), ProofError> {
    check_size(new_size, MAX_SIZE)?;
    check_sizes(old_size, new_size)?;
    if old_size == new_size {
        check_length(0, path.len())?;
        return if old_root == new_root { Ok(()) } else { Err(ProofError::RootMismatch) };
    }
    crate::subtree::verify_subtree_consistency(0, old_size, old_root, new_size, new_root, path)
}
