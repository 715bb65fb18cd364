//! The tools: `crowd`, `explain`, `precompress`, `password`.
//!
//! What lives here: rows of the table. They may not know what an option does.
//! Invariant: the default shown is the one of `limits.rs` (a test holds it).
//! Read next: the parent, `table.rs`.

use super::{Id, Repeat, Row, Value, Verb, VerbRow, Words};

pub(super) const VERBS: &[VerbRow] = &[
    VerbRow {
        verb: Verb::Crowd,
        name: "crowd",
        usage: &["crowd [OPTIONS] HOST PORT"],
        words: Words {
            least: 2,
            most: 2,
            names: "HOST PORT",
            value: Value::Text("HOST"),
        },
        summary: "Hold many idle or slow clients",
        about: &[
            "Opens many connections to any HTTP server, holds them as --mode says, and tells what became \
             of them: how many were refused, how many closed and after how long. Exit code 0: all stayed.",
            "A crowd can bring a server down. So it goes to this machine only (127.0.0.1, ::1), unless \
             --i-own-this-target says that the other one is yours.",
        ],
        examples: &[
            (
                "idler crowd -n 10000 localhost 8080",
                "ten thousand that say nothing",
            ),
            (
                "idler crowd --mode half-head --probe http://localhost:8080/ localhost 8080",
                "slow heads, and what an honest client feels meanwhile",
            ),
            (
                "idler crowd --mode slow-read --path /big.iso --drip 1s localhost 8080",
                "readers of 16 bytes a second",
            ),
        ],
    },
    VerbRow {
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
    },
    VerbRow {
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
            "An idler built without its cargo feature precompress writes .gz alone. It serves all three.",
        ],
        examples: &[("idler precompress site", "after each build")],
    },
    VerbRow {
        verb: Verb::Password,
        name: "password",
        usage: &["password USER"],
        words: Words {
            least: 1,
            most: 1,
            names: "USER",
            value: Value::Text("USER"),
        },
        summary: "Make a line for serve --auth FILE",
        about: &["Reads a password from standard input and prints USER and its hash."],
        examples: &[("idler password alice >> users", "one more user")],
    },
];

const CROWD: Row = Row {
    verbs: &[Verb::Crowd],
    group: "The crowd",
    ..Row::PLAIN
};

pub(super) const OPTIONS: &[Row] = &[
    Row {
        id: Id::Clients,
        long: "clients",
        short: Some('n'),
        value: Value::Text("N"),
        default: "1000",
        help: "How many connections; for churn, at most at once",
        ..CROWD
    },
    Row {
        id: Id::Mode,
        long: "mode",
        value: Value::OneOf(&["silent", "keep-alive", "half-head", "slow-read", "churn"]),
        default: "silent",
        help: "What each of them does",
        more: "silent: nothing. keep-alive: one request, then nothing. half-head: a head that never ends. \
               slow-read: asks, and reads 16 bytes now and then. churn: connects and leaves, again and again.",
        ..CROWD
    },
    Row {
        id: Id::Drip,
        long: "drip",
        value: Value::Text("TIME"),
        default: "10s",
        help: "Time between two bytes of a slow head or reader",
        ..CROWD
    },
    Row {
        id: Id::Duration,
        long: "duration",
        value: Value::Text("TIME"),
        default: "30s",
        help: "How long to hold them, once all are open",
        ..CROWD
    },
    Row {
        id: Id::Rate,
        long: "rate",
        value: Value::Text("N"),
        default: "1000",
        help: "How many to open in a second",
        ..CROWD
    },
    Row {
        id: Id::Path,
        long: "path",
        value: Value::Text("/PATH"),
        help: "What those ask for who ask",
        more: "Else they ask for /; churn asks for nothing. For slow-read, name a file of some megabytes: what \
               fits into the kernel's buffers is out of the server's hands at once.",
        ..CROWD
    },
    Row {
        id: Id::Probe,
        long: "probe",
        value: Value::Text("URL"),
        help: "Measure an honest client before and meanwhile",
        ..CROWD
    },
    Row {
        id: Id::OwnTarget,
        long: "i-own-this-target",
        help: "The target may be another machine, since it is yours",
        more: "Has to be typed each time: no variable sets it.",
        ..CROWD
    },
    Row {
        id: Id::Json,
        group: "What it says",
        long: "json",
        help: "Print the verdict as one JSON object",
        ..CROWD
    },
    Row {
        id: Id::Verbose,
        group: "What it says",
        long: "verbose",
        short: Some('v'),
        repeat: Repeat::Count,
        help: "Say why connections end; twice: every step",
        ..CROWD
    },
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
        id: Id::Quiet,
        group: "What it says",
        long: "quiet",
        short: Some('q'),
        help: "No progress",
        more: "Otherwise a terminal has a line that is redrawn, anything else a line every five seconds.",
        ..CROWD
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
    Row {
        id: Id::Color,
        verbs: &[Verb::Crowd],
        group: "What it says",
        long: "color",
        value: Value::OneOf(&["auto", "always", "never"]),
        default: "auto",
        help: "Colours on a terminal",
        more: "auto: unless NO_COLOR is set.",
        ..Row::PLAIN
    },
];
