#![no_main]
//! See `vm_tests::oracles::note`.

libfuzzer_sys::fuzz_target!(|data: &[u8]| vm_tests::oracles::note(data));
