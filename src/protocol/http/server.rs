//! The states of a server's connection, and the table of their changes.
//!
//! ```text
//! ReadingHead ──▶ WritingHeaders ──▶ WritingBody ──▶ Lingering ──▶ Closed
//!      ▲                 │                │
//!      └─────────────────┴────────────────┘  (the connection is kept)
//! ```
//!
//! What lives here: each state as a type that owns exactly what is valid in it, with methods that take it by
//! value and return what follows. It may not know sockets, files, clocks or the log: bytes go in, what is
//! to be sent comes out, and a file is an opaque `F` that somebody else will send.
//! Invariant: bytes are either heard or kept; none is heard twice. Read next: `crate::service::http_server`.

use std::rc::Rc;

use super::body::{BodyError, Drain};
use super::head::{Found, Scan};
use super::request::{Fields, Refusal, Request, later_minor_version};
use super::status::Status;

/// One row of the table of state changes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Transition {
    /// Its number.
    pub number: u8,
    /// The state before.
    pub from: &'static str,
    /// What happens.
    pub input: &'static str,
    /// Under which condition.
    pub when: &'static str,
    /// The state after.
    pub to: &'static str,
    /// What is done.
    pub note: &'static str,
}

macro_rules! transitions {
    ($($number:literal: $from:literal, $input:literal, $when:literal => $to:literal, $note:literal;)*) => {
        &[$(Transition { number: $number, from: $from, input: $input, when: $when, to: $to, note: $note }),*]
    };
}

/// Every state change there is. `ARCHITECTURE.md` shows the same table, and a test compares them.
pub const TRANSITIONS: &[Transition] = transitions! {
    1: "ReadingHead", "bytes", "no blank line yet" => "ReadingHead", "kept; the scan position moves on";
    2: "ReadingHead", "bytes", "head longer than its limit" => "WritingHeaders", "431 (414 for the request line), no reuse";
    3: "ReadingHead", "bytes", "whole head, breaks a rule" => "WritingHeaders", "the status that says so, no reuse";
    4: "ReadingHead", "bytes", "whole head, understood" => "WritingHeaders", "the site is asked, the reply composed";
    5: "ReadingHead", "end of input", "nothing heard" => "Closed", "ordinary farewell";
    6: "ReadingHead", "end of input", "something heard" => "Closed", "cut off; reason logged at debug";
    7: "ReadingHead", "deadline", "nothing heard" => "Closed", "idle for too long";
    8: "ReadingHead", "deadline", "something heard" => "WritingHeaders", "408, no reuse";
    9: "ReadingHead", "shutdown", "nothing heard" => "Closed", "the idle go first";
    10: "ReadingHead", "shutdown", "something heard" => "ReadingHead", "its reply will say `Connection: close`";
    11: "WritingHeaders", "sent n", "headers remain" => "WritingHeaders", "";
    12: "WritingHeaders", "sent n", "headers gone, body remains" => "WritingBody", "";
    13: "Writing*", "sent n", "reply complete, reuse" => "ReadingHead", "leftover bytes are heard before the socket is read again";
    14: "Writing*", "sent n", "reply complete, no reuse" => "Lingering", "write side shut down";
    22: "Writing*", "sent n", "reply complete, the client asked to close and sent nothing more" => "Closed", "no reset can overtake the reply";
    15: "WritingBody", "sent n", "body remains" => "WritingBody", "";
    16: "WritingBody", "file ended early", "body remains" => "Closed", "it shrank: the promised length cannot be kept";
    17: "Writing*", "deadline", "too few bytes moved" => "Closed", "stalled reader";
    18: "Writing*", "shutdown", "" => "same", "reuse is withdrawn";
    19: "Lingering", "bytes", "within its limit" => "Lingering", "thrown away";
    20: "Lingering", "end, deadline, too much" , "" => "Closed", "";
    21: "any", "socket error", "" => "Closed", "reason logged at debug";
};

/// The state of a connection. States are moved, not mutated; `Closed` is what taking one leaves behind.
///
/// `F` is a file, which nothing here looks into; `N` is what its owner notes down for the reply (for the access log).
#[derive(Debug, Default)]
pub enum State<F, N> {
    /// Waiting for a head, or in the middle of one. Idle when nothing has been heard.
    ReadingHead(Reading),
    /// Sending; the head has not gone out whole.
    WritingHeaders(Box<Sending<F, N>>),
    /// Sending; the head has gone out.
    WritingBody(Box<Sending<F, N>>),
    /// Everything is sent; waiting for the peer to hang up.
    Lingering(Linger),
    /// Over.
    #[default]
    Closed,
}

impl<F, N> State<F, N> {
    /// Its name, for the log.
    pub fn name(&self) -> &'static str {
        match self {
            Self::ReadingHead(_) => "ReadingHead",
            Self::WritingHeaders(_) => "WritingHeaders",
            Self::WritingBody(_) => "WritingBody",
            Self::Lingering(_) => "Lingering",
            Self::Closed => "Closed",
        }
    }

    /// Whether it waits for a request of which nothing has come yet.
    pub fn is_idle(&self) -> bool {
        matches!(self, Self::ReadingHead(reading) if reading.is_idle())
    }
}

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

