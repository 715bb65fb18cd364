//! A hierarchical timing wheel: which slots want to be woken, and when. Ticks go in, keys come out.
//!
//! Five levels of 64 buckets, each 64 times as wide as one of the level below, cover the next 12
//! days to the millisecond. No key comes up before its tick, and none is lost.
//!
//! It is lazy: a key whose deadline moved later stays filed where it is; when it comes up, its
//! owner files it again. So a busy connection never touches the wheel. Buckets are linked lists
//! through one array, made at its full size and untouched (so not resident) until used: 12 bytes a
//! slot, no allocation later, each key filed at most once.

use crate::event_loop::clock::Tick;

const LEVELS: u32 = 5;
const BITS: u32 = 6;
const BUCKETS: u32 = 1 << BITS;

/// A key plus one, so that 0, what fresh memory holds, means "none".
type Numbered = u32;

/// What the wheel knows of one key. It is an array and not a struct because the standard library
/// asks for zeroed memory for a vector of arrays: untouched pages, which cost nothing.
type Entry = [u32; 3];
/// When it is to come up.
const TICK: usize = 0;
/// The next in the same bucket, [`Numbered`].
const NEXT: usize = 1;
/// The one before, [`Numbered`]; for the first, the bucket (see [`mark_of`]). 0: not filed.
const PREV: usize = 2;

/// See the module.
#[derive(Debug)]
pub struct Wheel {
    now: Tick,
    heads: [[Numbered; BUCKETS as usize]; LEVELS as usize],
    /// For each level a bit for each bucket that is not empty.
    occupied: [u64; LEVELS as usize],
    entries: Vec<Entry>,
}

/// Names a bucket where an entry would name the one before it, counted down from the top: slots
/// number a million at most, so the top of the range is free.
fn mark_of(level: u32, bucket: u32) -> u32 {
    u32::MAX - (level << BITS | bucket)
}

impl Wheel {
    /// A wheel for keys below `keys`, at tick `now`.
    pub fn new(keys: usize, now: Tick) -> Self {
        Self {
            now,
            heads: [[0; BUCKETS as usize]; LEVELS as usize],
            occupied: [0; LEVELS as usize],
            entries: vec![[0; 3]; keys],
        }
    }

    /// Files `key` under `tick`. If it is already filed under an earlier tick it stays there: it
    /// comes up then, and the loop files it again under its later deadline.
    pub fn file(&mut self, key: u32, tick: Tick) {
        let Some(&[filed, _, prev]) = self.entries.get(key as usize) else {
            debug_assert!(false, "the wheel was made for fewer keys");
            return;
        };
        if prev != 0 {
            if Tick(filed).is_due(tick) {
                return;
            }
            self.remove(key);
        }
        // What is already due comes up at the next millisecond: the present bucket was emptied.
        let tick = if tick.is_due(self.now) {
            Tick(self.now.0.wrapping_add(1))
        } else {
            tick
        };
        self.link(key, tick);
    }

    /// Forgets `key`.
    pub fn remove(&mut self, key: u32) {
        let Some(&[_, next, prev]) = self.entries.get(key as usize) else {
            return;
        };
        if prev == 0 {
            return;
        }
        if next != 0 {
            self.entries[next as usize - 1][PREV] = prev;
        }
        if prev > mark_of(LEVELS, 0) {
            let mark = u32::MAX - prev;
            let (level, bucket) = ((mark >> BITS) as usize, mark % BUCKETS);
            self.heads[level][bucket as usize] = next;
            if next == 0 {
                self.occupied[level] &= !(1 << bucket);
            }
        } else {
            self.entries[prev as usize - 1][NEXT] = next;
        }
        self.entries[key as usize][PREV] = 0;
    }

    /// When something may next come up: at that tick [`advance`](Self::advance) has work to do.
    pub fn next(&self) -> Option<Tick> {
        (0..LEVELS)
            .filter_map(|level| self.next_of(level))
            .min_by_key(|t| t.0.wrapping_sub(self.now.0))
    }

    fn next_of(&self, level: u32) -> Option<Tick> {
        let occupied = self.occupied[level as usize];
        if occupied == 0 {
            return None;
        }
        let shift = BITS * level;
        let here = self.now.0 >> shift;
        // The present bucket was emptied when its time began. What it holds now was filed since,
        // and is due only when the hand has gone round once.
        let ahead = occupied.rotate_right(here.wrapping_add(1) % BUCKETS);
        let ahead = ahead.trailing_zeros() + 1;
        Some(Tick(here.wrapping_add(ahead) << shift))
    }

    /// Moves the time to `now`, and hands out each key that has come up: it is no longer filed.
    /// Bounded by the number of keys filed.
    pub fn advance(&mut self, now: Tick, mut comes_up: impl FnMut(u32)) {
        while let Some(next) = self.next() {
            if !next.is_due(now) {
                break;
            }
            self.now = next;
            for level in (0..LEVELS).rev() {
                let shift = BITS * level;
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

    /// Hands out the keys of a bucket that are due, and files the others again, on a lower level.
    fn empty(&mut self, level: u32, bucket: u32, comes_up: &mut impl FnMut(u32)) {
        let level = level as usize;
        self.occupied[level] &= !(1 << bucket);
        let mut head = std::mem::take(&mut self.heads[level][bucket as usize]);
        while let Some(key) = head.checked_sub(1) {
            let entry = &mut self.entries[key as usize];
            head = entry[NEXT];
            entry[PREV] = 0;
            let tick = Tick(entry[TICK]);
            if tick.is_due(self.now) {
                comes_up(key);
            } else {
                self.link(key, tick);
            }
        }
    }

    fn link(&mut self, key: u32, tick: Tick) {
        let distance = tick.0.wrapping_sub(self.now.0).max(1);
        let level = (distance.ilog2() / BITS).min(LEVELS - 1);
        let bucket = (tick.0 >> (BITS * level)) % BUCKETS;
        self.occupied[level as usize] |= 1 << bucket;
        let head = &mut self.heads[level as usize][bucket as usize];
        let next = std::mem::replace(head, key + 1);
        if next != 0 {
            self.entries[next as usize - 1][PREV] = key + 1;
        }
        self.entries[key as usize] = [tick.0, next, mark_of(level, bucket)];
    }

    /// Keys in about the order in which they come up, at most `most` of them.
    pub fn earliest(&self, most: usize) -> impl Iterator<Item = u32> + '_ {
        (0..LEVELS)
            .flat_map(move |level| {
                let here = self.now.0 >> (BITS * level);
                (1..=BUCKETS).map(move |ahead| (level as usize, here.wrapping_add(ahead) % BUCKETS))
            })
            .filter(move |&(level, bucket)| self.occupied[level] & 1 << bucket != 0)
            .flat_map(move |(level, bucket)| {
                let mut head = self.heads[level][bucket as usize];
                std::iter::from_fn(move || {
                    let key = head.checked_sub(1)?;
                    head = self.entries[key as usize][NEXT];
                    Some(key)
                })
            })
            .take(most)
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
