//! A lazy timing wheel: which slots want to be woken, and when.
//!
//! What lives here: five levels of 64 buckets, each 64 times as wide as the one below, so that the next
//! 12 days are covered to the millisecond. It is pure: ticks in, keys out. It may not know
//! what a key stands for or what time it is.
//!
//! It is lazy: a slot whose deadline moved later stays filed where it is; when it comes up, its owner
//! says the new deadline and it is filed again. So a busy connection never touches the wheel.
//!
//! Buckets are lists through one array of links, made at its full size and untouched (so not
//! resident) until used: 12 bytes a slot, no allocation, each key filed at most once.
//!
//! Invariant: no key comes out before its tick, and none is lost. Read next: `event_loop.rs`.

use crate::event_loop::clock::Tick;

const LEVELS: usize = 5;
const BITS: u32 = 6;
const BUCKETS: u32 = 1 << BITS;

/// A place in the array of links, kept as one more than the key so that 0, what fresh memory holds,
/// means "none".
type Place = u32;

/// What the wheel knows of one key. An array and not a struct, and all of them in one allocation: that is how the standard
/// library asks the allocator for zeros, which it hands out as untouched pages.
type Links = [u32; 3];
/// When it is to come up.
const TICK: usize = 0;
/// The [`Place`] of the next in the same bucket.
const NEXT: usize = 1;
/// The [`Place`] of the one before; for the first, the bucket itself, counted down from the top. 0: not filed.
const PREV: usize = 2;

/// See the module.
#[derive(Debug)]
pub struct Wheel {
    now: Tick,
    heads: [[Place; BUCKETS as usize]; LEVELS],
    occupied: [u64; LEVELS],
    links: Vec<Links>,
}

/// Names a bucket where an entry would name the one before it. Slots number a million at most, so the top of the range is free.
fn bucket_mark(level: usize, bucket: u32) -> u32 {
    #[expect(clippy::cast_possible_truncation, reason = "five levels")]
    let level = level as u32;
    u32::MAX - (level << BITS | bucket)
}

impl Wheel {
    /// A wheel for keys below `keys`, at tick `now`.
    pub fn new(keys: usize, now: Tick) -> Self {
        Self {
            now,
            heads: [[0; BUCKETS as usize]; LEVELS],
            occupied: [0; LEVELS],
            links: vec![[0; 3]; keys],
        }
    }

    /// Files `key` so that it comes up at `tick` or before. Does nothing if it already will.
    pub fn file(&mut self, key: u32, tick: Tick) {
        let Some(&[_, _, prev]) = self.links.get(key as usize) else {
            debug_assert!(false, "the wheel was made for fewer keys");
            return;
        };
        if prev != 0 {
            if Tick(self.links[key as usize][TICK]).is_due(tick) {
                return;
            }
            self.remove(key);
        }
        // What is already due comes up at the next millisecond: the present bucket has been emptied.
        let tick = if tick.is_due(self.now) {
            Tick(self.now.0.wrapping_add(1))
        } else {
            tick
        };
        self.link(key, tick);
    }

    /// Forgets `key`.
    pub fn remove(&mut self, key: u32) {
        let Some(&[_, _, prev]) = self.links.get(key as usize) else {
            return;
        };
        if prev == 0 {
            return;
        }
        let next = self.links[key as usize][NEXT];
        if next != 0 {
            self.links[next as usize - 1][PREV] = prev;
        }
        if prev > bucket_mark(LEVELS, 0) {
            let mark = u32::MAX - prev;
            let (level, bucket) = ((mark >> BITS) as usize, mark & (BUCKETS - 1));
            self.heads[level][bucket as usize] = next;
            if next == 0 {
                self.occupied[level] &= !(1 << bucket);
            }
        } else {
            self.links[prev as usize - 1][NEXT] = next;
        }
        self.links[key as usize][PREV] = 0;
    }

    /// When something may next come up: at that tick [`advance`](Self::advance) has work to do.
    pub fn next(&self) -> Option<Tick> {
        (0..LEVELS)
            .filter_map(|level| self.next_of(level))
            .min_by_key(|t| t.0.wrapping_sub(self.now.0))
    }

