//! Blocking work, run in line.

use crate::{Queue, Workers};
use std::sync::Arc;

/// Makes queues without threads.
pub(super) struct SimWorkers;

impl Workers for SimWorkers {
    fn queue(&self, _name: &str, _threads: usize) -> Arc<dyn Queue> {
        Arc::new(InLine)
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
