//! The pages that `--help` prints.
//!
//! The overview fits a screen of 24 lines; the page of a verb is complete. Invariant: no line is
//! longer than [`WIDTH`] (a test holds it).

use super::table::{Form, Row, Verb};
use super::{VERBS, VERSION};

/// Characters of the longest line.
const WIDTH: usize = 79;

/// idler in half a line.
pub(crate) const TITLE: &str = "a static-file HTTP server on one thread";

/// The page of `idler --help`.
pub(crate) fn overview() -> String {
    let mut out = format!("{VERSION}: {TITLE}\n\n");
    out.push_str("Usage: idler [OPTIONS] [PATH]        Serve PATH, or this directory\n");
    out.push_str("       idler VERB [OPTIONS] …\n\nVerbs:\n");
    // A server and its client share a line.
    for verb in VERBS.iter().filter(|verb| !verb.name.ends_with("-client")) {
        let client = if verb.name.ends_with("-server") {
            ", -client"
        } else {
            ""
        };
        let name = format!("{}{client}", verb.name);
        out.push_str(&format!("  {name:<28} {}\n", verb.summary));
    }
    out.push_str("\nOptions (idler serve --help lists all):\n");
    for row in VERBS[0].rows().filter(|row| row.in_overview) {
        out.push_str(&format!("  {:<28} {}\n", row.shown(), row.help()));
    }
    out
}

/// The page of `idler VERB --help`.
pub(crate) fn of(verb: &Verb) -> String {
    let mut out = String::new();
    for (number, usage) in verb.usage.iter().enumerate() {
        let label = if number == 0 { "Usage:" } else { "" };
        out.push_str(&format!("{label:<6} idler {usage}\n"));
    }
    for paragraph in verb.about {
        out.push('\n');
        wrap(&mut out, paragraph, 0);
    }
    for (heading, rows) in verb.groups() {
        out.push_str(&format!("\n{heading}:\n"));
        for row in rows {
            out.push_str(&format!("  {}\n", row.shown()));
            wrap(&mut out, &row.paragraph(), 10);
        }
    }
    out.push_str("\nExamples:\n");
    for (command, purpose) in verb.examples() {
        out.push_str(&format!("  {command}\n"));
        wrap(&mut out, purpose, 6);
    }
    let has_variable = |row: &Row| row.variable().is_some();
    let is_measured = |row: &Row| {
        let unit = row.placeholder();
        row.form() == Form::Text && (unit.starts_with("TIME") || unit == "SIZE")
    };
    if verb.rows().any(has_variable) {
        out.push('\n');
        wrap(&mut out, ENVIRONMENT, 0);
    }
    if verb.rows().any(is_measured) {
        out.push('\n');
        wrap(&mut out, VALUES, 0);
    }
    out
}

/// What holds for the variables of all options.
pub(crate) const ENVIRONMENT: &str = "Each option can be set in the environment as well: \
     --log-format as IDLER_LOG_FORMAT. An option beats its variable; --NAME=no takes back a \
     switch. Options that may be given several times take values separated by blanks there, or \
     lines where values may contain blanks (IDLER_HEADER).";

/// What holds for the values of all options.
pub(crate) const VALUES: &str = "TIME is a number with ms, s, m or h, or a number of seconds. \
     SIZE is a number of bytes, or one with K, M or G (powers of 1,024).";

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
