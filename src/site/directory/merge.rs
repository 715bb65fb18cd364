//! A merge sort that can be left and taken up again.
//!
//! What lives here: the order of numbered things, found a bounded piece at a time.
//! It may not know what they are: whoever takes a step brings the comparison.
//! Invariant: before each step, `order` holds every number once, in sorted runs of `width` up to
//! `left`'s pair, whose merged beginning stands in `merged`.
//! Read next: nothing; this is the bottom.

use std::cmp::Ordering;

use super::Progress;

/// Sorts the numbers from 0 up, bottom up: first short runs, then ever longer ones out of two.
#[derive(Debug)]
pub(super) struct MergeSort {
    order: Vec<u32>,
    /// Takes what is merged; as long as `order` at the end of each pass, when the two change places.
    merged: Vec<u32>,
    /// Length of the runs that are sorted; 0 while the first ones are being made.
    width: usize,
    /// Where the first run that is not yet sorted begins, or the pair that is being merged.
    left: usize,
    /// How much of the pair's two runs has been merged.
    taken: (usize, usize),
}

impl MergeSort {
    /// Of the numbers below `len`, which must fit 32 bits.
    pub(super) fn new(len: usize) -> Self {
        Self {
            order: (0..u32::try_from(len).unwrap_or(u32::MAX)).collect(),
            merged: Vec::new(),
            width: 0,
            left: 0,
            taken: (0, 0),
        }
    }

    /// Sorts one run of `run` numbers, or merges until `moves` have been moved. `run` must be the same
    /// in every step.
    pub(super) fn step(
        &mut self,
        run: usize,
        moves: usize,
        compare: impl Fn(u32, u32) -> Ordering,
    ) -> Progress {
        if self.width == 0 {
            self.sort_run(run, &compare);
        } else {
            for _ in 0..moves {
                if self.width >= self.order.len() {
                    break;
                }
                self.move_one(&compare);
            }
        }
        if self.width >= self.order.len() {
            Progress::Done
        } else {
            Progress::More
        }
    }

    /// The numbers in order, once a step said [`Progress::Done`].
    pub(super) fn into_order(self) -> Vec<u32> {
        self.order
    }

    fn sort_run(&mut self, run: usize, compare: &impl Fn(u32, u32) -> Ordering) {
        let end = (self.left + run).min(self.order.len());
        self.order[self.left..end].sort_unstable_by(|&a, &b| compare(a, b));
        self.left = end;
        if self.left == self.order.len() {
            self.width = run;
            self.left = 0;
            if self.width < self.order.len() {
                self.merged.reserve_exact(self.order.len());
            }
        }
    }

    /// Moves the smaller of the two heads of the current pair; at the end of a pass, begins the next.
    fn move_one(&mut self, compare: &impl Fn(u32, u32) -> Ordering) {
        let len = self.order.len();
        let middle = (self.left + self.width).min(len);
        let end = (middle + self.width).min(len);
        let first = self.order[self.left..middle].get(self.taken.0);
        let second = self.order[middle..end].get(self.taken.1);
        match (first, second) {
            (Some(&a), Some(&b)) if compare(a, b).is_gt() => {
                self.merged.push(b);
                self.taken.1 += 1;
            }
            (Some(&a), Some(_) | None) => {
                self.merged.push(a);
                self.taken.0 += 1;
            }
            (None, Some(&b)) => {
                self.merged.push(b);
                self.taken.1 += 1;
            }
            (None, None) => {}
        }
        if self.left + self.taken.0 + self.taken.1 == end {
            self.left = end;
            self.taken = (0, 0);
        }
        if self.left == len {
            std::mem::swap(&mut self.order, &mut self.merged);
            self.merged.clear();
            self.left = 0;
            self.width *= 2;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sorts `values` in steps as small as they get; returns them in order, and the number of steps.
    fn sorted(values: &[u32], run: usize, moves: usize) -> (Vec<u32>, usize) {
        let mut sort = MergeSort::new(values.len());
        let mut steps = 1;
        let compare = |a: u32, b: u32| values[a as usize].cmp(&values[b as usize]);
        while sort.step(run, moves, compare) == Progress::More {
            steps += 1;
            assert!(steps < 1_000_000, "it comes to an end");
        }
        let order = sort.into_order();
        (order.iter().map(|&n| values[n as usize]).collect(), steps)
    }

    #[test]
    fn every_length_and_step_size_sorts_like_the_library() {
        let mut seed = 1_u32;
        for len in (0..40).chain([255, 256, 257, 1000]) {
            let values: Vec<u32> = (0..len)
                .map(|_| {
                    seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    seed >> 24
                })
                .collect();
            let mut expected = values.clone();
            expected.sort_unstable();
            for (run, moves) in [(1, 1), (1, 7), (3, 2), (8, 100), (1000, 1)] {
                assert_eq!(
                    sorted(&values, run, moves).0,
                    expected,
                    "{len} {run} {moves}"
                );
            }
        }
    }

    #[test]
    fn a_step_compares_no_more_than_it_moves() {
        let values: Vec<u32> = (0..10_000).rev().collect();
        let mut sort = MergeSort::new(values.len());
        loop {
            let compared = std::cell::Cell::new(0);
            let progress = sort.step(8, 100, |a, b| {
                compared.set(compared.get() + 1);
                values[a as usize].cmp(&values[b as usize])
            });
            assert!(compared.get() <= 100, "{}", compared.get());
            if progress == Progress::Done {
                break;
            }
        }
    }

    #[test]
    fn a_short_list_is_sorted_in_one_step() {
        assert_eq!(sorted(&[], 8, 8), (vec![], 1));
        assert_eq!(sorted(&[3, 1, 2], 8, 8), (vec![1, 2, 3], 1));
    }
}
