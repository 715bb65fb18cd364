//! The access log: one line for each reply, written once a turn, and never a reason to wait.
//!
//! What lives here: where the log goes, when it is written, reopening it, and what is said about lines that
//! were lost. It may not know what an entry looks like (`log_entry.rs`) or how a write avoids waiting
//! (`outlet.rs`). Invariant: nothing that happens to the log (a reader that stops, a full disk, a closed
//! pipe) slows or ends the server; lost lines are counted. Read next: `log_entry.rs`.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use signal_hook::consts::SIGXFSZ;

use crate::limits::LOG_WARNING_INTERVAL;

use crate::log::sink::{Flushed, LogSink, Target};
use crate::server::log_entry::{Entry, Format};

/// Where the access log goes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Destination {
    /// Nowhere: nothing is formatted.
    Off,
    /// Standard output.
    Stdout,
    /// A file, appended to; or a named pipe that somebody reads.
    File(PathBuf),
}

/// The access log.
#[derive(Debug)]
pub struct AccessLog {
    outlet: Option<LogSink>,
    path: Option<PathBuf>,
    format: Format,
    /// The last write failed, and that was said.
    failing: bool,
    /// Dropped lines that were already spoken of.
    told: u64,
    told_at: Option<Instant>,
}

impl AccessLog {
    /// Opens the log.
    ///
    /// # Errors
    /// One line for the user, if the file cannot be opened for appending.
    pub fn open(destination: Destination, format: Format) -> Result<Self, String> {
        let (outlet, path) = match destination {
            Destination::Off => (None, None),
            Destination::Stdout => (Some(LogSink::new(Target::Stdout(io::stdout()))), None),
            Destination::File(path) => {
                let file = open_file(&path).map_err(|e| explain(&path, e))?;
                (Some(LogSink::new(Target::File(file))), Some(path))
            }
        };
        if outlet.is_some() {
            // A file that reaches a size limit (`ulimit -f`) is a failed write, not the end of the server.
            signal_hook::flag::register(SIGXFSZ, Arc::default())
                .map_err(|e| format!("cannot prepare the access log: {e}"))?;
        }
        Ok(Self {
            outlet,
            path,
            format,
            failing: false,
            told: 0,
            told_at: None,
        })
    }

    /// Whether entries go anywhere: if not, the caller need not collect one.
    pub fn is_on(&self) -> bool {
        self.outlet.is_some()
    }

    /// Adds an entry. It is written at the next [`flush`](Self::flush), or dropped and counted if too
    /// many wait already.
    pub fn entry(&mut self, entry: &Entry<'_>) {
        let format = self.format;
        self.line(|into| entry.write(format, into));
    }

    /// Adds a line, to which `write` appends all but its end.
    pub fn line(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        if let Some(outlet) = &mut self.outlet {
            outlet.line(write);
        }
    }

    /// Writes what was added: to be called once a turn. If a duration is returned, something is left, and it
    /// is worth another call after that time.
    pub fn flush(&mut self, now: Instant) -> Option<Duration> {
        let outlet = self.outlet.as_mut()?;
        if outlet.waiting() == 0 && outlet.dropped() == self.told {
            return None;
        }
        let flushed = outlet.flush();
        let retry_after = outlet.retry_after();
        let dropped = outlet.dropped();
        self.warn(flushed, dropped, now);
        retry_after
    }

    /// Says what goes wrong: when it begins, and when lines were lost; once in [`LOG_WARNING_INTERVAL`].
    fn warn(&mut self, flushed: Flushed, dropped: u64, now: Instant) {
        let failed = matches!(flushed, Flushed::Failed(_));
        let news = dropped - self.told;
        let begins = failed && !self.failing;
        self.failing = failed;
        let is_soon = |at| now.saturating_duration_since(at) < LOG_WARNING_INTERVAL;
        if (news == 0 && !begins) || self.told_at.is_some_and(is_soon) {
            return;
        }
        self.told_at = Some(now);
        self.told = dropped;
        let name = self.name();
        match flushed {
            Flushed::Failed(e) if news == 0 => log::warn!(
                "cannot write the access log to {name}: {e}; lines are kept for a while, then dropped"
            ),
            Flushed::Failed(e) => log::warn!(
                "cannot write the access log to {name}: {e}; {news} lines dropped, {dropped} in all"
            ),
            Flushed::Blocked | Flushed::All => log::warn!(
                "the reader of the access log on {name} does not keep up: {news} lines dropped, {dropped} in all"
            ),
        }
    }

    /// Opens the file again by its name, after somebody renamed it. If that fails, the old one stays in
    /// use, and a warning says so.
    pub fn reopen(&mut self) {
        let (Some(outlet), Some(path)) = (&mut self.outlet, &self.path) else {
            return;
        };
        match open_file(path) {
            Ok(file) => {
                outlet.redirect(Target::File(file));
                log::info!("access log {} opened again", path.display());
            }
            Err(e) => log::warn!("{}; the old file stays in use", explain(path, e)),
        }
    }

    /// Lines that were dropped so far.
    pub fn dropped(&self) -> u64 {
        self.outlet.as_ref().map_or(0, LogSink::dropped)
    }

    /// Writes what is left at the end of the program, waiting half a second at most for a slow reader, and says what was lost
    /// and not told yet.
    pub fn finish(&mut self) {
        if let Some(outlet) = &mut self.outlet {
            outlet.farewell();
        }
        let dropped = self.dropped();
        if dropped > self.told {
            log::warn!(
                "{} lines of the access log on {} were lost, {dropped} in all",
                dropped - self.told,
                self.name()
            );
        }
    }

    fn name(&self) -> String {
        self.path
            .as_ref()
            .map_or_else(|| "stdout".to_owned(), |path| path.display().to_string())
    }
}

/// Opens a log file. Non-blocking, or a named pipe without a reader would hold up the server; the
/// description is ours alone, so nobody else is surprised.
fn open_file(path: &Path) -> Result<File, Errno> {
    let flags = OFlags::WRONLY
        | OFlags::APPEND
        | OFlags::CREATE
        | OFlags::NONBLOCK
        | OFlags::NOCTTY
        | OFlags::CLOEXEC;
    // Who asked for what is nobody else's business.
    let mode = Mode::RUSR | Mode::WUSR | Mode::RGRP;
    Ok(File::from(rustix::fs::open(path, flags, mode)?))
}

fn explain(path: &Path, why: Errno) -> String {
    let advice = match why {
        Errno::NXIO => "nobody reads this named pipe: start its reader first",
        Errno::NOENT => "its directory does not exist: create it first",
        Errno::ACCESS | Errno::PERM | Errno::ROFS => "try another path, or --access-log -",
        Errno::ISDIR => "name a file in it",
        _ => "try another path, or --access-log off",
    };
    format!(
        "cannot open the access log {}: {} ({advice})",
        path.display(),
        crate::process::words_of(&why.into())
    )
}

#[cfg(test)]
mod tests;
