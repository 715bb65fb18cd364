//! The access log: where its lines go, and what they say, in three formats.
//!
//! Lines are written once a turn. Nothing that happens to the log (a reader that stops, a full
//! disk, a closed pipe) slows or ends the server; lost lines are counted. Whatever a client sent, a
//! line is printable ASCII, and in JSON a valid object: no client can forge a line, or reach a
//! terminal through the log.

use std::borrow::Cow;
use std::fmt;
use std::fs::File;
use std::io::{self, Write as _};
use std::path::{self, Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use signal_hook::consts::SIGXFSZ;

use crate::cli::{LogDestination, LogFormat};
use crate::event_loop::clock::RateLimit;
use crate::event_loop::{Now, PeerAddress};
use crate::http::date::{self, UnixSeconds, unix_seconds};
use crate::http::request::Request;
use crate::http::status::Status;
use crate::http::text::{JsonString, JsonStyle, json_time};
use crate::limits::LOG_FIELD_BYTES_MAX;
use crate::log::sink::{Flushed, LogSink, LogTarget};
use crate::process::words_of;

/// The access log; by default it is off.
#[derive(Debug, Default)]
pub struct AccessLog {
    /// None if the log is switched off: then no records need be made.
    pub(super) sink: Option<LogSink>,
    /// The file, if it is none of the standard streams.
    path: Option<PathBuf>,
    format: LogFormat,
    /// The second of the last line, and how it is written: many lines come in one.
    second: Option<(UnixSeconds, Option<[u8; 26]>)>,
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
        let (target, path) = match destination {
            LogDestination::Off => return Ok(Self::default()),
            LogDestination::Stdout => (LogTarget::Stdout(io::stdout()), None),
            LogDestination::File(path) => (open_file(path)?, Some(path.clone())),
        };
        // A file at its size limit (`ulimit -f`) is a failed write, not the end of the server.
        signal_hook::flag::register(SIGXFSZ, Arc::default())
            .map_err(|e| format!("cannot prepare the access log: {e}"))?;
        Ok(Self {
            sink: Some(LogSink::new(target)),
            path,
            format,
            ..Self::default()
        })
    }

    /// Adds the line of a reply of which `body_bytes` have gone out. It is written at the next
    /// [`flush`](Self::flush), or dropped and counted if too many wait already.
    pub fn add(&mut self, record: &LogRecord, body_bytes: u64, now: &Now) {
        if let Some(sink) = &mut self.sink {
            let seconds = unix_seconds(now.wall);
            let second = self.second.filter(|(second, _)| *second == seconds);
            let (_, time) = second.unwrap_or_else(|| (seconds, date::common_log(seconds)));
            self.second = Some((seconds, time));
            sink.line(|into| record.write(self.format, time, body_bytes, now, into));
        }
    }

    /// Writes what was added: to be called once a turn. If a duration is returned, something is
    /// left, and another call is worth it after that time.
    pub fn flush(&mut self, now: &Now) -> Option<Duration> {
        let sink = self.sink.as_mut()?;
        let dropped = sink.dropped;
        if sink.pending.is_empty() && dropped == self.mentioned {
            return None;
        }
        let (flushed, retry_after) = (sink.flush(), sink.retry_after());
        self.warn(flushed, now);
        retry_after
    }

    /// Warns when writing begins to fail and when lines were lost, but not too often: the trouble
    /// of one log must not flood the other.
    fn warn(&mut self, flushed: Flushed, now: &Now) {
        let dropped = self.dropped();
        let news = dropped - self.mentioned;
        let was_failing = self.failing;
        self.failing = matches!(flushed, Flushed::Failed(_));
        let begins = self.failing && !was_failing;
        if news == 0 && !begins || !self.warnings.is_due(now) {
            return;
        }
        self.mentioned = dropped;
        let name = self.name();
        let trouble = match flushed {
            Flushed::Failed(e) => format!("cannot write the access log to {name}: {e};"),
            Flushed::Blocked | Flushed::All => {
                format!("the reader of the access log on {name} does not keep up:")
            }
        };
        if news == 0 {
            log::warn!("{trouble} lines are kept for a while, then dropped");
        } else {
            log::warn!("{trouble} {news} lines dropped, {dropped} in all");
        }
    }

    /// Opens the file again by its name, after it was renamed. If that fails, the old one stays in
    /// use, and a warning says so.
    pub fn reopen(&mut self) {
        let (Some(sink), Some(path)) = (&mut self.sink, &self.path) else {
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
        self.sink.as_ref().map_or(0, |sink| sink.dropped)
    }

    /// Writes what is left at the end of the program, waiting half a second at most for a slow
    /// reader, and says which losses no warning has mentioned.
    pub fn finish(&mut self) {
        if let Some(sink) = &mut self.sink {
            sink.finish();
        }
        let (dropped, name) = (self.dropped(), self.name());
        let news = dropped - self.mentioned;
        if news > 0 {
            log::warn!("{news} lines of the access log on {name} were lost, {dropped} in all");
        }
    }

    fn name(&self) -> path::Display<'_> {
        self.path
            .as_deref()
            .unwrap_or(Path::new("stdout"))
            .display()
    }
}

