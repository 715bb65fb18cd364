//! PROXY headers whole, cut and broken; and whom the fields name.

#![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

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

/// 10.0.0.0/8 and fd00::/8 are trusted.
fn trusts(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.octets()[0] == 10,
        IpAddr::V6(address) => address.octets()[0] == 0xfd,
    }
}

fn of(fields: &[(&str, &str)]) -> Origin {
    let headers: Vec<Header<'_>> = fields
        .iter()
        .map(|(name, value)| Header {
            name,
            value: value.as_bytes(),
        })
        .collect();
    origin(&headers, trusts)
}

fn check(fields: &[(&str, &str)], expected: &str) {
    let expected = match expected {
        "" => Origin::Unsaid,
        "?" => Origin::Hidden,
        address => Origin::Address(address.parse().unwrap()),
    };
    assert_eq!(of(fields), expected, "{fields:?}");
}

#[test]
fn what_proxies_send_on_shows() {
    let has = |name| {
        let value = &b""[..];
        is_forwarded(&[Header { name, value }])
    };
    for name in ["x-forwarded-for", "FORWARDED", "X-Real-Ip", "Via"] {
        assert!(has(name), "{name}");
    }
    assert!(!has("Host") && !is_forwarded(&[]));
}

#[test]
fn the_last_who_is_not_trusted_asked() {
    for (list, expected) in [
        ("", ""),
        (" , ", ""),
        ("192.0.2.1", "192.0.2.1"),
        ("203.0.113.9, 192.0.2.1", "192.0.2.1"),
        ("203.0.113.9, 192.0.2.1, 10.0.0.1, 10.0.0.2", "192.0.2.1"),
        ("10.0.0.1", "10.0.0.1"),
        ("10.0.0.2, 10.0.0.1", "10.0.0.2"),
        ("unknown", "?"),
        ("192.0.2.1, unknown", "?"),
        ("192.0.2.1, unknown, 10.0.0.1", "?"),
        ("unknown, 192.0.2.1, 10.0.0.1", "192.0.2.1"),
        ("nonsense', 192.0.2.1", "192.0.2.1"),
        ("192.0.2.1:4711", "192.0.2.1"),
        ("192.0.2.1:471100", "?"),
        ("2001:db8::1", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("[2001:db8::1]:80", "2001:db8::1"),
        ("[192.0.2.1]", "?"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("192.0.2.1, fd00::1", "192.0.2.1"),
        ("192.0.2.1 192.0.2.2", "?"),
        ("\"192.0.2.1\"", "?"),
        ("\"spoofed, 192.0.2.1", "192.0.2.1"),
        ("\u{e9}", "?"),
    ] {
        check(&[("X-Forwarded-For", list)], expected);
    }
    check(
        &[
            ("x-forwarded-for", "203.0.113.9"),
            ("X-Forwarded-For", "192.0.2.1"),
        ],
        "192.0.2.1",
    );
    check(&[("X-Real-IP", "192.0.2.1")], "");
}

#[test]
fn forwarded_says_the_same_with_names() {
    for (list, expected) in [
        ("", ""),
        ("for=192.0.2.60", "192.0.2.60"),
        ("for=192.0.2.60;proto=http;by=203.0.113.43", "192.0.2.60"),
        ("proto=http; For = 192.0.2.60", "192.0.2.60"),
        ("for=192.0.2.43, for=198.51.100.17", "198.51.100.17"),
        ("for=192.0.2.43, for=10.1.1.1;by=10.2.2.2", "192.0.2.43"),
        ("For=\"[2001:db8:cafe::17]:4711\"", "2001:db8:cafe::17"),
        ("for=\"192.0.2.1:4711\"", "192.0.2.1"),
        ("for=\"192.0.2.1:_obfuscated\"", "?"),
        ("for=unknown", "?"),
        ("for=_mystery", "?"),
        ("for=192.0.2.1;for=192.0.2.2", "?"),
        ("by=192.0.2.1", "?"),
        ("for=\"192.0.2.1, 192.0.2.2\"", "?"),
        ("for=\"192.0.2.1", "?"),
        ("192.0.2.1", "?"),
    ] {
        check(&[("Forwarded", list)], expected);
    }
}

#[test]
fn who_contradicts_himself_is_not_believed() {
    let list = ("X-Forwarded-For", "192.0.2.1");
    check(&[list, ("Forwarded", "for=192.0.2.1")], "192.0.2.1");
    check(&[list, ("Forwarded", "for=127.0.0.1")], "?");
    check(&[list, ("Forwarded", "for=unknown")], "?");
    check(&[list, ("Forwarded", "")], "192.0.2.1");
}
