//! Who may connect: addresses that are allowed, and how often each may be here.
//!
//! What lives here: the question asked at the door, and the count of those inside. It may not know what is spoken.
//! Invariant: an address is counted once for each of its connections that is alive, however it ends: the count goes down
//! when its [`Seat`] is dropped. Without the options nothing is asked, counted or allocated.
//! Read next: `door.rs`.

use std::cell::RefCell;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::rc::Rc;

use crate::cli::Cidr;
use crate::reactor::{Context, Next};

use super::Service;
use super::http_server::HttpConnection;

type Counts = Rc<RefCell<HashMap<IpAddr, u32>>>;

/// See the module.
#[derive(Debug, Default)]
pub struct Guests {
    /// Whose addresses may connect; empty: everybody's.
    allowed: Vec<Cidr>,
    /// How often each address may be here.
    per_address_max: Option<u32>,
    /// No larger than the number of connections.
    counts: Counts,
}

/// What is said at the door.
#[derive(Debug)]
pub enum Welcome {
    /// Come in.
    In,
    /// Come in, and be counted.
    Counted(Seat),
    /// This address may not connect.
    Stranger,
    /// This address is here often enough.
    TooMany,
}

/// A place taken by an address.
#[derive(Debug)]
pub struct Seat {
    address: IpAddr,
    counts: Counts,
}

/// A connection that is counted. Boxed, so that those that are not cost nothing for it.
#[derive(Debug)]
pub struct Guest {
    /// The connection.
    pub connection: HttpConnection,
    _seat: Seat,
}

impl Guests {
    /// Guests as the options say.
    pub fn new(allowed: &[Cidr], per_address_max: Option<u32>) -> Self {
        Self {
            allowed: allowed.to_vec(),
            per_address_max,
            counts: Counts::default(),
        }
    }

    /// Whether there is anything to ask.
    pub fn are_asked(&self) -> bool {
        self.per_address_max.is_some() || !self.allowed.is_empty()
    }

    /// Asks who `peer` is. `None` is somebody who has hung up already.
    pub fn welcome(&self, peer: Option<IpAddr>) -> Welcome {
        let Some(address) = peer.map(|peer| peer.to_canonical()) else {
            return Welcome::Stranger;
        };
        let is_allowed = |range: &Cidr| range.contains(address);
        if !self.allowed.is_empty() && !self.allowed.iter().any(is_allowed) {
            return Welcome::Stranger;
        }
        let Some(most) = self.per_address_max else {
            return Welcome::In;
        };
        let address = network(address);
        let mut counts = self.counts.borrow_mut();
        let count = counts.entry(address).or_insert(0);
        if *count >= most {
            return Welcome::TooMany;
        }
        *count += 1;
        Welcome::Counted(Seat {
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

impl Drop for Seat {
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

impl Guest {
    /// A connection and its seat.
    pub fn new(connection: HttpConnection, seat: Seat) -> Box<Self> {
        Box::new(Self {
            connection,
            _seat: seat,
        })
    }

    /// See [`HttpConnection::drive`].
    pub fn drive(&mut self, cx: &mut Context<'_, Service>) -> Next {
        self.connection.drive(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(text: &str) -> Option<IpAddr> {
        text.parse().ok()
    }

    #[test]
    fn a_seat_is_free_again_when_it_is_dropped() {
        let guests = Guests::new(&[], Some(2));
        let mut seats = Vec::new();
        for address in [
            "10.0.0.1",
            "::ffff:10.0.0.1",
            "2001:db8::1",
            "2001:db8::ffff:1",
        ] {
            match guests.welcome(peer(address)) {
                Welcome::Counted(seat) => seats.push(seat),
                other @ (Welcome::In | Welcome::Stranger | Welcome::TooMany) => {
                    panic!("{address}: {other:?}")
                }
            }
        }
        for address in ["10.0.0.1", "2001:db8::2"] {
            assert!(matches!(guests.welcome(peer(address)), Welcome::TooMany));
        }
        for address in ["10.0.0.2", "2001:db8:0:1::1"] {
            assert!(matches!(guests.welcome(peer(address)), Welcome::Counted(_)));
        }
        seats.remove(0);
        assert!(matches!(
            guests.welcome(peer("10.0.0.1")),
            Welcome::Counted(_)
        ));
        seats.clear();
        assert!(guests.counts.borrow().is_empty());
    }

    #[test]
    fn switched_off_nobody_is_asked() {
        let guests = Guests::default();
        assert!(!guests.are_asked());
        assert!(matches!(guests.welcome(peer("10.0.0.1")), Welcome::In));
        assert!(guests.counts.borrow().is_empty());
    }
}
