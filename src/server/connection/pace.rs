//! How fast a reader takes what it is sent: whether `--stall-timeout` gives it up, from what went
//! out and what has arrived.
//!
//! Only time in which the reader could have read is counted against it.

use std::time::Duration;

use crate::event_loop::{Tick, Transport};
use crate::limits::SEND_RATE_MIN;

/// What a reader has taken since a moment, on the way of one reply.
#[derive(Debug)]
pub(super) struct Pace {
    /// Since when it is counted.
    since: Tick,
    /// Bytes that went out since then.
    moved: u64,
    /// Bytes that had gone out before, and had not arrived then.
    queued: u64,
}

impl Pace {
    /// Begins to count.
    pub(super) fn since(now: Tick) -> Self {
        Self {
            since: now,
            moved: 0,
            queued: 0,
        }
    }

    /// So many bytes went out.
    pub(super) fn add(&mut self, bytes: u64) {
        self.moved += bytes;
    }

    /// So much time was spent on a disk.
    pub(super) fn leave_out(&mut self, time: Duration) {
        self.since = self.since.after(time);
    }

    /// Whether it has been counted for a stall time.
    pub(super) fn is_due(&self, now: Tick, stall: Duration) -> bool {
        now.since(self.since) >= stall
    }

    /// Whether the reader has taken less than the least rate for at least one stall time. Looked at
    /// more often, so that what it took is noticed: what it has acknowledged, or as far as that
    /// cannot be asked, what its socket had room for.
    pub(super) fn is_too_slow(
        &mut self,
        reader: &impl Transport,
        now: Tick,
        stall: Duration,
    ) -> bool {
        let queued = reader.unacknowledged().map_or(self.queued, |n| n.into());
        // What waits of replies before this one was not counted yet.
        self.queued = self.queued.max(queued.saturating_sub(self.moved));
        let taken = self.moved + self.queued - queued;
        let least = now.since(self.since).as_millis() * u128::from(SEND_RATE_MIN) / 1000;
        if taken > 0 && u128::from(taken) >= least {
            *self = Self {
                queued,
                ..Self::since(now)
            };
            return false;
        }
        self.is_due(now, stall)
    }
}
