//! What a request head says: method, target, framing, persistence (RFC 9110, RFC 9112).
//!
//! Whatever two servers could read differently is refused with 400, and the connection is closed.

use std::mem::MaybeUninit;

use httparse::Header;

use crate::http::body::BodyLength;
use crate::http::fields;
use crate::http::path::{self, Target};
use crate::http::status::{Refusal, Status};
use crate::limits::{HEADER_LINES_MAX, REQUEST_LINE_BYTES_MAX};

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

/// Which fields came that may change the answer to a plain GET: a request without any of them is
/// answered without another look at its fields.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct HeaderFlags {
    /// `If-Match`, `If-None-Match`, `If-Modified-Since`, `If-Unmodified-Since` or `If-Range`.
    pub condition: bool,
    /// `Range`.
    pub range: bool,
    /// `Accept-Encoding`.
    pub accept_encoding: bool,
}

/// Room for the fields of one head.
pub type Fields<'a> = [MaybeUninit<Header<'a>>; HEADER_LINES_MAX];

/// On the stack, and not cleared: 100 fields would cost 3,200 bytes of writing for each request.
pub const NO_FIELDS: Fields<'static> = [const { MaybeUninit::uninit() }; HEADER_LINES_MAX];

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
    /// Which fields came that may change the answer.
    pub has: HeaderFlags,
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
        match parsed.parse_with_uninit_headers(head, fields) {
            Ok(httparse::Status::Complete(len)) if len == head.len() => {}
            Ok(_) => return Err(Refusal::bad("the head is malformed")),
            Err(e) => return Err(refusal_of(e, head)),
        }
        let method_name = parsed.method.unwrap_or_default();
        let method = match method_name {
            "GET" => Method::Get,
            "HEAD" => Method::Head,
            "OPTIONS" => Method::Options,
            "POST" | "PUT" | "DELETE" | "PATCH" | "CONNECT" | "TRACE" => Method::Other,
            _ => Method::Unknown,
        };
        let raw_target = parsed.path.unwrap_or_default().as_bytes();
        let minor = parsed.version.unwrap_or_default();
        if raw_target.len() > REQUEST_LINE_BYTES_MAX {
            let why = "the request line is too long";
            return Err(Refusal::new(Status::URI_TOO_LONG, why));
        }
        let headers: &'a [Header<'a>] = parsed.headers;
        let fields = ParsedFields::read(headers)?;
        if minor == 1 && fields.host.is_none() {
            return Err(Refusal::bad("the Host field is missing"));
        }
        let target = path::parse(raw_target, method_name)?;
        let checked = |host: Option<&'a [u8]>, why| {
            host.map(|host| path::host_of(host).ok_or_else(|| Refusal::bad(why)))
                .transpose()
        };
        let target_host = checked(target.authority, "the target's host is malformed")?;
        let field_host = checked(fields.host, "the Host field is malformed")?;
        let body = fields.body(minor)?;
        if bare && body != BodyLength::None {
            return Err(Refusal::bad("a body after lines that end in LF alone"));
        }
        if fields.expects_other && minor == 1 {
            let why = "only 100-continue can be expected";
            return Err(Refusal::new(Status::EXPECTATION_FAILED, why));
        }
        Ok(Request {
            method,
            method_name,
            target,
            raw_target,
            minor,
            host: target_host.or(field_host),
            body,
            keep_alive: !fields.close && (minor == 1 || fields.keep_alive),
            expects_continue: fields.expects_continue && minor == 1,
            has: fields.has,
            headers,
        })
    }

    /// The first value of a field. Names are compared without regard to case.
    pub fn value(&self, name: &'static str) -> Option<&'a [u8]> {
        fields::lines(self.headers, name).next()
    }
}

fn refusal_of(error: httparse::Error, head: &[u8]) -> Refusal {
    use httparse::Error;
    match error {
        Error::TooManyHeaders => {
            Refusal::new(Status::FIELDS_TOO_LARGE, "there are too many header lines")
        }
        Error::Version if asks_for_another_version(head) => Refusal::new(
            Status::VERSION_NOT_SUPPORTED,
            "only HTTP/1.0 and HTTP/1.1 are spoken here",
        ),
        Error::HeaderName => Refusal::bad("a field name is malformed"),
        Error::HeaderValue => Refusal::bad("a field value is malformed"),
        Error::Version | Error::Status | Error::NewLine | Error::Token => {
            Refusal::bad("the request line is malformed")
        }
    }
}

