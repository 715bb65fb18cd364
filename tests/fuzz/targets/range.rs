//! See `tests/oracles/range.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| idler_fuzz::range::check(data));
