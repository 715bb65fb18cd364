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

use crate::cli::Options;
use crate::companions::client::{Destination, Exchange, Failure, resolve};
use crate::companions::daytime::DatagramClient;
use crate::companions::ping::client::PingClient;
use crate::event_loop::signal::Signal;
use crate::event_loop::{
    Context, Deadline, EventLoop, Handler, Newcomers, Next, Now, Shared, Side, Stage, Tick,
};
use crate::log::logger;

/// Every kind of handler of a process with one task.
#[derive(Debug)]
pub enum ClientTask {
    /// A signal: the first one lets the task end, the second does not wait for that.
    Interrupt(Box<Signal>),
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
    /// One of a crowd. It is the only kind that is there in thousands, so it has no box.
    Member(crowd::Member),
    /// The honest client beside a crowd.
    Probe(Box<crowd::Probe>),
}

// What makes a member of a crowd as cheap as the server's side of it.
#[cfg(all(not(debug_assertions), target_pointer_width = "64"))]
const _: () = assert!(size_of::<crate::event_loop::slot::Slot<ClientTask>>() <= 32);

impl Handler for ClientTask {
    type Shared = TaskState;

    fn source(&mut self) -> Option<&mut dyn Source> {
        Some(match self {
            Self::Interrupt(signal) => &mut signal.socket,
            Self::Exchange(exchange) => &mut exchange.stream.transport,
            Self::DaytimeUdp(client) => &mut client.socket.0,
            Self::Ping(client) => &mut client.socket.0,
            Self::Get(client) => &mut client.stream.transport,
            Self::Leader(_) => return None,
            Self::Member(member) => &mut member.stream.transport,
            Self::Probe(probe) => &mut probe.stream.transport,
        })
    }

    fn drive(&mut self, cx: &mut TaskContext<'_>, new: &mut NewTasks<'_>) -> Next {
        let driven = match self {
            Self::Interrupt(signal) => return interrupt(signal, cx),
            Self::Exchange(exchange) => exchange.drive(cx),
            Self::DaytimeUdp(client) => client.drive(cx),
            Self::Ping(client) => client.drive(cx),
            Self::Get(client) => client.drive(cx),
            Self::Leader(leader) => leader.drive(cx, new),
            Self::Member(member) => return member.drive(cx),
            Self::Probe(probe) => return probe.drive(cx, new),
        };
        match driven {
            Ok(Some(next)) => next,
            ended => {
                cx.shared.outcome = Some(ended.map(|_| ()));
                Next::Leave
            }
        }
    }

    fn is_background(&self) -> bool {
        matches!(self, Self::Interrupt(_))
    }
}

/// What a drive of such a handler is lent.
pub(crate) type TaskContext<'a> = Context<'a, TaskState>;

/// What such a handler may add to the loop.
pub(crate) type NewTasks<'a> = Newcomers<'a, ClientTask>;

/// What the handlers of a task share.
#[derive(Default, Debug)]
pub struct TaskState {
    /// How the task ended, once it has.
    pub outcome: Option<Result<(), Failure>>,
    /// What the members of a crowd share.
    pub(crate) crowd: crowd::Crowd,
    /// What get knows of its last reply.
    last_reply: get::LastReply,
}

impl Shared for TaskState {
    fn turn_ends(&mut self, now: &Now) -> Option<Tick> {
        Some(now.tick.after(logger::flush()?))
    }
}

/// Tells all handlers of the first signal; they leave. Ends the loop with the second.
fn interrupt(signal: &mut Signal, cx: &mut TaskContext<'_>) -> Next {
    if signal.came(&mut cx.link) {
        if cx.stage == Stage::Stopping {
            cx.quit();
        }
        cx.advance_to(Stage::Stopping);
    }
    Next::Park(Side::Read, Deadline::Never)
}

/// Says why it failed, if it did, and returns the exit code.
pub(crate) fn exit_code(outcome: Result<(), Failure>) -> ExitCode {
    let failed = outcome.map_err(|failure| logger::say(&format!("idler: {failure}")));
    logger::finish();
    ExitCode::from(u8::from(failed.is_err()))
}

/// Prints a page. A reader that has seen enough (`idler man | head`) is no failure.
pub fn print_page(text: &str) -> ExitCode {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            let line = format!("cannot write to standard output: {error}");
            exit_code(Err(Failure::new(line)))
        }
        Ok(()) | Err(_) => ExitCode::SUCCESS,
    }
}

/// Runs the client of a companion, which is such a `task`, and returns its exit code.
pub fn run<T>(
    options: &Options,
    start: impl Fn(&Options, &Destination<'_>) -> Result<T, Failure>,
    task: impl Fn(Box<T>) -> ClientTask,
) -> ExitCode {
    options.voice.start_logger(LevelFilter::Warn);
    let mut start = |to: &Destination<'_>, _: &mut _| Ok(task(Box::new(start(options, to)?)));
    let ended = resolve(&options.peer.host, options.peer.port)
        .and_then(|addresses| at_first_of(1, &addresses, &mut start));
    exit_code(ended.map(|_| ()))
}

/// Runs a client, and others that it brings with it up to `room` together, at the first address
/// that takes it. Returns what they shared.
///
/// # Errors
/// Why it failed, at the last address.
pub(crate) fn at_first_of(
    room: usize,
    addresses: &[SocketAddr],
    mut client: impl FnMut(&Destination<'_>, &mut TaskState) -> Result<ClientTask, Failure>,
) -> Result<TaskState, Failure> {
    let mut last = Failure::new("there is no address to go to");
    for (n, &address) in addresses.iter().enumerate() {
        let is_last = n + 1 == addresses.len();
        let done = run_one(room, |now, shared| {
            let to = Destination {
                address,
                is_last,
                now,
            };
            client(&to, shared)
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
    client: impl FnOnce(&Now, &mut TaskState) -> Result<ClientTask, Failure>,
) -> Result<TaskState, Failure> {
    let cannot = |e: io::Error| Failure::new(format!("cannot start: {e}"));
    let mut event_loop = EventLoop::new(room + 2, 0, TaskState::default()).map_err(cannot)?;
    for number in [SIGINT, SIGTERM] {
        let signal = Signal::new(number).map_err(cannot)?;
        let interrupt = ClientTask::Interrupt(Box::new(signal));
        let next = Next::Park(Side::Read, Deadline::Never);
        event_loop.add(interrupt, next).map_err(cannot)?;
    }
    let now = *event_loop.now();
    let client = client(&now, &mut event_loop.shared)?;
    // A handler without a socket gets no edge.
    let first = if matches!(client, ClientTask::Leader(_)) {
        Next::Again(Deadline::Never)
    } else {
        Next::Park(Side::Either, Deadline::Never)
    };
    event_loop.add(client, first).map_err(cannot)?;
    let ran = event_loop.run();
    ran.map_err(|e| Failure::new(format!("the loop cannot wait any more: {e}")))?;
    let mut state = std::mem::take(&mut event_loop.shared);
    match state.outcome.take() {
        Some(outcome) => outcome.map(|()| state),
        None => Err(Failure::interrupted()),
    }
}
