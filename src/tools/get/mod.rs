//! `idler get`: the HTTP client on the loop, and what it can tell about an answer that other
//! clients do not.
//!
//! It follows redirects, each hop on a loop of its own, since names are resolved before a loop
//! starts. A connection may send and receive at the same time. Invariant: it ends when the last
//! reply is whole, when one makes no sense, or when nothing has moved for too long.

mod output;
mod replies;

use std::net::SocketAddr;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::{Duration, Instant};

use log::LevelFilter;

use crate::cli::{HeaderLine, Options, Voice};
use crate::companions::client::{Destination, Driven, Failure, connect, connecting, resolve};
use crate::event_loop::clock::monotonic_now;
use crate::event_loop::{Attempt, Deadline, Next, Side, Stage, Stream, Tick};
use crate::http::reply::ClientRequest;
use crate::http::text::printable;
use crate::http::url::Url;
use crate::limits::{FOLLOWED_REDIRECTS_MAX, PROGRESS_INTERVAL};
use crate::log::logger;

use super::{ClientTask, TaskContext, at_first_of, exit_code};

use self::output::Half;
use self::replies::{Replies, is_verbose, show};

/// What is known of the last reply when it is over.
#[derive(Default, Debug)]
pub(super) struct LastReply {
    status: u16,
    /// Where a redirect leads.
    location: Option<String>,
}

/// Gets it, and returns the exit code: 0; 3, 4, 5 for such a status; 1 for a failure.
pub fn run(url: Url, options: &Options) -> ExitCode {
    // The first `-v` is for the heads.
    let verbose = if options.voice.verbose > 1 { 2 } else { 0 };
    let voice = Voice {
        verbose,
        ..options.voice
    };
    voice.start_logger(LevelFilter::Warn);
    match follow(url, &Rc::new(options.clone())) {
        Ok(status) => {
            logger::finish();
            ExitCode::from(match status {
                300..400 => 3,
                400..500 => 4,
                500.. => 5,
                0..300 => 0,
            })
        }
        Err(failure) => exit_code(Err(failure)),
    }
}

/// Gets it, after [`FOLLOWED_REDIRECTS_MAX`] redirects at most. Returns the status.
fn follow(mut url: Url, options: &Rc<Options>) -> Result<u16, Failure> {
    for _ in 0..=FOLLOWED_REDIRECTS_MAX {
        let reply = get(options, &url)?;
        let Some(location) = reply.location.filter(|_| options.follow) else {
            return Ok(reply.status);
        };
        url = redirect(options, &url, &location).map_err(Failure::new)?;
    }
    let line = format!("{url} is redirect number {}", FOLLOWED_REDIRECTS_MAX + 1);
    Err(Failure::new(line))
}

/// One hop.
fn get(options: &Rc<Options>, url: &Url) -> Result<LastReply, Failure> {
    let started = monotonic_now();
    let addresses = resolve(&url.host, url.port)?;
    let resolved = monotonic_now().duration_since(started);
    let ended = at_first_of(1, &addresses, |to, _| {
        let client = GetClient::start(to, options, url, (started, resolved))?;
        Ok(ClientTask::Get(Box::new(client)))
    })?;
    Ok(ended.last_reply)
}

fn redirect(options: &Options, from: &Url, location: &str) -> Result<Url, String> {
    let to = from.follow(location).map_err(|e| {
        let location = printable(location.as_bytes());
        format!("{from} redirects to {location}: {e}")
    })?;
    let is_secret = |line: &HeaderLine| {
        ["authorization", "cookie"].contains(&line.name.to_ascii_lowercase().as_str())
    };
    if to.authority() != from.authority() && options.headers.iter().any(is_secret) {
        return Err(format!(
            "{from} redirects to another host, {to}, which must not see this Authorization \
             or Cookie"
        ));
    }
    if options.voice.verbose > 0 {
        logger::say(&format!("* redirected to {to}"));
    }
    Ok(to)
}

/// One connection: requests out, replies in, and a record of how it went.
#[derive(Debug)]
pub struct GetClient {
    pub(crate) stream: Stream,
    to: SocketAddr,
    options: Rc<Options>,
    requests: RequestQueue,
    replies: Replies,
    /// When bytes moved last.
    moved: Tick,
    /// It waits for an edge: the next drive that does not come of a deadline counts as one.
    parked: bool,
    /// When its host began to be resolved.
    started: Instant,
    record: Record,
}

