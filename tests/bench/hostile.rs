//! Hostile clients: one process that does one wicked thing on many connections, for a given time.
//!
//! What lives here: the ways of being wicked. *Holders* open connections and do as little as they can, to be there for as
//! long as they can; *stormers* come, do harm and leave, as fast as it goes.
//! What it may not know: which server it talks to.
//! Invariant: bounded in time and connections, whatever the server does: no call here blocks for longer than a tick.
//! Read next: `attack.rs` and `soak.rs`, which send them.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, Shutdown, SocketFlags, SocketType, connect, getpeername,
    recv, send, shutdown, socket_with, sockopt,
};

use crate::honest::Dice;
use crate::record::Record;
use crate::site::{LARGE, PAGE, TINY};
use crate::{Outcome, measure, pause};

/// How often each connection of a holder is looked at, and how slow its bytes are.
const TICK: Duration = Duration::from_secs(1);
/// So many connections a holder opens in a tick, as many as slowhttptest is asked for.
pub(crate) const RATE: usize = 400;
/// What a reader that does not read, or hardly, lets the kernel keep for it, in bytes.
const SMALL_BUFFER: usize = 2048;
/// So many times such a reader asks for the large file: more than the server's send buffer takes.
const REPEATS: usize = 8;
/// Requests in one burst of a pipeliner.
const BURST: usize = 200;
/// A stormer has so many connections at once.
const STORM: usize = 64;
/// Pause between two such rounds, unless another is asked for, in microseconds.
const ROUND_MICROS: u64 = 200;
/// How long one connection of a stormer may last, in rounds over all of them.
const ROUNDS: u32 = 200;

/// One way of being wicked.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Way {
    /// Connects and says nothing.
    Silent,
    /// Sends half a head, and no more.
    HalfHead,
    /// Sends a head that never ends, a byte a second.
    ByteHead,
    /// Announces a body and sends a byte of it a second.
    ByteBody,
    /// Asks for much and never reads.
    NeverRead,
    /// Asks for much and reads a byte a second.
    ByteRead,
    /// Connects and leaves.
    Churn,
    /// Asks, reads up to some bytes, and resets the connection.
    Reset,
    /// Sends what is malformed, or could be read in two ways.
    Malformed,
    /// Sends many requests at once, and reads.
    Pipeline,
    /// Asks, says that no more will come, and reads.
    HalfClose,
}

/// All ways, with their names in records and tables.
pub(crate) const WAYS: [(Way, &str, &str); 11] = [
    (Way::Silent, "silent", "connect and say nothing"),
    (Way::HalfHead, "half-head", "half a head, and no more"),
    (
        Way::ByteHead,
        "byte-head",
        "a head without end, 1 byte a second",
    ),
    (Way::ByteBody, "byte-body", "a body, 1 byte a second"),
    (Way::NeverRead, "never-read", "ask for 8 MiB, never read"),
    (
        Way::ByteRead,
        "byte-read",
        "ask for 8 MiB, read 1 byte a second",
    ),
    (Way::Churn, "churn", "connect and leave, without pause"),
    (Way::Reset, "reset", "ask and reset, without pause"),
    (
        Way::Malformed,
        "malformed",
        "malformed and ambiguous requests",
    ),
    (Way::Pipeline, "pipeline", "bursts of 200 requests"),
    (Way::HalfClose, "half-close", "ask, then send no more"),
];

/// Heads that are malformed, or that two servers could read differently.
const MALFORMED: [&str; 16] = [
    "GET / HTTP/1.1\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
    "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\nhello\r\n0\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nX : y\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n",
    "GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /%00 HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /../../etc/passwd HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET / HTTP/9.9\r\nHost: a\r\n\r\n",
    "\x16\x03\x01\x02\x00\x01\x00\x01\u{fc}\x03\x03",
    "GET / HTTP/1.1\r\nHost: a\rX: y\r\n\r\n",
];

