//! The states of a server's connection, the table of their changes, and a reply on its way.
//!
//! ```text
//! ReadingHead ──▶ WritingHeaders ──▶ WritingBody ──▶ Lingering ──▶ Closed
//!      ▲                 │                │
//!      └─────────────────┴────────────────┘  (the connection is kept)
//! ```
//!
//! Each state owns exactly what is valid in it, and its methods take it by value: a state that was
//! left cannot be used. Nothing here does I/O: received bytes go in, and what to send comes out.

mod reading;

use crate::http::response::{Body, Bytes};

pub use crate::http::state::reading::{Head, HeadProgress, ProxyHeaderProgress, Reading};

/// The state of a connection. States are moved, not mutated; taking one leaves `Closed` behind.
///
/// `R` is a reply on its way: an [`Outgoing`], with what its owner notes about it.
#[derive(Debug, Default)]
pub enum State<R> {
    /// Waiting for a head, or in the middle of one. Idle while nothing of it has come.
    ReadingHead(Reading),
    /// Sending; the head has not gone out whole.
    WritingHeaders(Box<R>),
    /// Sending; the head has gone out.
    WritingBody(Box<R>),
    /// Everything is sent and the write side is shut down; waiting for the peer to close, too,
    /// since a reset could destroy the reply (RFC 9112 §9.6).
    Lingering {
        /// Bytes that came meanwhile, and were discarded.
        discarded: u64,
    },
    /// Over.
    #[default]
    Closed,
}

impl<R> State<R> {
    /// Its name in the log, and in [`TRANSITIONS`].
    pub fn name(&self) -> &'static str {
        match self {
            Self::ReadingHead(_) => "ReadingHead",
            Self::WritingHeaders(_) => "WritingHeaders",
            Self::WritingBody(_) => "WritingBody",
            Self::Lingering { .. } => "Lingering",
            Self::Closed => "Closed",
        }
    }

    /// Whether it waits for a request of which nothing has come yet.
    pub fn is_idle(&self) -> bool {
        matches!(self, Self::ReadingHead(reading) if reading.is_idle())
    }
}

/// One row of the table of state changes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Transition {
    /// Its number, by which each step of a connection names it.
    pub number: u8,
    /// The state before: a name, a beginning of names (`Writing*`), or `any`.
    pub from: &'static str,
    /// What happens.
    pub input: &'static str,
    /// Under which condition.
    pub when: &'static str,
    /// The state after: a name, or `same`.
    pub to: &'static str,
    /// What is done.
    pub note: &'static str,
}

/// Whether the row of this number leads from the one state to the other, both by name. Row 0 stands
/// for a step without any input, which leaves the state as it is.
pub fn is_transition(row: u8, from: &str, to: &str) -> bool {
    let Some(transition) = TRANSITIONS.iter().find(|t| t.number == row) else {
        return row == 0 && from == to;
    };
    let begins = match transition.from.strip_suffix('*') {
        Some(beginning) => from.starts_with(beginning),
        None => transition.from == "any" || transition.from == from,
    };
    begins && (transition.to == to || transition.to == "same" && from == to)
}

macro_rules! transitions {
    ($($number:literal: $from:literal, $input:literal, $when:literal
        => $to:literal, $note:literal;)*) => {
        &[$(Transition {
            number: $number,
            from: $from,
            input: $input,
            when: $when,
            to: $to,
            note: $note,
        }),*]
    };
}

