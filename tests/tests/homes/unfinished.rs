//! Verifying a home while its owner writes, or after it died: what is unfinished above ROOT is no evidence either way.

use crate::place::{Edited, LINES, ROOT};
use vm_scrolls::verdict::Outcome;
use vm_tests::world::{many, note};

/// What a write in progress, or a power cut, leaves of the bytes after `from`.
fn halves(whole: &[u8], from: usize) -> Vec<(&'static str, Vec<u8>)> {
    let middle = from + (whole.len() - from) / 2;
    let mut nulls = whole.to_vec();
    nulls[middle..whole.len() - 1].fill(0);
    let mut all_nulls = whole.to_vec();
    all_nulls[from..].fill(0);
    vec![
        ("cut in the middle", whole[..middle].to_vec()),
        ("cut before its end", whole[..whole.len() - 1].to_vec()),
        ("one byte", whole[..=from].to_vec()),
        ("half of it NULs", nulls),
        ("all of it NULs", all_nulls),
    ]
}

#[test]
fn an_unfinished_last_write_above_root_is_said_not_to_be_checked() {
    let home = Edited::with(&["a"]);
    let from = home.read(LINES).len();
    drop(home.open().submit(note("b", "b")).unwrap());
    let whole = home.read(LINES);
    for (what, bytes) in halves(&whole, from) {
        home.write(LINES, bytes);
        let verdict = home.is_verified();
        let said = |n: &&String| n.contains("above what is signed");
        assert_eq!(verdict.not_checked.iter().filter(said).count(), 1, "{what}: {verdict:?}");
        assert!(verdict.summary.contains("toy 2 receipts"), "{what}: {}", verdict.summary);
    }
}

#[test]
fn a_call_that_is_half_there_above_root_is_said_not_to_be_checked() {
    let home = Edited::with(&["a"]);
    drop(home.open().submit(many("m", "x", 3)).unwrap());
    let lines = home.lines();
    for count in [3, 4] {
        let half: Vec<u8> = lines[..count].iter().flat_map(|l| [l, &b"\n"[..]].concat()).collect();
        home.write(LINES, half);
        let verdict = home.is_verified();
        let said = |n: &&String| n.contains(&format!("call m has {} of its 3", count - 2));
        assert_eq!(verdict.not_checked.iter().filter(said).count(), 1, "{verdict:?}");
    }
}

#[test]
fn lines_above_root_are_told_apart_from_those_it_covers() {
    let home = Edited::with_unpublished(&["a"], &["b", "c"]);
    let verdict = home.is_verified();
    assert!(
        verdict.summary.contains("toy verified to 2, 2 lines not covered"),
        "{}",
        verdict.summary
    );
}

#[test]
fn the_same_below_root_is_never_called_verified() {
    let home = Edited::with(&["a"]);
    let from = home.read(LINES).len();
    let ledger = home.open();
    ledger.submit(many("m", "x", 3)).unwrap();
    ledger.flush().unwrap();
    let whole = home.read(LINES);
    let lines = home.lines();
    let mut all = halves(&whole, from);
    for count in [2, 3, 4] {
        let half: Vec<u8> = lines[..count].iter().flat_map(|l| [l, &b"\n"[..]].concat()).collect();
        all.push(("lines removed from the end", half));
    }
    for (what, bytes) in all {
        home.write(LINES, bytes);
        let verdict = home.verify();
        assert_eq!(verdict.outcome, Outcome::Tampered, "{what}: {}", verdict.summary);
        // A whole call that is gone shows only in ROOT; everything else has a place among the lines.
        let expected =
            if home.lines().len() == 2 && home.read(LINES).len() == from { ROOT } else { LINES };
        assert_eq!(verdict.first_bad.unwrap().file, expected, "{what}");
    }
}

#[test]
fn an_unfinished_write_is_cut_back_at_the_next_open_and_kept_aside() {
    let home = Edited::with(&["a"]);
    let from = home.read(LINES).len();
    drop(home.open().submit(note("b", "b")).unwrap());
    let whole = home.read(LINES);
    for (what, bytes) in halves(&whole, from) {
        home.write(LINES, bytes);
        let ledger = home.open();
        let again = ledger.submit(note("b", "b")).unwrap();
        assert_eq!((again.first, again.existing), (2, false), "{what}");
        drop(ledger);
        assert_eq!(home.lines().len(), 3, "{what}");
        home.write(LINES, &whole[..from]);
        std::fs::remove_dir_all(home.path("quarantine")).unwrap();
    }
}
