//! A directory as a page.
//!
//! What lives here: [`ListingPage`], written as a head, rows in bounded pieces, and a tail; and
//! [`ListingQuery`], the words by which its links ask for another order.
//! It may not know directories: rows are handed in, in order, by whoever read and sorted them.
//! Invariant: no call writes much more than [`LISTING_PIECE_BYTES`], so that a long listing never holds
//! up anybody.
//! Read next: `json.rs`, the same for programs.

use std::fmt;

use super::{LISTING_STYLE, PAGE_STYLE, put};
use crate::limits::{LISTING_CRUMBS_MAX, LISTING_PIECE_BYTES};
use crate::pages::escape::{Href, Html};
use crate::pages::figures::{Count, Minute, Size};

/// One entry of a listing.
#[derive(Clone, Copy, Debug)]
pub struct Row<'a> {
    /// Its name, as bytes: whatever the file system has.
    pub name: &'a [u8],
    /// Whether it is a directory: then its link ends in a slash, and its size is not shown.
    pub is_directory: bool,
    /// Bytes.
    pub size: u64,
    /// Last change, in seconds since 1970 (negative before).
    pub mtime: i64,
}

/// What a listing adds up to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Summary {
    /// Directories among the rows.
    pub directories: usize,
    /// Files among the rows.
    pub files: usize,
    /// Bytes of these files.
    pub bytes: u64,
    /// Entries there are beyond the rows.
    pub more: u64,
    /// False if there are even more than that.
    pub more_is_exact: bool,
}

/// The property a listing is sorted by, and the direction.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Sort {
    /// The property.
    pub key: SortKey,
    /// Largest first.
    pub descending: bool,
}

/// The property a listing is sorted by.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum SortKey {
    /// `?sort=name`, the default.
    #[default]
    Name,
    /// `?sort=size`
    Size,
    /// `?sort=time`
    Time,
}

/// What the query of a directory's address asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ListingQuery {
    /// `sort` and `order`.
    pub sort: Sort,
    /// `json`: the listing for programs.
    pub json: bool,
}

impl ListingQuery {
    /// Reads what it knows of a query (without its question mark) and ignores the rest. Of two
    /// contradicting words the last counts. Bounded by the length of the query.
    pub fn parse(query: &[u8]) -> Self {
        let mut parsed = Self::default();
        for word in query.split(|&byte| byte == b'&') {
            match word {
                b"sort=name" => parsed.sort.key = SortKey::Name,
                b"sort=size" => parsed.sort.key = SortKey::Size,
                b"sort=time" => parsed.sort.key = SortKey::Time,
                b"order=asc" => parsed.sort.descending = false,
                b"order=desc" => parsed.sort.descending = true,
                b"json" | b"json=" | b"json=1" => parsed.json = true,
                _ => {}
            }
        }
        parsed
    }
}

/// The page of one directory: [`head`](Self::head) once, [`rows`](Self::rows) until all are written,
/// [`tail`](Self::tail) once.
#[derive(Debug)]
pub struct ListingPage {
    path: Box<[u8]>,
    sort: Sort,
    sorts_by_value: bool,
    summary: Summary,
}

impl ListingPage {
    /// `path` is the directory's, decoded, from the root of the site: `/`, `/photos/2026/`. `sort` is the
    /// order the rows have; unless `sorts_by_value`, only names can be sorted by.
    pub fn new(path: &[u8], sort: Sort, sorts_by_value: bool, summary: Summary) -> Self {
        Self {
            path: path.into(),
            sort,
            sorts_by_value,
            summary,
        }
    }

    /// Everything before the rows.
    pub fn head(&self, out: &mut Vec<u8>) {
        put(
            out,
            format_args!(
                "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
                 <meta name=\"viewport\" content=\"width=device-width\">\n\
                 <title>Index of {}</title>\n\
                 <style>{PAGE_STYLE}</style>\n<style>{LISTING_STYLE}</style>\n</head>\n<body>\n<main>\n",
                Html(&self.path)
            ),
        );
        self.crumbs(out);
        put(out, format_args!("<table>\n<thead>\n<tr>"));
        for key in [SortKey::Name, SortKey::Size, SortKey::Time] {
            self.column(key, out);
        }
        put(out, format_args!("</tr>\n</thead>\n<tbody>\n"));
        if self.segments().next().is_some() {
            put(
                out,
                format_args!(
                    "<tr><td><a href=\"../\">Parent directory</a></td><td></td><td></td></tr>\n"
                ),
            );
        }
    }

