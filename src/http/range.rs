//! Ranges: which bytes of a representation were asked for, and how several parts are framed (RFC
//! 9110 §14).
//!
//! An answer with ranges never has a longer body than the whole representation, so that no Range
//! makes idler send more than it would without one. `conditional.rs` says whether a Range may be
//! honoured at all.

use std::fmt;

use httparse::Header;

use crate::http::fields::{decimal, elements, lines, single, split_once, trim};
use crate::limits::RANGES_MAX;

/// Consecutive bytes of a representation. Never empty.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Span {
    /// Position of the first byte.
    pub start: u64,
    /// Position after the last byte.
    pub end: u64,
}

impl Span {
    /// How many bytes.
    #[expect(clippy::len_without_is_empty, reason = "a span is never empty")]
    pub fn len(self) -> u64 {
        self.end.saturating_sub(self.start)
    }

    /// Whether fewer than `gap` bytes lie between the two.
    fn is_near(self, other: Self, gap: u64) -> bool {
        self.start < other.end.saturating_add(gap) && other.start < self.end.saturating_add(gap)
    }

    /// From the first byte of both to the last.
    fn with(self, other: Self) -> Self {
        let (start, end) = (self.start.min(other.start), self.end.max(other.end));
        Self { start, end }
    }

    /// The value of `Content-Range` for this span of `total` bytes (§14.4), `bytes 0-4/10`.
    pub fn content_range(self, total: u64) -> String {
        format!(
            "bytes {}-{}/{total}",
            self.start,
            self.end.saturating_sub(1)
        )
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let last = self.end.saturating_sub(1);
        write!(f, "bytes {} to {last} ({} bytes)", self.start, self.len())
    }
}

/// What a GET is to be answered with.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Selection {
    /// All of it, with 200: there is no Range, or none that means anything here.
    Whole,
    /// This part, with 206 and `Content-Range`.
    One(Span),
    /// These parts, with 206 and [`Multipart`]: at least two, which neither overlap nor touch.
    Several(Box<[Span]>),
    /// Nothing of it: 416.
    Unsatisfiable,
}

/// Reads the Range field of a GET for a representation of `length` bytes and type `content_type`,
/// and hands `note` a sentence on each range.
///
/// A Range that is malformed, of another unit, on several lines, or of more than [`RANGES_MAX`]
/// ranges is ignored (§14.2). Ends beyond the representation are cut (§14.1.2), numbers beyond 64
/// bits count as the largest. Ranges that overlap, or are nearer to each other than one part's
/// framing is long, are joined (§15.3.7.2) at the place of the first of them; all others keep the
/// order in which they were asked for. Where the parts and their framing would come to as much as
/// the whole, the whole is the answer. That bounds what is sent; the work is bounded by the length
/// of the field and by `RANGES_MAX` squared.
pub fn select(
    headers: &[Header<'_>],
    length: u64,
    content_type: &str,
    mut note: impl FnMut(fmt::Arguments<'_>),
) -> Selection {
    if lines(headers, "Range").next().is_none() {
        return Selection::Whole;
    }
    let selection = match single(headers, "Range") {
        Some(value) => read(value, length, content_type, &mut note),
        None => Err("it stands on several lines".to_owned()),
    };
    selection.unwrap_or_else(|why| {
        note(format_args!("Range is ignored: {why}"));
        Selection::Whole
    })
}

/// The selection, or why the Range is ignored.
fn read(
    value: &[u8],
    length: u64,
    content_type: &str,
    note: &mut impl FnMut(fmt::Arguments<'_>),
) -> Result<Selection, String> {
    let malformed = || "it is malformed".to_owned();
    let (unit, set) = split_once(trim(value), b'=').ok_or_else(malformed)?;
    if !unit.eq_ignore_ascii_case(b"bytes") {
        return Err("its unit is not bytes".to_owned());
    }

    // The longest that may stand before a part.
    let (start, end) = (length, length.saturating_add(1));
    let last = Span { start, end };
    let mut head = Vec::new();
    let _ = Multipart::new([last, last].into(), content_type, 0, length).frame(1, &mut head);
    let gap = head.len() as u64;

    let mut spans = Vec::new();
    let (mut asked, mut empty) = (0, false);
    for element in elements(set, b',') {
        let range = ByteRange::parse(element).ok_or_else(malformed)?;
        asked += 1;
        if asked > RANGES_MAX {
            return Err(format!("it asks for more than {RANGES_MAX} ranges"));
        }
        if let Some(span) = range.within(length) {
            note(format_args!("{range} is {span}"));
            if let Some(joined) = add(&mut spans, span, gap) {
                note(format_args!("joined with what is next to it: {joined}"));
            }
        } else {
            note(format_args!("{range} is beyond the end"));
            // The end of nothing is there (§14.1.2), but 206 has no words for no bytes.
            empty |= length == 0 && matches!(range, ByteRange::Last(1..));
        }
    }

    match spans[..] {
        [] if asked == 0 => Err(malformed()),
        [] if empty => Err("there are no bytes to be part of".to_owned()),
        [] => {
            note(format_args!("none of the ranges can be satisfied"));
            Ok(Selection::Unsatisfiable)
        }
        // Also where several were asked for: one part needs no multipart (§15.3.7.2).
        [one] => Ok(Selection::One(one)),
        _ => {
            // All boundaries have one length.
            let multipart = Multipart::new(spans.into(), content_type, 0, length);
            let bytes = multipart.body_bytes();
            if bytes < length {
                return Ok(Selection::Several(multipart.spans));
            }
            Err(format!(
                "in parts it would take {bytes} bytes, no less than the whole"
            ))
        }
    }
}

/// Adds a span to those that are not near each other, and returns what it was joined to, if it was.
/// The joined span may be near others in turn, so each look begins anew; each takes a span away,
/// which bounds them.
fn add(spans: &mut Vec<Span>, mut span: Span, gap: u64) -> Option<Span> {
    let mut place = spans.len();
    let before = spans.len();
    while let Some(at) = spans.iter().position(|other| other.is_near(span, gap)) {
        span = span.with(spans.remove(at));
        place = place.min(at); // of the first of them, as far as it has been found
    }
    let joined = spans.len() < before;
    spans.insert(place, span);
    joined.then_some(span)
}

/// One range as it was asked for (§14.1.1). Numbers beyond 64 bits are the largest.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum ByteRange {
    /// `first-last`, both included.
    FromTo(u64, u64),
    /// `first-`, to the end.
    From(u64),
    /// `-n`, the last n.
    Last(u64),
}

impl ByteRange {
    /// Reads one element of the list. `None` if it is none, or ends before it begins.
    fn parse(element: &[u8]) -> Option<Self> {
        let number = |digits: &[u8]| {
            let is_number = digits.iter().all(u8::is_ascii_digit);
            is_number.then(|| decimal(digits).unwrap_or(u64::MAX))
        };
        match split_once(element, b'-')? {
            (b"", b"") => None,
            (b"", last) => Some(Self::Last(number(last)?)),
            (first, b"") => Some(Self::From(number(first)?)),
            (first, last) => {
                let (first, last) = (number(first)?, number(last)?);
                (first <= last).then_some(Self::FromTo(first, last))
            }
        }
    }

    /// The bytes it stands for, of a representation of `length`; `None` if there are none
    /// (§14.1.2).
    fn within(self, length: u64) -> Option<Span> {
        let (start, end) = match self {
            Self::FromTo(first, last) => (first, last.saturating_add(1).min(length)),
            Self::From(first) => (first, length),
            Self::Last(n) => (length.saturating_sub(n), length),
        };
        (start < end).then_some(Span { start, end })
    }
}

impl fmt::Display for ByteRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FromTo(first, last) => write!(f, "{first}-{last}"),
            Self::From(first) => write!(f, "{first}-"),
            Self::Last(n) => write!(f, "-{n}"),
        }
    }
}

