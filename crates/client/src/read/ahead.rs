//! Whether a handle reads in sequence, and what to fetch before it is asked for.
//!
//! The kernel splits a stream of reads into several requests that may arrive a little out of order, so a
//! read close to the front counts as sequential.

use crate::write::buffer::WINDOW_BYTES;
use std::ops::Range;

/// Most windows of 1 MiB fetched ahead of one handle.
const AHEAD_MAX: u64 = 8;
/// How far from the front a read of a stream may begin.
const SLACK_BYTES: u64 = 512 << 10;
/// Reads in sequence before anything is fetched ahead; a first read at offset 0 counts as one.
const STREAK_MIN: u32 = 2;

/// What one read means.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Plan {
    /// Fetch exactly the range.
    Exact,
    /// Read through whole windows, and fetch these ahead (their numbers).
    Stream(Range<u64>),
}

/// The pattern of one handle's reads.
#[derive(Debug, Default)]
pub(crate) struct Ahead {
    front: u64,
    streak: u32,
    depth: u64,
    fetched: u64,
}

impl Ahead {
    /// Takes a read of `[offset, offset + length)` into account; the file ends at `end`.
    pub(crate) fn read(&mut self, offset: u64, length: u64, end: u64) -> Plan {
        let near = offset + SLACK_BYTES >= self.front && offset <= self.front + SLACK_BYTES;
        let jumped = if self.front == 0 { offset > 0 } else { !near };
        if jumped {
            *self = Self { front: offset + length, ..Self::default() };
            return Plan::Exact;
        }
        self.front = self.front.max(offset + length);
        self.streak = self.streak.saturating_add(1);
        // A file of which all is asked for at once, as a small one is, is kept by whoever asks.
        if self.streak == 1 && offset == 0 && length >= end {
            return Plan::Exact;
        }
        // A file that fits one window is fetched in one piece at the first read of its beginning.
        if self.streak < STREAK_MIN && end > WINDOW_BYTES {
            return if length >= WINDOW_BYTES / 2 { Plan::Stream(0..0) } else { Plan::Exact };
        }
        self.depth = (self.depth * 2).clamp(1, AHEAD_MAX);
        let first = (self.front.div_ceil(WINDOW_BYTES)).max(self.fetched);
        let last = (self.front.div_ceil(WINDOW_BYTES) + self.depth).min(end.div_ceil(WINDOW_BYTES));
        self.fetched = self.fetched.max(last);
        Plan::Stream(first..last.max(first))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_fetched_ahead_deeper_and_deeper_and_each_window_once() {
        let (mut ahead, end) = (Ahead::default(), 64 * WINDOW_BYTES);
        let mut fetched = Vec::new();
        for n in 0..256_u64 {
            if let Plan::Stream(windows) = ahead.read(n * (128 << 10), 128 << 10, end) {
                fetched.extend(windows);
            }
        }
        assert_eq!(fetched.first(), Some(&1));
        assert!(fetched.windows(2).all(|pair| pair[0] + 1 == pair[1]));
        assert_eq!(fetched.last(), Some(&(32 + AHEAD_MAX - 1)));
    }

    #[test]
    fn requests_a_little_out_of_order_are_still_a_stream() {
        let (mut ahead, end) = (Ahead::default(), 64 * WINDOW_BYTES);
        let unit = 128 << 10;
        for n in [0, 2, 1, 3, 5, 4] {
            ahead.read(n * unit, unit, end);
        }
        assert!(matches!(ahead.read(6 * unit, unit, end), Plan::Stream(_)));
    }

    #[test]
    fn random_reads_fetch_what_they_ask_for_and_nothing_else() {
        let (mut ahead, end) = (Ahead::default(), 1 << 30);
        for offset in [500 << 20, 3 << 20, 700 << 20, 90 << 20, 91 << 20] {
            assert_eq!(ahead.read(offset, 4096, end), Plan::Exact);
        }
    }

    #[test]
    fn nothing_is_fetched_beyond_the_end() {
        let mut ahead = Ahead::default();
        assert_eq!(ahead.read(0, 4096, 10_000), Plan::Stream(1..1));
        assert_eq!(Ahead::default().read(0, 10_000, 10_000), Plan::Exact, "it is all");
        let end = 3 * WINDOW_BYTES + 5;
        let mut ahead = Ahead::default();
        let mut last = 0;
        for n in 0..30 {
            if let Plan::Stream(windows) = ahead.read(n * (100 << 10), 100 << 10, end) {
                last = last.max(windows.end);
            }
        }
        assert_eq!(last, 4);
    }
}
