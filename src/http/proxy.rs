//! What a trusted proxy tells of its client: the PROXY protocol, versions 1 and 2 (HAProxy's
//! `doc/proxy-protocol.txt`), and the fields `X-Forwarded-For` and `Forwarded` (RFC 7239).
//!
//! A PROXY header comes before the first byte of a connection. One that has begun is read to its
//! end, within [`PROXY_HEADER_BYTES_MAX`], or refused; bytes that do not begin like one belong to
//! what follows.
//!
//! Of the fields only what a trusted proxy has added is believed. Each appends the address that it
//! was asked from, so the list is read from its end, and the first address that is not trusted is
//! the client; what stands before it is the client's own word.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use httparse::Header;

use crate::http::fields::{elements, lines, split_once, trim};
use crate::limits::{PROXY_HEADER_BYTES_MAX, PROXY_LINE_BYTES_MAX};

/// What the first bytes of a connection are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ProxyHeader {
    /// So far they could be a header; more must come.
    Partial,
    /// No header: they belong to what follows.
    None,
    /// A header of so many bytes, and the address it gives; `None` where the proxy speaks for
    /// itself or for a client without an address.
    Header(usize, Option<IpAddr>),
}

/// How version 1 begins: a line of text.
const TEXT: &[u8] = b"PROXY ";

/// How version 2 begins: what no other protocol begins with.
const BINARY: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// Reads the first bytes of a connection. Bounded by [`PROXY_HEADER_BYTES_MAX`].
///
/// # Errors
/// What is wrong, if they begin like a header and are none.
pub fn read(bytes: &[u8]) -> Result<ProxyHeader, &'static str> {
    if bytes.starts_with(TEXT) {
        text(bytes)
    } else if let Some(rest) = bytes.strip_prefix(BINARY) {
        binary(rest)
    } else if TEXT.starts_with(bytes) || BINARY.starts_with(bytes) {
        Ok(ProxyHeader::Partial)
    } else {
        Ok(ProxyHeader::None)
    }
}

/// `PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n`, or `PROXY UNKNOWN`, whatever follows.
fn text(bytes: &[u8]) -> Result<ProxyHeader, &'static str> {
    let beginning = &bytes[..bytes.len().min(PROXY_LINE_BYTES_MAX)];
    let Some(end) = beginning.iter().position(|&byte| byte == b'\n') else {
        return match bytes.len() < PROXY_LINE_BYTES_MAX {
            true => Ok(ProxyHeader::Partial),
            false => Err("a line longer than 107 bytes"),
        };
    };
    let line = beginning[TEXT.len()..end]
        .strip_suffix(b"\r")
        .and_then(|line| str::from_utf8(line).ok())
        .ok_or("a line that does not end in CR LF, or is no text")?;
    let words: Vec<&str> = line.split(' ').collect();
    if words[0] == "UNKNOWN" {
        return Ok(ProxyHeader::Header(end + 1, None));
    }
    // The standard library would take a sign as well.
    let is_port = |port: &str| !port.starts_with('+') && port.parse::<u16>().is_ok();
    let (family, source, target) = match words[..] {
        [family, source, target, one, other] if is_port(one) && is_port(other) => {
            (family, source, target)
        }
        _ => return Err("not two addresses and two ports"),
    };
    let address = match family {
        "TCP4" => both::<Ipv4Addr>(source, target).map(IpAddr::V4),
        "TCP6" => both::<Ipv6Addr>(source, target).map(IpAddr::V6),
        _ => return Err("neither TCP4, TCP6 nor UNKNOWN"),
    };
    let address = address.ok_or("an address that is none of its family")?;
    Ok(ProxyHeader::Header(end + 1, Some(address.to_canonical())))
}

/// The first of two addresses that must both be some.
fn both<A: core::str::FromStr>(source: &str, target: &str) -> Option<A> {
    target.parse::<A>().ok()?;
    source.parse().ok()
}

