//! The meaning of what was typed after `explain` and `precompress`.
//!
//! What lives here: their options as plain data. It may not know spellings, which stand in the table.
//! Invariant: every field is valid in itself. Read next: `values.rs`.

use super::{
    ServeOptions, UsageError,
    parse::Typed,
    serve,
    table::Id,
    values::{self, HeaderLine},
};
use std::{ffi::OsString, path::PathBuf};

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
}

/// Everything `idler precompress` was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrecompressOptions {
    /// The directory, or one file.
    pub path: PathBuf,
    /// No progress is shown.
    pub quiet: bool,
}

impl ExplainOptions {
    pub(super) fn read(typed: &Typed) -> Result<Self, UsageError> {
        let mut server = ServeOptions::read(typed)?;
        // The word is not what is served, but what is asked for.
        server.path_resembles_verb = None;
        server.path = typed
            .last(Id::Root, values::path)?
            .unwrap_or_else(|| serve::DEFAULT_PATH.into());
        let headers = typed.all(Id::RequestHeader, values::request_header_line)?;
        serve::within_limit(&headers)?;
        Ok(Self {
            target: typed.words.first().cloned().unwrap_or_default(),
            head_only: typed.switch(Id::HeadOnly)?,
            headers,
            server: Box::new(server),
        })
    }
}

impl PrecompressOptions {
    pub(super) fn read(typed: &Typed) -> Result<Self, UsageError> {
        Ok(Self {
            path: serve::served_path(typed.words.first().map(OsString::as_os_str))?,
            quiet: typed.switch(Id::Quiet)?,
        })
    }
}
