//! The receiving half of a file transfer: takes one JSON object (RFC 8259) apart a byte at a
//! time, and gives out the file's bytes as they come.
//!
//! Members may come in any order (so the name may come last), with white space wherever JSON
//! allows it and escapes however they were made. Members that are not ours are skipped if they
//! are strings, numbers, `true`, `false` or `null`. What is kept is bounded by
//! [`TRANSFER_NAME_BYTES_MAX`]; what comes out of one call is at most two bytes more than went
//! in; a name is one plain component.

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{GeneralPurpose, GeneralPurposeConfig};

use crate::companions::transfer::{DATA_KEY, NAME_KEY};
use crate::http::text::printable;
use crate::limits::{
    TRANSFER_KEY_BYTES_KEPT, TRANSFER_NAME_BYTES_MAX, TRANSFER_OVERHEAD_BYTES_MAX,
};

/// What is left of a name that a stranger chose: its last component, which names a file in
/// whatever directory it is put.
///
/// # Errors
/// What is wrong with the name, if nothing is left that could name a file.
pub fn last_component(name: &str) -> Result<&str, &'static str> {
    if name.contains('\0') {
        return Err("the file name contains a NUL");
    }
    match name.rsplit('/').next().unwrap_or(name) {
        "" => Err("the file name is empty"),
        "." | ".." => Err("the file name is that of a directory (\".\" or \"..\")"),
        last => Ok(last),
    }
}

/// Where in the object the decoder is.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
enum Position {
    /// Before the opening brace.
    #[default]
    Start,
    /// Behind the opening brace: a key or the closing brace.
    First,
    /// Behind a comma: a key.
    BeforeKey,
    Colon,
    BeforeValue,
    /// In a string: what it is, says the [`Member`].
    Within,
    /// In a number or a word that is not ours.
    Word,
    AfterValue,
    /// Behind the closing brace.
    End,
}

/// What is being read, a key or the value of one.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
enum Member {
    #[default]
    Key,
    Name,
    Data,
    /// The value of a key that is not ours.
    Other,
}

/// One transfer on its way in.
#[derive(Default, Debug)]
pub struct Decoder {
    position: Position,
    member: Member,
    /// An escape of a string, as far as it has come: from its backslash, both halves of a pair of
    /// surrogates.
    escape: Vec<u8>,
    /// The key, or later the name, that is being read.
    text: Vec<u8>,
    name: Option<String>,
    data_seen: bool,
    /// Base64 characters of the present group of four. One with padding is the last, and stays.
    group: Vec<u8>,
    /// Bytes of the wire that were taken: behind an error, where it stands.
    pub fed: u64,
    /// Bytes of the file that were decoded.
    pub file_bytes: u64,
    file_bytes_max: u64,
}

impl Decoder {
    /// Waits for a file of at most `file_bytes_max` bytes.
    pub fn new(file_bytes_max: u64) -> Self {
        Self {
            file_bytes_max,
            ..Self::default()
        }
    }

    /// Takes some bytes, and appends what they hold of the file to `file`: at most two bytes more
    /// than came.
    ///
    /// # Errors
    /// At the first byte that shows that this is not a transfer. The decoder is of no use then.
    pub fn feed(&mut self, bytes: &[u8], file: &mut Vec<u8>) -> Result<(), String> {
        let mut rest = bytes;
        while let [byte, ..] = *rest {
            let before = file.len();
            let run = self.whole_groups(rest);
            let (taken, behind) = rest.split_at(run.max(1));
            self.fed += taken.len() as u64;
            if run > 0 {
                decode(taken, file)?;
            } else {
                self.position = self.feed_byte(byte, file)?;
            }
            rest = behind;
            self.file_bytes += (file.len() - before) as u64;
            // Here, not once for all that came: which fault is found first must not depend on how
            // the input was cut.
            if self.file_bytes > self.file_bytes_max {
                let max = self.file_bytes_max;
                return Err(format!("the file is larger than {max} bytes"));
            }
            // Each character of base64 may be written as an escape of six; all else is names and
            // white space.
            let explained = self.file_bytes_max.saturating_mul(8);
            if self.fed > explained.saturating_add(TRANSFER_OVERHEAD_BYTES_MAX) {
                return Err("far more was sent than the file explains".into());
            }
        }
        Ok(())
    }

