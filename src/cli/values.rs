//! The values that options take: text to meaning, one function each.
//!
//! Numbers, times, sizes and names are here; `network.rs` has addresses, `policy.rs` what a site is
//! told. Invariant: what is refused says what was given and what is accepted, on one line, since
//! that is what the user reads after the option's name.

pub(crate) mod network;
pub(crate) mod policy;

use crate::http::text::printable;
use crate::limits;
use std::{
    ffi::{OsStr, OsString},
    fmt::Display,
    ops::RangeInclusive,
    os::unix::ffi::OsStrExt,
    path::PathBuf,
    str::FromStr,
    time::Duration,
};

/// Sets a field to a value, if that was understood.
pub(crate) fn put<T>(field: &mut T, value: Result<T, String>) -> Result<(), String> {
    *field = value?;
    Ok(())
}

/// Adds a value to a list, if it was understood.
pub(crate) fn push<T>(list: &mut Vec<T>, value: Result<T, String>) -> Result<(), String> {
    list.push(value?);
    Ok(())
}

/// `'like this'`: an argument as an error line repeats it. Cut to
/// [`limits::SHOWN_ARGUMENT_CHARS_MAX`]; what a terminal would act on is escaped.
pub(crate) fn shown(given: &OsStr) -> String {
    let most = limits::SHOWN_ARGUMENT_CHARS_MAX;
    // With its closing quote, since a line end at the very end would be left out.
    let text = printable(&[given.as_bytes(), b"'"].concat());
    match text.char_indices().nth(most) {
        Some((at, _)) if text.chars().nth(most + 1).is_some() => format!("'{}…'", &text[..at]),
        Some(_) | None => format!("'{text}"),
    }
}

/// Why an argument is refused: `'x' is not …`.
fn refusal(given: &OsStr, why: &str) -> String {
    format!("{} {why}", shown(given))
}

/// What is wrong with an argument: `'x': …`.
fn complaint(given: &OsStr, why: &str) -> String {
    format!("{}: {why}", shown(given))
}

/// What `read` makes of the text of an argument; if that is nothing, why it is refused.
fn understood<T>(
    given: &OsStr,
    why: &str,
    read: impl FnOnce(&str) -> Option<T>,
) -> Result<T, String> {
    let value = given.to_str().and_then(read);
    value.ok_or_else(|| refusal(given, why))
}

/// A switch in the environment, or as `--switch=no`.
pub(crate) fn yes_no(given: &OsStr) -> Result<bool, String> {
    let read = |text: &str| match text.to_ascii_lowercase().as_str() {
        "1" | "yes" | "true" | "on" => Some(true),
        "0" | "no" | "false" | "off" => Some(false),
        _ => None,
    };
    understood(given, "is neither yes nor no", read)
}

/// A decimal number in `range`.
pub(crate) fn number<T>(given: &OsStr, range: RangeInclusive<T>) -> Result<T, String>
where
    T: FromStr + PartialOrd + Display,
{
    let why = format!("is not a number from {} to {}", range.start(), range.end());
    understood(given, &why, |text| {
        let number = digits(text)?.parse().ok();
        number.filter(|number| range.contains(number))
    })
}

/// `word`, which stands for no number, or a decimal number in `range`.
pub(crate) fn number_or<T>(
    word: &str,
    given: &OsStr,
    range: RangeInclusive<T>,
) -> Result<Option<T>, String>
where
    T: FromStr + PartialOrd + Display,
{
    if given == word {
        return Ok(None);
    }
    let number = number(given, range).map(Some);
    number.map_err(|reason| format!("{reason}, nor '{word}'"))
}

/// What one of `words` means, spelled exactly.
pub(crate) fn one_of<T: Copy>(given: &OsStr, words: &[(&str, T)]) -> Result<T, String> {
    let found = words.iter().find(|(word, _)| given == *word);
    found.map(|&(_, meaning)| meaning).ok_or_else(|| {
        let all: Vec<&str> = words.iter().map(|&(word, _)| word).collect();
        refusal(given, &format!("is not one of {}", all.join(", ")))
    })
}

