//! A directory as JSON.
//!
//! [`ListingJson`] is written in the same three parts as the page for people. However it is cut
//! into pieces, together they are one JSON array (RFC 8259), a row a line.

use std::fmt::{self, Write as _};

use crate::http::text::{JsonString, JsonStyle, JsonTime};
use crate::pages::escape::Href;
use crate::site::directory::{Entry, Totals};

/// An array of objects, one for each entry:
///
/// - `name`: as text; bytes that are no UTF-8 are U+FFFD there,
/// - `href`: relative to the directory, exact whatever the name, with a slash behind a directory,
/// - `type`: `"directory"`, `"file"`,
/// - `size`: bytes, `null` for a directory,
/// - `mtime`: `"2026-03-09T14:02:11Z"`, `null` outside the years 0 to 9999.
///
/// A directory too large to be listed ends in an object of another type:
/// `{"type":"more","count":1234}`.
#[derive(Debug)]
pub struct ListingJson {
    more: u64,
    is_begun: bool,
}

impl ListingJson {
    /// Of the totals, only what is not listed is told.
    pub fn new(totals: Totals) -> Self {
        Self {
            more: totals.more,
            is_begun: false,
        }
    }

    /// Everything before the rows.
    pub fn head(&self, out: &mut String) -> fmt::Result {
        out.write_char('[')
    }

    /// One entry.
    pub fn row(&mut self, entry: &Entry<'_>, out: &mut String) -> fmt::Result {
        self.separate(out);
        let (name, href) = (JsonString(JsonStyle::Utf8, entry.name), Href(entry.name));
        write!(out, r#"{{"name":{name},"href":"{href}"#)?;
        if entry.meta.is_directory {
            out.push_str(r#"/","type":"directory","size":null"#);
        } else {
            write!(out, r#"","type":"file","size":{}"#, entry.meta.size)?;
        }
        write!(out, r#","mtime":{}}}"#, JsonTime(entry.meta.mtime))
    }

    /// Everything behind the rows.
    pub fn tail(&mut self, out: &mut String) -> fmt::Result {
        if self.more > 0 {
            self.separate(out);
            write!(out, r#"{{"type":"more","count":{}}}"#, self.more)?;
        }
        out.write_str("\n]\n")
    }

    fn separate(&mut self, out: &mut String) {
        out.push_str(if self.is_begun { ",\n" } else { "\n" });
        self.is_begun = true;
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
    use super::*;
    use crate::site::directory::EntryMeta;

    const NOTHING: Totals = Totals {
        directories: 0,
        files: 0,
        bytes: 0,
        more: 0,
        stopped_counting: false,
    };

    fn row(name: &[u8], is_directory: bool) -> Entry<'_> {
        let meta = EntryMeta {
            is_directory,
            size: 5_000_000_000,
            mtime: 951_782_400,
        };
        Entry { name, meta }
    }

    fn whole(rows: &[Entry<'_>], totals: Totals) -> String {
        let mut out = String::new();
        let mut json = ListingJson::new(totals);
        json.head(&mut out).unwrap();
        for row in rows {
            json.row(row, &mut out).unwrap();
        }
        json.tail(&mut out).unwrap();
        out
    }

    #[test]
    fn a_file_and_a_directory() {
        assert_eq!(
            whole(&[row(b"a b\"c", false), row(b"x:y\xff", true)], NOTHING),
            "[\n{\"name\":\"a b\\\"c\",\"href\":\"a%20b%22c\",\"type\":\"file\",\
             \"size\":5000000000,\"mtime\":\"2000-02-29T00:00:00Z\"},\n\
             {\"name\":\"x:y\u{fffd}\",\"href\":\"x%3Ay%FF/\",\"type\":\"directory\",\
             \"size\":null,\"mtime\":\"2000-02-29T00:00:00Z\"}\n]\n"
        );
    }

    #[test]
    fn nothing_is_an_empty_array() {
        assert_eq!(whole(&[], NOTHING), "[\n]\n");
    }

    #[test]
    fn what_is_not_listed_is_told_at_the_end() {
        let totals = Totals { more: 7, ..NOTHING };
        assert_eq!(
            whole(&[], totals),
            "[\n{\"type\":\"more\",\"count\":7}\n]\n"
        );
        let one = whole(&[row(b"a", false)], totals);
        assert!(one.ends_with("\"},\n{\"type\":\"more\",\"count\":7}\n]\n"));
    }

    #[test]
    fn rows_are_bounded_and_stand_one_a_line() {
        let rows = vec![row(&[0xff; 255], false); 1000];
        let text = whole(&rows, NOTHING);
        assert_eq!(text.lines().count(), 1002);
        assert!(text.lines().all(|line| line.len() < 4096));
        assert_eq!(
            text.lines().filter(|line| line.ends_with("},")).count(),
            999
        );
    }
}
