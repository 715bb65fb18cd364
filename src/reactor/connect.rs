//! Connecting without waiting: when a connection has truly been made.
//!
//! What lives here: starting a connection, and finding out whether it came about. It may not know what
//! will be said on it. Invariant: a socket is used only after its pending error was asked for; writable alone proves nothing.
//! Read next: `datagram.rs`.

use std::io;
use std::net::SocketAddr;

use mio::net::TcpStream;

use super::readiness::{Link, Side};

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

/// Starts to connect. Admit the socket parked on [`Side::Write`], and ask [`progress`] when driven.
///
/// # Errors
/// If the kernel refuses at once (no route, no descriptor, no port left).
pub fn start(to: SocketAddr) -> io::Result<TcpStream> {
    TcpStream::connect(to)
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
