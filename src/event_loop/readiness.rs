//! The edge-triggered contract, whole.
//!
//! The kernel reports an *edge* (epoll(7), `EPOLLET`): once, when a socket becomes readable or
//! writable. From then on the readiness is ours to remember, until a call answers "would block"
//! (`EAGAIN`); only then does the kernel owe us another edge. Here are the bits that remember, and
//! [`Link::attempt`], the only place that makes an I/O call. A bit is cleared only after the kernel
//! has said that there is nothing more.

use std::fmt;
use std::io;

use super::Key;
use crate::limits::{CALL_COST_BYTES, INTERRUPTED_RETRIES_MAX};

/// Which way bytes flow: what a call needs, and what a parked handler waits for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Side {
    /// From the peer to us.
    Read = Readiness::READ,
    /// From us to the peer.
    Write = Readiness::WRITE,
    /// Whichever comes first.
    Either = Readiness::READ | Readiness::WRITE,
}

/// What is known of a socket since its last would-block.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Readiness(u8);

impl Readiness {
    const READ: u8 = 1;
    const WRITE: u8 = 2;
    const ENDED: u8 = 4;
    const URGENT: u8 = 8;
    const GONE: u8 = 16;

    /// Nothing known: the kernel owes us an edge for both sides (as after registering a socket).
    pub const NONE: Self = Self(0);

    /// Takes over what an event says. A hang-up or an error makes its side ready: the next call
    /// finds out what it is.
    pub fn note(&mut self, event: &mio::event::Event) {
        let broken = event.is_error();
        let ended = event.is_read_closed() | broken;
        let readable = event.is_readable() | ended;
        // mio reports write-closed only together with read-closed.
        let gone = event.is_write_closed() | broken;
        let writable = event.is_writable() | gone;
        // Without branches: each request passes here.
        let bit = |is_set: bool, bit: u8| if is_set { bit } else { 0 };
        self.0 |= bit(readable, Self::READ)
            | bit(writable, Self::WRITE)
            | bit(ended, Self::ENDED)
            | bit(gone, Self::GONE)
            | bit(event.is_priority(), Self::URGENT);
    }

    /// Whether a call on this side is worth making.
    pub fn is(self, side: Side) -> bool {
        self.0 & side as u8 != 0
    }

    /// Sets the bit of a side, as an event would: the next call finds out whether it is ready.
    pub fn set(&mut self, side: Side) {
        self.0 |= side as u8;
    }

    /// Clears the bit of a side, since the kernel owes an edge for it: a call would block, or an
    /// event was only a hint (mio: events may be spurious).
    pub(super) fn clear(&mut self, side: Side) {
        self.0 &= !(side as u8);
    }

    /// Whether nothing can be sent any more: the peer has reset the connection, or closed its Unix
    /// socket.
    pub fn is_gone(self) -> bool {
        self.0 & Self::GONE != 0
    }

    /// Records that the peer has ended its side, as an event would (for tests).
    #[cfg(any(test, feature = "fuzz"))]
    pub fn set_ended(&mut self) {
        self.0 |= Self::READ | Self::ENDED;
    }

    /// Records that the connection is broken, as an event would (for tests).
    #[cfg(test)]
    pub fn set_gone(&mut self) {
        self.set_ended();
        self.0 |= Self::WRITE | Self::GONE;
    }
}

impl fmt::Debug for Readiness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = ["read", "write", "ended", "urgent", "gone"]
            .into_iter()
            .enumerate();
        let set = names.filter(|(bit, _)| self.0 >> bit & 1 != 0);
        f.write_str(&set.map(|(_, name)| name).collect::<Vec<_>>().join("+"))
    }
}

/// What came of an I/O call that must not wait.
#[derive(Debug)]
pub enum Attempt<T> {
    /// It was done.
    Done(T),
    /// The kernel owes us an edge: park on that side.
    Blocked,
    /// This drive has moved enough: ask for another turn.
    Spent,
    /// The socket is broken.
    Failed(io::Error),
}

/// What every I/O call of a drive needs: the slot's key, what is ready, and the budget.
#[derive(Clone, Copy, Debug)]
pub struct Link {
    /// The slot's key, for the log.
    pub key: Key,
    /// What is ready.
    pub ready: Readiness,
    budget: usize,
}

impl Link {
    /// A link with `budget` bytes to move.
    pub fn new(key: Key, ready: Readiness, budget: usize) -> Self {
        Self { key, ready, budget }
    }

    /// Bytes this drive may still move.
    pub fn budget(&self) -> usize {
        self.budget
    }

    /// Charges this drive for work that was not an I/O call (rendering a page, for example).
    pub fn charge(&mut self, bytes: usize) {
        self.budget = self.budget.saturating_sub(bytes);
    }

