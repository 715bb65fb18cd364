//! Who may connect: addresses that are allowed, and how often each may be here.
//!
//! What lives here: the question asked at the door, and the count of those inside. It may not know what is spoken.
//! Invariant: an address is counted once for each of its connections that is alive, however it ends: the count goes down
//! when its [`AddressSlot`] is dropped. Without the options nothing is asked, counted or allocated.
//! Read next: `door.rs`.

use std::cell::RefCell;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::rc::Rc;

use crate::cli::{Cidr, Proxies};
use crate::event_loop::{Context, Next};

use crate::server::client_addr::{Client, ProxiedClient};
use crate::server::connection::HttpConnection;
use crate::server::handlers::Server;

type Counts = Rc<RefCell<HashMap<IpAddr, u32>>>;

/// See the module.
#[derive(Debug, Default)]
pub struct ClientLimits {
    /// Whose addresses may connect; empty: everybody's.
    allowed: Vec<Cidr>,
    /// Who is believed whom they speak for.
    proxies: Vec<Proxies>,
    /// How often each address may be here.
    per_address_max: Option<u32>,
    /// No larger than the number of connections.
    counts: Counts,
}

/// What is said at the door.
#[derive(Debug)]
pub enum Admission {
    /// Come in.
    In,
    /// Come in: a trusted proxy, which speaks for somebody else.
    Proxy,
    /// Come in, and be counted.
    Counted(AddressSlot),
    /// This address may not connect.
    NotAllowed,
    /// This address is here often enough.
    TooManyFromAddress,
}

/// A place taken by an address.
#[derive(Debug)]
pub struct AddressSlot {
    address: IpAddr,
    counts: Counts,
}

/// A connection of which something is to be known. Boxed, so that others cost nothing for it.
#[derive(Debug)]
pub struct TrackedConnection {
    /// The connection.
    pub connection: HttpConnection,
    standing: ProxiedClient,
}

impl ClientLimits {
    /// ClientLimits as the options say.
    pub fn new(allowed: &[Cidr], proxies: &[Proxies], per_address_max: Option<u32>) -> Self {
        Self {
            allowed: allowed.to_vec(),
            proxies: proxies.to_vec(),
            per_address_max,
            counts: Counts::default(),
        }
    }

    /// Whether there is anything to ask.
    pub fn are_asked(&self) -> bool {
        self.per_address_max.is_some() || !self.allowed.is_empty() || !self.proxies.is_empty()
    }

    /// Whether somebody is a proxy that is believed.
    pub fn trusts(&self, who: Client) -> bool {
        self.proxies.iter().any(|proxies| match (proxies, who) {
            (Proxies::Network(range), Client::Address(address)) => range.contains(address),
            (Proxies::Unix, Client::Unix) => true,
            (Proxies::Network(_), Client::Unix | Client::Unknown)
            | (Proxies::Unix, Client::Address(_) | Client::Unknown) => false,
        })
    }

    /// Whether a client may be served. Of a Unix socket its permissions say who may connect.
    pub fn allows(&self, who: Client) -> bool {
        self.allowed.is_empty()
            || match who {
                Client::Address(address) => self.allowed.iter().any(|r| r.contains(address)),
                Client::Unix => true,
                Client::Unknown => false,
            }
    }

    /// Says to a newcomer whether it may come in. Whoever has hung up already may not.
    pub fn welcome(&self, who: Client) -> Admission {
        if self.trusts(who) {
            return Admission::Proxy;
        }
        if who == Client::Unknown || !self.allows(who) {
            return Admission::NotAllowed;
        }
        let (Some(most), Client::Address(address)) = (self.per_address_max, who) else {
            return Admission::In;
        };
        let address = network(address);
        let mut counts = self.counts.borrow_mut();
        let count = counts.entry(address).or_insert(0);
        if *count >= most {
            return Admission::TooManyFromAddress;
        }
        *count += 1;
        Admission::Counted(AddressSlot {
            address,
            counts: Rc::clone(&self.counts),
        })
    }
}

/// What stands for one client: an IPv4 address, or the 64 bits of an IPv6 network, of which every household has at least
/// one and all addresses in it (RFC 6177).
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
    }
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

impl TrackedConnection {
    /// A connection, and what is known of it.
    pub fn new(connection: HttpConnection, standing: ProxiedClient) -> Box<Self> {
        Box::new(Self {
            connection,
            standing,
        })
    }

    /// See [`HttpConnection::drive`].
    pub fn drive(&mut self, cx: &mut Context<'_, Server>) -> Next {
        self.connection.drive(Some(&mut self.standing), cx)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use super::*;

    fn peer(text: &str) -> Client {
        Client::Address(text.parse::<IpAddr>().unwrap().to_canonical())
    }

    #[test]
    fn a_seat_is_free_again_when_it_is_dropped() {
        let guests = ClientLimits::new(&[], &[], Some(2));
        let mut seats = Vec::new();
        for address in [
            "10.0.0.1",
            "::ffff:10.0.0.1",
            "2001:db8::1",
            "2001:db8::ffff:1",
        ] {
            match guests.welcome(peer(address)) {
                Admission::Counted(seat) => seats.push(seat),
                other @ (Admission::In
                | Admission::Proxy
                | Admission::NotAllowed
                | Admission::TooManyFromAddress) => {
                    panic!("{address}: {other:?}")
                }
            }
        }
        for address in ["10.0.0.1", "2001:db8::2"] {
            assert!(matches!(
                guests.welcome(peer(address)),
                Admission::TooManyFromAddress
            ));
        }
        for address in ["10.0.0.2", "2001:db8:0:1::1"] {
            assert!(matches!(
                guests.welcome(peer(address)),
                Admission::Counted(_)
            ));
        }
        seats.remove(0);
        assert!(matches!(
            guests.welcome(peer("10.0.0.1")),
            Admission::Counted(_)
        ));
        seats.clear();
        assert!(guests.counts.borrow().is_empty());
    }

    #[test]
    fn switched_off_nobody_is_asked() {
        let guests = ClientLimits::default();
        assert!(!guests.are_asked());
        assert!(matches!(guests.welcome(peer("10.0.0.1")), Admission::In));
        assert!(guests.counts.borrow().is_empty());
    }
}
