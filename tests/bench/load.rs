//! The load: one thread that keeps some connections busy, and checks each answer.
//!
//! What lives here: a closed loop (a connection asks again when it was answered), and what it measured.
//! What it may not know: which server it talks to.
//! Invariant: an answer counts only with status 200 and the expected length; all else is counted as an error.
//! Read next: `answer.rs`, how an answer is read; `slice.rs`, how this role is started and its result read.

use std::fs;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::buffer::spare_capacity;
use rustix::event::{
    Timespec,
    epoll::{self, EventData, EventFlags},
};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, connect, recv, send, socket_with,
    sockopt,
};

use crate::Outcome;
use crate::answer::{Answer, Heard};
use crate::measure;
use crate::record::Record;
use crate::watch::{Look, Watched};

/// Events asked for at once.
const EVENTS: usize = 1024;
/// Bytes read at once where they are copied out.
const READ_BYTES: usize = 256 * 1024;
/// Bytes thrown away at once where they are not; the memory behind them is never touched.
const DISCARD_BYTES: usize = 4 * 1024 * 1024;
/// The longest head read before a body that will be thrown away.
const HEAD_BYTES: usize = 4096;
/// How long the loop runs before what it does counts, where it runs for a time.
const WARM_UP: Duration = Duration::from_millis(100);
/// A load that is asked for a number of answers gives up after this.
const PATIENCE: Duration = Duration::from_secs(120);
/// How often the clock is looked at when nothing happens.
const TICK: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 50_000_000,
};

/// The role `load`: prints one record.
///
/// `port`; `path` or `paths` (a file with one path a line, taken at random); `length`, bytes each body must have;
/// `connections`; `seconds` or `answers`; `close=yes` for one connection per request; `discard=yes` to let the
/// kernel throw bodies away; `seed`; `watch`, the server's processes, and `core`, where it runs.
pub(crate) fn run(asked: &Record) -> Outcome<()> {
    measure::raise_descriptor_limit();
    let mut load = Load::prepare(asked)?;
    let answers: Option<u64> = asked.find("answers").map(str::parse).transpose()?;
    let span = Duration::from_secs_f64(asked.number_or("seconds", PATIENCE.as_secs_f64())?);
    let watched = Watched::read(asked)?;
    let connections: usize = asked.number("connections")?;
    load.left_to_ask = answers;
    let warm_until = Instant::now()
        + if answers.is_some() {
            Duration::ZERO
        } else {
            WARM_UP
        };
    let mut first = answers.is_some().then(|| watched.look()).transpose()?;
    for place in 0..connections {
        load.connections.push(None);
        load.open(place)?;
    }
    let mut events = Vec::with_capacity(EVENTS);
    let last = loop {
        match epoll::wait(&load.epoll, spare_capacity(&mut events), Some(&TICK)) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let now = Instant::now();
        match &first {
            None if now >= warm_until => {
                first = Some(watched.look()?);
                load.tally = Tally::default();
            }
            Some(began) if now >= began.at + span => break watched.look()?,
            Some(_)
                if answers
                    .is_some_and(|wanted| load.tally.answers + load.tally.errors() >= wanted) =>
            {
                break watched.look()?;
            }
            None | Some(_) => {}
        }
        for event in events.drain(..) {
            let place = usize::try_from(event.data.u64())?;
            load.advance(place)?;
        }
    };
    let first = first.ok_or("the load ended before it began")?;
    load.count_who_waits(last.at);
    print(&mut load.tally, &first, &last);
    Ok(())
}

struct Load {
    epoll: OwnedFd,
    server: SocketAddrV4,
    requests: Vec<Vec<u8>>,
    length: u64,
    close: bool,
    discard: bool,
    dice: u64,
    left_to_ask: Option<u64>,
    connections: Vec<Option<Connection>>,
    buffer: Vec<u8>,
    dustbin: Vec<u8>, // zeroed on demand by the kernel: costs address space alone
    tally: Tally,
}

struct Connection {
    socket: OwnedFd,
    since: Instant, // when the request was sent or, with one connection per request, the connection asked for
    state: State,
}

enum State {
    /// The connection is being made, or there is nothing left to ask.
    Waiting,
    /// A request was sent; this much of its answer has been heard.
    Asked(Answer),
    /// The answer is whole; the server must now hang up.
    Answered,
}

/// What came of it.
#[derive(Default)]
struct Tally {
    answers: u64,
    body_bytes: u64,
    latencies: Vec<u32>, // nanoseconds, at most four seconds
    wrong_status: u64,
    wrong_length: u64,
    broken: u64,
}

