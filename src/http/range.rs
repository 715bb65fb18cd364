//! Ranges: which bytes of a representation were asked for (RFC 9110 §14).
//!
//! What lives here: the grammar of Range and its arithmetic. It may not know where the bytes come from: spans are
//! handed to whoever sends them. Invariant: an answer with ranges never has
//! a longer body than the whole representation, so that no Range makes idler send more than
//! it would without one. Read next: `multipart.rs`, which frames several parts, and `preconditions.rs`, which says
//! whether a Range may be honoured at all.

use std::fmt;

use httparse::Header;

use crate::http::fields::{Single, elements, trim};
use crate::http::multipart::Framing;
use crate::http::span::Span;
use crate::limits::RANGES_MAX;

/// What a GET is to be answered with.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Selection {
    /// All of it, with 200: there is no Range, or none that means anything here.
    Whole,
    /// This part, with 206 and `Content-Range`.
    One(Span),
    /// These parts, with 206 and [`Multipart`](crate::http::multipart::Multipart): at least two, which neither overlap nor touch.
    Several(Box<[Span]>),
    /// Nothing of it: 416.
    Unsatisfiable,
}

/// Reads the Range field of a GET for a representation of `length` bytes and type `content_type`.
///
/// A Range that is malformed, of another unit, on several lines, or of more than [`RANGES_MAX`] ranges is ignored
/// (§14.2). Ends beyond the representation are cut (§14.1.2), numbers beyond 64 bits count as the
/// largest. Ranges that overlap, or are nearer to each other than one part's framing is long, are
/// joined (§15.3.7.2) at the place of the first of them; all others keep the order in which they were asked
/// for. Where the parts and their framing would come to as much as the whole, the whole is the answer. That
/// bounds what is sent; the work is bounded by the length of the field and by `RANGES_MAX` squared. Only
/// `Several` allocates.
pub fn select(headers: &[Header<'_>], length: u64, content_type: &str) -> Selection {
    select_observed(headers, length, content_type, |_| ())
}

/// [`select`], which tells `observe` each step as it is taken.
pub fn select_observed(
    headers: &[Header<'_>],
    length: u64,
    content_type: &str,
    mut observe: impl FnMut(Step),
) -> Selection {
    let value = match Single::read(headers, "range") {
        Single::Absent => return Selection::Whole,
        Single::One(value) => value,
        Single::Several => {
            observe(Step::Ignored(Ignored::SeveralLines));
            return Selection::Whole;
        }
    };
    match read(value, &Framing::new(content_type, length), &mut observe) {
        Ok(selection) => selection,
        Err(why) => {
            observe(Step::Ignored(why));
            Selection::Whole
        }
    }
}

/// One range as it was asked for (§14.1.1). Numbers beyond 64 bits are the largest.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Spec {
    /// `first-last`, both included.
    FromTo(u64, u64),
    /// `first-`, to the end.
    From(u64),
    /// `-n`, the last n.
    Last(u64),
}

impl Spec {
    /// Reads one element of the list. `None` if it is none, or ends before it begins.
    fn parse(element: &[u8]) -> Option<Self> {
        let dash = element.iter().position(|&byte| byte == b'-')?;
        let (first, last) = (&element[..dash], &element[dash + 1..]);
        match (first.is_empty(), last.is_empty()) {
            (false, false) => {
                let (first, last) = (number(first)?, number(last)?);
                (first <= last).then_some(Self::FromTo(first, last))
            }
            (false, true) => number(first).map(Self::From),
            (true, false) => number(last).map(Self::Last),
            (true, true) => None,
        }
    }

    /// The bytes it stands for, of a representation of `length`; `None` if there are none (§14.1.2).
    fn within(self, length: u64) -> Option<Span> {
        let (start, end) = match self {
            Self::FromTo(first, last) => (first, last.saturating_add(1).min(length)),
            Self::From(first) => (first, length),
            Self::Last(n) => (length.saturating_sub(n), length),
        };
        (start < end).then_some(Span { start, end })
    }
}

/// One step of reading a Range. Shown, it is a sentence.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    /// One of the ranges asked for, and what of it there is.
    Asked(Spec, Option<Span>),
    /// The last range overlaps with others or is near them; together they are this one.
    Joined(Span),
    /// None of the ranges asked for is there.
    NoneSatisfiable,
    /// The Range is ignored.
    Ignored(Ignored),
}

/// Why a Range is ignored.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ignored {
    /// It stands on several lines.
    SeveralLines,
    /// Its unit is not bytes.
    OtherUnit,
    /// It breaks the grammar.
    Malformed,
    /// More ranges than [`RANGES_MAX`].
    TooMany,
    /// The end of an empty representation: there, but with no bytes that `Content-Range` could name.
    Empty,
    /// In parts it would be no shorter than the whole; with the length it would have had.
    NotShorter(u64),
}

