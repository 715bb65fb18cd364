//! The walls of the house: which folder may know what.
//!
//! The source is read as text, without comments, strings' contents and tests. Invariant: each wall is one
//! row of a table here and one sentence in `ARCHITECTURE.md`.
//! Read next: `ARCHITECTURE.md`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::{Path, PathBuf};

use idler::http::state::TRANSITIONS;

use crate::support::repository;

/// A source file without what is not part of the program.
struct Source {
    /// Its path below `src`.
    name: String,
    /// Its lines as they stand, up to its tests.
    raw: String,
    /// The same without comments and without what stands in quotes.
    code: String,
}

impl Source {
    /// The folder it belongs to, or its own name at the top.
    fn area(&self) -> &str {
        self.name
            .split('/')
            .next()
            .map_or("", |area| area.trim_end_matches(".rs"))
    }
}

/// A word that may not be said.
struct Wall {
    /// Where: paths below `src` begin with this; empty is everywhere.
    within: &'static str,
    /// Except in files whose paths begin with one of these.
    except: &'static [&'static str],
    words: &'static [&'static str],
    why: &'static str,
}

const WALLS: &[Wall] = &[
    Wall {
        within: "protocol/",
        except: &[],
        words: &[
            "mio",
            "std::net",
            "std::fs",
            "std::io",
            "Instant",
            "SystemTime::now",
            "log",
            "rustix",
            "TcpStream",
            "slab",
        ],
        why: "protocol is pure: bytes in, decisions out",
    },
    Wall {
        within: "pages/",
        except: &[],
        words: &[
            "mio",
            "std::net",
            "std::fs",
            "std::io",
            "Instant",
            "SystemTime::now",
            "log",
            "rustix",
        ],
        why: "pages are pure: facts in, HTML out",
    },
    Wall {
        within: "site/",
        except: &[],
        words: &[
            "mio",
            "std::net",
            "httparse",
            "TcpStream",
            "TcpListener",
            "Instant",
        ],
        why: "site knows files, and no sockets, loop or HTTP syntax",
    },
    Wall {
        within: "reactor/",
        except: &[],
        words: &[
            "httparse",
            "http",
            "Http",
            "mime_guess",
            "httpdate",
            "percent_encoding",
        ],
        why: "reactor knows how to wait, and no protocol",
    },
    Wall {
        within: "limits.rs",
        except: &[],
        words: &["crate"],
        why: "limits reads nobody",
    },
    Wall {
        within: "",
        except: &[
            "reactor/readiness.rs",
            "service/outlet.rs",
            // openat2's EAGAIN is a rename that raced with it, not would-block.
            "site/open.rs",
            // preadv2's EAGAIN is a disk, for which there is no edge.
            "reactor/disk.rs",
        ],
        words: &["WouldBlock", "AGAIN", "EAGAIN", "EWOULDBLOCK"],
        why: "the edge-triggered contract stands in one file; only what writes logs may ask for itself",
    },
    Wall {
        within: "",
        except: &["reactor/clock.rs"],
        words: &["Instant::now", "SystemTime::now"],
        why: "one file asks for the time",
    },
    Wall {
        within: "",
        except: &["reactor/"],
        words: &["mio::Poll", "Registry", "mio::Events"],
        why: "one folder waits",
    },
    Wall {
        within: "",
        // The other one serves nothing: it writes siblings, within directories that it holds open.
        except: &["site/open.rs", "service/precompress.rs"],
        words: &["openat2", "openat"],
        why: "one file opens what the site serves",
    },
    Wall {
        within: "",
        except: &["reactor/stream.rs"],
        words: &["sendfile"],
        why: "one file moves the bytes of streams",
    },
    Wall {
        within: "",
        except: &[],
        words: &[
            "thread::spawn",
            "thread::Builder",
            "thread::scope",
            "tokio",
            "async_std",
            "smol",
            "async",
            "await",
            "thread::sleep",
            "todo!",
            "unimplemented!",
            "dbg!",
        ],
        why: "one thread, no runtime, no stubs, and it sleeps nowhere but in poll",
    },
    Wall {
        within: "",
        except: &["lib.rs", "main.rs"],
        words: &["unsafe_code", "unsafe"],
        why: "unsafe code is forbidden once, at the root",
    },
];

