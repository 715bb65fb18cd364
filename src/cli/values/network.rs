//! Names and ranges of the network: who may connect, whom to connect to.
//!
//! What lives here: ranges of addresses, host names, URLs, companions with their ports. It may not
//! know whether any of them exists. Invariant: a name or target accepted here can be written into a request
//! head as it stands.
//! Read next: `policy.rs`.

use super::{number, path, shown};
use std::{
    ffi::{OsStr, OsString},
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
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

/// An `http` URL, taken apart (RFC 9110 §4.2.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url {
    /// A name or an address; an IPv6 address stands without its brackets.
    pub host: String,
    /// 80 unless the URL says otherwise.
    pub port: u16,
    /// Path and query, in a form that may stand in a request line; begins with `/`.
    pub target: String,
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
    if text.parse::<Ipv6Addr>().is_ok() || is_host_name(text) {
        return Ok(text.to_owned());
    }
    Err(format!(
        "{} is not a host such as example.com, 127.0.0.1 or ::1",
        shown(given)
    ))
}

/// As resolvers take it. Names in other scripts must be given in their `xn--` form.
fn is_host_name(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 253
        && !text.starts_with(['-', '.'])
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte))
}

/// A port to connect to.
pub(crate) fn peer_port(given: &OsStr) -> Result<u16, String> {
    number(given, 1..=u16::MAX)
}

/// `http://host:port/path?query`; the scheme may be left out.
pub(crate) fn url(given: &OsStr) -> Result<Url, String> {
    let refuse = |why: &str| Err(format!("{}: {why}", shown(given)));
    let bytes = given.as_bytes();
    let rest = match find(bytes, b"://") {
        None => bytes,
        Some(at) if bytes[..at].eq_ignore_ascii_case(b"http") => &bytes[at + 3..],
        Some(at) if bytes[..at].eq_ignore_ascii_case(b"https") => {
            return refuse("idler speaks no TLS; try http://, or curl");
        }
        // The "://" of a query ("host/?u=http://x") is none of a scheme.
        Some(at) if bytes[..at].iter().any(|byte| b"/?#".contains(byte)) => bytes,
        Some(_) => return refuse("idler speaks HTTP alone; give a URL such as http://host/path"),
    };
    let end = rest.iter().position(|byte| b"/?#".contains(byte));
    let (authority, rest) = rest.split_at(end.unwrap_or(rest.len()));
    if authority.contains(&b'@') {
        return refuse("a name or password has no place in a URL; try -H 'Authorization: …'");
    }
    let (name, port) = match authority.iter().rposition(|&byte| byte == b':') {
        // A colon inside brackets belongs to the address.
        Some(at) if !authority[at..].contains(&b']') => (&authority[..at], &authority[at + 1..]),
        Some(_) | None => (authority, &b""[..]),
    };
    let port = match port {
        b"" => Ok(80),
        port => peer_port(OsStr::from_bytes(port)),
    };
    // An address without brackets would be ambiguous: is its last group the port?
    let name = Some(name).filter(|name| name.first() == Some(&b'[') || !name.contains(&b':'));
    let name = name.and_then(|name| host(OsStr::from_bytes(name)).ok());
    let (Some(host), Ok(port)) = (name, port) else {
        return refuse("not a URL such as http://example.com:8080/path or http://[::1]/");
    };
    let without_fragment = rest.split(|&byte| byte == b'#').next();
    let target = target(without_fragment.unwrap_or_default());
    Ok(Url { host, port, target })
}

/// HOST, PORT and FILE, the form of the textbooks; FILE gets its leading `/`.
pub(crate) fn url_of_words(name: &OsStr, port: &OsStr, file: &OsStr) -> Result<Url, String> {
    Ok(Url {
        host: host(name)?,
        port: peer_port(port)?,
        target: target(file.as_bytes()).replace('#', "%23"),
    })
}

/// A path with or without a query, as a request line may carry it.
pub(crate) fn target_of_path(given: &OsStr) -> Result<String, String> {
    if given.as_bytes().first() != Some(&b'/') {
        return Err(format!("{} does not begin with '/'", shown(given)));
    }
    Ok(target(given.as_bytes()))
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

/// Path and query as a request line may carry them: whatever could end or bend the line is
/// percent-encoded, what is encoded already is left alone (RFC 3986 §2.1).
fn target(bytes: &[u8]) -> String {
    let mut out = String::new();
    if bytes.first() != Some(&b'/') {
        out.push('/');
    }
    for &byte in bytes {
        match byte {
            b'"' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}' => {
                out.push_str(&format!("%{byte:02X}"));
            }
            b'!'..=b'~' => out.push(char::from(byte)),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

impl Url {
    /// Host and port as a `Host` field says them (RFC 9110 §7.2).
    pub fn authority(&self) -> String {
        let host = match self.host.parse::<Ipv6Addr>() {
            Ok(_) => format!("[{}]", self.host),
            Err(_) => self.host.clone(),
        };
        match self.port {
            80 => host,
            port => format!("{host}:{port}"),
        }
    }

    /// The last component of the path, decoded, if it can name a file.
    pub(crate) fn file_name(&self) -> Option<OsString> {
        let path = self.target.split('?').next().unwrap_or_default();
        let last = path.rsplit('/').next().unwrap_or_default();
        let name: Vec<u8> = percent_encoding::percent_decode_str(last).collect();
        super::file_name(OsStr::from_bytes(&name)).ok()
    }
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
