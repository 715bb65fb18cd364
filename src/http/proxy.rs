//! The PROXY protocol, versions 1 and 2: whom a proxy speaks for, said before the first byte of a connection
//! (HAProxy's `doc/proxy-protocol.txt`).
//!
//! What lives here: reading such a header, or finding that there is none. It may not know who is trusted; addresses are
//! values. Invariant: no bytes lead further than [`PROXY_HEADER_BYTES_MAX`]; a header that has begun is
//! read to its end or refused, and what has not begun like one is somebody else's.
//! Read next: `http/forwarded.rs`, which says the same in fields.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::limits::PROXY_HEADER_BYTES_MAX;

/// What the first bytes of a connection are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Found {
    /// So far they could be a header; more must come.
    Partial,
    /// No header: they belong to what follows.
    None,
    /// A header of so many bytes, and the address it gives; `None` where the proxy speaks for itself or for
    /// somebody without an address.
    Header(usize, Option<IpAddr>),
}

/// What is wrong with a header.
pub type Wrong = &'static str;

/// How version 1 begins: a line of text.
const TEXT: &[u8] = b"PROXY ";

/// How version 2 begins: what no other protocol begins with.
const BINARY: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// The longest line of version 1, its end included.
const LINE_BYTES_MAX: usize = 107;

/// Reads the first bytes of a connection. Bounded by [`PROXY_HEADER_BYTES_MAX`].
///
/// # Errors
/// What is wrong, if they begin like a header and are none.
pub fn read(bytes: &[u8]) -> Result<Found, Wrong> {
    if bytes.starts_with(TEXT) {
        text(bytes)
    } else if bytes.starts_with(BINARY) {
        binary(bytes)
    } else if TEXT.starts_with(bytes) || BINARY.starts_with(bytes) {
        Ok(Found::Partial)
    } else {
        Ok(Found::None)
    }
}

/// `PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n`, or `PROXY UNKNOWN`, whatever follows.
fn text(bytes: &[u8]) -> Result<Found, Wrong> {
    let beginning = &bytes[..bytes.len().min(LINE_BYTES_MAX)];
    let Some(end) = beginning.iter().position(|&byte| byte == b'\n') else {
        return if bytes.len() < LINE_BYTES_MAX {
            Ok(Found::Partial)
        } else {
            Err("a line longer than 107 bytes")
        };
    };
    let line = beginning[TEXT.len()..end]
        .strip_suffix(b"\r")
        .and_then(|line| str::from_utf8(line).ok())
        .ok_or("a line that does not end in CR LF, or is no text")?;
    let mut words = line.split(' ');
    let family = words.next();
    if family == Some("UNKNOWN") {
        return Ok(Found::Header(end + 1, None));
    }
    let (source, target) = (words.next(), words.next());
    let ports = [words.next(), words.next()];
    let is_port = |port: &Option<&str>| {
        port.is_some_and(|p| p.bytes().all(|b| b.is_ascii_digit()) && p.parse::<u16>().is_ok())
    };
    if words.next().is_some() || !ports.iter().all(is_port) {
        return Err("not two addresses and two ports");
    }
    let address = match family {
        Some("TCP4") => both::<Ipv4Addr>(source, target).map(IpAddr::V4),
        Some("TCP6") => both::<Ipv6Addr>(source, target).map(IpAddr::V6),
        _ => return Err("neither TCP4, TCP6 nor UNKNOWN"),
    };
    match address {
        Some(address) => Ok(Found::Header(end + 1, Some(address.to_canonical()))),
        None => Err("an address that is none of its family"),
    }
}

/// The first of two addresses that must both be some.
fn both<A: core::str::FromStr>(source: Option<&str>, target: Option<&str>) -> Option<A> {
    let source = source?.parse().ok()?;
    target?.parse::<A>().ok()?;
    Some(source)
}

