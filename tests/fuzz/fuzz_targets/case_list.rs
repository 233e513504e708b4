#![no_main]
//! See `vm_tests::oracles::case_list`.

libfuzzer_sys::fuzz_target!(|data: &[u8]| vm_tests::oracles::case_list(data));
