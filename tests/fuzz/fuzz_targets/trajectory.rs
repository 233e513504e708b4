#![no_main]
//! See `vm_tests::oracles::trajectory`.

libfuzzer_sys::fuzz_target!(|data: &[u8]| vm_tests::oracles::trajectory(data));
