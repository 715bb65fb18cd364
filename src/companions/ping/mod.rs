//! UDP ping, on the loop.
//!
//! What lives here: the server; the client is in `client.rs`. It may not know what a ping says or
//! which replies are lost (`protocol/ping/`). Invariant: a reply that cannot go out now is dropped and
//! counted; nothing queues without bound, and a flood of pings waits its turn like everybody.
//! Read next: `protocol/ping/impairments.rs`, `client.rs`.

pub mod client;
pub mod datagram;

use std::cell::Cell;
use std::hash::{BuildHasher as _, RandomState};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::{Duration, Instant};

use log::debug;
use mio::net::UdpSocket;

use crate::cli::{Bind, PingServerOptions, Weather};
use crate::companions::ping::datagram::capitals;
use crate::companions::ping::datagram::impairments::{Chance, Fate, Impairments, Plan};
use crate::event_loop::udp::Datagram;
use crate::event_loop::{Attempt, Context, Deadline, Next, Now, Side, Stage};
use crate::limits::{CALL_COST_BYTES, SCRATCH_BYTES};

use super::sockets;
use crate::companions::companion::{Companion, Notices, Peer};
use crate::tools::handlers as solo;

/// Runs `idler ping-server`, and returns its exit code.
pub fn serve(options: &PingServerOptions) -> ExitCode {
    solo::serve("ping-server", options.voice, || {
        let remaining = options.count.map(|count| Rc::new(Cell::new(count)));
        let (bind, port) = (&options.listening.bind, options.listening.port);
        open(bind, port, &plan(&options.weather), remaining.as_ref())
    })
}

/// Opens a server on each of the sockets.
///
/// # Errors
/// One line for the user.
pub(super) fn open(
    bind: &Bind,
    port: u16,
    plan: &Plan,
    remaining: Option<&Rc<Cell<u64>>>,
) -> Result<solo::Ready, String> {
    let mut ready = solo::Ready::default();
    for socket in sockets::receiving(bind, port)? {
        if let Ok(address) = socket.local_addr() {
            ready.1.push(format!("udp {address}"));
        }
        let socket = UdpSocket::from_std(socket);
        let server = Server::new(socket, plan.clone(), remaining.cloned());
        ready.0.push(Companion::Ping(server));
    }
    Ok(ready)
}

fn plan(weather: &Weather) -> Plan {
    // Without a seed the weather is another one each time.
    let any = || RandomState::new().hash_one(std::process::id());
    Plan {
        loss: Chance::millionths(weather.loss.millionths),
        dup: Chance::millionths(weather.dup.millionths),
        reorder: Chance::millionths(weather.reorder.millionths),
        delay: weather.delay.delay,
        spread: weather.delay.spread,
        seed: weather.seed.unwrap_or_else(any),
    }
}

/// The server on one socket.
#[derive(Debug)]
pub struct Server {
    socket: Datagram,
    network: Impairments<SocketAddr>,
    /// How many more pings are answered by all sockets together; `None`: without end.
    remaining: Option<Rc<Cell<u64>>>,
    /// Where time begins.
    started: Option<Instant>,
    /// Who pinged last: a line is said only when somebody else does.
    last: Option<SocketAddr>,
    /// Replies that the kernel would not take.
    dropped: u64,
    done: bool,
}

/// What one ping may cost a drive: a receive, and a reply sent twice.
const PING_COST_BYTES: usize = 3 * (CALL_COST_BYTES + SCRATCH_BYTES);

impl Server {
    /// Takes over a bound socket.
    pub fn new(socket: UdpSocket, plan: Plan, remaining: Option<Rc<Cell<u64>>>) -> Self {
        Self {
            socket: Datagram::new(socket),
            network: Impairments::new(plan),
            remaining,
            started: None,
            last: None,
            dropped: 0,
            done: false,
        }
    }

    pub(super) fn source(&mut self) -> &mut UdpSocket {
        self.socket.socket()
    }

