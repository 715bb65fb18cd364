//! Connecting without waiting, and finding out whether a connection came about.
//!
//! A socket is used only after its pending error was asked for: writable alone proves nothing.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use mio::net::TcpStream;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, sockopt};

use crate::event_loop::readiness::{Link, Side};

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

/// Starts to connect. Admit the socket parked on [`Side::Write`], and ask [`progress`] when driven.
///
/// # Errors
/// If the kernel refuses at once (no route, no descriptor, no port left).
pub fn start(to: SocketAddr, options: ConnectOptions) -> io::Result<TcpStream> {
    let family = if to.is_ipv4() {
        AddressFamily::INET
    } else {
        AddressFamily::INET6
    };
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = rustix::net::socket_with(family, SocketType::STREAM, flags, None)?;
    if let Some(bytes) = options.receive_buffer_bytes {
        sockopt::set_socket_recv_buffer_size(&socket, bytes)?;
    }
    if options.abort_on_close {
        sockopt::set_socket_linger(&socket, Some(Duration::ZERO))?;
    }
    if let Some(source) = options.source {
        rustix::net::bind(&socket, &SocketAddr::new(source, 0))?;
    }
    match rustix::net::connect(&socket, &to) {
        Ok(()) | Err(Errno::INPROGRESS) => Ok(TcpStream::from_std(socket.into())),
        Err(e) => Err(e.into()),
    }
}

/// Asks how far it has come.
pub fn progress(link: &mut Link, socket: &TcpStream) -> Connecting {
    if !link.ready.is(Side::Write) {
        return Connecting::Pending;
    }
    match socket.take_error() {
        Ok(Some(e)) | Err(e) => return Connecting::Failed(e),
        Ok(None) => {}
    }
    match socket.peer_addr() {
        Ok(_) => Connecting::Ready,
        // A spurious edge: connecting goes on, and its end will bring another.
        Err(e) if e.kind() == io::ErrorKind::NotConnected => {
            link.wait_for_edge(Side::Write);
            Connecting::Pending
        }
        Err(e) => Connecting::Failed(e),
    }
}
