//! Dates: the three forms that may come in, and the three that go out.
//!
//! What lives here: HTTP dates (RFC 9110 §5.6.7), the timestamp of the Common Log Format, and ISO 8601.
//! It may not know what time it is: that is passed in. Invariant: what is formatted here parses back to
//! the same second. Read next: `preconditions.rs`.

use std::time::UNIX_EPOCH;

use crate::http::fields::trim;

/// Seconds since 1970-01-01T00:00:00Z, leap seconds not counted.
pub type UnixSeconds = i64;

/// The first second of the year 0, and the last of the year 9999: what four digits can say.
const FIRST: UnixSeconds = -62_167_219_200;
/// See above.
const LAST: UnixSeconds = 253_402_300_799;

const SECONDS_A_DAY: i64 = 86_400;

const DAYS: [[u8; 3]; 7] = [
    *b"Mon", *b"Tue", *b"Wed", *b"Thu", *b"Fri", *b"Sat", *b"Sun",
];

const MONTHS: [[u8; 3]; 12] = [
    *b"Jan", *b"Feb", *b"Mar", *b"Apr", *b"May", *b"Jun", *b"Jul", *b"Aug", *b"Sep", *b"Oct",
    *b"Nov", *b"Dec",
];

/// Reads an HTTP date in any of its three forms (RFC 9110 §5.6.7), of which two are obsolete.
///
/// `now` is needed for the form with a two-digit year: one that would be more than 50 years ahead
/// is taken from the century before, and so is one whose weekday says so. `None` for anything else than
/// a date, for a weekday that does not belong to the day, for days before 1970, and for leap seconds,
/// which no file has.
pub fn parse(value: &[u8], now: UnixSeconds) -> Option<UnixSeconds> {
    let value = trim(value);
    match value.len() {
        IMF_FIXDATE_BYTES | ASCTIME_BYTES => parse_four_digit_year(value),
        _ => parse_two_digit_year(value, now),
    }
}

const IMF_FIXDATE_BYTES: usize = 29;
const ASCTIME_BYTES: usize = 24;

fn parse_four_digit_year(value: &[u8]) -> Option<UnixSeconds> {
    let text = std::str::from_utf8(value).ok()?;
    // The package trims as well, and more than HTTP's spaces and tabs.
    if text.trim().len() != text.len() {
        return None;
    }
    let time = httpdate::parse_http_date(text).ok()?;
    i64::try_from(time.duration_since(UNIX_EPOCH).ok()?.as_secs()).ok()
}

/// `Sunday, 06-Nov-94 08:49:37 GMT`: rewritten with the year that was meant, then read as the
/// preferred form, so that the weekday is held against the right century.
fn parse_two_digit_year(value: &[u8], now: UnixSeconds) -> Option<UnixSeconds> {
    const NAMES: [&[u8]; 7] = [
        b"Monday, ",
        b"Tuesday, ",
        b"Wednesday, ",
        b"Thursday, ",
        b"Friday, ",
        b"Saturday, ",
        b"Sunday, ",
    ];
    let (day_name, rest) = NAMES
        .iter()
        .zip(DAYS)
        .find_map(|(name, short)| Some((short, value.strip_prefix(*name)?)))?;
    let [
        day @ ..,
        b'-',
        m0,
        m1,
        m2,
        b'-',
        y0 @ b'0'..=b'9',
        y1 @ b'0'..=b'9',
    ] = rest.get(..9)?
    else {
        return None;
    };
    let clock: &[u8; 13] = rest.get(9..)?.try_into().ok()?;
    let day: &[u8; 2] = day.try_into().ok()?;

    let today = Civil::since_1970(now)?;
    let latest = today.year + 50;
    let year_of_century = u32::from(y0 - b'0') * 10 + u32::from(y1 - b'0');
    // The latest year within 50 years that ends in these two digits.
    let year = latest - (latest + 100 - year_of_century) % 100;

    let read = |year: u32| {
        let mut date = *b"DDD, dd mmm yyyy hh:mm:ss GMT";
        date[..3].copy_from_slice(&day_name);
        date[5..7].copy_from_slice(day);
        date[8..11].copy_from_slice(&[*m0, *m1, *m2]);
        date[12..16].copy_from_slice(&four(year));
        date[16..].copy_from_slice(clock);
        parse_four_digit_year(&date)
    };
    // In the fiftieth year ahead the rest of the date decides. The weekday belongs to one century only:
    // where it is not that of the year ahead, the date can still be one of the past.
    let limit = (latest, today.within_year());
    read(year)
        .filter(|&seconds| {
            Civil::of(seconds).is_some_and(|date| (date.year, date.within_year()) <= limit)
        })
        .or_else(|| read(year - 100))
}

