//! Waiting for a head, or in the middle of one.
//!
//! Received bytes are parsed where they lie, and copied only if they must be kept: an incomplete
//! head, or what came behind a request. No byte is parsed twice, and an idle connection keeps none.

use core::net::IpAddr;

use crate::http::body::{BodyDecoder, BodyError};
use crate::http::head::{HeadEnd, Scan};
use crate::http::proxy::{self, ProxyHeader};
use crate::http::status::Refusal;

/// The state of waiting for a head.
#[derive(Debug, Default)]
pub struct Reading {
    kept: Option<Box<Kept>>,
}

/// Bytes that came and were not used up yet. They exist only while there are any.
#[derive(Debug, Default)]
struct Kept {
    bytes: Vec<u8>,
    /// Where what is still of interest begins.
    at: u32,
    scan: Scan,
    /// The rest of a request body, which is discarded first.
    drain: Option<Box<BodyDecoder>>,
}

impl Kept {
    fn rest(&self) -> &[u8] {
        self.bytes.get(self.at as usize..).unwrap_or_default()
    }

    fn skip(&mut self, n: usize) {
        self.at = self.at.saturating_add(u32::try_from(n).unwrap_or(u32::MAX));
    }

    /// Appends what came, drops what was used up, and cuts the memory to fit: this is what a slow
    /// client costs.
    fn append(&mut self, fresh: &[u8]) {
        self.bytes.drain(..self.at as usize);
        self.at = 0;
        // A quarter more than needed once it is long: if bytes come one at a time, each must not
        // copy all of those before it.
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

/// What feeding some bytes has led to.
#[derive(Debug)]
pub enum HeadProgress<'a> {
    /// No blank line yet: more bytes are needed.
    Partial(Reading),
    /// A whole head.
    Whole(Head<'a>),
    /// A rule is broken: say so, and close.
    Refused(Refusal),
    /// The body of the request before breaks a rule. Its answer is out, so there is nothing to say.
    BadBody(BodyError),
}

/// What feeding the first bytes of a trusted proxy has led to.
#[derive(Debug)]
pub enum ProxyHeaderProgress {
    /// Not whole yet: more bytes are needed.
    Partial(Reading),
    /// It is over, or there was none: the address it gave, and what came behind it.
    Over(Option<IpAddr>, Reading),
    /// It breaks a rule: close.
    Malformed(&'static str),
}

impl Reading {
    /// Whether nothing has come.
    pub fn is_idle(&self) -> bool {
        self.kept.is_none()
    }

    /// Whether it keeps bytes that have not been searched: they may hold a whole head.
    pub fn has_leftovers(&self) -> bool {
        self.kept
            .as_ref()
            .is_some_and(|kept| !kept.rest().is_empty() && kept.scan == Scan::default())
    }

    /// Whether it is discarding the body of the request before.
    pub fn is_draining(&self) -> bool {
        self.kept.as_ref().is_some_and(|kept| kept.drain.is_some())
    }

    /// Bytes kept, for the log.
    pub fn kept(&self) -> usize {
        self.kept.as_ref().map_or(0, |kept| kept.rest().len())
    }

    /// Takes what came since the last time. `fresh` may be empty, to search leftovers.
    ///
    /// Never keeps more than `head_bytes_max` and one read. Bounded by the length of `fresh` and
    /// of the leftovers.
    pub fn feed(self, fresh: &[u8], head_bytes_max: usize) -> HeadProgress<'_> {
        if let Some(kept) = self.kept {
            return feed_kept(kept, fresh, head_bytes_max);
        }
        // An idle connection: a head that comes whole is not copied.
        let mut scan = Scan::default();
        let found = match scan.search(fresh, head_bytes_max) {
            Ok(found) => found,
            Err(refusal) => return HeadProgress::Refused(refusal),
        };
        match found {
            HeadEnd::At { len, bare } if scan.later_minor_at == 0 => HeadProgress::Whole(Head {
                source: Source::Fresh(fresh),
                len,
                bare,
            }),
            HeadEnd::Partial if fresh.is_empty() => HeadProgress::Partial(Self::default()),
            HeadEnd::Partial => {
                let mut kept = Box::<Kept>::default();
                kept.scan = scan;
                kept.append(fresh);
                HeadProgress::Partial(Self { kept: Some(kept) })
            }
            HeadEnd::At { .. } => feed_kept(Box::default(), fresh, head_bytes_max),
        }
    }

    /// Takes what came since the last time, before anything else was fed.
    ///
    /// Never keeps more than
    /// [`PROXY_HEADER_BYTES_MAX`](crate::limits::PROXY_HEADER_BYTES_MAX) and one read.
    pub fn feed_proxy_header(self, fresh: &[u8]) -> ProxyHeaderProgress {
        let mut kept = self.kept.unwrap_or_default();
        kept.append(fresh);
        let address = match proxy::read(kept.rest()) {
            Ok(ProxyHeader::Partial) => {
                return ProxyHeaderProgress::Partial(Self { kept: Some(kept) });
            }
            Ok(ProxyHeader::None) => None,
            Ok(ProxyHeader::Header(len, address)) => {
                kept.skip(len);
                address
            }
            Err(wrong) => return ProxyHeaderProgress::Malformed(wrong),
        };
        let kept = (!kept.rest().is_empty()).then_some(kept);
        ProxyHeaderProgress::Over(address, Self { kept })
    }

    /// Bytes of memory that it holds.
    #[cfg(any(test, feature = "fuzz"))]
    pub fn memory(&self) -> usize {
        self.kept.as_ref().map_or(0, |kept| {
            size_of::<Kept>()
                + kept.bytes.capacity()
                + kept.drain.as_ref().map_or(0, |drain| drain.memory())
        })
    }
}

/// Feeds a connection that keeps bytes: a part of a head, or what came behind a request.
fn feed_kept(mut kept: Box<Kept>, fresh: &[u8], head_bytes_max: usize) -> HeadProgress<'_> {
    if !fresh.is_empty() {
        kept.append(fresh);
    }
    if let Some(mut drain) = kept.drain.take() {
        match drain.skip(kept.rest()) {
            Ok(n) => kept.skip(n),
            Err(e) => return HeadProgress::BadBody(e),
        }
        if !drain.is_done() {
            kept.bytes = Vec::new();
            kept.at = 0;
            kept.drain = Some(drain);
            return HeadProgress::Partial(Reading { kept: Some(kept) });
        }
        if kept.rest().is_empty() {
            return HeadProgress::Partial(Reading { kept: None });
        }
    }
    let mut scan = kept.scan;
    match scan.search(kept.rest(), head_bytes_max) {
        Ok(HeadEnd::Partial) => {
            kept.scan = scan;
            kept.append(&[]);
            HeadProgress::Partial(Reading { kept: Some(kept) })
        }
        Ok(HeadEnd::At { len, bare }) => {
            // A client of HTTP/1.2 to 1.9 is served as one of 1.1, which `httparse` insists on.
            if scan.later_minor_at != 0 {
                let at = kept.at as usize + scan.later_minor_at as usize;
                kept.bytes[at] = b'1';
            }
            let source = Source::Kept(kept);
            HeadProgress::Whole(Head { source, len, bare })
        }
        Err(refusal) => HeadProgress::Refused(refusal),
    }
}

/// A whole head, and whatever came behind it.
#[derive(Debug)]
pub struct Head<'a> {
    source: Source<'a>,
    len: usize,
    /// Whether its lines end in LF alone.
    pub bare: bool,
}

