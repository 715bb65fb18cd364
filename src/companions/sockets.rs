//! From what was asked on the command line to sockets that listen.
//!
//! What lives here: the translation of `--bind` and `--port`, for every server. It may not know
//! what will be spoken. Invariant: addresses without a port of their own share one, also if it is
//! any free one. Read next: `process/listen.rs`, `process/datagrams.rs`.

use std::net::UdpSocket;

use crate::cli::{Bind as Asked, BindAddress};
use crate::process::datagrams::datagrams;
use crate::process::listen::{Bind, Listening, listen};

/// Listens wherever was asked.
///
/// # Errors
/// One line for the user.
pub(crate) fn listening(
    bind: &Asked,
    port: u16,
    reuse_port: bool,
) -> Result<Vec<Listening>, String> {
    let mut all = Vec::new();
    for (binds, port) in groups(bind, port) {
        all.extend(listen(&binds, port, reuse_port).map_err(|e| e.to_string())?);
    }
    Ok(all)
}

/// The same for datagrams.
///
/// # Errors
/// One line for the user.
pub(crate) fn receiving(bind: &Asked, port: u16) -> Result<Vec<UdpSocket>, String> {
    let mut all = Vec::new();
    for (binds, port) in groups(bind, port) {
        all.extend(datagrams(&binds, port)?);
    }
    Ok(all)
}

/// The addresses of `bind` without their ports: where companions listen beside HTTP, each at a
/// port of its own.
pub(crate) fn beside(bind: &Asked) -> Asked {
    let given = match bind {
        Asked::Default => return Asked::Default,
        Asked::Given(given) => given,
    };
    let mut bare: Vec<BindAddress> = Vec::new();
    for address in given {
        let address = match address {
            BindAddress::Ip { address, .. } => {
                let address = *address;
                BindAddress::Ip {
                    address,
                    port: None,
                }
            }
            BindAddress::Localhost { .. } => BindAddress::Localhost { port: None },
            // A Unix socket has no other ports.
            BindAddress::Unix { .. } => continue,
        };
        if !bare.contains(&address) {
            bare.push(address);
        }
    }
    if bare.is_empty() {
        Asked::Default
    } else {
        Asked::Given(bare)
    }
}

/// The places to bind, in groups that share a port.
fn groups(bind: &Asked, port: u16) -> Vec<(Vec<Bind>, u16)> {
    let given = match bind {
        Asked::Default => return vec![(vec![Bind::Loopback], port)],
        Asked::Given(given) => given,
    };
    let mut sharing = Vec::new();
    let mut groups = Vec::new();
    for address in given {
        let (bind, own) = match address {
            BindAddress::Ip { address, port } => (Bind::Ip(*address), *port),
            BindAddress::Localhost { port } => (Bind::Loopback, *port),
            BindAddress::Unix { path, mode } => {
                let (path, mode) = (path.clone(), *mode);
                (Bind::Unix { path, mode }, None)
            }
        };
        match own {
            Some(port) => groups.push((vec![bind], port)),
            None => sharing.push(bind),
        }
    }
    if !sharing.is_empty() {
        groups.insert(0, (sharing, port));
    }
    groups
}
