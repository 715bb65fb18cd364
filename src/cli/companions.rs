//! The meaning of what was typed after the companions' verbs.
//!
//! What lives here: the options of message, daytime, transfer and ping. It may not know their
//! protocols. Invariant: every number is within its bound in `limits.rs`.
//! Read next: `tools.rs`.

use super::{UsageError, common, values};
use crate::cli::common::{Listening, Peer, Voice};
use crate::cli::parse::Typed;
use crate::cli::serve::Bind;
use crate::cli::table::Id;
use crate::cli::values::{BindAddress, Jitter, Share};
use crate::limits;
use std::{os::unix::ffi::OsStrExt, path::PathBuf, time::Duration};

/// Everything `idler message-server` was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageServerOptions {
    /// Where it listens.
    pub listening: Listening,
    /// What it answers.
    pub answer: Vec<u8>,
    /// How much it says.
    pub voice: Voice,
}

/// Everything `idler message-client` was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageClientOptions {
    /// Whom it asks.
    pub peer: Peer,
    /// What it says.
    pub text: Vec<u8>,
    /// How long nothing may happen.
    pub timeout: Duration,
    /// How much it says.
    pub voice: Voice,
}

/// Everything `idler daytime-server` was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DaytimeServerOptions {
    /// Where it listens.
    pub listening: Listening,
    /// Answer datagrams as well.
    pub udp: bool,
    /// The form of date and time.
    pub format: DaytimeFormat,
    /// How much it says.
    pub voice: Voice,
}

/// A form of date and time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DaytimeFormat {
    /// `2023-04-19 17:04:30.293444`.
    Datetime,
    /// What RFC 867 suggests.
    Rfc867,
    /// ISO 8601, with the zone.
    Iso,
    /// Seconds since 1970.
    Unix,
}

/// Everything `idler daytime-client` was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DaytimeClientOptions {
    /// Whom it asks.
    pub peer: Peer,
    /// With a datagram.
    pub udp: bool,
    /// How long nothing may happen.
    pub timeout: Duration,
    /// How much it says.
    pub voice: Voice,
}

/// Everything `idler transfer-server` was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransferServerOptions {
    /// Where it listens.
    pub listening: Listening,
    /// What it sends, each in turn; never empty.
    pub files: Vec<PathBuf>,
    /// How much it says.
    pub voice: Voice,
}

/// Everything `idler transfer-client` was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransferClientOptions {
    /// Whom it asks.
    pub peer: Peer,
    /// Where the file goes.
    pub directory: PathBuf,
    /// Replace a file of the same name.
    pub force: bool,
    /// How long nothing may happen.
    pub timeout: Duration,
    /// How much it says.
    pub voice: Voice,
}

/// Everything `idler ping-server` was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PingServerOptions {
    /// Where it listens; no Unix sockets among the addresses.
    pub listening: Listening,
    /// Stop after so many messages.
    pub count: Option<u64>,
    /// What happens to replies.
    pub weather: Weather,
    /// How much it says.
    pub voice: Voice,
}

/// What happens to replies on a bad line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Weather {
    /// Not sent.
    pub loss: Share,
    /// Sent later.
    pub delay: Jitter,
    /// Sent twice.
    pub dup: Share,
    /// Sent after the next one.
    pub reorder: Share,
    /// The same weather each time; without it, another each time.
    pub seed: Option<u64>,
}

/// Everything `idler ping-client` was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PingClientOptions {
    /// Whom it pings.
    pub peer: Peer,
    /// How often, at least once.
    pub count: u32,
    /// From one ping to the next.
    pub interval: Duration,
    /// How long each waits for its reply.
    pub wait: Duration,
    /// Messages are filled up to so many bytes.
    pub message_bytes_min: usize,
    /// The figures as JSON.
    pub json: bool,
    /// How much it says.
    pub voice: Voice,
}

impl MessageServerOptions {
    pub(super) fn read(typed: &Typed) -> Result<Self, UsageError> {
        let answer = typed.last(Id::Answer, |text| Ok(text.as_bytes().to_vec()))?;
        Ok(Self {
            listening: Listening::read(typed, limits::MESSAGE_PORT)?,
            answer: answer.unwrap_or_else(|| b"Yes".to_vec()),
            voice: Voice::read(typed)?,
        })
    }
}

impl MessageClientOptions {
    pub(super) fn read(typed: &Typed) -> Result<Self, UsageError> {
        let text = typed.words.get(2).map(|text| text.as_bytes().to_vec());
        Ok(Self {
            peer: Peer::read(typed, limits::MESSAGE_PORT)?,
            text: text.unwrap_or_else(|| b"can you hear me?".to_vec()),
            timeout: common::timeout(typed, Id::Timeout, limits::CLIENT_TIMEOUT)?,
            voice: Voice::read(typed)?,
        })
    }
}

