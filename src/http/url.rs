//! Where a request goes: the part of URLs (RFC 3986) that a client without TLS needs.
//!
//! What lives here: taking a URL apart, and following a reference from one to the next. It may not know how a host is
//! found. Invariant: a target begins with a slash and holds only what may stand in a request line.
//! Read next: `head.rs`.

use std::fmt;

/// What is asked of whom.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Url {
    host: String,
    port: u16,
    target: String,
}

/// Why a URL cannot be used.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum BadUrl {
    /// Another scheme than `http`.
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
    /// Of its parts: a host (an IPv6 address without brackets), a port, and a target with its slash.
    ///
    /// # Errors
    /// If the host is none.
    pub fn new(host: &str, port: u16, target: &str) -> Result<Self, BadUrl> {
        Self::build(host, port, target)
    }

    /// Takes a URL apart. `http://` may be left out.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, BadUrl> {
        let rest = match text.split_once("://") {
            Some((scheme, rest)) if is_scheme(scheme) => {
                if !scheme.eq_ignore_ascii_case("http") {
                    return Err(BadUrl::Scheme(scheme.to_ascii_lowercase()));
                }
                rest
            }
            _ => text,
        };
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, target) = rest.split_at(end);
        if authority.contains('@') {
            return Err(BadUrl::UserInfo);
        }
        let (host, port) = split_port(authority)?;
        Self::build(host, port, target)
    }

    /// Where a `Location` leads from here (RFC 3986 §5.2).
    ///
    /// # Errors
    /// If that is no place to go.
    pub fn follow(&self, location: &str) -> Result<Self, BadUrl> {
        let location = location.trim();
        if let Some(rest) = location.strip_prefix("//") {
            return Self::parse(&format!("http://{rest}"));
        }
        if let Some((scheme, rest)) = location.split_once(':')
            && is_scheme(scheme)
        {
            return if rest.starts_with("//") {
                Self::parse(location)
            } else {
                Err(BadUrl::Scheme(scheme.to_ascii_lowercase()))
            };
        }
        let (path, query) = split_query(&self.target);
        let target = if location.starts_with('/') {
            location.to_owned()
        } else if location.starts_with('?') {
            format!("{path}{location}")
        } else if location.is_empty() || location.starts_with('#') {
            format!("{path}{query}")
        } else {
            let directory = path.rfind('/').map_or("/", |i| &path[..=i]);
            format!("{directory}{location}")
        };
        Self::build(&self.host, self.port, &target)
    }

    fn build(host: &str, port: u16, target: &str) -> Result<Self, BadUrl> {
        let is_host = |c: char| c.is_ascii_graphic() && !"/?#@<>\"\\^`{|}".contains(c);
        if host.is_empty() || !host.chars().all(is_host) {
            return Err(BadUrl::Host);
        }
        let target = target.split('#').next().unwrap_or(target);
        let (path, query) = split_query(target);
        Ok(Self {
            host: host.to_owned(),
            port,
            target: encode(&without_dots(path)) + &encode(query),
        })
    }

    /// The host, without the brackets of an IPv6 address.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What stands in the request line: path and query.
    pub fn target(&self) -> &str {
        &self.target
    }

    /// What stands in `Host`: the port only if it is not 80.
    pub fn authority(&self) -> String {
        let host = if self.host.contains(':') {
            format!("[{}]", self.host)
        } else {
            self.host.clone()
        };
        match self.port {
            80 => host,
            port => format!("{host}:{port}"),
        }
    }
}

fn is_scheme(text: &str) -> bool {
    let is_part = |b: u8| b.is_ascii_alphanumeric() || b"+-.".contains(&b);
    text.starts_with(|c: char| c.is_ascii_alphabetic()) && text.bytes().all(is_part)
}

fn split_port(authority: &str) -> Result<(&str, u16), BadUrl> {
    let (host, port) = if let Some(rest) = authority.strip_prefix('[') {
        let (host, rest) = rest.split_once(']').ok_or(BadUrl::Host)?;
        match rest {
            "" => (host, None),
            _ => (host, Some(rest.strip_prefix(':').ok_or(BadUrl::Host)?)),
        }
    } else {
        match authority.rsplit_once(':') {
            Some((host, _)) if host.contains(':') => return Err(BadUrl::Host),
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        }
    };
    match port {
        None | Some("") => Ok((host, 80)),
        Some(port) if port.bytes().all(|b| b.is_ascii_digit()) => match port.parse() {
            Ok(port) if port > 0 => Ok((host, port)),
            _ => Err(BadUrl::Port),
        },
        Some(_) => Err(BadUrl::Port),
    }
}

/// The path, and the query with its question mark.
fn split_query(target: &str) -> (&str, &str) {
    target.split_at(target.find('?').unwrap_or(target.len()))
}

/// Removes `.` and `..` from a path (RFC 3986 §5.2.4). Begins with a slash.
fn without_dots(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let segments = path.strip_prefix('/').unwrap_or(path).split('/');
    let mut ends_in_directory = false;
    for segment in segments {
        ends_in_directory = matches!(segment, "." | "..");
        match segment {
            "." => {}
            ".." => {
                kept.pop();
            }
            other => kept.push(other),
        }
    }
    let mut path = String::new();
    for segment in &kept {
        path.push('/');
        path.push_str(segment);
    }
    if ends_in_directory || path.is_empty() {
        path.push('/');
    }
    path
}

/// Percent-encodes what may not stand in a request line; what is encoded already stays.
fn encode(text: &str) -> String {
    use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
    const UNSAFE: &AsciiSet = &CONTROLS
        .add(b' ')
        .add(b'"')
        .add(b'<')
        .add(b'>')
        .add(b'\\')
        .add(b'^')
        .add(b'`')
        .add(b'{')
        .add(b'|')
        .add(b'}');
    utf8_percent_encode(text, UNSAFE).to_string()
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
        ] {
            let url = url(text);
            assert_eq!((url.host(), url.port(), url.target()), (host, port, target));
            assert_eq!(Url::parse(&url.to_string()), Ok(url));
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
    fn parts_are_put_together() {
        let url = Url::new("::1", 81, "/a/../b").unwrap();
        assert_eq!(url.to_string(), "http://[::1]:81/b");
        assert_eq!(Url::new("", 80, "/x"), Err(BadUrl::Host));
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
