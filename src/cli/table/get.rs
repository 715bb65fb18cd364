//! `get` and its options.
//!
//! What lives here: rows of the table. They may not know what an option does. Letters are those of curl
//! where it has the option, since hands know them.
//! Invariant: the default shown is the one of `limits.rs` (a test holds it).
//! Read next: the parent, `table.rs`.

use super::{Id, Repeat, Row, Value, Verb, VerbRow, Words};

pub(super) const VERB: VerbRow = VerbRow {
    verb: Verb::Get,
    name: "get",
    usage: &["get [OPTIONS] URL", "get [OPTIONS] HOST PORT FILE"],
    words: Words {
        least: 1,
        most: 3,
        names: "URL",
        value: Value::Text("URL"),
    },
    summary: "Fetch a file over HTTP, and see how",
    about: &[
        "Fetches URL and writes its body to standard output. HOST PORT FILE is the form of the \
         textbooks; FILE gets its leading slash. http:// may be left out.",
        "The exit code is 0 for 2xx, 3 for 3xx, 4 for 4xx, 5 for 5xx, and 1 for any failure, a body \
         cut short included.",
    ],
    examples: &[
        ("idler get localhost 8080 index.html", "the textbook's form"),
        (
            "idler get -v -o /dev/null http://localhost:8080/",
            "both heads, byte by byte",
        ),
        (
            "idler get -c -O http://localhost:8080/big.iso",
            "resume a download",
        ),
        (
            "idler get --chunk 1 --delay 200 http://localhost:8080/",
            "a slow client, five bytes a second",
        ),
    ],
};

const GET: Row = Row {
    verbs: &[Verb::Get],
    group: "What it does",
    ..Row::PLAIN
};

const LESSON: Row = Row {
    group: "What it shows and teaches",
    ..GET
};

const SAYS: &str = "What it says";

pub(super) const OPTIONS: &[Row] = &[
    Row {
        id: Id::Output,
        long: "output",
        short: Some('o'),
        value: Value::File("FILE"),
        help: "Write the body to FILE",
        ..GET
    },
    Row {
        id: Id::RemoteName,
        long: "remote-name",
        short: Some('O'),
        help: "Write the body to a file named as in the URL",
        ..GET
    },
    Row {
        id: Id::Resume,
        long: "continue",
        short: Some('c'),
        help: "Go on where a fetch with -c broke off (with -o or -O)",
        more: "What has come stands in FILE.part, and becomes FILE once it is whole. Of another version that the server has \
               by now, the whole is fetched.",
        ..GET
    },
    Row {
        id: Id::HeadOnly,
        verbs: &[Verb::Get, Verb::Explain],
        long: "head",
        short: Some('I'),
        help: "Ask with HEAD: for the head alone",
        ..GET
    },
    Row {
        id: Id::RequestHeader,
        verbs: &[Verb::Get, Verb::Explain],
        long: "header",
        short: Some('H'),
        value: Value::Text("'NAME: VALUE'"),
        repeat: Repeat::EachLine,
        help: "Send this header line with the request",
        more: "It replaces what would be sent under that name. Not taken from the environment, where \
               IDLER_HEADER is for replies.",
        ..GET
    },
    Row {
        id: Id::Follow,
        long: "location",
        short: Some('L'),
        help: "Follow redirects, a bounded number of them",
        ..GET
    },
    Row {
        id: Id::Timeout,
        long: "timeout",
        value: Value::Text("TIME"),
        default: "30s",
        help: "Give up when nothing happens for so long",
        ..GET
    },
    Row {
        id: Id::Include,
        long: "include",
        short: Some('i'),
        help: "Write the reply's head before its body",
        ..LESSON
    },
    Row {
        id: Id::Timing,
        long: "timing",
        short: Some('t'),
        help: "Say what took how long, and how many steps",
        more: "Time to resolve, to connect, to the first byte, and in all; reads, would-blocks and readiness \
               events.",
        ..LESSON
    },
    Row {
        id: Id::Keep,
        long: "keep",
        value: Value::Text("N"),
        default: "1",
        help: "Ask N times on one connection, one after the other",
        ..LESSON
    },
    Row {
        id: Id::Pipeline,
        long: "pipeline",
        value: Value::Text("N"),
        default: "1",
        help: "Ask N times on one connection, without waiting",
        ..LESSON
    },
    Row {
        id: Id::Chunk,
        long: "chunk",
        value: Value::Text("N"),
        help: "Send the request N bytes at a time",
        ..LESSON
    },
    Row {
        id: Id::Delay,
        long: "delay",
        value: Value::Text("MS"),
        default: "0",
        help: "Wait so many milliseconds between the pieces",
        more: "Durations such as 1s are understood as well. Without --chunk, pieces are single bytes.",
        ..LESSON
    },
    Row {
        id: Id::Quiet,
        group: SAYS,
        long: "quiet",
        short: Some('q'),
        help: "No progress bar",
        more: "There is none anyway unless standard error is a terminal.",
        ..GET
    },
    Row {
        id: Id::Verbose,
        group: SAYS,
        long: "verbose",
        short: Some('v'),
        repeat: Repeat::Count,
        help: "Show both heads; twice: every step",
        more: "Heads are shown exactly as sent and received, and what was wrong with a reply is said.",
        ..GET
    },
    Row {
        id: Id::Color,
        group: SAYS,
        long: "color",
        value: Value::OneOf(&["auto", "always", "never"]),
        default: "auto",
        help: "Colours on standard error",
        more: "auto: on a terminal, unless NO_COLOR is set; and everywhere if CLICOLOR_FORCE is.",
        ..GET
    },
];
