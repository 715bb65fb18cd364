//! Rows 1 to 10, and 23: from bytes to a request, and from a request to its reply.
//!
//! What lives here: the functions of the state `ReadingHead`. They may not know how a reply is sent.
//! Invariant: the time of a head begins with its first byte and is never extended. Read next: `writing.rs`.

use std::mem::take;
use std::time::Duration;

use log::{debug, trace};

use crate::event_loop::{Attempt, Context, Deadline, Next, Side, Stage, Transport};
use crate::http::body::BodyLength;
use crate::http::request::{Fields, Method, Request};
use crate::http::state::{HEAD_TOO_SLOW, Head, Hearing, Linger, ProxyHeaderRead, Reading, State};
use crate::http::status::{Refusal, Status};
use crate::limits::{LINGER_BYTES_MAX, SHUTDOWN_IDLE_GRACE};
use crate::server::client_addr::{Client, ProxiedClient};
use crate::server::clients::Admission;
use crate::server::counters::Close;
use crate::server::handlers::Server;
use crate::server::record::Record;
use crate::server::reply::{Reply, ResponseOptions};

use super::{HttpConnection, Note, Step, begin, since_change};

const NOT_ALLOWED: Refusal = Refusal::new(
    Status::FORBIDDEN,
    "this site is not for the address that asks",
);

const TOO_MANY: Refusal = Refusal::new(
    Status::UNAVAILABLE,
    "this address has as many connections as it may",
);

