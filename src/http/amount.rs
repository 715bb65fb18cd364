//! Amounts as people read them: sizes and counts.
//!
//! Any 64-bit number can be written, in 26 characters at most.

use std::fmt;

/// Bytes in units of 1,024, with a decimal below ten: `0 B`, `1023 B`, `9.9 KiB`, `10 KiB`, `16
/// EiB`. With a precision, as in `{:.1}`, always with a decimal: a size that is redrawn keeps its
/// width.
pub(crate) struct Size(pub(crate) u64);

/// A count with its thousands apart: `1,234,567`.
pub(crate) struct Count(pub(crate) u64);

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
            if tenths < 100 || f.precision().is_some() && tenths < 10 * 1024 {
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
    fn with_a_precision_sizes_always_have_a_decimal() {
        for (bytes, expected) in [
            (1000, "1000 B"),
            (524_288, "512.0 KiB"),
            (1_048_524, "1023.9 KiB"),
            (1_048_525, "1.0 MiB"),
            (u64::MAX, "16.0 EiB"),
        ] {
            assert_eq!(format!("{:.1}", Size(bytes)), expected, "{bytes}");
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
}