    /// Writes rows until there are no more, or [`LISTING_PIECE_BYTES`] have been written. Returns how many
    /// were: the next call begins behind them.
    pub fn rows<'a>(&self, rows: impl Iterator<Item = Row<'a>>, out: &mut Vec<u8>) -> usize {
        let enough = out.len() + LISTING_PIECE_BYTES;
        let mut written = 0;
        for row in rows {
            let slash = if row.is_directory { "/" } else { "" };
            put(
                out,
                format_args!(
                    "<tr><td><a href=\"{}{slash}\">{}{slash}</a></td><td>",
                    Href(row.name),
                    Html(row.name)
                ),
            );
            if !row.is_directory {
                put(out, format_args!("{}", Size(row.size)));
            }
            put(
                out,
                format_args!("</td><td>{}</td></tr>\n", Minute(row.mtime)),
            );
            written += 1;
            if out.len() >= enough {
                break;
            }
        }
        written
    }

    /// Everything behind the rows.
    pub fn tail(&self, out: &mut Vec<u8>) {
        let Summary {
            directories,
            files,
            bytes,
            more,
            more_is_exact,
        } = self.summary;
        put(out, format_args!("</tbody>\n</table>\n"));
        if more > 0 {
            let at_least = if more_is_exact { "" } else { "at least " };
            put(
                out,
                format_args!(
                    "<p>\u{2026} and {at_least}{} more that are not shown.</p>\n",
                    Count(more)
                ),
            );
        }
        put(out, format_args!("<footer>"));
        if directories + files == 0 {
            put(out, format_args!("This directory is empty."));
        }
        if directories > 0 {
            put(
                out,
                format_args!("{}", Counted(directories, "directory", "directories")),
            );
        }
        if files > 0 {
            let comma = if directories > 0 { ", " } else { "" };
            put(
                out,
                format_args!(
                    "{comma}{} of {}",
                    Counted(files, "file", "files"),
                    Size(bytes)
                ),
            );
        }
        put(
            out,
            format_args!(" <span>Times are UTC.</span></footer>\n</main>\n</body>\n</html>\n"),
        );
    }

    /// The directories that lead here, each a link, but the last. Relative, so that they are right behind a
    /// proxy that serves the site below a path of its own.
    fn crumbs(&self, out: &mut Vec<u8>) {
        let depth = self.segments().count();
        let here = if depth == 0 {
            " aria-current=\"page\""
        } else {
            ""
        };
        put(
            out,
            format_args!("<h1>Index of <a href=\"{}\"{here}>/</a>", Up(depth)),
        );
        let hidden = depth.saturating_sub(LISTING_CRUMBS_MAX);
        if hidden > 0 {
            put(out, format_args!("\u{2026}/"));
        }
        for (at, segment) in self.segments().enumerate().skip(hidden) {
            let levels = depth - 1 - at;
            let here = if levels == 0 {
                " aria-current=\"page\""
            } else {
                ""
            };
            put(
                out,
                format_args!(
                    "<a href=\"{}\"{here}><bdi>{}</bdi>/</a><wbr>",
                    Up(levels),
                    Html(segment)
                ),
            );
        }
        put(out, format_args!("</h1>\n"));
    }

    fn segments(&self) -> impl Iterator<Item = &[u8]> {
        let segments = self.path.split(|&byte| byte == b'/');
        segments.filter(|segment| !segment.is_empty())
    }

    /// A column's title: a link to the order by it, or to the reverse if that is the order now.
    fn column(&self, key: SortKey, out: &mut Vec<u8>) {
        let (word, title) = match key {
            SortKey::Name => ("name", "Name"),
            SortKey::Size => ("size", "Size"),
            SortKey::Time => ("time", "Last change"),
        };
        let is_current = key == self.sort.key;
        let aria = match (is_current, self.sort.descending) {
            (false, _) => "",
            (true, false) => " aria-sort=\"ascending\"",
            (true, true) => " aria-sort=\"descending\"",
        };
        put(out, format_args!("<th scope=\"col\"{aria}>"));
        if key == SortKey::Name || self.sorts_by_value {
            // Who asks for sizes or times wants the largest or the latest first.
            let descending = match is_current {
                true => !self.sort.descending,
                false => key != SortKey::Name,
            };
            let order = if descending { "desc" } else { "asc" };
            put(
                out,
                format_args!(
                    "<a href=\"?sort={word}&amp;order={order}\" rel=\"nofollow\">{title}</a>"
                ),
            );
        } else {
            put(out, format_args!("{title}"));
        }
        put(out, format_args!("</th>"));
    }
}

/// The relative address of the directory so many levels above.
struct Up(usize);

impl fmt::Display for Up {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 {
            return f.write_str("./");
        }
        (0..self.0).try_for_each(|_| f.write_str("../"))
    }
}

/// So many of something, in words.
struct Counted(usize, &'static str, &'static str);

impl fmt::Display for Counted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(count, one, several) = *self;
        let noun = if count == 1 { one } else { several };
        write!(f, "{} {noun}", Count(count as u64))
    }
}

#[cfg(test)]
mod tests;
