//! Addresses, host names, URLs, and companions with their ports.
//!
//! Invariant: a name or target accepted here can be written into a request head as it stands, and
//! an address to listen on fits the kernel's structures.

use super::{complaint, digits, file_name, number, path, refusal, understood};
use crate::http::url::{BadUrl, BindAddress, Url, target};
use crate::limits;
use std::{
    ffi::{OsStr, OsString},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    os::unix::ffi::OsStrExt,
    path::PathBuf,
};

/// A range of addresses, `192.168.0.0/16`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cidr {
    network: IpAddr,
    prefix: u32,
}

/// Proxies that are believed when they say for which client they speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proxies {
    /// Those with these addresses.
    Network(Cidr),
    /// All peers of a Unix socket.
    Unix,
}

/// A service beside HTTP on the same loop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CompanionRule {
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
        let address = address.to_canonical();
        address.is_ipv4() == self.network.is_ipv4()
            && network_of(address, self.prefix) == self.network
    }
}

/// The first `prefix` bits of an address. A shift by the whole width, which has no meaning, is the
/// empty prefix.
fn network_of(address: IpAddr, prefix: u32) -> IpAddr {
    match address {
        IpAddr::V4(address) => {
            let mask = u32::MAX.checked_shl(32 - prefix).unwrap_or(0);
            Ipv4Addr::from_bits(address.to_bits() & mask).into()
        }
        IpAddr::V6(address) => {
            let mask = u128::MAX.checked_shl(128 - prefix).unwrap_or(0);
            Ipv6Addr::from_bits(address.to_bits() & mask).into()
        }
    }
}

/// `ADDRESS` or `ADDRESS/BITS`, without bits beyond the prefix: such a range is more likely
/// mistyped than meant.
pub(crate) fn cidr(given: &OsStr) -> Result<Cidr, String> {
    let form = "is not a range of addresses such as 192.168.0.0/16, ::1 or fd00::/8";
    let text = given.to_str().unwrap_or_default();
    let (address, prefix) = match text.split_once('/') {
        Some((address, prefix)) => (address, Some(prefix)),
        None => (text, None),
    };
    let address: IpAddr = address.parse().map_err(|_| refusal(given, form))?;
    // As in `contains`: a mapped address would match no client.
    let canonical = address.to_canonical();
    if address != canonical {
        let why = format!("is an IPv4 address in disguise; write {canonical}");
        return Err(refusal(given, &why));
    }
    let width = if address.is_ipv4() { 32 } else { 128 };
    let prefix = prefix.map_or(Ok(width), |prefix| number(prefix.as_ref(), 0..=width));
    let prefix = prefix.map_err(|_| refusal(given, form))?;
    let network = network_of(address, prefix);
    if network != address {
        let why = format!("has bits beyond its prefix; did you mean {network}/{prefix}?");
        return Err(refusal(given, &why));
    }
    Ok(Cidr { network, prefix })
}

pub(crate) fn proxies(given: &OsStr) -> Result<Proxies, String> {
    if given == "unix" {
        return Ok(Proxies::Unix);
    }
    cidr(given).map(Proxies::Network)
}

/// A host to connect to: a name, an IPv4 address, or an IPv6 address with brackets or without.
pub(crate) fn host(given: &OsStr) -> Result<String, String> {
    understood(
        given,
        "is not a host such as example.com, 127.0.0.1 or ::1",
        |text| {
            let host = bracketed(text).or_else(|| is_host(text).then_some(text));
            host.map(str::to_owned)
        },
    )
}

/// The IPv6 address in `[::1]`.
pub(super) fn bracketed(text: &str) -> Option<&str> {
    let inner = text.strip_prefix('[')?.strip_suffix(']')?;
    inner.parse::<Ipv6Addr>().is_ok().then_some(inner)
}

/// As resolvers take it. Names in other scripts must be given in their `xn--` form.
fn is_host(text: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    let is_name = (1..=253).contains(&text.len()) && !text.starts_with(['-', '.']);
    is_name && text.bytes().all(is_part) || text.parse::<Ipv6Addr>().is_ok()
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
    Err(complaint(given, why))
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
        return Err(refusal(given, "does not begin with '/'"));
    }
    Ok(target(given.as_bytes()))
}

/// The last component of the URL's path, decoded, if it can name a file.
pub(crate) fn file_name_of(url: &Url) -> Option<OsString> {
    let path = url.target.split('?').next().unwrap_or_default();
    let last = path.rsplit('/').next().unwrap_or_default();
    let name: Vec<u8> = percent_encoding::percent_decode_str(last).collect();
    file_name(OsStr::from_bytes(&name)).ok()
}