/// Which area may name which. `main` stands for the program, `lib` for the list of modules.
const ARROWS: &[(&str, &[&str])] = &[
    ("main", &["cli", "service", "process"]),
    ("lib", &[]),
    ("cli", &["limits"]),
    (
        "service",
        &[
            "cli", "reactor", "protocol", "site", "pages", "process", "limits",
        ],
    ),
    ("reactor", &["limits"]),
    ("protocol", &["limits"]),
    ("site", &["protocol", "limits"]),
    ("pages", &["protocol", "limits"]),
    ("process", &["limits"]),
    ("limits", &[]),
];

/// Lines of a file before its tests: what can be read at one sitting.
const LINES_MAX: usize = 450;

/// `main.rs` is shorter: arguments, logger, command, exit code.
const MAIN_LINES_MAX: usize = 60;

#[test]
fn no_folder_says_a_word_it_may_not_know() {
    let mut faults = String::new();
    for source in sources() {
        for wall in WALLS {
            let outside = !source.name.starts_with(wall.within);
            if outside || wall.except.iter().any(|e| source.name.starts_with(e)) {
                continue;
            }
            for (number, line) in source.code.lines().enumerate() {
                for word in wall.words.iter().filter(|word| says(line, word)) {
                    let (name, number, why) = (&source.name, number + 1, wall.why);
                    let _ = writeln!(faults, "src/{name}:{number} says `{word}`: {why}");
                }
            }
        }
    }
    assert!(faults.is_empty(), "\n{faults}");
}

#[test]
fn imports_follow_the_arrows() {
    let mut faults = String::new();
    for (from, to, place) in imports() {
        let allowed = ARROWS.iter().find(|(area, _)| *area == from);
        match allowed {
            None => {
                let _ = writeln!(
                    faults,
                    "src/{place}: no arrow begins at a folder called `{from}`"
                );
            }
            Some((_, targets)) if !targets.contains(&to.as_str()) => {
                let _ = writeln!(
                    faults,
                    "src/{place}: no arrow leads from `{from}` to `{to}`"
                );
            }
            Some(_) => {}
        }
    }
    assert!(faults.is_empty(), "\n{faults}");
}

#[test]
fn arrows_and_imports_have_no_cycle() {
    let drawn = ARROWS.iter().flat_map(|(from, targets)| {
        targets
            .iter()
            .map(|to| ((*from).to_owned(), (*to).to_owned()))
    });
    let found = imports().into_iter().map(|(from, to, _)| (from, to));
    for (name, edges) in [
        ("the arrows drawn here", drawn.collect::<BTreeSet<_>>()),
        ("the imports found", found.collect()),
    ] {
        assert_eq!(cycle(&edges), None, "{name} lead round in a circle");
    }
}

#[test]
fn every_module_begins_by_saying_what_it_is() {
    let silent: Vec<String> = sources()
        .into_iter()
        .filter(|s| !s.raw.starts_with("//! "))
        .map(|s| s.name)
        .collect();
    assert!(silent.is_empty(), "no words at the top of {silent:?}");
}

#[test]
fn what_is_to_be_read_next_is_there() {
    let root = repository("src");
    let mut astray = Vec::new();
    let mut followed = 0;
    for source in sources() {
        let about = source.raw.lines().map_while(|l| l.strip_prefix("//!"));
        let about = about.collect::<Vec<_>>().join(" ");
        let Some((_, next)) = about.split_once("Read next: ") else {
            continue;
        };
        let file = root.join(&source.name);
        let beside = file.parent().unwrap_or(&root);
        let above = beside.parent().unwrap_or(&root);
        let below = file.with_extension("");
        let top = repository("");
        for word in next.split('`').skip(1).step_by(2) {
            let module = word.strip_prefix("crate::").map(|m| m.replace("::", "/"));
            let found = match &module {
                Some(module) => {
                    root.join(module).is_dir() || root.join(format!("{module}.rs")).exists()
                }
                None if word.ends_with(".rs") => [&below, beside, above, &root, &top]
                    .iter()
                    .any(|folder| folder.join(word).exists()),
                None => continue,
            };
            followed += 1;
            if !found {
                astray.push(format!("src/{}: {word}", source.name));
            }
        }
    }
    assert!(astray.is_empty(), "{astray:#?}");
    assert!(followed > 100, "only {followed} pointers were found");
}

