//! A client's HTTP connection: the place where the loop, the protocol and the files meet.
//!
//! What lives here: [`HttpConnection::drive`]; beside it, in two files, one short function for each state. It may not know how an
//! answer is found (`answer.rs`). Invariant: no peer's error gets further than this file; a step that fails
//! closes the connection. Read next: `http_server/reading.rs`.

mod pace;
mod reading;
mod writing;

use std::fmt::Display;
use std::fs::File;
use std::mem::{replace, take};
use std::rc::Rc;
use std::time::Duration;

use log::{debug, trace};
use mio::net::TcpStream;

use crate::event_loop::page_cache::Before;
use crate::event_loop::{Context, Deadline, Dropped, Key, Next, Now, Stream, Tick, Transport};
use crate::http::state::{Reading, Sending, State};

use crate::server::client_addr::{Client, ProxiedClient};
use crate::server::connection::pace::Pace;
use crate::server::counters::{Close, Phase};
use crate::server::handlers::Server;
use crate::server::listing::ListingBody;
use crate::server::record::Record;
use crate::server::reply::Reply;

/// What is noted down for a reply on its way.
#[derive(Debug)]
pub struct Note {
    /// For the access log, if there is one.
    record: Option<Box<Record>>,
    /// What makes the body, if it is a listing.
    pub(crate) listing: Option<Box<ListingBody>>,
    /// How fast its reader takes it.
    pace: Pace,
    /// Since when it waits for a disk, if it does.
    waits_since: Option<Tick>,
    /// What is known of where the file's bytes so far were: those that follow are probably there as well.
    before: Before,
    /// Whether the kernel was told to send no segments but full ones.
    held_back: bool,
    /// Whether the kernel may have more of it than its socket inherits.
    may_have_more: bool,
    /// The client has said that it sends nothing more, and nothing more came: hanging up cannot cost it the reply.
    clean: bool,
}

impl Note {
    fn new(record: Option<Box<Record>>, now: Tick, clean: bool) -> Self {
        Self {
            record,
            listing: None,
            pace: Pace::since(now),
            waits_since: None,
            before: Before::Unknown,
            held_back: false,
            may_have_more: false,
            clean,
        }
    }
}

type Out = Sending<Rc<File>, Note>;

/// One connection. While it is idle, this is all there is of it.
#[derive(Debug)]
pub struct HttpConnection<T = TcpStream> {
    stream: Stream<T>,
    /// Why it ends is counted already, though it does not end yet.
    counted: bool,
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
    pub fn new(stream: Stream<T>) -> Self {
        Self {
            stream,
            counted: false,
            state: State::ReadingHead(Reading::default()),
        }
    }

    /// A connection for which there is no room: it is sent `reply`, whatever it asks for.
    pub fn refused(stream: Stream<T>, reply: Reply, now: Tick) -> Self {
        Self {
            stream,
            counted: true,
            state: begin(reply, None, Note::new(None, now, false)),
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
    /// leads to a state that makes one. `standing` is what is known of the connection beside itself.
    pub fn drive(
        &mut self,
        standing: Option<&mut ProxiedClient>,
        cx: &mut Context<'_, Server>,
    ) -> Next {
        let before = self.phase();
        let next = self.move_on(standing, cx);
        cx.shared.counters.pass(before, self.phase());
        next
    }

    fn move_on(
        &mut self,
        mut standing: Option<&mut ProxiedClient>,
        cx: &mut Context<'_, Server>,
    ) -> Next {
        // Set by every change of state: the new state's time begins now.
        let mut changed = false;
        loop {
            let before = self.state.name();
            let step = match take(&mut self.state) {
                State::ReadingHead(reading) => {
                    self.read_head(reading, changed, standing.as_deref_mut(), cx)
                }
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

    /// Who is on the other end.
    fn peer(&self) -> Client {
        self.stream.get().peer().into()
    }

    fn phase(&self) -> Phase {
        match &self.state {
            State::ReadingHead(reading) if reading.is_idle() => Phase::Idle,
            State::ReadingHead(_) => Phase::Reading,
            State::WritingHeaders(_) | State::WritingBody(_) => Phase::Writing,
            State::Lingering(_) => Phase::Lingering,
            State::Closed => Phase::Closed,
        }
    }

    /// Told that it is dropped.
    pub fn dropped(&mut self, why: Dropped, key: Key, now: &Now, shared: &mut Server) {
        shared.counters.pass(self.phase(), Phase::Closed);
        let why = match why {
            Dropped::ForRoom => {
                debug!(
                    "{key} closed: idle, and a newcomer needs its place (--max-connections is reached, or no descriptor is left)"
                );
                Close::MadeRoom
            }
            Dropped::Unwatched => Close::Error,
            Dropped::Unfinished => {
                debug!("{key} closed: unfinished when idler ended");
                if let State::WritingHeaders(out) | State::WritingBody(out) = &mut self.state {
                    let sent = out.body_sent();
                    shared.log_line(&mut out.note.record, *now, sent);
                }
                Close::Shutdown
            }
        };
        // Who was refused was not let in, and cannot be closed.
        if !self.counted {
            shared.counters.close(why);
        }
    }

    /// Counts why it ends, once: what follows from that is no reason of its own.
    fn count(&mut self, why: Close, cx: &mut Context<'_, Server>) {
        if !replace(&mut self.counted, true) {
            cx.shared.counters.close(why);
        }
    }

    /// The one way out: why is one line at debug, and one count.
    fn close(&mut self, cx: &mut Context<'_, Server>, why: Close, words: impl Display) -> Step {
        debug!("{} closed: {words}", cx.link.key);
        self.count(why, cx);
        Step::go(State::Closed)
    }
}

/// The beginning of a reply.
fn begin(reply: Reply, rest: Option<Reading>, mut note: Note) -> State<Rc<File>, Note> {
    note.listing = reply.listing;
    let out = Sending::new(reply.bytes, reply.head_len, reply.body, rest, note);
    State::WritingHeaders(Box::new(out))
}

/// A deadline counts from the last change; otherwise the old one stands.
fn since_change(changed: bool, cx: &Context<'_, Server>, patience: Duration) -> Deadline {
    if changed {
        Deadline::At(cx.now.tick.after(patience))
    } else {
        Deadline::Keep
    }
}

#[cfg(test)]
mod tests;

#[cfg(any(test, feature = "fuzz"))]
#[doc(hidden)]
#[path = "connection/tests/stand.rs"]
pub mod stand;
