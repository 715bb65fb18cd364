//! One of a crowd.
//!
//! What lives here: connecting, saying what its mode says, and staying. It may not know how many there are.
//! Invariant: it keeps no bytes; only while an answer comes whose end it waits for, it keeps how far that is.
//! Read next: `tally.rs`.

use mio::net::TcpStream;

use crate::cli::CrowdMode;
use crate::event_loop::connect;
use crate::event_loop::connect::Connecting;
use crate::event_loop::{
    Attempt, Context, Deadline, Key, Link, Next, Side, Stage, Stream, Tick, Transport,
};
use crate::http::reply::{Event, Reply};
use crate::limits::{CONNECT_TIMEOUT, CROWD_SIP_BYTES};

use super::Crowd;
use crate::tools::TaskState;
use crate::tools::crowd::tally::{Ending, Missed, status_of};

/// See the module.
#[derive(Debug)]
pub struct Member<T = TcpStream> {
    stream: Stream<T>,
    /// Since when it connects, or is connected.
    since: Tick,
    /// What has come of an answer, for those who wait for its end.
    answer: Option<Box<Reply>>,
    /// Bytes of the crowd's words that it has said.
    said: u32,
    /// Of the last answer; 0: there was none.
    status: u16,
    step: Step,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Step {
    Connecting,
    Saying,
    Staying,
}

impl Member {
    /// One whose connection has just been begun; and how it waits first.
    pub(super) fn new(socket: TcpStream, now: Tick) -> (Self, Next) {
        let deadline = Deadline::At(now.after(CONNECT_TIMEOUT));
        (
            Self::of(Stream::new(socket), Step::Connecting, now),
            Next::Park(Side::Write, deadline),
        )
    }

    pub(crate) fn source(&mut self) -> &mut TcpStream {
        self.stream.transport()
    }

    /// Moves on as far as possible.
    pub(crate) fn drive(&mut self, cx: &mut Context<'_, TaskState>) -> Next {
        // The leader sums up what was; that everybody goes then is not counted.
        if cx.stage == Stage::Stopping {
            return Next::Leave;
        }
        if self.step == Step::Connecting {
            let crowd = &mut cx.shared.crowd;
            match connect::progress(&mut cx.link, self.stream.get()) {
                Connecting::Ready => {
                    crowd.tally.got_in();
                    self.since = cx.now.tick;
                    self.step = Step::Saying;
                }
                Connecting::Pending if cx.expired => {
                    log::debug!("{} no answer in time", cx.link.key);
                    crowd.tally.missed(Missed::Unanswered);
                    return Next::Leave;
                }
                Connecting::Pending => return Next::Park(Side::Write, Deadline::Keep),
                Connecting::Failed(e) => {
                    log::debug!("{} {e}", cx.link.key);
                    crowd.tally.missed(Missed::from(&e));
                    crowd.first_failure.get_or_insert(e);
                    return Next::Leave;
                }
            }
        }
        let crowd = &mut cx.shared.crowd;
        self.stay(&mut cx.link, cx.now.tick, cx.expired, cx.scratch, crowd)
    }
}

impl<T: Transport> Member<T> {
    fn of(stream: Stream<T>, step: Step, now: Tick) -> Self {
        Self {
            stream,
            since: now,
            answer: None,
            said: 0,
            status: 0,
            step,
        }
    }

    /// What it does from the moment it is connected.
    pub(super) fn stay(
        &mut self,
        link: &mut Link,
        now: Tick,
        expired: bool,
        scratch: &mut [u8],
        crowd: &mut Crowd,
    ) -> Next {
        let begins = self.step == Step::Saying;
        if begins && let Some(next) = self.say(link, now, crowd) {
            return next;
        }
        let at_once = match crowd.mode {
            CrowdMode::SlowRead => CROWD_SIP_BYTES,
            CrowdMode::Silent | CrowdMode::KeepAlive | CrowdMode::HalfHead | CrowdMode::Churn => {
                scratch.len()
            }
        };
        loop {
            let room = scratch.get_mut(..at_once).unwrap_or_default();
            match self.stream.read(link, room) {
                Attempt::Done(0) => return self.end_of_input(link.key, now, crowd),
                Attempt::Done(n) => {
                    crowd.tally.bytes_in += n as u64;
                    if let Some(next) =
                        self.hear(room.get(..n).unwrap_or_default(), link.key, now, crowd)
                    {
                        return next;
                    }
                    if crowd.mode == CrowdMode::SlowRead {
                        break;
                    }
                }
                Attempt::Blocked => break,
                Attempt::Spent => return Next::Again(Deadline::Keep),
                Attempt::Failed(e) => return self.ended(Ending::from(&e), link.key, now, crowd),
            }
        }
        match crowd.mode {
            CrowdMode::Silent | CrowdMode::KeepAlive | CrowdMode::Churn => {
                Next::Park(Side::Read, Deadline::Never)
            }
            CrowdMode::SlowRead => Next::Sleep(now.after(crowd.drip)),
            // Who has its answer has nothing more to say.
            CrowdMode::HalfHead if self.status > 0 => Next::Park(Side::Read, Deadline::Never),
            CrowdMode::HalfHead => {
                if expired && !begins {
                    match self.stream.write(link, b"x", false) {
                        Attempt::Done(n) => crowd.tally.bytes_out += n as u64,
                        // The next one may fit.
                        Attempt::Blocked | Attempt::Spent => {}
                        Attempt::Failed(e) => {
                            return self.ended(Ending::from(&e), link.key, now, crowd);
                        }
                    }
                }
                Next::Park(
                    Side::Read,
                    if expired || begins {
                        Deadline::At(now.after(crowd.drip))
                    } else {
                        Deadline::Keep
                    },
                )
            }
        }
    }

