//! The PROXY protocol, versions 1 and 2: before the first byte of a connection, a proxy tells the
//! address of its client (HAProxy's `doc/proxy-protocol.txt`).
//!
//! A header that has begun is read to its end, within [`PROXY_HEADER_BYTES_MAX`], or refused; bytes
//! that do not begin like one belong to what follows.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

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
        return if bytes.len() < PROXY_LINE_BYTES_MAX {
            Ok(ProxyHeader::Partial)
        } else {
            Err("a line longer than 107 bytes")
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
    let [family, source, target, ports @ ..] = &words[..] else {
        return Err("not two addresses and two ports");
    };
    let is_port =
        |port: &&str| port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok();
    if ports.len() != 2 || !ports.iter().all(is_port) {
        return Err("not two addresses and two ports");
    }
    let address = match *family {
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
        // Unspecified: there is no address to tell.
        0x00 => 0,
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
    Ok(ProxyHeader::Header(
        whole,
        address.map(|a| a.to_canonical()),
    ))
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
        assert_eq!(longest.len(), PROXY_LINE_BYTES_MAX);
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
            let whole = Ok(ProxyHeader::Header(header.len(), address));
            assert_eq!(read(&header), whole, "{}", header.escape_ascii());
            let more = [&header[..], b"GET / HTTP/1.1\r\n"].concat();
            assert_eq!(read(&more), whole, "{}", header.escape_ascii());
            for cut in 0..header.len() {
                let part = &header[..cut];
                assert_eq!(
                    read(part),
                    Ok(ProxyHeader::Partial),
                    "{}",
                    part.escape_ascii()
                );
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
            assert_eq!(
                read(bytes),
                Ok(ProxyHeader::None),
                "{}",
                bytes.escape_ascii()
            );
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
                let fits = matches!(so_far, Ok(ProxyHeader::Partial) | Err(_));
                assert!(fits, "{}: {so_far:?}", bytes[..cut].escape_ascii());
            }
        }
    }
}
