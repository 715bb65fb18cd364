//! Several parts in one body: multipart/byteranges (RFC 9110 §14.6, RFC 2046 §5.1).
//!
//! What lives here: the bytes between the parts, and how many they are. It may not know the bytes of the
//! parts: these go from the file to the socket, and are never held. Invariant: the length that is promised is
//! that of what is framed, to the byte. Read next: `range.rs`, which decides what the parts are.

use crate::http::span::{Span, decimal_bytes};

const FIRST_DELIMITER: &[u8] = b"--";
const DELIMITER: &[u8] = b"\r\n--";
const CONTENT_TYPE: &[u8] = b"\r\nContent-Type: ";
const CONTENT_RANGE: &[u8] = b"\r\nContent-Range: ";
const END_OF_HEAD: &[u8] = b"\r\n\r\n";
const END_OF_BODY: &[u8] = b"--\r\n";

/// The string that stands between the parts (RFC 2046 §5.1.1).
///
/// It must not occur in the parts, and idler cannot know: the kernel sends them from the file, and
/// nobody here reads them. It need not know either, as long as nobody can guess it: 64 bits that
/// were drawn at random, or come out of a hash under a random key, meet a given place of a file by
/// accident once in 2⁶⁴, and whoever writes the file cannot aim at them. Besides, each part
/// says its length in `Content-Range`, so that a careful reader does not search at all.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Boundary([u8; Self::BYTES]);

impl Boundary {
    /// Its length.
    pub const BYTES: usize = 16;

    /// The boundary that stands for these bits, in hexadecimal digits. They should be unpredictable.
    pub fn from_bits(bits: u64) -> Self {
        let mut out = [0; Self::BYTES];
        for (at, byte) in out.iter_mut().enumerate() {
            let digit = (bits >> (60 - 4 * at)) & 0xf;
            *byte = b"0123456789abcdef"[digit as usize];
        }
        Self(out)
    }

    /// As it is written.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// A body of several parts, multipart/byteranges (§14.6), of which only the framing is made here.
///
/// Its sender alternates: [`frame`](Self::frame), then the bytes of the span it returned, until there is none.
#[derive(Clone, Debug)]
pub struct Multipart {
    spans: Box<[Span]>,
    content_type: Box<str>,
    boundary: Boundary,
    total: u64,
}

impl Multipart {
    /// The parts `spans` of a representation of `total` bytes and type `content_type`: what was
    /// given to [`select`](crate::http::range::select), and what it returned.
    pub fn new(spans: Box<[Span]>, content_type: &str, boundary: Boundary, total: u64) -> Self {
        Self {
            spans,
            content_type: content_type.into(),
            boundary,
            total,
        }
    }

    /// The parts, in the order in which they are sent.
    pub fn spans(&self) -> &[Span] {
        &self.spans
    }

    /// Appends the value of the answer's `Content-Type`, which names the boundary.
    pub fn write_content_type(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"multipart/byteranges; boundary=");
        out.extend_from_slice(self.boundary.as_bytes());
    }

    /// The answer's `Content-Length`: all parts with their framing, to the byte.
    pub fn body_bytes(&self) -> u64 {
        Framing::new(&self.content_type, self.total).body_bytes(&self.spans)
    }

    /// Appends what stands before the bytes of part `part` (from 0), and returns where these are. After
    /// the last part it appends the end of the body and returns `None`.
    pub fn frame(&self, part: usize, out: &mut Vec<u8>) -> Option<Span> {
        let delimiter = if part == 0 {
            FIRST_DELIMITER
        } else {
            DELIMITER
        };
        out.extend_from_slice(delimiter);
        out.extend_from_slice(self.boundary.as_bytes());
        let Some(&span) = self.spans.get(part) else {
            out.extend_from_slice(END_OF_BODY);
            return None;
        };
        out.extend_from_slice(CONTENT_TYPE);
        out.extend_from_slice(self.content_type.as_bytes());
        out.extend_from_slice(CONTENT_RANGE);
        span.write_content_range(self.total, out);
        out.extend_from_slice(END_OF_HEAD);
        Some(span)
    }
}

/// What the lengths of multipart framing depend on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Framing {
    content_type_bytes: u64,
    total: u64,
}

impl Framing {
    pub(super) fn new(content_type: &str, total: u64) -> Self {
        Self {
            content_type_bytes: content_type.len() as u64,
            total,
        }
    }

    /// Length of the representation that parts are taken from.
    pub(super) fn total(self) -> u64 {
        self.total
    }

    /// Length of what stands before the bytes of a part. Saturates, like all that follows: what
    /// saturates is no shorter than the whole.
    fn part_head_bytes(self, span: Span, is_first: bool) -> u64 {
        let delimiter = if is_first { FIRST_DELIMITER } else { DELIMITER };
        let fixed = delimiter.len()
            + Boundary::BYTES
            + CONTENT_TYPE.len()
            + CONTENT_RANGE.len()
            + b"bytes -/".len()
            + END_OF_HEAD.len();
        (fixed as u64)
            .saturating_add(self.content_type_bytes)
            .saturating_add(decimal_bytes(span.start))
            .saturating_add(decimal_bytes(span.end.saturating_sub(1)))
            .saturating_add(decimal_bytes(self.total))
    }

    /// The longest of these lengths.
    pub(super) fn part_head_bytes_max(self) -> u64 {
        let last = Span {
            start: self.total,
            end: self.total.saturating_add(1),
        };
        self.part_head_bytes(last, false)
    }

    /// Length of the whole body.
    pub(super) fn body_bytes(self, spans: &[Span]) -> u64 {
        let end = (DELIMITER.len() + Boundary::BYTES + END_OF_BODY.len()) as u64;
        spans.iter().enumerate().fold(end, |sum, (at, &span)| {
            sum.saturating_add(self.part_head_bytes(span, at == 0))
                .saturating_add(span.len())
        })
    }
}
