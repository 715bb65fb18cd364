//! HTTP as a client speaks it: the request on its way out, the reply on its way in.
//!
//! Where the server's half is strict (it must not be talked into anything), this half is lenient: a
//! student who writes a server wants to see what came, and be told what was wrong with it. So
//! oddities are collected, and only a reply that makes no sense at all is an error.
//!
//! Invariant: the same bytes give the same events, however they are cut, but for the cuts of the
//! body.

mod head;

use crate::http::body::{BodyDecoder, BodyLength};
use crate::http::reply::head::HeadLines;
pub use crate::http::reply::head::{ContentRange, ReplyHead, content_range};
use crate::http::url::Url;

/// A request without a body.
#[derive(Clone, Debug)]
pub struct ClientRequest<'a> {
    /// `GET` or `HEAD`.
    pub method: &'static str,
    /// What for.
    pub url: &'a Url,
    /// Further fields, free of line ends. They replace those of the same name; one with an empty
    /// value only removes it.
    pub fields: &'a [(String, Vec<u8>)],
    /// Whether this is the last request on its connection.
    pub close: bool,
}

impl ClientRequest<'_> {
    /// The request as it is sent (RFC 9112 §3, RFC 9110 §7.2).
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = format!("{} {} HTTP/1.1\r\n", self.method, self.url.target).into_bytes();
        let host = self.url.authority();
        let connection = if self.close { "close" } else { "keep-alive" };
        let defaults = [
            ("Host", host.as_str()),
            ("User-Agent", concat!("idler/", env!("CARGO_PKG_VERSION"))),
            ("Accept", "*/*"),
            ("Connection", connection),
        ];
        let replaced = |name: &str| {
            let mut names = self.fields.iter().map(|(n, _)| n);
            names.any(|n| n.eq_ignore_ascii_case(name))
        };
        let defaults = defaults.iter().filter(|(name, _)| !replaced(name));
        let defaults = defaults.map(|(name, value)| (*name, value.as_bytes()));
        let own = self.fields.iter().map(|(n, v)| (n.as_str(), v.as_slice()));
        for (name, value) in defaults.chain(own.filter(|(_, value)| !value.is_empty())) {
            bytes.extend([name.as_bytes(), b": ", value, b"\r\n"].concat());
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
    Interim(ReplyHead),
    /// The head.
    Head(ReplyHead),
    /// Some of the body.
    Data(&'a [u8]),
    /// The reply is whole.
    Done,
}

/// One reply on its way in.
#[derive(Debug)]
pub struct Reply {
    to_head: bool,
    part: ReplyPart,
}

#[derive(Debug)]
enum ReplyPart {
    Head(HeadLines),
    Body(BodyDecoder),
}

impl Reply {
    /// Waits for the reply to a `HEAD` request, or to another one.
    pub fn new(to_head: bool) -> Self {
        Self {
            to_head,
            part: ReplyPart::Head(HeadLines::default()),
        }
    }

    /// Takes some bytes: returns how many of them belong to the reply, and what they were. It
    /// takes at least one until the reply is whole, and none after that.
    ///
    /// # Errors
    /// If they make no sense. The reply must not be used after that.
    pub fn feed<'a>(&mut self, bytes: &'a [u8]) -> Result<(usize, Event<'a>), String> {
        match &mut self.part {
            ReplyPart::Head(lines) => {
                let (used, whole) = lines.feed(bytes)?;
                if !whole {
                    return Ok((used, Event::More));
                }
                let head = std::mem::take(lines).parse(self.to_head)?;
                // 101 would be the last of HTTP on this connection, but no request asks for it.
                if (100..200).contains(&head.status) {
                    return Ok((used, Event::Interim(head)));
                }
                self.part = ReplyPart::Body(BodyDecoder::lenient(head.body));
                Ok((used, Event::Head(head)))
            }
            ReplyPart::Body(body) => {
                let (used, data) = body.feed(bytes).map_err(|error| body.describe(error))?;
                let event = match data {
                    [] if body.is_done() => Event::Done,
                    [] => Event::More,
                    data => Event::Data(data),
                };
                Ok((used, event))
            }
        }
    }

    /// Takes what of `bytes` belongs to the reply; `status` is called when its head is whole.
    ///
    /// # Errors
    /// Like [`feed`](Self::feed).
    pub(crate) fn feed_all(
        &mut self,
        mut bytes: &[u8],
        mut status: impl FnMut(u16),
    ) -> Result<(), String> {
        while !bytes.is_empty() && !self.is_done() {
            let (used, event) = self.feed(bytes)?;
            if let Event::Head(head) = event {
                status(head.status);
            }
            bytes = bytes.get(used..).unwrap_or_default();
        }
        Ok(())
    }

    /// Told that the input has ended. Gives the head if only the end made it whole.
    ///
    /// # Errors
    /// If the reply was not whole.
    pub fn end(&mut self) -> Result<Option<ReplyHead>, String> {
        match &mut self.part {
            ReplyPart::Head(lines) if lines.is_empty() => {
                Err("the server closed the connection without a reply".to_owned())
            }
            ReplyPart::Head(lines) => {
                let mut head = std::mem::take(lines).parse(self.to_head)?;
                head.note("the connection was closed before the blank line that ends a head");
                BodyDecoder::lenient(head.body).end()?;
                self.part = ReplyPart::Body(BodyDecoder::lenient(BodyLength::None));
                Ok(Some(head))
            }
            ReplyPart::Body(body) => body.end().map(|()| None),
        }
    }

    /// The trailers that came behind a chunked body (RFC 9112 §7.1.2).
    pub fn trailers(&self) -> &[(String, String)] {
        match &self.part {
            ReplyPart::Head(_) => &[],
            ReplyPart::Body(body) => body.trailers(),
        }
    }

    /// Whether the reply is whole: what comes now belongs to the next one.
    pub fn is_done(&self) -> bool {
        matches!(&self.part, ReplyPart::Body(body) if body.is_done())
    }

    /// Whether nothing of the reply has come yet.
    pub fn is_fresh(&self) -> bool {
        matches!(&self.part, ReplyPart::Head(lines) if lines.is_empty())
    }
}

#[cfg(test)]
mod tests;
