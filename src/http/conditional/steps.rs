//! The steps of evaluating conditions, as data that can be shown.
//!
//! What lives here: which field was looked at, what came of it and why. It may not evaluate anything. Invariant:
//! plain values, so that a step that nobody looks at costs nothing. Read next: `preconditions.rs`,
//! which takes the steps.

use std::fmt;

/// The five conditional fields.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Field {
    /// If-Match (§13.1.1).
    IfMatch,
    /// If-Unmodified-Since (§13.1.4).
    IfUnmodifiedSince,
    /// If-None-Match (§13.1.2).
    IfNoneMatch,
    /// If-Modified-Since (§13.1.3).
    IfModifiedSince,
    /// If-Range (§13.1.5).
    IfRange,
}

impl Field {
    /// Its name as it is usually written.
    pub fn name(self) -> &'static str {
        match self {
            Self::IfMatch => "If-Match",
            Self::IfUnmodifiedSince => "If-Unmodified-Since",
            Self::IfNoneMatch => "If-None-Match",
            Self::IfModifiedSince => "If-Modified-Since",
            Self::IfRange => "If-Range",
        }
    }

    /// Its number in the order of §13.2.2.
    pub fn step(self) -> u8 {
        match self {
            Self::IfMatch => 1,
            Self::IfUnmodifiedSince => 2,
            Self::IfNoneMatch => 3,
            Self::IfModifiedSince => 4,
            Self::IfRange => 5,
        }
    }
}

/// One step on the way to a verdict. Shown, it is a sentence.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Step {
    /// The field that was looked at.
    pub field: Field,
    /// What came of it.
    pub effect: Effect,
    /// Why.
    pub finding: Finding,
}

/// What came of a condition.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Effect {
    /// It holds: on to the next.
    Holds,
    /// It does not hold, which is a 304, a 412, or (If-Range) the end of a Range.
    Fails,
    /// It is treated as if it did not stand there.
    Ignored,
}

/// Why a condition holds, fails or is ignored.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Finding {
    /// There is nothing at the target, whose answer comes before any condition (§13.2.1).
    NothingThere,
    /// The list is `*`, and there is a representation.
    AnyExists,
    /// The list is `*`, and there is none.
    AnyMissing,
    /// A tag of the list matches.
    TagListed,
    /// No tag of the list matches.
    TagNotListed,
    /// What should be a list of tags is none, so it matches nothing.
    MalformedList,
    /// A field that says the same more exactly stands beside it.
    Overridden,
    /// It means something with GET and HEAD only.
    OtherMethod,
    /// It is no date, or stands on several lines.
    InvalidDate,
    /// Its date is still to come.
    FutureDate,
    /// There is no date of last modification to compare it with.
    NoDateHere,
    /// Not modified after its date.
    NotModifiedSince,
    /// Modified after its date.
    ModifiedSince,
    /// There is no Range field that it could protect.
    NoRange,
    /// It is neither one tag nor one date.
    NeitherTagNorDate,
    /// Its tag is the current one, and both are strong.
    SameTag,
    /// Its tag is another one.
    OtherTag,
    /// Its tag is the current one, but a weak one does not promise the same bytes.
    WeakTag,
    /// Its date is that of the last modification.
    SameDate,
    /// Its date is another one.
    OtherDate,
    /// Its date is the right one, but too recent for a date to name one content only (§8.8.2.2).
    WeakDate,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NothingThere => "there is nothing at the target, and that comes first",
            Self::AnyExists => "* and there is a representation",
            Self::AnyMissing => "* and there is no representation",
            Self::TagListed => "the current tag is listed",
            Self::TagNotListed => "the current tag is not listed",
            Self::MalformedList => "not a list of tags, so it matches nothing",
            Self::Overridden => "the field with tags says it more exactly",
            Self::OtherMethod => "it has a meaning with GET and HEAD only",
            Self::InvalidDate => "not one valid date",
            Self::FutureDate => "the date is in the future",
            Self::NoDateHere => "no date of last modification is known",
            Self::NotModifiedSince => "not modified after that date",
            Self::ModifiedSince => "modified after that date",
            Self::NoRange => "there is no Range",
            Self::NeitherTagNorDate => "neither one tag nor one date",
            Self::SameTag => "the tag is the current one",
            Self::OtherTag => "the tag is not the current one",
            Self::WeakTag => "a weak tag does not promise the same bytes",
            Self::SameDate => "the date is that of the last modification",
            Self::OtherDate => "the date is not that of the last modification",
            Self::WeakDate => "modified too recently for a date to promise the same bytes",
        })
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let effect = match self.effect {
            Effect::Holds => "holds",
            Effect::Fails => "fails",
            Effect::Ignored => "is ignored",
        };
        write!(f, "{} {effect}: {}", self.field.name(), self.finding)
    }
}
