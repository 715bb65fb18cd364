//! What a case expects, and the ways in which it is held: the one place that says so, for both backends.
//!
//! What lives here: a conversation with any [`Peer`], compared word by word. Over real sockets it is held by `http_requests.rs`,
//! and by the unit tests of `service/http_server` without any, so it knows neither. It may not know any rule of HTTP that is not in a
//! case file or in [`what_is_true_of_every_reply`]. Invariant: before the second part of a request is sent, the
//! server has seen the first. Read next: `fixtures/requests/README.md`.

use std::fmt::Write;
use std::path::Path;
use std::time::Instant;

use super::cases::{Case, End, Expected, Field, load};
use super::reply::{Reply, Trouble, show};

/// A client's end of one connection.
pub(crate) trait Peer {
    /// Sends bytes as they are. `false`: nobody takes them any more. That is no failure yet: the server may have said enough.
    fn send(&mut self, bytes: &[u8]) -> bool;

    /// Returns when the server has seen all that was sent.
    fn settle(&mut self);

    /// Says that no more will be sent.
    fn half_close(&mut self);

    /// The next reply.
    ///
    /// # Errors
    /// What came instead.
    fn reply(&mut self, answers_head: bool) -> Result<Reply, Trouble>;

    /// All that comes until the server closes.
    ///
    /// # Errors
    /// If it does not close, or not in order.
    fn rest(&mut self) -> Result<Vec<u8>, Trouble>;

    /// The client leaves.
    ///
    /// # Errors
    /// If it can be seen that the server then keeps the connection.
    fn leave(self) -> Result<(), String>;
}

/// How the bytes of a case are laid into packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Delivery {
    Whole,
    /// Each in its own packet; of a longer case, only so many bytes at each end.
    ByByte(usize),
    /// In two pieces, the first of so many bytes.
    Cut(usize),
    /// Whole, with another request behind it in the same packet.
    WithAnother,
}

/// What came of a case: everything that must not depend on the delivery.
type Outcome = Vec<(u16, Vec<(String, String)>, Vec<u8>)>;

/// The request that shows whether a connection still works.
const ANOTHER: &[u8] = b"GET /notes/first.txt HTTP/1.1\r\nHost: idler\r\nConnection: close\r\n\r\n";

/// And the content of its reply.
const ANOTHER_BODY: &[u8] = b"The first note.\n";

/// What is not sent byte by byte is sent in pieces of this size: a prime, so that they do not fall together with lines.
const PIECE_BYTES: usize = 251;

/// A cut at every position of a case; of a longer one, only at so many at each end, and between them every [`PIECE_BYTES`].
pub(crate) fn cuts(case: &Case, ends: usize) -> Vec<Delivery> {
    let bytes = case.bytes().len();
    let near = |at: &usize| *at <= ends || bytes - at <= ends || at.is_multiple_of(PIECE_BYTES);
    (1..bytes).filter(near).map(Delivery::Cut).collect()
}

/// Holds every case of a folder whole, and then in these ways, each over a connection of its own.
///
/// # Panics
/// With all cases that failed.
pub(crate) fn hold_all<P: Peer>(
    name: &str,
    folder: &Path,
    ways: impl Fn(&Case) -> Vec<Delivery>,
    mut connect: impl FnMut(&Case) -> P,
) {
    let begin = Instant::now();
    let mut faults = String::new();
    let (mut cases, mut runs, mut failed) = (0, 0, 0);
    for case in load(folder) {
        cases += 1;
        let whole = hold(&case, Delivery::Whole, connect(&case));
        let mut fault = whole.as_ref().err().cloned();
        for way in ways(&case) {
            if fault.is_some() {
                break;
            }
            runs += 1;
            fault = match (hold(&case, way, connect(&case)), &whole) {
                (Ok(outcome), Ok(whole)) if outcome == *whole => None,
                (Ok(outcome), _) => Some(format!(
                    "another outcome {way:?}: {outcome:?}\n    than whole: {whole:?}"
                )),
                (Err(fault), _) => Some(format!("{way:?}: {fault}")),
            };
        }
        if let Some(fault) = fault {
            failed += 1;
            let _ = writeln!(faults, "{}: {}\n    {fault}", case.place, case.title);
        }
    }
    println!(
        "{name}: {cases} cases in {runs} ways took {:?}",
        begin.elapsed()
    );
    assert!(failed == 0, "{failed} of {cases} cases failed:\n{faults}");
}

