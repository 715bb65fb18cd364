//! A directory as a page, and as JSON.
//!
//! [`ListingPage`] and [`ListingJson`] write a head, rows and a tail, so that a long listing is
//! made in pieces; [`ListingQuery`] is what its links ask for. A row is bounded by its name.

use std::fmt::{self, Write as _};

use crate::http::date::iso_8601;
use crate::http::text::{Count, JsonString, JsonStyle, Size, json_time};
use crate::limits::LISTING_CRUMBS_MAX;
use crate::pages::escape::{Href, Html};
use crate::pages::{LISTING_STYLE, PAGE_STYLE};
use crate::site::directory::{Entry, Listing, Order, SortKey, Totals};

/// What the query of a directory's address asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ListingQuery {
    /// `sort` and `order`.
    pub order: Order,
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
                b"sort=name" => parsed.order.key = SortKey::Name,
                b"sort=size" => parsed.order.key = SortKey::Size,
                b"sort=time" => parsed.order.key = SortKey::Time,
                b"order=asc" => parsed.order.descending = false,
                b"order=desc" => parsed.order.descending = true,
                b"json" | b"json=" | b"json=1" => parsed.json = true,
                _ => {}
            }
        }
        parsed
    }
}

/// The page of one directory: [`head`](Self::head) once, [`row`](Self::row) for each entry,
/// [`tail`](Self::tail) once. Writing to a string does not fail: their results serve `?` alone.
#[derive(Debug)]
pub struct ListingPage {
    path: Box<[u8]>,
    order: Order,
    sorts_by_value: bool,
    totals: Totals,
}

impl ListingPage {
    /// `path` is the directory's, decoded, from the root of the site: `/`, `/photos/2026/`.
    pub fn new(path: &[u8], listing: &Listing) -> Self {
        Self {
            path: path.into(),
            order: listing.order,
            sorts_by_value: listing.sorts_by_value(),
            totals: listing.totals,
        }
    }

    /// Everything before the rows.
    pub fn head(&self, out: &mut String) -> fmt::Result {
        write!(
            out,
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width\">\n\
             <title>Index of {}</title>\n\
             <style>{PAGE_STYLE}</style>\n<style>{LISTING_STYLE}</style>\n\
             </head>\n<body>\n<main>\n",
            Html(&self.path)
        )?;
        self.crumbs(out)?;
        out.push_str("<table>\n<thead>\n<tr>");
        self.column(SortKey::Name, "name", "Name", out)?;
        self.column(SortKey::Size, "size", "Size", out)?;
        self.column(SortKey::Time, "time", "Last change", out)?;
        out.push_str("</tr>\n</thead>\n<tbody>\n");
        if self.segments().next().is_some() {
            out.push_str(
                "<tr><td><a href=\"../\">Parent directory</a></td><td></td><td></td></tr>\n",
            );
        }
        Ok(())
    }

    /// One entry. Its address is relative, so that it is right behind a proxy that serves the site
    /// below a path of its own.
    pub fn row(&self, entry: &Entry<'_>, out: &mut String) -> fmt::Result {
        let (href, name) = (Href(entry.name), Html(entry.name));
        let slash = if entry.meta.is_directory { "/" } else { "" };
        write!(
            out,
            "<tr><td><a href=\"{href}{slash}\">{name}{slash}</a></td><td>"
        )?;
        if !entry.meta.is_directory {
            write!(out, "{}", Size(entry.meta.size))?;
        }
        writeln!(out, "</td><td>{}</td></tr>", Minute(entry.meta.mtime))
    }

    /// Everything behind the rows.
    pub fn tail(&self, out: &mut String) -> fmt::Result {
        let totals = &self.totals;
        out.push_str("</tbody>\n</table>\n");
        if totals.more > 0 {
            let more = Count(totals.more);
            let at_least = match totals.stopped_counting {
                true => "at least ",
                false => "",
            };
            writeln!(
                out,
                "<p>\u{2026} and {at_least}{more} more that are not shown.</p>"
            )?;
        }
        out.push_str("<footer>");
        let directories = counted(totals.directories, "directory", "directories");
        let files = counted(totals.files, "file", "files");
        let size = Size(totals.bytes);
        match (totals.directories, totals.files) {
            (0, 0) => out.push_str("This directory is empty."),
            (_, 0) => out.push_str(&directories),
            (0, _) => write!(out, "{files} of {size}")?,
            (_, _) => write!(out, "{directories}, {files} of {size}")?,
        }
        out.push_str(" <span>Times are UTC.</span></footer>\n</main>\n</body>\n</html>\n");
        Ok(())
    }

    /// The directories that lead here, each a link.
    fn crumbs(&self, out: &mut String) -> fmt::Result {
        let depth = self.segments().count();
        write!(out, "<h1>Index of {}/</a>", link_up(depth))?;
        let left_out = depth.saturating_sub(LISTING_CRUMBS_MAX);
        if left_out > 0 {
            out.push_str("\u{2026}/");
        }
        for (at, segment) in self.segments().enumerate().skip(left_out) {
            let (link, name) = (link_up(depth - 1 - at), Html(segment));
            write!(out, "{link}<bdi>{name}</bdi>/</a><wbr>")?;
        }
        out.push_str("</h1>\n");
        Ok(())
    }

    fn segments(&self) -> impl Iterator<Item = &[u8]> {
        let segments = self.path.split(|&byte| byte == b'/');
        segments.filter(|segment| !segment.is_empty())
    }

    /// A column's title: a link to the order by it, or to the reverse if that is the order now.
    fn column(&self, key: SortKey, word: &str, title: &str, out: &mut String) -> fmt::Result {
        let is_current = key == self.order.key;
        let aria = match (is_current, self.order.descending) {
            (false, _) => "",
            (true, false) => " aria-sort=\"ascending\"",
            (true, true) => " aria-sort=\"descending\"",
        };
        write!(out, "<th scope=\"col\"{aria}>")?;
        if key == SortKey::Name || self.sorts_by_value {
            // Sizes and times are asked for to see the largest or the latest first.
            let descending = match is_current {
                true => !self.order.descending,
                false => key != SortKey::Name,
            };
            let order = if descending { "desc" } else { "asc" };
            write!(
                out,
                "<a href=\"?sort={word}&amp;order={order}\" rel=\"nofollow\">{title}</a>"
            )?;
        } else {
            out.push_str(title);
        }
        out.push_str("</th>");
        Ok(())
    }
}

/// Begins a link to the directory so many levels above the listed one.
fn link_up(levels: usize) -> String {
    match levels {
        0 => "<a href=\"./\" aria-current=\"page\">".to_owned(),
        _ => format!("<a href=\"{}\">", "../".repeat(levels)),
    }
}

/// So many of something, in words.
fn counted(count: usize, one: &str, several: &str) -> String {
    let noun = if count == 1 { one } else { several };
    format!("{} {noun}", Count(count as u64))
}

/// Seconds since 1970 as `2026-03-09 14:02`, or a dash where the year does not have four digits.
struct Minute(i64);

impl fmt::Display for Minute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match iso_8601(self.0) {
            Some(text) => write!(f, "{} {}", &text[..10], &text[11..16]),
            None => f.write_str("\u{2014}"),
        }
    }
}

/// The directory as JSON, written in the same three parts: an array (RFC 8259) of objects, a row a
/// line, one for each entry:
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
        write!(out, r#","mtime":{}}}"#, json_time(entry.meta.mtime))
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
mod tests;
