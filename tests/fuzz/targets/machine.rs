//! See `tests/oracles/machine.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| idler_fuzz::machine::check(data));
