//! The pages that `--help` prints, and the manual page, as roff for man(7).
//!
//! The overview fits a screen of 24 lines; the page of a verb is complete. Invariants: no line of
//! help is longer than [`WIDTH`] (a test holds it), and what the rows say is text in the manual
//! page, never a request to roff ([`roff`] escapes it).

use super::table::{Row, Verb};
use super::{VERBS, VERSION};

/// Characters of the longest line.
const WIDTH: usize = 79;

/// idler in half a line.
const TITLE: &str = "a static-file HTTP server on one thread";

/// What holds for the variables of all options.
const ENVIRONMENT: &str = "Each option can be set in the environment as well: --log-format as \
     IDLER_LOG_FORMAT. An option beats its variable; --NAME=no takes back a switch. Options that \
     may be given several times take values separated by blanks there, or lines where values may \
     contain blanks (IDLER_HEADER).";

/// What holds for the values of all options.
const VALUES: &str = "TIME is a number with ms, s, m or h, or a number of seconds. SIZE is a \
     number of bytes, or one with K, M or G (powers of 1,024).";

/// The page of `idler --help`.
pub(crate) fn overview() -> String {
    let mut out = format!(
        "{VERSION}: {TITLE}\n\n\
         Usage: idler [OPTIONS] [PATH]        Serve PATH, or this directory\n       \
         idler VERB [OPTIONS] …\n\nVerbs:\n"
    );
    // A server and its client share a line.
    for verb in VERBS.iter().filter(|verb| !verb.name.ends_with("-client")) {
        let name = verb.name.replace("-server", "-server, -client");
        out += &format!("  {name:<28} {}\n", verb.summary);
    }
    out += "\nOptions (idler serve --help lists all):\n";
    for row in VERBS[0].rows().filter(|row| row.in_overview) {
        out += &format!("  {:<28} {}\n", row.shown(), row.help());
    }
    out
}

/// The page of `idler VERB --help`.
pub(crate) fn of(verb: &Verb) -> String {
    let mut out = format!("Usage: idler {}\n", verb.usage.join("\n       idler "));
    for paragraph in verb.about.split("\n\n") {
        out += &format!("\n{}", wrapped(paragraph, 0));
    }
    let mut last = "";
    for &(heading, rows) in verb.groups() {
        if heading != last {
            out += &format!("\n{heading}:\n");
            last = heading;
        }
        for row in rows {
            out += &format!("  {}\n{}", row.shown(), wrapped(&row.paragraph(), 10));
        }
    }
    out += "\nExamples:\n";
    for (command, purpose) in verb.examples() {
        out += &format!("  {command}\n{}", wrapped(purpose, 6));
    }
    let is_measured =
        |row: &Row| row.placeholder().starts_with("TIME") || row.placeholder() == "SIZE";
    if verb.rows().any(|row| !row.typed_only) {
        out += &format!("\n{}", wrapped(ENVIRONMENT, 0));
    }
    if verb.rows().any(is_measured) {
        out += &format!("\n{}", wrapped(VALUES, 0));
    }
    out
}

/// A paragraph, indented and broken at blanks.
fn wrapped(paragraph: &str, indent: usize) -> String {
    let mut out = String::new();
    let mut column = WIDTH;
    for word in paragraph.split_ascii_whitespace() {
        let length = word.chars().count();
        if column + 1 + length > WIDTH {
            out += &format!("\n{:indent$}{word}", "");
            column = indent + length;
        } else {
            out += &format!(" {word}");
            column += 1 + length;
        }
    }
    format!("{}\n", out.trim_start_matches('\n'))
}

/// The page of `idler man`, for all verbs.
pub(crate) fn manual() -> String {
    let mut out = format!(
        ".TH IDLER 1 \"\" \"{VERSION}\" \"User Commands\"\n.SH NAME\nidler \\- {}\n.SH SYNOPSIS\n",
        roff(TITLE)
    );
    for usage in VERBS.iter().flat_map(|verb| verb.usage) {
        out += &format!(".B idler\n{}\n.br\n", roff(usage));
    }
    for verb in VERBS {
        out += &format!(".SH IDLER {}\n", roff(&verb.name.to_uppercase()));
        for paragraph in verb.about.split("\n\n") {
            out += &format!("{}\n.PP\n", roff(paragraph));
        }
        let mut last = "";
        for &(heading, rows) in verb.groups() {
            if heading != last {
                out += &format!(".SS {}\n", roff(heading));
                last = heading;
            }
            for row in rows {
                let spellings = row.spellings().map(bold).collect::<Vec<_>>().join(", ");
                let value = match row.placeholder() {
                    "" => String::new(),
                    placeholder => format!(" \\fI{}\\fR", roff(placeholder)),
                };
                out += &tagged(&(spellings + &value), &row.paragraph());
            }
        }
        out += ".SS Examples\n";
        for (command, purpose) in verb.examples() {
            out += &tagged(&bold(command), purpose);
        }
    }
    for (heading, paragraph, entries) in SECTIONS {
        out += &format!(".SH {heading}\n");
        if !paragraph.is_empty() {
            out += &format!("{}\n", roff(paragraph));
        }
        for (name, meaning) in entries.iter().filter_map(|entry| entry.split_once("  ")) {
            out += &tagged(&bold(name), meaning);
        }
    }
    out
}

/// What holds for all verbs: a heading, a paragraph, and entries whose names end at two blanks.
const SECTIONS: &[(&str, &str, &[&str])] = &[
    ("VALUES", VALUES, &[]),
    ("ENVIRONMENT", ENVIRONMENT, VARIABLES),
    ("EXIT STATUS", "", EXIT_CODES),
    ("SIGNALS", "", SIGNALS),
];

/// Variables that are no options.
const VARIABLES: &[&str] = &[
    "RUST_LOG, IDLER_LOG  What is logged on standard error: error, warn, info, debug, trace, or \
     idler=LEVEL.",
    "NO_COLOR  If it is set and not empty, no colours.",
    "CLICOLOR_FORCE  If it is set and neither empty nor 0, colours also where there is no \
     terminal. NO_COLOR goes before it.",
];

const EXIT_CODES: &[&str] = &[
    "0  All went well; a server was stopped by a signal and everybody was served.",
    "1  It failed; one line on standard error says why.",
    "2  The command line was not understood; one line on standard error says why.",
];

/// What a running server does on signals.
const SIGNALS: &[&str] = &[
    "SIGTERM, SIGINT  Stop: no more newcomers, the idle are sent away, the busy may finish. A \
     second one stops at once.",
    "SIGHUP  Open the log file again, and read again the files of --redirects and --auth; a bad \
     one is refused.",
];

fn bold(plain: &str) -> String {
    format!("\\fB{}\\fR", roff(plain))
}

/// A paragraph under a tag that is roff already.
fn tagged(tag: &str, paragraph: &str) -> String {
    format!(".TP\n{tag}\n{}\n", roff(paragraph))
}

/// Text that roff prints as it stands: hyphens that can be typed, no escapes, no requests.
fn roff(plain: &str) -> String {
    let is_request = plain.starts_with(['.', '\'']);
    let mut out = if is_request { "\\&" } else { "" }.to_owned();
    for char in plain.chars() {
        match char {
            '\\' => out += "\\e",
            '-' => out += "\\-",
            '\'' => out += "\\(aq",
            '`' => out += "\\(ga",
            '^' => out += "\\(ha",
            '~' => out += "\\(ti",
            '…' => out += "...",
            other => out.push(other),
        }
    }
    out
}
