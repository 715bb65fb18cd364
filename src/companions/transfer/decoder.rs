//! The receiving half of a file transfer: takes one JSON object (RFC 8259) apart a byte at a
//! time, and gives out the file's bytes as they come.
//!
//! Members may come in any order (so the name may come last), with white space wherever JSON
//! allows it and escapes however they were made. Members that are not ours are skipped if they
//! are strings, numbers, `true`, `false` or `null`. What is kept is bounded by
//! [`TRANSFER_NAME_BYTES_MAX`]; what comes out of one call is at most two bytes more than went
//! in; a name is one plain component.

use std::fmt;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{GeneralPurpose, GeneralPurposeConfig};

use crate::companions::transfer::encoder::{DATA_KEY, NAME_KEY};
use crate::http::printable::printable;
use crate::limits::{
    TRANSFER_KEY_BYTES_KEPT, TRANSFER_NAME_BYTES_MAX, TRANSFER_OVERHEAD_BYTES_MAX,
};

/// Why what came is not a file transfer; its words are below.
#[derive(Clone, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "the words below say what each means")]
pub enum Malformed {
    Nothing,
    Truncated,
    NotAnObject,
    Unexpected(u8),
    ControlCharacter(u8),
    Escape,
    Twice(&'static str),
    Missing(&'static str),
    NotAString(&'static str),
    Nested,
    NameNotText,
    NameTooLong,
    Name(BadName),
    Base64(u8),
    Padding,
    TooLarge(u64),
    TooMuch,
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
            Self::Name(BadName::Empty) => f.write_str("the file name is empty"),
            Self::Name(BadName::Directory) => {
                f.write_str("the file name is that of a directory (\".\" or \"..\")")
            }
            Self::Name(BadName::Nul) => f.write_str("the file name contains a NUL"),
            Self::Base64(b) => write!(f, "{:?} is not base64", byte(b)),
            Self::Padding => f.write_str("the base64 ends within a group of four"),
            Self::TooLarge(max) => write!(f, "the file is larger than {max} bytes"),
            Self::TooMuch => f.write_str("far more was sent than the file explains"),
            Self::Trailing(b) => write!(f, "{:?} stands behind the object", byte(b)),
        }
    }
}

/// Why a name was refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BadName {
    /// It is empty, or ends in a slash.
    Empty,
    /// It is `.` or `..`.
    Directory,
    /// It contains a NUL.
    Nul,
}

/// What is left of a name that a stranger chose: its last component, which names a file in
/// whatever directory it is put.
///
/// # Errors
/// If nothing is left that could name a file.
pub fn last_component(name: &str) -> Result<&str, BadName> {
    if name.contains('\0') {
        return Err(BadName::Nul);
    }
    match name.rsplit('/').next().unwrap_or(name) {
        "" => Err(BadName::Empty),
        "." | ".." => Err(BadName::Directory),
        last => Ok(last),
    }
}

/// Where in the object the decoder is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Position {
    /// Before the opening brace.
    Start,
    /// Behind the opening brace: a key or the closing brace.
    First,
    /// Behind a comma: a key.
    BeforeKey,
    Colon(Member),
    BeforeValue(Member),
    /// In a string.
    Within(Member),
    /// In a number or a word that is not ours.
    Word,
    AfterValue,
    /// Behind the closing brace.
    End,
}

/// What a string is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Member {
    Key,
    Name,
    Data,
    /// The value of a key that is not ours.
    Other,
}

/// One transfer on its way in.
#[derive(Debug)]
pub struct Decoder {
    position: Position,
    /// An escape of a string, as far as it has come: from its backslash, both halves of a pair of
    /// surrogates.
    escape: Vec<u8>,
    /// The key, or later the name, that is being read.
    text: Vec<u8>,
    name: Option<String>,
    data_seen: bool,
    base64: Base64Decoder,
    fed: u64,
    file_bytes: u64,
    file_bytes_max: u64,
}

impl Decoder {
    /// Waits for a file of at most `file_bytes_max` bytes.
    pub fn new(file_bytes_max: u64) -> Self {
        Self {
            position: Position::Start,
            escape: Vec::new(),
            text: Vec::new(),
            name: None,
            data_seen: false,
            base64: Base64Decoder::default(),
            fed: 0,
            file_bytes: 0,
            file_bytes_max,
        }
    }

    /// Bytes of the wire that were taken: behind an error, where it stands.
    pub fn fed(&self) -> u64 {
        self.fed
    }

    /// Bytes of the file that were decoded.
    pub fn file_bytes(&self) -> u64 {
        self.file_bytes
    }

