//! The companions: message, daytime, transfer, ping.
//!
//! What lives here: rows of the table. They may not know what an option does.
//! Invariant: the default shown is the one of `limits.rs` (a test holds it).
//! Read next: the parent, `table.rs`.

use super::{Id, Repeat, Row, Value, Verb, VerbRow, Words};

/// HOST and an optional PORT.
const PEER: Words = Words {
    least: 1,
    most: 2,
    names: "HOST [PORT]",
    value: Value::Text("HOST"),
};

const NONE: Words = Words {
    least: 0,
    most: 0,
    names: "",
    value: Value::Nothing,
};

pub(super) const VERBS: &[VerbRow] = &[
    VerbRow {
        verb: Verb::MessageServer,
        name: "message-server",
        usage: &["message-server [OPTIONS]"],
        words: NONE,
        summary: "A message and its answer over TCP",
        about: &["Prints each peer and the message it sent, answers, and closes."],
        examples: &[("idler message-server --answer No", "answer something else")],
    },
    VerbRow {
        verb: Verb::MessageClient,
        name: "message-client",
        usage: &["message-client [OPTIONS] HOST PORT [TEXT]"],
        words: Words {
            least: 2,
            most: 3,
            names: "HOST PORT [TEXT]",
            value: Value::Text("HOST"),
        },
        summary: "Send a message and print the answer",
        about: &["Sends TEXT, or \"can you hear me?\", and prints the answer."],
        examples: &[("idler message-client localhost 8000 hello", "say hello")],
    },
    VerbRow {
        verb: Verb::DaytimeServer,
        name: "daytime-server",
        usage: &["daytime-server [OPTIONS]"],
        words: NONE,
        summary: "Date and time (RFC 867)",
        about: &["Sends date and time, in this machine's zone, to whoever connects, and closes."],
        examples: &[("idler daytime-server --format iso", "a standard form")],
    },
    VerbRow {
        verb: Verb::DaytimeClient,
        name: "daytime-client",
        usage: &["daytime-client [OPTIONS] HOST [PORT]"],
        words: PEER,
        summary: "Print another machine's date and time",
        about: &["Prints the date and time that HOST sends; PORT is 1313 unless given."],
        examples: &[("idler daytime-client localhost", "on this machine")],
    },
    VerbRow {
        verb: Verb::TransferServer,
        name: "transfer-server",
        usage: &["transfer-server [OPTIONS] FILE…"],
        words: Words {
            least: 1,
            most: usize::MAX,
            names: "FILE…",
            value: Value::File("FILE"),
        },
        summary: "Files as JSON and base64",
        about: &[
            "Sends to each client that connects one JSON object with the name of FILE and its contents \
             in base64, and closes. Of several files, clients get each in turn.",
        ],
        examples: &[(
            "idler transfer-server song.mp3",
            "to whoever connects to port 5566",
        )],
    },
    VerbRow {
        verb: Verb::TransferClient,
        name: "transfer-client",
        usage: &["transfer-client [OPTIONS] HOST [PORT]"],
        words: PEER,
        summary: "Receive a file as JSON and base64",
        about: &[
            "Receives a file and writes it under the last component of its name; PORT is 5566 unless \
             given. Nothing is left behind unless all of it came.",
        ],
        examples: &[(
            "idler transfer-client localhost -o Downloads",
            "into another directory",
        )],
    },
    VerbRow {
        verb: Verb::PingServer,
        name: "ping-server",
        usage: &["ping-server [OPTIONS]"],
        words: NONE,
        summary: "UDP ping, with bad weather if asked for",
        about: &["Answers each datagram with its text in capitals."],
        examples: &[(
            "idler ping-server --loss 30% --delay 100ms+-50ms --seed 1",
            "a bad line, the same each time",
        )],
    },
    VerbRow {
        verb: Verb::PingClient,
        name: "ping-client",
        usage: &["ping-client [OPTIONS] HOST [PORT]"],
        words: PEER,
        summary: "Measure round trips over UDP",
        about: &[
            "Sends pings and prints a line for each, and at the end losses, round trip times and jitter; \
             PORT is 12000 unless given. Ctrl-C prints the figures so far. The exit code is 1 if no \
             reply came.",
        ],
        examples: &[(
            "idler ping-client -c 100 -i 0.2 localhost",
            "five a second, for 20 seconds",
        )],
    },
];

