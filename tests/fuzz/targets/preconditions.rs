//! See `tests/oracles/preconditions.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| idler_fuzz::preconditions::check(data));
