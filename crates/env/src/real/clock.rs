//! CLOCK_BOOTTIME, which goes on while a machine is suspended, and the wall clock.

use crate::{Clock, Instant};
use rustix::time::{ClockId, clock_gettime};
use std::time::Duration;

/// The system's clocks.
pub(super) struct RealClock;

impl Clock for RealClock {
    fn now(&self) -> Instant {
        let time = clock_gettime(ClockId::Boottime);
        Instant(Duration::new(
            u64::try_from(time.tv_sec).unwrap_or(0),
            u32::try_from(time.tv_nsec).unwrap_or(0),
        ))
    }

    fn wall(&self) -> (i64, u32) {
        let time = clock_gettime(ClockId::Realtime);
        (time.tv_sec, u32::try_from(time.tv_nsec).unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_clocks_tell_a_time_that_does_not_go_back() {
        let first = RealClock.now();
        assert!(first.0 > Duration::ZERO && RealClock.now() >= first);
        assert!(RealClock.wall().0 > 1_700_000_000 && RealClock.wall().1 < 1_000_000_000);
    }
}