/// `Sun, 06 Nov 1994 08:49:37 GMT`, the only form that may be sent (RFC 9110 §5.6.7).
/// `None` outside the years 1970 to 9999.
pub fn imf_fixdate(seconds: UnixSeconds) -> Option<[u8; IMF_FIXDATE_BYTES]> {
    let civil = Civil::since_1970(seconds)?;
    let mut out = *b"DDD, dd mmm yyyy hh:mm:ss GMT";
    out[..3].copy_from_slice(&civil.day_name());
    out[5..7].copy_from_slice(&two(civil.day));
    out[8..11].copy_from_slice(&civil.month_name());
    out[12..16].copy_from_slice(&four(civil.year));
    out[17..25].copy_from_slice(&civil.clock());
    Some(out)
}

/// `10/Oct/2000:13:55:36 +0000`, as in a line of the Common Log Format, in UTC.
/// `None` outside the years 1970 to 9999.
pub fn common_log(seconds: UnixSeconds) -> Option<[u8; 26]> {
    let civil = Civil::since_1970(seconds)?;
    let mut out = *b"dd/mmm/yyyy:hh:mm:ss +0000";
    out[..2].copy_from_slice(&two(civil.day));
    out[3..6].copy_from_slice(&civil.month_name());
    out[7..11].copy_from_slice(&four(civil.year));
    out[12..20].copy_from_slice(&civil.clock());
    Some(out)
}

/// `2000-10-10T13:55:36Z` (ISO 8601, RFC 3339). `None` outside the years 0 to 9999, which only a broken file has.
pub fn iso_8601(seconds: UnixSeconds) -> Option<[u8; 20]> {
    let civil = Civil::of(seconds)?;
    let mut out = *b"yyyy-mm-ddThh:mm:ssZ";
    out[..4].copy_from_slice(&four(civil.year));
    out[5..7].copy_from_slice(&two(civil.month));
    out[8..10].copy_from_slice(&two(civil.day));
    out[11..19].copy_from_slice(&civil.clock());
    Some(out)
}

/// A second as the calendar has it.
#[derive(Clone, Copy, Debug)]
struct Civil {
    /// 0 to 9999.
    year: u32,
    /// 1 to 12.
    month: u32,
    /// 1 to 31.
    day: u32,
    second_of_day: u32,
    /// 0 is Monday.
    weekday: u32,
}

impl Civil {
    /// The same for a second of the years 1970 to 9999, which are all that HTTP needs.
    fn since_1970(seconds: UnixSeconds) -> Option<Self> {
        Self::of(seconds).filter(|_| seconds >= 0)
    }

    /// The calendar's name for a second of the years 0 to 9999.
    ///
    /// Years are counted from March, so that the leap day is a year's last and all months before it
    /// begin at fixed distances. Then each unit is a division by the average length of the next:
    /// 146,097 days in four centuries, 1,461 in four years, 153 in five months from March or August.
    fn of(seconds: UnixSeconds) -> Option<Self> {
        /// Days from the 1st of March to 1970-01-01: of the year 400 before 0, so that no number is negative.
        const EPOCH: i64 = 719_468 + 146_097;
        if !(FIRST..=LAST).contains(&seconds) {
            return None;
        }
        let days = seconds.div_euclid(SECONDS_A_DAY) + EPOCH;

        let quarter_days = 4 * days + 3;
        let century = quarter_days / 146_097;
        let quarter_days = quarter_days % 146_097 / 4 * 4 + 3;
        let year_of_century = quarter_days / 1_461;
        let day_of_year = quarter_days % 1_461 / 4;
        let month_from_march = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;

        let (month, next_year) = if month_from_march < 10 {
            (month_from_march + 3, 0)
        } else {
            (month_from_march - 9, 1)
        };
        let small = |n: i64| u32::try_from(n).ok();
        Some(Self {
            year: small(100 * century + year_of_century + next_year - 400)?,
            month: small(month)?,
            day: small(day)?,
            second_of_day: small(seconds.rem_euclid(SECONDS_A_DAY))?,
            weekday: small((days + 2) % 7)?, // 1970-01-01 was a Thursday
        })
    }

