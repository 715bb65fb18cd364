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

use super::readiness::{Attempt, Link, Side};

/// A listening stream socket, TCP or Unix, with a descriptor in reserve.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
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
        Ok(Self {
            socket: TcpListener::from_std(socket),
            reserve: File::open("/dev/null").ok(),
        })
    }

    /// The socket, for registering it.
    pub fn source(&mut self) -> &mut TcpListener {
        &mut self.socket
    }

    /// Takes one connection. Connections that were aborted in the queue are skipped; the budget of
    /// `link` bounds how many.
    pub fn accept(&mut self, link: &mut Link) -> Accepted {
        loop {
            let socket = &self.socket;
            let taken = link.attempt(Side::Read, || {
                let fd =
                    rustix::net::accept_with(socket, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC)?;
                Ok(TcpStream::from_std(std::net::TcpStream::from(fd)))
            });
            match taken {
                Attempt::Done(stream) => return Accepted::Newcomer(stream),
                Attempt::Blocked => return Accepted::Blocked,
                Attempt::Spent => return Accepted::Spent,
                Attempt::Failed(e) => match Errno::from_io_error(&e) {
                    Some(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM) => {
                        if self.is_anybody_there() {
                            return Accepted::Exhausted(e);
                        }
                        link.wait_for_edge(Side::Read);
                        return Accepted::Blocked;
                    }
                    Some(
                        Errno::BADF
                        | Errno::INVAL
                        | Errno::NOTSOCK
                        | Errno::OPNOTSUPP
                        | Errno::FAULT,
                    ) => {
                        return Accepted::Broken(e);
                    }
                    // accept(2): errors already pending on the new connection are reported here. They
                    // are its fault, not ours.
                    _ => log::debug!(
                        "{} a connection was gone before it was accepted: {e}",
                        link.key
                    ),
                },
            }
        }
    }

    /// Whether somebody waits. The kernel looks for a descriptor first: that it has none does not say so.
    fn is_anybody_there(&self) -> bool {
        let mut asked = [PollFd::new(&self.socket, PollFlags::IN)];
        // Where that cannot be asked, it is taken for granted.
        rustix::event::poll(&mut asked, Some(&Timespec::default())).map_or(true, |n| n > 0)
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
