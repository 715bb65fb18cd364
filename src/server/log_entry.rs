//! What one line of the access log says, in three formats.
//!
//! What lives here: entries and their escaping. It may not know where lines go. Invariant: whatever a client
//! sent, an entry is one line of printable ASCII, and in JSON a valid object: nobody forges an entry or
//! reaches a terminal through the log. Read next: `outlet.rs`.

use std::time::Duration;

use crate::http::date;
use crate::limits::LOG_FIELD_BYTES_MAX;
use crate::pages::put;

use crate::server::client_addr::Client;

/// How a line looks.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum Format {
    /// Apache's Combined format, which every log analyser reads.
    #[default]
    Combined,
    /// One JSON object a line.
    Json,
    /// Time of day, client, status, bytes, duration, request: for people who watch.
    Short,
}

/// One reply, as far as the log is concerned. Text from clients is given as it came.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    /// Who asked.
    pub peer: Client,
    /// The name that was logged in with.
    pub user: Option<&'a [u8]>,
    /// When the reply was complete, in seconds since 1970 UTC.
    pub time_unix: i64,
    /// The request line, without its end; empty if there was none.
    pub request: &'a [u8],
    /// The status of the reply.
    pub status: u16,
    /// Bytes of the body that were sent.
    pub body_bytes: u64,
    /// The `Referer` header.
    pub referer: Option<&'a [u8]>,
    /// The `User-Agent` header.
    pub user_agent: Option<&'a [u8]>,
    /// From the first byte of the request to the last of the reply.
    pub duration: Duration,
}

impl Entry<'_> {
    /// Appends the entry, without a line end.
    pub fn write(&self, format: Format, into: &mut Vec<u8>) {
        match format {
            Format::Combined => self.combined(into),
            Format::Json => self.json(into),
            Format::Short => self.short(into),
        }
    }

    /// `127.0.0.1 - - [01/Jan/2030:00:00:00 +0000] "GET / HTTP/1.1" 200 5 "-" "curl/8"`
    fn combined(&self, into: &mut Vec<u8>) {
        self.peer(into);
        into.extend_from_slice(b" - ");
        match self.user {
            Some(user) if !user.is_empty() => escape(user, Spaces::Escaped, into),
            _ => into.push(b'-'),
        }
        into.extend_from_slice(b" [");
        match date::common_log(self.time_unix) {
            Some(time) => into.extend_from_slice(&time),
            None => into.push(b'-'),
        }
        into.extend_from_slice(b"] \"");
        text_or_dash(self.request, into);
        put(
            into,
            format_args!("\" {} {} \"", self.status, self.body_bytes),
        );
        text_or_dash(self.referer.unwrap_or_default(), into);
        into.extend_from_slice(b"\" \"");
        text_or_dash(self.user_agent.unwrap_or_default(), into);
        into.push(b'"');
    }

    /// `{"time":"2030-01-01T00:00:00Z","peer":"127.0.0.1", ...}`
    fn json(&self, into: &mut Vec<u8>) {
        into.extend_from_slice(b"{\"time\":");
        match date::iso_8601(self.time_unix) {
            Some(time) => json_text(Some(&time), into),
            None => json_text(None, into),
        }
        into.extend_from_slice(b",\"peer\":\"");
        self.peer(into);
        into.extend_from_slice(b"\",\"user\":");
        json_text(self.user, into);
        into.extend_from_slice(b",\"request\":");
        json_text(Some(self.request), into);
        put(
            into,
            format_args!(
                ",\"status\":{},\"bytes\":{},\"seconds\":{}.{:06},\"referer\":",
                self.status,
                self.body_bytes,
                self.duration.as_secs(),
                self.duration.subsec_micros()
            ),
        );
        json_text(self.referer, into);
        into.extend_from_slice(b",\"user_agent\":");
        json_text(self.user_agent, into);
        into.push(b'}');
    }

    /// `00:00:00 127.0.0.1 200 5 0.3ms GET / HTTP/1.1`
    fn short(&self, into: &mut Vec<u8>) {
        if let Some(time) = date::iso_8601(self.time_unix) {
            into.extend_from_slice(&time[11..19]);
            into.push(b' ');
        }
        self.peer(into);
        let tenths = self.duration.as_micros() / 100;
        put(
            into,
            format_args!(
                " {} {} {}.{}ms ",
                self.status,
                self.body_bytes,
                tenths / 10,
                tenths % 10
            ),
        );
        text_or_dash(self.request, into);
    }

    fn peer(&self, into: &mut Vec<u8>) {
        match self.peer {
            Client::Address(ip) => put(into, format_args!("{}", ip.to_canonical())),
            Client::Unix => into.extend_from_slice(b"unix"),
            Client::Unknown => into.extend_from_slice(b"unknown"),
        }
    }
}

/// The part of a client's text that is shown, and whether it was cut.
fn shown(text: &[u8]) -> (&[u8], bool) {
    match text.get(..LOG_FIELD_BYTES_MAX) {
        Some(beginning) if text.len() > LOG_FIELD_BYTES_MAX => (beginning, true),
        _ => (text, false),
    }
}

fn text_or_dash(text: &[u8], into: &mut Vec<u8>) {
    if text.is_empty() {
        into.push(b'-');
    } else {
        escape(text, Spaces::Kept, into);
    }
}

/// Whether spaces may stand in a field: not where fields are told apart by them.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Spaces {
    Kept,
    Escaped,
}

/// Printable ASCII as it is; quotes, backslashes and all other bytes as `\xHH`, as Apache and nginx do.
fn escape(text: &[u8], spaces: Spaces, into: &mut Vec<u8>) {
    let (text, cut) = shown(text);
    for byte in text {
        match byte {
            b' ' if spaces == Spaces::Kept => into.push(b' '),
            b'"' | b'\\' => put(into, format_args!("\\x{byte:02X}")),
            b'!'..=b'~' => into.push(*byte),
            _ => put(into, format_args!("\\x{byte:02X}")),
        }
    }
    if cut {
        into.extend_from_slice(b"...");
    }
}

/// A JSON string of pure ASCII, or `null`. What is not UTF-8 becomes U+FFFD: JSON has no bytes, and a
/// reader must not take a stray 0xE9 for a letter.
fn json_text(text: Option<&[u8]>, into: &mut Vec<u8>) {
    let Some(text) = text else {
        into.extend_from_slice(b"null");
        return;
    };
    let (text, cut) = shown(text);
    into.push(b'"');
    for chunk in text.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '"' => into.extend_from_slice(b"\\\""),
                '\\' => into.extend_from_slice(b"\\\\"),
                ' '..='~' => put(into, format_args!("{c}")),
                _ => {
                    for unit in c.encode_utf16(&mut [0; 2]) {
                        put(into, format_args!("\\u{unit:04x}"));
                    }
                }
            }
        }
        if !chunk.invalid().is_empty() {
            into.extend_from_slice(b"\\ufffd");
        }
    }
    if cut {
        into.extend_from_slice(b"...");
    }
    into.push(b'"');
}

#[cfg(test)]
mod tests;
