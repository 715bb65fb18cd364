//! The head of a reply, read leniently.
//!
//! `httparse` would refuse, or pass over in silence, most of what is noted here as odd: so each
//! line is taken apart by hand. Invariant: a head is never longer than [`REPLY_HEAD_BYTES_MAX`],
//! and the search for its end goes on where it stopped.

use crate::http::body::BodyLength;
use crate::http::fields::decimal;
use crate::http::text::printable;
use crate::limits::REPLY_HEAD_BYTES_MAX;

/// The head of a reply.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct ReplyHead {
    /// Minor version: 0 for HTTP/1.0, else 1.
    minor: u8,
    /// 100 to 999.
    pub status: u16,
    /// Names and values in the order they came.
    pub fields: Vec<(String, String)>,
    /// What a server got wrong and a lenient client understands all the same: one line each, for
    /// the user.
    pub odd: Vec<String>,
    /// The head exactly as it came.
    pub raw: Vec<u8>,
    /// How the body that follows ends.
    pub body: BodyLength,
}

/// The lines of a head while they come in.
#[derive(Default, Debug)]
pub(super) struct HeadLines {
    bytes: Vec<u8>,
    /// Blanks before the status line.
    blanks: usize,
    /// Whether `HTTP/` has been seen.
    begun: bool,
}

impl HeadLines {
    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Takes some bytes: returns how many it took, and whether the head is whole.
    ///
    /// # Errors
    /// If this is no head, or it is too long.
    pub(super) fn feed(&mut self, bytes: &[u8]) -> Result<(usize, bool), String> {
        for (i, &byte) in bytes.iter().enumerate() {
            if self.bytes.len() == REPLY_HEAD_BYTES_MAX {
                let why = format!("the reply's head is longer than {REPLY_HEAD_BYTES_MAX} bytes");
                return Err(why);
            }
            self.bytes.push(byte);
            if !self.begun {
                self.begin(byte)?;
            } else if self.bytes.ends_with(b"\n\n") || self.bytes.ends_with(b"\n\r\n") {
                return Ok((i + 1, true));
            }
        }
        Ok((bytes.len(), false))
    }

    /// Skips blanks before the status line, and checks that it begins like one.
    fn begin(&mut self, byte: u8) -> Result<(), String> {
        if self.bytes.len() == self.blanks + 1 && byte.is_ascii_whitespace() {
            self.blanks += 1;
            return Ok(());
        }
        let start = self.bytes.get(self.blanks..).unwrap_or_default();
        let expected = b"HTTP/".get(..start.len()).unwrap_or(b"HTTP/");
        if !start.eq_ignore_ascii_case(expected) {
            return Err(format!("this is not an HTTP reply: {}", printable(start)));
        }
        self.begun = start.len() == b"HTTP/".len();
        Ok(())
    }

    /// Takes the head apart.
    ///
    /// # Errors
    /// If it has no status, or two lengths.
    pub(super) fn parse(self, to_head: bool) -> Result<ReplyHead, String> {
        let mut head = ReplyHead::default();
        let text = self.bytes.trim_ascii_start();
        if text.len() < self.bytes.len() {
            head.note("there are blanks or blank lines before HTTP/");
        }
        for (i, line) in text.split_inclusive(|b| *b == b'\n').enumerate() {
            if line.ends_with(b"\n") && !line.ends_with(b"\r\n") {
                head.note("lines end in LF; HTTP wants CR LF");
            }
            let line = line.strip_suffix(b"\n").unwrap_or(line);
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            if i == 0 {
                head.read_status_line(line)?;
            } else if !line.is_empty() {
                head.read_field_line(line);
            }
        }
        head.raw = self.bytes;
        head.body = head.body_length(to_head)?;
        Ok(head)
    }
}

impl ReplyHead {
    /// The value of the first field of that name.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    /// Whether the connection may be used again once the body is whole (RFC 9112 §9.3).
    pub fn keeps_open(&self) -> bool {
        let options = || self.items("connection");
        let says = |word: &str| options().any(|w| w.eq_ignore_ascii_case(word));
        let open = match self.minor {
            0 => says("keep-alive"),
            _ => !says("close"),
        };
        open && self.body != BodyLength::UntilClose
    }

    fn all<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> {
        let named = self.fields.iter();
        named.filter_map(move |(n, v)| n.eq_ignore_ascii_case(name).then_some(v.as_str()))
    }

    /// The items of the lists in all fields of that name.
    fn items<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> {
        self.all(name).flat_map(|v| v.split(',')).map(str::trim)
    }

    /// Notes something odd, once.
    pub(super) fn note(&mut self, odd: impl Into<String>) {
        let odd = odd.into();
        if !self.odd.contains(&odd) {
            self.odd.push(odd);
        }
    }

