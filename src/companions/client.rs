//! What all clients share: addresses of a host, the words for each failure, and the exchange that
//! most of them are, which connects, sends something or nothing, and receives to the end. A
//! client ends whatever the server does: silence that lasts too long is an end as well.

use std::fmt;
use std::io::{self, Write as _};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs as _};
use std::time::Duration;

use mio::net::UdpSocket;
use rustix::io::Errno;

use crate::companions::progress::Progress;
use crate::event_loop::transport::{self, ConnectOptions, Connecting, Transport as _};
use crate::event_loop::udp::Datagram;
use crate::event_loop::{Attempt, Context, Deadline, Next, Now, Side, Stage, Stream, Tick};
use crate::http::text::printable;
use crate::limits::{CLIENT_QUIET, CONNECT_TIMEOUT, PROGRESS_INTERVAL};
use crate::process::words_of;

/// Why a client failed: one line for its user.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Failure {
    line: String,
    /// Another address of the same host may do.
    pub(crate) elsewhere: bool,
}

impl Failure {
    /// A failure of the whole task, at whichever address.
    pub fn new(line: impl Into<String>) -> Self {
        let (line, elsewhere) = (line.into(), false);
        Self { line, elsewhere }
    }

    fn here(line: String) -> Self {
        let elsewhere = true;
        Self { line, elsewhere }
    }

    /// Why there is no connection to `to`.
    pub(crate) fn to_connect(to: SocketAddr, error: &io::Error) -> Self {
        Self::here(match Errno::from_io_error(error) {
            Some(Errno::CONNREFUSED) => {
                format!("{to} refused the connection: nothing listens there")
            }
            Some(Errno::NETUNREACH | Errno::HOSTUNREACH | Errno::NETDOWN | Errno::HOSTDOWN) => {
                format!("{to} is unreachable: there is no way to it from here")
            }
            Some(Errno::TIMEDOUT) => format!("{to} did not answer in time"),
            _ => format!("cannot connect to {to}: {}", words_of(error)),
        })
    }

    /// `to` did not take the connection in time.
    pub(crate) fn connect_timeout(to: SocketAddr, after: Duration) -> Self {
        let s = after.as_secs_f64();
        Self::here(format!("{to} did not answer within {s} s"))
    }

    /// The connection to `to` broke.
    pub(crate) fn broken(to: SocketAddr, error: &io::Error) -> Self {
        Self::new(match Errno::from_io_error(error) {
            Some(Errno::CONNRESET | Errno::PIPE) => {
                format!("{to} reset the connection in the middle")
            }
            Some(Errno::TIMEDOUT) => format!("{to} is gone: the connection timed out"),
            _ => format!("the connection to {to} broke: {}", words_of(error)),
        })
    }

    /// Nothing moved for too long.
    pub(crate) fn quiet(to: SocketAddr, after: Duration) -> Self {
        let s = after.as_secs_f64();
        Self::new(format!("timed out: nothing came from {to} for {s} s"))
    }

    /// The user stopped the client.
    pub(crate) fn interrupted() -> Self {
        Self::new("interrupted")
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.line)
    }
}

