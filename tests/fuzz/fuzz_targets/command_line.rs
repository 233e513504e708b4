#![no_main]
//! See `vm_tests::oracles::command_line`.

libfuzzer_sys::fuzz_target!(|data: &[u8]| vm_tests::oracles::command_line(data));
