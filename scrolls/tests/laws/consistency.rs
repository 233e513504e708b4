//! Consistency, exhaustively for small trees, and the subtree proofs it is a case of.

use vm_scrolls::subtree::{verify_subtree_consistency, verify_subtree_inclusion};
use vm_scrolls::tree::*;

use crate::tree::{leaves, mutants, naive_root, naive_split, tree};

/// SUBPROOF of RFC 6962 section 2.1.2.
fn naive_subproof(old: usize, leaves: &[Hash], whole: bool) -> Vec<Hash> {
    if old == leaves.len() {
        return if whole { vec![] } else { vec![naive_root(leaves)] };
    }
    let k = naive_split(leaves.len());
    let (left, right) = leaves.split_at(k);
    let (mut path, sibling) = if old <= k {
        (naive_subproof(old, left, whole), naive_root(right))
    } else {
        (naive_subproof(old - k, right, false), naive_root(left))
    };
    path.push(sibling);
    path
}

#[test]
fn every_consistency_up_to_64_verifies_and_every_mutant_fails() {
    let (leaves, tree) = (leaves(65), tree(65));
    let (mut good, mut bad) = (0, 0);
    for new in 1..=64_u64 {
        let root = tree.root_at(new).unwrap();
        for old in 1..=new {
            let old_root = tree.root_at(old).unwrap();
            let path = tree.consistency_proof(old, new).unwrap();
            assert_eq!(path, naive_subproof(old as usize, &leaves[..new as usize], true));
            assert_eq!(verify_consistency(old, &old_root, new, &root, &path), Ok(()));
            good += 1;
            let refuse = |old, old_root: &Hash, new, root: &Hash, path: &[Hash]| {
                let verdict = verify_consistency(old, old_root, new, root, path);
                assert!(verdict.is_err(), "{old} {new}");
            };
            let spoiled = mutants(&path);
            bad += spoiled.len() + 2;
            for path in spoiled {
                refuse(old, &old_root, new, &root, &path);
            }
            refuse(old, &tree.root_at(old - 1).unwrap(), new, &root, &path);
            refuse(old, &old_root, new, &tree.root_at(new + 1).unwrap(), &path);
            if old < new {
                refuse(new, &root, old, &old_root, &path);
            }
        }
    }
    println!("consistency: {good} good, {bad} mutants refused");
    assert_eq!(good, 64 * 65 / 2);
}

#[test]
fn an_empty_old_tree_proves_nothing() {
    let tree = tree(3);
    assert_eq!(tree.consistency_proof(0, 3), Err(ProofError::EmptyOld));
    let verdict = verify_consistency(0, &empty_root(), 3, &tree.root(), &[]);
    assert_eq!(verdict, Err(ProofError::EmptyOld));
    let verdict = verify_consistency(0, &empty_root(), 0, &empty_root(), &[]);
    assert_eq!(verdict, Err(ProofError::EmptyOld));
    assert_eq!(tree.consistency_proof(4, 3), Err(ProofError::SizesReversed { old: 4, new: 3 }));
}

/// SUBTREE_SUBPROOF of draft-ietf-plants-merkle-tree-certs section 4.4.1, over all leaves of the tree.
fn naive_subtree_proof(start: usize, end: usize, leaves: &[Hash], whole: bool) -> Vec<Hash> {
    if start == 0 && end == leaves.len() {
        return if whole { vec![] } else { vec![naive_root(leaves)] };
    }
    let k = naive_split(leaves.len());
    let (left, right) = leaves.split_at(k);
    let (mut path, sibling) = if end <= k {
        (naive_subtree_proof(start, end, left, whole), naive_root(right))
    } else if k <= start {
        (naive_subtree_proof(start - k, end - k, right, whole), naive_root(left))
    } else {
        (naive_subtree_proof(0, end - k, right, false), naive_root(left))
    };
    path.push(sibling);
    path
}

#[test]
fn every_subtree_up_to_40_verifies_and_every_mutant_fails() {
    let all = leaves(40);
    let mut count = 0;
    for size in 1..=40_usize {
        let root = naive_root(&all[..size]);
        for end in 1..=size {
            for start in 0..end {
                let part = naive_root(&all[start..end]);
                let (s, e, n) = (start as u64, end as u64, size as u64);
                if start % (end - start).next_power_of_two() != 0 {
                    let verdict = verify_subtree_consistency(s, e, &part, n, &root, &[]);
                    assert_eq!(verdict, Err(ProofError::SubtreeMisaligned { start: s, end: e }));
                    continue;
                }
                let path = naive_subtree_proof(start, end, &all[..size], true);
                let verdict = verify_subtree_consistency(s, e, &part, n, &root, &path);
                assert_eq!(verdict, Ok(()), "{start}..{end} of {size}");
                count += 1;
                for path in mutants(&path) {
                    assert!(verify_subtree_consistency(s, e, &part, n, &root, &path).is_err());
                }
            }
        }
    }
    println!("subtree consistency: {count} good");
    assert!(verify_subtree_inclusion(&all[4], 4, 4, 5, &[], &all[4]).is_ok());
    assert!(verify_subtree_inclusion(&all[4], 4, 3, 5, &[], &all[4]).is_err());
    assert!(verify_subtree_inclusion(&all[4], 5, 4, 5, &[], &all[4]).is_err());
}
