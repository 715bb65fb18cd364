//! Conditions: whether a request is carried out at all (RFC 9110 §13).
//!
//! One function evaluates If-Match, If-Unmodified-Since, If-None-Match, If-Modified-Since and
//! If-Range in the order of §13.2.2, for GET and HEAD of what exists. Validators and the time are
//! passed in.

use std::fmt;

use httparse::Header;

use crate::http::date::{self, UnixSeconds};
use crate::http::fields::{lines, single, split_once, trim};
use crate::limits::RACY_WINDOW;

/// What is known of the representation that would be sent.
#[derive(Clone, Copy, Default, Debug)]
pub struct Validators<'a> {
    /// Its `ETag`, written as it is sent: `"…"` or `W/"…"`.
    pub etag: Option<&'a [u8]>,
    /// Its `Last-Modified`, as it is sent.
    pub last_modified: Option<UnixSeconds>,
}

/// What the conditions of a request come to.
#[must_use]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// Answer as if there had been no conditions.
    Proceed {
        /// Whether a Range field may be honoured. It says nothing about whether there is one; and
        /// Range is defined for GET alone (§14.2), so with HEAD it is not looked at.
        honour_range: bool,
    },
    /// Answer 304.
    NotModified,
    /// Answer 412.
    Failed,
}

