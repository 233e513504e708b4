//! Appending and inclusion, exhaustively for small trees and against a naive tree written from the RFC.

use proptest::prelude::*;
use vm_scrolls::tree::*;

/// MTH of RFC 6962 section 2.1, as the text says it.
pub fn naive_root(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => empty_root(),
        [leaf] => *leaf,
        _ => {
            let (left, right) = leaves.split_at(naive_split(leaves.len()));
            node_hash(&naive_root(left), &naive_root(right))
        }
    }
}

pub fn naive_split(n: usize) -> usize {
    (0..).map(|bit| 1 << bit).take_while(|k| *k < n).last().unwrap()
}

/// PATH of RFC 6962 section 2.1.1.
fn naive_path(index: usize, leaves: &[Hash]) -> Vec<Hash> {
    if leaves.len() == 1 {
        return vec![];
    }
    let (left, right) = leaves.split_at(naive_split(leaves.len()));
    let (mut path, sibling) = if index < left.len() {
        (naive_path(index, left), naive_root(right))
    } else {
        (naive_path(index - left.len(), right), naive_root(left))
    };
    path.push(sibling);
    path
}

pub fn leaves(n: u64) -> Vec<Hash> {
    (0..n).map(|i| leaf_hash(&i.to_be_bytes())).collect()
}

pub fn tree(n: u64) -> MemoryTree {
    let mut tree = MemoryTree::new();
    tree.extend(leaves(n));
    tree
}

/// Every way to spoil a list of hashes by one: drop, repeat, add, swap, flip one bit of each byte.
pub fn mutants(path: &[Hash]) -> Vec<Vec<Hash>> {
    let mut all = Vec::new();
    for place in 0..path.len() {
        let mut dropped = path.to_vec();
        dropped.remove(place);
        all.push(dropped);
        let mut repeated = path.to_vec();
        repeated.insert(place, path[place]);
        all.push(repeated);
        if place > 0 {
            let mut swapped = path.to_vec();
            swapped.swap(place - 1, place);
            all.push(swapped);
        }
        for bit in [0, 7, 128, 255] {
            let mut flipped = path.to_vec();
            flipped[place][bit / 8] ^= 1 << (bit % 8);
            all.push(flipped);
        }
    }
    for extra in [empty_root(), [0; 32], path.last().copied().unwrap_or([1; 32])] {
        all.push([path, &[extra]].concat());
        all.push([&[extra], path].concat());
    }
    all
}

#[test]
fn roots_of_the_eight_leaf_reference_tree() {
    // The certificate-transparency reference tree: leaves and roots as published.
    let leaves: [&[u8]; 8] = [
        b"",
        b"\x00",
        b"\x10",
        b"\x20\x21",
        b"\x30\x31",
        b"\x40\x41\x42\x43",
        b"\x50\x51\x52\x53\x54\x55\x56\x57",
        b"\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f",
    ];
    let roots = [
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    ];
    let hex = |hash: Hash| hash.iter().map(|b| format!("{b:02x}")).collect::<String>();
    let mut frontier = Frontier::new();
    assert_eq!(hex(frontier.root()), roots[0]);
    for (leaf, root) in leaves.iter().zip(&roots[1..]) {
        frontier.push(leaf_hash(leaf));
        assert_eq!(hex(frontier.root()), *root);
    }
}

#[test]
fn frontier_and_memory_agree_with_the_rfc_text() {
    let leaves = leaves(300);
    let (mut frontier, mut memory) = (Frontier::new(), MemoryTree::new());
    for (n, leaf) in leaves.iter().enumerate() {
        let root = naive_root(&leaves[..n]);
        assert_eq!((frontier.root(), memory.root()), (root, root), "size {n}");
        assert_eq!(memory.frontier(), frontier);
        let restored = Frontier::from_peaks(n as u64, frontier.peaks().to_vec());
        assert_eq!(restored.as_ref(), Ok(&frontier));
        frontier.push(*leaf);
        memory.push(*leaf);
    }
    for n in 0..=300 {
        assert_eq!(memory.root_at(n as u64), Some(naive_root(&leaves[..n])));
    }
    assert_eq!(memory.root_at(301), None);
    memory.truncate(77);
    assert_eq!((memory.size(), memory.root()), (77, naive_root(&leaves[..77])));
    memory.extend(leaves[77..].iter().copied());
    assert_eq!(memory.root(), naive_root(&leaves));
}

#[test]
fn peaks_that_do_not_fit_the_size_are_refused() {
    assert!(Frontier::from_peaks(5, vec![[0; 32]; 2]).is_ok());
    for peaks in [0, 1, 3] {
        let wrong = Frontier::from_peaks(5, vec![[0; 32]; peaks]);
        assert_eq!(wrong, Err(ProofError::WrongLength { expected: 2, found: peaks }));
    }
    let too_large = Frontier::from_peaks(MAX_SIZE + 1, vec![[0; 32]; 2]);
    assert_eq!(too_large.map_err(|e| e.code()), Err("proof_size_out_of_range"));
}

