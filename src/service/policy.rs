//! What options switch on, as data, resolved once at the start.
//!
//! What lives here: the settings that shape an answer. It may not know connections or the loop.
//! Invariant: a request pays only for what is switched on. Read next: `answer.rs`.

use std::time::Duration;

use crate::site::media::MediaTypes;

/// How requests are answered. Read by every request, written by none.
#[derive(Debug)]
pub struct Policy {
    /// Names looked for in a directory, in this order.
    pub indexes: Vec<Vec<u8>>,
    /// Whether a directory without any of them is listed.
    pub listing: bool,
    /// Fields added to every reply that has a representation: whole lines, each with its line end.
    pub extra_lines: Vec<u8>,
    /// Media types by extension that win over all others.
    pub types: MediaTypes,
}

/// How long a connection may take for what.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// For a whole head, from its first byte.
    pub head: Duration,
    /// Between requests.
    pub idle: Duration,
    /// Without a byte of a reply moving.
    pub stall: Duration,
    /// For the peer to hang up, at the end.
    pub linger: Duration,
}
