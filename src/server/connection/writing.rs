//! Rows 11 to 22, and 24: sending a reply, and hanging up so that it is not lost.
//!
//! What lives here: the functions of the states `WritingHeaders`, `WritingBody` and `Lingering`. They may not know how a
//! reply was made. Invariant: every promised byte goes out, or the connection is closed. Read next: `../answer.rs`.

use std::fmt::Display;
use std::fs::File;
use std::mem::take;
use std::rc::Rc;

use log::warn;

use crate::event_loop::page_cache::Before;
use crate::event_loop::{Attempt, Context, Deadline, Next, Side, Stage, Tick, Transport};
use crate::http::state::{After, Linger, Output, State};
use crate::limits::{
    DISK_PAUSE, DISK_PAUSE_DIVISOR, LINGER_BYTES_MAX, STALL_LOOKS, UNSENT_BYTES_ALL,
    UNSENT_BYTES_MIN, UNSENT_PART_OF_FILE,
};
use crate::server::counters::{Close, Phase};
use crate::server::handlers::Server;

use super::{HttpConnection, Note, Out, Step, since_change};

impl<T: Transport> HttpConnection<T> {
    /// Rows 11 to 18, and 22 and 24.
    pub(super) fn write(
        &mut self,
        mut out: Box<Out>,
        changed: bool,
        cx: &mut Context<'_, Server>,
    ) -> Step {
        if cx.stage != Stage::Running {
            out.withdraw_reuse();
        }
        let waited = out.note.waits_since.take();
        // A deadline that passed while it slept for a disk is not the reader's.
        let late = take(&mut cx.expired) && !changed && waited.is_none();
        if late {
            // The kernel owes an edge only once a third of its buffer is free; a slow reader may have made room for less.
            cx.link.ready.set(Side::Write);
        }
        // The one that stands is of another state, was for the disk, or has passed.
        let renew = changed || waited.is_some() || late;
        let headers = !out.head_is_out();
        let stall = cx.shared.http.patience.stall;
        let attempt = match out.output() {
            Output::Done => return self.finish(*out, cx),
            Output::Produce => {
                return match cx.shared.http.produce(&mut out, &cx.now) {
                    // One step, then whoever else waits for one.
                    Ok(true) => {
                        Step::stop(writing(out), Next::Again(since_change(true, cx, stall)))
                    }
                    Ok(false) => {
                        Step::stop(writing(out), Next::Again(since_change(renew, cx, stall)))
                    }
                    Err(e) => {
                        if cx.shared.http.warnings.is_due(&cx.now) {
                            warn!("{} a directory cannot be listed: {e}", cx.link.key);
                        }
                        self.cut_short(&mut out, cx, Close::Listing, e)
                    }
                };
            }
            Output::Bytes(bytes, more) => self.stream.write(&mut cx.link, bytes, more),
            Output::Span(file, at, len) => {
                let mut may_have_more = out.note.may_have_more;
                if !out.note.held_back {
                    let socket = self.stream.transport();
                    socket.set_cork(true);
                    let share = unsent_share(cx.shared.counters.open(Phase::Writing), len);
                    may_have_more = share > UNSENT_BYTES_MIN;
                    if may_have_more {
                        socket.set_notsent_lowat(share);
                    }
                }
                let before = out.note.before;
                let attempt = self.stream.send_file(&mut cx.link, file, at, len, before);
                (out.note.held_back, out.note.may_have_more) = (true, may_have_more);
                if before == Before::Unknown && matches!(attempt, Some(Attempt::Done(_))) {
                    out.note.before = Before::Hot;
                }
                match attempt {
                    Some(attempt) => {
                        if let Some(waited) = waited {
                            out.note.pace.leave_out(cx.now.tick.since(waited));
                        }
                        attempt
                    }
                    None => return self.wait_for_disk(out, waited, cx),
                }
            }
        };
        match attempt {
            // Only a file has nothing to send where something was promised.
            Attempt::Done(0) => {
                let words = "the file shrank while it was sent";
                self.cut_short(&mut out, cx, Close::FileShrank, words)
            }
            Attempt::Done(n) => {
                out.moved(n);
                out.note.pace.add(n as u64);
                cx.shared.counters.sent += n as u64;
                if matches!(out.output(), Output::Done) {
                    return self.finish(*out, cx);
                }
                if headers && out.head_is_out() {
                    Step::go(State::WritingBody(out))
                } else {
                    Step::go(writing(out))
                }
            }
            Attempt::Blocked => {
                let (now, pace) = (cx.now.tick, &mut out.note.pace);
                if (late || pace.is_due(now, stall))
                    && pace.is_too_slow(self.stream.get(), now, stall)
                {
                    self.stream.transport().abort_on_close();
                    let words = "the reader is slower than --stall-timeout allows";
                    return self.cut_short(&mut out, cx, Close::Stalled, words);
                }
                let look = stall / STALL_LOOKS;
                Step::stop(
                    writing(out),
                    Next::Park(Side::Write, since_change(renew, cx, look)),
                )
            }
            Attempt::Spent => Step::stop(writing(out), Next::Again(since_change(renew, cx, stall))),
            Attempt::Failed(e) => self.cut_short(&mut out, cx, Close::Error, e),
        }
    }

