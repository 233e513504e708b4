//! The Merkle tree over the files of one case: `root_hash`.
//!
//! Leaves are BLAKE3(0x00 ‖ JCS{digest, path, size}), nodes BLAKE3(0x01 ‖ left ‖ right), the shape is that of RFC 6962
//! (split at the largest power of two below n). `rs_merkle` builds the tree; a path is verified here, strictly, because
//! that crate's own check accepts surplus hashes and indices outside the tree.

use std::fmt;

use rs_merkle::{Hasher, MerkleTree};

use crate::digest::Blake3;
use crate::hex;
use crate::json;

/// How many files one case may hold.
pub const LEAVES_MAX: usize = 65_536;

/// How long a path in a case may be, in bytes.
pub const PATH_MAX: usize = 1_024;

/// One file of a case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leaf {
    /// Path relative to the case folder, with `/` between its parts.
    pub path: String,
    /// Length of the file in bytes, at most 2^53−1.
    pub size: u64,
    /// Digest of the file's content.
    pub digest: Blake3,
}

/// Why a bundle has no root, or a path does not lead to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BundleError {
    /// There are no leaves.
    Empty,
    /// There are more than [`LEAVES_MAX`] leaves.
    TooMany,
    /// The leaf at this index does not come after the one before it (by bytes of the path), or repeats it.
    Order(usize),
    /// The leaf at this index has a path that is absolute, has an empty part, `.` or `..`, a backslash or a control
    /// character, or is longer than 1,024 bytes.
    Path(usize),
    /// The leaf at this index is larger than 2^53−1 bytes.
    Size(usize),
    /// The index lies outside the bundle.
    Index,
    /// The path has more or fewer hashes than this index and count need.
    Length,
    /// The path leads to another root.
    Root,
}

impl BundleError {
    /// Stable name of this error.
    pub fn code(&self) -> &'static str {
        match self {
            BundleError::Empty => "bundle_empty",
            BundleError::TooMany => "bundle_too_many",
            BundleError::Order(_) => "bundle_order",
            BundleError::Path(_) => "bundle_path",
            BundleError::Size(_) => "bundle_size",
            BundleError::Index => "bundle_index",
            BundleError::Length => "bundle_proof_length",
            BundleError::Root => "bundle_root",
        }
    }
}

impl fmt::Display for BundleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BundleError::Empty => f.write_str("a bundle has at least one file"),
            BundleError::TooMany => write!(f, "a bundle has at most {LEAVES_MAX} files"),
            BundleError::Order(at) => {
                write!(f, "file {at} of the bundle repeats or precedes the one before it")
            }
            BundleError::Path(at) => write!(f, "file {at} of the bundle has a path we do not take"),
            BundleError::Size(at) => {
                write!(f, "file {at} of the bundle is larger than 2^53-1 bytes")
            }
            BundleError::Index => f.write_str("the index lies outside the bundle"),
            BundleError::Length => f.write_str("the proof does not have the length it must have"),
            BundleError::Root => f.write_str("the proof leads to another root"),
        }
    }
}

impl std::error::Error for BundleError {}

impl Leaf {
    /// The leaf's hash: BLAKE3(0x00 ‖ JCS{digest, path, size}).
    pub fn hash(&self) -> Blake3 {
        let mut text = Vec::with_capacity(160 + self.path.len());
        text.push(0);
        text.extend_from_slice(b"{\"digest\":\"blake3:");
        text.extend_from_slice(&hex::digits_32(&self.digest.0));
        text.extend_from_slice(b"\",\"path\":");
        json::write_string(&mut text, &self.path);
        text.extend_from_slice(b",\"size\":");
        json::write_natural(&mut text, self.size);
        text.push(b'}');
        Blake3::of(&text)
    }
}

/// Brings leaves into the order of the tree: by the bytes of their paths.
pub fn sort(leaves: &mut [Leaf]) {
    leaves.sort_by(|a, b| a.path.as_bytes().cmp(b.path.as_bytes()));
}