/// Where a head lies: mostly still in the read buffer.
#[derive(Debug)]
enum Source<'a> {
    Fresh(&'a [u8]),
    Kept(Box<Kept>),
}

impl Head<'_> {
    /// Its bytes, the blank line included.
    pub fn bytes(&self) -> &[u8] {
        match &self.source {
            Source::Fresh(bytes) => &bytes[..self.len],
            Source::Kept(kept) => &kept.rest()[..self.len],
        }
    }

    /// Done with the head: what is left is the beginning of a body to `drain`, if there is
    /// one, or of the next request.
    pub fn into_rest(self, drain: Option<BodyDecoder>) -> Reading {
        let drain = drain.filter(|d| !d.is_done()).map(Box::new);
        let kept = match self.source {
            Source::Fresh(bytes) if bytes.len() == self.len && drain.is_none() => None,
            Source::Fresh(bytes) => Some(Box::new(Kept {
                bytes: bytes[self.len..].to_vec(),
                drain,
                ..Kept::default()
            })),
            Source::Kept(mut kept) => {
                kept.skip(self.len);
                kept.scan = Scan::default();
                kept.drain = drain;
                (!kept.rest().is_empty() || kept.drain.is_some()).then_some(kept)
            }
        };
        Reading { kept }
    }
}
