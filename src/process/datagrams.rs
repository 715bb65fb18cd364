//! Datagram sockets: made and bound before the loop starts.
//!
//! What lives here: the counterpart of `listen.rs` for UDP. It may not know what a datagram says.
//! Invariant: as in `listen.rs`, what was asked for is bound, or the start fails with one line.
//! Read next: `listen.rs`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, sockopt};

use crate::limits::PORT_ATTEMPTS_MAX;

use crate::process::listen::Bind;

/// Binds all of `binds` to `port`. Port 0 is any port that is free on all of them.
///
/// # Errors
/// One line for the user about the first place that cannot be bound. Bounded by [`PORT_ATTEMPTS_MAX`].
pub fn datagrams(binds: &[Bind], port: u16) -> Result<Vec<UdpSocket>, String> {
    let mut attempts = 0;
    loop {
        attempts += 1;
        let mut all = Vec::new();
        let mut shared = port;
        match bind_once(binds, &mut shared, &mut all) {
            Ok(()) => return Ok(all),
            // The port that was free on the first address is taken on another: take a new one.
            Err((Errno::ADDRINUSE, _))
                if port == 0 && shared != 0 && attempts < PORT_ATTEMPTS_MAX => {}
            Err((why, address)) => return Err(explain(why, address)),
        }
    }
}

fn bind_once(
    binds: &[Bind],
    port: &mut u16,
    all: &mut Vec<UdpSocket>,
) -> Result<(), (Errno, SocketAddr)> {
    for bind in binds {
        let (addresses, optional): (&[IpAddr], bool) = match bind {
            Bind::Loopback => (
                &[
                    IpAddr::V4(Ipv4Addr::LOCALHOST),
                    IpAddr::V6(Ipv6Addr::LOCALHOST),
                ],
                true,
            ),
            Bind::Ip(address) => (std::slice::from_ref(address), false),
            // A client of a Unix socket has no address to answer to; the command line refuses it.
            Bind::Unix { .. } => (&[], false),
        };
        let mut missing = None;
        let before = all.len();
        for &ip in addresses {
            let address = SocketAddr::new(ip, *port);
            match socket(address) {
                Ok(socket) => {
                    if let Ok(bound) = socket.local_addr() {
                        *port = bound.port();
                    }
                    all.push(socket);
                }
                // A machine may have only one of the two loopback addresses.
                Err(why @ (Errno::ADDRNOTAVAIL | Errno::AFNOSUPPORT)) if optional => {
                    missing = Some((why, address));
                }
                Err(why) => return Err((why, address)),
            }
        }
        if let Some(failure) = missing.filter(|_| all.len() == before) {
            return Err(failure);
        }
    }
    Ok(())
}

fn socket(address: SocketAddr) -> Result<UdpSocket, Errno> {
    let family = if address.is_ipv4() {
        AddressFamily::INET
    } else {
        AddressFamily::INET6
    };
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = rustix::net::socket_with(family, SocketType::DGRAM, flags, None)?;
    if address.is_ipv6() {
        // An address means the same on every machine, and 0.0.0.0 and :: can be bound together.
        sockopt::set_ipv6_v6only(&socket, true)?;
    }
    rustix::net::bind(&socket, &address)?;
    Ok(UdpSocket::from(socket))
}

fn explain(why: Errno, address: SocketAddr) -> String {
    let (reason, hint) = match why {
        Errno::ADDRINUSE => (
            "the port is in use",
            "; -p chooses another, -p 0 any free one",
        ),
        Errno::ACCESS => (
            "ports below 1024 need privileges",
            "; -p chooses another port",
        ),
        Errno::ADDRNOTAVAIL => ("this machine does not have that address", ""),
        other => {
            let error = std::io::Error::from(other);
            return format!("cannot receive datagrams on {address}: {error}");
        }
    };
    format!("cannot receive datagrams on {address}: {reason}{hint}")
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
mod tests {
    use super::*;

    #[test]
    fn loopback_shares_one_free_port() {
        let sockets = datagrams(&[Bind::Loopback], 0).unwrap();
        let ports: Vec<u16> = sockets
            .iter()
            .map(|s| s.local_addr().unwrap().port())
            .collect();
        assert!(!ports.is_empty() && ports[0] != 0);
        assert!(ports.iter().all(|port| *port == ports[0]), "{ports:?}");
    }

    #[test]
    fn a_port_in_use_is_an_error_that_says_what_to_do() {
        let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
        let port = taken.local_addr().unwrap().port();
        let ip = Bind::Ip(Ipv4Addr::LOCALHOST.into());
        let line = datagrams(&[ip], port).unwrap_err();
        assert!(line.contains("in use") && line.contains("-p 0"), "{line}");
    }
}
