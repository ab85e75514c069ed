//! The log thread's side: making records durable, preparing and recycling segments.

use crate::SealedSegment;
use std::io;
use types::LogIndex;

/// What the log thread does; all methods block.
pub struct Syncer {}

impl Syncer {
    /// Makes everything appended before the call durable and tells up to which record. One call serves
    /// all who wait (group commit). After an error every later call and append fails.
    pub fn sync(&self) -> io::Result<LogIndex> {
        unimplemented!()
    }

    /// The last record known to be on stable storage; does not block.
    pub fn stable(&self) -> LogIndex {
        unimplemented!()
    }

    /// Whether a sync would have something to do; does not block.
    pub fn is_behind(&self) -> bool {
        unimplemented!()
    }

    /// Makes the next segment ready if there is none, so that an append need not. To be called after a
    /// sync, on the log thread; does nothing most of the time. An error is no loss: the next append tries again.
    pub fn prepare(&self) -> io::Result<()> {
        unimplemented!()
    }

    /// Recycles the segments that hold only records below `index`, the first one that is still needed
    /// (see [`crate::checkpoint::prune`]).
    pub fn truncate_before(&self, index: LogIndex) -> io::Result<()> {
        let _ = index;
        unimplemented!()
    }

    /// Segments that are full, oldest first.
    pub fn sealed(&self) -> Vec<SealedSegment> {
        unimplemented!()
    }
}