impl GetClient {
    /// Starts to connect to `to`, for what `options` ask. Resolving its name began at `started`
    /// and took `resolved`.
    ///
    /// # Errors
    /// If the kernel refuses at once.
    fn start(
        to: &Destination<'_>,
        options: &Rc<Options>,
        url: &Url,
        (started, resolved): (Instant, Duration),
    ) -> Result<Self, Failure> {
        let (to, now) = (to.address, to.now.tick);
        if is_verbose(options) {
            logger::say(&format!("* connecting to {to}"));
        }
        let half = Half::of(options);
        Ok(Self {
            stream: connect(to)?,
            to,
            options: Rc::clone(options),
            requests: RequestQueue::new(options, url, half.as_ref()),
            replies: Replies::new(options, half),
            moved: now,
            parked: true,
            started,
            record: Record {
                resolved,
                ..Record::default()
            },
        })
    }

    /// Sends what can be sent, takes what has come; then waits.
    pub(crate) fn drive(&mut self, cx: &mut TaskContext<'_>) -> Driven {
        if self.parked && !cx.expired {
            self.record.events += 1;
        }
        let driven = self.step(cx);
        self.parked = matches!(driven, Ok(Some(Next::Park(..))));
        if !matches!(driven, Ok(Some(_))) {
            self.replies.progress = None;
            cx.shared.last_reply = std::mem::take(&mut self.replies.last);
            let tells = self.options.timing || is_verbose(&self.options);
            if tells && self.record.connected.is_some() {
                self.record.tell(self.passed());
            }
        }
        driven
    }

    fn step(&mut self, cx: &mut TaskContext<'_>) -> Driven {
        if cx.stage == Stage::Stopping {
            return Err(Failure::interrupted());
        }
        if self.record.connected.is_none() {
            let timeout = self.options.timeout;
            let next = connecting(&self.stream, self.to, self.moved, timeout, cx)?;
            if next.is_some() {
                return Ok(next);
            }
            self.record.connected = Some(self.passed());
            self.moved = cx.now.tick;
            let all_at_once = self.options.pipeline > 1;
            let first = if all_at_once { self.requests.left } else { 1 };
            self.requests.queue(first);
        }
        let write_blocked = self.send(cx);
        let next = self.receive(cx)?;
        if next.is_some() || self.replies.left == 0 {
            return Ok(next);
        }
        self.wait(write_blocked, cx)
    }

    /// Sends what may be sent now. True if the kernel takes no more.
    fn send(&mut self, cx: &mut TaskContext<'_>) -> bool {
        while let Some(piece) = self.requests.piece(cx.now.tick) {
            match self.stream.write(&mut cx.link, piece, false) {
                Attempt::Done(n) => {
                    self.moved = cx.now.tick;
                    self.requests.sent(n, cx.now.tick);
                }
                Attempt::Blocked => return true,
                Attempt::Spent => return false,
                // The server may have said why before it hung up; if not, reading tells.
                Attempt::Failed(_) => self.requests.give_up(),
            }
        }
        false
    }

