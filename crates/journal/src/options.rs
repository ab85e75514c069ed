//! The values that go into and come out of a journal.

use env::Seed;
use std::sync::Arc;
use types::{ClusterId, LogIndex, Term};

/// One record, as bytes whose meaning is the caller's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// The reign that wrote it; never below that of the record before.
    pub term: Term,
    /// Its place: one more than that of the record before.
    pub index: LogIndex,
    /// The record itself.
    pub bytes: &'a [u8],
}

/// How to open a journal.
#[derive(Clone)]
pub struct Options {
    /// The cluster; a journal of another one is refused.
    pub cluster: ClusterId,
    /// Bytes of a segment; only segments made from now on get it.
    pub segment_bytes: u64,
    /// The record before the first one of an empty journal: (0, 0), or where a checkpoint from
    /// elsewhere ends. Without meaning for a journal that has records.
    pub after: (Term, LogIndex),
    /// What the caller knows that the log must have; one that lacks it is refused, and nothing is changed.
    pub needed: Needed,
    /// Segments get a random salt, so that no record's content can pass for a part of the log.
    pub seed: Arc<dyn Seed>,
}

/// What a log must have to be of use.
#[derive(Clone, Copy, Debug)]
pub struct Needed {
    /// It may not begin after this record.
    pub first: LogIndex,
    /// It may not end before this one, which was on stable storage.
    pub last: LogIndex,
}

impl Default for Needed {
    /// Nothing is needed.
    fn default() -> Self {
        Self { first: LogIndex(u64::MAX), last: LogIndex(0) }
    }
}

impl Options {
    /// The usual options for a cluster.
    pub fn new(cluster: ClusterId, seed: Arc<dyn Seed>) -> Self {
        Self {
            cluster,
            segment_bytes: 64 << 20,
            after: (Term(0), LogIndex(0)),
            needed: Needed::default(),
            seed,
        }
    }
}

/// What was found when a journal was opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovery {
    /// The first record that is there; one more than `last` if there is none.
    pub first: LogIndex,
    /// The last record that is there; everything up to it is durable now.
    pub last: LogIndex,
    /// The term of the last record.
    pub term: Term,
    /// No segment was there: the journal is new, or its folder was lost.
    pub fresh: bool,
    /// What was cut from the tail, in order. Empty after a clean stop and usually after a kill.
    pub cuts: Vec<Cut>,
}

/// Bytes that were cut from the tail and kept aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cut {
    /// The segment they were in.
    pub segment: String,
    /// The first index that is no longer in the log.
    pub index: LogIndex,
    /// Where in the segment they began.
    pub offset: u64,
    /// How many.
    pub bytes: u64,
    /// The file that holds them now.
    pub kept_as: String,
}

/// A segment that is full and no longer written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedSegment {
    /// Its file.
    pub name: String,
    /// Its first record.
    pub first: LogIndex,
    /// Its last record.
    pub last: LogIndex,
}
