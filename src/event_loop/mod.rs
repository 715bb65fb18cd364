//! How idler waits: one loop, many handlers. Nothing here knows a protocol or a file format.
//!
//! The kernel reports edges: a socket's readiness is reported once, when it begins (`EPOLLET`). The
//! invariant that everything follows from: *a cleared readiness bit means that the kernel owes us
//! an edge; a set bit means that nothing will remind us, so the work is ours to remember.* Hence at
//! every moment each live slot is in exactly one of three places: **parked** on a cleared bit
//! (usually with a deadline on the timer wheel), **asleep** (until a time, or until its peer is
//! gone), or **queued**.

pub mod clock;
pub mod listener;
pub mod page_cache;
pub mod readiness;
pub mod signal;
pub mod slot;
pub mod tcp;
pub mod timer;
pub mod transport;
pub mod turn;
pub mod udp;

use std::fmt;

pub use crate::event_loop::clock::{Now, Tick};
pub use crate::event_loop::readiness::{Attempt, Link, Side};
pub use crate::event_loop::tcp::Stream;
pub use crate::event_loop::transport::{PeerAddress, Transport};
pub use crate::event_loop::turn::EventLoop;

/// Names a slot for as long as its handler lives. Log lines begin with it, so that
/// `grep '\[7\]'` follows one connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Key(pub(crate) u32);

#[cfg(any(test, feature = "fuzz"))]
impl Key {
    /// A key for tests that drive a handler without a loop.
    pub fn for_test(n: u32) -> Self {
        Self(n)
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}]", self.0)
    }
}

/// Anything that lives in a slot of the loop: a connection, a listener, a timer, a signal.
///
/// A program has one type of handler, usually an enum of all its kinds.
pub trait Handler: Sized {
    /// What all handlers of a loop share; lent to each drive.
    type Shared: Shared;

    /// The socket to be registered, once, for both directions; `None` if the handler lives on time
    /// alone.
    fn source(&mut self) -> Option<&mut dyn mio::event::Source>;

    /// Moves on as far as readiness and budget allow, and says what to wait for next.
    ///
    /// Called when an edge came on the side it parked on, when its peer was gone while it slept,
    /// when its deadline passed ([`Context::expired`]), when its turn in the queue came, and once
    /// whenever the [`Stage`] of the loop changes. Only what brings newcomers looks at `new`.
    fn drive(&mut self, cx: &mut Context<'_, Self::Shared>, new: &mut Newcomers<'_, Self>) -> Next;

    /// Whether the loop may end while this handler is still there (a signal, for example).
    fn is_background(&self) -> bool {
        false
    }

    /// Whether this handler is idle enough to be dropped to make room for a newcomer.
    fn may_be_dropped(&self) -> bool {
        false
    }

    /// Called just before it is dropped without having asked for it: a place to count and to log.
    fn dropped(&mut self, why: Dropped, key: Key, now: &Now, shared: &mut Self::Shared) {
        let _ = (why, key, now, shared);
    }
}

/// Why a handler is dropped that did not ask for it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Dropped {
    /// To make room for a newcomer.
    ForRoom,
    /// It is a newcomer, and the kernel does not watch its socket (`fs.epoll.max_user_watches`,
    /// memory).
    Unwatched,
    /// The loop ends before it has finished.
    Unfinished,
}

/// What the handlers of one loop share.
pub trait Shared {
    /// Called once at the end of each turn. Returns when it is to be called again even if nothing
    /// else happens.
    fn turn_ends(&mut self, now: &Now) -> Option<Tick>;
}

/// What a handler waits for next.
#[must_use]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Next {
    /// An edge on a side whose readiness bit is cleared, or the deadline.
    Park(Side, Deadline),
    /// Time alone, or that the peer is gone.
    Sleep(Tick),
    /// Another turn: the budget is spent, the work is not.
    Again(Deadline),
    /// A free slot (listeners, when all are taken). Answered by a drive in which either
    /// [`Newcomers::room`] is not 0 or [`Newcomers::no_room`] is true.
    Room,
    /// Nothing: the handler is dropped at the end of the turn.
    Leave,
}

/// The deadline of a handler that is parked or queued.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Deadline {
    /// Whatever it was when the handler was driven.
    Keep,
    /// A new one. Extending costs one store.
    At(Tick),
    /// None.
    Never,
}

/// How far the loop is on its way to its end.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Debug)]
pub enum Stage {
    /// Serving.
    #[default]
    Running,
    /// Still accepting and answering, but no connection is kept (for load balancers to notice).
    Draining,
    /// Listeners close, idle connections close, busy ones finish.
    Stopping,
}

/// What a drive is lent.
pub struct Context<'a, S> {
    /// This slot's key, readiness and budget: what every I/O call needs.
    pub link: Link,
    /// The time, read once a turn.
    pub now: Now,
    /// True if this drive came because the deadline passed.
    pub expired: bool,
    /// The deadline that stands or has just passed; without meaning where none was set.
    pub deadline: Tick,
    /// How far the loop is on its way to its end.
    pub stage: Stage,
    /// The one read buffer. Its contents mean nothing at the start of a drive.
    pub scratch: &'a mut [u8],
    /// What all handlers share.
    pub shared: &'a mut S,
    pub(crate) control: &'a mut Control,
}

/// What handlers can ask of the loop.
#[derive(Default, Debug)]
pub(crate) struct Control {
    pub(crate) stage: Stage,
    pub(crate) announce: bool,
    pub(crate) evict: bool,
    pub(crate) quit: bool,
}

impl<S> Context<'_, S> {
    /// Moves the loop to a later stage; every handler is driven once to learn of it.
    pub fn advance_to(&mut self, stage: Stage) {
        if stage > self.control.stage {
            self.control.stage = stage;
            self.control.announce = true;
        }
    }

    /// Says that something else than slots has run out (descriptors, memory): [`Next::Room`] is
    /// then answered only after an idle handler was dropped, or none was found, even if slots are
    /// free.
    pub fn require_eviction(&mut self) {
        self.control.evict = true;
    }

    /// Ends the loop after this turn, whatever handlers are still there.
    pub fn quit(&mut self) {
        self.control.quit = true;
    }
}

/// What a drive may add to the loop. Apart from [`Context`], so that a handler that adds none does
/// not name the type of all handlers.
pub struct Newcomers<'a, H> {
    /// Slots that are still free, newcomers of this turn counted in.
    pub room: usize,
    /// Slots beyond those, for handlers that tell newcomers that there is no room.
    pub spare: usize,
    /// True if this drive answers [`Next::Room`] and no idle handler was found.
    pub no_room: bool,
    /// The handlers that come at the end of this turn, and whether each takes a slot in reserve.
    pub(crate) admitted: &'a mut Vec<(H, Next, bool)>,
}

impl<H> Newcomers<'_, H> {
    /// Adds a handler to the loop at the end of this turn. `next` is its first place; for a socket
    /// that is `Park`, since registering it makes the kernel report what is ready.
    pub fn admit(&mut self, handler: H, next: Next) {
        let in_reserve = self.room == 0;
        if in_reserve {
            self.spare = self.spare.saturating_sub(1);
        } else {
            self.room -= 1;
        }
        self.admitted.push((handler, next, in_reserve));
    }
}
