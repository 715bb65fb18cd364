//! Where a request goes: the part of URLs (RFC 3986) that a client without TLS needs; and where a
//! server listens.
//!
//! Invariant: a target begins with a slash and holds only what may stand in a request line.

use core::net::IpAddr;
use std::fmt;
use std::path::PathBuf;

use percent_encoding::percent_encode;

use crate::http::fields::decimal;
use crate::http::path::ENCODED_IN_URL;

/// The server that is asked, and for what.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Url {
    /// A name or an address; an IPv6 address stands without its brackets.
    pub host: String,
    /// 80 unless the URL says otherwise.
    pub port: u16,
    /// Path and query, as [`target`] writes them.
    pub target: String,
}

/// An address to listen on, as `--bind` takes it. The port, where none is given, is that of
/// `--port`.
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
        /// Where in the file system, without a NUL; see [`crate::limits::UNIX_PATH_BYTES_MAX`].
        path: PathBuf,
        /// Its permissions (at most `0o777`), if they are given.
        mode: Option<u32>,
    },
}

/// Why a URL cannot be used.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum BadUrl {
    /// Another scheme than `http`, in lower case.
    Scheme(String),
    /// There is no host, or it holds what no host can.
    Host,
    /// The port is not a number from 1 to 65,535.
    Port,
    /// A name or password before the host.
    UserInfo,
}

impl fmt::Display for BadUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Scheme(s) if s == "https" => f.write_str(
                "https needs TLS, which idler does not speak; use http, or another client",
            ),
            Self::Scheme(s) => write!(f, "the scheme {s} is not http"),
            Self::Host => f.write_str("the URL names no host"),
            Self::Port => f.write_str("the port is not a number from 1 to 65535"),
            Self::UserInfo => f.write_str(
                "a name or password in a URL is not supported; use -H 'Authorization: …'",
            ),
        }
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}{}", self.authority(), self.target)
    }
}

impl Url {
    /// Takes a URL apart. `http://` may be left out.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub fn parse(text: impl AsRef<[u8]>) -> Result<Self, BadUrl> {
        let text = text.as_ref();
        let scheme = text.windows(3).position(|three| three == b"://");
        // The "://" of a query ("host/?u=http://x") is none of a scheme.
        let scheme = scheme.map(|end| text.split_at(end));
        let scheme = scheme.filter(|(scheme, _)| !scheme.iter().any(|b| b"/?#".contains(b)));
        let rest = match scheme {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case(b"http") => &rest[3..],
            Some((scheme, _)) => {
                let scheme = String::from_utf8_lossy(scheme).to_ascii_lowercase();
                return Err(BadUrl::Scheme(scheme));
            }
            None => text,
        };
        let end = rest.iter().position(|b| b"/?#".contains(b));
        let (authority, rest) = rest.split_at(end.unwrap_or(rest.len()));
        if authority.contains(&b'@') {
            return Err(BadUrl::UserInfo);
        }
        let authority = str::from_utf8(authority).map_err(|_| BadUrl::Host)?;
        let (host, port) = split_port(authority)?;
        let is_host = |b: u8| b.is_ascii_graphic() && !b"/?#@<>\"\\^`{|}".contains(&b);
        if host.is_empty() || !host.bytes().all(is_host) {
            return Err(BadUrl::Host);
        }
        let (host, target) = (host.to_owned(), target(rest));
        Ok(Self { host, port, target })
    }

    /// Where a `Location` leads from here (RFC 3986 §5.2).
    ///
    /// # Errors
    /// If that is no place to go.
    pub fn follow(&self, location: &str) -> Result<Self, BadUrl> {
        let location = location.trim();
        if let Some(rest) = location.strip_prefix("//") {
            return Self::parse(format!("http://{rest}"));
        }
        if let Some((scheme, rest)) = location.split_once(':')
            && is_scheme(scheme)
        {
            return match rest.starts_with("//") {
                true => Self::parse(location),
                false => Err(BadUrl::Scheme(scheme.to_ascii_lowercase())),
            };
        }
        let (path, _) = split_query(&self.target);
        let target = match location.as_bytes().first() {
            Some(b'/') => target(location),
            Some(b'?') => target(format!("{path}{location}")),
            Some(b'#') | None => self.target.clone(),
            Some(_) => {
                let directory = path.rfind('/').map_or("/", |i| &path[..=i]);
                target(format!("{directory}{location}"))
            }
        };
        Ok(Self {
            target,
            ..self.clone()
        })
    }

    /// What stands in `Host` (RFC 9110 §7.2): the port only if it is not 80.
    pub fn authority(&self) -> String {
        let host = match self.host.contains(':') {
            true => format!("[{}]", self.host),
            false => self.host.clone(),
        };
        match self.port {
            80 => host,
            port => format!("{host}:{port}"),
        }
    }
}

/// Path and query as a request line may carry them: from a slash up to the fragment, without `.`
/// and `..` (RFC 3986 §5.2.4). What could end or bend the line is percent-encoded, what is encoded
/// already stays.
pub fn target(given: impl AsRef<[u8]>) -> String {
    let encoded = percent_encode(given.as_ref(), ENCODED_IN_URL).to_string();
    let without_fragment = encoded.split('#').next().unwrap_or_default();
    let (path, query) = split_query(without_fragment);
    without_dots(path) + query
}

