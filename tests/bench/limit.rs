//! The limit server: the least that one thread can do, and so the measure of all others.
//!
//! What lives here: edge-triggered epoll, read, count blank lines, send the same bytes for each. Three more ways of
//! answering show what files cost at least: opening one for each request, keeping what was read and looking whether the
//! file is still the same, and `sendfile` from an open one.
//! What it may not know: HTTP (no method, no header; a head that arrives in two reads is missed, which
//! clients on loopback do not do), time-outs, anything about its clients.
//! Invariant: for one small request on a kept connection it makes two system calls, `recv` and `send`.
//! Read next: `load.rs`, the client that drives it.

use std::collections::HashMap;
use std::io::IoSlice;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::{AsRawFd, OwnedFd};

use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::fs::{AtFlags, CWD, Mode, OFlags, StatxFlags, statx};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, accept_with, bind, listen, recv,
    send, socket_with, sockopt,
};

use crate::Outcome;
use crate::record::Record;

/// Events asked for at once.
const EVENTS: usize = 1024;
/// Bytes read at once.
const READ_BYTES: usize = 64 * 1024;
/// The queue of connections that wait to be accepted; the kernel cuts it to `net.core.somaxconn`.
const BACKLOG: i32 = 4096;
/// Marks the listener's events; no descriptor has this number.
const LISTENER: u64 = u64::MAX;
/// The length of the head it sends, in bytes: that of a common server's answer.
const HEAD_BYTES: usize = 238;

/// The role `limit`: serves until it is killed.
///
/// `port`; `way` is `constant` (with `body`, bytes), `open` or `look` (with `root`) or `sendfile` (with `file`);
/// `close=yes` ends each connection after its answer; `reuse-port=yes` shares the port.
pub(crate) fn serve(asked: &Record) -> Outcome<()> {
    let close = asked.is_on("close");
    let descriptors = crate::measure::raise_descriptor_limit();
    let mut server = Server {
        epoll: epoll::create(epoll::CreateFlags::CLOEXEC)?,
        work: Work::prepare(asked, close)?,
        close,
        clients: Vec::with_capacity(descriptors),
    };
    let listener = open_listener(asked.number("port")?, asked.is_on("reuse-port"))?;
    epoll::add(
        &server.epoll,
        &listener,
        EventData::new_u64(LISTENER),
        EventFlags::IN | EventFlags::ET,
    )?;
    let mut events = Vec::with_capacity(EVENTS);
    let mut buffer = vec![0; READ_BYTES];
    loop {
        match epoll::wait(&server.epoll, spare_capacity(&mut events), None) {
            Ok(_) => {}
            Err(Errno::INTR) => continue,
            Err(error) => return Err(error.into()),
        }
        for event in events.drain(..) {
            if event.data.u64() == LISTENER {
                server.accept_all(&listener)?;
            } else {
                server.advance(event.data.u64(), event.flags, &mut buffer);
            }
        }
    }
}

fn open_listener(port: u16, reuse_port: bool) -> Outcome<OwnedFd> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let listener = socket_with(AddressFamily::INET, SocketType::STREAM, flags, None)?;
    sockopt::set_socket_reuseaddr(&listener, true)?;
    sockopt::set_socket_reuseport(&listener, reuse_port)?;
    sockopt::set_tcp_nodelay(&listener, true)?; // accepted sockets inherit it
    bind(&listener, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, port))?;
    listen(&listener, BACKLOG)?;
    Ok(listener)
}

struct Server {
    epoll: OwnedFd,
    work: Work,
    close: bool,
    clients: Vec<Option<Client>>, // by descriptor number
}

struct Client {
    socket: OwnedFd,
    owed: u32, // answers not yet sent whole
    sent: u64, // bytes of the first of them that are gone
}

/// What becomes of a client after a step.
#[derive(PartialEq)]
enum Fate {
    Stays,
    Leaves,
}

impl Server {
    fn accept_all(&mut self, listener: &OwnedFd) -> Outcome<()> {
        // Bounded by the queue: ends when it is empty, or when descriptors run out (the rest then waits).
        while let Ok(socket) = accept_with(listener, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC) {
            let place = usize::try_from(socket.as_raw_fd())?;
            let interest = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
            epoll::add(
                &self.epoll,
                &socket,
                EventData::new_u64(u64::try_from(place)?),
                interest,
            )?;
            if self.clients.len() <= place {
                self.clients.resize_with(place + 1, || None);
            }
            self.clients[place] = Some(Client {
                socket,
                owed: 0,
                sent: 0,
            });
        }
        Ok(())
    }