/// Whether a condition holds, and why. `None`: it is treated as if it did not stand there.
type Finding = (Option<bool>, &'static str);

const HOLDS: Option<bool> = Some(true);
const FAILS: Option<bool> = Some(false);
const IGNORED: Option<bool> = None;

const IF_MATCH: &str = "If-Match";
const IF_UNMODIFIED_SINCE: &str = "If-Unmodified-Since";
const IF_NONE_MATCH: &str = "If-None-Match";
const IF_MODIFIED_SINCE: &str = "If-Modified-Since";
const IF_RANGE: &str = "If-Range";

/// Evaluates the conditions of a GET or HEAD in the order of RFC 9110 §13.2.2, and hands `note` a
/// sentence on each that stands in the head. The answer without them must be a 200: they do not
/// matter where it is an error (§13.2.1).
///
/// Dates that are invalid or later than `now` are ignored. Bounded by the length of the head;
/// nothing is allocated.
pub fn evaluate(
    headers: &[Header<'_>],
    validators: &Validators<'_>,
    now: UnixSeconds,
    mut note: impl FnMut(fmt::Arguments<'_>),
) -> Verdict {
    let etag = validators.etag.and_then(EntityTag::parse);
    let last_modified = validators.last_modified;
    let current = Current {
        headers,
        etag,
        last_modified,
        now,
    };
    let overridden = (IGNORED, "the field with tags says it more exactly");
    let is_present = |name| lines(headers, name).next().is_some();
    let mut fails = |name, (holds, why): Finding| {
        let effect = match holds {
            HOLDS => "holds",
            FAILS => "fails",
            IGNORED => "is ignored",
        };
        note(format_args!("{name} {effect}: {why}"));
        holds == FAILS
    };

    // 1 and 2: may it be done at all? A 412 is final: what follows is not evaluated.
    let has_if_match = is_present(IF_MATCH);
    if has_if_match && fails(IF_MATCH, current.listed(IF_MATCH, STRONG, HOLDS, FAILS)) {
        return Verdict::Failed;
    }
    if is_present(IF_UNMODIFIED_SINCE) {
        let finding = match has_if_match {
            true => overridden,
            false => current.since(IF_UNMODIFIED_SINCE, FAILS, HOLDS),
        };
        if fails(IF_UNMODIFIED_SINCE, finding) {
            return Verdict::Failed;
        }
    }

    // 3 and 4: is it needed?
    let has_if_none_match = is_present(IF_NONE_MATCH);
    if has_if_none_match
        && fails(
            IF_NONE_MATCH,
            current.listed(IF_NONE_MATCH, WEAK, FAILS, HOLDS),
        )
    {
        return Verdict::NotModified;
    }
    if is_present(IF_MODIFIED_SINCE) {
        let finding = match has_if_none_match {
            true => overridden,
            false => current.since(IF_MODIFIED_SINCE, HOLDS, FAILS),
        };
        if fails(IF_MODIFIED_SINCE, finding) {
            return Verdict::NotModified;
        }
    }

    // 5: all of it, or the range?
    let mut honour_range = true;
    if is_present(IF_RANGE) {
        let finding = match is_present("Range") {
            true => current.if_range(),
            false => (IGNORED, "there is no Range"),
        };
        honour_range = !fails(IF_RANGE, finding);
    }
    Verdict::Proceed { honour_range }
}

/// What the conditions are held against.
struct Current<'a> {
    headers: &'a [Header<'a>],
    etag: Option<EntityTag<'a>>,
    last_modified: Option<UnixSeconds>,
    now: UnixSeconds,
}

impl Current<'_> {
    /// §13.1.1, §13.1.2: whether the current representation is one of those listed, and what
    /// follows if it is, or is not.
    fn listed(
        &self,
        name: &'static str,
        matches: Comparison,
        if_listed: Option<bool>,
        otherwise: Option<bool>,
    ) -> Finding {
        match find_in_list(lines(self.headers, name), self.etag.as_ref(), matches) {
            ListMatch::Any => (if_listed, "* and there is a representation"),
            ListMatch::Found => (if_listed, "the current tag is listed"),
            ListMatch::NotFound => (otherwise, "the current tag is not listed"),
            ListMatch::Malformed => (otherwise, "not a list of tags, so it matches nothing"),
        }
    }

    /// §13.1.3, §13.1.4: whether the last modification came after the date of a field, and what
    /// follows if it did, or did not.
    fn since(
        &self,
        name: &'static str,
        if_modified: Option<bool>,
        otherwise: Option<bool>,
    ) -> Finding {
        let Some(last_modified) = self.last_modified else {
            return (IGNORED, "no date of last modification is known");
        };
        match single(self.headers, name).and_then(|value| date::parse(value, self.now)) {
            None => (IGNORED, "not one valid date"),
            Some(date) if date > self.now => (IGNORED, "the date is in the future"),
            Some(date) if last_modified > date => (if_modified, "modified after that date"),
            Some(_) => (otherwise, "not modified after that date"),
        }
    }

    /// §13.1.5: what cannot be known to be the same bytes is sent whole.
    fn if_range(&self) -> Finding {
        const NEITHER: Finding = (FAILS, "neither one tag nor one date");
        const TOO_RECENT: &str = "modified too recently for a date to promise the same bytes";
        const WEAK_TAG: &str = "a weak tag does not promise the same bytes";
        let Some(value) = single(self.headers, IF_RANGE) else {
            return NEITHER;
        };
        if let Some(tag) = EntityTag::parse(trim(value)) {
            return match self.etag {
                Some(own) if own.strongly_matches(&tag) => (HOLDS, "the tag is the current one"),
                Some(own) if own.weakly_matches(&tag) => (FAILS, WEAK_TAG),
                Some(_) | None => (FAILS, "the tag is not the current one"),
            };
        }
        let Some(date) = date::parse(value, self.now) else {
            return NEITHER;
        };
        match self.last_modified {
            None => (FAILS, "no date of last modification is known"),
            Some(own) if own != date => (FAILS, "the date is not that of the last modification"),
            Some(_) if self.is_strong(date) => (HOLDS, "the date is that of the last modification"),
            Some(_) => (FAILS, TOO_RECENT),
        }
    }

    /// Whether the date of last modification names one content only (§8.8.2.2).
    ///
    /// It does not while the second that it names may still see another change. The RFC asks for
    /// one second's distance; idler takes the same window as for its tags, since some file systems
    /// count in steps of two. And where the tag is weak, the date is trusted no more than the tag.
    fn is_strong(&self, last_modified: UnixSeconds) -> bool {
        let window = i64::try_from(RACY_WINDOW.as_secs()).unwrap_or(i64::MAX);
        self.now.saturating_sub(last_modified) >= window.max(1)
            && !self.etag.is_some_and(|tag| tag.weak)
    }
}