/// A body of several parts, multipart/byteranges (§14.6), of which only the framing is made here.
///
/// Its sender alternates: [`frame`](Self::frame), then the bytes of the span it returned, until
/// there is none.
#[derive(Clone, Debug)]
pub struct Multipart {
    spans: Box<[Span]>,
    content_type: Box<str>,
    /// Stands between the parts (RFC 2046 §5.1.1), and must not occur in them. idler cannot know
    /// that: the kernel sends them from the file. It need not know either, as long as the boundary
    /// cannot be guessed: 64 random bits meet a given place of a file by accident once in 2⁶⁴, and
    /// the author of the file cannot aim at them. Besides, each part says its length in
    /// `Content-Range`, so that a careful reader does not search at all.
    boundary: String,
    total: u64,
}

impl Multipart {
    /// The parts `spans` of a representation of `total` bytes and type `content_type`: what was
    /// given to [`select`], and what it returned. The bits of the boundary should be unpredictable.
    pub fn new(spans: Box<[Span]>, content_type: &str, boundary: u64, total: u64) -> Self {
        Self {
            spans,
            content_type: content_type.into(),
            boundary: format!("{boundary:016x}"),
            total,
        }
    }

    /// The value of the answer's `Content-Type`, which names the boundary.
    pub fn answer_type(&self) -> String {
        format!("multipart/byteranges; boundary={}", self.boundary)
    }

    /// The answer's `Content-Length`: all parts with their framing, to the byte.
    pub fn body_bytes(&self) -> u64 {
        let mut frames = Vec::new();
        let mut bytes = 0_u64;
        let mut part = 0;
        while let Some(span) = self.frame(part, &mut frames) {
            bytes = bytes.saturating_add(span.len());
            part += 1;
        }
        bytes.saturating_add(frames.len() as u64)
    }

    /// Appends what stands before the bytes of part `part` (from 0), and returns where these are.
    /// After the last part it appends the end of the body and returns `None`.
    pub fn frame(&self, part: usize, out: &mut Vec<u8>) -> Option<Span> {
        let line_end = if part > 0 { "\r\n" } else { "" };
        let boundary = &self.boundary;
        let Some(&span) = self.spans.get(part) else {
            out.extend_from_slice(format!("{line_end}--{boundary}--\r\n").as_bytes());
            return None;
        };
        let (content_type, range) = (&self.content_type, span.content_range(self.total));
        let frame = format!(
            "{line_end}--{boundary}\r\nContent-Type: {content_type}\r\n\
             Content-Range: {range}\r\n\r\n"
        );
        out.extend_from_slice(frame.as_bytes());
        Some(span)
    }
}

#[cfg(test)]
mod tests;
