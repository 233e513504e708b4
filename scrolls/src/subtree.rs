//! Proofs about a part of the tree: is a leaf in leaves `start..end`, and is that part in the whole.
//!
//! A subtree `start..end` is valid when `start` is a multiple of the smallest power of two that is at
//! least `end - start` (draft-ietf-plants-merkle-tree-certs section 4.1). Subtrees that start at 0 are
//! older trees, which makes RFC 6962 consistency the special case.

use crate::tree::{Hash, MAX_SIZE, ProofError, empty_root, node_hash, verify_inclusion};

fn check_aligned(start: u64, end: u64) -> Result<(), ProofError> {
    let misaligned = ProofError::SubtreeMisaligned { start, end };
    let width = end.checked_sub(start).ok_or(misaligned.clone())?;
    if end > MAX_SIZE {
        return Err(ProofError::SizeOutOfRange { size: end, limit: MAX_SIZE });
    }
    // The width is at most 2^63, so the next power of two exists.
    if width > 0 && !start.is_multiple_of(width.next_power_of_two()) {
        Err(misaligned)
    } else {
        Ok(())
    }
}

/// Checks that `leaf` stands at `index` of the whole tree, inside the subtree `start..end` with this root.
pub fn verify_subtree_inclusion(
    leaf: &Hash,
    index: u64,
    start: u64,
    end: u64,
    path: &[Hash],
    root: &Hash,
) -> Result<(), ProofError> {
    check_aligned(start, end)?;
    let inside = index.checked_sub(start).filter(|_| index < end);
    let Some(inside) = inside else {
        return Err(ProofError::IndexOutOfRange { index, size: end });
    };
    verify_inclusion(leaf, inside, end - start, path, root)
}

/// Checks that the subtree `start..end` with root `part` lies in the tree of `size` leaves with root `whole`.
/// An empty subtree lies in every tree, if its root is the empty one and the proof has no hashes.
pub fn verify_subtree_consistency(
    start: u64,
    end: u64,
    part: &Hash,
    size: u64,
    whole: &Hash,
    path: &[Hash],
) -> Result<(), ProofError> {
    check_aligned(start, end)?;
    if end > size {
        return Err(ProofError::SizesReversed { old: end, new: size });
    }
    if size > MAX_SIZE {
        return Err(ProofError::SizeOutOfRange { size, limit: MAX_SIZE });
    }
    if start == end {
        let length = ProofError::WrongLength { expected: 0, found: path.len() };
        return if !path.is_empty() {
            Err(length)
        } else if *part == empty_root() {
            Ok(())
        } else {
            Err(ProofError::OldRootMismatch)
        };
    }
    climb_both(start, end, part, size, whole, path)
}

/// Number of hashes of a consistency proof and the position it starts from.
struct Shape {
    node: u64,
    start: u64,
    last: u64,
    length: usize,
    seeded: bool,
}

fn shape(start: u64, end: u64, size: u64) -> Shape {
    // Start at the lowest complete subtree that ends where the part ends; when the whole ends there
    // too, the part itself is that subtree's top.
    let (mut s, mut node, mut last) = (start, end - 1, size - 1);
    if node == last {
        while s != node {
            s >>= 1;
            node >>= 1;
            last >>= 1;
        }
    } else {
        while s != node && node & 1 == 1 {
            s >>= 1;
            node >>= 1;
            last >>= 1;
        }
    }
    let seeded = s == node;
    let mut length = usize::from(!seeded);
    let (mut n, mut l) = (node, last);
    while l != 0 {
        if n & 1 == 1 || n != l {
            length += 1;
        }
        n >>= 1;
        l >>= 1;
    }
    Shape { node, start: s, last, length, seeded }
}

fn climb_both(
    start: u64,
    end: u64,
    part: &Hash,
    size: u64,
    whole: &Hash,
    path: &[Hash],
) -> Result<(), ProofError> {
    let Shape { mut node, start: mut s, mut last, length, seeded } = shape(start, end, size);
    if path.len() != length {
        return Err(ProofError::WrongLength { expected: length, found: path.len() });
    }
    let mut hashes = path.iter();
    let seed = if seeded { part } else { hashes.next().expect("the length was checked") };
    let (mut small, mut large) = (*seed, *seed);
    while last != 0 {
        if node & 1 == 1 || node != last {
            let sibling = hashes.next().expect("the length was checked");
            if node & 1 == 1 {
                // The left sibling belongs to the part until the part's own top is reached.
                if s < node {
                    small = node_hash(sibling, &small);
                }
                large = node_hash(sibling, &large);
            } else {
                large = node_hash(&large, sibling);
            }
        }
        s >>= 1;
        node >>= 1;
        last >>= 1;
    }
    if small != *part {
        return Err(ProofError::OldRootMismatch);
    }
    if large == *whole { Ok(()) } else { Err(ProofError::RootMismatch) }
}
