//! Blocking work, run in line; and the one runtime there is.

use crate::{Queue, Runtime, Workers};
use std::sync::Arc;

/// Makes queues and runtimes without threads.
pub(super) struct SimWorkers;

impl Workers for SimWorkers {
    fn queue(&self, _name: &str, _threads: usize) -> Arc<dyn Queue> {
        Arc::new(InLine)
    }

    fn runtime(&self, _name: &str) -> Runtime {
        Runtime::here()
    }
}

struct InLine;

impl Queue for InLine {
    /// Runs the job before it returns. A panic goes to the caller: in a simulation it is a finding.
    fn run(&self, job: Box<dyn FnOnce() + Send>) {
        job();
    }

    fn depth(&self) -> usize {
        0
    }
}
