//! See `tests/oracles/redirects.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| idler_fuzz::redirects::check(data));