    /// Makes one call on a socket, if its side is ready and the budget is not spent.
    ///
    /// Clears the side's bit on would-block: the kernel will report when it is ready again. Bounded
    /// by [`INTERRUPTED_RETRIES_MAX`] calls.
    pub fn attempt<T>(
        &mut self,
        side: Side,
        mut call: impl FnMut() -> io::Result<T>,
    ) -> Attempt<T> {
        if !self.ready.is(side) {
            return Attempt::Blocked;
        }
        if self.budget == 0 {
            return Attempt::Spent;
        }
        for _ in 0..INTERRUPTED_RETRIES_MAX {
            self.budget = self.budget.saturating_sub(CALL_COST_BYTES);
            match call() {
                Ok(done) => return Attempt::Done(done),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                    self.ready.clear(side);
                    log::trace!("{} {side:?} would block", self.key);
                    return Attempt::Blocked;
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Attempt::Failed(e),
            }
        }
        Attempt::Spent
    }

    /// Notes how many bytes a read brought, and how many it had room for.
    ///
    /// A short read of a stream proves its queue empty (epoll(7), question 9), which saves the read
    /// that would only meet would-block. Not so once the peer has hung up or sent urgent data: what
    /// is still to be read then was reported already, and no edge will come for it.
    pub(super) fn came(&mut self, bytes: usize, room: usize) {
        self.budget = self.budget.saturating_sub(bytes);
        // Either may leave something behind: a hang-up its end of input, and urgent data what lies
        // behind them, since each read stops there.
        let may_leave_some = self.ready.0 & (Readiness::ENDED | Readiness::URGENT) != 0;
        if bytes < room && !may_leave_some {
            self.ready.0 &= !Readiness::READ;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ready(side: Side) -> Link {
        let mut ready = Readiness::NONE;
        ready.set(side);
        Link::new(Key::for_test(1), ready, 4 * CALL_COST_BYTES)
    }

    fn fails(kind: io::ErrorKind) -> impl FnMut() -> io::Result<()> {
        move || Err(kind.into())
    }

    #[test]
    fn no_call_is_made_where_an_edge_is_owed_or_the_budget_is_spent() {
        let never = || -> io::Result<()> { unreachable!("nothing to be called for") };
        let mut link = ready(Side::Write);
        assert!(matches!(link.attempt(Side::Read, never), Attempt::Blocked));
        link.charge(usize::MAX);
        assert!(matches!(link.attempt(Side::Write, never), Attempt::Spent));
        assert!(link.ready.is(Side::Write), "nothing was said about that");
    }

    #[test]
    fn would_block_and_nothing_else_clears_the_bit_of_its_side() {
        let mut link = ready(Side::Either);
        let reset = link.attempt(Side::Read, fails(io::ErrorKind::ConnectionReset));
        assert!(matches!(reset, Attempt::Failed(_)));
        assert!(matches!(
            link.attempt(Side::Read, || Ok(())),
            Attempt::Done(())
        ));
        assert!(link.ready.is(Side::Read));
        let blocked = link.attempt(Side::Read, fails(io::ErrorKind::WouldBlock));
        assert!(matches!(blocked, Attempt::Blocked));
        assert!(!link.ready.is(Side::Read) && link.ready.is(Side::Write));
    }

    #[test]
    fn an_interrupted_call_is_made_again_but_not_for_ever() {
        let mut calls = 0;
        let mut link = Link::new(Key::for_test(1), ready(Side::Read).ready, usize::MAX);
        let came = link.attempt(Side::Read, || {
            calls += 1;
            fails(io::ErrorKind::Interrupted)()
        });
        assert!(
            matches!(came, Attempt::Spent),
            "queued: the bit is still set"
        );
        assert!(link.ready.is(Side::Read));
        assert_eq!(calls, INTERRUPTED_RETRIES_MAX);
    }

    #[test]
    fn a_short_read_clears_the_bit_unless_more_is_there_that_was_reported_already() {
        for (known, is_left) in [
            (Readiness::READ, false),
            (Readiness::READ | Readiness::WRITE, false),
            (Readiness::READ | Readiness::ENDED, true),
            (Readiness::READ | Readiness::URGENT, true),
        ] {
            let mut link = Link::new(Key::for_test(1), Readiness(known), 1000);
            link.came(10, 10);
            assert!(link.ready.is(Side::Read), "a full one proves nothing");
            link.came(9, 10);
            assert_eq!(link.ready.is(Side::Read), is_left, "{:?}", link.ready);
            assert_eq!(link.budget(), 1000 - 19);
        }
    }
}
