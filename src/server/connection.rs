//! A client's HTTP connection: here the loop, the protocol and the files meet.
//!
//! [`HttpConnection::drive`] takes step after step, each by a row of the table of state changes
//! ([`TRANSITIONS`](crate::http::state::TRANSITIONS)). The steps of the state `ReadingHead` stand
//! below, those of the other states in `connection/writing.rs`. An error of a peer closes its
//! connection, and gets no further.

mod pace;
mod writing;

use std::fmt::{self, Display};
use std::mem::{replace, take};
use std::time::Duration;

use log::{Level, debug, log_enabled, trace};
use mio::net::TcpStream;

use crate::event_loop::{
    Attempt, Context, Deadline, Dropped, Key, Next, Now, Side, Stage, Stream, Tick, Transport,
};
use crate::http::body::BodyLength;
use crate::http::request::{Method, NO_FIELDS, Request};
use crate::http::state::{Head, HeadProgress, ProxyHeaderProgress, Reading, State, is_transition};
use crate::http::status::{Refusal, Status};
use crate::limits::SHUTDOWN_IDLE_GRACE;
use crate::server::Server;
use crate::server::access_log::LogRecord;
use crate::server::clients::{Rejection, TrackedClient};
use crate::server::connection::writing::ReplyProgress;
use crate::server::counters::{Close, Phase};
use crate::server::outcome::{HEAD_TOO_SLOW, TOO_MANY_FROM_ADDRESS};
use crate::server::respond::{Response, ResponseOptions};

/// One connection. While it is idle, this is all there is of it.
#[derive(Debug)]
pub struct HttpConnection<T = TcpStream> {
    stream: Stream<T>,
    /// Whether the reason for closing has been counted, while the connection is still open.
    counted: bool,
    state: State<ReplyProgress>,
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

    /// A connection for which there is no slot: it is sent `reply`, whatever it asks for.
    pub fn refused(stream: Stream<T>, reply: Response, now: Tick) -> Self {
        let reply = ReplyProgress::new(reply, None, None, now);
        Self {
            counted: true,
            state: State::WritingHeaders(Box::new(reply)),
            ..Self::new(stream)
        }
    }

    /// The socket, for registering it.
    pub fn transport(&mut self) -> &mut T {
        &mut self.stream.transport
    }

    /// Whether nothing of a request has come, so that it may be closed to make room for another.
    pub fn is_idle(&self) -> bool {
        self.state.is_idle()
    }

    fn phase(&self) -> Phase {
        match &self.state {
            State::ReadingHead(reading) if reading.is_idle() => Phase::Idle,
            State::ReadingHead(_) => Phase::Reading,
            State::WritingHeaders(_) | State::WritingBody(_) => Phase::Writing,
            State::Lingering { .. } => Phase::Lingering,
            State::Closed => Phase::Closed,
        }
    }

    /// Moves on as far as readiness and budget allow. Bounded by the budget: every step makes an
    /// I/O call, or leads to a state that makes one. `client` is what is known of a connection
    /// that is counted by its address, or comes from a trusted proxy.
    pub fn drive(
        &mut self,
        client: Option<&mut TrackedClient>,
        cx: &mut Context<'_, Server>,
    ) -> Next {
        let before = self.phase();
        let mut drive = Drive {
            stream: &mut self.stream,
            counted: &mut self.counted,
            client,
            cx,
            changed: false,
        };
        let next = loop {
            let from = self.state.name();
            let step = match take(&mut self.state) {
                State::ReadingHead(reading) => drive.read_head(reading),
                State::WritingHeaders(reply) | State::WritingBody(reply) => drive.write(reply),
                State::Lingering { discarded } => drive.linger(discarded),
                State::Closed => break Next::Leave,
            };
            step.check(from, drive.cx.link.key);
            #[cfg(test)]
            tests::ROWS.with_borrow_mut(|rows| rows.push(step.row));
            self.state = step.state;
            match step.next {
                Some(next) => break next,
                None => drive.changed = true,
            }
        };
        cx.shared.counters.pass(before, self.phase());
        next
    }

