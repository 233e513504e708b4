#![no_main]
//! See `vm_tests::oracles::hook_event`.

libfuzzer_sys::fuzz_target!(|data: &[u8]| vm_tests::oracles::hook_event(data));
