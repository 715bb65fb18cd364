//! A stream socket with its readiness: the only file that moves stream bytes.
//!
//! It reads, writes, sends files and closes without ever waiting. Every call goes through
//! [`Link::attempt`], so that readiness and budget are always accounted for.

use std::fs::File;
use std::io;
use std::mem::take;
use std::net::SocketAddr;
use std::os::unix::fs::FileExt as _;
use std::time::Duration;

use mio::net::TcpStream;
use rustix::io::Errno;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, Shutdown, sockopt};
use socket2::SockRef;

use crate::limits::{LINGER_BYTES_MAX, SCRATCH_BYTES, SENDFILE_BYTES_MAX};

use super::{Context, Deadline, Next, page_cache};
use crate::event_loop::page_cache::Before;
use crate::event_loop::readiness::{Attempt, Link, Side};
use crate::event_loop::unacknowledged::unacknowledged;

/// The system calls of a stream. Those of the kernel are implemented for [`TcpStream`]; tests script
/// their own.
pub trait Transport {
    /// Reads what is there. 0 is the end of input.
    ///
    /// # Errors
    /// As recv(2) reports them, would-block included.
    fn recv(&mut self, into: &mut [u8]) -> io::Result<usize>;

    /// Sends some of `bytes`; `more` says that more follows at once, so that the kernel fills its
    /// segments.
    ///
    /// # Errors
    /// As send(2) reports them, would-block included.
    fn send(&mut self, bytes: &[u8], more: bool) -> io::Result<usize>;

    /// Sends up to `count` bytes of `file` from offset `at`. 0: the file ends there.
    ///
    /// # Errors
    /// As sendfile(2) reports them, would-block included.
    fn send_file(&mut self, file: &File, at: u64, count: usize) -> io::Result<usize>;

    /// Whether [`send_file`](Self::send_file) could send those bytes without waiting for a disk: see
    /// [`page_cache::is_in_memory`].
    fn has_in_memory(
        &self,
        file: &File,
        at: u64,
        count: usize,
        left: usize,
        before: Before,
    ) -> bool {
        page_cache::is_in_memory(file, at, count, left, before)
    }

    /// Says that nothing more will be sent (a half-close).
    ///
    /// # Errors
    /// As shutdown(2) reports them.
    fn shut_down_write(&mut self) -> io::Result<()>;

    /// While corked, only full segments are sent (`TCP_CORK`; for 200 ms at most, tcp(7)). `MSG_MORE`
    /// does less: an acknowledgement between two calls has the kernel send what lies there.
    fn set_cork(&mut self, _on: bool) {}

    /// How many bytes the kernel may take beyond what it may send at once (`TCP_NOTSENT_LOWAT`); see
    /// [`UNSENT_BYTES_ALL`](crate::limits::UNSENT_BYTES_ALL).
    fn set_notsent_lowat(&mut self, _bytes: u32) {}

    /// From now on closing discards what the peer has not taken, instead of leaving it to the kernel
    /// for minutes.
    fn abort_on_close(&mut self) {}

    /// Asks the kernel what is at the other end: a slot has no room for what only log lines need.
    fn peer(&self) -> Peer;

    /// Bytes that were sent and that the peer has not acknowledged, if the kernel says so.
    fn unacknowledged(&self) -> Option<u32>;
}

/// What is at the other end of a stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Peer {
    /// A socket with an address.
    Address(SocketAddr),
    /// A Unix socket of this machine.
    Unix,
    /// Nothing any more.
    Gone,
}

impl Transport for TcpStream {
    fn recv(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let (n, _) = rustix::net::recv(&*self, into, RecvFlags::empty())?;
        Ok(n)
    }

    fn send(&mut self, bytes: &[u8], more: bool) -> io::Result<usize> {
        // NOSIGNAL: a peer that hung up must not end the process by SIGPIPE.
        let flags = if more {
            SendFlags::NOSIGNAL | SendFlags::MORE
        } else {
            SendFlags::NOSIGNAL
        };
        Ok(rustix::net::send(&*self, bytes, flags)?)
    }

