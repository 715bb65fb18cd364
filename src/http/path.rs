//! The request target, and the path within a site that it names (RFC 9112 §3.2, RFC 3986).
//!
//! A path is decoded once, into a [`SitePath`], which cannot express anything outside of a site.

use percent_encoding::{AsciiSet, CONTROLS, percent_encode};

use crate::http::status::{Refusal, Status};

/// A request target, split but not decoded.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Target<'a> {
    /// The authority of an absolute-form target: it wins over the `Host` field (RFC 9112 §3.2.2).
    pub authority: Option<&'a [u8]>,
    /// The path as sent; `*` for the asterisk form; empty for the authority form of CONNECT.
    pub path: &'a [u8],
    /// What follows the question mark, if there is one.
    pub query: Option<&'a [u8]>,
}

/// Splits a target. Bounded by its length.
///
/// # Errors
/// 400 for a target of none of the four forms, or of a form that the method does not have.
pub fn parse<'a>(raw: &'a [u8], method: &str) -> Result<Target<'a>, Refusal> {
    let special = |authority, path| {
        Ok(Target {
            authority,
            path,
            query: None,
        })
    };
    let (authority, path) = match raw {
        [b'/', ..] => (None, raw),
        b"*" if method == "OPTIONS" => return special(None, raw),
        _ if method == "CONNECT" => return special(Some(raw), b""),
        _ => absolute_form(raw)?,
    };
    // One pass over what is usually short. A fragment is never sent (RFC 9112 §3.2.1).
    let mut question = None;
    for (i, b) in path.iter().enumerate() {
        match b {
            b'?' if question.is_none() => question = Some(i),
            b'#' => return Err(Refusal::bad("the target has a fragment")),
            0..=0x20 | 0x7f => return Err(Refusal::bad("the target has a control byte")),
            _ => {}
        }
    }
    let (path, query) = match question {
        Some(i) => (&path[..i], Some(&path[i + 1..])),
        None => (path, None),
    };
    let path = if path.is_empty() { b"/" } else { path };
    Ok(Target {
        authority,
        path,
        query,
    })
}

/// The authority and the path of `http://host/path`.
fn absolute_form(raw: &[u8]) -> Result<(Option<&[u8]>, &[u8]), Refusal> {
    let Some(colon) = raw.windows(3).position(|w| w == b"://") else {
        return Err(Refusal::bad("the target is neither a path nor a URL"));
    };
    let (scheme, rest) = (&raw[..colon], &raw[colon + 3..]);
    if !scheme.eq_ignore_ascii_case(b"http") && !scheme.eq_ignore_ascii_case(b"https") {
        return Err(Refusal::bad("the target's scheme is not http"));
    }
    let end = rest.iter().position(|b| b"/?#".contains(b));
    let (authority, path) = rest.split_at(end.unwrap_or(rest.len()));
    if authority.is_empty() {
        return Err(Refusal::bad("the target has no host"));
    }
    Ok((Some(authority), path))
}

/// The host of `uri-host [":" port]`, without the port; `None` if it is malformed (RFC 3986
/// §3.2.2). An empty host is well-formed: the server that is asked is meant (RFC 9112 §3.3).
pub fn host_of(authority: &[u8]) -> Option<&[u8]> {
    let end = match authority.strip_prefix(b"[") {
        Some(literal) => literal.iter().position(|&b| b == b']')? + 2,
        None => {
            let colon = authority.iter().position(|&b| b == b':');
            colon.unwrap_or(authority.len())
        }
    };
    let (host, port) = authority.split_at(end);
    let port_fits = match port {
        [] => true,
        [b':', digits @ ..] => digits.len() <= 5 && digits.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    let is_of_address = |b: &u8| b.is_ascii_hexdigit() || matches!(b, b':' | b'.');
    let is_of_name = |b: &u8| b.is_ascii_alphanumeric() || b"%-._~!$&'()*+,;=".contains(b);
    let host_fits = match host {
        [b'[', address @ .., b']'] => !address.is_empty() && address.iter().all(is_of_address),
        name => name.iter().all(is_of_name) && (!name.contains(&b'%') || has_whole_escapes(name)),
    };
    (port_fits && host_fits).then_some(host)
}

/// Whether two hexadecimal digits follow each `%`.
pub(crate) fn has_whole_escapes(text: &[u8]) -> bool {
    // What stands before the first one follows none.
    let mut behind = text.split(|&byte| byte == b'%').skip(1);
    behind.all(|rest| rest.len() >= 2 && rest[..2].iter().all(u8::is_ascii_hexdigit))
}

/// A path beneath the root of a site: decoded, without NUL, empty, `.` or `..` segments. It cannot
/// name anything outside.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct SitePath {
    /// Segments joined by `/`, without one in front; empty for the root.
    path: Vec<u8>,
    /// Whether it was asked for with a slash at its end: as a directory.
    directory: bool,
}

