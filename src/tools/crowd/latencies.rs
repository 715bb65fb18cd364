//! How long answers took.
//!
//! What lives here: counts in buckets, 64 for each doubling of time. It may not know what was asked for.
//! Invariant: constant memory, however many answers, and no quantile is off by more than one part in 64.
//! Read next: `probe.rs`.

use std::time::Duration;

/// Buckets for each doubling, as a power of two.
const BITS: u32 = 6;
/// All below so many nanoseconds, as a power of two, are one: no answer comes sooner.
const LEAST: u32 = 10;
/// The last doubling begins at 34 s, which no request is given.
const DOUBLINGS: u32 = 26;

/// See the module.
#[derive(Default, Debug)]
pub(super) struct Latencies {
    /// Empty until something is counted.
    buckets: Vec<u32>,
    pub(super) answers: u64,
    /// Requests that got none, or a wrong one.
    pub(super) failed: u64,
}

impl Latencies {
    /// Counts one answer.
    pub(super) fn count(&mut self, time: Duration) {
        self.buckets.resize((DOUBLINGS << BITS) as usize, 0);
        let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let nanos = nanos.clamp(1 << LEAST, (1 << (LEAST + DOUBLINGS)) - 1);
        let doubling = nanos.ilog2();
        // The bits behind the highest say which of its buckets.
        let place = (nanos >> (doubling - BITS)) + (u64::from(doubling - LEAST) << BITS);
        let bucket = usize::try_from(place - (1 << BITS)).unwrap_or(0);
        if let Some(count) = self.buckets.get_mut(bucket) {
            *count = count.saturating_add(1);
            self.answers += 1;
        }
    }

    /// The time within which so many of a hundred answers came; `None` if there were none.
    pub(super) fn percentile(&self, percent: u64) -> Option<Duration> {
        let rank = (self.answers * percent).div_ceil(100).max(1);
        let mut seen = 0;
        let bucket = self.buckets.iter().position(|count| {
            seen += u64::from(*count);
            seen >= rank
        })?;
        let bucket = u64::try_from(bucket).unwrap_or(0);
        let doubling = (bucket >> BITS) + u64::from(LEAST) - u64::from(BITS);
        // The middle of the bucket, in halves of its width.
        let halves = 2 * ((1 << BITS) + (bucket & ((1 << BITS) - 1))) + 1;
        Some(Duration::from_nanos((halves << doubling) / 2))
    }
}
