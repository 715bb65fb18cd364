//! The coders: gzip, brotli and zstd, as small as they can make it.
//!
//! What lives here: which coder makes which coding, with what effort, and which of them this program was built with. It may not know
//! names or directories. Invariant: what is written here every browser can read: windows stay within what
//! RFC 7932 and RFC 9659 set for the web. Read next: `precompress.rs`.

use std::fs::File;
use std::io;

use crate::http::accept::Coding;

/// One of them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Coder {
    #[cfg(feature = "precompress")]
    Brotli,
    #[cfg(feature = "precompress")]
    Zstd,
    Gzip,
}

/// Whether some were left out, which together weigh as much as all the rest of idler.
pub(super) const ARE_SOME_MISSING: bool = cfg!(not(feature = "precompress"));

impl Coder {
    /// Those that this program was built with.
    pub(super) const ALL: &[Self] = &[
        #[cfg(feature = "precompress")]
        Self::Brotli,
        #[cfg(feature = "precompress")]
        Self::Zstd,
        Self::Gzip,
    ];

    pub(super) fn coding(self) -> Coding {
        match self {
            #[cfg(feature = "precompress")]
            Self::Brotli => Coding::Brotli,
            #[cfg(feature = "precompress")]
            Self::Zstd => Coding::Zstd,
            Self::Gzip => Coding::Gzip,
        }
    }

    /// Writes the first `bytes` of `from`, coded, and says how many bytes that made. Memory is bounded by the coder's window,
    /// whatever the length.
    pub(super) fn encode(self, mut from: &File, bytes: u64, to: &File) -> io::Result<u64> {
        io::Seek::rewind(&mut from)?;
        // Never more than it had: it may grow meanwhile.
        let mut from = io::Read::take(from, bytes);
        let mut counted = Counted { to, bytes: 0 };
        match self {
            #[cfg(feature = "precompress")]
            Self::Brotli => {
                let params = brotli::enc::BrotliEncoderParams {
                    quality: 11,
                    lgwin: 22,
                    size_hint: usize::try_from(bytes).unwrap_or(usize::MAX),
                    ..Default::default()
                };
                brotli::BrotliCompress(&mut from, &mut counted, &params)?;
            }
            #[cfg(feature = "precompress")]
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
}

/// The highest level whose window is 8 MiB: clients may refuse more (RFC 9659 §3).
#[cfg(feature = "precompress")]
const ZSTD_LEVEL: i32 = 19;

/// Counts what is written.
struct Counted<'a> {
    to: &'a File,
    bytes: u64,
}

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
