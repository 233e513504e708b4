#![no_main]
//! See `vm_tests::oracles::open_home`.

libfuzzer_sys::fuzz_target!(|data: &[u8]| vm_tests::oracles::open_home(data));
