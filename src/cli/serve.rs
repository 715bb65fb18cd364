//! The meaning of what was typed after `idler serve`, or after `idler` alone.
//!
//! What lives here: [`ServeOptions`], and which option takes which value. It may not know
//! spellings (the table has them) or look at the machine: whether the path exists, whether the port is free, is
//! for the service to find out.
//! Invariant: every field is valid in itself; what it leaves out is in `limits.rs`.
//! Read next: `values.rs`.

use super::{UsageError, common, parse, values};
use crate::cli::parse::{Setting, Typed};
use crate::cli::table::Id;
use crate::cli::values::{
    BindAddress, CachePolicy, Cidr, Companion, HeaderRule, HostRule, LogDestination, Proxies,
    TypeRule,
};
use crate::limits;
use crate::log::logger::Color;
use std::{
    ffi::{OsStr, OsString},
    path::PathBuf,
    time::Duration,
};

/// Everything `idler serve` was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServeOptions {
    /// The directory or file to serve, `.` by default. Whether it exists is not known here.
    pub path: PathBuf,
    /// If the path looks like a misspelled verb, that verb: worth saying when the path is missing.
    pub path_resembles_verb: Option<&'static str>,
    /// The TCP port; 0 asks for any free one.
    pub port: u16,
    /// The addresses to listen on.
    pub bind: Bind,
    /// Names that stand for their directory, best first; never empty.
    pub index: Vec<OsString>,
    /// Directories without an index are not listed.
    pub no_listing: bool,
    /// Names that begin with a dot are served.
    pub hidden: bool,
    /// Header lines for replies; [`limits::GIVEN_HEADER_BYTES_MAX`] together.
    pub headers: Vec<HeaderRule>,
    /// Media types that win over the built-in ones; of equal extensions the last counts.
    pub types: Vec<TypeRule>,
    /// Missing pages are answered with the root's index.
    pub spa: bool,
    /// `/page` means `page.html`.
    pub clean_urls: bool,
    /// What `Cache-Control` says.
    pub cache: CachePolicy,
    /// Scripts of other sites may read replies.
    pub cors: bool,
    /// Sites for names of their own; everybody else gets `path`.
    pub hosts: Vec<HostRule>,
    /// A file of redirects.
    pub redirects: Option<PathBuf>,
    /// A file of users.
    pub auth: Option<PathBuf>,
    /// Who may connect; empty: everybody.
    pub allow: Vec<Cidr>,
    /// Connections from one address at most.
    pub max_per_address: Option<u32>,
    /// Proxies that are believed whom they speak for; empty: none.
    pub proxy_from: Vec<Proxies>,
    /// Share the port with other processes.
    pub reuse_port: bool,
    /// Where health is answered; a plain path.
    pub health: Option<String>,
    /// Where figures are answered; a plain path.
    pub status: Option<String>,
    /// Who may see the figures besides this machine.
    pub status_from: Vec<Cidr>,
    /// The user to become, with `:group` or without.
    pub user: Option<String>,
    /// Companions on the same loop.
    pub with: Vec<Companion>,
    /// Connections at most; `None`: as many as descriptors allow.
    pub max_connections: Option<usize>,
    /// Bytes of a request head at most.
    pub head_bytes_max: usize,
    /// From a head's first byte to its last.
    pub head_timeout: Duration,
    /// Between requests, and before the first.
    pub idle_timeout: Duration,
    /// How long a reply may make no progress.
    pub stall_timeout: Duration,
    /// How long the busy may finish after the first signal to stop; may be zero.
    pub grace: Duration,
    /// How long listeners stay open after the first signal to stop; may be zero.
    pub drain_delay: Duration,
    /// Bytes of small files kept in memory at most; 0: none.
    pub cache_bytes_max: usize,
    /// Where the access log goes.
    pub access_log: LogDestination,
    /// The form of its lines.
    pub log_format: LogFormat,
    /// No start-up lines.
    pub quiet: bool,
    /// How often `-v` was given: 1 asks for the log level debug, 2 for trace.
    pub verbose: u8,
    /// Colours on standard error; `NO_COLOR` and `CLICOLOR_FORCE` are already heeded.
    pub color: Color,
    /// Validate, print [`ServeOptions::settings`], and leave.
    pub check: bool,
    /// Every setting and where it comes from, in the order of the help.
    pub settings: Vec<Setting>,
}

/// Where to listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Bind {
    /// Nothing was said: both loopback addresses, or the one that this machine has.
    Default,
    /// These, all of them; never empty.
    Given(Vec<BindAddress>),
}

impl Bind {
    /// The addresses; none stand for the default.
    pub fn addresses(&self) -> &[BindAddress] {
        match self {
            Self::Default => &[],
            Self::Given(addresses) => addresses,
        }
    }
}

/// The form of access log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// The Combined Log Format.
    Combined,
    /// One JSON object a line.
    Json,
    /// Only what a developer looks for.
    Short,
}

/// The words of `--log-format`.
const LOG_FORMATS: &[(&str, LogFormat)] = &[
    ("combined", LogFormat::Combined),
    ("json", LogFormat::Json),
    ("short", LogFormat::Short),
];

/// What is served if nothing is named.
pub(super) const DEFAULT_PATH: &str = ".";

