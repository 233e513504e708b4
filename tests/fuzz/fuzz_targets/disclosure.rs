#![no_main]
//! See `vm_tests::oracles::disclosure`.

libfuzzer_sys::fuzz_target!(|data: &[u8]| vm_tests::oracles::disclosure(data));