    /// Takes some bytes, and appends what they hold of the file to `file`: at most two bytes more
    /// than came.
    ///
    /// # Errors
    /// At the first byte that shows that this is not a transfer. The decoder is of no use then.
    pub fn feed(&mut self, bytes: &[u8], file: &mut Vec<u8>) -> Result<(), Malformed> {
        let mut rest = bytes;
        while let [byte, behind @ ..] = rest {
            let before = file.len();
            let within_data = self.position == Position::Within(Member::Data);
            let run = if within_data && self.escape.is_empty() {
                self.base64.feed_run(rest, file)
            } else {
                0
            };
            if run > 0 {
                self.fed += run as u64;
                rest = rest.get(run..).unwrap_or_default();
            } else {
                self.fed += 1;
                self.position = self.feed_byte(*byte, file)?;
                rest = behind;
            }
            self.file_bytes += (file.len() - before) as u64;
            // Here, not once for all that came: which fault is found first must not depend on how
            // the input was cut.
            if self.file_bytes > self.file_bytes_max {
                return Err(Malformed::TooLarge(self.file_bytes_max));
            }
            // Each character of base64 may be written as an escape of six; all else is names and
            // white space.
            let explained = self.file_bytes_max.saturating_mul(8);
            if self.fed > explained.saturating_add(TRANSFER_OVERHEAD_BYTES_MAX) {
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
        if self.fed == 0 {
            return Err(Malformed::Nothing);
        }
        if self.position != Position::End {
            return Err(Malformed::Truncated);
        }
        if !self.data_seen {
            return Err(Malformed::Missing(DATA_KEY));
        }
        self.name.ok_or(Malformed::Missing(NAME_KEY))
    }

    /// Takes one byte, and says where the decoder is behind it.
    fn feed_byte(&mut self, byte: u8, file: &mut Vec<u8>) -> Result<Position, Malformed> {
        let position = self.position;
        let is_space = matches!(byte, b' ' | b'\t' | b'\n' | b'\r');
        Ok(match (position, byte) {
            (Position::Within(member), _) => self.feed_string(member, byte, file)?,
            (Position::Word, b'0'..=b'9' | b'a'..=b'z' | b'+' | b'-' | b'.' | b'E') => position,
            (Position::Word, _) if is_space => Position::AfterValue,
            _ if is_space => position,
            (Position::Start, b'{') => Position::First,
            (Position::Start, _) => return Err(Malformed::NotAnObject),
            (Position::First | Position::BeforeKey, b'"') => {
                self.text.clear();
                Position::Within(Member::Key)
            }
            (Position::Colon(member), b':') => Position::BeforeValue(member),
            (Position::BeforeValue(member), _) => self.begin_value(member, byte)?,
            (Position::Word | Position::AfterValue, b',') => Position::BeforeKey,
            (Position::First | Position::Word | Position::AfterValue, b'}') => Position::End,
            (Position::End, _) => return Err(Malformed::Trailing(byte)),
            _ => return Err(Malformed::Unexpected(byte)),
        })
    }

    /// The first byte of a value.
    fn begin_value(&mut self, member: Member, byte: u8) -> Result<Position, Malformed> {
        let (key, is_seen) = match member {
            Member::Name => (NAME_KEY, self.name.is_some()),
            Member::Data => (DATA_KEY, self.data_seen),
            Member::Key | Member::Other => {
                return match byte {
                    b'"' => Ok(Position::Within(Member::Other)),
                    b'{' | b'[' => Err(Malformed::Nested),
                    b'0'..=b'9' | b'-' | b't' | b'f' | b'n' => Ok(Position::Word),
                    other => Err(Malformed::Unexpected(other)),
                };
            }
        };
        if is_seen {
            return Err(Malformed::Twice(key));
        }
        if byte != b'"' {
            return Err(Malformed::NotAString(key));
        }
        self.text.clear();
        Ok(Position::Within(member))
    }

    /// A byte of a string, its closing quote included.
    fn feed_string(
        &mut self,
        member: Member,
        byte: u8,
        file: &mut Vec<u8>,
    ) -> Result<Position, Malformed> {
        if self.escape.is_empty() {
            match byte {
                b'"' => return self.end_string(member),
                0..=0x1f => return Err(Malformed::ControlCharacter(byte)),
                b'\\' => self.escape.push(byte),
                _ => self.take(member, &[byte], file)?,
            }
        } else {
            self.escape.push(byte);
            if let Some(c) = unescape(&self.escape)? {
                self.escape.clear();
                self.take(member, c.encode_utf8(&mut [0; 4]).as_bytes(), file)?;
            }
        }
        Ok(Position::Within(member))
    }

    /// Takes text of a string, without escapes.
    fn take(&mut self, member: Member, text: &[u8], file: &mut Vec<u8>) -> Result<(), Malformed> {
        match member {
            Member::Key if self.text.len() >= TRANSFER_KEY_BYTES_KEPT => {}
            Member::Key | Member::Name => self.text.extend_from_slice(text),
            Member::Data => {
                for byte in text {
                    self.base64.feed(*byte, file)?;
                }
            }
            Member::Other => {}
        }
        if self.text.len() > TRANSFER_NAME_BYTES_MAX {
            return Err(Malformed::NameTooLong);
        }
        Ok(())
    }

    fn end_string(&mut self, member: Member) -> Result<Position, Malformed> {
        match member {
            Member::Key => {
                return Ok(Position::Colon(match str::from_utf8(&self.text) {
                    Ok(NAME_KEY) => Member::Name,
                    Ok(DATA_KEY) => Member::Data,
                    Ok(_) | Err(_) => Member::Other,
                }));
            }
            Member::Name => {
                let name = str::from_utf8(&self.text).map_err(|_| Malformed::NameNotText)?;
                let name = last_component(name).map_err(Malformed::Name)?;
                self.name = Some(name.to_owned());
            }
            Member::Data if self.base64.group.is_empty() => self.data_seen = true,
            Member::Data => return Err(Malformed::Padding),
            Member::Other => {}
        }
        Ok(Position::AfterValue)
    }
}

/// What an escape stands for, from its backslash. `None`: it is not whole yet.
fn unescape(escape: &[u8]) -> Result<Option<char>, Malformed> {
    Ok(Some(match escape {
        [_, c @ (b'"' | b'\\' | b'/')] => char::from(*c),
        [_, b'b'] => '\u{8}',
        [_, b'f'] => '\u{c}',
        [_, b'n'] => '\n',
        [_, b'r'] => '\r',
        [_, b't'] => '\t',
        [_, b'u', digits @ ..] if digits.len() <= 4 => match hex(digits)? {
            0xd800..0xdc00 => return Ok(None),
            // Half a pair: Python writes names like this that are no text in any encoding.
            unit if digits.len() == 4 => char::from_u32(unit.into()).ok_or(Malformed::Escape)?,
            _ => return Ok(None),
        },
        [_, b'u', first @ .., b'\\'] if first.len() == 4 => return Ok(None),
        [_, b'u', pair @ ..] if pair.len() >= 6 && pair[4..6] == *b"\\u" => {
            let (high, low) = (hex(&pair[..4])?, hex(&pair[6..])?);
            if pair.len() < 10 {
                return Ok(None);
            }
            let c = char::decode_utf16([high, low]).next();
            c.and_then(Result::ok).ok_or(Malformed::Escape)?
        }
        _ => return Err(Malformed::Escape),
    }))
}

/// The value of at most four hexadecimal digits.
fn hex(digits: &[u8]) -> Result<u16, Malformed> {
    let mut value = 0;
    for digit in digits {
        let digit = char::from(*digit).to_digit(16).ok_or(Malformed::Escape)?;
        value = value << 4 | digit;
    }
    u16::try_from(value).map_err(|_| Malformed::Escape)
}

/// Base64 on its way in. Line ends are skipped: Python's `base64.encodebytes` puts one after
/// every 76 characters.
#[derive(Default, Debug)]
struct Base64Decoder {
    /// Characters of the present group of four.
    group: Vec<u8>,
    /// A group with padding was the last.
    ended: bool,
}

/// The bits behind the last byte may be anything, as Python has it.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true),
);

fn is_digit(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/'
}

impl Base64Decoder {
    /// Decodes as many whole groups of four digits as stand at the start of `text`; returns how
    /// many characters that were. What it leaves is for [`feed`](Self::feed).
    fn feed_run(&self, text: &[u8], file: &mut Vec<u8>) -> usize {
        if self.ended || !self.group.is_empty() {
            return 0;
        }
        let digits = text.iter().position(|byte| !is_digit(*byte));
        let run = digits.unwrap_or(text.len()) / 4 * 4;
        match LENIENT.decode_vec(text.get(..run).unwrap_or_default(), file) {
            Ok(()) => run,
            Err(_) => 0,
        }
    }

    fn feed(&mut self, byte: u8, file: &mut Vec<u8>) -> Result<(), Malformed> {
        let padded = self.group.last() == Some(&b'=');
        match byte {
            b'\r' | b'\n' => return Ok(()),
            b'=' if self.group.len() >= 2 => {}
            _ if is_digit(byte) && !padded && !self.ended => {}
            _ => return Err(Malformed::Base64(byte)),
        }
        self.group.push(byte);
        if self.group.len() == 4 {
            self.ended = byte == b'=';
            LENIENT
                .decode_vec(&self.group, file)
                .map_err(|_| Malformed::Base64(byte))?;
            self.group.clear();
        }
        Ok(())
    }
}