/// `daytime=1313,ping=12000,transfer=5566:FILE`. A comma that no service follows belongs to FILE.
pub(crate) fn companions(given: &OsStr) -> Result<Vec<CompanionRule>, String> {
    let is_service = |part: &[u8]| {
        let names = [&b"message="[..], b"daytime=", b"ping=", b"transfer="];
        names.iter().any(|name| part.starts_with(name))
    };
    let mut parts: Vec<Vec<u8>> = Vec::new();
    for part in given.as_bytes().split(|&byte| byte == b',') {
        match parts.last_mut() {
            Some(last) if !is_service(part) && last.starts_with(b"transfer=") => {
                last.push(b',');
                last.extend_from_slice(part);
            }
            Some(_) | None => parts.push(part.to_vec()),
        }
    }
    let understood = |part: &Vec<u8>| {
        let form = "is not a service and its port, such as message=8000, daytime=1313, ping=12000 \
                    or transfer=5566:FILE";
        companion(part).ok_or_else(|| refusal(OsStr::from_bytes(part), form))
    };
    parts.iter().map(understood).collect()
}

fn companion(part: &[u8]) -> Option<CompanionRule> {
    let (name, rest) = split_at_first(part, b'=')?;
    let (port, file) = match split_at_first(rest, b':') {
        Some((port, file)) => (port, Some(OsStr::from_bytes(file))),
        None => (rest, None),
    };
    let port = number(OsStr::from_bytes(port), 0..=u16::MAX).ok()?;
    match (name, file) {
        (b"message", None) => Some(CompanionRule::Message(port)),
        (b"daytime", None) => Some(CompanionRule::Daytime(port)),
        (b"ping", None) => Some(CompanionRule::Ping(port)),
        (b"transfer", Some(file)) => Some(CompanionRule::Transfer(port, path(file).ok()?)),
        _ => None,
    }
}

/// What stands before and behind the first `separator`.
pub(super) fn split_at_first(bytes: &[u8], separator: u8) -> Option<(&[u8], &[u8])> {
    let at = bytes.iter().position(|&byte| byte == separator)?;
    Some((&bytes[..at], &bytes[at + 1..]))
}

/// `127.0.0.1`, `::1`, `[::1]`, `localhost`, each with `:PORT` or without; `unix:/path` with
/// `,MODE` or without.
pub(crate) fn bind_address(given: &OsStr) -> Result<BindAddress, String> {
    if let Some(rest) = given.as_bytes().strip_prefix(b"unix:") {
        return unix_address(given, rest);
    }
    let form = "is not an address to listen on, such as 127.0.0.1, ::1, 0.0.0.0, [::1]:8081, \
                localhost or unix:/run/idler.sock,0660";
    understood(given, form, |text| {
        if let Ok(address) = bracketed(text).unwrap_or(text).parse() {
            return Some(BindAddress::Ip {
                address,
                port: None,
            });
        }
        // A zone ("fe80::1%2") is refused rather than lost.
        if let Ok(socket) = text.parse::<SocketAddr>()
            && !text.contains('%')
        {
            let (address, port) = (socket.ip(), Some(socket.port()));
            return Some(BindAddress::Ip { address, port });
        }
        let port = match text.strip_prefix("localhost")? {
            "" => None,
            port => Some(number(port.strip_prefix(':')?.as_ref(), 0..=u16::MAX).ok()?),
        };
        Some(BindAddress::Localhost { port })
    })
}

fn unix_address(given: &OsStr, rest: &[u8]) -> Result<BindAddress, String> {
    let comma = rest.iter().rposition(|&byte| byte == b',');
    // A comma further to the left belongs to the path, as one before a slash does.
    let comma = comma.filter(|&at| !rest[at..].contains(&b'/'));
    let path = &rest[..comma.unwrap_or(rest.len())];
    let mode = comma.map(|at| octal(&rest[at + 1..]).filter(|&mode| mode <= 0o777));
    let longest = limits::UNIX_PATH_BYTES_MAX;
    let why = if mode == Some(None) {
        "what follows the last comma is no mode, an octal number from 0 to 777 such as 0660; \
         after a path with a comma give one"
    } else if path.is_empty() || path.contains(&0) {
        "the path of the socket is empty; give one such as unix:/run/idler.sock"
    } else if path.first() == Some(&b'@') {
        "abstract sockets have no permissions; give a path"
    } else if path.len() > longest {
        &format!("the path of a socket has at most {longest} bytes; give a shorter one")
    } else {
        let path = PathBuf::from(OsStr::from_bytes(path));
        return Ok(BindAddress::Unix {
            path,
            mode: mode.flatten(),
        });
    };
    Err(complaint(given, why))
}

fn octal(given: &[u8]) -> Option<u32> {
    u32::from_str_radix(digits(str::from_utf8(given).ok()?)?, 8).ok()
}
