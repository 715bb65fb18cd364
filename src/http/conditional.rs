//! Conditions: whether a request is to be carried out at all (RFC 9110 §13).
//!
//! What lives here: If-Match, If-Unmodified-Since, If-None-Match, If-Modified-Since and If-Range, in the
//! order of §13.2.2. It may not know where validators come from, nor what time it is. Invariant: there
//! is one implementation; who wants to know why is told the steps while it runs, and who does not pays
//! nothing for them. Read next: `range.rs`, which takes over where a Range may be honoured.

use httparse::Header;

use super::date;
use crate::http::date::UnixSeconds;
use crate::http::etag::{Comparison, EntityTag, ListMatch, find_in_list};
use crate::http::fields::{Single, lines, trim};
use crate::limits::RACY_WINDOW;

mod steps;

pub use crate::http::conditional::steps::{Effect, Field, Finding, Step};

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

/// Evaluates the conditions of a request in the order of RFC 9110 §13.2.2.
///
/// `method_is_get_or_head` decides what an If-None-Match that is false comes to, and whether
/// If-Modified-Since means anything. Dates that are invalid or later than `now` are ignored. Bounded by
/// the length of the head; nothing is allocated.
pub fn evaluate(
    headers: &[Header<'_>],
    method_is_get_or_head: bool,
    validators: &Validators<'_>,
    now: UnixSeconds,
) -> Verdict {
    evaluate_observed(headers, method_is_get_or_head, validators, now, |_| ())
}

/// [`evaluate`], which tells `observe` each step as it is taken. A condition that does not stand
/// in the head is no step.
pub fn evaluate_observed(
    headers: &[Header<'_>],
    method_is_get_or_head: bool,
    validators: &Validators<'_>,
    now: UnixSeconds,
    mut observe: impl FnMut(Step),
) -> Verdict {
    let conditions = Conditions::read(headers);
    if !conditions.any {
        return Verdict::Proceed {
            honour_range: method_is_get_or_head,
        };
    }
    let subject = Subject {
        headers,
        method_is_get_or_head,
        etag: validators.etag.and_then(EntityTag::parse),
        last_modified: validators.last_modified,
        exists: validators.exists,
        now,
    };
    subject.evaluate(&conditions, &mut observe)
}

/// Which conditional fields stand in a head, found in one pass over it.
#[derive(Default)]
struct Conditions<'h> {
    any: bool,
    if_match: bool,
    if_none_match: bool,
    if_unmodified_since: Single<'h>,
    if_modified_since: Single<'h>,
    if_range: Single<'h>,
    range: bool,
}

impl<'h> Conditions<'h> {
    fn read(headers: &'h [Header<'h>]) -> Self {
        let mut found = Self::default();
        for &Header { name, value } in headers {
            let is = |other: &str| name.eq_ignore_ascii_case(other);
            // Most fields of most requests are none of these, and are told by their first two letters.
            if let [b'i' | b'I', b'f' | b'F', ..] = name.as_bytes() {
                if is("if-match") {
                    found.if_match = true;
                } else if is("if-none-match") {
                    found.if_none_match = true;
                } else if is("if-unmodified-since") {
                    found.if_unmodified_since.add(value);
                } else if is("if-modified-since") {
                    found.if_modified_since.add(value);
                } else if is("if-range") {
                    found.if_range.add(value);
                } else {
                    continue;
                }
                found.any = true;
            } else if is("range") {
                found.range = true;
            }
        }
        found
    }
}

/// What the conditions are held against.
struct Subject<'a> {
    headers: &'a [Header<'a>],
    method_is_get_or_head: bool,
    etag: Option<EntityTag<'a>>,
    last_modified: Option<UnixSeconds>,
    exists: bool,
    now: UnixSeconds,
}

