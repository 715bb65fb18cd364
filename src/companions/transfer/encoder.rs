//! The sending half of a file transfer: what stands at each position on the wire.
//!
//! Since base64 turns 3 bytes into 4, a position on the wire names a position in the file. So a
//! client that stalls keeps no encoded bytes waiting: when it goes on, they are made again.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::http::text::{JsonString, JsonStyle};

/// The key under which the name stands.
pub(super) const NAME_KEY: &str = "filename";

/// The key under which the contents stand, in base64 (RFC 4648 §4).
pub(super) const DATA_KEY: &str = "filedata";

/// Ends the string and the object. No line feed: Python's `json.dumps` writes none.
const TAIL: &[u8] = b"\"}";

/// One transfer on its way out, or a text alone. Only `sent` changes.
#[derive(Debug)]
pub struct Encoder {
    head: Vec<u8>,
    file_bytes: u64,
    tail: &'static [u8],
    sent: u64,
}

/// What is to be sent next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Piece<'a> {
    /// These bytes.
    Text(&'a [u8]),
    /// The base64 of the file from byte `at` (a multiple of 3) up to its end, without its first
    /// `skip` characters. Read a multiple of 3 bytes, or up to the end.
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
        // In ASCII, as Python's `json.dumps` writes it, so that no receiver has to agree on an
        // encoding.
        let name = JsonString(JsonStyle::Ascii, name.as_bytes());
        let head = format!("{{\"{NAME_KEY}\": {name}, \"{DATA_KEY}\": \"");
        Self {
            file_bytes,
            tail: TAIL,
            ..Self::text(head.into_bytes())
        }
    }

    /// A text and nothing else.
    pub(in crate::companions) fn text(head: Vec<u8>) -> Self {
        Self {
            head,
            file_bytes: 0,
            tail: b"",
            sent: 0,
        }
    }

    /// Bytes that the whole transfer takes on the wire.
    pub fn wire_bytes(&self) -> u64 {
        self.text_end() + self.tail.len() as u64
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
            return Piece::File {
                at,
                remaining: self.file_bytes - at,
                skip: usize::try_from(text_at % 4).unwrap_or(0),
            };
        }
        match rest(self.tail, self.sent - self.text_end()) {
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
    bytes.get(from..).unwrap_or_default()
}

/// Writes the base64 of `bytes`, padded, to the start of `into`; returns how long it is. Encodes
/// no more than fits, a whole group of 3 bytes at a time.
pub fn encode_base64(bytes: &[u8], into: &mut [u8]) -> usize {
    let bytes = bytes.get(..into.len() / 4 * 3).unwrap_or(bytes);
    STANDARD.encode_slice(bytes, into).unwrap_or(0)
}
