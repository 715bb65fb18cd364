//! What a site is told to do, and what ping's bad weather does: small values of single options.
//!
//! Invariant: no header line accepted here can end early or contradict what idler itself says;
//! amounts are whole numbers of a stated unit.

use super::network::{bracketed, is_host_byte};
use super::{
    complaint, digits, duration, duration_text, multiple, path, refusal, text, understood,
};
use crate::http::fields::{is_token, split_once, trim};
use crate::limits;
use std::{ffi::OsStr, os::unix::ffi::OsStrExt, path::PathBuf, time::Duration};

/// Where the access log goes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum LogDestination {
    /// `-`.
    #[default]
    Stdout,
    /// A file, appended to, and opened again on SIGHUP.
    File(PathBuf),
    /// `off`.
    Off,
}

/// What `Cache-Control` says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CachePolicy {
    /// How long a reply is fresh; `None`: it must be asked for again each time (`no-cache`).
    pub max_age: Option<Duration>,
    /// Names with a content hash are fresh for ever (RFC 8246).
    pub immutable: bool,
}

/// A site of its own for one name: `example.com=/srv/example`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostRule {
    /// The host without a port, in lower case.
    pub name: String,
    /// Its root.
    pub directory: PathBuf,
}

/// One header line, valid by RFC 9110 §5.1 and §5.5. For replies it is not one that idler itself
/// must get right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderLine {
    /// A token, spelled as it was given.
    pub name: String,
    /// Without surrounding blanks; no control bytes but tabs.
    pub value: Vec<u8>,
}

/// A header line for some replies: `/assets/ Name: value`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderRule {
    /// The path it is for, as it was typed: a file, or with a slash at its end everything beneath;
    /// empty: all replies.
    pub path: Vec<u8>,
    /// The line.
    pub line: HeaderLine,
}

/// `.ext=media/type`: what `--type` says about an extension.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TypeRule {
    /// In lower case, without its dot.
    pub extension: String,
    /// Valid by RFC 9110 §8.3.1, parameters included.
    pub media_type: String,
}

/// How often something happens, in millionths.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Share {
    /// From 0, never, to 1,000,000, always.
    pub millionths: u32,
}

/// A delay and how far it strays to either side; never below zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Jitter {
    /// The middle.
    pub delay: Duration,
    /// At most as long as the delay.
    pub spread: Duration,
}

/// `-`, `off` or a file.
pub(crate) fn access_log(given: &OsStr) -> Result<LogDestination, String> {
    Ok(match given.as_bytes() {
        b"-" => LogDestination::Stdout,
        b"off" => LogDestination::Off,
        _ => LogDestination::File(path(given)?),
    })
}

/// `no-cache` or a duration, and `,immutable` or not.
pub(crate) fn cache_policy(given: &OsStr) -> Result<CachePolicy, String> {
    let form = "is neither no-cache nor a number of seconds up to a year, such as 60, 1h or \
                60,immutable";
    understood(given, form, |text| {
        let (age, immutable) = match text.strip_suffix(",immutable") {
            Some(age) => (age, true),
            None => (text, false),
        };
        let max_age = match age {
            "no-cache" => None,
            age => {
                Some(duration(age.as_ref(), Duration::ZERO..=limits::CACHE_AGE_OPTION_MAX).ok()?)
            }
        };
        // Caches count seconds (RFC 9111 §1.2.2).
        let is_whole = max_age.is_none_or(|age| age.subsec_nanos() == 0);
        is_whole.then_some(CachePolicy { max_age, immutable })
    })
}

/// `NAME=DIR`. The name is a host as a `Host` field says it, without a port: an IPv6 address has
/// its brackets.
pub(crate) fn host_rule(given: &OsStr) -> Result<HostRule, String> {
    let form = "is not of the form NAME=DIR, such as example.com=/srv/example";
    let (name, directory) = split_once(given.as_bytes(), b'=').unwrap_or_default();
    let name = str::from_utf8(name).unwrap_or_default();
    let is_name = !name.is_empty() && name.bytes().all(is_host_byte) || bracketed(name).is_some();
    if !is_name || directory.is_empty() {
        return Err(refusal(given, form));
    }
    Ok(HostRule {
        name: name.to_ascii_lowercase(),
        directory: PathBuf::from(OsStr::from_bytes(directory)),
    })
}

