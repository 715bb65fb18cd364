//! The head of a reply, read leniently.
//!
//! What lives here: finding the end of a head, and taking it apart with a list of what was wrong. It may not know
//! what is done about it. Invariant: a head is never longer than [`REPLY_HEAD_BYTES_MAX`], and its search
//! goes on where it stopped. Read next: `body.rs`.

use std::fmt;

use crate::http::printable::printable;
use crate::limits::REPLY_HEAD_BYTES_MAX;

use super::Broken;
use crate::http::reply::body::Framing;

/// The head of a reply.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Head {
    /// Minor version: 0 for HTTP/1.0, else 1.
    pub minor: u8,
    /// 100 to 999.
    pub status: u16,
    /// What the server calls its status.
    pub reason: String,
    /// Names and values in the order they came.
    pub fields: Vec<(String, String)>,
    /// What was wrong with it.
    pub odd: Vec<Oddity>,
    /// The head exactly as it came.
    pub raw: Vec<u8>,
    /// How the body that follows ends.
    pub framing: Framing,
}

/// What a teaching server gets wrong, and a lenient client understands all the same.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Oddity {
    /// Lines end in LF alone.
    BareLf,
    /// Something blank stands before `HTTP/`.
    LeadingBlank,
    /// The connection was closed before the blank line that ends a head.
    NoBlankLine,
    /// The version is none of HTTP/1.0 and HTTP/1.1 (as written).
    Version(String),
    /// The parts of the status line are not separated by one space each.
    StatusLineSpaces,
    /// A line that has no colon (as written).
    NoColon(String),
    /// Blanks between a name and its colon (the name).
    SpaceBeforeColon(String),
    /// A line that continues the one before (RFC 9112 §5.2 has forbidden it).
    Folded,
    /// `Content-Length` is not a number (as written).
    LengthNotANumber(String),
    /// Both `Content-Length` and `Transfer-Encoding`: the latter counts (RFC 9112 §6.3).
    BothFramings,
    /// A transfer coding that is not understood: the body is given as it came.
    Coding(String),
}

impl fmt::Display for Oddity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BareLf => f.write_str("lines end in LF; HTTP wants CR LF"),
            Self::LeadingBlank => f.write_str("there are blanks or blank lines before HTTP/"),
            Self::NoBlankLine => {
                f.write_str("the connection was closed before the blank line that ends a head")
            }
            Self::Version(v) => write!(f, "the version is {v}; HTTP/1.1 was asked for"),
            Self::StatusLineSpaces => {
                f.write_str("version, status and reason are not separated by one space each")
            }
            Self::NoColon(line) => write!(f, "a header line has no colon: {line}"),
            Self::SpaceBeforeColon(name) => write!(f, "there are blanks behind the name {name}"),
            Self::Folded => f.write_str("a header line begins with a blank"),
            Self::LengthNotANumber(v) => write!(f, "Content-Length is not a number: {v}"),
            Self::BothFramings => {
                f.write_str("Content-Length and Transfer-Encoding contradict each other")
            }
            Self::Coding(c) => write!(f, "the transfer coding {c} is not understood"),
        }
    }
}

impl Head {
    /// The value of the first field of that name.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    /// Whether the connection may be used again once the body is whole (RFC 9112 §9.3).
    pub fn keeps_open(&self) -> bool {
        let says = |word: &str| {
            let mut words = self.all("connection").flat_map(|v| v.split(','));
            words.any(|w| w.trim().eq_ignore_ascii_case(word))
        };
        let open = if self.minor == 0 {
            says("keep-alive")
        } else {
            !says("close")
        };
        open && self.framing != Framing::UntilClose
    }

    fn all<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> {
        let named = self.fields.iter();
        named.filter_map(move |(n, v)| n.eq_ignore_ascii_case(name).then_some(v.as_str()))
    }

    /// Notes something wrong, once.
    fn note(&mut self, odd: Oddity) {
        if !self.odd.contains(&odd) {
            self.odd.push(odd);
        }
    }
}

/// The lines of a head while they come in.
#[derive(Default, Debug)]
pub struct Lines {
    bytes: Vec<u8>,
    /// Where the present line begins.
    line: usize,
    /// Whether the status line has been seen, or begun.
    begun: bool,
}

impl Lines {
    /// Whether nothing has come yet.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Hears some bytes: returns how many it took, and whether the head is whole.
    ///
    /// # Errors
    /// If this is no head, or it is too long.
    pub fn hear(&mut self, bytes: &[u8]) -> Result<(usize, bool), Broken> {
        for (i, &byte) in bytes.iter().enumerate() {
            if self.bytes.len() == REPLY_HEAD_BYTES_MAX {
                return Err(Broken::HeadTooLong(REPLY_HEAD_BYTES_MAX));
            }
            self.bytes.push(byte);
            if !self.begun {
                self.begin(byte)?;
            } else if byte == b'\n' {
                let line = self.bytes.get(self.line..).unwrap_or_default();
                self.line = self.bytes.len();
                if matches!(line, b"\n" | b"\r\n") {
                    return Ok((i + 1, true));
                }
            }
        }
        Ok((bytes.len(), false))
    }

    /// Skips what is blank before the status line, and looks whether there is one.
    fn begin(&mut self, byte: u8) -> Result<(), Broken> {
        if self.bytes.len() == self.line + 1 && byte.is_ascii_whitespace() {
            self.line += 1;
            return Ok(());
        }
        let start = self.bytes.get(self.line..).unwrap_or_default();
        let expected = b"HTTP/".get(..start.len()).unwrap_or(b"HTTP/");
        if !start.eq_ignore_ascii_case(expected) {
            return Err(Broken::NotHttp(printable(start)));
        }
        self.begun = start.len() == b"HTTP/".len();
        Ok(())
    }

