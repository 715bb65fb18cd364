//! Showing idler's own figures (`--status`).
//!
//! What lives here: who may see them, and the reply; and the time of turns, which is measured only for it. It may not know what
//! the figures are. Invariant: whoever may not see them gets what they would get without the option.
//! Read next: `figures.rs`.

use std::time::Duration;

use crate::cli::{Cidr, ServeOptions};
use crate::http::forwarded::{Origin, is_forwarded, origin};
use crate::http::request::{Method, Request};

use crate::server::clients::Client;

/// What a client is told by `explain` that may not see the figures.
pub(crate) const NOT_SHOWN: &str =
    "this machine, Unix sockets and --status-from get idler's figures; everybody else what follows";

/// See the module.
#[derive(Debug)]
pub struct Status {
    path: Vec<u8>,
    from: Vec<Cidr>,
    /// How long turns took.
    pub turns: Turns,
}

/// How often turns took how long: a histogram.
#[derive(Clone, Copy, Default, Debug)]
pub struct Turns {
    /// One more than there are limits, for what is longer than all.
    counts: [u64; LIMITS.len() + 1],
    /// All of them together.
    pub sum: Duration,
}

/// Upper limits of the buckets, and how they are written: from a single cheap request to a turn that everybody would notice.
const LIMITS: [(Duration, &str); 10] = [
    (Duration::from_micros(10), "0.00001"),
    (Duration::from_micros(30), "0.00003"),
    (Duration::from_micros(100), "0.0001"),
    (Duration::from_micros(300), "0.0003"),
    (Duration::from_millis(1), "0.001"),
    (Duration::from_millis(3), "0.003"),
    (Duration::from_millis(10), "0.01"),
    (Duration::from_millis(30), "0.03"),
    (Duration::from_millis(100), "0.1"),
    (Duration::from_secs(1), "1"),
];

impl Turns {
    /// A turn is over.
    pub fn add(&mut self, time: Duration) {
        self.sum += time;
        let bucket = LIMITS.iter().position(|(limit, _)| time <= *limit);
        self.counts[bucket.unwrap_or(LIMITS.len())] += 1;
    }

    /// For each limit, how many took so long at most.
    pub fn up_to(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let limits = LIMITS.iter().map(|(_, limit)| *limit).chain(["+Inf"]);
        limits.zip(self.counts.iter().scan(0, |sum, count| {
            *sum += count;
            Some(*sum)
        }))
    }

    /// How many there were.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }
}

impl Status {
    /// As the options say; none if they say nothing.
    pub fn new(options: &ServeOptions) -> Option<Box<Self>> {
        let path = options.status.clone()?.into_bytes();
        Some(Box::new(Self {
            path,
            from: options.status_from.clone(),
            turns: Turns::default(),
        }))
    }

    /// Whether this is a request for the figures, whoever makes it.
    pub(crate) fn is_meant(&self, request: &Request<'_>) -> bool {
        let asks = matches!(request.method, Method::Get | Method::Head);
        asks && request.target.path == self.path
    }

    /// Whether its sender may see them: the `client` that a trusted proxy speaks for, else the `peer`. What a proxy sends on
    /// without a trusted word about its client could be from anybody.
    pub(crate) fn is_shown_to(
        &self,
        request: &Request<'_>,
        client: Option<Client>,
        peer: &dyn Fn() -> Client,
    ) -> bool {
        let peer = peer();
        let sender = client.unwrap_or(peer);
        let said = origin(request.headers, |_| false) != Origin::Unsaid;
        let is_named = client.is_some() && (sender != peer || said);
        if is_forwarded(request.headers) && !is_named {
            return false;
        }
        match sender {
            Client::Address(address) => {
                address.is_loopback() || self.from.iter().any(|range| range.contains(address))
            }
            Client::Unix => true,
            Client::Unknown => false,
        }
    }
}
