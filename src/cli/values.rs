//! The values that options take: text to meaning, one function each.
//!
//! What lives here: numbers, durations, sizes, addresses, header lines and the like. It may not know
//! which option asks, and does no I/O: a path is only a path here.
//! Invariant: whatever is refused says what was given and what is accepted, on one line, since that
//! is what the user reads after the option's name.
//! Read next: `serve.rs`, which says which option takes which value.

use crate::limits;
use std::{
    ffi::{OsStr, OsString},
    fmt::Display,
    net::{IpAddr, Ipv6Addr, SocketAddr},
    ops::RangeInclusive,
    os::unix::ffi::{OsStrExt, OsStringExt},
    path::PathBuf,
    str::FromStr,
    time::Duration,
};

/// An address to listen on, as `--bind` takes it. The port, where none is given, is that of `--port`.
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
        /// Where in the file system; at most [`limits::UNIX_PATH_BYTES_MAX`] bytes, no NUL.
        path: PathBuf,
        /// Its permissions (at most `0o777`), if they are given.
        mode: Option<u32>,
    },
}

/// One header line for every reply, valid by RFC 9110 §5.1 and §5.5, and not one that idler itself
/// must get right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderLine {
    /// A token, spelled as it was given.
    pub name: String,
    /// Without surrounding blanks; no control bytes but tabs.
    pub value: Vec<u8>,
}

/// `.ext=media/type`: what `--type` says about an extension.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TypeRule {
    /// In lower case, without its dot.
    pub extension: String,
    /// Valid by RFC 9110 §8.3.1, parameters included.
    pub media_type: String,
}

/// Where the access log goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AccessLog {
    /// `-`.
    Stdout,
    /// A file, appended to, and opened again on SIGHUP.
    File(PathBuf),
    /// `off`.
    Off,
}

/// `'like this'`: an argument as an error line repeats it. Cut to
/// [`limits::SHOWN_ARGUMENT_CHARS_MAX`]; what a terminal would act on is escaped.
pub(crate) fn shown(given: &OsStr) -> String {
    let most = limits::SHOWN_ARGUMENT_CHARS_MAX;
    let text = given.to_string_lossy();
    if text.chars().nth(most).is_none() {
        return format!("'{}'", printable(given));
    }
    let cut: String = text.chars().take(most).collect();
    format!("'{}…'", printable(OsStr::new(&cut)))
}

/// An argument as it can be printed: what a terminal would act on is escaped.
pub(crate) fn printable(given: &OsStr) -> String {
    let mut out = String::new();
    for char in given.to_string_lossy().chars() {
        match char {
            '\'' | '"' | '\\' => out.push(char),
            other => out.extend(other.escape_debug()),
        }
    }
    out
}

/// A switch in the environment, or as `--switch=no`.
pub(crate) fn yes_no(given: &OsStr) -> Result<bool, String> {
    match given.to_str().map(str::to_ascii_lowercase).as_deref() {
        Some("1" | "yes" | "true" | "on") => Ok(true),
        Some("0" | "no" | "false" | "off") => Ok(false),
        Some(_) | None => Err(format!("{} is neither yes nor no", shown(given))),
    }
}

/// A decimal number in `range`.
pub(crate) fn number<T>(given: &OsStr, range: RangeInclusive<T>) -> Result<T, String>
where
    T: FromStr + PartialOrd + Display,
{
    digits(given.to_str().unwrap_or_default())
        .and_then(|text| text.parse().ok())
        .filter(|number| range.contains(number))
        .ok_or_else(|| {
            let (least, most) = (range.start(), range.end());
            format!("{} is not a number from {least} to {most}", shown(given))
        })
}

/// `auto`, or a decimal number in `range`.
pub(crate) fn number_or_auto<T>(
    given: &OsStr,
    range: RangeInclusive<T>,
) -> Result<Option<T>, String>
where
    T: FromStr + PartialOrd + Display,
{
    if given == "auto" {
        return Ok(None);
    }
    match number(given, range) {
        Ok(number) => Ok(Some(number)),
        Err(reason) => Err(format!("{reason}, nor 'auto'")),
    }
}