/// Opens a log file. Non-blocking, since a named pipe without a reader would hold up the server;
/// the open file description is ours alone, so the flag surprises no other process.
fn open_file(path: &Path) -> Result<LogTarget, String> {
    let append = OFlags::WRONLY | OFlags::APPEND | OFlags::CREATE;
    let flags = append | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    // Which client asked for what is private: others may not read it.
    let mode = Mode::RUSR | Mode::WUSR | Mode::RGRP;
    let opened = rustix::fs::open(path, flags, mode).map_err(|why| {
        let advice = match why {
            Errno::NXIO => "nobody reads this named pipe: start its reader first",
            Errno::NOENT => "its directory does not exist: create it first",
            Errno::ACCESS | Errno::PERM | Errno::ROFS => "try another path, or --access-log -",
            Errno::ISDIR => "name a file in it",
            _ => "try another path, or --access-log off",
        };
        let (path, why) = (path.display(), words_of(&why.into()));
        format!("cannot open the access log {path}: {why} ({advice})")
    })?;
    Ok(LogTarget::File(File::from(opened)))
}

/// What the line of a reply needs of its request, which is gone when the reply is complete. Text
/// from clients is kept as it came.
#[derive(Debug)]
pub struct LogRecord {
    client: PeerAddress,
    /// The name that was logged in with.
    user: Option<Box<[u8]>>,
    /// The request line, without its end; empty if there was none.
    request: Vec<u8>,
    referer: Option<Vec<u8>>,
    user_agent: Option<Vec<u8>>,
    status: Status,
    begun: Instant,
}

impl LogRecord {
    /// Of a request that was understood, and the name that it was logged in with.
    pub fn of(
        client: PeerAddress,
        user: Option<Box<[u8]>>,
        request: &Request<'_>,
        status: Status,
        now: &Now,
    ) -> Box<Self> {
        let version: &[u8] = match request.minor {
            0 => b"HTTP/1.0",
            _ => b"HTTP/1.1",
        };
        let line = [request.method_name.as_bytes(), request.raw_target, version].join(&b' ');
        Box::new(Self {
            user,
            referer: request.value("Referer").map(<[u8]>::to_vec),
            user_agent: request.value("User-Agent").map(<[u8]>::to_vec),
            ..Self::new(client, line, status, now)
        })
    }

    /// Of one that was not: its first line, whatever it says.
    pub fn of_refusal(client: PeerAddress, head: &[u8], status: Status, now: &Now) -> Box<Self> {
        let mut lines = head.split(|&b| b == b'\n').map(<[u8]>::trim_ascii);
        let line = lines.find(|line| !line.is_empty()).unwrap_or_default();
        Box::new(Self::new(client, line.to_vec(), status, now))
    }

    fn new(client: PeerAddress, request: Vec<u8>, status: Status, now: &Now) -> Self {
        Self {
            client,
            user: None,
            request,
            referer: None,
            user_agent: None,
            status,
            begun: now.instant,
        }
    }