#[test]
fn every_inclusion_up_to_64_verifies_and_every_mutant_fails() {
    let (leaves, tree) = (leaves(65), tree(65));
    let (mut good, mut bad) = (0, 0);
    for size in 1..=64_u64 {
        let root = tree.root_at(size).unwrap();
        for index in 0..size {
            let leaf = leaves[index as usize];
            let path = tree.inclusion_proof(size, index).unwrap();
            assert_eq!(path, naive_path(index as usize, &leaves[..size as usize]));
            assert_eq!(verify_inclusion(&leaf, index, size, &path, &root), Ok(()));
            assert_eq!(root_before(index, size, &path), tree.root_at(index).unwrap());
            good += 1;
            let refuse = |leaf: &Hash, index, path: &[Hash], root: &Hash| {
                assert!(verify_inclusion(leaf, index, size, path, root).is_err());
            };
            let spoiled = mutants(&path);
            bad += spoiled.len() + 3;
            for path in spoiled {
                // A swap of equal hashes is no mutant, but all leaves differ here.
                refuse(&leaf, index, &path, &root);
            }
            refuse(&leaves[index as usize + 1], index, &path, &root);
            refuse(&leaf, index, &path, &tree.root_at(size + 1).unwrap());
            refuse(&leaf, index + size, &path, &root);
            for other in (0..size).filter(|other| *other != index) {
                refuse(&leaf, other, &path, &root);
                bad += 1;
            }
        }
    }
    println!("inclusion: {good} good, {bad} mutants refused");
    assert_eq!(good, 64 * 65 / 2);
}

#[test]
fn out_of_range_is_refused_and_never_panics() {
    let leaf = leaf_hash(b"");
    for (index, size) in [(0, 0), (1, 1), (u64::MAX, u64::MAX), (5, 4), (MAX_SIZE, MAX_SIZE)] {
        assert!(verify_inclusion(&leaf, index, size, &[], &leaf).is_err(), "{index} {size}");
    }
    let far = verify_inclusion(&leaf, MAX_SIZE - 1, MAX_SIZE, &[[0; 32]; 63], &leaf);
    assert_eq!(far, Err(ProofError::RootMismatch));
    assert!(tree(3).inclusion_proof(3, 3).is_err());
    assert!(tree(3).inclusion_proof(4, 1).is_err());
}

#[test]
fn proofs_of_the_largest_tree_verify() {
    // All leaves equal, so that a subtree's hash depends on its level only.
    let mut levels = vec![leaf_hash(b"same")];
    for level in 0..63 {
        levels.push(node_hash(&levels[level], &levels[level]));
    }
    let fetch = &mut |level: u8, _| Ok::<Hash, ProofError>(levels[usize::from(level)]);
    for size in [MAX_SIZE, MAX_SIZE - 1, MAX_SIZE / 2 + 3, 12_345_678_901_234] {
        let root = root_from(size, fetch).unwrap();
        for index in [0, 1, size / 3, size / 2, size - 2, size - 1] {
            let path = inclusion_proof(size, index, fetch).unwrap();
            assert_eq!(verify_inclusion(&levels[0], index, size, &path, &root), Ok(()));
        }
        for old in [1, 2, size / 3, size / 2, size - 1, size] {
            let old_root = root_from(old, fetch).unwrap();
            let path = consistency_proof(old, size, fetch).unwrap();
            assert_eq!(verify_consistency(old, &old_root, size, &root, &path), Ok(()));
        }
    }
}

proptest! {
    #[test]
    fn random_proofs_never_panic_and_do_not_verify(
        index: u64, size: u64, old: u64,
        path in prop::collection::vec(prop::array::uniform32(any::<u8>()), 0..70),
    ) {
        let hash = leaf_hash(b"x");
        prop_assert!(verify_inclusion(&hash, index, size, &path, &hash).is_err() || size == 1);
        prop_assert!(verify_consistency(old, &hash, size, &[1; 32], &path).is_err());
        let _ = root_before(index, size, &path);
    }

    #[test]
    fn large_trees_agree_with_the_rfc_text(n in 1_u64..2_000, index in any::<prop::sample::Index>()) {
        let (leaves, tree) = (leaves(n), tree(n));
        let index = index.index(n as usize);
        let path = tree.inclusion_proof(n, index as u64).unwrap();
        prop_assert_eq!(&path, &naive_path(index, &leaves));
        let verified = verify_inclusion(&leaves[index], index as u64, n, &path, &tree.root());
        prop_assert_eq!(verified, Ok(()));
    }
}