    /// Called when the loop drops it without having been asked to: counts it, and logs why.
    pub fn dropped(&mut self, why: Dropped, key: Key, now: &Now, shared: &mut Server) {
        shared.counters.pass(self.phase(), Phase::Closed);
        let why = match why {
            Dropped::ForRoom => {
                debug!(
                    "{key} closed: idle, and a newcomer needs its place \
                     (--max-connections is reached, or no descriptor is left)"
                );
                Close::MadeRoom
            }
            Dropped::Unwatched => Close::Error,
            Dropped::Unfinished => {
                debug!("{key} closed: unfinished when idler ended");
                if let State::WritingHeaders(reply) | State::WritingBody(reply) = &mut self.state {
                    reply.log(*now, shared);
                }
                Close::Shutdown
            }
        };
        // One that was refused never counted as open, so it cannot count as closed.
        if !self.counted {
            shared.counters.close(why);
        }
    }
}

/// What a step leads to.
struct Step {
    /// The row of the table that the step takes, or [`NO_INPUT`].
    row: u8,
    state: State<ReplyProgress>,
    /// How to wait; `None`: the next step follows at once.
    next: Option<Next>,
}

/// In place of a row: nothing has happened, so the state stays and waits.
const NO_INPUT: u8 = 0;

impl Step {
    fn go(row: u8, state: State<ReplyProgress>) -> Self {
        let next = None;
        Self { row, state, next }
    }

    fn wait(row: u8, state: State<ReplyProgress>, next: Next) -> Self {
        let next = Some(next);
        Self { row, state, next }
    }

    /// Holds the step against its row of the table, in debug builds.
    fn check(&self, from: &str, key: Key) {
        let (row, to) = (self.row, self.state.name());
        debug_assert!(
            is_transition(row, from, to),
            "{key} {from} -> {to} is not what row {row} says"
        );
        if log_enabled!(Level::Trace) && from != to {
            trace!("{key} {from} -> {to}");
        }
    }
}

/// One drive of a connection: what its steps need.
struct Drive<'a, 'c, T> {
    stream: &'a mut Stream<T>,
    counted: &'a mut bool,
    client: Option<&'a mut TrackedClient>,
    cx: &'a mut Context<'c, Server>,
    /// Whether the present state was entered in this drive, so that its timeout begins now.
    changed: bool,
}

impl<T: Transport> Drive<'_, '_, T> {
    /// A timeout counts from the last change; otherwise the deadline stands.
    fn deadline(&self, changed: bool, timeout: Duration) -> Deadline {
        if changed {
            Deadline::At(self.cx.now.tick.after(timeout))
        } else {
            Deadline::Keep
        }
    }

    /// Counts why the connection ends, once: what follows from that is no reason of its own.
    fn count(&mut self, why: Close) {
        if !replace(self.counted, true) {
            self.cx.shared.counters.close(why);
        }
    }

    /// The one way to close: the reason is one line at debug, and one count.
    fn close(&mut self, row: u8, why: Close, words: impl Display) -> Step {
        debug!("{} closed: {words}", self.cx.link.key);
        self.count(why);
        Step::go(row, State::Closed)
    }

    /// Rows 1 to 10, 23, and 25 to 27.
    fn read_head(&mut self, reading: Reading) -> Step {
        let was_idle = reading.is_idle();
        let is_ready = self.cx.link.ready.is(Side::Read);
        if self.cx.stage == Stage::Stopping && was_idle && !is_ready {
            return self.wait_or_end_at_shutdown(reading);
        }
        if take(&mut self.cx.expired) {
            if !was_idle {
                return self.give_up_on_head(&reading);
            }
            if !is_ready {
                return self.close(7, Close::Idle, "idle for longer than --idle-timeout");
            }
            self.changed = true;
        }
        let is_new_proxy = self
            .client
            .as_ref()
            .is_some_and(|c| c.awaits_proxy_header());
        if reading.has_leftovers() && !is_new_proxy {
            return self.feed(reading, b"");
        }
        let scratch = take(&mut self.cx.scratch);
        let step = match self.stream.read(&mut self.cx.link, scratch) {
            Attempt::Done(0) if was_idle => self.close(5, Close::Peer, "the client hung up"),
            Attempt::Done(0) => {
                let words = "the client hung up in the middle of a request";
                self.close(6, Close::CutOff, words)
            }
            Attempt::Done(n) => {
                self.cx.shared.counters.received += n as u64;
                if is_new_proxy {
                    self.feed_proxy_header(reading, &scratch[..n])
                } else {
                    self.feed(reading, &scratch[..n])
                }
            }
            Attempt::Blocked | Attempt::Spent => {
                let is_told_to_stop = !was_idle && self.cx.stage != Stage::Running;
                self.wait_for_head(if is_told_to_stop { 10 } else { NO_INPUT }, reading)
            }
            Attempt::Failed(e) => self.close(21, Close::Error, e),
        };
        self.cx.scratch = scratch;
        step
    }

