//! The companions of a socket course: a message and its answer, the time, a file transfer, a ping.
//! Each file has first what goes over the wire, then the server, then the client.
//!
//! A companion's server runs in any loop whose handlers can hold a [`Companion`] and whose shared
//! state takes its [`Notices`]. It costs the others nothing while no client speaks to it. A new one
//! is a file here; a variant of [`Companion`], or of the clients' `ClientTask`, if it needs a
//! handler of its own; its verbs in `cli/companions.rs`, with a line each in `main.rs`; its limits.

pub(crate) mod atomic_file;
pub mod client;
pub mod daytime;
pub mod message;
pub mod ping;
pub mod progress;
pub mod transfer;

use std::fmt;
use std::net::SocketAddr;
use std::rc::Rc;

use log::debug;
use mio::event::Source;
use mio::net::TcpStream;

use crate::cli::{CompanionRule, DaytimeFormat, Listening, Weather};
use crate::event_loop::listener::Listener;
use crate::event_loop::tcp::Lingering;
use crate::event_loop::{Attempt, Context, Deadline, Next, Now, Side, Stream};
use crate::http::url::BindAddress;
use crate::limits::{LINGER_TIMEOUT, STALL_TIMEOUT};
use crate::process::sockets::{self, SocketKind};

/// What a companion needs of the state that the handlers of its loop share: a place for notices.
pub trait Notices {
    /// Tells the user of the server one line. Never waits; the line may be dropped.
    fn notice(&mut self, line: &str);
}

/// Every kind of handler that companions have.
#[derive(Debug)]
pub enum Companion {
    /// A client that is sent something at once: the time, a file.
    Reply(Reply),
    /// A client that sends a message and gets an answer.
    Message(message::Conversation),
    /// The time, by datagrams.
    DaytimeUdp(daytime::Datagrams),
    /// Pings.
    Ping(ping::server::PingServer),
}

impl Companion {
    /// The socket, for registering it.
    pub fn source(&mut self) -> &mut dyn Source {
        match self {
            Self::Reply(reply) => reply.stream.transport(),
            Self::Message(conversation) => conversation.answer.stream.transport(),
            Self::DaytimeUdp(datagrams) => datagrams.socket.socket(),
            Self::Ping(server) => server.socket.socket(),
        }
    }

    /// Moves on as far as readiness and budget allow.
    pub fn drive<S: Notices>(&mut self, cx: &mut Context<'_, S>) -> Next {
        match self {
            Self::Reply(reply) => reply.drive(cx),
            Self::Message(conversation) => conversation.drive(cx),
            Self::DaytimeUdp(datagrams) => datagrams.drive(cx),
            Self::Ping(server) => server.drive(cx),
        }
    }
}

/// What is spoken at a listening socket.
pub trait Offer: fmt::Debug {
    /// The handler of a client that has just connected; `client` is its name in notices.
    ///
    /// # Errors
    /// One line for the user of the server.
    fn welcome(&self, stream: Stream, client: String, now: &Now) -> Result<Companion, String>;
}

/// A companion that is ready to run.
#[derive(Default, Debug)]
pub struct Opened {
    /// The sockets that listen, and what is spoken at each.
    pub listeners: Vec<(Listener, Rc<dyn Offer>)>,
    /// The sockets that receive datagrams.
    pub datagrams: Vec<Companion>,
    /// Where clients find all of them.
    pub places: Vec<String>,
}

/// Listens at each address that was asked for, and offers this there.
fn listen(listening: &Listening, offer: &Rc<dyn Offer>) -> Result<Opened, String> {
    let kind = SocketKind::Stream { reuse_port: false };
    let mut opened = Opened::default();
    for socket in sockets::bind(&listening.bind, listening.port, kind)? {
        opened.places.push(socket.address().to_string());
        let listener = Listener::new(socket.into_socket());
        let listener = listener.map_err(|e| format!("cannot listen: {e}"))?;
        opened.listeners.push((listener, Rc::clone(offer)));
    }
    Ok(opened)
}

/// Opens the companions that run beside HTTP: at the same addresses, each at its own port. The
/// places begin with the companion's name.
///
/// # Errors
/// One line for the user.
pub fn beside(asked: &[CompanionRule], bind: &[BindAddress]) -> Result<Opened, String> {
    let mut all = Opened::default();
    let at = |port: u16| Listening {
        bind: sockets::without_ports(bind),
        port,
    };
    for companion in asked {
        let (name, opened) = match companion {
            CompanionRule::Message(port) => {
                ("message", message::open(&at(*port), message::ANSWER)?)
            }
            CompanionRule::Daytime(port) => {
                let format = DaytimeFormat::Datetime;
                ("daytime", daytime::open(&at(*port), format, false)?)
            }
            CompanionRule::Transfer(port, file) => {
                let files = std::slice::from_ref(file);
                ("transfer", transfer::open(&at(*port), files)?)
            }
            CompanionRule::Ping(port) => {
                let opened = ping::server::open(&at(*port), &Weather::default(), None)?;
                ("ping", opened)
            }
        };
        all.listeners.extend(opened.listeners);
        all.datagrams.extend(opened.datagrams);
        let places = opened.places.iter();
        all.places
            .extend(places.map(|place| format!("{name} at {place}")));
    }
    Ok(all)
}

