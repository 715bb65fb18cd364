//! Addresses, host names, URLs, and companions with their ports.
//!
//! Invariant: a name or target accepted here can be written into a request head as it stands, and
//! an address to listen on fits the kernel's structures.

use super::{complaint, digits, file_name, number, path, refusal, understood};
use crate::http::fields::split_once;
use crate::http::url::{BadUrl, BindAddress, Url, target};
use crate::limits;
use std::ffi::{OsStr, OsString};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

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

/// The first `prefix` bits of an address.
fn network_of(address: IpAddr, prefix: u32) -> IpAddr {
    match address {
        IpAddr::V4(ip) => (ip & Ipv4Addr::from_bits(u32::MAX.unbounded_shl(32 - prefix))).into(),
        IpAddr::V6(ip) => (ip & Ipv6Addr::from_bits(u128::MAX.unbounded_shl(128 - prefix))).into(),
    }
}

/// `ADDRESS` or `ADDRESS/BITS`, without bits beyond the prefix: such a range is more likely
/// mistyped than meant.
pub(crate) fn cidr(given: &OsStr) -> Result<Cidr, String> {
    let form = "is not a range of addresses such as 192.168.0.0/16, ::1 or fd00::/8";
    let (address, prefix) = understood(given, form, |text| {
        let (address, prefix) = text.split_once('/').unzip();
        let address: IpAddr = address.unwrap_or(text).parse().ok()?;
        let width = if address.is_ipv4() { 32 } else { 128 };
        let prefix = prefix.map_or(Ok(width), |prefix| number(prefix.as_ref(), 0..=width));
        Some((address, prefix.ok()?))
    })?;
    let (canonical, network) = (address.to_canonical(), network_of(address, prefix));
    let why = if address != canonical {
        // As in `contains`: a mapped address would match no client.
        format!("is an IPv4 address in disguise; write {canonical}")
    } else if address != network {
        format!("has bits beyond its prefix; did you mean {network}/{prefix}?")
    } else {
        return Ok(Cidr { network, prefix });
    };
    Err(refusal(given, &why))
}

pub(crate) fn proxies(given: &OsStr) -> Result<Proxies, String> {
    match given == "unix" {
        true => Ok(Proxies::Unix),
        false => cidr(given).map(Proxies::Network),
    }
}

/// A host to connect to: a name, an IPv4 address, or an IPv6 address with brackets or without.
pub(crate) fn host(given: &OsStr) -> Result<String, String> {
    let form = "is not a host such as example.com, 127.0.0.1 or ::1";
    understood(given, form, |text| {
        let host = bracketed(text).or_else(|| is_host(text).then_some(text));
        host.map(str::to_owned)
    })
}

/// The IPv6 address in `[::1]`.
pub(super) fn bracketed(text: &str) -> Option<&str> {
    let inner = text.strip_prefix('[')?.strip_suffix(']')?;
    inner.parse::<Ipv6Addr>().is_ok().then_some(inner)
}

/// As resolvers take it. Names in other scripts must be given in their `xn--` form.
fn is_host(text: &str) -> bool {
    let is_name = (1..=253).contains(&text.len()) && !text.starts_with(['-', '.']);
    is_name && text.bytes().all(is_host_byte) || text.parse::<Ipv6Addr>().is_ok()
}

pub(super) fn is_host_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._".contains(&byte)
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
    match given.as_bytes().starts_with(b"/") {
        true => Ok(target(given.as_bytes())),
        false => Err(refusal(given, "does not begin with '/'")),
    }
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
    let names: [&[u8]; 4] = [b"message=", b"daytime=", b"ping=", b"transfer="];
    let is_service = |part: &[u8]| names.iter().any(|name| part.starts_with(name));
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
    let form = "is not a service and its port, such as message=8000, daytime=1313, ping=12000 or \
                transfer=5566:FILE";
    let refused = |part: &[u8]| refusal(OsStr::from_bytes(part), form);
    let rules = parts
        .iter()
        .map(|part| companion(part).ok_or_else(|| refused(part)));
    rules.collect()
}

fn companion(part: &[u8]) -> Option<CompanionRule> {
    let (name, rest) = split_once(part, b'=')?;
    let (port, file) = split_once(rest, b':').unzip();
    let port = number(OsStr::from_bytes(port.unwrap_or(rest)), 0..=u16::MAX).ok()?;
    match (name, file.map(OsStr::from_bytes)) {
        (b"message", None) => Some(CompanionRule::Message(port)),
        (b"daytime", None) => Some(CompanionRule::Daytime(port)),
        (b"ping", None) => Some(CompanionRule::Ping(port)),
        (b"transfer", Some(file)) => Some(CompanionRule::Transfer(port, path(file).ok()?)),
        _ => None,
    }
}

/// `127.0.0.1`, `::1`, `[::1]`, `localhost`, each with `:PORT` or without; `unix:/path` with
/// `,MODE` or without.
pub(crate) fn bind_address(given: &OsStr) -> Result<BindAddress, String> {
    if let Some(rest) = given.as_bytes().strip_prefix(b"unix:") {
        return unix_address(rest).map_err(|why| complaint(given, &why));
    }
    let form = "is not an address to listen on, such as 127.0.0.1, ::1, 0.0.0.0, [::1]:8081, \
                localhost or unix:/run/idler.sock,0660";
    understood(given, form, |text| {
        if let Some(rest) = text.strip_prefix("localhost") {
            let port = match rest {
                "" => None,
                rest => Some(number(rest.strip_prefix(':')?.as_ref(), 0..=u16::MAX).ok()?),
            };
            return Some(BindAddress::Localhost { port });
        }
        let alone = bracketed(text).unwrap_or(text).parse();
        let (address, port) = match alone {
            Ok(address) => (address, None),
            // A zone ("fe80::1%2") is refused rather than lost.
            Err(_) if text.contains('%') => return None,
            Err(_) => {
                let socket: SocketAddr = text.parse().ok()?;
                (socket.ip(), Some(socket.port()))
            }
        };
        Some(BindAddress::Ip { address, port })
    })
}

fn unix_address(given: &[u8]) -> Result<BindAddress, String> {
    let comma = given.iter().rposition(|&byte| byte == b',');
    // A comma further to the left belongs to the path, as one before a slash does.
    let comma = comma.filter(|&at| !given[at..].contains(&b'/'));
    let path = &given[..comma.unwrap_or(given.len())];
    let mode = comma.map(|at| octal(&given[at + 1..]).filter(|&mode| mode <= 0o777));
    let longest = limits::UNIX_PATH_BYTES_MAX;
    Err(if mode == Some(None) {
        "what follows the last comma is no mode, an octal number from 0 to 777 such as 0660; \
         after a path with a comma give one"
            .to_owned()
    } else if path.is_empty() || path.contains(&0) {
        "the path of the socket is empty; give one such as unix:/run/idler.sock".to_owned()
    } else if path.starts_with(b"@") {
        "abstract sockets have no permissions; give a path".to_owned()
    } else if path.len() > longest {
        format!("the path of a socket has at most {longest} bytes; give a shorter one")
    } else {
        let (path, mode) = (PathBuf::from(OsStr::from_bytes(path)), mode.flatten());
        return Ok(BindAddress::Unix { path, mode });
    })
}

fn octal(given: &[u8]) -> Option<u32> {
    u32::from_str_radix(digits(str::from_utf8(given).ok()?)?, 8).ok()
}
