//! A process with one errand: a companion's server alone, or a client.
//!
//! What lives here: the type of handler of such a loop, what its handlers share, and how a signal ends it. It may not
//! know what the errand is. Invariant: the loop ends when the errand is done, and its outcome is the exit code.
//! Read next: `companion.rs` for servers, `client.rs` for clients.

use std::net::SocketAddr;

use mio::event::Source;
use signal_hook::consts::{SIGINT, SIGTERM};

use crate::limits::{GRACE, LOG_RETRY_FIRST};
use crate::reactor::signal::Signal;
use crate::reactor::{Context, Deadline, EventLoop, Handler, Next, Now, Shared, Side, Stage, Tick};

use super::client::{Exchange, Failure};
use super::companion::{Companion, Notices};
use super::outlet::{Flushed, Outlet, Target};
use super::{daytime, http_client, message, ping, transfer};

/// Every kind of handler of a process with one errand.
#[derive(Debug)]
pub enum Solo {
    /// A companion's server.
    Companion(Companion),
    /// A signal that ends it.
    Stop(Stop),
    /// Asks, and hears the answer.
    Message(Exchange<message::Reply>),
    /// Is told the time.
    Daytime(Exchange<daytime::Line>),
    /// Receives a file.
    Transfer(Exchange<transfer::receive::Receiving>),
    /// Pings.
    Ping(Box<ping::client::Client>),
    /// Gets something by HTTP.
    Get(Box<http_client::Client>),
}

impl From<Companion> for Solo {
    fn from(companion: Companion) -> Self {
        Self::Companion(companion)
    }
}

impl Handler for Solo {
    type Shared = Errand;

    fn source(&mut self) -> Option<&mut dyn Source> {
        Some(match self {
            Self::Companion(companion) => companion.source(),
            Self::Stop(stop) => stop.signal.source(),
            Self::Message(exchange) => exchange.source(),
            Self::Daytime(exchange) => exchange.source(),
            Self::Transfer(exchange) => exchange.source(),
            Self::Ping(client) => client.source(),
            Self::Get(client) => client.source(),
        })
    }

    fn drive(&mut self, cx: &mut Context<'_, Self>) -> Next {
        match self {
            Self::Companion(companion) => companion.drive(cx),
            Self::Stop(stop) => stop.drive(cx),
            Self::Message(exchange) => exchange.drive(cx),
            Self::Daytime(exchange) => exchange.drive(cx),
            Self::Transfer(exchange) => exchange.drive(cx),
            Self::Ping(client) => client.drive(cx),
            Self::Get(client) => client.drive(cx),
        }
    }

    fn is_background(&self) -> bool {
        matches!(self, Self::Stop(_))
    }
}

/// What the handlers of one errand share.
#[derive(Default, Debug)]
pub struct Errand {
    /// How it ended, if it was a client's.
    pub outcome: Option<Result<(), Failure>>,
    /// Where a server says who comes: standard output, unless it is to be quiet.
    notices: Option<Outlet>,
    /// Whether the stop did not wait for everybody.
    cut_short: bool,
}

impl Notices for Errand {
    fn notice(&mut self, line: &str) {
        if let Some(notices) = &mut self.notices {
            notices.line(|into| into.extend_from_slice(line.as_bytes()));
        }
    }
}

impl Shared for Errand {
    fn turn_ends(&mut self, now: &Now) -> Option<Tick> {
        match self.notices.as_mut()?.flush() {
            Flushed::Blocked => Some(now.tick.after(LOG_RETRY_FIRST)),
            Flushed::All | Flushed::Failed(_) => None,
        }
    }
}

/// A signal that ends the errand: the first one lets the busy finish for [`GRACE`], the second does not.
#[derive(Debug)]
pub struct Stop {
    signal: Signal,
}

impl Stop {
    fn drive(&mut self, cx: &mut Context<'_, Solo>) -> Next {
        let came = self.signal.came(&mut cx.link);
        if cx.expired || (came && cx.stage == Stage::Stopping) {
            cx.shared.cut_short = true;
            cx.quit();
        } else if came {
            cx.advance_to(Stage::Stopping);
            let deadline = Deadline::At(cx.now.tick.after(GRACE));
            return Next::Park(Side::Read, deadline);
        }
        Next::Park(Side::Read, Deadline::Keep)
    }
}

/// How a handler of an errand waits first.
const FIRST: Next = Next::Park(Side::Either, Deadline::Never);

fn event_loop(capacity: usize, errand: Errand) -> Result<EventLoop<Solo>, Failure> {
    let cannot = |e: std::io::Error| Failure::new(format!("cannot start: {e}"));
    let mut event_loop = EventLoop::new(capacity + 2, errand).map_err(cannot)?;
    for number in [SIGINT, SIGTERM] {
        let signal = Signal::new(number).map_err(cannot)?;
        let stop = Solo::Stop(Stop { signal });
        let next = Next::Park(Side::Read, Deadline::Never);
        event_loop.add(stop, next).map_err(cannot)?;
    }
    Ok(event_loop)
}

/// Runs servers until a signal, or their own count, ends them. `ready` is called once they are in place. False if
/// somebody was still busy when the grace was over.
///
/// # Errors
/// If the loop cannot be made.
pub(super) fn serve(
    companions: Vec<Companion>,
    connections: usize,
    quiet: bool,
    ready: impl FnOnce(),
) -> Result<bool, Failure> {
    let errand = Errand {
        notices: (!quiet).then(|| Outlet::new(Target::Stdout(std::io::stdout()))),
        ..Errand::default()
    };
    let cannot = |e: std::io::Error| Failure::new(format!("cannot start: {e}"));
    let mut event_loop = event_loop(connections + companions.len(), errand)?;
    for companion in companions {
        let next = Next::Park(Side::Read, Deadline::Never);
        event_loop
            .add(Solo::Companion(companion), next)
            .map_err(cannot)?;
    }
    ready();
    run(&mut event_loop)?;
    if let Some(notices) = &mut event_loop.shared.notices {
        notices.farewell();
    }
    Ok(!event_loop.shared.cut_short)
}

/// Runs a client at the first address that takes it.
///
/// # Errors
/// Why it failed, at the last address.
pub(super) fn at_first_of(
    addresses: &[SocketAddr],
    mut client: impl FnMut(SocketAddr) -> Result<Solo, Failure>,
) -> Result<(), Failure> {
    let mut last = Failure::new("there is no address to go to");
    for &address in addresses {
        match client(address).and_then(errand) {
            Err(failure) if failure.elsewhere => last = failure,
            done => return done,
        }
    }
    Err(last)
}

/// Runs one client to its end.
pub(super) fn errand(client: Solo) -> Result<(), Failure> {
    let mut event_loop = event_loop(1, Errand::default())?;
    event_loop
        .add(client, FIRST)
        .map_err(|e| Failure::new(format!("cannot start: {e}")))?;
    run(&mut event_loop)?;
    let outcome = event_loop.shared.outcome.take();
    outcome.unwrap_or_else(|| Err(Failure::interrupted()))
}

fn run(event_loop: &mut EventLoop<Solo>) -> Result<usize, Failure> {
    let cannot = |e| Failure::new(format!("the loop cannot wait any more: {e}"));
    event_loop.run().map_err(cannot)
}
