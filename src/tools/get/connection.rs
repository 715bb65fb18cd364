//! One connection of `idler get`: requests out, replies in, and a record of how it went.
//!
//! What lives here: the client's side of a connection, which may send and hear at the same time. It may not know how a
//! reply is taken apart (`protocol/http/client/`). Invariant: it ends when the last reply is whole, when
//! one makes no sense, or when nothing has moved for the time that was given.
//! Read next: `protocol/http/client/mod.rs`.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use mio::net::TcpStream;

use crate::cli::{GetOptions, Output as Target, Pace, Requests};
use crate::event_loop::connect;
use crate::event_loop::connect::Connecting;
use crate::event_loop::{Attempt, Context, Deadline, Next, Side, Stage, Stream, Tick};
use crate::http::reply::{Reply, Request};
use crate::http::url::Url;
use crate::limits::{CONNECT_TIMEOUT, PROGRESS_INTERVAL};

use super::Answer;
use crate::companions::client::Failure;
use crate::companions::progress::Progress;
use crate::log::logger;
use crate::tools::get::hearing::Hearing;
use crate::tools::get::output::half;
use crate::tools::get::record::Record;
use crate::tools::get::sending::Sending;
use crate::tools::handlers::TaskState;

/// See the module.
#[derive(Debug)]
pub struct Client {
    stream: Stream,
    to: SocketAddr,
    connected: bool,
    sending: Sending,
    hearing: Hearing,
    timeout: Duration,
    timing: bool,
    moved: Option<Tick>,
    /// It waits for an edge: the next drive that is not for the time is one.
    parked: bool,
    record: Record,
    answer: Rc<RefCell<Answer>>,
}

/// What a step came to: nothing more to do now, or for good; `Err` if it went wrong.
type Step = Result<Option<Next>, Failure>;

impl Client {
    /// Starts to connect to `to`, for what `options` ask.
    ///
    /// # Errors
    /// If the kernel refuses at once.
    pub(super) fn start(
        to: SocketAddr,
        options: &GetOptions,
        url: &Url,
        started: Instant,
        resolved: Duration,
        answer: Rc<RefCell<Answer>>,
    ) -> Result<Self, Failure> {
        let verbose = options.voice.verbose > 0;
        if verbose {
            logger::say(&format!("* connecting to {to}"));
        }
        let socket = connect::start(to).map_err(|e| Failure::to_connect(to, &e))?;
        let name = match &options.output {
            Target::Stdout => None,
            Target::File(path) => Some(path.clone()),
        };
        let (requests, pipeline) = match options.requests {
            Requests::One => (1, false),
            Requests::Kept(n) => (n, false),
            Requests::Pipelined(n) => (n, true),
        };
        let (chunk, delay) = match options.pace {
            Pace::AtOnce => (None, Duration::ZERO),
            Pace::Pieces { bytes, delay } => (Some(bytes), delay),
        };
        let half = name.as_deref().filter(|_| options.resume).and_then(half);
        let given = options.headers.iter();
        let given = given.map(|line| (line.name.clone(), line.value.clone()));
        let mut fields: Vec<(String, Vec<u8>)> = given.collect();
        if let Some(half) = &half {
            let range = format!("bytes={}-", half.bytes);
            fields.push(("Range".to_owned(), range.into_bytes()));
            let validator = half.validator.clone();
            fields.push(("If-Range".to_owned(), validator.into_bytes()));
        }
        let mut request = Request {
            method: if options.head_only { "HEAD" } else { "GET" },
            url,
            fields: &fields,
            close: true,
        };
        let last_request = request.to_bytes();
        request.close = false;
        let request = request.to_bytes();
        let quiet = options.voice.quiet || verbose || (name.is_none() && is_terminal());
        Ok(Self {
            stream: Stream::new(socket),
            to,
            connected: false,
            sending: Sending {
                request,
                last_request,
                left: requests,
                bytes: Vec::new(),
                sent: 0,
                chunk,
                delay,
                not_before: None,
                pipeline,
                verbose,
            },
            hearing: Hearing {
                reply: Reply::new(options.head_only),
                left: requests,
                all: requests,
                to_head: options.head_only,
                head: None,
                output: None,
                name,
                resume: options.resume,
                follow: options.follow,
                half,
                include: options.include_head || options.head_only,
                verbose,
                body_bytes: 0,
                progress: if quiet { None } else { Progress::on_terminal() },
            },
            timeout: options.timeout,
            timing: options.timing || verbose,
            moved: None,
            parked: true,
            record: Record {
                started,
                resolved,
                connected: None,
                first_byte: None,
                reads: 0,
                would_blocks: 0,
                events: 0,
            },
            answer,
        })
    }

    pub(crate) fn source(&mut self) -> &mut TcpStream {
        self.stream.transport()
    }

    /// Sends what can be sent, hears what has come; then waits.
    pub(crate) fn drive(&mut self, cx: &mut Context<'_, TaskState>) -> Next {
        if self.parked && !cx.expired {
            self.record.events += 1;
        }
        let next = match self.step(cx) {
            Ok(Some(next)) => next,
            Ok(None) => self.over(Ok(()), cx),
            Err(failure) => self.over(Err(failure), cx),
        };
        self.parked = matches!(next, Next::Park(..));
        next
    }