/// Behind the signature: version and command, family, length; then addresses, and behind them what
/// is passed over (TLVs).
fn binary(rest: &[u8]) -> Result<ProxyHeader, &'static str> {
    let is_proxy = match rest.first() {
        None => return Ok(ProxyHeader::Partial),
        // LOCAL: the proxy speaks for itself, and only checks that the server is well.
        Some(0x20) => false,
        Some(0x21) => true,
        Some(_) => return Err("neither LOCAL nor PROXY of version 2"),
    };
    let [_, family, high, low, body @ ..] = rest else {
        return Ok(ProxyHeader::Partial);
    };
    let len = usize::from(u16::from_be_bytes([*high, *low]));
    let whole = BINARY.len() + 4 + len;
    if whole > PROXY_HEADER_BYTES_MAX {
        return Err("longer than is accepted");
    }
    // The addresses and ports of both ends.
    let least = match family {
        _ if !is_proxy => 0,
        0x00 => 0, // unspecified: there is no address to tell
        0x11 | 0x12 => 2 * (4 + 2),
        0x21 | 0x22 => 2 * (16 + 2),
        0x31 | 0x32 => 2 * 108,
        _ => return Err("a family that does not exist"),
    };
    if len < least {
        return Err("too short for its addresses");
    }
    let Some(body) = body.get(..len) else {
        return Ok(ProxyHeader::Partial);
    };
    let address = match family >> 4 {
        1 if is_proxy => body.first_chunk::<4>().map(|a| IpAddr::from(*a)),
        2 if is_proxy => body.first_chunk::<16>().map(|a| IpAddr::from(*a)),
        _ => None,
    };
    let address = address.map(|address| address.to_canonical());
    Ok(ProxyHeader::Header(whole, address))
}

// ---- fields ----

/// What the fields say.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Origin {
    /// Nothing: there are none.
    Unsaid,
    /// This is the client.
    Address(IpAddr),
    /// The client cannot be known: the proxy hides it, or the fields contradict each other.
    Hidden,
}

/// Finds the client's address, as far as `trusts` reaches. If both fields are there they must give
/// the same: a proxy writes one of them, and lets the client's own words pass in the other. Bounded
/// by the length of the head.
pub fn origin(headers: &[Header<'_>], trusts: impl Fn(IpAddr) -> bool) -> Origin {
    // Quotes mean nothing here: one that a client sends must not swallow what the proxy appends.
    let list = lines(headers, "X-Forwarded-For")
        .flat_map(|value| value.split(|&byte| byte == b','))
        .map(trim)
        .filter(|name| !name.is_empty());
    let simple = last_untrusted(list.map(address), &trusts);
    let list = lines(headers, "Forwarded").flat_map(|value| elements(value, b','));
    let standard = last_untrusted(list.map(forwarded_for), &trusts);
    match (simple, standard) {
        (Origin::Unsaid, said) | (said, Origin::Unsaid) => said,
        (one, other) if one == other => one,
        (_, _) => Origin::Hidden,
    }
}

/// Whether a proxy has sent this on, whatever it says of its client: `Via` is every gateway's duty
/// (RFC 9110 §7.6.3), and `X-Real-IP` what many examples for nginx set in place of a list.
pub fn is_forwarded(headers: &[Header<'_>]) -> bool {
    let mut signs = ["X-Forwarded-For", "Forwarded", "X-Real-IP", "Via"].into_iter();
    signs.any(|name| lines(headers, name).next().is_some())
}

/// The last address that is not trusted, and has only trusted ones behind it. If all are trusted it
/// is the first, which asked the others.
fn last_untrusted(
    list: impl Iterator<Item = Option<IpAddr>>,
    trusts: impl Fn(IpAddr) -> bool,
) -> Origin {
    list.fold(Origin::Unsaid, |so_far, next| match next {
        Some(address) if so_far != Origin::Unsaid && trusts(address) => so_far,
        Some(address) => Origin::Address(address),
        None => Origin::Hidden,
    })
}

/// The `for` of one element of `Forwarded`.
fn forwarded_for(element: &[u8]) -> Option<IpAddr> {
    let mut nodes = elements(element, b';').filter_map(|pair| {
        let (name, value) = split_once(pair, b'=')?;
        let is_for = trim(name).eq_ignore_ascii_case(b"for");
        is_for.then_some(trim(value))
    });
    let node = nodes.next()?;
    if nodes.next().is_some() {
        return None;
    }
    // An address has nothing to be escaped.
    match node {
        [b'"', inner @ .., b'"'] => address(inner),
        plain => address(plain),
    }
}

/// `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]`, `[2001:db8::1]:80`; no address is
/// `unknown`, `_hidden`.
fn address(text: &[u8]) -> Option<IpAddr> {
    let text = str::from_utf8(text).ok()?;
    let bare = text
        .strip_prefix('[')
        .and_then(|text| text.strip_suffix(']'));
    let address = match bare {
        Some(bare) => bare.parse().map(IpAddr::V6),
        None => text
            .parse()
            .or_else(|_| text.parse().map(|both: SocketAddr| both.ip())),
    };
    Some(address.ok()?.to_canonical())
}

#[cfg(test)]
mod tests;
