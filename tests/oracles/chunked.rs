//! Chunked bodies.
//!
//! The input is what comes behind a head. Oracle: a slow decoder by recursive descent, which either half of idler must agree with; the same outcome
//! however the bytes are cut; and an end that is never beyond what came.

use idler::http::body::{BodyDecoder, BodyError, BodyLength};
use idler::limits::{CHUNK_LINE_BYTES_MAX, DRAINED_BODY_BYTES_MAX, TRAILER_BYTES_MAX};

/// See the module.
pub fn check(bytes: &[u8]) {
    let expected = slowly(bytes);
    let outcome = match &expected {
        Ok((len, _)) => Ok((*len, true)),
        Err(Stop::Short) => Ok((bytes.len(), false)),
        Err(Stop::Wrong(error)) => Err(*error),
    };
    for step in [usize::MAX, 1, 2, 3, 7, 64] {
        let mut drain = BodyLength::Chunked.drain().expect("chunks are drained");
        let mut used = 0;
        let mut found = Ok((0, false));
        for piece in bytes.chunks(step.min(bytes.len().max(1))) {
            found = drain.skip(piece).map(|n| {
                assert!(n == piece.len() || drain.is_done(), "bytes are left over");
                used += n;
                (used, drain.is_done())
            });
            if !matches!(found, Ok((_, false))) {
                break;
            }
        }
        assert_eq!(found, outcome, "in pieces of {step}");
    }
    if let Ok((len, data)) = expected {
        hold_client(bytes, len, &data);
    }
}

/// Where a body ends, if it does.
pub(super) fn end(bytes: &[u8]) -> Option<usize> {
    slowly(bytes).ok().map(|(len, _)| len)
}

/// The client's half reads the same out of what is well-formed.
fn hold_client(bytes: &[u8], len: usize, data: &[u8]) {
    for step in [usize::MAX, 1, 5] {
        let mut body = BodyDecoder::lenient(BodyLength::Chunked);
        let (mut at, mut found) = (0_usize, Vec::new());
        while !body.is_done() {
            let end = at.saturating_add(step).min(bytes.len());
            let (used, piece) = body.feed(&bytes[at..end]).expect("it is well-formed");
            assert!(used > 0, "it does not go on");
            found.extend_from_slice(piece);
            at += used;
        }
        assert_eq!((at, found.as_slice()), (len, data), "in pieces of {step}");
    }
}

/// Why there is no end.
enum Stop {
    /// It may still come.
    Short,
    Wrong(BodyError),
}

const MALFORMED: Stop = Stop::Wrong(BodyError::Malformed);
const TOO_LONG: Stop = Stop::Wrong(BodyError::TooLong);

struct Slow<'a> {
    bytes: &'a [u8],
    at: usize,
    line: usize,
}

impl Slow<'_> {
    /// The next byte of a line.
    fn next(&mut self) -> Result<u8, Stop> {
        let byte = *self.bytes.get(self.at).ok_or(Stop::Short)?;
        self.at += 1;
        self.line += 1;
        if self.line > CHUNK_LINE_BYTES_MAX {
            return Err(TOO_LONG);
        }
        Ok(byte)
    }

    fn end_of_line(&mut self) -> Result<(), Stop> {
        match self.next()? {
            b'\n' => {
                self.line = 0;
                Ok(())
            }
            _ => Err(MALFORMED),
        }
    }

    /// `1*HEXDIG [ chunk-ext ] CRLF` (RFC 9112 §7.1): behind blanks only an extension, or (as some clients pad it) the line's end.
    fn size(&mut self) -> Result<u128, Stop> {
        let (mut size, mut digits) = (0_u128, 0);
        let mut byte = self.next()?;
        while let Some(digit) = char::from(byte).to_digit(16) {
            size = size * 16 + u128::from(digit);
            if size > u128::from(u64::MAX) {
                return Err(MALFORMED);
            }
            digits += 1;
            byte = self.next()?;
        }
        if digits == 0 {
            return Err(MALFORMED);
        }
        while byte == b' ' || byte == b'\t' {
            byte = self.next()?;
        }
        if byte == b';' {
            while byte == b'\t' || (byte >= b' ' && byte != 0x7f) {
                byte = self.next()?;
            }
        }
        if byte != b'\r' {
            return Err(MALFORMED);
        }
        self.end_of_line()?;
        Ok(size)
    }
}

/// Where the body ends, and what is in it.
fn slowly(bytes: &[u8]) -> Result<(usize, Vec<u8>), Stop> {
    let mut slow = Slow {
        bytes,
        at: 0,
        line: 0,
    };
    let (mut data, mut total, mut trailers) = (Vec::new(), 0, 0);
    loop {
        let size = slow.size()?;
        total += size;
        if total > u128::from(DRAINED_BODY_BYTES_MAX) {
            return Err(TOO_LONG);
        }
        if size == 0 {
            break;
        }
        for _ in 0..size {
            data.push(slow.next()?);
            slow.line = 0;
        }
        if slow.next()? != b'\r' {
            return Err(MALFORMED);
        }
        slow.end_of_line()?;
    }
    loop {
        let mut byte = slow.next()?;
        if byte == b'\r' {
            slow.end_of_line()?;
            return Ok((slow.at, data));
        }
        if !byte.is_ascii_graphic() {
            return Err(MALFORMED);
        }
        while byte != b'\r' {
            if byte != b'\t' && (byte < b' ' || byte == 0x7f) {
                return Err(MALFORMED);
            }
            trailers += 1;
            if trailers > TRAILER_BYTES_MAX {
                return Err(TOO_LONG);
            }
            byte = slow.next()?;
        }
        slow.end_of_line()?;
    }
}
