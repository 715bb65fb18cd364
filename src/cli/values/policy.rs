//! What a site is told to do, and what ping's bad weather does: small values of single options.
//!
//! Invariant: no header line accepted here can end early or contradict what idler itself says; amounts
//! are whole numbers of a stated unit.

use super::{digits, duration, duration_text, path, shown};
use crate::http::fields::is_token;
use crate::limits;
use std::{
    ffi::{OsStr, OsString},
    net::Ipv6Addr,
    os::unix::ffi::{OsStrExt, OsStringExt},
    path::PathBuf,
    time::Duration,
};

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
    let text = given.to_str().unwrap_or_default();
    let (age, immutable) = match text.strip_suffix(",immutable") {
        Some(age) => (age, true),
        None => (text, false),
    };
    if age == "no-cache" {
        let max_age = None;
        return Ok(CachePolicy { max_age, immutable });
    }
    match duration(
        OsStr::new(age),
        Duration::ZERO..=limits::CACHE_AGE_OPTION_MAX,
    ) {
        // Caches count seconds (RFC 9111 §1.2.2).
        Ok(max_age) if max_age.subsec_nanos() == 0 => Ok(CachePolicy {
            max_age: Some(max_age),
            immutable,
        }),
        Ok(_) | Err(_) => Err(format!(
            "{} is neither no-cache nor a number of seconds up to a year, such as 60, 1h or \
             60,immutable",
            shown(given)
        )),
    }
}

/// `NAME=DIR`.
pub(crate) fn host_rule(given: &OsStr) -> Result<HostRule, String> {
    let bytes = given.as_bytes();
    let equals = bytes.iter().position(|&byte| byte == b'=');
    let rule = equals.map(|at| (&bytes[..at], &bytes[at + 1..]));
    let named = rule.and_then(|(name, directory)| {
        let name = str::from_utf8(name).ok().filter(|name| is_host(name))?;
        (!directory.is_empty()).then_some((name, directory))
    });
    let Some((name, directory)) = named else {
        return Err(format!(
            "{} is not of the form NAME=DIR, such as example.com=/srv/example",
            shown(given)
        ));
    };
    Ok(HostRule {
        name: name.to_ascii_lowercase(),
        directory: PathBuf::from(OsString::from_vec(directory.to_vec())),
    })
}

/// A host as a `Host` field names it, without a port: an IPv6 address has its brackets.
fn is_host(text: &str) -> bool {
    let inner = text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    match inner {
        Some(inner) => inner.parse::<Ipv6Addr>().is_ok(),
        None => {
            let odd = |byte: u8| !(byte.is_ascii_alphanumeric() || b"-._".contains(&byte));
            !text.is_empty() && !text.bytes().any(odd)
        }
    }
}

/// A path that idler answers itself: begins with `/`, plain enough to need no encoding.
pub(crate) fn own_path(given: &OsStr) -> Result<String, String> {
    let plain = |text: &&str| {
        let odd = |byte: u8| !(byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte));
        text.len() > 1 && text.starts_with('/') && !text.bytes().any(odd)
    };
    given
        .to_str()
        .filter(plain)
        .map(str::to_owned)
        .ok_or_else(|| {
            let given = shown(given);
            format!("{given} is not a plain path such as /health (letters, digits, / - . _ ~)")
        })
}

/// The name or number of a user, with `:GROUP` or without. Whether there is one is not known here.
pub(crate) fn user(given: &OsStr) -> Result<String, String> {
    let text = given.to_str().unwrap_or_default();
    let odd = |char: char| char == '/' || char.is_whitespace() || char.is_control();
    if text.is_empty() || text.contains(odd) {
        return Err(format!("{} is not the name of a user", shown(given)));
    }
    Ok(text.to_owned())
}

