//! A directory as JSON.
//!
//! What lives here: [`ListingJson`], written in the same three parts as the page for people.
//! It may not know directories or orders: rows come as they come.
//! Invariant: whatever the pieces, together they are one JSON array (RFC 8259), a row a line.
//! Read next: `escape.rs`.

use super::put;
use crate::limits::LISTING_PIECE_BYTES;
use crate::pages::escape::{Href, JsonString};
use crate::pages::figures::JsonTime;
use crate::pages::listing::{Row, Summary};

/// An array of objects, one for each entry:
///
/// - `name`: as text; bytes that are no UTF-8 are U+FFFD there,
/// - `href`: relative to the directory, exact whatever the name, with a slash behind a directory,
/// - `type`: `"directory"`, `"file"`,
/// - `size`: bytes, `null` for a directory,
/// - `mtime`: `"2026-03-09T14:02:11Z"`, `null` outside the years 0 to 9999.
///
/// A directory too large to be listed ends in an object of another type: `{"type":"more","count":1234}`.
#[derive(Debug)]
pub struct ListingJson {
    more: u64,
    is_begun: bool,
}

impl ListingJson {
    /// Of the summary, only what is not listed is told.
    pub fn new(summary: Summary) -> Self {
        Self {
            more: summary.more,
            is_begun: false,
        }
    }

    /// Everything before the rows.
    pub fn head(&self, out: &mut Vec<u8>) {
        out.push(b'[');
    }

    /// Writes rows until there are no more, or [`LISTING_PIECE_BYTES`] have been written. Returns how many
    /// were: the next call begins behind them.
    pub fn rows<'a>(&mut self, rows: impl Iterator<Item = Row<'a>>, out: &mut Vec<u8>) -> usize {
        let enough = out.len() + LISTING_PIECE_BYTES;
        let mut written = 0;
        for row in rows {
            self.separate(out);
            let (name, href) = (JsonString(row.name), Href(row.name));
            let mtime = JsonTime(row.mtime);
            if row.is_directory {
                put(
                    out,
                    format_args!(
                        r#"{{"name":{name},"href":"{href}/","type":"directory","size":null,"mtime":{mtime}}}"#
                    ),
                );
            } else {
                let size = row.size;
                put(
                    out,
                    format_args!(
                        r#"{{"name":{name},"href":"{href}","type":"file","size":{size},"mtime":{mtime}}}"#
                    ),
                );
            }
            written += 1;
            if out.len() >= enough {
                break;
            }
        }
        written
    }

    /// Everything behind the rows.
    pub fn tail(&mut self, out: &mut Vec<u8>) {
        if self.more > 0 {
            self.separate(out);
            put(
                out,
                format_args!(r#"{{"type":"more","count":{}}}"#, self.more),
            );
        }
        out.extend_from_slice(b"\n]\n");
    }

    fn separate(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(if self.is_begun { b",\n" } else { b"\n" });
        self.is_begun = true;
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
    use super::*;

    const NOTHING: Summary = Summary {
        directories: 0,
        files: 0,
        bytes: 0,
        more: 0,
        more_is_exact: true,
    };

    fn row(name: &[u8], is_directory: bool) -> Row<'_> {
        Row {
            name,
            is_directory,
            size: 5_000_000_000,
            mtime: 951_782_400,
        }
    }

    fn whole(rows: &[Row<'_>], summary: Summary) -> String {
        let mut out = Vec::new();
        let mut json = ListingJson::new(summary);
        json.head(&mut out);
        let mut from = 0;
        while from < rows.len() {
            from += json.rows(rows[from..].iter().copied(), &mut out);
        }
        json.tail(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_file_and_a_directory() {
        assert_eq!(
            whole(&[row(b"a b\"c", false), row(b"x:y\xff", true)], NOTHING),
            "[\n{\"name\":\"a b\\\"c\",\"href\":\"a%20b%22c\",\"type\":\"file\",\"size\":5000000000,\
             \"mtime\":\"2000-02-29T00:00:00Z\"},\n{\"name\":\"x:y\u{fffd}\",\"href\":\"x%3Ay%FF/\",\
             \"type\":\"directory\",\"size\":null,\"mtime\":\"2000-02-29T00:00:00Z\"}\n]\n"
        );
    }

    #[test]
    fn nothing_is_an_empty_array() {
        assert_eq!(whole(&[], NOTHING), "[\n]\n");
    }

    #[test]
    fn what_is_not_listed_is_told_at_the_end() {
        let summary = Summary { more: 7, ..NOTHING };
        assert_eq!(
            whole(&[], summary),
            "[\n{\"type\":\"more\",\"count\":7}\n]\n"
        );
        let one = whole(&[row(b"a", false)], summary);
        assert!(one.ends_with("\"},\n{\"type\":\"more\",\"count\":7}\n]\n"));
    }

    #[test]
    fn pieces_are_bounded_and_join() {
        let rows = vec![row(&[0xff; 255], false); 1000];
        let mut json = ListingJson::new(NOTHING);
        let mut out = Vec::new();
        let written = json.rows(rows.iter().copied(), &mut out);
        assert!(written < rows.len() && out.len() < LISTING_PIECE_BYTES + 4096);
        let text = whole(&rows, NOTHING);
        assert_eq!(text.lines().count(), 1002);
        assert_eq!(
            text.lines().filter(|line| line.ends_with("},")).count(),
            999
        );
    }
}
