//! The one table of verbs and options.
//!
//! What lives here: each verb and each option, defined once. The parser, the help, the manual page
//! and the completions are all read from it. It may not know what an option does: `Id` is a name.
//! Invariant: no verb has two options of one spelling, every default shown is the one in force, and
//! every option does something (tests hold all three).
//! Read next: `parse.rs`.

/// What idler can be asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    Serve,
    Completions,
    Man,
}

/// One verb, and how it is described.
pub(crate) struct VerbRow {
    pub(crate) verb: Verb,
    pub(crate) name: &'static str,
    /// What may follow the program's name, one form a line.
    pub(crate) usage: &'static [&'static str],
    /// The words that are not options.
    pub(crate) words: Words,
    /// One line for the list of verbs, at most 48 characters.
    pub(crate) summary: &'static str,
    /// Paragraphs.
    pub(crate) about: &'static [&'static str],
    /// A command and what it is for.
    pub(crate) examples: &'static [(&'static str, &'static str)],
}

/// The words of a verb that are not options: how many, and what completes them.
pub(crate) struct Words {
    pub(crate) least: usize,
    pub(crate) most: usize,
    /// As in the usage line, for messages.
    pub(crate) names: &'static str,
    pub(crate) value: Value,
}

/// What an option or a word takes.
#[derive(Clone, Copy)]
pub(crate) enum Value {
    /// Nothing: a switch.
    Nothing,
    /// Text that no shell can complete, under this placeholder.
    Text(&'static str),
    /// The name of a file, or what else the placeholder says.
    File(&'static str),
    /// One of a few words.
    OneOf(&'static [&'static str]),
}

impl Value {
    /// As help shows it after the option; nothing for a switch.
    pub(crate) fn placeholder(self) -> String {
        match self {
            Self::Nothing => String::new(),
            Self::Text(name) | Self::File(name) => name.to_owned(),
            Self::OneOf(words) => words.join("|"),
        }
    }
}

/// How often an option may be given.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Repeat {
    /// The last one counts, so that an alias can be overridden.
    Last,
    /// Each adds one; in the environment, a number.
    Count,
    /// Each adds a value; in the environment, values are separated by blanks.
    Each,
    /// Each adds a value; in the environment, values are lines, since they contain blanks.
    EachLine,
}

/// Names an option, whatever verb it belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Id {
    Port,
    Bind,
    Index,
    NoListing,
    Hidden,
    Header,
    Type,
    MaxConnections,
    MaxHead,
    HeadTimeout,
    IdleTimeout,
    StallTimeout,
    Grace,
    DrainDelay,
    CacheMemory,
    AccessLog,
    LogFormat,
    Quiet,
    Verbose,
    Color,
    Check,
    Help,
    Version,
}

/// One option, and how it is described.
pub(crate) struct Row {
    pub(crate) id: Id,
    pub(crate) verbs: &'static [Verb],
    /// The heading it stands under in help.
    pub(crate) group: &'static str,
    /// Without its dashes.
    pub(crate) long: &'static str,
    pub(crate) short: Option<char>,
    pub(crate) value: Value,
    /// The default as it could be typed; empty where there is none.
    pub(crate) default: &'static str,
    pub(crate) repeat: Repeat,
    /// Whether it is shown by `idler --help` as well.
    pub(crate) common: bool,
    /// One line, at most 60 characters.
    pub(crate) help: &'static str,
    /// What the one line leaves open; may be empty.
    pub(crate) more: &'static str,
}

impl Row {
    /// `IDLER_MAX_HEAD` for `--max-head`; none for the options that only ask for a page.
    pub(crate) fn environment(&self) -> Option<String> {
        if matches!(self.id, Id::Help | Id::Version) {
            return None;
        }
        let name = self.long.replace('-', "_").to_ascii_uppercase();
        Some(format!("IDLER_{name}"))
    }

