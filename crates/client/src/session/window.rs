//! The numbers of a session's requests: which are open, and below which all are answered.

use std::collections::BTreeSet;
use types::{REQUESTS_OPEN_MAX, SEQUENCES_AHEAD_MAX, Sequence};

/// Numbers from 1. The master remembers answers from `answered_below` on, at most [`SEQUENCES_AHEAD_MAX`].
#[derive(Debug)]
pub(crate) struct Window {
    next: u64,
    open: BTreeSet<u64>,
}

impl Default for Window {
    fn default() -> Self {
        Self { next: 1, open: BTreeSet::new() }
    }
}

impl Window {
    /// The next number; `None` if too many are open, or the oldest one is too far behind.
    pub(crate) fn begin(&mut self) -> Option<Sequence> {
        let ahead = self.next - self.answered_below().0;
        if ahead >= SEQUENCES_AHEAD_MAX || self.open.len() >= REQUESTS_OPEN_MAX {
            return None;
        }
        let sequence = self.next;
        self.next += 1;
        self.open.insert(sequence);
        Some(Sequence(sequence))
    }

    /// Answered, or nobody waits for the answer any more.
    pub(crate) fn end(&mut self, sequence: Sequence) {
        self.open.remove(&sequence.0);
    }

    /// The last number that was given.
    pub(crate) fn last(&self) -> Sequence {
        Sequence(self.next - 1)
    }

    /// The lowest number whose answer may still be asked for.
    pub(crate) fn answered_below(&self) -> Sequence {
        Sequence(self.open.first().copied().unwrap_or(self.next))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_answered_moves_with_the_oldest_open_request() {
        let mut window = Window::default();
        assert_eq!(window.answered_below(), Sequence(1));
        let all: Vec<_> = (0..3).map(|_| window.begin().expect("room")).collect();
        assert_eq!(all, [Sequence(1), Sequence(2), Sequence(3)]);
        window.end(all[1]);
        assert_eq!(window.answered_below(), Sequence(1));
        window.end(all[0]);
        assert_eq!(window.answered_below(), Sequence(3));
        window.end(all[2]);
        assert_eq!(window.answered_below(), Sequence(4));
    }

    #[test]
    fn a_stuck_request_stops_new_ones_before_the_master_forgets_its_answer() {
        let mut window = Window::default();
        let stuck = window.begin().expect("room");
        let mut last = stuck;
        while let Some(sequence) = window.begin() {
            window.end(sequence);
            last = sequence;
        }
        assert_eq!(last.0, SEQUENCES_AHEAD_MAX);
        window.end(stuck);
        assert!(window.begin().is_some());
    }

    #[test]
    fn so_many_are_open_at_one_time() {
        let mut window = Window::default();
        let open = std::iter::from_fn(|| window.begin()).count();
        assert_eq!(open, REQUESTS_OPEN_MAX);
    }
}
