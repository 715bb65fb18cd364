//! What a request head says: method, target, framing, persistence (RFC 9110, RFC 9112).
//!
//! What lives here: from the bytes of a whole head to a [`Request`] that borrows from them, or to the
//! [`Refusal`] that the head deserves. It may not know files or sockets.
//! Invariant: whatever two servers could read differently is refused with 400 and a closed connection.
//! Read next: `said.rs`, `target.rs`.

mod said;

use std::mem::MaybeUninit;

use httparse::Header;

use crate::limits::{HEADER_LINES_MAX, REQUEST_LINE_BYTES_MAX};

use super::fields;
use super::path;
use crate::http::body::BodyLength;
use crate::http::path::Target;
use crate::http::request::said::Said;
use crate::http::status::Status;

/// Why a request is not answered as asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Refusal {
    /// The status that says so.
    pub status: Status,
    /// In words: for the log, and for the page that is sent.
    pub why: &'static str,
}

impl Refusal {
    /// A refusal.
    pub const fn new(status: Status, why: &'static str) -> Self {
        Self { status, why }
    }
}

const fn bad(why: &'static str) -> Refusal {
    Refusal::new(Status::BAD_REQUEST, why)
}

/// What is asked for (RFC 9110 §9).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Method {
    /// Send the representation.
    Get,
    /// Send what GET would, without the body.
    Head,
    /// Say what is possible.
    Options,
    /// Known, but nothing a server of files does.
    Other,
    /// Not known at all.
    Unknown,
}

/// Which of the fields came that may change the answer to a plain GET: whoever sent none of them is
/// answered without looking at fields at all.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Seen(u16);

impl Seen {
    /// `If-Match`, `If-None-Match`, `If-Modified-Since`, `If-Unmodified-Since`, `If-Range`.
    pub const CONDITION: Self = Self(1);
    /// `Range`.
    pub const RANGE: Self = Self(2);
    /// `Accept-Encoding`.
    pub const ACCEPT_ENCODING: Self = Self(4);
    /// `Accept`.
    pub const ACCEPT: Self = Self(8);
    /// `Authorization`.
    pub const AUTHORIZATION: Self = Self(16);
    /// `Origin`.
    pub const ORIGIN: Self = Self(32);
    /// `Forwarded` or `X-Forwarded-For`.
    pub const FORWARDED: Self = Self(64);

    /// Whether any of `these` came.
    pub fn any(self, these: Self) -> bool {
        self.0 & these.0 != 0
    }

    /// These and those.
    #[must_use]
    pub const fn and(self, those: Self) -> Self {
        Self(self.0 | those.0)
    }
}

/// Room for the fields of one head. On the stack, and not cleared: 100 fields would cost 3,200 bytes of
/// writing for each request.
#[derive(Debug)]
pub struct Fields<'a>([MaybeUninit<Header<'a>>; HEADER_LINES_MAX]);

impl Fields<'_> {
    /// Room for [`HEADER_LINES_MAX`] fields.
    #[expect(
        clippy::new_without_default,
        reason = "3 KiB of stack should be asked for by name"
    )]
    pub fn new() -> Self {
        Self([const { MaybeUninit::uninit() }; HEADER_LINES_MAX])
    }
}

/// A request, understood.
#[derive(Debug)]
pub struct Request<'a> {
    /// The method.
    pub method: Method,
    /// Its name as sent.
    pub method_name: &'a str,
    /// The target.
    pub target: Target<'a>,
    /// The target as sent.
    pub raw_target: &'a [u8],
    /// The minor version: 0 or 1. Anything above 1.1 is served as 1.1 (RFC 9110 §2.5).
    pub minor: u8,
    /// The host asked for, from the target or else the `Host` field; without port, as sent.
    pub host: Option<&'a [u8]>,
    /// How long the body is.
    pub body: BodyLength,
    /// Whether the client wants the connection kept (RFC 9112 §9.3).
    pub keep_alive: bool,
    /// Whether the client waits for a go-ahead before it sends the body (RFC 9110 §10.1.1).
    pub expects_continue: bool,
    /// Which of the interesting fields came.
    pub seen: Seen,
    /// All fields.
    pub headers: &'a [Header<'a>],
}

impl<'a> Request<'a> {
    /// Reads a whole head. `bare` says that its lines end in LF alone. Bounded by its length.
    ///
    /// # Errors
    /// The refusal it deserves. After any of them the connection must be closed: where the next
    /// request begins is not certain.
    pub fn parse<'h: 'a>(
        head: &'h [u8],
        bare: bool,
        fields: &'a mut Fields<'h>,
    ) -> Result<Self, Refusal> {
        let mut parsed = httparse::Request::new(&mut []);
        match parsed.parse_with_uninit_headers(head, &mut fields.0) {
            Ok(httparse::Status::Complete(len)) if len == head.len() => {}
            Ok(_) => return Err(bad("the head is malformed")),
            Err(e) => return Err(refusal_of(e, head)),
        }
        let method_name = parsed.method.unwrap_or_default();
        let raw_target = parsed.path.unwrap_or_default().as_bytes();
        let minor = parsed.version.unwrap_or_default();
        if raw_target.len() > REQUEST_LINE_BYTES_MAX {
            return Err(Refusal::new(
                Status::URI_TOO_LONG,
                "the request line is too long",
            ));
        }
        let headers: &'a [Header<'a>] = parsed.headers;
        let method = method_of(method_name);
        let said = Said::gather(headers)?;

