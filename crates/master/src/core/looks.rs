//! Looks at many chunks for an operator, in bounded steps, between which everybody else is served.
//!
//! # Invariants
//! 1. A step looks at no more than [`STEP_CHUNKS_MAX`] chunks.
//! 2. Each look has its turn; one that nobody waits for any more ends.

use super::Core;
use std::collections::VecDeque;

/// Chunks of one step: for each a choice of disks is made, which takes some microseconds.
pub(super) const STEP_CHUNKS_MAX: usize = 64;
/// Looks at the same time; more operators are told to try again.
const LOOKS_MAX: usize = 64;

/// A look at chunks that ends in an answer.
pub(super) trait Look: Send {
    /// Whether somebody waits for the answer.
    fn is_wanted(&self) -> bool;

    /// Takes a step. `None`: it was the last one, and the answer is given.
    fn step(self: Box<Self>, core: &Core) -> Option<Box<dyn Look>>;
}

/// Those under way.
#[derive(Default)]
pub(super) struct Looks(VecDeque<Box<dyn Look>>);

impl Looks {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether no more can begin.
    pub(super) fn is_full(&self) -> bool {
        self.0.len() >= LOOKS_MAX
    }

    pub(super) fn begin(&mut self, look: impl Look + 'static) {
        self.0.push_back(Box::new(look));
    }
}

impl Core {
    /// Takes the next step of the look whose turn it is.
    pub(super) fn look_step(&mut self) {
        let Some(look) = self.looks.0.pop_front().filter(|look| look.is_wanted()) else { return };
        if let Some(unfinished) = look.step(self) {
            self.looks.0.push_back(unfinished);
        }
    }
}