/// The addresses of a host. Waits for the answer, so it is asked before the loop starts.
///
/// # Errors
/// If it has none.
pub fn resolve(host: &str, port: u16) -> Result<Vec<SocketAddr>, Failure> {
    let shown = printable(host.as_bytes());
    let found = (host, port).to_socket_addrs().map_err(|e| {
        let words = words_of(&e);
        let why = words.rsplit_once("information: ");
        let why = why.map_or(&*words, |(_, why)| why);
        // A container that has neither of the two does not even know localhost.
        Failure::new(format!(
            "cannot resolve {shown}: {why}; it was looked for in /etc/hosts and at the name \
             servers of /etc/resolv.conf. Try its address instead"
        ))
    })?;
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

/// A socket for datagrams to and from `to` alone: the kernel drops those of others, and reports a
/// port where nothing listens.
pub(crate) fn connected_datagrams(to: SocketAddr) -> Result<Datagram, Failure> {
    let any = match to {
        SocketAddr::V4(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
        SocketAddr::V6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
    };
    let connected = UdpSocket::bind(any).and_then(|socket| {
        socket.connect(to)?;
        Ok(Datagram(socket))
    });
    connected.map_err(|e| Failure::to_connect(to, &e))
}

/// Writes to standard output.
///
/// This may wait for the program that reads it, and that is right here: a client has one thing to
/// do, and should take no more from the server than its own reader takes from it. (Standard
/// output is shared with the shell, so it is never made non-blocking.)
pub(crate) fn print(bytes: &[u8]) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    let written = out.write_all(bytes).and_then(|()| out.flush());
    written.map_err(|e| {
        let why = words_of(&e);
        Failure::new(format!("cannot write to standard output: {why}"))
    })
}

/// What a drive of a client came to: how to wait, or `None` when it has done what it was asked for.
pub(crate) type Driven = Result<Option<Next>, Failure>;

/// Where a client goes, and when it starts.
#[derive(Clone, Copy, Debug)]
pub struct Destination<'a> {
    /// One of the host's addresses.
    pub address: SocketAddr,
    /// Whether no other address is tried if this one fails.
    pub is_last: bool,
    /// The time.
    pub now: &'a Now,
}

/// Starts to connect to `to`.
///
/// # Errors
/// If the kernel refuses at once.
pub(crate) fn connect(to: SocketAddr) -> Result<Stream, Failure> {
    let started = transport::connect(to, ConnectOptions::default());
    let transport = started.map_err(|e| Failure::to_connect(to, &e))?;
    Ok(Stream { transport })
}

/// Waits until `stream` is connected to `to`: for `timeout` from `since`, [`CONNECT_TIMEOUT`] at
/// most. `None`: it is.
pub(crate) fn connecting<S>(
    stream: &Stream,
    to: SocketAddr,
    since: Tick,
    timeout: Duration,
    cx: &mut Context<'_, S>,
) -> Driven {
    match transport::connecting(&mut cx.link, &stream.transport) {
        Connecting::Ready => Ok(None),
        Connecting::Failed(e) => Err(Failure::to_connect(to, &e)),
        Connecting::Pending => {
            let timeout = CONNECT_TIMEOUT.min(timeout);
            let end = since.after(timeout);
            if end.is_due(cx.now.tick) {
                return Err(Failure::connect_timeout(to, timeout));
            }
            Ok(Some(Next::Park(Side::Write, Deadline::At(end))))
        }
    }
}

/// The one of two moments that comes first.
pub(super) fn earlier(one: Tick, other: Tick) -> Tick {
    if one.is_due(other) { one } else { other }
}

/// What a client does with the bytes that it receives.
pub(crate) trait Consumer: fmt::Debug {
    /// Takes some bytes, unless they make no sense or cannot be kept. True: no more are needed.
    fn feed(&mut self, bytes: &[u8]) -> Result<bool, Failure>;

    /// Whether [`CLIENT_QUIET`] of silence may stand for the end: for servers that do not close.
    fn may_end_in_silence(&self) -> bool {
        false
    }

    /// Told that the input has ended after so many bytes. Returns what is to be printed, if what
    /// came was whole.
    fn end(&mut self, wire_bytes: u64) -> Result<String, Failure>;
}

/// Connects, sends a request or nothing, and receives to the end.
#[derive(Debug)]
pub struct Exchange {
    pub(crate) stream: Stream,
    to: SocketAddr,
    connected: bool,
    /// What is still to be sent.
    request: Vec<u8>,
    consumer: Box<dyn Consumer>,
    timeout: Duration,
    /// When bytes moved last.
    moved: Tick,
    wire_bytes: u64,
    pub(super) progress: Option<Progress>,
}

