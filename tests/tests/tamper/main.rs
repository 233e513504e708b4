//! Tampering: whatever is done to a home's receipts and roots is noticed, named, and never repaired silently.
//!
//! Every byte of a small home's receipt files and ROOT: all eight bit flips, its removal, an insertion before it.
//! Then the ways people and backups go wrong: lines swapped, doubled, cut off; ROOT behind, ahead, of another log;
//! an older copy put back.

#![allow(clippy::unwrap_used, reason = "a test stops where it fails")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;
use vm_contracts::{Corrupt, Failure};
use vm_ledger::audit::verify_home;
use vm_ledger::fs::Fs;
use vm_ledger::{Ledger, Writer};
use vm_receipts::key::SecretKey;
use vm_scrolls::checkpoint::Checkpoint;
use vm_scrolls::note::Vkey;
use vm_scrolls::trust::Trust;
use vm_scrolls::verdict::{Outcome, Verdict};
use vm_tests::campaign::Row;
use vm_tests::crashfs::{CrashFs, Image};
use vm_tests::world::{keys, lay_out, many, note, open_home, settings};

const LINES: &str = "receipts/toy/00000000000000000000.jsonl";
const ROOT: &str = "ROOT.toy.txt";

fn disk(image: &Image) -> Arc<CrashFs> {
    Arc::new(CrashFs::new(image.clone(), 1))
}

/// A home with so many notes after a call of two lines, all of it published.
fn home(notes: usize) -> Image {
    let fs = disk(&Image::default());
    lay_out(&*fs);
    let ledger = Ledger::new(open_home(fs.clone()).unwrap());
    ledger.submit(many("m", "two lines", 2)).unwrap();
    for n in 0..notes {
        ledger.submit(note(&format!("n{n}"), "a note")).unwrap();
    }
    ledger.flush().unwrap();
    fs.image().all_kept()
}

/// Keys from outside the home.
fn trust() -> Trust {
    let log = Vkey::new(&settings().origin("toy"), keys().log.public()).unwrap();
    let trust = Trust::self_asserted(vec![keys().issuer.public()], vec![log]);
    Trust { self_asserted: false, ..trust }
}

fn verify(image: &Image) -> Verdict {
    verify_home(&*disk(image), &trust(), &mut |_, _, _| {})
}

/// What opening says, having changed nothing that was there before.
fn open(image: &Image) -> Result<Writer, Failure> {
    let fs = disk(image);
    let opened = open_home(fs.clone());
    if opened.is_err() {
        let (before, after) = (files(image), files(&fs.image()));
        assert!(
            before.iter().all(|(path, bytes)| after.get(path) == Some(bytes)),
            "nothing is repaired silently"
        );
    }
    opened
}

fn files(image: &Image) -> BTreeMap<String, Arc<Vec<u8>>> {
    image.paths().map(|path| (path.to_owned(), image.read(path).unwrap())).collect()
}

fn with(image: &Image, path: &str, bytes: Vec<u8>) -> Image {
    let mut other = image.clone();
    other.plant(path, bytes);
    other
}

fn corrupt(image: &Image) -> Corrupt {
    match open(image) {
        Err(Failure::Corrupt(corrupt)) => corrupt,
        Err(other) => panic!("it must read as corrupt: {other:?}"),
        Ok(_) => panic!("it must not open"),
    }
}

/// Every way to change one byte of these.
fn changes(bytes: &[u8]) -> impl Iterator<Item = (usize, Vec<u8>)> + '_ {
    let flips = (0..bytes.len()).flat_map(move |at| {
        (0..8).map(move |bit| {
            let mut other = bytes.to_vec();
            other[at] ^= 1 << bit;
            (at, other)
        })
    });
    let removals = (0..bytes.len()).map(move |at| (at, [&bytes[..at], &bytes[at + 1..]].concat()));
    let insertions =
        (0..=bytes.len()).map(move |at| (at, [&bytes[..at], b"7", &bytes[at..]].concat()));
    flips.chain(removals).chain(insertions)
}