/// `30%`, `0.5%`; the sign may be left out.
pub(crate) fn share(given: &OsStr) -> Result<Share, String> {
    let read = |text: &str| {
        let text = text.strip_suffix('%').unwrap_or(text);
        let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
        let whole: u32 = digits(whole)?.parse().ok()?;
        // One percent is 10,000 millionths: four more digits.
        let fraction = digits(fraction).filter(|digits| digits.len() <= 4)?;
        let fraction: u32 = format!("{fraction:0<4}").parse().ok()?;
        let millionths = whole.checked_mul(10_000)?.checked_add(fraction)?;
        (millionths <= 1_000_000).then_some(Share { millionths })
    };
    given.to_str().and_then(read).ok_or_else(|| {
        let given = shown(given);
        format!("{given} is not a share from 0% to 100%, such as 30% or 0.5%")
    })
}

/// `100ms` or `100ms+-50ms`.
pub(crate) fn jitter(given: &OsStr) -> Result<Jitter, String> {
    let text = given.to_str().unwrap_or_default();
    let (delay, spread) = text.split_once("+-").unwrap_or((text, "0"));
    let range = Duration::ZERO..=limits::DELAY_OPTION_MAX;
    let read = |text: &str| duration(OsStr::new(text), range.clone()).ok();
    match (read(delay), read(spread)) {
        (Some(delay), Some(spread)) if spread <= delay => Ok(Jitter { delay, spread }),
        _ => Err(format!(
            "{} is not a delay up to {} such as 100ms or 100ms+-50ms (the spread is at most the delay)",
            shown(given),
            duration_text(limits::DELAY_OPTION_MAX)
        )),
    }
}

/// A duration whose bare numbers count milliseconds.
pub(crate) fn delay(given: &OsStr) -> Result<Duration, String> {
    let bare = digits(given.to_str().unwrap_or_default()).is_some();
    let mut text = given.to_owned();
    if bare {
        text.push("ms");
    }
    duration(&text, Duration::ZERO..=limits::DELAY_OPTION_MAX).map_err(|_| {
        format!(
            "{} is not a number of milliseconds, nor a duration, up to {}",
            shown(given),
            duration_text(limits::DELAY_OPTION_MAX)
        )
    })
}

/// A header line for replies, with the path it is for in front or without. No name begins with a slash, so that
/// nothing can be meant both ways.
pub(crate) fn header_rule(given: &OsStr) -> Result<HeaderRule, String> {
    let bytes = given.as_bytes();
    let blank = bytes.iter().position(|byte| b" \t".contains(byte));
    let (path, line) = match blank {
        Some(at) if bytes.first() == Some(&b'/') => (&bytes[..at], trim_blanks(&bytes[at..])),
        Some(_) | None => (&b""[..], bytes),
    };
    if path.iter().any(|byte| b"?#".contains(byte)) {
        return Err(format!(
            "{}: a path has no query; write %3F for a question mark",
            shown(given)
        ));
    }
    Ok(HeaderRule {
        path: path.to_vec(),
        line: reply_header_line(OsStr::from_bytes(line))?,
    })
}

/// `Name: value`, by RFC 9110 §5.1 and §5.5.
pub(crate) fn request_header_line(given: &OsStr) -> Result<HeaderLine, String> {
    let refuse = |why: &str| Err(format!("{}: {why}", shown(given)));
    let Some(colon) = given.as_bytes().iter().position(|&byte| byte == b':') else {
        return refuse("not a header line such as 'Name: value'");
    };
    let (name, value) = given.as_bytes().split_at(colon);
    let Some(name) = str::from_utf8(name)
        .ok()
        .filter(|name| is_token(name.as_bytes()))
    else {
        return refuse("the name before ':' is not a token of letters, digits and !#$%&'*+-.^_`|~");
    };
    let value = trim_blanks(&value[1..]);
    if value.iter().any(|&byte| is_control(byte)) {
        return refuse("the value contains a control byte; only tabs are allowed");
    }
    Ok(HeaderLine {
        name: name.to_owned(),
        value: value.to_vec(),
    })
}

/// A line for replies: none that idler alone can get right.
pub(super) fn reply_header_line(given: &OsStr) -> Result<HeaderLine, String> {
    let line = request_header_line(given)?;
    let is_meant = |name: &str| name.eq_ignore_ascii_case(&line.name);
    let refused = REFUSED_HEADERS.iter();
    let mut refused = refused.filter(|(names, _)| names.split(' ').any(is_meant));
    match refused.next() {
        Some((_, why)) => Err(format!("{}: {why}", shown(given))),
        None => Ok(line),
    }
}

