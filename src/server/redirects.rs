//! Redirects: a small file of them, and which one a path meets.
//!
//! What lives here: the grammar of the file, the checks that it must pass as a whole, and the lookup. It
//! may not read files: it is given their bytes. Invariant: what ends up in a `Location` consists of characters
//! that may stand in a URL, and leads to the host that the file names, whatever the path was.
//! Read next: `response.rs`, which sends what is found here.
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
//! - *From* is a path; `%20` stands for a space, and so on. With `/*` at its end it means everything
//!   beneath, and the slash itself; what the star stood for goes to where the star stands at the end of *to*,
//!   if there is one.
//! - *To* is a path on the same site or an `http://` or `https://` URL. A query of the request is kept
//!   where *to* has none of its own.
//! - The status is one of 301, 302, 303, 307, 308. It is not optional: browsers remember the permanent ones
//!   (301, 308) for good, and that is for nobody to decide by forgetting a number.
//! - The order of the lines means nothing: a path that is named exactly comes first, else the longest
//!   prefix with a star.

mod rule;
mod wrong;

use crate::http::path::SitePath;
use crate::http::status::Status;
use crate::limits::{REDIRECT_HOPS_MAX, REDIRECTS_BYTES_MAX, REDIRECTS_MAX};
use crate::server::redirects::rule::{IN_PATH, IN_QUERY, Rule, Star, write_encoded};

pub use crate::server::redirects::wrong::{Error, Wrong};

/// The redirects of one file, checked and ready to be asked.
#[derive(Clone, Default, Debug)]
pub struct Redirects {
    /// Sorted by their keys.
    exact: Vec<Rule>,
    /// Those with a star, sorted by their keys.
    beneath: Vec<Rule>,
}

impl Redirects {
    /// Reads a file of redirects, and refuses it as a whole if anything in it is wrong: a line that cannot be
    /// read or could never be met, two for the same path, or redirects that lead to each other in a circle.
    ///
    /// Bounded by [`REDIRECTS_BYTES_MAX`], [`REDIRECTS_MAX`] and [`REDIRECT_HOPS_MAX`].
    pub fn parse(file: &[u8]) -> Result<Self, Error> {
        if file.len() > REDIRECTS_BYTES_MAX {
            return Err(Error::file(Wrong::TooLong));
        }
        // Some editors mark UTF-8 with three bytes at the start.
        let file = file.strip_prefix(b"\xef\xbb\xbf").unwrap_or(file);
        let mut redirects = Self::default();
        for (line, number) in file.split(|&byte| byte == b'\n').zip(1..) {
            let rule = Rule::parse(line, number).map_err(|wrong| Error {
                line: number,
                wrong,
            })?;
            let Some(rule) = rule else { continue };
            if redirects.len() == REDIRECTS_MAX {
                return Err(Error::file(Wrong::TooMany));
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
                return Err(Error {
                    line: second.line,
                    wrong: Wrong::Repeated(first.line),
                });
            }
        }
        redirects.refuse_circles()?;
        Ok(redirects)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.exact.len() + self.beneath.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The redirect that `path` meets; a slash at its end counts. Bounded by the number of its segments times
    /// the logarithm of the number of redirects; nothing is allocated.
    pub fn find<'a>(&'a self, path: &'a SitePath) -> Option<Redirect<'a>> {
        let (bytes, is_directory) = (path.as_bytes(), path.is_directory());
        if let Some(rule) = look_up(&self.exact, (bytes, is_directory)) {
            return Some(Redirect::to_all_of(rule));
        }
        if self.beneath.is_empty() {
            return None;
        }
        if is_directory && let Some(rule) = look_up(&self.beneath, (bytes, true)) {
            return Some(Redirect::to_all_of(rule));
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

    /// Follows each redirect for as long as it stays on the site. The start is the rule's own path, with nothing in
    /// place of a star; and with something there that no other line names, since a line for the directory itself
    /// would lead only those out of the circle who ask for nothing more.
    fn refuse_circles(&self) -> Result<(), Error> {
        for rule in self.exact.iter().chain(&self.beneath) {
            self.follow(rule, rule.from.clone())?;
            if rule.is_prefix {
                self.follow(rule, rule.from.join(b"\x01"))?;
            }
        }
        Ok(())
    }

    fn follow(&self, rule: &Rule, mut path: SitePath) -> Result<(), Error> {
        for _ in 0..=REDIRECT_HOPS_MAX {
            let found = self.find(&path);
            let Some(next) = found.and_then(|found| found.path_on_this_site()) else {
                return Ok(());
            };
            path = next;
        }
        Err(Error {
            line: rule.line,
            wrong: Wrong::Circle,
        })
    }
}

fn look_up<'a>(rules: &'a [Rule], key: (&[u8], bool)) -> Option<&'a Rule> {
    let at = rules.binary_search_by(|rule| rule.key().cmp(&key)).ok()?;
    rules.get(at)
}

/// A redirect that a path has met.
#[derive(Clone, Copy, Debug)]
pub struct Redirect<'a> {
    rule: &'a Rule,
    /// What the star stood for, decoded. Being the end of a site's path it does not begin with a slash: else `/*`
    /// could become `//other.example`, which is another host.
    rest: &'a [u8],
    rest_is_directory: bool,
}

impl<'a> Redirect<'a> {
    /// Nothing of the path is left for a star.
    fn to_all_of(rule: &'a Rule) -> Self {
        Self {
            rule,
            rest: b"",
            rest_is_directory: false,
        }
    }

    /// Its status: 301, 302, 303, 307 or 308.
    pub fn status(&self) -> Status {
        self.rule.status
    }

    /// Its line in the file, from 1.
    pub fn line(&self) -> u32 {
        self.rule.line
    }

    /// Appends the value of `Location` (RFC 9110 §10.2.2). `query` is that of the request as it was sent, without
    /// its question mark.
    pub fn write_location(&self, query: Option<&[u8]>, out: &mut Vec<u8>) {
        let to = &self.rule.to;
        out.extend_from_slice(&to.head);
        if to.star == Star::InHead {
            self.write_rest(out);
        }
        if let Some(query) = query.filter(|_| !to.has_query) {
            out.push(b'?');
            write_encoded(query, IN_QUERY, out);
        }
        out.extend_from_slice(&to.fragment);
        if to.star == Star::InFragment {
            self.write_rest(out);
        }
    }

    fn write_rest(&self, out: &mut Vec<u8>) {
        write_encoded(self.rest, IN_PATH, out);
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

#[cfg(test)]
mod tests;
