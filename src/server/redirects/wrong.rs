//! What can be wrong with a file of redirects, and what to try.
//!
//! What lives here: the errors and their words. It may not know how they are found. Invariant: an error names the line
//! to look at, if it is about one. Read next: `redirects.rs`.

use std::fmt;

use crate::limits::{REDIRECT_HOPS_MAX, REDIRECTS_BYTES_MAX, REDIRECTS_MAX};

/// Why a file of redirects was refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Error {
    /// The line, from 1; 0 for the file as a whole.
    pub line: u32,
    /// What is wrong with it.
    pub wrong: Wrong,
}

impl Error {
    pub(super) fn file(wrong: Wrong) -> Self {
        Self { line: 0, wrong }
    }
}

/// What can be wrong with a file of redirects.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wrong {
    /// The file is longer than [`REDIRECTS_BYTES_MAX`].
    TooLong,
    /// There are more than [`REDIRECTS_MAX`].
    TooMany,
    /// Only one word.
    NoTarget,
    /// Only two words.
    NoStatus,
    /// More than three words.
    TooManyWords,
    /// The third word is no status of a redirect.
    Status,
    /// The first word does not begin with a slash.
    FromIsNoPath,
    /// The first word has a query or fragment.
    FromHasQuery,
    /// No request ever has this path.
    NeverMet,
    /// A star elsewhere than at the end, after a slash, or in a query.
    Star,
    /// A star in the target alone.
    StarFromNowhere,
    /// A `%` that is not followed by two hexadecimal digits.
    Percent,
    /// A character that may not stand in a URL.
    TargetCharacter,
    /// The target is neither a path nor an HTTP URL.
    Target,
    /// The path was redirected before, in that line.
    Repeated(u32),
    /// It leads back to itself, or over more than [`REDIRECT_HOPS_MAX`] redirects.
    Circle,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line > 0 {
            write!(f, "line {}: ", self.line)?;
        }
        match self.wrong {
            Wrong::TooLong => write!(f, "longer than {REDIRECTS_BYTES_MAX} bytes"),
            Wrong::TooMany => write!(f, "more than {REDIRECTS_MAX} redirects"),
            Wrong::NoTarget => f.write_str("where to? Write: /from /to 301"),
            Wrong::NoStatus => f.write_str(
                "the status is missing: 301 or 308 (for good), 302 or 307 (for now), or 303",
            ),
            Wrong::TooManyWords => {
                f.write_str("more than three words; in a path, write %20 for a space")
            }
            Wrong::Status => f.write_str("the status must be 301, 302, 303, 307 or 308"),
            Wrong::FromIsNoPath => f.write_str("the path to redirect must begin with a slash"),
            Wrong::FromHasQuery => f.write_str(
                "redirects look at paths only; write %3F for a question mark, %23 for #",
            ),
            Wrong::NeverMet => f.write_str("no request can have such a path (above the root, or with an encoded / or NUL)"),
            Wrong::Star => {
                f.write_str(
                "a star stands at the end only, after a slash and not in a query; write %2A for another",
            )
            }
            Wrong::StarFromNowhere => {
                f.write_str("a star in the target needs one in the path to redirect")
            }
            Wrong::Percent => f.write_str("a % needs two hexadecimal digits; write %25 for itself"),
            Wrong::TargetCharacter => {
                f.write_str("the target has a character that URLs do not have; write it as %XX")
            }
            Wrong::Target => {
                f.write_str("the target must be a path, or begin with http:// or https:// and a host")
            }
            Wrong::Repeated(line) => write!(f, "this path is redirected in line {line} already"),
            Wrong::Circle => write!(
                f,
                "this leads in a circle, or over more than {REDIRECT_HOPS_MAX} redirects"
            ),
        }
    }
}

impl std::error::Error for Error {}