    /// `-p, --port N`, as help shows it.
    pub(crate) fn spelling(&self) -> String {
        let mut out = match self.short {
            Some(short) => format!("-{short}, --{}", self.long),
            None => format!("    --{}", self.long),
        };
        let placeholder = self.value.placeholder();
        if !placeholder.is_empty() {
            out.push(' ');
            out.push_str(&placeholder);
        }
        out
    }
}

/// The options of a verb, in the order of the table.
pub(crate) fn options(verb: Verb) -> impl Iterator<Item = &'static Row> {
    OPTIONS.iter().filter(move |row| row.verbs.contains(&verb))
}

/// The row of a verb.
pub(crate) fn verb(verb: Verb) -> &'static VerbRow {
    let found = VERBS.iter().find(|row| row.verb == verb);
    // A test finds a row for every verb; the first one is better than a panic.
    found.unwrap_or(&VERBS[0])
}

const SERVE: &[Verb] = &[Verb::Serve];
const EVERY: &[Verb] = &[Verb::Serve, Verb::Completions, Verb::Man];

const WHERE: &str = "Where it listens";
const WHAT: &str = "What it serves";
const LIMITS: &str = "Limits and time";
const LOGS: &str = "What it says";
const OTHER: &str = "Other";

/// Every verb; the first is meant when none is named.
pub(crate) const VERBS: &[VerbRow] = &[
    VerbRow {
        verb: Verb::Serve,
        name: "serve",
        usage: &["[OPTIONS] [PATH]", "serve [OPTIONS] [PATH]"],
        words: Words {
            least: 0,
            most: 1,
            names: "[PATH]",
            value: Value::File("PATH"),
        },
        summary: "Serve a directory or a file over HTTP",
        about: &[
            "Serves the directory PATH over HTTP/1.1, or PATH itself if it is a file; without PATH, \
             the current directory. One thread does everything.",
            "The URLs are printed on standard error once idler really listens; standard output has \
             the access log alone. SIGTERM and SIGINT stop it after the busy have finished, SIGHUP \
             opens the log file again.",
        ],
        examples: &[
            ("idler", "this directory, for this machine alone"),
            ("idler -b 0.0.0.0 -b :: site", "share with the network"),
            (
                "idler serve -p 0 get",
                "a directory named like a verb, any free port",
            ),
            (
                "idler -H 'Cache-Control: max-age=60' site",
                "a header on every reply",
            ),
            ("idler --access-log off -v site", "only why connections end"),
        ],
    },
    VerbRow {
        verb: Verb::Completions,
        name: "completions",
        usage: &["completions SHELL"],
        words: Words {
            least: 1,
            most: 1,
            names: "SHELL",
            value: Value::OneOf(&["bash", "zsh", "fish"]),
        },
        summary: "Print completions for bash, zsh or fish",
        about: &["Prints a script that completes idler's verbs and options in SHELL."],
        examples: &[
            (
                "idler completions bash > ~/.local/share/bash-completion/completions/idler",
                "bash",
            ),
            ("idler completions zsh > \"${fpath[1]}/_idler\"", "zsh"),
            (
                "idler completions fish > ~/.config/fish/completions/idler.fish",
                "fish",
            ),
        ],
    },
    VerbRow {
        verb: Verb::Man,
        name: "man",
        usage: &["man"],
        words: Words {
            least: 0,
            most: 0,
            names: "",
            value: Value::Nothing,
        },
        summary: "Print the manual page",
        about: &["Prints the manual page, as roff."],
        examples: &[("idler man > idler.1 && man ./idler.1", "read it")],
    },
];