    /// Takes the head apart.
    ///
    /// # Errors
    /// If it has no status, or two lengths.
    pub fn parse(self, to_head: bool) -> Result<Head, Broken> {
        let blanks = self.bytes.iter().take_while(|b| b.is_ascii_whitespace());
        let start = blanks.count();
        let mut head = Head {
            minor: 1,
            status: 0,
            reason: String::new(),
            fields: Vec::new(),
            odd: Vec::new(),
            raw: Vec::new(),
            framing: Framing::None,
        };
        if start > 0 {
            head.note(Oddity::LeadingBlank);
        }
        let text = self.bytes.get(start..).unwrap_or_default();
        for (i, line) in text.split_inclusive(|b| *b == b'\n').enumerate() {
            if line.ends_with(b"\n") && !line.ends_with(b"\r\n") {
                head.note(Oddity::BareLf);
            }
            let line = line.strip_suffix(b"\n").unwrap_or(line);
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            if i == 0 {
                head.status_line(line)?;
            } else if !line.is_empty() {
                head.field_line(line);
            }
        }
        head.raw = self.bytes;
        head.framing = head.find_framing(to_head)?;
        Ok(head)
    }
}

impl Head {
    fn status_line(&mut self, line: &[u8]) -> Result<(), Broken> {
        let text = String::from_utf8_lossy(line);
        let mut words = text.split_ascii_whitespace();
        let version = words.next().unwrap_or_default();
        let status = words.next().unwrap_or_default();
        let digits = status.len() == 3 && status.bytes().all(|b| b.is_ascii_digit());
        match status.parse() {
            Ok(status) if digits && status >= 100 => self.status = status,
            _ => return Err(Broken::StatusLine(printable(line))),
        }
        self.reason = words.collect::<Vec<_>>().join(" ");
        self.minor = u8::from(version != "HTTP/1.0");
        if !matches!(version, "HTTP/1.0" | "HTTP/1.1") {
            self.note(Oddity::Version(printable(version.as_bytes())));
        }
        if !text.starts_with(&format!("{version} {status} ")) {
            self.note(Oddity::StatusLineSpaces);
        }
        Ok(())
    }

    fn field_line(&mut self, line: &[u8]) {
        let text = String::from_utf8_lossy(line);
        if text.starts_with([' ', '\t']) {
            self.note(Oddity::Folded);
            if let Some((_, value)) = self.fields.last_mut() {
                value.push(' ');
                value.push_str(text.trim());
                return;
            }
        }
        let Some((name, value)) = text.split_once(':') else {
            self.note(Oddity::NoColon(printable(line)));
            return;
        };
        let name = name.trim_start();
        if name.ends_with([' ', '\t']) {
            self.note(Oddity::SpaceBeforeColon(printable(
                name.trim_end().as_bytes(),
            )));
        }
        let (name, value) = (name.trim_end().to_owned(), value.trim().to_owned());
        self.fields.push((name, value));
    }

    /// How the body ends (RFC 9112 §6.3).
    fn find_framing(&mut self, to_head: bool) -> Result<Framing, Broken> {
        if to_head || matches!(self.status, 100..200 | 204 | 304) {
            return Ok(Framing::None);
        }
        let codings: Vec<String> = self
            .all("transfer-encoding")
            .flat_map(|v| v.split(','))
            .map(|c| c.trim().to_ascii_lowercase())
            .filter(|c| !c.is_empty() && c != "identity")
            .collect();
        let length = self.length()?;
        let Some((last, others)) = codings.split_last() else {
            return Ok(length.map_or(Framing::UntilClose, Framing::Length));
        };
        if length.is_some() {
            self.note(Oddity::BothFramings);
        }
        let chunked = last == "chunked";
        for coding in if chunked { others } else { &codings } {
            self.note(Oddity::Coding(printable(coding.as_bytes())));
        }
        Ok(if chunked {
            Framing::Chunked
        } else {
            Framing::UntilClose
        })
    }

    /// `Content-Length`, which may be repeated if it is the same each time (RFC 9110 §8.6).
    fn length(&mut self) -> Result<Option<u64>, Broken> {
        let values: Vec<String> = self
            .all("content-length")
            .flat_map(|v| v.split(','))
            .map(|v| v.trim().to_owned())
            .collect();
        let mut found: Option<u64> = None;
        for value in values {
            let digits = value.bytes().all(|b| b.is_ascii_digit());
            match (value.parse::<u64>(), found) {
                (Ok(n), Some(m)) if digits && n != m => {
                    return Err(Broken::Lengths(m.to_string(), n.to_string()));
                }
                (Ok(n), _) if digits => found = Some(n),
                _ => self.note(Oddity::LengthNotANumber(printable(value.as_bytes()))),
            }
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
    let number = |s: &str| {
        let digits = !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
        if digits { s.parse::<u64>().ok() } else { None }
    };
    let (unit, rest) = value.trim().split_once(' ')?;
    if !unit.eq_ignore_ascii_case("bytes") {
        return None;
    }
    let (range, whole) = rest.trim().split_once('/')?;
    if range == "*" {
        return number(whole).map(ContentRange::Unsatisfied);
    }
    let (first, last) = range.split_once('-')?;
    let (first, last) = (number(first)?, number(last)?);
    let whole = match whole {
        "*" => None,
        digits => Some(number(digits)?),
    };
    let fits = first <= last && whole.is_none_or(|w| last < w);
    fits.then_some(ContentRange::Part { first, last, whole })
}