/// One of `words`, spelled exactly; the answer is its place among them.
pub(crate) fn word<T: Copy>(given: &OsStr, words: &[(&str, T)]) -> Result<T, String> {
    let found = words.iter().find(|(word, _)| given == *word);
    found.map(|&(_, meaning)| meaning).ok_or_else(|| {
        let all: Vec<&str> = words.iter().map(|&(word, _)| word).collect();
        format!("{} is not one of {}", shown(given), all.join(", "))
    })
}

/// A path; only the empty one is refused.
pub(crate) fn path(given: &OsStr) -> Result<PathBuf, String> {
    if given.is_empty() {
        return Err("the name of a file is empty".to_owned());
    }
    Ok(PathBuf::from(given))
}

/// The name of one file, without a directory.
pub(crate) fn file_name(given: &OsStr) -> Result<OsString, String> {
    let bytes = given.as_bytes();
    if matches!(bytes, b"" | b"." | b"..") || bytes.iter().any(|byte| matches!(byte, b'/' | 0)) {
        return Err(format!(
            "{} is not the name of a file; give one without '/', such as index.html",
            shown(given)
        ));
    }
    Ok(given.to_owned())
}

/// `500ms`, `10s`, `5m`, `1h`, `1.5s`; a bare number counts seconds. Exact to the millisecond.
pub(crate) fn duration(given: &OsStr, range: RangeInclusive<Duration>) -> Result<Duration, String> {
    let Some(millis) = given.to_str().and_then(milliseconds) else {
        return Err(format!(
            "{} is not a duration such as 500ms, 10s, 5m or 1h (a bare number counts seconds)",
            shown(given)
        ));
    };
    let duration = Duration::from_millis(millis);
    if !range.contains(&duration) {
        return Err(format!(
            "{} is not a duration from {} to {}",
            shown(given),
            duration_text(*range.start()),
            duration_text(*range.end())
        ));
    }
    Ok(duration)
}

fn milliseconds(text: &str) -> Option<u64> {
    let unit_at = text
        .find(|char: char| !char.is_ascii_digit() && char != '.')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(unit_at);
    let unit: u64 = match unit {
        "ms" => 1,
        "" | "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return None,
    };
    let (whole, fraction) = match number.split_once('.') {
        Some((whole, fraction)) => (whole, digits(fraction)?),
        None => (number, ""),
    };
    let whole = digits(whole)?.parse::<u64>().ok()?.checked_mul(unit)?;
    // At most three digits: enough for a millisecond, and the sum below stays exact.
    if fraction.len() > 3 {
        return None;
    }
    let scale = 10_u64.pow(u32::try_from(fraction.len()).ok()?);
    let parts = fraction.parse::<u64>().unwrap_or(0) * unit;
    if !parts.is_multiple_of(scale) {
        return None;
    }
    whole.checked_add(parts / scale)
}

/// A duration as it would be typed, in its largest whole unit.
pub(crate) fn duration_text(duration: Duration) -> String {
    let millis = duration.as_millis();
    match millis {
        0 => "0s".to_owned(),
        _ if millis.is_multiple_of(3_600_000) => format!("{}h", millis / 3_600_000),
        _ if millis.is_multiple_of(60_000) => format!("{}m", millis / 60_000),
        _ if millis.is_multiple_of(1_000) => format!("{}s", millis / 1_000),
        _ => format!("{millis}ms"),
    }
}

/// `512`, `16K`, `4M`, `1G`: bytes, in powers of 1,024.
pub(crate) fn size(given: &OsStr, range: RangeInclusive<u64>) -> Result<u64, String> {
    let Some(bytes) = given.to_str().and_then(bytes) else {
        return Err(format!(
            "{} is not a size in bytes such as 512, 16K, 4M or 1G",
            shown(given)
        ));
    };
    if !range.contains(&bytes) {
        return Err(format!(
            "{} is not a size from {} to {}",
            shown(given),
            size_text(*range.start()),
            size_text(*range.end())
        ));
    }
    Ok(bytes)
}

