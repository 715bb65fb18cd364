//! A client's HTTP connection: the place where the loop, the protocol and the files meet.
//!
//! What lives here: [`HttpConnection::drive`], and one short function for each state. It may not know how an
//! answer is found (`answer.rs`). Invariant: no peer's error gets further than this file; a step that fails
//! closes the connection. Read next: `answer.rs`.

use std::fs::File;
use std::mem::take;
use std::net::IpAddr;
use std::rc::Rc;
use std::time::Duration;

use log::{debug, trace};
use mio::net::TcpStream;

use crate::limits::{LINGER_BYTES_MAX, SEND_RATE_MIN};
use crate::protocol::http::request::{Fields, Method, Refusal};
use crate::protocol::http::server::{
    After, HEAD_TOO_SLOW, Head, Hearing, Linger, Output, Reading, Sending, State,
};
use crate::reactor::{Attempt, Context, Deadline, Key, Next, Side, Stage, Stream, Tick, Transport};

use super::Service;
use super::answer::{Reply, Wish};
use super::counters::Close;
use super::record::Record;

/// What is noted down for a reply on its way.
#[derive(Debug)]
pub struct Note {
    /// For the access log, if there is one.
    record: Option<Box<Record>>,
    /// Since when bytes are counted for the least rate, and how many there were.
    since: Tick,
    moved: u64,
    /// The client has said that it sends nothing more, and nothing more came: hanging up cannot cost it the reply.
    clean: bool,
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

    /// Rows 1 to 10 of the table.
    fn read_head(
        &mut self,
        reading: Reading,
        mut changed: bool,
        cx: &mut Context<'_, Service>,
    ) -> Step {
        let was_idle = reading.is_idle();
        if cx.stage == Stage::Stopping && was_idle && !cx.link.ready.is(Side::Read) {
            return close(cx, Close::Shutdown, "idle at shutdown");
        }
        if take(&mut cx.expired) {
            if !was_idle {
                return self.give_up_on_head(reading, cx);
            }
            if !cx.link.ready.is(Side::Read) {
                return close(cx, Close::Idle, "idle for longer than --idle-timeout");
            }
            changed = true;
        }
        if reading.has_leftovers() {
            return self.hear(reading, was_idle, changed, None, cx);
        }
        let scratch = take(&mut cx.scratch);
        let step = match self.stream.read(&mut cx.link, scratch) {
            Attempt::Done(0) if was_idle => close(cx, Close::Peer, "the client hung up"),
            Attempt::Done(0) => close(
                cx,
                Close::CutOff,
                "the client hung up in the middle of a request",
            ),
            Attempt::Done(n) => self.hear(reading, was_idle, changed, Some(&scratch[..n]), cx),
            Attempt::Blocked => {
                let patience = if was_idle {
                    cx.shared.http.patience.idle
                } else {
                    cx.shared.http.patience.head
                };
                Step::stop(
                    State::ReadingHead(reading),
                    Next::Park(Side::Read, since_change(changed, cx, patience)),
                )
            }
            Attempt::Spent => {
                let patience = if was_idle {
                    cx.shared.http.patience.idle
                } else {
                    cx.shared.http.patience.head
                };
                Step::stop(
                    State::ReadingHead(reading),
                    Next::Again(since_change(changed, cx, patience)),
                )
            }
            Attempt::Failed(e) => close_failed(cx, &e),
        };
        cx.scratch = scratch;
        step
    }

    fn hear(
        &mut self,
        reading: Reading,
        was_idle: bool,
        changed: bool,
        fresh: Option<&[u8]>,
        cx: &mut Context<'_, Service>,
    ) -> Step {
        match reading.hear(fresh.unwrap_or_default(), cx.shared.http.head_bytes_max) {
            Hearing::More(reading) => {
                trace!("{} {} bytes of a head so far", cx.link.key, reading.kept());
                let idle = reading.is_idle();
                let state = State::ReadingHead(reading);
                // The time of a head begins with its first byte, and is never extended.
                let patience = if idle {
                    cx.shared.http.patience.idle
                } else {
                    cx.shared.http.patience.head
                };
                let deadline = since_change(changed || was_idle != idle, cx, patience);
                let more = cx.link.ready.is(Side::Read);
                Step::stop(
                    state,
                    if more {
                        Next::Again(deadline)
                    } else {
                        Next::Park(Side::Read, deadline)
                    },
                )
            }
            Hearing::Head(head) => self.answer(head, cx),
            Hearing::Refuse(refusal) => self.refuse(refusal, cx),
            Hearing::Broken(_) => close(
                cx,
                Close::Malformed,
                "the body of a request is malformed or too long",
            ),
        }
    }

