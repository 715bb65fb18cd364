//! The honest client: asks, waits for its answer, pauses, and asks again, on one connection if the server keeps it.
//!
//! What lives here: one connection of it, and its successor where the server has closed. It may not know the crowd
//! beside it, but for whether it is there. Invariant: it never has more than one request on its way.
//! Read next: `latencies.rs`.

use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Instant;

use mio::net::TcpStream;

use crate::event_loop::clock::monotonic_now;
use crate::event_loop::connect;
use crate::event_loop::connect::Connecting;
use crate::event_loop::{Attempt, Context, Deadline, Newcomers, Next, Side, Stage, Stream, Tick};
use crate::http::reply::{Event, Reply, Request};
use crate::http::url::Url;
use crate::limits::{CONNECT_TIMEOUT, PROBE_INTERVAL};

use super::{Crowd, Phase};
use crate::companions::client::Failure;
use crate::tools::{ClientTask, TaskState};

/// See the module.
#[derive(Debug)]
pub struct Probe {
    stream: Stream,
    to: SocketAddr,
    request: Rc<[u8]>,
    said: usize,
    reply: Reply,
    /// When the request under way, its connection included if it needs one, began.
    began: Instant,
    /// When it is given up.
    end: Tick,
    step: Step,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Step {
    Connecting,
    Asking,
    /// Between two requests.
    Resting,
    /// The connection is of no more use.
    Gone,
}

impl Probe {
    /// Starts to connect.
    ///
    /// # Errors
    /// If the kernel refuses at once.
    pub(super) fn start(to: SocketAddr, url: &Url, now: Tick) -> Result<Self, Failure> {
        let request = Request {
            method: "GET",
            url,
            fields: &[],
            close: false,
        };
        Self::connect(to, request.to_bytes().into(), now)
    }

    fn connect(to: SocketAddr, request: Rc<[u8]>, now: Tick) -> Result<Self, Failure> {
        let began = monotonic_now();
        let socket = connect::start(to).map_err(|e| Failure::to_connect(to, &e))?;
        Ok(Self {
            stream: Stream::new(socket),
            to,
            request,
            said: 0,
            reply: Reply::new(false),
            began,
            end: now.after(CONNECT_TIMEOUT),
            step: Step::Connecting,
        })
    }

    /// How it waits first.
    pub(super) fn first(&self) -> Next {
        Next::Park(Side::Either, Deadline::At(self.end))
    }

    pub(crate) fn source(&mut self) -> &mut TcpStream {
        self.stream.transport()
    }

    /// Moves on as far as possible.
    pub(crate) fn drive(
        &mut self,
        cx: &mut Context<'_, TaskState>,
        new: &mut Newcomers<'_, ClientTask>,
    ) -> Next {
        if cx.stage == Stage::Stopping {
            return Next::Leave;
        }
        if self.step == Step::Gone {
            return self.succeed(cx, new);
        }
        match self.step(cx, new) {
            Ok(next) => next,
            Err(why) => {
                cx.shared.crowd.probe_failed(why);
                self.rest(Step::Gone, cx)
            }
        }
    }

    /// Another connection takes the place of this one, which has a socket of its own in the loop.
    fn succeed(
        &mut self,
        cx: &mut Context<'_, TaskState>,
        new: &mut Newcomers<'_, ClientTask>,
    ) -> Next {
        match Self::connect(self.to, Rc::clone(&self.request), cx.now.tick) {
            Ok(probe) => {
                let first = probe.first();
                new.admit(ClientTask::Probe(Box::new(probe)), first);
                Next::Leave
            }
            Err(failure) => {
                cx.shared.crowd.probe_failed(failure.to_string());
                self.rest(Step::Gone, cx)
            }
        }
    }

    fn rest(&mut self, step: Step, cx: &Context<'_, TaskState>) -> Next {
        self.step = step;
        Next::Sleep(cx.now.tick.after(PROBE_INTERVAL))
    }

