//! Redirects: a small file of them, and which one a path meets.
//!
//! Whatever the path was, what ends up in a `Location` consists of characters that may stand in a
//! URL, and leads to the host that the file names.
//!
//! # The file
//!
//! One redirect a line: where from, where to, and the status, with spaces or tabs between.
//!
//! ```text
//! # comments and empty lines are skipped
//! /old.html       /new.html                   301
//! /blog/*         https://blog.example/posts/*  308
//! /tmp            /                           307
//! ```
//!
//! - *From* is a path; `%20` stands for a space, and so on. With `/*` at its end it means
//!   everything beneath, and the slash itself; what the star stood for goes to where the star
//!   stands at the end of *to*, if there is one.
//! - *To* is a path on the same site or an `http://` or `https://` URL. A query of the request is
//!   kept where *to* has none of its own.
//! - The status is one of 301, 302, 303, 307, 308. It is not optional: browsers remember the
//!   permanent ones (301, 308) for good, and a forgotten number should not decide that.
//! - The order of the lines means nothing: a path that is named exactly comes first, else the
//!   longest prefix with a star.

use std::fmt;

use percent_encoding::{AsciiSet, percent_encode};

use crate::http::path::{
    self, ENCODED_IN_PATH, ENCODED_IN_QUERY, ENCODED_IN_URL, SitePath, has_whole_escapes,
};
use crate::http::status::Status;
use crate::limits::{REDIRECT_HOPS_MAX, REDIRECTS_BYTES_MAX, REDIRECTS_MAX};

/// Why a file of redirects was refused.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BadRedirects {
    /// The line, from 1; 0 for the file as a whole.
    pub line: u32,
    /// What is wrong with it, and what to try.
    pub why: String,
}

impl BadRedirects {
    fn new(line: u32, why: impl Into<String>) -> Self {
        let why = why.into();
        Self { line, why }
    }
}

impl fmt::Display for BadRedirects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line > 0 {
            write!(f, "line {}: ", self.line)?;
        }
        f.write_str(&self.why)
    }
}

/// The redirects of one file, checked and ready to be asked.
#[derive(Clone, Default, Debug)]
pub struct Redirects {
    /// Sorted by their keys.
    exact: Vec<RedirectRule>,
    /// Those with a star, sorted by their keys.
    beneath: Vec<RedirectRule>,
}

impl Redirects {
    /// Reads a file of redirects, and refuses it as a whole if anything in it is wrong: a line that
    /// cannot be read or could never be met, two for the same path, or redirects that lead to each
    /// other in a circle.
    ///
    /// Bounded by [`REDIRECTS_BYTES_MAX`], [`REDIRECTS_MAX`] and [`REDIRECT_HOPS_MAX`].
    pub fn parse(file: &[u8]) -> Result<Self, BadRedirects> {
        if file.len() > REDIRECTS_BYTES_MAX {
            let why = format!("longer than {REDIRECTS_BYTES_MAX} bytes");
            return Err(BadRedirects::new(0, why));
        }
        // Some editors mark UTF-8 with three bytes at the start.
        let file = file.strip_prefix(b"\xef\xbb\xbf").unwrap_or(file);
        let mut redirects = Self::default();
        for (line, number) in file.split(|&byte| byte == b'\n').zip(1..) {
            let rule =
                RedirectRule::parse(line, number).map_err(|why| BadRedirects::new(number, why))?;
            let Some(rule) = rule else { continue };
            if redirects.count() == REDIRECTS_MAX {
                let why = format!("more than {REDIRECTS_MAX} redirects");
                return Err(BadRedirects::new(0, why));
            }
            if rule.is_prefix {
                redirects.beneath.push(rule);
            } else {
                redirects.exact.push(rule);
            }
        }
        for rules in [&mut redirects.exact, &mut redirects.beneath] {
            rules.sort_by(|one, other| one.key().cmp(&other.key())); // stable: lines stay in order
            let twice = rules.windows(2).find(|pair| pair[0].key() == pair[1].key());
            if let Some([first, second]) = twice {
                let why = format!("this path is redirected in line {} already", first.line);
                return Err(BadRedirects::new(second.line, why));
            }
        }
        redirects.refuse_circles()?;
        Ok(redirects)
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.exact.len() + self.beneath.len()
    }