    /// Rows 3 and 4: the site is asked, the reply composed.
    fn answer(&mut self, head: Head<'_>, cx: &mut Context<'_, Service>) -> Step {
        let http = &mut cx.shared.http;
        let mut fields = Fields::new();
        let (reply, rest, note) = match head.request(&mut fields) {
            Ok(request) => {
                trace!(
                    "{} {} {}",
                    cx.link.key,
                    request.method_name,
                    request.raw_target.escape_ascii()
                );
                let drain = request.body.drain();
                // A client that waits for a go-ahead may send its body or may not: where the next request begins is unknown.
                let reusable = request.keep_alive && !request.expects_continue && drain.is_some();
                let keep = reusable && cx.stage == Stage::Running;
                let clean = !request.keep_alive && drain.as_ref().is_some_and(|d| d.is_done());
                let wish = Wish {
                    keep,
                    head_only: request.method == Method::Head,
                    minor: request.minor,
                };
                let reply = http.answer(&request, wish, &cx.now);
                let record = cx
                    .shared
                    .access
                    .is_on()
                    .then(|| Record::of(self.peer(), &request, reply.status, &cx.now));
                (
                    reply,
                    (keep, drain),
                    Note {
                        record,
                        since: cx.now.tick,
                        moved: 0,
                        clean,
                    },
                )
            }
            Err(refusal) => {
                debug!(
                    "{} refused: {} ({})",
                    cx.link.key, refusal.why, refusal.status.0
                );
                let reply = http.refuse(refusal, &cx.now);
                let record =
                    cx.shared.access.is_on().then(|| {
                        Record::of_refusal(self.peer(), head.bytes(), reply.status, &cx.now)
                    });
                (
                    reply,
                    (false, None),
                    Note {
                        record,
                        since: cx.now.tick,
                        moved: 0,
                        clean: false,
                    },
                )
            }
        };
        cx.shared.counters.reply(reply.status);
        let (keep, drain) = rest;
        let rest = head.into_rest(drain);
        let clean = note.clean && rest.is_idle() && !cx.link.ready.is(Side::Read);
        let rest = keep.then_some(rest);
        begin(reply, rest, Note { clean, ..note })
    }

    /// Row 2, and whatever else is found before a head is whole.
    fn refuse(&mut self, refusal: Refusal, cx: &mut Context<'_, Service>) -> Step {
        debug!(
            "{} refused: {} ({})",
            cx.link.key, refusal.why, refusal.status.0
        );
        let reply = cx.shared.http.refuse(refusal, &cx.now);
        cx.shared.counters.reply(reply.status);
        let record = cx
            .shared
            .access
            .is_on()
            .then(|| Record::of_refusal(self.peer(), b"", reply.status, &cx.now));
        begin(
            reply,
            None,
            Note {
                record,
                since: cx.now.tick,
                moved: 0,
                clean: false,
            },
        )
    }

    /// Row 8.
    fn give_up_on_head(&mut self, reading: Reading, cx: &mut Context<'_, Service>) -> Step {
        cx.shared.counters.close(Close::HeadTimeout);
        if reading.is_draining() {
            return close(
                cx,
                Close::HeadTimeout,
                "the body of a request took longer than --head-timeout",
            );
        }
        debug!(
            "{} the head took longer than --head-timeout ({} bytes came)",
            cx.link.key,
            reading.kept()
        );
        self.refuse(HEAD_TOO_SLOW, cx)
    }