    fn advance(&mut self, place: u64, flags: EventFlags, buffer: &mut [u8]) {
        let Some(slot) = usize::try_from(place)
            .ok()
            .and_then(|place| self.clients.get_mut(place))
        else {
            return;
        };
        let Some(client) = slot else { return };
        let mut fate = Fate::Stays;
        if client.owed > 0 && flags.contains(EventFlags::OUT) {
            fate = self.work.answer(client, self.close);
        }
        let readable = EventFlags::IN | EventFlags::HUP | EventFlags::ERR | EventFlags::RDHUP;
        if fate == Fate::Stays && flags.intersects(readable) {
            let ends = flags.intersects(EventFlags::RDHUP | EventFlags::HUP);
            fate = self.work.hear(client, ends, self.close, buffer);
        }
        if fate == Fate::Leaves {
            *slot = None;
        }
    }
}

/// How an answer is made.
enum Work {
    /// The same bytes each time.
    Constant(Vec<u8>),
    /// `openat`, `fstat`, `read`, `close` of the file asked for, then one send: a server without a cache.
    Open {
        root: OwnedFd,
        head: Vec<u8>,
        body: Vec<u8>,
    },
    /// What was read before, after a look at the file, then one send: the least of a server that keeps files and never sends
    /// an old one.
    Look {
        root: OwnedFd,
        kept: HashMap<Vec<u8>, Kept>,
        body: Vec<u8>,
    },
    /// Head, then `sendfile` from a file that stays open.
    Sendfile {
        head: Vec<u8>,
        file: OwnedFd,
        length: u64,
    },
}

struct Kept {
    changed: (i64, u32), // seconds and nanoseconds
    answer: Vec<u8>,
}

impl Work {
    fn prepare(asked: &Record, close: bool) -> Outcome<Self> {
        let open = |path: &str, flags| {
            rustix::fs::openat(CWD, path, flags | OFlags::CLOEXEC, Mode::empty())
        };
        Ok(match asked.text("way")? {
            "constant" => {
                let body: usize = asked.number("body")?;
                let mut bytes = head(u64::try_from(body)?, close);
                bytes.resize(bytes.len() + body, b'a');
                Self::Constant(bytes)
            }
            "open" => Self::Open {
                root: open(asked.text("root")?, OFlags::PATH | OFlags::DIRECTORY)?,
                head: Vec::new(),
                body: vec![0; READ_BYTES],
            },
            "look" => Self::Look {
                root: open(asked.text("root")?, OFlags::PATH | OFlags::DIRECTORY)?,
                kept: HashMap::new(),
                body: vec![0; READ_BYTES],
            },
            "sendfile" => {
                let file = open(asked.text("file")?, OFlags::RDONLY)?;
                let length = u64::try_from(rustix::fs::fstat(&file)?.st_size)?;
                Self::Sendfile {
                    head: head(length, close),
                    file,
                    length,
                }
            }
            other => return Err(format!("no such way of answering: {other}").into()),
        })
    }

    /// Reads what is there and answers each blank line in it. `ends`: the kernel said that no more will come
    /// after this, so a short read is not the last word.
    fn hear(&mut self, client: &mut Client, ends: bool, close: bool, buffer: &mut [u8]) -> Fate {
        // Bounded by what the client sent: it waits for its answers.
        loop {
            let length = match recv(&client.socket, &mut *buffer, RecvFlags::empty()) {
                Ok((_, 0)) => return Fate::Leaves,
                Ok((_, length)) => length,
                Err(Errno::AGAIN) => return Fate::Stays,
                Err(_) => return Fate::Leaves,
            };
            let mut rest = &buffer[..length];
            while let Some(end) = after_blank_line(rest) {
                client.owed += 1;
                let fate = match self {
                    Self::Open { root, head, body } => {
                        let request = &rest[..end];
                        let read = open_and_read(request, root, head, body, close);
                        let parts = read.map(|length| [&head[..], &body[..length]]);
                        send_whole(client, parts, close)
                    }
                    Self::Look { root, kept, body } => {
                        let answer = look(&rest[..end], root, kept, body, close);
                        send_whole(client, answer.map(|answer| [answer, &[]]), close)
                    }
                    Self::Constant(_) | Self::Sendfile { .. } if client.owed > 1 => Fate::Stays,
                    Self::Constant(_) | Self::Sendfile { .. } => self.answer(client, close),
                };
                if fate == Fate::Leaves {
                    return fate;
                }
                rest = &rest[end..];
            }
            if length < buffer.len() && !ends {
                return Fate::Stays; // epoll(7): a short read has emptied the socket
            }
        }
    }

    /// Sends what is owed, as far as the socket takes it.
    fn answer(&self, client: &mut Client, close: bool) -> Fate {
        while client.owed > 0 {
            let sent = match self {
                Self::Constant(bytes) => send_rest(client, bytes, SendFlags::NOSIGNAL),
                Self::Sendfile { head, file, length } => {
                    send_file_rest(client, head, file, *length)
                }
                Self::Open { .. } | Self::Look { .. } => return Fate::Stays, // see `send_whole`
            };
            match sent {
                Ok(()) if close => return Fate::Leaves,
                Ok(()) => {
                    client.owed -= 1;
                    client.sent = 0;
                }
                Err(Errno::AGAIN) => return Fate::Stays,
                Err(_) => return Fate::Leaves,
            }
        }
        Fate::Stays
    }
}