/// Checks every change on two threads; gives how many there were.
fn on_every_change(bytes: &[u8], check: impl Fn(usize, Vec<u8>) + Sync) -> usize {
    let all: Vec<(usize, Vec<u8>)> = changes(bytes).collect();
    let began = Instant::now();
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some((at, other)) = all.get(next.fetch_add(1, Ordering::Relaxed)) {
                    check(*at, other.clone());
                }
            });
        }
    });
    // Each change is a forgery that must be noticed: a check that panics ends the test before this.
    let what = "every byte of receipts, ROOT and signed-state flipped, removed, inserted before";
    let row = Row::new(what, "cargo test -p vm-tests --test tamper");
    row.counted(all.len() as u64, "changes").since(began).tell();
    all.len()
}

#[test]
fn every_changed_byte_of_the_receipts_is_noticed_at_its_line() {
    let image = home(0);
    assert_eq!(verify(&image).outcome, Outcome::Verified, "{:?}", verify(&image));
    let bytes = image.read(LINES).unwrap();
    let line_of = |at: usize| 1 + bytes[..at].iter().filter(|b| **b == b'\n').count() as u64;
    let elsewhere = AtomicUsize::new(0);
    let count = on_every_change(&bytes, |at, other| {
        let other = with(&image, LINES, other);
        let verdict = verify(&other);
        if at == bytes.len() {
            // Bytes after the signed end are an unfinished write: they change nothing that was signed. Verify names
            // them, and opening sets them aside and says so.
            let told = format!("line {} of {LINES}", line_of(at));
            assert!(verdict.not_checked.iter().any(|n| n.contains(&told)), "{verdict:?}");
            return set_aside(&other);
        }
        assert_eq!(verdict.outcome, Outcome::Tampered, "byte {at}: {verdict:?}");
        let place = verdict.first_bad.expect("a tampered home names the place");
        let near = place.line.is_some_and(|line| line >= line_of(at) && line <= line_of(at) + 1);
        if place.file != LINES || !near {
            elsewhere.fetch_add(1, Ordering::Relaxed);
        }
        corrupt(&other);
    });
    let elsewhere = elsewhere.into_inner();
    println!(
        "receipts: {count} changes of {} bytes, all noticed, {elsewhere} at another place",
        bytes.len()
    );
    assert_eq!(elsewhere, 0, "verify names the line that was changed");
}

#[test]
fn every_changed_byte_of_root_is_noticed() {
    let image = home(1);
    let bytes = image.read(ROOT).unwrap();
    let count = on_every_change(&bytes, |at, other| {
        let other = with(&image, ROOT, other);
        let verdict = verify(&other);
        assert_eq!(verdict.outcome, Outcome::Tampered, "byte {at}: {verdict:?}");
        assert_eq!(verdict.first_bad.expect("the place is named").file, ROOT);
        assert_eq!(corrupt(&other).file, ROOT);
    });
    println!("ROOT: {count} changes of {} bytes, all noticed", bytes.len());
}

/// The lines with their ends.
fn lines(image: &Image) -> Vec<Vec<u8>> {
    image.read(LINES).unwrap().split_inclusive(|b| *b == b'\n').map(<[u8]>::to_vec).collect()
}

