//! Which clients may connect, and which client a proxy speaks for.
//!
//! An address is counted once for each of its connections that is alive, however it ends: the count
//! goes down when its [`AddressSlot`] is dropped. A proxy is believed only if its own address is
//! trusted, and a header of the PROXY protocol only before anything else was received. Without the
//! options that ask for it nothing is checked, counted or allocated.

use std::cell::RefCell;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::rc::Rc;

use httparse::Header;

use crate::cli::{Cidr, Proxies, ServeOptions};
use crate::event_loop::PeerAddress;
use crate::http::proxy::{Origin, origin};

/// Connections for each address that has any. No larger than the number of connections.
type Counts = Rc<RefCell<HashMap<IpAddr, u32>>>;

/// What the options say of clients: `--allow`, `--proxy-from`, `--max-per-address`.
#[derive(Debug, Default)]
pub struct ClientLimits {
    /// The addresses that may connect; empty: all.
    allowed: Vec<Cidr>,
    /// The proxies that are believed.
    proxies: Vec<Proxies>,
    /// How many connections each address may have.
    per_address_max: Option<u32>,
    counts: Counts,
}

/// Why a client may not connect.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Rejection {
    /// Its address is not in `--allow`.
    NotAllowed,
    /// Its address has `--max-per-address` connections.
    TooManyFromAddress,
}

impl ClientLimits {
    /// Limits as the options say.
    pub fn new(options: &ServeOptions) -> Self {
        Self {
            allowed: options.allow.clone(),
            proxies: options.proxy_from.clone(),
            per_address_max: options.max_per_address,
            counts: Counts::default(),
        }
    }

    /// Whether there are any.
    pub fn are_set(&self) -> bool {
        self.per_address_max.is_some() || !self.allowed.is_empty() || !self.proxies.is_empty()
    }

    /// Whether a client is a trusted proxy.
    pub fn trusts(&self, client: PeerAddress) -> bool {
        self.proxies.iter().any(|proxies| match proxies {
            Proxies::Network(range) => {
                matches!(client, PeerAddress::Ip(address) if range.contains(address))
            }
            Proxies::Unix => client == PeerAddress::Unix,
        })
    }

    /// Whether `--allow` lets a client be served.
    pub fn allows(&self, client: PeerAddress) -> bool {
        self.allowed.is_empty() || is_in(client, &self.allowed)
    }

    /// Admits a client that has connected; `Some` if its connection is to be tracked.
    ///
    /// # Errors
    /// Why it may not stay. A client that is gone already is not allowed.
    pub fn admit(&self, client: PeerAddress) -> Result<Option<TrackedClient>, Rejection> {
        if self.trusts(client) {
            return Ok(Some(TrackedClient::NewProxy(client)));
        }
        if client == PeerAddress::Unknown || !self.allows(client) {
            return Err(Rejection::NotAllowed);
        }
        let (Some(most), PeerAddress::Ip(address)) = (self.per_address_max, client) else {
            return Ok(None);
        };
        let address = network(address);
        let mut counts = self.counts.borrow_mut();
        let count = counts.entry(address).or_insert(0);
        if *count >= most {
            return Err(Rejection::TooManyFromAddress);
        }
        *count += 1;
        Ok(Some(TrackedClient::Counted(AddressSlot {
            address,
            counts: Rc::clone(&self.counts),
        })))
    }
}

/// Whether one of these networks has this client. A Unix socket's permissions say the same of
/// clients that connect to it.
pub(super) fn is_in(client: PeerAddress, networks: &[Cidr]) -> bool {
    match client {
        PeerAddress::Ip(address) => networks.iter().any(|network| network.contains(address)),
        PeerAddress::Unix => true,
        PeerAddress::Unknown => false,
    }
}

/// What stands for one client: an IPv4 address, or the 64 bits of an IPv6 network, since every
/// household has at least one, with all addresses in it (RFC 6177).
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
    }
}

/// One connection in the count of its address.
#[derive(Debug)]
pub struct AddressSlot {
    address: IpAddr,
    counts: Counts,
}

