//! A datagram socket together with its readiness: the only file that moves datagrams.
//!
//! It receives and sends without ever waiting: every call goes through [`Link::attempt`].

use std::net::SocketAddr;

use mio::net::UdpSocket;

use crate::event_loop::readiness::{Attempt, Link, Side};

/// A UDP socket that never waits. The socket itself is public for registering it.
#[derive(Debug)]
pub struct Datagram(pub UdpSocket);

impl Datagram {
    /// Receives one datagram. What does not fit into `into` is cut off by the kernel.
    pub fn receive(&mut self, link: &mut Link, into: &mut [u8]) -> Attempt<(usize, SocketAddr)> {
        let came = link.attempt(Side::Read, || self.0.recv_from(into));
        if let Attempt::Done((n, from)) = &came {
            log::trace!("{} received {n} bytes from {from}", link.key);
            link.charge(*n);
        }
        came
    }

    /// Sends one datagram, whole.
    pub fn send(&mut self, link: &mut Link, bytes: &[u8], to: SocketAddr) -> Attempt<usize> {
        let sent = link.attempt(Side::Write, || self.0.send_to(bytes, to));
        if let Attempt::Done(n) = sent {
            log::trace!("{} sent {n} bytes to {to}", link.key);
            link.charge(n);
        }
        sent
    }
}
