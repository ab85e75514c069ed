//! What waits for stable storage, in the order of the log.
//!
//! # Invariants
//! 1. Indexes never go down along the queue, so what may leave is always a prefix.

use std::collections::VecDeque;
use types::LogIndex;

/// A queue of things that leave once the log is stable up to their index.
pub(crate) struct Hold<T> {
    queue: VecDeque<(LogIndex, T)>,
}

impl<T> Hold<T> {
    pub(crate) fn new() -> Self {
        Self { queue: VecDeque::new() }
    }

    /// Adds something that rests on the records up to `index`, which is not below the last one added.
    pub(crate) fn push(&mut self, index: LogIndex, item: T) {
        assert!(self.queue.back().is_none_or(|(last, _)| *last <= index), "indexes grow along the queue");
        self.queue.push_back((index, item));
    }

    /// The next one that may leave when the log is stable up to `stable`.
    pub(crate) fn pop(&mut self, stable: LogIndex) -> Option<T> {
        if self.queue.front()?.0 > stable {
            return None;
        }
        self.queue.pop_front().map(|(_, item)| item)
    }

    /// Whether anything waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_stable_leaves_in_order_and_the_rest_stays() {
        let mut hold = Hold::new();
        hold.push(LogIndex(3), 'a');
        hold.push(LogIndex(3), 'b');
        hold.push(LogIndex(5), 'c');
        assert_eq!(hold.pop(LogIndex(2)), None);
        assert_eq!(hold.pop(LogIndex(4)), Some('a'));
        assert_eq!(hold.pop(LogIndex(4)), Some('b'));
        assert_eq!(hold.pop(LogIndex(4)), None);
        assert!(!hold.is_empty());
        assert_eq!(hold.pop(LogIndex(9)), Some('c'));
        assert!(hold.is_empty());
    }
}