const SERVERS: &[Verb] = &[
    Verb::MessageServer,
    Verb::DaytimeServer,
    Verb::TransferServer,
    Verb::PingServer,
];

const WAITING: &[Verb] = &[
    Verb::MessageClient,
    Verb::DaytimeClient,
    Verb::TransferClient,
];

const ALL: &[Verb] = &[
    Verb::MessageServer,
    Verb::MessageClient,
    Verb::DaytimeServer,
    Verb::DaytimeClient,
    Verb::TransferServer,
    Verb::TransferClient,
    Verb::PingServer,
    Verb::PingClient,
];

const WHERE: &str = "Where it listens";
const WHAT: &str = "What it does";
const WEATHER: &str = "Bad weather";
const SAYS: &str = "What it says";

const LISTEN: Row = Row {
    id: Id::Port,
    group: WHERE,
    long: "port",
    short: Some('p'),
    value: Value::Text("N"),
    help: "Listen on this port; 0 takes any free one",
    ..Row::PLAIN
};

const PING_SERVER: Row = Row {
    verbs: &[Verb::PingServer],
    group: WEATHER,
    ..Row::PLAIN
};

const PING_CLIENT: Row = Row {
    verbs: &[Verb::PingClient],
    group: WHAT,
    ..Row::PLAIN
};

