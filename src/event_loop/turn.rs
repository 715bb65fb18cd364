//! The loop: one poll, one slab of slots, one queue, one wheel.
//!
//! What lives here: one turn, in six named steps. It may not know any concrete handler.
//! Invariant: slots are filled and freed only at the end of a turn, so a key cannot change
//! its owner while a batch of events refers to it. Read next: `timer.rs`, `stream.rs`.

mod make_room;
mod slot;

use std::collections::VecDeque;
use std::io;
use std::time::Duration;

use log::{Level, log_enabled, trace};
use mio::{Events, Interest, Poll, Token};
use slab::Slab;

use crate::limits::{DRIVE_BYTES_MAX, EVENTS_PER_TURN, SCRATCH_BYTES};

use super::{Context, Control, Deadline, Dropped, Handler, Key, Newcomers, Next, Shared, Stage};
use crate::event_loop::clock::{Clock, Now, RateLimit, Tick};
use crate::event_loop::readiness::{Link, Readiness, Side};
use crate::event_loop::timer::Wheel;

pub use crate::event_loop::turn::slot::Slot;
use crate::event_loop::turn::slot::{Due, Place};

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
    seats_taken: usize,
    /// Where the next look for an idle handler begins.
    hand: usize,
    foreground: usize,
    shared_deadline: Option<Tick>,
    /// When to warn that newcomers cannot be registered.
    warnings: RateLimit,
    control: Control,
    /// What the handlers share.
    pub shared: H::Shared,
}