    fn read_status_line(&mut self, line: &[u8]) -> Result<(), String> {
        let text = String::from_utf8_lossy(line);
        let mut words = text.split_ascii_whitespace();
        let version = words.next().unwrap_or_default();
        let status = words.next().unwrap_or_default();
        let digits = status.len() == 3 && status.bytes().all(|b| b.is_ascii_digit());
        match status.parse() {
            Ok(status) if digits && status >= 100 => self.status = status,
            _ => {
                return Err(format!(
                    "the status line has no status: {}",
                    printable(line)
                ));
            }
        }
        self.minor = u8::from(version != "HTTP/1.0");
        if !matches!(version, "HTTP/1.0" | "HTTP/1.1") {
            let version = printable(version.as_bytes());
            self.note(format!("the version is {version}; HTTP/1.1 was asked for"));
        }
        if !text.starts_with(&format!("{version} {status} ")) {
            self.note("version, status and reason are not separated by one space each");
        }
        Ok(())
    }

    fn read_field_line(&mut self, line: &[u8]) {
        let text = String::from_utf8_lossy(line);
        if text.starts_with([' ', '\t']) {
            // RFC 9112 §5.2 has forbidden that: it continues the line before.
            self.note("a header line begins with a blank");
            if let Some((_, value)) = self.fields.last_mut() {
                value.push(' ');
                value.push_str(text.trim());
                return;
            }
        }
        let Some((name, value)) = text.split_once(':') else {
            return self.note(format!("a header line has no colon: {}", printable(line)));
        };
        let name = name.trim_start();
        if name.ends_with([' ', '\t']) {
            let name = printable(name.trim_end().as_bytes());
            self.note(format!("there are blanks behind the name {name}"));
        }
        let (name, value) = (name.trim_end().to_owned(), value.trim().to_owned());
        self.fields.push((name, value));
    }

    /// How the body ends (RFC 9112 §6.3).
    fn body_length(&mut self, to_head: bool) -> Result<BodyLength, String> {
        if to_head || matches!(self.status, 100..200 | 204 | 304) {
            return Ok(BodyLength::None);
        }
        let length = self.length()?;
        let codings = self.items("transfer-encoding").map(str::to_ascii_lowercase);
        let mut codings: Vec<String> = codings
            .filter(|coding| !coding.is_empty() && coding != "identity")
            .collect();
        if codings.is_empty() {
            return Ok(length.map_or(BodyLength::UntilClose, BodyLength::Bytes));
        }
        if length.is_some() {
            self.note("Content-Length and Transfer-Encoding contradict each other");
        }
        let body = match codings.pop_if(|last| last == "chunked") {
            Some(_) => BodyLength::Chunked,
            None => BodyLength::UntilClose,
        };
        // The body is given as it came.
        for coding in codings {
            let coding = printable(coding.as_bytes());
            self.note(format!("the transfer coding {coding} is not understood"));
        }
        Ok(body)
    }

    /// `Content-Length`, which may be repeated if it is the same each time (RFC 9110 §8.6).
    fn length(&mut self) -> Result<Option<u64>, String> {
        let (mut found, mut odd) = (None, Vec::new());
        for value in self.items("content-length") {
            match (decimal(value.as_bytes()), found) {
                (Some(n), Some(m)) if n != m => {
                    return Err(format!("the reply has two lengths, {m} and {n}"));
                }
                (Some(n), _) => found = Some(n),
                (None, _) => odd.push(printable(value.as_bytes())),
            }
        }
        for value in odd {
            self.note(format!("Content-Length is not a number: {value}"));
        }
        Ok(found)
    }
}

/// What `Content-Range` says (RFC 9110 §14.4).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ContentRange {
    /// These bytes follow, first and last counted in, of so many if that is known.
    Part {
        /// The first byte.
        first: u64,
        /// The last byte.
        last: u64,
        /// The length of the whole.
        whole: Option<u64>,
    },
    /// There is no such part; the whole has this length.
    Unsatisfied(u64),
}

/// Reads the value of `Content-Range`. `None` if it makes no sense.
pub fn content_range(value: &str) -> Option<ContentRange> {
    let (unit, rest) = value.trim().split_once(' ')?;
    if !unit.eq_ignore_ascii_case("bytes") {
        return None;
    }
    let (range, whole) = rest.trim().split_once('/')?;
    if range == "*" {
        return decimal(whole.as_bytes()).map(ContentRange::Unsatisfied);
    }
    let (first, last) = range.split_once('-')?;
    let (first, last) = (decimal(first.as_bytes())?, decimal(last.as_bytes())?);
    let whole = match whole {
        "*" => None,
        digits => Some(decimal(digits.as_bytes())?),
    };
    let fits = first <= last && whole.is_none_or(|w| last < w);
    fits.then_some(ContentRange::Part { first, last, whole })
}
