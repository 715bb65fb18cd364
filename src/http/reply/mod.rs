//! The other half of HTTP: what a client sends, and what it makes of the answer.
//!
//! What lives here: the request as bytes, and the machine that takes a reply apart. It may not know sockets or files.
//! Where the server's half is strict (it must not be talked into anything), this half is lenient: who
//! learns to write a server wants to see what came, and be told what was wrong with it. So oddities
//! are collected, and only what leaves no sense at all is an error.
//!
//! Invariant: the same bytes give the same events, however they are cut, but for the cuts of the body.
//! Read next: `head.rs`, `body.rs`, `url.rs`.

pub mod body;
pub mod head;

use std::fmt;

pub use crate::http::reply::body::{Body, Framing};
pub use crate::http::reply::head::{Head, Oddity};
pub use crate::http::url::{BadUrl, Url};

/// Why a reply makes no sense.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Broken {
    /// The connection was closed before anything came.
    Nothing,
    /// What came does not begin like a reply (its start, printable).
    NotHttp(String),
    /// The status line has no status (the line, printable).
    StatusLine(String),
    /// The head is longer than this many bytes.
    HeadTooLong(usize),
    /// Two lengths of the body that contradict each other.
    Lengths(String, String),
    /// A chunk's size is none (the line, printable), or too large.
    ChunkSize(String),
    /// A chunk is longer or shorter than it said.
    ChunkEnd,
    /// The trailers are longer than this many bytes.
    TrailersTooLong(usize),
    /// The connection was closed before the body was whole.
    CutShort {
        /// Bytes that are missing at least.
        missing: u64,
        /// Whether exactly that many are missing; chunks may have followed.
        exact: bool,
    },
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => f.write_str("the server closed the connection without a reply"),
            Self::NotHttp(start) => write!(f, "this is not an HTTP reply: {start}"),
            Self::StatusLine(line) => write!(f, "the status line has no status: {line}"),
            Self::HeadTooLong(max) => write!(f, "the reply's head is longer than {max} bytes"),
            Self::Lengths(a, b) => write!(f, "the reply has two lengths, {a} and {b}"),
            Self::ChunkSize(line) => write!(f, "the size of a chunk is none: {line}"),
            Self::ChunkEnd => f.write_str("a chunk is not as long as it said"),
            Self::TrailersTooLong(max) => {
                write!(f, "the reply's trailers are longer than {max} bytes")
            }
            Self::CutShort {
                missing: 0,
                exact: false,
            } => f.write_str("the body was cut short: its last chunk is missing"),
            Self::CutShort { missing, exact } => {
                let least = if *exact { "" } else { "at least " };
                let s = if *missing == 1 { " is" } else { "s are" };
                write!(
                    f,
                    "the body was cut short: {least}{missing} byte{s} missing"
                )
            }
        }
    }
}

/// A request without a body.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    /// `GET` or `HEAD`.
    pub method: &'static str,
    /// What for.
    pub url: &'a Url,
    /// Further fields, free of line ends. They replace those of the same name; one with an empty value only
    /// removes it.
    pub fields: &'a [(String, Vec<u8>)],
    /// Whether this is the last request on its connection.
    pub close: bool,
}

impl Request<'_> {
    /// The request as it is sent (RFC 9112 §3, RFC 9110 §7.2).
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = format!("{} {} HTTP/1.1\r\n", self.method, self.url.target).into_bytes();
        let agent = concat!("idler/", env!("CARGO_PKG_VERSION"));
        let host = self.url.authority();
        let connection = if self.close { "close" } else { "keep-alive" };
        let defaults = [
            ("Host", host.as_bytes()),
            ("User-Agent", agent.as_bytes()),
            ("Accept", b"*/*"),
            ("Connection", connection.as_bytes()),
        ];
        let replaced = |name: &str| {
            let mut names = self.fields.iter().map(|(n, _)| n);
            names.any(|n| n.eq_ignore_ascii_case(name))
        };
        let kept = defaults.into_iter().filter(|(name, _)| !replaced(name));
        let own = self.fields.iter().map(|(n, v)| (n.as_str(), v.as_slice()));
        for (name, value) in kept.chain(own.filter(|(_, value)| !value.is_empty())) {
            bytes.extend_from_slice(name.as_bytes());
            bytes.extend_from_slice(b": ");
            bytes.extend_from_slice(value);
            bytes.extend_from_slice(b"\r\n");
        }
        bytes.extend_from_slice(b"\r\n");
        bytes
    }
}