    /// Rows 1 to 4, and 23: searches what was left over, and what came behind it.
    fn feed(&mut self, reading: Reading, fresh: &[u8]) -> Step {
        let key = self.cx.link.key;
        let was_idle = reading.is_idle();
        let was_draining = !was_idle && reading.is_draining();
        match reading.feed(fresh, self.cx.shared.http.head_bytes_max) {
            HeadProgress::Partial(reading) => {
                let kept = reading.kept();
                match (was_draining, reading.is_draining()) {
                    (_, true) => trace!("{key} more of a request's body is to come"),
                    (true, false) => {
                        trace!("{key} a request's body is over; {kept} bytes of the next head");
                    }
                    (false, false) => trace!("{key} {kept} bytes of a head so far"),
                }
                self.changed |= was_idle != reading.is_idle();
                self.changed |= was_draining != reading.is_draining();
                self.wait_for_head(1, reading)
            }
            HeadProgress::Whole(head) => self.answer(head),
            HeadProgress::Refused(refusal) if refusal.status == Status::BAD_REQUEST => {
                self.refuse(3, refusal, b"")
            }
            HeadProgress::Refused(refusal) => self.refuse(2, refusal, b""),
            HeadProgress::BadBody(_) => {
                debug!("{key} the body of a request is malformed or too long");
                self.count(Close::Malformed);
                self.shut_down(23)
            }
        }
    }

    /// The first bytes of a trusted proxy, which may name the client that it speaks for. What comes
    /// behind them is searched at once, so that the time of a head that has begun counts on.
    fn feed_proxy_header(&mut self, reading: Reading, fresh: &[u8]) -> Step {
        self.changed |= reading.is_idle();
        let (address, reading) = match reading.feed_proxy_header(fresh) {
            ProxyHeaderProgress::Partial(reading) => return self.wait_for_head(1, reading),
            ProxyHeaderProgress::Over(address, reading) => (address, reading),
            ProxyHeaderProgress::Malformed(wrong) => {
                let words = format_args!("not a header of the PROXY protocol: {wrong}");
                return self.close(26, Close::ProxyHeader, words);
            }
        };
        let limits = &self.cx.shared.client_limits;
        let client = self.client.as_mut();
        match client.map(|client| client.end_proxy_header(address, limits)) {
            None | Some(Ok(())) => {}
            Some(Err(Rejection::NotAllowed)) => {
                let words = "the proxy's client is not in --allow";
                return self.close(26, Close::Stranger, words);
            }
            Some(Err(Rejection::TooManyFromAddress)) => {
                self.count(Close::Crowding);
                return self.refuse(25, TOO_MANY_FROM_ADDRESS, b"");
            }
        }
        if reading.has_leftovers() {
            return self.feed(reading, b"");
        }
        self.changed = true;
        self.wait_for_head(1, reading)
    }

    /// What came is not enough. A head has its own time from its first byte on, which more bytes do
    /// not extend.
    fn wait_for_head(&mut self, row: u8, reading: Reading) -> Step {
        let idle = reading.is_idle();
        let more = self.cx.link.ready.is(Side::Read);
        if idle && !more && self.cx.stage == Stage::Stopping {
            return self.wait_or_end_at_shutdown(reading);
        }
        let timeouts = &self.cx.shared.http.timeouts;
        let timeout = if idle { timeouts.idle } else { timeouts.head };
        let deadline = self.deadline(self.changed, timeout);
        let next = if more {
            Next::Again(deadline)
        } else {
            Next::Park(Side::Read, deadline)
        };
        Step::wait(row, State::ReadingHead(reading), next)
    }

    /// Row 9. A connection that was accepted or answered a moment ago may have a request on its
    /// way. If it became idle in this drive, the slot still has the deadline of its last state.
    fn wait_or_end_at_shutdown(&mut self, reading: Reading) -> Step {
        let idle = self.cx.shared.http.timeouts.idle;
        let quiet_for = if self.changed {
            Duration::ZERO
        } else {
            idle.saturating_sub(self.cx.deadline.since(self.cx.now.tick))
        };
        let left = SHUTDOWN_IDLE_GRACE.min(idle).saturating_sub(quiet_for);
        if self.cx.expired || left.is_zero() {
            return self.close(9, Close::Shutdown, "idle at shutdown");
        }
        let next = Next::Park(Side::Read, self.deadline(true, left));
        Step::wait(NO_INPUT, State::ReadingHead(reading), next)
    }

