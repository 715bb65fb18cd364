//! Addresses to listen on.
//!
//! What lives here: what `--bind` takes. It may not know the machine: whether an address is one of
//! its own is found out by whoever binds it. Invariant: what is accepted fits the kernel's structures.
//! Read next: `header.rs`.

use super::{digits, number, shown};
use crate::limits;
use std::{
    ffi::{OsStr, OsString},
    net::{IpAddr, Ipv6Addr, SocketAddr},
    os::unix::ffi::{OsStrExt, OsStringExt},
    path::PathBuf,
};

/// An address to listen on, as `--bind` takes it. The port, where none is given, is that of `--port`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BindAddress {
    /// One IPv4 or IPv6 address; `0.0.0.0` and `::` share with the network.
    Ip {
        /// The address.
        address: IpAddr,
        /// Its own port, if it has one.
        port: Option<u16>,
    },
    /// Both loopback addresses, as browsers try `localhost` as either.
    Localhost {
        /// Their own port, if they have one.
        port: Option<u16>,
    },
    /// A Unix socket.
    Unix {
        /// Where in the file system; at most [`limits::UNIX_PATH_BYTES_MAX`] bytes, no NUL.
        path: PathBuf,
        /// Its permissions (at most `0o777`), if they are given.
        mode: Option<u32>,
    },
}

/// `127.0.0.1`, `::1`, `[::1]`, `localhost`, each with `:PORT` or without; `unix:/path` with
/// `,MODE` or without.
pub(crate) fn bind_address(given: &OsStr) -> Result<BindAddress, String> {
    if let Some(rest) = given.as_bytes().strip_prefix(b"unix:") {
        return unix_address(given, rest);
    }
    let text = given.to_str().unwrap_or_default();
    let unbracketed = text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    if let Some(address) = unbracketed.and_then(|inner| inner.parse::<Ipv6Addr>().ok()) {
        let address = IpAddr::V6(address);
        return Ok(BindAddress::Ip {
            address,
            port: None,
        });
    }
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(BindAddress::Ip {
            address,
            port: None,
        });
    }
    // A zone ("fe80::1%2") is refused rather than lost.
    if let Ok(socket) = text.parse::<SocketAddr>()
        && !text.contains('%')
    {
        return Ok(BindAddress::Ip {
            address: socket.ip(),
            port: Some(socket.port()),
        });
    }
    let (host, port) = match text.split_once(':') {
        Some((host, port)) => (host, Some(number(OsStr::new(port), 0..=u16::MAX))),
        None => (text, None),
    };
    if let ("localhost", Ok(port)) = (host, port.transpose()) {
        return Ok(BindAddress::Localhost { port });
    }
    Err(format!(
        "{} is not an address to listen on, such as 127.0.0.1, ::1, 0.0.0.0, [::1]:8081, \
         localhost or unix:/run/idler.sock,0660",
        shown(given)
    ))
}

fn octal(given: &[u8]) -> Option<u32> {
    u32::from_str_radix(digits(str::from_utf8(given).ok()?)?, 8).ok()
}

fn unix_address(given: &OsStr, rest: &[u8]) -> Result<BindAddress, String> {
    let refuse = |why: &str| Err(format!("{}: {why}", shown(given)));
    let comma = rest.iter().rposition(|&byte| byte == b',');
    let (path, mode) = match comma.map(|at| (&rest[..at], &rest[at + 1..])) {
        // A comma further to the left belongs to the path, as one before a slash does.
        Some((path, mode)) if !mode.contains(&b'/') => (path, Some(mode)),
        Some(_) | None => (rest, None),
    };
    let mode = match mode {
        None => None,
        Some(mode) => match octal(mode) {
            Some(bits) if bits <= 0o777 => Some(bits),
            Some(_) | None => {
                return refuse(
                    "what follows the last comma is no mode, an octal number from 0 to 777 such as \
                     0660; after a path with a comma give one",
                );
            }
        },
    };
    if path.is_empty() || path.contains(&0) {
        return refuse("the path of the socket is empty; give one such as unix:/run/idler.sock");
    }
    if path.first() == Some(&b'@') {
        return refuse("abstract sockets have no permissions; give a path");
    }
    if path.len() > limits::UNIX_PATH_BYTES_MAX {
        return refuse(&format!(
            "the path of a socket has at most {} bytes; give a shorter one",
            limits::UNIX_PATH_BYTES_MAX
        ));
    }
    Ok(BindAddress::Unix {
        path: PathBuf::from(OsString::from_vec(path.to_vec())),
        mode,
    })
}
