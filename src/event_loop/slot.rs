//! A slot of the loop: a handler, and what the loop knows of it.
//!
//! A slot is in exactly one place; `EventLoop::place` decides in which.

use std::collections::VecDeque;

use crate::event_loop::clock::Tick;
use crate::event_loop::readiness::{Readiness, Side};

/// One slot of the slab. What an idle connection costs is this, and its 12 bytes of the wheel.
#[derive(Debug)]
pub struct Slot<H> {
    pub(super) handler: H,
    pub(super) deadline: Tick,
    pub(super) due: Due,
    pub(super) ready: Readiness,
    pub(super) place: Place,
    /// It is one of the slots in reserve, and takes no room from others.
    pub(super) in_reserve: bool,
}

/// Where a slot is. It is always in exactly one of these places.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Place {
    /// The bit of this side is cleared, and its edge wakes it; mostly under a deadline.
    Parked(Side),
    /// Its deadline wakes it, or that its peer is gone.
    Asleep,
    /// Step 6 of this turn wakes it.
    WaitingForRoom,
    /// It is in the queue, once.
    Queued,
    /// Step 6 of this turn drops it.
    Leaving,
}

/// Whether the deadline of a slot stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Due {
    /// There is none.
    Never,
    /// It is still to come.
    At,
    /// It has passed, and the handler is yet to be told so.
    Passed,
}

impl<H> Slot<H> {
    /// Puts it at the back of the queue, in which it must not be yet.
    pub(super) fn enqueue(&mut self, key: u32, queue: &mut VecDeque<u32>) {
        self.place = Place::Queued;
        queue.push_back(key);
    }

    /// Has its handler driven, so that it learns of a new stage.
    pub(super) fn announce(&mut self, key: u32, queue: &mut VecDeque<u32>) {
        if !matches!(self.place, Place::Queued | Place::Leaving) {
            self.enqueue(key, queue);
        }
    }
}
