//! A reply: its head as bytes (RFC 9112 §4), and behind it bytes, or spans of a file that another
//! sends. No value that is written contains a line end, whatever it was made from.

use std::rc::Rc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::http::date::{imf_fixdate, unix_seconds};
use crate::http::range::Multipart;
use crate::http::status::Status;

/// Where the value of the `Date` field begins in every head written here: right behind the status
/// line of a 200, so that a kept head can be dated again in place.
const DATE_AT: usize = b"HTTP/1.1 200 OK\r\nDate: ".len();

/// The value of `Date`, formatted once a second.
#[derive(Debug)]
pub struct Dates {
    /// When the second begins.
    second: SystemTime,
    text: [u8; 29],
}

impl Default for Dates {
    fn default() -> Self {
        Self {
            second: UNIX_EPOCH,
            text: *b"Thu, 01 Jan 1970 00:00:00 GMT",
        }
    }
}

impl Dates {
    /// The present second as an IMF-fixdate.
    pub fn header(&mut self, wall: SystemTime) -> &[u8; 29] {
        let age = wall.duration_since(self.second);
        if !age.is_ok_and(|age| age < Duration::from_secs(1)) {
            let seconds = unix_seconds(wall);
            if let Some(text) = imf_fixdate(seconds) {
                self.second = UNIX_EPOCH + Duration::from_secs(seconds.unsigned_abs());
                self.text = text;
            }
        }
        &self.text
    }

    /// Brings the date of a kept reply up to the present second: in place if no connection is
    /// sending it, else in a copy.
    pub fn stamp(&mut self, reply: &mut Rc<[u8]>, wall: SystemTime) {
        let text = self.header(wall);
        let field = DATE_AT..DATE_AT + text.len();
        if reply.get(field.clone()) == Some(&text[..]) {
            return;
        }
        if let Some(field) = Rc::make_mut(reply).get_mut(field) {
            field.copy_from_slice(text);
        }
    }
}

/// A head that is being written.
#[derive(Debug)]
pub struct HeadWriter(Vec<u8>);

impl HeadWriter {
    /// Begins with the status line, `Date` (RFC 9110 §6.6.1) and `Server`. `date` is an
    /// IMF-fixdate.
    pub fn new(status: Status, date: &[u8; 29]) -> Self {
        let mut head = Self(Vec::with_capacity(320));
        head.0.extend_from_slice(b"HTTP/1.1 ");
        push_decimal(status.0.into(), &mut head.0);
        head.0.push(b' ');
        head.0.extend_from_slice(status.reason().as_bytes());
        head.0.extend_from_slice(b"\r\nDate: ");
        head.0.extend_from_slice(date);
        head.0.extend_from_slice(b"\r\nServer: idler\r\n");
        head
    }

    /// Writes a field. Line ends and NUL in the value become spaces (RFC 9110 §5.5).
    pub fn field(&mut self, name: &str, value: &[u8]) -> &mut Self {
        self.0.extend_from_slice(name.as_bytes());
        self.0.extend_from_slice(b": ");
        let clean = |&b: &u8| match b {
            b'\r' | b'\n' | 0 => b' ',
            _ => b,
        };
        self.0.extend(value.iter().map(clean));
        self.0.extend_from_slice(b"\r\n");
        self
    }

    /// Writes a field whose value is a number.
    pub fn field_number(&mut self, name: &str, value: u64) -> &mut Self {
        self.0.extend_from_slice(name.as_bytes());
        self.0.extend_from_slice(b": ");
        push_decimal(value, &mut self.0);
        self.0.extend_from_slice(b"\r\n");
        self
    }

    /// Writes lines that are already fields, each with its line end.
    pub fn lines(&mut self, lines: &[u8]) -> &mut Self {
        self.0.extend_from_slice(lines);
        self
    }

    /// Ends the head with a blank line.
    pub fn end(mut self) -> Vec<u8> {
        self.0.extend_from_slice(b"\r\n");
        self.0
    }
}

