//! What the ledger does by itself in homes with odd corners: empty directories, strangers' files, a scroll of its own.

use crate::place::{Edited, LINES, code, twin};
use std::collections::BTreeMap;
use std::fs;
use vm_scrolls::verdict::Outcome;
use vm_tests::world::note;

#[test]
fn an_empty_directory_among_the_receipts_is_no_scroll() {
    let home = Edited::with(&["a"]);
    fs::create_dir(home.path("receipts/zzz")).unwrap();
    home.clock.set_by(5 * 3_600_000);
    let ledger = home.open();
    let heads: Vec<String> = ledger.writer().heads().into_iter().map(|h| h.scroll).collect();
    assert_eq!(heads, ["toy"]);
    assert_eq!(ledger.writer().accept_clock().unwrap(), 1);
    ledger.writer().mark_restored(&BTreeMap::new()).unwrap();
    assert_eq!(
        home.kinds(),
        ["ledger_open", "toy_note", "ledger_clock_accepted", "ledger_restored"]
    );
    home.is_verified();
    home.open();
}

#[test]
fn a_stray_file_among_the_receipts_is_harmless() {
    let home = Edited::with(&["a"]);
    home.write("receipts/.DS_Store", "x");
    home.write("receipts/notes.txt", "x");
    home.write("receipts/UPPER/00000000000000000000.txt", "x");
    home.write("receipts/toy/notes.txt", "x");
    home.open().submit(note("b", "b")).unwrap();
    home.open();
    assert_eq!(home.read("receipts/toy/notes.txt"), b"x");
    fs::remove_file(home.path("receipts/toy/notes.txt")).unwrap();
    fs::remove_dir_all(home.path("receipts/UPPER")).unwrap();
    home.is_verified();
}

#[test]
fn a_file_that_is_missing_between_two_others_is_named() {
    let home = Edited::with(&["a"]);
    fs::rename(home.path(LINES), home.path("receipts/toy/00000000000000065536.jsonl")).unwrap();
    let refused = home.try_open().map(|_| ()).unwrap_err();
    assert_eq!(refused.code(), "corrupt");
    assert!(refused.to_string().contains(LINES), "{refused}");
    home.is_tampered("file_name");
}

#[test]
fn a_damaged_scroll_does_not_hold_up_the_others() {
    let home = Edited::with_unpublished(&["a"], &["b"]);
    home.replace(LINES, "\"text\":\"b\"", "\"text\":\"e\"");
    let ledger = home.open();
    ledger.submit(twin("t", "t")).unwrap();
    ledger.flush().unwrap();
    assert_eq!(code(ledger.submit(note("c", "c"))), "damaged_tail");
    drop(ledger);
    home.clock.set_by(5 * 3_600_000);
    let ledger = home.open();
    assert_eq!(ledger.writer().accept_clock().unwrap(), 1, "no receipt lands on damage");
    ledger.submit(twin("u", "u")).unwrap();
}

#[test]
fn verifying_writes_nothing() {
    let home = Edited::with_unpublished(&["a"], &["b"]);
    let before = home.all();
    assert_eq!(home.verify().outcome, Outcome::Verified);
    vm_ledger::fsck::fsck(
        &home.disk(),
        &vm_tests::world::settings(),
        &crate::place::ENGINES,
        &mut |_, _, _| {},
    );
    assert!(home.all() == before, "a file was changed");
}
