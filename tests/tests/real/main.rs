//! The built program under strace: every crash of what it asked of the disk, the order of its syncs, a disk that fails,
//! and histories of many clients.
//!
//! `VM_SEED` draws other crash states, `VM_STATES` more of them; `cargo xtask trust` runs the large campaign.

#![allow(clippy::unwrap_used, reason = "a test stops where it fails")]

mod crashes;
mod owners;
mod trouble;

use std::path::Path;

/// The built program.
fn vm() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_vm-under-test"))
}

/// Whether strace is here and may trace; says what is left out where it may not.
fn can_trace() -> bool {
    let can = vm_tests::recorder::can_trace();
    if !can {
        vm_tests::skipped("the recorder, because there is no strace that may trace");
    }
    can
}
