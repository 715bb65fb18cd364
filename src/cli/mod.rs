//! The command line: from arguments and environment to a [`Command`].
//!
//! Each verb stands once, with its options: how they are spelled, what help says of them, and what
//! they set in [`Options`] (`serve.rs`, `get.rs`, `companions.rs`, `tools.rs`; `table.rs` has the
//! form). The parser, help, the manual page and the completions are all made from that. Nothing
//! here looks at the machine: a path is only a path, and whether it exists is found out by what
//! opens it.

mod companions;
mod completions;
mod get;
mod help;
mod man;
mod options;
mod parse;
mod serve;
mod table;
mod tools;
mod values;

pub use crate::cli::options::{
    CrowdMode, DaytimeFormat, Listening, LogFormat, Options, Peer, ServeOptions, Voice, Weather,
};
pub use crate::cli::parse::misspelt;
pub use crate::cli::values::network::{Cidr, CompanionRule, Proxies};
pub use crate::cli::values::policy::{
    CachePolicy, HeaderLine, HeaderRule, HostRule, Jitter, LogDestination, Share, TypeRule,
};

use crate::cli::table::Verb;
use crate::http::printable::printable;
use crate::http::url::Url;
use std::{ffi::OsString, fmt};

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
    &get::GET,
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
    about: &["Prints a script that completes idler's verbs and options in SHELL."],
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
    about: &["Prints the manual page, as roff."],
    examples: &["idler man > idler.1 && man ./idler.1  read it"],
    options: &[],
    finish: |_| Ok(Command::Page(man::page())),
};

/// Understands `args` (without the program's name) and the environment. An option beats its
/// variable, which beats the default; the first stumbling block is the error.
///
/// # Errors
/// One line for the user.
pub fn parse(
    args: impl Iterator<Item = OsString>,
    env: impl Fn(&str) -> Option<OsString>,
) -> Result<Command, UsageError> {
    parse::command(args, &env).map_err(UsageError::new)
}

/// Name and version, as `--version` prints them.
const VERSION: &str = concat!("idler ", env!("CARGO_PKG_VERSION"));

/// Why the command line could not be understood. Its `Display` is one line that begins with `idler:
/// ` and says what, why, and what to try; it is never broken by what the line quotes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsageError {
    message: String,
}

impl UsageError {
    /// `message` without the program's name; control characters that slipped in are escaped.
    fn new(message: String) -> Self {
        let message = printable(message.as_bytes());
        Self { message }
    }
}

impl fmt::Display for UsageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "idler: {}", self.message)
    }
}

impl std::error::Error for UsageError {}

#[cfg(test)]
mod tests;
