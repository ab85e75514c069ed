//! Threads that run blocking work from a bounded queue.
//!
//! # Invariants
//! 1. `run` never blocks; a job beyond [`QUEUE_JOBS_MAX`] waiting ones is dropped, which its caller sees
//!    as an error of `call`.
//! 2. A job that panics ends itself only; the thread takes the next one.
//! 3. When the queue is dropped, jobs already taken in are still run, then its threads end.

use crate::workers::QUEUE_JOBS_MAX;
use crate::{Queue, Runtime, Workers};
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

type Job = Box<dyn FnOnce() + Send>;

/// Makes queues with threads of their own.
pub(super) struct RealWorkers;

impl Workers for RealWorkers {
    fn queue(&self, name: &str, threads: usize) -> Arc<dyn Queue> {
        let shared = Arc::new(Shared::default());
        for _ in 0..threads.max(1) {
            let shared = Arc::clone(&shared);
            // The system shows the first 15 bytes of the name.
            std::thread::Builder::new()
                .name(name.to_owned())
                .spawn(move || shared.work())
                .expect("a role starts its few threads before it serves; without them it cannot run");
        }
        Arc::new(RealQueue { shared })
    }

    fn runtime(&self, name: &str) -> Runtime {
        Runtime::on_new_thread(name)
            .expect("a role starts its few threads before it serves; without them it cannot run")
    }
}

struct RealQueue {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    wake: Condvar,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Job>,
    running: usize,
    closed: bool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics while the lock is held, and a half-changed state is not possible here.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self) {
        let mut state = self.lock();
        loop {
            if let Some(job) = state.waiting.pop_front() {
                state.running += 1;
                drop(state);
                // The panic hook has told about it; whoever waits for the answer gets an error.
                let _ = catch_unwind(AssertUnwindSafe(job));
                state = self.lock();
                state.running -= 1;
            } else if state.closed {
                return;
            } else {
                state = self.wake.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
        }
    }
}

impl Queue for RealQueue {
    fn run(&self, job: Job) {
        let mut state = self.shared.lock();
        if state.waiting.len() < QUEUE_JOBS_MAX {
            state.waiting.push_back(job);
            drop(state);
            self.shared.wake.notify_one();
        } else {
            // Unlock before the job's own drop runs.
            drop(state);
            drop(job);
        }
    }

    fn depth(&self) -> usize {
        let state = self.shared.lock();
        state.waiting.len() + state.running
    }
}

impl Drop for RealQueue {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.wake.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[tokio::test]
    async fn a_job_that_panics_fails_alone() {
        let queue = RealWorkers.queue("test", 1);
        assert!(queue.call(|| panic!("on purpose")).await.is_err());
        assert_eq!(queue.call(|| 7).await.unwrap(), 7);
    }

    #[test]
    fn a_full_queue_drops_the_job_and_never_blocks() {
        let queue = RealWorkers.queue("test", 1);
        let (go, wait) = mpsc::channel::<()>();
        let (started, has_started) = mpsc::channel();
        queue.run(Box::new(move || {
            started.send(()).unwrap();
            let _ = wait.recv();
        }));
        has_started.recv().unwrap();
        for _ in 0..QUEUE_JOBS_MAX + 5 {
            queue.run(Box::new(|| {}));
        }
        assert_eq!(queue.depth(), QUEUE_JOBS_MAX + 1);
        drop(go);
    }

    #[test]
    fn jobs_taken_in_are_run_after_the_queue_is_dropped() {
        let queue = RealWorkers.queue("test", 2);
        let (send, receive) = mpsc::channel();
        for number in 0..10 {
            let send = send.clone();
            queue.run(Box::new(move || send.send(number).unwrap()));
        }
        drop((queue, send));
        assert_eq!(receive.iter().count(), 10);
    }
}
