//! How idler writes what people and programs read: bytes from outside on one line, sizes and
//! counts, and the strings and times of JSON (RFC 8259).
//!
//! Whatever bytes come in, no text can end its line or its string early.

use std::fmt::{self, Write as _};

use crate::http::date::{UnixSeconds, iso_8601};

/// What a stranger sent, made fit to be printed on one line: text stays text, and everything that
/// could move the cursor or recolour the terminal is shown as `\n`, `\x1b` and the like.
/// One line end at the very end is left out. At most ten times as long as `bytes`.
pub fn printable(bytes: &[u8]) -> String {
    let bytes = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    let bytes = bytes.strip_suffix(b"\r").unwrap_or(bytes);
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            // Marks that change the direction of writing make a line look like another one.
            let is_mark = matches!(
                c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
            );
            if c.is_control() || is_mark {
                text.extend(c.escape_default());
            } else {
                text.push(c);
            }
        }
        text.extend(chunk.invalid().iter().map(|byte| format!("\\x{byte:02x}")));
    }
    text
}

// ---- amounts ----

/// Bytes in units of 1,024, with a decimal below ten: `0 B`, `1023 B`, `9.9 KiB`, `10 KiB`, `16
/// EiB`. With a precision, as in `{:.1}`, always with a decimal: a size that is redrawn keeps its
/// width.
pub(crate) struct Size(pub(crate) u64);

/// A count with its thousands apart: `1,234,567`.
pub(crate) struct Count(pub(crate) u64);

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
        if self.0 < 1024 {
            return write!(f, "{} B", self.0);
        }
        let bytes = u128::from(self.0);
        for (power, unit) in (1..).zip(UNITS) {
            // Each rounded from the bytes themselves; what would be 1,024 of a unit is 1.0 of the
            // next.
            let one = 1_u128 << (10 * power);
            let in_unit = |bytes: u128| (bytes + one / 2) / one;
            let tenths = in_unit(10 * bytes);
            if tenths < 100 || f.precision().is_some() && tenths < 10 * 1024 {
                return write!(f, "{}.{} {unit}", tenths / 10, tenths % 10);
            }
            if in_unit(bytes) < 1024 {
                return write!(f, "{} {unit}", in_unit(bytes));
            }
        }
        Ok(())
    }
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.0.to_string();
        for (at, digit) in digits.char_indices() {
            if at > 0 && (digits.len() - at).is_multiple_of(3) {
                f.write_str(",")?;
            }
            write!(f, "{digit}")?;
        }
        Ok(())
    }
}

// ---- JSON ----

/// Bytes as a JSON string with its quotes; bytes that are no UTF-8 become U+FFFD.
#[derive(Clone, Copy, Debug)]
pub struct JsonString<'a>(pub JsonStyle, pub &'a [u8]);

/// What a string has as it is, and what as an escape.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum JsonStyle {
    /// Text in UTF-8, as people read it.
    Utf8,
    /// Pure ASCII, as Python's `json.dumps` writes it: no receiver has to agree on an encoding.
    Ascii,
    /// Pure ASCII, each control character by its number, as in other lines of a log.
    Log,
}

impl fmt::Display for JsonString<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(style, bytes) = *self;
        f.write_char('"')?;
        for chunk in bytes.utf8_chunks() {
            style.write(chunk.valid(), f)?;
            if !chunk.invalid().is_empty() {
                style.write("\u{fffd}", f)?;
            }
        }
        f.write_char('"')
    }
}

impl JsonStyle {
    fn write(self, text: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut written = 0;
        for (at, c) in text.char_indices().filter(|(_, c)| !self.is_plain(*c)) {
            f.write_str(&text[written..at])?;
            written = at + c.len_utf8();
            match (c, self) {
                ('"' | '\\', _) => write!(f, "\\{c}")?,
                ('\n', Self::Utf8 | Self::Ascii) => f.write_str("\\n")?,
                ('\t', Self::Utf8 | Self::Ascii) => f.write_str("\\t")?,
                ('\r', Self::Ascii) => f.write_str("\\r")?,
                _ => {
                    for unit in c.encode_utf16(&mut [0; 2]) {
                        write!(f, "\\u{unit:04x}")?;
                    }
                }
            }
        }
        f.write_str(&text[written..])
    }

    fn is_plain(self, c: char) -> bool {
        match c {
            '"' | '\\' => false,
            ' '..='~' => true,
            _ => self == Self::Utf8 && c > '~',
        }
    }
}

/// A time in quotes, or `null` where the year does not have four digits.
pub fn json_time(seconds: UnixSeconds) -> String {
    iso_8601(seconds).map_or_else(|| "null".to_owned(), |time| format!("\"{time}\""))
}

/// An object with these members, whose values are JSON already.
pub(crate) fn object<N: fmt::Display>(members: &[(N, String)]) -> String {
    let members = members.iter();
    let members = members.map(|(name, value)| format!("\"{name}\": {value}"));
    format!("{{{}}}", Vec::from_iter(members).join(", "))
}

#[cfg(test)]
mod tests;
