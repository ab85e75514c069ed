//! What was read of a range so far, and the search in halves for what only smaller requests can read.
//!
//! A replica answers a request as a whole: one wrong page of it spoils the other 255. When each replica has a wrong
//! page somewhere, the range is asked for in halves, down to single pages, so that a byte is missed only if it is good
//! on no replica.
//!
//! # Invariants
//! 1. Only what a replica answered with wrong bytes is asked for in halves; any other failure leaves the range missing.
//! 2. A page that every replica has wrong costs at most [`DEPTH_MAX`] halves that are asked of all of them, and as many
//!    whose bytes are good on one.
//! 3. A replica that did not answer is not asked again in the same round, so that a hanging one costs a search one
//!    deadline and not one for each half.

use crate::data::{self, Wanted};
use crate::shared::Shared;
use bytes::{Bytes, BytesMut};
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use types::{ChunkLocation, PAGE_BYTES, PAYLOAD_BYTES_MAX};

/// How often the longest range can be halved.
const DEPTH_MAX: u32 = (PAYLOAD_BYTES_MAX / PAGE_BYTES).ilog2();
const _: () = assert!(DEPTH_MAX == 8, "docs/semantics.md counts requests with it");

/// Bytes of a range, and where some of them are missing.
#[derive(Clone, Debug, Default)]
pub(crate) struct Piece {
    /// All of the range; zeroes in the gaps, which nobody may see.
    bytes: Bytes,
    /// In order.
    gaps: Vec<Range<usize>>,
}

impl Piece {
    /// How long the range is.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// The parts of a range that lies in this one, in order; `Err` is a gap.
    pub(crate) fn parts(&self, range: Range<usize>) -> Vec<Result<Bytes, Range<usize>>> {
        let (mut parts, mut at) = (Vec::with_capacity(1), range.start);
        for gap in self.gaps.iter().map(|gap| gap.start.max(range.start)..gap.end.min(range.end)) {
            if gap.is_empty() {
                continue;
            }
            if at < gap.start {
                parts.push(Ok(self.bytes.slice(at..gap.start)));
            }
            at = gap.end;
            parts.push(Err(gap));
        }
        if at < range.end {
            parts.push(Ok(self.bytes.slice(at..range.end)));
        }
        parts
    }

    /// The bytes of a range, if it lies in this one and nothing of it is missing.
    pub(crate) fn get(&self, range: Range<usize>) -> Option<Bytes> {
        let whole = range.end <= self.len()
            && self.gaps.iter().all(|gap| gap.end <= range.start || range.end <= gap.start);
        whole.then(|| self.bytes.slice(range))
    }
}

impl From<Bytes> for Piece {
    fn from(bytes: Bytes) -> Self {
        Self { bytes, gaps: Vec::new() }
    }
}

/// See the module. Offsets are within the chunk.
pub(crate) struct Parts {
    range: Range<u32>,
    got: BTreeMap<u32, Bytes>,
    /// In order; pages that are asked for alone stay alone.
    missing: Vec<Range<u32>>,
}

impl Parts {
    /// Nothing is read yet.
    pub(crate) fn new(offset: u32, length: u32) -> Self {
        let range = offset..offset + length;
        Self { got: BTreeMap::new(), missing: vec![range.clone()], range }
    }

    /// Whether something was read.
    pub(crate) fn has_some(&self) -> bool {
        !self.got.is_empty()
    }

    /// Whether everything was read.
    pub(crate) fn has_all(&self) -> bool {
        self.missing.is_empty()
    }

    /// What is missing is a hole.
    pub(crate) fn fill_with_zeroes(&mut self) {
        for range in self.missing.drain(..) {
            self.got.insert(range.start, data::zeroes(range.len()));
        }
    }

