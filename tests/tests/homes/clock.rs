//! A wall clock that jumps ahead waits for a person, whoever notices it; one that is set back never shows.

use crate::place::{Edited, ROOT, code, line, twin};
use vm_receipts::line::Line;
use vm_tests::world::note;

const HOUR_MS: i64 = 3_600_000;

#[test]
fn a_jump_is_refused_by_every_later_command_until_it_is_accepted_in_each_scroll() {
    let home = Edited::with(&["a"]);
    let ledger = home.open();
    ledger.submit(twin("t", "t")).unwrap();
    ledger.flush().unwrap();
    // Durable and not published: the next open publishes, and must not take the clock for granted with it.
    ledger.submit(note("b", "b")).unwrap();
    drop(ledger);
    home.clock.set_by(5 * HOUR_MS);
    for command in ["first", "second"] {
        let ledger = home.open();
        assert_eq!(
            code(ledger.submit(note(command, "x"))),
            "clock_jumped",
            "the {command} command"
        );
        ledger.flush().unwrap();
    }
    assert_eq!(home.open().writer().accept_clock().unwrap(), 2);
    let ledger = home.open();
    for (scroll, size) in [("toy", 4), ("twin", 3)] {
        let mut last = None;
        let mut count = 0;
        ledger
            .lines(scroll, 0, &mut |_, line: &Line| {
                last = Some(line.clone());
                count += 1;
                true
            })
            .unwrap();
        let last = last.unwrap();
        assert_eq!((last.kind.as_str(), count), ("ledger_clock_accepted", size), "{scroll}");
        assert_eq!(last.body["ahead_ms"], 5 * HOUR_MS, "{scroll}");
    }
    ledger.submit(note("c", "x")).unwrap();
    assert_eq!(code(ledger.writer().accept_clock()), "no_clock_jump");
}

#[test]
fn a_jump_inside_a_running_process_is_refused() {
    let home = Edited::with(&["a"]);
    let ledger = home.open();
    ledger.submit(note("b", "b")).unwrap();
    home.clock.set_by(500 * HOUR_MS);
    assert_eq!(code(ledger.submit(note("c", "x"))), "clock_jumped");
    assert_eq!(
        code(ledger.submit(twin("c", "x"))),
        "clock_jumped",
        "a new scroll needs a time too"
    );
    home.clock.pass(10 * HOUR_MS.unsigned_abs());
    assert_eq!(code(ledger.submit(note("c", "x"))), "clock_jumped", "waiting accepts nothing");
    ledger.writer().accept_clock().unwrap();
    ledger.submit(note("c", "x")).unwrap();
}

#[test]
fn a_process_that_ends_after_a_jump_does_not_hide_it_from_the_next() {
    let home = Edited::with(&["a"]);
    let ledger = home.open();
    ledger.submit(note("b", "b")).unwrap();
    home.clock.set_by(5 * HOUR_MS);
    // It never looks at the clock for a receipt again, and publishes what it has.
    ledger.flush().unwrap();
    drop(ledger);
    assert_eq!(code(home.open().submit(note("c", "x"))), "clock_jumped");
}

#[test]
fn publishing_what_a_dead_process_left_does_not_accept_a_jump() {
    let home = Edited::with_unpublished(&["a"], &["b"]);
    home.clock.set_by(5 * HOUR_MS);
    let root = home.read(ROOT);
    drop(home.open());
    assert_ne!(home.read(ROOT), root, "the open published");
    assert_eq!(code(home.open().submit(note("c", "x"))), "clock_jumped");
}

#[test]
fn a_jump_is_accepted_as_it_stands_when_it_is_accepted() {
    let home = Edited::with(&["a"]);
    let ledger = home.open();
    home.clock.set_by(5 * HOUR_MS);
    assert_eq!(ledger.writer().accept_clock().unwrap(), 1, "no call had to be refused first");
    home.clock.set_by(3 * HOUR_MS);
    assert_eq!(code(ledger.submit(note("b", "x"))), "clock_jumped");
    home.clock.set_by(-3 * HOUR_MS);
    assert_eq!(code(ledger.writer().accept_clock()), "no_clock_jump", "it was set right again");
    assert_eq!(home.kinds().len(), 3);
    assert_eq!(home.parsed()[2].body["ahead_ms"], 5 * HOUR_MS);
}

#[test]
fn a_jump_of_an_hour_is_let_through_and_one_millisecond_more_is_not() {
    let home = Edited::with(&["a"]);
    home.clock.set_by(HOUR_MS);
    let ledger = home.open();
    ledger.submit(note("b", "x")).unwrap();
    home.clock.set_by(HOUR_MS + 1);
    assert_eq!(code(ledger.submit(note("c", "x"))), "clock_jumped");
}

#[test]
fn a_clock_set_back_never_shows_in_receipts() {
    let home = Edited::with(&["a"]);
    let ledger = home.open();
    let before = line(&ledger.submit(note("b", "b")).unwrap()).at;
    home.clock.set_by(-50 * HOUR_MS);
    assert_eq!(line(&ledger.submit(note("c", "c")).unwrap()).at, before);
    ledger.flush().unwrap();
    drop(ledger);
    assert_eq!(line(&home.open().submit(note("d", "d")).unwrap()).at, before);
    home.open();
    home.is_verified();
}