    /// Rows 8 and 27: the head, or the body of the request before, did not come in time.
    fn give_up_on_head(&mut self, reading: &Reading) -> Step {
        if reading.is_draining() {
            let words = "the body of a request took longer than --head-timeout";
            return self.close(27, Close::HeadTimeout, words);
        }
        self.count(Close::HeadTimeout);
        let (key, kept) = (self.cx.link.key, reading.kept());
        debug!("{key} the head took longer than --head-timeout ({kept} bytes came)");
        self.refuse(8, HEAD_TOO_SLOW, b"")
    }

    /// Rows 3 and 4: a whole head becomes a request, and the request a reply.
    fn answer(&mut self, head: Head<'_>) -> Step {
        let mut fields = NO_FIELDS;
        let request = match Request::parse(head.bytes(), head.bare, &mut fields) {
            Ok(request) => request,
            Err(refusal) => return self.refuse(3, refusal, head.bytes()),
        };
        let (key, target) = (self.cx.link.key, request.raw_target.escape_ascii());
        trace!("{key} {} {target}", request.method_name);
        let has_body = request.body != BodyLength::None;
        let drain = has_body.then(|| request.body.drain());
        // A client that waits for a go-ahead may send its body or may not: where the next request
        // begins is unknown.
        let waits = request.expects_continue && has_body;
        let can_drain = drain.as_ref().is_none_or(Option::is_some);
        let reusable = request.keep_alive && !waits && can_drain;
        let options = ResponseOptions {
            keep: reusable && self.cx.stage == Stage::Running,
            head_only: request.method == Method::Head,
            minor: request.minor,
        };
        let asked_to_close = !request.keep_alive && !has_body;
        let (shared, now) = (&mut *self.cx.shared, &self.cx.now);
        let peer = || self.stream.transport.peer();
        // The client for which a trusted proxy asks.
        let client = self.client.as_ref();
        let client = client.and_then(|c| c.of_request(request.headers, &shared.client_limits));
        let (mut user, notes) = (None, &mut |_, _: fmt::Arguments<'_>| ());
        let outcome = shared.resolve(&request, client, &peer, &mut user, now, notes);
        let reply = shared.http.respond(outcome, options, now);
        shared.counters.reply(reply.status);
        // Health checks come every few seconds from each balancer, and would hide the rest.
        let is_logged = shared.access.sink.is_some()
            && !(reply.status == Status::OK && shared.http.policy.is_health_check(&request));
        let record = is_logged.then(|| {
            let client = client.unwrap_or_else(peer);
            LogRecord::of(client, user, &request, reply.status, now)
        });
        let keep = reply.keep;
        let rest = head.into_rest(drain.flatten());
        let sent_no_more = rest.is_idle() && !self.cx.link.ready.is(Side::Read);
        let mut reply = ReplyProgress::new(reply, keep.then_some(rest), record, now.tick);
        reply.may_just_close = asked_to_close && sent_no_more;
        Step::go(4, State::WritingHeaders(Box::new(reply)))
    }

    /// The reply to what was not understood, of which `head` came whole; then the connection ends.
    fn refuse(&mut self, row: u8, refusal: Refusal, head: &[u8]) -> Step {
        let (key, code) = (self.cx.link.key, refusal.status.0);
        debug!("{key} refused: {} ({code})", refusal.why);
        let (shared, now) = (&mut *self.cx.shared, &self.cx.now);
        let head_only = head.trim_ascii_start().starts_with(b"HEAD ");
        let reply = shared.http.refuse(refusal, head_only, now);
        shared.counters.reply(reply.status);
        let record = shared.access.sink.is_some().then(|| {
            let client = self.client.as_ref();
            let client = client.and_then(|c| c.of_request(&[], &shared.client_limits));
            let client = client.unwrap_or_else(|| self.stream.transport.peer());
            LogRecord::of_refusal(client, head, reply.status, now)
        });
        let reply = ReplyProgress::new(reply, None, record, now.tick);
        Step::go(row, State::WritingHeaders(Box::new(reply)))
    }
}

#[cfg(test)]
mod tests;

#[cfg(any(test, feature = "fuzz"))]
#[doc(hidden)]
#[path = "connection/tests/stand.rs"]
pub mod stand;
