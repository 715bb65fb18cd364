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
//! Invariant: a state that has been left cannot be used. Read next: `server/reading.rs`.

mod reading;
mod sending;
mod transitions;

use crate::http::status::{Refusal, Status};

pub use crate::http::state::reading::{Head, Hearing, ProxyHeaderRead, Reading};
pub use crate::http::state::sending::{After, Body, Bytes, FileSpan, Output, Parts, Sending};
pub use crate::http::state::transitions::{TRANSITIONS, Transition};

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