/// A path that idler answers itself: begins with `/`, plain enough to need no encoding.
pub(crate) fn own_path(given: &OsStr) -> Result<String, String> {
    let form = "is not a plain path such as /health (letters, digits, / - . _ ~)";
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte);
    let is_path = |path: &str| path.len() > 1 && path.starts_with('/');
    text(given, form, |path| {
        is_path(path) && path.bytes().all(is_plain)
    })
}

/// The name or number of a user, with `:GROUP` or without. Whether there is one is not known here.
pub(crate) fn user(given: &OsStr) -> Result<String, String> {
    let is_odd = |char: char| char == '/' || char.is_whitespace() || char.is_control();
    text(given, "is not the name of a user", |name| {
        !name.contains(is_odd)
    })
}

/// A name that Basic authentication can carry (RFC 7617 §2).
pub(crate) fn login(given: &OsStr) -> Result<String, String> {
    let is_odd = |char: char| char == ':' || char.is_control();
    let form = "is not a name without ':' and control characters";
    text(given, form, |name| !name.contains(is_odd))
}

/// `30%`, `0.5%`; the sign may be left out.
pub(crate) fn share(given: &OsStr) -> Result<Share, String> {
    let form = "is not a share from 0% to 100%, such as 30% or 0.5%";
    understood(given, form, |text| {
        // One percent is 10,000 millionths: four places are exact.
        let millionths = multiple(text.strip_suffix('%').unwrap_or(text), 10_000, 4)?;
        let millionths = u32::try_from(millionths).ok()?;
        (millionths <= 1_000_000).then_some(Share { millionths })
    })
}

/// `100ms` or `100ms+-50ms`.
pub(crate) fn jitter(given: &OsStr) -> Result<Jitter, String> {
    let longest = duration_text(limits::DELAY_OPTION_MAX);
    let form = "such as 100ms or 100ms+-50ms (the spread is at most the delay)";
    let why = format!("is not a delay up to {longest} {form}");
    understood(given, &why, |text| {
        let (delay, spread) = text.split_once("+-").unwrap_or((text, "0"));
        let delay = duration(delay.as_ref(), Duration::ZERO..=limits::DELAY_OPTION_MAX).ok()?;
        let spread = duration(spread.as_ref(), Duration::ZERO..=delay).ok()?;
        Some(Jitter { delay, spread })
    })
}

/// A duration whose bare numbers count milliseconds.
pub(crate) fn delay(given: &OsStr) -> Result<Duration, String> {
    let longest = duration_text(limits::DELAY_OPTION_MAX);
    let why = format!("is not a number of milliseconds, nor a duration, up to {longest}");
    understood(given, &why, |text| {
        let unit = if digits(text).is_some() { "ms" } else { "" };
        let text = format!("{text}{unit}");
        duration(text.as_ref(), Duration::ZERO..=limits::DELAY_OPTION_MAX).ok()
    })
}

/// A header line for replies, with the path it is for in front or without. No name begins with a
/// slash, so that nothing can be meant both ways.
pub(crate) fn header_rule(given: &OsStr) -> Result<HeaderRule, String> {
    let bytes = given.as_bytes();
    let blank = bytes.iter().position(|byte| b" \t".contains(byte));
    let blank = blank.filter(|_| bytes.starts_with(b"/"));
    let (path, line) = bytes.split_at(blank.unwrap_or(0));
    if path.iter().any(|byte| b"?#".contains(byte)) {
        let why = "a path has no query; write %3F for a question mark";
        return Err(complaint(given, why));
    }
    let line = if path.is_empty() { line } else { trim(line) };
    let (path, line) = (path.to_vec(), reply_header_line(OsStr::from_bytes(line))?);
    Ok(HeaderRule { path, line })
}

