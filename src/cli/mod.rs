//! The command line: from arguments and environment to a [`Command`].
//!
//! Each verb stands once, with its options: how they are spelled, what help says of them, and what
//! they set in [`Options`] (`serve.rs`, `companions.rs`, `tools.rs`; `table.rs` has the
//! form). The parser, help, the manual page and the completions are all made from that. Nothing
//! here looks at the machine: a path is only a path, and whether it exists is found out by what
//! opens it.

mod companions;
mod completions;
mod help;
mod parse;
mod serve;
mod table;
mod tools;
mod values;

pub use crate::cli::parse::misspelt;
pub use crate::cli::values::network::{Cidr, CompanionRule, Proxies};
pub use crate::cli::values::policy::{
    CachePolicy, HeaderLine, HeaderRule, HostRule, Jitter, LogDestination, Share, TypeRule,
};

use crate::cli::table::Verb;
use crate::http::text::printable;
use crate::http::url::{BindAddress, Url};
use crate::log::logger::{self, Color};
use log::LevelFilter;
use std::{ffi::OsString, path::PathBuf, time::Duration};

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Print this page: help, the version, the manual page, completions.
    Page(String),
    /// Serve files.
    Serve(Box<Options>),
    /// Fetch a file over HTTP.
    Get(Url, Box<Options>),
    /// Answer messages.
    MessageServer(Box<Options>),
    /// Send a message.
    MessageClient(Box<Options>),
    /// Say date and time.
    DaytimeServer(Box<Options>),
    /// Ask for date and time.
    DaytimeClient(Box<Options>),
    /// Send files.
    TransferServer(Box<Options>),
    /// Receive a file.
    TransferClient(Box<Options>),
    /// Answer pings.
    PingServer(Box<Options>),
    /// Send pings.
    PingClient(Box<Options>),
    /// Hold many clients.
    Crowd(Box<Options>),
    /// Say why a request for this URL or path gets its answer.
    Explain(OsString, Box<Options>),
    /// Write compressed siblings.
    Precompress(Box<Options>),
    /// Make a line for a file of users, for this one.
    Password(String),
}

/// Every verb, the most wanted first. The first is meant where none is named.
static VERBS: [&Verb; 16] = [
    &serve::SERVE,
    &tools::GET,
    &companions::MESSAGE_SERVER,
    &companions::MESSAGE_CLIENT,
    &companions::DAYTIME_SERVER,
    &companions::DAYTIME_CLIENT,
    &companions::TRANSFER_SERVER,
    &companions::TRANSFER_CLIENT,
    &companions::PING_SERVER,
    &companions::PING_CLIENT,
    &tools::CROWD,
    &tools::EXPLAIN,
    &tools::PRECOMPRESS,
    &tools::PASSWORD,
    &COMPLETIONS,
    &MAN,
];

static COMPLETIONS: Verb = Verb {
    name: "completions",
    usage: &["completions SHELL"],
    summary: "Print completions for bash, zsh or fish",
    about: "Prints a script that completes idler's verbs and options in SHELL.",
    examples: &[
        "idler completions bash > ~/.local/share/bash-completion/completions/idler  bash",
        "idler completions zsh > \"${fpath[1]}/_idler\"  zsh",
        "idler completions fish > ~/.config/fish/completions/idler.fish  fish",
    ],
    options: &[],
    finish: |options| {
        let script = values::one_of(&options.words[0], completions::SHELLS);
        let script = script.map_err(|reason| format!("completions: {reason}"))?;
        Ok(Command::Page(script()))
    },
};

static MAN: Verb = Verb {
    name: "man",
    usage: &["man"],
    summary: "Print the manual page",
    about: "Prints the manual page, as roff.",
    examples: &["idler man > idler.1 && man ./idler.1  read it"],
    options: &[],
    finish: |_| Ok(Command::Page(help::manual())),
};

