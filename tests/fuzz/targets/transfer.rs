//! See `tests/oracles/transfer.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| idler_fuzz::transfer::check(data));