impl<T: Transport> HttpConnection<T> {
    /// Rows 1 to 10, and 23.
    pub(super) fn read_head(
        &mut self,
        reading: Reading,
        mut changed: bool,
        standing: Option<&mut ProxiedClient>,
        cx: &mut Context<'_, Server>,
    ) -> Step {
        let was_idle = reading.is_idle();
        if cx.stage == Stage::Stopping && was_idle && !cx.link.ready.is(Side::Read) {
            return self.part(reading, false, cx);
        }
        if take(&mut cx.expired) {
            if !was_idle {
                return self.give_up_on_head(reading, standing.as_deref(), cx);
            }
            if !cx.link.ready.is(Side::Read) {
                return self.close(cx, Close::Idle, "idle for longer than --idle-timeout");
            }
            changed = true;
        }
        let stranger = standing.as_ref().is_some_and(|s| s.awaits_introduction());
        if reading.has_leftovers() && !stranger {
            return self.hear(reading, was_idle, changed, None, standing.as_deref(), cx);
        }
        let scratch = take(&mut cx.scratch);
        let step = match self.stream.read(&mut cx.link, scratch) {
            Attempt::Done(0) if was_idle => self.close(cx, Close::Peer, "the client hung up"),
            Attempt::Done(0) => self.close(
                cx,
                Close::CutOff,
                "the client hung up in the middle of a request",
            ),
            Attempt::Done(n) => {
                cx.shared.counters.received += n as u64;
                let fresh = &scratch[..n];
                match standing {
                    Some(standing) if stranger => {
                        self.hear_introduction(reading, changed, fresh, standing, cx)
                    }
                    standing => self.hear(
                        reading,
                        was_idle,
                        changed,
                        Some(fresh),
                        standing.as_deref(),
                        cx,
                    ),
                }
            }
            Attempt::Blocked | Attempt::Spent => self.listen_on(reading, changed, cx),
            Attempt::Failed(e) => self.close(cx, Close::Error, e),
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
        standing: Option<&ProxiedClient>,
        cx: &mut Context<'_, Server>,
    ) -> Step {
        let was_draining = reading.is_draining();
        match reading.hear(fresh.unwrap_or_default(), cx.shared.http.head_bytes_max) {
            Hearing::More(reading) => {
                let (key, kept) = (cx.link.key, reading.kept());
                match (was_draining, reading.is_draining()) {
                    (_, true) => trace!("{key} more of a request's body is to come"),
                    (true, false) => {
                        trace!("{key} a request's body is over; {kept} bytes of the next head")
                    }
                    (false, false) => trace!("{key} {kept} bytes of a head so far"),
                }
                let begun = was_idle != reading.is_idle() || was_draining != reading.is_draining();
                self.listen_on(reading, changed || begun, cx)
            }
            Hearing::Head(head) => self.answer(head, standing, cx),
            Hearing::Refuse(refusal) => self.refuse(refusal, standing, cx),
            Hearing::Broken(_) => {
                debug!(
                    "{} the body of a request is malformed or too long",
                    cx.link.key
                );
                self.count(Close::Malformed, cx);
                // Its answer is already out: a reset must not overtake it.
                match self.stream.shut_down_write() {
                    Ok(()) => Step::go(State::Lingering(Linger::new(LINGER_BYTES_MAX))),
                    Err(e) => self.close(cx, Close::Error, e),
                }
            }
        }
    }

    /// Row 1: what came is not enough. `begun`: its time begins now.
    fn listen_on(&mut self, reading: Reading, begun: bool, cx: &mut Context<'_, Server>) -> Step {
        let idle = reading.is_idle();
        let more = cx.link.ready.is(Side::Read);
        if idle && !more && cx.stage == Stage::Stopping {
            return self.part(reading, begun, cx);
        }
        // The time of a head begins with its first byte, and is never extended.
        let patience = if idle {
            cx.shared.http.patience.idle
        } else {
            cx.shared.http.patience.head
        };
        let deadline = since_change(begun, cx, patience);
        let next = if more {
            Next::Again(deadline)
        } else {
            Next::Park(Side::Read, deadline)
        };
        Step::stop(State::ReadingHead(reading), next)
    }

    /// The first bytes of a trusted proxy, which may tell whom it speaks for. What comes behind is heard at once, so that the
    /// time of a head that has begun counts on.
    fn hear_introduction(
        &mut self,
        reading: Reading,
        changed: bool,
        fresh: &[u8],
        standing: &mut ProxiedClient,
        cx: &mut Context<'_, Server>,
    ) -> Step {
        let was_idle = reading.is_idle();
        let (address, reading) = match reading.hear_introduction(fresh) {
            ProxyHeaderRead::More(reading) => {
                return self.listen_on(reading, changed || was_idle, cx);
            }
            ProxyHeaderRead::Over(address, reading) => (address, reading),
            ProxyHeaderRead::Broken(wrong) => {
                let words = format_args!("not a header of the PROXY protocol: {wrong}");
                return self.close(cx, Close::ProxyHeader, words);
            }
        };
        match standing.introduce(address, &cx.shared.guests) {
            Admission::In | Admission::Proxy | Admission::Counted(_) => {}
            Admission::NotAllowed => {
                let words = "the proxy's client is not in --allow";
                return self.close(cx, Close::Stranger, words);
            }
            Admission::TooManyFromAddress => {
                self.count(Close::Crowding, cx);
                return self.refuse(TOO_MANY, Some(standing), cx);
            }
        }
        if reading.has_leftovers() {
            return self.hear(reading, was_idle, changed, None, Some(standing), cx);
        }
        self.listen_on(reading, true, cx)
    }

    /// The reply to a request, and its client as far as that had to be found out.
    fn reply(
        &self,
        request: &Request<'_>,
        wish: ResponseOptions,
        standing: Option<&ProxiedClient>,
        cx: &mut Context<'_, Server>,
    ) -> (Reply, Option<Client>) {
        let guests = &cx.shared.guests;
        let client = standing.and_then(|s| s.client(request.headers, guests));
        if client.is_some_and(|client| !guests.allows(client)) {
            let reply = cx.shared.http.page(NOT_ALLOWED, wish, &cx.now);
            return (reply, client);
        }
        let figures = cx
            .shared
            .figures_for(request, wish, client, || self.peer(), &cx.now);
        let reply = figures.unwrap_or_else(|| cx.shared.http.answer(request, wish, &cx.now));
        (reply, client)
    }

    /// Rows 3 and 4: the site is asked, the reply composed.
    fn answer(
        &mut self,
        head: Head<'_>,
        standing: Option<&ProxiedClient>,
        cx: &mut Context<'_, Server>,
    ) -> Step {
        let mut fields = Fields::new();
        let (reply, (keep, drain), mut note) = match head.request(&mut fields) {
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
                let wish = ResponseOptions {
                    keep,
                    head_only: request.method == Method::Head,
                    minor: request.minor,
                };
                let (reply, client) = self.reply(&request, wish, standing, cx);
                let keep = reply.keep;
                // Asked every few seconds by each balancer, it would hide the rest.
                let is_logged = cx.shared.access.is_on()
                    && !(reply.status == Status::OK && cx.shared.http.is_health_check(&request));
                let record = is_logged.then(|| {
                    let client = client.unwrap_or_else(|| self.peer());
                    let user = cx.shared.http.user(&request);
                    Record::of(client, user, &request, reply.status, &cx.now)
                });
                (reply, (keep, drain), Note::new(record, cx.now.tick, clean))
            }
            Err(refusal) => {
                debug!(
                    "{} refused: {} ({})",
                    cx.link.key, refusal.why, refusal.status.0
                );
                let head_only = head.bytes().trim_ascii_start().starts_with(b"HEAD ");
                let reply = cx.shared.http.refuse(refusal, head_only, &cx.now);
                let record = cx.shared.access.is_on().then(|| {
                    let client = self.speaker(standing, cx);
                    Record::of_refusal(client, head.bytes(), reply.status, &cx.now)
                });
                (reply, (false, None), Note::new(record, cx.now.tick, false))
            }
        };
        cx.shared.counters.reply(reply.status);
        let rest = head.into_rest(drain);
        note.clean &= rest.is_idle() && !cx.link.ready.is(Side::Read);
        Step::go(begin(reply, keep.then_some(rest), note))
    }