    /// The redirect that `path` meets; a slash at its end counts. Bounded by the number of its
    /// segments times the logarithm of the number of redirects; nothing is allocated.
    pub fn find<'a>(&'a self, path: &'a SitePath) -> Option<Redirect<'a>> {
        let (bytes, is_directory) = (path.as_bytes(), path.is_directory());
        let whole = look_up(&self.exact, (bytes, is_directory))
            .or_else(|| look_up(&self.beneath, (bytes, true)).filter(|_| is_directory));
        if let Some(rule) = whole {
            return Some(Redirect {
                rule,
                rest: b"",
                rest_is_directory: false,
            });
        }
        if self.beneath.is_empty() {
            return None;
        }
        // The directories that it lies in, the root last.
        let slashes = bytes.iter().enumerate().rev();
        slashes
            .filter(|&(_, &byte)| byte == b'/')
            .map(|(at, _)| (&bytes[..at], &bytes[at + 1..]))
            .chain([(&bytes[..0], bytes)])
            .find_map(|(directory, rest)| {
                Some(Redirect {
                    rule: look_up(&self.beneath, (directory, true))?,
                    rest,
                    rest_is_directory: is_directory,
                })
            })
    }

    /// Follows each redirect for as long as it stays on the site. The start is the rule's own path,
    /// with nothing in place of a star; and with something there that no other line names, since a
    /// line for the directory itself would lead only requests for nothing more out of the circle.
    fn refuse_circles(&self) -> Result<(), BadRedirects> {
        for rule in self.exact.iter().chain(&self.beneath) {
            self.follow(rule, rule.from.clone())?;
            if rule.is_prefix {
                self.follow(rule, rule.from.join(b"\x01"))?;
            }
        }
        Ok(())
    }

    fn follow(&self, rule: &RedirectRule, mut path: SitePath) -> Result<(), BadRedirects> {
        for _ in 0..=REDIRECT_HOPS_MAX {
            let found = self.find(&path);
            let Some(next) = found.and_then(|found| found.path_on_this_site()) else {
                return Ok(());
            };
            path = next;
        }
        let why =
            format!("this leads in a circle, or over more than {REDIRECT_HOPS_MAX} redirects");
        Err(BadRedirects::new(rule.line, why))
    }
}

fn look_up<'a>(rules: &'a [RedirectRule], key: (&[u8], bool)) -> Option<&'a RedirectRule> {
    let at = rules.binary_search_by(|rule| rule.key().cmp(&key)).ok()?;
    rules.get(at)
}

/// A redirect that a path has met.
#[derive(Clone, Copy, Debug)]
pub struct Redirect<'a> {
    rule: &'a RedirectRule,
    /// What the star stood for, decoded. Being the end of a site's path it does not begin with a
    /// slash: else `/*` could become `//other.example`, which is another host.
    rest: &'a [u8],
    rest_is_directory: bool,
}

impl Redirect<'_> {
    /// Its status: 301, 302, 303, 307 or 308.
    pub fn status(&self) -> Status {
        self.rule.status
    }

    /// Its line in the file, from 1.
    pub fn line(&self) -> u32 {
        self.rule.line
    }

    /// Appends the value of `Location` (RFC 9110 §10.2.2). `query` is that of the request as it was
    /// sent, without its question mark.
    pub fn write_location(&self, query: Option<&[u8]>, out: &mut Vec<u8>) {
        let to = &self.rule.to;
        out.extend_from_slice(&to.head);
        if to.star == Star::InHead {
            self.write_rest(out);
        }
        if let Some(query) = query.filter(|_| !to.has_query) {
            out.push(b'?');
            write_encoded(query, ENCODED_IN_QUERY, out);
        }
        out.extend_from_slice(&to.fragment);
        if to.star == Star::InFragment {
            self.write_rest(out);
        }
    }

    fn write_rest(&self, out: &mut Vec<u8>) {
        write_encoded(self.rest, ENCODED_IN_PATH, out);
        if self.rest_is_directory {
            out.push(b'/');
        }
    }

    /// The path it leads to, if that is on this site and can be asked for at all.
    fn path_on_this_site(&self) -> Option<SitePath> {
        if self.rule.to.is_elsewhere {
            return None;
        }
        let mut location = Vec::new();
        self.write_location(None, &mut location);
        let path = location.split(|byte| b"?#".contains(byte)).next()?;
        SitePath::decode(path).ok()
    }
}

/// One line.
#[derive(Clone, Debug)]
struct RedirectRule {
    /// The path; with a star, the directory that it stands for all of.
    from: SitePath,
    is_prefix: bool,
    to: RedirectTarget,
    status: Status,
    line: u32,
}

impl RedirectRule {
    /// What it is found by.
    fn key(&self) -> (&[u8], bool) {
        (self.from.as_bytes(), self.from.is_directory())
    }

