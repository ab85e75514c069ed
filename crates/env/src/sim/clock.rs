//! Time as tokio's (paused) timers tell it.

use crate::{Clock, Instant};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// What a clock shows when a world begins, so that a moment before it is still a moment.
const START: Duration = Duration::from_secs(1000);
/// 2026-01-01, in seconds since 1970.
const WALL_START_S: i64 = 1_767_225_600;
const NANOS: i64 = 1_000_000_000;

/// The time that all hosts of a world share.
#[derive(Default)]
pub(super) struct WorldTime {
    begin: OnceLock<tokio::time::Instant>,
    /// What was last told, for calls outside of the runtime: there, time stands still.
    last_ns: AtomicU64,
}

impl WorldTime {
    fn elapsed(&self) -> Duration {
        if tokio::runtime::Handle::try_current().is_ok() {
            let now = tokio::time::Instant::now();
            let elapsed = now.saturating_duration_since(*self.begin.get_or_init(|| now));
            let nanos = u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX);
            self.last_ns.store(nanos, Ordering::Relaxed);
        }
        Duration::from_nanos(self.last_ns.load(Ordering::Relaxed))
    }
}

/// The clocks of one host.
pub(super) struct HostClock {
    pub(super) time: Arc<WorldTime>,
    pub(super) wall_offset_ns: Arc<AtomicI64>,
}

impl Clock for HostClock {
    fn now(&self) -> Instant {
        Instant(START + self.time.elapsed())
    }

    fn wall(&self) -> (i64, u32) {
        let elapsed = i64::try_from(self.time.elapsed().as_nanos()).unwrap_or(i64::MAX);
        let nanos = elapsed.saturating_add(self.wall_offset_ns.load(Ordering::Relaxed));
        (WALL_START_S + nanos.div_euclid(NANOS), nanos.rem_euclid(NANOS) as u32)
    }
}
