//! What the peer has not acknowledged yet: the only sign of life of a reader too slow for its
//! socket to become writable.
//!
//! The kernel is asked by sock_diag(7): the socket option and the ioctl that say the same are out
//! of reach of safe code. It is asked only about sockets that let a deadline pass, and never waited
//! for.

use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;

use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netlink, recv, send, socket_with,
};

/// `SOCK_DIAG_BY_FAMILY`, as a request and in its answer.
const BY_FAMILY: u16 = 20;

/// Of a netlink header.
const HEADER_BYTES: usize = 16;

/// Where the answer has the length of the queue: behind its header, family and state, the identity
/// of the socket, when it expires, and what waits to be read.
const QUEUE_AT: usize = HEADER_BYTES + 4 + 48 + 4 + 4;

/// Bytes sent from `local` to `peer` that `peer` has not acknowledged; `None` if the kernel does
/// not say.
pub(super) fn unacknowledged(local: SocketAddr, peer: SocketAddr) -> Option<u32> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let protocol = Some(netlink::SOCK_DIAG);
    let kernel: OwnedFd =
        socket_with(AddressFamily::NETLINK, SocketType::DGRAM, flags, protocol).ok()?;
    send(&kernel, &question(local, peer)?, SendFlags::empty()).ok()?;
    let mut answer = [0; 256];
    // The kernel has answered before `send` returned.
    let (bytes, _) = recv(&kernel, &mut answer, RecvFlags::empty()).ok()?;
    let answer = answer.get(..bytes)?;
    let kind = u16::from_ne_bytes(answer.get(4..6)?.try_into().ok()?);
    let queue = answer.get(QUEUE_AT..QUEUE_AT + 4)?.try_into().ok()?;
    (kind == BY_FAMILY).then_some(u32::from_ne_bytes(queue))
}

/// `struct nlmsghdr` and `struct inet_diag_req_v2`.
fn question(local: SocketAddr, peer: SocketAddr) -> Option<Vec<u8>> {
    const REQUEST: u16 = 1;
    const TCP: u8 = 6;
    const ANY: [u8; 4] = [0xff; 4];
    let length = u32::try_from(HEADER_BYTES + 56).ok()?;
    let family = if local.is_ipv4() {
        AddressFamily::INET
    } else {
        AddressFamily::INET6
    };
    let mut question = Vec::with_capacity(HEADER_BYTES + 56);
    question.extend(length.to_ne_bytes());
    question.extend(BY_FAMILY.to_ne_bytes());
    question.extend(REQUEST.to_ne_bytes());
    // No number of its own, and no port: there is one answer.
    question.extend([0; 8]);
    question.extend([u8::try_from(family.as_raw()).ok()?, TCP, 0, 0]);
    // In any state.
    question.extend(ANY);
    question.extend(local.port().to_be_bytes());
    question.extend(peer.port().to_be_bytes());
    for address in [local.ip(), peer.ip()] {
        let mut octets = [0; 16];
        match address {
            IpAddr::V4(ip) => octets[..4].copy_from_slice(&ip.octets()),
            IpAddr::V6(ip) => octets = ip.octets(),
        }
        question.extend(octets);
    }
    // Any interface, and whatever cookie.
    let scope = match local {
        SocketAddr::V4(_) => 0,
        SocketAddr::V6(local) => local.scope_id(),
    };
    question.extend(scope.to_ne_bytes());
    question.extend(ANY);
    question.extend(ANY);
    Some(question)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use std::io::{Read as _, Write as _};
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn what_is_not_taken_is_known_to_the_byte() {
        // The last one has IPv4 spoken over a socket of IPv6.
        let cases = [
            ("127.0.0.1:0", "127.0.0.1"),
            ("[::1]:0", "::1"),
            ("[::]:0", "127.0.0.1"),
        ];
        for (address, to) in cases {
            let listener = TcpListener::bind(address).unwrap();
            let port = listener.local_addr().unwrap().port();
            let mut theirs = TcpStream::connect((to, port)).unwrap();
            let (mut ours, _) = listener.accept().unwrap();
            let (local, peer) = (ours.local_addr().unwrap(), ours.peer_addr().unwrap());
            ours.set_nonblocking(true).unwrap();
            let mut sent = 0;
            while let Ok(bytes) = ours.write(&[0; 65536]) {
                sent += bytes;
            }
            let left = unacknowledged(local, peer).unwrap();
            assert!(left > 0 && (left as usize) < sent, "{left} of {sent}");
            // Once all is read, all is acknowledged.
            let mut buffer = vec![0; 65536];
            while sent > 0 {
                sent -= theirs.read(&mut buffer).unwrap();
            }
            while unacknowledged(local, peer) != Some(0) {
                std::thread::yield_now();
            }
            drop((ours, theirs, listener));
            assert_eq!(unacknowledged(local, "127.0.0.1:9".parse().unwrap()), None);
        }
    }
}
