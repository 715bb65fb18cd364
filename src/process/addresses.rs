//! The machine's own addresses, and the URLs that a user can open, from the kernel's tables.
//!
//! A table that is missing or strange yields fewer URLs, never an error. It must be read before the
//! walls are raised.

use std::fs::File;
use std::io::Read as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::limits::{ADDRESS_TABLE_BYTES_MAX, OWN_ADDRESSES_MAX};
use crate::process::sockets::{Address, BoundSocket};

/// The URLs under which `listeners` can be reached, in their order.
///
/// A wildcard address is no place to go, so the loopback address and the machine's own addresses
/// stand for it. Unix sockets are shown as `unix:` and their path.
pub fn urls(listeners: &[BoundSocket]) -> Vec<String> {
    let own = own_addresses();
    let mut urls = Vec::new();
    for url in listeners
        .iter()
        .flat_map(|bound| urls_of(&bound.address, &own))
    {
        if !urls.contains(&url) {
            urls.push(url);
        }
    }
    urls
}

fn urls_of(address: &Address, own: &[IpAddr]) -> Vec<String> {
    let &Address::Ip(address) = address else {
        return vec![address.to_string()];
    };
    if !address.ip().is_unspecified() {
        return vec![url(address)];
    }
    let loopback: IpAddr = if address.is_ipv4() {
        Ipv4Addr::LOCALHOST.into()
    } else {
        Ipv6Addr::LOCALHOST.into()
    };
    std::iter::once(&loopback)
        .chain(own.iter().filter(|ip| ip.is_ipv4() == address.is_ipv4()))
        .map(|ip| url(SocketAddr::new(*ip, address.port())))
        .collect()
}

fn url(address: SocketAddr) -> String {
    // A scope has no place in a URL that browsers take.
    format!("http://{}/", SocketAddr::new(address.ip(), address.port()))
}

/// The machine's addresses, without loopback and link-local ones, [`OWN_ADDRESSES_MAX`] at most.
pub fn own_addresses() -> Vec<IpAddr> {
    let v4 = parse_fib_trie(&table("/proc/net/fib_trie"));
    let v6 = parse_if_inet6(&table("/proc/net/if_inet6"));
    let all = v4
        .into_iter()
        .map(IpAddr::V4)
        .chain(v6.into_iter().map(IpAddr::V6));
    all.take(OWN_ADDRESSES_MAX).collect()
}

/// The beginning of a table under `/proc`; empty if it cannot be read. A router's can be endless.
fn table(path: &str) -> String {
    let mut bytes = Vec::new();
    if let Ok(file) = File::open(path) {
        let _ = file.take(ADDRESS_TABLE_BYTES_MAX).read_to_end(&mut bytes);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Addresses that the routing trie calls the host's own: a leaf `|-- ADDRESS` with `/32 host
/// LOCAL` below.
fn parse_fib_trie(text: &str) -> Vec<Ipv4Addr> {
    let mut found = Vec::new();
    let mut leaf: Option<Ipv4Addr> = None;
    for line in text.lines().map(str::trim) {
        if let Some(address) = line.strip_prefix("|-- ") {
            leaf = address.parse().ok();
        } else if line == "/32 host LOCAL"
            && let Some(ip) = leaf
            && !ip.is_loopback()
            && !ip.is_link_local()
            && !found.contains(&ip)
        {
            found.push(ip);
        }
    }
    found
}

/// Addresses of global scope in lines of `ADDRESS INDEX PREFIX SCOPE FLAGS NAME`, all in
/// hexadecimal.
fn parse_if_inet6(text: &str) -> Vec<Ipv6Addr> {
    /// `IFA_F_DADFAILED`, `IFA_F_DEPRECATED` and `IFA_F_TENTATIVE`: not, not now, not yet in use.
    const NOT_IN_USE: u8 = 0x08 | 0x20 | 0x40;
    let parse = |line: &str| {
        let mut fields = line.split_whitespace();
        let ip = u128::from_str_radix(fields.next()?, 16).ok()?;
        let scope = fields.nth(2)?;
        let flags = u8::from_str_radix(fields.next()?, 16).ok()?;
        (scope == "00" && flags & NOT_IN_USE == 0).then(|| Ipv6Addr::from_bits(ip))
    };
    text.lines().filter_map(parse).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use super::*;

    #[test]
    fn the_trie_tells_own_addresses_from_networks_and_broadcasts() {
        let text = "Main:
  +-- 0.0.0.0/0 3 0 5
     |-- 0.0.0.0
        /0 universe UNICAST
     +-- 127.0.0.0/8 2 0 2
           |-- 127.0.0.0
              /8 host LOCAL
           |-- 127.0.0.1
              /32 host LOCAL
     +-- 192.0.2.0/24 2 0 2
           |-- 192.0.2.0
              /24 link UNICAST
           |-- 192.0.2.2
              /32 host LOCAL
        |-- 192.0.2.255
           /32 link BROADCAST
     |-- 169.254.3.4
        /32 host LOCAL
Local:
     |-- 192.0.2.2
        /32 host LOCAL
     |-- 198.51.100.7
        /32 host LOCAL
";
        let expected: Vec<Ipv4Addr> = vec![
            "192.0.2.2".parse().unwrap(),
            "198.51.100.7".parse().unwrap(),
        ];
        assert_eq!(parse_fib_trie(text), expected);
        assert!(parse_fib_trie("").is_empty());
        assert!(parse_fib_trie("/32 host LOCAL\n|-- x\n/32 host LOCAL").is_empty());
    }

    #[test]
    fn only_usable_global_v6_addresses_are_shown() {
        let text = "\
00000000000000000000000000000001 01 80 10 80       lo
fe8000000000000000fc00fffe000001 04 40 20 80     eth0
20010db8000000000000000000000002 04 40 00 80     eth0
20010db8000000000000000000000003 04 40 00 c0     eth0
20010db8000000000000000000000004 04 40 00 20     eth0
nonsense
fd00
";
        let expected: Vec<Ipv6Addr> = vec!["2001:db8::2".parse().unwrap()];
        assert_eq!(parse_if_inet6(text), expected);
    }

    #[test]
    fn a_wildcard_is_shown_as_the_addresses_behind_it() {
        let own = ["192.0.2.2".parse().unwrap(), "2001:db8::2".parse().unwrap()];
        let urls_at =
            |address: &str| urls_of(&Address::Ip(address.parse().unwrap()), own.as_slice());
        assert_eq!(urls_at("127.0.0.1:8080"), ["http://127.0.0.1:8080/"]);
        assert_eq!(urls_at("[::1]:8080"), ["http://[::1]:8080/"]);
        assert_eq!(
            urls_at("0.0.0.0:81"),
            ["http://127.0.0.1:81/", "http://192.0.2.2:81/"]
        );
        assert_eq!(
            urls_at("[::]:81"),
            ["http://[::1]:81/", "http://[2001:db8::2]:81/"]
        );
        let unix = Address::Unix("/run/idler.sock".into());
        assert_eq!(urls_of(&unix, &own), ["unix:/run/idler.sock"]);
    }

    #[test]
    fn this_machine_can_be_asked() {
        let own = own_addresses();
        assert!(own.len() <= OWN_ADDRESSES_MAX);
        assert!(
            own.iter()
                .all(|ip| !ip.is_loopback() && !ip.is_unspecified())
        );
    }
}
