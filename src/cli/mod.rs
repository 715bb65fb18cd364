//! The command line: from arguments and environment to a [`Command`].
//!
//! What lives here: two stages, what was typed (`parse.rs`) and what it means (`serve.rs` and its like, with
//! `values.rs`), over one table (`table.rs`) from which also help, manual page and completions are
//! made. It may not know sockets, files or the loop: it reads strings and makes plain data.
//! Invariant: an option is defined in one row of the table, and nowhere else is its spelling known.
//! Read next: `table.rs`.

mod completions;
mod help;
mod man;
mod parse;
mod serve;
mod table;
mod values;

pub use parse::{Setting, Source};
pub use serve::{Bind, Color, LogFormat, ServeOptions};
pub use values::{AccessLog, BindAddress, HeaderLine, TypeRule};

use parse::{Request, Typed};
use std::{ffi::OsString, fmt};
use table::Verb;

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
            Self::Serve(_) => None,
        }
    }
}

/// Name and version, as `--version` prints them.
const VERSION: &str = concat!("idler ", env!("CARGO_PKG_VERSION"));

impl UsageError {
    /// `message` without the program's name; control characters that slipped in are escaped.
    pub(crate) fn new(message: String) -> Self {
        let message = values::printable(message.as_ref());
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
