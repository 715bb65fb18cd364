//! Names and ranges of the network: who may connect, whom to connect to.
//!
//! What lives here: ranges of addresses, host names, URLs, companions with their ports. It may not
//! know whether any of them exists. Invariant: a name or target accepted here can be written into a request
//! head as it stands.
//! Read next: `policy.rs`.

use super::{digits, number, path, shown};
use crate::http::url::{BadUrl, Url, target};
use crate::limits;
use std::{
    ffi::{OsStr, OsString},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    os::unix::ffi::{OsStrExt, OsStringExt},
    path::PathBuf,
};

/// A range of addresses, `192.168.0.0/16`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cidr {
    address: IpAddr,
    prefix: u32,
}

/// Proxies that are believed whom they speak for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proxies {
    /// Those with these addresses.
    Network(Cidr),
    /// Whoever comes through a Unix socket.
    Unix,
}

/// A service beside HTTP on the same loop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Companion {
    /// A message and its answer, at this port.
    Message(u16),
    /// Date and time, at this port.
    Daytime(u16),
    /// UDP ping, at this port.
    Ping(u16),
    /// File transfer: this port and this file.
    Transfer(u16, PathBuf),
}

impl Cidr {
    /// Whether the address lies in the range. An IPv4 client of an IPv6 socket (`::ffff:1.2.3.4`)
    /// counts as what it is.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(ours), IpAddr::V4(theirs)) => {
                network_v4(ours, self.prefix) == network_v4(theirs, self.prefix)
            }
            (IpAddr::V6(ours), IpAddr::V6(theirs)) => {
                network_v6(ours, self.prefix) == network_v6(theirs, self.prefix)
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }
}

/// The first `prefix` bits; a shift by the whole width, which has no meaning, is the empty prefix.
fn network_v4(address: Ipv4Addr, prefix: u32) -> Ipv4Addr {
    let mask = u32::MAX.checked_shl(32 - prefix).unwrap_or(0);
    Ipv4Addr::from_bits(address.to_bits() & mask)
}

fn network_v6(address: Ipv6Addr, prefix: u32) -> Ipv6Addr {
    let mask = u128::MAX.checked_shl(128 - prefix).unwrap_or(0);
    Ipv6Addr::from_bits(address.to_bits() & mask)
}

/// `ADDRESS` or `ADDRESS/BITS`, without bits beyond the prefix: such a range is more likely mistyped than
/// meant.
pub(crate) fn cidr(given: &OsStr) -> Result<Cidr, String> {
    let text = given.to_str().unwrap_or_default();
    let (address, prefix) = match text.split_once('/') {
        Some((address, prefix)) => (address, Some(prefix)),
        None => (text, None),
    };
    let unreadable = || {
        let given = shown(given);
        format!("{given} is not a range of addresses such as 192.168.0.0/16, ::1 or fd00::/8")
    };
    let address: IpAddr = address.parse().map_err(|_| unreadable())?;
    // As in `contains`: a mapped address would match nobody.
    if address != address.to_canonical() {
        return Err(format!(
            "{} is an IPv4 address in disguise; write {}",
            shown(given),
            address.to_canonical()
        ));
    }
    let width = if address.is_ipv4() { 32 } else { 128 };
    let prefix = match prefix {
        Some(prefix) => number(OsStr::new(prefix), 0..=width).map_err(|_| unreadable())?,
        None => width,
    };
    let network = match address {
        IpAddr::V4(address) => IpAddr::V4(network_v4(address, prefix)),
        IpAddr::V6(address) => IpAddr::V6(network_v6(address, prefix)),
    };
    if network != address {
        return Err(format!(
            "{} has bits beyond its prefix; did you mean {network}/{prefix}?",
            shown(given)
        ));
    }
    Ok(Cidr { address, prefix })
}

/// A host to connect to: a name, an IPv4 address, or an IPv6 address with brackets or without.
pub(crate) fn proxies(given: &OsStr) -> Result<Proxies, String> {
    if given == "unix" {
        return Ok(Proxies::Unix);
    }
    cidr(given).map(Proxies::Network)
}

pub(crate) fn host(given: &OsStr) -> Result<String, String> {
    let text = given.to_str().unwrap_or_default();
    let inner = text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    if let Some(inner) = inner
        && inner.parse::<Ipv6Addr>().is_ok()
    {
        return Ok(inner.to_owned());
    }
    if is_host(text) {
        return Ok(text.to_owned());
    }
    Err(format!(
        "{} is not a host such as example.com, 127.0.0.1 or ::1",
        shown(given)
    ))
}

