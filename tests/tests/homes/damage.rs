//! Bytes above signed-state that this node did not write: damage until a person accepts that they go.

use crate::place::{Edited, LINES, ROOT, code};
use std::fs;
use vm_contracts::Failure;
use vm_ledger::Ledger;
use vm_receipts::key::SecretKey;
use vm_tests::world::{keys, note};

fn stranger() -> SecretKey {
    SecretKey::from_seed([66; 32])
}

fn accept(ledger: &Ledger, scroll: &str) -> Result<Vec<String>, Failure> {
    ledger.writer().accept_cut(scroll)
}

/// `signed` is signed for; the line of `suspect` must be damage, and go when a person says so.
fn is_damage(home: &Edited, suspect: &str) {
    let (lines, root) = (home.read(LINES), home.read(ROOT));
    let kept: usize = home.lines()[..2].iter().map(|l| l.len() + 1).sum();
    let ledger = home.open();
    assert_eq!(code(ledger.submit(note("new", "x"))), "damaged_tail");
    let refused = ledger.submit(note(suspect, suspect)).unwrap_err();
    assert_eq!(refused.code(), "damaged_tail", "a line of nobody was answered: {refused}");
    assert!(refused.to_string().contains(&format!("{LINES}, line 3, byte ")), "{refused}");
    assert!(ledger.submit(note("signed", "signed")).unwrap().existing);
    ledger.flush().unwrap();
    assert_eq!((home.read(LINES), home.read(ROOT)), (lines.clone(), root), "nothing was signed");
    accept(&ledger, "toy").unwrap();
    ledger.submit(note("after", "x")).unwrap();
    ledger.flush().unwrap();
    assert_eq!(home.kinds(), ["ledger_open", "toy_note", "ledger_cut_accepted", "toy_note"]);
    let cut = home.parsed().remove(2);
    assert_eq!((&cut.body["cut_from"], &cut.body["file"]), (&2.into(), &LINES.into()));
    let aside: Vec<Vec<u8>> = fs::read_dir(home.path("quarantine"))
        .unwrap()
        .map(|e| fs::read(e.unwrap().path()).unwrap())
        .collect();
    assert_eq!(aside, [lines[kept..].to_vec()], "what was cut is kept, and the marker is gone");
    home.is_verified();
}

#[test]
fn a_line_sealed_by_a_stranger_above_signed_state_is_never_signed_for() {
    let home = Edited::with(&["signed"]);
    home.forge(&stranger(), |line| line.id = "forged".into());
    is_damage(&home, "forged");
}

#[test]
fn a_letter_changed_above_signed_state_is_never_signed_for() {
    let home = Edited::with_unpublished(&["signed"], &["durable"]);
    home.replace(LINES, "\"text\":\"durable\"", "\"text\":\"durably\"");
    is_damage(&home, "durable");
}

#[test]
fn a_line_of_another_scroll_above_signed_state_is_never_signed_for() {
    let home = Edited::with(&["signed"]);
    home.forge(&keys().issuer, |line| {
        line.scroll = "twin".into();
        line.id = "strayed".into();
    });
    is_damage(&home, "strayed");
}

#[test]
fn a_line_that_this_node_sealed_above_signed_state_is_signed_for() {
    let home = Edited::with_unpublished(&["signed"], &["durable"]);
    assert!(home.open().submit(note("durable", "durable")).unwrap().existing);
    home.is_verified();
}

#[test]
fn damage_at_the_first_line_is_refused_by_name_and_can_be_cut() {
    let home = Edited::new();
    drop(home.open().submit(note("a", "x")).unwrap());
    home.replace(LINES, "ledger_open", "ledger_opeN");
    let before = home.read(LINES);
    let ledger = home.open();
    assert_eq!(code(ledger.submit(note("b", "x"))), "damaged_tail");
    assert_eq!(code(ledger.submit(note("b", "x"))), "damaged_tail", "it did not stop");
    assert_eq!(home.read(LINES), before);
    accept(&ledger, "toy").unwrap();
    ledger.submit(note("a", "x")).unwrap();
    ledger.flush().unwrap();
    assert_eq!(home.kinds(), ["ledger_open", "ledger_cut_accepted", "toy_note"]);
    home.is_verified();
    home.open();
}

#[test]
fn a_cut_is_not_accepted_while_the_clock_has_jumped() {
    let home = Edited::with_unpublished(&["signed"], &["durable"]);
    home.replace(LINES, "\"text\":\"durable\"", "\"text\":\"durably\"");
    home.clock.set_by(5 * 3_600_000);
    let ledger = home.open();
    let before = home.all();
    assert_eq!(code(accept(&ledger, "toy")), "clock_jumped");
    assert!(home.all() == before, "a refusal changed a file");
    drop(ledger);
    let ledger = home.open();
    assert_eq!(code(accept(&ledger, "toy")), "clock_jumped", "the damage is still known");
    home.clock.set_by(-5 * 3_600_000);
    accept(&ledger, "toy").unwrap();
    assert_eq!(home.kinds(), ["ledger_open", "toy_note", "ledger_cut_accepted"]);
}