/// The role `hostile`: `port`, `way`, `count`, `seconds`, `seed`, and perhaps `pace`: microseconds between two rounds of a
/// stormer.
///
/// A holder's connections that the server closes are not opened again. Prints how many connections were opened, and how
/// many of them the server still held in the end.
pub(crate) fn run(asked: &Record) -> Outcome<()> {
    measure::raise_descriptor_limit();
    let wanted = asked.text("way")?;
    let found = WAYS.into_iter().find(|(_, word, _)| *word == wanted);
    let (way, ..) = found.ok_or_else(|| format!("no such way: {wanted}"))?;
    let band = Band {
        server: SocketAddrV4::new(Ipv4Addr::LOCALHOST, asked.number("port")?),
        way,
        end: Instant::now() + Duration::from_secs_f64(asked.number("seconds")?),
        pace: Duration::from_micros(asked.number_or("pace", ROUND_MICROS)?),
    };
    let dice = Dice(asked.number::<u64>("seed")?.wrapping_mul(2) | 1);
    let (opened, held) = if way.holds() {
        band.hold(asked.number("count")?)
    } else {
        band.storm(asked.number::<usize>("count")?.min(STORM), dice)
    };
    println!("opened={opened} held={held}");
    Ok(())
}

impl Way {
    /// Whether it holds its connections, rather than to come and go.
    pub(crate) fn holds(self) -> bool {
        match self {
            Self::Silent
            | Self::HalfHead
            | Self::ByteHead
            | Self::ByteBody
            | Self::NeverRead
            | Self::ByteRead => true,
            Self::Churn | Self::Reset | Self::Malformed | Self::Pipeline | Self::HalfClose => false,
        }
    }

    /// What it says first.
    fn opening(self, turn: usize) -> Vec<u8> {
        let get = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
        let text = match self {
            Self::Silent | Self::Churn => String::new(),
            Self::HalfHead => format!("GET {} HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-A", PAGE.path),
            Self::ByteHead => format!("GET {} HTTP/1.1\r\nHost: 127.0.0.1\r\n", PAGE.path),
            Self::ByteBody => format!(
                "POST {} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 4096\r\n\r\n",
                PAGE.path
            ),
            Self::NeverRead | Self::ByteRead => get(LARGE.path).repeat(REPEATS),
            Self::Reset => get([LARGE.path, PAGE.path, "/many/00/"][turn % 3]),
            Self::Malformed => MALFORMED[turn % MALFORMED.len()].to_owned(),
            Self::Pipeline => get(TINY.path).repeat(BURST),
            Self::HalfClose => get(PAGE.path),
        };
        text.into_bytes()
    }
}

/// One connection of a band.
struct Member {
    socket: OwnedFd,
    /// What it says first, as far as it is not yet said.
    unsaid: Vec<u8>,
    age: u32,
    gone: bool,
}

struct Band {
    server: SocketAddrV4,
    way: Way,
    end: Instant,
    pace: Duration,
}

