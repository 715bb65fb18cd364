//! The coders: gzip, brotli and zstd, as small as they can make it.
//!
//! What lives here: which coder makes which coding, and with what effort. It may not know names or directories. Invariant: what is
//! written here every browser can read: windows stay within RFC 7932 and RFC 9659 set for the web.
//! Read next: `precompress.rs`.

use std::fs::File;
use std::io;

use crate::protocol::http::negotiation::Coding;

/// Whether this program has them.
pub(super) const ARE_HERE: bool = cfg!(feature = "precompress");

/// One of them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Coder {
    Brotli,
    Zstd,
    Gzip,
}

impl Coder {
    pub(super) const ALL: &[Self] = &[Self::Brotli, Self::Zstd, Self::Gzip];

    pub(super) fn coding(self) -> Coding {
        match self {
            Self::Brotli => Coding::Brotli,
            Self::Zstd => Coding::Zstd,
            Self::Gzip => Coding::Gzip,
        }
    }

    /// Writes the first `bytes` of `from`, coded, and says how many bytes that made. Memory is bounded by the coder's window,
    /// whatever the length.
    #[cfg(feature = "precompress")]
    pub(super) fn encode(self, from: &File, bytes: u64, to: &File) -> io::Result<u64> {
        let mut from = from;
        io::Seek::rewind(&mut from)?;
        // Never more than it had: it may grow meanwhile.
        let mut from = io::Read::take(from, bytes);
        let mut counted = Counted { to, bytes: 0 };
        match self {
            Self::Brotli => {
                let params = brotli::enc::BrotliEncoderParams {
                    quality: 11,
                    lgwin: 22,
                    size_hint: usize::try_from(bytes).unwrap_or(usize::MAX),
                    ..Default::default()
                };
                brotli::BrotliCompress(&mut from, &mut counted, &params)?;
            }
            Self::Zstd => {
                let mut coder = zstd::Encoder::new(&mut counted, ZSTD_LEVEL)?;
                // A length that is known makes a small file's window small.
                coder.set_pledged_src_size(Some(bytes))?;
                io::copy(&mut from, &mut coder)?;
                coder.finish()?;
            }
            Self::Gzip => {
                let level = flate2::Compression::best();
                let mut coder = flate2::write::GzEncoder::new(&mut counted, level);
                io::copy(&mut from, &mut coder)?;
                coder.finish()?;
            }
        }
        Ok(counted.bytes)
    }

    #[cfg(not(feature = "precompress"))]
    pub(super) fn encode(self, _: &File, _: u64, _: &File) -> io::Result<u64> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

/// The highest level whose window is 8 MiB: clients may refuse more (RFC 9659 §3).
#[cfg(feature = "precompress")]
const ZSTD_LEVEL: i32 = 19;

/// Counts what is written.
#[cfg(feature = "precompress")]
struct Counted<'a> {
    to: &'a File,
    bytes: u64,
}

#[cfg(feature = "precompress")]
impl io::Write for Counted<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.to.write(bytes)?;
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}
