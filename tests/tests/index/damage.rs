//! A file that is not what was written: the same answers as before, or the damage is named.

use crate::book::{answers, batch, identity, open, reopened};
use std::collections::BTreeSet;
use std::sync::Arc;
use vm_ledger::fs::Fs;
use vm_ledger::index::{Found, Identity, Index, path};
use vm_tests::memfs::{Files, MemoryFs};

const LINES: u64 = 60;

fn on(files: &Files) -> (Arc<MemoryFs>, Arc<dyn Fs>) {
    let memory = Arc::new(MemoryFs::with(files.clone()));
    (memory.clone(), memory)
}

/// An index of two batches.
fn made() -> Files {
    let (memory, fs) = on(&Files::new());
    let index = open(&fs).unwrap();
    index.apply(&batch(0..40)).unwrap();
    index.apply(&batch(40..LINES)).unwrap();
    memory.files()
}

fn bytes(files: &mut Files) -> &mut Vec<u8> {
    files.get_mut(&path("till")).unwrap()
}

fn found(files: &Files, identity: &Identity) -> Found {
    Index::open(&on(files).1, identity).unwrap()
}

fn unusable(files: &Files, identity: &Identity) -> String {
    match found(files, identity) {
        Found::Unusable { why } => why,
        Found::Index(_, mark) => format!("index of {} lines", mark.size),
        Found::Blank(_) => "blank".to_owned(),
    }
}

#[test]
fn what_was_applied_is_there_when_the_index_is_opened_again() {
    let files = made();
    let said = reopened(&on(&files).1, LINES).unwrap();
    assert!(said.contains("size: 60") && said.contains("first: 58"));
    assert_eq!(unusable(&files, &identity()), "index of 60 lines");
    assert_eq!(bytes(&mut files.clone()).len() % 4_104, 4_096, "whole blocks");
}

#[test]
fn a_flipped_bit_is_named_or_changes_nothing() {
    let files = made();
    let before = reopened(&on(&files).1, LINES).unwrap();
    let (memory, fs) = on(&files);
    open(&fs).unwrap().apply(&batch(LINES..LINES + 9)).unwrap();
    let after = reopened(&fs, LINES + 9).unwrap();
    drop(memory);
    let (mut named, mut same) = (BTreeSet::new(), 0);
    let len = bytes(&mut files.clone()).len();
    // Every eighth byte of the first sector, and some bytes of each block, each time another bit.
    let places = (0..512).step_by(8).chain((4_096..len).step_by(379));
    for (n, place) in places.enumerate() {
        let mut bent = files.clone();
        bytes(&mut bent)[place] ^= 1 << (n % 8);
        let (_, fs) = on(&bent);
        match reopened(&fs, LINES) {
            Ok(said) => {
                assert_eq!(said, before, "byte {place}");
                same += 1;
            }
            Err(what) => {
                named.insert(what);
            }
        }
        // The same with a batch before anything else was read.
        let (_, fs) = on(&bent);
        if let Ok(index) = open(&fs) {
            let applied = index.apply(&batch(LINES..LINES + 9));
            drop(index);
            match (applied, reopened(&fs, LINES + 9)) {
                (Ok(()), Ok(said)) => assert_eq!(said, after, "byte {place}"),
                (Err(_), Ok(said)) => assert!(said.contains("size: 60"), "byte {place}"),
                (_, Err(what)) => {
                    named.insert(what);
                }
            }
        }
    }
    assert!(named.iter().any(|what| what == "its first sector does not read"), "{named:?}");
    let blocks = named.iter().filter(|what| what.starts_with("block ")).count();
    assert!(blocks >= 5, "{named:?}");
    assert!(same > 20, "blocks of before the last batch are not looked at: {same}");
}

