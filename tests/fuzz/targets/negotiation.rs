//! See `tests/oracles/negotiation.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| idler_fuzz::negotiation::check(data));