    /// The reply ends before its end, and the connection with it.
    fn cut_short(
        &mut self,
        out: &mut Out,
        cx: &mut Context<'_, Server>,
        why: Close,
        words: impl Display,
    ) -> Step {
        let sent = out.body_sent();
        cx.shared.log_line(&mut out.note.record, cx.now, sent);
        self.close(cx, why, words)
    }

    /// Row 24. Nobody reports that a disk has answered, so the reply sleeps a little and looks again, ever less often: those who
    /// wait for a disk that hangs may be many.
    fn wait_for_disk(
        &mut self,
        mut out: Box<Out>,
        waited: Option<Tick>,
        cx: &mut Context<'_, Server>,
    ) -> Step {
        let since = waited.unwrap_or(cx.now.tick);
        let time = cx.now.tick.since(since);
        if time >= cx.shared.http.patience.stall {
            let words = "the disk is slower than --stall-timeout allows";
            return self.cut_short(&mut out, cx, Close::Stalled, words);
        }
        if cx.link.ready.is_gone() {
            return self.cut_short(&mut out, cx, Close::Error, "the client is gone");
        }
        out.note.waits_since = Some(since);
        out.note.before = Before::Cold;
        let pause = DISK_PAUSE.max(time / DISK_PAUSE_DIVISOR);
        Step::stop(writing(out), Next::Sleep(cx.now.tick.after(pause)))
    }

    /// Rows 13 and 14, and 22.
    fn finish(&mut self, out: Out, cx: &mut Context<'_, Server>) -> Step {
        let sent = out.body_sent();
        let (mut note, after) = out.finish();
        cx.shared.log_line(&mut note.record, cx.now, sent);
        match after {
            After::Keep(reading) => {
                if note.held_back {
                    let socket = self.stream.transport();
                    socket.set_cork(false);
                    if note.may_have_more {
                        socket.set_notsent_lowat(UNSENT_BYTES_MIN);
                    }
                }
                Step::go(State::ReadingHead(reading))
            }
            // What came while it was sent would make closing a reset, which overtakes the reply.
            After::Close if note.clean && !cx.link.ready.is(Side::Read) => {
                self.close(cx, Close::Done, "the client asked to close")
            }
            After::Close => match self.stream.shut_down_write() {
                Ok(()) => Step::go(State::Lingering(Linger::new(LINGER_BYTES_MAX))),
                Err(e) => self.close(cx, Close::Error, e),
            },
        }
    }

    /// Rows 19 and 20.
    pub(super) fn linger(
        &mut self,
        linger: Linger,
        changed: bool,
        cx: &mut Context<'_, Server>,
    ) -> Step {
        if take(&mut cx.expired) && !changed {
            return self.close(cx, Close::LingerTimeout, "the client did not hang up");
        }
        match self.stream.read(&mut cx.link, cx.scratch) {
            Attempt::Done(0) => self.close(cx, Close::Done, "both sides hung up"),
            Attempt::Done(n) => match received(linger, n, cx) {
                // Not `go`: the time of lingering is not extended by what comes.
                Some(linger) if changed => Step::go(State::Lingering(linger)),
                Some(linger) if cx.link.ready.is(Side::Read) => {
                    Step::stop(State::Lingering(linger), Next::Again(Deadline::Keep))
                }
                Some(linger) => Step::stop(
                    State::Lingering(linger),
                    Next::Park(Side::Read, Deadline::Keep),
                ),
                None => self.close(
                    cx,
                    Close::LingerBytes,
                    "the client sent on after the last reply",
                ),
            },
            Attempt::Blocked => {
                let deadline = since_change(changed, cx, cx.shared.http.patience.linger);
                Step::stop(State::Lingering(linger), Next::Park(Side::Read, deadline))
            }
            Attempt::Spent => {
                let deadline = since_change(changed, cx, cx.shared.http.patience.linger);
                Step::stop(State::Lingering(linger), Next::Again(deadline))
            }
            Attempt::Failed(e) => self.close(cx, Close::Error, e),
        }
    }
}

/// Counts what came, and throws it away.
fn received(linger: Linger, n: usize, cx: &mut Context<'_, Server>) -> Option<Linger> {
    cx.shared.counters.received += n as u64;
    linger.throw_away(n)
}

fn writing(out: Box<Out>) -> State<Rc<File>, Note> {
    if out.head_is_out() {
        State::WritingBody(out)
    } else {
        State::WritingHeaders(out)
    }
}

/// What the kernel may hold of a file, of which so much is `left` to be sent, for one of so many who are sent something.
pub(super) fn unsent_share(writing: u64, left: u64) -> u32 {
    let share = (u64::from(UNSENT_BYTES_ALL) / writing.max(1)).min(left / UNSENT_PART_OF_FILE);
    u32::try_from(share).map_or(UNSENT_BYTES_ALL, |share| share.max(UNSENT_BYTES_MIN))
}