fn is_scheme(text: &str) -> bool {
    let is_part = |b: u8| b.is_ascii_alphanumeric() || b"+-.".contains(&b);
    text.starts_with(|c: char| c.is_ascii_alphabetic()) && text.bytes().all(is_part)
}

fn split_port(authority: &str) -> Result<(&str, u16), BadUrl> {
    let (host, port) = if let Some(rest) = authority.strip_prefix('[') {
        let (host, rest) = rest.split_once(']').ok_or(BadUrl::Host)?;
        if !host.contains(':') {
            return Err(BadUrl::Host);
        }
        match rest {
            "" => (host, ""),
            _ => (host, rest.strip_prefix(':').ok_or(BadUrl::Host)?),
        }
    } else {
        let (host, port) = authority.split_once(':').unwrap_or((authority, ""));
        // An address without brackets would be ambiguous: is its last group the port?
        if port.contains(':') {
            return Err(BadUrl::Host);
        }
        (host, port)
    };
    match decimal(port.as_bytes()).and_then(|port| u16::try_from(port).ok()) {
        _ if port.is_empty() => Ok((host, 80)),
        Some(0) | None => Err(BadUrl::Port),
        Some(port) => Ok((host, port)),
    }
}

/// The path, and the query with its question mark.
fn split_query(target: &str) -> (&str, &str) {
    target.split_at(target.find('?').unwrap_or(target.len()))
}

fn without_dots(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let mut ends_in_directory = false;
    for segment in path.strip_prefix('/').unwrap_or(path).split('/') {
        ends_in_directory = matches!(segment, "." | "..");
        match segment {
            "." => {}
            ".." => {
                kept.pop();
            }
            other => kept.push(other),
        }
    }
    if ends_in_directory || kept.is_empty() {
        kept.push("");
    }
    format!("/{}", kept.join("/"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    #[test]
    fn urls_are_taken_apart() {
        for (text, host, port, target) in [
            ("http://example.org", "example.org", 80, "/"),
            (
                "http://example.org:8000/a/b?c=d#e",
                "example.org",
                8000,
                "/a/b?c=d",
            ),
            ("HTTP://h:/x", "h", 80, "/x"),
            ("localhost:8080/x", "localhost", 8080, "/x"),
            ("h?q", "h", 80, "/?q"),
            ("http://[::1]:81/", "::1", 81, "/"),
            ("[::1]", "::1", 80, "/"),
            ("h/ä b\"", "h", 80, "/%C3%A4%20b%22"),
            ("h/%20?%41", "h", 80, "/%20?%41"),
            ("h/a/../b/./c/..", "h", 80, "/b/"),
            ("h/../../x", "h", 80, "/x"),
            ("h/a?x/../y", "h", 80, "/a?x/../y"),
            ("h/a\r\nHost: x", "h", 80, "/a%0D%0AHost:%20x"),
            ("http://[::1]:81/a/../b", "::1", 81, "/b"),
        ] {
            let url = url(text);
            let parts = (url.host.as_str(), url.port, url.target.as_str());
            assert_eq!(parts, (host, port, target));
            assert_eq!(Url::parse(url.to_string()), Ok(url));
        }
    }

    #[test]
    fn what_is_no_url_is_refused_with_its_reason() {
        assert_eq!(
            Url::parse("https://h/"),
            Err(BadUrl::Scheme("https".to_owned()))
        );
        assert_eq!(Url::parse("http://"), Err(BadUrl::Host));
        assert_eq!(Url::parse(""), Err(BadUrl::Host));
        assert_eq!(Url::parse("http://a b/"), Err(BadUrl::Host));
        assert_eq!(Url::parse("http://a\r\nb/"), Err(BadUrl::Host));
        assert_eq!(Url::parse("::1/"), Err(BadUrl::Host));
        assert_eq!(Url::parse("http://[::1/"), Err(BadUrl::Host));
        assert_eq!(Url::parse("http://h:0/"), Err(BadUrl::Port));
        assert_eq!(Url::parse("http://h:65536/"), Err(BadUrl::Port));
        assert_eq!(Url::parse("http://h:+1/"), Err(BadUrl::Port));
        assert_eq!(Url::parse("http://me:secret@h/"), Err(BadUrl::UserInfo));
    }

    #[test]
    fn locations_lead_where_the_rfc_says() {
        let base = url("http://h:81/a/b/c?q=1");
        for (location, leads) in [
            ("http://other/x", "http://other/x"),
            ("//other:82/x", "http://other:82/x"),
            ("/x", "http://h:81/x"),
            ("x", "http://h:81/a/b/x"),
            ("./x", "http://h:81/a/b/x"),
            ("../x", "http://h:81/a/x"),
            ("..", "http://h:81/a/"),
            ("?r", "http://h:81/a/b/c?r"),
            ("#f", "http://h:81/a/b/c?q=1"),
            ("", "http://h:81/a/b/c?q=1"),
            ("x?to=http://y/", "http://h:81/a/b/x?to=http://y/"),
        ] {
            assert_eq!(base.follow(location).unwrap().to_string(), leads);
        }
        for location in ["https://h/", "ftp://h/", "mailto:x", "javascript:alert(1)"] {
            assert!(base.follow(location).is_err(), "{location}");
        }
    }

    #[test]
    fn host_fields_name_the_port_unless_it_is_80() {
        assert_eq!(url("h:80/").authority(), "h");
        assert_eq!(url("h:81/").authority(), "h:81");
        assert_eq!(url("[::1]:81/").authority(), "[::1]:81");
    }
}
