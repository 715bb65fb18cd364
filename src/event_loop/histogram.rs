//! How long things took: durations counted in buckets, of turns and of answers.
//!
//! Memory is constant, however many durations are counted.

use std::time::Duration;

/// Counts of durations, by the least limit that is not below them.
#[derive(Clone, Debug)]
pub struct Histogram {
    /// Ascending.
    limits: Vec<Duration>,
    /// One more than there are limits, for what is longer than all.
    counts: Vec<u64>,
    sum: Duration,
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

    /// How many durations were counted.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// All of them together.
    pub fn sum(&self) -> Duration {
        self.sum
    }

    /// How many durations were no longer than each limit; all of them at the end, without a limit.
    pub fn up_to(&self) -> impl Iterator<Item = (Option<Duration>, u64)> {
        let limits = self.limits.iter().copied().map(Some).chain([None]);
        limits.zip(self.counts.iter().scan(0, |sum, count| {
            *sum += count;
            Some(*sum)
        }))
    }

    /// The duration that so many of a hundred did not exceed, as the middle of its bucket; `None`
    /// if none was counted.
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
        assert_eq!(histogram.sum(), Duration::from_nanos(21_000_001));
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
