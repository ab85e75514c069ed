//! Requests that wait for their turn.
//!
//! # Invariants
//! 1. A queue holds at most twice as many requests as somebody waits for, and [`FEW`]: those that were given up go when it grows. How many a session
//!    may wait for is bounded in `sessions`.

use super::sessions::Sessions;
use std::collections::VecDeque;
use types::{Origin, Request};

/// As many are not worth a look.
const FEW: usize = 64;

/// Requests in the order in which they came.
#[derive(Default)]
pub(super) struct Queue {
    requests: VecDeque<(Origin, Request)>,
    /// How many were left when those that were given up were thrown out last.
    left: usize,
}

impl Queue {
    /// Puts one at the end.
    pub(super) fn push(&mut self, request: (Origin, Request), sessions: &Sessions) {
        if self.requests.len() >= FEW.max(2 * self.left) {
            self.requests.retain(|(origin, _)| sessions.waits_for(*origin));
            self.left = self.requests.len();
        }
        self.requests.push_back(request);
    }

    /// Takes the one at this place.
    pub(super) fn remove(&mut self, at: usize) -> Option<(Origin, Request)> {
        self.requests.remove(at)
    }

    /// Takes all that are wanted.
    pub(super) fn take_all(
        &mut self,
        wanted: impl FnMut(&(Origin, Request)) -> bool,
    ) -> Vec<(Origin, Request)> {
        let (taken, rest): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.requests).into_iter().partition(wanted);
        self.requests = rest.into();
        taken
    }

    /// All of them, the first one first.
    pub(super) fn iter(&self) -> impl Iterator<Item = &(Origin, Request)> {
        self.requests.iter()
    }

    /// Whether none is there.
    pub(super) fn is_empty(&self) -> bool {
        self.requests.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use types::{Sequence, SessionId};

    #[test]
    fn what_nobody_waits_for_any_more_does_not_pile_up() {
        let mut sessions = Sessions::default();
        let (one, two) = (SessionId(1), SessionId(2));
        sessions.opened(one, "a".into(), 0);
        sessions.opened(two, "b".into(), 0);
        let origin = |session, n| Origin { session, sequence: Sequence(n), answered_below: Sequence(n) };
        let mut queue = Queue::default();
        for n in 1..=100 {
            queue.push((origin(two, n), Request::Barrier), &sessions);
        }
        for n in 1..=10_000 {
            // Each gives up the one before.
            let _ = sessions.admit(one, Sequence(n), Sequence(n), Box::new(|_| {}));
            queue.push((origin(one, n), Request::Barrier), &sessions);
            assert!(queue.requests.len() <= 2 * 101 + 1, "{n}");
        }
        assert_eq!(queue.take_all(|(origin, _)| origin.session == two).len(), 100);
        let last = queue.iter().last().map(|(origin, _)| origin.sequence);
        assert_eq!(last, Some(Sequence(10_000)));
    }
}
