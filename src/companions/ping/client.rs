//! The ping client: sends on time, prints what comes back, and sums it up.
//!
//! What lives here: when to send, when to give up, when to stop. It may not know which reply is whose
//! (`protocol/ping/round_trips.rs`). Invariant: whatever ends it, Ctrl-C included, the statistics so far are printed.
//! Read next: `protocol/ping/statistics.rs`.

use std::io;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime};

use mio::net::UdpSocket;
use rustix::io::Errno;

use crate::cli::PingClientOptions;
use crate::companions::ping::datagram::round_trips::{Heard, RoundTrips};
use crate::event_loop::clock::monotonic_now;
use crate::event_loop::udp::Datagram;
use crate::event_loop::{Attempt, Context, Deadline, Next, Side, Stage};
use crate::limits::{DATAGRAM_BYTES_MAX, PING_QUIET};

use crate::companions::client::{Failure, connected_datagrams, print, resolve};
use crate::log::logger;
use crate::tools::handlers as solo;
use crate::tools::handlers::{ClientTask, TaskState};

/// Runs `idler ping-client`, and returns its exit code.
pub fn ping(options: &PingClientOptions) -> ExitCode {
    solo::start_logger(options.voice);
    let addresses = resolve(&options.peer.host, options.peer.port);
    solo::exit_code(addresses.and_then(|addresses| {
        let last = addresses.last().copied();
        solo::at_first_of(&addresses, |to| {
            let client = Client::start(to, options, Some(to) != last)?;
            Ok(ClientTask::Ping(Box::new(client)))
        })
    }))
}

/// See the module.
#[derive(Debug)]
pub struct Client {
    socket: Datagram,
    to: SocketAddr,
    options: PingClientOptions,
    trips: RoundTrips,
    /// Whether there are other addresses to go to if nobody listens at this one.
    may_go_elsewhere: bool,
    started: Option<Instant>,
    next_send: Duration,
    last_heard: Duration,
    sent: u32,
    refused: bool,
}

impl Client {
    /// A client of the server at `to`.
    ///
    /// # Errors
    /// If there is no socket to be had, or no way there.
    fn start(
        to: SocketAddr,
        options: &PingClientOptions,
        may_go_elsewhere: bool,
    ) -> Result<Self, Failure> {
        Ok(Self {
            socket: Datagram::new(connected_datagrams(to)?),
            to,
            trips: RoundTrips::new(options.wait),
            options: options.clone(),
            may_go_elsewhere,
            started: None,
            next_send: Duration::ZERO,
            last_heard: Duration::ZERO,
            sent: 0,
            refused: false,
        })
    }

    pub(crate) fn source(&mut self) -> &mut UdpSocket {
        self.socket.socket()
    }

    /// Hears, gives up, sends; then waits for whatever comes next.
    pub(crate) fn drive(&mut self, cx: &mut Context<'_, TaskState>) -> Next {
        match self.step(cx) {
            Ok(Some(next)) => next,
            Ok(None) => self.finish(cx),
            Err(failure) => {
                cx.shared.outcome = Some(Err(failure));
                Next::Leave
            }
        }
    }

    /// How to wait; `None` when it is over.
    fn step(&mut self, cx: &mut Context<'_, TaskState>) -> Result<Option<Next>, Failure> {
        let first = self.started.is_none();
        let started = *self.started.get_or_insert(cx.now.instant);
        let now = cx.now.instant.duration_since(started);
        if first && !self.options.json {
            let (to, bytes) = (self.to, self.options.message_bytes_min);
            let count = self.options.count;
            let padded = if bytes > 0 {
                format!(" of {bytes} bytes")
            } else {
                String::new()
            };
            let s = if count == 1 { "" } else { "s" };
            print(format!("PING {to}: {count} ping{s}{padded}\n").as_bytes())?;
        }
        // What has come is heard before anything is given up.
        if !self.hear_all(started, cx)? {
            return Ok(Some(Next::Again(Deadline::Keep)));
        }
        while let Some(number) = self.trips.give_up(now) {
            self.say(&format!("Request timed out: seq={number}\n"))?;
        }
        if cx.stage == Stage::Stopping {
            return Ok(None);
        }
        if self.sent < self.options.count && now >= self.next_send {
            self.send(started, cx)?;
            // Whoever was held up does not make up for it with a burst.
            self.next_send = now.max(
                self.next_send
                    .saturating_add(self.options.interval)
                    .min(now + self.options.interval),
            );
        }
        let next_send = (self.sent < self.options.count).then_some(self.next_send);
        let wake = match next_send.into_iter().chain(self.trips.deadline()).min() {
            Some(wake) => wake,
            None => {
                // All is judged. Duplicates of the last reply may still be on their way.
                let longest = self.trips.statistics.longest();
                let quiet = PING_QUIET
                    .max(longest.saturating_mul(2))
                    .min(self.options.wait);
                let end = self.last_heard.saturating_add(quiet);
                if now >= end {
                    return Ok(None);
                }
                end
            }
        };
        let deadline = cx.now.tick.after(wake.saturating_sub(now));
        Ok(Some(Next::Park(Side::Read, Deadline::At(deadline))))
    }

