//! The companions' servers: every kind of handler they have, and the door they share.
//!
//! What lives here: accepting for them, and saying farewell. It may not know what a companion says.
//! They run in any loop whose handlers can hold them: beside HTTP (`serve --with`), or alone (`solo.rs`).
//! Invariant: a companion costs the others nothing while nobody speaks to it.
//! Read next: `daytime.rs`, the shortest.

use std::fmt;
use std::net::SocketAddr;
use std::rc::Rc;

use log::{debug, error, warn};
use mio::event::Source;
use mio::net::TcpStream;

use crate::cli::{Bind, Companion as Asked, Listening};
use crate::companions::daytime_text::Format;
use crate::companions::ping::datagram::impairments::Plan;
use crate::event_loop::clock::RateLimit;
use crate::event_loop::listener::{Accepted, Listener};
use crate::event_loop::{Attempt, Context, Deadline, Newcomers, Next, Side, Stage, Stream};
use crate::limits::{ACCEPT_PAUSE, LINGER_BYTES_MAX, LINGER_TIMEOUT, STALL_TIMEOUT};

use super::{daytime, message, ping, sockets, transfer};
use crate::tools::handlers as solo;

/// What a companion needs of that which the handlers of its loop share: somebody to tell who came.
pub trait Notices {
    /// Says one line to whoever runs the server. Never waits; may be dropped.
    fn notice(&mut self, line: &str);
}

/// Every kind of handler that companions have.
#[derive(Debug)]
pub enum Companion {
    /// A listening socket.
    Acceptor(Acceptor),
    /// A client that asks.
    Message(message::Conversation),
    /// A client that wants to know the time.
    Daytime(daytime::Telling),
    /// The time, by datagrams.
    DaytimeUdp(daytime::Datagrams),
    /// A client that receives a file.
    Transfer(transfer::Sending),
    /// Pings.
    Ping(ping::Server),
}

impl Companion {
    /// The socket, for registering it.
    pub fn source(&mut self) -> &mut dyn Source {
        match self {
            Self::Acceptor(door) => door.listener.source(),
            Self::Message(conversation) => conversation.source(),
            Self::Daytime(telling) => telling.source(),
            Self::DaytimeUdp(datagrams) => datagrams.source(),
            Self::Transfer(sending) => sending.source(),
            Self::Ping(server) => server.source(),
        }
    }

    /// Moves on as far as readiness and budget allow.
    pub fn drive<S: Notices, H: From<Self>>(
        &mut self,
        cx: &mut Context<'_, S>,
        new: &mut Newcomers<'_, H>,
    ) -> Next {
        match self {
            Self::Acceptor(door) => door.drive(cx, new),
            Self::Message(conversation) => conversation.drive(cx),
            Self::Daytime(telling) => telling.drive(cx),
            Self::DaytimeUdp(datagrams) => datagrams.drive(cx),
            Self::Transfer(sending) => sending.drive(cx),
            Self::Ping(server) => server.drive(cx),
        }
    }
}

/// Opens the companions that run beside HTTP: at the same addresses, each at its own port. Returns them, and what
/// the start-up lines say of them.
///
/// # Errors
/// One line for the user.
pub(crate) fn beside(asked: &[Asked], bind: &Bind) -> Result<solo::Ready, String> {
    let mut all = solo::Ready::default();
    for companion in asked {
        let (name, port, offer) = match companion {
            Asked::Message(port) => {
                let settings = Rc::new(message::Settings::default());
                ("message", *port, Offer::Message(settings))
            }
            Asked::Daytime(port) => {
                let settings = Rc::new(daytime::Settings::new(Format::default()));
                ("daytime", *port, Offer::Daytime(settings))
            }
            Asked::Transfer(port, file) => {
                let files = transfer::Files::open(std::slice::from_ref(file))?;
                ("transfer", *port, Offer::Transfer(Rc::new(files)))
            }
            Asked::Ping(port) => {
                let ready = ping::open(&sockets::beside(bind), *port, &Plan::default(), None)?;
                all.0.extend(ready.0);
                all.1
                    .extend(ready.1.iter().map(|place| format!("ping at {place}")));
                continue;
            }
        };
        let (bind, port) = (sockets::beside(bind), port);
        let ready = solo::doors(&Listening { bind, port }, &offer)?;
        all.0.extend(ready.0);
        all.1
            .extend(ready.1.iter().map(|place| format!("{name} at {place}")));
    }
    Ok(all)
}

/// What those who come through a door will hear.
#[derive(Clone, Debug)]
pub enum Offer {
    /// An answer.
    Message(Rc<message::Settings>),
    /// The time.
    Daytime(Rc<daytime::Settings>),
    /// A file.
    Transfer(Rc<transfer::Files>),
}

/// A listening socket of a companion.
#[derive(Debug)]
pub struct Acceptor {
    listener: Listener,
    offer: Offer,
    warnings: RateLimit,
}

impl Acceptor {
    /// A door to `offer`.
    pub fn new(listener: Listener, offer: Offer) -> Self {
        Self {
            listener,
            offer,
            warnings: RateLimit::default(),
        }
    }

