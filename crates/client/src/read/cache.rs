//! Windows of files read from servers: in memory or on their way, shared by all handles.
//!
//! # Invariants
//! 1. A window is dropped when bytes of it are written here, when every replica has those bytes, and when
//!    they leave the write buffer: what was fetched before each of these moments may lack them.
//! 2. A window is used for at most `ttl` after its fetch began; there are no leases yet.
//! 3. At most `limit` bytes are held; the longest unused go first.
//! 4. A window of which all was handed out is dropped: who asked has it, and a stream goes on in memory that is still in
//!    the processor's caches instead of in what was never touched.

use super::parts::Piece;
use crate::write::buffer::WINDOW_BYTES;
use env::Instant;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::time::Duration;
use tokio::sync::Notify;
use types::{InodeId, Status};

/// One fetch and its outcome.
#[derive(Debug, Default)]
pub(crate) struct Fetch {
    outcome: OnceLock<Result<Piece, Status>>,
    done: Notify,
    handed_out: AtomicUsize,
}

impl Fetch {
    /// The outcome, if it is there.
    pub(crate) fn now(&self) -> Option<Result<Piece, Status>> {
        self.outcome.get().cloned()
    }

    /// Waits for the outcome.
    pub(crate) async fn outcome(&self) -> Result<Piece, Status> {
        loop {
            let done = self.done.notified();
            tokio::pin!(done);
            done.as_mut().enable();
            if let Some(outcome) = self.now() {
                return outcome;
            }
            done.await;
        }
    }

    /// Tells everybody who waits.
    pub(crate) fn finish(&self, outcome: Result<Piece, Status>) {
        let _ = self.outcome.set(outcome);
        self.done.notify_waiters();
    }
}

struct Window {
    fetch: Arc<Fetch>,
    began: Instant,
    used: u64,
}

#[derive(Default)]
struct Windows {
    windows: BTreeMap<(InodeId, u64), Window>,
    by_use: BTreeMap<u64, (InodeId, u64)>,
    uses: u64,
}

impl Windows {
    fn remove(&mut self, key: (InodeId, u64)) {
        if let Some(window) = self.windows.remove(&key) {
            self.by_use.remove(&window.used);
        }
    }
}

/// See the module.
pub(crate) struct Cache {
    windows_max: usize,
    ttl: Duration,
    windows: Mutex<Windows>,
}

impl Cache {
    /// Of at most `limit` bytes.
    pub(crate) fn new(limit: u64, ttl: Duration) -> Self {
        let windows_max = (limit / WINDOW_BYTES).max(1) as usize;
        Self { windows_max, ttl, windows: Mutex::default() }
    }

