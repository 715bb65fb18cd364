//! The sending half of a file transfer.
//!
//! What lives here: what stands at each position on the wire. It may not know where the file's bytes
//! come from. Since base64 turns 3 bytes into 4, a position on the wire names a position in the file, so
//! a client that stalls keeps no encoded bytes waiting: when it wakes, they are made again.
//! Invariant: `sent` is all that changes. Read next: `decode.rs`.

use super::{DATA_KEY, NAME_KEY};
use crate::http::json::{JsonString, JsonStyle};

/// Ends the string and the object. No line feed: Python's `json.dumps` writes none.
const TAIL: &[u8] = b"\"}";

/// One transfer on its way out.
#[derive(Debug)]
pub struct Encoder {
    head: Box<[u8]>,
    file_bytes: u64,
    sent: u64,
}

/// What is to be sent next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Piece<'a> {
    /// These bytes.
    Text(&'a [u8]),
    /// The base64 of the file from byte `at` (a multiple of 3) up to its end, without its first `skip`
    /// characters. Read a multiple of 3 bytes, or up to the end.
    File {
        /// Where in the file to read from, in bytes.
        at: u64,
        /// How many bytes remain from there.
        remaining: u64,
        /// How many characters (0 to 3) of the encoded text have already been sent.
        skip: usize,
    },
    /// Nothing: all was sent.
    Done,
}

impl Encoder {
    /// The transfer of a file of `file_bytes` bytes under `name`.
    pub fn new(name: &str, file_bytes: u64) -> Self {
        // In ASCII, as Python's `json.dumps` does it, so that no receiver has to agree on an encoding.
        let name = JsonString(JsonStyle::Ascii, name.as_bytes());
        let head = format!("{{\"{NAME_KEY}\": {name}, \"{DATA_KEY}\": \"");
        Self {
            head: head.into_bytes().into_boxed_slice(),
            file_bytes,
            sent: 0,
        }
    }

    /// Bytes that the whole transfer takes on the wire.
    pub fn wire_bytes(&self) -> u64 {
        self.text_end() + TAIL.len() as u64
    }

    /// Bytes sent so far.
    pub fn sent(&self) -> u64 {
        self.sent
    }

    /// What is to be sent next.
    pub fn piece(&self) -> Piece<'_> {
        let text_start = self.head.len() as u64;
        if self.sent < text_start {
            return Piece::Text(rest(&self.head, self.sent));
        }
        if self.sent < self.text_end() {
            let text_at = self.sent - text_start;
            let at = text_at / 4 * 3;
            let skip = usize::try_from(text_at % 4).unwrap_or(0);
            return Piece::File {
                at,
                remaining: self.file_bytes - at,
                skip,
            };
        }
        match rest(TAIL, self.sent - self.text_end()) {
            [] => Piece::Done,
            tail => Piece::Text(tail),
        }
    }

    /// Told that `bytes` more have been sent.
    pub fn advance(&mut self, bytes: usize) {
        self.sent = (self.sent + bytes as u64).min(self.wire_bytes());
    }

    /// The position on the wire behind the file's last character.
    fn text_end(&self) -> u64 {
        self.head.len() as u64 + self.file_bytes.div_ceil(3) * 4
    }
}

fn rest(bytes: &[u8], from: u64) -> &[u8] {
    let from = usize::try_from(from).unwrap_or(usize::MAX);
    bytes.get(from..).unwrap_or(&[])
}

/// The 64 digits of base64 (RFC 4648 §4).
pub(super) const ALPHABET: &[u8; 64] =
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Writes the base64 of `bytes`, padded, to the start of `into`; returns how long it is.
/// Encodes no more than fits, a whole group of 3 bytes at a time.
pub fn encode_base64(bytes: &[u8], into: &mut [u8]) -> usize {
    let digit = |bits: u32| ALPHABET[(bits & 63) as usize];
    let mut written = 0;
    for (group, text) in bytes.chunks(3).zip(into.chunks_exact_mut(4)) {
        let (b, c) = (group.get(1).copied(), group.get(2).copied());
        let bits =
            u32::from(group[0]) << 16 | u32::from(b.unwrap_or(0)) << 8 | u32::from(c.unwrap_or(0));
        text[0] = digit(bits >> 18);
        text[1] = digit(bits >> 12);
        text[2] = b.map_or(b'=', |_| digit(bits >> 6));
        text[3] = c.map_or(b'=', |_| digit(bits));
        written += 4;
    }
    written
}
