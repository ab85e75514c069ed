//! Has the files of a crowded disk synced and closed, on a thread of its own.
//!
//! # Invariants
//! 1. At most one tidying of a disk at a time, with a pause after each: it syncs everything on the filesystem.
//! 2. It is no job of the disk in the sense of `health`: behind a full page cache it may take minutes, and nobody waits for it.

use super::slot::Slot;
use crate::config::TIDY_PAUSE;
use env::{Env, Instant, Queue};
use std::sync::{Arc, Mutex};

/// The thread, and whether it may begin.
pub(super) struct Tidier {
    queue: Arc<dyn Queue>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    running: bool,
    ended: Option<Instant>,
}

impl Tidier {
    pub(super) fn new(env: &Env, number: usize) -> Self {
        Self { queue: env.workers.queue(&format!("tidy-{number}"), 1), state: Mutex::default() }
    }

    fn begin(&self, now: Instant) -> bool {
        let mut state = self.state.lock().expect("nothing panics while it is held");
        if state.running || state.ended.is_some_and(|ended| now.since(ended) < TIDY_PAUSE) {
            return false;
        }
        state.running = true;
        true
    }

    fn end(&self, now: Instant) {
        *self.state.lock().expect("nothing panics while it is held") =
            State { running: false, ended: Some(now) };
    }
}

/// A tidying that was begun, until it is done or lost.
struct Tidying(Arc<Slot>);

impl Drop for Tidying {
    fn drop(&mut self) {
        self.0.tidier.end(self.0.clock.now());
    }
}

impl Slot {
    /// Begins to tidy the disk if too many files are open. Called after each job.
    pub(super) fn tidy_if_crowded(self: &Arc<Self>) {
        let Some(disk) = self.disk().filter(|disk| disk.is_crowded()) else { return };
        if !self.tidier.begin(self.clock.now()) {
            return;
        }
        let tidying = Tidying(Arc::clone(self));
        self.tidier.queue.run(Box::new(move || {
            if let Err(error) = disk.tidy() {
                tidying.0.count_error();
                tracing::warn!(path = tidying.0.config.path, %error, "a disk could not be synced as a whole");
            }
        }));
    }
}