#[test]
fn what_is_no_index_is_named() {
    let files = made();
    let with = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut files = files.clone();
        change(bytes(&mut files));
        unusable(&files, &identity())
    };
    assert_eq!(with(&|b| b.truncate(100)), "it is cut off");
    assert_eq!(with(&|b| b.fill(0)), "its first sector does not read");
    assert_eq!(with(&|b| b.splice(..0, *b"x").for_each(drop)), "its first sector does not read");
    assert_eq!(with(&|b| b.clear()), "blank");
    assert!(with(&|b| b.truncate(4_096)).starts_with("block "));
    let other = |change: &dyn Fn(&mut Identity)| {
        let mut other = identity();
        change(&mut other);
        unusable(&files, &other)
    };
    assert_eq!(other(&|i| i.ledger = "L2".into()), "it belongs to ledger L1");
    assert_eq!(other(&|i| i.fold = 2), "it was made by another version");
    assert_eq!(other(&|i| i.shape = "new".into()), "it was made by another version");
    let mut moved = files.clone();
    let foreign = bytes(&mut moved).clone();
    moved.insert(path("vault"), foreign);
    let vault = Identity { scroll: "vault".into(), ..identity() };
    assert_eq!(unusable(&moved, &vault), "it belongs to scroll till");
}

#[test]
fn a_cut_file_is_named_or_answers_the_same() {
    let files = made();
    let before = reopened(&on(&files).1, LINES).unwrap();
    let len = bytes(&mut files.clone()).len();
    for cut in (1..len).step_by(1_501) {
        let mut short = files.clone();
        bytes(&mut short).truncate(cut);
        if let Ok(said) = reopened(&on(&short).1, LINES) {
            assert_eq!(said, before, "cut at {cut}");
        }
        let mut hole = files.clone();
        let end = (cut + 700).min(len);
        bytes(&mut hole)[cut..end].fill(0);
        if let Ok(said) = reopened(&on(&hole).1, LINES) {
            assert_eq!(said, before, "hole at {cut}");
        }
    }
}

#[test]
fn blocks_that_changed_places_are_named() {
    let mut files = made();
    let whole = bytes(&mut files).clone();
    let block = |n: usize| 4_096 + n * 4_104..4_096 + (n + 1) * 4_104;
    let blocks = (whole.len() - 4_096) / 4_104;
    let (_, fs) = on(&files);
    let before = reopened(&fs, LINES).unwrap();
    let mut named = 0;
    for n in 1..blocks {
        let there = bytes(&mut files);
        there.copy_from_slice(&whole);
        there[block(n)].copy_from_slice(&whole[block(n - 1)]);
        there[block(n - 1)].copy_from_slice(&whole[block(n)]);
        match reopened(&on(&files).1, LINES) {
            Ok(said) => assert_eq!(said, before),
            Err(_) => named += 1,
        }
    }
    assert!(named > 5);
}

#[test]
fn an_older_file_says_how_far_it_had_come() {
    let (memory, fs) = on(&Files::new());
    open(&fs).unwrap().apply(&batch(0..40)).unwrap();
    let old = memory.files();
    let before = reopened(&fs, LINES).unwrap();
    open(&fs).unwrap().apply(&batch(40..LINES)).unwrap();
    assert_eq!(unusable(&old, &identity()), "index of 40 lines");
    assert_eq!(reopened(&on(&old).1, LINES).unwrap(), before);
}

#[test]
fn lines_that_do_not_follow_are_refused_and_nothing_changes() {
    let (_, fs) = on(&made());
    let index = open(&fs).unwrap();
    let before = answers(&index.snapshot().unwrap(), LINES).unwrap();
    for lines in [0..10, LINES - 1..LINES + 3, LINES + 1..LINES + 3] {
        assert_eq!(index.apply(&batch(lines)).unwrap_err().code, "index_out_of_step");
    }
    let mut short = batch(LINES..LINES + 4);
    short.starts.pop();
    assert_eq!(index.apply(&short).unwrap_err().code, "index_out_of_step");
    assert_eq!(answers(&index.snapshot().unwrap(), LINES).unwrap(), before);
    index.apply(&batch(LINES..LINES + 4)).unwrap();
}

#[test]
fn a_discarded_index_begins_anew() {
    let (memory, fs) = on(&made());
    Index::discard(&*memory, "till").unwrap();
    assert!(matches!(Index::open(&fs, &identity()), Ok(Found::Blank(_))));
    Index::discard(&*memory, "till").unwrap();
    let index = open(&fs).unwrap();
    assert_eq!(index.snapshot().unwrap().mark().size, 0);
    index.apply(&batch(0..3)).unwrap();
}

#[test]
fn opening_and_reading_writes_nothing() {
    let files = made();
    let (memory, fs) = on(&files);
    reopened(&fs, LINES).unwrap();
    assert!(memory.files() == files);
}