fn bytes(text: &str) -> Option<u64> {
    let (number, factor) = match text.as_bytes().last()? {
        b'k' | b'K' => (&text[..text.len() - 1], 1 << 10),
        b'm' | b'M' => (&text[..text.len() - 1], 1 << 20),
        b'g' | b'G' => (&text[..text.len() - 1], 1 << 30),
        _ => (text, 1),
    };
    digits(number)?.parse::<u64>().ok()?.checked_mul(factor)
}

/// A size as it would be typed, in its largest whole unit.
pub(crate) fn size_text(bytes: u64) -> String {
    match bytes {
        0 => "0".to_owned(),
        _ if bytes.is_multiple_of(1 << 30) => format!("{}G", bytes >> 30),
        _ if bytes.is_multiple_of(1 << 20) => format!("{}M", bytes >> 20),
        _ if bytes.is_multiple_of(1 << 10) => format!("{}K", bytes >> 10),
        _ => bytes.to_string(),
    }
}

/// The text if it is ASCII digits and nothing else, not even the sign that [`FromStr`] would take.
fn digits(text: &str) -> Option<&str> {
    (!text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())).then_some(text)
}

/// `127.0.0.1`, `::1`, `[::1]`, `localhost`, each with `:PORT` or without; `unix:/path` with
/// `,MODE` or without.
pub(crate) fn bind_address(given: &OsStr) -> Result<BindAddress, String> {
    if let Some(rest) = given.as_bytes().strip_prefix(b"unix:") {
        return unix_address(given, rest);
    }
    let text = given.to_str().unwrap_or_default();
    let unbracketed = text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    if let Some(address) = unbracketed.and_then(|inner| inner.parse::<Ipv6Addr>().ok()) {
        let address = IpAddr::V6(address);
        return Ok(BindAddress::Ip {
            address,
            port: None,
        });
    }
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(BindAddress::Ip {
            address,
            port: None,
        });
    }
    // A zone ("fe80::1%2") is refused rather than lost.
    if let Ok(socket) = text.parse::<SocketAddr>()
        && !text.contains('%')
    {
        return Ok(BindAddress::Ip {
            address: socket.ip(),
            port: Some(socket.port()),
        });
    }
    let (host, port) = match text.split_once(':') {
        Some((host, port)) => (host, Some(number(OsStr::new(port), 0..=u16::MAX))),
        None => (text, None),
    };
    if let ("localhost", Ok(port)) = (host, port.transpose()) {
        return Ok(BindAddress::Localhost { port });
    }
    Err(format!(
        "{} is not an address to listen on, such as 127.0.0.1, ::1, 0.0.0.0, [::1]:8081, \
         localhost or unix:/run/idler.sock,0660",
        shown(given)
    ))
}

fn unix_address(given: &OsStr, rest: &[u8]) -> Result<BindAddress, String> {
    let refuse = |why: &str| Err(format!("{}: {why}", shown(given)));
    let comma = rest.iter().rposition(|&byte| byte == b',');
    let (path, mode) = match comma.map(|at| (&rest[..at], &rest[at + 1..])) {
        // Only digits after the last comma are a mode; any other comma belongs to the path.
        Some((path, mode)) if !mode.is_empty() && mode.iter().all(u8::is_ascii_digit) => {
            (path, Some(mode))
        }
        Some(_) | None => (rest, None),
    };
    let mode = match mode.map(|mode| str::from_utf8(mode).unwrap_or_default()) {
        None => None,
        Some(mode) => match u32::from_str_radix(mode, 8) {
            Ok(bits @ 0..=0o777) => Some(bits),
            Ok(_) | Err(_) => return refuse("the mode is not an octal number from 0 to 777"),
        },
    };
    if path.is_empty() || path.contains(&0) {
        return refuse("the path of the socket is empty; give one such as unix:/run/idler.sock");
    }
    if path.first() == Some(&b'@') {
        return refuse("abstract sockets have no permissions; give a path");
    }
    if path.len() > limits::UNIX_PATH_BYTES_MAX {
        return refuse(&format!(
            "the path of a socket has at most {} bytes",
            limits::UNIX_PATH_BYTES_MAX
        ));
    }
    Ok(BindAddress::Unix {
        path: PathBuf::from(OsString::from_vec(path.to_vec())),
        mode,
    })
}

