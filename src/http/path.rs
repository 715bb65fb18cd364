//! The request target, and the path within a site that it names (RFC 9112 §3.2, RFC 3986).
//!
//! What lives here: from the client's words to a [`SitePath`], which cannot express anything outside of
//! a site. It may not know whether anything stands at that path.
//! Invariant: a path is decoded once. Read next: `crate::site`.

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
    if raw.first() == Some(&b'/') {
        return split(None, raw);
    }
    if raw == b"*" && method == "OPTIONS" {
        return Ok(Target {
            authority: None,
            path: raw,
            query: None,
        });
    }
    if method == "CONNECT" {
        return Ok(Target {
            authority: Some(raw),
            path: b"",
            query: None,
        });
    }
    let Some(colon) = raw.windows(3).position(|w| w == b"://") else {
        return Err(Refusal::bad("the target is neither a path nor a URL"));
    };
    let (scheme, rest) = (&raw[..colon], &raw[colon + 3..]);
    if !scheme.eq_ignore_ascii_case(b"http") && !scheme.eq_ignore_ascii_case(b"https") {
        return Err(Refusal::bad("the target's scheme is not http"));
    }
    let end = rest
        .iter()
        .position(|b| matches!(b, b'/' | b'?' | b'#'))
        .unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    if authority.is_empty() {
        return Err(Refusal::bad("the target has no host"));
    }
    split(Some(authority), path)
}

fn split<'a>(authority: Option<&'a [u8]>, path: &'a [u8]) -> Result<Target<'a>, Refusal> {
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

/// The host of `uri-host [":" port]`, without the port; `None` if it is malformed (RFC 3986 §3.2.2).
/// An empty host is well-formed: whoever answers here is meant (RFC 9112 §3.3).
pub fn host_of(authority: &[u8]) -> Option<&[u8]> {
    let (host, port) = if let Some(literal) = authority.strip_prefix(b"[") {
        let end = literal.iter().position(|&b| b == b']')?;
        let inside = &literal[..end];
        let fits = inside
            .iter()
            .all(|b| b.is_ascii_hexdigit() || matches!(b, b':' | b'.'));
        if inside.is_empty() || !fits {
            return None;
        }
        authority.split_at(end + 2)
    } else {
        let end = authority
            .iter()
            .position(|&b| b == b':')
            .unwrap_or(authority.len());
        authority.split_at(end)
    };
    let port_fits = match port.split_first() {
        None => true,
        Some((b':', digits)) => digits.len() <= 5 && digits.iter().all(u8::is_ascii_digit),
        Some(_) => false,
    };
    let mut bytes = host.iter();
    while let Some(&b) = bytes.next() {
        let fits = match b {
            b'%' => bytes.next()?.is_ascii_hexdigit() && bytes.next()?.is_ascii_hexdigit(),
            b'[' | b']' | b':' => host.first() == Some(&b'['),
            b'-' | b'.' | b'_' | b'~' | b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+'
            | b',' | b';' | b'=' => true,
            _ => b.is_ascii_alphanumeric(),
        };
        if !fits {
            return None;
        }
    }
    port_fits.then_some(host)
}

/// A path beneath the root of a site: decoded, without NUL, empty, `.` or `..` segments. It cannot name
/// anything outside.
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
    /// The root of a site.
    pub fn root() -> Self {
        Self {
            path: Vec::new(),
            directory: true,
        }
    }

    /// Decodes the path of a target: percent-decoding first, then segments, so that `%2e%2e` is what `..` is.
    /// Bounded by its length.
    ///
    /// # Errors
    /// 400 for a malformed escape, a NUL, or a path that climbs above the root; 404 for an encoded slash, since no
    /// file name can contain one.
    pub fn decode(raw: &[u8]) -> Result<Self, Refusal> {
        let mut path = Vec::with_capacity(raw.len());
        let mut segment = Vec::new();
        for part in raw.split(|&b| b == b'/') {
            segment.clear();
            unescape(part, &mut segment)?;
            match segment.as_slice() {
                b"" | b"." => {}
                b".." => {
                    if path.is_empty() {
                        return Err(Refusal::bad("the path climbs above the root"));
                    }
                    let cut = path.iter().rposition(|&b| b == b'/').unwrap_or(0);
                    path.truncate(cut);
                }
                name => {
                    if !path.is_empty() {
                        path.push(b'/');
                    }
                    path.extend_from_slice(name);
                }
            }
        }
        let directory = path.is_empty() || matches!(segment.as_slice(), b"" | b"." | b"..");
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

    /// The path of a name within this directory. `name` is one that we chose, not one from the network.
    #[must_use]
    pub fn join(&self, name: &[u8]) -> Self {
        let mut path = self.path.clone();
        if !path.is_empty() {
            path.push(b'/');
        }
        path.extend_from_slice(name);
        Self {
            path,
            directory: false,
        }
    }

    /// The same path with `suffix` at the end of its name.
    #[must_use]
    pub fn with_suffix(&self, suffix: &[u8]) -> Self {
        let mut path = self.path.clone();
        path.extend_from_slice(suffix);
        Self {
            path,
            directory: false,
        }
    }

    /// The directory that it stands in; the root's is the root.
    #[must_use]
    pub fn parent(&self) -> Self {
        let cut = self.path.iter().rposition(|&b| b == b'/').unwrap_or(0);
        Self {
            path: self.path[..cut].to_vec(),
            directory: true,
        }
    }

    /// The same path, asked for as a directory.
    #[must_use]
    pub fn as_directory(&self) -> Self {
        Self {
            path: self.path.clone(),
            directory: true,
        }
    }

    /// The absolute path of a URL that names it, encoded. It begins with exactly one slash, so that it can never
    /// be read as the name of another host.
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

const NUL: Refusal = Refusal::bad("the path has a NUL");

fn unescape(part: &[u8], out: &mut Vec<u8>) -> Result<(), Refusal> {
    let mut bytes = part.iter();
    while let Some(&b) = bytes.next() {
        if b == 0 {
            return Err(NUL);
        }
        if b != b'%' {
            out.push(b);
            continue;
        }
        let digit = |b: Option<&u8>| {
            b.and_then(|&b| char::from(b).to_digit(16))
                .and_then(|d| u8::try_from(d).ok())
        };
        let (Some(high), Some(low)) = (digit(bytes.next()), digit(bytes.next())) else {
            return Err(Refusal::bad("a percent escape is malformed"));
        };
        match high << 4 | low {
            0 => return Err(NUL),
            b'/' => {
                return Err(Refusal::new(
                    Status::NOT_FOUND,
                    "no file name has a slash in it",
                ));
            }
            byte => out.push(byte),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
