//! The body of a message on its way in: with a length, in chunks, or until the connection closes
//! (RFC 9112 §6, §7). Its data is handed through, never kept.
//!
//! A server discards the bodies of requests, but must find their end, where the next request
//! begins. So it is strict: it refuses, at the first wrong byte, what two servers could read
//! differently. A client is lenient: it accepts bare line feeds and padded sizes, keeps the
//! trailers, and can show a line that makes no sense.

use crate::http::text::printable;
use crate::limits::{CHUNK_LINE_BYTES_MAX, DRAINED_BODY_BYTES_MAX, TRAILER_BYTES_MAX};

/// How the length of a body is told (RFC 9112 §6.3).
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub enum BodyLength {
    /// There is none.
    #[default]
    None,
    /// This many bytes.
    Bytes(u64),
    /// In chunks, the last of which is empty.
    Chunked,
    /// It ends with the connection; only replies can.
    UntilClose,
}

impl BodyLength {
    /// What discards the body of a request; `None` if the body is known to be longer than
    /// [`DRAINED_BODY_BYTES_MAX`], so that the connection is better closed.
    pub fn drain(self) -> Option<BodyDecoder> {
        let is_too_long = matches!(self, Self::Bytes(n) if n > DRAINED_BODY_BYTES_MAX);
        (!is_too_long).then(|| BodyDecoder::new(self, true))
    }
}

/// Why a body cannot be read to its end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BodyError {
    /// It breaks the framing rules.
    Malformed,
    /// It, or a line of its framing, is longer than idler accepts.
    TooLong,
}

/// A body on its way in.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct BodyDecoder {
    is_strict: bool,
    place: BodyPlace,
    /// Bytes that the body with a length, or the chunk, still has.
    left: u64,
    /// The size line, line end or trailer that is coming in.
    line: Vec<u8>,
    /// Bytes of all chunks so far, and of all trailers.
    chunk_bytes: u64,
    trailer_bytes: usize,
    trailers: Vec<(String, String)>,
}

#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
enum BodyPlace {
    /// In a body with a length.
    Counted,
    UntilClose,
    ChunkData,
    /// In a line of the framing.
    Line(LineKind),
    #[default]
    Done,
}

/// The lines of a chunked body.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum LineKind {
    /// With the size of the next chunk.
    Size,
    /// The same, behind a semicolon.
    Extension,
    /// The line end behind a chunk's data.
    ChunkEnd,
    /// A trailer, or the empty line behind the last one.
    Trailer,
}

impl BodyDecoder {
    /// A lenient decoder, for a client.
    pub fn lenient(length: BodyLength) -> Self {
        Self::new(length, false)
    }

    fn new(length: BodyLength, is_strict: bool) -> Self {
        let (place, left) = match length {
            BodyLength::None | BodyLength::Bytes(0) => (BodyPlace::Done, 0),
            BodyLength::Bytes(n) => (BodyPlace::Counted, n),
            BodyLength::Chunked => (BodyPlace::Line(LineKind::Size), 0),
            BodyLength::UntilClose => (BodyPlace::UntilClose, 0),
        };
        Self {
            is_strict,
            place,
            left,
            ..Self::default()
        }
    }

    /// Whether the body is whole.
    pub fn is_done(&self) -> bool {
        self.place == BodyPlace::Done
    }

    /// The fields behind the last chunk (RFC 9112 §7.1.2), if the decoder is lenient.
    pub fn trailers(&self) -> &[(String, String)] {
        &self.trailers
    }

    /// Bytes of memory that it holds.
    #[cfg(any(test, feature = "fuzz"))]
    pub fn memory(&self) -> usize {
        size_of::<Self>() + self.line.capacity()
    }

