//! See `tests/oracles/head.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| idler_fuzz::head::check(data));
