//! The system calls of a stream socket, and the seam where tests script a socket of their own.
//!
//! A [`Transport`] knows neither readiness nor budget: `tcp.rs` alone makes its calls.

use std::fs::File;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::FileExt as _;
use std::time::Duration;

use mio::net::TcpStream;
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, Shutdown, SocketFlags, SocketType, netlink, recv, send,
    socket_with, sockopt,
};
use socket2::{Domain, SockRef, Socket, Type};

use crate::event_loop::page_cache::{self, Before};
use crate::event_loop::readiness::{Link, Side};
use crate::limits::SCRATCH_BYTES;

/// A stream socket: the kernel's [`TcpStream`], or one that a test scripts. Its calls fail as
/// recv(2), send(2), sendfile(2) and shutdown(2) do, would-block included.
pub trait Transport {
    /// Reads what is there. 0 is the end of input.
    fn recv(&mut self, into: &mut [u8]) -> io::Result<usize>;

    /// Sends some of `bytes`; `more` says that more follows at once, so that the kernel fills its
    /// segments.
    fn send(&mut self, bytes: &[u8], more: bool) -> io::Result<usize>;

    /// Sends up to `count` bytes of `file` from offset `at`. 0: the file ends there.
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
        Ok(recv(&*self, into, RecvFlags::empty())?.0)
    }

    fn send(&mut self, bytes: &[u8], more: bool) -> io::Result<usize> {
        // A peer that hung up must not end the process by SIGPIPE.
        let mut flags = SendFlags::NOSIGNAL;
        flags.set(SendFlags::MORE, more);
        Ok(send(&*self, bytes, flags)?)
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

/// How far connecting has come.
#[derive(Debug)]
pub enum Connecting {
    /// The kernel owes us an edge: park on writing.
    Pending,
    /// Connected.
    Ready,
    /// It failed.
    Failed(io::Error),
}

/// How a connection is made, where the kernel's own choice is not wanted.
#[derive(Clone, Copy, Default, Debug)]
pub struct ConnectOptions {
    /// The address to come from: each has ports of its own.
    pub source: Option<IpAddr>,
    /// Bytes of the receive buffer. Set before connecting, since the window is agreed upon then.
    pub receive_buffer_bytes: Option<usize>,
    /// Closing is a reset, which leaves nothing behind in the kernel.
    pub abort_on_close: bool,
}

/// Starts to connect. Admit the socket parked on [`Side::Write`], and ask [`connecting`] when
/// driven.
///
/// # Errors
/// If the kernel refuses at once (no route, no descriptor, no port left).
pub fn connect(to: SocketAddr, options: ConnectOptions) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(to), Type::STREAM.nonblocking(), None)?;
    if let Some(bytes) = options.receive_buffer_bytes {
        socket.set_recv_buffer_size(bytes)?;
    }
    if options.abort_on_close {
        socket.set_linger(Some(Duration::ZERO))?;
    }
    if let Some(source) = options.source {
        socket.bind(&SocketAddr::new(source, 0).into())?;
    }
    match socket.connect(&to.into()) {
        Err(e) if Errno::from_io_error(&e) != Some(Errno::INPROGRESS) => Err(e),
        _ => Ok(TcpStream::from_std(socket.into())),
    }
}

/// Asks how far connecting has come. The pending error comes first: writable alone proves nothing.
pub fn connecting(link: &mut Link, socket: &TcpStream) -> Connecting {
    if !link.ready.is(Side::Write) {
        return Connecting::Pending;
    }
    if let Ok(Some(e)) | Err(e) = socket.take_error() {
        return Connecting::Failed(e);
    }
    match socket.peer_addr() {
        Ok(_) => Connecting::Ready,
        // A spurious edge: connecting goes on, and its end will bring another.
        Err(e) if e.kind() == io::ErrorKind::NotConnected => {
            link.ready.clear(Side::Write);
            Connecting::Pending
        }
        Err(e) => Connecting::Failed(e),
    }
}

/// `SOCK_DIAG_BY_FAMILY`, as a request and in its answer.
const BY_FAMILY: u16 = 20;

/// `struct nlmsghdr` and `struct inet_diag_req_v2`.
const QUESTION_BYTES: u32 = 16 + 56;