/// Every state change there is. A new one is a row here and in the table of `ARCHITECTURE.md` (a
/// test compares them), a step that names it, and a test called `row_N_…`.
pub const TRANSITIONS: &[Transition] = transitions! {
    1: "ReadingHead", "bytes", "no blank line yet"
        => "ReadingHead", "kept; the scan position moves on";
    2: "ReadingHead", "bytes", "head longer than its limit"
        => "WritingHeaders", "431 (414 for the request line), no reuse";
    3: "ReadingHead", "bytes", "the head breaks a rule"
        => "WritingHeaders", "the status that says so, no reuse";
    4: "ReadingHead", "bytes", "whole head, understood"
        => "WritingHeaders", "the site is asked, the reply composed";
    5: "ReadingHead", "end of input", "nothing received"
        => "Closed", "ordinary end";
    6: "ReadingHead", "end of input", "something received"
        => "Closed", "cut off; reason logged at debug";
    7: "ReadingHead", "deadline", "nothing received"
        => "Closed", "idle for too long";
    8: "ReadingHead", "deadline", "something received"
        => "WritingHeaders", "408, no reuse";
    27: "ReadingHead", "deadline", "in the body of the request before"
        => "Closed", "its answer is out";
    9: "ReadingHead", "shutdown", "nothing received"
        => "Closed", "at once, or a second after it was accepted or answered";
    10: "ReadingHead", "shutdown", "something received"
        => "ReadingHead", "its reply will say `Connection: close`";
    23: "ReadingHead", "bytes", "the body of the request before breaks a rule"
        => "Lingering", "its answer is out, and must not be lost";
    25: "ReadingHead", "bytes", "the client that a PROXY header names has too many connections"
        => "WritingHeaders", "503, no reuse";
    26: "ReadingHead", "bytes", "the PROXY header is malformed, or its client is not allowed"
        => "Closed", "reason logged at debug";
    11: "WritingHeaders", "sent n", "headers remain"
        => "WritingHeaders", "";
    12: "WritingHeaders", "sent n", "headers gone, body remains"
        => "WritingBody", "";
    13: "Writing*", "sent n", "reply complete, reuse"
        => "ReadingHead", "leftover bytes are searched before the socket is read again";
    14: "Writing*", "sent n", "reply complete, no reuse"
        => "Lingering", "write side shut down";
    22: "Writing*", "sent n", "reply complete, the client asked to close and sent nothing more"
        => "Closed", "no reset can overtake the reply";
    15: "WritingBody", "sent n", "body remains"
        => "WritingBody", "";
    24: "WritingBody", "disk", "the file's next bytes are not in memory"
        => "WritingBody", "asleep until they are";
    16: "WritingBody", "file ended early", "body remains"
        => "Closed", "it shrank: the promised length cannot be kept";
    28: "WritingBody", "listing failed", "body remains"
        => "Closed", "the promised end cannot be sent";
    17: "Writing*", "deadline", "too few bytes moved"
        => "Closed", "stalled reader, or a disk that hangs";
    18: "Writing*", "shutdown", ""
        => "same", "reuse is withdrawn";
    19: "Lingering", "bytes", "within its limit"
        => "Lingering", "discarded";
    20: "Lingering", "end, deadline, too much", ""
        => "Closed", "";
    21: "any", "socket error", ""
        => "Closed", "reason logged at debug";
};

/// What is to be sent next.
#[derive(Debug)]
pub enum Output<'a, F> {
    /// Bytes; `true` if more follow at once.
    Bytes(&'a [u8], bool),
    /// Bytes of a file, from this offset, this many.
    Span(&'a F, u64, u64),
    /// The owner must make the next piece ([`Outgoing::produce`]).
    Produce,
    /// Nothing: the reply is complete.
    Done,
}

/// A reply on its way: complete when all that its head promised has gone out.
#[derive(Debug)]
pub struct Outgoing<F> {
    bytes: Bytes,
    at: usize,
    head_len: usize,
    body: Body<F>,
    sent: u64,
    /// What came behind the request; `None` once the connection is not to be kept.
    rest: Option<Reading>,
}

impl<F> Outgoing<F> {
    /// A reply whose head is the first `head_len` of `bytes`. `rest` is what to read afterwards if
    /// the connection is kept.
    pub fn new(bytes: Bytes, head_len: usize, body: Body<F>, rest: Option<Reading>) -> Self {
        Self {
            bytes,
            at: 0,
            head_len,
            body,
            sent: 0,
            rest,
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
            Body::Span(span) => Output::Span(&span.file, span.at, span.len),
            Body::Parts(parts) => Output::Span(&parts.span.file, parts.span.at, parts.span.len),
            Body::Produced => Output::Produce,
        }
    }

    /// Notes that `n` bytes of that have gone out.
    pub fn advance(&mut self, n: usize) {
        self.sent += n as u64;
        if self.at < self.bytes.as_ref().len() {
            self.at += n;
        } else {
            self.body.advance(n);
        }
        // Between two parts of a file, the frame of the next takes the place of what has gone out.
        if self.at >= self.bytes.as_ref().len()
            && let Some(frame) = self.body.next_frame()
        {
            self.bytes = Bytes::Own(frame);
            self.at = 0;
        }
    }

    /// Takes the next piece of a body that is [`Body::Produced`].
    pub fn produce(&mut self, piece: Vec<u8>, is_last: bool) {
        self.bytes = Bytes::Own(piece);
        self.at = 0;
        if is_last {
            self.body = Body::Nothing;
        }
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

    /// The reply is complete: what to read next, or `None` if the connection is not kept.
    pub fn finish(self) -> Option<Reading> {
        self.rest
    }

    /// Bytes of memory that it holds, those shared with the cache excepted.
    #[cfg(any(test, feature = "fuzz"))]
    pub fn memory(&self) -> usize {
        let own = match &self.bytes {
            Bytes::Shared(_) => 0,
            Bytes::Own(bytes) => bytes.capacity(),
        };
        size_of::<Self>() + own + self.rest.as_ref().map_or(0, Reading::memory)
    }
}

#[cfg(test)]
mod tests;