#[test]
fn lines_swapped_doubled_or_cut_off_are_each_named() {
    let image = home(3);
    let all = lines(&image);
    let put = |lines: &[Vec<u8>]| with(&image, LINES, lines.concat());
    let mut table: Vec<(String, Image, &str, Option<u64>)> = Vec::new();
    for at in 0..all.len() - 1 {
        let mut swapped = all.clone();
        swapped.swap(at, at + 1);
        table.push((format!("{at} swapped"), put(&swapped), LINES, Some(at as u64 + 1)));
    }
    for at in 0..all.len() {
        let mut doubled = all.clone();
        doubled.insert(at, all[at].clone());
        table.push((format!("{at} doubled"), put(&doubled), LINES, Some(at as u64 + 2)));
        let mut gone = all.clone();
        gone.remove(at);
        match at + 1 < all.len() {
            true => table.push((format!("{at} removed"), put(&gone), LINES, Some(at as u64 + 1))),
            false => table.push(("the last removed".into(), put(&gone), ROOT, Some(2))),
        }
        let start: usize = all[..at].iter().map(Vec::len).sum();
        let cut = all.concat()[..start + all[at].len() / 2].to_vec();
        table.push((
            format!("{at} cut in half"),
            with(&image, LINES, cut),
            LINES,
            Some(at as u64 + 1),
        ));
    }
    for (what, other, file, line) in table {
        let verdict = verify(&other);
        assert_eq!(verdict.outcome, Outcome::Tampered, "{what}: {verdict:?}");
        let place = verdict.first_bad.clone().expect("the place is named");
        assert_eq!((place.file.as_str(), place.line), (file, line), "{what}: {verdict:?}");
        match open(&other) {
            Err(_) => {}
            // A line too many after the signed end could be an acknowledged one: read-only until somebody decides.
            Ok(writer) => {
                let refusal = writer.heads()[0].read_only.clone().expect("it is not written to");
                assert_eq!(refusal.code, "damaged_tail", "{what}");
                assert_eq!(what, format!("{} doubled", all.len() - 1));
            }
        }
    }
}

/// Opening keeps what stood after the signed end in quarantine and tells about it.
fn set_aside(image: &Image) {
    let fs = disk(image);
    let mut writer = open_home(fs.clone()).unwrap();
    let messages = writer.take_messages();
    assert!(messages.iter().any(|m| m.contains("quarantine/")), "{messages:?}");
    assert_eq!(fs.list("quarantine").unwrap().len(), 1);
}

#[test]
fn all_lines_gone_is_named_too() {
    let image = home(1);
    let empty = with(&image, LINES, Vec::new());
    let mut gone = image.clone();
    gone.unplant(LINES);
    for other in [empty, gone] {
        assert_eq!(verify(&other).outcome, Outcome::Tampered);
        let corrupt = corrupt(&other);
        assert!(corrupt.claim.contains("lines were removed"), "{corrupt}");
        assert!(corrupt.hint.is_some());
    }
}

#[test]
fn a_root_behind_its_lines_is_verified_as_far_as_it_goes() {
    let (older, newer) = (home(1), home(3));
    let other = with(&newer, ROOT, older.read(ROOT).unwrap().to_vec());
    let verdict = verify(&other);
    assert_eq!(verdict.outcome, Outcome::Verified, "{verdict:?}");
    assert!(verdict.summary.contains("verified to 4, 2 lines not covered"), "{}", verdict.summary);
    assert!(verdict.not_checked.iter().any(|n| n.contains("2 lines after 4")), "{verdict:?}");
    // Opening signs what is there again; no line changes.
    let fs = disk(&other);
    drop(open_home(fs.clone()).unwrap());
    assert_eq!(fs.read(ROOT).unwrap(), **newer.read(ROOT).unwrap());
    let mut missing = newer.clone();
    missing.unplant(ROOT);
    let verdict = verify(&missing);
    assert_eq!(verdict.outcome, Outcome::CannotEvaluate, "{verdict:?}");
    assert!(verdict.missing.iter().any(|m| m.contains(ROOT)), "{verdict:?}");
    drop(open(&missing).unwrap());
}

#[test]
fn a_root_ahead_of_its_lines_says_how_many_are_gone() {
    let (older, newer) = (home(1), home(3));
    let other = with(&older, ROOT, newer.read(ROOT).unwrap().to_vec());
    let verdict = verify(&other);
    assert_eq!(verdict.outcome, Outcome::Tampered);
    let claim = format!("{:?}", verdict.claims);
    assert!(claim.contains("signed for 6 lines, but only 4 are there"), "{claim}");
    let corrupt = corrupt(&other);
    assert_eq!(corrupt.file, ROOT);
    assert!(corrupt.claim.contains("signed for 6 lines, but only 4 are there"), "{corrupt}");
    assert!(corrupt.hint.is_some());
}