const MARKER: &str = "quarantine/toy.accepted";

/// As a process left it that died after it had cut from line `from` on and before its receipt stood.
fn cut_without_a_receipt(home: &Edited, from: usize) {
    let kept: usize = home.lines()[..from].iter().map(|l| l.len() + 1).sum();
    match kept {
        0 => fs::remove_file(home.path(LINES)).unwrap(),
        kept => home.write(LINES, &home.read(LINES)[..kept]),
    }
    let said =
        serde_json::json!({"claim": "it was bad", "cut_from": from, "file": LINES, "id": "cut-1"});
    home.write(MARKER, format!("{said}\n"));
}

#[test]
fn a_cut_that_a_crash_left_without_a_receipt_gets_it_at_the_next_open() {
    let home = Edited::with_unpublished(&["signed"], &["lost"]);
    cut_without_a_receipt(&home, 2);
    drop(home.open());
    drop(home.open());
    assert_eq!(home.kinds(), ["ledger_open", "toy_note", "ledger_cut_accepted"]);
    let cut = home.parsed().remove(2);
    assert_eq!((cut.id.as_str(), &cut.body["cut_from"]), ("cut-1", &2.into()));
    assert!(!home.path(MARKER).exists());
    home.is_verified();
}

#[test]
fn a_cut_of_everything_that_a_crash_left_without_a_receipt_gets_it_at_the_next_open() {
    let home = Edited::new();
    drop(home.open().submit(note("lost", "x")).unwrap());
    cut_without_a_receipt(&home, 0);
    drop(home.open());
    assert_eq!(home.kinds(), ["ledger_open", "ledger_cut_accepted"]);
    assert!(!home.path(MARKER).exists());
    home.is_verified();
}

#[test]
fn a_receipt_of_a_cut_that_stood_before_the_crash_is_not_left_twice() {
    let home = Edited::with_unpublished(&["signed"], &["lost"]);
    cut_without_a_receipt(&home, 2);
    let marker = home.read(MARKER);
    drop(home.open());
    home.write(MARKER, marker);
    drop(home.open());
    assert_eq!(home.kinds(), ["ledger_open", "toy_note", "ledger_cut_accepted"]);
    assert!(!home.path(MARKER).exists());
}

#[test]
fn a_cut_waits_for_the_clock_and_leaves_its_receipt_then() {
    let home = Edited::with_unpublished(&["signed"], &["lost"]);
    cut_without_a_receipt(&home, 2);
    home.clock.set_by(5 * 3_600_000);
    home.open();
    assert!(home.path(MARKER).exists());
    home.open().writer().accept_clock().unwrap();
    home.open();
    assert!(home.kinds().contains(&"ledger_cut_accepted".into()));
    assert!(!home.path(MARKER).exists());
}

#[test]
fn damage_in_a_scroll_that_no_engine_writes_can_be_cut_and_the_home_still_opens() {
    let home = Edited::with(&["a"]);
    home.write("receipts/zzz/00000000000000000000.jsonl", "what is this\n");
    let ledger = home.open();
    ledger.submit(note("b", "b")).unwrap();
    assert_eq!(code(ledger.submit(note("a", "a"))), "none");
    accept(&ledger, "zzz").unwrap();
    ledger.flush().unwrap();
    drop(ledger);
    let ledger = home.open();
    assert!(ledger.submit(note("b", "b")).unwrap().existing);
    let mut kinds = Vec::new();
    ledger
        .lines("zzz", 0, &mut |_, line| {
            kinds.push(line.kind.clone());
            true
        })
        .unwrap();
    assert_eq!(kinds, ["ledger_open", "ledger_cut_accepted"]);
}

#[test]
fn an_unknown_receipt_type_keeps_a_scroll_read_only_after_a_cut() {
    // Whoever cannot fold a line must not decide on top of it, whatever else was wrong with the scroll.
    let home = Edited::with(&["a"]);
    home.forge(&keys().issuer, |line| {
        line.kind = "toy_future".into();
        line.id = "future".into();
    });
    home.forge(&stranger(), |line| line.id = "forged".into());
    let ledger = home.open();
    assert!(code(ledger.submit(note("b", "x"))) != "none");
    accept(&ledger, "toy").unwrap();
    assert_eq!(code(ledger.submit(note("b", "x"))), "unknown_receipt_type");
    ledger.flush().unwrap();
    assert_eq!(home.kinds(), ["ledger_open", "toy_note", "toy_future", "ledger_cut_accepted"]);
}
