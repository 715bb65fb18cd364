//! What the clients have in common: finding the server, and telling what went wrong.
//!
//! What lives here: names to addresses (before the loop starts, since that waits), the words for each failure, and the
//! exchange that most clients are: connect, say something or nothing, listen to the end. It may not know
//! what is said. Invariant: a client ends, whatever the server does: nothing heard for too long is an end.
//! Read next: `message.rs` (the shortest ear), `solo.rs`.

use std::fmt;
use std::io::{self, Write as _};
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::time::Duration;

use mio::net::{TcpStream, UdpSocket};
use rustix::io::Errno;

use crate::companions::message_text::Message;
use crate::event_loop::connect;
use crate::event_loop::connect::Connecting;
use crate::event_loop::{Attempt, Context, Deadline, Next, Side, Stage, Stream, Tick};
use crate::http::printable::printable;
use crate::limits::{CLIENT_QUIET, CONNECT_TIMEOUT, PROGRESS_INTERVAL};

use crate::companions::progress::Progress;
use crate::tools::handlers::TaskState;

/// Why a client failed: one line for its user.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Failure {
    line: String,
    /// Another address of the same host may do.
    pub(crate) elsewhere: bool,
}

impl Failure {
    /// A failure of the whole errand.
    pub fn new(line: impl Into<String>) -> Self {
        Self {
            line: line.into(),
            elsewhere: false,
        }
    }

    /// Why there is no connection to `to`.
    pub(crate) fn to_connect(to: SocketAddr, error: &io::Error) -> Self {
        let line = match Errno::from_io_error(error) {
            Some(Errno::CONNREFUSED) => {
                format!("{to} refused the connection: nothing listens there")
            }
            Some(Errno::NETUNREACH | Errno::HOSTUNREACH | Errno::NETDOWN | Errno::HOSTDOWN) => {
                format!("{to} is unreachable: there is no way to it from here")
            }
            Some(Errno::TIMEDOUT) => format!("{to} did not answer in time"),
            _ => format!("cannot connect to {to}: {}", words(error)),
        };
        Self {
            line,
            elsewhere: true,
        }
    }

    /// `to` did not take the connection in time.
    pub(crate) fn connect_timeout(to: SocketAddr, after: Duration) -> Self {
        let line = format!("{to} did not answer within {}", seconds(after));
        Self {
            line,
            elsewhere: true,
        }
    }

    /// The connection to `to` broke.
    pub(crate) fn broken(to: SocketAddr, error: &io::Error) -> Self {
        Self::new(match Errno::from_io_error(error) {
            Some(Errno::CONNRESET | Errno::PIPE) => {
                format!("{to} reset the connection in the middle")
            }
            Some(Errno::TIMEDOUT) => format!("{to} is gone: the connection timed out"),
            _ => format!("the connection to {to} broke: {}", words(error)),
        })
    }

    /// Nothing moved for too long.
    pub(crate) fn quiet(to: SocketAddr, after: Duration) -> Self {
        let after = seconds(after);
        Self::new(format!("timed out: nothing came from {to} for {after}"))
    }

    /// The user has had enough.
    pub(crate) fn interrupted() -> Self {
        Self::new("interrupted")
    }

    /// Standard output does not take any more.
    pub(crate) fn output(error: &io::Error) -> Self {
        Self::new(format!("cannot write to standard output: {}", words(error)))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.line)
    }
}

/// The words of an error, without the number that Rust adds.
fn words(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or(&text).to_owned()
}

fn seconds(time: Duration) -> String {
    format!("{} s", time.as_secs_f64())
}