#[test]
fn a_root_of_another_log_or_over_other_lines_is_refused() {
    let image = home(1);
    let sign = |origin: &str, size, root, key: &SecretKey| {
        Checkpoint { origin: origin.to_owned(), size, root }.sign(key).into_bytes()
    };
    let origin = settings().origin("toy");
    let lines = lines(&image);
    let mut tree = vm_scrolls::tree::MemoryTree::new();
    for line in &lines {
        tree.push(vm_scrolls::tree::leaf_hash(&line[..line.len() - 1]));
    }
    let stranger = SecretKey::from_seed([9; 32]);
    let table = [
        ("a stranger's key", sign(&origin, 4, tree.root(), &stranger)),
        ("another origin", sign("ledger.example/n2/toy", 4, tree.root(), &keys().log)),
        ("another scroll", sign("ledger.example/n1/toys", 4, tree.root(), &keys().log)),
        ("our key, other lines", sign(&origin, 4, [7; 32], &keys().log)),
        ("our key, shorter, other lines", sign(&origin, 2, [7; 32], &keys().log)),
    ];
    for (what, root) in table {
        let other = with(&image, ROOT, root);
        let verdict = verify(&other);
        assert_eq!(verdict.outcome, Outcome::Tampered, "{what}: {verdict:?}");
        assert_eq!(verdict.first_bad.expect("the place is named").file, ROOT, "{what}");
        assert_eq!(corrupt(&other).file, ROOT, "{what}");
    }
}

#[test]
fn an_older_copy_of_the_home_is_noticed_by_the_copy_of_signed_state_outside() {
    let (older, newer) = (home(1), home(3));
    let mut restored = older.clone();
    restored.plant("@guard/signed-state", newer.read("@guard/signed-state").unwrap().to_vec());
    let corrupt = corrupt(&restored);
    assert!(corrupt.claim.contains("signed up to 6 lines, but only 4 are there"), "{corrupt}");
    assert!(corrupt.claim.contains("older copy"), "{corrupt}");
    assert!(corrupt.hint.as_deref().is_some_and(|h| h.contains("vm restore")), "{corrupt:?}");
    // By itself the older copy is whole, and verify says what it cannot know.
    let verdict = verify(&restored);
    assert_eq!(verdict.outcome, Outcome::Verified);
    assert!(verdict.not_checked.iter().any(|n| n.contains("older copy")), "{verdict:?}");
}

#[test]
fn one_edited_copy_of_signed_state_cannot_hide_an_older_home() {
    let (older, image) = (home(1), home(3));
    let mut restored = older.clone();
    let both = ["signed-state", "@guard/signed-state"];
    both.iter().for_each(|path| restored.plant(path, image.read(path).unwrap().to_vec()));
    for path in both {
        let bytes = image.read(path).unwrap();
        on_every_change(&bytes, |at, other| {
            // It does not read, or contradicts the other copy, or is outvoted by it.
            let hidden = open(&with(&restored, path, other.clone()));
            assert!(hidden.is_err(), "byte {at} of {path} hides that lines are gone");
            match open(&with(&image, path, other)) {
                Ok(writer) => assert_eq!(writer.heads()[0].size, 6),
                Err(Failure::Corrupt(corrupt)) => assert!(
                    corrupt.file.contains("signed-state")
                        || corrupt.line.is_some()
                        || corrupt.file.contains("toy"),
                    "{corrupt}"
                ),
                Err(other) => panic!("it must read as corrupt: {other:?}"),
            }
        });
    }
}

#[test]
fn a_lost_copy_of_signed_state_is_said_and_losing_both_stops() {
    let image = home(1);
    let both = ["signed-state", "@guard/signed-state"];
    for path in both {
        let mut gone = image.clone();
        gone.unplant(path);
        let messages = open(&gone).unwrap().take_messages();
        assert!(
            messages.iter().any(|m| m.contains("signed-state") && m.contains("missing")),
            "{messages:?}"
        );
    }
    let mut gone = image.clone();
    both.iter().for_each(|path| gone.unplant(path));
    let corrupt = corrupt(&gone);
    assert!(corrupt.claim.contains("both copies"), "{corrupt}");
    assert!(corrupt.hint.is_some());
}
