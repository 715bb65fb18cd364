//! See `tests/oracles/chunked.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| idler_fuzz::chunked::check(data));
