//! The tree held against two other implementations: what they prove we accept, what we prove they accept.
#![allow(clippy::unwrap_used)]

use ct_merkle::mem_backed_tree::MemoryBackedTree;
use proptest::prelude::*;
use tlog_tiles::{Hash as TileHash, HashReader};
use vm_scrolls::tree::*;

struct Served<'a>(&'a MemoryTree);

impl HashReader for Served<'_> {
    fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<TileHash>, tlog_tiles::Error> {
        let place = |index: &u64| {
            let (level, n) = tlog_tiles::split_stored_hash_index(*index);
            TileHash(self.0.subtree(level, n).unwrap())
        };
        Ok(indexes.iter().map(place).collect())
    }
}

fn plain(proof: Vec<TileHash>) -> Vec<Hash> {
    proof.into_iter().map(|hash| hash.0).collect()
}

const LARGEST: u64 = 200;

fn tree(size: u64) -> MemoryTree {
    let mut tree = MemoryTree::new();
    tree.extend((0..size).map(|n| leaf_hash(&n.to_be_bytes())));
    tree
}

#[test]
fn roots_and_proofs_equal_those_of_two_other_crates() {
    let all = tree(LARGEST);
    let mut other = MemoryBackedTree::<sha2::Sha256, [u8; 8]>::new();
    let mut count = 0;
    for size in 1..=LARGEST {
        other.push((size - 1).to_be_bytes());
        let root = all.root_at(size).unwrap();
        assert_eq!(other.root().as_bytes().as_slice(), root);
        assert_eq!(tlog_tiles::tree_hash(size, &Served(&all)).unwrap().0, root);
        for index in 0..size {
            let ours = all.inclusion_proof(size, index).unwrap();
            assert_eq!(other.prove_inclusion(index as usize).as_bytes(), ours.concat());
            assert_eq!(plain(tlog_tiles::prove_record(size, index, &Served(&all)).unwrap()), ours);
            let old = index + 1;
            let ours = all.consistency_proof(old, size).unwrap();
            assert_eq!(other.prove_consistency((size - old) as usize).as_bytes(), ours.concat());
            assert_eq!(plain(tlog_tiles::prove_tree(size, old, &Served(&all)).unwrap()), ours);
            count += 2;
        }
    }
    println!("{count} proofs equal in three implementations");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    #[test]
    fn good_and_bad_proofs_get_the_same_verdict(
        size in 1..LARGEST, index in 0..LARGEST, claimed_size in 1..LARGEST, claimed_index in 0..LARGEST,
        keep in 0..4_u8, drop in any::<prop::sample::Index>(),
    ) {
        let all = tree(LARGEST);
        let index = index % size;
        let (size_said, index_said) = match keep {
            0 => (claimed_size, claimed_index),
            1 => (claimed_size, index),
            _ => (size, index),
        };
        let root = all.root_at(size).unwrap();
        let leaf = leaf_hash(&index.to_be_bytes());
        let mut path = all.inclusion_proof(size, index).unwrap();
        if keep == 2 && !path.is_empty() { path.remove(drop.index(path.len())); }
        let theirs: Vec<TileHash> = path.iter().map(|h| TileHash(*h)).collect();
        let ours = verify_inclusion(&leaf, index_said, size_said, &path, &root).is_ok();
        let checked = tlog_tiles::check_record(&theirs, size_said, TileHash(root), index_said, TileHash(leaf));
        prop_assert_eq!(ours, checked.is_ok());

        let old = index + 1;
        let old_root = all.root_at(old).unwrap();
        let mut path = all.consistency_proof(old, size).unwrap();
        if keep == 2 && !path.is_empty() { path.remove(drop.index(path.len())); }
        let theirs: Vec<TileHash> = path.iter().map(|h| TileHash(*h)).collect();
        let old_said = if keep == 0 { claimed_index + 1 } else { old };
        let ours = verify_consistency(old_said, &old_root, size_said, &root, &path).is_ok();
        if old_said <= size_said {
            let checked = tlog_tiles::check_tree(&theirs, size_said, TileHash(root), old_said, TileHash(old_root));
            prop_assert_eq!(ours, checked.is_ok());
        } else {
            prop_assert!(!ours);
        }
    }
}