impl Reading {
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
                kept.read_as_1_1();
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
            let source = if later_minor_version(&fresh[..len]).is_some() {
                let mut heard = Box::<Heard>::default();
                heard.keep(fresh);
                let mut kept = Kept { heard, len };
                kept.read_as_1_1();
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
    fn read_as_1_1(&mut self) {
        let at = self.heard.at as usize;
        if let Some(digit) = later_minor_version(&self.heard.rest()[..self.len]) {
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

/// Bytes to be sent: shared with the cache, or made for this reply.
#[derive(Clone, Debug)]
pub enum Bytes {
    /// Kept elsewhere too.
    Shared(Rc<[u8]>),
    /// Made for this reply.
    Own(Vec<u8>),
}

impl AsRef<[u8]> for Bytes {
    fn as_ref(&self) -> &[u8] {
        match self {
            Self::Shared(bytes) => bytes,
            Self::Own(bytes) => bytes,
        }
    }
}

/// A span of a file.
#[derive(Debug)]
pub struct Span<F> {
    /// The file.
    pub file: F,
    /// Where the span begins.
    pub at: u64,
    /// How long it is, in bytes.
    pub len: u64,
}

/// What follows the first bytes of a reply.
#[derive(Debug)]
pub enum Body<F> {
    /// Nothing: all of it is in the first bytes.
    Nothing,
    /// A span of a file.
    Span(Span<F>),
    /// Something whose owner makes it piece by piece, when asked ([`Output::Produce`]).
    Produced,
}

/// What is to be sent next.
#[derive(Debug)]
pub enum Output<'a, F> {
    /// Bytes; `more` follow at once.
    Bytes(&'a [u8], bool),
    /// Bytes of a file, from this offset, this many.
    File(&'a F, u64, u64),
    /// The owner must make the next piece ([`Sending::produce`]).
    Produce,
    /// Nothing: the reply is complete.
    Done,
}

/// A reply on its way.
#[derive(Debug)]
pub struct Sending<F, N> {
    bytes: Bytes,
    at: usize,
    head_len: usize,
    body: Body<F>,
    sent: u64,
    /// What came behind the request; `None` once the connection is not to be kept.
    rest: Option<Reading>,
    /// What the owner notes down.
    pub note: N,
}

/// What a reply that has gone out whole leads to.
#[derive(Debug)]
pub enum After {
    /// The connection is kept: hear what came behind the request, then wait for more.
    Keep(Reading),
    /// It is not.
    Close,
}

impl<F, N> Sending<F, N> {
    /// A reply whose head is the first `head_len` of `bytes`. `rest` is what to hear afterwards if the connection is kept.
    pub fn new(
        bytes: Bytes,
        head_len: usize,
        body: Body<F>,
        rest: Option<Reading>,
        note: N,
    ) -> Self {
        Self {
            bytes,
            at: 0,
            head_len,
            body,
            sent: 0,
            rest,
            note,
        }
    }

    /// What is to be sent next. It does no work.
    pub fn output(&self) -> Output<'_, F> {
        let bytes = self.bytes.as_ref().get(self.at..).unwrap_or_default();
        if !bytes.is_empty() {
            return Output::Bytes(bytes, !matches!(self.body, Body::Nothing));
        }
        match &self.body {
            Body::Nothing => Output::Done,
            Body::Span(span) if span.len == 0 => Output::Done,
            Body::Span(span) => Output::File(&span.file, span.at, span.len),
            Body::Produced => Output::Produce,
        }
    }

    /// Told that `n` bytes of that have gone out.
    pub fn moved(&mut self, n: usize) {
        self.sent += n as u64;
        if self.at < self.bytes.as_ref().len() {
            self.at += n;
        } else if let Body::Span(span) = &mut self.body {
            span.at += n as u64;
            span.len = span.len.saturating_sub(n as u64);
        }
    }

    /// Gives the next piece of a body that is [`Body::Produced`], and what follows it.
    pub fn produce(&mut self, piece: Vec<u8>, then: Body<F>) {
        self.bytes = Bytes::Own(piece);
        self.at = 0;
        self.body = then;
    }

    /// Whether the head has gone out whole.
    pub fn head_is_out(&self) -> bool {
        self.sent >= self.head_len as u64
    }

    /// Bytes of the body that have gone out, for the log.
    pub fn body_sent(&self) -> u64 {
        self.sent.saturating_sub(self.head_len as u64)
    }

    /// Withdraws the offer to keep the connection.
    pub fn withdraw_reuse(&mut self) {
        self.rest = None;
    }

    /// The reply is complete: what the owner noted, and what follows.
    pub fn finish(self) -> (N, After) {
        (self.note, self.rest.map_or(After::Close, After::Keep))
    }
}

/// Waiting for the peer to hang up, so that a reset does not overtake the reply.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Linger {
    left: u32,
}

impl Linger {
    /// Lingers for at most `bytes_max` more bytes.
    pub fn new(bytes_max: u64) -> Self {
        Self {
            left: u32::try_from(bytes_max).unwrap_or(u32::MAX),
        }
    }

    /// Throws `n` bytes away; `None` when it has been enough.
    #[must_use]
    pub fn throw_away(self, n: usize) -> Option<Self> {
        let left = self.left.checked_sub(u32::try_from(n).ok()?)?;
        Some(Self { left })
    }
}

/// The refusal of a client that did not finish its head in time.
pub const HEAD_TOO_SLOW: Refusal =
    Refusal::new(Status::REQUEST_TIMEOUT, "the head did not come in time");

#[cfg(test)]
mod tests;