    fn next_of(&self, level: usize) -> Option<Tick> {
        if self.occupied[level] == 0 {
            return None;
        }
        #[expect(clippy::cast_possible_truncation, reason = "five levels")]
        let shift = BITS * level as u32;
        let here = self.now.0 >> shift;
        // The bucket we stand in was emptied when we entered it, so what it holds is a whole round away.
        let ahead = self.occupied[level]
            .rotate_right(here.wrapping_add(1) % BUCKETS)
            .trailing_zeros()
            + 1;
        Some(Tick(here.wrapping_add(ahead) << shift))
    }

    /// Moves the time to `now` and hands out each key that has come up. A key that comes up is no longer
    /// filed. Bounded by the number of keys filed.
    pub fn advance(&mut self, now: Tick, mut comes_up: impl FnMut(u32)) {
        while let Some(next) = self.next() {
            if !next.is_due(now) {
                break;
            }
            self.now = next;
            for level in (0..LEVELS).rev() {
                #[expect(clippy::cast_possible_truncation, reason = "five levels")]
                let shift = BITS * level as u32;
                if next.0 & ((1 << shift) - 1) == 0 {
                    self.empty(level, (next.0 >> shift) % BUCKETS, &mut comes_up);
                }
            }
        }
        // With nothing filed the loop may have slept for longer than two ticks can tell apart.
        if self.now.is_due(now) || self.next().is_none() {
            self.now = now;
        }
    }