impl Band {
    /// Begins a connection, without waiting for it.
    fn open(&self, turn: usize) -> Result<Member, Errno> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = socket_with(AddressFamily::INET, SocketType::STREAM, flags, None)?;
        // It leaves by reset, so that nothing of it stays in the kernel and takes ports from those who come later.
        sockopt::set_socket_linger(&socket, Some(Duration::ZERO))?;
        sockopt::set_tcp_nodelay(&socket, true)?;
        if matches!(self.way, Way::NeverRead | Way::ByteRead) {
            sockopt::set_socket_recv_buffer_size(&socket, SMALL_BUFFER)?;
        }
        match connect(&socket, &self.server) {
            Ok(()) | Err(Errno::INPROGRESS) => {}
            Err(error) => return Err(error),
        }
        Ok(Member {
            socket,
            unsaid: self.way.opening(turn),
            age: 0,
            gone: false,
        })
    }

    /// Opens connections and holds them until the end.
    fn hold(&self, count: usize) -> (usize, usize) {
        let mut members: Vec<Member> = Vec::with_capacity(count);
        while Instant::now() < self.end {
            let next = Instant::now() + TICK;
            let room = RATE.min(count - members.len());
            members.extend((0..room).map_while(|turn| self.open(turn).ok()));
            for member in members.iter_mut().filter(|member| !member.gone) {
                self.loiter(member);
            }
            pause(next.min(self.end).saturating_duration_since(Instant::now()));
        }
        let held = members.iter().filter(|member| member.is_held()).count();
        (members.len(), held)
    }

    /// What a held connection does in a tick.
    fn loiter(&self, member: &mut Member) {
        member.speak();
        if !member.unsaid.is_empty() {
            return;
        }
        match self.way {
            Way::ByteHead | Way::ByteBody => {
                let line = b"X-a: b\r\n";
                member.unsaid = vec![line[member.age as usize % line.len()]];
                member.age += 1;
            }
            Way::ByteRead => {
                member.hear(1);
            }
            Way::Silent
            | Way::HalfHead
            | Way::NeverRead
            | Way::Churn
            | Way::Reset
            | Way::Malformed
            | Way::Pipeline
            | Way::HalfClose => {}
        }
    }

    /// Comes, does harm and leaves, on some connections at once, until the end.
    fn storm(&self, count: usize, mut dice: Dice) -> (usize, usize) {
        let mut opened = 0;
        let mut members: Vec<Member> = Vec::new();
        while Instant::now() < self.end {
            while members.len() < count {
                let Ok(member) = self.open(opened) else {
                    break; // out of ports for now
                };
                members.push(member);
                opened += 1;
            }
            for member in &mut members {
                self.harm(member, &mut dice);
            }
            members.retain(|member| !member.gone);
            pause(self.pace);
        }
        (
            opened,
            members.iter().filter(|member| member.is_held()).count(),
        )
    }

    /// What a connection of a storm does in a round.
    fn harm(&self, member: &mut Member, dice: &mut Dice) {
        member.age += 1;
        member.speak();
        let said = member.unsaid.is_empty();
        let too_old = member.age > ROUNDS;
        member.gone |= too_old
            || match self.way {
                Way::Churn => getpeername(&member.socket).is_ok(),
                // In any state: before the request is out, while it is answered, after.
                Way::Reset => dice.below(4) == 0 || said && !member.hear(dice.below(5000)),
                Way::HalfClose if said => {
                    shutdown(&member.socket, Shutdown::Write).ok();
                    !member.hear(1 << 16)
                }
                Way::Malformed | Way::Pipeline | Way::HalfClose => !member.hear(1 << 16),
                Way::Silent
                | Way::HalfHead
                | Way::ByteHead
                | Way::ByteBody
                | Way::NeverRead
                | Way::ByteRead => true,
            };
    }
}

impl Member {
    /// Says what is unsaid, as far as the socket takes it.
    fn speak(&mut self) {
        let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
        match send(&self.socket, &self.unsaid, flags) {
            _ if self.unsaid.is_empty() => {}
            Ok(count) => drop(self.unsaid.drain(..count)),
            Err(Errno::AGAIN | Errno::NOTCONN) => {} // not yet connected, or nobody reads
            Err(_) => self.gone = true,
        }
    }

    /// Reads up to some bytes; whether there may be more.
    fn hear(&self, bytes: u64) -> bool {
        let mut buffer = vec![0; usize::try_from(bytes).unwrap_or(1)];
        match recv(&self.socket, &mut *buffer, RecvFlags::DONTWAIT) {
            Ok((_, 0)) => bytes == 0,
            Ok(_) | Err(Errno::AGAIN | Errno::NOTCONN) => true,
            Err(_) => false,
        }
    }

    /// Whether the server still has it; what it said last is read over.
    fn is_held(&self) -> bool {
        let mut buffer = vec![0; 1 << 16];
        // Bounded by what is in a socket's buffer, and some more where the server goes on.
        for _ in 0..REPEATS {
            match recv(&self.socket, &mut *buffer, RecvFlags::DONTWAIT) {
                Ok((_, 0)) => return false,
                Ok(_) => {}
                Err(error) => return error == Errno::AGAIN && getpeername(&self.socket).is_ok(),
            }
        }
        true
    }
}
