//! Accepting: a listening socket, and what its connections become.
//!
//! A server whose slots are all taken neither spins nor falls silent: a new connection takes the
//! slot of an idle one, or is told to come back.

use std::io;
use std::rc::Rc;

use log::{debug, error, warn};
use mio::net::TcpStream;
use rustix::io::Errno;

use crate::companions::Offer;
use crate::event_loop::listener::{Accepted, Listener};
use crate::event_loop::{Context, Deadline, Newcomers, Next, Side, Stage, Stream, Transport as _};
use crate::limits::{ACCEPT_PAUSE, STALL_TIMEOUT};
use crate::server::clients::{Rejection, TrackedClient};
use crate::server::connection::HttpConnection;
use crate::server::counters::{Phase, Refused};
use crate::server::outcome::ALL_SLOTS_TAKEN;
use crate::server::respond::busy;
use crate::server::sites::give_up_descriptors;
use crate::server::{Server, Service};

/// A listening socket.
#[derive(Debug)]
pub struct Acceptor {
    pub(super) listener: Listener,
    /// What a companion offers to its clients; `None`: this one accepts HTTP connections.
    offer: Option<Rc<Offer>>,
    /// Whether another process made the socket and keeps it: connections that wait in its queue
    /// when this server stops are for the next one.
    is_lent: bool,
    /// Accepted, but there was no slot: waits until an idle connection has been closed.
    waiting: Option<Accept>,
}

/// A connection that may stay, and what is known of its client.
type Accept = (TcpStream, Option<TrackedClient>);

impl Acceptor {
    /// Accepts HTTP connections, or clients of a companion.
    pub fn new(listener: Listener, offer: Option<Rc<Offer>>, is_lent: bool) -> Self {
        Self {
            listener,
            offer,
            is_lent,
            waiting: None,
        }
    }

