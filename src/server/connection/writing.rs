//! Rows 11 to 22, 24 and 28: sending a reply, and closing so that it is not lost.
//!
//! The steps of the states `WritingHeaders`, `WritingBody` and `Lingering`. Every byte that a head
//! promised goes out, or the connection is closed.

use std::fmt::Display;
use std::fs::File;
use std::mem::take;
use std::rc::Rc;

use log::warn;

use crate::event_loop::page_cache::Before;
use crate::event_loop::tcp::Lingering;
use crate::event_loop::{Attempt, Next, Now, Side, Stage, Tick, Transport};
use crate::http::state::{Outgoing, Output, Reading, State};
use crate::limits::{DISK_PAUSE, DISK_PAUSE_DIVISOR, STALL_LOOKS, UNSENT_BYTES_MIN};
use crate::server::Server;
use crate::server::access_log::LogRecord;
use crate::server::counters::{Close, Phase};
use crate::server::listing::ListingBody;
use crate::server::respond::Response;

use super::pace::{Pace, unsent_share};
use super::{Drive, NO_INPUT, Step};

/// A reply on its way, and what is noted about it.
#[derive(Debug)]
pub(super) struct ReplyProgress {
    pub(super) outgoing: Outgoing<Rc<File>>,
    /// For the access log, if there is one.
    record: Option<Box<LogRecord>>,
    /// What makes the body, if it is a listing.
    listing: Option<Box<ListingBody>>,
    /// How fast its reader takes it.
    pace: Pace,
    /// Since when it waits for a disk, if it does.
    waits_since: Option<Tick>,
    /// Whether the file's bytes so far were in memory: those that follow probably are as well.
    before: Before,
    /// Whether the kernel was told to send only full segments.
    corked: bool,
    /// Whether the kernel may hold more unsent bytes of it than its socket inherits.
    raised_lowat: bool,
    /// The client asked to close and has sent nothing more, so that closing cannot cause a reset.
    pub(super) may_just_close: bool,
}

impl ReplyProgress {
    /// A reply of which nothing has gone out. `rest` is what to read afterwards if the connection
    /// is kept.
    pub(super) fn new(
        reply: Response,
        rest: Option<Reading>,
        record: Option<Box<LogRecord>>,
        now: Tick,
    ) -> Self {
        Self {
            outgoing: Outgoing::new(reply.bytes, reply.head_len, reply.body, rest),
            record,
            listing: reply.listing,
            pace: Pace {
                since: now,
                ..Pace::default()
            },
            waits_since: None,
            before: Before::Unknown,
            corked: false,
            raised_lowat: false,
            may_just_close: false,
        }
    }

    /// Writes its line into the access log, once.
    pub(super) fn log(&mut self, now: Now, shared: &mut Server) {
        if let Some(record) = self.record.take() {
            shared.access.add(&record, self.outgoing.body_sent(), &now);
        }
    }
}

/// The state that a reply is in.
fn writing(reply: Box<ReplyProgress>) -> State<ReplyProgress> {
    if reply.outgoing.head_is_out() {
        State::WritingBody(reply)
    } else {
        State::WritingHeaders(reply)
    }
}

impl<T: Transport> Drive<'_, '_, T> {
    /// Rows 11 to 18, 22, 24 and 28.
    pub(super) fn write(&mut self, mut reply: Box<ReplyProgress>) -> Step {
        let mut waits = NO_INPUT;
        if self.cx.stage != Stage::Running {
            reply.outgoing.withdraw_reuse();
            waits = 18;
        }
        let waited = reply.waits_since.take();
        // A deadline that passed while it slept for a disk is not the reader's.
        let late = take(&mut self.cx.expired) && !self.changed && waited.is_none();
        if late {
            // The kernel reports an edge only once a third of its buffer is free; a slow reader may
            // have made room for less.
            self.cx.link.ready.set(Side::Write);
        }
        // The slot's deadline is to be renewed if it is that of another state, if it was for the
        // disk, or if it has passed.
        let renew = self.changed || waited.is_some() || late;
        let stall = self.cx.shared.http.timeouts.stall;
        let attempt = match reply.outgoing.output() {
            Output::Done => return self.finish(*reply),
            Output::Produce => return self.produce(reply, renew, waits),
            Output::Bytes(bytes, more) => self.stream.write(&mut self.cx.link, bytes, more),
            Output::Span(file, at, len) => {
                if !reply.corked {
                    let socket = &mut self.stream.transport;
                    socket.set_cork(true);
                    let share =
                        unsent_share(self.cx.shared.counters.phases[Phase::Writing as usize], len);
                    reply.raised_lowat = share > UNSENT_BYTES_MIN;
                    if reply.raised_lowat {
                        socket.set_notsent_lowat(share);
                    }
                    reply.corked = true;
                }
                let before = reply.before;
                let link = &mut self.cx.link;
                let Some(attempt) = self.stream.send_file(link, file, at, len, before) else {
                    return self.wait_for_disk(reply, waited);
                };
                if before == Before::Unknown && matches!(attempt, Attempt::Done(_)) {
                    reply.before = Before::Hot;
                }
                if let Some(waited) = waited {
                    reply.pace.leave_out(self.cx.now.tick.since(waited));
                }
                attempt
            }
        };
        match attempt {
            // Only a file has nothing to send where something was promised.
            Attempt::Done(0) => {
                let words = "the file shrank while it was sent";
                self.cut_short(16, &mut reply, Close::FileShrank, words)
            }
            Attempt::Done(n) => self.sent(reply, n),
            Attempt::Blocked => {
                let (now, pace) = (self.cx.now.tick, &mut reply.pace);
                if (late || pace.is_due(now, stall))
                    && pace.is_too_slow(&self.stream.transport, now, stall)
                {
                    self.stream.transport.abort_on_close();
                    let words = "the reader is slower than --stall-timeout allows";
                    return self.cut_short(17, &mut reply, Close::Stalled, words);
                }
                let deadline = self.deadline(renew, stall / STALL_LOOKS);
                Step::wait(waits, writing(reply), Next::Park(Side::Write, deadline))
            }
            Attempt::Spent => {
                let next = Next::Again(self.deadline(renew, stall));
                Step::wait(waits, writing(reply), next)
            }
            Attempt::Failed(e) => self.cut_short(21, &mut reply, Close::Error, e),
        }
    }