/// Where the answer has the length of the queue: behind its header, family and state, the identity
/// of the socket, when it expires, and what waits to be read.
const QUEUE_AT: usize = 16 + 4 + 48 + 4 + 4;

/// Bytes sent from `local` to `peer` that `peer` has not acknowledged: the only sign of life of a
/// reader too slow for its socket to become writable. `None` if the kernel does not say.
///
/// It is asked by sock_diag(7): the socket option and the ioctl that say the same are out of reach
/// of safe code. It is asked only about sockets that let a deadline pass, and never waited for.
fn unacknowledged(local: SocketAddr, peer: SocketAddr) -> Option<u32> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let (family, protocol) = (AddressFamily::NETLINK, Some(netlink::SOCK_DIAG));
    let kernel = socket_with(family, SocketType::DGRAM, flags, protocol).ok()?;
    send(&kernel, &question(local, peer), SendFlags::empty()).ok()?;
    let mut answer = [0; 256];
    // The kernel has answered before `send` returned.
    let (bytes, _) = recv(&kernel, &mut answer, RecvFlags::empty()).ok()?;
    let answer = answer.get(..bytes)?;
    let kind = u16::from_ne_bytes(answer.get(4..6)?.try_into().ok()?);
    let queue = answer.get(QUEUE_AT..QUEUE_AT + 4)?.try_into().ok()?;
    (kind == BY_FAMILY).then_some(u32::from_ne_bytes(queue))
}

/// What sock_diag(7) is asked.
fn question(local: SocketAddr, peer: SocketAddr) -> Vec<u8> {
    const REQUEST: u16 = 1;
    const TCP: u8 = 6;
    const ANY: [u8; 4] = [0xff; 4];
    // AF_INET and AF_INET6.
    let (family, scope) = match local {
        SocketAddr::V4(_) => (2, 0),
        SocketAddr::V6(local) => (10, local.scope_id()),
    };
    let octets = |address: SocketAddr| match address.ip() {
        IpAddr::V4(ip) => [&ip.octets()[..], &[0; 12]].concat(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    };
    let parts: [&[u8]; 13] = [
        &QUESTION_BYTES.to_ne_bytes(),
        &BY_FAMILY.to_ne_bytes(),
        &REQUEST.to_ne_bytes(),
        // No number of its own, and no port: there is one answer.
        &[0; 8],
        &[family, TCP, 0, 0],
        // In any state.
        &ANY,
        &local.port().to_be_bytes(),
        &peer.port().to_be_bytes(),
        &octets(local),
        &octets(peer),
        // On any interface, and with any cookie.
        &scope.to_ne_bytes(),
        &ANY,
        &ANY,
    ];
    parts.concat()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may stop")]
mod tests {
    use super::*;
    use std::io::{Read as _, Write as _};

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

    #[test]
    fn what_is_not_taken_is_known_to_the_byte() {
        // The last one has IPv4 spoken over a socket of IPv6.
        let cases = [
            ("127.0.0.1:0", "127.0.0.1"),
            ("[::1]:0", "::1"),
            ("[::]:0", "127.0.0.1"),
        ];
        for (address, to) in cases {
            let listener = std::net::TcpListener::bind(address).unwrap();
            let port = listener.local_addr().unwrap().port();
            let mut theirs = std::net::TcpStream::connect((to, port)).unwrap();
            let (mut ours, _) = listener.accept().unwrap();
            let (local, peer) = (ours.local_addr().unwrap(), ours.peer_addr().unwrap());
            ours.set_nonblocking(true).unwrap();
            let mut sent = 0;
            while let Ok(bytes) = ours.write(&[0; 65536]) {
                sent += bytes;
            }
            let left = unacknowledged(local, peer).unwrap();
            assert!(left > 0 && (left as usize) < sent, "{left} of {sent}");
            // Once all is read, all is acknowledged.
            let mut buffer = vec![0; 65536];
            while sent > 0 {
                sent -= theirs.read(&mut buffer).unwrap();
            }
            while unacknowledged(local, peer) != Some(0) {
                std::thread::yield_now();
            }
            drop((ours, theirs, listener));
            assert_eq!(unacknowledged(local, "127.0.0.1:9".parse().unwrap()), None);
        }
    }
}
