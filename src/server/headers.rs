//! Header lines that options add, and to which replies.
//!
//! What lives here: the rules of `--header`, and which of them a path meets. It may not know
//! requests or files. Invariant: of the lines with one name, those of the longest path are sent,
//! and no others. Read next: `policy.rs`.

use crate::cli::HeaderRule;
use crate::http::path::SitePath;

/// See the module.
#[derive(Debug, Default)]
pub struct Headers {
    /// Longest path first.
    rules: Vec<Rule>,
}

#[derive(Debug)]
struct Rule {
    path: SitePath,
    name: String,
    /// With its line end.
    line: Vec<u8>,
}

impl Headers {
    /// Resolves what was given.
    ///
    /// # Errors
    /// One line for the user, if a path is none.
    pub fn new(given: &[HeaderRule]) -> Result<Self, String> {
        let mut headers = Self::default();
        for rule in given {
            let path = SitePath::decode(&rule.path).map_err(|refusal| {
                let path = String::from_utf8_lossy(&rule.path);
                format!("--header '{path} {}: …': {}", rule.line.name, refusal.why)
            })?;
            let mut line = rule.line.name.clone().into_bytes();
            line.extend_from_slice(b": ");
            line.extend_from_slice(&rule.line.value);
            line.extend_from_slice(b"\r\n");
            headers.rules.push(Rule {
                path,
                name: rule.line.name.clone(),
                line,
            });
        }
        // Stable: lines of one path stay in the order they were given. An exact path is longer than
        // a directory.
        headers
            .rules
            .sort_by_key(|rule| std::cmp::Reverse(rule.path.as_bytes().len()));
        Ok(headers)
    }

    /// Appends the lines for the file at `path` within the site, and tells which names of `ours`
    /// are not among them. Bounded by the square of the number of rules.
    pub fn write<'n>(&self, path: &[u8], ours: &[&'n str], out: &mut Vec<u8>) -> Vec<&'n str> {
        self.write_but(&[], path, ours, out)
    }

    fn write_but<'n>(
        &self,
        without: &[&str],
        path: &[u8],
        ours: &[&'n str],
        out: &mut Vec<u8>,
    ) -> Vec<&'n str> {
        let is_same = |a: &Rule, name: &str| a.name.eq_ignore_ascii_case(name);
        let is_met = |rule: &&Rule| rule.meets(path) && !without.iter().any(|n| is_same(rule, n));
        let met: Vec<&Rule> = self.rules.iter().filter(is_met).collect();
        for rule in &met {
            let first = met.iter().find(|other| is_same(other, &rule.name));
            if first.is_some_and(|first| first.path == rule.path) {
                out.extend_from_slice(&rule.line);
            }
        }
        ours.iter()
            .copied()
            .filter(|name| !met.iter().any(|rule| is_same(rule, name)))
            .collect()
    }

    /// The same for what idler makes itself, but none that says for how long it may be kept:
    /// neither a list nor a page that says that something is missing may be. For `path`, where it
    /// is a list; else what is for every reply.
    pub fn write_for_made<'n>(
        &self,
        path: &[u8],
        ours: &[&'n str],
        out: &mut Vec<u8>,
    ) -> Vec<&'n str> {
        self.write_but(&["Cache-Control", "Expires", "Pragma"], path, ours, out)
    }
}

impl Rule {
    fn meets(&self, path: &[u8]) -> bool {
        let own = self.path.as_bytes();
        match path.strip_prefix(own) {
            None => false,
            Some(_) if own.is_empty() => true,
            Some(rest) if self.path.is_directory() => rest.first() == Some(&b'/'),
            Some(rest) => rest.is_empty(),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use super::*;
    use crate::cli::HeaderLine;

    fn headers(rules: &[(&str, &str, &str)]) -> Headers {
        let given: Vec<HeaderRule> = rules
            .iter()
            .map(|(path, name, value)| HeaderRule {
                path: path.as_bytes().to_vec(),
                line: HeaderLine {
                    name: (*name).to_owned(),
                    value: value.as_bytes().to_vec(),
                },
            })
            .collect();
        Headers::new(&given).unwrap()
    }

    fn lines(headers: &Headers, path: &str) -> String {
        let mut out = Vec::new();
        headers.write(path.as_bytes(), &[], &mut out);
        String::from_utf8(out).unwrap().replace("\r\n", ";")
    }

    #[test]
    fn the_longest_path_wins() {
        let headers = headers(&[
            ("", "A", "all"),
            ("/assets/", "a", "assets"),
            ("/assets/x.js", "A", "x"),
            ("", "B", "1"),
            ("", "b", "2"),
            ("/with%20blank/", "C", "3"),
        ]);
        for (path, expected) in [
            ("index.html", "A: all;B: 1;b: 2;"),
            ("assets", "A: all;B: 1;b: 2;"),
            ("assets/y.js", "a: assets;B: 1;b: 2;"),
            ("assets/x.js", "A: x;B: 1;b: 2;"),
            ("assets/x.jsx", "a: assets;B: 1;b: 2;"),
            ("assetsx/x.js", "A: all;B: 1;b: 2;"),
            ("with blank/a", "C: 3;A: all;B: 1;b: 2;"),
        ] {
            assert_eq!(lines(&headers, path), expected, "{path}");
        }
    }

    #[test]
    fn what_is_not_given_is_ours_to_say() {
        let headers = headers(&[("/a/", "cache-control", "x")]);
        let ours = ["Cache-Control"];
        assert!(headers.write(b"a/b", &ours, &mut Vec::new()).is_empty());
        assert_eq!(headers.write(b"b", &ours, &mut Vec::new()), ours);
    }

    #[test]
    fn pages_of_our_own_are_not_kept() {
        let headers = headers(&[
            ("", "Cache-Control", "max-age=9"),
            ("", "A", "1"),
            ("/b/", "B", "1"),
        ]);
        let mut out = Vec::new();
        headers.write_for_made(b"", &[], &mut out);
        assert_eq!(out, b"A: 1\r\n");
    }

    #[test]
    fn a_path_above_the_root_is_refused() {
        let rule = HeaderRule {
            path: b"/../x".to_vec(),
            line: HeaderLine {
                name: "A".to_owned(),
                value: Vec::new(),
            },
        };
        assert!(
            Headers::new(&[rule])
                .unwrap_err()
                .contains("above the root")
        );
    }
}