#[test]
fn every_file_can_be_read_at_one_sitting() {
    let long: Vec<String> = sources()
        .into_iter()
        .map(|s| (s.raw.lines().count(), s.name))
        .filter(|(lines, name)| {
            // A list of numbers with their reasons is looked things up in, not read through.
            let most = match name.as_str() {
                "main.rs" => MAIN_LINES_MAX,
                "limits.rs" => usize::MAX,
                _ => LINES_MAX,
            };
            *lines > most
        })
        .map(|(lines, name)| format!("src/{name}: {lines} lines before its tests"))
        .collect();
    assert!(long.is_empty(), "{long:#?}");
}

#[test]
fn the_top_level_holds_what_its_user_fixed() {
    let fixed = [
        "Cargo.toml",
        "Cargo.lock",
        "src",
        "tests",
        "fixtures",
        "README.md",
        "ARCHITECTURE.md",
        ".gitignore",
        ".ci",
        ".git",
        "target",
    ];
    let more: Vec<String> = std::fs::read_dir(repository(""))
        .expect("the repository is there")
        .map(|e| {
            e.expect("an entry")
                .file_name()
                .to_string_lossy()
                .into_owned()
        })
        .filter(|name| !fixed.contains(&name.as_str()))
        .collect();
    assert!(more.is_empty(), "not at the top level: {more:?}");
}

#[test]
fn the_table_of_state_changes_is_the_same_in_the_code_and_in_the_document() {
    let text = std::fs::read_to_string(repository("ARCHITECTURE.md")).expect("ARCHITECTURE.md");
    let plain = |cell: &str| {
        let cell = cell.replace(['`', '\\'], "");
        cell.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    let written: Vec<Vec<String>> = text
        .lines()
        .filter_map(|line| line.trim().strip_prefix('|')?.strip_suffix('|'))
        .map(|line| line.split('|').map(plain).collect::<Vec<_>>())
        .filter(|cells| cells.len() == 6 && cells[0].parse::<u8>().is_ok())
        .collect();
    let coded: Vec<Vec<String>> = TRANSITIONS
        .iter()
        .map(|t| {
            let number = t.number.to_string();
            let cells = [&number, t.from, t.input, t.when, t.to, t.note];
            cells.into_iter().map(plain).collect()
        })
        .collect();
    for row in &coded {
        assert!(written.contains(row), "not in ARCHITECTURE.md: {row:?}");
    }
    for row in &written {
        assert!(coded.contains(row), "in ARCHITECTURE.md only: {row:?}");
    }
    assert_eq!(written, coded, "the order is the same too");
}

#[test]
fn every_row_of_the_table_has_a_test_named_after_it() {
    let mut named = BTreeSet::new();
    walk(&repository("src"), &mut |path| {
        let text = std::fs::read_to_string(path).expect("source can be read");
        for line in text.lines() {
            let name = line.trim_start().strip_prefix("fn row");
            named.extend(name.map(rows_of).unwrap_or_default());
        }
    });
    let missing: Vec<u8> = TRANSITIONS
        .iter()
        .map(|t| t.number)
        .filter(|number| !named.contains(number))
        .collect();
    assert!(
        missing.is_empty(),
        "no test is named after the rows {missing:?}"
    );
}

/// The rows in a test's name, behind `row`: `_4_what_it_shows`, `s_5_to_10_…`, `s_19_and_20_…`.
fn rows_of(name: &str) -> Vec<u8> {
    let mut words = name.trim_start_matches('s').split('_').skip(1);
    let number = |word: Option<&str>| word.and_then(|w| w.parse::<u8>().ok());
    let Some(first) = number(words.next()) else {
        return Vec::new();
    };
    let mut rows = vec![first];
    while let Some(word) = words.next() {
        match (word, number(words.next())) {
            ("and", Some(next)) => rows.push(next),
            ("to", Some(last)) => rows.extend(first + 1..=last),
            _ => break,
        }
    }
    rows
}

/// Every import of one area from another: from, to, and where it stands.
fn imports() -> BTreeSet<(String, String, String)> {
    let mut found = BTreeSet::new();
    let areas: Vec<&str> = ARROWS.iter().map(|(area, _)| *area).collect();
    for source in sources() {
        for root in ["crate::", "idler::"] {
            for (at, _) in source.code.match_indices(root) {
                let before = source.code[..at].chars().next_back();
                if before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':') {
                    continue;
                }
                let rest = &source.code[at + root.len()..];
                for to in first_names(rest) {
                    if areas.contains(&to.as_str()) && to != source.area() {
                        let line = source.code[..at].matches('\n').count() + 1;
                        let place = format!("{}:{line}", source.name);
                        found.insert((source.area().to_owned(), to, place));
                    }
                }
            }
        }
    }
    found
}