/// The root over these leaves, which must stand in order, each path once.
pub fn root(leaves: &[Leaf]) -> Result<Blake3, BundleError> {
    let tree = tree(leaves)?;
    tree.root().map(Blake3).ok_or(BundleError::Empty)
}

/// The root over contract.json and state.json, the two files of every record.
pub(crate) fn root_of_two(contract: &Leaf, state: &Leaf) -> Blake3 {
    node(&contract.hash(), &state.hash())
}

/// The hashes that lead from the leaf at `index` to the root, nearest first.
pub fn prove(leaves: &[Leaf], index: usize) -> Result<Vec<Blake3>, BundleError> {
    let tree = tree(leaves)?;
    if index >= leaves.len() {
        return Err(BundleError::Index);
    }
    Ok(tree.proof(&[index]).proof_hashes().iter().copied().map(Blake3).collect())
}

/// Verifies that `leaf` stands at `index` of a bundle of `count` files with this root (RFC 9162 s2.1.3.2).
///
/// The path must have exactly the length that index and count need.
pub fn verify_path(
    leaf: &Leaf,
    index: u64,
    count: u64,
    path: &[Blake3],
    root: &Blake3,
) -> Result<(), BundleError> {
    if index >= count {
        return Err(BundleError::Index);
    }
    let mut hash = leaf.hash();
    let (mut place, mut last) = (index, count - 1);
    let mut hashes = path.iter();
    while last > 0 {
        let right_child = place & 1 == 1;
        if right_child || place < last {
            let sibling = hashes.next().ok_or(BundleError::Length)?;
            hash = if right_child { node(sibling, &hash) } else { node(&hash, sibling) };
        }
        // A last node without a sibling moves up unchanged.
        place >>= 1;
        last >>= 1;
    }
    if hashes.next().is_some() {
        return Err(BundleError::Length);
    }
    if hash == *root { Ok(()) } else { Err(BundleError::Root) }
}

fn node(left: &Blake3, right: &Blake3) -> Blake3 {
    let mut text = [1; 65];
    text[1..33].copy_from_slice(&left.0);
    text[33..].copy_from_slice(&right.0);
    Blake3::of(&text)
}

/// The nodes of the tree as `rs_merkle` wants them.
#[derive(Clone)]
struct Nodes;

impl Hasher for Nodes {
    type Hash = [u8; 32];

    fn hash(bytes: &[u8]) -> [u8; 32] {
        Blake3::of(bytes).0
    }

    fn concat_and_hash(left: &[u8; 32], right: Option<&[u8; 32]>) -> [u8; 32] {
        match right {
            Some(right) => node(&Blake3(*left), &Blake3(*right)).0,
            None => *left,
        }
    }
}

fn tree(leaves: &[Leaf]) -> Result<MerkleTree<Nodes>, BundleError> {
    check(leaves)?;
    let hashes: Vec<[u8; 32]> = leaves.iter().map(|leaf| leaf.hash().0).collect();
    Ok(MerkleTree::from_leaves(&hashes))
}

fn check(leaves: &[Leaf]) -> Result<(), BundleError> {
    if leaves.is_empty() {
        return Err(BundleError::Empty);
    }
    if leaves.len() > LEAVES_MAX {
        return Err(BundleError::TooMany);
    }
    for (at, leaf) in leaves.iter().enumerate() {
        if !path_is_plain(&leaf.path) {
            return Err(BundleError::Path(at));
        }
        if leaf.size > json::INTEGER_MAX as u64 {
            return Err(BundleError::Size(at));
        }
        if at > 0 && leaves[at - 1].path.as_bytes() >= leaf.path.as_bytes() {
            return Err(BundleError::Order(at));
        }
    }
    Ok(())
}

pub(crate) fn path_is_plain(path: &str) -> bool {
    path.len() <= PATH_MAX
        && !path.chars().any(|letter| letter.is_control() || letter == '\\')
        && path.split('/').all(|part| !matches!(part, "" | "." | ".."))
}

#[cfg(test)]
mod tests;