impl ServeOptions {
    /// Understands what was typed.
    pub(crate) fn read(typed: &Typed) -> Result<Self, UsageError> {
        let path = typed.words.first();
        let (health, status) = own_paths(typed)?;
        let status_from = typed.all(Id::StatusFrom, values::cidr)?;
        if status.is_none() && !status_from.is_empty() {
            return Err(UsageError::new(
                "--status-from needs the path of the figures; add --status /PATH".to_owned(),
            ));
        }
        Ok(Self {
            path: served_path(path.map(OsString::as_os_str))?,
            path_resembles_verb: path.and_then(|path| parse::verb_like(path)),
            port: typed
                .last(Id::Port, |text| values::number(text, 0..=u16::MAX))?
                .unwrap_or(limits::PORT),
            bind: common::bind(typed)?,
            index: match typed.all(Id::Index, values::file_name)? {
                given if given.is_empty() => vec!["index.html".into()],
                given => given,
            },
            no_listing: typed.switch(Id::NoListing)?,
            hidden: typed.switch(Id::Hidden)?,
            headers: headers(typed)?,
            types: typed.all(Id::Type, values::type_rule)?,
            spa: typed.switch(Id::Spa)?,
            clean_urls: typed.switch(Id::CleanUrls)?,
            cache: typed
                .last(Id::Cache, values::cache_policy)?
                .unwrap_or(CachePolicy {
                    max_age: None,
                    immutable: false,
                }),
            cors: typed.switch(Id::Cors)?,
            hosts: typed.all(Id::Host, values::host_rule)?,
            redirects: typed.last(Id::Redirects, values::path)?,
            auth: typed.last(Id::Auth, values::path)?,
            allow: typed.all(Id::Allow, values::cidr)?,
            max_per_address: typed
                .last(Id::MaxPerAddress, |text| {
                    values::number_or("off", text, 1..=limits::PER_ADDRESS_OPTION_MAX)
                })?
                .flatten(),
            proxy_from: typed.all(Id::ProxyFrom, values::proxies)?,
            reuse_port: typed.switch(Id::ReusePort)?,
            health,
            status,
            status_from,
            user: typed.last(Id::User, values::user)?,
            with: typed.all(Id::With, values::companions)?.concat(),
            max_connections: typed
                .last(Id::MaxConnections, |text| {
                    values::number_or("auto", text, 1..=limits::SLOTS_MAX)
                })?
                .flatten(),
            head_bytes_max: memory(typed, Id::MaxHead, limits::HEAD_BYTES_OPTION)?
                .unwrap_or(limits::HEAD_BYTES_MAX),
            head_timeout: common::timeout(typed, Id::HeadTimeout, limits::HEAD_TIMEOUT)?,
            idle_timeout: common::timeout(typed, Id::IdleTimeout, limits::IDLE_TIMEOUT)?,
            stall_timeout: common::timeout(typed, Id::StallTimeout, limits::STALL_TIMEOUT)?,
            grace: common::wait(typed, Id::Grace, limits::GRACE)?,
            drain_delay: common::wait(typed, Id::DrainDelay, limits::DRAIN_DELAY)?,
            cache_bytes_max: memory(typed, Id::CacheMemory, limits::CACHE_BYTES_OPTION)?
                .unwrap_or(limits::CACHE_BYTES_MAX),
            access_log: typed
                .last(Id::AccessLog, values::access_log)?
                .unwrap_or(LogDestination::Stdout),
            log_format: typed
                .last(Id::LogFormat, |text| values::word(text, LOG_FORMATS))?
                .unwrap_or(LogFormat::Combined),
            quiet: typed.switch(Id::Quiet)?,
            verbose: typed.count(Id::Verbose)?,
            color: common::color(typed)?,
            check: typed.switch(Id::Check)?,
            settings: typed.settings(),
        })
    }
}

pub(super) fn served_path(word: Option<&OsStr>) -> Result<PathBuf, UsageError> {
    match word {
        None => Ok(PathBuf::from(DEFAULT_PATH)),
        Some(word) if word.is_empty() => Err(UsageError::new(
            "PATH is empty; leave it out for the current directory".to_owned(),
        )),
        Some(word) => Ok(PathBuf::from(word)),
    }
}

fn headers(typed: &Typed) -> Result<Vec<HeaderRule>, UsageError> {
    let headers = typed.all(Id::Header, values::header_rule)?;
    common::within_limit(headers.iter().map(|rule| &rule.line))?;
    Ok(headers)
}

/// The paths of health and status, which must differ.
fn own_paths(typed: &Typed) -> Result<(Option<String>, Option<String>), UsageError> {
    let health = typed.last(Id::Health, values::own_path)?;
    let status = typed.last(Id::Status, values::own_path)?;
    if health.is_some() && health == status {
        return Err(UsageError::new(
            "--health and --status have one path; give each its own".to_owned(),
        ));
    }
    Ok((health, status))
}

fn memory(
    typed: &Typed,
    id: Id,
    range: std::ops::RangeInclusive<u64>,
) -> Result<Option<usize>, UsageError> {
    typed.last(id, |text| {
        let bytes = values::size(text, range.clone())?;
        usize::try_from(bytes).map_err(|_| {
            format!(
                "{} is more than this machine can address",
                values::shown(text)
            )
        })
    })
}
