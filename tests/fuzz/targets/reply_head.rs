//! See `tests/oracles/reply_head.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| idler_fuzz::reply_head::check(data));