    /// Told that the input has ended. Gives the name that the file may have: one plain component.
    ///
    /// # Errors
    /// If the object was not whole, or names no file.
    pub fn finish(&mut self) -> Result<String, String> {
        if self.fed == 0 {
            return Err("the sender closed without sending anything".into());
        }
        if self.position != Position::End {
            return Err("the input ends in the middle of the object".into());
        }
        let missing = |key| format!("{key:?} is missing");
        if !self.data_seen {
            return Err(missing(DATA_KEY));
        }
        self.name.take().ok_or_else(|| missing(NAME_KEY))
    }

    /// How many characters at the start of `text` are whole groups of base64, which can be decoded
    /// at once. For the others there is [`take_base64`](Self::take_base64).
    fn whole_groups(&self, text: &[u8]) -> usize {
        let is_data = self.position == Position::Within && self.member == Member::Data;
        if !is_data || !self.escape.is_empty() || !self.group.is_empty() {
            return 0;
        }
        let digits = text.iter().position(|byte| !is_digit(*byte));
        digits.unwrap_or(text.len()) / 4 * 4
    }

    /// Takes one byte, and says where the decoder is behind it.
    fn feed_byte(&mut self, byte: u8, file: &mut Vec<u8>) -> Result<Position, String> {
        let position = self.position;
        let is_space = matches!(byte, b' ' | b'\t' | b'\n' | b'\r');
        Ok(match (position, byte) {
            (Position::Within, _) => self.feed_string(byte, file)?,
            (Position::Word, b'0'..=b'9' | b'a'..=b'z' | b'+' | b'-' | b'.' | b'E') => position,
            (Position::Word, _) if is_space => Position::AfterValue,
            _ if is_space => position,
            (Position::Start, b'{') => Position::First,
            (Position::Start, _) => return Err("this is not a JSON object".into()),
            (Position::First | Position::BeforeKey, b'"') => {
                self.member = Member::Key;
                Position::Within
            }
            (Position::Colon, b':') => Position::BeforeValue,
            (Position::BeforeValue, _) => self.begin_value(byte)?,
            (Position::Word | Position::AfterValue, b',') => Position::BeforeKey,
            (Position::First | Position::Word | Position::AfterValue, b'}') => Position::End,
            (Position::End, _) => return Err(wrong(byte, "stands behind the object")),
            _ => return Err(wrong(byte, "is out of place")),
        })
    }

    /// The first byte of a value.
    fn begin_value(&self, byte: u8) -> Result<Position, String> {
        let ours = match self.member {
            Member::Name => Some((NAME_KEY, self.name.is_some())),
            Member::Data => Some((DATA_KEY, self.data_seen)),
            Member::Key | Member::Other => None,
        };
        match (ours, byte) {
            (Some((key, true)), _) => Err(format!("{key:?} is there twice")),
            (_, b'"') => Ok(Position::Within),
            (Some((key, false)), _) => Err(format!("the value of {key:?} is not a string")),
            (None, b'{' | b'[') => Err("an unknown member holds an array or an object".into()),
            (None, b'0'..=b'9' | b'-' | b't' | b'f' | b'n') => Ok(Position::Word),
            (None, _) => Err(wrong(byte, "is out of place")),
        }
    }

    /// A byte of a string, its closing quote included.
    fn feed_string(&mut self, byte: u8, file: &mut Vec<u8>) -> Result<Position, String> {
        match byte {
            _ if !self.escape.is_empty() => {
                self.escape.push(byte);
                if let Some(c) = unescape(&self.escape)? {
                    self.escape.clear();
                    self.take(c.encode_utf8(&mut [0; 4]).as_bytes(), file)?;
                }
            }
            b'"' => return self.end_string(),
            0..=0x1f => return Err(format!("byte {byte} stands in a string unescaped")),
            b'\\' => self.escape.push(byte),
            _ => self.take(&[byte], file)?,
        }
        Ok(Position::Within)
    }

    /// Takes text of a string, without escapes.
    fn take(&mut self, text: &[u8], file: &mut Vec<u8>) -> Result<(), String> {
        match self.member {
            Member::Key if self.text.len() >= TRANSFER_KEY_BYTES_KEPT => {}
            Member::Key | Member::Name => self.text.extend_from_slice(text),
            Member::Data => text.iter().try_for_each(|b| self.take_base64(*b, file))?,
            Member::Other => {}
        }
        if self.text.len() > TRANSFER_NAME_BYTES_MAX {
            let max = TRANSFER_NAME_BYTES_MAX;
            return Err(format!("the file name is longer than {max} bytes"));
        }
        Ok(())
    }

