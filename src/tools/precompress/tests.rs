//! What a coder writes, its decoder reads.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
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

fn decoded(coder: Coder, mut file: &File) -> Vec<u8> {
    io::Seek::rewind(&mut file).unwrap();
    let mut out = Vec::new();
    match coder {
        #[cfg(feature = "precompress")]
        Coder::Brotli => brotli::Decompressor::new(file, 4096).read_to_end(&mut out),
        #[cfg(feature = "precompress")]
        Coder::Zstd => zstd::Decoder::new(file).unwrap().read_to_end(&mut out),
        Coder::Gzip => flate2::read::GzDecoder::new(file).read_to_end(&mut out),
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
        for coder in Coder::ALL {
            let to = unnamed(b"");
            let length = coder.encode(&from, bytes.len() as u64, &to).unwrap();
            assert_eq!(length, to.metadata().unwrap().len(), "{coder:?}");
            assert!(decoded(*coder, &to) == bytes, "{coder:?}");
        }
    }
}

#[test]
fn what_was_added_meanwhile_is_left_out() {
    let from = unnamed(b"first, then more");
    for coder in Coder::ALL {
        let to = unnamed(b"");
        coder.encode(&from, 5, &to).unwrap();
        assert_eq!(decoded(*coder, &to), b"first");
    }
}

#[cfg(feature = "precompress")]
#[test]
fn windows_are_what_every_client_must_take() {
    // 20 MB: more than any window.
    let from = unnamed(&vec![7; 20_000_000]);
    let to = unnamed(b"");
    Coder::Zstd.encode(&from, 20_000_000, &to).unwrap();
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
    for coder in Coder::ALL {
        assert!(coder.encode(&from, 1000, &full).is_err(), "{coder:?}");
    }
}