    fn step(&mut self, cx: &mut Context<'_, TaskState>) -> Step {
        if cx.stage == Stage::Stopping {
            return Err(Failure::interrupted());
        }
        let moved = *self.moved.get_or_insert(cx.now.tick);
        if !self.connected {
            match connect::progress(&mut cx.link, self.stream.get()) {
                Connecting::Ready => self.connected = true,
                Connecting::Failed(e) => return Err(Failure::to_connect(self.to, &e)),
                Connecting::Pending => {
                    let patience = CONNECT_TIMEOUT.min(self.timeout);
                    let end = moved.after(patience);
                    if end.is_due(cx.now.tick) {
                        return Err(Failure::connect_timeout(self.to, patience));
                    }
                    return Ok(Some(Next::Park(Side::Write, Deadline::At(end))));
                }
            }
            self.record.connected = Some(self.record.passed());
            self.moved = Some(cx.now.tick);
            let requests = if self.sending.pipeline {
                self.sending.left
            } else {
                1
            };
            self.sending.queue(requests);
        }
        let write_blocked = self.send(cx);
        if let Some(next) = self.hear(cx)? {
            return Ok(Some(next));
        }
        if self.hearing.left == 0 {
            return Ok(None);
        }
        self.wait(write_blocked, cx)
    }

    /// Sends what may be sent now. True if the kernel takes no more.
    fn send(&mut self, cx: &mut Context<'_, TaskState>) -> bool {
        while let Some(piece) = self.sending.piece(cx.now.tick) {
            match self.stream.write(&mut cx.link, piece, false) {
                Attempt::Done(n) => {
                    self.moved = Some(cx.now.tick);
                    self.sending.sent(n, cx.now.tick);
                }
                Attempt::Blocked => return true,
                Attempt::Spent => return false,
                // The server may have said why before it hung up; if not, hearing tells.
                Attempt::Failed(_) => self.sending.give_up(),
            }
        }
        false
    }

    /// Hears until there is nothing more, or all has been heard.
    fn hear(&mut self, cx: &mut Context<'_, TaskState>) -> Step {
        while self.hearing.left > 0 {
            let was_ready = cx.link.ready.is(Side::Read);
            match self.stream.read(&mut cx.link, cx.scratch) {
                Attempt::Done(n) => {
                    self.record.reads += 1;
                    self.moved = Some(cx.now.tick);
                    if n > 0 && self.record.first_byte.is_none() {
                        self.record.first_byte = Some(self.record.passed());
                    }
                    let bytes = cx.scratch.get(..n).unwrap_or_default();
                    let before = self.hearing.left;
                    if n == 0 {
                        self.hearing.end(&self.answer)?;
                    } else {
                        self.hearing.hear(bytes, &self.answer)?;
                    }
                    let more = before - self.hearing.left;
                    if self.hearing.left > 0 && more > 0 && !self.sending.pipeline {
                        self.sending.queue(1);
                        self.send(cx);
                    }
                }
                Attempt::Blocked => {
                    self.record.would_blocks += u32::from(was_ready);
                    return Ok(None);
                }
                Attempt::Spent => {
                    self.draw(cx);
                    return Ok(Some(Next::Again(Deadline::Keep)));
                }
                Attempt::Failed(e) => return Err(Failure::broken(self.to, &e)),
            }
        }
        Ok(None)
    }

    /// Waits for an edge, for the next piece to send, for the end of patience, or for a new look at the progress.
    fn wait(&mut self, write_blocked: bool, cx: &mut Context<'_, TaskState>) -> Step {
        let now = cx.now.tick;
        let end = self.moved.unwrap_or(now).after(self.timeout);
        if end.is_due(now) && self.sending.not_before.is_none() {
            return Err(Failure::quiet(self.to, self.timeout));
        }
        let mut deadline = self.sending.not_before.unwrap_or(end);
        if self.draw(cx) {
            let redraw = now.after(PROGRESS_INTERVAL);
            if redraw.is_due(deadline) {
                deadline = redraw;
            }
        }
        let unsent = self.sending.not_before.is_none() && self.sending.piece(now).is_some();
        if unsent && !write_blocked {
            return Ok(Some(Next::Again(Deadline::Keep)));
        }
        let side = if unsent { Side::Either } else { Side::Read };
        Ok(Some(Next::Park(side, Deadline::At(deadline))))
    }

    /// Draws how far it is, if there is anything to draw and anybody to look.
    fn draw(&mut self, cx: &Context<'_, TaskState>) -> bool {
        let done = self.hearing.body_bytes;
        match &mut self.hearing.progress {
            Some(progress) if done > 0 => progress.draw(done, &cx.now),
            Some(_) | None => return false,
        }
        true
    }

    fn over(&mut self, outcome: Result<(), Failure>, cx: &mut Context<'_, TaskState>) -> Next {
        if let Some(progress) = &mut self.hearing.progress {
            progress.clear();
        }
        if self.timing && self.record.connected.is_some() {
            self.record.say();
        }
        cx.shared.outcome = Some(outcome);
        Next::Leave
    }
}

fn is_terminal() -> bool {
    std::io::IsTerminal::is_terminal(&std::io::stdout())
}