/// What some bytes of a reply turned out to be.
#[derive(PartialEq, Eq, Debug)]
pub enum Event<'a> {
    /// Part of something: more is needed.
    More,
    /// A head with a status of 1xx; another one follows.
    Interim(Head),
    /// The head.
    Head(Head),
    /// Some of the body.
    Data(&'a [u8]),
    /// The reply is whole.
    Done,
}

/// One reply on its way in.
#[derive(Debug)]
pub struct Reply {
    to_head: bool,
    place: Place,
}

#[derive(Debug)]
enum Place {
    Head(head::Lines),
    Body(Body),
}

impl Reply {
    /// Waits for the reply to a `HEAD` request, or to another one.
    pub fn new(to_head: bool) -> Self {
        Self {
            to_head,
            place: Place::Head(head::Lines::default()),
        }
    }

    /// Hears some bytes: returns how many of them it took, and what they were. After [`Event::Done`],
    /// or [`Event::More`] with nothing taken, there is no more to be had from them.
    ///
    /// # Errors
    /// If they make no sense. The machine is of no use then.
    pub fn hear<'a>(&mut self, bytes: &'a [u8]) -> Result<(usize, Event<'a>), Broken> {
        match &mut self.place {
            Place::Head(lines) => {
                let (used, whole) = lines.hear(bytes)?;
                if !whole {
                    return Ok((used, Event::More));
                }
                let head = std::mem::take(lines).parse(self.to_head)?;
                // 101 would be the last of HTTP on this connection, but nobody asked for it.
                if (100..200).contains(&head.status) {
                    return Ok((used, Event::Interim(head)));
                }
                self.place = Place::Body(Body::new(head.framing));
                Ok((used, Event::Head(head)))
            }
            Place::Body(body) if body.is_done() => Ok((0, Event::Done)),
            Place::Body(body) => {
                let (used, data) = body.hear(bytes)?;
                if !data.is_empty() {
                    return Ok((used, Event::Data(data)));
                }
                let done = used > 0 && body.is_done();
                Ok((used, if done { Event::Done } else { Event::More }))
            }
        }
    }

    /// Told that the input has ended. Gives the head if only the end made it whole.
    ///
    /// # Errors
    /// If the reply was not whole.
    pub fn end(&mut self) -> Result<Option<Head>, Broken> {
        match &mut self.place {
            Place::Head(lines) => {
                if lines.is_empty() {
                    return Err(Broken::Nothing);
                }
                let mut head = std::mem::take(lines).parse(self.to_head)?;
                head.odd.push(Oddity::NoBlankLine);
                Body::new(head.framing).end()?;
                self.place = Place::Body(Body::new(Framing::None));
                Ok(Some(head))
            }
            Place::Body(body) => body.end().map(|()| None),
        }
    }

    /// The trailers that came behind a chunked body.
    pub fn trailers(&self) -> &[(String, String)] {
        match &self.place {
            Place::Head(_) => &[],
            Place::Body(body) => body.trailers(),
        }
    }

    /// Whether the reply is whole: whatever comes now belongs to the next one.
    pub fn is_done(&self) -> bool {
        matches!(&self.place, Place::Body(body) if body.is_done())
    }

    /// Whether nothing of the reply has come yet.
    pub fn is_fresh(&self) -> bool {
        matches!(&self.place, Place::Head(lines) if lines.is_empty())
    }
}

#[cfg(test)]
mod tests;
