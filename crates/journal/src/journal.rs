//! The append side of the log.

use crate::{Entry, OpenError, Options, Recovery, ReplayError, Syncer};
use env::Dir;
use std::io;
use std::sync::Arc;
use types::{LogIndex, Term};

/// The log, opened for appending. One owner appends; [`Syncer`] is for the log thread.
pub struct Journal {}

impl Journal {
    /// Opens the log in `dir`, or begins a new one. Everything that is recovered is durable afterwards.
    pub fn open(dir: Arc<dyn Dir>, options: Options) -> Result<(Self, Recovery), OpenError> {
        let _ = (dir, options);
        unimplemented!()
    }

    /// Gives all records from `from` to the last one to `visit`, in order. `from` may be one past the last.
    pub fn replay<E: From<ReplayError>>(
        &self,
        from: LogIndex,
        visit: impl FnMut(Entry<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let _ = (from, visit);
        unimplemented!()
    }

    /// Appends records, numbered without a gap, in one write. They survive a kill when this returns, and
    /// loss of power after the next [`Syncer::sync`]. After an error every later call fails: the caller's
    /// state is ahead of its log, so it must stop.
    pub fn append(&mut self, entries: &[Entry<'_>]) -> io::Result<()> {
        let _ = entries;
        unimplemented!()
    }

    /// Whether records of so many bytes in all can be appended without asking the disk for room.
    pub fn has_room(&self, entries: usize, bytes: usize) -> bool {
        let _ = (entries, bytes);
        unimplemented!()
    }

    /// The last record appended.
    pub fn last(&self) -> (Term, LogIndex) {
        unimplemented!()
    }

    /// The last record known to be on stable storage.
    pub fn stable(&self) -> LogIndex {
        unimplemented!()
    }

    /// The handle for the log thread.
    pub fn syncer(&self) -> Arc<Syncer> {
        unimplemented!()
    }
}
