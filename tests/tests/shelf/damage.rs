//! An index or tiles that are gone, changed, old or another's: everything is answered as before, and it is said.

use crate::{INDEX, any_call, empty, found, looked_up, open, same};
use std::sync::Arc;
use vm_contracts::Failure;
use vm_ledger::Ledger;
use vm_tests::memfs::{Files, MemoryFs};
use vm_tests::world::{Dice, HandClock, note, seed};

const AFTER: Option<u64> = Some(3);
/// Bits that are flipped, all over the index.
const FLIPS: usize = 100;

/// A home of some hundred lines with its index, closed.
fn home(part: u64) -> (Files, Arc<HandClock>) {
    let mut dice = Dice::of(seed(), &[2, part]);
    let (fs, clock) = (empty(), Arc::new(HandClock::default()));
    let ledger = open(&fs, &clock, AFTER).unwrap();
    for n in 0..120 {
        clock.pass(100);
        // The toy refuses some of them; that is as good a history.
        let _ = ledger.submit(any_call(&mut dice, n));
    }
    ledger.flush().unwrap();
    let files = fs.files();
    assert!(files.contains_key(INDEX) && files.keys().any(|p| p.starts_with("tiles/")));
    (files, clock)
}

fn without_index(files: &Files) -> Files {
    let derived = |path: &String| path.starts_with("index/") || path.starts_with("tiles/");
    files.iter().filter(|(path, _)| !derived(path)).map(|(p, b)| (p.clone(), b.clone())).collect()
}

/// Opens these files and compares everything with the home in memory. Gives what was said.
fn stands(files: Files, clock: &Arc<HandClock>, dice: &mut Dice) -> Result<Vec<String>, Failure> {
    let plain = Arc::new(MemoryFs::with(without_index(&files)));
    let fs = Arc::new(MemoryFs::with(files));
    let one = open(&fs, clock, AFTER)?;
    let mut said = one.writer().take_messages();
    let other = open(&plain, clock, None)?;
    same(&one, &other, dice, 120);
    // It goes on, and the next process finds it in order.
    one.submit(note("after", "all")).unwrap();
    one.flush().unwrap();
    said.extend(one.writer().take_messages());
    let again = open(&fs, clock, AFTER)?;
    other.submit(note("after", "all")).unwrap();
    same(&again, &other, dice, 120);
    // Damage in a block that nobody had to read before may show only now; it never shows twice.
    said.extend(again.writer().take_messages());
    let aloud = said.iter().filter(|m| m.contains("built again")).count();
    assert!(aloud < 2, "{said:?}");
    Ok(said)
}

fn said(messages: &[String], what: &str) {
    assert!(messages.iter().any(|m| m.contains(what)), "{what:?} is not in {messages:?}");
}

#[test]
fn a_good_index_is_used_without_a_word() {
    let (files, clock) = home(0);
    assert_eq!(stands(files, &clock, &mut Dice::new(1)).unwrap(), Vec::<String>::new());
}

#[test]
fn a_flipped_bit_anywhere_in_the_index_never_changes_an_answer() {
    let (files, clock) = home(1);
    let mut dice = Dice::of(seed(), &[3]);
    let length = files[INDEX].len();
    let (mut rebuilt, mut silent) = (0, 0);
    for round in 0..FLIPS {
        let mut files = files.clone();
        let bytes = files.get_mut(INDEX).unwrap();
        let at = (round * length / FLIPS + dice.below(64)).min(length - 1);
        bytes[at] ^= 1 << dice.below(8);
        let messages = stands(files, &clock, &mut dice).unwrap();
        match messages.iter().any(|m| m.contains("built again")) {
            true => rebuilt += 1,
            false => silent += 1,
        }
    }
    assert!(rebuilt > 0 && silent > 0, "{rebuilt} {silent}");
}

#[test]
fn an_index_of_any_length_or_none_is_made_again() {
    let (files, clock) = home(2);
    let mut dice = Dice::of(seed(), &[4]);
    for length in [0, 1, 4_095, 4_104, 8_208, files[INDEX].len() - 1] {
        let mut files = files.clone();
        files.get_mut(INDEX).unwrap().truncate(length);
        let messages = stands(files, &clock, &mut dice).unwrap();
        // Where only the unused end is gone, nothing is missed.
        if length < 4_104 {
            said(&messages, "built again");
        }
    }
    let mut files = files;
    files.remove(INDEX);
    stands(files, &clock, &mut dice).unwrap();
}

