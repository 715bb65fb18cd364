//! One line of a file of redirects.
//!
//! What lives here: the grammar of a line. It may not know of other lines. Invariant: a rule that was
//! read can be met, and its target is made of characters that may stand in a URL, ready to be sent.
//! Read next: `redirects.rs`.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};

use crate::http::path::SitePath;
use crate::http::status::Status;
use crate::server::redirects::wrong::Wrong;

/// What may stand in a path as it is (RFC 3986 §3.3), and the slash.
pub(super) const IN_PATH: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'!')
    .remove(b'$')
    .remove(b'&')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')')
    .remove(b'*')
    .remove(b'+')
    .remove(b',')
    .remove(b';')
    .remove(b'=')
    .remove(b':')
    .remove(b'@')
    .remove(b'/');

/// What may stand in a query that comes from a client: what it has encoded stays so.
pub(super) const IN_QUERY: &AsciiSet = &IN_PATH.remove(b'?').remove(b'%');

/// What may stand anywhere in a URL (RFC 3986 §2). The `%` is checked by itself.
const IN_URL: &AsciiSet = &IN_QUERY.remove(b'#').remove(b'[').remove(b']');

/// One line.
#[derive(Clone, Debug)]
pub(super) struct Rule {
    /// The path; with a star, the directory that it stands for all of.
    pub(super) from: SitePath,
    pub(super) is_prefix: bool,
    pub(super) to: Target,
    pub(super) status: Status,
    pub(super) line: u32,
}

impl Rule {
    /// What it is found by.
    pub(super) fn key(&self) -> (&[u8], bool) {
        (self.from.as_bytes(), self.from.is_directory())
    }

    /// Reads a line; `None` if it says nothing.
    pub(super) fn parse(line: &[u8], number: u32) -> Result<Option<Self>, Wrong> {
        let mut words = line
            .split(u8::is_ascii_whitespace)
            .filter(|word| !word.is_empty());
        let Some(from) = words.next().filter(|word| !word.starts_with(b"#")) else {
            return Ok(None);
        };
        let mut word = || words.next().filter(|word| !word.starts_with(b"#"));
        let to = word().ok_or(Wrong::NoTarget)?;
        let number_of_status = word().ok_or(Wrong::NoStatus)?;
        if word().is_some() {
            return Err(Wrong::TooManyWords);
        }

        let status = status(number_of_status).ok_or(Wrong::Status)?;
        let (from, is_prefix) = split_star(from)?;
        let to = Target::parse(to)?;
        if to.star != Star::Nowhere && !is_prefix {
            return Err(Wrong::StarFromNowhere);
        }
        Ok(Some(Self {
            from: decode_from(from)?,
            is_prefix,
            to,
            status,
            line: number,
        }))
    }
}

/// Reads the status of a redirect (RFC 9110 §15.4).
fn status(text: &[u8]) -> Option<Status> {
    match text {
        b"301" => Some(Status::MOVED_PERMANENTLY),
        b"302" => Some(Status::FOUND),
        b"303" => Some(Status::SEE_OTHER),
        b"307" => Some(Status::TEMPORARY_REDIRECT),
        b"308" => Some(Status::PERMANENT_REDIRECT),
        _ => None,
    }
}

/// Takes the star from the end of a word; anywhere else there may be none.
fn split_star(word: &[u8]) -> Result<(&[u8], bool), Wrong> {
    let (word, star) = match word.strip_suffix(b"*") {
        Some(rest) if rest.ends_with(b"/") => (rest, true),
        Some(_) => return Err(Wrong::Star),
        None => (word, false),
    };
    if word.contains(&b'*') {
        return Err(Wrong::Star);
    }
    Ok((word, star))
}

/// The path that is to be met, decoded as that of a request would be.
fn decode_from(from: &[u8]) -> Result<SitePath, Wrong> {
    if !from.starts_with(b"/") {
        return Err(Wrong::FromIsNoPath);
    }
    if from.iter().any(|byte| b"?#".contains(byte)) {
        return Err(Wrong::FromHasQuery);
    }
    check_percents(from)?;
    SitePath::decode(from).map_err(|_| Wrong::NeverMet)
}

/// Each `%` must be followed by two hexadecimal digits.
fn check_percents(text: &[u8]) -> Result<(), Wrong> {
    let mut rest = text;
    while let Some(at) = rest.iter().position(|&byte| byte == b'%') {
        match rest.get(at + 1..at + 3) {
            Some(digits) if digits.iter().all(u8::is_ascii_hexdigit) => rest = &rest[at + 3..],
            _ => return Err(Wrong::Percent),
        }
    }
    Ok(())
}

/// Where what a star stood for is put.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Star {
    Nowhere,
    InHead,
    InFragment,
}

/// Where a redirect leads.
#[derive(Clone, Debug)]
pub(super) struct Target {
    /// Path or URL, with its query, ready to be sent.
    pub(super) head: Box<[u8]>,
    /// From the `#` on, ready to be sent; often empty.
    pub(super) fragment: Box<[u8]>,
    pub(super) star: Star,
    pub(super) has_query: bool,
    pub(super) is_elsewhere: bool,
}

impl Target {
    fn parse(word: &[u8]) -> Result<Self, Wrong> {
        let (word, star) = split_star(word)?;
        check_percents(word)?;
        let forbidden = |&byte: &u8| byte.is_ascii_control() || b"\"<>\\^`{|}".contains(&byte);
        if word.iter().any(forbidden) {
            return Err(Wrong::TargetCharacter);
        }

        let is_elsewhere = match authority(word) {
            Some(b"") => return Err(Wrong::Target),
            Some(_) => true,
            // Two slashes would be a host without a scheme.
            None if word.starts_with(b"/") && !word.starts_with(b"//") => false,
            None => return Err(Wrong::Target),
        };

        let hash = word.iter().position(|&byte| byte == b'#');
        let (head, fragment) = word.split_at(hash.unwrap_or(word.len()));
        let has_query = head.contains(&b'?');
        let star = match (star, hash) {
            (false, _) => Star::Nowhere,
            (true, Some(_)) => Star::InFragment,
            // A path put into a query could add fields to it.
            (true, None) if has_query => return Err(Wrong::Star),
            (true, None) => Star::InHead,
        };
        let encoded = |bytes| {
            let mut out = Vec::new();
            write_encoded(bytes, IN_URL, &mut out);
            out.into_boxed_slice()
        };
        Ok(Self {
            head: encoded(head),
            fragment: encoded(fragment),
            star,
            has_query,
            is_elsewhere,
        })
    }
}

/// What follows `http://` or `https://`; the whole word if it begins with neither.
fn after_scheme(word: &[u8]) -> &[u8] {
    for scheme in [&b"http://"[..], b"https://"] {
        match word.split_at_checked(scheme.len()) {
            Some((start, rest)) if start.eq_ignore_ascii_case(scheme) => return rest,
            Some(_) | None => {}
        }
    }
    word
}

/// The host, with its port, of a word that is an HTTP URL.
fn authority(word: &[u8]) -> Option<&[u8]> {
    let rest = after_scheme(word);
    if rest.len() == word.len() {
        return None;
    }
    rest.split(|byte| b"/?#".contains(byte)).next()
}

/// Appends `bytes`, with those that are in `set` as `%XX`.
pub(super) fn write_encoded(bytes: &[u8], set: &'static AsciiSet, out: &mut Vec<u8>) {
    for piece in percent_encode(bytes, set) {
        out.extend_from_slice(piece.as_bytes());
    }
}
