//! Where a request head ends: a search for the blank line that resumes where it stopped.
//!
//! No byte is looked at twice, so that a client that sends a byte at a time costs linear work.

use memchr::memchr;

use crate::http::status::{Refusal, Status};
use crate::limits::{LEADING_BLANK_BYTES_MAX, REQUEST_LINE_BYTES_MAX};

/// How far the search has come.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Scan {
    /// Bytes searched.
    searched: u32,
    /// Where the line begins in which the search goes on.
    line_start: u32,
    /// Where the request line ends, its line end included; 0 until it came.
    request_line_end: u32,
    /// Where the minor version stands in a head that says HTTP/1.2 to HTTP/1.9; 0 in any other.
    pub(super) later_minor_at: u32,
    /// Whether lines ended in CR LF, and in LF alone.
    crlf: bool,
    bare: bool,
}

/// What the search found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum HeadEnd {
    /// No blank line yet.
    Partial,
    /// The head ends before this byte. `bare` says that its lines end in LF alone.
    At {
        /// Length of the head, blank line included.
        len: usize,
        /// Its lines end in LF alone: typed by hand. Such a head may not announce a body.
        bare: bool,
    },
}

impl Scan {
    /// Searches on in `bytes`, which begin with what was searched before.
    ///
    /// Lines end in CR LF. A head in which *every* line ends in a bare LF is let through (RFC 9112
    /// §2.2; people type into `nc`), but not a mixture: that is how one server is made to see a
    /// line end where another sees none. Bounded by the length of `bytes`.
    ///
    /// # Errors
    /// 414 if the first line is longer than [`REQUEST_LINE_BYTES_MAX`], 431 if there is no end
    /// within `head_bytes_max`, 400 for a mixture of line ends, too many blank lines before the
    /// first, or what begins like no text.
    pub fn search(&mut self, bytes: &[u8], head_bytes_max: usize) -> Result<HeadEnd, Refusal> {
        // A client of TLS sends nothing more until it is answered: it would wait until the head
        // times out.
        if let Some(byte) = bytes.first()
            && *byte < b' '
            && !matches!(byte, b'\r' | b'\n')
        {
            let why = "this is not HTTP; if it is TLS, ask by http://";
            return Err(Refusal::bad(why));
        }
        let fit = |len: usize, in_request_line: bool| {
            if in_request_line && len > REQUEST_LINE_BYTES_MAX.min(head_bytes_max) {
                let why = "the request line is too long";
                return Err(Refusal::new(Status::URI_TOO_LONG, why));
            }
            if len > head_bytes_max {
                let why = "the head is too long";
                return Err(Refusal::new(Status::FIELDS_TOO_LARGE, why));
            }
            Ok(())
        };
        let mut at = self.searched as usize;
        while let Some(gap) = bytes.get(at..).and_then(|rest| memchr(b'\n', rest)) {
            let end = at + gap;
            // The bytes before this line end may have come without it, and been refused for their
            // number.
            fit(end, self.request_line_end == 0)?;
            let line = bytes.get(self.line_start as usize..end).unwrap_or_default();
            let is_crlf = line.last() == Some(&b'\r');
            self.crlf |= is_crlf;
            self.bare |= !is_crlf;
            if self.crlf && self.bare {
                return Err(Refusal::bad("line ends are mixed"));
            }
            at = end + 1;
            self.line_start = u32::try_from(at).unwrap_or(u32::MAX);
            if line.len() > usize::from(is_crlf) {
                if self.request_line_end == 0 {
                    self.request_line_end = self.line_start;
                    let line_end = end - usize::from(is_crlf);
                    let version = bytes[..line_end].last_chunk::<9>();
                    if let Some([b'2'..=b'9']) = version.and_then(|v| v.strip_prefix(b" HTTP/1.")) {
                        self.later_minor_at = u32::try_from(line_end - 1).unwrap_or_default();
                    }
                }
            } else if self.request_line_end != 0 {
                fit(at, false)?;
                let (len, bare) = (at, self.bare);
                return Ok(HeadEnd::At { len, bare });
            } else if at > LEADING_BLANK_BYTES_MAX {
                return Err(Refusal::bad("too many blank lines before the request"));
            }
        }
        self.searched = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        fit(bytes.len(), self.request_line_end == 0)?;
        Ok(HeadEnd::Partial)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The outcome of a search over `bytes`, whole and cut at every position.
    #[track_caller]
    fn check(bytes: &[u8], expected: Result<HeadEnd, u16>) {
        let whole = Scan::default().search(bytes, 1000).map_err(|r| r.status.0);
        assert_eq!(whole, expected);
        let mut scan = Scan::default();
        let mut last = Ok(HeadEnd::Partial);
        for end in 1..=bytes.len() {
            last = scan.search(&bytes[..end], 1000).map_err(|r| r.status.0);
            if last != Ok(HeadEnd::Partial) {
                break;
            }
        }
        assert_eq!(last, expected, "byte by byte");
    }

    #[test]
    fn a_head_ends_at_the_blank_line() {
        check(
            b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
            Ok(HeadEnd::At {
                len: 27,
                bare: false,
            }),
        );
        check(
            b"GET / HTTP/1.1\r\nHost: a\r\n\r\nrest",
            Ok(HeadEnd::At {
                len: 27,
                bare: false,
            }),
        );
        check(
            b"GET / HTTP/1.0\n\n",
            Ok(HeadEnd::At {
                len: 16,
                bare: true,
            }),
        );
        check(b"GET / HTTP/1.1\r\nHost: a\r\n", Ok(HeadEnd::Partial));
        check(b"", Ok(HeadEnd::Partial));
    }

    #[test]
    fn what_begins_like_no_text_is_refused_at_once() {
        // As TLS does, with whatever follows; and what would be too long, or whole.
        check(b"\x16\x03\x01\x02", Err(400));
        check(&[0x16; 2000], Err(400));
        check(b"\x16\r\n\r\n", Err(400));
        check(b"\0", Err(400));
        check(b"\t", Err(400));
        check(b"\r", Ok(HeadEnd::Partial));
    }

    #[test]
    fn blank_lines_before_it_belong_to_it() {
        check(
            b"\r\nGET / HTTP/1.0\r\n\r\n",
            Ok(HeadEnd::At {
                len: 20,
                bare: false,
            }),
        );
        check(
            &[b"\r\n".repeat(9), b"GET / HTTP/1.0\r\n\r\n".to_vec()].concat(),
            Err(400),
        );
    }

    #[test]
    fn mixed_line_ends_are_refused() {
        check(b"GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n", Err(400));
        check(b"GET / HTTP/1.1\nHost: a\r\n", Err(400));
        check(b"GET / HTTP/1.1\r\nHost: a\r\n\n", Err(400));
    }

    #[test]
    fn too_long_is_told_apart() {
        check(
            &[b"GET /".to_vec(), b"a".repeat(REQUEST_LINE_BYTES_MAX)].concat(),
            Err(414),
        );
        check(
            &[b"GET / HTTP/1.1\r\nX: ".to_vec(), b"a".repeat(1000)].concat(),
            Err(431),
        );
    }

    #[test]
    fn what_breaks_two_rules_breaks_the_first_however_it_is_cut() {
        let mixed = b"\nHost: a\r\n\r\n".to_vec();
        check(
            &[
                b"GET / HTTP/1.1\r\nX: ".to_vec(),
                b"a".repeat(1000),
                mixed.clone(),
            ]
            .concat(),
            Err(431),
        );
        check(
            &[b"\r\nGET /".to_vec(), b"a".repeat(1000), mixed].concat(),
            Err(414),
        );
    }

    #[test]
    fn later_minor_versions_are_found() {
        let later = |head: &[u8]| {
            let mut scan = Scan::default();
            let _ = scan.search(head, 1000);
            scan.later_minor_at
        };
        assert_eq!(later(b"GET / HTTP/1.4\r\n\r\n"), 13);
        assert_eq!(later(b"\nGET / HTTP/1.2\n\n"), 14);
        assert_eq!(later(b"GET / HTTP/1.1\r\nX: HTTP/1.4\r\n\r\n"), 0);
        assert_eq!(later(b"GET / HTTP/2.2\r\n\r\n"), 0);
    }
}
