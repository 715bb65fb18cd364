//! The companions of a socket course: a message and its answer, the time, a file transfer, a ping.
//! Each file has first what goes over the wire, then the server, then the client.
//!
//! A companion's server runs in any loop whose handlers can hold a [`Companion`] and whose shared
//! state takes its [`Notices`]. It costs the others nothing while no client speaks to it. A new one
//! is a file here; a variant of [`Offer`], if it listens; one of [`Companion`], or of the clients'
//! `ClientTask`, if it needs a handler of its own; its verbs in `cli/companions.rs`, with a line
//! each in `main.rs`; its limits.

pub(crate) mod atomic_file;
pub mod client;
pub mod daytime;
pub mod message;
pub mod ping;
pub mod progress;
pub mod transfer;

use std::net::SocketAddr;
use std::rc::Rc;

use log::debug;
use mio::event::Source;
use mio::net::{TcpStream, UdpSocket};

use crate::cli::{CompanionRule, Listening, Options};
use crate::companions::transfer::{Encoder, Piece};
use crate::event_loop::listener::Listener;
use crate::event_loop::tcp::Lingering;
use crate::event_loop::udp::Datagram;
use crate::event_loop::{Attempt, Context, Deadline, Next, Side, Stream, Transport as _};
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
            Self::Reply(reply) => &mut reply.stream.transport,
            Self::Message(conversation) => &mut conversation.answer.stream.transport,
            Self::DaytimeUdp(datagrams) => &mut datagrams.socket.0,
            Self::Ping(server) => &mut server.socket.0,
        }
    }

    /// Moves on as far as readiness and budget allow.
    pub fn drive<S: Notices>(&mut self, cx: &mut Context<'_, S>) -> Next {
        match self {
            Self::Reply(reply) => reply.drive(false, cx),
            Self::Message(conversation) => conversation.drive(cx),
            Self::DaytimeUdp(datagrams) => datagrams.drive(cx),
            Self::Ping(server) => server.drive(cx),
        }
    }
}

/// What is spoken at a listening socket.
#[derive(Debug)]
pub enum Offer {
    /// A message is answered with this text.
    Message(Vec<u8>),
    /// The time.
    Daytime(Rc<daytime::ZonedClock>),
    /// One of these files.
    Transfer(transfer::Files),
}

impl Offer {
    /// The handler of a client that has just connected, if it can be served.
    pub(crate) fn welcome<S: Notices>(
        &self,
        stream: TcpStream,
        cx: &mut Context<'_, S>,
    ) -> Option<Companion> {
        let client = name_of(stream.peer_addr().ok());
        cx.shared.notice(&format!("{client} connected"));
        let stream = Stream { transport: stream };
        Some(match self {
            Self::Message(answer) => {
                let answer = Reply::new(stream, Encoder::text(answer.clone()), None);
                Companion::Message(message::Conversation::new(client, answer, &cx.now))
            }
            Self::Daytime(clock) => {
                let line = Encoder::text(clock.line(cx.now.wall).into_bytes());
                Companion::Reply(Reply::new(stream, line, None))
            }
            Self::Transfer(files) => {
                let next = files.next_for(client);
                let next = next.map_err(|line| cx.shared.notice(&line));
                let (file, encoder) = next.ok()?;
                Companion::Reply(Reply::new(stream, encoder, Some(file)))
            }
        })
    }
}

/// A companion that is ready to run.
#[derive(Default, Debug)]
pub struct Opened {
    /// The sockets that listen, and what is spoken at each.
    pub listeners: Vec<(Listener, Rc<Offer>)>,
    /// The sockets that receive datagrams.
    pub datagrams: Vec<Companion>,
    /// Where clients find all of them.
    pub places: Vec<String>,
}

impl Opened {
    /// Receives datagrams at each of these addresses, for a handler of its own.
    fn receive(
        &mut self,
        bind: &[BindAddress],
        port: u16,
        handler: impl Fn(Datagram) -> Companion,
    ) -> Result<(), String> {
        for socket in sockets::bind(bind, port, SocketKind::Datagram)? {
            self.places.push(format!("udp {}", socket.address));
            let socket = UdpSocket::from_std(socket.socket.into());
            self.datagrams.push(handler(Datagram(socket)));
        }
        Ok(())
    }
}

