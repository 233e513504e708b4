//! What does not fit: a line a receipt, lines a batch. How long a line comes out is known only once it is written, which
//! happens while the calls after it are decided.

use serde_json::json;
use std::sync::Arc;
use vm_contracts::{Call, Failure};
use vm_ledger::{AsOf, Ledger};
use vm_receipts::line::{LINE_MAX, Line};
use vm_tests::memfs::MemoryFs;
use vm_tests::world::{call, lay_out, note, open_home};

fn heap(id: &str, texts: usize) -> Call {
    call(id, "heap", json!({"texts": vec!["x".repeat(4_000); texts]}))
}

fn home() -> (Arc<MemoryFs>, Ledger) {
    let fs = Arc::new(MemoryFs::default());
    lay_out(&*fs);
    let ledger = Ledger::new(open_home(fs.clone()).unwrap());
    (fs, ledger)
}

fn count(ledger: &Ledger) -> u64 {
    ledger.report("toy", "total", &vm_contracts::Map::new(), AsOf::Now).unwrap().0
}

#[test]
fn a_line_that_fits_no_receipt_refuses_its_call_and_no_other() {
    let (fs, ledger) = home();
    let calls = vec![note("a", "first"), heap("b", 3), heap("c", 17), note("d", "last")];
    let answers = ledger.submit_all(calls);
    let places: Vec<Option<u64>> = answers.iter().map(|a| Some(a.as_ref().ok()?.first)).collect();
    assert_eq!(places, [Some(1), Some(2), None, Some(3)]);
    match &answers[2] {
        Err(Failure::Refusal(refusal)) => assert_eq!(refusal.code, "line_too_long"),
        other => panic!("{other:?}"),
    }
    // What was folded before it was known to be too long is gone, here and at the next open.
    assert_eq!(count(&ledger), 4);
    drop(ledger);
    let again = Ledger::new(open_home(fs).unwrap());
    assert_eq!(count(&again), 4);
    assert!(!again.submit(heap("c", 2)).unwrap().existing, "the id was left free");
}

#[test]
fn many_long_lines_become_as_many_batches_as_they_need() {
    let (_fs, ledger) = home();
    let calls = (0..300).map(|n| heap(&format!("h{n}"), 15)).collect();
    let answers: Vec<_> = ledger.submit_all(calls).into_iter().map(Result::unwrap).collect();
    let lines: Vec<Line> =
        answers.iter().map(|answer| Line::parse(&answer.lines[0]).unwrap()).collect();
    assert!(lines.iter().zip(1..).all(|(line, seq): (_, u64)| line.seq == seq));
    let mut batches: Vec<(u64, usize)> = Vec::new();
    for (line, answer) in lines.iter().zip(&answers) {
        assert!(answer.lines[0].len() <= LINE_MAX);
        match batches.last_mut().filter(|(from, _)| *from == line.prev.size) {
            Some((_, bytes)) => *bytes += answer.lines[0].len() + 1,
            None => batches.push((line.prev.size, answer.lines[0].len() + 1)),
        }
    }
    assert!(batches.iter().all(|(_, bytes)| *bytes <= 8 << 20), "{batches:?}");
    assert!(batches.len() < 5, "{batches:?}");
}