    /// Answers what came, and sends what is due. Bounded by the budget of a drive.
    pub(super) fn drive<S: Notices>(&mut self, cx: &mut Context<'_, S>) -> Next {
        let millis = self.millis(&cx.now);
        self.done |= cx.stage == Stage::Stopping;
        let received = if self.done {
            Received::Nothing
        } else {
            self.receive(millis, cx)
        };
        if received == Received::Last {
            self.done = true;
            // All other sockets of this server hear of it.
            cx.advance_to(Stage::Stopping);
        }
        if !self.send_due(millis, cx) || received == Received::Spent {
            return Next::Again(Deadline::Keep);
        }
        if self.done && self.network.is_empty() {
            self.say_farewell(cx);
            return Next::Leave;
        }
        let deadline = self.network.next_millis().map(|next| {
            let wait = Duration::from_millis(next.saturating_sub(millis));
            cx.now.tick.after(wait)
        });
        match (self.done, deadline) {
            // Who is done does not listen any more.
            (true, Some(tick)) => Next::Sleep(tick),
            (false, Some(tick)) => Next::Park(Side::Read, Deadline::At(tick)),
            (_, None) => Next::Park(Side::Read, Deadline::Never),
        }
    }

    fn receive<S: Notices>(&mut self, millis: u64, cx: &mut Context<'_, S>) -> Received {
        loop {
            if self.remaining.as_ref().is_some_and(|left| left.get() == 0) {
                return Received::Last;
            }
            if cx.link.budget() < PING_COST_BYTES {
                return Received::Spent;
            }
            match self.socket.receive(&mut cx.link, cx.scratch) {
                Attempt::Done((n, from)) => {
                    self.hear(n, from, millis, cx);
                    if let Some(left) = &self.remaining {
                        left.set(left.get().saturating_sub(1));
                    }
                }
                Attempt::Blocked => return Received::Nothing,
                Attempt::Spent => return Received::Spent,
                // A client that is gone already, for example: no concern of the next.
                Attempt::Failed(e) => debug!("{} {e}", cx.link.key),
            }
        }
    }

    fn hear<S: Notices>(
        &mut self,
        n: usize,
        from: SocketAddr,
        millis: u64,
        cx: &mut Context<'_, S>,
    ) {
        if self.last != Some(from) {
            self.last = Some(from);
            cx.shared.notice(&format!("{} pings", Peer(Some(from))));
        }
        let Some(datagram) = cx.scratch.get_mut(..n) else {
            return;
        };
        capitals(datagram);
        let copies = match self.network.hear(datagram, from, millis) {
            Fate::Lost | Fate::Later => 0,
            Fate::Now(copies) => copies,
        };
        for _ in 0..copies {
            match self.socket.send(&mut cx.link, datagram, from) {
                Attempt::Done(_) => {}
                Attempt::Blocked | Attempt::Spent | Attempt::Failed(_) => self.dropped += 1,
            }
        }
    }

    /// Sends the replies whose time has come. False if the budget is spent before.
    fn send_due<S: Notices>(&mut self, millis: u64, cx: &mut Context<'_, S>) -> bool {
        loop {
            if cx.link.budget() < PING_COST_BYTES {
                return false;
            }
            let Some(due) = self.network.due(millis) else {
                return true;
            };
            for _ in 0..due.copies {
                match self.socket.send(&mut cx.link, &due.datagram, due.to) {
                    Attempt::Done(_) => {}
                    Attempt::Blocked | Attempt::Spent | Attempt::Failed(_) => self.dropped += 1,
                }
            }
        }
    }

    /// What was done on purpose, so that a client's count can be compared with it.
    fn say_farewell<S: Notices>(&self, cx: &mut Context<'_, S>) {
        let c = self.network.counts;
        if c.heard == 0 {
            return;
        }
        let dropped = self.dropped + c.overflowed;
        cx.shared.notice(&format!(
            "{} pings heard; on purpose {} lost, {} doubled, {} held back; {dropped} dropped",
            c.heard, c.lost, c.doubled, c.held
        ));
    }

    fn millis(&mut self, now: &Now) -> u64 {
        let started = *self.started.get_or_insert(now.instant);
        let passed = now.instant.duration_since(started).as_millis();
        u64::try_from(passed).unwrap_or(u64::MAX)
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Received {
    Nothing,
    Spent,
    /// The last ping that was to be answered.
    Last,
}
