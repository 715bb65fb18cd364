//! The body of a reply: with a length, in chunks, or until the server closes the connection.
//!
//! Invariant: data is handed through, never kept; only a line of a chunked body is, up to its
//! limit. Requests' bodies have a decoder of their own (`http/body.rs`): it refuses, at the first
//! wrong byte, what two servers could read differently, while this one accepts bare line feeds and
//! shows lines that make no sense.

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
    place: BodyPlace,
    /// Bytes that the body with a length, or the chunk, still has.
    left: u64,
    /// A line of a chunked body while it comes in.
    line: Vec<u8>,
    trailer_bytes: usize,
    trailers: Vec<(String, String)>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum BodyPlace {
    /// In a body with a length.
    Counted,
    UntilClose,
    /// In the line with the size of the next chunk.
    ChunkSize,
    /// In the data of a chunk.
    ChunkData,
    /// In the line end behind it.
    ChunkEnd,
    Trailers,
    Done,
}

impl Body {
    /// A body that ends as `framing` says.
    pub fn new(framing: Framing) -> Self {
        let (place, left) = match framing {
            Framing::None | Framing::Length(0) => (BodyPlace::Done, 0),
            Framing::Length(n) => (BodyPlace::Counted, n),
            Framing::Chunked => (BodyPlace::ChunkSize, 0),
            Framing::UntilClose => (BodyPlace::UntilClose, 0),
        };
        Self {
            place,
            left,
            line: Vec::new(),
            trailer_bytes: 0,
            trailers: Vec::new(),
        }
    }

    /// Whether the body is whole.
    pub fn is_done(&self) -> bool {
        self.place == BodyPlace::Done
    }

    pub(super) fn trailers(&self) -> &[(String, String)] {
        &self.trailers
    }

    /// Hears some bytes: returns how many it took, and which of them are data (none, or one run).
    ///
    /// # Errors
    /// If the chunks make no sense.
    pub fn hear<'a>(&mut self, bytes: &'a [u8]) -> Result<(usize, &'a [u8]), Broken> {
        match self.place {
            BodyPlace::Done => Ok((0, &[])),
            BodyPlace::UntilClose => Ok((bytes.len(), bytes)),
            BodyPlace::Counted | BodyPlace::ChunkData => {
                let most = usize::try_from(self.left).unwrap_or(usize::MAX);
                let data = bytes.get(..most).unwrap_or(bytes);
                self.left -= data.len() as u64;
                if self.left == 0 {
                    let counted = self.place == BodyPlace::Counted;
                    self.place = if counted {
                        BodyPlace::Done
                    } else {
                        BodyPlace::ChunkEnd
                    };
                }
                Ok((data.len(), data))
            }
            BodyPlace::ChunkSize | BodyPlace::ChunkEnd | BodyPlace::Trailers => {
                Ok((self.hear_line(bytes)?, &[]))
            }
        }
    }

    /// Told that the input has ended.
    ///
    /// # Errors
    /// If the body is not whole.
    pub fn end(&self) -> Result<(), Broken> {
        let least = match self.place {
            BodyPlace::Done | BodyPlace::UntilClose => return Ok(()),
            BodyPlace::Counted => "",
            // Other chunks may have followed.
            BodyPlace::ChunkData => "at least ",
            BodyPlace::ChunkSize | BodyPlace::ChunkEnd | BodyPlace::Trailers => {
                return Err("the body was cut short: its last chunk is missing".to_owned());
            }
        };
        let left = self.left;
        let are = if left == 1 { " is" } else { "s are" };
        Err(format!(
            "the body was cut short: {least}{left} byte{are} missing"
        ))
    }

    /// Hears up to the end of a line, and goes on to what it says follows.
    fn hear_line(&mut self, bytes: &[u8]) -> Result<usize, Broken> {
        let end = memchr::memchr(b'\n', bytes).map(|at| at + 1);
        let part = bytes.get(..end.unwrap_or(bytes.len())).unwrap_or(bytes);
        let too_long = self.line.len() + part.len() > CHUNK_LINE_BYTES_MAX;
        if !too_long {
            self.line.extend_from_slice(part);
            if end.is_none() {
                return Ok(part.len());
            }
        }
        let line = std::mem::take(&mut self.line);
        let line = line.strip_suffix(b"\n").unwrap_or(&line);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        self.place = if self.place == BodyPlace::ChunkSize {
            if too_long {
                return Err(bad_size("the line is too long"));
            }
            self.left = chunk_size(line).ok_or_else(|| bad_size(&printable(line)))?;
            if self.left > 0 {
                BodyPlace::ChunkData
            } else {
                BodyPlace::Trailers
            }
        } else if self.place == BodyPlace::ChunkEnd {
            if too_long || !line.is_empty() {
                return Err("a chunk is not as long as it said".to_owned());
            }
            BodyPlace::ChunkSize
        } else if too_long {
            return Err(trailers_too_long(CHUNK_LINE_BYTES_MAX));
        } else if line.is_empty() {
            BodyPlace::Done
        } else {
            self.keep_trailer(line)?;
            BodyPlace::Trailers
        };
        Ok(part.len())
    }

    fn keep_trailer(&mut self, line: &[u8]) -> Result<(), Broken> {
        self.trailer_bytes += line.len();
        if self.trailer_bytes > TRAILER_BYTES_MAX {
            return Err(trailers_too_long(TRAILER_BYTES_MAX));
        }
        let text = String::from_utf8_lossy(line);
        if let Some((name, value)) = text.split_once(':') {
            let trailer = (name.trim().to_owned(), value.trim().to_owned());
            self.trailers.push(trailer);
        }
        Ok(())
    }
}

fn bad_size(line: &str) -> Broken {
    format!("the size of a chunk is none: {line}")
}

fn trailers_too_long(bytes_max: usize) -> Broken {
    format!("the reply's trailers are longer than {bytes_max} bytes")
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