impl fmt::Display for Spec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FromTo(first, last) => write!(f, "{first}-{last}"),
            Self::From(first) => write!(f, "{first}-"),
            Self::Last(n) => write!(f, "-{n}"),
        }
    }
}

impl fmt::Display for Ignored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SeveralLines => f.write_str("it stands on several lines"),
            Self::OtherUnit => f.write_str("its unit is not bytes"),
            Self::Malformed => f.write_str("it is malformed"),
            Self::TooMany => write!(f, "it asks for more than {RANGES_MAX} ranges"),
            Self::Empty => f.write_str("there are no bytes to be part of"),
            Self::NotShorter(bytes) => {
                write!(
                    f,
                    "in parts it would take {bytes} bytes, no less than the whole"
                )
            }
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Asked(spec, Some(span)) => write!(f, "{spec} is {span}"),
            Self::Asked(spec, None) => write!(f, "{spec} is beyond the end"),
            Self::Joined(span) => write!(f, "joined with what is next to it: {span}"),
            Self::NoneSatisfiable => f.write_str("none of the ranges can be satisfied"),
            Self::Ignored(why) => write!(f, "Range is ignored: {why}"),
        }
    }
}

/// A number of any length; the largest if it does not fit.
fn number(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0_u64, |n, digit| {
        digit
            .is_ascii_digit()
            .then(|| n.saturating_mul(10).saturating_add(u64::from(digit - b'0')))
    })
}

fn read(
    value: &[u8],
    framing: &Framing,
    observe: &mut impl FnMut(Step),
) -> Result<Selection, Ignored> {
    let value = trim(value);
    let equals = value.iter().position(|&byte| byte == b'=');
    let (unit, set) = value.split_at(equals.ok_or(Ignored::Malformed)?);
    if !unit.eq_ignore_ascii_case(b"bytes") {
        return Err(Ignored::OtherUnit);
    }

    let gap = framing.part_head_bytes_max();
    let mut spans = Spans::default();
    let (mut asked, mut empty) = (0, false);
    for element in elements(&set[1..], b',') {
        let spec = Spec::parse(element).ok_or(Ignored::Malformed)?;
        asked += 1;
        if asked > RANGES_MAX {
            return Err(Ignored::TooMany);
        }
        let span = spec.within(framing.total());
        observe(Step::Asked(spec, span));
        match span {
            Some(span) => {
                if let Some(joined) = spans.add(span, gap) {
                    observe(Step::Joined(joined));
                }
            }
            // Its end is there (§14.1.2), but 206 has no words for no bytes.
            None => empty |= framing.total() == 0 && matches!(spec, Spec::Last(1..)),
        }
    }

    match spans.as_slice() {
        [] if asked == 0 => Err(Ignored::Malformed),
        [] if empty => Err(Ignored::Empty),
        [] => {
            observe(Step::NoneSatisfiable);
            Ok(Selection::Unsatisfiable)
        }
        // Also where several were asked for: one part needs no multipart (§15.3.7.2).
        [one] => Ok(Selection::One(*one)),
        several => {
            let body = framing.body_bytes(several);
            if body < framing.total() {
                Ok(Selection::Several(several.into()))
            } else {
                Err(Ignored::NotShorter(body))
            }
        }
    }
}
/// Up to [`RANGES_MAX`] spans that are not near each other, in the order asked for.
struct Spans {
    spans: [Span; RANGES_MAX],
    len: usize,
}

impl Default for Spans {
    fn default() -> Self {
        Self {
            spans: [Span { start: 0, end: 0 }; RANGES_MAX],
            len: 0,
        }
    }
}

impl Spans {
    fn as_slice(&self) -> &[Span] {
        self.spans.get(..self.len).unwrap_or_default()
    }

    /// Adds a span, and returns what it was joined to, if it was. The joined span may be near others in
    /// turn, so each look begins anew; every one of them takes a span away, which bounds them.
    fn add(&mut self, mut span: Span, gap: u64) -> Option<Span> {
        let mut place = self.len;
        let mut joined = false;
        while let Some(at) = self
            .as_slice()
            .iter()
            .position(|other| other.is_near(span, gap))
        {
            span = span.with(self.spans[at]);
            self.spans.copy_within(at + 1..self.len, at);
            self.len -= 1;
            place = place.min(at); // the first of them, as far as it has been found
            joined = true;
        }
        self.spans.copy_within(place..self.len, place + 1);
        self.spans[place] = span;
        self.len += 1;
        joined.then_some(span)
    }
}

#[cfg(test)]
mod tests;
