//! The command line: from arguments and environment to a [`Command`].
//!
//! What lives here: two stages, what was typed (`parse.rs`) and what it means (`serve.rs`, `get.rs`,
//! `companions.rs` and `tools.rs`, with `values.rs`), over one table (`table.rs`) from which also help, manual page and completions are
//! made. It may not know sockets, files or the loop: it reads strings and makes plain data.
//! Invariant: an option is defined in one row of the table, and nowhere else is its spelling known.
//! Read next: `table.rs`.

mod common;
mod companions;
mod completions;
mod get;
mod help;
mod man;
mod parse;
mod serve;
mod table;
mod tools;
mod values;

pub use crate::cli::common::{Listening, Peer, Voice};
pub use crate::cli::companions::{
    DaytimeClientOptions, DaytimeFormat, DaytimeServerOptions, MessageClientOptions,
    MessageServerOptions, PingClientOptions, PingServerOptions, TransferClientOptions,
    TransferServerOptions, Weather,
};
pub use crate::cli::get::{GetOptions, Output, Pace, Requests};
pub use crate::cli::parse::{Setting, Source, misspelt};
pub use crate::cli::serve::{Bind, LogFormat, ServeOptions};
pub use crate::cli::tools::{
    CrowdMode, CrowdOptions, ExplainOptions, PasswordOptions, PrecompressOptions,
};
pub(crate) use crate::cli::values::printable;
pub use crate::cli::values::{
    BindAddress, CachePolicy, Cidr, Companion, HeaderLine, HeaderRule, HostRule, Jitter,
    LogDestination, Proxies, Share, TypeRule,
};

use crate::cli::parse::{Request, Typed};
use crate::cli::table::Verb;
use std::{ffi::OsString, fmt};

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Print this help.
    Help(String),
    /// Print name and version.
    Version,
    /// Print the manual page.
    Man,
    /// Print completions for a shell.
    Completions(Shell),
    /// Serve files.
    Serve(Box<ServeOptions>),
    /// Fetch a file over HTTP.
    Get(Box<GetOptions>),
    /// Answer messages.
    MessageServer(Box<MessageServerOptions>),
    /// Send a message.
    MessageClient(Box<MessageClientOptions>),
    /// Say date and time.
    DaytimeServer(Box<DaytimeServerOptions>),
    /// Ask for date and time.
    DaytimeClient(Box<DaytimeClientOptions>),
    /// Send files.
    TransferServer(Box<TransferServerOptions>),
    /// Receive a file.
    TransferClient(Box<TransferClientOptions>),
    /// Answer pings.
    PingServer(Box<PingServerOptions>),
    /// Send pings.
    PingClient(Box<PingClientOptions>),
    /// Hold many clients.
    Crowd(Box<CrowdOptions>),
    /// Say why a request gets its answer.
    Explain(Box<ExplainOptions>),
    /// Write compressed siblings.
    Precompress(Box<PrecompressOptions>),
    /// Make a line for a file of users.
    Password(Box<PasswordOptions>),
}

/// A shell that completions are made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shell {
    /// bash, 4.4 or later.
    Bash,
    /// zsh.
    Zsh,
    /// fish.
    Fish,
}

/// Why the command line could not be understood. Its `Display` is one line that begins with `idler: `
/// and says what, why, and what to try; it is never broken by what the line quotes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsageError {
    message: String,
}

/// Understands `args` (without the program's name) and the environment. An option beats its
/// variable, which beats the default; the first stumbling block is the error.
pub fn parse(
    args: impl Iterator<Item = OsString>,
    env: impl Fn(&str) -> Option<OsString>,
) -> Result<Command, UsageError> {
    match parse::split(args, &env)? {
        Request::Help(None) => Ok(Command::Help(help::overview())),
        Request::Help(Some(verb)) => Ok(Command::Help(help::of(verb))),
        Request::Version => Ok(Command::Version),
        Request::Run(typed) => meaning(&typed),
    }
}

fn meaning(typed: &Typed) -> Result<Command, UsageError> {
    Ok(match typed.verb {
        Verb::Serve => Command::Serve(Box::new(ServeOptions::read(typed)?)),
        Verb::Get => Command::Get(Box::new(GetOptions::read(typed)?)),
        Verb::MessageServer => Command::MessageServer(Box::new(MessageServerOptions::read(typed)?)),
        Verb::MessageClient => Command::MessageClient(Box::new(MessageClientOptions::read(typed)?)),
        Verb::DaytimeServer => Command::DaytimeServer(Box::new(DaytimeServerOptions::read(typed)?)),
        Verb::DaytimeClient => Command::DaytimeClient(Box::new(DaytimeClientOptions::read(typed)?)),
        Verb::TransferServer => {
            Command::TransferServer(Box::new(TransferServerOptions::read(typed)?))
        }
        Verb::TransferClient => {
            Command::TransferClient(Box::new(TransferClientOptions::read(typed)?))
        }
        Verb::PingServer => Command::PingServer(Box::new(PingServerOptions::read(typed)?)),
        Verb::PingClient => Command::PingClient(Box::new(PingClientOptions::read(typed)?)),
        Verb::Crowd => Command::Crowd(Box::new(CrowdOptions::read(typed)?)),
        Verb::Explain => Command::Explain(Box::new(ExplainOptions::read(typed)?)),
        Verb::Precompress => Command::Precompress(Box::new(PrecompressOptions::read(typed)?)),
        Verb::Password => Command::Password(Box::new(PasswordOptions::read(typed)?)),
        Verb::Completions => Command::Completions(shell(typed)?),
        Verb::Man => Command::Man,
    })
}

fn shell(typed: &Typed) -> Result<Shell, UsageError> {
    let shells = [
        ("bash", Shell::Bash),
        ("zsh", Shell::Zsh),
        ("fish", Shell::Fish),
    ];
    let word = typed.words.first().cloned().unwrap_or_default();
    values::word(&word, &shells).map_err(|reason| UsageError::new(format!("completions: {reason}")))
}

impl Command {
    /// What to print, for the commands that do no more than that.
    pub fn text(&self) -> Option<String> {
        match self {
            Self::Help(text) => Some(text.clone()),
            Self::Version => Some(format!("{VERSION}\n")),
            Self::Man => Some(man::page()),
            Self::Completions(shell) => Some(completions::script(*shell)),
            Self::Serve(_)
            | Self::Get(_)
            | Self::MessageServer(_)
            | Self::MessageClient(_)
            | Self::DaytimeServer(_)
            | Self::DaytimeClient(_)
            | Self::TransferServer(_)
            | Self::TransferClient(_)
            | Self::PingServer(_)
            | Self::PingClient(_)
            | Self::Crowd(_)
            | Self::Explain(_)
            | Self::Precompress(_)
            | Self::Password(_) => None,
        }
    }
}

/// Name and version, as `--version` prints them.
const VERSION: &str = concat!("idler ", env!("CARGO_PKG_VERSION"));

impl UsageError {
    /// `message` without the program's name; control characters that slipped in are escaped.
    pub(crate) fn new(message: String) -> Self {
        let message = printable(message.as_ref());
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
