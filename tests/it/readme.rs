//! README.md and ARCHITECTURE.md, held against the program.
//!
//! A table names what `--help` names, a shown reply is the reply, and the map of the code has a line for each file.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::time::Duration;

use idler::limits;

use crate::support::{Idler, fixture_site, repository};

/// The words of a command; what stands between single quotes is one of them.
fn split(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quoted = false;
    for c in line.chars() {
        match c {
            '\'' => quoted = !quoted,
            ' ' if !quoted => words.push(String::new()),
            _ => words.last_mut().expect("there is one").push(c),
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

/// Lines of `ARCHITECTURE.md`: what can be read at one sitting.
const ARCHITECTURE_LINES_MAX: usize = 320;

/// Lines and bytes of `README.md`: the rest stands in `--help`, beside the benchmark, and beside what operators copy.
const README_LINES_MAX: usize = 300;
const README_BYTES_MAX: usize = 14 * 1024;

fn document(name: &str) -> String {
    std::fs::read_to_string(repository(name)).expect("documents are there")
}

fn help(verb: &str) -> String {
    let args: &[&str] = if verb.is_empty() {
        &["--help"]
    } else {
        &[verb, "--help"]
    };
    let outcome = Idler::bare().args(args).run();
    assert_eq!(outcome.status.code(), Some(0));
    outcome.text()
}

/// The rows of the table whose head is `head`, cell by cell.
fn table(text: &str, head: &str) -> Vec<Vec<String>> {
    let mut lines = text.lines().skip_while(|line| *line != head);
    assert!(lines.next().is_some(), "no table begins with {head}");
    lines
        .skip(1)
        .map_while(|line| line.strip_prefix('|')?.strip_suffix('|'))
        .map(cells)
        .collect()
}

/// The cells of a row; a bar behind a backslash is part of its cell.
fn cells(row: &str) -> Vec<String> {
    let mut cells = vec![String::new()];
    let mut escaped = false;
    for c in row.chars() {
        match (c, escaped) {
            ('\\', false) => {}
            ('|', false) => cells.push(String::new()),
            _ => cells.last_mut().expect("there is one").push(c),
        }
        escaped = c == '\\' && !escaped;
    }
    cells.iter().map(|cell| cell.trim().to_owned()).collect()
}

/// An option as help describes it.
#[derive(Debug)]
struct Described {
    spelling: String,
    default: String,
    first: String,
}

/// The options in the help of a verb: spelling, default, and the first sentence.
fn described(help: &str) -> Vec<Described> {
    let mut found: Vec<(String, String)> = Vec::new();
    let mut within = false;
    for line in help.lines() {
        let option = line.strip_prefix("  ").filter(|l| !l.starts_with("      "));
        match (option, line.strip_prefix("          ")) {
            (Some(option), _) if option.trim_start().starts_with('-') => {
                found.push((option.trim().to_owned(), String::new()));
                within = true;
            }
            (_, Some(more)) if within => {
                let (_, text) = found.last_mut().expect("an option came before");
                text.push_str(more);
                text.push(' ');
            }
            _ => within = false,
        }
    }
    let read = |(spelling, text): (String, String)| {
        let default = text
            .split_once(" (default: ")
            .and_then(|(_, rest)| rest.split_once(')'))
            .map_or(String::new(), |(default, _)| default.to_owned());
        let text = text.replace(&format!(" (default: {default})"), "");
        let first = text.split(". ").next().unwrap_or_default();
        let first = first.trim_end().trim_end_matches('.').to_owned();
        Described {
            spelling,
            default,
            first,
        }
    };
    found.into_iter().map(read).collect()
}

#[test]
fn the_options_of_each_group_are_those_of_the_help() {
    let written = table(&document("README.md"), "| Options of `serve` | |");
    let mut said: Vec<Vec<String>> = Vec::new();
    for line in help("serve").lines() {
        let title = line.strip_suffix(':').filter(|l| !l.starts_with(' '));
        // What an option does stands further in than its spelling.
        let spelling = line.get(..8).is_some_and(|start| start.contains('-'));
        let long = line.split_whitespace().find(|word| word.starts_with("--"));
        if let Some(title) = title {
            said.push(vec![title.to_owned(), String::new()]);
        } else if let Some((group, long)) = said.last_mut().zip(long)
            && line.starts_with("  ")
            && spelling
        {
            let blank = if group[1].is_empty() { "" } else { " " };
            group[1] += &format!("{blank}`{long}`");
        }
    }
    said.retain(|group| !group[1].is_empty());
    assert!(said.len() > 5, "where are the groups?");
    assert_eq!(written, said);
}

#[test]
fn the_table_of_verbs_is_that_of_the_help() {
    let help = help("");
    let mut said = BTreeSet::new();
    let lines = help.lines().skip_while(|line| *line != "Verbs:").skip(1);
    for line in lines.map_while(|line| line.strip_prefix("  ")) {
        let (names, _) = line.split_once("   ").expect("a verb and what it does");
        let mut names = names.split(", ");
        let first = names.next().expect("there is one").trim();
        said.insert(first.to_owned());
        let stem = first.split('-').next().unwrap_or_default();
        said.extend(names.map(|rest| format!("{stem}{}", rest.trim())));
    }
    let written: BTreeSet<String> = table(&document("README.md"), "| Verb | What it does |")
        .iter()
        .flat_map(|row| {
            row[0]
                .split(", ")
                .map(|verb| verb.trim_matches('`').to_owned())
        })
        .collect();
    assert!(said.len() > 2, "where are the verbs?");
    assert_eq!(written, said);
}

/// A number of bytes as a person writes it.
fn bytes(n: u64) -> String {
    match n {
        n if n >= 1 << 20 && n % (1 << 20) == 0 => format!("{} MiB", n >> 20),
        n if n >= 1 << 10 && n % (1 << 10) == 0 => format!("{} KiB", n >> 10),
        n => count(n),
    }
}

fn count(n: u64) -> String {
    if n >= 1000 {
        format!("{},{:03}", n / 1000, n % 1000)
    } else {
        n.to_string()
    }
}

fn seconds(time: Duration) -> String {
    assert_eq!(time.subsec_nanos(), 0, "whole seconds so far");
    format!("{} s", time.as_secs())
}

/// `16 KiB` as an option would be given it: `16K`.
fn as_option(limit: &str) -> String {
    limit
        .replace("iB", "")
        .split_whitespace()
        .collect::<String>()
}

#[test]
fn the_defaults_of_the_help_are_the_limits_of_the_program() {
    let known = [
        ("--max-head", bytes(limits::HEAD_BYTES_MAX as u64)),
        ("--head-timeout", seconds(limits::HEAD_TIMEOUT)),
        ("--idle-timeout", seconds(limits::IDLE_TIMEOUT)),
        ("--stall-timeout", seconds(limits::STALL_TIMEOUT)),
        ("--cache-memory", bytes(limits::CACHE_BYTES_MAX as u64)),
        ("--grace", seconds(limits::GRACE)),
        ("--drain-delay", seconds(limits::DRAIN_DELAY)),
    ];
    let options = described(&help("serve"));
    for (long, limit) in known {
        let default = options
            .iter()
            .find(|o| o.spelling.split([' ', ',']).any(|word| word == long))
            .map(|o| o.default.as_str());
        assert_eq!(default, Some(as_option(&limit).as_str()), "{long}");
    }
}

#[test]
fn every_command_that_is_shown_is_understood() {
    let text = document("README.md");
    let mut seen = 0;
    for line in text.lines().filter_map(|line| line.strip_prefix("$ ")) {
        let words = split(line);
        let words = words
            .iter()
            .map(String::as_str)
            .skip_while(|word| word.contains('='));
        let words: Vec<&str> = words
            .take_while(|word| !matches!(*word, "|" | "&" | ">" | "2>&1" | "2>/dev/null"))
            .collect();
        let Some(("idler", args)) = words.split_first().map(|(first, rest)| (*first, rest)) else {
            continue;
        };
        let args = args.iter().map(OsString::from);
        let understood = idler::cli::parse(args, |_| None);
        assert!(understood.is_ok(), "{line}: {understood:?}");
        seen += 1;
    }
    assert!(seen > 5, "only {seen} commands");
}

#[test]
fn the_reply_that_is_shown_is_the_reply() {
    let text = document("README.md");
    let (_, shown) = text
        .split_once("$ curl -i http://localhost:8080/hello.txt\n")
        .expect("a reply is shown");
    let (shown, body) = shown.split_once("\n\n").expect("a head, and a body");
    let idler = Idler::serve(fixture_site()).start();
    let reply = idler.get("/hello.txt");
    let name = |line: &str| {
        line.split_once(':')
            .map(|(name, _)| name.to_ascii_lowercase())
    };
    let names: Vec<String> = shown.lines().filter_map(name).collect();
    let real: Vec<String> = reply
        .headers
        .iter()
        .map(|(name, _)| name.to_ascii_lowercase())
        .collect();
    assert_eq!(names, real);
    for constant in ["content-type", "content-length", "cache-control"] {
        let line = shown
            .lines()
            .find(|line| name(line).is_some_and(|name| name == constant));
        let value = line.and_then(|line| line.split_once(": ")).map(|(_, v)| v);
        assert_eq!(value, reply.header(constant), "{constant}");
    }
    assert_eq!(
        body.lines().next(),
        std::str::from_utf8(&reply.body).ok().map(str::trim_end)
    );
    idler.stop();
}

#[test]
fn the_trace_that_is_shown_is_of_the_first_connection() {
    let text = document("README.md");
    let (_, shown) = text
        .split_once("2>&1 >/dev/null | grep '\\[")
        .expect("a trace is shown");
    let (key, shown) = shown.split_once("\\]'\n").expect("of a key");
    let (shown, _) = shown.split_once("\n```").expect("to its end");
    // As many doors as a machine has that speaks IPv6 as well.
    let idler = Idler::serve(fixture_site())
        .args(&["-b", "127.0.0.1", "-b", "127.0.0.2"])
        .env("RUST_LOG", "idler=trace")
        .start();
    idler.client().get("/hello.txt");
    let released = format!("[{key}] TRACE released");
    idler.says(&[&released]);
    let said = idler.stderr();
    for line in shown.lines() {
        // How a request is cut, and how long a reply is, differs.
        let is_certain = [" -> ", " GET ", "closed", "released"]
            .iter()
            .any(|word| line.contains(word));
        assert!(line.starts_with(&format!("[{key}] ")), "{line}");
        assert!(!is_certain || said.contains(line), "{line}\n{said}");
    }
    idler.stop();
}

#[test]
fn every_file_stands_in_the_map_of_the_code() {
    let text = document("ARCHITECTURE.md");
    let mapped: BTreeSet<String> = table(&text, "| File | What it is for |")
        .iter()
        .map(|row| row[0].trim_matches('`').to_owned())
        .collect();
    let mut there = BTreeSet::new();
    let mut pending = vec![repository("src")];
    while let Some(folder) = pending.pop() {
        for entry in std::fs::read_dir(folder).expect("source can be read") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                pending.push(path);
                continue;
            }
            let relative = path.strip_prefix(repository("src")).expect("below src");
            let name = relative.to_string_lossy().into_owned();
            let is_test = name.ends_with("/tests.rs") || name.contains("/tests/");
            if name.ends_with(".rs") && !is_test {
                there.insert(name);
            }
        }
    }
    assert_eq!(mapped, there);
}

#[test]
fn the_documents_can_be_read_at_one_sitting() {
    let lines = document("ARCHITECTURE.md").lines().count();
    assert!(lines <= ARCHITECTURE_LINES_MAX, "{lines} lines");
    let readme = document("README.md");
    assert!(readme.lines().count() <= README_LINES_MAX);
    assert!(readme.len() <= README_BYTES_MAX, "{} bytes", readme.len());
}

#[cfg(test)]
mod tests {
    use super::{as_option, bytes, cells, described};

    #[test]
    fn help_and_tables_are_read() {
        let help = "What:\n  -p, --port N\n          Listen there (default: 80). And\n          more.\n      --flag\n          Do it.\n\nExamples:\n  idler\n      words\n";
        let read: Vec<_> = described(help)
            .into_iter()
            .map(|o| (o.spelling, o.default, o.first))
            .collect();
        let expected = [
            ("-p, --port N", "80", "Listen there"),
            ("--flag", "", "Do it"),
        ];
        assert_eq!(read.len(), 2);
        for (read, (spelling, default, first)) in read.iter().zip(expected) {
            assert_eq!((&*read.0, &*read.1, &*read.2), (spelling, default, first));
        }
        assert_eq!(cells(" `a\\|b` | c "), ["`a|b`", "c"]);
        assert_eq!(
            (bytes(16384), bytes(1 << 20)),
            ("16 KiB".into(), "1 MiB".into())
        );
        assert_eq!(as_option("16 KiB"), "16K");
        assert_eq!(as_option("10 s"), "10s");
    }
}
