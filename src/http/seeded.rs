//! Numbers for property tests: the same seed gives the same run, so that a failure can be repeated.
//!
//! What lives here: a small generator (splitmix64). Only tests may know it. Invariant: no clock, no
//! entropy. Read next: any `tests` module that uses it.

/// A seeded generator.
pub(crate) struct Seeded(pub(crate) u64);

impl Seeded {
    /// 64 bits.
    pub(crate) fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`, which is not 0.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.bits() % bound as u64).unwrap_or(0)
    }

    /// One of `items`.
    pub(crate) fn one_of<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.below(items.len())]
    }

    /// Up to `longest` bytes out of `alphabet`, with a stranger now and then.
    pub(crate) fn bytes(&mut self, alphabet: &[u8], longest: usize) -> Vec<u8> {
        (0..self.below(longest + 1))
            .map(|_| {
                if self.below(64) == 0 {
                    self.bits().to_le_bytes()[0]
                } else {
                    self.one_of(alphabet)
                }
            })
            .collect()
    }
}
