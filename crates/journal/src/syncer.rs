//! The log thread's side: making records durable, preparing and recycling segments.

use crate::SealedSegment;
use crate::shared::Shared;
use std::io;
use std::sync::Arc;
use types::LogIndex;

/// What the log thread does; the methods block unless they say otherwise.
pub struct Syncer {
    shared: Arc<Shared>,
}

impl Syncer {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// Makes everything appended before the call durable and tells up to which record. One call serves
    /// all who wait (group commit). After an error every later call and append fails.
    pub fn sync(&self) -> io::Result<LogIndex> {
        self.shared.sync()
    }

    /// The last record known to be on stable storage; does not block.
    pub fn stable(&self) -> LogIndex {
        self.shared.stable()
    }

    /// Whether a sync would have something to do; does not block.
    pub fn is_behind(&self) -> bool {
        self.shared.written() > self.shared.stable()
    }

    /// Makes the next segment ready if there is none, so that an append need not. To be called after a
    /// sync, on the log thread; does nothing most of the time. An error is no loss: the next append tries again.
    pub fn prepare(&self) -> io::Result<()> {
        self.shared.prepare()
    }

    /// Recycles the segments that hold only records below `index`, the first one that is still needed
    /// (see [`crate::checkpoint::prune`]).
    pub fn truncate_before(&self, index: LogIndex) -> io::Result<()> {
        self.shared.truncate_before(index)
    }

    /// Segments that are full, oldest first; does not block.
    pub fn sealed(&self) -> Vec<SealedSegment> {
        self.shared.sealed()
    }
}
