//! The loop: one poll, one slab of slots, one queue, one timer wheel.
//!
//! One turn is six named steps. Slots are filled and freed only in the last two, so a key cannot
//! change its owner while a batch of events refers to it (a slab reuses a freed key at once).

use std::collections::VecDeque;
use std::io;
use std::mem::take;
use std::time::Duration;

use log::{Level, log_enabled, trace};
use mio::{Events, Interest, Poll, Token};
use slab::Slab;

use super::{Context, Control, Deadline, Dropped, Handler, Key, Newcomers, Next, Shared, Stage};
use crate::event_loop::clock::{Clock, Now, RateLimit, Tick};
use crate::event_loop::readiness::{Link, Readiness};
use crate::event_loop::slot::{Due, Place, Slot};
use crate::event_loop::timer::Wheel;
use crate::limits::{DRIVE_BYTES_MAX, EVENTS_PER_TURN, ROOM_LOOK_MAX, SCRATCH_BYTES};

/// See the module.
#[derive(Debug)]
pub struct EventLoop<H: Handler> {
    poll: Poll,
    events: Events,
    slots: Slab<Slot<H>>,
    capacity: usize,
    reserve: usize,
    queue: VecDeque<u32>,
    wheel: Wheel,
    clock: Clock,
    now: Now,
    scratch: Box<[u8]>,
    newcomers: Vec<(H, Next, bool)>,
    leaving: Vec<u32>,
    waiting_for_room: Vec<u32>,
    no_room: bool,
    /// Slots that are taken of those in reserve.
    reserve_taken: usize,
    /// Where the next search for an idle handler begins.
    search_from: usize,
    /// Handlers that are not in the background: the loop runs until there are none.
    foreground: usize,
    shared_deadline: Option<Tick>,
    /// When to warn that newcomers cannot be registered.
    warnings: RateLimit,
    control: Control,
    /// What the handlers share.
    pub shared: H::Shared,
}

impl<H: Handler> EventLoop<H> {
    /// A loop with room for `capacity` handlers, and `reserve` more for those that tell newcomers
    /// that there is no room. The memory for them is reserved now, and touched when used.
    ///
    /// # Errors
    /// If the kernel refuses an epoll instance.
    pub fn new(capacity: usize, reserve: usize, shared: H::Shared) -> io::Result<Self> {
        let mut clock = Clock::start();
        let now = clock.read();
        Ok(Self {
            poll: Poll::new()?,
            events: Events::with_capacity(EVENTS_PER_TURN),
            slots: Slab::with_capacity(capacity + reserve),
            capacity,
            reserve,
            queue: VecDeque::new(),
            wheel: Wheel::new(capacity + reserve, now.tick),
            clock,
            now,
            scratch: vec![0; SCRATCH_BYTES].into_boxed_slice(),
            newcomers: Vec::new(),
            leaving: Vec::new(),
            waiting_for_room: Vec::new(),
            no_room: false,
            reserve_taken: 0,
            search_from: 0,
            foreground: 0,
            shared_deadline: None,
            warnings: RateLimit::default(),
            control: Control::default(),
            shared,
        })
    }

    /// The time of the present turn.
    pub fn now(&self) -> &Now {
        &self.now
    }

    /// Adds a handler before the loop runs (later ones come by [`Newcomers::admit`]).
    ///
    /// # Errors
    /// If its socket cannot be registered, or there is no slot left.
    pub fn add(&mut self, handler: H, next: Next) -> io::Result<Key> {
        self.install(handler, next, false)
    }

    /// Turns until every handler that is not in the background has left, or one asks to quit.
    /// Returns how many were still there.
    ///
    /// # Errors
    /// Only if the poll itself fails, which no client can cause.
    pub fn run(&mut self) -> io::Result<usize> {
        while self.foreground > 0 && !self.control.quit {
            self.turn()?;
        }
        for (index, slot) in &mut self.slots {
            let (why, key) = (Dropped::Unfinished, Key(key_of(index)));
            slot.handler.dropped(why, key, &self.now, &mut self.shared);
        }
        Ok(self.foreground)
    }

    /// One turn. It fails as [`run`](Self::run) does.
    pub fn turn(&mut self) -> io::Result<()> {
        self.wait()?;
        self.note();
        self.run_queue();
        self.expire();
        self.admit();
        self.release();
        self.shared_deadline = self.shared.turn_ends(&self.now);
        Ok(())
    }

    /// Step 1: waits for events. Not at all while work is queued; until the next deadline; or for
    /// ever.
    fn wait(&mut self) -> io::Result<()> {
        let timeout = if self.queue.is_empty() {
            let next = [self.wheel.next(), self.shared_deadline];
            next.into_iter()
                .flatten()
                .map(|t| t.millis_from(self.now.tick))
                .min()
                .map(|m| Duration::from_millis(m.into()))
        } else {
            Some(Duration::ZERO)
        };
        match self.poll.poll(&mut self.events, timeout) {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => self.events.clear(),
            other => other?,
        }
        self.now = self.clock.read();
        Ok(())
    }