impl Exchange {
    /// Starts to connect. After the `request` the client ends its side; what comes goes to
    /// `consumer`.
    pub(crate) fn start(
        to: &Destination<'_>,
        request: Vec<u8>,
        consumer: Box<dyn Consumer>,
        timeout: Duration,
    ) -> Result<Self, Failure> {
        let (now, to) = (to.now.tick, to.address);
        Ok(Self {
            stream: connect(to)?,
            to,
            connected: false,
            request,
            consumer,
            timeout,
            moved: now,
            wire_bytes: 0,
            progress: None,
        })
    }

    /// Connects, then sends, then receives, until it must wait.
    pub(crate) fn drive<S>(&mut self, cx: &mut Context<'_, S>) -> Driven {
        if cx.stage == Stage::Stopping {
            return Err(Failure::interrupted());
        }
        if !self.connected {
            let next = connecting(&self.stream, self.to, self.moved, self.timeout, cx)?;
            if next.is_some() {
                return Ok(next);
            }
            self.connected = true;
            self.moved = cx.now.tick;
        }
        match self.send(cx)? {
            None => self.receive(cx),
            next => Ok(next),
        }
    }

    /// Sends the request. `None`: all of it has been sent.
    fn send<S>(&mut self, cx: &mut Context<'_, S>) -> Driven {
        while !self.request.is_empty() {
            match self.stream.write(&mut cx.link, &self.request, false) {
                Attempt::Done(n) => {
                    self.request.drain(..n);
                    self.moved = cx.now.tick;
                    if self.request.is_empty() {
                        // A server that reads to the end needs this end. If it fails, reading
                        // tells why.
                        let _ = self.stream.transport.shut_down_write();
                    }
                }
                Attempt::Blocked => return self.wait(Side::Write, cx),
                Attempt::Spent => return Ok(Some(Next::Again(Deadline::Keep))),
                Attempt::Failed(e) => return Err(Failure::broken(self.to, &e)),
            }
        }
        Ok(None)
    }

    fn receive<S>(&mut self, cx: &mut Context<'_, S>) -> Driven {
        loop {
            match self.stream.read(&mut cx.link, cx.scratch) {
                Attempt::Done(n) => {
                    self.moved = cx.now.tick;
                    self.wire_bytes += n as u64;
                    let bytes = cx.scratch.get(..n).unwrap_or_default();
                    if n == 0 || self.consumer.feed(bytes)? {
                        return self.finish();
                    }
                }
                Attempt::Blocked => return self.wait(Side::Read, cx),
                Attempt::Spent => {
                    if let Some(progress) = &mut self.progress {
                        progress.draw(self.wire_bytes, &cx.now);
                    }
                    return Ok(Some(Next::Again(Deadline::Keep)));
                }
                Attempt::Failed(e) => return Err(Failure::broken(self.to, &e)),
            }
        }
    }

    /// Waits for `side`, for the end of too long a silence, or until the progress is to be drawn
    /// again. A silence may be the end.
    fn wait<S>(&mut self, side: Side, cx: &Context<'_, S>) -> Driven {
        let now = cx.now.tick;
        let mut deadline = self.moved.after(self.timeout);
        if self.consumer.may_end_in_silence() {
            let quiet = self.moved.after(CLIENT_QUIET);
            if quiet.is_due(now) {
                return self.finish();
            }
            deadline = earlier(deadline, quiet);
        }
        if deadline.is_due(now) {
            return Err(Failure::quiet(self.to, self.timeout));
        }
        if let Some(progress) = &mut self.progress {
            progress.draw(self.wire_bytes, &cx.now);
            deadline = earlier(deadline, now.after(PROGRESS_INTERVAL));
        }
        Ok(Some(Next::Park(side, Deadline::At(deadline))))
    }

    fn finish(&mut self) -> Driven {
        self.progress = None;
        let text = self.consumer.end(self.wire_bytes)?;
        print(text.as_bytes())?;
        Ok(None)
    }
}
