//! The one table of verbs and options.
//!
//! What lives here: each verb and each option, defined once; by subject in `table/`.
//! The parser, the help, the manual page and the completions are all read from it. It may not know
//! what an option does: `Id` is a name.
//! Invariant: no verb has two options of one spelling, every default shown is the one in force, and
//! every option does something (tests hold all three).
//! Read next: `parse.rs`.

mod companions;
mod get;
mod serve;
mod tools;

/// What idler can be asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    Serve,
    Get,
    MessageServer,
    MessageClient,
    DaytimeServer,
    DaytimeClient,
    TransferServer,
    TransferClient,
    PingServer,
    PingClient,
    Crowd,
    Explain,
    Precompress,
    Password,
    Completions,
    Man,
}

impl Verb {
    const ALL: &[Self] = &[
        Self::Serve,
        Self::Get,
        Self::MessageServer,
        Self::MessageClient,
        Self::DaytimeServer,
        Self::DaytimeClient,
        Self::TransferServer,
        Self::TransferClient,
        Self::PingServer,
        Self::PingClient,
        Self::Crowd,
        Self::Explain,
        Self::Precompress,
        Self::Password,
        Self::Completions,
        Self::Man,
    ];
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

/// Names an option, whatever verb it belongs to. Different verbs may have different rows of one name;
/// one verb has one.
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
    Spa,
    CleanUrls,
    Cache,
    Cors,
    Host,
    Redirects,
    Auth,
    Allow,
    MaxPerAddress,
    ProxyFrom,
    ReusePort,
    Health,
    Status,
    StatusFrom,
    User,
    With,
    Output,
    RemoteName,
    Resume,
    HeadOnly,
    RequestHeader,
    Follow,
    Timeout,
    Include,
    Timing,
    Keep,
    Pipeline,
    Chunk,
    Delay,
    Answer,
    Udp,
    Format,
    Force,
    Count,
    Loss,
    Dup,
    Reorder,
    Seed,
    Interval,
    Wait,
    Size,
    Json,
    Clients,
    Mode,
    Drip,
    Duration,
    Rate,
    Path,
    Probe,
    Root,
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
    /// A switch of no verb, for rows to say only in what they differ.
    const PLAIN: Self = Self {
        id: Id::Help,
        verbs: &[],
        group: OTHER,
        long: "",
        short: None,
        value: Value::Nothing,
        default: "",
        repeat: Repeat::Last,
        common: false,
        help: "",
        more: "",
    };

    /// `IDLER_MAX_HEAD` for `--max-head`. None for the options that only ask for a page, and for header
    /// lines of requests: what a server is told in `IDLER_HEADER` must not leave with a client.
    pub(crate) fn environment(&self) -> Option<String> {
        if matches!(self.id, Id::Help | Id::Version | Id::RequestHeader) {
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
    every_option().filter(move |row| row.verbs.contains(&verb))
}

/// Every option of every verb.
pub(crate) fn every_option() -> impl Iterator<Item = &'static Row> {
    let by_subject = [
        serve::OPTIONS,
        get::OPTIONS,
        companions::OPTIONS,
        tools::OPTIONS,
        PAGES,
    ];
    let there = |row: &&Row| row.verbs.iter().any(|verb| !is_later(verb));
    by_subject.into_iter().flatten().filter(there)
}

/// The row of a verb.
pub(crate) fn verb(verb: Verb) -> &'static VerbRow {
    let found = every_verb().find(|row| row.verb == verb);
    // A test finds a row for every verb; another is better than a panic.
    found.unwrap_or(&serve::VERB)
}

/// Every verb, the most wanted first.
pub(crate) fn every_verb() -> impl Iterator<Item = &'static VerbRow> {
    let by_subject = [
        &[serve::VERB, get::VERB],
        companions::VERBS,
        tools::VERBS,
        PRINTERS,
    ];
    let there = |row: &&VerbRow| !is_later(&row.verb);
    by_subject.into_iter().flatten().filter(there)
}

/// Verbs whose service is not written yet: nobody is told of them, and nobody can ask for them.
const LATER_VERBS: &[Verb] = &[Verb::Crowd];

/// Whether a verb has to wait. Unit tests see the whole table, so that nothing waits with a mistake.
fn is_later(verb: &Verb) -> bool {
    !cfg!(test) && LATER_VERBS.contains(verb)
}

/// The verb that is meant when none is named.
pub(crate) const DEFAULT_VERB: Verb = Verb::Serve;

/// The heading for what fits nowhere else.
const OTHER: &str = "Other";

/// The verbs that print a page.
const PRINTERS: &[VerbRow] = &[
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

/// The options that every verb has: they ask for a page.
const PAGES: &[Row] = &[
    Row {
        id: Id::Help,
        verbs: Verb::ALL,
        long: "help",
        short: Some('h'),
        common: true,
        help: "Print help; idler VERB --help says all of a verb",
        ..Row::PLAIN
    },
    Row {
        id: Id::Version,
        verbs: Verb::ALL,
        long: "version",
        short: Some('V'),
        help: "Print the version",
        ..Row::PLAIN
    },
];