/// An IPv6 address, or a name as resolvers take it: those in other scripts in their `xn--` form.
fn is_host(text: &str) -> bool {
    let is_name = !text.is_empty()
        && text.len() <= 253
        && !text.starts_with(['-', '.'])
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte));
    is_name || text.parse::<Ipv6Addr>().is_ok()
}

/// A port to connect to.
pub(crate) fn peer_port(given: &OsStr) -> Result<u16, String> {
    number(given, 1..=u16::MAX)
}

/// `http://host:port/path?query`; the scheme may be left out.
pub(crate) fn url(given: &OsStr) -> Result<Url, String> {
    let why = match Url::parse(given.as_bytes()) {
        Ok(url) if is_host(&url.host) => return Ok(url),
        Err(BadUrl::Scheme(scheme)) if scheme == "https" => {
            "idler speaks no TLS; try http://, or curl"
        }
        Err(BadUrl::Scheme(_)) => "idler speaks HTTP alone; give a URL such as http://host/path",
        Err(BadUrl::UserInfo) => {
            "a name or password has no place in a URL; try -H 'Authorization: …'"
        }
        Ok(_) | Err(BadUrl::Host | BadUrl::Port) => {
            "not a URL such as http://example.com:8080/path or http://[::1]/"
        }
    };
    Err(format!("{}: {why}", shown(given)))
}

/// HOST, PORT and FILE, the form of the textbooks; FILE gets its leading `/`, and has no fragment.
pub(crate) fn url_of_words(name: &OsStr, port: &OsStr, file: &OsStr) -> Result<Url, String> {
    let parts: Vec<&[u8]> = file.as_bytes().split(|&byte| byte == b'#').collect();
    Ok(Url {
        host: host(name)?,
        port: peer_port(port)?,
        target: target(parts.join(&b"%23"[..])),
    })
}

/// A path with or without a query, as a request line may carry it.
pub(crate) fn target_of_path(given: &OsStr) -> Result<String, String> {
    if given.as_bytes().first() != Some(&b'/') {
        return Err(format!("{} does not begin with '/'", shown(given)));
    }
    Ok(target(given.as_bytes()))
}

/// The last component of the URL's path, decoded, if it can name a file.
pub(crate) fn file_name_of(url: &Url) -> Option<OsString> {
    let path = url.target.split('?').next().unwrap_or_default();
    let last = path.rsplit('/').next().unwrap_or_default();
    let name: Vec<u8> = percent_encoding::percent_decode_str(last).collect();
    super::file_name(OsStr::from_bytes(&name)).ok()
}

/// `daytime=1313,ping=12000,transfer=5566:FILE`. A comma that no service follows belongs to FILE.
pub(crate) fn companions(given: &OsStr) -> Result<Vec<Companion>, String> {
    let mut parts: Vec<Vec<u8>> = Vec::new();
    for part in given.as_bytes().split(|&byte| byte == b',') {
        let names_service = [&b"message="[..], b"daytime=", b"ping=", b"transfer="]
            .iter()
            .any(|name| part.starts_with(name));
        match parts.last_mut() {
            Some(last) if !names_service && last.starts_with(b"transfer=") => {
                last.push(b',');
                last.extend_from_slice(part);
            }
            Some(_) | None => parts.push(part.to_vec()),
        }
    }
    let read = |part: Vec<u8>| {
        companion(&part).ok_or_else(|| {
            format!(
                "{} is not a service and its port, such as message=8000, daytime=1313, ping=12000 \
                 or transfer=5566:FILE",
                shown(&OsString::from_vec(part))
            )
        })
    };
    parts.into_iter().map(read).collect()
}

fn companion(part: &[u8]) -> Option<Companion> {
    let equals = part.iter().position(|&byte| byte == b'=')?;
    let (name, rest) = (&part[..equals], &part[equals + 1..]);
    let port = |bytes| number(OsStr::from_bytes(bytes), 0..=u16::MAX).ok();
    match name {
        b"message" => Some(Companion::Message(port(rest)?)),
        b"daytime" => Some(Companion::Daytime(port(rest)?)),
        b"ping" => Some(Companion::Ping(port(rest)?)),
        b"transfer" => {
            let colon = rest.iter().position(|&byte| byte == b':')?;
            let file = path(OsStr::from_bytes(&rest[colon + 1..])).ok()?;
            Some(Companion::Transfer(port(&rest[..colon])?, file))
        }
        _ => None,
    }
}

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
