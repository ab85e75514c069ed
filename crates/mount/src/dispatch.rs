//! Carrying an operation from a session thread to the I/O runtime, and its answer back to the kernel.
//!
//! # Invariants
//! 1. A session thread never waits: what cannot be answered at once becomes a task.
//! 2. Every task ends: with a result, with the client's own time limit, or, once it has waited longer than
//!    [`PATIENCE`], with EINTR when a signal waits for its caller. Nobody stays in an uninterruptible sleep.
//!    The operation counts lookups and opens in its last step only, so dropping it leaks neither.

use crate::caller::wants_out;
use std::future::Future;
use std::time::Duration;
use tokio::runtime::Handle;
use types::Status;

/// How long a request runs before its caller's pending signals are looked at, and how often from then on.
const PATIENCE: Duration = Duration::from_millis(100);

/// Where operations run.
#[derive(Clone)]
pub(crate) struct Dispatch {
    runtime: Handle,
}

impl Dispatch {
    pub(crate) fn new(runtime: Handle) -> Self {
        Self { runtime }
    }

    /// Runs something that blocks, where it holds up nobody.
    pub(crate) fn aside(&self, work: impl FnOnce() + Send + 'static) {
        self.runtime.spawn_blocking(work);
    }

    /// Runs `operation` for the thread `caller` and gives its outcome to `answer`.
    pub(crate) fn run<T: Send + 'static>(
        &self,
        caller: u32,
        operation: impl Future<Output = Result<T, Status>> + Send + 'static,
        answer: impl FnOnce(Result<T, Status>) + Send + 'static,
    ) {
        self.runtime.spawn(async move {
            let outcome = tokio::select! {
                biased;
                outcome = operation => outcome,
                () = signalled(caller) => Err(Status::Interrupted),
            };
            answer(outcome);
        });
    }
}

async fn signalled(caller: u32) {
    loop {
        tokio::time::sleep(PATIENCE).await;
        if wants_out(caller) {
            return;
        }
    }
}