impl Tally {
    fn errors(&self) -> u64 {
        self.wrong_status + self.wrong_length + self.broken
    }
}

impl Load {
    fn prepare(asked: &Record) -> Outcome<Self> {
        let close = asked.is_on("close");
        let server = SocketAddrV4::new(Ipv4Addr::LOCALHOST, asked.number("port")?);
        let paths = match asked.find("paths") {
            Some(file) => fs::read_to_string(file)?,
            None => asked.text("path")?.to_owned(),
        };
        let ending = if close {
            "Connection: close\r\n\r\n"
        } else {
            "\r\n"
        };
        let request =
            |path: &str| format!("GET {path} HTTP/1.1\r\nHost: {server}\r\n{ending}").into_bytes();
        let requests: Vec<_> = paths.lines().map(request).collect();
        if requests.is_empty() {
            return Err("no path to ask for".into());
        }
        let discard = asked.is_on("discard");
        Ok(Self {
            epoll: epoll::create(epoll::CreateFlags::CLOEXEC)?,
            server,
            requests,
            length: asked.number("length")?,
            close,
            discard,
            dice: asked
                .number_or("seed", 1_u64)?
                .wrapping_mul(0x9E37_79B9_7F4A_7C15)
                | 1,
            left_to_ask: None,
            connections: Vec::new(),
            buffer: vec![0; READ_BYTES],
            dustbin: vec![0; if discard { DISCARD_BYTES } else { 0 }],
            tally: Tally::default(),
        })
    }

    /// Makes a new connection at a place. Its request follows when the loop hears that it stands.
    fn open(&mut self, place: usize) -> Outcome<()> {
        self.connections[place] = None; // closed before the next is opened
        if self.left_to_ask == Some(0) {
            return Ok(());
        }
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let socket = socket_with(AddressFamily::INET, SocketType::STREAM, flags, None)?;
        sockopt::set_tcp_nodelay(&socket, true)?;
        let since = Instant::now();
        match connect(&socket, &self.server) {
            Ok(()) | Err(Errno::INPROGRESS) => {}
            Err(error) => return Err(format!("connecting to {}: {error}", self.server).into()),
        }
        let interest = EventFlags::IN | EventFlags::OUT | EventFlags::ET;
        epoll::add(
            &self.epoll,
            &socket,
            EventData::new_u64(place as u64),
            interest,
        )?;
        self.connections[place] = Some(Connection {
            socket,
            since,
            state: State::Waiting,
        });
        Ok(())
    }

    fn advance(&mut self, place: usize) -> Outcome<()> {
        let Some(connection) = self.connections[place].take() else {
            return Ok(());
        };
        match self.step(connection) {
            Step::Keep(connection) => self.connections[place] = Some(connection),
            Step::Renew => self.open(place)?,
        }
        Ok(())
    }

    fn step(&mut self, mut connection: Connection) -> Step {
        if matches!(connection.state, State::Waiting) {
            if !self.close {
                connection.since = Instant::now();
            }
            match self.ask(&connection.socket) {
                Ok(true) => connection.state = State::Asked(Answer::default()),
                // Not yet connected, or nothing to ask. There is nothing to read either.
                Ok(false) | Err(Errno::AGAIN | Errno::NOTCONN) => return Step::Keep(connection),
                Err(_) => return self.broken(),
            }
        }
        self.listen(connection)
    }

    /// Sends a request in one piece, unless none is left to be sent.
    fn ask(&mut self, socket: &OwnedFd) -> Result<bool, Errno> {
        if self.left_to_ask == Some(0) {
            return Ok(false);
        }
        let request = match self.requests.as_slice() {
            [only] => only,
            many => {
                // Marsaglia's xorshift: cheap, and the same for all servers in a round.
                self.dice ^= self.dice << 13;
                self.dice ^= self.dice >> 7;
                self.dice ^= self.dice << 17;
                &many[usize::try_from(self.dice % many.len() as u64).unwrap_or(0)]
            }
        };
        if send(socket, request, SendFlags::NOSIGNAL)? != request.len() {
            return Err(Errno::MSGSIZE); // does not happen with heads of 100 bytes
        }
        if let Some(left) = &mut self.left_to_ask {
            *left -= 1;
        }
        Ok(true)
    }

