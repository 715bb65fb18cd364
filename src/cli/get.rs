//! The meaning of what was typed after `idler get`.
//!
//! What lives here: [`GetOptions`]. It may not know how a request is made. Invariant: what contradicts
//! itself (two outputs, a resumed download without a file) is refused here, before anything is sent.
//! Read next: `companions.rs`.

use super::{UsageError, common, values};
use crate::cli::common::Voice;
use crate::cli::parse::Typed;
use crate::cli::table::Id;
use crate::cli::values::HeaderLine;
use crate::http::url::Url;
use crate::limits;
use std::{path::PathBuf, time::Duration};

/// Everything `idler get` was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GetOptions {
    /// What to fetch.
    pub url: Url,
    /// Where the body goes.
    pub output: Output,
    /// Keep what has come if it breaks off, and go on there the next time; the output is a file then.
    pub resume: bool,
    /// HEAD instead of GET.
    pub head_only: bool,
    /// Header lines of the request.
    pub headers: Vec<HeaderLine>,
    /// Follow redirects.
    pub follow: bool,
    /// How long nothing may happen.
    pub timeout: Duration,
    /// The reply's head goes to the output too.
    pub include_head: bool,
    /// Say what took how long and how many steps.
    pub timing: bool,
    /// Requests on the connection, and in which manner.
    pub requests: Requests,
    /// How the request is sent.
    pub pace: Pace,
    /// How much is said.
    pub voice: Voice,
}

/// Where a body goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Standard output.
    Stdout,
    /// This file.
    File(PathBuf),
}

/// How many requests one connection carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Requests {
    /// One.
    One,
    /// So many, each after the reply to the one before.
    Kept(u32),
    /// So many, without waiting.
    Pipelined(u32),
}

/// How a request is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// As fast as the socket takes it.
    AtOnce,
    /// In pieces.
    Pieces {
        /// Bytes of one piece, at least 1.
        bytes: usize,
        /// From one piece to the next.
        delay: Duration,
    },
}

impl GetOptions {
    pub(super) fn read(typed: &Typed) -> Result<Self, UsageError> {
        let url = url(typed)?;
        let output = output(typed, &url)?;
        let resume = typed.switch(Id::Resume)?;
        let requests = requests(typed)?;
        if resume && output == Output::Stdout {
            return Err(UsageError::new(
                "--continue needs a file to continue; add -O or -o FILE".to_owned(),
            ));
        }
        if resume && requests != Requests::One {
            return Err(UsageError::new(
                "--continue asks once; leave out --keep and --pipeline".to_owned(),
            ));
        }
        Ok(Self {
            url,
            output,
            resume,
            head_only: typed.switch(Id::HeadOnly)?,
            headers: headers(typed)?,
            follow: typed.switch(Id::Follow)?,
            timeout: common::timeout(typed, Id::Timeout, limits::CLIENT_TIMEOUT)?,
            include_head: typed.switch(Id::Include)?,
            timing: typed.switch(Id::Timing)?,
            requests,
            pace: pace(typed)?,
            voice: Voice::read(typed)?,
        })
    }
}

fn url(typed: &Typed) -> Result<Url, UsageError> {
    match typed.words.as_slice() {
        [url] => values::url(url).map_err(UsageError::new),
        [host, port, file] => values::url_of_words(host, port, file).map_err(UsageError::new),
        _ => Err(UsageError::new(
            "get takes a URL, or HOST PORT FILE; try idler get http://HOST:PORT/FILE".to_owned(),
        )),
    }
}

fn output(typed: &Typed, url: &Url) -> Result<Output, UsageError> {
    let file = typed.last(Id::Output, values::path)?;
    match (file, typed.switch(Id::RemoteName)?) {
        (None, false) => Ok(Output::Stdout),
        (Some(file), false) if file.as_os_str() == "-" => Ok(Output::Stdout),
        (Some(file), false) => Ok(Output::File(file)),
        (Some(_), true) => Err(UsageError::new(
            "--output and --remote-name name two files; choose one".to_owned(),
        )),
        (None, true) => match values::file_name_of(url) {
            Some(name) => Ok(Output::File(PathBuf::from(name))),
            None => Err(UsageError::new(
                "--remote-name: the URL names no file; try -o FILE".to_owned(),
            )),
        },
    }
}

/// The client sends no body, so a line that announces one would leave the server waiting for it.
fn headers(typed: &Typed) -> Result<Vec<HeaderLine>, UsageError> {
    let headers = common::request_headers(typed)?;
    let announces = |line: &&HeaderLine| {
        ["Content-Length", "Transfer-Encoding"]
            .iter()
            .any(|name| line.name.eq_ignore_ascii_case(name))
    };
    match headers.iter().find(announces) {
        Some(line) => Err(UsageError::new(format!(
            "--header: {} announces a body, and get sends none",
            line.name
        ))),
        None => Ok(headers),
    }
}

fn requests(typed: &Typed) -> Result<Requests, UsageError> {
    let read = |id| {
        let number = |text: &_| values::number(text, 1..=limits::REPEATED_REQUESTS_MAX);
        Ok(typed.last(id, number)?.filter(|&number| number > 1))
    };
    match (read(Id::Keep)?, read(Id::Pipeline)?) {
        (None, None) => Ok(Requests::One),
        (Some(number), None) => Ok(Requests::Kept(number)),
        (None, Some(number)) => Ok(Requests::Pipelined(number)),
        (Some(_), Some(_)) => Err(UsageError::new(
            "--keep waits for each reply and --pipeline does not; choose one".to_owned(),
        )),
    }
}

fn pace(typed: &Typed) -> Result<Pace, UsageError> {
    let bytes = typed.last(Id::Chunk, |text| {
        values::number(text, 1..=limits::HEAD_BYTES_MAX)
    })?;
    let delay = typed.last(Id::Delay, values::delay)?.unwrap_or_default();
    Ok(match bytes {
        None if delay.is_zero() => Pace::AtOnce,
        None => Pace::Pieces { bytes: 1, delay },
        Some(bytes) => Pace::Pieces { bytes, delay },
    })
}