/// Listens at each address that was asked for, and offers this there.
fn listen(listening: &Listening, offer: Offer) -> Result<Opened, String> {
    let (kind, offer) = (SocketKind::Stream { reuse_port: false }, Rc::new(offer));
    let mut opened = Opened::default();
    for socket in sockets::bind(&listening.bind, listening.port, kind)? {
        opened.places.push(socket.address.to_string());
        let listener = Listener::new(socket.socket);
        let listener = listener.map_err(|e| format!("cannot listen: {e}"))?;
        opened.listeners.push((listener, Rc::clone(&offer)));
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
    for companion in asked {
        let mut options = Options {
            answer: b"Yes".into(),
            ..Options::default()
        };
        let (name, port, open): (_, _, fn(&Options) -> _) = match companion {
            CompanionRule::Message(port) => ("message", port, message::serve),
            CompanionRule::Daytime(port) => ("daytime", port, daytime::serve),
            CompanionRule::Transfer(port, file) => {
                options.files.push(file.clone());
                ("transfer", port, transfer::serve)
            }
            CompanionRule::Ping(port) => ("ping", port, ping::serve),
        };
        let (bind, port) = (sockets::without_ports(bind), *port);
        options.listening = Listening { bind, port };
        let opened = open(&options)?;
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

/// A client that is being sent something, after which the connection closes.
#[derive(Debug)]
pub struct Reply {
    pub(crate) stream: Stream,
    encoder: Encoder,
    /// Where the base64 comes from, if there is any.
    file: Option<transfer::FileForClient>,
    /// Once everything has been sent: how many bytes have come that nothing reads.
    discarded: Option<u64>,
}

impl Reply {
    fn new(stream: Stream, encoder: Encoder, file: Option<transfer::FileForClient>) -> Self {
        Self {
            stream,
            encoder,
            file,
            discarded: None,
        }
    }

    /// Sends what fits, then waits for the client to hang up. Gives up on one that takes nothing
    /// for [`STALL_TIMEOUT`], which counts anew if the reply `begins`. Bounded by the budget of a
    /// drive.
    pub(crate) fn drive<S: Notices>(&mut self, begins: bool, cx: &mut Context<'_, S>) -> Next {
        if self.discarded.is_some() {
            return self.linger(false, cx);
        }
        let renewed = Deadline::At(cx.now.tick.after(STALL_TIMEOUT));
        let mut deadline = if begins { renewed } else { Deadline::Keep };
        loop {
            let piece = match (self.encoder.piece(), &self.file) {
                (Piece::Text(text), _) => text,
                (
                    Piece::File {
                        at,
                        remaining,
                        skip,
                    },
                    Some(file),
                ) => match file.base64(at, remaining, skip, cx.scratch) {
                    Ok(text) => text,
                    Err(line) => {
                        cx.shared.notice(&line);
                        return Next::Leave;
                    }
                },
                (Piece::Done | Piece::File { .. }, _) => return self.close(cx),
            };
            match self.stream.write(&mut cx.link, piece, true) {
                Attempt::Done(n) => {
                    self.encoder.advance(n);
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
        let (sent, all) = (self.encoder.sent, self.encoder.wire_bytes());
        debug!("{} left after {sent} of {all} bytes", cx.link.key);
        Next::Leave
    }

    fn close<S: Notices>(&mut self, cx: &mut Context<'_, S>) -> Next {
        if let Some(file) = &self.file {
            let bytes = self.encoder.wire_bytes();
            cx.shared.notice(&format!(
                "{} got {}: {bytes} bytes on the wire",
                file.client,
                file.shown()
            ));
        }
        if self.stream.transport.shut_down_write().is_err() {
            return Next::Leave;
        }
        self.linger(true, cx)
    }

    /// Waits for the client to hang up.
    fn linger<S>(&mut self, begins: bool, cx: &mut Context<'_, S>) -> Next {
        let discarded = self.discarded.get_or_insert(0);
        match self.stream.linger(discarded, begins, LINGER_TIMEOUT, cx) {
            Lingering::Wait(next) => next,
            Lingering::HungUp | Lingering::TimedOut | Lingering::TooMuch | Lingering::Failed(_) => {
                Next::Leave
            }
        }
    }
}
