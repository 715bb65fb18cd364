//! Who leaves: those who asked to, those who are idle when there is no room, and all at the end.
//!
//! What lives here: the freeing of slots, the bounded look for idle handlers, and the last word to those who are left.
//! It may not know why they are idle.
//! Invariant: nobody who is busy leaves for a newcomer. Read next: `../timer.rs`.

use log::trace;

use super::{Dropped, EventLoop, Handler, Key, Place};
use crate::limits::ROOM_LOOK_MAX;

impl<H: Handler> EventLoop<H> {
    /// Asks the parked handlers nearest to their deadline to leave, one for each that waits for room. If the earliest are all
    /// busy (slow heads have earlier deadlines than idle connections), the slots are looked at in order. Bounded by
    /// twice [`ROOM_LOOK_MAX`] for each.
    pub(super) fn make_room(&mut self) {
        for _ in 0..self.waiting_for_room.len() {
            let all = self.slots.capacity().max(1);
            let slots = &self.slots;
            let idle = |&key: &u32| {
                slots
                    .get(key as usize)
                    .is_some_and(|s| s.place.parked_on().is_some() && s.handler.may_be_dropped())
            };
            let left = |&key: &u32| {
                slots
                    .get(key as usize)
                    .map(|s| s.deadline.millis_from(self.now.tick))
            };
            // Of those with the same deadline the last: buckets begin with who came last.
            let nearer = |a, b| if left(&b) <= left(&a) { b } else { a };
            let Some(key) = self
                .wheel
                .earliest(ROOM_LOOK_MAX)
                .filter(idle)
                .reduce(nearer)
                .or_else(|| {
                    let from = self.hand;
                    self.hand = (from + ROOM_LOOK_MAX) % all;
                    let look = (0..ROOM_LOOK_MAX.min(all)).map(|i| (from + i) % all);
                    look.filter_map(|key| u32::try_from(key).ok())
                        .filter(idle)
                        .reduce(nearer)
                })
            else {
                break;
            };
            if let Some(slot) = self.slots.get_mut(key as usize) {
                slot.handler
                    .dropped(Dropped::ForRoom, Key(key), &self.now, &mut self.shared);
                slot.place = Place::Leaving;
                self.leaving.push(key);
            }
        }
    }

    /// Frees the slots of those who leave, whether they asked to or not.
    pub(super) fn free_the_leaving(&mut self) {
        for key in self.leaving.drain(..) {
            self.wheel.remove(key);
            // Dropping the handler closes its socket, which also takes it out of the poll.
            if let Some(slot) = self.slots.try_remove(key as usize) {
                trace!("{} released", Key(key));
                self.foreground -= usize::from(!slot.handler.is_background());
                self.seats_taken -= usize::from(slot.seated);
            }
        }
    }

    /// Tells those who are still there that the loop has ended. Bounded by the number of slots.
    pub(super) fn drop_the_rest(&mut self) {
        for (key, slot) in &mut self.slots {
            let key = Key(u32::try_from(key).unwrap_or(u32::MAX));
            let why = Dropped::Unfinished;
            slot.handler.dropped(why, key, &self.now, &mut self.shared);
        }
    }
}