#[test]
fn an_older_index_of_the_same_home_is_gone_on_from() {
    let (fs, clock) = (empty(), Arc::new(HandClock::default()));
    let ledger = open(&fs, &clock, AFTER).unwrap();
    (0..30).for_each(|n| drop(ledger.submit(note(&format!("a{n}"), "early")).unwrap()));
    ledger.flush().unwrap();
    let old = fs.files();
    (0..30).for_each(|n| drop(ledger.submit(note(&format!("b{n}"), "late")).unwrap()));
    ledger.flush().unwrap();
    let mut files = fs.files();
    files.insert(INDEX.into(), old[INDEX].clone());
    let messages = stands(files, &clock, &mut Dice::new(2)).unwrap();
    assert!(!messages.iter().any(|m| m.contains("built again")), "{messages:?}");
}

#[test]
fn an_index_of_another_history_is_not_believed() {
    // Two homes of one ledger that went different ways, as after a copy: the index of one under the lines of the other.
    let (fs, clock) = (empty(), Arc::new(HandClock::default()));
    let start = open(&fs, &clock, AFTER).unwrap();
    start.submit(note("first", "common")).unwrap();
    start.flush().unwrap();
    let way = |text: &str, count: usize| {
        let fs = Arc::new(MemoryFs::with(fs.files()));
        let ledger = open(&fs, &clock, AFTER).unwrap();
        (0..count).for_each(|n| drop(ledger.submit(note(&format!("{text}{n}"), text)).unwrap()));
        ledger.flush().unwrap();
        fs.files()
    };
    for counts in [(20, 20), (20, 24), (24, 20)] {
        let (one, other) = (way("one", counts.0), way("other", counts.1));
        let mut files = one.clone();
        files.insert(INDEX.into(), other[INDEX].clone());
        said(&stands(files, &clock, &mut Dice::new(3)).unwrap(), "does not fit");
    }
}

#[test]
fn lines_that_were_cut_under_an_index_are_missed_all_the_same() {
    let (mut files, clock) = home(4);
    let last = files.keys().filter(|p| p.starts_with("receipts/")).max().unwrap().clone();
    files.remove(&last);
    let fs = Arc::new(MemoryFs::with(files));
    assert!(matches!(open(&fs, &clock, AFTER), Err(Failure::Corrupt(_))));
}

#[test]
fn damaged_tiles_are_named_and_made_again() {
    let (files, clock) = home(5);
    let tiles: Vec<String> = files.keys().filter(|p| p.starts_with("tiles/")).cloned().collect();
    let mut dice = Dice::of(seed(), &[5]);
    for path in &tiles {
        for change in 0..3 {
            let mut files = files.clone();
            let bytes = files.get_mut(path).unwrap();
            match change {
                0 => {
                    let at = dice.below(bytes.len());
                    bytes[at] ^= 0x10;
                }
                1 => bytes.truncate(31),
                _ => drop(files.remove(path)),
            }
            let fs = Arc::new(MemoryFs::with(files.clone()));
            let ledger = open(&fs, &clock, AFTER).unwrap();
            let plain = Arc::new(MemoryFs::with(without_index(&files)));
            let other = open(&plain, &clock, None).unwrap();
            let size = other.writer().heads()[0].size;
            for seq in 0..size {
                assert_eq!(ledger.prove("toy", seq).unwrap(), other.prove("toy", seq).unwrap());
            }
            said(&ledger.writer().take_messages(), "made again");
        }
    }
}

#[test]
fn a_line_that_was_changed_under_an_index_is_never_given_out() {
    let (mut files, clock) = home(6);
    let first = "receipts/toy/00000000000000000000.jsonl".to_owned();
    let bytes = files.get_mut(&first).unwrap();
    let at = bytes.windows(9).position(|w| w == b"toy_note\"").unwrap() + 4;
    bytes[at] = b'x';
    let fs = Arc::new(MemoryFs::with(files));
    let ledger = open(&fs, &clock, AFTER).unwrap();
    let mut read = 0u64;
    let failure = ledger.lines("toy", 0, &mut |_, _| {
        read += 1;
        true
    });
    assert!(matches!(failure, Err(Failure::Corrupt(_))), "{read} lines were given");
}

#[test]
fn an_index_is_made_only_where_it_is_worth_it() {
    let (fs, clock) = (empty(), Arc::new(HandClock::default()));
    let ledger: Ledger = open(&fs, &clock, Some(64)).unwrap();
    (0..20).for_each(|n| drop(ledger.submit(note(&format!("n{n}"), "few")).unwrap()));
    ledger.flush().unwrap();
    assert!(!fs.home().keys().any(|p| p.starts_with("index/") || p.starts_with("tiles/")));
    (20..70).for_each(|n| drop(ledger.submit(note(&format!("n{n}"), "more")).unwrap()));
    ledger.flush().unwrap();
    assert!(fs.home().contains_key(INDEX));
    assert_eq!(found(&ledger, "text=more limit=100"), looked_up(&ledger, "text=more"));
}