    /// Asks for what is missing, once. True if every replica has wrong bytes in each page that is missing then, and there are
    /// no others.
    pub(crate) async fn ask(&mut self, shared: &Shared, mut location: Arc<ChunkLocation>) -> bool {
        let (env, pool, epoch) = (&shared.env, &shared.pool, shared.session.epoch());
        let replicas = location.replicas.len();
        let mut wrong = replicas > 0 && !location.more;
        let mut doubted = false;
        let mut todo: Vec<_> = self.missing.drain(..).rev().collect();
        while let Some(range) = todo.pop() {
            let wanted = Wanted { offset: range.start, length: range.end - range.start, doubted };
            let read = data::read(env, pool, &shared.replicas, epoch, &location, wanted).await;
            let failure = match read {
                Ok(bytes) => {
                    self.got.insert(range.start, bytes);
                    continue;
                }
                Err(failure) => failure,
            };
            doubted |= failure.corrupt > 0;
            Arc::make_mut(&mut location).replicas.retain(|replica| failure.answered.contains(&replica.disk));
            match middle(&range).filter(|_| failure.corrupt > 0) {
                Some(middle) => todo.extend([middle..range.end, range.start..middle]),
                None => {
                    wrong &= failure.corrupt == replicas;
                    self.missing.push(range);
                }
            }
        }
        wrong
    }

    /// What was read.
    pub(crate) fn into_piece(self) -> Piece {
        let relative = |at: u32| (at - self.range.start) as usize;
        let gaps = self.missing.iter().map(|gap| relative(gap.start)..relative(gap.end)).collect();
        if self.has_all() && self.got.len() == 1 {
            let bytes = self.got.into_values().next().unwrap_or_default();
            return Piece { bytes, gaps };
        }
        let mut joined = BytesMut::zeroed(self.range.len());
        for (at, bytes) in &self.got {
            joined[relative(*at)..][..bytes.len()].copy_from_slice(bytes);
        }
        Piece { bytes: joined.freeze(), gaps }
    }
}

/// The border of pages that cuts a range in two; `None` if it is within one page.
fn middle(range: &Range<u32>) -> Option<u32> {
    let (first, end) = (range.start / PAGE_BYTES, range.end.div_ceil(PAGE_BYTES));
    (end - first > 1).then(|| (first + end).div_ceil(2) * PAGE_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: u32 = PAGE_BYTES;

    #[test]
    fn halves_meet_at_a_border_of_pages_and_end_at_one_page() {
        assert_eq!(middle(&(0..256 * PAGE)), Some(128 * PAGE));
        assert_eq!(middle(&(5 * PAGE..8 * PAGE)), Some(7 * PAGE));
        assert_eq!(middle(&(PAGE - 1..PAGE + 1)), Some(PAGE));
        assert_eq!(middle(&(10..PAGE)), None);
        let (mut range, mut depth) = (0..256 * PAGE, 0);
        while let Some(middle) = middle(&range) {
            assert!(range.start < middle && middle < range.end);
            (range, depth) = (range.start..middle, depth + 1);
        }
        assert_eq!(depth, DEPTH_MAX);
    }

    #[test]
    fn a_gap_is_never_handed_out() {
        let mut parts = Parts::new(2 * PAGE + 10, 3 * PAGE);
        parts.missing = vec![3 * PAGE..3 * PAGE + 90, 3 * PAGE + 90..4 * PAGE];
        parts.got.insert(2 * PAGE + 10, vec![1; PAGE as usize - 10].into());
        parts.got.insert(4 * PAGE, vec![2; PAGE as usize + 10].into());
        let piece = parts.into_piece();
        assert_eq!(piece.len(), 3 * PAGE as usize);
        assert_eq!(piece.get(4085..4086).as_deref(), Some(&[1][..]));
        assert_eq!(piece.get(8182..8184).as_deref(), Some(&[2, 2][..]));
        for range in [0..piece.len(), 4085..4087, 5000..5001, 8181..8183, 8182..piece.len() + 1] {
            assert_eq!(piece.get(range), None);
        }
        let expected = [Ok(vec![1].into()), Err(4086..4176), Err(4176..8182), Ok(vec![2, 2].into())];
        assert_eq!(piece.parts(4085..8184), expected);
        assert_eq!(piece.parts(5000..5001), [Err(5000..5001)]);
        assert_eq!(piece.parts(0..2), [Ok(vec![1, 1].into())]);
    }
}
