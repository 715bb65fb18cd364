//! `idler explain`: why a request gets its answer.
//!
//! From a URL to a request, through the server's own code, and the sentences of its rules and the
//! head of its reply onto standard output. There is no second copy of any rule: all that is printed
//! was handed to a `note` by the rule that decided, or is what would have been sent.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::process::ExitCode;

use percent_encoding::{AsciiSet, CONTROLS, percent_encode};

use super::{exit_code, print_page};
use crate::cli::Options;
use crate::companions::client::Failure;
use crate::event_loop::clock::Clock;
use crate::event_loop::{Now, PeerAddress};
use crate::http::request::{Method, NO_FIELDS, Request};
use crate::http::response::Body;
use crate::http::state::{HeadProgress, Reading};
use crate::http::status::Refusal;
use crate::http::text::printable;
use crate::server::Server;
use crate::server::outcome::{HEAD_TOO_SLOW, NoteFn};
use crate::server::respond::{Response, ResponseOptions};
use crate::server::{sites, start};

/// What cannot stand in a target. All else is left as it is, to show what it does.
const ENCODED: &AsciiSet = &CONTROLS.add(b' ');

/// Prints the explanation. 0: printed, whatever the status; 1: there is no such site.
pub fn run(target: &OsStr, options: &Options) -> ExitCode {
    let opened = sites::open(&options.server);
    // A server without sockets and without a log.
    match opened.and_then(|sites| start::server(&options.server, sites)) {
        Ok(mut server) => {
            let now = Clock::start().read();
            print_page(&explain(&mut server, &head_of(target, options), &now))
        }
        Err(line) => exit_code(Err(Failure::new(line))),
    }
}

/// The head of the request that is meant.
fn head_of(target: &OsStr, options: &Options) -> Vec<u8> {
    let (host, target) = split(target.as_bytes());
    let method: &[u8] = if options.head_only { b"HEAD " } else { b"GET " };
    let mut head = [method, target.as_bytes(), b" HTTP/1.1\r\n"].concat();
    let mut names = options.headers.iter().map(|header| &header.name);
    if !names.any(|name| name.eq_ignore_ascii_case("host")) {
        head.extend_from_slice(&[b"Host: ", host, b"\r\n"].concat());
    }
    for header in &options.headers {
        head.extend_from_slice(&[header.name.as_bytes(), b": ", &header.value, b"\r\n"].concat());
    }
    head.extend_from_slice(b"\r\n");
    head
}

/// The host and the target of a URL, or of a path without one. As in a browser: the fragment stays
/// at home, what cannot stand in a target is encoded.
fn split(given: &[u8]) -> (&[u8], String) {
    let given = given.split(|&b| b == b'#').next().unwrap_or_default();
    let rest = ["http://", "https://"].iter().find_map(|scheme| {
        let (start, rest) = given.split_at_checked(scheme.len())?;
        start
            .eq_ignore_ascii_case(scheme.as_bytes())
            .then_some(rest)
    });
    let (host, path) = match rest {
        Some(rest) => {
            let end = rest.iter().position(|b| b"/?".contains(b));
            rest.split_at(end.unwrap_or(rest.len()))
        }
        None => (&b"localhost"[..], given),
    };
    let slash = if path.starts_with(b"/") { "" } else { "/" };
    let encoded = percent_encode(path, ENCODED).to_string();
    (host, slash.to_owned() + &encoded)
}

/// What the server would do with this head, in words, and the head of what it would send.
fn explain(server: &mut Server, head: &[u8], now: &Now) -> String {
    let mut text = String::new();
    let line = head.split(|&b| b == b'\r').next().unwrap_or_default();
    let _ = writeln!(text, "{}", line.escape_ascii());
    let (response, method) = answer(server, head, now, &mut |topic, words| {
        let _ = writeln!(text, "  {topic:<11}{words}");
    });
    let _ = writeln!(text);
    let sent = response.bytes.as_ref();
    for line in sent[..response.head_len].split(|&b| b == b'\n') {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if !line.is_empty() {
            let _ = writeln!(text, "{}", printable(line));
        }
    }
    let _ = writeln!(text, "\n{}", body_of(&response, method));
    text
}

/// As a connection does it: the head is heard, read, resolved and answered. Its sender is one that
/// may not see the figures.
fn answer(
    server: &mut Server,
    head: &[u8],
    now: &Now,
    note: NoteFn<'_>,
) -> (Response, Option<Method>) {
    let head_bytes_max = server.http.head_bytes_max;
    let mut refuse = |refusal: Refusal, head_only| {
        note("answer", format_args!("{}", refusal.why));
        (server.http.refuse(refusal, head_only, now), None)
    };
    let heard = match Reading::default().feed(head, head_bytes_max) {
        HeadProgress::Whole(heard) => heard,
        HeadProgress::Refused(refusal) => return refuse(refusal, false),
        // A head that ends in a blank line is neither unfinished nor followed by a body.
        HeadProgress::Partial(_) | HeadProgress::BadBody(_) => return refuse(HEAD_TOO_SLOW, false),
    };
    let mut fields = NO_FIELDS;
    let request = match Request::parse(heard.bytes(), heard.bare, &mut fields) {
        Ok(request) => request,
        Err(refusal) => return refuse(refusal, head.starts_with(b"HEAD ")),
    };
    let options = ResponseOptions {
        keep: request.keep_alive,
        head_only: request.method == Method::Head,
        minor: request.minor,
    };
    let peer = || PeerAddress::Unknown;
    let outcome = server.resolve(&request, None, &peer, &mut None, now, note);
    let response = server.http.respond(outcome, options, now);
    (response, Some(request.method))
}

fn body_of(response: &Response, method: Option<Method>) -> String {
    if method == Some(Method::Head) {
        return "no body, since it was asked for with HEAD".to_owned();
    }
    match &response.body {
        Body::Nothing => match response.bytes.as_ref().len() - response.head_len {
            0 => "no body".to_owned(),
            bytes => format!("{bytes} bytes of body"),
        },
        Body::Span(span) => {
            let (bytes, at) = (span.len, span.at);
            format!("{bytes} bytes of body, from byte {at} of the file")
        }
        Body::Parts(_) => "a body of several parts of the file".to_owned(),
        Body::Produced => "a body that is made while it is sent".to_owned(),
    }
}

#[cfg(test)]
mod tests;
