//! The daytime protocol (RFC 867): whoever asks is told the date and the time.
//!
//! What lives here: four ways to write a moment down. It may not know what time it is, nor any time
//! zone: a moment comes taken apart. Invariant: one line, printable ASCII, ending in a line feed.
//! Read next: `service/daytime.rs`.

use std::fmt;

const WEEKDAYS: [&str; 7] = [
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
    "Sunday",
];

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// A moment, taken apart in some time zone.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Moment {
    /// Year of our calendar.
    pub year: i16,
    /// Month, 1 to 12.
    pub month: u8,
    /// Day of the month, from 1.
    pub day: u8,
    /// Hour, 0 to 23.
    pub hour: u8,
    /// Minute, 0 to 59.
    pub minute: u8,
    /// Second, 0 to 59.
    pub second: u8,
    /// Microsecond, 0 to 999,999.
    pub microsecond: u32,
    /// Day of the week, 0 for Monday to 6.
    pub weekday: u8,
    /// How far the zone is ahead of UTC, in seconds.
    pub offset_seconds: i32,
    /// What the zone is called at that moment, such as `UTC` or `CEST`.
    pub zone: String,
    /// Whole seconds since 1970 began in UTC.
    pub unix_seconds: i64,
}

/// How a moment is written.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum Format {
    /// `2023-04-19 17:04:30.293444`, as Python writes a `datetime`.
    #[default]
    Datetime,
    /// `Wednesday, April 19, 2023 17:04:30-CEST`, the popular form that RFC 867 shows; ends in CR LF.
    Rfc867,
    /// `2023-04-19T17:04:30.293444+02:00` (ISO 8601, RFC 3339).
    Iso,
    /// `1681916670`: seconds since 1970.
    Unix,
}

impl Format {
    /// All of them, by name.
    pub const NAMES: [(&'static str, Self); 4] = [
        ("datetime", Self::Datetime),
        ("rfc867", Self::Rfc867),
        ("iso", Self::Iso),
        ("unix", Self::Unix),
    ];

    /// The format of that name.
    pub fn named(name: &str) -> Option<Self> {
        let found = Self::NAMES.iter().find(|(known, _)| *known == name);
        found.map(|(_, format)| *format)
    }
}

/// The line to send.
pub fn line(moment: &Moment, format: Format) -> String {
    match format {
        Format::Datetime => format!("{} {}\n", Date(moment), Time(moment)),
        Format::Rfc867 => {
            let m = moment;
            format!(
                "{}, {} {}, {} {:02}:{:02}:{:02}-{}\r\n",
                name(&WEEKDAYS, m.weekday.into()),
                name(&MONTHS, usize::from(m.month).wrapping_sub(1)),
                m.day,
                m.year,
                m.hour,
                m.minute,
                m.second,
                m.zone
            )
        }
        Format::Iso => format!("{}T{}{}\n", Date(moment), Time(moment), Offset(moment)),
        Format::Unix => format!("{}\n", moment.unix_seconds),
    }
}

fn name<'a>(names: &[&'a str], index: usize) -> &'a str {
    names.get(index).copied().unwrap_or("?")
}

struct Date<'a>(&'a Moment);

impl fmt::Display for Date<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let m = self.0;
        write!(f, "{:04}-{:02}-{:02}", m.year, m.month, m.day)
    }
}

struct Time<'a>(&'a Moment);

impl fmt::Display for Time<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let m = self.0;
        let (h, min, s, us) = (m.hour, m.minute, m.second, m.microsecond);
        write!(f, "{h:02}:{min:02}:{s:02}.{us:06}")
    }
}

struct Offset<'a>(&'a Moment);

impl fmt::Display for Offset<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0.offset_seconds < 0 { '-' } else { '+' };
        // RFC 3339 §4.3 knows no seconds here; zones of before 1970 that had them are rounded.
        let minutes = (self.0.offset_seconds.unsigned_abs() + 30) / 60;
        write!(f, "{sign}{:02}:{:02}", minutes / 60, minutes % 60)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moment() -> Moment {
        Moment {
            year: 2023,
            month: 4,
            day: 19,
            hour: 17,
            minute: 4,
            second: 30,
            microsecond: 293_444,
            weekday: 2,
            offset_seconds: 7200,
            zone: "CEST".to_owned(),
            unix_seconds: 1_681_916_670,
        }
    }

    #[test]
    fn each_format_looks_as_promised() {
        let m = moment();
        assert_eq!(line(&m, Format::Datetime), "2023-04-19 17:04:30.293444\n");
        assert_eq!(
            line(&m, Format::Rfc867),
            "Wednesday, April 19, 2023 17:04:30-CEST\r\n"
        );
        assert_eq!(line(&m, Format::Iso), "2023-04-19T17:04:30.293444+02:00\n");
        assert_eq!(line(&m, Format::Unix), "1681916670\n");
    }

    #[test]
    fn zeros_are_kept_and_zones_behind_utc_have_a_minus() {
        let m = Moment {
            year: 987,
            month: 1,
            day: 2,
            hour: 3,
            minute: 4,
            second: 5,
            microsecond: 6,
            offset_seconds: -(3 * 3600 + 30 * 60),
            ..moment()
        };
        assert_eq!(line(&m, Format::Datetime), "0987-01-02 03:04:05.000006\n");
        assert_eq!(line(&m, Format::Iso), "0987-01-02T03:04:05.000006-03:30\n");
    }

    #[test]
    fn formats_are_found_by_name() {
        for (name, format) in Format::NAMES {
            assert_eq!(Format::named(name), Some(format));
        }
        assert_eq!(Format::named("stardate"), None);
        assert_eq!(Format::default(), Format::Datetime);
    }

    #[test]
    fn a_moment_out_of_range_is_written_somehow_and_never_panics() {
        let m = Moment {
            month: 0,
            weekday: 9,
            ..moment()
        };
        assert!(line(&m, Format::Rfc867).starts_with("?, ? 19"));
    }
}