/// The words of `--format`.
const FORMATS: &[(&str, DaytimeFormat)] = &[
    ("datetime", DaytimeFormat::Datetime),
    ("rfc867", DaytimeFormat::Rfc867),
    ("iso", DaytimeFormat::Iso),
    ("unix", DaytimeFormat::Unix),
];

impl DaytimeServerOptions {
    pub(super) fn read(typed: &Typed) -> Result<Self, UsageError> {
        let format = typed.last(Id::Format, |text| values::word(text, FORMATS))?;
        let listening = Listening::read(typed, limits::DAYTIME_PORT)?;
        let udp = typed.switch(Id::Udp)?;
        if udp {
            without_unix(&listening.bind)?;
        }
        Ok(Self {
            listening,
            udp,
            format: format.unwrap_or(DaytimeFormat::Datetime),
            voice: Voice::read(typed)?,
        })
    }
}

impl DaytimeClientOptions {
    pub(super) fn read(typed: &Typed) -> Result<Self, UsageError> {
        Ok(Self {
            peer: Peer::read(typed, limits::DAYTIME_PORT)?,
            udp: typed.switch(Id::Udp)?,
            timeout: common::timeout(typed, Id::Timeout, limits::CLIENT_TIMEOUT)?,
            voice: Voice::read(typed)?,
        })
    }
}

impl TransferServerOptions {
    pub(super) fn read(typed: &Typed) -> Result<Self, UsageError> {
        let files = typed.words.iter().map(|word| values::path(word));
        let files: Result<Vec<PathBuf>, String> = files.collect();
        Ok(Self {
            listening: Listening::read(typed, limits::TRANSFER_PORT)?,
            files: files.map_err(|reason| UsageError::new(format!("FILE: {reason}")))?,
            voice: Voice::read(typed)?,
        })
    }
}

impl TransferClientOptions {
    pub(super) fn read(typed: &Typed) -> Result<Self, UsageError> {
        let directory = typed.last(Id::Output, values::path)?;
        Ok(Self {
            peer: Peer::read(typed, limits::TRANSFER_PORT)?,
            directory: directory.unwrap_or_else(|| PathBuf::from(".")),
            force: typed.switch(Id::Force)?,
            timeout: common::timeout(typed, Id::Timeout, limits::CLIENT_TIMEOUT)?,
            voice: Voice::read(typed)?,
        })
    }
}

impl PingServerOptions {
    pub(super) fn read(typed: &Typed) -> Result<Self, UsageError> {
        let listening = Listening::read(typed, limits::PING_PORT)?;
        without_unix(&listening.bind)?;
        let share = |id| Ok(typed.last(id, values::share)?.unwrap_or_default());
        Ok(Self {
            listening,
            count: typed.last(Id::Count, |text| values::number(text, 1..=u64::MAX))?,
            weather: Weather {
                loss: share(Id::Loss)?,
                delay: typed.last(Id::Delay, values::jitter)?.unwrap_or_default(),
                dup: share(Id::Dup)?,
                reorder: share(Id::Reorder)?,
                seed: typed.last(Id::Seed, |text| values::number(text, 0..=u64::MAX))?,
            },
            voice: Voice::read(typed)?,
        })
    }
}

/// Datagrams are answered to an address, which clients of a Unix socket need not have.
fn without_unix(bind: &Bind) -> Result<(), UsageError> {
    let is_unix = |address: &BindAddress| matches!(address, BindAddress::Unix { .. });
    match bind {
        Bind::Given(addresses) if addresses.iter().any(is_unix) => Err(UsageError::new(
            "--bind: datagrams need an IPv4 or IPv6 address, not a Unix socket".to_owned(),
        )),
        Bind::Given(_) | Bind::Default => Ok(()),
    }
}

impl PingClientOptions {
    pub(super) fn read(typed: &Typed) -> Result<Self, UsageError> {
        let count = typed.last(Id::Count, |text| values::number(text, 1..=u32::MAX))?;
        let size = typed.last(Id::Size, |text| {
            values::number(text, 0..=limits::DATAGRAM_BYTES_MAX)
        })?;
        Ok(Self {
            peer: Peer::read(typed, limits::PING_PORT)?,
            count: count.unwrap_or(limits::PING_COUNT),
            interval: common::timeout(typed, Id::Interval, limits::PING_INTERVAL)?,
            wait: common::timeout(typed, Id::Wait, limits::PING_WAIT)?,
            message_bytes_min: size.unwrap_or(0),
            json: typed.switch(Id::Json)?,
            voice: Voice::read(typed)?,
        })
    }
}
