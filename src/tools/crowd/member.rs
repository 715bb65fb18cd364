//! One of a crowd: it connects, says what its mode says, and stays.
//!
//! Invariant: it keeps no bytes; only while an answer comes whose end it waits for, it keeps how
//! far that is. An idle member is its slot and nothing else.

use log::debug;
use mio::net::TcpStream;

use crate::cli::CrowdMode;
use crate::event_loop::transport::{self, Connecting};
use crate::event_loop::{Attempt, Deadline, Next, Side, Stage, Stream, Tick};
use crate::http::reply::Reply;
use crate::limits::{CONNECT_TIMEOUT, CROWD_SIP_BYTES};
use crate::tools::TaskContext;

use super::report::{Crowd, Ending};

/// See the module.
#[derive(Debug)]
pub struct Member {
    pub(crate) stream: Stream,
    /// Since when it connects, or is connected.
    since: Tick,
    /// The answer that comes in, in a mode that waits for its end.
    pub(super) answer: Option<Box<Reply>>,
    /// Bytes of the crowd's request that it has sent.
    sent: u32,
    /// Of the last answer; 0: there was none.
    status: u16,
    step: MemberStep,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum MemberStep {
    Connecting,
    Asking,
    Staying,
}

/// Why a member leaves: how its connection ended, or `None` if it has done what was to be done.
type Departure = Option<Ending>;

impl Member {
    /// One whose connection has just been begun; and how it waits first.
    pub(super) fn new(socket: TcpStream, now: Tick) -> (Self, Next) {
        let member = Self {
            stream: Stream { transport: socket },
            since: now,
            answer: None,
            sent: 0,
            status: 0,
            step: MemberStep::Connecting,
        };
        let deadline = Deadline::At(now.after(CONNECT_TIMEOUT));
        (member, Next::Park(Side::Write, deadline))
    }

    /// Moves on as far as possible.
    pub(crate) fn drive(&mut self, cx: &mut TaskContext<'_>) -> Next {
        // The leader has told what was; that all leave then is not counted.
        if cx.stage == Stage::Stopping {
            return Next::Leave;
        }
        self.step(cx).unwrap_or_else(|departure| {
            let crowd = &mut cx.shared.crowd;
            if let Some(how) = departure {
                debug!("{} {}", cx.link.key, how.words().1);
                crowd.ended(how, self.status, cx.now.tick.since(self.since));
            } else {
                crowd.went += 1;
            }
            Next::Leave
        })
    }

    fn step(&mut self, cx: &mut TaskContext<'_>) -> Result<Next, Departure> {
        if self.step == MemberStep::Connecting
            && let Some(next) = self.connect(cx)
        {
            return Ok(next);
        }
        let begins = self.step == MemberStep::Asking;
        if begins && let Some(next) = self.ask(cx)? {
            return Ok(next);
        }
        let (mode, drip) = (cx.shared.crowd.options.mode, cx.shared.crowd.options.drip);
        let sips = mode == CrowdMode::SlowRead;
        let most = if sips {
            CROWD_SIP_BYTES
        } else {
            cx.scratch.len()
        };
        loop {
            let room = cx.scratch.get_mut(..most).unwrap_or_default();
            match self.stream.read(&mut cx.link, room) {
                Attempt::Done(0) => {
                    // An answer may have its end by that.
                    let whole = self.answer.as_mut().is_some_and(|a| a.end().is_ok());
                    let done = whole && mode.comes_and_goes();
                    return Err((!done).then_some(Ending::Closed));
                }
                Attempt::Done(n) => {
                    let bytes = room.get(..n).unwrap_or_default();
                    self.feed(bytes, &mut cx.shared.crowd)?;
                    if sips {
                        break;
                    }
                }
                Attempt::Blocked => break,
                Attempt::Spent => return Ok(Next::Again(Deadline::Keep)),
                Attempt::Failed(e) => return Err(Some(Ending::from(&e))),
            }
        }
        match mode {
            CrowdMode::SlowRead => Ok(Next::Sleep(cx.now.tick.after(drip))),
            // One that has its answer has nothing more to say.
            CrowdMode::HalfHead if self.status == 0 => self.drip(begins, cx),
            CrowdMode::Silent | CrowdMode::KeepAlive | CrowdMode::Churn | CrowdMode::HalfHead => {
                Ok(Next::Park(Side::Read, Deadline::Never))
            }
        }
    }

