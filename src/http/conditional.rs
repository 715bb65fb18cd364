//! Conditions: whether a request is carried out at all (RFC 9110 §13).
//!
//! One function evaluates If-Match, If-Unmodified-Since, If-None-Match, If-Modified-Since and
//! If-Range in the order of §13.2.2. Validators and the time are passed in.

use std::fmt;

use httparse::Header;

use crate::http::date::{self, UnixSeconds};
use crate::http::etag::{Comparison, EntityTag, ListMatch, STRONG, WEAK, find_in_list};
use crate::http::fields::{Single, lines, trim};
use crate::limits::RACY_WINDOW;

/// What is known of the representation that would be sent.
#[derive(Clone, Copy, Default, Debug)]
pub struct Validators<'a> {
    /// Its `ETag`, written as it is sent: `"…"` or `W/"…"`.
    pub etag: Option<&'a [u8]>,
    /// Its `Last-Modified`, as it is sent.
    pub last_modified: Option<UnixSeconds>,
    /// Whether there is a representation: whether the answer without conditions would be a 200.
    pub exists: bool,
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

/// Evaluates the conditions of a request in the order of RFC 9110 §13.2.2, and hands `note` a
/// sentence on each that stands in the head.
///
/// `method_is_get_or_head` decides what an If-None-Match that is false comes to, and whether
/// If-Modified-Since means anything. Dates that are invalid or later than `now` are ignored.
/// Bounded by the length of the head; nothing is allocated.
pub fn evaluate(
    headers: &[Header<'_>],
    method_is_get_or_head: bool,
    validators: &Validators<'_>,
    now: UnixSeconds,
    mut note: impl FnMut(fmt::Arguments<'_>),
) -> Verdict {
    let current = Current {
        headers,
        etag: validators.etag.and_then(EntityTag::parse),
        last_modified: validators.last_modified,
        exists: validators.exists,
        now,
    };
    let overridden = (IGNORED, "the field with tags says it more exactly");
    let other_method = (IGNORED, "it has a meaning with GET and HEAD only");
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

    // §13.2.1: conditions do not matter where the answer without them would be an error. For
    // methods that could create the target, that it is missing is no error.
    if !validators.exists && method_is_get_or_head {
        let mut honour_range = true;
        for name in [
            IF_MATCH,
            IF_UNMODIFIED_SINCE,
            IF_NONE_MATCH,
            IF_MODIFIED_SINCE,
            IF_RANGE,
        ] {
            if is_present(name) {
                let why = "there is nothing at the target, and that comes first";
                fails(name, (IGNORED, why));
                honour_range = false;
            }
        }
        return Verdict::Proceed { honour_range };
    }

    // 1 and 2: may it be done at all? A 412 is final: what follows is not evaluated.
    let has_if_match = is_present(IF_MATCH);
    if has_if_match && fails(IF_MATCH, current.if_match()) {
        return Verdict::Failed;
    }
    if is_present(IF_UNMODIFIED_SINCE) {
        let finding = if has_if_match {
            overridden
        } else {
            current.since(IF_UNMODIFIED_SINCE, FAILS, HOLDS)
        };
        if fails(IF_UNMODIFIED_SINCE, finding) {
            return Verdict::Failed;
        }
    }

    // 3 and 4: is it needed?
    let has_if_none_match = is_present(IF_NONE_MATCH);
    if has_if_none_match && fails(IF_NONE_MATCH, current.if_none_match()) {
        return if method_is_get_or_head {
            Verdict::NotModified
        } else {
            Verdict::Failed
        };
    }
    if is_present(IF_MODIFIED_SINCE) {
        let finding = if has_if_none_match {
            overridden
        } else if !method_is_get_or_head {
            other_method
        } else {
            current.since(IF_MODIFIED_SINCE, HOLDS, FAILS)
        };
        if fails(IF_MODIFIED_SINCE, finding) {
            return Verdict::NotModified;
        }
    }

    // 5: all of it, or the range?
    let mut honour_range = method_is_get_or_head;
    if is_present(IF_RANGE) {
        let finding = if !method_is_get_or_head {
            other_method
        } else if !is_present("Range") {
            (IGNORED, "there is no Range")
        } else {
            current.if_range()
        };
        honour_range &= !fails(IF_RANGE, finding);
    }
    Verdict::Proceed { honour_range }
}

/// What the conditions are held against.
struct Current<'a> {
    headers: &'a [Header<'a>],
    etag: Option<EntityTag<'a>>,
    last_modified: Option<UnixSeconds>,
    exists: bool,
    now: UnixSeconds,
}

impl Current<'_> {
    /// §13.1.1: the current representation must be one of those listed, to the byte.
    fn if_match(&self) -> Finding {
        let (listed, why) = self.is_listed(IF_MATCH, STRONG);
        (Some(listed), why)
    }

    /// §13.1.2: it must be none of those listed.
    fn if_none_match(&self) -> Finding {
        let (listed, why) = self.is_listed(IF_NONE_MATCH, WEAK);
        (Some(!listed), why)
    }

    fn is_listed(&self, name: &'static str, matches: Comparison) -> (bool, &'static str) {
        match find_in_list(lines(self.headers, name), self.etag.as_ref(), matches) {
            ListMatch::Any if self.exists => (true, "* and there is a representation"),
            ListMatch::Any => (false, "* and there is no representation"),
            ListMatch::Found => (true, "the current tag is listed"),
            ListMatch::NotFound => (false, "the current tag is not listed"),
            ListMatch::Malformed => (false, "not a list of tags, so it matches nothing"),
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
        let date = match Single::read(self.headers, name) {
            Single::One(value) => date::parse(value, self.now),
            Single::Absent | Single::Several => None,
        };
        match date {
            None => (IGNORED, "not one valid date"),
            Some(date) if date > self.now => (IGNORED, "the date is in the future"),
            Some(date) if last_modified > date => (if_modified, "modified after that date"),
            Some(_) => (otherwise, "not modified after that date"),
        }
    }

    /// §13.1.5: what cannot be known to be the same bytes is sent whole.
    fn if_range(&self) -> Finding {
        const NEITHER: Finding = (FAILS, "neither one tag nor one date");
        let Single::One(value) = Single::read(self.headers, IF_RANGE) else {
            return NEITHER;
        };
        if let Some(tag) = EntityTag::parse(trim(value)) {
            return match self.etag {
                Some(own) if own.strongly_matches(&tag) => (HOLDS, "the tag is the current one"),
                Some(own) if own.weakly_matches(&tag) => {
                    (FAILS, "a weak tag does not promise the same bytes")
                }
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
            Some(_) => {
                let why = "modified too recently for a date to promise the same bytes";
                (FAILS, why)
            }
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

#[cfg(test)]
mod tests;