/// The addresses of a host. Waits for the answer, so it is asked before the loop starts.
///
/// # Errors
/// If it has none.
pub fn resolve(host: &str, port: u16) -> Result<Vec<SocketAddr>, Failure> {
    let shown = printable(host.as_bytes());
    let found = (host, port)
        .to_socket_addrs()
        .map_err(|e| Failure::new(unresolved(&shown, &words(&e))))?;
    let mut addresses: Vec<SocketAddr> = Vec::new();
    for address in found {
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    if addresses.is_empty() {
        return Err(Failure::new(format!("{shown} has no address")));
    }
    Ok(addresses)
}

/// Why a name has no address, where it was looked for, and what to try: in a container that has neither file, not even
/// localhost is known.
fn unresolved(shown: &str, words: &str) -> String {
    let why = words.rsplit_once("information: ");
    let why = why.map_or(words, |(_, why)| why);
    format!(
        "cannot resolve {shown}: {why}; it was looked for in /etc/hosts and at the name servers of /etc/resolv.conf. \
         Try its address instead"
    )
}

/// A socket for datagrams to and from `to` alone: strangers are not heard, and a port where nobody listens is
/// reported.
///
/// # Errors
/// If there is none to be had, or no way there.
pub(crate) fn connected_datagrams(to: SocketAddr) -> Result<UdpSocket, Failure> {
    let any: SocketAddr = if to.is_ipv4() {
        ([0, 0, 0, 0], 0).into()
    } else {
        ([0_u16; 8], 0).into()
    };
    let connected = UdpSocket::bind(any).and_then(|socket| {
        socket.connect(to)?;
        Ok(socket)
    });
    connected.map_err(|e| Failure::to_connect(to, &e))
}

/// Writes to standard output.
///
/// This may wait for whoever reads it, and that is right here: a client has one thing to do, and taking
/// no more from the server than its own reader takes from it is exactly what is wanted. (Standard
/// output is shared with the shell, so it is never made non-blocking.)
pub(crate) fn print(bytes: &[u8]) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    out.write_all(bytes)
        .and_then(|()| out.flush())
        .map_err(|e| Failure::output(&e))
}

/// What an ear makes of what it heard.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Heard {
    /// It listens on.
    More,
    /// It has heard enough.
    Enough,
}

/// What a client does with that which comes.
pub trait Consumer {
    /// Hears some bytes.
    ///
    /// # Errors
    /// If they make no sense, or cannot be kept.
    fn hear(&mut self, bytes: &[u8]) -> Result<Heard, Failure>;

    /// Whether [`CLIENT_QUIET`] of silence may stand for the end: for servers that do not close.
    fn quiet_is_enough(&self) -> bool {
        false
    }

    /// Told that the input has ended after so many bytes. Returns what is to be printed.
    ///
    /// # Errors
    /// If what came was not whole.
    fn end(&mut self, wire_bytes: u64) -> Result<String, Failure>;
}

/// Hears one short text, and prints it.
#[derive(Debug)]
pub struct Words {
    heard: Message,
    before: &'static str,
    nothing: &'static str,
}

impl Words {
    /// Prints `before` in front of it. `nothing` says what went wrong if none came.
    pub fn new(before: &'static str, nothing: &'static str) -> Self {
        Self {
            heard: Message::default(),
            before,
            nothing,
        }
    }
}

impl Consumer for Words {
    fn hear(&mut self, bytes: &[u8]) -> Result<Heard, Failure> {
        Ok(if self.heard.hear(bytes) {
            Heard::Enough
        } else {
            Heard::More
        })
    }

    fn quiet_is_enough(&self) -> bool {
        !self.heard.is_empty()
    }

    fn end(&mut self, _wire_bytes: u64) -> Result<String, Failure> {
        if self.heard.is_empty() {
            return Err(Failure::new(self.nothing));
        }
        Ok(format!("{}{}\n", self.before, self.heard.text()))
    }
}

/// Connect, say something or nothing, listen to the end.
#[derive(Debug)]
pub struct Exchange<E> {
    stream: Stream,
    to: SocketAddr,
    say: Vec<u8>,
    said: usize,
    ear: E,
    state: State,
    patience: Duration,
    /// When something moved last.
    moved: Option<Tick>,
    wire_bytes: u64,
    progress: Option<Progress>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Connecting,
    Saying,
    Listening,
}

/// What a step came to: the state to go on with, or how to wait.
type Step = Result<Result<State, Next>, Failure>;

impl<E: Consumer> Exchange<E> {
    /// Starts to connect. `say` is said, and then that there is no more; what comes goes to `ear`.
    ///
    /// # Errors
    /// If the kernel refuses at once.
    pub fn start(
        to: SocketAddr,
        say: Vec<u8>,
        ear: E,
        patience: Duration,
        progress: Option<Progress>,
    ) -> Result<Self, Failure> {
        let socket = connect::start(to).map_err(|e| Failure::to_connect(to, &e))?;
        Ok(Self {
            stream: Stream::new(socket),
            to,
            say,
            said: 0,
            ear,
            state: State::Connecting,
            patience,
            moved: None,
            wire_bytes: 0,
            progress,
        })
    }

    pub(crate) fn source(&mut self) -> &mut TcpStream {
        self.stream.transport()
    }

    /// Moves from state to state until it must wait.
    pub(crate) fn drive(&mut self, cx: &mut Context<'_, TaskState>) -> Next {
        if cx.stage == Stage::Stopping {
            return self.over(Err(Failure::interrupted()), cx);
        }
        self.moved.get_or_insert(cx.now.tick);
        loop {
            let step = match self.state {
                State::Connecting => self.connect(cx),
                State::Saying => self.say(cx),
                State::Listening => self.listen(cx),
            };
            match step {
                Ok(Ok(state)) => self.state = state,
                Ok(Err(next)) => return next,
                Err(failure) => return self.over(Err(failure), cx),
            }
        }
    }