    fn send_file(&mut self, file: &File, at: u64, count: usize) -> io::Result<usize> {
        send_file(self, file, at, count)
    }

    fn shut_down_write(&mut self) -> io::Result<()> {
        Ok(rustix::net::shutdown(&*self, Shutdown::Write)?)
    }

    fn set_cork(&mut self, on: bool) {
        // A Unix socket has no segments.
        let _ = sockopt::set_tcp_cork(self, on);
    }

    fn set_notsent_lowat(&mut self, bytes: u32) {
        // A Unix socket has a buffer of its own, and it is small.
        let _ = SockRef::from(&*self).set_tcp_notsent_lowat(bytes);
    }

    fn abort_on_close(&mut self) {
        // Where that fails, the kernel keeps it for as long as it always does.
        let _ = sockopt::set_socket_linger(&*self, Some(Duration::ZERO));
    }

    fn peer(&self) -> Peer {
        match self.peer_addr() {
            Ok(address) => Peer::Address(address),
            Err(_) if sockopt::socket_domain(self) == Ok(AddressFamily::UNIX) => Peer::Unix,
            Err(_) => Peer::Gone,
        }
    }

    fn unacknowledged(&self) -> Option<u32> {
        unacknowledged(self.local_addr().ok()?, self.peer_addr().ok()?)
    }
}

/// `sendfile`, or where the file system does not have it, a bounded read and a send.
fn send_file(socket: &TcpStream, file: &File, at: u64, count: usize) -> io::Result<usize> {
    let mut offset = at;
    match rustix::fs::sendfile(socket, file, Some(&mut offset), count) {
        Err(Errno::INVAL | Errno::NOSYS) => {}
        done => return Ok(done?),
    }
    let mut piece = vec![0; count.min(SCRATCH_BYTES)];
    let n = file.read_at(&mut piece, at)?;
    if n == 0 {
        return Ok(0);
    }
    Ok(rustix::net::send(socket, &piece[..n], SendFlags::NOSIGNAL)?)
}

/// A stream socket that never waits.
#[derive(Debug)]
pub struct Stream<T = TcpStream>(T);

/// How a lingering close goes on.
#[derive(Debug)]
pub enum Lingering {
    /// It is not over.
    Wait(Next),
    /// The peer has closed its side as well.
    HungUp,
    /// The peer did not close in time.
    TimedOut,
    /// The peer sent more than [`LINGER_BYTES_MAX`].
    TooMuch,
    /// The connection is broken.
    Failed(io::Error),
}

impl<T: Transport> Stream<T> {
    /// Wraps a connected (or connecting) socket.
    pub fn new(transport: T) -> Self {
        Self(transport)
    }

    /// The socket itself: for registering it, and for setting its options.
    pub fn transport(&mut self) -> &mut T {
        &mut self.0
    }

    /// The socket itself, for asking the kernel about it.
    pub fn get(&self) -> &T {
        &self.0
    }

    /// Reads once. `Done(0)` is the end of input.
    pub fn read(&mut self, link: &mut Link, into: &mut [u8]) -> Attempt<usize> {
        let room = into.len();
        let came = link.attempt(Side::Read, || self.0.recv(into));
        if let Attempt::Done(n) = came {
            log::trace!("{} read {n} of {room} bytes", link.key);
            if n > 0 {
                link.came(n, room);
            }
        }
        came
    }

    /// Sends some of `bytes`. The budget is charged for what goes out, and may be overdrawn by this
    /// one call.
    pub fn write(&mut self, link: &mut Link, bytes: &[u8], more: bool) -> Attempt<usize> {
        let sent = link.attempt(Side::Write, || self.0.send(bytes, more));
        if let Attempt::Done(n) = sent {
            log::trace!("{} wrote {n} of {} bytes", link.key, bytes.len());
            link.charge(n);
        }
        sent
    }

