//! Which clients may see idler's own figures (`--status`), and how long turns took, which is
//! measured only for them.
//!
//! A client that may not see the figures gets what it would get without the option.

use std::time::Duration;

use crate::cli::{Cidr, ServeOptions};
use crate::event_loop::histogram::Histogram;
use crate::http::forwarded::{Origin, is_forwarded, origin};
use crate::http::request::{Method, Request};
use crate::limits::TURN_LIMITS_MICROS;

use crate::event_loop::PeerAddress;

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
        match sender {
            PeerAddress::Ip(address) => {
                address.is_loopback() || self.from.iter().any(|range| range.contains(address))
            }
            PeerAddress::Unix => true,
            PeerAddress::Unknown => false,
        }
    }
}
