//! Time in receipts never goes back, and a jump ahead waits for a person.

use std::sync::Arc;
use vm_contracts::Failure;
use vm_ledger::fs::Fs;
use vm_ledger::{Answer, Ledger, Writer};
use vm_receipts::line::Line;
use vm_tests::crashfs::{CrashFs, Image};
use vm_tests::world::{HandClock, keys, lay_out, note, outside, settings};

const HOUR_MS: i64 = 3_600_000;

struct Home {
    fs: Arc<CrashFs>,
    clock: Arc<HandClock>,
}

impl Home {
    fn new() -> Self {
        let fs = Arc::new(CrashFs::new(Image::default(), 1));
        lay_out(&*fs);
        Self { fs, clock: Arc::default() }
    }

    fn open(&self) -> Ledger {
        let outside = outside(self.fs.clone(), self.clock.clone(), 1);
        Ledger::new(Writer::open(outside, settings(), keys()).unwrap())
    }
}

fn at(answer: &Result<Answer, Failure>) -> i64 {
    Line::parse(&answer.as_ref().unwrap().lines[0]).unwrap().at.unix_ms()
}

#[test]
fn a_clock_set_back_never_shows_in_receipts() {
    let home = Home::new();
    let ledger = home.open();
    let first = at(&ledger.submit(note("a", "x")));
    home.clock.set_by(-5 * HOUR_MS);
    assert_eq!(at(&ledger.submit(note("b", "x"))), first);
    ledger.flush().unwrap();
    let ledger = home.open();
    assert_eq!(at(&ledger.submit(note("c", "x"))), first);
    home.clock.set_by(HOUR_MS / 2);
    assert_eq!(at(&ledger.submit(note("d", "x"))), first);
}

#[test]
fn a_jump_of_more_than_an_hour_waits_for_a_person_in_every_later_process() {
    let home = Home::new();
    let ledger = home.open();
    ledger.submit(note("a", "x")).unwrap();
    ledger.flush().unwrap();
    // A line that was durable and not yet published makes the next open publish.
    ledger.submit(note("b", "x")).unwrap();
    drop(ledger);
    home.clock.set_by(HOUR_MS + 1);
    for _ in 0..2 {
        let refused = home.open().submit(note("c", "x")).unwrap_err();
        assert_eq!(refused.code(), "clock_jumped");
        assert!(refused.hint().is_some_and(|hint| hint.contains("vm clock accept")));
    }
    let ledger = home.open();
    assert_eq!(ledger.writer().accept_clock().unwrap(), 1);
    ledger.submit(note("c", "x")).unwrap();
    let mut kinds = Vec::new();
    ledger
        .lines("toy", 0, &mut |_, line| {
            kinds.push(line.kind.clone());
            true
        })
        .unwrap();
    assert_eq!(kinds, ["ledger_open", "toy_note", "toy_note", "ledger_clock_accepted", "toy_note"]);
    assert_eq!(ledger.writer().accept_clock().unwrap_err().code(), "no_clock_jump");
}

#[test]
fn a_jump_while_the_process_runs_is_noticed_and_a_clock_set_right_again_goes_on() {
    let home = Home::new();
    let ledger = home.open();
    ledger.submit(note("a", "x")).unwrap();
    home.clock.set_by(2 * HOUR_MS);
    assert_eq!(ledger.submit(note("b", "x")).unwrap_err().code(), "clock_jumped");
    home.clock.set_by(-2 * HOUR_MS);
    ledger.submit(note("b", "x")).unwrap();
}

#[test]
fn time_that_really_passed_and_a_restart_are_no_jump() {
    let home = Home::new();
    let ledger = home.open();
    ledger.submit(note("a", "x")).unwrap();
    home.clock.pass(50 * HOUR_MS.unsigned_abs());
    ledger.submit(note("b", "x")).unwrap();
    ledger.flush().unwrap();
    drop(ledger);
    home.clock.pass(50 * HOUR_MS.unsigned_abs());
    home.open().submit(note("c", "x")).unwrap();
    home.clock.set_by(9 * HOUR_MS);
    home.clock.reboot();
    home.open().submit(note("d", "x")).unwrap();
    // A clock file that a crash tore only skips the check once.
    home.fs.write("clock", b"{\"boot\":").unwrap();
    home.open().submit(note("e", "x")).unwrap();
}
