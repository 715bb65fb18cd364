//! The time: the only file that asks for it, once a turn, so that it stands still within one.
//!
//! Ticks of the monotonic clock are for deadlines, the wall clock is for headers and logs.

use std::time::{Duration, Instant, SystemTime};

use crate::limits::WARNING_INTERVAL;

/// A moment in milliseconds since the loop began.
///
/// It wraps after 49 days, so two ticks are compared by their distance, which is right for any two
/// that are less than 24 days apart; no deadline is further away than that.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Tick(pub(crate) u32);

/// Furthest that a deadline may lie ahead: 12 days, what the wheel's five levels span.
const FURTHEST_MILLIS: u32 = (1 << 30) - 1;

impl Tick {
    /// The tick by which `duration` has passed for certain, 12 days at most: rounded up, and one
    /// more, since part of the present millisecond is over.
    #[must_use]
    pub fn after(self, duration: Duration) -> Self {
        let millis = duration.as_nanos().div_ceil(1_000_000) + 1;
        let millis = u32::try_from(millis)
            .unwrap_or(u32::MAX)
            .min(FURTHEST_MILLIS);
        Self(self.0.wrapping_add(millis))
    }

    /// Whether this moment has come, or passed, at `now`.
    pub fn is_due(self, now: Self) -> bool {
        self.0.wrapping_sub(now.0).cast_signed() <= 0
    }

    /// Milliseconds from `now` until this tick; 0 if it has passed.
    pub fn millis_from(self, now: Self) -> u32 {
        if self.is_due(now) {
            0
        } else {
            self.0.wrapping_sub(now.0)
        }
    }

    /// The time from `earlier` to this tick; zero if it is not earlier.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::from(self.millis_from(earlier)))
    }
}

/// The time of one turn.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// Milliseconds since the loop began, for deadlines.
    pub tick: Tick,
    /// The monotonic clock, for measuring.
    pub instant: Instant,
    /// The wall clock, for headers and logs.
    pub wall: SystemTime,
    /// The number of this turn. What is known to hold in a turn is not asked again within it.
    pub turn: u64,
}

/// Where the loop's time comes from.
#[derive(Debug)]
pub struct Clock {
    started: Instant,
    turn: u64,
}

impl Clock {
    /// A clock whose tick 0 is now.
    pub fn start() -> Self {
        Self {
            started: Instant::now(),
            turn: 0,
        }
    }

    /// Reads the time for the next turn.
    pub fn read(&mut self) -> Now {
        self.turn += 1;
        let instant = Instant::now();
        let millis = instant.duration_since(self.started).as_millis();
        #[expect(clippy::cast_possible_truncation, reason = "ticks wrap; see Tick")]
        let tick = Tick(millis as u32);
        Now {
            tick,
            instant,
            wall: SystemTime::now(),
            turn: self.turn,
        }
    }
}

/// Whether to log again what might be logged a thousand times a second.
#[derive(Clone, Copy, Default, Debug)]
pub struct RateLimit(Option<Instant>);

impl RateLimit {
    /// Whether it is time; then not again within [`WARNING_INTERVAL`].
    pub fn is_due(&mut self, now: &Now) -> bool {
        let is_long_ago = |last| now.instant.saturating_duration_since(last) >= WARNING_INTERVAL;
        let due = self.0.is_none_or(is_long_ago);
        if due {
            self.0 = Some(now.instant);
        }
        due
    }
}

/// Microseconds of `CLOCK_MONOTONIC`, as service managers ask for them.
pub fn monotonic_micros() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    let part = |n: i64| u64::try_from(n).unwrap_or(0);
    part(now.tv_sec) * 1_000_000 + part(now.tv_nsec) / 1_000
}

/// The time now, for what is measured within a turn (round trips of datagrams, phases of a
/// request).
pub fn monotonic_now() -> Instant {
    Instant::now()
}
