//! Bodies of requests: how long they are, and hearing them to their end (RFC 9112 §6, §7).
//!
//! What lives here: a file server has no use for a body, but must know where it ends, since the next request
//! begins there. It may not know what is in it. Invariant: framing that two servers could read
//! differently is an error, never a guess. Read next: `server.rs`.

use crate::limits::{CHUNK_LINE_BYTES_MAX, DRAINED_BODY_BYTES_MAX, TRAILER_BYTES_MAX};

/// How the length of a request's body is told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BodyLength {
    /// There is none.
    None,
    /// This many bytes, never 0.
    Bytes(u64),
    /// In chunks, the last of which is empty.
    Chunked,
}

impl BodyLength {
    /// What to throw away before the next request; `None` if it is known to be more than
    /// [`DRAINED_BODY_BYTES_MAX`], so that the connection is better closed.
    pub fn drain(self) -> Option<Drain> {
        match self {
            Self::None => Some(Drain(Left::Bytes(0))),
            Self::Bytes(n) if n <= DRAINED_BODY_BYTES_MAX => Some(Drain(Left::Bytes(n))),
            Self::Bytes(_) => None,
            Self::Chunked => Some(Drain(Left::Chunked(Chunked::default()))),
        }
    }
}

/// A body on its way out of sight.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Drain(Left);

#[derive(Clone, PartialEq, Eq, Debug)]
enum Left {
    Bytes(u64),
    Chunked(Chunked),
}

/// Why a body cannot be heard to its end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BodyError {
    /// It breaks the framing rules.
    Malformed,
    /// It is longer than idler throws away.
    TooLong,
}

impl Drain {
    /// Whether the end has been heard.
    pub fn is_done(&self) -> bool {
        match &self.0 {
            Left::Bytes(left) => *left == 0,
            Left::Chunked(chunked) => chunked.at == At::End,
        }
    }

    /// Hears some bytes and returns how many of them belong to the body. Bounded by their number.
    ///
    /// # Errors
    /// If the framing is broken or the body too long: the connection must be closed.
    pub fn hear(&mut self, bytes: &[u8]) -> Result<usize, BodyError> {
        match &mut self.0 {
            Left::Bytes(left) => {
                let n = usize::try_from(*left).map_or(bytes.len(), |left| left.min(bytes.len()));
                *left -= n as u64;
                Ok(n)
            }
            Left::Chunked(chunked) => chunked.hear(bytes),
        }
    }
}

/// Where in the grammar of RFC 9112 §7.1 a chunked body is.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
enum At {
    /// In the first digits of a chunk's size.
    #[default]
    Size,
    /// In white space behind them, with which some clients pad them.
    Padding,
    /// In an extension.
    Extension,
    /// Behind the CR of the size line.
    SizeEnd,
    /// In the data.
    Data,
    /// Behind the data: CR, then LF.
    DataEnd,
    DataEndLf,
    /// At the start of a trailer line, or of the last, empty one.
    Trailer,
    /// Within a trailer line.
    TrailerLine,
    /// Behind the CR of a trailer line, or of the last one.
    TrailerEnd,
    LastLf,
    /// Behind everything.
    End,
}

#[derive(Clone, PartialEq, Eq, Default, Debug)]
struct Chunked {
    at: At,
    /// Of the chunk: bytes that are left, or what the digits of its size say so far.
    left: u64,
    has_digits: bool,
    /// Bytes of this line so far.
    line: usize,
    /// Bytes of all trailer lines so far.
    trailers: usize,
    /// Bytes of data so far.
    heard: u64,
}

impl Chunked {
    fn hear(&mut self, bytes: &[u8]) -> Result<usize, BodyError> {
        let mut used = 0;
        while self.at != At::End {
            let Some(&byte) = bytes.get(used) else { break };
            if self.at == At::Data {
                let here = bytes.len() - used;
                let n = usize::try_from(self.left).map_or(here, |left| left.min(here));
                self.left -= n as u64;
                used += n;
                if self.left == 0 {
                    self.at = At::DataEnd;
                }
                continue;
            }
            self.at = self.step(byte)?;
            used += 1;
        }
        Ok(used)
    }

    fn step(&mut self, byte: u8) -> Result<At, BodyError> {
        self.line += 1;
        if self.line > CHUNK_LINE_BYTES_MAX {
            return Err(BodyError::TooLong);
        }
        Ok(match (self.at, byte) {
            (At::Size, _) if byte.is_ascii_hexdigit() => {
                let digit = char::from(byte).to_digit(16).unwrap_or_default();
                self.left =
                    self.left.checked_mul(16).ok_or(BodyError::Malformed)? + u64::from(digit);
                self.has_digits = true;
                At::Size
            }
            (At::Size, b'\r') if self.has_digits => At::SizeEnd,
            (At::Size, b' ' | b'\t') if self.has_digits => At::Padding,
            (At::Size, b';') if self.has_digits => At::Extension,
            // Another digit here would be part of the size for who skips white space.
            (At::Padding, b' ' | b'\t') => At::Padding,
            (At::Padding, b';') => At::Extension,
            (At::Padding, b'\r') => At::SizeEnd,
            // An extension may hold anything visible; a bare CR or LF in it is how requests are smuggled.
            (At::Extension, b'\r') => At::SizeEnd,
            (At::Extension, b'\t' | b' '..=b'~' | 0x80..) => At::Extension,
            (At::SizeEnd, b'\n') => self.begin_chunk()?,
            (At::DataEnd, b'\r') => At::DataEndLf,
            (At::DataEndLf, b'\n') => {
                self.line = 0;
                self.has_digits = false;
                At::Size
            }
            (At::Trailer, b'\r') => At::LastLf,
            (At::Trailer, b'!'..=b'~') | (At::TrailerLine, b'\t' | b' '..=b'~' | 0x80..) => {
                self.trailers += 1;
                if self.trailers > TRAILER_BYTES_MAX {
                    return Err(BodyError::TooLong);
                }
                At::TrailerLine
            }
            (At::TrailerLine, b'\r') => At::TrailerEnd,
            (At::TrailerEnd, b'\n') => {
                self.line = 0;
                At::Trailer
            }
            (At::LastLf, b'\n') => At::End,
            _ => return Err(BodyError::Malformed),
        })
    }

    fn begin_chunk(&mut self) -> Result<At, BodyError> {
        self.line = 0;
        self.heard = self.heard.saturating_add(self.left);
        if self.heard > DRAINED_BODY_BYTES_MAX {
            return Err(BodyError::TooLong);
        }
        Ok(if self.left == 0 {
            At::Trailer
        } else {
            At::Data
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::expect_used, reason = "a test may stop at the first surprise")]

    use super::*;

    /// Drains `bytes` whole and byte by byte: how many belong to the body, and whether it ended.
    #[track_caller]
    fn check(length: BodyLength, bytes: &[u8], expected: Result<(usize, bool), BodyError>) {
        let mut whole = length.drain().expect("short enough to drain");
        assert_eq!(whole.hear(bytes).map(|n| (n, whole.is_done())), expected);
        let mut piecewise = length.drain().expect("short enough to drain");
        let mut used = 0;
        let mut outcome = Ok((0, piecewise.is_done()));
        for byte in bytes.chunks(1) {
            outcome = piecewise.hear(byte).map(|n| {
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
