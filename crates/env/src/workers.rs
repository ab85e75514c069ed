//! Threads, behind one trait: for blocking work, which a simulation runs in line, and for runtimes, of which
//! a simulation has one.

use crate::Runtime;
use std::sync::Arc;

/// Jobs that may wait in one queue. Callers bound their own requests far below; this only keeps a hung
/// disk from taking all memory.
pub(crate) const QUEUE_JOBS_MAX: usize = 16 << 10;

/// A queue of blocking work with threads of its own, such as one disk: when it hangs, only its own
/// callers wait.
pub trait Queue: Send + Sync {
    /// Runs `job` on one of the queue's threads, in any order with others (in the order given if the
    /// queue has one thread). Never blocks the caller; a job that no longer fits is dropped.
    fn run(&self, job: Box<dyn FnOnce() + Send>);
    /// [`Queue::run`] of a job whose kind has a name, the same each time.
    fn run_as(&self, kind: &'static str, job: Box<dyn FnOnce() + Send>) {
        _ = kind;
        self.run(job);
    }
    /// Jobs waiting or running.
    fn depth(&self) -> usize;
}

/// Makes queues and runtimes.
pub trait Workers: Send + Sync {
    /// A queue with its own threads (named `name`), alive until dropped.
    fn queue(&self, name: &str, threads: usize) -> Arc<dyn Queue>;
    /// A runtime with one thread of its own (named `name`), alive until dropped. In a simulation: the one that
    /// calls this.
    fn runtime(&self, name: &str) -> Runtime;
}

impl dyn Queue {
    /// Runs `job` and gives its result to a task. If the job panics or the queue is gone, an error.
    pub async fn call<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> std::io::Result<T> {
        let (send, receive) = tokio::sync::oneshot::channel();
        let kind = std::any::type_name_of_val(&job);
        let job = Box::new(move || {
            let _ = send.send(job());
        });
        self.run_as(kind, job);
        receive.await.map_err(|_| std::io::Error::other("the worker stopped before it answered"))
    }
}
