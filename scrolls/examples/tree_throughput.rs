//! How fast the tree is on this machine: `cargo run --release -p vm-scrolls --example tree_throughput`.
#![allow(clippy::float_arithmetic)] // A printout for people; nothing here is evidence.

use std::hint::black_box;
use std::time::Instant;

use vm_receipts::key::SecretKey;
use vm_scrolls::checkpoint::Checkpoint;
use vm_scrolls::note::Vkey;
use vm_scrolls::tile::{tile_bytes, tiles_for};
use vm_scrolls::tree::{
    Frontier, Hash, MemoryTree, leaf_hash, verify_consistency, verify_inclusion,
};

fn measure(what: &str, count: u64, mut work: impl FnMut(u64)) {
    let start = Instant::now();
    (0..count).for_each(&mut work);
    let elapsed = start.elapsed();
    let each = elapsed.as_nanos() / u128::from(count.max(1));
    let rate = count as f64 / elapsed.as_secs_f64();
    println!("{what:<34} {rate:>12.0} /s  {each:>8} ns");
}

fn main() {
    const SIZE: u64 = 1_000_000;
    let line = vec![b'x'; 700];
    measure("leaf hash of a 700-byte line", SIZE, |_| {
        black_box(leaf_hash(black_box(&line)));
    });
    let leaves: Vec<Hash> = (0..SIZE).map(|n| leaf_hash(&n.to_be_bytes())).collect();
    let mut frontier = Frontier::new();
    measure("frontier push", SIZE, |n| frontier.push(leaves[n as usize]));
    measure("frontier root", 100_000, |_| {
        black_box(black_box(&frontier).root());
    });
    let mut tree = MemoryTree::new();
    measure("memory tree push", SIZE, |n| tree.push(leaves[n as usize]));
    let root = tree.root();
    assert_eq!(root, frontier.root());

    let index = |n: u64| (n * 7_919) % SIZE;
    let mut proofs = Vec::new();
    measure("inclusion proof", 100_000, |n| {
        proofs.push(tree.inclusion_proof(SIZE, index(n)).expect("the index is in range"));
    });
    measure("inclusion check", 100_000, |n| {
        let leaf = &leaves[index(n) as usize];
        let checked = verify_inclusion(leaf, index(n), SIZE, &proofs[n as usize], &root);
        checked.expect("the proof is good");
    });
    let old = |n: u64| 1 + index(n);
    let mut proofs = Vec::new();
    measure("consistency proof", 100_000, |n| {
        proofs.push(tree.consistency_proof(old(n), SIZE).expect("the sizes are in range"));
    });
    let roots: Vec<Hash> =
        (0..100_000).map(|n| tree.root_at(old(n)).expect("the size is in range")).collect();
    measure("consistency check", 100_000, |n| {
        let place = n as usize;
        verify_consistency(old(n), &roots[place], SIZE, &root, &proofs[place])
            .expect("the proof is good");
    });
    let paths: Vec<_> = tiles_for(SIZE).collect();
    measure("tile", paths.len() as u64, |n| {
        let bytes = tile_bytes(&paths[n as usize], &mut |level, index| tree.fetch(level, index));
        black_box(bytes.expect("the tree holds its own tiles"));
    });

    let key = SecretKey::from_seed([1; 32]);
    let origin = "example.org/n1/treasury";
    let known = [Vkey::new(origin, key.public()).expect("the origin is a key name")];
    let checkpoint = Checkpoint { origin: origin.to_owned(), size: SIZE, root };
    measure("checkpoint signed", 10_000, |_| {
        black_box(checkpoint.sign(&key));
    });
    let note = checkpoint.sign(&key);
    measure("checkpoint opened", 10_000, |_| {
        black_box(Checkpoint::open(note.as_bytes(), &known)).expect("the note is good");
    });
}
