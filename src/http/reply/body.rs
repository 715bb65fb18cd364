//! The body of a reply: with a length, in chunks, or until the server hangs up.
//!
//! What lives here: telling the body's bytes from the frame around them. It may not know what they are
//! for. Invariant: data is handed through, never kept; only a line of a chunked body is, up to its limit.
//! Read next: `service/http_client/`.

use crate::http::printable::printable;
use crate::limits::{CHUNK_LINE_BYTES_MAX, TRAILER_BYTES_MAX};

use super::Broken;

/// How a body ends (RFC 9112 §6.3).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Framing {
    /// There is none.
    None,
    /// After this many bytes.
    Length(u64),
    /// With a chunk of size 0.
    Chunked,
    /// With the connection.
    UntilClose,
}

/// A body on its way in.
#[derive(Debug)]
pub struct Body {
    place: Place,
    /// A line of a chunked body while it comes in.
    line: Vec<u8>,
    trailer_bytes: usize,
    trailers: Vec<(String, String)>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Place {
    /// This many bytes follow, then the end.
    Length(u64),
    UntilClose,
    /// The line with the size of the next chunk.
    Size,
    /// This many bytes of a chunk follow.
    Chunk(u64),
    /// The line end behind a chunk.
    ChunkEnd,
    Trailers,
    Done,
}

impl Body {
    /// A body that ends as `framing` says.
    pub fn new(framing: Framing) -> Self {
        Self {
            place: match framing {
                Framing::None | Framing::Length(0) => Place::Done,
                Framing::Length(n) => Place::Length(n),
                Framing::Chunked => Place::Size,
                Framing::UntilClose => Place::UntilClose,
            },
            line: Vec::new(),
            trailer_bytes: 0,
            trailers: Vec::new(),
        }
    }

    /// Whether the body is whole.
    pub fn is_done(&self) -> bool {
        self.place == Place::Done
    }

    /// The fields behind the last chunk (RFC 9112 §7.1.2).
    pub fn trailers(&self) -> &[(String, String)] {
        &self.trailers
    }

    /// Hears some bytes: returns how many it took, and which of them are data (none, or one run).
    ///
    /// # Errors
    /// If the chunks make no sense.
    pub fn hear<'a>(&mut self, bytes: &'a [u8]) -> Result<(usize, &'a [u8]), Broken> {
        match self.place {
            Place::Done => Ok((0, &[])),
            Place::UntilClose => Ok((bytes.len(), bytes)),
            Place::Length(left) => {
                let (data, left) = take(bytes, left);
                self.place = if left == 0 {
                    Place::Done
                } else {
                    Place::Length(left)
                };
                Ok((data.len(), data))
            }
            Place::Chunk(left) => {
                let (data, left) = take(bytes, left);
                self.place = if left == 0 {
                    Place::ChunkEnd
                } else {
                    Place::Chunk(left)
                };
                Ok((data.len(), data))
            }
            Place::Size | Place::ChunkEnd | Place::Trailers => Ok((self.hear_line(bytes)?, &[])),
        }
    }

    /// Told that the input has ended.
    ///
    /// # Errors
    /// If the body is not whole.
    pub fn end(&self) -> Result<(), Broken> {
        let (missing, exact) = match self.place {
            Place::Done | Place::UntilClose => return Ok(()),
            Place::Length(left) => (left, true),
            Place::Chunk(left) => (left, false),
            Place::Size | Place::ChunkEnd | Place::Trailers => (0, false),
        };
        Err(Broken::CutShort { missing, exact })
    }

    /// Hears up to the end of a line, and goes on to what it says follows.
    fn hear_line(&mut self, bytes: &[u8]) -> Result<usize, Broken> {
        let end = bytes.iter().position(|b| *b == b'\n').map(|i| i + 1);
        let used = end.unwrap_or(bytes.len());
        let part = bytes.get(..used).unwrap_or(bytes);
        if self.line.len() + used > CHUNK_LINE_BYTES_MAX {
            return Err(match self.place {
                Place::Trailers => Broken::TrailersTooLong(CHUNK_LINE_BYTES_MAX),
                Place::ChunkEnd => Broken::ChunkEnd,
                Place::Size
                | Place::Chunk(_)
                | Place::Length(_)
                | Place::UntilClose
                | Place::Done => Broken::ChunkSize("the line is too long".to_owned()),
            });
        }
        self.line.extend_from_slice(part);
        if end.is_none() {
            return Ok(used);
        }
        let line = std::mem::take(&mut self.line);
        let line = line.strip_suffix(b"\n").unwrap_or(&line);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        self.place = match self.place {
            Place::Size => match chunk_size(line)? {
                0 => Place::Trailers,
                size => Place::Chunk(size),
            },
            Place::ChunkEnd if line.is_empty() => Place::Size,
            Place::ChunkEnd => return Err(Broken::ChunkEnd),
            Place::Trailers if line.is_empty() => Place::Done,
            Place::Trailers => {
                self.keep_trailer(line)?;
                Place::Trailers
            }
            other @ (Place::Chunk(_) | Place::Length(_) | Place::UntilClose | Place::Done) => other,
        };
        Ok(used)
    }

    fn keep_trailer(&mut self, line: &[u8]) -> Result<(), Broken> {
        self.trailer_bytes += line.len();
        if self.trailer_bytes > TRAILER_BYTES_MAX {
            return Err(Broken::TrailersTooLong(TRAILER_BYTES_MAX));
        }
        let text = String::from_utf8_lossy(line);
        if let Some((name, value)) = text.split_once(':') {
            let trailer = (name.trim().to_owned(), value.trim().to_owned());
            self.trailers.push(trailer);
        }
        Ok(())
    }
}

/// Up to `left` of `bytes`, and what is left then.
fn take(bytes: &[u8], left: u64) -> (&[u8], u64) {
    let n = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
    let data = bytes.get(..n).unwrap_or(bytes);
    (data, left - data.len() as u64)
}

/// The size at the start of a line; extensions behind a semicolon are ignored (RFC 9112 §7.1.1).
fn chunk_size(line: &[u8]) -> Result<u64, Broken> {
    let bad = || Broken::ChunkSize(printable(line));
    // An extension may be in any encoding.
    let digits = line.split(|b| *b == b';').next().unwrap_or(line);
    let digits = str::from_utf8(digits.trim_ascii()).map_err(|_| bad())?;
    let hex = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_hexdigit());
    if !hex {
        return Err(bad());
    }
    u64::from_str_radix(digits, 16).map_err(|_| bad())
}