/// The names that a path begins with: one, or each of `{a::b, c}`.
fn first_names(rest: &str) -> Vec<String> {
    let name = |text: &str| {
        text.trim_start()
            .chars()
            .take_while(|c| c.is_alphanumeric() || *c == '_')
            .collect::<String>()
    };
    let Some(group) = rest.strip_prefix('{') else {
        return vec![name(rest)];
    };
    let mut names = Vec::new();
    let (mut depth, mut from) = (0_u32, 0);
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => {
                names.push(name(&group[from..at]));
                break;
            }
            '}' => depth -= 1,
            ',' if depth == 0 => {
                names.push(name(&group[from..at]));
                from = at + 1;
            }
            _ => {}
        }
    }
    names
}

/// Some way through `edges` that ends where it began.
fn cycle(edges: &BTreeSet<(String, String)>) -> Option<Vec<String>> {
    let mut next: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (from, to) in edges {
        next.entry(from).or_default().push(to);
    }
    let mut ways: Vec<Vec<&str>> = next.keys().map(|from| vec![*from]).collect();
    while let Some(way) = ways.pop() {
        let (first, last) = (way.first()?, way.last()?);
        for to in next.get(last).into_iter().flatten() {
            if to == first {
                return Some(way.iter().map(ToString::to_string).collect());
            }
            if !way.contains(to) {
                ways.push([way.as_slice(), &[to]].concat());
            }
        }
    }
    None
}

/// Whether a line of code says a word, and not only as part of a longer one.
fn says(line: &str, word: &str) -> bool {
    let part = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back().is_some_and(part);
        let after = line[at + word.len()..].chars().next().is_some_and(part);
        let whole = word.ends_with(part);
        !before && (!whole || !after)
    })
}

/// Every file of the program.
fn sources() -> Vec<Source> {
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

fn walk(folder: &Path, see: &mut impl FnMut(&Path)) {
    let mut entries: Vec<PathBuf> = std::fs::read_dir(folder)
        .expect("folders can be read")
        .map(|e| e.expect("an entry").path())
        .collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            walk(&path, see);
        } else if path.extension().is_some_and(|e| e == "rs") {
            see(&path);
        }
    }
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
    use super::{bare, before_tests, cycle, first_names, rows_of, says};

    #[test]
    fn the_checks_can_fail() {
        assert!(says("use mio::Poll;", "mio") && says("let x = mio;", "mio"));
        assert!(!says("let miogram = 1; promio", "mio"));
        assert!(says("log::debug!(\"\")", "log") && !says("access_log::x", "log"));
        assert!(says("todo!()", "todo!"));
        assert_eq!(first_names("a::b;"), ["a"]);
        assert_eq!(first_names("{a::{b, c}, d, e::f};"), ["a", "d", "e"]);
        let edge = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        assert!(cycle(&[edge("a", "b"), edge("b", "c"), edge("c", "b")].into()).is_some());
        assert!(cycle(&[edge("a", "b"), edge("b", "c"), edge("a", "c")].into()).is_none());
    }

    #[test]
    fn rows_are_read_from_names() {
        assert_eq!(rows_of("_4_a_whole_head()"), [4]);
        assert_eq!(rows_of("s_5_to_8_idle()"), [5, 6, 7, 8]);
        assert_eq!(rows_of("s_19_and_20_lingering()"), [19, 20]);
        assert!(rows_of("s<'a>(").is_empty() && rows_of("(entry)").is_empty());
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
