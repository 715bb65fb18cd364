//! The honest client beside a crowd: it asks, waits for its answer, pauses, and asks again, on one
//! connection if the server keeps it. It never has more than one request on its way.

use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Instant;

use crate::companions::client::{Failure, connect, connecting};
use crate::event_loop::clock::monotonic_now;
use crate::event_loop::{Attempt, Deadline, Next, Side, Stage, Stream, Tick};
use crate::http::reply::Reply;
use crate::limits::{CONNECT_TIMEOUT, PROBE_INTERVAL};
use crate::tools::{ClientTask, NewTasks, TaskContext};

/// See the module.
#[derive(Debug)]
pub struct Probe {
    pub(crate) stream: Stream,
    to: SocketAddr,
    request: Rc<[u8]>,
    sent: usize,
    reply: Reply,
    /// When the request under way, its connection included if it needs one, began; for measuring.
    began: Instant,
    /// The same, for giving it up.
    since: Tick,
    step: ProbeStep,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum ProbeStep {
    Connecting,
    Asking,
    /// Between two requests.
    Resting,
    /// The connection is of no more use; another takes its place after a rest.
    Gone,
}

impl Probe {
    /// Starts to connect: a new handler, since another socket is another one to the loop.
    ///
    /// # Errors
    /// If the kernel refuses at once.
    pub(super) fn start(
        to: SocketAddr,
        request: Rc<[u8]>,
        since: Tick,
        new: &mut NewTasks<'_>,
    ) -> Result<(), Failure> {
        let began = monotonic_now();
        let probe = Self {
            stream: connect(to)?,
            to,
            request,
            sent: 0,
            reply: Reply::new(false),
            began,
            since,
            step: ProbeStep::Connecting,
        };
        let first = Next::Park(Side::Either, probe.deadline());
        new.admit(ClientTask::Probe(Box::new(probe)), first);
        Ok(())
    }

    fn deadline(&self) -> Deadline {
        Deadline::At(self.since.after(CONNECT_TIMEOUT))
    }

    /// Moves on as far as possible.
    pub(crate) fn drive(&mut self, cx: &mut TaskContext<'_>, new: &mut NewTasks<'_>) -> Next {
        if cx.stage == Stage::Stopping {
            return Next::Leave;
        }
        self.step(cx, new).unwrap_or_else(|failure| {
            let crowd = &mut cx.shared.crowd;
            log::debug!("the honest client: {failure}");
            if let Some(latencies) = crowd.latencies() {
                latencies.failed += 1;
            }
            crowd.probe_failure = Some(failure.to_string());
            self.rest(ProbeStep::Gone, cx)
        })
    }

    fn rest(&mut self, step: ProbeStep, cx: &TaskContext<'_>) -> Next {
        self.step = step;
        Next::Sleep(cx.now.tick.after(PROBE_INTERVAL))
    }

    fn step(&mut self, cx: &mut TaskContext<'_>, new: &mut NewTasks<'_>) -> Result<Next, Failure> {
        match self.step {
            ProbeStep::Connecting => {
                let waits = connecting(&self.stream, self.to, self.since, CONNECT_TIMEOUT, cx)?;
                if let Some(next) = waits {
                    return Ok(next);
                }
            }
            ProbeStep::Resting => {
                // Whatever came meanwhile is the end of the connection: nothing was asked.
                if !matches!(self.stream.read(&mut cx.link, cx.scratch), Attempt::Blocked) {
                    return self.replace(cx, new);
                }
                (self.sent, self.reply) = (0, Reply::new(false));
                (self.began, self.since) = (monotonic_now(), cx.now.tick);
            }
            ProbeStep::Gone => return self.replace(cx, new),
            ProbeStep::Asking => {}
        }
        self.step = ProbeStep::Asking;
        while let Some(rest @ [_, ..]) = self.request.get(self.sent..) {
            match self.stream.write(&mut cx.link, rest, false) {
                Attempt::Done(n) => self.sent += n,
                Attempt::Blocked => return self.wait(Side::Write, cx),
                Attempt::Spent => return Ok(Next::Again(self.deadline())),
                Attempt::Failed(e) => return Err(Failure::broken(self.to, &e)),
            }
        }
        self.receive(cx)
    }

    fn receive(&mut self, cx: &mut TaskContext<'_>) -> Result<Next, Failure> {
        loop {
            match self.stream.read(&mut cx.link, cx.scratch) {
                Attempt::Done(0) => {
                    self.reply.end().map_err(Failure::new)?;
                    return Ok(self.answered(ProbeStep::Gone, cx));
                }
                Attempt::Done(n) => {
                    let bytes = cx.scratch.get(..n).unwrap_or_default();
                    let mut status = 200;
                    let fed = self.reply.feed_all(bytes, |came| status = came);
                    if !(200..300).contains(&status) {
                        return Err(Failure::new(format!("{} answers {status}", self.to)));
                    }
                    fed.map_err(Failure::new)?;
                    if self.reply.is_done() {
                        return Ok(self.answered(ProbeStep::Resting, cx));
                    }
                }
                Attempt::Blocked => return self.wait(Side::Read, cx),
                Attempt::Spent => return Ok(Next::Again(self.deadline())),
                Attempt::Failed(e) => return Err(Failure::broken(self.to, &e)),
            }
        }
    }

    /// Waits for `side`, or gives up an answer that has taken too long.
    fn wait(&self, side: Side, cx: &TaskContext<'_>) -> Result<Next, Failure> {
        if self.since.after(CONNECT_TIMEOUT).is_due(cx.now.tick) {
            return Err(Failure::quiet(self.to, CONNECT_TIMEOUT));
        }
        Ok(Next::Park(side, self.deadline()))
    }

    /// Another connection takes the place of this one.
    fn replace(&self, cx: &TaskContext<'_>, new: &mut NewTasks<'_>) -> Result<Next, Failure> {
        Self::start(self.to, Rc::clone(&self.request), cx.now.tick, new)?;
        Ok(Next::Leave)
    }

    fn answered(&mut self, step: ProbeStep, cx: &mut TaskContext<'_>) -> Next {
        let time = monotonic_now().duration_since(self.began);
        if let Some(latencies) = cx.shared.crowd.latencies() {
            latencies.times.add(time);
        }
        self.rest(step, cx)
    }
}
