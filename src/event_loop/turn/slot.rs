//! A slot: a handler, and what the loop knows of it.
//!
//! What lives here: where a slot can be, and what it costs. It may not know what a handler does, nor move a slot:
//! `EventLoop::place` does. Invariant: a slot is in exactly one place. Read next: `make_room.rs`.

use crate::event_loop::clock::Tick;
use crate::event_loop::readiness::{Readiness, Side};

/// Where a slot is. It is always in exactly one of these places.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Place {
    /// The read bit is cleared, and its edge wakes it; like the next two mostly under a deadline.
    ParkedRead,
    /// The same of the write bit.
    ParkedWrite,
    /// The same of both: whichever comes first.
    ParkedEither,
    /// Only its deadline wakes it.
    Asleep,
    /// Step 6 of this turn wakes it.
    WaitingForRoom,
    /// It is in the queue, once.
    Queued,
    /// Step 6 of this turn drops it.
    Leaving,
}

impl Place {
    /// The side whose edge it waits for, if it does.
    pub(super) fn parked_on(self) -> Option<Side> {
        match self {
            Self::ParkedRead => Some(Side::Read),
            Self::ParkedWrite => Some(Side::Write),
            Self::ParkedEither => Some(Side::Either),
            Self::Asleep | Self::WaitingForRoom | Self::Queued | Self::Leaving => None,
        }
    }
}

/// Whether the deadline of a slot stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Due {
    /// There is none.
    Never,
    /// It is still to come.
    At,
    /// It has passed, and the handler is to be told so.
    Passed,
}

/// One slot of the slab. What an idle connection costs is this, and its 12 bytes of the wheel.
#[derive(Debug)]
pub struct Slot<H> {
    pub(super) handler: H,
    pub(super) deadline: Tick,
    pub(super) due: Due,
    pub(super) ready: Readiness,
    pub(super) place: Place,
    /// It sits on one of the seats in reserve, and takes no room from others.
    pub(super) seated: bool,
}
