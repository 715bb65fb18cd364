//! The verbs that are no server: the handlers of a loop that has one task, what they share, and
//! how a signal ends it. The loop ends when the task is done, and its outcome is the exit code.

pub mod crowd;
pub mod explain;
pub mod get;
pub mod password;
pub mod precompress;

use std::io::{self, ErrorKind, Write as _};
use std::net::SocketAddr;
use std::process::ExitCode;

use log::LevelFilter;
use mio::event::Source;
use signal_hook::consts::{SIGINT, SIGTERM};

use crate::cli::{Peer, Voice};
use crate::companions::client::{Destination, Driven, Exchange, Failure, resolve};
use crate::companions::daytime::DatagramClient;
use crate::companions::ping::client::PingClient;
use crate::companions::{Companion, Notices, Opened};
use crate::event_loop::signal::Signal;
use crate::event_loop::{
    Context, Deadline, EventLoop, Handler, Newcomers, Next, Now, Shared, Side, Stage, Tick,
};
use crate::limits::{GRACE, LOG_RETRY_FIRST};
use crate::log::logger;
use crate::log::sink::{Flushed, LogSink, Target};
use crate::process::descriptors;
use crate::process::walls::Walls;

/// Every kind of handler of a process with one task.
#[derive(Debug)]
pub enum ClientTask {
    /// A companion's server.
    Companion(Box<Companion>),
    /// A signal that ends the task.
    Stop(Box<Stop>),
    /// Sends something or nothing, and receives an answer, the time, or a file.
    Exchange(Box<Exchange>),
    /// Asks for the time by datagram.
    DaytimeUdp(Box<DatagramClient>),
    /// Pings.
    Ping(Box<PingClient>),
    /// Gets something by HTTP.
    Get(Box<get::GetClient>),
    /// Leads a crowd.
    Leader(Box<crowd::Leader>),
    /// One of a crowd: the only one here of whom there are many, so it has no box.
    Member(crowd::Member),
    /// The honest client beside a crowd.
    Probe(Box<crowd::Probe>),
}

// What makes a member of a crowd as cheap as the server's side of it.
#[cfg(all(not(debug_assertions), target_pointer_width = "64"))]
const _: () = assert!(size_of::<crate::event_loop::turn::Slot<ClientTask>>() <= 32);

impl From<Companion> for ClientTask {
    fn from(companion: Companion) -> Self {
        Self::Companion(Box::new(companion))
    }
}

impl From<Exchange> for ClientTask {
    fn from(exchange: Exchange) -> Self {
        Self::Exchange(Box::new(exchange))
    }
}

impl From<DatagramClient> for ClientTask {
    fn from(client: DatagramClient) -> Self {
        Self::DaytimeUdp(Box::new(client))
    }
}

impl From<PingClient> for ClientTask {
    fn from(client: PingClient) -> Self {
        Self::Ping(Box::new(client))
    }
}

impl Handler for ClientTask {
    type Shared = TaskState;

    fn source(&mut self) -> Option<&mut dyn Source> {
        Some(match self {
            Self::Companion(companion) => companion.source(),
            Self::Stop(stop) => stop.signal.source(),
            Self::Exchange(exchange) => exchange.source(),
            Self::DaytimeUdp(client) => client.source(),
            Self::Ping(client) => client.source(),
            Self::Get(client) => client.source(),
            Self::Leader(_) => return None,
            Self::Member(member) => member.source(),
            Self::Probe(probe) => probe.source(),
        })
    }

    fn drive(&mut self, cx: &mut TaskContext<'_>, new: &mut Newcomers<'_, Self>) -> Next {
        let driven = match self {
            Self::Companion(companion) => return companion.drive(cx, new),
            Self::Stop(stop) => return stop.drive(cx),
            Self::Exchange(exchange) => exchange.drive(cx),
            Self::DaytimeUdp(client) => client.drive(cx),
            Self::Ping(client) => client.drive(cx),
            Self::Get(client) => client.drive(cx),
            Self::Leader(leader) => leader.drive(cx, new),
            Self::Member(member) => return member.drive(cx),
            Self::Probe(probe) => return probe.drive(cx, new),
        };
        cx.shared.next(driven)
    }

