//! Waiting for a head, or in the middle of one.
//!
//! What lives here: bytes on their way to a whole head, and whatever came behind it. It may not know what a head
//! leads to. Invariant: bytes are either heard or kept; none is heard twice, and an idle connection keeps none.
//! Read next: `sending.rs`.

use core::net::IpAddr;

use crate::http::body::{BodyError, Drain};
use crate::http::head::{Found, Scan};
use crate::http::proxy;
use crate::http::request::{Fields, Request};
use crate::http::status::Refusal;

/// Bytes that came but were not used up yet. They exist only while there are any: an idle connection has none.
#[derive(Debug, Default)]
struct Heard {
    bytes: Vec<u8>,
    /// Where what is still of interest begins.
    at: u32,
    scan: Scan,
    /// A request body that is thrown away first.
    drain: Option<Box<Drain>>,
}

impl Heard {
    fn rest(&self) -> &[u8] {
        self.bytes.get(self.at as usize..).unwrap_or_default()
    }

    fn skip(&mut self, n: usize) {
        self.at = self.at.saturating_add(u32::try_from(n).unwrap_or(u32::MAX));
    }

    /// Adds what came. What was used up goes, and the memory is cut to fit: it is what a slow client costs.
    fn keep(&mut self, fresh: &[u8]) {
        self.bytes.drain(..self.at as usize);
        self.at = 0;
        // A quarter more than needed once it is long: one byte at a time must not copy everything each time.
        let spare = if self.bytes.len() > 512 {
            self.bytes.len() / 4
        } else {
            0
        };
        if self.bytes.capacity() - self.bytes.len() < fresh.len() {
            self.bytes.reserve_exact(fresh.len() + spare);
        }
        self.bytes.extend_from_slice(fresh);
        if self.bytes.capacity() > 2 * self.bytes.len() + 512 {
            self.bytes.shrink_to_fit();
        }
    }
}

/// The state of waiting for a head.
#[derive(Debug, Default)]
pub struct Reading {
    heard: Option<Box<Heard>>,
}

/// What came of hearing some bytes.
#[derive(Debug)]
pub enum Hearing<'a> {
    /// No blank line yet; keep listening.
    More(Reading),
    /// A whole head.
    Head(Head<'a>),
    /// A rule is broken; say so and hang up.
    Refuse(Refusal),
    /// The body of the request before breaks a rule; the answer to it is already out, so just hang up.
    Broken(BodyError),
}

/// What came of hearing what may begin with a header of the PROXY protocol.
#[derive(Debug)]
pub enum ProxyHeaderRead {
    /// Not whole yet; keep listening.
    More(Reading),
    /// It is over, or there was none: the address it gave, and what came behind it.
    Over(Option<IpAddr>, Reading),
    /// It breaks a rule; hang up.
    Broken(proxy::Wrong),
}

impl Reading {
    /// Hears what came since the last time, before anything else was heard.
    ///
    /// Never keeps more than [`PROXY_HEADER_BYTES_MAX`](crate::limits::PROXY_HEADER_BYTES_MAX) and one reading.
    pub fn hear_introduction(self, fresh: &[u8]) -> ProxyHeaderRead {
        let mut heard = self.heard.unwrap_or_default();
        heard.keep(fresh);
        let address = match proxy::read(heard.rest()) {
            Ok(proxy::Found::Partial) => return ProxyHeaderRead::More(Self { heard: Some(heard) }),
            Ok(proxy::Found::None) => None,
            Ok(proxy::Found::Header(len, address)) => {
                heard.skip(len);
                address
            }
            Err(wrong) => return ProxyHeaderRead::Broken(wrong),
        };
        let heard = (!heard.rest().is_empty()).then_some(heard);
        ProxyHeaderRead::Over(address, Self { heard })
    }

    /// Whether nothing has been heard.
    pub fn is_idle(&self) -> bool {
        self.heard.is_none()
    }

    /// Whether bytes are kept that have not been searched: a head may be there without any reading.
    pub fn has_leftovers(&self) -> bool {
        self.heard
            .as_ref()
            .is_some_and(|h| !h.rest().is_empty() && h.scan == Scan::default())
    }

    /// Whether it is the body of the request before that is being thrown away.
    pub fn is_draining(&self) -> bool {
        self.heard.as_ref().is_some_and(|h| h.drain.is_some())
    }

    /// Bytes kept, for the log.
    pub fn kept(&self) -> usize {
        self.heard.as_ref().map_or(0, |h| h.rest().len())
    }

    /// Bytes of memory that it holds.
    #[cfg(any(test, feature = "fuzz"))]
    pub fn memory(&self) -> usize {
        self.heard.as_ref().map_or(0, |h| {
            size_of::<Heard>()
                + h.bytes.capacity()
                + h.drain.as_ref().map_or(0, |_| size_of::<Drain>())
        })
    }

