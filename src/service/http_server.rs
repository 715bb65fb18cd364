//! A client's HTTP connection: the place where the loop, the protocol and the files meet.
//!
//! What lives here: [`HttpConnection::drive`]; beside it, in two files, one short function for each state. It may not know how an
//! answer is found (`answer.rs`). Invariant: no peer's error gets further than this file; a step that fails
//! closes the connection. Read next: `http_server/reading.rs`.

mod reading;
mod writing;

use std::fs::File;
use std::mem::take;
use std::net::IpAddr;
use std::rc::Rc;
use std::time::Duration;

use log::{debug, trace};
use mio::net::TcpStream;

use crate::protocol::http::server::{Reading, Sending, State};
use crate::reactor::{Context, Deadline, Key, Next, Stream, Tick, Transport};

use super::Service;
use super::counters::Close;
use super::listing::ListingBody;
use super::record::Record;
use super::reply::Reply;

/// What is noted down for a reply on its way.
#[derive(Debug)]
pub struct Note {
    /// For the access log, if there is one.
    record: Option<Box<Record>>,
    /// What makes the body, if it is a listing.
    pub(super) listing: Option<Box<ListingBody>>,
    /// Since when bytes are counted for the least rate, and how many there were.
    since: Tick,
    moved: u64,
    /// The client has said that it sends nothing more, and nothing more came: hanging up cannot cost it the reply.
    clean: bool,
}

impl Note {
    fn new(record: Option<Box<Record>>, now: Tick, clean: bool) -> Self {
        Self {
            record,
            listing: None,
            since: now,
            moved: 0,
            clean,
        }
    }
}

type Out = Sending<Rc<File>, Note>;

/// One connection. While it is idle, this is all there is of it.
#[derive(Debug)]
pub struct HttpConnection<T = TcpStream> {
    stream: Stream<T>,
    /// Which listener it came through.
    door: u16,
    state: State<Rc<File>, Note>,
}

/// What a step leads to: the next state, and whether to go on with it at once.
struct Step {
    state: State<Rc<File>, Note>,
    next: Option<Next>,
}

impl Step {
    fn go(state: State<Rc<File>, Note>) -> Self {
        Self { state, next: None }
    }

    fn stop(state: State<Rc<File>, Note>, next: Next) -> Self {
        Self {
            state,
            next: Some(next),
        }
    }
}

impl<T: Transport> HttpConnection<T> {
    /// A connection that has just been accepted.
    pub fn new(stream: Stream<T>, door: u16) -> Self {
        Self {
            stream,
            door,
            state: State::ReadingHead(Reading::default()),
        }
    }

    /// A connection for which there is no room: it is sent `reply`, whatever it asks for.
    pub fn refused(stream: Stream<T>, door: u16, reply: Reply, now: Tick) -> Self {
        let out = Sending::new(
            reply.bytes,
            reply.head_len,
            reply.body,
            None,
            Note::new(None, now, false),
        );
        Self {
            stream,
            door,
            state: State::WritingHeaders(Box::new(out)),
        }
    }

    /// The socket, for registering it.
    pub fn transport(&mut self) -> &mut T {
        self.stream.transport()
    }

    /// Whether nothing of a request has come, so that it can make room for somebody else.
    pub fn is_idle(&self) -> bool {
        self.state.is_idle()
    }

    /// Moves on as far as readiness and budget allow. Bounded by the budget: every round makes an I/O call, or
    /// leads to a state that makes one.
    pub fn drive(&mut self, cx: &mut Context<'_, Service>) -> Next {
        // Set by every change of state: the new state's time begins now.
        let mut changed = false;
        loop {
            let before = self.state.name();
            let step = match take(&mut self.state) {
                State::ReadingHead(reading) => self.read_head(reading, changed, cx),
                State::WritingHeaders(out) | State::WritingBody(out) => {
                    self.write(out, changed, cx)
                }
                State::Lingering(linger) => self.linger(linger, changed, cx),
                State::Closed => return Next::Leave,
            };
            self.state = step.state;
            let after = self.state.name();
            if before != after {
                trace!("{} {before} -> {after}", cx.link.key);
            }
            match step.next {
                Some(next) => return next,
                None => changed = true,
            }
        }
    }

    fn peer(&self) -> Option<IpAddr> {
        self.stream
            .get()
            .peer()
            .map(|peer| peer.ip().to_canonical())
    }

    /// Told that it is dropped to make room.
    pub fn dropped(&self, key: Key) {
        debug!("{key} closed: idle, and --max-connections is reached");
    }

    /// Which listener it came through.
    pub fn door(&self) -> u16 {
        self.door
    }
}

/// A deadline counts from the last change; otherwise the old one stands.
fn since_change(changed: bool, cx: &Context<'_, Service>, patience: Duration) -> Deadline {
    if changed {
        Deadline::At(cx.now.tick.after(patience))
    } else {
        Deadline::Keep
    }
}

/// The one way out: why is one line at debug, and one count.
fn close(cx: &mut Context<'_, Service>, why: Close, words: &str) -> Step {
    debug!("{} closed: {words}", cx.link.key);
    cx.shared.counters.close(why);
    Step::go(State::Closed)
}

fn close_failed(cx: &mut Context<'_, Service>, error: &std::io::Error) -> Step {
    debug!("{} closed: {error}", cx.link.key);
    cx.shared.counters.close(Close::Error);
    Step::go(State::Closed)
}

#[cfg(test)]
mod tests;

#[cfg(any(test, feature = "fuzz"))]
#[doc(hidden)]
#[path = "http_server/tests/stand.rs"]
pub mod stand;