    /// Rows 11 to 18.
    fn write(&mut self, mut out: Box<Out>, changed: bool, cx: &mut Context<'_, Service>) -> Step {
        if cx.stage != Stage::Running {
            out.withdraw_reuse();
        }
        let headers = !out.head_is_out();
        let stall = cx.shared.http.patience.stall;
        let attempt = match out.output() {
            Output::Done => return self.finish(out, cx),
            Output::Produce => {
                cx.shared.http.produce(&mut out, &mut cx.link);
                return Step::go(writing(out));
            }
            Output::Bytes(bytes, more) => self.stream.write(&mut cx.link, bytes, more),
            Output::File(file, at, len) => match self.stream.send_file(&mut cx.link, file, at, len)
            {
                Attempt::Done(0) => {
                    cx.shared.log_line(&mut out.note.record, cx.now, 0);
                    return close(cx, Close::FileShrank, "the file shrank while it was sent");
                }
                attempt => attempt,
            },
        };
        match attempt {
            Attempt::Done(n) => {
                out.moved(n);
                out.note.moved += n as u64;
                cx.shared.counters.sent(n);
                if matches!(out.output(), Output::Done) {
                    return self.finish(out, cx);
                }
                // The time without progress begins again.
                cx.expired = false;
                if headers && out.head_is_out() {
                    Step::go(State::WritingBody(out))
                } else {
                    Step::go(writing(out))
                }
            }
            Attempt::Blocked => {
                if take(&mut cx.expired) || is_too_slow(&mut out.note, cx.now.tick, stall) {
                    let sent = out.body_sent();
                    cx.shared.log_line(&mut out.note.record, cx.now, sent);
                    return close(
                        cx,
                        Close::Stalled,
                        "the reader is slower than --stall-timeout allows",
                    );
                }
                Step::stop(
                    writing(out),
                    Next::Park(Side::Write, since_change(changed, cx, stall)),
                )
            }
            Attempt::Spent => {
                Step::stop(writing(out), Next::Again(since_change(changed, cx, stall)))
            }
            Attempt::Failed(e) => {
                let sent = out.body_sent();
                cx.shared.log_line(&mut out.note.record, cx.now, sent);
                close_failed(cx, &e)
            }
        }
    }

    /// Rows 13 and 14, and 22.
    fn finish(&mut self, out: Box<Out>, cx: &mut Context<'_, Service>) -> Step {
        let sent = out.body_sent();
        let (mut note, after) = out.finish();
        cx.shared.log_line(&mut note.record, cx.now, sent);
        match after {
            After::Keep(reading) => Step::go(State::ReadingHead(reading)),
            After::Close if note.clean => close(cx, Close::Done, "the client asked to close"),
            After::Close => match self.stream.shut_down_write() {
                Ok(()) => Step::go(State::Lingering(Linger::new(LINGER_BYTES_MAX))),
                Err(e) => close_failed(cx, &e),
            },
        }
    }

    /// Rows 19 and 20.
    fn linger(&mut self, linger: Linger, changed: bool, cx: &mut Context<'_, Service>) -> Step {
        if take(&mut cx.expired) && !changed {
            return close(cx, Close::Done, "the client did not hang up");
        }
        match self.stream.read(&mut cx.link, cx.scratch) {
            Attempt::Done(0) => close(cx, Close::Done, "both sides hung up"),
            Attempt::Done(n) => match linger.throw_away(n) {
                // Not `go`: the time of lingering is not extended by what comes.
                Some(linger) if changed => Step::go(State::Lingering(linger)),
                Some(linger) if cx.link.ready.is(Side::Read) => {
                    Step::stop(State::Lingering(linger), Next::Again(Deadline::Keep))
                }
                Some(linger) => Step::stop(
                    State::Lingering(linger),
                    Next::Park(Side::Read, Deadline::Keep),
                ),
                None => close(cx, Close::Done, "the client sent on after the last reply"),
            },
            Attempt::Blocked => {
                let deadline = since_change(changed, cx, cx.shared.http.patience.linger);
                Step::stop(State::Lingering(linger), Next::Park(Side::Read, deadline))
            }
            Attempt::Spent => {
                let deadline = since_change(changed, cx, cx.shared.http.patience.linger);
                Step::stop(State::Lingering(linger), Next::Again(deadline))
            }
            Attempt::Failed(e) => close_failed(cx, &e),
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

fn begin(reply: Reply, rest: Option<Reading>, note: Note) -> Step {
    Step::go(State::WritingHeaders(Box::new(Sending::new(
        reply.bytes,
        reply.head_len,
        reply.body,
        rest,
        note,
    ))))
}

fn writing(out: Box<Out>) -> State<Rc<File>, Note> {
    if out.head_is_out() {
        State::WritingBody(out)
    } else {
        State::WritingHeaders(out)
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

/// The least rate, averaged over at least one stall time.
fn is_too_slow(note: &mut Note, now: Tick, stall: Duration) -> bool {
    let elapsed = now.since(note.since);
    if elapsed < stall {
        return false;
    }
    let enough = note.moved >= elapsed.as_secs().saturating_mul(SEND_RATE_MIN);
    note.since = now;
    note.moved = 0;
    !enough
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
