//! Reading a log that another process appends to.

use crate::{Entry, ReplayError};
use env::Dir;
use std::sync::Arc;
use types::{ClusterId, LogIndex};

/// A log opened to read only, such as by the process that makes checkpoints.
pub struct Reader {}

impl Reader {
    /// Looks at the log in `dir`, which may be appended to at the same time.
    pub fn open(dir: Arc<dyn Dir>, cluster: ClusterId) -> Result<Self, ReplayError> {
        let _ = (dir, cluster);
        unimplemented!()
    }

    /// Gives the records `from` to `to`, both included, in order. `to` must have been appended before the
    /// call.
    pub fn replay<E: From<ReplayError>>(
        &self,
        from: LogIndex,
        to: LogIndex,
        visit: impl FnMut(Entry<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let _ = (from, to, visit);
        unimplemented!()
    }
}
