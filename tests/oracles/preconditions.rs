//! Conditions of requests, and the dates in them.
//!
//! The input is lines: one that means nothing; the tag; seconds of the last change, and of now; then header
//! lines `Name: value`. Oracle: RFC 9110 §13.2.2 written down once more, as a table of decisions over a slow reader of tags; and
//! a date that was read is written as itself.

use httparse::Header;
use idler::http::conditional::{Validators, Verdict, evaluate};
use idler::http::date;
use idler::limits::RACY_WINDOW;

/// See the module.
pub fn check(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let mut lines = text.split('\n');
    let mut line = || lines.next().unwrap_or_default();
    let (_, etag, seconds) = (line(), line(), line());
    let mut numbers = seconds.split(' ').map(|n| n.parse::<i64>().ok());
    let bounded = |n: i64| n.clamp(0, 253_402_300_799);
    let last_modified = numbers.next().flatten().map(bounded);
    let now = numbers.next().flatten().map_or(1_700_000_000, bounded);
    let fields: Vec<(&str, &str)> = lines.filter_map(|line| line.split_once(": ")).collect();
    let headers: Vec<Header<'_>> = fields
        .iter()
        .map(|(name, value)| Header {
            name,
            value: value.as_bytes(),
        })
        .collect();

    // Our own tags are well-formed.
    let etag = tag(etag)
        .filter(|(_, rest)| rest.is_empty())
        .map(|(tag, _)| tag);
    let written =
        etag.map(|(weak, opaque)| format!("{}\"{opaque}\"", if weak { "W/" } else { "" }));
    let validators = Validators {
        etag: written.as_ref().map(String::as_bytes),
        last_modified,
    };
    let found = evaluate(&headers, &validators, now, |_| ());
    let facts = Facts {
        etag,
        last_modified,
        now,
    };
    assert_eq!(
        found,
        facts.slowly(&fields),
        "{fields:?} of {written:?}, {last_modified:?}, {now}"
    );

    for (_, value) in &fields {
        if let Some(seconds) = date::parse(value.as_bytes(), now) {
            let again = date::imf_fixdate(seconds).expect("a date that was read");
            assert_eq!(date::parse(&again, now), Some(seconds), "{value}");
            let value = value.trim_matches([' ', '\t']);
            if value.len() == again.len() {
                assert_eq!(value.as_bytes(), again);
            }
        }
    }
}

/// Weak or not, and what stands between the quotes.
type Tag<'a> = (bool, &'a str);

/// The tag that a text begins with, and what follows it.
fn tag(text: &str) -> Option<(Tag<'_>, &str)> {
    let (weak, rest) = match text.strip_prefix("W/") {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (opaque, rest) = rest.strip_prefix('"')?.split_once('"')?;
    let legal = opaque.bytes().all(|b| b > b' ' && b != 0x7f);
    legal.then_some(((weak, opaque), rest))
}

/// What a list of tags says.
enum List<'a> {
    Star,
    Tags(Vec<Tag<'a>>),
    Wrong,
}

fn list<'a>(values: &[&'a str]) -> List<'a> {
    let blank = |c: char| c == ' ' || c == '\t';
    if let [value] = values
        && value.trim_matches(blank) == "*"
    {
        return List::Star;
    }
    let mut tags = Vec::new();
    for value in values {
        let mut rest = *value;
        loop {
            rest = rest.trim_start_matches(|c| blank(c) || c == ',');
            if rest.is_empty() {
                break;
            }
            let Some((found, behind)) = tag(rest) else {
                // A star and empty lines are a star.
                let all = values
                    .iter()
                    .map(|v| v.trim_matches(blank))
                    .filter(|v| !v.is_empty());
                let all: Vec<&str> = all.collect();
                let empty = |v: &&&str| v.chars().all(|c| blank(c) || c == ',');
                let stars = all.iter().filter(|v| **v == "*").count();
                let others = all.iter().filter(|v| **v != "*").filter(empty).count();
                return if stars == 1 && others + 1 == all.len() {
                    List::Star
                } else {
                    List::Wrong
                };
            };
            tags.push(found);
            rest = behind.trim_start_matches(blank);
            if !(rest.is_empty() || rest.starts_with(',')) {
                return List::Wrong;
            }
        }
    }
    if tags.is_empty() {
        List::Wrong
    } else {
        List::Tags(tags)
    }
}

struct Facts<'a> {
    etag: Option<Tag<'a>>,
    last_modified: Option<i64>,
    now: i64,
}

impl Facts<'_> {
    fn slowly(&self, fields: &[(&str, &str)]) -> Verdict {
        let all = |name: &str| -> Option<Vec<&str>> {
            let named = fields.iter().filter(|(n, _)| n.eq_ignore_ascii_case(name));
            let values: Vec<&str> = named.map(|(_, value)| *value).collect();
            (!values.is_empty()).then_some(values)
        };
        let (matches, none, range) = (all("if-match"), all("if-none-match"), all("if-range"));
        let (unmodified, modified) = (all("if-unmodified-since"), all("if-modified-since"));
        if let Some(values) = &matches {
            let holds = match list(values) {
                List::Star => true,
                List::Tags(tags) => tags.iter().any(|tag| !tag.0 && self.etag == Some(*tag)),
                List::Wrong => false,
            };
            if !holds {
                return Verdict::Failed;
            }
        } else if let Some(values) = &unmodified
            && self.newer_than(values) == Some(true)
        {
            return Verdict::Failed;
        }
        if let Some(values) = &none {
            let fails = match list(values) {
                List::Star => true,
                List::Tags(tags) => tags
                    .iter()
                    .any(|tag| self.etag.is_some_and(|own| own.1 == tag.1)),
                List::Wrong => false,
            };
            if fails {
                return Verdict::NotModified;
            }
        } else if let Some(values) = &modified
            && self.newer_than(values) == Some(false)
        {
            return Verdict::NotModified;
        }
        let honour_range = match range {
            Some(values) if all("range").is_some() => self.same(&values),
            Some(_) | None => true,
        };
        Verdict::Proceed { honour_range }
    }

    /// Whether the last change came after the one date of a field; `None` if nobody can say.
    fn newer_than(&self, values: &[&str]) -> Option<bool> {
        let [value] = values else { return None };
        let date = date::parse(value.as_bytes(), self.now).filter(|date| *date <= self.now)?;
        Some(self.last_modified? > date)
    }

    /// If-Range: whether it is the same to the byte.
    fn same(&self, values: &[&str]) -> bool {
        let [value] = values else { return false };
        let blank = |c: char| c == ' ' || c == '\t';
        if let Some((found, "")) = tag(value.trim_matches(blank)) {
            return !found.0 && self.etag == Some(found);
        }
        let old = |date: i64| self.now - date >= RACY_WINDOW.as_secs().cast_signed();
        date::parse(value.as_bytes(), self.now).is_some_and(|date| {
            self.last_modified == Some(date) && old(date) && !self.etag.is_some_and(|tag| tag.0)
        })
    }
}