/// An entity tag, borrowed from where it was read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct EntityTag<'a> {
    /// Whether it begins with `W/`: equal tags stand for equivalent representations only.
    weak: bool,
    /// What stands between the quotes.
    opaque: &'a [u8],
}

impl<'a> EntityTag<'a> {
    /// Reads a value that is one tag and nothing more, `"…"` or `W/"…"`.
    fn parse(value: &'a [u8]) -> Option<Self> {
        let (tag, rest) = Self::split_from(value)?;
        rest.is_empty().then_some(tag)
    }

    /// Whether both are strong and the same (§8.8.3.2): byte for byte the same representation.
    fn strongly_matches(&self, other: &EntityTag<'_>) -> bool {
        !self.weak && !other.weak && self.opaque == other.opaque
    }

    /// Whether both are the same, weak or not (§8.8.3.2).
    fn weakly_matches(&self, other: &EntityTag<'_>) -> bool {
        self.opaque == other.opaque
    }

    /// Reads the tag that `bytes` begin with, and what follows it. `W` is a capital always.
    fn split_from(bytes: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let rest = bytes.strip_prefix(b"W/");
        let (weak, bytes) = (rest.is_some(), rest.unwrap_or(bytes));
        let (opaque, rest) = split_once(bytes.strip_prefix(b"\"")?, b'"')?;
        // Anything visible, and bytes beyond ASCII; no spaces, no controls. There are no escapes.
        let legal = opaque
            .iter()
            .all(|byte| matches!(byte, b'!'..=b'~' | 0x80..));
        legal.then_some((Self { weak, opaque }, rest))
    }
}

/// How the tags of a field are compared.
type Comparison = fn(&EntityTag<'_>, &EntityTag<'_>) -> bool;

/// For If-Match: see [`EntityTag::strongly_matches`].
const STRONG: Comparison = |one, other| one.strongly_matches(other);

/// For If-None-Match: see [`EntityTag::weakly_matches`].
const WEAK: Comparison = |one, other| one.weakly_matches(other);

/// What a field with a list of tags says about one tag.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum ListMatch {
    /// The list is `*`: anything that exists.
    Any,
    /// One of the tags matches.
    Found,
    /// None does.
    NotFound,
    /// It is no list of tags.
    Malformed,
}

/// Looks for `current` in a list of tags (`*` or `1#entity-tag`, §13.1.1) that may stand on several
/// lines. Bounded by the length of the lines, all of which are read: one that breaks the grammar
/// anywhere matches nothing, whatever stands before the break.
fn find_in_list<'a>(
    lines: impl Iterator<Item = &'a [u8]>,
    current: Option<&EntityTag<'_>>,
    matches: Comparison,
) -> ListMatch {
    let (mut any, mut tags, mut found) = (false, false, false);
    for line in lines {
        let mut rest = trim(line);
        if rest == b"*" {
            // Twice, a star is no list; nor is it beside tags, as the end finds.
            if any {
                return ListMatch::Malformed;
            }
            any = true;
            continue;
        }
        while !rest.is_empty() {
            if let Some(next) = rest.strip_prefix(b",") {
                rest = trim(next);
                continue;
            }
            let Some((tag, next)) = EntityTag::split_from(rest) else {
                return ListMatch::Malformed;
            };
            rest = trim(next);
            if !(rest.is_empty() || rest.starts_with(b",")) {
                return ListMatch::Malformed;
            }
            tags = true;
            found |= current.is_some_and(|current| matches(&tag, current));
        }
    }
    match (any, tags, found) {
        (true, false, _) => ListMatch::Any,
        (false, true, true) => ListMatch::Found,
        (false, true, false) => ListMatch::NotFound,
        (true, true, _) | (false, false, _) => ListMatch::Malformed,
    }
}

#[cfg(test)]
mod tests;
