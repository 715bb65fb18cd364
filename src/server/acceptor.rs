//! A door: a listening socket, and what those who come through it will speak.
//!
//! What lives here: accepting, making room, refusing. It may not know what is said later.
//! Invariant: a full house neither spins nor falls silent: newcomers displace the idle, or are told to come back.
//! Read next: `http_server.rs`.

use log::{debug, error, warn};
use mio::net::{TcpListener, TcpStream};
use rustix::io::Errno;

use crate::event_loop::listener::{Accept, Accepted, Listener};
use crate::event_loop::{Context, Deadline, Newcomers, Next, Side, Stage, Stream, Transport as _};
use crate::http::status::{Refusal, Status};
use crate::limits::{ACCEPT_PAUSE, RETRY_AFTER_SECONDS};

use crate::server::client_addr::{Client, ProxiedClient};
use crate::server::clients::{Admission, TrackedConnection};
use crate::server::connection::HttpConnection;
use crate::server::counters::{Phase, Refused};
use crate::server::handlers::{Server, Service};

/// See the module.
#[derive(Debug)]
pub struct Acceptor<S = TcpListener> {
    listener: Listener<S>,
    /// Whether the socket was handed over, so that who waits in its queue is not ours alone.
    is_lent: bool,
    /// Accepted, but there was no room: waiting for somebody to leave.
    waiting: Option<(TcpStream, Option<ProxiedClient>)>,
}

impl<S: Accept> Acceptor<S> {
    /// A door to the HTTP server; `is_lent` says that somebody else made its socket.
    pub fn new(listener: Listener<S>, is_lent: bool) -> Self {
        Self {
            listener,
            is_lent,
            waiting: None,
        }
    }

    /// The socket, for registering it.
    pub fn source(&mut self) -> &mut S {
        self.listener.source()
    }

    /// Accepts those who wait. Bounded by the budget of a drive, which pays for each.
    pub fn drive(
        &mut self,
        cx: &mut Context<'_, Server>,
        new: &mut Newcomers<'_, Service>,
    ) -> Next {
        if let Some((stream, standing)) = self.waiting.take() {
            self.admit(stream, standing, cx, new);
        }
        if self.is_lent && cx.stage == Stage::Stopping {
            return Next::Leave; // its queue is for whoever comes next
        }
        loop {
            match self.listener.accept(&mut cx.link) {
                Accepted::Newcomer(stream) => {
                    let Some((stream, standing)) = self.welcome(stream, cx) else {
                        continue;
                    };
                    if new.room == 0 && !new.no_room && cx.stage != Stage::Stopping {
                        // Only one who is really here is worth somebody's place.
                        self.waiting = Some((stream, standing));
                        return Next::Room;
                    }
                    self.admit(stream, standing, cx, new);
                }
                // What waited in the queue was promised an answer; now it is empty.
                Accepted::Blocked if cx.stage == Stage::Stopping => return Next::Leave,
                Accepted::Blocked => return Next::Park(Side::Read, Deadline::Never),
                Accepted::Spent => return Next::Again(Deadline::Never),
                Accepted::Exhausted(e) => return self.exhausted(&e, cx, new),
                Accepted::Failing(e) => {
                    if cx.shared.warnings.is_due(&cx.now) {
                        warn!("{} cannot accept: {e}", cx.link.key);
                    }
                    return pause(cx);
                }
                Accepted::Broken(e) => {
                    error!("{} the listening socket is broken: {e}", cx.link.key);
                    cx.shared.failed = true;
                    return Next::Leave;
                }
            }
        }
    }

    /// Asks a newcomer who it is, if that is to be known: before it can cost anybody else a place. Whoever is not welcome is gone.
    fn welcome(
        &self,
        stream: TcpStream,
        cx: &mut Context<'_, Server>,
    ) -> Option<(TcpStream, Option<ProxiedClient>)> {
        if !cx.shared.guests.are_asked() {
            return Some((stream, None));
        }
        let who = Client::from(stream.peer());
        match cx.shared.guests.welcome(who) {
            Admission::In => Some((stream, None)),
            Admission::Proxy => Some((stream, Some(ProxiedClient::proxy(who)))),
            Admission::Counted(seat) => Some((stream, Some(ProxiedClient::seated(seat)))),
            Admission::NotAllowed => {
                debug!(
                    "{} closed a connection: its address is not in --allow",
                    cx.link.key
                );
                cx.shared.counters.refuse(Refused::Stranger);
                None
            }
            Admission::TooManyFromAddress => {
                debug!(
                    "{} refused a connection: --max-per-address is reached",
                    cx.link.key
                );
                cx.shared.counters.refuse(Refused::Crowding);
                refuse(stream, cx.scratch);
                None
            }
        }
    }

