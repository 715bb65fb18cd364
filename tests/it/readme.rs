//! The two documents, held against the program.
//!
//! It may not know what is worth saying. Invariant: what a table shows is what `--help` and `limits.rs` say, and a file that the
//! map of the code does not name is not there.
//! Read next: `architecture.rs`, for the table of state changes.

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
const ARCHITECTURE_LINES_MAX: usize = 250;

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
fn the_table_of_options_is_that_of_the_help() {
    let written = table(
        &document("README.md"),
        "| Option | Default | What it does |",
    );
    let said: Vec<Vec<String>> = described(&help("serve"))
        .into_iter()
        .map(|o| vec![format!("`{}`", o.spelling), o.default, o.first])
        .collect();
    let rows: Vec<String> = said
        .iter()
        .map(|row| row.iter().map(|cell| cell.replace('|', "\\|")).collect())
        .map(|row: Vec<String>| format!("| {} |", row.join(" | ")))
        .collect();
    assert!(said.len() > 10, "where are the options?");
    assert!(
        written == said,
        "README.md should say:\n{}",
        rows.join("\n")
    );
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
fn the_table_of_limits_is_that_of_the_program() {
    let whole = |n: usize| u64::try_from(n).expect("it fits");
    macro_rules! all {
        ($($name:ident: $value:expr;)*) => {
            vec![$((concat!("`", stringify!($name), "`"), { use limits::$name; $value })),*]
        };
    }
    let known = all! {
        HEAD_BYTES_MAX: bytes(whole(HEAD_BYTES_MAX));
        REQUEST_LINE_BYTES_MAX: bytes(whole(REQUEST_LINE_BYTES_MAX));
        HEADER_LINES_MAX: count(whole(HEADER_LINES_MAX));
        HEAD_TIMEOUT: seconds(HEAD_TIMEOUT);
        PROXY_HEADER_BYTES_MAX: bytes(whole(PROXY_HEADER_BYTES_MAX));
        IDLE_TIMEOUT: seconds(IDLE_TIMEOUT);
        STALL_TIMEOUT: seconds(STALL_TIMEOUT);
        SEND_RATE_MIN: format!("{SEND_RATE_MIN} B/s");
        LINGER_TIMEOUT: seconds(LINGER_TIMEOUT);
        LINGER_BYTES_MAX: bytes(LINGER_BYTES_MAX);
        DRAINED_BODY_BYTES_MAX: bytes(DRAINED_BODY_BYTES_MAX);
        RANGES_MAX: count(whole(RANGES_MAX));
        LISTING_ENTRIES_MAX: count(whole(LISTING_ENTRIES_MAX));
        LISTINGS_BYTES_MAX: bytes(whole(LISTINGS_BYTES_MAX));
        CACHED_FILE_BYTES_MAX: bytes(CACHED_FILE_BYTES_MAX);
        CACHE_BYTES_MAX: bytes(whole(CACHE_BYTES_MAX));
        CACHE_DESCRIPTORS_MAX: count(whole(CACHE_DESCRIPTORS_MAX));
        GRACE: seconds(GRACE);
        DRAIN_DELAY: seconds(DRAIN_DELAY);
        DRIVE_BYTES_MAX: bytes(whole(DRIVE_BYTES_MAX));
        LOG_PENDING_BYTES_MAX: bytes(whole(LOG_PENDING_BYTES_MAX));
    };
    let written = table(
        &document("README.md"),
        "| What | Limit | Option | In `limits.rs` |",
    );
    let options = described(&help("serve"));
    for row in &written {
        let [_, limit, option, name] = row.as_slice() else {
            panic!("four cells: {row:?}");
        };
        let (_, value) = known
            .iter()
            .find(|(known, _)| known == name)
            .unwrap_or_else(|| panic!("this test does not know {name}"));
        assert_eq!(limit, value, "{name}");
        let long = option.trim_matches('`');
        if long.is_empty() {
            continue;
        }
        let default = options
            .iter()
            .find(|o| o.spelling.split([' ', ',']).any(|word| word == long))
            .map(|o| o.default.as_str());
        assert_eq!(default, Some(as_option(limit).as_str()), "{long}");
    }
    let names: BTreeSet<&str> = written.iter().map(|row| row[3].as_str()).collect();
    assert_eq!(names, known.iter().map(|(name, _)| *name).collect());
    let text = document("README.md");
    let reserved = format!(
        "keeps {} back (`DESCRIPTORS_RESERVED`)",
        limits::DESCRIPTORS_RESERVED
    );
    assert!(one_line(&text).contains(&reserved), "{reserved}");
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
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
    let (_, rest) = text.split_once("\n## Code map\n").expect("a map");
    let (map, _) = rest.split_once("\n## ").expect("something follows it");
    let mut areas: Vec<(&str, &str)> = Vec::new();
    for paragraph in map.split("\n\n") {
        if let Some((names, _)) = paragraph
            .trim()
            .strip_prefix("**")
            .and_then(|p| p.split_once("**"))
        {
            areas.push((names, paragraph));
        }
    }
    let mut missing = Vec::new();
    let mut pending = vec![repository("src")];
    while let Some(folder) = pending.pop() {
        for entry in std::fs::read_dir(folder).expect("source can be read") {
            let path = entry.expect("an entry").path();
            let relative = path.strip_prefix(repository("src")).expect("below src");
            let relative = relative.to_string_lossy().into_owned();
            if path.is_dir() {
                pending.push(path);
                continue;
            }
            let name = relative.rsplit('/').next().unwrap_or_default();
            let is_test = name == "tests.rs" || relative.contains("/tests/");
            if !name.ends_with(".rs") || name == "mod.rs" || is_test {
                continue;
            }
            let area = relative.split_once('/').map_or(name, |(area, _)| area);
            let described = areas.iter().find(|(names, _)| {
                names.contains(&format!("`{area}/`")) || names.contains(&format!("`{area}`"))
            });
            let Some((_, words)) = described else {
                missing.push(relative);
                continue;
            };
            // Named itself, or by the folder that it belongs to.
            let folder_is_named = relative
                .split('/')
                .rev()
                .skip(1)
                .take_while(|folder| *folder != area)
                .any(|folder| words.contains(&format!("`{folder}/`")));
            let is_named = [format!("`{name}`"), format!("/{name}`")]
                .iter()
                .any(|written| words.contains(written));
            if !is_named && !folder_is_named {
                missing.push(relative);
            }
        }
    }
    missing.sort();
    assert!(
        missing.is_empty(),
        "the code map does not name {missing:#?}"
    );
    for word in map.split('`').skip(1).step_by(2) {
        let Some(stem) = word.strip_suffix(".rs") else {
            continue;
        };
        assert!(
            is_there(stem),
            "the code map names {word}, which is not there"
        );
    }
}

/// Whether some file of the program is called like this; a path is looked for as it stands.
fn is_there(stem: &str) -> bool {
    let wanted = format!("/{stem}.rs");
    let mut pending = vec![repository("src"), repository("tests")];
    while let Some(folder) = pending.pop() {
        for entry in std::fs::read_dir(folder).expect("source can be read") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                pending.push(path);
            } else if path.to_string_lossy().ends_with(&wanted) {
                return true;
            }
        }
    }
    false
}

#[test]
fn the_architecture_can_be_read_at_one_sitting() {
    let lines = document("ARCHITECTURE.md").lines().count();
    assert!(lines <= ARCHITECTURE_LINES_MAX, "{lines} lines");
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