    /// Appends the line, without its end, once `body_bytes` have gone out.
    fn write(
        &self,
        format: LogFormat,
        time: Option<[u8; 26]>,
        body_bytes: u64,
        now: &Now,
        into: &mut Vec<u8>,
    ) {
        let (client, status) = (display(self.client), self.status.0);
        let duration = || now.instant.saturating_duration_since(self.begun);
        // Memory apart, writing to a Vec cannot fail.
        let _ = match format {
            // 127.0.0.1 - - [01/Jan/2030:00:00:00 +0000] "GET / HTTP/1.1" 200 5 "-" "curl/8"
            LogFormat::Combined => {
                let _ = write!(into, "{client} - ");
                field(self.user.as_deref(), b'!', into);
                into.extend_from_slice(b" [");
                match time {
                    Some(time) => into.extend_from_slice(&time),
                    None => into.push(b'-'),
                }
                into.extend_from_slice(b"] \"");
                field(Some(&self.request), b' ', into);
                let _ = write!(into, "\" {status} {body_bytes} \"");
                field(self.referer.as_deref(), b' ', into);
                into.extend_from_slice(b"\" \"");
                field(self.user_agent.as_deref(), b' ', into);
                into.write_all(b"\"")
            }
            LogFormat::Json => write!(
                into,
                "{{\"time\":{},\"peer\":\"{client}\",\"user\":{},\"request\":{},\
                 \"status\":{status},\"bytes\":{body_bytes},\"seconds\":{}.{:06},\
                 \"referer\":{},\"user_agent\":{}}}",
                json_time(unix_seconds(now.wall)),
                JsonField(self.user.as_deref()),
                JsonField(Some(&self.request)),
                duration().as_secs(),
                duration().subsec_micros(),
                JsonField(self.referer.as_deref()),
                JsonField(self.user_agent.as_deref()),
            ),
            // 00:00:00 127.0.0.1 200 5 0.3ms GET / HTTP/1.1
            LogFormat::Short => {
                if let Some(time) = time {
                    into.extend_from_slice(&time[12..20]);
                    into.push(b' ');
                }
                let tenths = duration().as_micros() / 100;
                let (millis, tenth) = (tenths / 10, tenths % 10);
                let written = write!(into, "{client} {status} {body_bytes} {millis}.{tenth}ms ");
                field(Some(&self.request), b' ', into);
                written
            }
        };
    }
}

/// IPv4-mapped addresses are shown as IPv4.
fn display(client: PeerAddress) -> impl fmt::Display {
    fmt::from_fn(move |f| match client {
        PeerAddress::Ip(ip) => write!(f, "{}", ip.to_canonical()),
        PeerAddress::Unix => f.write_str("unix"),
        PeerAddress::Unknown => f.write_str("unknown"),
    })
}

/// Appends a client's text, or a dash if there is none. Bytes from the `first` one to `~` stand as
/// they are, but for quotes and backslashes; all others as `\xHH`, as Apache and nginx do.
fn field(text: Option<&[u8]>, first: u8, into: &mut Vec<u8>) {
    let text = text.unwrap_or_default();
    if text.is_empty() {
        into.push(b'-');
    }
    let is_odd = |byte: &u8| !(first..=b'~').contains(byte) || matches!(byte, b'"' | b'\\');
    let text = beginning(text);
    let mut rest = &text[..];
    // Most texts have nothing odd, which a look at many bytes at a time shows.
    let any = rest.iter().fold(false, |any, byte| any | is_odd(byte));
    while any && let Some(at) = rest.iter().position(is_odd) {
        into.extend_from_slice(&rest[..at]);
        let _ = write!(into, "\\x{:02X}", rest[at]);
        rest = &rest[at + 1..];
    }
    into.extend_from_slice(rest);
}

/// A client's text as a string of JSON, or `null` if there is none. JSON has no bytes: what is not
/// UTF-8 becomes U+FFFD, so that no reader takes a stray 0xE9 for a letter.
struct JsonField<'a>(Option<&'a [u8]>);

impl fmt::Display for JsonField<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(text) => JsonString(JsonStyle::Log, &beginning(text)).fmt(f),
            None => f.write_str("null"),
        }
    }
}

/// The part of a client's text that is shown; dots mark that it was cut.
fn beginning(text: &[u8]) -> Cow<'_, [u8]> {
    match text.get(..LOG_FIELD_BYTES_MAX) {
        Some(beginning) if text.len() > LOG_FIELD_BYTES_MAX => [beginning, b"..."].concat().into(),
        _ => text.into(),
    }
}

#[cfg(test)]
mod tests;
