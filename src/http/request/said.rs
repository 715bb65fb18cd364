//! What the fields of a request say of host, body, connection and expectations.
//!
//! What lives here: one pass over all fields, which looks at each name once. It may not know the request line.
//! Invariant: a field that may stand once stands once, and a body has one length. Read next: `body.rs`.

use httparse::Header;

use super::{Refusal, Seen, bad, length_of};
use crate::http::body::BodyLength;
use crate::http::status::Status;

/// What the fields say, gathered in one pass.
#[derive(Default)]
pub(super) struct Said<'a> {
    pub(super) host: Option<&'a [u8]>,
    length: Option<&'a [u8]>,
    coding: Option<Coding>,
    pub(super) close: bool,
    pub(super) keep_alive: bool,
    pub(super) expects_continue: bool,
    pub(super) expects_other: bool,
    pub(super) seen: Seen,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Coding {
    Chunked,
    Unknown,
}

impl<'a> Said<'a> {
    /// Hears all of them.
    ///
    /// # Errors
    /// The refusal that one of them deserves.
    pub(super) fn gather(headers: &[Header<'a>]) -> Result<Self, Refusal> {
        let mut said = Self::default();
        for header in headers {
            said.hear(header)?;
        }
        Ok(said)
    }

    fn hear(&mut self, header: &Header<'a>) -> Result<(), Refusal> {
        let name = header.name;
        let is = |other: &str| name.eq_ignore_ascii_case(other);
        // By length first: most names differ from all others in it.
        match name.len() {
            4 if is("Host") => once(
                &mut self.host,
                header.value,
                "there are several Host fields",
            )?,
            5 if is("Range") => self.see(Seen::RANGE),
            6 if is("Accept") => self.see(Seen::ACCEPT),
            6 if is("Expect") => {
                if header.value.eq_ignore_ascii_case(b"100-continue") {
                    self.expects_continue = true;
                } else {
                    self.expects_other = true;
                }
            }
            6 if is("Origin") => self.see(Seen::ORIGIN),
            8 if is("If-Match") || is("If-Range") => self.see(Seen::CONDITION),
            9 if is("Forwarded") => self.see(Seen::FORWARDED),
            10 if is("Connection") => self.hear_connection(header.value),
            13 if is("If-None-Match") => self.see(Seen::CONDITION),
            13 if is("Authorization") => self.see(Seen::AUTHORIZATION),
            14 if is("Content-Length") => {
                once(
                    &mut self.length,
                    header.value,
                    "there are several Content-Length fields",
                )?;
            }
            15 if is("Accept-Encoding") => self.see(Seen::ACCEPT_ENCODING),
            15 if is("X-Forwarded-For") => self.see(Seen::FORWARDED),
            17 if is("If-Modified-Since") => self.see(Seen::CONDITION),
            17 if is("Transfer-Encoding") => self.hear_coding(header.value)?,
            19 if is("If-Unmodified-Since") => self.see(Seen::CONDITION),
            _ => {}
        }
        Ok(())
    }

    fn see(&mut self, what: Seen) {
        self.seen = self.seen.and(what);
    }

    /// RFC 9112 §9.6: `close` wins over everything.
    fn hear_connection(&mut self, value: &[u8]) {
        for option in value.split(|&b| b == b',') {
            let option = option.trim_ascii();
            self.close |= option.eq_ignore_ascii_case(b"close");
            self.keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
        }
    }

    /// RFC 9112 §6.1: chunked once, and last; it is also the only coding known here.
    fn hear_coding(&mut self, value: &[u8]) -> Result<(), Refusal> {
        for coding in value.split(|&b| b == b',') {
            let coding = coding.trim_ascii();
            if coding.is_empty() {
                return Err(bad("Transfer-Encoding is malformed"));
            }
            self.coding = Some(match self.coding {
                None if coding.eq_ignore_ascii_case(b"chunked") => Coding::Chunked,
                Some(Coding::Chunked) => {
                    return Err(bad("chunked is not the last transfer coding"));
                }
                None | Some(Coding::Unknown) => Coding::Unknown,
            });
        }
        Ok(())
    }

    /// RFC 9112 §6.3.
    pub(super) fn body(&self, minor: u8) -> Result<BodyLength, Refusal> {
        match (self.coding, self.length) {
            (Some(_), Some(_)) => Err(bad("Content-Length and Transfer-Encoding together")),
            (Some(_), None) if minor == 0 => Err(bad("Transfer-Encoding in HTTP/1.0")),
            (Some(Coding::Chunked), None) => Ok(BodyLength::Chunked),
            (Some(Coding::Unknown), None) => Err(Refusal::new(
                Status::NOT_IMPLEMENTED,
                "this transfer coding is not known",
            )),
            (None, Some(length)) => {
                match length_of(length).ok_or(bad("Content-Length is malformed"))? {
                    0 => Ok(BodyLength::None),
                    n => Ok(BodyLength::Bytes(n)),
                }
            }
            (None, None) => Ok(BodyLength::None),
        }
    }
}

/// Takes a field that may come once only.
fn once<'a>(
    place: &mut Option<&'a [u8]>,
    value: &'a [u8],
    why: &'static str,
) -> Result<(), Refusal> {
    if place.replace(value).is_some() {
        Err(bad(why))
    } else {
        Ok(())
    }
}