/// Signature, version and command, family, length; then addresses, and behind them what is passed over (TLVs).
fn binary(bytes: &[u8]) -> Result<Found, Wrong> {
    let rest = &bytes[BINARY.len()..];
    let command = match rest.first() {
        None => return Ok(Found::Partial),
        Some(0x20) => Command::Local,
        Some(0x21) => Command::Proxy,
        Some(_) => return Err("neither LOCAL nor PROXY of version 2"),
    };
    let [_, family, high, low, body @ ..] = rest else {
        return Ok(Found::Partial);
    };
    let len = usize::from(u16::from_be_bytes([*high, *low]));
    let whole = BINARY.len() + 4 + len;
    if whole > PROXY_HEADER_BYTES_MAX {
        return Err("longer than is accepted");
    }
    // Addresses of both ends, and their ports.
    let least = match (command, *family) {
        (Command::Local, _) => 0,
        // Unspecified, and sockets of Unix: whoever it is has no address.
        (Command::Proxy, 0x00) => 0,
        (Command::Proxy, 0x31 | 0x32) => 2 * 108,
        (Command::Proxy, 0x11 | 0x12) => 2 * (4 + 2),
        (Command::Proxy, 0x21 | 0x22) => 2 * (16 + 2),
        (Command::Proxy, _) => return Err("a family that does not exist"),
    };
    if len < least {
        return Err("too short for its addresses");
    }
    let Some(body) = body.get(..len) else {
        return Ok(Found::Partial);
    };
    let address = match (command, *family >> 4) {
        (Command::Proxy, 1) => body.first_chunk::<4>().map(|a| IpAddr::from(*a)),
        (Command::Proxy, 2) => body.first_chunk::<16>().map(|a| IpAddr::from(*a)),
        (Command::Proxy | Command::Local, _) => None,
    };
    Ok(Found::Header(whole, address.map(|a| a.to_canonical())))
}