/// Every option.
pub(crate) const OPTIONS: &[Row] = &[
    Row {
        id: Id::Port,
        verbs: SERVE,
        group: WHERE,
        long: "port",
        short: Some('p'),
        value: Value::Text("N"),
        default: "8080",
        repeat: Repeat::Last,
        common: true,
        help: "Listen on this port; 0 takes any free one",
        more: "The start-up lines say which one it is. A port that is in use or needs privileges is \
               an error, never another port.",
    },
    Row {
        id: Id::Bind,
        verbs: SERVE,
        group: WHERE,
        long: "bind",
        short: Some('b'),
        value: Value::Text("ADDR"),
        default: "localhost",
        repeat: Repeat::Each,
        common: true,
        help: "Listen on this address; 0.0.0.0 and :: share",
        more: "An IPv4 or IPv6 address, with :PORT or without ([::1]:8081); localhost for both \
               loopback addresses; or unix:/path, with permissions or without \
               (unix:/run/idler.sock,0660).",
    },
    Row {
        id: Id::Index,
        verbs: SERVE,
        group: WHAT,
        long: "index",
        short: Some('i'),
        value: Value::Text("NAME"),
        default: "index.html",
        repeat: Repeat::Each,
        common: false,
        help: "The file that stands for its directory",
        more: "Of several, the first one that exists is served.",
    },
    Row {
        id: Id::NoListing,
        verbs: SERVE,
        group: WHAT,
        long: "no-listing",
        short: None,
        value: Value::Nothing,
        default: "",
        repeat: Repeat::Last,
        common: false,
        help: "Do not list directories that have no index",
        more: "They are answered with 404.",
    },
    Row {
        id: Id::Hidden,
        verbs: SERVE,
        group: WHAT,
        long: "hidden",
        short: None,
        value: Value::Nothing,
        default: "",
        repeat: Repeat::Last,
        common: false,
        help: "Serve and list names that begin with a dot",
        more: "Without it they are answered with 404, all but .well-known.",
    },
    Row {
        id: Id::Header,
        verbs: SERVE,
        group: WHAT,
        long: "header",
        short: Some('H'),
        value: Value::Text("'NAME: VALUE'"),
        default: "",
        repeat: Repeat::EachLine,
        common: false,
        help: "Send this header line with every reply",
        more: "Lines that idler alone can get right, such as Content-Length, Connection or Date, are \
               refused.",
    },
    Row {
        id: Id::Type,
        verbs: SERVE,
        group: WHAT,
        long: "type",
        short: None,
        value: Value::Text(".EXT=TYPE"),
        default: "",
        repeat: Repeat::EachLine,
        common: false,
        help: "The media type of files with this extension",
        more: "For instance .wasm=application/wasm. It wins over idler's own table.",
    },
    Row {
        id: Id::MaxConnections,
        verbs: SERVE,
        group: LIMITS,
        long: "max-connections",
        short: None,
        value: Value::Text("N"),
        default: "auto",
        repeat: Repeat::Last,
        common: false,
        help: "Hold at most this many connections",
        more: "auto: as many as the descriptor limit allows. When all are taken, an idle one makes \
               room; if none is idle, the newcomer gets 503.",
    },
    Row {
        id: Id::MaxHead,
        verbs: SERVE,
        group: LIMITS,
        long: "max-head",
        short: None,
        value: Value::Text("SIZE"),
        default: "16K",
        repeat: Repeat::Last,
        common: false,
        help: "The longest request head; a longer one gets 431",
        more: "From 1K to 1M.",
    },
    Row {
        id: Id::HeadTimeout,
        verbs: SERVE,
        group: LIMITS,
        long: "head-timeout",
        short: None,
        value: Value::Text("TIME"),
        default: "10s",
        repeat: Repeat::Last,
        common: false,
        help: "How long a request head may take to arrive",
        more: "Counted from its first byte and never extended; then 408.",
    },
    Row {
        id: Id::IdleTimeout,
        verbs: SERVE,
        group: LIMITS,
        long: "idle-timeout",
        short: None,
        value: Value::Text("TIME"),
        default: "60s",
        repeat: Repeat::Last,
        common: false,
        help: "How long a connection may be idle",
        more: "Between requests, and before the first.",
    },
    Row {
        id: Id::StallTimeout,
        verbs: SERVE,
        group: LIMITS,
        long: "stall-timeout",
        short: None,
        value: Value::Text("TIME"),
        default: "60s",
        repeat: Repeat::Last,
        common: false,
        help: "How long a reply may make no progress",
        more: "A reader that takes nothing, or next to nothing, for so long is given up.",
    },
    Row {
        id: Id::Grace,
        verbs: SERVE,
        group: LIMITS,
        long: "grace",
        short: None,
        value: Value::Text("TIME"),
        default: "10s",
        repeat: Repeat::Last,
        common: false,
        help: "How long the busy may finish after a signal to stop",
        more: "A second signal ends the wait.",
    },
    Row {
        id: Id::DrainDelay,
        verbs: SERVE,
        group: LIMITS,
        long: "drain-delay",
        short: None,
        value: Value::Text("TIME"),
        default: "0s",
        repeat: Repeat::Last,
        common: false,
        help: "How long to go on accepting after a signal to stop",
        more: "For load balancers, which need time to notice. Every reply says Connection: close \
               meanwhile.",
    },
    Row {
        id: Id::CacheMemory,
        verbs: SERVE,
        group: LIMITS,
        long: "cache-memory",
        short: None,
        value: Value::Text("SIZE"),
        default: "64M",
        repeat: Repeat::Last,
        common: false,
        help: "Keep at most this much of small files in memory",
        more: "What is kept is never older than the files. 0 keeps nothing.",
    },
    Row {
        id: Id::AccessLog,
        verbs: SERVE,
        group: LOGS,
        long: "access-log",
        short: None,
        value: Value::File("FILE|-|off"),
        default: "-",
        repeat: Repeat::Last,
        common: true,
        help: "Where each reply leaves a line; - is stdout",
        more: "A file is appended to, and opened again on SIGHUP. Lines that its reader does not take in \
               time are dropped and counted.",
    },
    Row {
        id: Id::LogFormat,
        verbs: SERVE,
        group: LOGS,
        long: "log-format",
        short: None,
        value: Value::OneOf(&["combined", "json", "short"]),
        default: "combined",
        repeat: Repeat::Last,
        common: false,
        help: "The form of its lines",
        more: "",
    },
    Row {
        id: Id::Quiet,
        verbs: SERVE,
        group: LOGS,
        long: "quiet",
        short: Some('q'),
        value: Value::Nothing,
        default: "",
        repeat: Repeat::Last,
        common: false,
        help: "Say nothing on standard error but errors",
        more: "",
    },
    Row {
        id: Id::Verbose,
        verbs: SERVE,
        group: LOGS,
        long: "verbose",
        short: Some('v'),
        value: Value::Nothing,
        default: "",
        repeat: Repeat::Count,
        common: false,
        help: "Say why connections end; twice: every step",
        more: "RUST_LOG or IDLER_LOG choose more finely: RUST_LOG=idler=trace is the teaching view, \
               each line beginning with the key of its connection.",
    },
    Row {
        id: Id::Color,
        verbs: SERVE,
        group: LOGS,
        long: "color",
        short: None,
        value: Value::OneOf(&["auto", "always", "never"]),
        default: "auto",
        repeat: Repeat::Last,
        common: false,
        help: "Colours on standard error",
        more: "auto: on a terminal, unless NO_COLOR is set.",
    },
    Row {
        id: Id::Check,
        verbs: SERVE,
        group: OTHER,
        long: "check",
        short: None,
        value: Value::Nothing,
        default: "",
        repeat: Repeat::Last,
        common: false,
        help: "Check the settings, print them, and do not serve",
        more: "Each is printed with where it comes from: an option, the environment, or the default.",
    },
    Row {
        id: Id::Help,
        verbs: EVERY,
        group: OTHER,
        long: "help",
        short: Some('h'),
        value: Value::Nothing,
        default: "",
        repeat: Repeat::Last,
        common: true,
        help: "Print help; idler VERB --help says all of a verb",
        more: "",
    },
    Row {
        id: Id::Version,
        verbs: EVERY,
        group: OTHER,
        long: "version",
        short: Some('V'),
        value: Value::Nothing,
        default: "",
        repeat: Repeat::Last,
        common: false,
        help: "Print the version",
        more: "",
    },
];
