//! A stream socket with its readiness: the only file that moves stream bytes.
//!
//! It reads, writes, sends files and closes without ever waiting. Every call goes through
//! [`Link::attempt`], so that readiness and budget are always accounted for.

use std::fs::File;
use std::io;
use std::mem::take;
use std::time::Duration;

use mio::net::TcpStream;

use super::{Context, Deadline, Next};
use crate::event_loop::page_cache::Before;
use crate::event_loop::readiness::{Attempt, Link, Side};
use crate::event_loop::transport::Transport;
use crate::limits::{LINGER_BYTES_MAX, SENDFILE_BYTES_MAX};

/// A stream socket that never waits.
#[derive(Debug)]
pub struct Stream<T = TcpStream> {
    /// The socket itself: for registering it, setting its options, and asking the kernel about it.
    pub transport: T,
}

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
    /// Reads once. `Done(0)` is the end of input.
    pub fn read(&mut self, link: &mut Link, into: &mut [u8]) -> Attempt<usize> {
        let room = into.len();
        let came = link.attempt(Side::Read, || self.transport.recv(into));
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
        let sent = link.attempt(Side::Write, || self.transport.send(bytes, more));
        if let Attempt::Done(n) = sent {
            log::trace!("{} wrote {n} of {} bytes", link.key, bytes.len());
            link.charge(n);
        }
        sent
    }

    /// Sends some of the `left` bytes of `file` from offset `at` on, at most what the budget
    /// allows. `Done(0)`: the file ended early. `None`: the bytes are on a disk, which has been
    /// asked for them; `before` says whether those before them were.
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
        // What is left of the budget would make a small piece; the next turn has a whole budget.
        if link.budget() < count.min(SENDFILE_BYTES_MAX / 2) {
            return Some(Attempt::Spent);
        }
        let count = count.min(link.budget());
        // Skip the page-cache check while the socket is not writable.
        if link.ready.is(Side::Write)
            && !self.transport.has_in_memory(file, at, count, left, before)
        {
            let key = link.key;
            log::trace!("{key} {count} bytes of a file from {at} are not in memory");
            return None;
        }
        let sent = link.attempt(Side::Write, || self.transport.send_file(file, at, count));
        if let Attempt::Done(n) = sent {
            log::trace!("{} sent {n} of {count} bytes of a file from {at}", link.key);
            link.charge(n);
        }
        Some(sent)
    }

    /// The rest of a lingering close, after [`Transport::shut_down_write`]: discards
    /// what the peer still sends until it closes, too. Closing a socket with unread input makes the
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
mod tests {
    use super::*;
    use crate::event_loop::clock::Clock;
    use crate::event_loop::readiness::Readiness;
    use crate::event_loop::{Control, Key, PeerAddress, Stage};
    use crate::limits::{DRIVE_BYTES_MAX, SCRATCH_BYTES};

    /// A peer that never stops sending.
    struct Endless;

    impl Transport for Endless {
        fn recv(&mut self, into: &mut [u8]) -> io::Result<usize> {
            Ok(into.len())
        }

        fn send(&mut self, _: &[u8], _: bool) -> io::Result<usize> {
            unreachable!("nothing is sent")
        }

        fn send_file(&mut self, _: &File, _: u64, _: usize) -> io::Result<usize> {
            unreachable!("nothing is sent")
        }

        fn shut_down_write(&mut self) -> io::Result<()> {
            Ok(())
        }

        fn peer(&self) -> PeerAddress {
            PeerAddress::Unknown
        }

        fn unacknowledged(&self) -> Option<u32> {
            None
        }
    }

    #[test]
    fn lingering_ends_where_the_peer_sends_more_than_is_thrown_away() {
        let (mut stream, mut discarded, mut drives) = (Stream { transport: Endless }, 0, 0);
        let mut ready = Readiness::NONE;
        ready.set(Side::Read);
        let (now, mut scratch) = (Clock::start().read(), vec![0; SCRATCH_BYTES]);
        loop {
            let mut cx = Context {
                link: Link::new(Key::for_test(1), ready, DRIVE_BYTES_MAX),
                now,
                expired: false,
                deadline: now.tick,
                stage: Stage::Running,
                scratch: &mut scratch,
                shared: &mut (),
                control: &mut Control::default(),
            };
            drives += 1;
            let begins = drives == 1;
            let came = stream.linger(&mut discarded, begins, Duration::from_secs(2), &mut cx);
            if !matches!(came, Lingering::Wait(Next::Again(_))) {
                assert!(matches!(came, Lingering::TooMuch), "{came:?}");
                break;
            }
            assert!(discarded <= LINGER_BYTES_MAX);
        }
        assert!(drives > 1, "one drive is not enough for all that");
        assert_eq!(discarded, LINGER_BYTES_MAX + SCRATCH_BYTES as u64);
    }
}