    /// Takes a character of base64. Line ends are skipped: Python's `base64.encodebytes` puts one
    /// after every 76 characters.
    fn take_base64(&mut self, byte: u8, file: &mut Vec<u8>) -> Result<(), String> {
        match byte {
            b'\r' | b'\n' => return Ok(()),
            b'=' if matches!(self.group.len(), 2 | 3) => {}
            _ if is_digit(byte) && !self.group.ends_with(b"=") => {}
            _ => return Err(wrong(byte, "is not base64")),
        }
        self.group.push(byte);
        if self.group.len() == 4 {
            decode(&self.group, file)?;
            if byte != b'=' {
                self.group.clear();
            }
        }
        Ok(())
    }

    fn end_string(&mut self) -> Result<Position, String> {
        let text = std::mem::take(&mut self.text);
        match self.member {
            Member::Key => {
                self.member = match str::from_utf8(&text) {
                    Ok(NAME_KEY) => Member::Name,
                    Ok(DATA_KEY) => Member::Data,
                    Ok(_) | Err(_) => Member::Other,
                };
                return Ok(Position::Colon);
            }
            Member::Name => {
                let name = str::from_utf8(&text).map_err(|_| "the file name is not UTF-8")?;
                let name = last_component(name)?;
                self.name = Some(name.to_owned());
            }
            Member::Data if matches!(self.group.len(), 0 | 4) => self.data_seen = true,
            Member::Data => return Err("the base64 ends within a group of four".into()),
            Member::Other => {}
        }
        Ok(Position::AfterValue)
    }
}

/// What is wrong about one byte.
fn wrong(byte: u8, why: &str) -> String {
    format!("{:?} {why}", printable(&[byte]))
}

const NO_ESCAPE: &str = "a string holds an escape that is none";

/// What an escape stands for, from its backslash. `None`: it is not whole yet.
fn unescape(escape: &[u8]) -> Result<Option<char>, String> {
    Ok(Some(match escape {
        [_, c @ (b'"' | b'\\' | b'/')] => char::from(*c),
        [_, b'b'] => '\u{8}',
        [_, b'f'] => '\u{c}',
        [_, b'n'] => '\n',
        [_, b'r'] => '\r',
        [_, b't'] => '\t',
        [_, b'u', digits @ ..] => return from_utf16(digits),
        _ => return Err(NO_ESCAPE.into()),
    }))
}

/// The character of `0041`, or of a pair of surrogates, `d83d\ude00`. `None`: it is not whole yet.
fn from_utf16(text: &[u8]) -> Result<Option<char>, String> {
    let is_well_formed = text.iter().enumerate().all(|(at, byte)| match at {
        4 => *byte == b'\\',
        5 => *byte == b'u',
        _ => byte.is_ascii_hexdigit(),
    });
    if !is_well_formed {
        return Err(NO_ESCAPE.into());
    }
    let unit = |at: usize| {
        let digits = str::from_utf8(text.get(at..at + 4)?).ok()?;
        u16::from_str_radix(digits, 16).ok()
    };
    let units = [unit(0), unit(6)].into_iter().flatten();
    match char::decode_utf16(units).next() {
        Some(Ok(c)) => Ok(Some(c)),
        Some(Err(half)) if half.unpaired_surrogate() < 0xdc00 && text.len() < 10 => Ok(None),
        // Half a pair: Python writes names like this that are no text in any encoding.
        Some(Err(_)) => Err(NO_ESCAPE.into()),
        None => Ok(None),
    }
}

fn is_digit(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/'
}

/// Decodes whole groups of base64, whose characters are known to be right.
fn decode(groups: &[u8], file: &mut Vec<u8>) -> Result<(), String> {
    // The bits behind the last byte may be anything, as Python has it.
    const CONFIG: GeneralPurposeConfig =
        GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true);
    const LENIENT: GeneralPurpose = GeneralPurpose::new(&STANDARD, CONFIG);
    let decoded = LENIENT.decode_vec(groups, file);
    decoded.map_err(|e| e.to_string())
}
