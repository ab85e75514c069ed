//! Time of day as the filesystem stores it: nanoseconds, from 1901 to 2446, in 64 bits.
//!
//! The packing is ext4's: 34 bits of seconds counted from -2^31 and 30 bits of nanoseconds. What lies
//! outside is clamped, as the kernel does for ext4.

/// A wall-clock time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(u64);

const SECONDS_MIN: i64 = -(1 << 31);
const SECONDS_MAX: i64 = (1 << 34) - 1 + SECONDS_MIN;
const NANOS_BITS: u32 = 30;

impl Timestamp {
    /// From seconds since 1970 and nanoseconds (taken modulo one second upwards); clamped to the range.
    pub fn new(seconds: i64, nanos: u32) -> Self {
        let seconds = seconds.saturating_add(i64::from(nanos / 1_000_000_000));
        let nanos = nanos % 1_000_000_000;
        let (seconds, nanos) = match seconds {
            s if s < SECONDS_MIN => (SECONDS_MIN, 0),
            s if s > SECONDS_MAX => (SECONDS_MAX, 0),
            s => (s, nanos),
        };
        Self((((seconds - SECONDS_MIN) as u64) << NANOS_BITS) | u64::from(nanos))
    }
    /// Seconds since 1970.
    pub fn seconds(self) -> i64 {
        (self.0 >> NANOS_BITS) as i64 + SECONDS_MIN
    }
    /// Nanoseconds within the second.
    pub fn nanos(self) -> u32 {
        (self.0 & ((1 << NANOS_BITS) - 1)) as u32
    }
    /// So many seconds later; clamped to the range.
    pub fn after(self, seconds: u64) -> Self {
        let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
        Self::new(self.seconds().saturating_add(seconds), self.nanos())
    }
    /// The stored form.
    pub fn to_bits(self) -> u64 {
        self.0
    }
    /// The inverse of [`Timestamp::to_bits`]; nanoseconds out of range are normalised.
    pub fn from_bits(bits: u64) -> Self {
        let raw = Self(bits);
        Self::new(raw.seconds(), raw.nanos())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_round_trip_far_past_2106_and_before_1970() {
        for (s, n) in [(0, 0), (-1, 999_999_999), (5_000_000_000, 1), (SECONDS_MAX, 7), (SECONDS_MIN, 3)] {
            let t = Timestamp::new(s, n);
            assert_eq!((t.seconds(), t.nanos()), (s, n));
            assert_eq!(Timestamp::from_bits(t.to_bits()), t);
        }
        assert_eq!(Timestamp::new(i64::MAX, 5).seconds(), SECONDS_MAX);
        assert_eq!(Timestamp::new(5, 7).after(9), Timestamp::new(14, 7));
        assert_eq!(Timestamp::new(5, 7).after(u64::MAX).seconds(), SECONDS_MAX);
        assert!(
            Timestamp::new(-5, 1) < Timestamp::new(-5, 2) && Timestamp::new(-5, 2) < Timestamp::new(4, 0)
        );
    }
}
