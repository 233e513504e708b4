//! Lines above signed-state that do not read and are no tear: nothing is cut until a person accepts it.

use std::sync::Arc;
use vm_ledger::Ledger;
use vm_ledger::fs::Fs;
use vm_receipts::line::Line;
use vm_tests::crashfs::{CrashFs, Image, crash_states};
use vm_tests::world::{Dice, lay_out, note, open_home};

const FILE: &str = "receipts/toy/00000000000000000000.jsonl";

fn open(image: &Image, seed: u64) -> (Arc<CrashFs>, Ledger) {
    let fs = Arc::new(CrashFs::new(image.clone(), seed).recording());
    let ledger = Ledger::new(open_home(fs.clone()).unwrap());
    (fs, ledger)
}

/// ledger_open and `signed` are signed for; `good`, `rotten` and `after` are not. One bit of `rotten` has flipped.
fn damaged() -> (Image, Vec<Vec<u8>>) {
    let fs = Arc::new(CrashFs::new(Image::default(), 1));
    lay_out(&*fs);
    let ledger = Ledger::new(open_home(fs.clone()).unwrap());
    ledger.submit(note("signed", "x")).unwrap();
    ledger.flush().unwrap();
    for id in ["good", "rotten", "after"] {
        ledger.submit(note(id, "x")).unwrap();
    }
    let mut image = fs.image().all_kept();
    let mut bytes = image.read(FILE).unwrap().to_vec();
    let lines: Vec<Vec<u8>> = bytes.split(|b| *b == b'\n').map(<[u8]>::to_vec).collect();
    let rotten = lines[..3].iter().map(|l| l.len() + 1).sum::<usize>() + 40;
    bytes[rotten] ^= 1;
    image.plant(FILE, bytes);
    (image, lines)
}

#[test]
fn a_damaged_line_makes_the_scroll_read_only_and_what_is_left_is_still_answered() {
    let (image, lines) = damaged();
    let (fs, ledger) = open(&image, 1);
    assert_eq!(fs.read(FILE).unwrap(), **image.read(FILE).unwrap(), "nothing was repaired");
    let refused = ledger.submit(note("new", "x")).unwrap_err();
    assert_eq!(refused.code(), "damaged_tail");
    assert!(refused.to_string().contains(&format!("{FILE}, line 4, byte ")), "{refused}");
    assert!(refused.hint().is_some_and(|hint| hint.contains("vm accept-cut toy")));
    let good = ledger.submit(note("good", "x")).unwrap();
    assert_eq!((good.lines, good.existing), (vec![lines[2].clone()], true));
}

#[test]
fn what_is_answered_above_signed_state_beside_damage_survives_a_power_loss() {
    // The lines stand in the page cache only: an EIO before, and a process that was started again.
    let (image, lines) = damaged();
    let whole = image.read(FILE).unwrap().to_vec();
    let cut = lines[0].len() + lines[1].len() + 2;
    let mut before = image.clone();
    before.plant(FILE, whole[..cut].to_vec());
    let fs = CrashFs::new(before, 3);
    fs.append(FILE, cut as u64, &whole[cut..]).unwrap();
    let (fs, ledger) = open(&fs.image(), 4);
    let good = ledger.submit(note("good", "x")).unwrap();
    let (_, ledger) = open(&fs.image().all_lost(), 5);
    assert_eq!(ledger.submit(note("good", "x")).unwrap().lines, good.lines);
}

#[test]
fn an_accepted_cut_is_kept_in_quarantine_and_leaves_a_receipt() {
    let (image, lines) = damaged();
    let (fs, ledger) = open(&image, 1);
    ledger.writer().accept_cut("toy").unwrap();
    accepted(&fs, &ledger, &image, &lines);
    assert_eq!(ledger.writer().accept_cut("toy").unwrap_err().code(), "nothing_to_cut");
    let (fs, ledger) = open(&fs.image().all_lost(), 2);
    accepted(&fs, &ledger, &image, &lines);
    let answer = ledger.submit(note("rotten", "x")).unwrap();
    assert_eq!((answer.first, answer.existing), (4, false));
}

fn accepted(fs: &CrashFs, ledger: &Ledger, image: &Image, lines: &[Vec<u8>]) {
    let kept: usize = lines[..3].iter().map(|l| l.len() + 1).sum();
    let cut = image.read(FILE).unwrap()[kept..].to_vec();
    let aside = fs.list("quarantine").unwrap();
    assert!(aside.iter().any(|n| fs.read(&format!("quarantine/{n}")).unwrap() == cut), "{aside:?}");
    let mut found: Vec<Line> = Vec::new();
    ledger
        .lines("toy", 0, &mut |_, line| {
            found.push(line.clone());
            true
        })
        .unwrap();
    assert_eq!(found[3].kind, "ledger_cut_accepted");
    assert_eq!(found[3].body["cut_from"], 3);
    assert_eq!(found[3].body["file"], FILE);
}

#[test]
fn a_crash_while_a_cut_is_accepted_never_leaves_a_cut_without_a_receipt() {
    let (image, _) = damaged();
    let (fs, ledger) = open(&image, 1);
    let opening = usize::try_from(fs.changes()).unwrap();
    ledger.writer().accept_cut("toy").unwrap();
    let mut cut = 0;
    for (changes, before) in fs.take_trail().iter().enumerate().skip(opening) {
        let mut dice = Dice::of(7, &[changes as u64]);
        let states = [vec![before.clone()], crash_states(before, 24, &mut dice)].concat();
        for state in states {
            let (_, ledger) = open(&state, 2);
            match ledger.submit(note("new", "x")) {
                Err(refused) => assert_eq!(refused.code(), "damaged_tail"),
                Ok(_) => {
                    cut += 1;
                    let mut kinds = Vec::new();
                    ledger
                        .lines("toy", 3, &mut |_, line| {
                            kinds.push(line.kind.clone());
                            true
                        })
                        .unwrap();
                    assert_eq!(
                        kinds,
                        ["ledger_cut_accepted", "toy_note"],
                        "after {changes} changes"
                    );
                }
            }
        }
    }
    assert!(cut > 0);
}