    /// Step 2: each event sets bits, and queues its slot if that is what it waits for.
    fn note(&mut self) {
        if log_enabled!(Level::Trace) && (!self.events.is_empty() || !self.queue.is_empty()) {
            trace!(
                "turn {} at tick {}: {} events, {} queued",
                self.now.turn,
                self.now.tick.0,
                self.events.iter().count(),
                self.queue.len()
            );
        }
        for event in &self.events {
            let key = key_of(event.token().0);
            let Some(slot) = self.slots.get_mut(key as usize) else {
                continue;
            };
            slot.ready.note(event);
            trace!("{} event; ready now: {:?}", Key(key), slot.ready);
            let wakes = match slot.place {
                Place::Parked(side) => slot.ready.is(side),
                Place::Asleep => slot.ready.is_gone(),
                Place::WaitingForRoom | Place::Queued | Place::Leaving => false,
            };
            if wakes {
                slot.enqueue(key, &mut self.queue);
            }
        }
    }

    /// Step 3: drives the slots that were queued when the step began, once each, in order.
    fn run_queue(&mut self) {
        let mut room = self.room();
        let mut spare = self.reserve.saturating_sub(self.reserve_taken);
        for _ in 0..self.queue.len() {
            let Some(key) = self.queue.pop_front() else {
                break;
            };
            let Some(slot) = self.slots.get_mut(key as usize) else {
                continue;
            };
            debug_assert_eq!(slot.place, Place::Queued, "queued once, and nowhere else");
            let mut cx = Context {
                link: Link::new(Key(key), slot.ready, DRIVE_BYTES_MAX),
                now: self.now,
                expired: slot.due == Due::Passed,
                deadline: slot.deadline,
                stage: self.control.stage,
                scratch: &mut self.scratch,
                shared: &mut self.shared,
                control: &mut self.control,
            };
            let mut new = Newcomers {
                room,
                spare,
                no_room: self.no_room,
                admitted: &mut self.newcomers,
            };
            let next = slot.handler.drive(&mut cx, &mut new);
            slot.ready = cx.link.ready;
            trace!("{} next: {next:?}", Key(key));
            (room, spare) = (new.room, new.spare);
            self.place(key, next);
        }
    }

    /// Step 4: queues those whose deadline has passed; a deadline that has moved is filed again.
    fn expire(&mut self) {
        let (slots, queue) = (&mut self.slots, &mut self.queue);
        let mut moved = Vec::new();
        self.wheel.advance(self.now.tick, |key| {
            let Some(slot) = slots.get_mut(key as usize) else {
                return;
            };
            if slot.due != Due::At {
                return;
            }
            if !slot.deadline.is_due(self.now.tick) {
                moved.push((key, slot.deadline));
                return;
            }
            slot.due = Due::Passed;
            if matches!(slot.place, Place::Parked(_) | Place::Asleep) {
                trace!("{} its deadline has passed", Key(key));
                slot.enqueue(key, queue);
            }
        });
        for (key, deadline) in moved {
            self.wheel.file(key, deadline);
        }
    }

    /// Step 5: registers newcomers; announces a change of stage.
    fn admit(&mut self) {
        let mut newcomers = take(&mut self.newcomers);
        for (handler, next, in_reserve) in newcomers.drain(..) {
            match self.install(handler, next, in_reserve) {
                // The stage changed before this handler was in a slot, so it was not told. Parked,
                // it would not learn of the end of the loop before its own deadline.
                Ok(key) if self.control.stage != Stage::Running => {
                    if let Some(slot) = self.slots.get_mut(key.0 as usize) {
                        slot.announce(key.0, &mut self.queue);
                    }
                }
                Ok(_) => {}
                // No client can mend it, and each newcomer is lost: the operator should act.
                Err(e) if self.warnings.is_due(&self.now) => log::warn!(
                    "newcomers are lost, since the kernel does not watch their sockets: {e} \
                     (raise fs.epoll.max_user_watches)"
                ),
                Err(e) => log::debug!("a newcomer could not be registered: {e}"),
            }
        }
        self.newcomers = newcomers;
        if take(&mut self.control.announce) {
            for (index, slot) in &mut self.slots {
                slot.announce(key_of(index), &mut self.queue);
            }
            self.waiting_for_room.clear();
        }
    }

    /// Step 6: frees the slots that are done, and makes room for handlers that wait for it.
    fn release(&mut self) {
        self.free_the_leaving();
        self.no_room = false;
        if self.waiting_for_room.is_empty() {
            return;
        }
        if take(&mut self.control.evict) || self.room() == 0 {
            self.evict_idle();
            self.no_room = self.leaving.is_empty();
            self.free_the_leaving();
        }
        for key in self.waiting_for_room.drain(..) {
            if let Some(slot) = self.slots.get_mut(key as usize) {
                slot.enqueue(key, &mut self.queue);
            }
        }
    }

