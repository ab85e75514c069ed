//! Everything that is drawn in a day comes from one number.

/// SplitMix64: small, fast, and the same everywhere.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Less than `end`, which is not 0.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(end)) >> 64) as u64
    }

    /// From `from` on, less than `end`.
    pub(crate) fn between(&mut self, from: u64, end: u64) -> u64 {
        from + self.below(end - from)
    }

    /// Seldom: so often in a million times.
    pub(crate) fn in_a_million(&mut self, times: u64) -> bool {
        self.below(1_000_000) < times
    }

    pub(crate) fn pick<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len() as u64) as usize]
    }

    /// How long something is waited for that happens so often in an hour, at any time.
    pub(crate) fn wait_ms(&mut self, times_per_hour: f64) -> u64 {
        let unit = (self.below(1 << 53) + 1) as f64 / (1u64 << 53) as f64;
        (-unit.ln() * 3_600_000.0 / times_per_hour) as u64
    }
}