    fn windows(&self) -> MutexGuard<'_, Windows> {
        self.windows.lock().expect("nothing panics while it is held")
    }

    /// The window if it is here or on its way, and young enough.
    pub(crate) fn get(&self, inode: InodeId, window: u64, now: Instant) -> Option<Arc<Fetch>> {
        let mut windows = self.windows();
        let Windows { windows: all, by_use, uses } = &mut *windows;
        let found = all.get_mut(&(inode, window))?;
        let failed = matches!(found.fetch.outcome.get(), Some(Err(_)));
        if failed || now.since(found.began) > self.ttl {
            windows.remove((inode, window));
            return None;
        }
        *uses += 1;
        by_use.remove(&found.used);
        found.used = *uses;
        by_use.insert(*uses, (inode, window));
        Some(Arc::clone(&found.fetch))
    }

    /// Makes a place for a window; the caller fetches it.
    pub(crate) fn start(&self, inode: InodeId, window: u64, now: Instant) -> Arc<Fetch> {
        let mut windows = self.windows();
        windows.remove((inode, window));
        while windows.windows.len() >= self.windows_max {
            let Some((_, oldest)) = windows.by_use.first_key_value().map(|(u, k)| (*u, *k)) else { break };
            windows.remove(oldest);
        }
        windows.uses += 1;
        let used = windows.uses;
        windows.by_use.insert(used, (inode, window));
        let fetch = Arc::<Fetch>::default();
        windows.windows.insert((inode, window), Window { fetch: Arc::clone(&fetch), began: now, used });
        fetch
    }

    /// So many bytes of the window were handed out.
    pub(crate) fn handed_out(&self, inode: InodeId, window: u64, fetch: &Arc<Fetch>, bytes: usize) {
        let Some(Ok(piece)) = fetch.outcome.get() else { return };
        if fetch.handed_out.fetch_add(bytes, Ordering::Relaxed) + bytes < piece.len() {
            return;
        }
        let mut windows = self.windows();
        if windows.windows.get(&(inode, window)).is_some_and(|found| Arc::ptr_eq(&found.fetch, fetch)) {
            windows.remove((inode, window));
        }
    }

    /// What was fetched of the range is outdated.
    pub(crate) fn changed(&self, inode: InodeId, offset: u64, length: u64) {
        let mut windows = self.windows();
        let first = offset / WINDOW_BYTES;
        let last = offset.saturating_add(length.max(1) - 1) / WINDOW_BYTES;
        let keys: Vec<_> =
            windows.windows.range((inode, first)..=(inode, last)).map(|(key, _)| *key).collect();
        for key in keys {
            windows.remove(key);
        }
    }

    /// Everything is outdated.
    pub(crate) fn clear(&self) {
        let mut windows = self.windows();
        windows.windows.clear();
        windows.by_use.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    const INODE: InodeId = InodeId(5);
    const NOW: Instant = Instant(Duration::ZERO);

    fn cache() -> Cache {
        Cache::new(4 * WINDOW_BYTES, Duration::from_secs(1))
    }

    #[test]
    fn a_write_drops_the_windows_it_touches_and_those_on_their_way() {
        let cache = cache();
        for window in 0..4 {
            cache.start(INODE, window, NOW);
        }
        cache.changed(INODE, 2 * WINDOW_BYTES - 1, 2);
        let left: Vec<_> = (0..4).filter(|window| cache.get(INODE, *window, NOW).is_some()).collect();
        assert_eq!(left, [0, 3]);
    }

    #[test]
    fn the_longest_unused_window_makes_room() {
        let cache = cache();
        for window in 0..4 {
            cache.start(INODE, window, NOW);
        }
        assert!(cache.get(INODE, 0, NOW).is_some());
        cache.start(INODE, 9, NOW);
        assert!(cache.get(INODE, 1, NOW).is_none() && cache.get(INODE, 0, NOW).is_some());
    }

    #[test]
    fn a_window_is_dropped_once_all_of_it_was_handed_out() {
        let cache = cache();
        let all = Piece::from(Bytes::from_static(&[7; 100]));
        let fetch = cache.start(INODE, 2, NOW);
        cache.handed_out(INODE, 2, &fetch, 100);
        assert!(cache.get(INODE, 2, NOW).is_some(), "it is on its way");
        fetch.finish(Ok(all.clone()));
        for (bytes, kept) in [(60, true), (39, true), (1, false)] {
            cache.handed_out(INODE, 2, &fetch, bytes);
            assert_eq!(cache.get(INODE, 2, NOW).is_some(), kept, "{bytes}");
        }
        cache.start(INODE, 2, NOW).finish(Ok(all));
        cache.handed_out(INODE, 2, &fetch, 100);
        assert!(cache.get(INODE, 2, NOW).is_some(), "another one has taken its place");
    }

    #[test]
    fn a_window_is_not_used_when_old_or_failed() {
        let cache = cache();
        cache.start(INODE, 0, NOW);
        assert!(cache.get(INODE, 0, Instant(Duration::from_millis(1001))).is_none());
        cache.start(INODE, 1, NOW).finish(Err(Status::Io));
        assert!(cache.get(INODE, 1, NOW).is_none());
    }
}
