//! How fast a reader takes what it is sent, and how much of it the kernel may hold meanwhile.
//!
//! Only time in which the reader could have read counts against it (`--stall-timeout`).

use std::time::Duration;

use crate::event_loop::{Tick, Transport};
use crate::limits::{SEND_RATE_MIN, UNSENT_BYTES_ALL, UNSENT_BYTES_MIN, UNSENT_PART_OF_FILE};

/// What a reader has taken since a moment, on the way of one reply.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// Since when it is counted.
    pub(super) since: Tick,
    /// Bytes that went out since then.
    pub(super) moved: u64,
    /// Bytes that had gone out before, and had not arrived then.
    pub(super) queued: u64,
}

impl Pace {
    /// Leaves out time that was spent on a disk.
    pub(super) fn leave_out(&mut self, time: Duration) {
        self.since = self.since.after(time);
    }

    /// Whether a stall time has passed since it began to count.
    pub(super) fn is_due(&self, now: Tick, stall: Duration) -> bool {
        now.since(self.since) >= stall
    }

    /// Whether the reader has taken less than the least rate for at least one stall time. Asked
    /// more often than that, so that what it took is noticed: what it has acknowledged, or where
    /// the kernel does not say, what its socket had room for.
    pub(super) fn is_too_slow(
        &mut self,
        reader: &impl Transport,
        now: Tick,
        stall: Duration,
    ) -> bool {
        let queued = reader.unacknowledged().map_or(self.queued, |n| n.into());
        // Bytes of replies before this one may still be queued, and were not counted yet.
        self.queued = self.queued.max(queued.saturating_sub(self.moved));
        let taken = self.moved + self.queued - queued;
        let least = now.since(self.since).as_millis() * u128::from(SEND_RATE_MIN) / 1000;
        if taken > 0 && u128::from(taken) >= least {
            (self.since, self.moved, self.queued) = (now, 0, queued);
            return false;
        }
        self.is_due(now, stall)
    }
}

/// How many bytes of a file of which `left` remain the kernel may hold unsent, while so many
/// replies are being written.
pub(super) fn unsent_share(writing: u64, left: u64) -> u32 {
    let share = (u64::from(UNSENT_BYTES_ALL) / writing.max(1)).min(left / UNSENT_PART_OF_FILE);
    u32::try_from(share).map_or(UNSENT_BYTES_ALL, |share| share.max(UNSENT_BYTES_MIN))
}
