#![no_main]
//! See `vm_tests::oracles::tile_path`.

libfuzzer_sys::fuzz_target!(|data: &[u8]| vm_tests::oracles::tile_path(data));
