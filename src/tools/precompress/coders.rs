//! The coders: gzip, brotli and zstd, as small as they can make it.
//!
//! What is written here every browser can read: windows stay within what RFC 7932 and RFC 9659 set
//! for the web.

use std::fs::File;
use std::io::{self, Read as _, Seek as _};

use crate::http::accept::Coding;

/// The codings that this program was built to make. Brotli and zstd together weigh as much as all
/// the rest of idler.
pub(super) const CODINGS: &[Coding] = &[
    #[cfg(feature = "precompress")]
    Coding::Brotli,
    #[cfg(feature = "precompress")]
    Coding::Zstd,
    Coding::Gzip,
];

/// The highest level whose window is 8 MiB: clients may refuse more (RFC 9659 §3).
#[cfg(feature = "precompress")]
const ZSTD_LEVEL: i32 = 19;

/// Writes the first `bytes` of `from`, coded. Memory is bounded by the coder's window, whatever the
/// length.
pub(super) fn encode(coding: Coding, mut from: &File, bytes: u64, mut to: &File) -> io::Result<()> {
    from.rewind()?;
    // Never more than it had: it may grow meanwhile.
    let mut from = from.take(bytes);
    match coding {
        #[cfg(feature = "precompress")]
        Coding::Brotli => {
            let params = brotli::enc::BrotliEncoderParams {
                quality: 11,
                lgwin: 22,
                size_hint: usize::try_from(bytes).unwrap_or(usize::MAX),
                ..Default::default()
            };
            brotli::BrotliCompress(&mut from, &mut to, &params)?;
        }
        #[cfg(feature = "precompress")]
        Coding::Zstd => {
            let mut coder = zstd::Encoder::new(to, ZSTD_LEVEL)?;
            // A length that is known makes a small file's window small.
            coder.set_pledged_src_size(Some(bytes))?;
            io::copy(&mut from, &mut coder)?;
            coder.finish()?;
        }
        #[cfg(not(feature = "precompress"))]
        Coding::Brotli | Coding::Zstd => return Err(io::ErrorKind::Unsupported.into()),
        Coding::Gzip => {
            let mut coder = flate2::write::GzEncoder::new(to, flate2::Compression::best());
            io::copy(&mut from, &mut coder)?;
            coder.finish()?;
        }
        Coding::Identity => {
            io::copy(&mut from, &mut to)?;
        }
    }
    Ok(())
}