/// A line for replies: none that idler alone can get right.
pub(super) fn reply_header_line(given: &OsStr) -> Result<HeaderLine, String> {
    let line = request_header_line(given)?;
    let is_same = |name: &str| name.eq_ignore_ascii_case(&line.name);
    let mut refused = REFUSED_HEADERS
        .iter()
        .filter_map(|refused| refused.split_once("  "));
    match refused.find(|(names, _)| names.split(' ').any(is_same)) {
        Some((_, why)) => Err(complaint(given, why)),
        None => Ok(line),
    }
}

/// Header names that `--header` refuses, and after two blanks why. Those of the connection (RFC
/// 9110 §7.6.1) and of framing would break replies; those that describe the very file sent would be
/// a lie about the next.
const REFUSED_HEADERS: &[&str] = &[
    "Connection Keep-Alive Proxy-Connection Proxy-Authenticate Proxy-Authorization TE Upgrade  \
     belongs to the connection, which idler alone knows",
    "Content-Length Transfer-Encoding Trailer Content-Range  \
     says where the reply ends, which idler alone knows",
    "Content-Encoding Accept-Ranges Allow Date ETag Last-Modified Location Retry-After Server  \
     is idler's own to say",
    "X-Content-Type-Options  is always sent, as 'nosniff'",
    "Content-Type  depends on the file; try --type .ext=media/type",
];

/// `Name: value`, by RFC 9110 §5.1 and §5.5.
pub(crate) fn request_header_line(given: &OsStr) -> Result<HeaderLine, String> {
    let line = split_once(given.as_bytes(), b':').map(|(name, value)| (name, trim(value)));
    let is_odd = |byte: &u8| byte.is_ascii_control() && *byte != b'\t';
    let why = match line {
        None => "not a header line such as 'Name: value'",
        Some((name, _)) if !is_token(name) => {
            "the name before ':' is not a token of letters, digits and !#$%&'*+-.^_`|~"
        }
        Some((_, value)) if value.iter().any(is_odd) => {
            "the value contains a control byte; only tabs are allowed"
        }
        Some((name, value)) => {
            let (name, value) = (String::from_utf8_lossy(name).into_owned(), value.to_vec());
            return Ok(HeaderLine { name, value });
        }
    };
    Err(complaint(given, why))
}

/// Refuses more than [`limits::GIVEN_HEADER_BYTES_MAX`] of header lines.
pub(crate) fn within_header_limit<'a>(
    lines: impl IntoIterator<Item = &'a HeaderLine>,
) -> Result<(), String> {
    // With ": " and CR LF.
    let length = |line: &HeaderLine| line.name.len() + line.value.len() + 4;
    let most = limits::GIVEN_HEADER_BYTES_MAX;
    let limit = format!("--header: all lines together may have {most} bytes");
    match lines.into_iter().map(length).sum::<usize>() > most {
        true => Err(format!("{limit}; proxies refuse longer heads")),
        false => Ok(()),
    }
}

/// `.ext=media/type`, with parameters or without (RFC 9110 §8.3.1).
pub(crate) fn type_rule(given: &OsStr) -> Result<TypeRule, String> {
    let form = "is not of the form .ext=media/type, such as .wasm=application/wasm";
    let is_odd = |char: char| matches!(char, '/' | '.') || char.is_control();
    understood(given, form, |text| {
        let (extension, media_type) = text.strip_prefix('.')?.split_once('=')?;
        let is_extension = !extension.is_empty() && !extension.contains(is_odd);
        (is_extension && is_media_type(media_type)).then(|| TypeRule {
            extension: extension.to_ascii_lowercase(),
            media_type: media_type.to_owned(),
        })
    })
}

/// Parameters are tokens on both sides: quoted values have no use in a type for an extension.
fn is_media_type(text: &str) -> bool {
    let are_tokens = |pair: Option<(&str, &str)>| {
        pair.is_some_and(|(left, right)| is_token(left.as_bytes()) && is_token(right.as_bytes()))
    };
    let mut parts = text.split(';');
    let kind = parts.next().unwrap_or_default();
    are_tokens(kind.trim_end_matches([' ', '\t']).split_once('/'))
        && parts.all(|part| are_tokens(part.trim_matches([' ', '\t']).split_once('=')))
}