    /// Ordered as the seconds of any one year are.
    fn within_year(self) -> (u32, u32, u32) {
        (self.month, self.day, self.second_of_day)
    }

    fn day_name(self) -> [u8; 3] {
        DAYS[self.weekday as usize % DAYS.len()]
    }

    fn month_name(self) -> [u8; 3] {
        MONTHS[(self.month as usize - 1) % MONTHS.len()]
    }

    /// `hh:mm:ss`.
    fn clock(self) -> [u8; 8] {
        let [h0, h1] = two(self.second_of_day / 3600);
        let [m0, m1] = two(self.second_of_day / 60 % 60);
        let [s0, s1] = two(self.second_of_day % 60);
        [h0, h1, b':', m0, m1, b':', s0, s1]
    }
}

fn two(n: u32) -> [u8; 2] {
    [digit(n / 10), digit(n)]
}

fn four(n: u32) -> [u8; 4] {
    [digit(n / 1000), digit(n / 100), digit(n / 10), digit(n)]
}

/// The last digit of `n`.
fn digit(n: u32) -> u8 {
    b'0' + (n % 10) as u8
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use std::time::Duration;

    use super::*;
    use crate::http::random::Random;

    /// 2026-01-01T00:00:00Z.
    const NOW: UnixSeconds = 1_767_225_600;
    /// The date of RFC 9110's examples.
    const EXAMPLE: UnixSeconds = 784_111_777;

    fn text(bytes: impl AsRef<[u8]>) -> String {
        String::from_utf8(bytes.as_ref().to_vec()).unwrap()
    }

    /// What another implementation says.
    fn peer(seconds: UnixSeconds) -> String {
        httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(seconds.try_into().unwrap()))
    }

    #[test]
    fn the_three_forms_of_one_date() {
        for form in [
            "Sun, 06 Nov 1994 08:49:37 GMT",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
            " \tSun, 06 Nov 1994 08:49:37 GMT ",
        ] {
            assert_eq!(parse(form.as_bytes(), NOW), Some(EXAMPLE), "{form}");
        }
    }

    #[test]
    fn what_is_no_date() {
        for garbage in [
            "",
            "0",
            "yesterday",
            "784111777",
            "1994-11-06T08:49:37Z",
            "Sun, 06 Nov 1994 08:49:37",
            "Sun, 06 Nov 1994 08:49:37 UTC",
            "Sun, 06 Nov 1994 08:49:37 +0000",
            "Sun, 06 Nov 1994 08:49:37 GMT; length=3",
            "Sun, 6 Nov 1994 08:49:37 GMT",
            "Mon, 06 Nov 1994 08:49:37 GMT", // it was a Sunday
            "Sun, 06 Nov 1994 24:00:00 GMT",
            "Sun, 06 Nov 1994 08:60:37 GMT",
            "Sat, 31 Dec 2016 23:59:60 GMT", // a leap second
            "Wed, 31 Nov 1994 08:49:37 GMT",
            "Thu, 29 Feb 2023 00:00:00 GMT",
            "Wed, 29 Feb 2100 00:00:00 GMT",
            "sun, 06 nov 1994 08:49:37 gmt", // case counts (§5.6.7)
            "Wed, 31 Dec 1969 23:59:59 GMT",
            "Sun, 06-Nov-94 08:49:37 GMT",
            "Sunday, 06-Nov-1994 08:49:37 GMT",
            "Monday, 06-Nov-94 08:49:37 GMT",
            "Sunday, 06 Nov 94 08:49:37 GMT",
            "Sunday, 06-Nov-9x 08:49:37 GMT",
            "Sunday, 06-Nov-94 08:49:37 UTC",
            "Sunday, 6-Nov-94 08:49:37 GMT",
            "Sunday, ",
            "Sun Nov 6 08:49:37 1994",
            "Sun Nov  6 08:49:37 94",
            "\x0bun, 06 Nov 1994 08:49:37 GMT",
            "\x0c Sun Nov  6 08:49:37 1994 \x0c",
            "Sün, 06 Nov 1994 08:49:37 GM",
        ] {
            assert_eq!(parse(garbage.as_bytes(), NOW), None, "{garbage}");
        }
        assert_eq!(parse(b"\xff\xfe, 06 Nov 1994 08:49:37 GMT", NOW), None);
    }

    #[test]
    fn a_two_digit_year_is_at_most_50_years_ahead() {
        // (now, date, what it means)
        let cases = [
            (
                NOW,
                "Sunday, 06-Nov-94 08:49:37 GMT",
                Some("1994-11-06T08:49:37Z"),
            ),
            (
                NOW,
                "Wednesday, 31-Dec-25 23:59:59 GMT",
                Some("2025-12-31T23:59:59Z"),
            ),
            // Within 50 years ahead: the year of this century.
            (
                NOW,
                "Tuesday, 31-Dec-75 23:59:59 GMT",
                Some("2075-12-31T23:59:59Z"),
            ),
            // The weekday of 1975, which 2075 does not have.
            (
                NOW,
                "Wednesday, 31-Dec-75 23:59:59 GMT",
                Some("1975-12-31T23:59:59Z"),
            ),
            (NOW, "Monday, 31-Dec-75 23:59:59 GMT", None),
            // Exactly 50 years ahead is not more than 50.
            (
                NOW,
                "Wednesday, 01-Jan-76 00:00:00 GMT",
                Some("2076-01-01T00:00:00Z"),
            ),
            // A Monday, and a Sunday (the weekdays decide nothing).
            (
                NOW + 4 * 86_400,
                "Sunday, 05-Jan-76 00:00:00 GMT",
                Some("2076-01-05T00:00:00Z"),
            ),
            (NOW + 4 * 86_400, "Sunday, 05-Jan-76 00:00:01 GMT", None),
            // A second later is, so it is the most recent such year of the past.
            (NOW, "Wednesday, 01-Jan-76 00:00:01 GMT", None), // the weekday of 2076
            (
                NOW,
                "Thursday, 01-Jan-76 00:00:01 GMT",
                Some("1976-01-01T00:00:01Z"),
            ),
            (
                NOW,
                "Saturday, 01-Jan-77 00:00:00 GMT",
                Some("1977-01-01T00:00:00Z"),
            ),
            (
                NOW,
                "Friday, 31-Dec-99 23:59:59 GMT",
                Some("1999-12-31T23:59:59Z"),
            ),
            (
                NOW,
                "Saturday, 01-Jan-00 00:00:00 GMT",
                Some("2000-01-01T00:00:00Z"),
            ),
            // In 1999 the year 05 is ahead, in the next century.
            (
                930_000_000,
                "Saturday, 01-Jan-05 00:00:00 GMT",
                Some("2005-01-01T00:00:00Z"),
            ),
            // In 1999 the year 60 is in the past, before 1970: no file is that old.
            (930_000_000, "Friday, 01-Jan-60 00:00:00 GMT", None),
            // Without knowing the time nothing can be said.
            (-1, "Sunday, 06-Nov-94 08:49:37 GMT", None),
            (i64::MAX, "Sunday, 06-Nov-94 08:49:37 GMT", None),
            // At the end of the calendar the year ahead has five digits, and nothing overflows.
            (
                LAST,
                "Friday, 31-Dec-99 23:59:59 GMT",
                Some("9999-12-31T23:59:59Z"),
            ),
            (LAST, "Friday, 31-Dec-49 00:00:00 GMT", None),
        ];
        for (now, date, expected) in cases {
            let found = parse(date.as_bytes(), now).map(|t| text(iso_8601(t).unwrap()));
            assert_eq!(found.as_deref(), expected, "{date} at {now}");
        }
    }

    #[test]
    fn formats() {
        assert_eq!(
            text(imf_fixdate(EXAMPLE).unwrap()),
            "Sun, 06 Nov 1994 08:49:37 GMT"
        );
        assert_eq!(
            text(common_log(971_186_136).unwrap()),
            "10/Oct/2000:13:55:36 +0000"
        );
        assert_eq!(text(iso_8601(971_186_136).unwrap()), "2000-10-10T13:55:36Z");
        assert_eq!(
            text(imf_fixdate(0).unwrap()),
            "Thu, 01 Jan 1970 00:00:00 GMT"
        );
        assert_eq!(
            text(imf_fixdate(LAST).unwrap()),
            "Fri, 31 Dec 9999 23:59:59 GMT"
        );
    }

    #[test]
    fn nothing_outside_the_years_1970_to_9999() {
        for seconds in [i64::MIN, -1, LAST + 1, i64::MAX] {
            assert_eq!(imf_fixdate(seconds), None);
            assert_eq!(common_log(seconds), None);
        }
        for seconds in [i64::MIN, FIRST - 1, LAST + 1, i64::MAX] {
            assert_eq!(iso_8601(seconds), None);
        }
    }

    #[test]
    fn every_day_is_what_another_implementation_says() {
        // Every day up to 2430 (one whole cycle of 400 years, and a bit), then every 97th.
        let days = (0..168_000).chain((168_000..=LAST / 86_400).step_by(97));
        for day in days {
            let seconds = day * 86_400 + day % 86_400;
            assert_eq!(text(imf_fixdate(seconds).unwrap()), peer(seconds));
        }
    }

    #[test]
    fn what_is_formatted_parses_back() {
        let mut random = Random::new(1);
        for _ in 0..20_000 {
            let seconds = i64::try_from(random.next_u64() % (LAST as u64 + 1)).unwrap();
            let date = imf_fixdate(seconds).unwrap();
            assert_eq!(parse(&date, NOW), Some(seconds));
            assert_eq!(text(date), peer(seconds));
            // The three formats agree with each other.
            let (log, iso) = (
                text(common_log(seconds).unwrap()),
                text(iso_8601(seconds).unwrap()),
            );
            let date = text(date);
            assert_eq!(log[12..20], date[17..25]);
            assert_eq!(iso[11..19], date[17..25]);
            assert_eq!(iso[..4], date[12..16]);
            assert_eq!(iso[8..10], date[5..7]);
            assert_eq!(log[..11].replace('/', " "), date[5..16]);
        }
    }

    #[test]
    fn random_bytes_never_panic_and_what_is_read_is_in_range() {
        let mut random = Random::new(2);
        for _ in 0..50_000 {
            let alphabet = b"SunModay, 06-Nov1994 08:49:37 GMT";
            let value = random.bytes(alphabet, 34);
            if let Some(seconds) = parse(&value, NOW) {
                assert!((0..=LAST).contains(&seconds));
            }
        }
        // Real dates with one byte changed: mostly refused, never a panic.
        for form in [
            &b"Sun, 06 Nov 1994 08:49:37 GMT"[..],
            b"Sunday, 06-Nov-94 08:49:37 GMT",
            b"Sun Nov  6 08:49:37 1994",
        ] {
            for at in 0..form.len() {
                for byte in 0..=255 {
                    let mut changed = form.to_vec();
                    changed[at] = byte;
                    let _ = parse(&changed, NOW);
                    let _ = parse(&changed[..at], NOW);
                }
            }
        }
    }

    /// Every day of the 10,000 years follows the one before it.
    #[test]
    fn no_day_is_missing() {
        let mut before = (0, 1, 0);
        for day in -719_528..2_932_897_i64 {
            let Some(date) = Civil::of(day * 86_400) else {
                panic!("{day}");
            };
            let is_leap = date.year % 4 == 0 && (date.year % 100 != 0 || date.year % 400 == 0);
            let (year, month, last) = before;
            let next = match (month, last) {
                (12, 31) => (year + 1, 1, 1),
                (1 | 3 | 5 | 7 | 8 | 10, 31) | (4 | 6 | 9 | 11, 30) | (2, 29) => {
                    (year, month + 1, 1)
                }
                (2, 28) if !is_leap => (year, 3, 1),
                _ => (year, month, last + 1),
            };
            assert_eq!((date.year, date.month, date.day), next);
            before = next;
        }
    }
}