impl Drop for AddressSlot {
    fn drop(&mut self) {
        let mut counts = self.counts.borrow_mut();
        if let Some(count) = counts.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.address);
            }
        }
    }
}

/// What is known of a connection's client beside the connection.
#[derive(Debug)]
pub enum TrackedClient {
    /// It is counted by its address.
    Counted(AddressSlot),
    /// A trusted proxy of which nothing was received: a header of the PROXY protocol may come.
    NewProxy(PeerAddress),
    /// A trusted proxy, past that header.
    Proxy {
        /// The client that the header named, else the proxy itself.
        speaker: PeerAddress,
        /// That client is counted, too.
        slot: Option<AddressSlot>,
    },
}

impl TrackedClient {
    /// Whether the first bytes may be a header of the PROXY protocol.
    pub fn awaits_proxy_header(&self) -> bool {
        matches!(self, Self::NewProxy(_))
    }

    /// The header of the PROXY protocol is over. The client that it named, if it did, is admitted
    /// as if it had connected itself.
    ///
    /// # Errors
    /// Why that client may not stay.
    pub fn end_proxy_header(
        &mut self,
        named: Option<IpAddr>,
        limits: &ClientLimits,
    ) -> Result<(), Rejection> {
        let Self::NewProxy(own) = *self else {
            return Ok(());
        };
        let named = named.map(PeerAddress::Ip);
        let admitted = named.map_or(Ok(None), |client| limits.admit(client));
        let (speaker, mut slot) = (named.unwrap_or(own), None);
        let result = admitted.map(|client| {
            if let Some(Self::Counted(counted)) = client {
                slot = Some(counted);
            }
        });
        *self = Self::Proxy { speaker, slot };
        result
    }

    /// The client for which a proxy makes a request with these fields; `None` if there is no proxy.
    pub fn of_request(&self, headers: &[Header<'_>], limits: &ClientLimits) -> Option<PeerAddress> {
        let (Self::NewProxy(speaker) | Self::Proxy { speaker, .. }) = *self else {
            return None;
        };
        if !limits.trusts(speaker) {
            return Some(speaker);
        }
        let trusts = |address| limits.trusts(PeerAddress::Ip(address));
        Some(match origin(headers, trusts) {
            Origin::Unsaid => speaker,
            Origin::Address(address) => PeerAddress::Ip(address),
            Origin::Hidden => PeerAddress::Unknown,
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use super::*;

    fn peer(text: &str) -> PeerAddress {
        PeerAddress::Ip(text.parse::<IpAddr>().unwrap().to_canonical())
    }

    fn is_counted(limits: &ClientLimits, text: &str) -> bool {
        let admitted = limits.admit(peer(text));
        matches!(admitted, Ok(Some(TrackedClient::Counted(_))))
    }

    #[test]
    fn a_slot_is_free_again_when_it_is_dropped() {
        let limits = ClientLimits {
            per_address_max: Some(2),
            ..ClientLimits::default()
        };
        let mut slots = Vec::new();
        for address in [
            "10.0.0.1",
            "::ffff:10.0.0.1",
            "2001:db8::1",
            "2001:db8::ffff:1",
        ] {
            match limits.admit(peer(address)) {
                Ok(Some(TrackedClient::Counted(slot))) => slots.push(slot),
                other => panic!("{address}: {other:?}"),
            }
        }
        for address in ["10.0.0.1", "2001:db8::2"] {
            let rejection = limits.admit(peer(address)).unwrap_err();
            assert_eq!(rejection, Rejection::TooManyFromAddress);
        }
        for address in ["10.0.0.2", "2001:db8:0:1::1"] {
            assert!(is_counted(&limits, address));
        }
        slots.remove(0);
        assert!(is_counted(&limits, "10.0.0.1"));
        slots.clear();
        assert!(limits.counts.borrow().is_empty());
    }

    #[test]
    fn without_options_nothing_is_checked() {
        let limits = ClientLimits::default();
        assert!(!limits.are_set());
        assert!(limits.admit(peer("10.0.0.1")).unwrap().is_none());
        assert!(limits.counts.borrow().is_empty());
    }
}