/// Understands `args` (without the program's name) and the environment. An option beats its
/// variable, which beats the default.
///
/// # Errors
/// One line for the user about the first stumbling block: what, why, and what to try. Control
/// characters of what it quotes are escaped.
pub fn parse(
    args: impl Iterator<Item = OsString>,
    env: impl Fn(&str) -> Option<OsString>,
) -> Result<Command, String> {
    let command = parse::command(args, &env);
    command.map_err(|message| format!("idler: {}", printable(message.as_bytes())))
}

/// Name and version, as `--version` prints them.
const VERSION: &str = concat!("idler ", env!("CARGO_PKG_VERSION"));

/// All that a verb may be told. Each verb reads what its own options and words set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// What was typed that is no option.
    pub(super) words: Vec<OsString>,
    // Several verbs.
    /// How much is said.
    pub voice: Voice,
    pub(crate) listening: Listening,
    /// The server that is asked.
    pub peer: Peer,
    /// How long nothing may happen.
    pub timeout: Duration,
    /// Over UDP, or over it as well.
    pub udp: bool,
    pub(crate) json: bool,
    /// What serve and explain answer with, and what precompress walks through.
    pub(crate) server: ServeOptions,
    // get and explain.
    pub(crate) head_only: bool,
    pub(crate) headers: Vec<HeaderLine>,
    // get.
    pub(crate) output: Option<PathBuf>,
    pub(super) remote_name: bool,
    pub(crate) resume: bool,
    pub(crate) follow: bool,
    pub(crate) include_head: bool,
    pub(crate) timing: bool,
    /// Requests on one connection, each after the reply to the one before.
    pub(crate) keep: u32,
    /// Requests on one connection, without waiting. Only one of the two is more than 1.
    pub(crate) pipeline: u32,
    /// Bytes of one piece of the request; without it, the request is sent at once.
    pub(crate) chunk: Option<usize>,
    pub(crate) delay: Duration,
    // message, daytime and transfer.
    pub(crate) answer: Vec<u8>,
    pub(crate) text: Vec<u8>,
    pub(crate) format: DaytimeFormat,
    pub(crate) files: Vec<PathBuf>,
    pub(crate) directory: PathBuf,
    pub(crate) force: bool,
    // ping.
    pub(crate) answers_max: Option<u64>,
    pub(crate) weather: Weather,
    pub(crate) count: u32,
    pub(crate) interval: Duration,
    pub(crate) wait: Duration,
    pub(crate) message_bytes_min: usize,
    // crowd.
    pub(crate) clients: u32,
    pub(crate) mode: CrowdMode,
    pub(crate) drip: Duration,
    pub(crate) duration: Duration,
    pub(crate) rate: u32,
    pub(crate) target: Option<String>,
    pub(crate) probe: Option<Url>,
    pub(crate) own_target: bool,
    /// The lines of `--check`: every option, its value, and where that comes from.
    pub(crate) settings: Vec<String>,
}

impl Options {
    /// How many requests one connection of get carries.
    pub(crate) fn requests(&self) -> u32 {
        self.keep.max(self.pipeline)
    }
}

/// How much a verb says, and in which colours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Voice {
    /// Neither peers nor progress are shown.
    pub(crate) quiet: bool,
    /// How often `-v` was given.
    pub(crate) verbose: u8,
    /// `NO_COLOR` and `CLICOLOR_FORCE` are already heeded.
    pub(crate) color: Color,
}

impl Voice {
    /// Sets up the log: `-q` has errors alone, `-v` says why connections end, `-vv` every step, and
    /// neither is the `usual` level.
    pub(crate) fn start_logger(self, usual: LevelFilter) {
        let level = match (self.quiet, self.verbose) {
            (true, _) => LevelFilter::Error,
            (false, 0) => usual,
            (false, 1) => LevelFilter::Debug,
            (false, _) => LevelFilter::Trace,
        };
        logger::init(level, self.color);
    }
}

/// Where a server listens.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listening {
    /// Empty: both loopback addresses, or the one that this machine has.
    pub(crate) bind: Vec<BindAddress>,
    /// The port of all addresses that have none of their own; 0 asks for any free one.
    pub(crate) port: u16,
}

/// The server that a client connects to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Peer {
    /// A name or an address, not yet resolved; an IPv6 address without brackets.
    pub(crate) host: String,
    /// Never 0.
    pub(crate) port: u16,
}