impl Subject<'_> {
    /// The steps of §13.2.2, numbered as there.
    fn evaluate(&self, conditions: &Conditions<'_>, observe: &mut impl FnMut(Step)) -> Verdict {
        let mut note = |field, (effect, finding)| {
            observe(Step {
                field,
                effect,
                finding,
            });
            effect == Effect::Fails
        };

        // §13.2.1: conditions do not matter where the answer without them would be an error. For methods that
        // could create the target, that it is missing is no error.
        if !self.exists && self.method_is_get_or_head {
            for field in conditions.present() {
                note(field, (Effect::Ignored, Finding::NothingThere));
            }
            return Verdict::Proceed {
                honour_range: false,
            };
        }

        // 1 and 2: may it be done at all?
        if conditions.if_match && note(Field::IfMatch, self.if_match()) {
            // The rest is not evaluated: a 412 is final.
            return Verdict::Failed;
        }
        if conditions.if_unmodified_since.is_present() {
            let result = if conditions.if_match {
                (Effect::Ignored, Finding::Overridden)
            } else {
                self.if_unmodified_since(conditions.if_unmodified_since)
            };
            if note(Field::IfUnmodifiedSince, result) {
                return Verdict::Failed;
            }
        }

        // 3 and 4: is it needed?
        if conditions.if_none_match && note(Field::IfNoneMatch, self.if_none_match()) {
            return if self.method_is_get_or_head {
                Verdict::NotModified
            } else {
                Verdict::Failed
            };
        }
        if conditions.if_modified_since.is_present() {
            let result = if conditions.if_none_match {
                (Effect::Ignored, Finding::Overridden)
            } else {
                self.if_modified_since(conditions.if_modified_since)
            };
            if note(Field::IfModifiedSince, result) {
                return Verdict::NotModified;
            }
        }

        // 5: all of it, or the range?
        let mut honour_range = self.method_is_get_or_head;
        if conditions.if_range.is_present() {
            let result = if !self.method_is_get_or_head {
                (Effect::Ignored, Finding::OtherMethod)
            } else if !conditions.range {
                (Effect::Ignored, Finding::NoRange)
            } else {
                self.if_range(conditions.if_range)
            };
            honour_range &= !note(Field::IfRange, result);
        }
        Verdict::Proceed { honour_range }
    }

    /// §13.1.1.
    fn if_match(&self) -> (Effect, Finding) {
        let list = lines(self.headers, "if-match");
        match find_in_list(list, self.etag.as_ref(), Comparison::Strong) {
            ListMatch::Any if self.exists => (Effect::Holds, Finding::AnyExists),
            ListMatch::Any => (Effect::Fails, Finding::AnyMissing),
            ListMatch::Found => (Effect::Holds, Finding::TagListed),
            ListMatch::NotFound => (Effect::Fails, Finding::TagNotListed),
            ListMatch::Malformed => (Effect::Fails, Finding::MalformedList),
        }
    }

    /// §13.1.2.
    fn if_none_match(&self) -> (Effect, Finding) {
        let list = lines(self.headers, "if-none-match");
        match find_in_list(list, self.etag.as_ref(), Comparison::Weak) {
            ListMatch::Any if self.exists => (Effect::Fails, Finding::AnyExists),
            ListMatch::Any => (Effect::Holds, Finding::AnyMissing),
            ListMatch::Found => (Effect::Fails, Finding::TagListed),
            ListMatch::NotFound => (Effect::Holds, Finding::TagNotListed),
            ListMatch::Malformed => (Effect::Holds, Finding::MalformedList),
        }
    }

    /// §13.1.4.
    fn if_unmodified_since(&self, field: Single<'_>) -> (Effect, Finding) {
        match self.modified_since(field) {
            Ok(true) => (Effect::Fails, Finding::ModifiedSince),
            Ok(false) => (Effect::Holds, Finding::NotModifiedSince),
            Err(why) => (Effect::Ignored, why),
        }
    }

    /// §13.1.3.
    fn if_modified_since(&self, field: Single<'_>) -> (Effect, Finding) {
        if !self.method_is_get_or_head {
            return (Effect::Ignored, Finding::OtherMethod);
        }
        match self.modified_since(field) {
            Ok(true) => (Effect::Holds, Finding::ModifiedSince),
            Ok(false) => (Effect::Fails, Finding::NotModifiedSince),
            Err(why) => (Effect::Ignored, why),
        }
    }

    /// Whether the last modification came after the date of `field`, or why nobody can say.
    fn modified_since(&self, field: Single<'_>) -> Result<bool, Finding> {
        let last_modified = self.last_modified.ok_or(Finding::NoDateHere)?;
        let Single::One(value) = field else {
            return Err(Finding::InvalidDate);
        };
        let date = date::parse(value, self.now).ok_or(Finding::InvalidDate)?;
        if date > self.now {
            return Err(Finding::FutureDate);
        }
        Ok(last_modified > date)
    }

    /// §13.1.5: what cannot be known to be the same bytes is sent whole.
    fn if_range(&self, field: Single<'_>) -> (Effect, Finding) {
        let Single::One(value) = field else {
            return (Effect::Fails, Finding::NeitherTagNorDate);
        };
        if let Some(tag) = EntityTag::parse(trim(value)) {
            let Some(current) = self.etag.filter(|current| current.weakly_matches(&tag)) else {
                return (Effect::Fails, Finding::OtherTag);
            };
            return if current.strongly_matches(&tag) {
                (Effect::Holds, Finding::SameTag)
            } else {
                (Effect::Fails, Finding::WeakTag)
            };
        }
        let Some(date) = date::parse(value, self.now) else {
            return (Effect::Fails, Finding::NeitherTagNorDate);
        };
        match self.last_modified {
            Some(last_modified) if last_modified == date => {
                if self.date_is_strong(last_modified) {
                    (Effect::Holds, Finding::SameDate)
                } else {
                    (Effect::Fails, Finding::WeakDate)
                }
            }
            Some(_) => (Effect::Fails, Finding::OtherDate),
            None => (Effect::Fails, Finding::NoDateHere),
        }
    }

    /// Whether the date of last modification names one content only (§8.8.2.2).
    ///
    /// It does not while the second that it names may still see another change. The RFC asks for one second's
    /// distance; idler takes the same window as for its tags, since some file systems count in
    /// steps of two. And where the tag is weak, whoever made it did not trust the date either.
    fn date_is_strong(&self, last_modified: UnixSeconds) -> bool {
        let window = i64::try_from(RACY_WINDOW.as_secs()).unwrap_or(i64::MAX);
        self.now.saturating_sub(last_modified) >= window.max(1)
            && !self.etag.is_some_and(|tag| tag.weak)
    }
}

impl Conditions<'_> {
    /// The fields that stand in the head, in the order of §13.2.2.
    fn present(&self) -> impl Iterator<Item = Field> {
        [
            (self.if_match, Field::IfMatch),
            (
                self.if_unmodified_since.is_present(),
                Field::IfUnmodifiedSince,
            ),
            (self.if_none_match, Field::IfNoneMatch),
            (self.if_modified_since.is_present(), Field::IfModifiedSince),
            (self.if_range.is_present(), Field::IfRange),
        ]
        .into_iter()
        .filter_map(|(present, field)| present.then_some(field))
    }
}

#[cfg(test)]
mod tests;