    /// Reads until there is nothing more. Bounded by what one answer holds.
    fn listen(&mut self, mut connection: Connection) -> Step {
        loop {
            let (buffer, flags) = match &connection.state {
                State::Asked(answer) if self.discard => match answer.body_left() {
                    Some(left) => {
                        let most = usize::try_from(left)
                            .unwrap_or(usize::MAX)
                            .clamp(1, DISCARD_BYTES);
                        (&mut self.dustbin[..most], RecvFlags::TRUNC)
                    }
                    None => (&mut self.buffer[..HEAD_BYTES], RecvFlags::empty()),
                },
                State::Asked(_) | State::Waiting | State::Answered => {
                    (&mut self.buffer[..], RecvFlags::empty())
                }
            };
            let count = match recv(&connection.socket, buffer, flags) {
                Ok((_, count)) => count,
                Err(Errno::AGAIN) => return Step::Keep(connection),
                Err(_) => return self.broken(),
            };
            let heard = match &mut connection.state {
                State::Asked(answer) if count == 0 => answer.end(),
                State::Asked(answer) if flags.contains(RecvFlags::TRUNC) => {
                    answer.pass_over(count as u64)
                }
                State::Asked(answer) => answer.hear(&self.buffer[..count]),
                State::Answered if count == 0 => return self.finish(connection),
                State::Waiting | State::Answered => return self.broken(), // more than was asked for, or less
            };
            if let State::Asked(answer) = &mut connection.state {
                self.tally.body_bytes += answer.take_new_bytes();
            }
            match heard {
                Heard::Part => {}
                Heard::Whole {
                    status,
                    length,
                    keep,
                } => {
                    if status != 200 {
                        self.tally.wrong_status += 1;
                    } else if length != self.length {
                        self.tally.wrong_length += 1;
                    }
                    if self.close || !keep {
                        connection.state = State::Answered;
                        if count == 0 {
                            return self.finish(connection);
                        }
                    } else {
                        return self.finish(connection);
                    }
                }
                Heard::Nonsense => return self.broken(),
            }
        }
    }

    /// Counts a whole answer, and asks again: on the same connection if it is still good.
    fn finish(&mut self, mut connection: Connection) -> Step {
        let now = Instant::now();
        let nanoseconds = now.duration_since(connection.since).as_nanos();
        self.tally.answers += 1;
        self.tally
            .latencies
            .push(u32::try_from(nanoseconds).unwrap_or(u32::MAX));
        if matches!(connection.state, State::Answered) {
            return Step::Renew;
        }
        connection.since = now;
        match self.ask(&connection.socket) {
            Ok(true) => connection.state = State::Asked(Answer::default()),
            Ok(false) => connection.state = State::Waiting,
            Err(_) => return self.broken(),
        }
        Step::Keep(connection) // the answer's edge is still to come
    }

    /// Who has waited longest without an answer has waited for at least so long: a server that stands still would otherwise
    /// look as if nobody had asked.
    fn count_who_waits(&mut self, now: Instant) {
        let asked = self.connections.iter().flatten();
        let oldest = asked
            .filter(|connection| matches!(connection.state, State::Asked(_)))
            .map(|connection| now.duration_since(connection.since).as_nanos())
            .max();
        let oldest = oldest.map(|age| u32::try_from(age).unwrap_or(u32::MAX));
        if oldest > self.tally.latencies.iter().copied().max() {
            self.tally.latencies.extend(oldest);
        }
    }

    fn broken(&mut self) -> Step {
        self.tally.broken += 1;
        Step::Renew
    }
}

/// What becomes of a connection after a step.
enum Step {
    Keep(Connection),
    Renew,
}

fn print(tally: &mut Tally, first: &Look, last: &Look) {
    tally.latencies.sort_unstable();
    let latency = |permille: usize| {
        let place = tally.latencies.len().saturating_sub(1) * permille / 1000;
        f64::from(tally.latencies.get(place).copied().unwrap_or(0)) / 1e3
    };
    println!(
        "answers={} body-bytes={} wrong-status={} wrong-length={} broken={} seconds={:.6} server={:.6} client={:.6} \
         all={:.2} core={:.2} p50={:.1} p99={:.1} longest={:.1}",
        tally.answers,
        tally.body_bytes,
        tally.wrong_status,
        tally.wrong_length,
        tally.broken,
        (last.at - first.at).as_secs_f64(),
        last.server - first.server,
        last.client - first.client,
        last.busy.all - first.busy.all,
        last.busy.core - first.busy.core,
        latency(500),
        latency(990),
        latency(1000),
    );
}
