//! Dates: the three forms of HTTP that may come in (RFC 9110 §5.6.7), and the three that go out.
//! What is formatted here parses back to the same second. The present time is passed in.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jiff::SignedDuration;
use jiff::civil::{DateTime, date};

use crate::http::fields::trim;

/// Seconds since 1970-01-01T00:00:00Z, leap seconds not counted.
pub type UnixSeconds = i64;

/// The last second of the year 9999: what four digits can say.
const LAST: UnixSeconds = 253_402_300_799;

/// The seconds of a time of the wall clock, negative before 1970.
pub fn unix_seconds(wall: SystemTime) -> UnixSeconds {
    match wall.duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_secs()).map_or(i64::MIN, |s| -s),
    }
}

/// Reads an HTTP date in any of its three forms (RFC 9110 §5.6.7), of which two are obsolete.
///
/// `now` is needed for the form with a two-digit year: one that would be more than 50 years ahead
/// is taken from the century before, and so is one whose weekday says so. `None` for anything else
/// than a date, for a weekday that does not belong to the day, for days before 1970, and for leap
/// seconds, which no file has.
pub fn parse(value: &[u8], now: UnixSeconds) -> Option<UnixSeconds> {
    let text = str::from_utf8(trim(value)).ok()?;
    match text.len() {
        IMF_FIXDATE_BYTES | ASCTIME_BYTES => parse_four_digit_year(text),
        _ => parse_two_digit_year(text, now),
    }
}

const IMF_FIXDATE_BYTES: usize = b"Sun, 06 Nov 1994 08:49:37 GMT".len();
const ASCTIME_BYTES: usize = b"Sun Nov  6 08:49:37 1994".len();

fn parse_four_digit_year(text: &str) -> Option<UnixSeconds> {
    // The package trims as well, and more than HTTP's spaces and tabs.
    if text.trim().len() != text.len() {
        return None;
    }
    let time = httpdate::parse_http_date(text).ok()?;
    i64::try_from(time.duration_since(UNIX_EPOCH).ok()?.as_secs()).ok()
}

/// `Sunday, 06-Nov-94 08:49:37 GMT`: rewritten with the year that was meant, then read as the
/// preferred form, so that the weekday is held against the right century.
fn parse_two_digit_year(text: &str, now: UnixSeconds) -> Option<UnixSeconds> {
    const DAYS: &str = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday";
    let (day_name, rest) = text.split_once(", ")?;
    DAYS.split(' ').find(|day| *day == day_name)?;
    let (day_and_month, rest) = rest.split_at_checked("06-Nov-".len())?;
    let (year_of_century, clock) = rest.split_at_checked("94".len())?;
    if !year_of_century.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let (day, month) = day_and_month.strip_suffix('-')?.split_once('-')?;
    let read = |year: i16| {
        let date = format!("{}, {day} {month} {year:04}{clock}", &day_name[..3]);
        parse_four_digit_year(&date).filter(|_| date.len() == IMF_FIXDATE_BYTES)
    };

    // The latest year within 50 years that ends in these two digits.
    let today = civil(now).filter(|_| now >= 0)?;
    let latest = today.year() + 50;
    let year = latest - (latest - year_of_century.parse::<i16>().ok()?).rem_euclid(100);
    // In the fiftieth year ahead the rest of the date decides. The weekday belongs to one century
    // only: where it is not that of the year ahead, the date can still be one of the past.
    let within_year = |date: DateTime| (date.month(), date.day(), date.time());
    let is_near = |seconds: &UnixSeconds| {
        year < latest || civil(*seconds).is_some_and(|date| within_year(date) <= within_year(today))
    };
    read(year).filter(is_near).or_else(|| read(year - 100))
}

/// `Sun, 06 Nov 1994 08:49:37 GMT`, the only form that may be sent (RFC 9110 §5.6.7).
/// `None` outside the years 1970 to 9999.
pub fn imf_fixdate(seconds: UnixSeconds) -> Option<[u8; IMF_FIXDATE_BYTES]> {
    let since_1970 = u64::try_from(seconds).ok().filter(|_| seconds <= LAST)?;
    let text = httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(since_1970));
    text.into_bytes().try_into().ok()
}

/// `10/Oct/2000:13:55:36 +0000`, as in a line of the Common Log Format, in UTC.
/// `None` outside the years 1970 to 9999.
pub fn common_log(seconds: UnixSeconds) -> Option<[u8; 26]> {
    let date = imf_fixdate(seconds)?;
    let mut out = *b"dd/mmm/yyyy:hh:mm:ss +0000";
    out[..2].copy_from_slice(&date[5..7]);
    out[3..6].copy_from_slice(&date[8..11]);
    out[7..11].copy_from_slice(&date[12..16]);
    out[12..20].copy_from_slice(&date[17..25]);
    Some(out)
}

/// `2000-10-10T13:55:36Z` (ISO 8601, RFC 3339). `None` outside the years 0 to 9999, which only a
/// broken file has.
pub fn iso_8601(seconds: UnixSeconds) -> Option<String> {
    let date = civil(seconds).filter(|date| date.year() >= 0)?;
    Some(format!("{date}Z"))
}

/// The calendar's name for a second of the years -9999 to 9999, in UTC.
fn civil(seconds: UnixSeconds) -> Option<DateTime> {
    const EPOCH: DateTime = date(1970, 1, 1).at(0, 0, 0, 0);
    EPOCH.checked_add(SignedDuration::from_secs(seconds)).ok()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use super::*;
    use crate::http::random::Random;

    /// 2026-01-01T00:00:00Z.
    const NOW: UnixSeconds = 1_767_225_600;
    /// The first second of the year 0.
    const FIRST: UnixSeconds = -62_167_219_200;
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
            let found = parse(date.as_bytes(), now).map(|t| iso_8601(t).unwrap());
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
        assert_eq!(iso_8601(971_186_136).unwrap(), "2000-10-10T13:55:36Z");
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
        // The year before 0, and the one behind 9999.
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
                iso_8601(seconds).unwrap(),
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
}
