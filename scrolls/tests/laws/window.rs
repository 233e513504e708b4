//! The window over a growing tree: whatever it forgets, roots and peaks stay those of the whole tree.

use proptest::prelude::*;
use vm_scrolls::tree::*;

use crate::tree::{leaves, tree};

/// Compares everything a window says with the whole tree.
fn check(window: &Window, memory: &MemoryTree) {
    let size = memory.size();
    assert_eq!((window.size(), window.root()), (size, memory.root()));
    assert_eq!(window.peaks(), memory.frontier().peaks());
    for level in 0..=14_u8 {
        let count = size >> level;
        let known = (0..count).filter(|i| window.subtree(level, *i).is_some()).count() as u64;
        for index in 0..count + 2 {
            let held = window.subtree(level, index);
            assert!(held.is_none() || held == memory.subtree(level, index), "{level} {index}");
            if index << level >= window.first_leaf() && index < count {
                assert!(held.is_some(), "{level}/{index} lies after {}", window.first_leaf());
            }
        }
        let (first, row) = window.row_from(level, 0);
        assert_eq!(row.len() as u64, known, "a row has no gaps");
        assert_eq!(row.first().copied(), memory.subtree(level, first).filter(|_| known > 0));
    }
}

#[test]
fn a_window_agrees_with_the_whole_tree_at_every_small_size() {
    let all = leaves(530);
    for start in [0_u64, 1, 2, 3, 7, 255, 256, 257, 384, 511, 512] {
        let mut memory = tree(start);
        let mut window = Window::from_peaks(start, memory.frontier().peaks().to_vec()).unwrap();
        check(&window, &memory);
        for leaf in &all[start as usize..] {
            window.push(*leaf);
            memory.push(*leaf);
            assert_eq!(
                (window.root(), window.peaks()),
                (memory.root(), memory.frontier().peaks().to_vec())
            );
        }
        check(&window, &memory);
    }
}

#[test]
fn what_is_forgotten_ends_at_a_whole_tile() {
    let mut window = Window::new();
    window.extend(leaves(1_000));
    for (before, first) in
        [(0, 0), (255, 0), (256, 256), (511, 256), (1_000, 768), (u64::MAX, 768), (300, 768)]
    {
        window.forget(before);
        assert_eq!(window.first_leaf(), first, "forget({before})");
        check(&window, &tree(1_000));
    }
    assert!(window.subtree(0, 767).is_none() && window.subtree(0, 768).is_some());
}

#[test]
fn a_window_that_forgets_holds_a_few_hashes_for_each_level() {
    let mut window = Window::new();
    for n in 0..200_000_u64 {
        window.push(leaf_hash(&n.to_be_bytes()));
        window.forget(n);
    }
    let held: usize = (0..20).map(|level| window.row_from(level, 0).1.len()).sum();
    assert!(held < 2 * 512 + 2 * 20, "{held} hashes are held");
}

#[test]
fn peaks_that_do_not_fit_the_size_make_no_window() {
    assert!(Window::from_peaks(5, vec![[0; 32]; 2]).is_ok());
    for (size, peaks) in [(5, 1), (5, 3), (0, 1), (MAX_SIZE + 1, 2)] {
        assert!(Window::from_peaks(size, vec![[0; 32]; peaks]).is_err(), "{size} {peaks}");
    }
}

proptest! {
    #[test]
    fn no_order_of_pushing_and_forgetting_changes_a_root(
        start in 0_u64..3_000,
        steps in prop::collection::vec((0_u64..700, 0_u64..5_000), 1..8),
    ) {
        let mut memory = tree(start);
        let mut window = Window::from_peaks(start, memory.frontier().peaks().to_vec()).unwrap();
        for (pushes, before) in steps {
            for n in 0..pushes {
                let leaf = leaf_hash(&(memory.size() ^ n).to_be_bytes());
                window.push(leaf);
                memory.push(leaf);
            }
            window.forget(before);
            check(&window, &memory);
        }
    }
}