    /// Row 2, and whatever else is found before a head is whole.
    fn refuse(
        &mut self,
        refusal: Refusal,
        standing: Option<&ProxiedClient>,
        cx: &mut Context<'_, Server>,
    ) -> Step {
        debug!(
            "{} refused: {} ({})",
            cx.link.key, refusal.why, refusal.status.0
        );
        let reply = cx.shared.http.refuse(refusal, false, &cx.now);
        cx.shared.counters.reply(reply.status);
        let record = cx.shared.access.is_on().then(|| {
            let client = self.speaker(standing, cx);
            Record::of_refusal(client, b"", reply.status, &cx.now)
        });
        Step::go(begin(reply, None, Note::new(record, cx.now.tick, false)))
    }

    /// Who asks, where no fields were understood.
    fn speaker(&self, standing: Option<&ProxiedClient>, cx: &Context<'_, Server>) -> Client {
        standing
            .and_then(|s| s.client(&[], &cx.shared.guests))
            .unwrap_or_else(|| self.peer())
    }

    /// Row 8.
    fn give_up_on_head(
        &mut self,
        reading: Reading,
        standing: Option<&ProxiedClient>,
        cx: &mut Context<'_, Server>,
    ) -> Step {
        if reading.is_draining() {
            return self.close(
                cx,
                Close::HeadTimeout,
                "the body of a request took longer than --head-timeout",
            );
        }
        self.count(Close::HeadTimeout, cx);
        debug!(
            "{} the head took longer than --head-timeout ({} bytes came)",
            cx.link.key,
            reading.kept()
        );
        self.refuse(HEAD_TOO_SLOW, standing, cx)
    }

    /// Row 9. A request of somebody who came, or was answered, a moment ago may be on its way; or now, if only now it `begun` to
    /// be idle, and the deadline still is that of what it did before.
    fn part(&mut self, reading: Reading, begun: bool, cx: &mut Context<'_, Server>) -> Step {
        let idle = cx.shared.http.patience.idle;
        let quiet_for = if begun {
            Duration::ZERO
        } else {
            idle.saturating_sub(cx.deadline.since(cx.now.tick))
        };
        let left = SHUTDOWN_IDLE_GRACE.min(idle).saturating_sub(quiet_for);
        if cx.expired || left.is_zero() {
            return self.close(cx, Close::Shutdown, "idle at shutdown");
        }
        let deadline = Deadline::At(cx.now.tick.after(left));
        Step::stop(
            State::ReadingHead(reading),
            Next::Park(Side::Read, deadline),
        )
    }
}
