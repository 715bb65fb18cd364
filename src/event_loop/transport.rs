//! The system calls of a stream socket, and the seam where tests script a socket of their own.
//!
//! They know neither readiness nor budget: `tcp.rs` alone makes these calls.

use std::fs::File;
use std::io;
use std::net::IpAddr;
use std::os::unix::fs::FileExt as _;
use std::time::Duration;

use mio::net::TcpStream;
use rustix::io::Errno;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, Shutdown, sockopt};
use socket2::SockRef;

use crate::limits::SCRATCH_BYTES;

use super::page_cache;
use crate::event_loop::page_cache::Before;
use crate::event_loop::unacknowledged::unacknowledged;

/// A stream socket: the kernel's [`TcpStream`], or one that a test scripts.
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

    /// Whether [`send_file`](Self::send_file) could send those bytes without waiting for a disk:
    /// see [`page_cache::is_in_memory`].
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

    /// While corked, only full segments are sent (`TCP_CORK`; for 200 ms at most, tcp(7)).
    /// `MSG_MORE` does less: an acknowledgement between two calls has the kernel send what lies
    /// there.
    fn set_cork(&mut self, _on: bool) {}

    /// How many bytes the kernel may take beyond what it may send at once (`TCP_NOTSENT_LOWAT`);
    /// see [`UNSENT_BYTES_ALL`](crate::limits::UNSENT_BYTES_ALL).
    fn set_notsent_lowat(&mut self, _bytes: u32) {}

    /// From now on closing discards what the peer has not taken, instead of leaving it to the
    /// kernel for minutes.
    fn abort_on_close(&mut self) {}

    /// Asks the kernel what is at the other end: a slot has no room for what only log lines need.
    fn peer(&self) -> PeerAddress;

    /// Bytes that were sent and that the peer has not acknowledged, if the kernel says so.
    fn unacknowledged(&self) -> Option<u32>;
}

/// The other end of a stream, or the client for which a proxy speaks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PeerAddress {
    /// This address; an IPv4-mapped one is given as IPv4.
    Ip(IpAddr),
    /// A Unix socket of this machine.
    Unix,
    /// Not known: the connection is gone already, or a proxy hides its client.
    Unknown,
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

    /// Where the file system does not have sendfile(2), by a bounded read and a send.
    fn send_file(&mut self, file: &File, at: u64, count: usize) -> io::Result<usize> {
        let mut offset = at;
        match rustix::fs::sendfile(&*self, file, Some(&mut offset), count) {
            Err(Errno::INVAL | Errno::NOSYS) => {}
            done => return Ok(done?),
        }
        let mut piece = vec![0; count.min(SCRATCH_BYTES)];
        let n = file.read_at(&mut piece, at)?;
        if n == 0 {
            return Ok(0);
        }
        self.send(&piece[..n], false)
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

    fn peer(&self) -> PeerAddress {
        match self.peer_addr() {
            Ok(address) => PeerAddress::Ip(address.ip().to_canonical()),
            Err(_) if sockopt::socket_domain(self) == Ok(AddressFamily::UNIX) => PeerAddress::Unix,
            Err(_) => PeerAddress::Unknown,
        }
    }

    fn unacknowledged(&self) -> Option<u32> {
        unacknowledged(self.local_addr().ok()?, self.peer_addr().ok()?)
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
        let mut ours = TcpStream::from_std(ours);
        let file = File::open("/proc/self/cmdline").unwrap();
        assert_eq!(
            rustix::fs::sendfile(&ours, &file, Some(&mut 0), 10),
            Err(Errno::INVAL),
            "procfs has learnt it: use another file system here"
        );
        let all = std::fs::read("/proc/self/cmdline").unwrap();
        assert_eq!(ours.send_file(&file, 1, 10).unwrap(), 10);
        let end = all.len() as u64;
        assert_eq!(ours.send_file(&file, end, 10).unwrap(), 0, "its end");
        drop(ours);
        let mut came = Vec::new();
        theirs.read_to_end(&mut came).unwrap();
        assert_eq!(came, all[1..11]);
    }
}