/// What is percent-encoded anywhere in a URL: what may not stand in one (RFC 3986 §2).
pub(crate) const ENCODED_IN_URL: &AsciiSet = &CONTROLS
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

/// What is percent-encoded in a query that comes from a client, whose own escapes stay (§3.4).
pub(crate) const ENCODED_IN_QUERY: &AsciiSet = &ENCODED_IN_URL.add(b'#').add(b'[').add(b']');

/// What is percent-encoded in a path: everything but `pchar` (§3.3) and `/`.
pub(crate) const ENCODED_IN_PATH: &AsciiSet = &ENCODED_IN_QUERY.add(b'?').add(b'%');

impl SitePath {
    fn new(path: Vec<u8>, directory: bool) -> Self {
        Self { path, directory }
    }

    /// The root of a site.
    pub fn root() -> Self {
        Self::new(Vec::new(), true)
    }

    /// Decodes the path of a target: percent-decoding first, then segments, so that `%2e%2e` is
    /// what `..` is. Bounded by its length.
    ///
    /// # Errors
    /// 400 for a malformed escape, a NUL, or a path that climbs above the root; 404 for an encoded
    /// slash, since no file name can contain one.
    pub fn decode(raw: &[u8]) -> Result<Self, Refusal> {
        let mut path = Vec::with_capacity(raw.len());
        let mut directory = true;
        for part in raw.split(|&b| b == b'/') {
            let parent = path.len();
            if parent > 0 {
                path.push(b'/');
            }
            let start = path.len();
            unescape(part, &mut path)?;
            directory = matches!(&path[start..], b"" | b"." | b"..");
            if path[start..] == *b".." {
                if parent == 0 {
                    return Err(Refusal::bad("the path climbs above the root"));
                }
                let cut = path[..parent].iter().rposition(|&b| b == b'/');
                path.truncate(cut.unwrap_or(0));
            } else if directory {
                path.truncate(parent);
            }
        }
        Ok(Self { path, directory })
    }

    /// The path beneath the root, without a slash in front or at its end; empty for the root.
    pub fn as_bytes(&self) -> &[u8] {
        &self.path
    }

    /// Whether it was asked for as a directory, with a slash at its end.
    pub fn is_directory(&self) -> bool {
        self.directory
    }

    /// The last segment; empty for the root.
    pub fn name(&self) -> &[u8] {
        self.path.rsplit(|&b| b == b'/').next().unwrap_or_default()
    }

    /// Whether one of its names is [hidden](is_hidden).
    pub fn is_hidden(&self) -> bool {
        self.path.split(|&b| b == b'/').any(is_hidden)
    }

    /// The path of a name within this directory. `name` is one that we chose, not one from the
    /// network.
    #[must_use]
    pub fn join(&self, name: &[u8]) -> Self {
        let slash: &[u8] = if self.path.is_empty() { b"" } else { b"/" };
        Self::new([&self.path, slash, name].concat(), false)
    }

    /// The same path with `suffix` at the end of its name.
    #[must_use]
    pub fn with_suffix(&self, suffix: &[u8]) -> Self {
        Self::new([&self.path, suffix].concat(), false)
    }

    /// The directory that it stands in; the root's is the root.
    #[must_use]
    pub fn parent(&self) -> Self {
        let cut = self.path.iter().rposition(|&b| b == b'/').unwrap_or(0);
        Self::new(self.path[..cut].to_vec(), true)
    }

    /// The same path, asked for as a directory.
    #[must_use]
    pub fn as_directory(&self) -> Self {
        Self::new(self.path.clone(), true)
    }

    /// The absolute path of a URL that names it, encoded. It begins with exactly one slash, so that
    /// it can never be read as the name of another host.
    pub fn to_url(&self) -> String {
        let mut url = String::with_capacity(self.path.len() + 2);
        url.push('/');
        url.extend(percent_encode(&self.path, ENCODED_IN_PATH));
        if self.directory && !self.path.is_empty() {
            url.push('/');
        }
        url
    }
}

/// Whether a name begins with a dot: it is not shown unless asked for. `.well-known` is meant to be
/// seen (RFC 8615).
pub fn is_hidden(name: &[u8]) -> bool {
    name.starts_with(b".") && name != b".well-known"
}

fn unescape(part: &[u8], out: &mut Vec<u8>) -> Result<(), Refusal> {
    const NO_NAME: &str = "no file name has a slash in it";
    let mut bytes = part.iter();
    let digit = |b: Option<&u8>| u8::try_from(char::from(*b?).to_digit(16)?).ok();
    while let Some(&b) = bytes.next() {
        let b = if b == b'%' {
            let (Some(high), Some(low)) = (digit(bytes.next()), digit(bytes.next())) else {
                return Err(Refusal::bad("a percent escape is malformed"));
            };
            high << 4 | low
        } else {
            b
        };
        match b {
            0 => return Err(Refusal::bad("the path has a NUL")),
            b'/' => return Err(Refusal::new(Status::NOT_FOUND, NO_NAME)),
            _ => out.push(b),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
