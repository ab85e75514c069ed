//! Carrying an operation from a session thread to the I/O runtime, and its answer back to the kernel.
//!
//! An operation begins on the session thread, which so sends what it asks for without waking anybody. Only when something
//! comes back does it go on, on the runtime.
//!
//! # Invariants
//! 1. A session thread never waits: what cannot be answered at once goes on elsewhere.
//! 2. Every operation ends: with a result, with the client's own time limit, or, once it has waited for a while
//!    ([`waiting`]), with EINTR when a signal waits for its asker. Nobody stays in an uninterruptible sleep.
//!    The operation counts lookups and opens in its last step only, so dropping it leaks neither.

mod begun;
mod waiting;

use crate::caller::Asker;
use begun::begin;
use env::{Env, Queue};
use std::future::Future;
use std::sync::Arc;
use tokio::runtime::Handle;
use types::Status;
use waiting::Waiting;

/// Where operations run.
#[derive(Clone)]
pub(crate) struct Dispatch {
    runtime: Handle,
    waiting: Arc<Waiting>,
    answers: Arc<dyn Queue>,
}

impl Dispatch {
    pub(crate) fn new(runtime: Handle) -> Self {
        Self { runtime, waiting: Arc::default(), answers: Env::real().workers.queue("answer", 1) }
    }

    /// Runs something that blocks, where it holds up nobody.
    pub(crate) fn aside(&self, work: impl FnOnce() + Send + 'static) {
        self.runtime.spawn_blocking(work);
    }

    /// Runs an answer that takes long, since it copies much, without holding up the runtime: the next bytes come in there.
    pub(crate) fn answer(&self, answer: impl FnOnce() + Send + 'static) {
        self.answers.run(Box::new(answer));
    }

    /// Runs `operation` for an asker and gives its outcome to `answer`.
    pub(crate) fn run<T: Send + 'static>(
        &self,
        asker: impl Into<Asker>,
        operation: impl Future<Output = Result<T, Status>> + Send + 'static,
        answer: impl FnOnce(Result<T, Status>) + Send + 'static,
    ) {
        let Self { runtime, waiting, .. } = self.clone();
        let asker = asker.into();
        begin(&self.runtime, async move {
            let outcome = tokio::select! {
                biased;
                outcome = operation => outcome,
                () = waiting.signalled(&runtime, asker) => Err(Status::Interrupted),
            };
            answer(outcome);
        });
    }
}
