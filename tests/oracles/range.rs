//! Range fields.
//!
//! The input is a length in decimal digits, a line end, and the values of Range lines, one a line. Oracle: a slow reading that says for
//! each selected span which of the ranges asked for it; nothing beyond the length, nothing twice, never more than the whole.

use httparse::Header;
use idler::http::range::{Multipart, Selection, Span, select};
use idler::limits::RANGES_MAX;

const TYPE: &str = "text/plain";

/// The shortest frame of a part.
const FRAME_MIN: u64 = 78;

/// The longest, generously.
const FRAME_MAX: u128 = 200;

/// See the module.
pub fn check(data: &[u8]) {
    let mut lines = data.split(|&b| b == b'\n');
    let first = lines.next().unwrap_or_default();
    let length = std::str::from_utf8(first)
        .ok()
        .and_then(|text| text.parse::<u64>().ok());
    let length = length.unwrap_or(1000);
    let values: Vec<&[u8]> = lines.collect();
    let headers: Vec<Header<'_>> = values
        .iter()
        .map(|value| Header {
            name: "Range",
            value,
        })
        .collect();
    let selection = select(&headers, length, TYPE, |_| ());
    let asked = match values[..] {
        [value] => slowly(value),
        _ => None,
    };
    let Some(asked) = asked else {
        assert_eq!(selection, Selection::Whole, "it is not understood");
        return;
    };
    // Those that are there, as first and last, in the order asked for.
    let there: Vec<(u128, u128)> = asked
        .iter()
        .filter_map(|&(first, last)| {
            let end = u128::from(length);
            let (first, last) = match (first, last) {
                (Some(first), Some(last)) => (first, last.min(end.checked_sub(1)?)),
                (Some(first), None) => (first, end.checked_sub(1)?),
                (None, last) => (end.saturating_sub(last?), end.checked_sub(1)?),
            };
            (first <= last).then_some((first, last))
        })
        .collect();
    let spans = match selection {
        Selection::Unsatisfiable => {
            assert!(there.is_empty(), "some of it is there: {there:?}");
            return;
        }
        Selection::Whole => {
            // In parts it would be no shorter, or it is an end of nothing.
            let suffix =
                |&(first, last): &(Option<u128>, Option<u128>)| first.is_none() && last != Some(0);
            assert!(there.len() > 1 || (length == 0 && asked.iter().any(suffix)));
            let bytes: u128 = there
                .iter()
                .map(|(first, last)| last - first + 1 + FRAME_MAX)
                .sum();
            assert!(
                there.is_empty() || bytes + 50 >= u128::from(length),
                "it would be shorter"
            );
            return;
        }
        Selection::One(span) => vec![span],
        Selection::Several(spans) => {
            assert!(spans.len() > 1);
            let multipart = Multipart::new(spans.clone(), TYPE, 0, length);
            let mut frames = Vec::new();
            let mut bytes = 0;
            for part in 0.. {
                match multipart.frame(part, &mut frames) {
                    Some(span) => bytes += span.len(),
                    None => break,
                }
            }
            assert_eq!(
                multipart.body_bytes(),
                bytes + frames.len() as u64,
                "the promised length"
            );
            assert!(multipart.body_bytes() < length, "more than the whole");
            spans.into_vec()
        }
    };
    hold_spans(&spans, &there, length);
}

fn hold_spans(spans: &[Span], there: &[(u128, u128)], length: u64) {
    let mut places = Vec::new();
    for (at, span) in spans.iter().enumerate() {
        assert!(span.start < span.end && span.end <= length, "{span:?}");
        for other in &spans[..at] {
            let apart = |one: &Span, other: &Span| one.end.saturating_add(FRAME_MIN) <= other.start;
            assert!(
                apart(span, other) || apart(other, span),
                "nearer to each other than a frame is long"
            );
        }
        let (start, end) = (u128::from(span.start), u128::from(span.end));
        let mut within: Vec<(u128, u128)> = there
            .iter()
            .copied()
            .filter(|(f, l)| *f >= start && *l < end)
            .collect();
        places.push(
            there
                .iter()
                .position(|r| within.contains(r))
                .expect("somebody asked for it"),
        );
        within.sort_unstable();
        // From its first byte to its last, only what was asked for, and gaps that a frame would not fit in.
        let mut reached = start;
        for (first, last) in within {
            assert!(
                first <= reached + FRAME_MAX,
                "nobody asked for {reached} to {first}"
            );
            assert!(
                reached != start || first == start,
                "it begins where nobody asked"
            );
            reached = reached.max(last + 1);
        }
        assert_eq!(reached, end, "it ends where nobody asked");
    }
    assert!(places.is_sorted(), "the order was that of the ranges");
    for &(first, last) in there {
        let inside = |s: &Span| u128::from(s.start) <= first && last < u128::from(s.end);
        assert!(spans.iter().any(inside), "{first}-{last} is missing");
    }
}

/// First and last of each range, as they stand there; `None` if the field means nothing.
fn slowly(value: &[u8]) -> Option<Vec<(Option<u128>, Option<u128>)>> {
    let text: String = value.iter().map(|&b| char::from(b)).collect();
    let blank = |c: char| c == ' ' || c == '\t';
    let (unit, set) = text.trim_matches(blank).split_once('=')?;
    if !unit.eq_ignore_ascii_case("bytes") {
        return None;
    }
    // Beyond 64 bits is beyond any length.
    let number = |digits: &str| -> Option<Option<u128>> {
        if !digits.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let short = digits.trim_start_matches('0');
        let beyond = u128::from(u64::MAX);
        Some((!digits.is_empty()).then(|| match short.len() {
            0 => 0,
            21.. => beyond,
            _ => short.parse::<u128>().expect("digits").min(beyond),
        }))
    };
    let mut ranges = Vec::new();
    for element in set
        .split(',')
        .map(|e| e.trim_matches(blank))
        .filter(|e| !e.is_empty())
    {
        let (first, last) = element.split_once('-')?;
        let (first, last) = (number(first)?, number(last)?);
        match (first, last) {
            (None, None) => return None,
            (Some(first), Some(last)) if first > last => return None,
            pair => ranges.push(pair),
        }
    }
    (!ranges.is_empty() && ranges.len() <= RANGES_MAX).then_some(ranges)
}
