//! The manual page, as roff for man(7).
//!
//! One page for all verbs. Invariant: what the rows say is text, never a request to roff (`text`
//! escapes it).

use super::table::{Form, Verb};
use super::{VERBS, VERSION, help};

/// The page of `idler man`.
pub(crate) fn page() -> String {
    let mut out = format!(".TH IDLER 1 \"\" \"{VERSION}\" \"User Commands\"\n");
    out.push_str(".SH NAME\n");
    out.push_str(&format!("idler \\- {}\n", text(help::TITLE)));
    out.push_str(".SH SYNOPSIS\n");
    for verb in VERBS {
        for usage in verb.usage {
            out.push_str(&format!(".B idler\n{}\n.br\n", text(usage)));
        }
    }
    for verb in VERBS {
        section(&mut out, verb);
    }
    for (heading, paragraph, entries) in SECTIONS {
        out.push_str(&format!(".SH {heading}\n"));
        if !paragraph.is_empty() {
            out.push_str(&format!("{}\n", text(paragraph)));
        }
        for (name, meaning) in entries.iter().filter_map(|entry| entry.split_once("  ")) {
            tagged(&mut out, &format!("\\fB{}\\fR", text(name)), meaning);
        }
    }
    out
}

/// What holds for all verbs: a heading, a paragraph, and entries whose names end at two blanks.
const SECTIONS: &[(&str, &str, &[&str])] = &[
    ("VALUES", help::VALUES, &[]),
    ("ENVIRONMENT", help::ENVIRONMENT, VARIABLES),
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

/// What the exit codes of all verbs mean.
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

fn section(out: &mut String, verb: &Verb) {
    out.push_str(&format!(".SH IDLER {}\n", text(&verb.name.to_uppercase())));
    for paragraph in verb.about {
        out.push_str(&format!("{}\n.PP\n", text(paragraph)));
    }
    for (heading, rows) in verb.groups() {
        out.push_str(&format!(".SS {}\n", text(heading)));
        for row in rows {
            let short = row.short().map(|short| format!("\\fB\\-{short}\\fR, "));
            let mut tag = short.unwrap_or_default();
            tag.push_str(&format!("\\fB\\-\\-{}\\fR", text(row.long())));
            if row.form() != Form::Switch {
                tag.push_str(&format!(" \\fI{}\\fR", text(row.placeholder())));
            }
            tagged(out, &tag, &row.paragraph());
        }
    }
    out.push_str(".SS Examples\n");
    for (command, purpose) in verb.examples() {
        tagged(out, &format!("\\fB{}\\fR", text(command)), purpose);
    }
}

/// A paragraph under a tag that is roff already.
fn tagged(out: &mut String, tag: &str, paragraph: &str) {
    out.push_str(&format!(".TP\n{tag}\n{}\n", text(paragraph)));
}

/// Text that roff prints as it stands: hyphens that can be typed, no escapes, no requests.
fn text(plain: &str) -> String {
    let start = if plain.starts_with(['.', '\'']) {
        "\\&"
    } else {
        ""
    };
    let mut out = start.to_owned();
    for char in plain.chars() {
        match char {
            '\\' => out.push_str("\\e"),
            '-' => out.push_str("\\-"),
            '\'' => out.push_str("\\(aq"),
            '`' => out.push_str("\\(ga"),
            '^' => out.push_str("\\(ha"),
            '~' => out.push_str("\\(ti"),
            '…' => out.push_str("..."),
            other => out.push(other),
        }
    }
    out
}
