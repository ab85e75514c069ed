//! Operations that wait, and the signals that end them.
//!
//! One task looks at all of them, as long as there are any: a timer for each would have to wake the runtime to be set.

use crate::caller::Asker;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::Notify;

/// How often the callers' pending signals are looked at. An operation is left alone until it was seen once.
const PATIENCE: Duration = Duration::from_millis(100);

/// The operations of one mount that wait.
#[derive(Default)]
pub(super) struct Waiting {
    table: Mutex<Table>,
}

#[derive(Default)]
struct Table {
    last: u64,
    all: BTreeMap<u64, One>,
    watched: bool,
}

struct One {
    asker: Asker,
    seen: bool,
    end: Arc<Notify>,
}

/// The place of an operation in the table.
struct Place<'a> {
    waiting: &'a Waiting,
    number: u64,
    end: Arc<Notify>,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.waiting.lock().all.remove(&self.number);
    }
}

impl Waiting {
    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().expect("nothing panics while it is held")
    }

    /// Ends when the operation is not wanted any more.
    pub(super) async fn signalled(self: &Arc<Self>, runtime: &Handle, asker: Asker) {
        let place = self.enter(runtime, asker);
        place.end.notified().await;
    }

    fn enter(self: &Arc<Self>, runtime: &Handle, asker: Asker) -> Place<'_> {
        let end = Arc::new(Notify::new());
        let mut table = self.lock();
        table.last += 1;
        let number = table.last;
        table.all.insert(number, One { asker, seen: false, end: Arc::clone(&end) });
        let watched = std::mem::replace(&mut table.watched, true);
        drop(table);
        if !watched {
            runtime.spawn(Arc::clone(self).watch());
        }
        Place { waiting: self, number, end }
    }

    async fn watch(self: Arc<Self>) {
        loop {
            tokio::time::sleep(PATIENCE).await;
            let Some(patient) = self.look() else { return };
            for (asker, end) in patient {
                if asker.wants_out() {
                    end.notify_one();
                }
            }
        }
    }

    /// Those that waited at the last look already; `None`: nobody waits, and nobody looks from now on.
    fn look(&self) -> Option<Vec<(Asker, Arc<Notify>)>> {
        let mut table = self.lock();
        if table.all.is_empty() {
            table.watched = false;
            return None;
        }
        let seen_before = |one: &mut One| std::mem::replace(&mut one.seen, true);
        let all = table.all.values_mut();
        Some(all.filter_map(|one| seen_before(one).then(|| (one.asker, Arc::clone(&one.end)))).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// No thread has this number.
    const GONE: u32 = u32::MAX;

    #[tokio::test(start_paused = true)]
    async fn who_waits_is_looked_at_and_nobody_looks_when_nobody_waits() {
        let waiting = Arc::<Waiting>::default();
        let runtime = Handle::current();
        waiting.signalled(&runtime, GONE.into()).await;
        assert!(waiting.lock().all.is_empty());
        let alive =
            tokio::time::timeout(20 * PATIENCE, waiting.signalled(&runtime, std::process::id().into())).await;
        assert!(alive.is_err() && waiting.lock().all.is_empty());
        tokio::time::sleep(2 * PATIENCE).await;
        assert!(!waiting.lock().watched);
        waiting.signalled(&runtime, GONE.into()).await;
    }
}
