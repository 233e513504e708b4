//! Many callers at once share syncs, and each gets its own answer, once.

use std::collections::BTreeSet;
use std::sync::Arc;
use vm_ledger::Ledger;
use vm_receipts::line::Line;
use vm_scrolls::tree::{leaf_hash, verify_inclusion};
use vm_tests::crashfs::{CrashFs, Image};
use vm_tests::world::{DenyGate, keys, lay_out, many, note, open_home, outside, settings};

const CALLERS: usize = 16;
const EACH: usize = 12;

#[test]
fn sixteen_callers_get_each_its_own_receipts_in_its_own_order() {
    let fs = Arc::new(CrashFs::new(Image::default(), 1));
    lay_out(&*fs);
    let ledger = Ledger::new(open_home(fs.clone()).unwrap());
    let before = fs.changes();
    let answers = std::thread::scope(|scope| {
        let hands: Vec<_> = (0..CALLERS)
            .map(|caller| {
                let ledger = &ledger;
                scope.spawn(move || {
                    let one = |n: usize| {
                        let id = format!("c{caller}-{n}");
                        let call =
                            if n.is_multiple_of(3) { many(&id, "x", 2) } else { note(&id, "y") };
                        (id, ledger.submit(call).unwrap())
                    };
                    (0..EACH).map(one).collect::<Vec<_>>()
                })
            })
            .collect();
        hands.into_iter().map(|hand| hand.join().unwrap()).collect::<Vec<_>>()
    });
    let mut places = BTreeSet::new();
    for caller in &answers {
        // A call answered before the next was asked stands before it.
        assert!(caller.windows(2).all(|pair| pair[0].1.first < pair[1].1.first));
        for (id, answer) in caller {
            assert!(!answer.existing);
            let (size, root) = size_and_root(&answer.checkpoint);
            for (n, line) in answer.lines.iter().enumerate() {
                let seq = answer.first + n as u64;
                assert!(places.insert(seq), "{seq} was given to two callers");
                assert_eq!(&Line::parse(line).unwrap().id, id);
                verify_inclusion(&leaf_hash(line), seq, size, &answer.proofs[n], &root).unwrap();
            }
        }
    }
    let lines = CALLERS * (EACH / 3 * 2 + EACH / 3 * 2);
    assert_eq!(places, (1..=lines as u64).collect(), "no gap and no double after ledger_open");
    println!("{} calls took {} changes of the file system", CALLERS * EACH, fs.changes() - before);
}

fn size_and_root(note: &str) -> (u64, [u8; 32]) {
    let text = vm_scrolls::note::Note::parse(note.as_bytes()).unwrap().text;
    let checkpoint = vm_scrolls::checkpoint::Checkpoint::parse_body(&text).unwrap();
    (checkpoint.size, checkpoint.root)
}

#[test]
fn the_same_call_from_sixteen_callers_is_one_receipt() {
    let fs = Arc::new(CrashFs::new(Image::default(), 1));
    lay_out(&*fs);
    let ledger = Ledger::new(open_home(fs).unwrap());
    let answers = std::thread::scope(|scope| {
        let hands: Vec<_> = (0..CALLERS)
            .map(|_| scope.spawn(|| ledger.submit(many("same", "x", 3)).unwrap()))
            .collect();
        hands.into_iter().map(|hand| hand.join().unwrap()).collect::<Vec<_>>()
    });
    assert!(answers.iter().all(|a| a.lines == answers[0].lines && a.first == 1));
    assert_eq!(answers.iter().filter(|a| !a.existing).count(), 1);
}

#[test]
fn a_gate_that_denies_leaves_the_home_untouched() {
    let fs = Arc::new(CrashFs::new(Image::default(), 1));
    lay_out(&*fs);
    drop(open_home(fs.clone()).unwrap());
    let mut denied = outside(fs.clone(), Arc::default(), 1);
    denied.gate = Arc::new(DenyGate);
    let ledger = Ledger::new(vm_ledger::Writer::open(denied, settings(), keys()).unwrap());
    let (before, calls) = (fs.image().digest(), fs.calls());
    for n in 0..3 {
        assert_eq!(ledger.submit(note(&n.to_string(), "x")).unwrap_err().code(), "not_allowed");
    }
    assert_eq!((fs.image().digest(), fs.calls()), (before, calls), "nothing written, nothing read");
}