    /// Says the words of the crowd. `None` once all are said.
    fn say(&mut self, link: &mut Link, now: Tick, crowd: &mut Crowd) -> Option<Next> {
        loop {
            let rest = crowd.words.get(self.said as usize..).unwrap_or_default();
            if rest.is_empty() {
                break;
            }
            match self.stream.write(link, rest, false) {
                Attempt::Done(n) => {
                    crowd.tally.bytes_out += n as u64;
                    self.said = self
                        .said
                        .saturating_add(u32::try_from(n).unwrap_or(u32::MAX));
                }
                Attempt::Blocked => return Some(Next::Park(Side::Write, Deadline::Never)),
                Attempt::Spent => return Some(Next::Again(Deadline::Never)),
                Attempt::Failed(e) => {
                    return Some(self.ended(Ending::from(&e), link.key, now, crowd));
                }
            }
        }
        self.step = Step::Staying;
        match crowd.mode {
            CrowdMode::Churn if crowd.words.is_empty() => {
                crowd.tally.went();
                return Some(Next::Leave);
            }
            CrowdMode::Churn | CrowdMode::KeepAlive => {
                self.answer = Some(Box::new(Reply::new(false)));
            }
            CrowdMode::Silent | CrowdMode::HalfHead | CrowdMode::SlowRead => {}
        }
        None
    }

    /// Hears some bytes; says how to go on if that is not just listening.
    fn hear(&mut self, bytes: &[u8], key: Key, now: Tick, crowd: &mut Crowd) -> Option<Next> {
        let Some(answer) = &mut self.answer else {
            if let Some(status) = status_of(bytes) {
                self.status = status;
                crowd.tally.answered(status);
            }
            return None;
        };
        let mut rest = bytes;
        while !answer.is_done() {
            match answer.hear(rest) {
                Ok((used, event)) => {
                    if let Event::Head(head) = &event {
                        self.status = head.status;
                        crowd.tally.answered(head.status);
                    }
                    if used == 0 && matches!(event, Event::More) {
                        return None;
                    }
                    rest = rest.get(used..).unwrap_or_default();
                }
                Err(_) => return Some(self.ended(Ending::NotHttp, key, now, crowd)),
            }
        }
        self.answer = None;
        (crowd.mode.comes_and_goes()).then(|| {
            crowd.tally.went();
            Next::Leave
        })
    }

    /// The server has closed; an answer may have its end by that.
    fn end_of_input(&mut self, key: Key, now: Tick, crowd: &mut Crowd) -> Next {
        let whole = self.answer.as_mut().is_some_and(|a| a.end().is_ok());
        if whole && crowd.mode.comes_and_goes() {
            crowd.tally.went();
            return Next::Leave;
        }
        self.ended(Ending::Closed, key, now, crowd)
    }

    #[cfg(test)]
    pub(super) fn connected(transport: T, now: Tick) -> Self {
        Self::of(Stream::new(transport), Step::Saying, now)
    }

    #[cfg(test)]
    pub(super) fn transport(&mut self) -> &mut T {
        self.stream.transport()
    }

    #[cfg(test)]
    pub(super) fn waits_for_more(&self) -> bool {
        self.answer.is_some()
    }

    fn ended(&mut self, how: Ending, key: Key, now: Tick, crowd: &mut Crowd) -> Next {
        log::debug!("{key} {}", how.words());
        crowd.tally.ended(how, self.status, now.since(self.since));
        Next::Leave
    }
}
