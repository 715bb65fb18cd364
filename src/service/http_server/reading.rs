//! Rows 1 to 10: from bytes to a request, and from a request to its reply.
//!
//! What lives here: the functions of the state `ReadingHead`. They may not know how a reply is sent.
//! Invariant: the time of a head begins with its first byte and is never extended. Read next: `writing.rs`.

use std::mem::take;

use log::{debug, trace};

use crate::limits::LINGER_BYTES_MAX;
use crate::protocol::http::body::BodyLength;
use crate::protocol::http::request::{Fields, Method, Refusal};
use crate::protocol::http::server::{
    HEAD_TOO_SLOW, Head, Hearing, Linger, Reading, Sending, State,
};
use crate::reactor::{Attempt, Context, Next, Side, Stage, Transport};
use crate::service::Service;
use crate::service::counters::Close;
use crate::service::record::Record;
use crate::service::reply::{Reply, Wish};

use super::{HttpConnection, Note, Step, close, close_failed, since_change};

impl<T: Transport> HttpConnection<T> {
    /// Rows 1 to 10 of the table.
    pub(super) fn read_head(
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
            // Readiness was only a hint: nothing has come, and nothing more is waited for.
            Attempt::Blocked if was_idle && cx.stage == Stage::Stopping => {
                close(cx, Close::Shutdown, "idle at shutdown")
            }
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
        let was_draining = reading.is_draining();
        match reading.hear(fresh.unwrap_or_default(), cx.shared.http.head_bytes_max) {
            Hearing::More(reading) => {
                trace!("{} {} bytes of a head so far", cx.link.key, reading.kept());
                let idle = reading.is_idle();
                let begun = was_idle != idle || was_draining != reading.is_draining();
                let state = State::ReadingHead(reading);
                if idle && cx.stage == Stage::Stopping {
                    return Step::go(state);
                }
                // The time of a head begins with its first byte, and is never extended.
                let patience = if idle {
                    cx.shared.http.patience.idle
                } else {
                    cx.shared.http.patience.head
                };
                let deadline = since_change(changed || begun, cx, patience);
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
            Hearing::Refuse(refusal) => self.refuse(refusal, false, cx),
            Hearing::Broken(_) => {
                debug!(
                    "{} the body of a request is malformed or too long",
                    cx.link.key
                );
                cx.shared.counters.close(Close::Malformed);
                // Its answer is already out: a reset must not overtake it.
                let linger = Linger::new(LINGER_BYTES_MAX).explained(true);
                Step::go(match self.stream.shut_down_write() {
                    Ok(()) => State::Lingering(linger),
                    Err(_) => State::Closed,
                })
            }
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
                let waits = request.expects_continue && request.body != BodyLength::None;
                let reusable = request.keep_alive && !waits && drain.is_some();
                let keep = reusable && cx.stage == Stage::Running;
                let clean = !request.keep_alive && drain.as_ref().is_some_and(|d| d.is_done());
                let wish = Wish {
                    keep,
                    head_only: request.method == Method::Head,
                    minor: request.minor,
                };
                let reply = http.answer(&request, wish, &cx.now);
                let keep = reply.keep;
                let record = cx
                    .shared
                    .access
                    .is_on()
                    .then(|| Record::of(self.peer(), &request, reply.status, &cx.now));
                (reply, (keep, drain), Note::new(record, cx.now.tick, clean))
            }
            Err(refusal) => {
                debug!(
                    "{} refused: {} ({})",
                    cx.link.key, refusal.why, refusal.status.0
                );
                let head_only = head.bytes().trim_ascii_start().starts_with(b"HEAD ");
                let reply = http.refuse(refusal, head_only, &cx.now);
                let record =
                    cx.shared.access.is_on().then(|| {
                        Record::of_refusal(self.peer(), head.bytes(), reply.status, &cx.now)
                    });
                (reply, (false, None), Note::new(record, cx.now.tick, false))
            }
        };
        cx.shared.counters.reply(reply.status);
        let (keep, drain) = rest;
        let rest = head.into_rest(drain);
        let clean = note.clean && rest.is_idle() && !cx.link.ready.is(Side::Read);
        let rest = keep.then_some(rest);
        begin(reply, rest, Note { clean, ..note })
    }

    /// Row 2, and whatever else is found before a head is whole. `counted`: why the connection ends.
    fn refuse(&mut self, refusal: Refusal, counted: bool, cx: &mut Context<'_, Service>) -> Step {
        debug!(
            "{} refused: {} ({})",
            cx.link.key, refusal.why, refusal.status.0
        );
        let reply = cx.shared.http.refuse(refusal, false, &cx.now);
        cx.shared.counters.reply(reply.status);
        let record = cx
            .shared
            .access
            .is_on()
            .then(|| Record::of_refusal(self.peer(), b"", reply.status, &cx.now));
        let note = Note::new(record, cx.now.tick, false);
        begin(reply, None, Note { counted, ..note })
    }

    /// Row 8.
    fn give_up_on_head(&mut self, reading: Reading, cx: &mut Context<'_, Service>) -> Step {
        if reading.is_draining() {
            return close(
                cx,
                Close::HeadTimeout,
                "the body of a request took longer than --head-timeout",
            );
        }
        cx.shared.counters.close(Close::HeadTimeout);
        debug!(
            "{} the head took longer than --head-timeout ({} bytes came)",
            cx.link.key,
            reading.kept()
        );
        self.refuse(HEAD_TOO_SLOW, true, cx)
    }
}

fn begin(reply: Reply, rest: Option<Reading>, note: Note) -> Step {
    let note = Note {
        listing: reply.listing,
        ..note
    };
    Step::go(State::WritingHeaders(Box::new(Sending::new(
        reply.bytes,
        reply.head_len,
        reply.body,
        rest,
        note,
    ))))
}
