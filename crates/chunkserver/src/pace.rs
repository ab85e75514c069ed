//! How fast copies and fillings read from other servers: what the master allows each of them, changed while they run.
//!
//! # Invariants
//! 1. On average over its life, and over any stretch with one pace, a copy reads no more than its pace allows and one piece.
//! 2. Other orders for the same replica do not wait for a pause: it ends when one comes.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;
use types::{ChunkId, DiskId};

/// What one copy may read.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    /// Bytes per second; 0: as many as go through.
    bytes_per_s: AtomicU64,
    changed: Notify,
}

/// What a copy has read and not waited for.
#[derive(Debug)]
pub(crate) struct Debt {
    pace: Arc<Pace>,
    bytes: u64,
    since: Instant,
}

impl Pace {
    fn set(&self, bytes_per_s: u64) {
        self.bytes_per_s.store(bytes_per_s, Ordering::Relaxed);
        self.changed.notify_one();
    }

    fn get(&self) -> u64 {
        self.bytes_per_s.load(Ordering::Relaxed)
    }
}

impl Debt {
    pub(crate) fn new(pace: Arc<Pace>) -> Self {
        Self { pace, bytes: 0, since: Instant::now() }
    }

    /// So much was read.
    pub(crate) fn add(&mut self, bytes: u64) {
        if self.bytes == 0 {
            self.since = Instant::now();
        }
        self.bytes += bytes;
    }

    /// How many bytes to ask for at a time: what takes a second at most, or all if there is no pace.
    pub(crate) fn at_once(&self, most: u64) -> u64 {
        match self.pace.get() {
            0 => most,
            rate => rate.min(most),
        }
    }

    /// Waits until what was read is paid for.
    pub(crate) async fn pay(&mut self) {
        while self.bytes > 0 {
            let rate = self.pace.get();
            let now = Instant::now();
            let paid = (now - self.since).as_micros().saturating_mul(u128::from(rate)) / 1_000_000;
            if rate == 0 || paid >= u128::from(self.bytes) {
                self.bytes = 0;
                return;
            }
            self.bytes -= paid as u64;
            self.since = now;
            // Rounded up, so that there is always something paid.
            let wait = Duration::from_micros(self.bytes.saturating_mul(1_000_000).div_ceil(rate).max(1_000));
            let _ = tokio::time::timeout(wait, self.pace.changed.notified()).await;
        }
    }
}

/// The paces of what was ordered.
#[derive(Debug, Default)]
pub(crate) struct Paces(Mutex<BTreeMap<(DiskId, ChunkId), Weak<Pace>>>);

impl Paces {
    /// A copy or filling was ordered.
    pub(crate) fn begin(&self, disk: DiskId, chunk: ChunkId) -> Arc<Pace> {
        let pace = Arc::<Pace>::default();
        let mut all = self.lock();
        all.retain(|_, pace| pace.strong_count() > 0);
        all.insert((disk, chunk), Arc::downgrade(&pace));
        pace
    }

    /// It may read so much from now on; 0: as much as goes through. False: there is none.
    pub(crate) fn set(&self, disk: DiskId, chunk: ChunkId, bytes_per_s: u64) -> bool {
        let pace = self.lock().get(&(disk, chunk)).and_then(Weak::upgrade);
        pace.inspect(|pace| pace.set(bytes_per_s)).is_some()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<(DiskId, ChunkId), Weak<Pace>>> {
        self.0.lock().expect("nothing panics while it is held")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: (DiskId, ChunkId) = (DiskId([1; 16]), ChunkId(7));

    #[tokio::test(start_paused = true)]
    async fn what_was_read_is_paid_for_at_the_pace_of_the_moment() {
        let paces = Paces::default();
        let pace = paces.begin(PLACE.0, PLACE.1);
        assert!(paces.set(PLACE.0, PLACE.1, 1 << 20));
        let mut debt = Debt::new(Arc::clone(&pace));
        assert_eq!((debt.at_once(4 << 20), debt.at_once(64 << 10)), (1 << 20, 64 << 10));
        let begun = Instant::now();
        for _ in 0..8 {
            debt.pay().await;
            debt.add(512 << 10);
        }
        let took = begun.elapsed();
        assert!(took >= Duration::from_millis(3_400) && took < Duration::from_millis(3_700), "{took:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_pace_that_changes_ends_the_pause_that_it_makes_too_long() {
        let paces = Arc::new(Paces::default());
        let mut debt = Debt::new(paces.begin(PLACE.0, PLACE.1));
        paces.set(PLACE.0, PLACE.1, 1);
        debt.add(1 << 20);
        let begun = Instant::now();
        let other = Arc::clone(&paces);
        tokio::join!(debt.pay(), async move {
            tokio::time::sleep(Duration::from_secs(10)).await;
            assert!(other.set(PLACE.0, PLACE.1, 0));
        });
        assert!(begun.elapsed() < Duration::from_secs(11));
        drop(debt);
        assert!(!paces.set(PLACE.0, PLACE.1, 5), "it is over");
    }
}
