//! One line of the access log, in three formats.
//!
//! Whatever a client sent, a line is printable ASCII, and in JSON a valid object: no client can
//! forge a line, or reach a terminal through the log.

use std::borrow::Cow;
use std::fmt;
use std::io::Write as _;
use std::time::Instant;

use crate::cli::LogFormat;
use crate::event_loop::{Now, PeerAddress};
use crate::http::date;
use crate::http::date::unix_seconds;
use crate::http::json::{JsonString, JsonStyle, JsonTime};
use crate::http::request::Request;
use crate::http::status::Status;
use crate::limits::LOG_FIELD_BYTES_MAX;

/// What the line of a reply needs of its request, which is gone when the reply is complete. Text
/// from clients is kept as it came.
#[derive(Debug)]
pub struct LogRecord {
    client: PeerAddress,
    /// The name that was logged in with.
    user: Option<Vec<u8>>,
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
        user: Option<Vec<u8>>,
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
    pub(super) fn write(&self, format: LogFormat, body_bytes: u64, now: &Now, into: &mut Vec<u8>) {
        let (client, status) = (display(self.client), self.status.0);
        let seconds = unix_seconds(now.wall);
        let duration = || now.instant.saturating_duration_since(self.begun);
        // Memory apart, writing to a Vec cannot fail.
        let _ = match format {
            // 127.0.0.1 - - [01/Jan/2030:00:00:00 +0000] "GET / HTTP/1.1" 200 5 "-" "curl/8"
            LogFormat::Combined => {
                let _ = write!(into, "{client} - ");
                field(self.user.as_deref(), b'!', into);
                into.extend_from_slice(b" [");
                match date::common_log(seconds) {
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
                JsonTime(seconds),
                JsonField(self.user.as_deref()),
                JsonField(Some(&self.request)),
                duration().as_secs(),
                duration().subsec_micros(),
                JsonField(self.referer.as_deref()),
                JsonField(self.user_agent.as_deref()),
            ),
            // 00:00:00 127.0.0.1 200 5 0.3ms GET / HTTP/1.1
            LogFormat::Short => {
                if let Some(time) = date::common_log(seconds) {
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
    while let Some(at) = rest.iter().position(is_odd) {
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
