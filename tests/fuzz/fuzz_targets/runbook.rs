#![no_main]
//! See `vm_tests::oracles::runbook`.

libfuzzer_sys::fuzz_target!(|data: &[u8]| vm_tests::oracles::runbook(data));
