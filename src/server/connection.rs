//! A client's HTTP connection: here the loop, the protocol and the files meet.
//!
//! [`HttpConnection::drive`] takes step after step, each by a row of the table of state changes
//! ([`TRANSITIONS`](crate::http::state::TRANSITIONS)). The functions of the state `ReadingHead`
//! stand below, those of the other states in `connection/writing.rs`. No error of a peer gets
//! further than this: it closes the connection.

mod pace;
mod writing;

use std::fmt::Display;
use std::mem::{replace, take};
use std::time::Duration;

use log::{Level, debug, log_enabled, trace};
use mio::net::TcpStream;

use crate::event_loop::{
    Attempt, Context, Deadline, Dropped, Key, Next, Now, Side, Stage, Stream, Tick, Transport,
};
use crate::http::body::BodyLength;
use crate::http::request::{Fields, Method, Request};
use crate::http::state::{Head, HeadProgress, ProxyHeaderProgress, Reading, State, is_transition};
use crate::http::status::{Refusal, Status};
use crate::limits::SHUTDOWN_IDLE_GRACE;

use crate::server::auth::Auth;
use crate::server::clients::{Client, Rejection, TrackedClient};
use crate::server::connection::writing::ReplyProgress;
use crate::server::counters::{Close, Phase};
use crate::server::log_record::LogRecord;
use crate::server::respond::{Response, ResponseOptions};
use crate::server::shared::Server;

/// One connection. While it is idle, this is all there is of it.
#[derive(Debug)]
pub struct HttpConnection<T = TcpStream> {
    stream: Stream<T>,
    /// Why it ends is counted already, though it does not end yet.
    counted: bool,
    state: State<ReplyProgress>,
    /// The rows that it has taken.
    #[cfg(test)]
    rows: Vec<u8>,
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
}

const TOO_MANY: Refusal = Refusal::new(
    Status::UNAVAILABLE,
    "this address has as many connections as it may",
);

/// The refusal of a client that does not finish its head in time.
pub(crate) const HEAD_TOO_SLOW: Refusal =
    Refusal::new(Status::REQUEST_TIMEOUT, "the head did not come in time");

