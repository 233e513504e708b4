//! Owners that are killed while many clients speak to them.

use crate::vm;
use vm_tests::rounds::{self, Size};
use vm_tests::world::seed;

#[test]
fn clients_of_killed_owners_see_one_history() {
    let size = Size { rounds: 20, clients: 16, each: 40, beside: 16, beside_each: 2, seed: seed() };
    let row = rounds::run(vm(), size);
    println!("{row:?}");
    row.tell();
    assert!(matches!(row.came.word(), "passed" | "cannot evaluate"), "{row:?}");
    if row.came.word() != "passed" {
        vm_tests::skipped(&format!("killed owners: {}", row.came.why()));
    }
}
