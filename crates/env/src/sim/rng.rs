//! SplitMix64: the one source of chance in a simulation.

/// A generator; two with the same start give the same numbers.
#[derive(Clone, Debug)]
pub(super) struct Rng(u64);

const STEP: u64 = 0x9E37_79B9_7F4A_7C15;

impl Rng {
    #[cfg(test)]
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A generator for something named, independent of the order in which others are made.
    pub(super) fn named(seed: u64, name: &str) -> Self {
        let mut state = mix(seed ^ STEP);
        for byte in name.bytes() {
            state = mix(state.wrapping_add(u64::from(byte)).wrapping_add(STEP));
        }
        Self(state)
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(STEP);
        mix(self.0)
    }

    /// A number below `limit`; 0 if that is 0.
    pub(super) fn below(&mut self, limit: u64) -> u64 {
        if limit == 0 { 0 } else { self.next() % limit }
    }

    pub(super) fn coin(&mut self) -> bool {
        self.next() & 1 == 1
    }
}

fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_are_the_published_ones() {
        let mut rng = Rng::new(1_234_567);
        assert_eq!(rng.next(), 6_457_827_717_110_365_317);
        assert_eq!(rng.next(), 3_203_168_211_198_807_973);
    }

    #[test]
    fn names_give_different_generators() {
        assert_ne!(Rng::named(1, "a").next(), Rng::named(1, "b").next());
        assert_ne!(Rng::named(1, "a").next(), Rng::named(2, "a").next());
    }
}