/// `Name: value`, by RFC 9110 §5.1 and §5.5.
pub(crate) fn header_line(given: &OsStr) -> Result<HeaderLine, String> {
    let refuse = |why: &str| Err(format!("{}: {why}", shown(given)));
    let Some(colon) = given.as_bytes().iter().position(|&byte| byte == b':') else {
        return refuse("not a header line such as 'Name: value'");
    };
    let (name, value) = given.as_bytes().split_at(colon);
    let Some(name) = str::from_utf8(name).ok().filter(|name| is_token(name)) else {
        return refuse("the name before ':' is not a token of letters, digits and !#$%&'*+-.^_`|~");
    };
    let value = trim_blanks(&value[1..]);
    if value.iter().any(|&byte| is_control(byte)) {
        return refuse("the value contains a control byte; only tabs are allowed");
    }
    if let Some((_, instead)) = REFUSED_HEADERS
        .iter()
        .find(|(refused, _)| refused.eq_ignore_ascii_case(name))
    {
        return refuse(instead);
    }
    Ok(HeaderLine {
        name: name.to_owned(),
        value: value.to_vec(),
    })
}

const CONNECTION: &str = "belongs to the connection, which idler alone knows";
const FRAMING: &str = "says where the reply ends, which idler alone knows";
const OWN: &str = "is idler's own to say";

/// Header names that `--header` refuses, and why. Those of the connection (RFC 9110 §7.6.1) and of
/// framing would break replies; those that describe the very file sent would be a lie about the next.
const REFUSED_HEADERS: &[(&str, &str)] = &[
    ("Connection", CONNECTION),
    ("Keep-Alive", CONNECTION),
    ("Proxy-Connection", CONNECTION),
    ("Proxy-Authenticate", CONNECTION),
    ("Proxy-Authorization", CONNECTION),
    ("TE", CONNECTION),
    ("Upgrade", CONNECTION),
    ("Content-Length", FRAMING),
    ("Transfer-Encoding", FRAMING),
    ("Trailer", FRAMING),
    ("Content-Range", FRAMING),
    ("Content-Encoding", OWN),
    ("Accept-Ranges", OWN),
    ("Allow", OWN),
    ("Date", OWN),
    ("ETag", OWN),
    ("Last-Modified", OWN),
    ("Location", OWN),
    ("Retry-After", OWN),
    ("Server", OWN),
    ("X-Content-Type-Options", "is always sent, as 'nosniff'"),
    (
        "Content-Type",
        "depends on the file; try --type .ext=media/type",
    ),
];

/// RFC 9110 §5.6.2.
pub(crate) fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
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
    kind.is_some_and(|(kind, subtype)| is_token(kind) && is_token(subtype))
        && parts.all(|parameter| {
            let parameter = parameter.trim_matches([' ', '\t']).split_once('=');
            parameter.is_some_and(|(name, value)| is_token(name) && is_token(value))
        })
}

/// `-`, `off` or a file.
pub(crate) fn access_log(given: &OsStr) -> Result<AccessLog, String> {
    Ok(match given.as_bytes() {
        b"-" => AccessLog::Stdout,
        b"off" => AccessLog::Off,
        _ => AccessLog::File(path(given)?),
    })
}

#[cfg(test)]
mod tests;