    /// Accepts the connections that wait. Bounded by the budget of a drive, which pays for each.
    #[inline(never)] // so that the drive of a connection is inlined instead
    pub fn drive(
        &mut self,
        cx: &mut Context<'_, Server>,
        new: &mut Newcomers<'_, Service>,
    ) -> Next {
        if let Some(waiting) = self.waiting.take() {
            self.admit(waiting, cx, new);
        }
        if self.is_lent && cx.stage == Stage::Stopping {
            return Next::Leave;
        }
        loop {
            match self.listener.accept(&mut cx.link) {
                Accepted::Newcomer(stream) => {
                    let Some(newcomer) = self.check(stream, cx) else {
                        continue;
                    };
                    if new.room == 0 && !new.no_room && cx.stage != Stage::Stopping {
                        // Only now: a connection that is refused anyway must not cost another.
                        self.waiting = Some(newcomer);
                        return Next::Room;
                    }
                    self.admit(newcomer, cx, new);
                }
                // Those that waited in the queue were promised an answer; now it is empty.
                Accepted::Blocked if cx.stage == Stage::Stopping => return Next::Leave,
                Accepted::Blocked => return Next::Park(Side::Read, Deadline::Never),
                Accepted::Spent => return Next::Again(Deadline::Never),
                Accepted::Exhausted(e) => return self.exhausted(&e, new.no_room, cx),
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

    /// Holds a new connection against the limits of clients; `None` if it was refused.
    fn check(&self, stream: TcpStream, cx: &mut Context<'_, Server>) -> Option<Accept> {
        if self.offer.is_some() || !cx.shared.client_limits.are_set() {
            return Some((stream, None));
        }
        let key = cx.link.key;
        match cx.shared.client_limits.admit(stream.peer()) {
            Ok(client) => return Some((stream, client)),
            Err(Rejection::NotAllowed) => {
                debug!("{key} closed a connection: its address is not in --allow");
                cx.shared.counters.refuse(Refused::Stranger);
            }
            Err(Rejection::TooManyFromAddress) => {
                debug!("{key} refused a connection: --max-per-address is reached");
                cx.shared.counters.refuse(Refused::Crowding);
                send_busy(stream, cx.scratch);
            }
        }
        None
    }

    /// Gives a new connection a slot; or, if there is none, one in reserve in which it is sent a
    /// 503; or sends that at once.
    fn admit(
        &self,
        (stream, client): Accept,
        cx: &mut Context<'_, Server>,
        new: &mut Newcomers<'_, Service>,
    ) {
        if let Some(offer) = &self.offer {
            // Without a slot, closing the connection is all that these protocols can say.
            if new.room > 0
                && let Some(companion) = offer.welcome(stream, cx)
            {
                let deadline = Deadline::At(cx.now.tick.after(STALL_TIMEOUT));
                let handler = Service::Companion(Box::new(companion));
                new.admit(handler, Next::Park(Side::Either, deadline));
            }
            return;
        }
        if new.room > 0 {
            cx.shared.counters.accepted += 1;
            cx.shared.counters.enter(Phase::Idle);
            let deadline = Deadline::At(cx.now.tick.after(cx.shared.http.timeouts.idle));
            let connection = HttpConnection::new(Stream { transport: stream });
            let handler = match client {
                None => Service::Http(connection),
                Some(client) => Service::Tracked(Box::new((connection, client))),
            };
            new.admit(handler, Next::Park(Side::Read, deadline));
            return;
        }
        let key = cx.link.key;
        debug!("{key} refused a connection: --max-connections is reached, and nobody is idle");
        cx.shared.counters.refuse(Refused::MaxConnections);
        if new.spare == 0 {
            send_busy(stream, cx.scratch);
            return;
        }
        cx.shared.counters.enter(Phase::Writing);
        let reply = cx.shared.http.refuse(ALL_SLOTS_TAKEN, false, &cx.now);
        let deadline = Deadline::At(cx.now.tick.after(cx.shared.http.timeouts.linger));
        let connection = HttpConnection::refused(Stream { transport: stream }, reply, cx.now.tick);
        new.admit(Service::Http(connection), Next::Park(Side::Write, deadline));
    }

    /// Descriptors or memory have run out. First the cache gives back what it can, then an idle
    /// connection makes room; else those that wait are told to come back, by way of the descriptor
    /// in reserve, and the acceptor sleeps for a moment.
    fn exhausted(
        &mut self,
        error: &io::Error,
        no_room: bool,
        cx: &mut Context<'_, Server>,
    ) -> Next {
        if give_up_descriptors(&mut cx.shared.http.sites) {
            return Next::Again(Deadline::Never);
        }
        // Only for our own limit: what the whole machine has run out of, others may take at once.
        let ours = Errno::from_io_error(error) == Some(Errno::MFILE);
        if ours && !no_room && cx.stage != Stage::Stopping {
            cx.require_eviction();
            return Next::Room;
        }
        let is_http = self.offer.is_none();
        if cx.shared.warnings.is_due(&cx.now) {
            let lower = if is_http {
                ", or lower --max-connections"
            } else {
                ""
            };
            let key = cx.link.key;
            warn!("{key} cannot accept: {error} (raise the descriptor limit{lower})");
        }
        self.listener.refuse_waiting(&mut cx.link, |stream| {
            if is_http {
                cx.shared.counters.refuse(Refused::Descriptors);
                send_busy(stream, cx.scratch);
            }
        });
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

/// Sends a 503 to a connection that gets no slot, as well as it can be done without waiting. What
/// it has sent is read first: closing with unread input would destroy the reply. Whether the reply
/// arrives is up to the client.
fn send_busy(mut stream: TcpStream, scratch: &mut [u8]) {
    let _ = stream.recv(scratch);
    let _ = stream.send(busy().as_bytes(), false);
    let _ = stream.shut_down_write();
    let _ = stream.recv(scratch);
}

#[cfg(test)]
mod tests;