    /// Waits until it is connected. `None` once it is.
    fn connect(&mut self, cx: &mut TaskContext<'_>) -> Option<Next> {
        let crowd = &mut cx.shared.crowd;
        match transport::connecting(&mut cx.link, &self.stream.transport) {
            Connecting::Ready => {
                crowd.got_in += 1;
                self.since = cx.now.tick;
                self.step = MemberStep::Asking;
                return None;
            }
            Connecting::Pending if cx.expired => {
                debug!("{} no answer in time", cx.link.key);
                crowd.missed(None);
            }
            Connecting::Pending => return Some(Next::Park(Side::Write, Deadline::Keep)),
            Connecting::Failed(e) => {
                debug!("{} {e}", cx.link.key);
                crowd.missed(Some(e));
            }
        }
        Some(Next::Leave)
    }

    /// Sends the request of the crowd. `None` once all of it is sent.
    fn ask(&mut self, cx: &mut TaskContext<'_>) -> Result<Option<Next>, Departure> {
        let crowd = &mut cx.shared.crowd;
        while let Some(rest @ [_, ..]) = crowd.request.get(self.sent as usize..) {
            match self.stream.write(&mut cx.link, rest, false) {
                Attempt::Done(n) => {
                    crowd.bytes_out += n as u64;
                    let n = u32::try_from(n).unwrap_or(u32::MAX);
                    self.sent = self.sent.saturating_add(n);
                }
                Attempt::Blocked => return Ok(Some(Next::Park(Side::Write, Deadline::Never))),
                Attempt::Spent => return Ok(Some(Next::Again(Deadline::Never))),
                Attempt::Failed(e) => return Err(Some(Ending::from(&e))),
            }
        }
        self.step = MemberStep::Staying;
        match crowd.options.mode {
            CrowdMode::Churn if crowd.request.is_empty() => return Err(None),
            CrowdMode::Churn | CrowdMode::KeepAlive => {
                self.answer = Some(Box::new(Reply::new(false)));
            }
            CrowdMode::Silent | CrowdMode::HalfHead | CrowdMode::SlowRead => {}
        }
        Ok(None)
    }

    /// Takes some bytes of an answer.
    fn feed(&mut self, bytes: &[u8], crowd: &mut Crowd) -> Result<(), Departure> {
        crowd.bytes_in += bytes.len() as u64;
        let mut answered = |status| {
            self.status = status;
            *crowd.answers.entry(status).or_default() += 1;
        };
        if let Some(answer) = &mut self.answer {
            let fed = answer.feed_all(bytes, answered);
            fed.map_err(|_| Some(Ending::NotHttp))?;
        } else if let Some(status) = status_of(bytes) {
            answered(status);
        }
        if self.answer.as_ref().is_some_and(|answer| answer.is_done()) {
            self.answer = None;
            if crowd.options.mode.comes_and_goes() {
                return Err(None);
            }
        }
        Ok(())
    }

    /// Sends another byte of a head that never ends, when it is time for it.
    fn drip(&mut self, begins: bool, cx: &mut TaskContext<'_>) -> Result<Next, Departure> {
        if !begins && !cx.expired {
            return Ok(Next::Park(Side::Read, Deadline::Keep));
        }
        let crowd = &mut cx.shared.crowd;
        if !begins {
            match self.stream.write(&mut cx.link, b"x", false) {
                Attempt::Done(n) => crowd.bytes_out += n as u64,
                // The next one may fit.
                Attempt::Blocked | Attempt::Spent => {}
                Attempt::Failed(e) => return Err(Some(Ending::from(&e))),
            }
        }
        let deadline = Deadline::At(cx.now.tick.after(crowd.options.drip));
        Ok(Next::Park(Side::Read, deadline))
    }
}

/// The status in a line that begins like an answer.
pub(super) fn status_of(bytes: &[u8]) -> Option<u16> {
    let rest = bytes.strip_prefix(b"HTTP/1.")?.get(1..5)?;
    let digits = std::str::from_utf8(rest.strip_prefix(b" ")?).ok()?;
    digits
        .parse()
        .ok()
        .filter(|status| (100..1000).contains(status))
}
