//! How long one read waits for servers that do not answer, or have nothing.
//!
//! The mount's limit holds for a read as a whole: attributes, locations and replicas share it. A kernel whose
//! read-ahead failed asks for the first page again at once, for the same read(2), and for a page fault twice; each such
//! repetition gets one try and not the limit anew, else the program would wait twice as long as was promised.

use env::Instant;
use std::ops::Range;
use std::time::Duration;
use types::Status;

/// A read that follows one that was given up within this time is taken for its repetition.
const REPETITION: Duration = Duration::from_secs(1);
/// Longest try of a repetition.
const TRY_MAX: Duration = Duration::from_secs(1);

/// The last read of a file that took the mount's limit in vain, or repeated such a one in vain.
#[derive(Debug)]
pub(crate) struct GivenUp {
    range: Range<u64>,
    at: Instant,
    /// It was a repetition itself.
    repeats: bool,
}

impl GivenUp {
    /// Notes a read. Those that are given up at about the same time, as the requests of one read-ahead are, count as one. The repetition of a
    /// repetition is not noted: who asks for ever would take the limit away from everybody else.
    pub(crate) fn note(last: &mut Option<Self>, range: Range<u64>, at: Instant, repeats: bool) {
        if repeats && last.as_ref().is_some_and(|last| last.repeats && last.overlaps(&range)) {
            return;
        }
        let company = last.take().filter(|last| at.since(last.at) < REPETITION);
        let range = company.map_or(range.clone(), |company| {
            company.range.start.min(range.start)..company.range.end.max(range.end)
        });
        *last = Some(Self { range, at, repeats });
    }

    fn is_repeated_by(&self, range: &Range<u64>, now: Instant) -> bool {
        now.since(self.at) < REPETITION && self.overlaps(range)
    }

    fn overlaps(&self, range: &Range<u64>) -> bool {
        range.start < self.range.end && self.range.start < range.end
    }
}

/// How long, and how often, one read tries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Patience {
    limit: Option<Duration>,
    /// One try is enough, with locations that are asked for anew.
    pub(crate) once: bool,
}

impl Patience {
    /// Of a read of this range that begins now.
    pub(crate) fn new(
        limit: Option<Duration>,
        given_up: Option<&GivenUp>,
        range: &Range<u64>,
        now: Instant,
    ) -> Self {
        match limit {
            Some(limit) if given_up.is_some_and(|last| last.is_repeated_by(range, now)) => {
                Self { limit: Some(limit.min(TRY_MAX)), once: true }
            }
            limit => Self { limit, once: false },
        }
    }

    /// Waits for the outcome, as long as this is.
    pub(crate) async fn wait<T>(self, outcome: impl Future<Output = Result<T, Status>>) -> Result<T, Status> {
        match self.limit {
            Some(limit) => tokio::time::timeout(limit, outcome).await.unwrap_or(Err(Status::TimedOut)),
            None => outcome.await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_just_given_up_is_tried_once() {
        let (limit, start) = (Some(Duration::from_secs(8)), Instant::default());
        let mut given_up = None;
        GivenUp::note(&mut given_up, 4096..8192, start, false);
        let patience = |range, at| Patience::new(limit, given_up.as_ref(), &range, at);
        let soon = start + Duration::from_millis(900);
        assert!(patience(8191..9000, soon).once && patience(0..4097, soon).once);
        assert!(!patience(8192..9000, soon).once && !patience(0..4096, soon).once);
        assert_eq!(patience(4096..8192, start + REPETITION), Patience { limit, once: false });
        assert_eq!(
            Patience::new(None, given_up.as_ref(), &(4096..8192), soon),
            Patience { limit: None, once: false }
        );
    }

    /// Two repetitions, as a page fault has, and what comes soon after them.
    #[test]
    fn who_asks_for_ever_takes_the_limit_from_nobody() {
        let (limit, mut now, mut given_up) = (Some(Duration::from_secs(8)), Instant::default(), None);
        let mut waits = Vec::new();
        for _ in 0..5 {
            let once = Patience::new(limit, given_up.as_ref(), &(0..4096), now).once;
            waits.push(once);
            now = now + Duration::from_millis(900);
            GivenUp::note(&mut given_up, 0..4096, now, once);
        }
        assert_eq!(waits, [false, true, true, true, false]);
    }

    #[test]
    fn requests_of_one_read_ahead_that_are_given_up_together_are_remembered_together() {
        let (limit, start) = (Some(Duration::from_secs(8)), Instant::default());
        let mut given_up = None;
        let first = 0..131_072_u64;
        GivenUp::note(&mut given_up, first.clone(), start, false);
        GivenUp::note(&mut given_up, 131_072..262_144, start, false);
        assert!(Patience::new(limit, given_up.as_ref(), &(0..4096), start).once);
        let later = start + REPETITION;
        GivenUp::note(&mut given_up, 131_072..262_144, later, false);
        assert!(!Patience::new(limit, given_up.as_ref(), &first, later).once);
    }
}
