#![no_main]
//! See `vm_tests::oracles::strict_json`.

libfuzzer_sys::fuzz_target!(|data: &[u8]| vm_tests::oracles::strict_json(data));
