//! What each folder and each file may know.
//!
//! The source is read as text, without comments, the contents of strings, and tests. Each rule is one row of a
//! table here and one sentence in `ARCHITECTURE.md`. How imports are read is in `imports.rs`.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::{Path, PathBuf};

use idler::http::state::TRANSITIONS;

use crate::imports::{arrows, circle, sources};
use crate::support::repository;

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
        within: "http/",
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
        why: "http is pure: bytes in, decisions out",
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
        within: "event_loop/",
        except: &[],
        words: &[
            "httparse",
            "http",
            "Http",
            "mime_guess",
            "httpdate",
            "percent_encoding",
        ],
        why: "event_loop knows how to wait, and no protocol",
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
            "event_loop/readiness.rs",
            "log/",
            // openat2's EAGAIN is a rename that raced with it, not would-block.
            "site/open.rs",
            // preadv2's EAGAIN is a disk, for which there is no edge.
            "event_loop/page_cache.rs",
        ],
        words: &["WouldBlock", "AGAIN", "EAGAIN", "EWOULDBLOCK"],
        why: "the edge-triggered contract stands in one file; only what writes logs may ask for itself",
    },
    Wall {
        within: "",
        except: &["event_loop/clock.rs"],
        words: &["Instant::now", "SystemTime::now"],
        why: "one file asks for the time",
    },
    Wall {
        within: "",
        except: &["event_loop/"],
        words: &["mio::Poll", "Registry", "mio::Events"],
        why: "one folder waits",
    },
    Wall {
        within: "",
        // The other one serves nothing: it writes siblings, within directories that it holds open.
        except: &["site/open.rs", "tools/precompress"],
        words: &["openat2", "openat"],
        why: "one file opens what the site serves",
    },
    Wall {
        within: "",
        except: &["event_loop/transport.rs"],
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

/// Which folder may name which: only those further down. `main` stands for the program.
const ARROWS: &[(&str, &[&str])] = &[
    (
        "main",
        &["tools", "server", "companions", "event_loop", "cli", "log"],
    ),
    (
        "tools",
        &[
            "server",
            "companions",
            "pages",
            "site",
            "event_loop",
            "cli",
            "process",
            "http",
            "log",
            "limits",
        ],
    ),
    (
        "server",
        &[
            "companions",
            "pages",
            "site",
            "event_loop",
            "cli",
            "process",
            "http",
            "log",
            "limits",
        ],
    ),
    (
        "companions",
        &["event_loop", "cli", "process", "http", "log", "limits"],
    ),
    ("pages", &["site", "http", "limits"]),
    ("site", &["http", "limits"]),
    ("event_loop", &["limits"]),
    ("cli", &["http", "log", "limits"]),
    ("process", &["http", "log", "limits"]),
    ("http", &["limits"]),
    ("log", &["limits"]),
    ("limits", &[]),
];

/// The only file of `tools` that looks into the server: it says what the server would do.
const TOOLS_THAT_KNOW_THE_SERVER: &[&str] = &["tools/explain"];

/// Lines of a file before its tests: what can be read at one sitting.
const LINES_MAX: usize = 450;

/// Columns of a line: what stands beside another page on one screen.
const COLUMNS_MAX: usize = 100;

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
    for (from, to) in arrows(&sources()) {
        let folder = |file: &str| file.split('/').next().unwrap_or_default().to_owned();
        let (above, below) = (folder(&from), folder(&to));
        if above == below {
            continue;
        }
        let known = ARROWS.iter().find(|(area, _)| *area == above);
        if !known.is_some_and(|(_, targets)| targets.contains(&below.as_str())) {
            let _ = writeln!(
                faults,
                "{from} -> {to}: no arrow leads from `{above}` to `{below}`"
            );
        }
        if (&*above, &*below) == ("tools", "server")
            && !TOOLS_THAT_KNOW_THE_SERVER
                .iter()
                .any(|file| from.starts_with(file))
        {
            let _ = writeln!(
                faults,
                "{from} -> {to}: this tool has no business in the server"
            );
        }
    }
    assert!(faults.is_empty(), "\n{faults}");
}

#[test]
fn no_files_import_one_another_in_a_circle() {
    assert_eq!(circle(&arrows(&sources())), None);
    let drawn = ARROWS.iter().flat_map(|(from, targets)| {
        targets
            .iter()
            .map(|to| ((*from).to_owned(), (*to).to_owned()))
    });
    assert_eq!(circle(&drawn.collect()), None, "the arrows of the folders");
}

#[test]
fn no_line_is_wider_than_a_page() {
    let mut wide = Vec::new();
    walk(&repository("src"), &mut |path| {
        let text = std::fs::read_to_string(path).expect("source can be read");
        for (number, line) in text.lines().enumerate() {
            if line.chars().count() > COLUMNS_MAX {
                wide.push(format!("{}:{}", path.display(), number + 1));
            }
        }
    });
    assert!(wide.is_empty(), "{wide:#?}");
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
        "findings",
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

pub(crate) fn walk(folder: &Path, see: &mut impl FnMut(&Path)) {
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

#[cfg(test)]
mod tests {
    use super::{rows_of, says};

    #[test]
    fn the_checks_can_fail() {
        assert!(says("use mio::Poll;", "mio") && says("let x = mio;", "mio"));
        assert!(!says("let miogram = 1; promio", "mio"));
        assert!(says("log::debug!(\"\")", "log") && !says("access_log::x", "log"));
        assert!(says("todo!()", "todo!"));
    }

    #[test]
    fn rows_are_read_from_names() {
        assert_eq!(rows_of("_4_a_whole_head()"), [4]);
        assert_eq!(rows_of("s_5_to_8_idle()"), [5, 6, 7, 8]);
        assert_eq!(rows_of("s_19_and_20_lingering()"), [19, 20]);
        assert!(rows_of("s<'a>(").is_empty() && rows_of("(entry)").is_empty());
    }
}
