#![no_main]
//! See `vm_tests::oracles::transcript_document`.

libfuzzer_sys::fuzz_target!(|data: &[u8]| vm_tests::oracles::transcript_document(data));