    fn is_background(&self) -> bool {
        matches!(self, Self::Stop(_))
    }
}

/// What a drive of such a handler is lent.
pub(crate) type TaskContext<'a> = Context<'a, TaskState>;

/// What the handlers of one errand share.
#[derive(Default, Debug)]
pub struct TaskState {
    /// How it ended, if it was a client's.
    pub outcome: Option<Result<(), Failure>>,
    /// What the members of a crowd share.
    pub(crate) crowd: crowd::Crowd,
    /// Where a server says who comes: standard output, unless it is to be quiet.
    notices: Option<LogSink>,
    /// Whether the stop did not wait for everybody.
    cut_short: bool,
}

impl TaskState {
    fn serving(voice: Voice) -> Self {
        Self {
            notices: (!voice.quiet).then(|| LogSink::new(Target::Stdout(io::stdout()))),
            ..Self::default()
        }
    }

    /// How a client waits next; one that is done leaves its outcome here.
    pub(crate) fn next(&mut self, driven: Driven) -> Next {
        let outcome = match driven {
            Ok(Some(next)) => return next,
            Ok(None) => Ok(()),
            Err(failure) => Err(failure),
        };
        self.outcome = Some(outcome);
        Next::Leave
    }

    fn farewell(&mut self) {
        if let Some(notices) = &mut self.notices {
            notices.finish();
        }
    }
}

impl Notices for TaskState {
    fn notice(&mut self, line: &str) {
        if let Some(notices) = &mut self.notices {
            notices.line(|into| into.extend_from_slice(line.as_bytes()));
        }
    }
}

impl Shared for TaskState {
    fn turn_ends(&mut self, now: &Now) -> Option<Tick> {
        let notices = self.notices.as_mut().map(LogSink::flush);
        let blocked = (notices == Some(Flushed::Blocked)).then_some(LOG_RETRY_FIRST);
        let again = [blocked, logger::flush()].into_iter().flatten().min()?;
        Some(now.tick.after(again))
    }
}

/// A signal that ends the errand: the first one lets the busy finish for [`GRACE`], the second
/// does not.
#[derive(Debug)]
pub struct Stop {
    signal: Signal,
}