    /// Takes some bytes: returns how many belong to the body, and which of them are data (none, or
    /// one run).
    ///
    /// # Errors
    /// If the framing is broken or the body too long: the connection must be closed.
    pub fn feed<'a>(&mut self, bytes: &'a [u8]) -> Result<(usize, &'a [u8]), BodyError> {
        match self.place {
            BodyPlace::Done => Ok((0, &[])),
            BodyPlace::UntilClose => Ok((bytes.len(), bytes)),
            BodyPlace::Counted | BodyPlace::ChunkData => {
                let most = usize::try_from(self.left).unwrap_or(usize::MAX);
                let data = bytes.get(..most).unwrap_or(bytes);
                self.left -= data.len() as u64;
                if self.left == 0 {
                    self.place = if self.place == BodyPlace::Counted {
                        BodyPlace::Done
                    } else {
                        BodyPlace::Line(LineKind::ChunkEnd)
                    };
                }
                Ok((data.len(), data))
            }
            BodyPlace::Line(kind) => Ok((self.feed_line(kind, bytes)?, &[])),
        }
    }

    /// Discards what of `bytes` belongs to the body, and returns how many those are. Bounded by
    /// their number.
    ///
    /// # Errors
    /// Like [`feed`](Self::feed).
    pub fn skip(&mut self, bytes: &[u8]) -> Result<usize, BodyError> {
        let mut used = 0;
        while used < bytes.len() && !self.is_done() {
            used += self.feed(&bytes[used..])?.0;
        }
        Ok(used)
    }

    /// Takes bytes up to the end of a line.
    fn feed_line(&mut self, mut kind: LineKind, bytes: &[u8]) -> Result<usize, BodyError> {
        for (at, &byte) in bytes.iter().enumerate() {
            if self.line.len() == CHUNK_LINE_BYTES_MAX {
                return Err(BodyError::TooLong);
            }
            if self.is_strict && !self.may_follow(kind, byte) {
                return Err(BodyError::Malformed);
            }
            if kind == LineKind::Trailer && !matches!(byte, b'\r' | b'\n') {
                self.trailer_bytes += 1;
                if self.trailer_bytes > TRAILER_BYTES_MAX {
                    return Err(BodyError::TooLong);
                }
            }
            if kind == LineKind::Size && byte == b';' {
                kind = LineKind::Extension;
                self.place = BodyPlace::Line(kind);
            }
            self.line.push(byte);
            if byte == b'\n' {
                self.place = self.end_line(kind)?;
                self.line.clear();
                return Ok(at + 1);
            }
        }
        Ok(bytes.len())
    }

    /// Whether strict rules (RFC 9112 §7.1) let `byte` follow what the line holds so far.
    fn may_follow(&mut self, kind: LineKind, byte: u8) -> bool {
        let last = self.line.last().copied();
        // A bare CR or LF, in an extension above all, is how requests are smuggled.
        if last == Some(b'\r') {
            return byte == b'\n';
        }
        if byte == b'\r' {
            return last.is_some() || kind != LineKind::Size;
        }
        let is_text = matches!(byte, b'\t' | b' '..=b'~' | 0x80..);
        match kind {
            LineKind::ChunkEnd => false,
            LineKind::Extension => is_text,
            LineKind::Trailer => is_text && (last.is_some() || byte.is_ascii_graphic()),
            LineKind::Size => match char::from(byte).to_digit(16) {
                Some(digit) => {
                    let fits = self.left >> 60 == 0;
                    self.left = self.left << 4 | u64::from(digit);
                    // A digit behind blanks would be part of the size for a server that skips them.
                    fits && last.is_none_or(|last| last.is_ascii_hexdigit())
                }
                // Some clients pad the size with blanks.
                None => last.is_some() && matches!(byte, b' ' | b'\t' | b';'),
            },
        }
    }

    /// What a whole line says follows.
    fn end_line(&mut self, kind: LineKind) -> Result<BodyPlace, BodyError> {
        let line = self.line.strip_suffix(b"\n").unwrap_or(&self.line);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        match kind {
            LineKind::Size | LineKind::Extension => {
                self.left = chunk_size(line).ok_or(BodyError::Malformed)?;
                self.chunk_bytes = self.chunk_bytes.saturating_add(self.left);
                if self.is_strict && self.chunk_bytes > DRAINED_BODY_BYTES_MAX {
                    return Err(BodyError::TooLong);
                }
                Ok(match self.left {
                    0 => BodyPlace::Line(LineKind::Trailer),
                    _ => BodyPlace::ChunkData,
                })
            }
            LineKind::ChunkEnd if line.is_empty() => Ok(BodyPlace::Line(LineKind::Size)),
            LineKind::ChunkEnd => Err(BodyError::Malformed),
            LineKind::Trailer if line.is_empty() => Ok(BodyPlace::Done),
            LineKind::Trailer => {
                let line = String::from_utf8_lossy(line);
                if let Some((name, value)) = line.split_once(':').filter(|_| !self.is_strict) {
                    self.trailers
                        .push((name.trim().to_owned(), value.trim().to_owned()));
                }
                Ok(BodyPlace::Line(kind))
            }
        }
    }

    /// What is wrong where an error was returned, in words for the client's user.
    pub fn describe(&self, error: BodyError) -> String {
        match self.place {
            BodyPlace::Line(LineKind::Size | LineKind::Extension) => {
                let line = match error {
                    BodyError::TooLong => "the line is too long".to_owned(),
                    BodyError::Malformed => printable(&self.line),
                };
                format!("the size of a chunk is none: {line}")
            }
            BodyPlace::Line(LineKind::Trailer) => {
                let bytes_max = match self.line.len() {
                    CHUNK_LINE_BYTES_MAX => CHUNK_LINE_BYTES_MAX,
                    _ => TRAILER_BYTES_MAX,
                };
                format!("the reply's trailers are longer than {bytes_max} bytes")
            }
            BodyPlace::Line(LineKind::ChunkEnd)
            | BodyPlace::ChunkData
            | BodyPlace::Counted
            | BodyPlace::UntilClose
            | BodyPlace::Done => "a chunk is not as long as it said".to_owned(),
        }
    }

    /// Told that the input has ended.
    ///
    /// # Errors
    /// In words, what is missing.
    pub fn end(&self) -> Result<(), String> {
        let least = match self.place {
            BodyPlace::Done | BodyPlace::UntilClose => return Ok(()),
            BodyPlace::Counted => "",
            // Other chunks may have followed.
            BodyPlace::ChunkData => "at least ",
            BodyPlace::Line(_) => {
                return Err("the body was cut short: its last chunk is missing".to_owned());
            }
        };
        let left = self.left;
        let are = if left == 1 { " is" } else { "s are" };
        Err(format!(
            "the body was cut short: {least}{left} byte{are} missing"
        ))
    }
}

