//! What a coder writes, its decoder reads.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    reason = "a test may stop at the first surprise"
)]

use std::io::{Read as _, Write as _};

use super::*;

/// A file without a name.
fn unnamed(bytes: &[u8]) -> File {
    let path = std::env::temp_dir().join(format!(
        "idler-precompress-{}-{:?}",
        std::process::id(),
        std::thread::current().id()
    ));
    let mut options = File::options();
    let mut file = options
        .read(true)
        .write(true)
        .create_new(true)
        .open(&path)
        .unwrap();
    std::fs::remove_file(&path).unwrap();
    file.write_all(bytes).unwrap();
    file
}

fn decoded(coding: Coding, mut file: &File) -> Vec<u8> {
    io::Seek::rewind(&mut file).unwrap();
    let mut out = Vec::new();
    match coding {
        #[cfg(feature = "precompress")]
        Coding::Brotli => brotli::Decompressor::new(file, 4096).read_to_end(&mut out),
        #[cfg(feature = "precompress")]
        Coding::Zstd => zstd::Decoder::new(file).unwrap().read_to_end(&mut out),
        Coding::Gzip => flate2::read::GzDecoder::new(file).read_to_end(&mut out),
        _ => panic!("no decoder"),
    }
    .unwrap();
    out
}

#[test]
fn what_is_coded_can_be_decoded() {
    let long: Vec<u8> = (0..40_000_u32)
        .flat_map(|n| (n.wrapping_mul(2_654_435_761) >> (n % 29)).to_le_bytes())
        .collect();
    for bytes in [
        &b"a"[..],
        b"hello, hello, hello\n",
        &vec![0; 100_000],
        &long,
    ] {
        let from = unnamed(bytes);
        for &coding in CODINGS {
            let to = unnamed(b"");
            encode(coding, &from, bytes.len() as u64, &to).unwrap();
            assert!(decoded(coding, &to) == bytes, "{coding:?}");
        }
    }
}

#[test]
fn what_was_added_meanwhile_is_left_out() {
    let from = unnamed(b"first, then more");
    for &coding in CODINGS {
        let to = unnamed(b"");
        encode(coding, &from, 5, &to).unwrap();
        assert_eq!(decoded(coding, &to), b"first");
    }
}

#[cfg(feature = "precompress")]
#[test]
fn windows_are_what_every_client_must_take() {
    // 20 MB: more than any window.
    let from = unnamed(&vec![7; 20_000_000]);
    let to = unnamed(b"");
    encode(Coding::Zstd, &from, 20_000_000, &to).unwrap();
    let mut head = [0; 6];
    std::os::unix::fs::FileExt::read_exact_at(&to, &mut head, 0).unwrap();
    assert_eq!(head[..4], [0x28, 0xb5, 0x2f, 0xfd]);
    // RFC 8878 §3.1.1.1.2: not a single segment, so that there is a window descriptor.
    assert_eq!(head[4] & 0x20, 0, "one segment");
    let log = 10 + (head[5] >> 3);
    assert!(log <= 23, "a window of 2^{log} bytes; RFC 9659 allows 2^23");
}

#[test]
fn a_full_disk_is_an_error_for_every_coder() {
    let from = unnamed(&[3; 1000]);
    let full = File::options().write(true).open("/dev/full").unwrap();
    for &coding in CODINGS {
        assert!(encode(coding, &from, 1000, &full).is_err(), "{coding:?}");
    }
}