    /// Takes what has come. `None`: there is no more for now, or all replies are whole.
    fn receive(&mut self, cx: &mut TaskContext<'_>) -> Driven {
        while self.replies.left > 0 {
            let was_ready = cx.link.ready.is(Side::Read);
            match self.stream.read(&mut cx.link, cx.scratch) {
                Attempt::Done(n) => {
                    self.record.reads += 1;
                    self.moved = cx.now.tick;
                    let before = self.replies.left;
                    if n == 0 {
                        self.replies.end()?;
                    } else {
                        let passed = self.passed();
                        self.record.first_byte.get_or_insert(passed);
                        self.replies.feed(cx.scratch.get(..n).unwrap_or_default())?;
                    }
                    let goes_on = self.replies.left > 0 && self.replies.left < before;
                    if goes_on && self.options.keep > 1 {
                        self.requests.queue(1);
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

    /// Waits for an edge, for the time of the next piece to send, for the end of too long a
    /// silence, or until the progress is to be drawn again.
    fn wait(&mut self, write_blocked: bool, cx: &mut TaskContext<'_>) -> Driven {
        let now = cx.now.tick;
        let not_before = self.requests.not_before;
        let end = self.moved.after(self.options.timeout);
        if end.is_due(now) && not_before.is_none() {
            return Err(Failure::quiet(self.to, self.options.timeout));
        }
        let mut deadline = not_before.unwrap_or(end);
        let redraw = now.after(PROGRESS_INTERVAL);
        if self.draw(cx) && redraw.is_due(deadline) {
            deadline = redraw;
        }
        let unsent = not_before.is_none() && self.requests.piece(now).is_some();
        if unsent && !write_blocked {
            return Ok(Some(Next::Again(Deadline::Keep)));
        }
        let side = if unsent { Side::Either } else { Side::Read };
        Ok(Some(Next::Park(side, Deadline::At(deadline))))
    }

    fn passed(&self) -> Duration {
        monotonic_now().duration_since(self.started)
    }

    /// Draws how far it is; false if there is nothing to draw, or no terminal.
    fn draw(&mut self, cx: &TaskContext<'_>) -> bool {
        let done = self.replies.body_bytes;
        let progress = self.replies.progress.as_mut().filter(|_| done > 0);
        progress.map(|line| line.draw(done, &cx.now)).is_some()
    }
}

/// The requests on their way out: at once, or slowly on purpose; each whole, and in order.
#[derive(Debug)]
struct RequestQueue {
    options: Rc<Options>,
    request: Vec<u8>,
    last_request: Vec<u8>,
    /// Requests that are still to be put into `bytes`.
    left: u32,
    bytes: Vec<u8>,
    sent: usize,
    /// When the next piece may go out.
    not_before: Option<Tick>,
}

impl RequestQueue {
    fn new(options: &Rc<Options>, url: &Url, half: Option<&Half>) -> Self {
        let given = options.headers.iter();
        let given = given.map(|line| (line.name.clone(), line.value.clone()));
        let mut fields: Vec<(String, Vec<u8>)> = given.collect();
        if let Some(half) = half {
            let range = format!("bytes={}-", half.bytes);
            fields.push(("Range".to_owned(), range.into_bytes()));
            fields.push(("If-Range".to_owned(), half.validator.clone().into_bytes()));
        }
        let request = |close| ClientRequest {
            method: if options.head_only { "HEAD" } else { "GET" },
            url,
            fields: &fields,
            close,
        };
        Self {
            options: Rc::clone(options),
            request: request(false).to_bytes(),
            last_request: request(true).to_bytes(),
            left: options.requests(),
            bytes: Vec::new(),
            sent: 0,
            not_before: None,
        }
    }

    /// Adds the next requests to what is to be sent.
    fn queue(&mut self, requests: u32) {
        for _ in 0..requests.min(self.left) {
            self.left -= 1;
            let request = match self.left {
                0 => &self.last_request,
                _ => &self.request,
            };
            if is_verbose(&self.options) {
                show('>', request);
            }
            self.bytes.extend_from_slice(request);
        }
    }

    /// What may be sent now.
    fn piece(&self, now: Tick) -> Option<&[u8]> {
        let waits = self.not_before.is_some_and(|tick| !tick.is_due(now));
        let rest = self.bytes.get(self.sent..).filter(|_| !waits)?;
        let piece = self.options.chunk.and_then(|bytes| rest.get(..bytes));
        Some(piece.unwrap_or(rest)).filter(|piece| !piece.is_empty())
    }

    fn sent(&mut self, bytes: usize, now: Tick) {
        self.sent += bytes;
        self.not_before = None;
        if self.sent == self.bytes.len() {
            self.give_up();
        } else if self.options.chunk.is_some() {
            self.not_before = Some(now.after(self.options.delay));
        }
    }

    /// Leaves out what has not been sent: no more of it can be.
    fn give_up(&mut self) {
        self.bytes.clear();
        self.sent = 0;
        self.not_before = None;
    }
}

/// How it went: what `-t` and `-v` show in the end. Times count from the start.
#[derive(Default, Debug)]
struct Record {
    resolved: Duration,
    connected: Option<Duration>,
    first_byte: Option<Duration>,
    reads: u32,
    would_blocks: u32,
    events: u32,
}

impl Record {
    fn tell(&self, total: Duration) {
        let times = [
            Some(self.resolved),
            self.connected,
            self.first_byte,
            Some(total),
        ];
        let [resolve, connect, first_byte, total] = times.map(|time| match time {
            Some(time) => format!("{:.3} ms", time.as_secs_f64() * 1e3),
            None => "-".to_owned(),
        });
        logger::say(&format!(
            "* resolve {resolve}, connect {connect}, first-byte {first_byte}, total {total}"
        ));
        let count = |n: u32, what: &str| format!("{n} {what}{}", if n == 1 { "" } else { "s" });
        let reads = count(self.reads, "read");
        let would_blocks = count(self.would_blocks, "would-block");
        let events = count(self.events, "readiness event");
        logger::say(&format!("* {reads}, {would_blocks}, {events}"));
    }
}
