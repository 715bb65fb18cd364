//! What several verbs take: where to listen, whom to connect to, how much to say.
//!
//! What lives here: small groups of options, read the same way for each verb. It may not know which
//! verb asks, beyond what was typed. Invariant: a group means the same wherever it is used.
//! Read next: `companions.rs`.

use super::{UsageError, values};
use crate::cli::parse::Typed;
use crate::cli::serve::Bind;
use crate::cli::table::Id;
use crate::cli::values::HeaderLine;
use crate::limits;
use crate::log::logger::Color;
use std::{
    ffi::{OsStr, OsString},
    time::Duration,
};

/// Where a server listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listening {
    /// The addresses.
    pub bind: Bind,
    /// The port of all addresses that have none of their own; 0 asks for any free one.
    pub port: u16,
}

/// Whom a client connects to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// A name or an address, not yet resolved; an IPv6 address without brackets.
    pub host: String,
    /// Never 0.
    pub port: u16,
}

/// How much a verb says, and in which colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Voice {
    /// Neither who connected nor progress.
    pub quiet: bool,
    /// How often `-v` was given.
    pub verbose: u8,
    /// Colours; `NO_COLOR` and `CLICOLOR_FORCE` are already heeded.
    pub color: Color,
}

impl Listening {
    pub(super) fn read(typed: &Typed, default_port: u16) -> Result<Self, UsageError> {
        let port = typed.last(Id::Port, |text| values::number(text, 0..=u16::MAX))?;
        Ok(Self {
            bind: bind(typed)?,
            port: port.unwrap_or(default_port),
        })
    }
}

impl Peer {
    /// The first word is the host, the second the port.
    pub(super) fn read(typed: &Typed, default_port: u16) -> Result<Self, UsageError> {
        let port = word(typed, 1, "PORT", values::peer_port)?;
        let host = word(typed, 0, "HOST", values::host)?;
        Ok(Self {
            host: host.unwrap_or_default(),
            port: port.unwrap_or(default_port),
        })
    }
}

impl Voice {
    pub(super) fn read(typed: &Typed) -> Result<Self, UsageError> {
        Ok(Self {
            quiet: typed.switch(Id::Quiet)?,
            verbose: typed.count(Id::Verbose)?,
            color: color(typed)?,
        })
    }
}

/// The addresses of `--bind`.
pub(super) fn bind(typed: &Typed) -> Result<Bind, UsageError> {
    Ok(match typed.all(Id::Bind, values::bind_address)? {
        given if given.is_empty() => Bind::Default,
        given => Bind::Given(given),
    })
}

/// The words of `--color`.
const COLORS: &[(&str, Color)] = &[
    ("auto", Color::Auto),
    ("always", Color::Always),
    ("never", Color::Never),
];

pub(super) fn color(typed: &Typed) -> Result<Color, UsageError> {
    let given = typed.last(Id::Color, |text| values::word(text, COLORS))?;
    Ok(given.unwrap_or(Color::Auto))
}

/// A word that is not an option, by its place; `name` is what the usage line calls it.
pub(super) fn word<T>(
    typed: &Typed,
    place: usize,
    name: &str,
    read: impl Fn(&OsStr) -> Result<T, String>,
) -> Result<Option<T>, UsageError> {
    let given = typed.words.get(place).map(OsString::as_os_str);
    let read = given.map(read).transpose();
    read.map_err(|reason| UsageError::new(format!("{name}: {reason}")))
}

/// A time after which something is given up; never zero.
pub(super) fn timeout(typed: &Typed, id: Id, default: Duration) -> Result<Duration, UsageError> {
    let range = limits::TIMEOUT_OPTION_MIN..=limits::DURATION_OPTION_MAX;
    let given = typed.last(id, |text| values::duration(text, range.clone()))?;
    Ok(given.unwrap_or(default))
}

/// A time to wait; may be zero.
pub(super) fn wait(typed: &Typed, id: Id, default: Duration) -> Result<Duration, UsageError> {
    let range = Duration::ZERO..=limits::DURATION_OPTION_MAX;
    let given = typed.last(id, |text| values::duration(text, range.clone()))?;
    Ok(given.unwrap_or(default))
}

/// Header lines of a request, [`limits::GIVEN_HEADER_BYTES_MAX`] together.
pub(super) fn request_headers(typed: &Typed) -> Result<Vec<HeaderLine>, UsageError> {
    let headers = typed.all(Id::RequestHeader, values::request_header_line)?;
    within_limit(&headers)?;
    Ok(headers)
}

/// Refuses more than [`limits::GIVEN_HEADER_BYTES_MAX`] of header lines.
pub(super) fn within_limit<'a>(
    headers: impl IntoIterator<Item = &'a HeaderLine>,
) -> Result<(), UsageError> {
    // With ": " and CR LF.
    let lengths = headers
        .into_iter()
        .map(|line| line.name.len() + line.value.len() + 4);
    if lengths.sum::<usize>() > limits::GIVEN_HEADER_BYTES_MAX {
        return Err(UsageError::new(format!(
            "--header: all lines together may have {} bytes; proxies refuse longer heads",
            limits::GIVEN_HEADER_BYTES_MAX
        )));
    }
    Ok(())
}
