//! The values that options take: text to meaning, one function each.
//!
//! Numbers, times, sizes and names are here; `network.rs` has addresses, `policy.rs` what a site is
//! told. Invariant: what is refused says what was given and what is accepted, on one line, since
//! that is what the user reads after the option's name.

pub(crate) mod network;
pub(crate) mod policy;

use crate::http::text::printable;
use crate::limits;
use std::ffi::{OsStr, OsString};
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

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

/// The text of an argument, if it is right and not empty.
fn text(given: &OsStr, why: &str, is_right: impl Fn(&str) -> bool) -> Result<String, String> {
    let text = given.to_str();
    let text = text.filter(|text| !text.is_empty() && is_right(text));
    text.map(str::to_owned).ok_or_else(|| refusal(given, why))
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
pub(crate) fn number<T: FromStr + PartialOrd + Display>(
    given: &OsStr,
    range: RangeInclusive<T>,
) -> Result<T, String> {
    let why = format!("is not a number from {} to {}", range.start(), range.end());
    understood(given, &why, |text| {
        let number = digits(text)?.parse().ok();
        number.filter(|number| range.contains(number))
    })
}

/// `word`, which stands for no number, or a decimal number in `range`.
pub(crate) fn number_or<T: FromStr + PartialOrd + Display>(
    word: &str,
    given: &OsStr,
    range: RangeInclusive<T>,
) -> Result<Option<T>, String> {
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
    match given.is_empty() {
        true => Err("the name of a file is empty".into()),
        false => Ok(PathBuf::from(given)),
    }
}

/// The name of one file, without a directory.
pub(crate) fn file_name(given: &OsStr) -> Result<OsString, String> {
    let bytes = given.as_bytes();
    let is_path = matches!(bytes, b"." | b"..") || bytes.iter().any(|byte| b"/\0".contains(byte));
    let form = "is not the name of a file; give one without '/', such as index.html";
    match given.is_empty() || is_path {
        true => Err(refusal(given, form)),
        false => Ok(given.to_owned()),
    }
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
    let duration = understood(given, form, |text| {
        let is_unit = |char: char| !char.is_ascii_digit() && char != '.';
        let (number, unit) = text.split_at(text.find(is_unit).unwrap_or(text.len()));
        let unit = if unit.is_empty() { "s" } else { unit };
        let (_, millis) = TIMES.iter().find(|(name, _)| *name == unit)?;
        Some(Duration::from_millis(multiple(number, *millis, 3)?))
    })?;
    within(given, "duration", duration, &range, duration_text)
}

/// `512`, `16K`, `4M`, `1G`: bytes of memory, in powers of 1,024.
pub(crate) fn size(given: &OsStr, range: RangeInclusive<u64>) -> Result<usize, String> {
    let form = "is not a size in bytes such as 512, 16K, 4M or 1G";
    let size = understood(given, form, |text| {
        let is_unit = |char: char| !char.is_ascii_digit();
        let (number, unit) = text.split_at(text.find(is_unit).unwrap_or(text.len()));
        let mut units = SIZES.iter();
        let (_, bytes) = units.find(|(name, _)| name.eq_ignore_ascii_case(unit))?;
        digits(number)?.parse::<u64>().ok()?.checked_mul(*bytes)
    })?;
    let size = within(given, "size", size, &range, size_text)?;
    usize::try_from(size).map_err(|_| refusal(given, "is more than this machine can address"))
}

/// The value if it lies in `range`, or the refusal, which says from where to where that goes.
fn within<T: Copy + PartialOrd>(
    given: &OsStr,
    what: &str,
    value: T,
    range: &RangeInclusive<T>,
    text: fn(T) -> String,
) -> Result<T, String> {
    let (least, most) = (text(*range.start()), text(*range.end()));
    let is_within = range.contains(&value).then_some(value);
    is_within.ok_or_else(|| refusal(given, &format!("is not a {what} from {least} to {most}")))
}

/// The units of time, in milliseconds, and those of memory, in bytes, the largest first.
const TIMES: [(&str, u64); 4] = [("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];
const SIZES: [(&str, u64); 4] = [("G", 1 << 30), ("M", 1 << 20), ("K", 1 << 10), ("", 1)];

/// A decimal number with at most so many places, times `unit`, if the product is whole.
fn multiple(number: &str, unit: u64, places: usize) -> Option<u64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let whole = digits(whole)?.parse::<u64>().ok()?.checked_mul(unit)?;
    let fraction = digits(fraction).filter(|fraction| fraction.len() <= places)?;
    let scale = 10_u64.pow(u32::try_from(fraction.len()).ok()?);
    let parts = fraction.parse::<u64>().ok()?.checked_mul(unit)?;
    let sum = whole.checked_add(parts / scale);
    sum.filter(|_| parts.is_multiple_of(scale))
}

/// A duration as it would be typed, in its largest whole unit.
pub(crate) fn duration_text(duration: Duration) -> String {
    let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    in_largest_unit(millis, TIMES).unwrap_or("0s".to_owned())
}

/// A size as it would be typed, in its largest whole unit.
fn size_text(bytes: u64) -> String {
    in_largest_unit(bytes, SIZES).unwrap_or("0".to_owned())
}

/// The amount in the largest unit that leaves it whole; nothing for 0.
fn in_largest_unit(amount: u64, units: [(&str, u64); 4]) -> Option<String> {
    let mut units = units.iter();
    let (name, unit) = units.find(|(_, unit)| amount.is_multiple_of(*unit))?;
    (amount > 0).then(|| format!("{}{name}", amount / unit))
}

/// The text if it is ASCII digits and nothing else, not even the sign that [`FromStr`] would take.
fn digits(text: &str) -> Option<&str> {
    (!text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())).then_some(text)
}

#[cfg(test)]
mod tests;