    /// Hears what came since the last time. `fresh` may be empty, to look at leftovers.
    ///
    /// Never keeps more than `head_bytes_max` and one reading. Bounded by the length of `fresh` and of the leftovers.
    pub fn hear(self, fresh: &[u8], head_bytes_max: usize) -> Hearing<'_> {
        let Some(mut heard) = self.heard else {
            return hear_fresh(fresh, head_bytes_max);
        };
        if !fresh.is_empty() {
            heard.keep(fresh);
        }
        if let Some(mut drain) = heard.drain.take() {
            match drain.hear(heard.rest()) {
                Ok(n) => heard.skip(n),
                Err(e) => return Hearing::Broken(e),
            }
            if !drain.is_done() {
                heard.bytes = Vec::new();
                heard.at = 0;
                heard.drain = Some(drain);
                return Hearing::More(Self { heard: Some(heard) });
            }
            if heard.rest().is_empty() {
                return Hearing::More(Self { heard: None });
            }
        }
        let mut scan = heard.scan;
        match scan.search(heard.rest(), head_bytes_max) {
            Ok(Found::Partial) => {
                heard.scan = scan;
                heard.keep(&[]);
                Hearing::More(Self { heard: Some(heard) })
            }
            Ok(Found::End { len, bare }) => {
                let mut kept = Kept { heard, len };
                kept.read_as_1_1(&scan);
                Hearing::Head(Head {
                    source: Source::Kept(kept),
                    bare,
                })
            }
            Err(refusal) => Hearing::Refuse(refusal),
        }
    }
}

fn hear_fresh(fresh: &[u8], head_bytes_max: usize) -> Hearing<'_> {
    let mut scan = Scan::default();
    match scan.search(fresh, head_bytes_max) {
        Ok(Found::Partial) if fresh.is_empty() => Hearing::More(Reading::default()),
        Ok(Found::Partial) => {
            let mut heard = Box::new(Heard {
                scan,
                ..Heard::default()
            });
            heard.keep(fresh);
            Hearing::More(Reading { heard: Some(heard) })
        }
        Ok(Found::End { len, bare }) => {
            let source = if scan.later_minor_version(fresh).is_some() {
                let mut heard = Box::<Heard>::default();
                heard.keep(fresh);
                let mut kept = Kept { heard, len };
                kept.read_as_1_1(&scan);
                Source::Kept(kept)
            } else {
                Source::Fresh(fresh, len)
            };
            Hearing::Head(Head { source, bare })
        }
        Err(refusal) => Hearing::Refuse(refusal),
    }
}

/// A whole head, and whatever came behind it. In the common case it still lies in the read buffer, and was never copied.
#[derive(Debug)]
pub struct Head<'a> {
    source: Source<'a>,
    bare: bool,
}

#[derive(Debug)]
enum Source<'a> {
    Fresh(&'a [u8], usize),
    Kept(Kept),
}

#[derive(Debug)]
struct Kept {
    heard: Box<Heard>,
    len: usize,
}

impl Kept {
    /// A client of HTTP/1.2 to 1.9 is served as one of 1.1, which our parser insists on.
    fn read_as_1_1(&mut self, scan: &Scan) {
        let at = self.heard.at as usize;
        if let Some(digit) = scan.later_minor_version(self.heard.rest()) {
            self.heard.bytes[at + digit] = b'1';
        }
    }
}

impl Head<'_> {
    /// Its bytes, the blank line included.
    pub fn bytes(&self) -> &[u8] {
        match &self.source {
            Source::Fresh(bytes, len) => &bytes[..*len],
            Source::Kept(kept) => &kept.heard.rest()[..kept.len],
        }
    }

    /// Understands it.
    ///
    /// # Errors
    /// The refusal it deserves.
    pub fn request<'a, 'h: 'a>(
        &'h self,
        fields: &'a mut Fields<'h>,
    ) -> Result<Request<'a>, Refusal> {
        Request::parse(self.bytes(), self.bare, fields)
    }

    /// Done with the head: what is left is the beginning of a body to `drain`, or of the next request.
    pub fn into_rest(self, drain: Option<Drain>) -> Reading {
        let drain = drain.filter(|d| !d.is_done()).map(Box::new);
        let heard = match self.source {
            Source::Fresh(bytes, len) if bytes.len() == len && drain.is_none() => None,
            Source::Fresh(bytes, len) => Some(Box::new(Heard {
                bytes: bytes[len..].to_vec(),
                drain,
                ..Heard::default()
            })),
            Source::Kept(Kept { mut heard, len }) => {
                heard.skip(len);
                heard.scan = Scan::default();
                let rest = !heard.rest().is_empty();
                heard.drain = drain;
                (rest || heard.drain.is_some()).then_some(heard)
            }
        };
        Reading { heard }
    }
}
