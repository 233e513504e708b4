//! A disk that fails or is full under the built program.

use crate::{can_trace, vm};
use vm_tests::recorder::crash::Reach;
use vm_tests::recorder::flow::one_transfer;
use vm_tests::recorder::{faults, full};
use vm_tests::world::seed;

#[test]
fn a_sync_that_fails_loses_nothing_that_was_acknowledged() {
    if !can_trace() {
        return;
    }
    let reach = Reach { states: 1, again: 50, until_bad: false, seed: seed() };
    let found = faults::failing_syncs(&one_transfer(), vm(), reach).unwrap();
    println!("{found:?}");
    assert_eq!(found.bad, None);
    assert!(found.injected > 5 && found.exits.get(&5).is_some_and(|n| *n > 0), "{found:?}");
    assert!(faults::planted(vm(), reach).unwrap(), "a program that goes on is not caught");
}

#[test]
fn a_full_disk_loses_nothing_that_was_acknowledged() {
    if !can_trace() {
        return;
    }
    let row = full::no_space(vm()).unwrap();
    println!("{row:?}");
    row.tell();
    assert_eq!(row.came.word(), "passed", "{row:?}");
}

#[test]
fn a_real_file_system_that_fails_loses_nothing_that_was_acknowledged() {
    let row = vm_tests::recorder::loops::full_backing_store(vm());
    println!("{row:?}");
    row.tell();
    assert!(matches!(row.came.word(), "passed" | "cannot evaluate"), "{row:?}");
    if row.came.word() != "passed" {
        vm_tests::skipped(&format!("a file system that fails: {}", row.came.why()));
    }
}