    /// Hears what has come. False if the budget was spent before.
    fn hear_all(
        &mut self,
        started: Instant,
        cx: &mut Context<'_, TaskState>,
    ) -> Result<bool, Failure> {
        loop {
            match self.socket.receive(&mut cx.link, cx.scratch) {
                Attempt::Done((n, _)) => {
                    let at = monotonic_now().duration_since(started);
                    let datagram = cx.scratch.get(..n).unwrap_or_default();
                    let heard = self.trips.hear(datagram, at);
                    self.last_heard = at;
                    self.say(&line(n, self.to, heard))?;
                }
                Attempt::Blocked => return Ok(true),
                Attempt::Spent => return Ok(false),
                Attempt::Failed(e) => self.refusal(&e)?,
            }
        }
    }

    fn send(&mut self, started: Instant, cx: &mut Context<'_, TaskState>) -> Result<(), Failure> {
        let instant = monotonic_now();
        let wall = cx.now.wall + instant.duration_since(cx.now.instant);
        let stamp = wall
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        let at = instant.duration_since(started);
        let bytes = self.options.message_bytes_min.min(DATAGRAM_BYTES_MAX);
        let (_, text) = self.trips.send(at, stamp, bytes);
        self.sent += 1;
        // The answer to the ping before (nobody listens) may be reported here; the next call is for this one.
        for _ in 0..2 {
            match self.socket.send(&mut cx.link, text.as_bytes(), self.to) {
                Attempt::Done(_) => return Ok(()),
                Attempt::Blocked | Attempt::Spent => break,
                Attempt::Failed(e) => self.refusal(&e)?,
            }
        }
        self.trips.refused();
        Ok(())
    }

    /// Something is wrong with the way there: said once, since the next ping may fare better.
    fn refusal(&mut self, error: &io::Error) -> Result<(), Failure> {
        let failure = Failure::to_connect(self.to, error);
        let refused = Errno::from_io_error(error) == Some(Errno::CONNREFUSED);
        if refused && self.may_go_elsewhere && self.trips.statistics.received == 0 {
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

    fn finish(&mut self, cx: &mut Context<'_, TaskState>) -> Next {
        let elapsed = self.started.map(|s| cx.now.instant.duration_since(s));
        let elapsed = elapsed.unwrap_or_default();
        let statistics = &self.trips.statistics;
        let text = if self.options.json {
            statistics.json(elapsed)
        } else {
            let summary = statistics.summary(elapsed);
            format!("\n--- {} ping statistics ---\n{summary}", self.to)
        };
        let outcome = print(text.as_bytes()).and_then(|()| {
            if statistics.received == 0 {
                return Err(Failure::new(format!("nothing came back from {}", self.to)));
            }
            Ok(())
        });
        cx.shared.outcome = Some(outcome);
        Next::Leave
    }
}

fn line(bytes: usize, from: SocketAddr, heard: Heard) -> String {
    let millis = |rtt: Duration| rtt.as_secs_f64() * 1e3;
    match heard {
        Heard::Reply {
            number,
            rtt,
            late,
            reordered,
        } => {
            let late = if late { " (late)" } else { "" };
            let reordered = if reordered { " (out of order)" } else { "" };
            let ms = millis(rtt);
            format!("{bytes} bytes from {from}: seq={number} time={ms:.3} ms{late}{reordered}\n")
        }
        Heard::Duplicate { number, rtt } => {
            let ms = millis(rtt);
            format!("{bytes} bytes from {from}: seq={number} time={ms:.3} ms (DUP!)\n")
        }
        Heard::Strange => format!("{bytes} bytes from {from}: no reply to any of these pings\n"),
    }
}
