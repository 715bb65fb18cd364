//! A listening socket: bounded accept, and what happens when descriptors run out.
//!
//! What lives here: taking connections from the kernel's queue and telling apart why one did not come.
//! It may not know what will be spoken on them. Invariant: no failure of accept ends or spins the loop.
//! Read next: `signal.rs`.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;

use mio::net::{TcpListener, TcpStream};
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use rustix::net::SocketFlags;

use crate::limits::ACCEPT_FAILURES_MAX;

use crate::event_loop::readiness::{Attempt, Link, Side};

/// The system calls of a listening socket. The kernel's are implemented for [`TcpListener`]; tests script their own.
pub trait Accept {
    /// Takes a connection from the queue, non-blocking.
    ///
    /// # Errors
    /// Whatever accept(2) reports, would-block included.
    fn accept(&self) -> io::Result<OwnedFd>;

    /// Whether somebody waits. accept(2) looks for a descriptor first: that it has none does not say so.
    fn is_anybody_there(&self) -> bool;
}

impl Accept for TcpListener {
    fn accept(&self) -> io::Result<OwnedFd> {
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        Ok(rustix::net::accept_with(self, flags)?)
    }

    fn is_anybody_there(&self) -> bool {
        let mut asked = [PollFd::new(self, PollFlags::IN)];
        // Where that cannot be asked, it is taken for granted.
        rustix::event::poll(&mut asked, Some(&Timespec::default())).map_or(true, |n| n > 0)
    }
}

/// A listening stream socket, TCP or Unix, with a descriptor in reserve.
#[derive(Debug)]
pub struct Listener<S = TcpListener> {
    socket: S,
    /// Given up for a moment when descriptors run out, to take a connection and refuse it: one that
    /// stays in the queue would be reported again and again.
    reserve: Option<File>,
}

/// What came of accepting.
#[derive(Debug)]
pub enum Accepted {
    /// A connection, non-blocking.
    Newcomer(TcpStream),
    /// The queue is empty: park on reading.
    Blocked,
    /// This drive has accepted enough.
    Spent,
    /// No descriptor or memory is left for one more.
    Exhausted(io::Error),
    /// It fails again and again, for a reason that may pass: try later.
    Failing(io::Error),
    /// The listening socket itself is broken.
    Broken(io::Error),
}

impl Listener {
    /// Takes over a socket that is bound and listening.
    ///
    /// # Errors
    /// If it cannot be made non-blocking.
    pub fn new(socket: OwnedFd) -> io::Result<Self> {
        let socket = std::net::TcpListener::from(socket);
        socket.set_nonblocking(true)?;
        Ok(Self::over(TcpListener::from_std(socket)))
    }
}

impl<S: Accept> Listener<S> {
    /// Takes connections from `socket`.
    pub fn over(socket: S) -> Self {
        Self {
            socket,
            reserve: File::open("/dev/null").ok(),
        }
    }

    /// The socket, for registering it.
    pub fn source(&mut self) -> &mut S {
        &mut self.socket
    }

    /// Takes one connection. Connections that were aborted in the queue are skipped. Bounded by [`ACCEPT_FAILURES_MAX`]
    /// and the budget of `link`.
    pub fn accept(&mut self, link: &mut Link) -> Accepted {
        let mut failures = 0;
        loop {
            match link.attempt(Side::Read, || self.socket.accept()) {
                Attempt::Done(fd) => {
                    let stream = TcpStream::from_std(std::net::TcpStream::from(fd));
                    return Accepted::Newcomer(stream);
                }
                Attempt::Blocked => return Accepted::Blocked,
                Attempt::Spent => return Accepted::Spent,
                Attempt::Failed(e) => match Errno::from_io_error(&e) {
                    Some(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM) => {
                        if self.socket.is_anybody_there() {
                            return Accepted::Exhausted(e);
                        }
                        link.wait_for_edge(Side::Read);
                        return Accepted::Blocked;
                    }
                    Some(Errno::BADF | Errno::INVAL | Errno::NOTSOCK | Errno::FAULT) => {
                        return Accepted::Broken(e);
                    }
                    // accept(2): errors already pending on the new connection are reported here. They are its fault,
                    // not ours, unless they never end (a filter that forbids the call).
                    _ => {
                        failures += 1;
                        if failures == ACCEPT_FAILURES_MAX {
                            return Accepted::Failing(e);
                        }
                        log::debug!(
                            "{} a connection was gone before it was accepted: {e}",
                            link.key
                        );
                    }
                },
            }
        }
    }

    /// Takes one connection by the reserve descriptor, so that it can be refused. Drop it before
    /// calling [`restore_reserve`](Self::restore_reserve).
    pub fn accept_by_reserve(&mut self, link: &mut Link) -> Accepted {
        if self.reserve.take().is_none() {
            return Accepted::Exhausted(Errno::MFILE.into());
        }
        self.accept(link)
    }

    /// Opens the reserve again, if it is gone and there is a descriptor for it.
    pub fn restore_reserve(&mut self) {
        if self.reserve.is_none() {
            self.reserve = File::open("/dev/null").ok();
        }
    }
}