/// What version 2 is told to do.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Command {
    /// The proxy speaks for itself: it looks whether we are well.
    Local,
    /// It speaks for a client.
    Proxy,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use super::*;

    /// A header of version 2.
    fn v2(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
        let len = u16::try_from(body.len()).unwrap().to_be_bytes();
        [BINARY, &[command, family], &len, body].concat()
    }

    /// Body of a header of version 2 for IPv4, with something behind the addresses.
    fn v4_body(tlv: &[u8]) -> Vec<u8> {
        let ends = [192, 0, 2, 1, 198, 51, 100, 1, 0xdc, 0x04, 0x01, 0xbb];
        [&ends[..], tlv].concat()
    }

    fn v6_body() -> Vec<u8> {
        let source: Ipv6Addr = "2001:db8::7".parse().unwrap();
        [&source.octets()[..], &[0; 16], &[1, 2, 3, 4]].concat()
    }

    fn good() -> Vec<(Vec<u8>, Option<&'static str>)> {
        let line = |text: &str| text.as_bytes().to_vec();
        let longest = format!("PROXY UNKNOWN {}\r\n", "f".repeat(107 - 16));
        assert_eq!(longest.len(), LINE_BYTES_MAX);
        let fitting = PROXY_HEADER_BYTES_MAX - 16 - 12;
        vec![
            (
                line("PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n"),
                Some("192.0.2.1"),
            ),
            (
                line("PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n"),
                Some("255.255.255.255"),
            ),
            (
                line("PROXY TCP6 2001:db8::1 ::1 1 2\r\n"),
                Some("2001:db8::1"),
            ),
            (
                line("PROXY TCP6 ::ffff:192.0.2.1 ::1 1 2\r\n"),
                Some("192.0.2.1"),
            ),
            (line("PROXY UNKNOWN\r\n"), None),
            (line("PROXY UNKNOWN ffff:f...f:ffff 1 2\r\n"), None),
            (line(&longest), None),
            (v2(0x21, 0x11, &v4_body(b"")), Some("192.0.2.1")),
            (v2(0x21, 0x12, &v4_body(b"")), Some("192.0.2.1")),
            (
                v2(0x21, 0x11, &v4_body(b"\x03\0\x04\x01\x02\x03\x04")),
                Some("192.0.2.1"),
            ),
            (
                v2(0x21, 0x11, &v4_body(&vec![4; fitting])),
                Some("192.0.2.1"),
            ),
            (v2(0x21, 0x21, &v6_body()), Some("2001:db8::7")),
            (v2(0x21, 0x22, &v6_body()), Some("2001:db8::7")),
            (v2(0x21, 0x00, b""), None),
            (v2(0x21, 0x00, b"whatever"), None),
            (v2(0x21, 0x31, &[b'/'; 216]), None),
            (v2(0x20, 0x00, b""), None),
            (v2(0x20, 0x11, &v4_body(b"")), None),
            (v2(0x20, 0xff, b"x"), None),
        ]
    }

    #[test]
    fn a_header_is_read_whole_and_at_every_cut() {
        for (header, address) in good() {
            let address = address.map(|text| text.parse().unwrap());
            let whole = Ok(Found::Header(header.len(), address));
            assert_eq!(read(&header), whole, "{}", header.escape_ascii());
            let more = [&header[..], b"GET / HTTP/1.1\r\n"].concat();
            assert_eq!(read(&more), whole, "{}", header.escape_ascii());
            for cut in 0..header.len() {
                let part = &header[..cut];
                assert_eq!(read(part), Ok(Found::Partial), "{}", part.escape_ascii());
            }
        }
    }

    #[test]
    fn what_begins_otherwise_is_no_header() {
        for bytes in [
            &b"G"[..],
            b"GET / HTTP/1.1\r\n\r\n",
            b"POST / HTTP/1.1\r\n",
            b"PUT / HTTP/1.1\r\n",
            b"PROPFIND / HTTP/1.1\r\n",
            b"PROXY\t",
            b"PROXYX",
            b"proxy TCP4",
            b"\r\nGET / HTTP/1.1\r\n",
            b"\r\n\r\nGET / HTTP/1.1\r\n",
            b"\r\n\r\n\0\r\nQUIT\r\n",
            b"\n",
            b"\0",
        ] {
            assert_eq!(read(bytes), Ok(Found::None), "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn a_header_that_breaks_a_rule_is_refused() {
        let long = format!("PROXY UNKNOWN {}\r\n", "f".repeat(108 - 16));
        let endless = vec![b' '; 200];
        let mut too_long = v2(0x21, 0x11, &v4_body(b""));
        too_long[14..16].copy_from_slice(&[0xff, 0xff]);
        let mut bad: Vec<Vec<u8>> = [
            "PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\n",
            "PROXY TCP4 192.0.2.1 198.51.100.1 56324\r\n",
            "PROXY TCP4 192.0.2.1 198.51.100.1 56324 443 1\r\n",
            "PROXY TCP4 192.0.2.1  198.51.100.1 56324 443\r\n",
            "PROXY TCP4 192.0.2.1 198.51.100.1 56324 65536\r\n",
            "PROXY TCP4 192.0.2.1 198.51.100.1 -1 443\r\n",
            "PROXY TCP4 192.0.2.1 198.51.100.1 +1 443\r\n",
            "PROXY TCP4 192.0.2.1 198.51.100.1  443\r\n",
            "PROXY TCP4 2001:db8::1 ::1 1 2\r\n",
            "PROXY TCP6 192.0.2.1 198.51.100.1 1 2\r\n",
            "PROXY TCP4 192.0.2.256 198.51.100.1 1 2\r\n",
            "PROXY TCP4 192.0.2.1 somewhere 1 2\r\n",
            "PROXY UDP4 192.0.2.1 198.51.100.1 1 2\r\n",
            "PROXY \r\n",
            "PROXY UNKNOWNX\r\n",
            &long,
        ]
        .map(|line| line.as_bytes().to_vec())
        .into();
        bad.extend([
            [TEXT, &endless].concat(),
            b"PROXY TCP4 \xff 198.51.100.1 1 2\r\n".to_vec(),
            v2(0x11, 0x11, &v4_body(b"")),
            v2(0x22, 0x11, &v4_body(b"")),
            v2(0x21, 0x41, &v4_body(b"")),
            v2(0x21, 0x13, &v4_body(b"")),
            v2(0x21, 0x11, &v4_body(b"")[..11]),
            v2(0x21, 0x21, &v4_body(b"")),
            v2(0x21, 0x31, b"/tmp"),
            v2(0x21, 0x11, &v4_body(&vec![4; PROXY_HEADER_BYTES_MAX])),
            too_long,
        ]);
        for bytes in bad {
            assert!(read(&bytes).is_err(), "{}", bytes.escape_ascii());
            // Refused as soon as it is known, and never taken for something else on the way there.
            for cut in 0..bytes.len() {
                let so_far = read(&bytes[..cut]);
                let fits = matches!(so_far, Ok(Found::Partial) | Err(_));
                assert!(fits, "{}: {so_far:?}", bytes[..cut].escape_ascii());
            }
        }
    }
}