        if minor == 1 && said.host.is_none() {
            return Err(bad("the Host field is missing"));
        }
        let target = path::parse(raw_target, method_name)?;
        let host = match target.authority {
            Some(authority) => {
                Some(path::host_of(authority).ok_or(bad("the target's host is malformed"))?)
            }
            None => None,
        };
        let host = match (host, said.host) {
            (None, Some(field)) => {
                Some(path::host_of(field).ok_or(bad("the Host field is malformed"))?)
            }
            (some, Some(field)) => {
                path::host_of(field).ok_or(bad("the Host field is malformed"))?;
                some
            }
            (some, None) => some,
        };
        let body = said.body(minor)?;
        if bare && body != BodyLength::None {
            return Err(bad("a body after lines that end in LF alone"));
        }
        if said.expects_other && minor == 1 {
            return Err(Refusal::new(
                Status::EXPECTATION_FAILED,
                "only 100-continue can be expected",
            ));
        }
        Ok(Request {
            method,
            method_name,
            target,
            raw_target,
            minor,
            host,
            body,
            keep_alive: if minor == 0 {
                said.keep_alive && !said.close
            } else {
                !said.close
            },
            expects_continue: said.expects_continue && minor == 1,
            seen: said.seen,
            headers,
        })
    }

    /// The values of a field, line by line. Compares names without regard to case.
    pub fn values(&self, name: &'static str) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        fields::lines(self.headers, name)
    }

    /// The first value of a field.
    pub fn value(&self, name: &'static str) -> Option<&'a [u8]> {
        self.values(name).next()
    }
}

fn method_of(name: &str) -> Method {
    match name {
        "GET" => Method::Get,
        "HEAD" => Method::Head,
        "OPTIONS" => Method::Options,
        "POST" | "PUT" | "DELETE" | "PATCH" | "CONNECT" | "TRACE" => Method::Other,
        _ => Method::Unknown,
    }
}

fn refusal_of(error: httparse::Error, head: &[u8]) -> Refusal {
    match error {
        httparse::Error::TooManyHeaders => {
            Refusal::new(Status::FIELDS_TOO_LARGE, "there are too many header lines")
        }
        httparse::Error::Version if asks_for_another_version(head) => Refusal::new(
            Status::VERSION_NOT_SUPPORTED,
            "only HTTP/1.0 and HTTP/1.1 are spoken here",
        ),
        httparse::Error::Version | httparse::Error::Status | httparse::Error::NewLine => {
            bad("the request line is malformed")
        }
        httparse::Error::HeaderName => bad("a field name is malformed"),
        httparse::Error::HeaderValue => bad("a field value is malformed"),
        httparse::Error::Token => bad("the request line is malformed"),
    }
}

/// The version at the end of the first line, if it is a well-formed one: `HTTP/` DIGIT `.` DIGIT.
fn version_of(head: &[u8]) -> Option<(usize, [u8; 2])> {
    let start = head.iter().position(|b| !matches!(b, b'\r' | b'\n'))?;
    let end = start + memchr::memchr(b'\n', head.get(start..)?)?;
    let line = head.get(start..end)?;
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let at = line.len().checked_sub(8)?;
    let [b' ', b'H', b'T', b'T', b'P', b'/', major, b'.', minor] =
        *line.get(at.checked_sub(1)?..)?
    else {
        return None;
    };
    (major.is_ascii_digit() && minor.is_ascii_digit()).then_some((start + at, [major, minor]))
}

fn asks_for_another_version(head: &[u8]) -> bool {
    version_of(head).is_some_and(|(_, version)| version != *b"10" && version != *b"11")
}

/// Where the minor version stands of a head that says HTTP/1.2 to HTTP/1.9: it is to be read as 1.1.
pub(super) fn later_minor_version(head: &[u8]) -> Option<usize> {
    match version_of(head)? {
        (at, [b'1', b'2'..=b'9']) => Some(at + 7),
        _ => None,
    }
}

/// `1*DIGIT`, and no more than fits (RFC 9110 §8.6).
pub(super) fn length_of(value: &[u8]) -> Option<u64> {
    if value.is_empty() {
        return None;
    }
    value.iter().try_fold(0u64, |sum, b| {
        let digit = b.is_ascii_digit().then(|| u64::from(b - b'0'))?;
        sum.checked_mul(10)?.checked_add(digit)
    })
}

#[cfg(test)]
mod tests;