impl<H: Handler> EventLoop<H> {
    /// A loop with room for `capacity` handlers, and `reserve` more for those who are told that there is no
    /// room. The memory for them is reserved now and touched when used.
    ///
    /// # Errors
    /// If the kernel refuses an epoll instance.
    pub fn new(capacity: usize, reserve: usize, shared: H::Shared) -> io::Result<Self> {
        let mut clock = Clock::new();
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
            seats_taken: 0,
            hand: 0,
            foreground: 0,
            shared_deadline: None,
            warnings: RateLimit::default(),
            control: Control {
                stage: Stage::Running,
                announce: false,
                crowded: false,
                quit: false,
            },
            shared,
        })
    }

    /// The time of the present turn.
    pub fn now(&self) -> &Now {
        &self.now
    }

    /// Adds a handler before the loop runs (later ones come by [`Context::admit`]).
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
        self.drop_the_rest();
        Ok(self.foreground)
    }

    /// One turn.
    ///
    /// # Errors
    /// Only if the poll itself fails.
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

    /// Step 1: waits for events. Not at all while work is queued; until the next deadline; or for ever.
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
            let key = event.token().0;
            let Some(slot) = self.slots.get_mut(key) else {
                continue;
            };
            slot.ready.note(event);
            #[expect(
                clippy::cast_possible_truncation,
                reason = "slots are numbered below SLOTS_MAX"
            )]
            let key = key as u32;
            trace!("{} event; ready now: {:?}", Key(key), slot.ready);
            let wakes = match slot.place.parked_on() {
                Some(side) => slot.ready.is(side),
                None => slot.place == Place::Asleep && slot.ready.is_gone(),
            };
            if wakes {
                slot.place = Place::Queued;
                self.queue.push_back(key);
            }
        }
    }

    /// Step 3: drives the slots that were queued when the step began, once each, in order.
    fn run_queue(&mut self) {
        let (mut room, mut spare) = (self.room(), self.reserve.saturating_sub(self.seats_taken));
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
        let mut refile = Vec::new();
        self.wheel.advance(self.now.tick, |key| {
            let Some(slot) = slots.get_mut(key as usize) else {
                return;
            };
            if slot.due != Due::At {
                return;
            }
            if !slot.deadline.is_due(self.now.tick) {
                refile.push((key, slot.deadline));
                return;
            }
            slot.due = Due::Passed;
            match slot.place {
                Place::ParkedRead | Place::ParkedWrite | Place::ParkedEither | Place::Asleep => {
                    trace!("{} its deadline has passed", Key(key));
                    slot.place = Place::Queued;
                    queue.push_back(key);
                }
                Place::Queued | Place::WaitingForRoom | Place::Leaving => {}
            }
        });
        for (key, deadline) in refile {
            self.wheel.file(key, deadline);
        }
    }

    /// Step 5: registers newcomers; announces a change of stage.
    fn admit(&mut self) {
        let mut newcomers = std::mem::take(&mut self.newcomers);
        for (handler, next, seated) in newcomers.drain(..) {
            match self.install(handler, next, seated) {
                Ok(key) if self.control.stage != Stage::Running => self.hear_of_stage(key),
                Ok(_) => {}
                // No client can mend it, and each newcomer is lost: the operator should act.
                Err(e) if self.warnings.is_due(&self.now) => log::warn!(
                    "newcomers are lost, since the kernel does not watch their sockets: {e} (raise fs.epoll.max_user_watches)"
                ),
                Err(e) => log::debug!("a newcomer could not be registered: {e}"),
            }
        }
        self.newcomers = newcomers;
        if std::mem::take(&mut self.control.announce) {
            for (key, slot) in &mut self.slots {
                if !matches!(slot.place, Place::Queued | Place::Leaving) {
                    slot.place = Place::Queued;
                    #[expect(
                        clippy::cast_possible_truncation,
                        reason = "slots are numbered below SLOTS_MAX"
                    )]
                    self.queue.push_back(key as u32);
                }
            }
            self.waiting_for_room.clear();
        }
    }

    /// A stage that was announced before a newcomer came is news to it all the same: parked, it would not learn of the
    /// end of the loop before its own deadline.
    fn hear_of_stage(&mut self, key: Key) {
        if let Some(slot) = self.slots.get_mut(key.0 as usize)
            && !matches!(slot.place, Place::Queued | Place::Leaving)
        {
            slot.place = Place::Queued;
            self.queue.push_back(key.0);
        }
    }

    /// Step 6: frees the slots that are done, and makes room for who waits for it.
    fn release(&mut self) {
        self.free_the_leaving();
        self.no_room = false;
        if !self.waiting_for_room.is_empty() {
            let crowded = std::mem::take(&mut self.control.crowded);
            if crowded || self.room() == 0 {
                self.make_room();
                self.no_room = self.leaving.is_empty();
                self.free_the_leaving();
            }
            for key in self.waiting_for_room.drain(..) {
                if let Some(slot) = self.slots.get_mut(key as usize) {
                    slot.place = Place::Queued;
                    self.queue.push_back(key);
                }
            }
        }
    }

    fn room(&self) -> usize {
        self.capacity
            .saturating_sub(self.slots.len() - self.seats_taken)
    }

    fn install(&mut self, mut handler: H, next: Next, seated: bool) -> io::Result<Key> {
        if self.slots.len() >= self.capacity + self.reserve {
            handler.dropped(
                Dropped::Unwatched,
                Key(u32::MAX),
                &self.now,
                &mut self.shared,
            );
            return Err(io::Error::other("no slot left"));
        }
        let entry = self.slots.vacant_entry();
        let token = Token(entry.key());
        #[expect(
            clippy::cast_possible_truncation,
            reason = "slots are numbered below SLOTS_MAX"
        )]
        let key = token.0 as u32;
        if let Some(source) = handler.source() {
            // Urgent data are asked about because reads stop at them: see `Link::came`.
            let all = Interest::READABLE | Interest::WRITABLE | Interest::PRIORITY;
            if let Err(e) = self.poll.registry().register(source, token, all) {
                handler.dropped(Dropped::Unwatched, Key(key), &self.now, &mut self.shared);
                return Err(e);
            }
        }
        self.foreground += usize::from(!handler.is_background());
        self.seats_taken += usize::from(seated);
        entry.insert(Slot {
            handler,
            deadline: Tick::default(),
            due: Due::Never,
            ready: Readiness::NONE,
            place: Place::Queued,
            seated,
        });
        trace!("{} registered: {next:?}", Key(key));
        self.place(key, next);
        Ok(Key(key))
    }

    /// Puts a slot where its handler wants to be: the only place where that is decided.
    fn place(&mut self, key: u32, next: Next) {
        let Some(slot) = self.slots.get_mut(key as usize) else {
            return;
        };
        let deadline = match next {
            Next::Park(side, deadline) => {
                slot.place = match side {
                    Side::Read => Place::ParkedRead,
                    Side::Write => Place::ParkedWrite,
                    Side::Either => Place::ParkedEither,
                };
                debug_assert!(
                    !slot.ready.is(side),
                    "{} parked on a set bit: nobody would wake it",
                    Key(key)
                );
                if slot.ready.is(side) {
                    slot.place = Place::Queued;
                    self.queue.push_back(key);
                }
                deadline
            }
            Next::Sleep(tick) => {
                slot.place = Place::Asleep;
                Deadline::At(tick)
            }
            Next::Again(deadline) => {
                slot.place = Place::Queued;
                self.queue.push_back(key);
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
            // A deadline that passed and was not renewed has been heard: it does not pass twice.
            Deadline::Keep if slot.due == Due::Passed => slot.due = Due::Never,
            Deadline::Keep => {}
            Deadline::Never => slot.due = Due::Never,
        }
    }
}

#[cfg(test)]
mod tests;