pub(super) const OPTIONS: &[Row] = &[
    Row {
        verbs: &[Verb::MessageServer],
        default: "8000",
        ..LISTEN
    },
    Row {
        verbs: &[Verb::DaytimeServer],
        default: "1313",
        more: "Many courses use 9999; RFC 867 has 13.",
        ..LISTEN
    },
    Row {
        verbs: &[Verb::TransferServer],
        default: "5566",
        ..LISTEN
    },
    Row {
        verbs: &[Verb::PingServer],
        default: "12000",
        ..LISTEN
    },
    Row {
        id: Id::Bind,
        verbs: SERVERS,
        group: WHERE,
        long: "bind",
        short: Some('b'),
        value: Value::Text("ADDR"),
        default: "localhost",
        repeat: Repeat::Each,
        help: "Listen on this address; 0.0.0.0 and :: share",
        more: "An IPv4 or IPv6 address, with :PORT or without; or localhost for both loopback addresses.",
        ..Row::PLAIN
    },
    // ---- message, daytime, transfer
    Row {
        id: Id::Answer,
        verbs: &[Verb::MessageServer],
        group: WHAT,
        long: "answer",
        value: Value::Text("TEXT"),
        default: "Yes",
        help: "What to answer",
        ..Row::PLAIN
    },
    Row {
        id: Id::Udp,
        verbs: &[Verb::DaytimeServer],
        group: WHAT,
        long: "udp",
        help: "Answer datagrams on the same UDP port as well",
        ..Row::PLAIN
    },
    Row {
        id: Id::Udp,
        verbs: &[Verb::DaytimeClient],
        group: WHAT,
        long: "udp",
        help: "Ask over UDP",
        ..Row::PLAIN
    },
    Row {
        id: Id::Format,
        verbs: &[Verb::DaytimeServer],
        group: WHAT,
        long: "format",
        value: Value::OneOf(&["datetime", "rfc867", "iso", "unix"]),
        default: "datetime",
        help: "The form of date and time",
        more: "datetime is 2023-04-19 17:04:30.293444; unix counts seconds since 1970.",
        ..Row::PLAIN
    },
    Row {
        id: Id::Output,
        verbs: &[Verb::TransferClient],
        group: WHAT,
        long: "output",
        short: Some('o'),
        value: Value::File("DIR"),
        default: ".",
        help: "Write the file into this directory",
        ..Row::PLAIN
    },
    Row {
        id: Id::Force,
        verbs: &[Verb::TransferClient],
        group: WHAT,
        long: "force",
        help: "Replace a file of the same name",
        ..Row::PLAIN
    },
    Row {
        id: Id::Timeout,
        verbs: WAITING,
        group: WHAT,
        long: "timeout",
        value: Value::Text("TIME"),
        default: "30s",
        help: "Give up when nothing happens for so long",
        ..Row::PLAIN
    },
    // ---- ping
    Row {
        id: Id::Count,
        long: "count",
        short: Some('c'),
        value: Value::Text("N"),
        group: WHAT,
        help: "Stop after N messages",
        ..PING_SERVER
    },
    Row {
        id: Id::Loss,
        long: "loss",
        value: Value::Text("SHARE"),
        default: "0%",
        help: "Do not answer this share of the messages",
        ..PING_SERVER
    },
    Row {
        id: Id::Delay,
        long: "delay",
        value: Value::Text("TIME[+-TIME]"),
        default: "0s",
        help: "Answer so much later",
        more: "100ms+-50ms: between 50 and 150 ms later.",
        ..PING_SERVER
    },
    Row {
        id: Id::Dup,
        long: "dup",
        value: Value::Text("SHARE"),
        default: "0%",
        help: "Answer this share twice",
        ..PING_SERVER
    },
    Row {
        id: Id::Reorder,
        long: "reorder",
        value: Value::Text("SHARE"),
        default: "0%",
        help: "Answer this share after the one that follows",
        ..PING_SERVER
    },
    Row {
        id: Id::Seed,
        long: "seed",
        value: Value::Text("N"),
        help: "The same weather each time",
        ..PING_SERVER
    },
    Row {
        id: Id::Count,
        long: "count",
        short: Some('c'),
        value: Value::Text("N"),
        default: "10",
        help: "Send N pings",
        ..PING_CLIENT
    },
    Row {
        id: Id::Interval,
        long: "interval",
        short: Some('i'),
        value: Value::Text("TIME"),
        default: "1s",
        help: "From one ping to the next",
        ..PING_CLIENT
    },
    Row {
        id: Id::Wait,
        long: "wait",
        short: Some('W'),
        value: Value::Text("TIME"),
        default: "1s",
        help: "Wait so long for each reply",
        more: "A later one is counted as late.",
        ..PING_CLIENT
    },
    Row {
        id: Id::Size,
        long: "size",
        short: Some('s'),
        value: Value::Text("N"),
        default: "0",
        help: "Fill each message up to N bytes",
        ..PING_CLIENT
    },
    Row {
        id: Id::Json,
        group: SAYS,
        long: "json",
        help: "Print the figures as one JSON object",
        ..PING_CLIENT
    },
    // ---- all
    Row {
        id: Id::Quiet,
        verbs: SERVERS,
        group: SAYS,
        long: "quiet",
        short: Some('q'),
        help: "Say nothing of who connects",
        ..Row::PLAIN
    },
    Row {
        id: Id::Quiet,
        verbs: &[Verb::TransferClient],
        group: SAYS,
        long: "quiet",
        short: Some('q'),
        help: "No progress bar",
        more: "There is none anyway unless standard error is a terminal.",
        ..Row::PLAIN
    },
    Row {
        id: Id::Verbose,
        verbs: ALL,
        group: SAYS,
        long: "verbose",
        short: Some('v'),
        repeat: Repeat::Count,
        help: "Say why connections end; twice: every step",
        ..Row::PLAIN
    },
    Row {
        id: Id::Color,
        verbs: ALL,
        group: SAYS,
        long: "color",
        value: Value::OneOf(&["auto", "always", "never"]),
        default: "auto",
        help: "Colours on standard error",
        more: "auto: on a terminal, unless NO_COLOR is set; and everywhere if CLICOLOR_FORCE is.",
        ..Row::PLAIN
    },
];
