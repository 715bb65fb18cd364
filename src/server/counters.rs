//! idler's own figures: what has happened, in plain numbers, and which clients may see them
//! (`--status`).
//!
//! Counting costs an addition, and for the states of connections a comparison at the end of a
//! drive. Every connection that was accepted is open in one phase, or was closed for one reason. A
//! client that may not see the figures gets what it would get without the option.

use std::time::Duration;

use crate::cli::{Cidr, ServeOptions};
use crate::event_loop::PeerAddress;
use crate::event_loop::clock::Histogram;
use crate::http::proxy::{Origin, is_forwarded, origin};
use crate::http::request::{Method, Request};
use crate::http::status::Status;
use crate::limits::{STATUS_CODES, TURN_LIMITS_MICROS};
use crate::server::clients::is_in;

/// An enum of what is counted, each variant with the word that figures and logs have for it.
macro_rules! counted {
    ($(#[$about:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident $word:literal,)* }) => {
        $(#[$about])*
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub enum $name {
            $($(#[$doc])* $variant,)*
        }

        impl $name {
            /// The words, in order.
            pub const WORDS: &[&str] = &[$($word),*];

            /// Each word with its count.
            pub fn with_words(counts: &[u64]) -> impl Iterator<Item = (&'static str, u64)> {
                Self::WORDS.iter().copied().zip(counts.iter().copied())
            }
        }
    };
}

counted! {
    /// Why a connection was closed.
    Close {
        /// As agreed, after the last reply.
        Done "done",
        /// The client hung up between requests.
        Peer "client",
        /// The client hung up in the middle of a request.
        CutOff "cut_off",
        /// `--idle-timeout`.
        Idle "idle_timeout",
        /// `--head-timeout`.
        HeadTimeout "head_timeout",
        /// `--stall-timeout`, or slower than the least rate.
        Stalled "stall_timeout",
        /// The client did not hang up after the last reply.
        LingerTimeout "linger_timeout",
        /// It sent more after the last reply than is thrown away.
        LingerBytes "linger_bytes",
        /// The body of a request broke a rule, or was too long.
        Malformed "malformed_body",
        /// What a proxy sent before its client's bytes was no header of the PROXY protocol.
        ProxyHeader "proxy_header",
        /// The client of a proxy is not in `--allow`.
        Stranger "allow",
        /// The client of a proxy has too many connections.
        Crowding "max_per_address",
        /// The file became shorter than promised.
        FileShrank "file_shrank",
        /// A directory could not be read on, or all listings together held too much.
        Listing "listing",
        /// An error of the socket.
        Error "error",
        /// The server stops.
        Shutdown "shutdown",
        /// Dropped to make room for a newcomer.
        MadeRoom "made_room",
    }
}

counted! {
    /// Why a new connection was not let in.
    Refused {
        /// `--max-connections`, and no connection is idle: 503.
        MaxConnections "max_connections",
        /// No descriptor is left, or no memory for one: 503.
        Descriptors "descriptors",
        /// `--max-per-address`: 503.
        Crowding "max_per_address",
        /// Not in `--allow`: hung up on.
        Stranger "allow",
    }
}

counted! {
    /// What a connection is at.
    Phase {
        /// Nothing of a request has come.
        Idle "idle",
        /// In the middle of a head, or of a body that is thrown away.
        Reading "reading",
        /// A reply is on its way.
        Writing "writing",
        /// Everything is sent; the client is to hang up.
        Lingering "lingering",
        /// It is over.
        Closed "closed",
    }
}

/// The counters of a server.
#[derive(Debug)]
pub struct Counters {
    /// Connections accepted.
    pub accepted: u64,
    /// Bytes that came from clients.
    pub received: u64,
    /// Bytes that went out to them.
    pub sent: u64,
    /// Connections closed, by [`Close`].
    pub closes: [u64; Close::WORDS.len()],
    /// Connections not let in, by [`Refused`].
    pub refused: [u64; Refused::WORDS.len()],
    /// Connections open, by [`Phase`]. Only differences matter, so that they may wrap.
    pub phases: [u64; Phase::WORDS.len()],
    replies: Box<[u64; STATUS_CODES]>,
}

impl Default for Counters {
    fn default() -> Self {
        Self {
            accepted: 0,
            received: 0,
            sent: 0,
            closes: Default::default(),
            refused: Default::default(),
            phases: Default::default(),
            replies: Box::new([0; STATUS_CODES]),
        }
    }
}

impl Counters {
    /// A connection was closed.
    pub fn close(&mut self, why: Close) {
        self.closes[why as usize] += 1;
    }

    /// A new connection was not let in.
    pub fn refuse(&mut self, why: Refused) {
        self.refused[why as usize] += 1;
    }

    /// A reply was begun.
    pub fn reply(&mut self, status: Status) {
        if let Some(count) = self.replies.get_mut(usize::from(status.0)) {
            *count += 1;
        }
    }

    /// The codes that were sent, and how often.
    pub fn replies(&self) -> impl Iterator<Item = (usize, u64)> {
        let counts = self.replies.iter().copied().enumerate();
        counts.filter(|(_, count)| *count > 0)
    }

    /// A new connection got a slot, and is in this phase.
    pub fn enter(&mut self, phase: Phase) {
        self.phases[phase as usize] = self.phases[phase as usize].wrapping_add(1);
    }

    /// A connection went from one phase to another.
    pub fn pass(&mut self, from: Phase, to: Phase) {
        if from != to {
            self.phases[from as usize] = self.phases[from as usize].wrapping_sub(1);
            self.enter(to);
        }
    }
}

/// What a client is told by `explain` that may not see the figures.
pub(crate) const NOT_SHOWN: &str =
    "this machine, Unix sockets and --status-from get idler's figures; everybody else what follows";

/// The page of `--status`.
#[derive(Debug)]
pub struct StatusPage {
    path: Vec<u8>,
    from: Vec<Cidr>,
    /// How long turns took.
    pub turns: Histogram,
}

impl StatusPage {
    /// As the options say; none if they say nothing.
    pub fn new(options: &ServeOptions) -> Option<Box<Self>> {
        let path = options.status.clone()?.into_bytes();
        Some(Box::new(Self {
            path,
            from: options.status_from.clone(),
            turns: Histogram::new(TURN_LIMITS_MICROS.map(Duration::from_micros)),
        }))
    }

    /// Whether this is a request for the figures, from any client.
    pub(crate) fn is_meant(&self, request: &Request<'_>) -> bool {
        let asks = matches!(request.method, Method::Get | Method::Head);
        asks && request.target.path == self.path
    }

    /// Whether its sender may see them: the `client` that a trusted proxy speaks for, else the
    /// `peer`. What a proxy sends on without a trusted word about its client could be from anybody.
    pub(crate) fn is_shown_to(
        &self,
        request: &Request<'_>,
        client: Option<PeerAddress>,
        peer: &dyn Fn() -> PeerAddress,
    ) -> bool {
        let peer = peer();
        let sender = client.unwrap_or(peer);
        let said = origin(request.headers, |_| false) != Origin::Unsaid;
        let is_named = client.is_some() && (sender != peer || said);
        if is_forwarded(request.headers) && !is_named {
            return false;
        }
        let is_local = matches!(sender, PeerAddress::Ip(address) if address.is_loopback());
        is_local || is_in(sender, &self.from)
    }
}
