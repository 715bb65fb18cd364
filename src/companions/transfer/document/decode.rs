//! The receiving half of a file transfer.
//!
//! What lives here: a machine that takes one JSON object apart a byte at a time and gives out the file's
//! bytes as they come. It may not know where they go. Members may come in any order (so the
//! name may come last), with white space wherever JSON allows it and escapes however they were made;
//! members that are not ours are skipped if they are strings, numbers, `true`, `false` or `null`.
//!
//! Invariant: what is kept is bounded by [`TRANSFER_NAME_BYTES_MAX`]; what comes out of one call is
//! at most two bytes more than went in. Read next: `service/transfer/mod.rs`.

use std::fmt;

use crate::http::printable::printable;
use crate::limits::{TRANSFER_NAME_BYTES_MAX, TRANSFER_OVERHEAD_BYTES_MAX};

use super::{BadName, DATA_KEY, NAME_KEY, last_component};
use crate::companions::transfer::document::encode::ALPHABET;
use crate::companions::transfer::document::json::{StringReader, Unit};

/// Why what came is not a file transfer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Malformed {
    /// Nothing came at all.
    Nothing,
    /// The input ended before the object did.
    Truncated,
    /// Something else than the object's opening brace.
    NotAnObject,
    /// This byte cannot stand where it stands.
    Unexpected(u8),
    /// A byte that must be escaped in a string.
    ControlCharacter(u8),
    /// An escape that JSON does not know, or half of a surrogate pair.
    Escape,
    /// The same key came twice.
    Twice(&'static str),
    /// A key is missing.
    Missing(&'static str),
    /// The value of this key is not a string.
    NotAString(&'static str),
    /// A member that is not ours holds an array or an object.
    Nested,
    /// The name is not UTF-8.
    NameNotText,
    /// The name is longer than [`TRANSFER_NAME_BYTES_MAX`].
    NameTooLong,
    /// The name names no file.
    Name(BadName),
    /// The data is not base64: this byte.
    Base64(u8),
    /// The data is not base64: it ends within a group of four.
    Padding,
    /// The file is larger than it may be, in bytes.
    TooLarge(u64),
    /// Far more came than the file explains.
    TooMuch,
    /// Something stands behind the object.
    Trailing(u8),
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let byte = |b: &u8| printable(std::slice::from_ref(b));
        match self {
            Self::Nothing => f.write_str("the sender closed without sending anything"),
            Self::Truncated => f.write_str("the input ends in the middle of the object"),
            Self::NotAnObject => f.write_str("this is not a JSON object"),
            Self::Unexpected(b) => write!(f, "{:?} is out of place", byte(b)),
            Self::ControlCharacter(b) => write!(f, "byte {b} stands in a string unescaped"),
            Self::Escape => f.write_str("a string holds an escape that is none"),
            Self::Twice(key) => write!(f, "{key:?} is there twice"),
            Self::Missing(key) => write!(f, "{key:?} is missing"),
            Self::NotAString(key) => write!(f, "the value of {key:?} is not a string"),
            Self::Nested => f.write_str("an unknown member holds an array or an object"),
            Self::NameNotText => f.write_str("the file name is not UTF-8"),
            Self::NameTooLong => write!(
                f,
                "the file name is longer than {TRANSFER_NAME_BYTES_MAX} bytes"
            ),
            Self::Name(bad) => bad.fmt(f),
            Self::Base64(b) => write!(f, "{:?} is not base64", byte(b)),
            Self::Padding => f.write_str("the base64 ends within a group of four"),
            Self::TooLarge(max) => write!(f, "the file is larger than {max} bytes"),
            Self::TooMuch => f.write_str("far more was sent than the file explains"),
            Self::Trailing(b) => write!(f, "{:?} stands behind the object", byte(b)),
        }
    }
}

/// Where in the object the machine is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Place {
    /// Before the opening brace.
    Start,
    /// Behind the opening brace: a key or the closing brace.
    First,
    /// Behind a comma: a key.
    BeforeKey,
    Key,
    Colon(Member),
    BeforeValue(Member),
    Name,
    Data,
    /// A string that is not ours.
    Other,
    /// A number or a word that is not ours.
    Word,
    AfterValue,
    /// Behind the closing brace.
    End,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Member {
    Name,
    Data,
    Other,
}

/// One transfer on its way in.
#[derive(Debug)]
pub struct Decoder {
    place: Place,
    string: StringReader,
    /// The key, or later the name, that is being read.
    text: Vec<u8>,
    name: Option<String>,
    data_seen: bool,
    base64: Base64,
    heard: u64,
    file_bytes: u64,
    file_bytes_max: u64,
}

/// Longer keys than this are not ours, so no more of them is kept.
const KEY_BYTES_KEPT: usize = 16;

impl Decoder {
    /// Waits for a file of at most `file_bytes_max` bytes.
    pub fn new(file_bytes_max: u64) -> Self {
        Self {
            place: Place::Start,
            string: StringReader::default(),
            text: Vec::new(),
            name: None,
            data_seen: false,
            base64: Base64::default(),
            heard: 0,
            file_bytes: 0,
            file_bytes_max,
        }
    }

    /// Bytes of the wire that were heard: behind an error, where it stands.
    pub fn heard(&self) -> u64 {
        self.heard
    }

    /// Bytes of the file that were decoded.
    pub fn file_bytes(&self) -> u64 {
        self.file_bytes
    }

    /// Hears some bytes, and appends what they hold of the file to `file`: at most two bytes more
    /// than came.
    ///
    /// # Errors
    /// At the first byte that shows that this is not a transfer. The machine is of no use then.
    pub fn hear(&mut self, bytes: &[u8], file: &mut Vec<u8>) -> Result<(), Malformed> {
        let mut rest = bytes;
        while let Some((&byte, behind)) = rest.split_first() {
            let before = file.len();
            let mut taken = 0;
            if self.place == Place::Data && self.string.is_plain() {
                taken = self.base64.hear_run(rest, file);
            }
            if taken > 0 {
                self.heard += taken as u64;
                rest = &rest[taken..];
            } else {
                self.heard += 1;
                self.hear_byte(byte, file)?;
                rest = behind;
            }
            self.file_bytes += (file.len() - before) as u64;
            // Here, not once for all that came: what is wrong first must not depend on how it was cut.
            if self.file_bytes > self.file_bytes_max {
                return Err(Malformed::TooLarge(self.file_bytes_max));
            }
            // Each character of base64 may be written as an escape of six; all else is names and white space.
            let explained = self.file_bytes_max.saturating_mul(8);
            if self.heard > explained.saturating_add(TRANSFER_OVERHEAD_BYTES_MAX) {
                return Err(Malformed::TooMuch);
            }
        }
        Ok(())
    }

    /// Told that the input has ended. Gives the name that the file may have: one plain component.
    ///
    /// # Errors
    /// If the object was not whole, or names no file.
    pub fn finish(self) -> Result<String, Malformed> {
        match self.place {
            Place::End => {}
            Place::Start if self.heard == 0 => return Err(Malformed::Nothing),
            Place::Start
            | Place::First
            | Place::BeforeKey
            | Place::Key
            | Place::Colon(_)
            | Place::BeforeValue(_)
            | Place::Name
            | Place::Data
            | Place::Other
            | Place::Word
            | Place::AfterValue => return Err(Malformed::Truncated),
        }
        if !self.data_seen {
            return Err(Malformed::Missing(DATA_KEY));
        }
        self.name.ok_or(Malformed::Missing(NAME_KEY))
    }

    fn hear_byte(&mut self, byte: u8, file: &mut Vec<u8>) -> Result<(), Malformed> {
        let space = matches!(byte, b' ' | b'\t' | b'\n' | b'\r');
        self.place = match self.place {
            Place::Key => self.in_key(byte)?,
            Place::Name => self.in_name(byte)?,
            Place::Data => self.in_data(byte, file)?,
            Place::Other => match self.string.hear(byte)? {
                Unit::End => Place::AfterValue,
                Unit::Byte(_) | Unit::Char(_) | Unit::Part => Place::Other,
            },
            Place::Word => match byte {
                b'0'..=b'9' | b'a'..=b'z' | b'+' | b'-' | b'.' | b'E' => Place::Word,
                _ if space => Place::AfterValue,
                _ => Self::after_value(byte)?,
            },
            place if space => place,
            Place::Start if byte == b'{' => Place::First,
            Place::Start => return Err(Malformed::NotAnObject),
            Place::First if byte == b'}' => Place::End,
            Place::First | Place::BeforeKey if byte == b'"' => {
                self.text.clear();
                Place::Key
            }
            Place::Colon(member) if byte == b':' => Place::BeforeValue(member),
            Place::BeforeValue(member) => self.begin_value(member, byte)?,
            Place::AfterValue => Self::after_value(byte)?,
            Place::End => return Err(Malformed::Trailing(byte)),
            Place::First | Place::BeforeKey | Place::Colon(_) => {
                return Err(Malformed::Unexpected(byte));
            }
        };
        Ok(())
    }

    fn in_key(&mut self, byte: u8) -> Result<Place, Malformed> {
        let unit = self.string.hear(byte)?;
        if unit == Unit::End {
            return Ok(Place::Colon(match self.text.as_slice() {
                key if key == NAME_KEY.as_bytes() => Member::Name,
                key if key == DATA_KEY.as_bytes() => Member::Data,
                _ => Member::Other,
            }));
        }
        if self.text.len() < KEY_BYTES_KEPT {
            push_unit(&mut self.text, unit);
        }
        Ok(Place::Key)
    }

    fn begin_value(&mut self, member: Member, byte: u8) -> Result<Place, Malformed> {
        let (key, seen, place) = match member {
            Member::Name => (NAME_KEY, self.name.is_some(), Place::Name),
            Member::Data => (DATA_KEY, self.data_seen, Place::Data),
            Member::Other => return begin_other(byte),
        };
        if seen {
            return Err(Malformed::Twice(key));
        }
        if byte != b'"' {
            return Err(Malformed::NotAString(key));
        }
        self.text.clear();
        Ok(place)
    }

    fn in_name(&mut self, byte: u8) -> Result<Place, Malformed> {
        let unit = self.string.hear(byte)?;
        if unit == Unit::End {
            let name = str::from_utf8(&self.text).map_err(|_| Malformed::NameNotText)?;
            let name = last_component(name).map_err(Malformed::Name)?;
            self.name = Some(name.to_owned());
            return Ok(Place::AfterValue);
        }
        push_unit(&mut self.text, unit);
        if self.text.len() > TRANSFER_NAME_BYTES_MAX {
            return Err(Malformed::NameTooLong);
        }
        Ok(Place::Name)
    }

    fn in_data(&mut self, byte: u8, file: &mut Vec<u8>) -> Result<Place, Malformed> {
        match self.string.hear(byte)? {
            Unit::Part => {}
            Unit::Byte(b) => self.base64.hear(b, file)?,
            Unit::Char(c) => {
                let b = u8::try_from(c).map_err(|_| Malformed::Base64(byte))?;
                self.base64.hear(b, file)?;
            }
            Unit::End if self.base64.is_whole() => {
                self.data_seen = true;
                return Ok(Place::AfterValue);
            }
            Unit::End => return Err(Malformed::Padding),
        }
        Ok(Place::Data)
    }

    fn after_value(byte: u8) -> Result<Place, Malformed> {
        match byte {
            b',' => Ok(Place::BeforeKey),
            b'}' => Ok(Place::End),
            other => Err(Malformed::Unexpected(other)),
        }
    }
}

fn begin_other(byte: u8) -> Result<Place, Malformed> {
    match byte {
        b'"' => Ok(Place::Other),
        b'{' | b'[' => Err(Malformed::Nested),
        b'0'..=b'9' | b'-' | b't' | b'f' | b'n' => Ok(Place::Word),
        other => Err(Malformed::Unexpected(other)),
    }
}

fn push_unit(text: &mut Vec<u8>, unit: Unit) {
    match unit {
        Unit::Byte(b) => text.push(b),
        Unit::Char(c) => text.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        Unit::End | Unit::Part => {}
    }
}

/// Base64 (RFC 4648 §4) on its way in, six bits at a time. Line ends are skipped: Python's
/// `base64.encodebytes` puts one after every 76 characters.
#[derive(Clone, Copy, Default, Debug)]
struct Base64 {
    bits: u32,
    /// Characters of the present group, padding counted in.
    digits: u8,
    padding: u8,
}

/// Stands in the table for what is no digit.
const NONE: u8 = 0xff;

/// The value of each digit.
const VALUES: [u8; 256] = {
    let mut values = [NONE; 256];
    let mut value = 0;
    while value < 64 {
        values[ALPHABET[value as usize] as usize] = value;
        value += 1;
    }
    values
};

impl Base64 {
    /// Whether the text may end here.
    fn is_whole(&self) -> bool {
        self.digits == 0
    }

    /// Hears as many whole groups of four digits as stand at the start of `text`; returns how many
    /// characters that were. What it leaves is for [`hear`](Self::hear).
    fn hear_run(&mut self, text: &[u8], file: &mut Vec<u8>) -> usize {
        if self.digits != 0 || self.padding != 0 {
            return 0;
        }
        let mut taken = 0;
        for group in text.as_chunks::<4>().0 {
            let [a, b, c, d] = group.map(|byte| VALUES[usize::from(byte)]);
            if (a | b | c | d) & 0xc0 != 0 {
                break;
            }
            file.extend_from_slice(&[a << 2 | b >> 4, b << 4 | c >> 2, c << 6 | d]);
            taken += 4;
        }
        taken
    }

    fn hear(&mut self, byte: u8, file: &mut Vec<u8>) -> Result<(), Malformed> {
        match (byte, VALUES[usize::from(byte)]) {
            (b'\r' | b'\n', _) => return Ok(()),
            (b'=', _) if self.digits >= 2 => {
                self.padding += 1;
                self.bits <<= 6;
            }
            (_, NONE) => return Err(Malformed::Base64(byte)),
            (_, _) if self.padding > 0 => return Err(Malformed::Base64(byte)),
            (_, value) => self.bits = self.bits << 6 | u32::from(value),
        }
        self.digits += 1;
        if self.digits == 4 {
            let [_, a, b, c] = self.bits.to_be_bytes();
            let keep = 3_usize.saturating_sub(self.padding.into());
            file.extend_from_slice(&[a, b, c][..keep]);
            self.bits = 0;
            self.digits = 0;
        }
        Ok(())
    }
}