impl Stop {
    fn drive(&mut self, cx: &mut TaskContext<'_>) -> Next {
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

fn event_loop(capacity: usize, errand: TaskState) -> Result<EventLoop<ClientTask>, Failure> {
    let cannot = |e: io::Error| Failure::new(format!("cannot start: {e}"));
    let mut event_loop = EventLoop::new(capacity + 2, 0, errand).map_err(cannot)?;
    for number in [SIGINT, SIGTERM] {
        let signal = Signal::new(number).map_err(cannot)?;
        let stop = ClientTask::Stop(Box::new(Stop { signal }));
        let next = Next::Park(Side::Read, Deadline::Never);
        event_loop.add(stop, next).map_err(cannot)?;
    }
    Ok(event_loop)
}

/// Runs a server until a signal, or its own count, ends it, and returns the exit code. `make` opens
/// what it needs; after it the walls stand.
pub fn serve(name: &str, voice: Voice, make: impl FnOnce() -> Result<Opened, String>) -> ExitCode {
    start_logger(voice);
    let served = make().map_err(Failure::new).and_then(|opened| {
        let companions = opened.handlers;
        // Everything is open: from here on no file and no other socket is needed.
        Walls::new().raise().map_err(Failure::new)?;
        let connections = descriptors::connections_for(descriptors::raise_limit(), None);
        let mut event_loop = event_loop(connections + companions.len(), TaskState::serving(voice))?;
        for companion in companions {
            let next = Next::Park(Side::Read, Deadline::Never);
            let added = event_loop.add(ClientTask::from(companion), next);
            added.map_err(|e| Failure::new(format!("cannot start: {e}")))?;
        }
        let places = opened.places.join(" and ");
        logger::say(&format!("idler {name} listens on {places}"));
        run_loop(&mut event_loop)?;
        event_loop.shared.farewell();
        Ok(event_loop.shared.cut_short)
    });
    logger::finish();
    match served {
        Ok(false) => ExitCode::SUCCESS,
        Ok(true) => ExitCode::FAILURE,
        Err(failure) => exit_code(Err(failure)),
    }
}

/// Says why it failed, if it did, and returns the exit code.
pub(crate) fn exit_code(outcome: Result<(), Failure>) -> ExitCode {
    if let Err(failure) = &outcome {
        logger::say(&format!("idler: {failure}"));
    }
    logger::finish();
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

/// Prints a page. A reader that has seen enough (`idler man | head`) is no failure.
pub fn print_page(text: &str) -> ExitCode {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => exit_code(Err(Failure::new(
            format!("cannot write to standard output: {error}"),
        ))),
        Ok(()) | Err(_) => ExitCode::SUCCESS,
    }
}

/// `-v` says why connections end, `-vv` every step. Who comes is said elsewhere.
pub(crate) fn start_logger(voice: Voice) {
    let level = match (voice.quiet, voice.verbose) {
        (true, _) => LevelFilter::Error,
        (false, 0) => LevelFilter::Warn,
        (false, 1) => LevelFilter::Debug,
        (false, _) => LevelFilter::Trace,
    };
    logger::init(level, voice.color);
}

/// Runs the client of a companion, and returns its exit code.
pub fn run<T: Into<ClientTask>>(
    peer: &Peer,
    voice: Voice,
    mut client: impl FnMut(&Destination<'_>) -> Result<T, Failure>,
) -> ExitCode {
    start_logger(voice);
    let addresses = resolve(&peer.host, peer.port);
    exit_code(
        addresses.and_then(|addresses| at_first_of(1, &addresses, |to| Ok(client(to)?.into()))),
    )
}

/// Runs a client, and others that it brings with it up to `room` together, at the first address
/// that takes it.
///
/// # Errors
/// Why it failed, at the last address.
pub(crate) fn at_first_of(
    room: usize,
    addresses: &[SocketAddr],
    mut client: impl FnMut(&Destination<'_>) -> Result<ClientTask, Failure>,
) -> Result<(), Failure> {
    let mut last = Failure::new("there is no address to go to");
    for (n, &address) in addresses.iter().enumerate() {
        let is_last = n + 1 == addresses.len();
        let done = run_one(room, |now| {
            client(&Destination {
                address,
                is_last,
                now,
            })
        });
        match done {
            Err(failure) if failure.elsewhere => last = failure,
            done => return done,
        }
    }
    Err(last)
}

/// Runs one client to its end. Signals are caught before it is made: from then on it cleans up
/// behind itself.
fn run_one(
    room: usize,
    client: impl FnOnce(&Now) -> Result<ClientTask, Failure>,
) -> Result<(), Failure> {
    let mut event_loop = event_loop(room, TaskState::default())?;
    let client = client(event_loop.now())?;
    // A handler without a socket gets no edge.
    let first = if matches!(client, ClientTask::Leader(_)) {
        Next::Again(Deadline::Never)
    } else {
        Next::Park(Side::Either, Deadline::Never)
    };
    event_loop
        .add(client, first)
        .map_err(|e| Failure::new(format!("cannot start: {e}")))?;
    run_loop(&mut event_loop)?;
    let outcome = event_loop.shared.outcome.take();
    outcome.unwrap_or_else(|| Err(Failure::interrupted()))
}

fn run_loop(event_loop: &mut EventLoop<ClientTask>) -> Result<usize, Failure> {
    let cannot = |e| Failure::new(format!("the loop cannot wait any more: {e}"));
    event_loop.run().map_err(cannot)
}