/// Header names that `--header` refuses, and why. Those of the connection (RFC 9110 §7.6.1) and of
/// framing would break replies; those that describe the very file sent would be a lie about the next.
const REFUSED_HEADERS: &[(&str, &str)] = &[
    (
        "Connection Keep-Alive Proxy-Connection Proxy-Authenticate Proxy-Authorization TE Upgrade",
        "belongs to the connection, which idler alone knows",
    ),
    (
        "Content-Length Transfer-Encoding Trailer Content-Range",
        "says where the reply ends, which idler alone knows",
    ),
    (
        "Content-Encoding Accept-Ranges Allow Date ETag Last-Modified Location Retry-After Server",
        "is idler's own to say",
    ),
    ("X-Content-Type-Options", "is always sent, as 'nosniff'"),
    (
        "Content-Type",
        "depends on the file; try --type .ext=media/type",
    ),
];

/// Refuses more than [`limits::GIVEN_HEADER_BYTES_MAX`] of header lines.
pub(crate) fn within_header_limit<'a>(
    lines: impl IntoIterator<Item = &'a HeaderLine>,
) -> Result<(), String> {
    // With ": " and CR LF.
    let lengths = lines
        .into_iter()
        .map(|line| line.name.len() + line.value.len() + 4);
    match lengths.sum::<usize>() > limits::GIVEN_HEADER_BYTES_MAX {
        true => Err(format!(
            "--header: all lines together may have {} bytes; proxies refuse longer heads",
            limits::GIVEN_HEADER_BYTES_MAX
        )),
        false => Ok(()),
    }
}

fn is_control(byte: u8) -> bool {
    byte.is_ascii_control() && byte != b'\t'
}

fn trim_blanks(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = bytes {
        bytes = rest;
    }
    bytes
}

/// `.ext=media/type`, with parameters or without (RFC 9110 §8.3.1).
pub(crate) fn type_rule(given: &OsStr) -> Result<TypeRule, String> {
    let rule = given
        .to_str()
        .and_then(|text| text.strip_prefix('.'))
        .and_then(|text| text.split_once('='));
    match rule {
        Some((extension, media_type)) if is_extension(extension) && is_media_type(media_type) => {
            Ok(TypeRule {
                extension: extension.to_ascii_lowercase(),
                media_type: media_type.to_owned(),
            })
        }
        Some(_) | None => Err(format!(
            "{} is not of the form .ext=media/type, such as .wasm=application/wasm",
            shown(given)
        )),
    }
}

fn is_extension(text: &str) -> bool {
    let odd = |char: char| matches!(char, '/' | '.') || char.is_control();
    !text.is_empty() && !text.contains(odd)
}

/// Parameters are tokens on both sides: quoted values have no use in a type for an extension.
fn is_media_type(text: &str) -> bool {
    let mut parts = text.split(';');
    let kind = parts.next().unwrap_or_default();
    let kind = kind.trim_end_matches([' ', '\t']).split_once('/');
    kind.is_some_and(|(kind, subtype)| is_token(kind.as_bytes()) && is_token(subtype.as_bytes()))
        && parts.all(|parameter| {
            let parameter = parameter.trim_matches([' ', '\t']).split_once('=');
            parameter.is_some_and(|(name, value)| {
                is_token(name.as_bytes()) && is_token(value.as_bytes())
            })
        })
}

/// A name that Basic authentication can carry (RFC 7617 §2).
pub(crate) fn login(given: &OsStr) -> Result<String, String> {
    let odd = |char: char| char == ':' || char.is_control();
    match given.to_str() {
        Some(name) if !name.is_empty() && !name.contains(odd) => Ok(name.to_owned()),
        Some(_) | None => Err(format!(
            "{} is not a name without ':' and control characters",
            shown(given)
        )),
    }
}
