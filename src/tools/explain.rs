//! `idler explain`: why a request gets its answer.
//!
//! What lives here: from a URL to a request, through the server's own code, and its story and head onto standard output. It may
//! not know any rule: all that is printed was told by the code that decided (`explain/story.rs`) or is what it would have
//! sent. Invariant: there is no second copy of anything. Read next: `answer.rs`.

use std::fmt::Write as _;
use std::io::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::process::ExitCode;

use crate::cli::ExplainOptions;
use crate::event_loop::Now;
use crate::event_loop::clock::Clock;
use crate::http::request::{Fields, Method};
use crate::http::state::{Body, HeadProgress, Reading};

use crate::server::answer::Http;
use crate::server::reply::{Reply, ResponseOptions};
use crate::server::start;
use crate::server::status::Status;
use crate::server::story::Story;

/// What `explain` cannot show, since no server runs.
const FIGURES: &str =
    "this machine, Unix sockets and --status-from get idler's figures; everybody else what follows";

/// Prints the explanation. 0: printed, whatever the status; 1: there is no such site.
pub fn run(options: &ExplainOptions) -> ExitCode {
    let server = &options.server;
    match start::open_site(server).and_then(|site| start::http(server, site)) {
        Ok(mut http) => {
            let status = Status::new(server);
            let now = Clock::new().read();
            let text = explain(&mut http, status.as_deref(), &head_of(options), &now);
            match std::io::stdout().lock().write_all(text.as_bytes()) {
                Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => ExitCode::FAILURE,
                _ => ExitCode::SUCCESS,
            }
        }
        Err(line) => {
            let _ = writeln!(std::io::stderr(), "idler: {line}");
            ExitCode::FAILURE
        }
    }
}

/// The head of the request that is meant.
fn head_of(options: &ExplainOptions) -> Vec<u8> {
    let (host, target) = split(options.target.as_bytes());
    let method: &[u8] = if options.head_only { b"HEAD " } else { b"GET " };
    let mut head = [method, &target, b" HTTP/1.1\r\n"].concat();
    let given = |name: &str| {
        options
            .headers
            .iter()
            .any(|header| header.name.eq_ignore_ascii_case(name))
    };
    if !given("host") {
        head.extend_from_slice(&[b"Host: ", host, b"\r\n"].concat());
    }
    for header in &options.headers {
        head.extend_from_slice(&[header.name.as_bytes(), b": ", &header.value, b"\r\n"].concat());
    }
    head.extend_from_slice(b"\r\n");
    head
}

/// The host and the target of a URL, or of a path without one. As in a browser: the fragment stays at home, what cannot stand in a target is
/// encoded.
fn split(given: &[u8]) -> (&[u8], Vec<u8>) {
    let given = given.split(|&b| b == b'#').next().unwrap_or_default();
    let lower = given.get(..8).unwrap_or(given).to_ascii_lowercase();
    let scheme = [&b"http://"[..], b"https://"]
        .into_iter()
        .find(|scheme| lower.starts_with(scheme));
    let (host, path) = match scheme {
        Some(scheme) => {
            let rest = &given[scheme.len()..];
            let end = rest
                .iter()
                .position(|b| matches!(b, b'/' | b'?'))
                .unwrap_or(rest.len());
            rest.split_at(end)
        }
        None => (&b"localhost"[..], given),
    };
    let mut target = Vec::with_capacity(path.len() + 1);
    if path.first() != Some(&b'/') {
        target.push(b'/');
    }
    for &b in path {
        if matches!(b, 0..=b' ' | 0x7f..) {
            target.extend_from_slice(format!("%{b:02X}").as_bytes());
        } else {
            target.push(b);
        }
    }
    (host, target)
}

/// What the server would do with this head, in words, and the head of what it would send.
fn explain(http: &mut Http, status: Option<&Status>, head: &[u8], now: &Now) -> String {
    http.story = Story::heard();
    let mut text = String::new();
    let line = head.split(|&b| b == b'\r').next().unwrap_or_default();
    let _ = writeln!(text, "{}", line.escape_ascii());
    let (reply, method) = answer(http, status, head, now);
    for line in http.story.lines() {
        let _ = writeln!(text, "  {:<11}{}", line.topic, line.words);
    }
    let _ = writeln!(text);
    let sent = reply.bytes.as_ref();
    for line in sent[..reply.head_len].split(|&b| b == b'\n') {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if !line.is_empty() {
            let _ = writeln!(text, "{}", printable(line));
        }
    }
    let _ = writeln!(text, "\n{}", body_of(&reply, method));
    text
}

/// As a connection does it: the head is heard, read, and answered. It is that of somebody who may not see the figures.
fn answer(
    http: &mut Http,
    status: Option<&Status>,
    head: &[u8],
    now: &Now,
) -> (Reply, Option<Method>) {
    let heard = match Reading::default().feed(head, http.head_bytes_max) {
        HeadProgress::Whole(heard) => heard,
        HeadProgress::Refused(refusal) => return (http.refuse(refusal, false, now), None),
        // A head that ends in a blank line is neither unfinished nor followed by a body.
        HeadProgress::Partial(_) | HeadProgress::BadBody(_) => {
            let refusal = crate::server::connection::HEAD_TOO_SLOW;
            return (http.refuse(refusal, false, now), None);
        }
    };
    let mut fields = Fields::new();
    match heard.request(&mut fields) {
        Ok(request) => {
            let wish = ResponseOptions {
                keep: request.keep_alive,
                head_only: request.method == Method::Head,
                minor: request.minor,
            };
            if status.is_some_and(|status| status.is_meant(&request)) {
                http.story.tell("status", || FIGURES.to_owned());
            }
            (http.answer(&request, wish, now), Some(request.method))
        }
        Err(refusal) => {
            let head_only = head.starts_with(b"HEAD ");
            (http.refuse(refusal, head_only, now), None)
        }
    }
}

fn body_of(reply: &Reply, method: Option<Method>) -> String {
    if method == Some(Method::Head) {
        return "no body, since it was asked for with HEAD".to_owned();
    }
    match &reply.body {
        Body::Nothing => match reply.bytes.as_ref().len() - reply.head_len {
            0 => "no body".to_owned(),
            bytes => format!("{bytes} bytes of body"),
        },
        Body::Span(span) => format!(
            "{} bytes of body, from byte {} of the file",
            span.len, span.at
        ),
        Body::Parts(_) => "a body of several parts of the file".to_owned(),
        Body::Produced => "a body that is made while it is sent".to_owned(),
    }
}

fn printable(line: &[u8]) -> String {
    crate::cli::printable(std::ffi::OsStr::from_bytes(line))
}

#[cfg(test)]
mod tests;