fn send_rest(client: &mut Client, bytes: &[u8], flags: SendFlags) -> Result<(), Errno> {
    while let Some(rest) = usize::try_from(client.sent)
        .ok()
        .and_then(|sent| bytes.get(sent..))
        .filter(|rest| !rest.is_empty())
    {
        client.sent += send(&client.socket, rest, flags)? as u64;
    }
    Ok(())
}

fn send_file_rest(
    client: &mut Client,
    head: &[u8],
    file: &OwnedFd,
    length: u64,
) -> Result<(), Errno> {
    send_rest(client, head, SendFlags::NOSIGNAL | SendFlags::MORE)?;
    let before = head.len() as u64;
    while client.sent < before + length {
        let mut offset = client.sent - before;
        let wanted = usize::try_from(length - offset).unwrap_or(usize::MAX);
        match rustix::fs::sendfile(&client.socket, file, Some(&mut offset), wanted)? {
            0 => return Err(Errno::IO), // the file became shorter
            moved => client.sent += moved as u64,
        }
    }
    Ok(())
}

/// Sends an answer whole, or lets the client go.
fn send_whole(client: &mut Client, answer: Result<[&[u8]; 2], Errno>, close: bool) -> Fate {
    client.owed = 0;
    let sent = answer.and_then(|[head, body]| {
        let sent = if body.is_empty() {
            send(&client.socket, head, SendFlags::NOSIGNAL)?
        } else {
            rustix::io::writev(&client.socket, &[IoSlice::new(head), IoSlice::new(body)])?
        };
        Ok(sent == head.len() + body.len())
    });
    match sent {
        Ok(true) if !close => Fate::Stays,
        Ok(_) | Err(_) => Fate::Leaves,
    }
}

fn path_of(request: &[u8]) -> Result<&[u8], Errno> {
    request
        .strip_prefix(b"GET /")
        .and_then(|rest| rest.split(|byte| *byte == b' ').next())
        .ok_or(Errno::INVAL)
}

/// What is kept for a request, if the file has not changed since; else what it says now.
fn look<'k>(
    request: &[u8],
    root: &OwnedFd,
    kept: &'k mut HashMap<Vec<u8>, Kept>,
    body: &mut [u8],
    close: bool,
) -> Result<&'k [u8], Errno> {
    let path = path_of(request)?;
    let seen = statx(root, path, AtFlags::empty(), StatxFlags::BASIC_STATS)?;
    let changed = (seen.stx_mtime.tv_sec, seen.stx_mtime.tv_nsec);
    if kept.get(path).is_none_or(|kept| kept.changed != changed) {
        let mut answer = Vec::new();
        let length = open_and_read(request, root, &mut answer, body, close)?;
        answer.extend_from_slice(&body[..length]);
        kept.insert(path.to_vec(), Kept { changed, answer });
    }
    Ok(kept
        .get(path)
        .map(|kept| &kept.answer[..])
        .unwrap_or_default())
}

/// Of a file at most [`READ_BYTES`].
fn open_and_read(
    request: &[u8],
    root: &OwnedFd,
    answer_head: &mut Vec<u8>,
    body: &mut [u8],
    close: bool,
) -> Result<usize, Errno> {
    let path = path_of(request)?;
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let file = rustix::fs::openat(root, path, flags, Mode::empty())?;
    let length = u64::try_from(rustix::fs::fstat(&file)?.st_size).map_err(|_| Errno::IO)?;
    *answer_head = head(length, close);
    rustix::io::read(&file, body)
}

/// The head of an answer, padded to [`HEAD_BYTES`].
fn head(body: u64, close: bool) -> Vec<u8> {
    let connection = if close { "close" } else { "keep-alive" };
    let mut head = format!(
        "HTTP/1.1 200 OK\r\nServer: limit\r\nContent-Type: text/html\r\nContent-Length: {body}\r\n\
         Connection: {connection}\r\nPadding: "
    );
    while head.len() < HEAD_BYTES - 4 {
        head.push('.');
    }
    head.push_str("\r\n\r\n");
    head.into_bytes()
}

/// Where the first blank line ends. Looks at every fourth byte until one can belong to it.
fn after_blank_line(bytes: &[u8]) -> Option<usize> {
    let mut last = 3;
    while let Some(byte) = bytes.get(last) {
        match byte {
            b'\n' if bytes[last - 3..last] == *b"\r\n\r" => return Some(last + 1),
            b'\n' => last += 2,
            b'\r' => last += 1,
            _ => last += 4,
        }
    }
    None
}