    /// Reads a line; `None` if it says nothing.
    fn parse(line: &[u8], number: u32) -> Result<Option<Self>, &'static str> {
        let words = line.split(u8::is_ascii_whitespace);
        let words: Vec<&[u8]> = words
            .filter(|word| !word.is_empty())
            .take_while(|word| !word.starts_with(b"#"))
            .collect();
        let (from, to, status) = match words[..] {
            [] => return Ok(None),
            [_] => return Err("where to? Write: /from /to 301"),
            [_, _] => {
                return Err(
                    "the status is missing: 301 or 308 (for good), 302 or 307 (for now), or 303",
                );
            }
            [from, to, status] => (from, to, status),
            _ => return Err("more than three words; in a path, write %20 for a space"),
        };
        let status = match status {
            b"301" => Status::MOVED_PERMANENTLY,
            b"302" => Status::FOUND,
            b"303" => Status::SEE_OTHER,
            b"307" => Status::TEMPORARY_REDIRECT,
            b"308" => Status::PERMANENT_REDIRECT,
            _ => return Err("the status must be 301, 302, 303, 307 or 308"),
        };
        let (from, is_prefix) = split_star(from)?;
        let to = RedirectTarget::parse(to)?;
        if to.star != Star::Nowhere && !is_prefix {
            return Err("a star in the target needs one in the path to redirect");
        }
        Ok(Some(Self {
            from: decode_from(from)?,
            is_prefix,
            to,
            status,
            line: number,
        }))
    }
}

/// Takes the star from the end of a word; anywhere else there may be none.
fn split_star(word: &[u8]) -> Result<(&[u8], bool), &'static str> {
    let (word, has_star) = match word.strip_suffix(b"*") {
        Some(rest) => (rest, true),
        None => (word, false),
    };
    if word.contains(&b'*') || has_star && !word.ends_with(b"/") {
        return Err(MISPLACED_STAR);
    }
    Ok((word, has_star))
}

const MISPLACED_STAR: &str =
    "a star stands at the end only, after a slash and not in a query; write %2A for another";

/// The path that is to be met, decoded as that of a request would be.
fn decode_from(from: &[u8]) -> Result<SitePath, &'static str> {
    if !from.starts_with(b"/") {
        return Err("the path to redirect must begin with a slash");
    }
    if from.iter().any(|byte| b"?#".contains(byte)) {
        return Err("redirects look at paths only; write %3F for a question mark, %23 for #");
    }
    check_percents(from)?;
    SitePath::decode(from).map_err(
        |_| "no request can have such a path (above the root, or with an encoded / or NUL)",
    )
}

fn check_percents(text: &[u8]) -> Result<(), &'static str> {
    if has_whole_escapes(text) {
        Ok(())
    } else {
        Err("a % needs two hexadecimal digits; write %25 for itself")
    }
}

/// Where what a star stood for is put.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Star {
    Nowhere,
    InHead,
    InFragment,
}

/// Where a redirect leads.
#[derive(Clone, Debug)]
struct RedirectTarget {
    /// Path or URL, with its query, ready to be sent.
    head: Box<[u8]>,
    /// From the `#` on, ready to be sent; often empty.
    fragment: Box<[u8]>,
    star: Star,
    has_query: bool,
    is_elsewhere: bool,
}

impl RedirectTarget {
    fn parse(word: &[u8]) -> Result<Self, &'static str> {
        let (word, has_star) = split_star(word)?;
        check_percents(word)?;
        let forbidden = |&byte: &u8| byte.is_ascii_control() || b"\"<>\\^`{|}".contains(&byte);
        if word.iter().any(forbidden) {
            return Err("the target has a character that URLs do not have; write it as %XX");
        }
        let hash = word.iter().position(|&byte| byte == b'#');
        let (head, fragment) = word.split_at(hash.unwrap_or(word.len()));
        // Two slashes would be a host without a scheme.
        let target = path::parse(head, "GET").ok();
        let Some(target) = target.filter(|_| !head.starts_with(b"//")) else {
            return Err("the target must be a path, or begin with http:// or https:// and a host");
        };
        let has_query = target.query.is_some();
        let star = match (has_star, hash) {
            (false, _) => Star::Nowhere,
            (true, Some(_)) => Star::InFragment,
            // A path put into a query could add fields to it.
            (true, None) if has_query => return Err(MISPLACED_STAR),
            (true, None) => Star::InHead,
        };
        let encoded = |bytes| {
            let mut out = Vec::new();
            write_encoded(bytes, ENCODED_IN_URL, &mut out);
            out.into_boxed_slice()
        };
        Ok(Self {
            head: encoded(head),
            fragment: encoded(fragment),
            star,
            has_query,
            is_elsewhere: target.authority.is_some(),
        })
    }
}

/// Appends `bytes`, with those that are in `set` as `%XX`.
fn write_encoded(bytes: &[u8], set: &'static AsciiSet, out: &mut Vec<u8>) {
    for piece in percent_encode(bytes, set) {
        out.extend_from_slice(piece.as_bytes());
    }
}

#[cfg(test)]
mod tests;