/// A path; only the empty one is refused.
pub(crate) fn path(given: &OsStr) -> Result<PathBuf, String> {
    if given.is_empty() {
        return Err("the name of a file is empty".into());
    }
    Ok(PathBuf::from(given))
}

/// The name of one file, without a directory.
pub(crate) fn file_name(given: &OsStr) -> Result<OsString, String> {
    let bytes = given.as_bytes();
    if matches!(bytes, b"" | b"." | b"..") || bytes.iter().any(|byte| matches!(byte, b'/' | 0)) {
        let form = "is not the name of a file; give one without '/', such as index.html";
        return Err(refusal(given, form));
    }
    Ok(given.to_owned())
}

/// A time after which something is given up; never zero.
pub(crate) fn timeout(given: &OsStr) -> Result<Duration, String> {
    duration(given, limits::TIMEOUT_OPTION)
}

/// How long something may last; may be zero.
pub(crate) fn wait(given: &OsStr) -> Result<Duration, String> {
    duration(given, limits::WAIT_OPTION)
}

/// `500ms`, `10s`, `5m`, `1h`, `1.5s`; a bare number counts seconds. Exact to the millisecond.
pub(crate) fn duration(given: &OsStr, range: RangeInclusive<Duration>) -> Result<Duration, String> {
    let form = "is not a duration such as 500ms, 10s, 5m or 1h (a bare number counts seconds)";
    let duration = Duration::from_millis(understood(given, form, milliseconds)?);
    let (least, most) = (duration_text(*range.start()), duration_text(*range.end()));
    let why = format!("is not a duration from {least} to {most}");
    understood(given, &why, |_| {
        range.contains(&duration).then_some(duration)
    })
}

fn milliseconds(text: &str) -> Option<u64> {
    let is_unit = |char: char| !char.is_ascii_digit() && char != '.';
    let (number, unit) = text.split_at(text.find(is_unit).unwrap_or(text.len()));
    let unit: u64 = match unit {
        "ms" => 1,
        "" | "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return None,
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let whole = digits(whole)?.parse::<u64>().ok()?.checked_mul(unit)?;
    // At most three digits: enough for a millisecond, and the sum below stays exact.
    let fraction = digits(fraction).filter(|fraction| fraction.len() <= 3)?;
    let scale = 10_u64.pow(u32::try_from(fraction.len()).ok()?);
    let parts = fraction.parse::<u64>().ok()? * unit;
    let is_whole = parts.is_multiple_of(scale);
    whole.checked_add(parts / scale).filter(|_| is_whole)
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

/// `512`, `16K`, `4M`, `1G`: bytes of memory, in powers of 1,024.
pub(crate) fn size(given: &OsStr, range: RangeInclusive<u64>) -> Result<usize, String> {
    let form = "is not a size in bytes such as 512, 16K, 4M or 1G";
    let size = understood(given, form, bytes)?;
    let (least, most) = (size_text(*range.start()), size_text(*range.end()));
    if !range.contains(&size) {
        return Err(refusal(
            given,
            &format!("is not a size from {least} to {most}"),
        ));
    }
    let why = "is more than this machine can address";
    usize::try_from(size).map_err(|_| refusal(given, why))
}

fn bytes(text: &str) -> Option<u64> {
    let unit = |letter: char| text.strip_suffix([letter, letter.to_ascii_lowercase()]);
    let (number, factor) = match (unit('K'), unit('M'), unit('G')) {
        (Some(number), ..) => (number, 1 << 10),
        (_, Some(number), _) => (number, 1 << 20),
        (.., Some(number)) => (number, 1 << 30),
        (None, None, None) => (text, 1),
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

#[cfg(test)]
mod tests;
