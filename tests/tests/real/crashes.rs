//! Recorded flows, crashed at every operation.

use crate::{can_trace, vm};
use vm_tests::recorder::campaign;
use vm_tests::recorder::crash::Reach;
use vm_tests::world::seed;

/// States tried for each operation: few in every run, more where `VM_STATES` asks for them.
fn states() -> usize {
    std::env::var("VM_STATES").map_or(3, |text| text.trim().parse().expect("VM_STATES is a number"))
}

#[test]
fn nothing_the_built_program_acknowledged_is_lost_in_any_crash() {
    if !can_trace() {
        return;
    }
    let told = campaign::record_all(vm()).unwrap();
    let reach = Reach { states: states(), again: 6, until_bad: false, seed: seed() };
    let planted = campaign::planted(&told, Reach { states: 8, ..reach }).unwrap();
    for (bug, first) in &planted {
        println!("{bug:?}: {:.300}", first.as_deref().unwrap_or("not caught"));
    }
    let caught = planted.iter().filter(|(_, first)| first.is_some()).count() as u64;
    let (count, row) = campaign::crashes(&told, reach, (caught, planted.len() as u64)).unwrap();
    println!("{count:?}");
    row.tell();
    assert_eq!(row.came.word(), "passed", "{row:?}");
    assert!(count.states > 500, "{count:?}");
    let row = campaign::orders(&told).unwrap();
    row.tell();
    assert_eq!(row.came.word(), "passed", "{row:?}");
}
