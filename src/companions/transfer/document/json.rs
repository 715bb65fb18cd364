//! A JSON string (RFC 8259 §7) taken apart a byte at a time.
//!
//! What comes out is text without escapes, one character at most for each byte.

use super::Malformed;

/// What a byte of a string turned out to be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Unit {
    /// A byte of UTF-8 that stands for itself.
    Byte(u8),
    /// A character that was written as an escape.
    Char(char),
    /// The quote that ends the string.
    End,
    /// Part of an escape: more is needed.
    Part,
}

/// Takes a string apart, from behind its opening quote.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) enum StringReader {
    #[default]
    Plain,
    /// A backslash was read. A high surrogate may wait for its other half.
    Escape(Option<u16>),
    /// Digits of `\uXXXX` are being read.
    Unicode {
        high: Option<u16>,
        value: u16,
        digits: u8,
    },
    /// A high surrogate was read: a backslash must follow.
    High(u16),
}

impl StringReader {
    /// Whether the next byte is no part of an escape.
    pub(super) fn is_plain(self) -> bool {
        self == Self::Plain
    }

    /// Hears one byte.
    ///
    /// # Errors
    /// If the byte has no business in a string, or the escape is none.
    pub(super) fn hear(&mut self, byte: u8) -> Result<Unit, Malformed> {
        let (next, unit) = match *self {
            Self::Plain => match byte {
                b'"' => (Self::Plain, Unit::End),
                b'\\' => (Self::Escape(None), Unit::Part),
                0..=0x1f => return Err(Malformed::ControlCharacter(byte)),
                other => (Self::Plain, Unit::Byte(other)),
            },
            Self::Escape(high) => match (byte, high) {
                (b'u', high) => {
                    let (value, digits) = (0, 0);
                    (
                        Self::Unicode {
                            high,
                            value,
                            digits,
                        },
                        Unit::Part,
                    )
                }
                (_, Some(_)) => return Err(Malformed::Escape),
                (b'"' | b'\\' | b'/', None) => (Self::Plain, Unit::Byte(byte)),
                (b'b', None) => (Self::Plain, Unit::Byte(8)),
                (b'f', None) => (Self::Plain, Unit::Byte(12)),
                (b'n', None) => (Self::Plain, Unit::Byte(b'\n')),
                (b'r', None) => (Self::Plain, Unit::Byte(b'\r')),
                (b't', None) => (Self::Plain, Unit::Byte(b'\t')),
                _ => return Err(Malformed::Escape),
            },
            Self::Unicode {
                high,
                value,
                digits,
            } => {
                let digit = char::from(byte).to_digit(16).ok_or(Malformed::Escape)?;
                let value = value << 4 | u16::try_from(digit).map_err(|_| Malformed::Escape)?;
                if digits < 3 {
                    let digits = digits + 1;
                    (
                        Self::Unicode {
                            high,
                            value,
                            digits,
                        },
                        Unit::Part,
                    )
                } else {
                    unicode(high, value)?
                }
            }
            Self::High(high) if byte == b'\\' => (Self::Escape(Some(high)), Unit::Part),
            Self::High(_) => return Err(Malformed::Escape),
        };
        *self = next;
        Ok(unit)
    }
}

/// What `\uXXXX` stands for, after a high surrogate or not.
fn unicode(high: Option<u16>, value: u16) -> Result<(StringReader, Unit), Malformed> {
    if high.is_none() && (0xd800..0xdc00).contains(&value) {
        return Ok((StringReader::High(value), Unit::Part));
    }
    let units = high.into_iter().chain([value]);
    let mut chars = char::decode_utf16(units);
    match (chars.next(), chars.next()) {
        (Some(Ok(c)), None) => Ok((StringReader::Plain, Unit::Char(c))),
        // Half a pair: Python writes names like this that are no text in any encoding.
        _ => Err(Malformed::Escape),
    }
}
