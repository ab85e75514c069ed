//! A bound on bytes held, with waiting; and a further one for bytes that must not wait.

use crate::signal::Signal;
use std::sync::{Mutex, MutexGuard};
use tokio::sync::Notify;

/// What must not wait may fill the budget so many times over.
const EXCEEDED_TIMES: u64 = 8;

#[derive(Debug)]
struct State {
    used: u64,
    waiting: usize,
}

/// Bytes of writes held by all files.
pub(crate) struct Budget {
    limit: u64,
    state: Mutex<State>,
    freed: Notify,
    pressure: Signal,
}

/// Counts a waiter out when it is done or gives up.
struct Waiting<'a>(&'a Budget);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.waiting -= 1;
        let none = state.waiting == 0;
        drop(state);
        if none {
            self.0.pressure.ring();
        }
    }
}

impl Budget {
    /// Of so many bytes.
    pub(crate) fn new(limit: u64) -> Self {
        Self {
            limit,
            state: Mutex::new(State { used: 0, waiting: 0 }),
            freed: Notify::new(),
            pressure: Signal::default(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nothing panics while it is held")
    }

    /// What one file may take, so that a second one is not locked out by the first.
    pub(crate) fn limit_per_file(&self) -> u64 {
        self.limit / 2
    }

    /// Takes bytes if there is room and nobody waits.
    pub(crate) fn try_take(&self, bytes: u64) -> bool {
        let mut state = self.state();
        let fits = state.waiting == 0 && state.used + bytes <= self.limit;
        if fits {
            state.used += bytes;
        }
        fits
    }

    /// Takes bytes, waiting until there is room. While anybody waits, all files store what they hold.
    pub(crate) async fn take(&self, bytes: u64) {
        if self.try_take(bytes) {
            return;
        }
        self.state().waiting += 1;
        let _waiting = Waiting(self);
        self.pressure.ring();
        loop {
            let freed = self.freed.notified();
            tokio::pin!(freed);
            freed.as_mut().enable();
            {
                let mut state = self.state();
                if state.used + bytes <= self.limit {
                    state.used += bytes;
                    return;
                }
            }
            freed.await;
        }
    }

    /// Takes bytes beyond the bound, if that stays within the further one.
    pub(crate) fn exceed(&self, bytes: u64) -> bool {
        let mut state = self.state();
        let fits = state.used + bytes <= self.limit.saturating_mul(EXCEEDED_TIMES);
        if fits {
            state.used += bytes;
        }
        fits
    }

    /// Gives bytes back.
    pub(crate) fn give(&self, bytes: u64) {
        if bytes > 0 {
            let mut state = self.state();
            state.used = state.used.saturating_sub(bytes);
            drop(state);
            self.freed.notify_waiters();
        }
    }

    /// Whether somebody waits for room.
    pub(crate) fn is_pressed(&self) -> bool {
        self.state().waiting > 0
    }

    /// Ends at the next change between room and no room.
    pub(crate) fn pressure_changes(&self) -> impl Future<Output = ()> + Send + '_ {
        self.pressure.next()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_must_not_wait_has_a_bound_too_and_others_wait_until_it_is_gone() {
        let budget = Budget::new(10);
        assert!(budget.try_take(10) && !budget.try_take(1));
        assert!(budget.exceed(70) && !budget.exceed(1));
        budget.give(70);
        assert!(!budget.try_take(1) && budget.exceed(70));
        budget.give(71);
        assert!(budget.try_take(1));
    }
}
