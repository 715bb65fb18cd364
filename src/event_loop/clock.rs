//! The time: the only file that asks for it, once a turn, so that it stands still within one.
//!
//! Ticks of the monotonic clock are for deadlines, the wall clock is for headers and logs. A
//! [`Histogram`] counts how long things took.

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

/// Counts of durations, by the least limit that is not below them. Its memory is constant.
#[derive(Clone, Debug)]
pub struct Histogram {
    /// Ascending.
    limits: Vec<Duration>,
    /// One more than there are limits, for what is longer than all.
    counts: Vec<u64>,
    /// All of them together.
    pub(crate) sum: Duration,
}

impl Default for Histogram {
    /// 64 buckets for each doubling, from a microsecond to a minute: no percentile is off by more
    /// than one part in 64.
    fn default() -> Self {
        let doublings = (0..26).map(|power| Duration::from_micros(1 << power));
        Self::new(doublings.flat_map(|least| (1..=64).map(move |part| least + least * part / 64)))
    }
}

impl Histogram {
    /// A bucket up to each of the limits, which ascend, and one for what is longer.
    pub fn new(limits: impl IntoIterator<Item = Duration>) -> Self {
        let limits: Vec<Duration> = limits.into_iter().collect();
        Self {
            counts: vec![0; limits.len() + 1],
            limits,
            sum: Duration::ZERO,
        }
    }

    /// Counts one duration.
    pub fn add(&mut self, time: Duration) {
        self.sum = self.sum.saturating_add(time);
        let bucket = self.limits.partition_point(|limit| *limit < time);
        if let Some(count) = self.counts.get_mut(bucket) {
            *count += 1;
        }
    }

    /// How many were counted.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// How many durations were no longer than each limit; all of them at the end, without a limit.
    pub fn up_to(&self) -> impl Iterator<Item = (Option<Duration>, u64)> {
        let limits = self.limits.iter().copied().map(Some).chain([None]);
        limits.zip(self.counts.iter().scan(0, |sum, count| {
            *sum += count;
            Some(*sum)
        }))
    }

    /// What so many of a hundred did not exceed, as the middle of its bucket; `None` of none.
    pub fn percentile(&self, percent: u64) -> Option<Duration> {
        let rank = (self.count() * percent).div_ceil(100).max(1);
        let bucket = self.up_to().position(|(_, count)| count >= rank)?;
        let longest = self.limits.get(bucket).or(self.limits.last())?;
        let shortest = bucket.checked_sub(1).and_then(|at| self.limits.get(at));
        Some((*longest + shortest.copied().unwrap_or_default()) / 2)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use super::*;

    #[test]
    fn durations_are_counted_up_to_each_limit() {
        let [one, ten] = [1, 10].map(Duration::from_millis);
        let mut histogram = Histogram::new([one, ten]);
        for time in [Duration::ZERO, one, ten, ten + Duration::from_nanos(1)] {
            histogram.add(time);
        }
        let counts: Vec<_> = histogram.up_to().collect();
        assert_eq!(counts, [(Some(one), 2), (Some(ten), 3), (None, 4)]);
        assert_eq!(histogram.count(), 4);
        assert_eq!(histogram.sum, Duration::from_nanos(21_000_001));
    }

    #[test]
    fn percentiles_are_right_to_a_part_in_sixty_four() {
        let mut histogram = Histogram::default();
        assert_eq!(histogram.percentile(50), None);
        for micros in 1..=1000 {
            histogram.add(Duration::from_micros(micros * 10));
        }
        for (percent, micros) in [(0, 10.0), (50, 5000.0), (99, 9900.0), (100, 10_000.0)] {
            let found = histogram.percentile(percent).unwrap().as_secs_f64() * 1e6;
            assert!(
                (found / micros - 1.0).abs() < 1.0 / 64.0,
                "{percent} %: {found}"
            );
        }
        // What no clock says is counted all the same.
        histogram.add(Duration::ZERO);
        histogram.add(Duration::MAX);
        assert_eq!(histogram.count(), 1002);
        assert!(histogram.percentile(100).unwrap() > Duration::from_secs(60));
    }
}
