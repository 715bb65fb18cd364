//! Where access log lines go, how the file is opened again, and what is said of lines that were
//! lost.
//!
//! Lines are written once a turn. Nothing that happens to the log (a reader that stops, a full
//! disk, a closed pipe) slows or ends the server; lost lines are counted.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use signal_hook::consts::SIGXFSZ;

use crate::cli::{LogDestination, LogFormat};
use crate::event_loop::Now;
use crate::event_loop::clock::RateLimit;
use crate::log::sink::{Flushed, LogSink, LogTarget};
use crate::process::words_of;
use crate::server::log_record::LogRecord;

/// The access log.
#[derive(Debug)]
pub struct AccessLog {
    /// None if the log is switched off: then nothing is formatted.
    sink: Option<LogSink>,
    destination: LogDestination,
    format: LogFormat,
    /// The last write failed.
    failing: bool,
    /// Dropped lines that a warning has mentioned.
    mentioned: u64,
    warnings: RateLimit,
}

impl AccessLog {
    /// Opens the log.
    ///
    /// # Errors
    /// One line for the user, if the file cannot be opened for appending.
    pub fn open(destination: &LogDestination, format: LogFormat) -> Result<Self, String> {
        let target = match destination {
            LogDestination::Off => None,
            LogDestination::Stdout => Some(LogTarget::Stdout(io::stdout())),
            LogDestination::File(path) => Some(open_file(path)?),
        };
        if target.is_some() {
            // A file at its size limit (`ulimit -f`) is a failed write, not the end of the server.
            signal_hook::flag::register(SIGXFSZ, Arc::default())
                .map_err(|e| format!("cannot prepare the access log: {e}"))?;
        }
        Ok(Self {
            sink: target.map(LogSink::new),
            destination: destination.clone(),
            format,
            failing: false,
            mentioned: 0,
            warnings: RateLimit::default(),
        })
    }

    /// Whether lines go anywhere: if not, the caller need not make records.
    pub fn is_on(&self) -> bool {
        self.sink.is_some()
    }

    /// Adds the line of a reply of which `body_bytes` have gone out. It is written at the next
    /// [`flush`](Self::flush), or dropped and counted if too many wait already.
    pub fn add(&mut self, record: &LogRecord, body_bytes: u64, now: &Now) {
        let format = self.format;
        self.line(|into| record.write(format, body_bytes, now, into));
    }

    fn line(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        if let Some(sink) = &mut self.sink {
            sink.line(write);
        }
    }

    /// Writes what was added: to be called once a turn. If a duration is returned, something is
    /// left, and another call is worth it after that time.
    pub fn flush(&mut self, now: &Now) -> Option<Duration> {
        let sink = self.sink.as_mut()?;
        let dropped = sink.dropped();
        if sink.waiting() == 0 && dropped == self.mentioned {
            return None;
        }
        let flushed = sink.flush();
        let retry_after = sink.retry_after();
        self.warn(flushed, now);
        retry_after
    }

    /// Warns when writing begins to fail and when lines were lost, but not too often: the trouble
    /// of one log must not flood the other.
    fn warn(&mut self, flushed: Flushed, now: &Now) {
        let dropped = self.dropped();
        let news = dropped - self.mentioned;
        let failed = matches!(flushed, Flushed::Failed(_));
        let begins = failed && !self.failing;
        self.failing = failed;
        if news == 0 && !begins || !self.warnings.is_due(now) {
            return;
        }
        self.mentioned = dropped;
        let name = self.name();
        match flushed {
            Flushed::Failed(e) if news == 0 => log::warn!(
                "cannot write the access log to {name}: {e}; \
                 lines are kept for a while, then dropped"
            ),
            Flushed::Failed(e) => log::warn!(
                "cannot write the access log to {name}: {e}; \
                 {news} lines dropped, {dropped} in all"
            ),
            Flushed::Blocked | Flushed::All => log::warn!(
                "the reader of the access log on {name} does not keep up: \
                 {news} lines dropped, {dropped} in all"
            ),
        }
    }

    /// Opens the file again by its name, after it was renamed. If that fails, the old one stays in
    /// use, and a warning says so.
    pub fn reopen(&mut self) {
        let (Some(sink), LogDestination::File(path)) = (&mut self.sink, &self.destination) else {
            return;
        };
        match open_file(path) {
            Ok(file) => {
                sink.redirect(file);
                log::info!("access log {} opened again", path.display());
            }
            Err(line) => log::warn!("{line}; the old file stays in use"),
        }
    }

    /// Lines that were dropped so far.
    pub fn dropped(&self) -> u64 {
        self.sink.as_ref().map_or(0, LogSink::dropped)
    }

    /// Writes what is left at the end of the program, waiting half a second at most for a slow
    /// reader, and says which losses no warning has mentioned.
    pub fn finish(&mut self) {
        if let Some(sink) = &mut self.sink {
            sink.finish();
        }
        let dropped = self.dropped();
        if dropped > self.mentioned {
            log::warn!(
                "{} lines of the access log on {} were lost, {dropped} in all",
                dropped - self.mentioned,
                self.name()
            );
        }
    }

    fn name(&self) -> String {
        match &self.destination {
            LogDestination::File(path) => path.display().to_string(),
            LogDestination::Stdout | LogDestination::Off => "stdout".to_owned(),
        }
    }
}

/// Opens a log file. Non-blocking, since a named pipe without a reader would hold up the server;
/// the open file description is ours alone, so the flag surprises no other process.
fn open_file(path: &Path) -> Result<LogTarget, String> {
    let flags = OFlags::WRONLY
        | OFlags::APPEND
        | OFlags::CREATE
        | OFlags::NONBLOCK
        | OFlags::NOCTTY
        | OFlags::CLOEXEC;
    // Which client asked for what is private: others may not read it.
    let mode = Mode::RUSR | Mode::WUSR | Mode::RGRP;
    let opened = rustix::fs::open(path, flags, mode);
    opened
        .map(|fd| LogTarget::File(File::from(fd)))
        .map_err(|why| {
            let advice = match why {
                Errno::NXIO => "nobody reads this named pipe: start its reader first",
                Errno::NOENT => "its directory does not exist: create it first",
                Errno::ACCESS | Errno::PERM | Errno::ROFS => "try another path, or --access-log -",
                Errno::ISDIR => "name a file in it",
                _ => "try another path, or --access-log off",
            };
            let (path, why) = (path.display(), words_of(&why.into()));
            format!("cannot open the access log {path}: {why} ({advice})")
        })
}

#[cfg(test)]
mod tests;