    /// Keys in about the order in which they come up, at most `most` of them.
    pub fn earliest(&self, most: usize) -> impl Iterator<Item = u32> + '_ {
        (0..LEVELS)
            .flat_map(move |level| {
                #[expect(clippy::cast_possible_truncation, reason = "five levels")]
                let here = self.now.0 >> (BITS * level as u32);
                (1..=BUCKETS).map(move |ahead| (level, here.wrapping_add(ahead) % BUCKETS))
            })
            .filter(move |&(level, bucket)| self.occupied[level] & 1 << bucket != 0)
            .flat_map(move |(level, bucket)| {
                let mut place = self.heads[level][bucket as usize];
                std::iter::from_fn(move || {
                    let key = place.checked_sub(1)?;
                    place = self.links[key as usize][NEXT];
                    Some(key)
                })
            })
            .take(most)
    }

    fn empty(&mut self, level: usize, bucket: u32, comes_up: &mut impl FnMut(u32)) {
        self.occupied[level] &= !(1 << bucket);
        let mut place = std::mem::take(&mut self.heads[level][bucket as usize]);
        while let Some(key) = place.checked_sub(1) {
            place = self.links[key as usize][NEXT];
            self.links[key as usize][PREV] = 0;
            let tick = Tick(self.links[key as usize][TICK]);
            if tick.is_due(self.now) {
                comes_up(key);
            } else {
                self.link(key, tick);
            }
        }
    }

    fn link(&mut self, key: u32, tick: Tick) {
        let distance = tick.0.wrapping_sub(self.now.0).max(1);
        let level = ((distance.ilog2() / BITS) as usize).min(LEVELS - 1);
        #[expect(clippy::cast_possible_truncation, reason = "five levels")]
        let bucket = (tick.0 >> (BITS * level as u32)) % BUCKETS;
        let next = std::mem::replace(&mut self.heads[level][bucket as usize], key + 1);
        self.occupied[level] |= 1 << bucket;
        if next != 0 {
            self.links[next as usize - 1][PREV] = key + 1;
        }
        self.links[key as usize] = [tick.0, next, bucket_mark(level, bucket)];
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;
    use std::time::Duration;

    /// A small generator, seeded, so that a failure can be repeated.
    #[expect(clippy::cast_possible_truncation, reason = "any bits will do")]
    fn random(state: &mut u64) -> u32 {
        *state ^= *state << 13;
        *state ^= *state >> 7;
        *state ^= *state << 17;
        (*state >> 16) as u32
    }

    #[test]
    #[expect(
        clippy::cast_possible_truncation,
        clippy::expect_used,
        reason = "small numbers; a test may stop"
    )]
    fn nothing_comes_up_early_and_nothing_is_lost() {
        for start in [
            0u32,
            1,
            63,
            64,
            4095,
            1 << 24,
            u32::MAX - 70_000,
            u32::MAX - 3,
        ] {
            let mut seed = u64::from(start) | 0x9E37_79B9_7F4A_7C15;
            let mut now = Tick(start);
            let mut wheel = Wheel::new(64, now);
            let mut due: BTreeMap<u32, Tick> = BTreeMap::new();
            for _ in 0..30_000 {
                let key = random(&mut seed) % 64;
                match random(&mut seed) % 8 {
                    0 => {
                        wheel.remove(key);
                        due.remove(&key);
                    }
                    1..=4 => {
                        let far = 1u64 << (random(&mut seed) % 27);
                        let tick = now.after(Duration::from_millis(
                            u64::from(random(&mut seed)) % far + 1,
                        ));
                        wheel.file(key, tick);
                        let earlier = due.get(&key).is_some_and(|old| old.is_due(tick));
                        if !earlier {
                            due.insert(key, tick);
                        }
                    }
                    _ => {
                        let step = 1u64 << (random(&mut seed) % 22);
                        now = Tick(
                            now.0
                                .wrapping_add((u64::from(random(&mut seed)) % step) as u32),
                        );
                        let mut came = Vec::new();
                        wheel.advance(now, |key| came.push(key));
                        for key in came {
                            let tick = due.remove(&key).expect("came up though not filed");
                            assert!(tick.is_due(now), "{key} early: {tick:?} at {now:?}");
                        }
                        for (key, tick) in &due {
                            assert!(!tick.is_due(now), "{key} late: {tick:?} at {now:?}");
                        }
                    }
                }
                assert_eq!(wheel.next().is_some(), !due.is_empty());
                if let (Some(next), Some(first)) =
                    (wheel.next(), due.values().map(|t| t.millis_from(now)).min())
                {
                    assert!(next.millis_from(now) <= first, "would be woken late");
                }
            }
        }
    }

    #[test]
    fn a_later_deadline_leaves_the_entry_where_it_is() {
        let mut wheel = Wheel::new(4, Tick(0));
        wheel.file(3, Tick(100));
        wheel.file(3, Tick(5_000));
        let mut came = Vec::new();
        wheel.advance(Tick(100), |key| came.push(key));
        assert_eq!(came, [3]);
        assert_eq!(wheel.next(), None);
    }

    #[test]
    fn an_earlier_deadline_moves_it() {
        let mut wheel = Wheel::new(4, Tick(0));
        wheel.file(1, Tick(60_000));
        wheel.file(1, Tick(70));
        let mut came = Vec::new();
        wheel.advance(Tick(69), |key| came.push(key));
        assert!(came.is_empty());
        wheel.advance(Tick(70), |key| came.push(key));
        assert_eq!(came, [1]);
        assert_eq!(wheel.next(), None);
    }

    #[test]
    fn what_is_already_due_comes_up_at_the_next_millisecond() {
        let mut wheel = Wheel::new(4, Tick(1_000));
        wheel.file(0, Tick(900));
        assert_eq!(wheel.next(), Some(Tick(1_001)));
    }

    #[test]
    fn the_last_tick_before_they_wrap_is_like_any_other() {
        let mut wheel = Wheel::new(4, Tick(u32::MAX));
        wheel.file(1, Tick(1));
        assert_eq!(wheel.next(), Some(Tick(1)));
        assert_eq!(wheel.earliest(4).collect::<Vec<_>>(), [1]);
        let mut came = Vec::new();
        wheel.advance(Tick(1), |key| came.push(key));
        assert_eq!(came, [1]);
    }

    /// Ticks further apart than 24 days cannot be told from ticks in the past.
    #[test]
    fn a_month_without_a_deadline_loses_none_after_it() {
        let mut wheel = Wheel::new(4, Tick(0));
        let month = Tick(30 * 24 * 60 * 60 * 1000);
        wheel.advance(month, |_| {});
        let deadline = month.after(Duration::from_secs(1));
        wheel.file(0, deadline);
        let mut came = Vec::new();
        wheel.advance(deadline, |key| came.push(key));
        assert_eq!(came, [0]);
    }

    #[test]
    fn the_earliest_come_first() {
        let mut wheel = Wheel::new(8, Tick(0));
        wheel.file(5, Tick(90_000));
        wheel.file(2, Tick(10));
        assert_eq!(wheel.earliest(64).collect::<Vec<_>>(), [2, 5]);
        assert_eq!(wheel.earliest(1).collect::<Vec<_>>(), [2]);
        wheel.remove(2);
        assert_eq!(wheel.earliest(64).collect::<Vec<_>>(), [5]);
    }
}
