//! Strings and times of JSON (RFC 8259), for everything in idler that writes it.
//!
//! Whatever bytes come in, what goes out is one whole value: no text can end its string early.

use std::fmt::{self, Write as _};

use crate::http::date::{UnixSeconds, iso_8601};

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

/// A time in quotes, or `null` where the year does not have four digits.
#[derive(Clone, Copy, Debug)]
pub struct JsonTime(pub UnixSeconds);

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

impl fmt::Display for JsonTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match iso_8601(self.0) {
            Some(time) => JsonString(JsonStyle::Ascii, &time).fmt(f),
            None => f.write_str("null"),
        }
    }
}

/// An object with these members, whose values are JSON already.
pub(crate) fn object<N: fmt::Display>(members: &[(N, String)]) -> String {
    let members = members.iter();
    let members: Vec<String> = members
        .map(|(name, value)| format!("\"{name}\": {value}"))
        .collect();
    format!("{{{}}}", members.join(", "))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use super::*;
    use crate::http::random::Random;

    const STYLES: [JsonStyle; 3] = [JsonStyle::Utf8, JsonStyle::Ascii, JsonStyle::Log];

    fn json(style: JsonStyle, text: &[u8]) -> String {
        JsonString(style, text).to_string()
    }

    #[test]
    fn strings_are_strings() {
        for style in STYLES {
            assert_eq!(json(style, b"a\"b\\c/d"), r#""a\"b\\c/d""#);
        }
        assert_eq!(
            json(JsonStyle::Utf8, b"\n\t\r\0\x1f\x7f"),
            "\"\\n\\t\\u000d\\u0000\\u001f\x7f\""
        );
        assert_eq!(
            json(JsonStyle::Ascii, b"\n\t\r\0\x1f\x7f"),
            r#""\n\t\r\u0000\u001f\u007f""#
        );
        assert_eq!(
            json(JsonStyle::Log, b"\n\t\r\0\x1f\x7f"),
            r#""\u000a\u0009\u000d\u0000\u001f\u007f""#
        );
    }

    #[test]
    fn ascii_has_surrogate_pairs_for_what_needs_them() {
        let text = "ü\u{202e}\u{1f600}".as_bytes();
        assert_eq!(json(JsonStyle::Utf8, text), "\"ü\u{202e}\u{1f600}\"");
        for style in [JsonStyle::Ascii, JsonStyle::Log] {
            assert_eq!(json(style, text), r#""\u00fc\u202e\ud83d\ude00""#);
        }
    }

    #[test]
    fn what_is_no_utf_8_is_replaced() {
        assert_eq!(json(JsonStyle::Utf8, b"a\xffb"), "\"a\u{fffd}b\"");
        assert_eq!(json(JsonStyle::Log, b"a\xffb"), r#""a\ufffdb""#);
    }

    #[test]
    fn no_bytes_at_all_break_out() {
        let mut random = Random::new(7);
        for n in 0..5_000 {
            let text: Vec<u8> = (0..n % 40)
                .map(|_| {
                    let byte = random.byte();
                    // Half of them from those that mean something.
                    if byte & 1 == 0 {
                        b"<>&\"'\\/\n\x80\xe2"[usize::from(byte / 2) % 10]
                    } else {
                        byte
                    }
                })
                .collect();
            for style in STYLES {
                let json = json(style, &text);
                let read: String = serde_json::from_str(&json).unwrap();
                assert_eq!(read, String::from_utf8_lossy(&text));
                assert!(style == JsonStyle::Utf8 || json.is_ascii(), "{json}");
                assert!(json.chars().all(|c| c >= ' '), "{json}");
            }
        }
    }

    #[test]
    fn times() {
        for (seconds, expected) in [
            (0, "\"1970-01-01T00:00:00Z\""),
            (-1, "\"1969-12-31T23:59:59Z\""),
            (951_782_399, "\"2000-02-28T23:59:59Z\""),
            (951_782_400, "\"2000-02-29T00:00:00Z\""),
            (951_868_800, "\"2000-03-01T00:00:00Z\""),
            (1_709_164_800, "\"2024-02-29T00:00:00Z\""),
            (4_107_542_400, "\"2100-03-01T00:00:00Z\""),
            (2_147_483_648, "\"2038-01-19T03:14:08Z\""),
            (253_402_300_799, "\"9999-12-31T23:59:59Z\""),
            (253_402_300_800, "null"),
            (-62_167_219_200, "\"0000-01-01T00:00:00Z\""),
            (-62_167_219_201, "null"),
            (i64::MAX, "null"),
            (i64::MIN, "null"),
        ] {
            assert_eq!(JsonTime(seconds).to_string(), expected, "{seconds}");
        }
    }
}