    /// Rows 11 to 15, and 22: `n` bytes have gone out.
    fn sent(&mut self, mut reply: Box<ReplyProgress>, n: usize) -> Step {
        let head_was_out = reply.outgoing.head_is_out();
        reply.outgoing.advance(n);
        reply.pace.moved += n as u64;
        self.cx.shared.counters.sent += n as u64;
        if matches!(reply.outgoing.output(), Output::Done) {
            return self.finish(*reply);
        }
        let row = match (head_was_out, reply.outgoing.head_is_out()) {
            (true, _) => 15,
            (false, true) => 12,
            (false, false) => 11,
        };
        Step::go(row, writing(reply))
    }

    /// Has the next piece of a listing made: one in each drive, for others wait for theirs.
    fn produce(&mut self, mut reply: Box<ReplyProgress>, mut renew: bool, waits: u8) -> Step {
        let made = match &mut reply.listing {
            Some(listing) => self.cx.shared.http.next_piece(listing, &self.cx.now),
            None => Ok(Some((Vec::new(), true))),
        };
        match made {
            Ok(Some((piece, is_last))) => {
                reply.outgoing.produce(piece, is_last);
                renew = true;
            }
            Ok(None) => {}
            Err(e) => {
                if self.cx.shared.http.warnings.is_due(&self.cx.now) {
                    warn!("{} a directory cannot be listed: {e}", self.cx.link.key);
                }
                return self.cut_short(28, &mut reply, Close::Listing, e);
            }
        }
        let deadline = self.deadline(renew, self.cx.shared.http.timeouts.stall);
        Step::wait(waits, writing(reply), Next::Again(deadline))
    }

    /// The reply ends before its end, and the connection with it.
    fn cut_short(
        &mut self,
        row: u8,
        reply: &mut ReplyProgress,
        why: Close,
        words: impl Display,
    ) -> Step {
        reply.log(self.cx.now, self.cx.shared);
        self.close(row, why, words)
    }

    /// Row 24. The kernel does not report that a disk has answered, so the reply sleeps a little
    /// and asks again, ever less often: many may be waiting for a disk that hangs.
    fn wait_for_disk(&mut self, mut reply: Box<ReplyProgress>, waited: Option<Tick>) -> Step {
        let since = waited.unwrap_or(self.cx.now.tick);
        let time = self.cx.now.tick.since(since);
        if time >= self.cx.shared.http.timeouts.stall {
            let words = "the disk is slower than --stall-timeout allows";
            return self.cut_short(17, &mut reply, Close::Stalled, words);
        }
        if self.cx.link.ready.is_gone() {
            return self.cut_short(21, &mut reply, Close::Error, "the client is gone");
        }
        reply.waits_since = Some(since);
        reply.before = Before::Cold;
        let pause = DISK_PAUSE.max(time / DISK_PAUSE_DIVISOR);
        let next = Next::Sleep(self.cx.now.tick.after(pause));
        Step::wait(24, writing(reply), next)
    }

    /// Rows 13, 14 and 22: the reply is complete.
    fn finish(&mut self, mut reply: ReplyProgress) -> Step {
        reply.log(self.cx.now, self.cx.shared);
        if let Some(reading) = reply.outgoing.finish() {
            if reply.corked {
                let socket = &mut self.stream.transport;
                socket.set_cork(false);
                if reply.raised_lowat {
                    socket.set_notsent_lowat(UNSENT_BYTES_MIN);
                }
            }
            return Step::go(13, State::ReadingHead(reading));
        }
        // Closing a socket with unread input makes the kernel send a reset, which would overtake
        // the reply.
        if reply.may_just_close && !self.cx.link.ready.is(Side::Read) {
            return self.close(22, Close::Done, "the client asked to close");
        }
        self.shut_down(14)
    }

    /// Rows 14 and 23: sends no more, and discards what still comes until the peer closes, too.
    pub(super) fn shut_down(&mut self, row: u8) -> Step {
        match self.stream.transport.shut_down_write() {
            Ok(()) => Step::go(row, State::Lingering { discarded: 0 }),
            Err(e) => self.close(21, Close::Error, e),
        }
    }

    /// Rows 19 and 20.
    pub(super) fn linger(&mut self, mut discarded: u64) -> Step {
        let (before, timeout) = (discarded, self.cx.shared.http.timeouts.linger);
        let (stream, changed) = (&mut self.stream, self.changed);
        let lingering = stream.linger(&mut discarded, changed, timeout, self.cx);
        self.cx.shared.counters.received += discarded - before;
        let (why, words) = match lingering {
            Lingering::Wait(next) => {
                return Step::wait(19, State::Lingering { discarded }, next);
            }
            Lingering::HungUp => (Close::Done, "both sides hung up"),
            Lingering::TimedOut => (Close::LingerTimeout, "the client did not hang up"),
            Lingering::TooMuch => (
                Close::LingerBytes,
                "the client sent on after the last reply",
            ),
            Lingering::Failed(e) => return self.close(21, Close::Error, e),
        };
        self.close(20, why, words)
    }
}