    /// Sends some of the `left` bytes of `file` from offset `at` on, at most what the budget allows.
    /// `Done(0)`: the file ended early. `None`: the bytes are on a disk, which has been asked for
    /// them; `before` says whether those before them were.
    ///
    /// A short count promises nothing (a signal causes it, too), so only would-block parks.
    pub fn send_file(
        &mut self,
        link: &mut Link,
        file: &File,
        at: u64,
        left: u64,
        before: Before,
    ) -> Option<Attempt<usize>> {
        let left = usize::try_from(left).unwrap_or(usize::MAX);
        let count = left.min(SENDFILE_BYTES_MAX);
        // The rest of a budget is too small a piece: the next turn has a whole one.
        if link.budget() < count.min(SENDFILE_BYTES_MAX / 2) {
            return Some(Attempt::Spent);
        }
        let count = count.min(link.budget());
        // Skip the page-cache check while the socket is not writable.
        if link.ready.is(Side::Write) && !self.0.has_in_memory(file, at, count, left, before) {
            let key = link.key;
            log::trace!("{key} {count} bytes of a file from {at} are not in memory");
            return None;
        }
        let sent = link.attempt(Side::Write, || self.0.send_file(file, at, count));
        if let Attempt::Done(n) = sent {
            log::trace!("{} sent {n} of {count} bytes of a file from {at}", link.key);
            link.charge(n);
        }
        Some(sent)
    }

    /// Says that nothing more will be sent (a half-close).
    ///
    /// # Errors
    /// If the peer is already gone.
    pub fn shut_down_write(&mut self) -> io::Result<()> {
        self.0.shut_down_write()
    }

    /// The rest of a lingering close, after [`shut_down_write`](Self::shut_down_write): discards what
    /// the peer still sends until it closes, too. Closing a socket with unread input makes the
    /// kernel send a reset, which destroys what the peer has not read yet (RFC 9112 §9.6).
    ///
    /// `discarded` counts the bytes, at most [`LINGER_BYTES_MAX`]. `begins`: the `timeout` counts
    /// from this drive; later ones do not extend it. Bounded by the budget.
    pub fn linger<S>(
        &mut self,
        discarded: &mut u64,
        begins: bool,
        timeout: Duration,
        cx: &mut Context<'_, S>,
    ) -> Lingering {
        if take(&mut cx.expired) && !begins {
            return Lingering::TimedOut;
        }
        let deadline = if begins {
            Deadline::At(cx.now.tick.after(timeout))
        } else {
            Deadline::Keep
        };
        loop {
            match self.read(&mut cx.link, cx.scratch) {
                Attempt::Done(0) => return Lingering::HungUp,
                Attempt::Done(n) => {
                    *discarded += n as u64;
                    if *discarded > LINGER_BYTES_MAX {
                        return Lingering::TooMuch;
                    }
                }
                Attempt::Blocked => return Lingering::Wait(Next::Park(Side::Read, deadline)),
                Attempt::Spent => return Lingering::Wait(Next::Again(deadline)),
                Attempt::Failed(e) => return Lingering::Failed(e),
            }
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may stop")]
mod tests {
    use super::*;
    use std::io::Read as _;

    #[test]
    fn where_the_file_system_has_no_sendfile_its_bytes_are_sent_all_the_same() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let ours = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut theirs, _) = listener.accept().unwrap();
        let ours = TcpStream::from_std(ours);
        let file = File::open("/proc/self/cmdline").unwrap();
        assert_eq!(
            rustix::fs::sendfile(&ours, &file, Some(&mut 0), 10),
            Err(Errno::INVAL),
            "procfs has learnt it: use another file system here"
        );
        let all = std::fs::read("/proc/self/cmdline").unwrap();
        assert_eq!(send_file(&ours, &file, 1, 10).unwrap(), 10);
        let end = all.len() as u64;
        assert_eq!(send_file(&ours, &file, end, 10).unwrap(), 0, "its end");
        drop(ours);
        let mut came = Vec::new();
        theirs.read_to_end(&mut came).unwrap();
        assert_eq!(came, all[1..11]);
    }
}
