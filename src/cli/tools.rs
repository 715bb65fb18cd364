//! The meaning of what was typed after `crowd`, `explain`, `precompress` and `password`.
//!
//! What lives here: their options. It may not know how they work. Invariant: every number is within its
//! bound in `limits.rs`.
//! Read next: `values.rs`.

use super::{UsageError, common, serve, values};
use crate::cli::common::{Peer, Voice};
use crate::cli::parse::Typed;
use crate::cli::serve::ServeOptions;
use crate::cli::table::Id;
use crate::cli::values::HeaderLine;
use crate::http::url::Url;
use crate::limits;
use std::{
    ffi::{OsStr, OsString},
    path::PathBuf,
    time::Duration,
};

/// Everything `idler crowd` was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CrowdOptions {
    /// Whom they connect to.
    pub peer: Peer,
    /// How many, at least one.
    pub clients: u32,
    /// What each of them does.
    pub mode: CrowdMode,
    /// Between two bytes of a slow head or reader.
    pub drip: Duration,
    /// How long they are held.
    pub duration: Duration,
    /// Opened in a second, at least one.
    pub rate: u32,
    /// What those ask for who ask; begins with `/`. Who only comes and goes asks for nothing unless it is given.
    pub target: Option<String>,
    /// What an honest client asks for.
    pub probe: Option<Url>,
    /// Whether the user says that the target is his own, so that it may be another machine.
    pub own_target: bool,
    /// The verdict as JSON.
    pub json: bool,
    /// How much is said.
    pub voice: Voice,
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

/// Everything `idler explain` was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExplainOptions {
    /// The URL or path, as it was given; never empty.
    pub target: OsString,
    /// HEAD instead of GET.
    pub head_only: bool,
    /// Header lines of the request.
    pub headers: Vec<HeaderLine>,
    /// The server that is asked: its path is `--root`; what `explain` does not take has its default.
    pub server: Box<ServeOptions>,
    /// How much is said.
    pub voice: Voice,
}

/// Everything `idler precompress` was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrecompressOptions {
    /// The directory.
    pub path: PathBuf,
    /// How much is said.
    pub voice: Voice,
}

/// Everything `idler password` was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PasswordOptions {
    /// The user: neither empty nor with a colon or control character (RFC 7617 §2).
    pub user: String,
}

/// The words of `--mode`.
const MODES: &[(&str, CrowdMode)] = &[
    ("silent", CrowdMode::Silent),
    ("keep-alive", CrowdMode::KeepAlive),
    ("half-head", CrowdMode::HalfHead),
    ("slow-read", CrowdMode::SlowRead),
    ("churn", CrowdMode::Churn),
];

impl CrowdMode {
    /// As it is typed.
    pub fn word(self) -> &'static str {
        let found = MODES.iter().find(|(_, mode)| *mode == self);
        found.map_or("", |(word, _)| word)
    }

    /// Whether a client leaves when it is done, and another takes its place; all others stay.
    pub fn comes_and_goes(self) -> bool {
        match self {
            Self::Churn => true,
            Self::Silent | Self::KeepAlive | Self::HalfHead | Self::SlowRead => false,
        }
    }
}

impl CrowdOptions {
    pub(super) fn read(typed: &Typed) -> Result<Self, UsageError> {
        let clients = typed.last(Id::Clients, |text| {
            values::number(text, 1..=limits::CROWD_CLIENTS_MAX)
        })?;
        let mode = typed.last(Id::Mode, |text| values::word(text, MODES))?;
        let rate = typed.last(Id::Rate, |text| {
            values::number(text, 1..=limits::CROWD_CLIENTS_MAX)
        })?;
        Ok(Self {
            peer: Peer::read(typed, 0)?,
            clients: clients.unwrap_or(limits::CROWD_CLIENTS),
            mode: mode.unwrap_or(CrowdMode::Silent),
            drip: common::timeout(typed, Id::Drip, limits::CROWD_DRIP)?,
            duration: common::wait(typed, Id::Duration, limits::CROWD_DURATION)?,
            rate: rate.unwrap_or(limits::CROWD_RATE),
            target: typed.last(Id::Path, values::target_of_path)?,
            probe: typed.last(Id::Probe, values::url)?,
            own_target: typed.switch(Id::OwnTarget)?,
            json: typed.switch(Id::Json)?,
            voice: Voice::read(typed)?,
        })
    }
}

impl ExplainOptions {
    pub(super) fn read(typed: &Typed) -> Result<Self, UsageError> {
        let mut server = ServeOptions::read(typed)?;
        // The word is not what is served, but what is asked for.
        server.path_resembles_verb = None;
        server.path = typed
            .last(Id::Root, values::path)?
            .unwrap_or_else(|| serve::DEFAULT_PATH.into());
        let target = typed.words.first().cloned().unwrap_or_default();
        if target.is_empty() {
            return Err(UsageError::new(
                "URL is empty; try / for the root".to_owned(),
            ));
        }
        Ok(Self {
            target,
            head_only: typed.switch(Id::HeadOnly)?,
            headers: common::request_headers(typed)?,
            server: Box::new(server),
            voice: Voice::read(typed)?,
        })
    }
}

impl PrecompressOptions {
    pub(super) fn read(typed: &Typed) -> Result<Self, UsageError> {
        Ok(Self {
            path: serve::served_path(typed.words.first().map(OsString::as_os_str))?,
            voice: Voice::read(typed)?,
        })
    }
}

impl PasswordOptions {
    pub(super) fn read(typed: &Typed) -> Result<Self, UsageError> {
        let user = common::word(typed, 0, "USER", login)?;
        Ok(Self {
            user: user.unwrap_or_default(),
        })
    }
}

/// A name that Basic authentication can carry (RFC 7617 §2).
fn login(given: &OsStr) -> Result<String, String> {
    let odd = |char: char| char == ':' || char.is_control();
    match given.to_str() {
        Some(name) if !name.is_empty() && !name.contains(odd) => Ok(name.to_owned()),
        Some(_) | None => Err(format!(
            "{} is not a name without ':' and control characters",
            values::shown(given)
        )),
    }
}