/// The size at the start of a line; extensions behind a semicolon are ignored (RFC 9112 §7.1.1).
fn chunk_size(line: &[u8]) -> Option<u64> {
    // An extension may be in any encoding.
    let digits = line.split(|b| *b == b';').next()?.trim_ascii();
    // A sign is none of the digits, but would be read.
    let is_hex = digits.iter().all(u8::is_ascii_hexdigit);
    let digits = str::from_utf8(digits).ok().filter(|_| is_hex)?;
    u64::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::expect_used, reason = "a test may stop at the first surprise")]

    use super::*;

    /// Drains `bytes` whole and byte by byte: how many belong to the body, and whether it ended.
    #[track_caller]
    fn check(length: BodyLength, bytes: &[u8], expected: Result<(usize, bool), BodyError>) {
        let mut whole = length.drain().expect("short enough to drain");
        assert_eq!(whole.skip(bytes).map(|n| (n, whole.is_done())), expected);
        let mut piecewise = length.drain().expect("short enough to drain");
        let mut used = 0;
        let mut outcome = Ok((0, piecewise.is_done()));
        for byte in bytes.chunks(1) {
            outcome = piecewise.skip(byte).map(|n| {
                used += n;
                (used, piecewise.is_done())
            });
            if outcome.is_err() {
                break;
            }
        }
        assert_eq!(outcome, expected, "byte by byte");
    }

    #[test]
    fn a_length_ends_where_it_says() {
        check(BodyLength::Bytes(3), b"abcGET", Ok((3, true)));
        check(BodyLength::Bytes(9), b"abc", Ok((3, false)));
        assert!(
            BodyLength::Bytes(DRAINED_BODY_BYTES_MAX + 1)
                .drain()
                .is_none()
        );
    }

    #[test]
    fn chunks_end_with_the_empty_one_and_its_trailers() {
        check(
            BodyLength::Chunked,
            b"3\r\nabc\r\n0\r\n\r\nGET",
            Ok((13, true)),
        );
        check(
            BodyLength::Chunked,
            b"3;x=\"y z\"\r\nabc\r\n000\r\nA: b\r\nC: d\r\n\r\n",
            Ok((35, true)),
        );
        check(
            BodyLength::Chunked,
            b"3 \t; x\r\nabc\r\n0\r\n\r\n",
            Ok((18, true)),
        );
        check(BodyLength::Chunked, b"A\r\n0123456789\r\n", Ok((15, false)));
        check(
            BodyLength::Chunked,
            b"3 \t;x\r\nabc\r\n0  \r\n\r\n",
            Ok((19, true)),
        );
    }

    #[test]
    fn what_two_servers_could_read_differently_is_refused() {
        for bytes in [
            &b"\r\n"[..],
            b"x\r\n",
            b"3\nabc",
            b"3;a\nb\r\nabc",
            b"3;a\rb",
            b"3\r\nabcd",
            b"3\r\nabc\n0",
            b" 3\r\n",
            b"3 4\r\n",
            b"3 \t a;b\r\n",
            b"3 x;y\r\n",
            b"3 \t a;b\r\n",
            b"-1\r\n",
            b"0x3\r\n",
            b"0\r\n A: b\r\n",
            b"0\r\nA: b\n\r\n",
            b"11111111111111111\r\n",
            b"0\r\n\n",
        ] {
            check(BodyLength::Chunked, bytes, Err(BodyError::Malformed));
        }
    }

    #[test]
    fn it_is_bounded() {
        check(BodyLength::Chunked, b"FFFFFF\r\n", Err(BodyError::TooLong));
        let long = [b"3;".to_vec(), b"x".repeat(CHUNK_LINE_BYTES_MAX)].concat();
        check(BodyLength::Chunked, &long, Err(BodyError::TooLong));
        let many = [
            b"0\r\n".to_vec(),
            b"Name: value\r\n".repeat(TRAILER_BYTES_MAX / 8),
        ]
        .concat();
        check(BodyLength::Chunked, &many, Err(BodyError::TooLong));
    }
}
