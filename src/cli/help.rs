//! The pages that `--help` prints.
//!
//! What lives here: the overview, which fits a screen of 24 lines, and the page of a verb, which is
//! complete. It may not know any option by name: all comes from the table.
//! Invariant: no line is longer than [`WIDTH`] (a test holds it).
//! Read next: `man.rs`, the same as roff.

use super::{VERSION, table};
use table::{Row, Value, Verb, VerbRow};

/// Characters of the longest line.
const WIDTH: usize = 79;

/// idler in half a line.
pub(crate) const TITLE: &str = "a static-file HTTP server on one thread";

/// The page of `idler --help`.
pub(crate) fn overview() -> String {
    let mut out = format!("{VERSION}: {TITLE}\n\n");
    out.push_str("Usage: idler [OPTIONS] [PATH]        Serve PATH, or this directory\n");
    out.push_str("       idler VERB [OPTIONS] …\n\nVerbs:\n");
    for row in table::every_verb() {
        if let Some(name) = listed(row) {
            out.push_str(&format!("  {name:<28} {}\n", row.summary));
        }
    }
    out.push_str("\nOptions (idler serve --help lists all):\n");
    for row in table::every_option().filter(|row| row.common) {
        let spelling = row.spelling();
        out.push_str(&format!("  {spelling:<28} {}\n", row.help));
    }
    out
}

/// The verb's name in the overview, where a server and its client share a line.
fn listed(row: &VerbRow) -> Option<String> {
    if row.name.ends_with("-client") {
        return None;
    }
    match row.name.strip_suffix("-server") {
        Some(_) => Some(format!("{}, -client", row.name)),
        None => Some(row.name.to_owned()),
    }
}

/// The page of `idler VERB --help`.
pub(crate) fn of(verb: Verb) -> String {
    let row = table::verb(verb);
    let mut out = String::new();
    for (number, usage) in row.usage.iter().enumerate() {
        let label = if number == 0 { "Usage:" } else { "" };
        out.push_str(&format!("{label:<6} idler {usage}\n"));
    }
    for paragraph in row.about {
        out.push('\n');
        wrap(&mut out, paragraph, 0);
    }
    for (group, rows) in groups(verb) {
        out.push_str(&format!("\n{group}:\n"));
        for row in rows {
            option(&mut out, row);
        }
    }
    out.push_str("\nExamples:\n");
    for (command, purpose) in row.examples {
        out.push_str(&format!("  {command}\n"));
        wrap(&mut out, purpose, 6);
    }
    if table::options(verb).any(|row| row.environment().is_some()) {
        out.push('\n');
        wrap(&mut out, ENVIRONMENT, 0);
    }
    let measured = |row: &Row| matches!(row.value, Value::Text(name) if name.starts_with("TIME") || name == "SIZE");
    if table::options(verb).any(measured) {
        out.push('\n');
        wrap(&mut out, VALUES, 0);
    }
    out
}

/// What holds for the variables of all options.
pub(crate) const ENVIRONMENT: &str = "Each option can be set in the environment as well: --log-format as \
     IDLER_LOG_FORMAT. An option beats its variable; --NAME=no takes back a switch. Options that may \
     be given several times take values separated by blanks there, or lines where values \
     may contain blanks (IDLER_HEADER).";

/// What holds for the values of all options.
pub(crate) const VALUES: &str = "TIME is a number with ms, s, m or h, or a number of seconds. SIZE is a number of \
     bytes, or one with K, M or G (powers of 1,024).";

/// The exit codes of all verbs, and what they mean.
pub(crate) const EXIT: &[(&str, &str)] = &[
    (
        "0",
        "All went well; a server was stopped by a signal and everybody was served.",
    ),
    ("1", "It failed; one line on standard error says why."),
    (
        "2",
        "The command line was not understood; one line on standard error says why.",
    ),
];

/// The options of a verb under their headings, in the table's order.
pub(crate) fn groups(verb: Verb) -> Vec<(&'static str, Vec<&'static Row>)> {
    let mut groups: Vec<(&'static str, Vec<&'static Row>)> = Vec::new();
    for row in table::options(verb) {
        match groups.iter_mut().find(|(group, _)| *group == row.group) {
            Some((_, rows)) => rows.push(row),
            None => groups.push((row.group, vec![row])),
        }
    }
    groups
}

fn option(out: &mut String, row: &Row) {
    out.push_str(&format!("  {}\n", row.spelling()));
    wrap(out, &described(row), 10);
}

/// All that the table says of an option, as one paragraph.
pub(crate) fn described(row: &Row) -> String {
    let mut text = row.help.to_owned();
    if !row.default.is_empty() {
        text.push_str(&format!(" (default: {})", row.default));
    }
    text.push('.');
    if !row.more.is_empty() {
        text.push(' ');
        text.push_str(row.more);
    }
    if matches!(row.repeat, table::Repeat::Each | table::Repeat::EachLine) {
        text.push_str(" May be given several times.");
    }
    text
}

/// Appends a paragraph, indented and broken at blanks.
fn wrap(out: &mut String, paragraph: &str, indent: usize) {
    let mut column = 0;
    for word in paragraph.split_ascii_whitespace() {
        let length = word.chars().count();
        if column > 0 && column + 1 + length > WIDTH {
            out.push('\n');
            column = 0;
        }
        if column == 0 {
            out.extend(std::iter::repeat_n(' ', indent));
            column = indent;
        } else {
            out.push(' ');
            column += 1;
        }
        out.push_str(word);
        column += length;
    }
    out.push('\n');
}