    /// Accepts those who wait. Bounded by the budget of a drive, which pays for each.
    fn drive<S: Notices, H: From<Companion>>(
        &mut self,
        cx: &mut Context<'_, S>,
        new: &mut Newcomers<'_, H>,
    ) -> Next {
        loop {
            let full = new.room == 0;
            if full && !new.no_room {
                if cx.stage == Stage::Stopping {
                    return Next::Leave;
                }
                // Only who really waits is worth somebody's place.
                if !cx.link.ready.is(Side::Read) {
                    return Next::Park(Side::Read, Deadline::Never);
                }
                return Next::Room;
            }
            match self.listener.accept(&mut cx.link) {
                // No place and nobody idle: it is closed again, which is all these protocols can say.
                Accepted::Newcomer(stream) if full => drop(stream),
                Accepted::Newcomer(stream) => self.welcome(stream, cx, new),
                Accepted::Blocked if cx.stage == Stage::Stopping => return Next::Leave,
                Accepted::Blocked => return Next::Park(Side::Read, Deadline::Never),
                Accepted::Spent => return Next::Again(Deadline::Keep),
                Accepted::Exhausted(e) | Accepted::Failing(e) => {
                    if self.warnings.is_due(&cx.now) {
                        warn!("{} cannot accept: {e}", cx.link.key);
                    }
                    drop(self.listener.accept_by_reserve(&mut cx.link));
                    self.listener.restore_reserve();
                    return if cx.stage == Stage::Stopping {
                        Next::Leave
                    } else {
                        Next::Sleep(cx.now.tick.after(ACCEPT_PAUSE))
                    };
                }
                Accepted::Broken(e) => {
                    error!("{} the listening socket is broken: {e}", cx.link.key);
                    return Next::Leave;
                }
            }
        }
    }

    fn welcome<S: Notices, H: From<Companion>>(
        &self,
        stream: TcpStream,
        cx: &mut Context<'_, S>,
        new: &mut Newcomers<'_, H>,
    ) {
        let peer = Peer(stream.peer_addr().ok());
        cx.shared.notice(&format!("{peer} connected"));
        let stream = Stream::new(stream);
        let (side, companion) = match &self.offer {
            Offer::Message(settings) => {
                let conversation = message::Conversation::new(stream, peer, Rc::clone(settings));
                (Side::Read, Companion::Message(conversation))
            }
            Offer::Daytime(settings) => {
                let telling = daytime::Telling::new(stream, Rc::clone(settings));
                (Side::Write, Companion::Daytime(telling))
            }
            Offer::Transfer(files) => match transfer::Sending::new(stream, peer, files) {
                Ok(sending) => (Side::Write, Companion::Transfer(sending)),
                Err(line) => return cx.shared.notice(&line),
            },
        };
        let deadline = Deadline::At(cx.now.tick.after(STALL_TIMEOUT));
        new.admit(H::from(companion), Next::Park(side, deadline));
    }
}

/// What sending some bytes came to.
#[derive(Debug)]
pub(crate) enum Sent {
    /// So many went out.
    Some(usize),
    /// Nothing can be sent now: wait like this.
    Wait(Next),
    /// The peer is gone, or takes nothing.
    Over,
}

/// Sends some of `bytes`; gives up on a peer that takes nothing for [`STALL_TIMEOUT`]. `moved` says
/// whether this drive has moved bytes before, which renews the deadline.
pub(crate) fn send<S>(
    stream: &mut Stream,
    bytes: &[u8],
    more: bool,
    moved: bool,
    cx: &mut Context<'_, S>,
) -> Sent {
    let renewed = Deadline::At(cx.now.tick.after(STALL_TIMEOUT));
    match stream.write(&mut cx.link, bytes, more) {
        Attempt::Done(n) => Sent::Some(n),
        Attempt::Spent if moved => Sent::Wait(Next::Again(renewed)),
        Attempt::Spent => Sent::Wait(Next::Again(Deadline::Keep)),
        Attempt::Blocked if moved => Sent::Wait(Next::Park(Side::Write, renewed)),
        Attempt::Blocked if cx.expired => {
            debug!("{} takes nothing", cx.link.key);
            Sent::Over
        }
        Attempt::Blocked => Sent::Wait(Next::Park(Side::Write, Deadline::Keep)),
        Attempt::Failed(e) => {
            debug!("{} is gone: {e}", cx.link.key);
            Sent::Over
        }
    }
}

/// The end of a conversation: everything was said, and the peer is given time to hear it. Closing with
/// unread input would make the kernel send a reset, which may overtake the last words.
#[derive(Debug)]
pub(crate) struct Farewell {
    bytes_left: u64,
}

impl Farewell {
    /// Says that nothing more will be sent. `None` if the peer is gone.
    pub(crate) fn begin(stream: &mut Stream) -> Option<Self> {
        stream.shut_down_write().ok()?;
        Some(Self {
            bytes_left: LINGER_BYTES_MAX,
        })
    }

    /// Throws away what still comes, until the peer hangs up, or for [`LINGER_TIMEOUT`] after `begun` was true.
    pub(crate) fn drive<S>(
        &mut self,
        stream: &mut Stream,
        begun: bool,
        cx: &mut Context<'_, S>,
    ) -> Next {
        if cx.expired && !begun {
            return Next::Leave;
        }
        let deadline = if begun {
            Deadline::At(cx.now.tick.after(LINGER_TIMEOUT))
        } else {
            Deadline::Keep
        };
        loop {
            match stream.read(&mut cx.link, cx.scratch) {
                Attempt::Done(0) | Attempt::Failed(_) => return Next::Leave,
                Attempt::Done(n) => {
                    self.bytes_left = self.bytes_left.saturating_sub(n as u64);
                    if self.bytes_left == 0 {
                        return Next::Leave;
                    }
                }
                Attempt::Blocked => return Next::Park(Side::Read, deadline),
                Attempt::Spent => return Next::Again(deadline),
            }
        }
    }
}

/// Who is there, as it is shown: IPv4 in its own clothes, also where it came in through IPv6. Clients of a Unix
/// socket have no address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Peer(pub(crate) Option<SocketAddr>);

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(address) => SocketAddr::new(address.ip().to_canonical(), address.port()).fmt(f),
            None => f.write_str("a client of this machine"),
        }
    }
}
