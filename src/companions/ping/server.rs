//! The ping server. A reply that cannot go out now is dropped and counted, so that nothing queues
//! without bound; a flood of pings costs the other handlers no more than its share of a turn.

use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use log::debug;

use crate::cli::Options;
use crate::companions::ping::impairments::{Fate, Impairments};
use crate::companions::{Companion, Notices, Opened, name_of};
use crate::event_loop::udp::Datagram;
use crate::event_loop::{Attempt, Context, Deadline, Link, Next, Side, Stage};
use crate::limits::PING_COST_BYTES;

/// Opens `idler ping-server`.
///
/// # Errors
/// One line for the user.
pub fn serve(options: &Options) -> Result<Opened, String> {
    let remaining = Rc::new(Cell::new(options.answers_max.unwrap_or(u64::MAX)));
    let (bind, port) = (&options.listening.bind, options.listening.port);
    let mut opened = Opened::default();
    opened.receive(bind, port, |socket| {
        Companion::Ping(PingServer {
            socket,
            network: Impairments::new(options.weather),
            remaining: Rc::clone(&remaining),
            started: None,
            last: None,
            dropped: 0,
        })
    })?;
    Ok(opened)
}

/// The server on one socket.
#[derive(Debug)]
pub struct PingServer {
    pub(in crate::companions) socket: Datagram,
    network: Impairments,
    /// How many more pings are answered by all sockets together.
    remaining: Rc<Cell<u64>>,
    /// Where its milliseconds begin.
    started: Option<Instant>,
    /// Where the last ping came from: a notice is said only when another client pings.
    last: Option<SocketAddr>,
    /// Replies that the kernel would not take.
    dropped: u64,
}

impl PingServer {
    /// Answers what came, and sends what is due. Bounded by the budget of a drive.
    pub(in crate::companions) fn drive<S: Notices>(&mut self, cx: &mut Context<'_, S>) -> Next {
        let millis = self.millis(cx);
        let all_received = cx.stage == Stage::Stopping || self.receive(millis, cx);
        if self.remaining.get() == 0 {
            // All other sockets of this server are told.
            cx.advance_to(Stage::Stopping);
        }
        let done = cx.stage == Stage::Stopping || self.remaining.get() == 0;
        if !self.send_due(millis, cx) || !all_received {
            return Next::Again(Deadline::Keep);
        }
        let Some(next) = self.network.next_millis() else {
            if done {
                self.sum_up(cx);
                return Next::Leave;
            }
            return Next::Park(Side::Read, Deadline::Never);
        };
        let wait = Duration::from_millis(next.saturating_sub(millis));
        let wake = cx.now.tick.after(wait);
        // A server that is done receives nothing any more.
        if done {
            Next::Sleep(wake)
        } else {
            Next::Park(Side::Read, Deadline::At(wake))
        }
    }

    /// Answers what has come. False if the budget is spent before.
    fn receive<S: Notices>(&mut self, millis: u64, cx: &mut Context<'_, S>) -> bool {
        while self.remaining.get() > 0 {
            if cx.link.budget() < PING_COST_BYTES {
                return false;
            }
            match self.socket.receive(&mut cx.link, cx.scratch) {
                Attempt::Done((n, from)) => {
                    self.answer(n, from, millis, cx);
                    self.remaining.update(|left| left - 1);
                }
                Attempt::Blocked => return true,
                Attempt::Spent => return false,
                // A client that is gone already, for example, does not concern the next.
                Attempt::Failed(e) => debug!("{} {e}", cx.link.key),
            }
        }
        true
    }

    fn answer<S: Notices>(
        &mut self,
        n: usize,
        from: SocketAddr,
        millis: u64,
        cx: &mut Context<'_, S>,
    ) {
        if self.last != Some(from) {
            self.last = Some(from);
            cx.shared.notice(&format!("{} pings", name_of(Some(from))));
        }
        let Some(datagram) = cx.scratch.get_mut(..n) else {
            return;
        };
        datagram.make_ascii_uppercase();
        match self.network.receive(datagram, from, millis) {
            Fate::Lost | Fate::Later => {}
            Fate::Now(copies) => self.send(&mut cx.link, datagram, from, copies),
        }
    }

    /// Sends the replies whose time has come. False if the budget is spent before.
    fn send_due<S>(&mut self, millis: u64, cx: &mut Context<'_, S>) -> bool {
        loop {
            if cx.link.budget() < PING_COST_BYTES {
                return false;
            }
            let Some(due) = self.network.due(millis) else {
                return true;
            };
            self.send(&mut cx.link, &due.datagram, due.to, due.copies);
        }
    }

    fn send(&mut self, link: &mut Link, datagram: &[u8], to: SocketAddr, copies: u32) {
        for _ in 0..copies {
            match self.socket.send(link, datagram, to) {
                Attempt::Done(_) => {}
                Attempt::Blocked | Attempt::Spent | Attempt::Failed(_) => self.dropped += 1,
            }
        }
    }

    /// Says what was done on purpose, so that a client's count can be compared with it.
    fn sum_up<S: Notices>(&self, cx: &mut Context<'_, S>) {
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

    /// Milliseconds since the first drive.
    fn millis<S>(&mut self, cx: &Context<'_, S>) -> u64 {
        let started = *self.started.get_or_insert(cx.now.instant);
        let passed = cx.now.instant.duration_since(started).as_millis();
        u64::try_from(passed).unwrap_or(u64::MAX)
    }
}
