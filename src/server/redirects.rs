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

use std::iter;

use memchr::memrchr_iter;
use percent_encoding::percent_encode;

use crate::http::path::{
    self, ENCODED_IN_PATH, ENCODED_IN_QUERY, ENCODED_IN_URL, SitePath, has_whole_escapes,
};
use crate::http::status::Status;
use crate::limits::{REDIRECT_HOPS_MAX, REDIRECTS_BYTES_MAX, REDIRECTS_MAX};

/// The redirects of one file, checked and ready to be asked: sorted by their keys.
#[derive(Debug)]
pub struct Redirects(Vec<RedirectRule>);

impl Redirects {
    /// Reads a file of redirects, and refuses it as a whole if anything in it is wrong: a line that
    /// cannot be read or could never be met, two for the same path, or redirects that lead to each
    /// other in a circle.
    ///
    /// Bounded by [`REDIRECTS_BYTES_MAX`], [`REDIRECTS_MAX`] and [`REDIRECT_HOPS_MAX`].
    ///
    /// # Errors
    /// What is wrong, in which line, and what to try.
    pub fn parse(file: &[u8]) -> Result<Self, String> {
        if file.len() > REDIRECTS_BYTES_MAX {
            return Err(format!("longer than {REDIRECTS_BYTES_MAX} bytes"));
        }
        // Some editors mark UTF-8 with three bytes at the start.
        let file = file.strip_prefix(b"\xef\xbb\xbf").unwrap_or(file);
        let mut rules = Vec::new();
        for (line, number) in file.split(|&byte| byte == b'\n').zip(1..) {
            let rule = RedirectRule::parse(line, number);
            rules.extend(rule.map_err(|why| format!("line {number}: {why}"))?);
            if rules.len() > REDIRECTS_MAX {
                return Err(format!("more than {REDIRECTS_MAX} redirects"));
            }
        }
        rules.sort_by(|one, other| one.key().cmp(&other.key())); // stable: lines stay in order
        let twice = rules.windows(2).find(|pair| pair[0].key() == pair[1].key());
        if let Some([RedirectRule { line: first, .. }, RedirectRule { line, .. }]) = twice {
            let why = format!("this path is redirected in line {first} already");
            return Err(format!("line {line}: {why}"));
        }
        let redirects = Self(rules);
        redirects.refuse_circles()?;
        Ok(redirects)
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// The redirect that `path` meets; a slash at its end counts. Bounded by the number of its
    /// segments times the logarithm of the number of redirects; nothing is allocated.
    pub fn find<'a>(&'a self, path: &'a SitePath) -> Option<Redirect<'a>> {
        let (bytes, is_directory) = (path.as_bytes(), path.is_directory());
        let exact = self.look_up((false, bytes, is_directory));
        let whole = exact.or_else(|| self.look_up((true, bytes, true)).filter(|_| is_directory));
        if let Some(rule) = whole {
            let (rest, rest_is_directory) = (&b""[..], false);
            return Some(Redirect {
                rule,
                rest,
                rest_is_directory,
            });
        }
        // The directories that it lies in, the root last.
        let slashes = memrchr_iter(b'/', bytes).map(|at| (&bytes[..at], &bytes[at + 1..]));
        slashes
            .chain([(&bytes[..0], bytes)])
            .find_map(|(directory, rest)| {
                let rule = self.look_up((true, directory, true))?;
                Some(Redirect {
                    rule,
                    rest,
                    rest_is_directory: is_directory,
                })
            })
    }

    fn look_up(&self, key: (bool, &[u8], bool)) -> Option<&RedirectRule> {
        let at = self.0.binary_search_by(|rule| rule.key().cmp(&key)).ok()?;
        self.0.get(at)
    }

    /// Follows each redirect for as long as it stays on the site. The start is the rule's own path,
    /// with nothing in place of a star; and with something there that no other line names, since a
    /// line for the directory itself would lead only requests for nothing more out of the circle.
    fn refuse_circles(&self) -> Result<(), String> {
        let next = |path: &SitePath| self.find(path)?.path_on_this_site();
        for rule in &self.0 {
            let beneath = rule.is_prefix.then(|| rule.from.join(b"\x01"));
            for start in iter::once(rule.from.clone()).chain(beneath) {
                let mut hops = iter::successors(next(&start), next);
                if hops.nth(REDIRECT_HOPS_MAX).is_some() {
                    let line = rule.line;
                    return Err(format!(
                        "line {line}: this leads in a circle, or over more than \
                         {REDIRECT_HOPS_MAX} redirects"
                    ));
                }
            }
        }
        Ok(())
    }
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

    /// The value of `Location` (RFC 9110 §10.2.2). `query` is that of the request as it was sent,
    /// without its question mark.
    pub fn location(&self, query: Option<&[u8]>) -> String {
        let rule = self.rule;
        let mut rest = percent_encode(self.rest, ENCODED_IN_PATH).to_string();
        if self.rest_is_directory {
            rest.push('/');
        }
        let mut location = rule.head.clone();
        if rule.star_in_head {
            location += &rest;
        }
        if let Some(query) = query.filter(|_| !rule.has_query) {
            location.push('?');
            location.extend(percent_encode(query, ENCODED_IN_QUERY));
        }
        location += &rule.fragment;
        if rule.star_in_fragment {
            location += &rest;
        }
        location
    }

    /// The path it leads to, if that is on this site and can be asked for at all.
    fn path_on_this_site(&self) -> Option<SitePath> {
        if self.rule.is_elsewhere {
            return None;
        }
        let location = self.location(None);
        let path = location.split(['?', '#']).next()?;
        SitePath::decode(path.as_bytes()).ok()
    }
}

/// One line.
#[derive(Debug)]
struct RedirectRule {
    /// The path; with a star, the directory that it stands for all of.
    from: SitePath,
    is_prefix: bool,
    /// Path or URL that it leads to, with its query, ready to be sent.
    head: String,
    /// From the `#` on, ready to be sent; often empty.
    fragment: String,
    /// Where what a star stood for is put.
    star_in_head: bool,
    star_in_fragment: bool,
    has_query: bool,
    is_elsewhere: bool,
    status: Status,
    line: u32,
}

impl RedirectRule {
    /// What it is found by.
    fn key(&self) -> (bool, &[u8], bool) {
        (
            self.is_prefix,
            self.from.as_bytes(),
            self.from.is_directory(),
        )
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
            [_, _] => return Err(NO_STATUS),
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

        let (to, has_star) = split_star(to)?;
        check_percents(to)?;
        let forbidden = |&byte: &u8| byte.is_ascii_control() || b"\"<>\\^`{|}".contains(&byte);
        if to.iter().any(forbidden) {
            return Err("the target has a character that URLs do not have; write it as %XX");
        }
        let hash = to.iter().position(|&byte| byte == b'#');
        let (head, fragment) = to.split_at(hash.unwrap_or(to.len()));
        // Two slashes would be a host without a scheme.
        let target = path::parse(head, "GET").ok();
        let Some(target) = target.filter(|_| !head.starts_with(b"//")) else {
            return Err("the target must be a path, or begin with http:// or https:// and a host");
        };
        let has_query = target.query.is_some();
        let star_in_head = has_star && hash.is_none();
        // A path put into a query could add fields to it.
        if star_in_head && has_query {
            return Err(MISPLACED_STAR);
        }
        if has_star && !is_prefix {
            return Err("a star in the target needs one in the path to redirect");
        }
        Ok(Some(Self {
            from: decode_from(from)?,
            is_prefix,
            head: percent_encode(head, ENCODED_IN_URL).to_string(),
            fragment: percent_encode(fragment, ENCODED_IN_URL).to_string(),
            star_in_head,
            star_in_fragment: has_star && hash.is_some(),
            has_query,
            is_elsewhere: target.authority.is_some(),
            status,
            line: number,
        }))
    }
}

const NO_STATUS: &str =
    "the status is missing: 301 or 308 (for good), 302 or 307 (for now), or 303";

const MISPLACED_STAR: &str =
    "a star stands at the end only, after a slash and not in a query; write %2A for another";

/// Takes the star from the end of a word; anywhere else there may be none.
fn split_star(word: &[u8]) -> Result<(&[u8], bool), &'static str> {
    let before_star = word.strip_suffix(b"*");
    let (word, has_star) = (before_star.unwrap_or(word), before_star.is_some());
    if word.contains(&b'*') || has_star && !word.ends_with(b"/") {
        return Err(MISPLACED_STAR);
    }
    Ok((word, has_star))
}

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
    let why = "a % needs two hexadecimal digits; write %25 for itself";
    has_whole_escapes(text).then_some(()).ok_or(why)
}

#[cfg(test)]
mod tests;
