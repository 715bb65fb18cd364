//! Spans: consecutive bytes of a representation, and how they are named.
//!
//! What lives here: [`Span`] and `Content-Range` (RFC 9110 §14.4). It may not know who asked for the bytes or who
//! sends them. Invariant: a span that was selected is not empty. Read next: `range.rs`.

use std::fmt;

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
    pub(super) fn is_near(self, other: Self, gap: u64) -> bool {
        self.start < other.end.saturating_add(gap) && other.start < self.end.saturating_add(gap)
    }

    /// From the first byte of both to the last.
    pub(super) fn with(self, other: Self) -> Self {
        Self {
            start: self.start.min(other.start),
            end: self.end.max(other.end),
        }
    }

    /// Appends the value of `Content-Range` for this span of `total` bytes (§14.4), `bytes 0-4/10`.
    pub fn write_content_range(self, total: u64, out: &mut Vec<u8>) {
        out.extend_from_slice(b"bytes ");
        push_decimal(self.start, out);
        out.push(b'-');
        push_decimal(self.end.saturating_sub(1), out);
        out.push(b'/');
        push_decimal(total, out);
    }
}

/// Appends the value of `Content-Range` of a 416 (§15.5.17), `bytes */10`.
pub fn write_unsatisfied_range(total: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(b"bytes */");
    push_decimal(total, out);
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let last = self.end.saturating_sub(1);
        write!(f, "bytes {} to {last} ({} bytes)", self.start, self.len())
    }
}

/// Appends a number.
pub(super) fn push_decimal(mut n: u64, out: &mut Vec<u8>) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (n % 10) as u8;
        n /= 10;
        if n == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

/// How many digits [`push_decimal`] writes.
pub(super) fn decimal_bytes(n: u64) -> u64 {
    u64::from(n.checked_ilog10().unwrap_or(0)) + 1
}
