//! Who asks: whoever is on the other end, or the client of a proxy that is trusted (`--proxy-from`).
//!
//! What lives here: what is known of a connection beside itself. It may not know replies. Invariant: a proxy is believed only
//! if its own address is trusted, and a header of the PROXY protocol only before anything else was heard; connections
//! of which nothing is to be known have no [`ProxiedClient`], and pay for none. Read next: `guests.rs`.

use std::net::IpAddr;

use httparse::Header;

use crate::http::forwarded::{Origin, origin};

use crate::event_loop::Peer;

use crate::server::clients::{AddressSlot, Admission, ClientLimits};

/// Somebody who asks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Client {
    /// From this address.
    Address(IpAddr),
    /// Through a Unix socket.
    Unix,
    /// Gone already, or hidden by a proxy.
    Unknown,
}

impl From<Peer> for Client {
    fn from(peer: Peer) -> Self {
        match peer {
            Peer::Address(address) => Self::Address(address.ip().to_canonical()),
            Peer::Unix => Self::Unix,
            Peer::Gone => Self::Unknown,
        }
    }
}

/// What is known of a connection beside itself. Boxed with it (`TrackedConnection`), so that others do not pay.
#[derive(Debug, Default)]
pub struct ProxiedClient {
    seat: Option<AddressSlot>,
    proxy: Option<Proxy>,
}

/// A trusted proxy on the other end.
#[derive(Debug)]
struct Proxy {
    own: Client,
    introduction: ProxyHeaderState,
}

/// How far the header of the PROXY protocol has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum ProxyHeaderState {
    /// It may come: nothing has been heard.
    Awaited,
    /// It is over; `None`, where it did not come or gave no address.
    Over(Option<IpAddr>),
}

impl ProxiedClient {
    /// Of somebody who has taken a seat.
    pub fn seated(seat: AddressSlot) -> Self {
        Self {
            seat: Some(seat),
            proxy: None,
        }
    }

    /// Of a proxy that is trusted.
    pub fn proxy(own: Client) -> Self {
        Self {
            seat: None,
            proxy: Some(Proxy {
                own,
                introduction: ProxyHeaderState::Awaited,
            }),
        }
    }

    /// Whether the first bytes may be a header of the PROXY protocol.
    pub fn awaits_introduction(&self) -> bool {
        let awaits = |proxy: &Proxy| proxy.introduction == ProxyHeaderState::Awaited;
        self.proxy.as_ref().is_some_and(awaits)
    }

    /// The header of the PROXY protocol is over. Whoever it introduced is asked at the door, as if they had come themselves.
    pub fn introduce(&mut self, address: Option<IpAddr>, guests: &ClientLimits) -> Admission {
        if let Some(proxy) = &mut self.proxy {
            proxy.introduction = ProxyHeaderState::Over(address);
        }
        match address.map(|address| guests.welcome(Client::Address(address))) {
            Some(Admission::Counted(seat)) => {
                self.seat = Some(seat);
                Admission::In
            }
            Some(welcome) => welcome,
            None => Admission::In,
        }
    }

    /// For whom a request with these fields is made, if by a proxy.
    pub fn client(&self, headers: &[Header<'_>], guests: &ClientLimits) -> Option<Client> {
        let proxy = self.proxy.as_ref()?;
        let speaker = match proxy.introduction {
            ProxyHeaderState::Over(Some(address)) => Client::Address(address),
            ProxyHeaderState::Over(None) | ProxyHeaderState::Awaited => proxy.own,
        };
        if !guests.trusts(speaker) {
            return Some(speaker);
        }
        let trusts = |address| guests.trusts(Client::Address(address));
        Some(match origin(headers, trusts) {
            Origin::Unsaid => speaker,
            Origin::Address(address) => Client::Address(address),
            Origin::Hidden => Client::Unknown,
        })
    }
}
