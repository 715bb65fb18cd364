//! Which file of `src` imports which, read off the source as text.
//!
//! A path is followed to the file in which its name stands, through re-exports. A module and the files below it in
//! its own folder may know one another, so no arrow leads from one to the other.

use std::collections::{BTreeMap, BTreeSet};

use crate::architecture::walk;
use crate::support::repository;

/// A source file without what is not part of the program.
pub(crate) struct Source {
    /// Its path below `src`.
    pub(crate) name: String,
    /// Its lines as they stand, up to its tests.
    pub(crate) raw: String,
    /// The same without comments and without what stands in quotes.
    pub(crate) code: String,
}

impl Source {
    /// Its module: `a/b.rs` and `a/b/mod.rs` are `["a", "b"]`.
    fn module(&self) -> Vec<&str> {
        let mut path: Vec<&str> = self.name.trim_end_matches(".rs").split('/').collect();
        if path
            .last()
            .is_some_and(|last| ["mod", "lib"].contains(last))
        {
            path.pop();
        }
        path
    }
}

/// An arrow from one module to another, both written as `a/b`.
pub(crate) type Arrows = BTreeSet<(String, String)>;

/// All arrows among the files of the program.
pub(crate) fn arrows(sources: &[Source]) -> Arrows {
    let house = House::new(sources);
    let mut found = Arrows::new();
    for source in sources.iter().filter(|s| s.name != "lib.rs") {
        let from = source.module();
        for path in house.paths(source) {
            for to in house.files(&path, 0) {
                let kin = from.starts_with(&to) || to.starts_with(&from);
                if !kin {
                    found.insert((from.join("/"), to.join("/")));
                }
            }
        }
    }
    found
}

/// The modules of the program, and what they re-export.
struct House<'a> {
    modules: BTreeSet<Vec<&'a str>>,
    /// Module, the name under which it shows something, and the whole path of that; no name for a glob.
    shown: Vec<(Vec<&'a str>, Option<&'a str>, Vec<&'a str>)>,
}

impl<'a> House<'a> {
    fn new(sources: &'a [Source]) -> Self {
        let mut house = House {
            modules: sources.iter().map(Source::module).collect(),
            shown: Vec::new(),
        };
        for source in sources {
            for (is_public, path, name) in uses(&source.code) {
                if is_public && let Some(whole) = house.whole(&source.module(), &path) {
                    house.shown.push((source.module(), name, whole));
                }
            }
        }
        house
    }