impl<T: Transport> HttpConnection<T> {
    /// A connection that has just been accepted.
    pub fn new(stream: Stream<T>) -> Self {
        Self {
            stream,
            counted: false,
            state: State::ReadingHead(Reading::default()),
            #[cfg(test)]
            rows: Vec::new(),
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
        self.stream.transport()
    }

    /// Whether nothing of a request has come, so that it may be closed to make room for another.
    pub fn is_idle(&self) -> bool {
        self.state.is_idle()
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
        let next = self.take_steps(client, cx);
        cx.shared.counters.pass(before, self.phase());
        next
    }

    fn take_steps(
        &mut self,
        mut client: Option<&mut TrackedClient>,
        cx: &mut Context<'_, Server>,
    ) -> Next {
        // Set by every step: the time of what follows begins now.
        let mut changed = false;
        loop {
            let from = self.state.name();
            let step = match take(&mut self.state) {
                State::ReadingHead(reading) => {
                    self.read_head(reading, changed, client.as_deref_mut(), cx)
                }
                State::WritingHeaders(reply) | State::WritingBody(reply) => {
                    self.write(reply, changed, cx)
                }
                State::Lingering { discarded } => self.linger(discarded, changed, cx),
                State::Closed => return Next::Leave,
            };
            self.enter(step.row, from, step.state, cx.link.key);
            match step.next {
                Some(next) => return next,
                None => changed = true,
            }
        }
    }

    /// Stores the next state: the only place that does, and it holds the step against the table.
    fn enter(&mut self, row: u8, from: &str, state: State<ReplyProgress>, key: Key) {
        debug_assert!(
            is_transition(row, from, state.name()),
            "{key} {from} -> {} is not what row {row} says",
            state.name()
        );
        #[cfg(test)]
        self.rows.push(row);
        if log_enabled!(Level::Trace) && from != state.name() {
            trace!("{key} {from} -> {}", state.name());
        }
        self.state = state;
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

    /// Counts why it ends, once: what follows from that is no reason of its own.
    fn count(&mut self, why: Close, cx: &mut Context<'_, Server>) {
        if !replace(&mut self.counted, true) {
            cx.shared.counters.close(why);
        }
    }

    /// The one way to close: the reason is one line at debug, and one count.
    fn close(
        &mut self,
        row: u8,
        cx: &mut Context<'_, Server>,
        why: Close,
        words: impl Display,
    ) -> Step {
        debug!("{} closed: {words}", cx.link.key);
        self.count(why, cx);
        Step::go(row, State::Closed)
    }

    /// Rows 14 and 23: sends no more, and discards what still comes until the peer closes, too.
    fn shut_down(&mut self, row: u8, cx: &mut Context<'_, Server>) -> Step {
        match self.stream.shut_down_write() {
            Ok(()) => Step::go(row, State::Lingering { discarded: 0 }),
            Err(e) => self.close(21, cx, Close::Error, e),
        }
    }

    /// The address of a request with these header fields, which count if a trusted proxy sent them.
    fn address_of(
        &self,
        headers: &[httparse::Header<'_>],
        client: Option<&TrackedClient>,
        cx: &Context<'_, Server>,
    ) -> Client {
        client
            .and_then(|client| client.of_request(headers, &cx.shared.guests))
            .unwrap_or_else(|| self.stream.get().peer().into())
    }

    /// Rows 1 to 10, 23, and 25 to 27.
    fn read_head(
        &mut self,
        reading: Reading,
        mut changed: bool,
        client: Option<&mut TrackedClient>,
        cx: &mut Context<'_, Server>,
    ) -> Step {
        let was_idle = reading.is_idle();
        if cx.stage == Stage::Stopping && was_idle && !cx.link.ready.is(Side::Read) {
            return self.wait_or_end_at_shutdown(reading, false, cx);
        }
        if take(&mut cx.expired) {
            if !was_idle {
                return self.give_up_on_head(&reading, client.as_deref(), cx);
            }
            if !cx.link.ready.is(Side::Read) {
                return self.close(7, cx, Close::Idle, "idle for longer than --idle-timeout");
            }
            changed = true;
        }
        let proxy = client.as_ref().is_some_and(|c| c.awaits_proxy_header());
        if reading.has_leftovers() && !proxy {
            return self.feed(reading, b"", changed, client.as_deref(), cx);
        }
        let scratch = take(&mut cx.scratch);
        let step = match self.stream.read(&mut cx.link, scratch) {
            Attempt::Done(0) if was_idle => self.close(5, cx, Close::Peer, "the client hung up"),
            Attempt::Done(0) => {
                let words = "the client hung up in the middle of a request";
                self.close(6, cx, Close::CutOff, words)
            }
            Attempt::Done(n) => {
                cx.shared.counters.received += n as u64;
                let fresh = &scratch[..n];
                match client {
                    Some(client) if proxy => {
                        self.feed_proxy_header(reading, fresh, changed, client, cx)
                    }
                    client => self.feed(reading, fresh, changed, client.as_deref(), cx),
                }
            }
            Attempt::Blocked | Attempt::Spent if !was_idle && cx.stage != Stage::Running => {
                self.wait_for_head(10, reading, changed, cx)
            }
            Attempt::Blocked | Attempt::Spent => self.wait_for_head(NO_INPUT, reading, changed, cx),
            Attempt::Failed(e) => self.close(21, cx, Close::Error, e),
        };
        cx.scratch = scratch;
        step
    }

    /// Rows 1 to 4, and 23: takes what came, and what was left over before it.
    fn feed(
        &mut self,
        reading: Reading,
        fresh: &[u8],
        changed: bool,
        client: Option<&TrackedClient>,
        cx: &mut Context<'_, Server>,
    ) -> Step {
        let (was_idle, was_draining) = (reading.is_idle(), reading.is_draining());
        match reading.feed(fresh, cx.shared.http.head_bytes_max) {
            HeadProgress::Partial(reading) => {
                let (key, kept) = (cx.link.key, reading.kept());
                match (was_draining, reading.is_draining()) {
                    (_, true) => trace!("{key} more of a request's body is to come"),
                    (true, false) => {
                        trace!("{key} a request's body is over; {kept} bytes of the next head");
                    }
                    (false, false) => trace!("{key} {kept} bytes of a head so far"),
                }
                let begun = was_idle != reading.is_idle() || was_draining != reading.is_draining();
                self.wait_for_head(1, reading, changed || begun, cx)
            }
            HeadProgress::Whole(head) => self.answer(head, client, cx),
            HeadProgress::Refused(refusal) if refusal.status == Status::BAD_REQUEST => {
                self.refuse(3, refusal, b"", client, cx)
            }
            HeadProgress::Refused(refusal) => self.refuse(2, refusal, b"", client, cx),
            HeadProgress::BadBody(_) => {
                let key = cx.link.key;
                debug!("{key} the body of a request is malformed or too long");
                self.count(Close::Malformed, cx);
                self.shut_down(23, cx)
            }
        }
    }

    /// The first bytes of a trusted proxy, which may name the client that it speaks for. What comes
    /// behind them is searched at once, so that the time of a head that has begun counts on.
    fn feed_proxy_header(
        &mut self,
        reading: Reading,
        fresh: &[u8],
        changed: bool,
        client: &mut TrackedClient,
        cx: &mut Context<'_, Server>,
    ) -> Step {
        let changed = changed || reading.is_idle();
        let (address, reading) = match reading.feed_proxy_header(fresh) {
            ProxyHeaderProgress::Partial(reading) => {
                return self.wait_for_head(1, reading, changed, cx);
            }
            ProxyHeaderProgress::Over(address, reading) => (address, reading),
            ProxyHeaderProgress::Malformed(wrong) => {
                let words = format_args!("not a header of the PROXY protocol: {wrong}");
                return self.close(26, cx, Close::ProxyHeader, words);
            }
        };
        match client.end_proxy_header(address, &cx.shared.guests) {
            Ok(()) => {}
            Err(Rejection::NotAllowed) => {
                let words = "the proxy's client is not in --allow";
                return self.close(26, cx, Close::Stranger, words);
            }
            Err(Rejection::TooManyFromAddress) => {
                self.count(Close::Crowding, cx);
                return self.refuse(25, TOO_MANY, b"", Some(client), cx);
            }
        }
        if reading.has_leftovers() {
            return self.feed(reading, b"", changed, Some(client), cx);
        }
        self.wait_for_head(1, reading, true, cx)
    }

    /// What came is not enough. `begun` says that the time of what is waited for begins now: a head
    /// has its own from its first byte on, which more bytes do not extend.
    fn wait_for_head(
        &mut self,
        row: u8,
        reading: Reading,
        begun: bool,
        cx: &mut Context<'_, Server>,
    ) -> Step {
        let idle = reading.is_idle();
        let more = cx.link.ready.is(Side::Read);
        if idle && !more && cx.stage == Stage::Stopping {
            return self.wait_or_end_at_shutdown(reading, begun, cx);
        }
        let timeouts = &cx.shared.http.patience;
        let timeout = if idle { timeouts.idle } else { timeouts.head };
        let deadline = since_change(begun, cx, timeout);
        let next = if more {
            Next::Again(deadline)
        } else {
            Next::Park(Side::Read, deadline)
        };
        Step::wait(row, State::ReadingHead(reading), next)
    }

    /// Row 9. A connection that was accepted or answered a moment ago may have a request on its way.
    /// It may have become idle in this very drive (`begun`); the deadline then is still that of
    /// what it did before.
    fn wait_or_end_at_shutdown(
        &mut self,
        reading: Reading,
        begun: bool,
        cx: &mut Context<'_, Server>,
    ) -> Step {
        let idle = cx.shared.http.patience.idle;
        let quiet_for = if begun {
            Duration::ZERO
        } else {
            idle.saturating_sub(cx.deadline.since(cx.now.tick))
        };
        let left = SHUTDOWN_IDLE_GRACE.min(idle).saturating_sub(quiet_for);
        if cx.expired || left.is_zero() {
            return self.close(9, cx, Close::Shutdown, "idle at shutdown");
        }
        let next = Next::Park(Side::Read, Deadline::At(cx.now.tick.after(left)));
        Step::wait(NO_INPUT, State::ReadingHead(reading), next)
    }

    /// Rows 8 and 27: the head, or the body of the request before, did not come in time.
    fn give_up_on_head(
        &mut self,
        reading: &Reading,
        client: Option<&TrackedClient>,
        cx: &mut Context<'_, Server>,
    ) -> Step {
        if reading.is_draining() {
            let words = "the body of a request took longer than --head-timeout";
            return self.close(27, cx, Close::HeadTimeout, words);
        }
        self.count(Close::HeadTimeout, cx);
        let (key, kept) = (cx.link.key, reading.kept());
        debug!("{key} the head took longer than --head-timeout ({kept} bytes came)");
        self.refuse(8, HEAD_TOO_SLOW, b"", client, cx)
    }

    /// Rows 3 and 4: a whole head becomes a request, and the request a reply.
    fn answer(
        &mut self,
        head: Head<'_>,
        client: Option<&TrackedClient>,
        cx: &mut Context<'_, Server>,
    ) -> Step {
        let mut fields = Fields::new();
        let request = match head.request(&mut fields) {
            Ok(request) => request,
            Err(refusal) => return self.refuse(3, refusal, head.bytes(), client, cx),
        };
        let (key, target) = (cx.link.key, request.raw_target.escape_ascii());
        trace!("{key} {} {target}", request.method_name);
        let drain = request.body.drain();
        // A client that waits for a go-ahead may send its body or may not: where the next request
        // begins is unknown.
        let waits = request.expects_continue && request.body != BodyLength::None;
        let reusable = request.keep_alive && !waits && drain.is_some();
        let options = ResponseOptions {
            keep: reusable && cx.stage == Stage::Running,
            head_only: request.method == Method::Head,
            minor: request.minor,
        };
        let asked_to_close = !request.keep_alive && drain.as_ref().is_some_and(|d| d.is_done());
        let (reply, address) = self.reply(&request, options, client, cx);
        cx.shared.counters.reply(reply.status);
        // Health checks come every few seconds from each balancer, and would hide the rest.
        let is_logged = cx.shared.access.is_on()
            && !(reply.status == Status::OK && cx.shared.http.is_health_check(&request));
        let record = is_logged.then(|| {
            let address = address.unwrap_or_else(|| self.stream.get().peer().into());
            let auth = cx.shared.http.auth.as_ref();
            let user = auth.and_then(Auth::user).map(<[u8]>::to_vec);
            LogRecord::of(address, user, &request, reply.status, &cx.now)
        });
        let keep = reply.keep;
        let rest = head.into_rest(drain);
        let sent_no_more = rest.is_idle() && !cx.link.ready.is(Side::Read);
        let mut reply = ReplyProgress::new(reply, keep.then_some(rest), record, cx.now.tick);
        reply.may_just_close = asked_to_close && sent_no_more;
        Step::go(4, State::WritingHeaders(Box::new(reply)))
    }

    /// The reply to a request, and its client as far as that had to be found out.
    fn reply(
        &self,
        request: &Request<'_>,
        options: ResponseOptions,
        client: Option<&TrackedClient>,
        cx: &mut Context<'_, Server>,
    ) -> (Response, Option<Client>) {
        let guests = &cx.shared.guests;
        let address = client.and_then(|client| client.of_request(request.headers, guests));
        let peer = || self.stream.get().peer().into();
        let reply = cx.shared.answer(request, options, address, &peer, &cx.now);
        (reply, address)
    }

    /// The reply to what was not understood, of which `head` came whole; then the connection ends.
    fn refuse(
        &mut self,
        row: u8,
        refusal: Refusal,
        head: &[u8],
        client: Option<&TrackedClient>,
        cx: &mut Context<'_, Server>,
    ) -> Step {
        let (key, code) = (cx.link.key, refusal.status.0);
        debug!("{key} refused: {} ({code})", refusal.why);
        let head_only = head.trim_ascii_start().starts_with(b"HEAD ");
        let reply = cx.shared.http.refuse(refusal, head_only, &cx.now);
        cx.shared.counters.reply(reply.status);
        let record = cx.shared.access.is_on().then(|| {
            let address = self.address_of(&[], client, cx);
            LogRecord::of_refusal(address, head, reply.status, &cx.now)
        });
        let reply = ReplyProgress::new(reply, None, record, cx.now.tick);
        Step::go(row, State::WritingHeaders(Box::new(reply)))
    }
}

/// A timeout counts from the last change; otherwise the deadline stands.
fn since_change(changed: bool, cx: &Context<'_, Server>, timeout: Duration) -> Deadline {
    if changed {
        Deadline::At(cx.now.tick.after(timeout))
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
