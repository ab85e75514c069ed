//! Blocking work: run in line, or late where a queue was made slow; and the one runtime there is.
//!
//! # Invariants
//! 1. Jobs of a queue with one thread run in the order given, whatever its pace was meanwhile. With more threads a
//!    slow job may be overtaken, as on a real disk; where a queue snags,
//!    only jobs that sync are slow, and the others go by at once. A job's kind tells whether it does: one of it did the last time.
//! 2. A job that was begun while its queue hangs runs when the queue goes on, if its process still exists by then.

use super::rng::Rng;
use crate::{Queue, Runtime, Workers};
use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, Semaphore};

/// Of so many jobs that sync one takes long where a queue snags.
const SNAG_ONE_IN: u64 = 3;

thread_local! {
    /// Syncs of files on this thread so far.
    static SYNCS: Cell<u64> = const { Cell::new(0) };
}

/// A file is synced.
pub(super) fn count_sync() {
    SYNCS.set(SYNCS.get() + 1);
}

/// How fast the queues of a world work.
#[derive(Clone)]
pub(super) struct Paces(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    changed: Notify,
}

struct State {
    rng: Rng,
    /// By host and queue.
    slow: BTreeMap<(String, String), Pace>,
    /// Kinds of jobs of which the last one synced.
    syncing: BTreeSet<&'static str>,
}

#[derive(Clone, Copy)]
enum Pace {
    /// Each job takes up to so long.
    Slow(Duration),
    /// Of jobs that sync one in [`SNAG_ONE_IN`] takes up to so long, the others no time.
    Snags(Duration),
    Hung,
}

impl Paces {
    pub(super) fn new(rng: Rng) -> Self {
        let state = Mutex::new(State { rng, slow: BTreeMap::new(), syncing: BTreeSet::new() });
        Self(Arc::new(Shared { state, changed: Notify::new() }))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, host: &str, queue: &str, pace: Option<Pace>) {
        let key = (host.to_owned(), queue.to_owned());
        match pace {
            Some(pace) => drop(self.lock().slow.insert(key, pace)),
            None => drop(self.lock().slow.remove(&key)),
        }
        self.0.changed.notify_waiters();
    }

    pub(super) fn slow(&self, host: &str, queue: &str, longest: Duration) {
        self.set(host, queue, Some(Pace::Slow(longest)));
    }

    pub(super) fn snag(&self, host: &str, queue: &str, longest: Duration) {
        self.set(host, queue, Some(Pace::Snags(longest)));
    }

    pub(super) fn hang(&self, host: &str, queue: &str) {
        self.set(host, queue, Some(Pace::Hung));
    }

    pub(super) fn go_on(&self, host: &str, queue: &str) {
        self.set(host, queue, None);
    }

    fn pace(&self, key: &(String, String)) -> Option<Pace> {
        self.lock().slow.get(key).copied()
    }

    fn up_to(&self, longest: Duration) -> Duration {
        let nanos = u64::try_from(longest.as_nanos()).unwrap_or(u64::MAX);
        Duration::from_nanos(self.lock().rng.below(nanos))
    }

    /// Runs a job and learns of its kind.
    fn do_job(&self, kind: &'static str, job: Box<dyn FnOnce() + Send>) {
        let before = SYNCS.get();
        job();
        let synced = SYNCS.get() != before;
        let syncing = &mut self.lock().syncing;
        if synced { _ = syncing.insert(kind) } else { _ = syncing.remove(kind) }
    }

    /// Takes as long as a job takes now.
    async fn pass(&self, key: &(String, String), kind: &'static str) {
        loop {
            let changed = self.0.changed.notified();
            match self.pace(key) {
                None => return,
                Some(Pace::Slow(longest)) => {
                    return tokio::time::sleep(self.up_to(longest)).await;
                }
                Some(Pace::Snags(longest)) => {
                    let syncs = self.lock().syncing.contains(kind);
                    if syncs && self.lock().rng.below(SNAG_ONE_IN) == 0 {
                        tokio::time::sleep(self.up_to(longest)).await;
                    }
                    return;
                }
                Some(Pace::Hung) => changed.await,
            }
        }
    }
}

/// Makes queues and runtimes without threads.
pub(super) struct SimWorkers {
    pub(super) host: String,
    pub(super) paces: Paces,
}

impl Workers for SimWorkers {
    fn queue(&self, name: &str, threads: usize) -> Arc<dyn Queue> {
        Arc::new(SimQueue {
            key: (self.host.clone(), name.to_owned()),
            paces: self.paces.clone(),
            threads: Arc::new(Semaphore::new(threads)),
            late: Arc::default(),
        })
    }

    fn runtime(&self, _name: &str) -> Runtime {
        Runtime::here()
    }
}

struct SimQueue {
    key: (String, String),
    paces: Paces,
    threads: Arc<Semaphore>,
    /// Jobs that wait or take their time.
    late: Arc<AtomicUsize>,
}

impl Queue for SimQueue {
    /// At its full pace, runs the job before it returns. A panic goes to the caller: in a simulation it is a finding.
    fn run(&self, job: Box<dyn FnOnce() + Send>) {
        self.run_as("", job);
    }

    fn run_as(&self, kind: &'static str, job: Box<dyn FnOnce() + Send>) {
        if self.depth() == 0 && self.paces.pace(&self.key).is_none() {
            return self.paces.do_job(kind, job);
        }
        self.late.fetch_add(1, Ordering::Relaxed);
        let (key, paces) = (self.key.clone(), self.paces.clone());
        let (threads, late) = (Arc::clone(&self.threads), Arc::clone(&self.late));
        tokio::spawn(async move {
            // Never closed.
            let _thread = threads.acquire_owned().await;
            paces.pass(&key, kind).await;
            paces.do_job(kind, job);
            late.fetch_sub(1, Ordering::Relaxed);
        });
    }

    fn depth(&self) -> usize {
        self.late.load(Ordering::Relaxed)
    }
}
