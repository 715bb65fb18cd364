//! What options switch on: caching, sites by name, paths of idler's own, and ping's bad weather.
//!
//! What lives here: small values of single options. It may not know how they are acted upon.
//! Invariant: amounts are whole numbers of a stated unit; nothing is rounded twice.
//! Read next: `serve.rs`.

use super::{duration, shown};
use crate::limits;
use std::{
    ffi::{OsStr, OsString},
    net::Ipv6Addr,
    os::unix::ffi::{OsStrExt, OsStringExt},
    path::PathBuf,
    time::Duration,
};

/// What `Cache-Control` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
        let whole: u32 = super::digits(whole)?.parse().ok()?;
        // One percent is 10,000 millionths: four more digits.
        let fraction = super::digits(fraction).filter(|digits| digits.len() <= 4)?;
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
            super::duration_text(limits::DELAY_OPTION_MAX)
        )),
    }
}

/// A duration whose bare numbers count milliseconds.
pub(crate) fn delay(given: &OsStr) -> Result<Duration, String> {
    let bare = super::digits(given.to_str().unwrap_or_default()).is_some();
    let mut text = given.to_owned();
    if bare {
        text.push("ms");
    }
    duration(&text, Duration::ZERO..=limits::DELAY_OPTION_MAX).map_err(|_| {
        format!(
            "{} is not a number of milliseconds, nor a duration, up to {}",
            shown(given),
            super::duration_text(limits::DELAY_OPTION_MAX)
        )
    })
}