/// Whether the request line ends in a version (`HTTP/` DIGIT `.` DIGIT) that is not spoken here.
fn asks_for_another_version(head: &[u8]) -> bool {
    let mut lines = head.split(|&b| b == b'\n');
    let line = lines.find(|line| !line.trim_ascii().is_empty());
    let line = line.map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let end = line.and_then(|line| line.last_chunk::<9>()?.strip_prefix(b" HTTP/"));
    let Some(&[major @ b'0'..=b'9', b'.', minor @ b'0'..=b'9']) = end else {
        return false;
    };
    major != b'1' || minor > b'1'
}

/// What the fields say of host, body, connection and expectations, gathered in one pass.
#[derive(Default)]
struct ParsedFields<'a> {
    host: Option<&'a [u8]>,
    length: Option<&'a [u8]>,
    /// Whether the transfer coding, if there is one, is chunked and nothing else.
    is_chunked: Option<bool>,
    close: bool,
    keep_alive: bool,
    expects_continue: bool,
    expects_other: bool,
    has: HeaderFlags,
}

impl<'a> ParsedFields<'a> {
    fn read(headers: &[Header<'a>]) -> Result<Self, Refusal> {
        let mut fields = Self::default();
        for &Header { name, value } in headers {
            let is = |other: &str| name.eq_ignore_ascii_case(other);
            // By length first: most names differ from all others in it.
            match name.len() {
                4 if is("Host") => {
                    let earlier = fields.host.replace(value);
                    if earlier.is_some() {
                        return Err(Refusal::bad("there are several Host fields"));
                    }
                }
                5 if is("Range") => fields.has.range = true,
                6 if is("Expect") => {
                    let is_continue = value.eq_ignore_ascii_case(b"100-continue");
                    fields.expects_continue |= is_continue;
                    fields.expects_other |= !is_continue;
                }
                8 if is("If-Match") || is("If-Range") => fields.has.condition = true,
                10 if is("Connection") => fields.add_connection(value),
                13 if is("If-None-Match") => fields.has.condition = true,
                14 if is("Content-Length") => {
                    let earlier = fields.length.replace(value);
                    if earlier.is_some() {
                        return Err(Refusal::bad("there are several Content-Length fields"));
                    }
                }
                15 if is("Accept-Encoding") => fields.has.accept_encoding = true,
                17 if is("If-Modified-Since") => fields.has.condition = true,
                17 if is("Transfer-Encoding") => fields.add_coding(value)?,
                19 if is("If-Unmodified-Since") => fields.has.condition = true,
                _ => {}
            }
        }
        Ok(fields)
    }

    /// RFC 9112 §9.6: `close` wins over everything.
    fn add_connection(&mut self, value: &[u8]) {
        for option in value.split(|&b| b == b',') {
            let option = option.trim_ascii();
            self.close |= option.eq_ignore_ascii_case(b"close");
            self.keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
        }
    }

    /// RFC 9112 §6.1: chunked once, and last; it is also the only coding known here.
    fn add_coding(&mut self, value: &[u8]) -> Result<(), Refusal> {
        for coding in value.split(|&b| b == b',') {
            let coding = coding.trim_ascii();
            if coding.is_empty() {
                return Err(Refusal::bad("Transfer-Encoding is malformed"));
            }
            if self.is_chunked == Some(true) {
                return Err(Refusal::bad("chunked is not the last transfer coding"));
            }
            let is_chunked = coding.eq_ignore_ascii_case(b"chunked");
            self.is_chunked = Some(is_chunked && self.is_chunked.is_none());
        }
        Ok(())
    }

    /// RFC 9112 §6.3.
    fn body(&self, minor: u8) -> Result<BodyLength, Refusal> {
        match (self.is_chunked, self.length) {
            (Some(_), Some(_)) => Err(Refusal::bad(
                "Content-Length and Transfer-Encoding together",
            )),
            (Some(_), None) if minor == 0 => Err(Refusal::bad("Transfer-Encoding in HTTP/1.0")),
            (Some(true), None) => Ok(BodyLength::Chunked),
            (Some(false), None) => {
                let why = "this transfer coding is not known";
                Err(Refusal::new(Status::NOT_IMPLEMENTED, why))
            }
            (None, None) => Ok(BodyLength::None),
            (None, Some(length)) => match fields::decimal(length) {
                None => Err(Refusal::bad("Content-Length is malformed")),
                Some(0) => Ok(BodyLength::None),
                Some(n) => Ok(BodyLength::Bytes(n)),
            },
        }
    }
}

#[cfg(test)]
mod tests;
