//! The client's address as proxies tell it in `X-Forwarded-For` and `Forwarded` (RFC 7239).
//!
//! Only what a trusted proxy has added is believed. Each appends the address that it was asked
//! from, so the list is read from its end, and the first address that is not trusted is the client;
//! what stands before it is the client's own word.

use core::net::{IpAddr, SocketAddr};

use httparse::Header;

use crate::http::fields::{elements, lines, split_once, trim};

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
    let signs = ["X-Forwarded-For", "Forwarded", "X-Real-IP", "Via"];
    signs
        .iter()
        .any(|name| lines(headers, name).next().is_some())
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
        Some(bare) => IpAddr::V6(bare.parse().ok()?),
        None => match text.parse::<IpAddr>() {
            Ok(address) => address,
            Err(_) => text.parse::<SocketAddr>().ok()?.ip(),
        },
    };
    Some(address.to_canonical())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use super::*;

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
}
