//! Numbers as people read them: sizes, counts, times.
//!
//! What lives here: [`Size`], [`Count`], [`Minute`] and [`JsonTime`], each written by its
//! `Display`. It may not know the time of day or the reader's zone: all times are UTC. Invariant:
//! any 64-bit number can be written; none is refused, none takes more than 25 characters. Read
//! next: nothing; this is the bottom.

use std::fmt;

use crate::http::date::iso_8601;

/// Bytes in units of 1,024, with a decimal below ten: `0 B`, `1023 B`, `9.9 KiB`, `16 EiB`.
pub(crate) struct Size(pub(crate) u64);

/// A count with its thousands apart: `1,234,567`.
pub(crate) struct Count(pub(crate) u64);

/// Seconds since 1970 as `2026-03-09 14:02`, or a dash where the year does not have four digits.
pub(super) struct Minute(pub(super) i64);

/// Seconds since 1970 as `"2026-03-09T14:02:11Z"` (RFC 3339) with its quotes, or `null` where the
/// year does not have four digits.
pub(super) struct JsonTime(pub(super) i64);

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
        if self.0 < 1024 {
            return write!(f, "{} B", self.0);
        }
        let bytes = u128::from(self.0);
        for (power, unit) in (1..).zip(UNITS) {
            // Each rounded from the bytes themselves; what would be 1,024 of a unit is 1.0 of the
            // next.
            let one = 1_u128 << (10 * power);
            let in_unit = |bytes: u128| (bytes + one / 2) / one;
            let tenths = in_unit(10 * bytes);
            if tenths < 100 {
                return write!(f, "{}.{} {unit}", tenths / 10, tenths % 10);
            }
            if in_unit(bytes) < 1024 {
                return write!(f, "{} {unit}", in_unit(bytes));
            }
        }
        Ok(())
    }
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.0.to_string();
        for (at, digit) in digits.char_indices() {
            if at > 0 && (digits.len() - at).is_multiple_of(3) {
                f.write_str(",")?;
            }
            write!(f, "{digit}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Minute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = iso_8601(self.0);
        match text.as_ref().and_then(|text| str::from_utf8(text).ok()) {
            Some(text) => write!(f, "{} {}", &text[..10], &text[11..16]),
            None => f.write_str("\u{2014}"),
        }
    }
}

impl fmt::Display for JsonTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = iso_8601(self.0);
        match text.as_ref().and_then(|text| str::from_utf8(text).ok()) {
            Some(text) => write!(f, "\"{text}\""),
            None => f.write_str("null"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (bytes, expected) in [
            (0, "0 B"),
            (1, "1 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1536, "1.5 KiB"),
            (10_188, "9.9 KiB"),
            (10_240, "10 KiB"),
            (1_048_063, "1023 KiB"),
            (1_048_575, "1.0 MiB"),
            (1_048_576, "1.0 MiB"),
            (4_404_019, "4.2 MiB"),
            (5_000_000_000, "4.7 GiB"),
            (u64::MAX, "16 EiB"),
        ] {
            assert_eq!(Size(bytes).to_string(), expected, "{bytes}");
        }
    }

    #[test]
    fn counts() {
        for (count, expected) in [
            (0, "0"),
            (999, "999"),
            (1_000, "1,000"),
            (100_000, "100,000"),
            (u64::MAX, "18,446,744,073,709,551,615"),
        ] {
            assert_eq!(Count(count).to_string(), expected);
        }
    }

    #[test]
    fn times() {
        for (seconds, expected) in [
            (0, "\"1970-01-01T00:00:00Z\""),
            (-1, "\"1969-12-31T23:59:59Z\""),
            (951_782_399, "\"2000-02-28T23:59:59Z\""),
            (951_782_400, "\"2000-02-29T00:00:00Z\""),
            (951_868_800, "\"2000-03-01T00:00:00Z\""),
            (1_709_164_800, "\"2024-02-29T00:00:00Z\""),
            (4_107_542_400, "\"2100-03-01T00:00:00Z\""),
            (2_147_483_648, "\"2038-01-19T03:14:08Z\""),
            (253_402_300_799, "\"9999-12-31T23:59:59Z\""),
            (253_402_300_800, "null"),
            (-62_167_219_200, "\"0000-01-01T00:00:00Z\""),
            (-62_167_219_201, "null"),
            (i64::MAX, "null"),
            (i64::MIN, "null"),
        ] {
            assert_eq!(JsonTime(seconds).to_string(), expected, "{seconds}");
        }
        assert_eq!(Minute(2_147_483_648).to_string(), "2038-01-19 03:14");
        assert_eq!(Minute(i64::MAX).to_string(), "\u{2014}");
    }
}
