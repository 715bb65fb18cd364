//! The ping client: sends on time, prints what comes back, and sums it up. Whatever ends it,
//! Ctrl-C included, the statistics so far are printed.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant, SystemTime};

use rustix::io::Errno;

use crate::cli::Options;
use crate::companions::client::{Destination, Driven, Failure, connected_datagrams, print};
use crate::companions::ping::RoundTrips;
use crate::event_loop::clock::monotonic_now;
use crate::event_loop::udp::Datagram;
use crate::event_loop::{Attempt, Context, Deadline, Next, Side, Stage};
use crate::limits::PING_QUIET;
use crate::log::logger;

/// The client of `idler ping-client`, which says what it is about to do.
///
/// # Errors
/// If no socket can be had, no route leads there, or nothing can be printed.
pub fn ask(options: &Options, to: &Destination<'_>) -> Result<PingClient, Failure> {
    let client = PingClient {
        socket: connected_datagrams(to.address)?,
        to: to.address,
        trips: RoundTrips::new(options.wait),
        options: options.clone(),
        is_last: to.is_last,
        started: to.now.instant,
        next_send: Duration::ZERO,
        last_received: Duration::ZERO,
        refused: false,
    };
    let (count, bytes) = (options.count, options.message_bytes_min);
    let s = if count == 1 { "" } else { "s" };
    let padded = (bytes > 0).then(|| format!(" of {bytes} bytes"));
    let padded = padded.unwrap_or_default();
    client.say(&format!("PING {}: {count} ping{s}{padded}\n", to.address))?;
    Ok(client)
}

/// See the module.
#[derive(Debug)]
pub struct PingClient {
    pub(crate) socket: Datagram,
    to: SocketAddr,
    options: Options,
    trips: RoundTrips,
    /// Whether no other address is tried if nothing listens at this one.
    is_last: bool,
    started: Instant,
    /// Times since then.
    next_send: Duration,
    last_received: Duration,
    refused: bool,
}

impl PingClient {
    /// Receives, gives up, sends; then waits for what comes next, or sums up.
    pub(crate) fn drive<S>(&mut self, cx: &mut Context<'_, S>) -> Driven {
        let now = cx.now.instant.duration_since(self.started);
        // What has come is judged before any ping is given up.
        if !self.receive_all(cx)? {
            return Ok(Some(Next::Again(Deadline::Keep)));
        }
        while let Some(number) = self.trips.give_up(now) {
            self.say(&format!("Request timed out: seq={number}\n"))?;
        }
        if cx.stage == Stage::Stopping {
            return self.finish(now);
        }
        if self.is_sending() && now >= self.next_send {
            self.send(cx)?;
            // A client that was held up does not make up for it with a burst.
            let next = self.next_send.saturating_add(self.options.interval);
            self.next_send = next.min(now + self.options.interval).max(now);
        }
        let next_send = self.is_sending().then_some(self.next_send);
        let wake = match next_send.into_iter().chain(self.trips.deadline()).min() {
            Some(wake) => wake,
            None => {
                // All is judged. Duplicates of the last reply may still be on their way.
                let longest = self.trips.statistics.longest();
                let quiet = PING_QUIET.max(longest.saturating_mul(2));
                let quiet = quiet.min(self.options.wait);
                let end = self.last_received.saturating_add(quiet);
                if now >= end {
                    return self.finish(now);
                }
                end
            }
        };
        let deadline = cx.now.tick.after(wake.saturating_sub(now));
        Ok(Some(Next::Park(Side::Read, Deadline::At(deadline))))
    }

    fn is_sending(&self) -> bool {
        self.trips.statistics.transmitted < self.options.count.into()
    }

    /// Receives what has come. False if the budget was spent before.
    fn receive_all<S>(&mut self, cx: &mut Context<'_, S>) -> Result<bool, Failure> {
        loop {
            match self.socket.receive(&mut cx.link, cx.scratch) {
                Attempt::Done((n, _)) => {
                    let at = monotonic_now().duration_since(self.started);
                    let datagram = cx.scratch.get(..n).unwrap_or_default();
                    let judged = self.trips.judge(datagram, at);
                    self.last_received = at;
                    self.say(&format!("{n} bytes from {}: {judged}\n", self.to))?;
                }
                Attempt::Blocked => return Ok(true),
                Attempt::Spent => return Ok(false),
                Attempt::Failed(e) => self.refusal(&e)?,
            }
        }
    }

    fn send<S>(&mut self, cx: &mut Context<'_, S>) -> Result<(), Failure> {
        let instant = monotonic_now();
        let wall = cx.now.wall + instant.duration_since(cx.now.instant);
        let stamp = wall.duration_since(SystemTime::UNIX_EPOCH);
        let at = instant.duration_since(self.started);
        let bytes = self.options.message_bytes_min;
        let text = self.trips.send(at, stamp.unwrap_or_default(), bytes);
        // The answer to the ping before (nothing listens) may be reported here; the next call is
        // for this one.
        for _ in 0..2 {
            match self.socket.send(&mut cx.link, text.as_bytes(), self.to) {
                Attempt::Done(_) => return Ok(()),
                Attempt::Blocked | Attempt::Spent => break,
                Attempt::Failed(e) => self.refusal(&e)?,
            }
        }
        self.trips.statistics.unsent += 1;
        Ok(())
    }

    /// Something is wrong with the way there: said once, since the next ping may fare better.
    fn refusal(&mut self, error: &io::Error) -> Result<(), Failure> {
        let failure = Failure::to_connect(self.to, error);
        let refused = Errno::from_io_error(error) == Some(Errno::CONNREFUSED);
        if refused && !self.is_last && self.trips.statistics.received == 0 {
            return Err(failure);
        }
        if !std::mem::replace(&mut self.refused, true) {
            logger::say(&format!("idler: {failure}"));
        }
        Ok(())
    }

    fn say(&self, line: &str) -> Result<(), Failure> {
        if self.options.json {
            return Ok(());
        }
        print(line.as_bytes())
    }

    fn finish(&mut self, elapsed: Duration) -> Driven {
        let statistics = &self.trips.statistics;
        let text = if self.options.json {
            statistics.json(elapsed)
        } else {
            let summary = statistics.summary(elapsed);
            format!("\n--- {} ping statistics ---\n{summary}", self.to)
        };
        print(text.as_bytes())?;
        if statistics.received == 0 {
            return Err(Failure::new(format!("nothing came back from {}", self.to)));
        }
        Ok(None)
    }
}
