#![no_main]
//! See `vm_tests::oracles::tlog_proof`.

libfuzzer_sys::fuzz_target!(|data: &[u8]| vm_tests::oracles::tlog_proof(data));