/// One case, delivered one way. The error says what was wrong.
fn hold(case: &Case, way: Delivery, mut peer: impl Peer) -> Result<Outcome, String> {
    let mut outcome = Outcome::new();
    let mut sent = 0;
    let mut said_close = false;
    let mut half_closed = false;
    let last_step = case.steps.len().saturating_sub(1);
    for (number, step) in case.steps.iter().enumerate() {
        let mut pieces = pieces(&step.send, way, sent);
        sent += step.send.len();
        let another;
        if way == Delivery::WithAnother && number == last_step && !step.half_close {
            another = [step.send.as_slice(), ANOTHER].concat();
            pieces = vec![&another];
        }
        let last = pieces.len().saturating_sub(1);
        for (index, piece) in pieces.into_iter().enumerate() {
            // The server may have closed already, with its reply on the way: what counts is what comes back.
            if !peer.send(piece) {
                break;
            }
            if index < last {
                peer.settle();
            }
        }
        if step.half_close {
            peer.half_close();
            half_closed = true;
        }
        for expected in &step.replies {
            let reply = next_reply(&mut peer, expected)?;
            what_is_true_of_every_reply(&reply, expected.answers_head)?;
            compare(&reply, expected)?;
            said_close = reply.says_close();
            if reply.status >= 200 {
                outcome.push((reply.status, without_date(&reply), reply.body));
            }
        }
    }
    let open = match case.end {
        End::Open => true,
        End::Closed | End::HungUp | End::Dropped => false,
        End::AsSaid => !said_close,
    };
    let must_say = matches!(case.end, End::Open | End::Closed | End::Dropped) && !half_closed;
    if must_say && said_close == open {
        return Err(format!(
            "the last reply said close: {said_close}, and should have said {}",
            !open
        ));
    }
    if open {
        // Whatever way the case came, what follows it is a request like any other.
        if way != Delivery::WithAnother {
            peer.send(ANOTHER);
        }
        let reply = peer
            .reply(false)
            .map_err(|trouble| format!("the connection answers no other request: {trouble}"))?;
        if reply.status != 200 || reply.body != ANOTHER_BODY {
            return Err(format!("another request was answered with {reply:?}"));
        }
    }
    match peer.rest() {
        Ok(rest) if rest.is_empty() => {}
        Ok(rest) => return Err(format!("after the end came {}", show(&rest))),
        Err(Trouble::Reset) if case.end == End::Dropped => {}
        Err(trouble) => return Err(format!("not closed in order: {trouble}")),
    }
    peer.leave()?;
    Ok(outcome)
}

/// The bytes of a step, of which `before` were sent in earlier steps, in the pieces they are sent in.
fn pieces(bytes: &[u8], way: Delivery, before: usize) -> Vec<&[u8]> {
    match way {
        Delivery::Whole | Delivery::WithAnother => vec![bytes],
        Delivery::Cut(at) => match at.checked_sub(before) {
            Some(at) if at < bytes.len() => vec![&bytes[..at], &bytes[at..]],
            _ => vec![bytes],
        },
        Delivery::ByByte(ends) if bytes.len() / 2 <= ends => bytes.chunks(1).collect(),
        Delivery::ByByte(ends) => {
            let (first, rest) = bytes.split_at(ends);
            let (middle, last) = rest.split_at(rest.len() - ends);
            let pieces = first.chunks(1).chain(middle.chunks(PIECE_BYTES));
            pieces.chain(last.chunks(1)).collect()
        }
    }
}

/// The next reply that the case asks for; an interim one is skipped if it does not ask for it.
fn next_reply(peer: &mut impl Peer, expected: &Expected) -> Result<Reply, String> {
    loop {
        let reply = peer.reply(expected.answers_head).map_err(|trouble| {
            let wanted = &expected.statuses;
            format!("instead of {wanted:?}: {trouble}")
        })?;
        if reply.status != 100 || expected.statuses.contains(&100) {
            return Ok(reply);
        }
    }
}

fn compare(reply: &Reply, expected: &Expected) -> Result<(), String> {
    if !expected.statuses.contains(&reply.status) {
        return Err(format!(
            "{} {} instead of {:?}",
            reply.status, reply.reason, expected.statuses
        ));
    }
    for field in &expected.headers {
        let (name, fits) = match field {
            Field::Equals(name, value) => (
                name,
                reply
                    .header(name)
                    .is_some_and(|v| v.eq_ignore_ascii_case(value)),
            ),
            Field::Present(name) => (name, reply.header(name).is_some()),
            Field::Absent(name) => (name, reply.all(name).next().is_none()),
        };
        if !fits {
            let had: Vec<&str> = reply.all(name).collect();
            return Err(format!(
                "{} came with {name} {had:?}, not {field:?}",
                reply.status
            ));
        }
    }
    match &expected.body {
        Some(body) if *body != reply.body => Err(format!(
            "{} had the content {}, not {}",
            reply.status,
            show(&reply.body),
            show(body)
        )),
        _ => Ok(()),
    }
}

fn what_is_true_of_every_reply(reply: &Reply, answers_head: bool) -> Result<(), String> {
    if reply.status < 200 {
        return Ok(());
    }
    let fault = |what: &str| Err(format!("{} {what}: {:?}", reply.status, reply.headers));
    let date = reply.header("date").unwrap_or_default();
    match httpdate::parse_http_date(date) {
        Ok(time) if httpdate::fmt_http_date(time) == date => {}
        _ => return fault("has no proper Date"),
    }
    if reply.header("server") != Some("idler") {
        return fault("does not say Server: idler");
    }
    let lengths = reply.all("content-length").count();
    let codings = reply.all("transfer-encoding").count();
    match reply.status {
        204 if lengths + codings != 0 => return fault("says how long nothing is"),
        304 if codings != 0 => return fault("has chunks of nothing"),
        204 | 304 => {}
        _ if lengths + codings != 1 => return fault("is not framed in exactly one way"),
        _ => {}
    }
    if reply.all("connection").count() > 1 {
        return fault("speaks of the connection twice");
    }
    if reply.status >= 400 {
        if reply.header("content-type") != Some("text/html; charset=utf-8") {
            return fault("has no page");
        }
        let text = reply.text();
        let is_page = text.contains("<!doctype html>") && text.contains("<title>");
        if !answers_head && !is_page {
            return fault("has a page that is none");
        }
        if text.contains("fixtures") || text.contains(env!("CARGO_MANIFEST_DIR")) {
            return fault("has a page that names a path of this machine");
        }
    }
    Ok(())
}

fn without_date(reply: &Reply) -> Vec<(String, String)> {
    let mut headers = reply.headers.clone();
    headers.retain(|(name, _)| name != "date");
    headers
}