    /// Gives a newcomer a slot; or, if there is none, a seat in which it is told so; or tells it at once.
    fn admit(
        &self,
        stream: TcpStream,
        standing: Option<ProxiedClient>,
        cx: &mut Context<'_, Server>,
        new: &mut Newcomers<'_, Service>,
    ) {
        if new.room > 0 {
            cx.shared.counters.accepted += 1;
            cx.shared.counters.enter(Phase::Idle);
            let deadline = cx.now.tick.after(cx.shared.http.patience.idle);
            let connection = HttpConnection::new(Stream::new(stream));
            let service = match standing {
                None => Service::Http(connection),
                Some(standing) => {
                    Service::TrackedConnection(TrackedConnection::new(connection, standing))
                }
            };
            new.admit(service, Next::Park(Side::Read, Deadline::At(deadline)));
            return;
        }
        debug!(
            "{} refused a connection: --max-connections is reached, and nobody is idle",
            cx.link.key
        );
        cx.shared.counters.refuse(Refused::MaxConnections);
        if new.spare == 0 {
            refuse(stream, cx.scratch);
            return;
        }
        cx.shared.counters.enter(Phase::Writing);
        let reply = cx.shared.http.refuse(NO_ROOM, false, &cx.now);
        let deadline = cx.now.tick.after(cx.shared.http.patience.linger);
        let connection = HttpConnection::refused(Stream::new(stream), reply, cx.now.tick);
        new.admit(
            Service::Http(connection),
            Next::Park(Side::Write, Deadline::At(deadline)),
        );
    }

    /// Descriptors or memory have run out. The cache gives back what it can; else somebody idle makes room; else those who wait are told
    /// to come back, by way of the descriptor in reserve, and the door sleeps for a moment.
    fn exhausted(
        &mut self,
        error: &std::io::Error,
        cx: &mut Context<'_, Server>,
        new: &mut Newcomers<'_, Service>,
    ) -> Next {
        if cx.shared.http.give_up_descriptors() {
            return Next::Again(Deadline::Never);
        }
        // Only for our own limit: of what the whole machine has run out of, others may take what is given up.
        let ours = Errno::from_io_error(error) == Some(Errno::MFILE);
        if ours && !new.no_room && cx.stage != Stage::Stopping {
            cx.is_crowded();
            return Next::Room;
        }
        if cx.shared.warnings.is_due(&cx.now) {
            warn!(
                "{} cannot accept: {error} (raise the descriptor limit, or lower --max-connections)",
                cx.link.key
            );
        }
        // As many as the budget allows: whoever waits behind a thousand others should not wait for them to be refused one by one.
        while let Accepted::Newcomer(stream) = self.listener.accept_by_reserve(&mut cx.link) {
            cx.shared.counters.refuse(Refused::Descriptors);
            refuse(stream, cx.scratch);
            self.listener.restore_reserve();
        }
        self.listener.restore_reserve();
        pause(cx)
    }
}

/// What cannot be had now may be had later; a server that stops does not wait for it.
fn pause(cx: &Context<'_, Server>) -> Next {
    if cx.stage == Stage::Stopping {
        Next::Leave
    } else {
        Next::Sleep(cx.now.tick.after(ACCEPT_PAUSE))
    }
}

const NO_ROOM: Refusal = Refusal::new(
    Status::UNAVAILABLE,
    "the server has as many connections as it can hold",
);

/// Says 503 to a connection that gets no slot, as well as can be done without waiting. What it has sent is read first: closing
/// with unread input would destroy the reply.
fn refuse(mut stream: TcpStream, scratch: &mut [u8]) {
    let reply = format!(
        "HTTP/1.1 503 Service Unavailable\r\nServer: idler\r\nRetry-After: {RETRY_AFTER_SECONDS}\r\nContent-Type: text/plain\r\n\
         Content-Length: 5\r\nConnection: close\r\n\r\nbusy\n"
    );
    // Whether it arrives is up to the peer; there is nobody to tell.
    let _ = stream.recv(scratch);
    let _ = stream.send(reply.as_bytes(), false);
    let _ = stream.shut_down_write();
    let _ = stream.recv(scratch);
}

#[cfg(test)]
mod tests;
