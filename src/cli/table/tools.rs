//! The tools: `explain`, `precompress`.
//!
//! What lives here: rows of the table. They may not know what an option does.
//! Invariant: the default shown is the one in force (a test holds it).
//! Read next: the parent, `table.rs`.

use super::{Id, Repeat, Row, Value, Verb, VerbRow, Words};

pub(super) const EXPLAIN: VerbRow = VerbRow {
    verb: Verb::Explain,
    name: "explain",
    usage: &["explain [OPTIONS] URL"],
    words: Words {
        least: 1,
        most: 1,
        names: "URL",
        value: Value::Text("URL"),
    },
    summary: "Say why a request gets its answer",
    about: &[
        "Prints how idler would answer a request for URL, or for a path: decoding, file, encoding, \
         conditions, range, headers. Nothing is sent.",
    ],
    examples: &[(
        "idler explain --root site -H 'Range: bytes=0-99' /video.mp4",
        "a range, step by step",
    )],
};

pub(super) const PRECOMPRESS: VerbRow = VerbRow {
    verb: Verb::Precompress,
    name: "precompress",
    usage: &["precompress [OPTIONS] [PATH]"],
    words: Words {
        least: 0,
        most: 1,
        names: "[PATH]",
        value: Value::File("PATH"),
    },
    summary: "Write .br, .zst and .gz siblings",
    about: &[
        "Writes compressed siblings of the files beneath PATH, or this directory, which serve then \
         sends to those who accept them. Fresh ones are skipped; only what is smaller is kept.",
        "An idler built without its cargo feature precompress writes .gz alone; those it serves it does \
         not have to make.",
    ],
    examples: &[("idler precompress site", "after each build")],
};

pub(super) const OPTIONS: &[Row] = &[
    Row {
        id: Id::Root,
        verbs: &[Verb::Explain],
        group: "What it serves",
        long: "root",
        value: Value::File("DIR"),
        default: ".",
        help: "The directory that is served",
        ..Row::PLAIN
    },
    Row {
        id: Id::HeadOnly,
        verbs: &[Verb::Explain],
        group: "What is asked",
        long: "head",
        short: Some('I'),
        help: "Ask with HEAD: for the head alone",
        ..Row::PLAIN
    },
    Row {
        id: Id::RequestHeader,
        verbs: &[Verb::Explain],
        group: "What is asked",
        long: "header",
        short: Some('H'),
        value: Value::Text("'NAME: VALUE'"),
        repeat: Repeat::EachLine,
        help: "Send this header line with the request",
        more: "Not taken from the environment, where IDLER_HEADER is for replies.",
        ..Row::PLAIN
    },
    Row {
        id: Id::Quiet,
        verbs: &[Verb::Precompress],
        group: "What it says",
        long: "quiet",
        short: Some('q'),
        help: "No progress",
        more: "There is none anyway unless standard error is a terminal.",
        ..Row::PLAIN
    },
];