    /// How to wait; or why there is no answer.
    fn step(
        &mut self,
        cx: &mut Context<'_, TaskState>,
        new: &mut Newcomers<'_, ClientTask>,
    ) -> Result<Next, String> {
        let late = self.step != Step::Resting && self.end.is_due(cx.now.tick);
        match self.step {
            Step::Connecting => match connect::progress(&mut cx.link, self.stream.get()) {
                Connecting::Ready => self.step = Step::Asking,
                Connecting::Failed(e) => return Err(Failure::to_connect(self.to, &e).to_string()),
                Connecting::Pending if late => {
                    return Err(Failure::connect_timeout(self.to, CONNECT_TIMEOUT).to_string());
                }
                Connecting::Pending => return Ok(Next::Park(Side::Write, Deadline::Keep)),
            },
            Step::Resting => {
                // Whatever came meanwhile is the end: nothing was asked.
                match self.stream.read(&mut cx.link, cx.scratch) {
                    Attempt::Blocked => {}
                    Attempt::Done(_) | Attempt::Failed(_) | Attempt::Spent => {
                        return Ok(self.succeed(cx, new));
                    }
                }
                (self.said, self.reply) = (0, Reply::new(false));
                self.began = monotonic_now();
                self.end = cx.now.tick.after(CONNECT_TIMEOUT);
                self.step = Step::Asking;
            }
            Step::Asking | Step::Gone => {}
        }
        while let Some(rest) = self.request.get(self.said..).filter(|r| !r.is_empty()) {
            match self.stream.write(&mut cx.link, rest, false) {
                Attempt::Done(n) => self.said += n,
                Attempt::Blocked if !late => {
                    return Ok(Next::Park(Side::Write, Deadline::At(self.end)));
                }
                Attempt::Blocked => {
                    return Err(Failure::quiet(self.to, CONNECT_TIMEOUT).to_string());
                }
                Attempt::Spent => return Ok(Next::Again(Deadline::At(self.end))),
                Attempt::Failed(e) => return Err(Failure::broken(self.to, &e).to_string()),
            }
        }
        self.hear(late, cx)
    }

    fn hear(&mut self, late: bool, cx: &mut Context<'_, TaskState>) -> Result<Next, String> {
        loop {
            match self.stream.read(&mut cx.link, cx.scratch) {
                Attempt::Done(0) => {
                    self.reply.end().map_err(|e| e.to_string())?;
                    self.count(&mut cx.shared.crowd);
                    return Ok(self.rest(Step::Gone, cx));
                }
                Attempt::Done(n) => {
                    let mut rest = cx.scratch.get(..n).unwrap_or_default();
                    while !self.reply.is_done() {
                        let (used, event) = self.reply.hear(rest).map_err(|e| e.to_string())?;
                        if let Event::Head(head) = &event
                            && !(200..300).contains(&head.status)
                        {
                            return Err(format!("{} answers {}", self.to, head.status));
                        }
                        if used == 0 && matches!(event, Event::More) {
                            break;
                        }
                        rest = rest.get(used..).unwrap_or_default();
                    }
                    if self.reply.is_done() {
                        self.count(&mut cx.shared.crowd);
                        return Ok(self.rest(Step::Resting, cx));
                    }
                }
                Attempt::Blocked if late => {
                    return Err(Failure::quiet(self.to, CONNECT_TIMEOUT).to_string());
                }
                Attempt::Blocked => return Ok(Next::Park(Side::Read, Deadline::At(self.end))),
                Attempt::Spent => return Ok(Next::Again(Deadline::At(self.end))),
                Attempt::Failed(e) => return Err(Failure::broken(self.to, &e).to_string()),
            }
        }
    }

    fn count(&self, crowd: &mut Crowd) {
        let time = monotonic_now().duration_since(self.began);
        match crowd.phase {
            Phase::Quiet => crowd.probed.before.count(time),
            Phase::Holding => crowd.probed.beside.count(time),
            // While they come, there is neither quiet nor a crowd.
            Phase::Scouting | Phase::Opening => {}
        }
    }
}

impl Crowd {
    fn probe_failed(&mut self, why: String) {
        log::debug!("the honest client: {why}");
        match self.phase {
            Phase::Quiet => self.probed.before.failed += 1,
            Phase::Holding => self.probed.beside.failed += 1,
            Phase::Scouting | Phase::Opening => {}
        }
        self.probed.why = Some(why);
    }
}