    /// Frees the slots of the handlers that leave, whether they asked to or not.
    fn free_the_leaving(&mut self) {
        for key in self.leaving.drain(..) {
            self.wheel.remove(key);
            // Dropping the handler closes its socket, which also takes it out of the poll.
            if let Some(slot) = self.slots.try_remove(key as usize) {
                trace!("{} released", Key(key));
                self.foreground -= usize::from(!slot.handler.is_background());
                self.reserve_taken -= usize::from(slot.in_reserve);
            }
        }
    }

    /// Drops the idle handlers nearest to their deadline, one for each that waits for room. If the
    /// earliest on the wheel are all busy (slow heads have earlier deadlines than idle
    /// connections), the slots are searched in order. Bounded by twice [`ROOM_LOOK_MAX`] for each.
    fn evict_idle(&mut self) {
        for _ in 0..self.waiting_for_room.len() {
            let slots = &self.slots;
            let is_idle = |&key: &u32| {
                slots.get(key as usize).is_some_and(|slot| {
                    matches!(slot.place, Place::Parked(_)) && slot.handler.may_be_dropped()
                })
            };
            let left = |&key: &u32| {
                let slot = slots.get(key as usize);
                slot.map(|slot| slot.deadline.millis_from(self.now.tick))
            };
            // Of those with the same deadline the last: a bucket begins with the one filed last.
            let nearer = |a, b| if left(&b) <= left(&a) { b } else { a };
            let earliest = self.wheel.earliest(ROOM_LOOK_MAX);
            let found = earliest.filter(is_idle).reduce(nearer).or_else(|| {
                let (from, all) = (self.search_from, slots.capacity().max(1));
                self.search_from = (from + ROOM_LOOK_MAX) % all;
                let searched = (from..from + ROOM_LOOK_MAX.min(all)).map(|i| key_of(i % all));
                searched.filter(is_idle).reduce(nearer)
            });
            let Some(key) = found else {
                break;
            };
            if let Some(slot) = self.slots.get_mut(key as usize) {
                let (why, now) = (Dropped::ForRoom, &self.now);
                slot.handler.dropped(why, Key(key), now, &mut self.shared);
                slot.place = Place::Leaving;
                self.leaving.push(key);
            }
        }
    }

    /// Slots that are free, those in reserve left out.
    fn room(&self) -> usize {
        self.capacity
            .saturating_sub(self.slots.len() - self.reserve_taken)
    }

    fn install(&mut self, mut handler: H, next: Next, in_reserve: bool) -> io::Result<Key> {
        let entry = self.slots.vacant_entry();
        let key = Key(key_of(entry.key()));
        let registered = if entry.key() >= self.capacity + self.reserve {
            Err(io::Error::other("no slot left"))
        } else if let Some(source) = handler.source() {
            // Urgent data are asked about because reads stop at them: see `Link::came`.
            let all = Interest::READABLE | Interest::WRITABLE | Interest::PRIORITY;
            let token = Token(entry.key());
            self.poll.registry().register(source, token, all)
        } else {
            Ok(())
        };
        if let Err(e) = registered {
            handler.dropped(Dropped::Unwatched, key, &self.now, &mut self.shared);
            return Err(e);
        }
        self.foreground += usize::from(!handler.is_background());
        self.reserve_taken += usize::from(in_reserve);
        entry.insert(Slot {
            handler,
            deadline: Tick::default(),
            due: Due::Never,
            ready: Readiness::NONE,
            place: Place::Queued,
            in_reserve,
        });
        trace!("{key} registered: {next:?}");
        self.place(key.0, next);
        Ok(key)
    }

    /// Puts a slot where its handler wants to be: the only place where that is decided.
    fn place(&mut self, key: u32, next: Next) {
        let Some(slot) = self.slots.get_mut(key as usize) else {
            return;
        };
        let deadline = match next {
            Next::Park(side, deadline) => {
                slot.place = Place::Parked(side);
                debug_assert!(
                    !slot.ready.is(side),
                    "{} parked on a set bit: no edge would wake it",
                    Key(key)
                );
                if slot.ready.is(side) {
                    slot.enqueue(key, &mut self.queue);
                }
                deadline
            }
            Next::Sleep(tick) => {
                slot.place = Place::Asleep;
                Deadline::At(tick)
            }
            Next::Again(deadline) => {
                slot.enqueue(key, &mut self.queue);
                deadline
            }
            Next::Room => {
                slot.place = Place::WaitingForRoom;
                self.waiting_for_room.push(key);
                Deadline::Never
            }
            Next::Leave => {
                slot.place = Place::Leaving;
                self.leaving.push(key);
                Deadline::Never
            }
        };
        match deadline {
            Deadline::At(tick) => {
                slot.deadline = tick;
                slot.due = Due::At;
                self.wheel.file(key, tick);
            }
            // A deadline that passed and was not renewed is over: it does not pass twice.
            Deadline::Keep if slot.due == Due::Passed => slot.due = Due::Never,
            Deadline::Keep => {}
            Deadline::Never => slot.due = Due::Never,
        }
    }
}

/// The key of a slot.
#[expect(
    clippy::cast_possible_truncation,
    reason = "slots are numbered below SLOTS_MAX"
)]
fn key_of(index: usize) -> u32 {
    index as u32
}

#[cfg(test)]
mod tests;
