//! The daytime client: prints what time it is elsewhere.
//!
//! What lives here: what it listens for by TCP, and asking by UDP. It may not know how a moment is written, and prints
//! whatever one line it is told. Invariant: it ends, with the time or with a reason.
//! Read next: `client.rs`.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use mio::net::UdpSocket;

use crate::cli::DaytimeClientOptions;
use crate::event_loop::udp::Datagram;
use crate::event_loop::{Attempt, Context, Deadline, Next, Side, Stage, Tick};
use crate::http::printable::printable;
use crate::limits::DATAGRAM_RETRY;

use crate::companions::client::{Exchange, Failure, Words, connected_datagrams, print, resolve};
use crate::tools::handlers as solo;
use crate::tools::handlers::{ClientTask, TaskState};

/// Runs `idler daytime-client`, and returns its exit code.
pub fn ask(options: &DaytimeClientOptions) -> ExitCode {
    solo::start_logger(options.voice);
    let patience = options.timeout;
    let addresses = resolve(&options.peer.host, options.peer.port);
    solo::exit_code(addresses.and_then(|addresses| {
        solo::at_first_of(&addresses, |to| {
            if options.udp {
                return Ok(ClientTask::DaytimeUdp(Box::new(Datagrams::start(
                    to, patience,
                )?)));
            }
            let line = Words::new(
                "",
                "the server closed the connection without telling the time",
            );
            let exchange = Exchange::start(to, Vec::new(), line, patience, None)?;
            Ok(ClientTask::Words(Box::new(exchange)))
        })
    }))
}

/// Asks by datagram, again and again until there is an answer.
#[derive(Debug)]
pub struct Datagrams {
    socket: Datagram,
    to: SocketAddr,
    patience: Duration,
    end: Option<Tick>,
    ask_at: Option<Tick>,
}

impl Datagrams {
    /// Will ask `to`, for as long as `patience` lasts.
    ///
    /// # Errors
    /// If there is no socket to be had, or no way there.
    pub fn start(to: SocketAddr, patience: Duration) -> Result<Self, Failure> {
        Ok(Self {
            socket: Datagram::new(connected_datagrams(to)?),
            to,
            patience,
            end: None,
            ask_at: None,
        })
    }

    pub(crate) fn source(&mut self) -> &mut UdpSocket {
        self.socket.socket()
    }

    /// Asks when it is time to, and waits for the answer.
    pub(crate) fn drive(&mut self, cx: &mut Context<'_, TaskState>) -> Next {
        let outcome = match self.step(cx) {
            Ok(Err(next)) => return next,
            Ok(Ok(line)) => print(format!("{line}\n").as_bytes()),
            Err(failure) => Err(failure),
        };
        cx.shared.outcome = Some(outcome);
        Next::Leave
    }

    /// The answer, or how to wait for it.
    fn step(&mut self, cx: &mut Context<'_, TaskState>) -> Result<Result<String, Next>, Failure> {
        if cx.stage == Stage::Stopping {
            return Err(Failure::interrupted());
        }
        let now = cx.now.tick;
        match self.socket.receive(&mut cx.link, cx.scratch) {
            Attempt::Done((n, _)) => {
                return Ok(Ok(printable(cx.scratch.get(..n).unwrap_or_default())));
            }
            Attempt::Failed(e) => return Err(Failure::to_connect(self.to, &e)),
            Attempt::Blocked | Attempt::Spent => {}
        }
        let end = *self.end.get_or_insert(now.after(self.patience));
        if end.is_due(now) {
            return Err(Failure::quiet(self.to, self.patience));
        }
        if self.ask_at.is_none_or(|tick| tick.is_due(now)) {
            self.ask_at = Some(now.after(DATAGRAM_RETRY));
            // What it says is of no consequence; that a datagram comes is the question.
            match self.socket.send(&mut cx.link, b"\n", self.to) {
                Attempt::Failed(e) => return Err(Failure::to_connect(self.to, &e)),
                Attempt::Done(_) => {}
                // At first the kernel has not said yet that it takes datagrams: soon it will.
                Attempt::Blocked | Attempt::Spent => {
                    self.ask_at = None;
                    return Ok(Err(Next::Park(Side::Either, Deadline::At(end))));
                }
            }
        }
        let wake = self.ask_at.filter(|tick| tick.is_due(end)).unwrap_or(end);
        Ok(Err(Next::Park(Side::Read, Deadline::At(wake))))
    }
}