/// What decides how a server answers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServeOptions {
    /// The directory or file to serve.
    pub(crate) path: PathBuf,
    /// If the path looks like a misspelled verb, that verb: worth saying when the path is missing.
    pub(crate) path_resembles_verb: Option<&'static str>,
    pub(crate) reuse_port: bool,
    /// Names that stand for their directory, best first; never empty.
    pub(crate) index: Vec<OsString>,
    pub(crate) no_listing: bool,
    pub(crate) hidden: bool,
    /// [`crate::limits::GIVEN_HEADER_BYTES_MAX`] together.
    pub(crate) headers: Vec<HeaderRule>,
    /// Of equal extensions the last counts.
    pub(crate) types: Vec<TypeRule>,
    pub(crate) spa: bool,
    pub(crate) clean_urls: bool,
    pub(crate) cache: CachePolicy,
    pub(crate) cors: bool,
    pub(crate) hosts: Vec<HostRule>,
    pub(crate) redirects: Option<PathBuf>,
    pub(crate) auth: Option<PathBuf>,
    /// Empty: all addresses.
    pub(crate) allow: Vec<Cidr>,
    pub(crate) max_per_address: Option<u32>,
    pub(crate) proxy_from: Vec<Proxies>,
    /// As many as descriptors allow if there is none.
    pub(crate) max_connections: Option<usize>,
    pub(crate) head_bytes_max: usize,
    pub(crate) head_timeout: Duration,
    pub(crate) idle_timeout: Duration,
    pub(crate) stall_timeout: Duration,
    pub(crate) grace: Duration,
    pub(crate) drain_delay: Duration,
    pub(crate) cache_bytes_max: usize,
    pub(crate) access_log: LogDestination,
    pub(crate) log_format: LogFormat,
    pub(crate) health: Option<String>,
    pub(crate) status: Option<String>,
    pub(crate) status_from: Vec<Cidr>,
    pub(crate) user: Option<String>,
    pub(crate) with: Vec<CompanionRule>,
    pub(crate) check: bool,
}

/// The form of access log lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// The Combined Log Format.
    #[default]
    Combined,
    /// One JSON object a line.
    Json,
    /// Only what a developer looks for.
    Short,
}

/// A form of date and time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DaytimeFormat {
    /// `2023-04-19 17:04:30.293444`.
    #[default]
    Datetime,
    /// What RFC 867 suggests.
    Rfc867,
    /// ISO 8601, with the zone.
    Iso,
    /// Seconds since 1970.
    Unix,
}

/// What happens to replies on a bad line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Weather {
    /// Not sent.
    pub(crate) loss: Share,
    /// Sent later.
    pub(crate) delay: Jitter,
    /// Sent twice.
    pub(crate) dup: Share,
    /// Sent after the next one.
    pub(crate) reorder: Share,
    /// The same weather each time; without it, another each time.
    pub(crate) seed: Option<u64>,
}

/// What each client of a crowd does.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq)]
pub enum CrowdMode {
    /// Nothing.
    #[default]
    Silent,
    /// One request, then nothing.
    KeepAlive,
    /// A head that never ends.
    HalfHead,
    /// Asks, and hardly reads.
    SlowRead,
    /// Connects and leaves.
    Churn,
}

impl CrowdMode {
    /// As they are typed.
    pub(super) const WORDS: &[(&str, Self)] = &[
        ("silent", Self::Silent),
        ("keep-alive", Self::KeepAlive),
        ("half-head", Self::HalfHead),
        ("slow-read", Self::SlowRead),
        ("churn", Self::Churn),
    ];

    /// As it is typed.
    pub(crate) fn word(self) -> &'static str {
        let found = Self::WORDS.iter().find(|(_, mode)| *mode == self);
        found.map_or("", |(word, _)| word)
    }

    /// Whether a client leaves when it is done, and another takes its place; all others stay.
    pub(crate) fn comes_and_goes(self) -> bool {
        self == Self::Churn
    }
}

#[cfg(test)]
mod tests;