/// Appends a number.
fn push_decimal(mut n: u64, out: &mut Vec<u8>) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (n % 10) as u8;
        n /= 10;
        if n == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

// ---- what follows the head ----

/// Bytes to be sent: shared with the cache, or made for this reply.
#[derive(Clone, Debug)]
pub enum Bytes {
    /// Kept elsewhere too.
    Shared(Rc<[u8]>),
    /// Made for this reply.
    Own(Vec<u8>),
}

impl AsRef<[u8]> for Bytes {
    fn as_ref(&self) -> &[u8] {
        match self {
            Self::Shared(bytes) => bytes,
            Self::Own(bytes) => bytes,
        }
    }
}

/// What follows the first bytes of a reply. A file is an opaque `F`: the socket's owner sends it.
#[derive(Debug)]
pub enum Body<F> {
    /// Nothing: all of it is in the first bytes.
    Nothing,
    /// A span of a file.
    Span(FileSpan<F>),
    /// Several spans of a file, each with a frame before it.
    Parts(Box<Parts<F>>),
    /// Something that its owner makes piece by piece, when asked for it.
    Produced,
}

impl<F> Body<F> {
    /// Notes that `n` bytes of its file have gone out.
    pub(super) fn advance(&mut self, n: usize) {
        let span = match self {
            Self::Span(span) => span,
            Self::Parts(parts) => &mut parts.span,
            Self::Nothing | Self::Produced => return,
        };
        span.at += n as u64;
        span.len = span.len.saturating_sub(n as u64);
    }

    /// The bytes between two parts, once the part before them is out; behind the last one they are
    /// the end of the body.
    pub(super) fn next_frame(&mut self) -> Option<Vec<u8>> {
        let Self::Parts(parts) = self else {
            return None;
        };
        if parts.span.len > 0 {
            return None;
        }
        let mut frame = Vec::new();
        match parts.frames.frame(parts.next, &mut frame) {
            Some(span) => {
                parts.next += 1;
                (parts.span.at, parts.span.len) = (span.start, span.len());
            }
            None => *self = Self::Nothing,
        }
        Some(frame)
    }
}

/// A span of a file.
#[derive(Debug)]
pub struct FileSpan<F> {
    /// The file.
    pub file: F,
    /// Where the span begins.
    pub at: u64,
    /// How long it is, in bytes.
    pub len: u64,
}

/// The parts of a file that are still to be sent (RFC 9110 §14.6).
#[derive(Debug)]
pub struct Parts<F> {
    pub(super) span: FileSpan<F>,
    frames: Multipart,
    next: usize,
}

impl<F> Parts<F> {
    /// All of them.
    pub fn new(file: F, frames: Multipart) -> Self {
        let (at, len) = (0, 0);
        Self {
            span: FileSpan { file, at, len },
            frames,
            next: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_reads_as_it_should() {
        let mut head = HeadWriter::new(Status::OK, b"Sun, 06 Nov 1994 08:49:37 GMT");
        head.field("Content-Type", b"text/plain")
            .field_number("Content-Length", 18_446_744_073_709_551_615)
            .lines(b"A: b\r\n");
        let head = head.end();
        assert_eq!(
            String::from_utf8_lossy(&head),
            "HTTP/1.1 200 OK\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nServer: idler\r\n\
             Content-Type: text/plain\r\nContent-Length: 18446744073709551615\r\nA: b\r\n\r\n"
        );
        assert_eq!(
            &head[DATE_AT..DATE_AT + 29],
            b"Sun, 06 Nov 1994 08:49:37 GMT"
        );
    }

    #[test]
    fn a_value_cannot_end_its_line() {
        let mut head = HeadWriter::new(Status::OK, &[b'x'; 29]);
        head.field("Location", b"/a\r\nSet-Cookie: b\0");
        assert!(!String::from_utf8_lossy(&head.end()).contains("\r\nSet-Cookie"));
    }
}