    fn connect(&mut self, cx: &mut Context<'_, TaskState>) -> Step {
        match connect::progress(&mut cx.link, self.stream.get()) {
            Connecting::Ready => {
                self.moved = Some(cx.now.tick);
                Ok(Ok(State::Saying))
            }
            Connecting::Failed(e) => Err(Failure::to_connect(self.to, &e)),
            Connecting::Pending => {
                let patience = CONNECT_TIMEOUT.min(self.patience);
                let end = self.moved.unwrap_or(cx.now.tick).after(patience);
                if end.is_due(cx.now.tick) {
                    return Err(Failure::connect_timeout(self.to, patience));
                }
                Ok(Err(Next::Park(Side::Write, Deadline::At(end))))
            }
        }
    }

    fn say(&mut self, cx: &mut Context<'_, TaskState>) -> Step {
        while let Some(rest) = self.say.get(self.said..).filter(|rest| !rest.is_empty()) {
            match self.stream.write(&mut cx.link, rest, false) {
                Attempt::Done(n) => {
                    self.said += n;
                    self.moved = Some(cx.now.tick);
                }
                Attempt::Blocked => return self.wait(Side::Write, cx).map(Err),
                Attempt::Spent => return Ok(Err(Next::Again(Deadline::Keep))),
                Attempt::Failed(e) => return Err(Failure::broken(self.to, &e)),
            }
        }
        // Saying that this was all gives a server that reads to the end its end. If that fails, reading will tell why.
        if !self.say.is_empty() {
            let _ = self.stream.shut_down_write();
        }
        Ok(Ok(State::Listening))
    }

    fn listen(&mut self, cx: &mut Context<'_, TaskState>) -> Step {
        loop {
            match self.stream.read(&mut cx.link, cx.scratch) {
                Attempt::Done(0) => return Ok(Err(self.end(cx))),
                Attempt::Done(n) => {
                    self.moved = Some(cx.now.tick);
                    self.wire_bytes += n as u64;
                    let bytes = cx.scratch.get(..n).unwrap_or_default();
                    if self.ear.hear(bytes)? == Heard::Enough {
                        return Ok(Err(self.end(cx)));
                    }
                }
                Attempt::Blocked => {
                    let quiet_since = self.moved.unwrap_or(cx.now.tick);
                    let quiet = quiet_since.after(CLIENT_QUIET).is_due(cx.now.tick);
                    if quiet && self.ear.quiet_is_enough() {
                        return Ok(Err(self.end(cx)));
                    }
                    return self.wait(Side::Read, cx).map(Err);
                }
                Attempt::Spent => {
                    if let Some(progress) = &mut self.progress {
                        progress.draw(self.wire_bytes, &cx.now);
                    }
                    return Ok(Err(Next::Again(Deadline::Keep)));
                }
                Attempt::Failed(e) => return Err(Failure::broken(self.to, &e)),
            }
        }
    }

    /// Waits for `side`, or for the next thing that time brings: too long a silence, or a new look at the progress.
    fn wait(&mut self, side: Side, cx: &Context<'_, TaskState>) -> Result<Next, Failure> {
        let now = cx.now.tick;
        let patience = if self.ear.quiet_is_enough() {
            CLIENT_QUIET.min(self.patience)
        } else {
            self.patience
        };
        let end = self.moved.unwrap_or(now).after(patience);
        if end.is_due(now) {
            return Err(Failure::quiet(self.to, self.patience));
        }
        let mut deadline = end;
        if let Some(progress) = &mut self.progress {
            progress.draw(self.wire_bytes, &cx.now);
            let redraw = now.after(PROGRESS_INTERVAL);
            if redraw.is_due(end) {
                deadline = redraw;
            }
        }
        Ok(Next::Park(side, Deadline::At(deadline)))
    }

    fn end(&mut self, cx: &mut Context<'_, TaskState>) -> Next {
        let text = self.ear.end(self.wire_bytes);
        self.over(text, cx)
    }

    fn over(&mut self, outcome: Result<String, Failure>, cx: &mut Context<'_, TaskState>) -> Next {
        if let Some(progress) = &mut self.progress {
            progress.clear();
        }
        cx.shared.outcome = Some(outcome.and_then(|text| print(text.as_bytes())));
        Next::Leave
    }
}