/// How a client is named in notices: by its address, an IPv4-mapped one as IPv4. Clients of a
/// Unix socket have none.
pub(crate) fn name_of(client: Option<SocketAddr>) -> String {
    match client {
        Some(at) => SocketAddr::new(at.ip().to_canonical(), at.port()).to_string(),
        None => "a client of this machine".to_owned(),
    }
}

/// The handler of a client that has just connected, if it can be served.
pub(crate) fn welcome<S: Notices>(
    offer: &dyn Offer,
    stream: TcpStream,
    cx: &mut Context<'_, S>,
) -> Option<Companion> {
    let client = name_of(stream.peer_addr().ok());
    cx.shared.notice(&format!("{client} connected"));
    let welcomed = offer.welcome(Stream::new(stream), client, &cx.now);
    welcomed.map_err(|line| cx.shared.notice(&line)).ok()
}

/// What is sent to a client.
pub(crate) trait Content: fmt::Debug {
    /// The bytes that come next, made in `scratch` if they are not there yet; empty when everything
    /// has been sent.
    ///
    /// # Errors
    /// Why there is no more, for the user of the server.
    fn piece<'a>(&'a self, scratch: &'a mut [u8]) -> Result<&'a [u8], String>;

    /// Told that the next `bytes` have been sent.
    fn advance(&mut self, bytes: usize);

    /// How many bytes have been sent, and how many there are.
    fn progress(&self) -> (u64, u64);

    /// What the user of the server is told once everything has been sent.
    fn notice_at_end(&self) -> Option<String> {
        None
    }
}

/// A short text.
#[derive(Debug)]
pub(crate) struct Text {
    bytes: Vec<u8>,
    sent: usize,
}

impl Content for Text {
    fn piece<'a>(&'a self, _scratch: &'a mut [u8]) -> Result<&'a [u8], String> {
        Ok(self.bytes.get(self.sent..).unwrap_or_default())
    }

    fn advance(&mut self, bytes: usize) {
        self.sent += bytes;
    }

    fn progress(&self) -> (u64, u64) {
        (self.sent as u64, self.bytes.len() as u64)
    }
}

/// A client that is being sent something, after which the connection closes.
#[derive(Debug)]
pub struct Reply {
    pub(crate) stream: Stream,
    content: Box<dyn Content>,
    begun: bool,
    /// Once everything has been sent: how many bytes have come that nothing reads.
    discarded: Option<u64>,
}

impl Reply {
    /// Will send this to the client of `stream`.
    pub(crate) fn new(stream: Stream, content: impl Content + 'static) -> Self {
        Self {
            stream,
            content: Box::new(content),
            begun: false,
            discarded: None,
        }
    }

    /// Will send this text.
    pub(crate) fn text(stream: Stream, text: impl Into<Vec<u8>>) -> Self {
        let bytes = text.into();
        Self::new(stream, Text { bytes, sent: 0 })
    }

    /// Sends what fits, then waits for the client to hang up. Gives up on one that takes nothing
    /// for [`STALL_TIMEOUT`]. Bounded by the budget of a drive.
    pub(crate) fn drive<S: Notices>(&mut self, cx: &mut Context<'_, S>) -> Next {
        if self.discarded.is_some() {
            return self.linger(false, cx);
        }
        let renewed = Deadline::At(cx.now.tick.after(STALL_TIMEOUT));
        let mut deadline = Deadline::Keep;
        if !std::mem::replace(&mut self.begun, true) {
            deadline = renewed;
        }
        loop {
            let piece = match self.content.piece(cx.scratch) {
                Ok([]) => return self.close(cx),
                Ok(piece) => piece,
                Err(line) => {
                    cx.shared.notice(&line);
                    return Next::Leave;
                }
            };
            match self.stream.write(&mut cx.link, piece, true) {
                Attempt::Done(n) => {
                    self.content.advance(n);
                    deadline = renewed;
                }
                Attempt::Spent => return Next::Again(deadline),
                Attempt::Blocked if cx.expired && deadline == Deadline::Keep => {
                    debug!("{} takes nothing", cx.link.key);
                    break;
                }
                Attempt::Blocked => return Next::Park(Side::Write, deadline),
                Attempt::Failed(e) => {
                    debug!("{} is gone: {e}", cx.link.key);
                    break;
                }
            }
        }
        let (sent, all) = self.content.progress();
        debug!("{} left after {sent} of {all} bytes", cx.link.key);
        Next::Leave
    }

    fn close<S: Notices>(&mut self, cx: &mut Context<'_, S>) -> Next {
        if let Some(line) = self.content.notice_at_end() {
            cx.shared.notice(&line);
        }
        if self.stream.shut_down_write().is_err() {
            return Next::Leave;
        }
        self.linger(true, cx)
    }

    /// Waits for the client to hang up.
    fn linger<S>(&mut self, begins: bool, cx: &mut Context<'_, S>) -> Next {
        let discarded = self.discarded.get_or_insert(0);
        let lingering = self.stream.linger(discarded, begins, LINGER_TIMEOUT, cx);
        match lingering {
            Lingering::Wait(next) => next,
            Lingering::HungUp | Lingering::TimedOut | Lingering::TooMuch | Lingering::Failed(_) => {
                Next::Leave
            }
        }
    }
}
