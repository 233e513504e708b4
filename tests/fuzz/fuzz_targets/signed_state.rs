#![no_main]
//! See `vm_tests::oracles::signed_state`.

libfuzzer_sys::fuzz_target!(|data: &[u8]| vm_tests::oracles::signed_state(data));
