//! Numbers that look random and repeat with their seed, for impairments and for tests. They are not
//! for secrets. The same seed gives the same numbers on every machine and in every version of
//! idler.

/// SplitMix64 (Steele, Lea, Flood 2014): one addition and a scramble, every seed as good as any
/// other.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// The numbers of this seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `n`, or 0 if `n` is 0. Evenly spread but for one part in 2⁶⁴ / `n`.
    pub fn below_u64(&mut self, n: u64) -> u64 {
        // The upper half of the product, after Lemire: no division, and the upper bits are the
        // best.
        let product = u128::from(self.next_u64()) * u128::from(n);
        u64::try_from(product >> 64).unwrap_or(0)
    }
}

#[cfg(test)]
#[allow(
    clippy::cast_possible_truncation,
    reason = "tests want some bits, whichever"
)]
impl Random {
    /// A number below `n`, for indexing.
    pub(crate) fn below(&mut self, n: usize) -> usize {
        self.below_u64(n as u64) as usize
    }

    /// Any byte.
    pub(crate) fn byte(&mut self) -> u8 {
        self.next_u64() as u8
    }

    /// Any character, half of the time a plain one.
    pub(crate) fn character(&mut self) -> char {
        let range = [0x80, 0x11_0000][self.below(2)];
        char::from_u32(self.below(range) as u32).unwrap_or('?')
    }

    /// One of `items`.
    pub(crate) fn one_of<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.below(items.len())]
    }

    /// Up to `longest` bytes out of `alphabet`, and now and then any other byte.
    pub(crate) fn bytes(&mut self, alphabet: &[u8], longest: usize) -> Vec<u8> {
        (0..self.below(longest + 1))
            .map(|_| match self.below(64) {
                0 => self.byte(),
                _ => self.one_of(alphabet),
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_numbers_for_ever() {
        let mut random = Random::new(1_234_567);
        // The published first outputs of SplitMix64 for this seed.
        assert_eq!(random.next_u64(), 6_457_827_717_110_365_317);
        assert_eq!(random.next_u64(), 3_203_168_211_198_807_973);
    }

    #[test]
    fn numbers_stay_below_and_reach_everything() {
        let mut random = Random::new(0);
        assert_eq!(random.below_u64(0), 0);
        let mut seen = [0_u32; 6];
        for _ in 0..6000 {
            seen[random.below(6)] += 1;
        }
        assert!(seen.iter().all(|n| (850..1150).contains(n)), "{seen:?}");
    }
}
