#![no_main]
//! See `vm_tests::oracles::proof_case`.

libfuzzer_sys::fuzz_target!(|data: &[u8]| vm_tests::oracles::proof_case(data));
