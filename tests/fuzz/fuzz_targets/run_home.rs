#![no_main]
//! See `vm_tests::oracles::run_home`.

libfuzzer_sys::fuzz_target!(|data: &[u8]| vm_tests::oracles::run_home(data));