    /// A path from the root of the crate; `None` if it leads out of the crate.
    fn whole(&self, at: &[&'a str], path: &[&'a str]) -> Option<Vec<&'a str>> {
        let mut base = at.to_vec();
        let (first, mut rest) = path.split_first()?;
        match *first {
            "crate" | "idler" => base.clear(),
            "self" => {}
            "super" => {
                base.pop()?;
            }
            child => {
                base.push(child);
                if !self.modules.contains(&base) {
                    return None;
                }
            }
        }
        while let Some((&"super", more)) = rest.split_first() {
            base.pop()?;
            rest = more;
        }
        base.extend(rest.iter().filter(|part| **part != "self"));
        Some(base)
    }

    /// The whole paths that a file names: in its imports, and in its code by modules that it imported.
    fn paths(&self, source: &'a Source) -> Vec<Vec<&'a str>> {
        let at = source.module();
        let (mut paths, mut known) = (Vec::new(), BTreeMap::new());
        for (is_public, path, name) in uses(&source.code) {
            let Some(whole) = self.whole(&at, &path) else {
                continue;
            };
            if let Some(name) = name {
                known.insert(name, whole.clone());
            }
            if !is_public {
                paths.push(whole);
            }
        }
        for path in inline_paths(&source.code) {
            let first = path[0];
            if ["crate", "super", "self", "idler"].contains(&first) {
                paths.extend(self.whole(&at, &path));
            } else if let Some(module) = known.get(first) {
                paths.push([module.as_slice(), &path[1..]].concat());
            } else {
                paths.extend(self.whole(&at, &path));
            }
        }
        paths
    }

    /// The files in which what a whole path names may stand. Bounded by the length of a chain of re-exports.
    fn files(&self, path: &[&'a str], hops: usize) -> BTreeSet<Vec<&'a str>> {
        let module = (0..=path.len())
            .rev()
            .map(|end| &path[..end])
            .find(|start| self.modules.contains(*start));
        let Some(module) = module else {
            return BTreeSet::new();
        };
        let rest = &path[module.len()..];
        let mut found = BTreeSet::new();
        if let Some(name) = rest.first().filter(|_| hops < 6) {
            for (at, shown, to) in &self.shown {
                if at == module && shown.is_none_or(|shown| shown == *name || *name == "*") {
                    let rest = if shown.is_some() { &rest[1..] } else { rest };
                    found.extend(self.files(&[to.as_slice(), rest].concat(), hops + 1));
                }
            }
        }
        if found.is_empty() && !module.is_empty() {
            found.insert(module.to_vec());
        }
        found
    }
}

/// The use declarations of a file, one for each leaf of their groups: whether it is public, its path, and the name it
/// gets; no name for a glob.
fn uses(code: &str) -> Vec<(bool, Vec<&str>, Option<&str>)> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices("use ") {
        let line = &code[code[..at].rfind('\n').map_or(0, |end| end + 1)..at];
        let is_public = line.trim_start().starts_with("pub");
        if !(line.trim().is_empty() || is_public && !line.contains(|c| "{};=".contains(c))) {
            continue;
        }
        let Some(end) = code[at..].find(';') else {
            continue;
        };
        for (path, name) in leaves(&code[at + 4..at + end]) {
            found.push((is_public, path, name));
        }
    }
    found
}

/// The leaves of one declaration: `a::{b, c as d}` is `a::b` named `b` and `a::c` named `d`.
fn leaves(text: &str) -> Vec<(Vec<&str>, Option<&str>)> {
    let text = text.trim();
    if let Some((head, group)) = text.split_once('{') {
        let head: Vec<&str> = parts(head);
        let group = group.trim().strip_suffix('}').unwrap_or(group);
        return split_group(group)
            .into_iter()
            .flat_map(leaves)
            .map(|(path, name)| {
                let name = if path == ["self"] {
                    head.last().copied()
                } else {
                    name
                };
                ([head.as_slice(), &path].concat(), name)
            })
            .collect();
    }
    if text.is_empty() {
        return Vec::new();
    }
    let (path, name) = match text.split_once(" as ") {
        Some((path, name)) => (parts(path), Some(name.trim())),
        None => (parts(text), parts(text).last().copied()),
    };
    vec![(path, name.filter(|name| *name != "*"))]
}

fn parts(path: &str) -> Vec<&str> {
    path.split("::")
        .map(str::trim)
        .filter(|p| !p.is_empty())
        .collect()
}

/// The members of a group, at commas outside of groups within it.
fn split_group(text: &str) -> Vec<&str> {
    let (mut found, mut depth, mut from) = (Vec::new(), 0_u32, 0);
    for (at, c) in text.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                found.push(&text[from..at]);
                from = at + 1;
            }
            _ => {}
        }
    }
    found.push(&text[from..]);
    found
}

/// Paths of two parts and more that stand in code, use declarations included.
fn inline_paths(code: &str) -> Vec<Vec<&str>> {
    let part = |c: char| c.is_alphanumeric() || c == '_';
    code.split(|c: char| !part(c) && c != ':')
        .map(|word| word.trim_matches(':'))
        .filter(|word| word.contains("::"))
        .map(parts)
        .filter(|path| path.len() > 1)
        .collect()
}

/// Some way through `arrows` that ends where it began. Bounded by the number of arrows: nothing is left twice.
pub(crate) fn circle(arrows: &Arrows) -> Option<Vec<String>> {
    let mut next: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (from, to) in arrows {
        next.entry(from).or_default().push(to);
    }
    let mut done = BTreeSet::new();
    for start in next.keys() {
        let mut way: Vec<(&str, usize)> = vec![(start, 0)];
        while let Some((at, tried)) = way.last_mut() {
            let at = *at;
            let to = next.get(at).and_then(|all| all.get(*tried)).copied();
            *tried += 1;
            match to {
                None => {
                    done.insert(at);
                    way.pop();
                }
                Some(to) if done.contains(to) => {}
                Some(to) => {
                    if let Some(begin) = way.iter().position(|(seen, _)| *seen == to) {
                        return Some(
                            way[begin..]
                                .iter()
                                .map(|(at, _)| (*at).to_owned())
                                .collect(),
                        );
                    }
                    way.push((to, 0));
                }
            }
        }
    }
    None
}

