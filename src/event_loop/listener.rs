//! A listening socket: bounded accept, and what happens when descriptors run out.
//!
//! It tells apart why a connection did not come. No failure of accept(2) ends or spins the loop.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;

use mio::net::{TcpListener, TcpStream};
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use rustix::net::SocketFlags;

use crate::event_loop::readiness::{Attempt, Link, Side};
use crate::limits::ACCEPT_FAILURES_MAX;

/// A listening stream socket, TCP or Unix, with a descriptor in reserve.
#[derive(Debug)]
pub struct Listener {
    pub(crate) socket: TcpListener,
    /// Closed for a moment when descriptors run out, to accept a connection and refuse it: one that
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
        Ok(Self {
            socket: TcpListener::from_std(socket),
            reserve: reserve(),
        })
    }

    /// Accepts one connection. Connections that were aborted in the queue are skipped. Bounded by
    /// [`ACCEPT_FAILURES_MAX`] and the budget of `link`.
    pub fn accept(&mut self, link: &mut Link) -> Accepted {
        let mut failures = 0;
        loop {
            let e = match link.attempt(Side::Read, || accept(&self.socket)) {
                Attempt::Done(fd) => {
                    let stream = TcpStream::from_std(std::net::TcpStream::from(fd));
                    return Accepted::Newcomer(stream);
                }
                Attempt::Blocked => return Accepted::Blocked,
                Attempt::Spent => return Accepted::Spent,
                Attempt::Failed(e) => e,
            };
            match Errno::from_io_error(&e) {
                Some(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM) => {
                    if is_waiting(&self.socket) {
                        return Accepted::Exhausted(e);
                    }
                    link.ready.clear(Side::Read);
                    return Accepted::Blocked;
                }
                Some(Errno::BADF | Errno::INVAL | Errno::NOTSOCK | Errno::FAULT) => {
                    return Accepted::Broken(e);
                }
                // accept(2) reports errors of the new connection here. They are not ours, unless
                // they never end (a filter that forbids the call).
                _ => {
                    failures += 1;
                    if failures == ACCEPT_FAILURES_MAX {
                        return Accepted::Failing(e);
                    }
                    let key = link.key;
                    log::debug!("{key} a connection was gone before it was accepted: {e}");
                }
            }
        }
    }

    /// Accepts those that wait by the descriptor in reserve, one after the other, for `refuse` to
    /// close. As many as the budget of `link` allows: one behind a thousand others should not have
    /// to wait for a pause after each of them.
    pub fn refuse_waiting(&mut self, link: &mut Link, mut refuse: impl FnMut(TcpStream)) {
        while self.reserve.take().is_some()
            && let Accepted::Newcomer(stream) = self.accept(link)
        {
            refuse(stream);
            self.reserve = reserve();
        }
        if self.reserve.is_none() {
            self.reserve = reserve();
        }
    }
}

fn reserve() -> Option<File> {
    File::open("/dev/null").ok()
}

fn accept(socket: &TcpListener) -> io::Result<OwnedFd> {
    #[cfg(test)]
    if let Some(answer) = script::next() {
        return answer;
    }
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    Ok(rustix::net::accept_with(socket, flags)?)
}

/// Whether a connection waits in the queue. accept(2) looks for a free descriptor first, so that
/// its error does not say so. Where this cannot be asked either, one is assumed.
fn is_waiting(socket: &TcpListener) -> bool {
    #[cfg(test)]
    if script::is_set() {
        return true;
    }
    let mut asked = [PollFd::new(socket, PollFlags::IN)];
    rustix::event::poll(&mut asked, Some(&Timespec::default())).map_or(true, |n| n > 0)
}

/// Answers of accept(2) that a test has scripted for its thread.
#[cfg(test)]
pub(crate) mod script {
    use std::cell::RefCell;
    use std::collections::VecDeque;
    use std::io;
    use std::os::fd::OwnedFd;
    use std::os::unix::net::UnixStream;

    /// `None` is a connection, else the number of an error.
    pub(crate) type Answer = Option<i32>;

    #[derive(Debug)]
    struct Script {
        answers: VecDeque<Answer>,
        /// The error after the last of them.
        rest: i32,
        calls: usize,
    }

    thread_local! {
        static SCRIPT: RefCell<Option<Script>> = const { RefCell::new(None) };
    }

    /// From now on these are the answers, and then `rest` for ever.
    pub(crate) fn plan(answers: &[Answer], rest: i32) {
        let script = Script {
            answers: answers.iter().copied().collect(),
            rest,
            calls: 0,
        };
        SCRIPT.set(Some(script));
    }

    /// How many calls there were, and how many answers are left.
    pub(crate) fn progress() -> (usize, usize) {
        SCRIPT.with_borrow(|script| {
            script
                .as_ref()
                .map_or((0, 0), |s| (s.calls, s.answers.len()))
        })
    }

    pub(super) fn is_set() -> bool {
        SCRIPT.with_borrow(Option::is_some)
    }

    pub(super) fn next() -> Option<io::Result<OwnedFd>> {
        SCRIPT.with_borrow_mut(|script| {
            let script = script.as_mut()?;
            script.calls += 1;
            Some(match script.answers.pop_front() {
                Some(None) => UnixStream::pair().map(|(ours, _)| ours.into()),
                Some(Some(number)) => Err(io::Error::from_raw_os_error(number)),
                None => Err(io::Error::from_raw_os_error(script.rest)),
            })
        })
    }
}