/// Every file of the program.
pub(crate) fn sources() -> Vec<Source> {
    let root = repository("src");
    let mut found = Vec::new();
    walk(&root, &mut |path| {
        let name = path
            .strip_prefix(&root)
            .unwrap_or(path)
            .to_string_lossy()
            .into_owned();
        // A file that holds a module's tests is no part of the program.
        if path.file_stem().is_some_and(|stem| stem == "tests") || name.contains("/tests/") {
            return;
        }
        let text = std::fs::read_to_string(path).expect("source can be read");
        let raw = before_tests(&text).to_owned();
        let code = bare(&raw);
        found.push(Source { name, raw, code });
    });
    assert!(found.len() > 10, "where is the source?");
    found.sort_by(|a, b| a.name.cmp(&b.name));
    found
}

/// A file up to its module of tests, which stands at the end.
fn before_tests(text: &str) -> &str {
    text.find("\n#[cfg(test)]\nmod ")
        .or_else(|| text.find("\n#[cfg(test)]\n#["))
        .map_or(text, |at| &text[..at])
}

/// Code without comments and without what stands in string literals; line numbers stay.
fn bare(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while at < bytes.len() {
        let rest = &text[at..];
        let skipped = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else if rest.starts_with('"') {
            string_end(rest)
        } else if rest.starts_with("r#\"") || rest.starts_with("r\"") {
            let (open, close) = if rest.starts_with("r#") {
                (3, "\"#")
            } else {
                (2, "\"")
            };
            rest[open..]
                .find(close)
                .map_or(rest.len(), |end| open + end + close.len())
        } else if rest.starts_with("'\"'") || rest.starts_with("b'\"'") {
            rest.find("\"'").map_or(1, |end| end + 2)
        } else {
            0
        };
        if skipped == 0 {
            let c = rest.chars().next().unwrap_or(' ');
            out.push(c);
            at += c.len_utf8();
        } else {
            out.extend(rest[..skipped].chars().filter(|c| *c == '\n'));
            at += skipped;
        }
    }
    out
}

/// The length of a string literal that begins here.
fn string_end(rest: &str) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            '\\' if !escaped => escaped = true,
            '"' if !escaped => return at + 1,
            _ => escaped = false,
        }
    }
    rest.len()
}

#[cfg(test)]
mod tests {
    use super::{Source, arrows, bare, before_tests, circle, leaves};

    fn source(name: &str, code: &str) -> Source {
        Source {
            name: name.to_owned(),
            raw: code.to_owned(),
            code: code.to_owned(),
        }
    }

    #[test]
    fn a_circle_is_found_through_a_re_export() {
        let knot = [
            source("a/mod.rs", "pub use self::b::B;\nmod b;\nmod c;\n"),
            source("a/b.rs", "use super::c::C;\n"),
            source("a/c.rs", "use crate::a::B;\n"),
        ];
        let arrows = arrows(&knot);
        let expected = [("a/b", "a/c"), ("a/c", "a/b")];
        let expected = expected.map(|(from, to)| (from.to_owned(), to.to_owned()));
        assert_eq!(arrows, expected.into());
        assert!(circle(&arrows).is_some());
    }

    #[test]
    fn a_module_and_the_files_below_it_are_kin() {
        let kin = [
            source("a.rs", "mod b;\nuse b::B;\n"),
            source("a/b.rs", "use super::A;\n"),
            source("c.rs", "use crate::a::{self, A};\nfn f() { a::b::g() }\n"),
        ];
        let expected = [("c", "a"), ("c", "a/b")];
        let expected = expected.map(|(from, to)| (from.to_owned(), to.to_owned()));
        assert_eq!(arrows(&kin), expected.into());
        assert!(circle(&arrows(&kin)).is_none());
    }

    #[test]
    fn groups_are_spread() {
        let spread = leaves("crate::a::{self, b::{C as D, *}}");
        let paths: Vec<String> = spread.iter().map(|(path, _)| path.join("::")).collect();
        assert_eq!(
            paths,
            ["crate::a::self", "crate::a::b::C", "crate::a::b::*"]
        );
        let names: Vec<_> = spread.iter().map(|(_, name)| *name).collect();
        assert_eq!(names, [Some("a"), Some("D"), None]);
    }

    #[test]
    fn comments_strings_and_tests_are_not_code() {
        assert_eq!(bare("a // mio\nb"), "a \nb");
        assert_eq!(bare("a(\"mio \\\" // \") /* x\n*/ c"), "a() \n c");
        assert_eq!(
            bare("r#\"mio \" \"# b'\"' '\"' x"),
            "  b x".replace('b', "")
        );
        assert_eq!(before_tests("a\n#[cfg(test)]\nmod tests {}"), "a");
        assert_eq!(
            before_tests("a\n#[cfg(test)]\nfn x() {}"),
            "a\n#[cfg(test)]\nfn x() {}"
        );
    }
}
