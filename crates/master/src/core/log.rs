//! The core's side of the log: staging a batch, writing it, and group commit.
//!
//! # Invariants
//! 1. A record is staged only if the log has room for it, so that a write after `apply` does not fail for want of room.
//! 2. After an error nothing more is written or synced.

use crate::config::LOG_QUEUE;
use crate::error::Fatal;
use env::{Queue, Workers};
use journal::{Entry, Journal, Syncer};
use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::Instant;
use types::{LogIndex, Record, Status, Term};

/// The staged batch and the state of group commit.
pub(crate) struct Log {
    journal: Journal,
    syncer: Arc<Syncer>,
    queue: Arc<dyn Queue>,
    bytes: Vec<u8>,
    staged: Vec<(Term, LogIndex, Range<usize>)>,
    sync_runs: bool,
    sync_due: Option<Instant>,
    /// Capacity 1 is enough: one sync runs at a time.
    done: (mpsc::Sender<io::Result<LogIndex>>, mpsc::Receiver<io::Result<LogIndex>>),
    /// Records and bytes written since the start.
    written: (u64, u64),
}

impl Log {
    pub(crate) fn new(journal: Journal, workers: &dyn Workers) -> Self {
        let syncer = journal.syncer();
        let queue = workers.queue(LOG_QUEUE, 1);
        Self {
            journal,
            syncer,
            queue,
            bytes: Vec::new(),
            staged: Vec::new(),
            sync_runs: false,
            sync_due: None,
            done: mpsc::channel(1),
            written: (0, 0),
        }
    }

    /// Adds a record to the batch. Refused if it is too large, or if the disk has no room for it.
    pub(crate) fn stage(&mut self, record: &Record) -> Result<(), Status> {
        let start = self.bytes.len();
        codec::record::encode(record, &mut self.bytes);
        let length = self.bytes.len() - start;
        let refusal = if length > codec::limits::RECORD_BYTES_MAX {
            Some(Status::TooBig)
        } else if !self.has_room() {
            Some(Status::NoSpace)
        } else {
            None
        };
        if let Some(status) = refusal {
            self.bytes.truncate(start);
            return Err(status);
        }
        self.staged.push((record.term, record.index, start..self.bytes.len()));
        Ok(())
    }

    /// Takes back the record staged last: it was not applied.
    pub(crate) fn unstage(&mut self) {
        let (_, _, range) = self.staged.pop().expect("a record was staged just before");
        self.bytes.truncate(range.start);
    }

    fn has_room(&self) -> bool {
        let fits = || self.journal.has_room(self.staged.len() + 1, self.bytes.len());
        // The log thread prepares segments ahead; only if it did not keep up does the core do it, and wait.
        fits()
            || match self.syncer.prepare() {
                Ok(()) => fits(),
                Err(error) => {
                    tracing::error!(%error, "no room for the changelog; mutations are refused");
                    false
                }
            }
    }

    /// Bytes staged.
    pub(crate) fn batch_bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Writes the batch in one write; whether there was anything.
    pub(crate) fn write(&mut self) -> Result<bool, Fatal> {
        if self.staged.is_empty() {
            return Ok(false);
        }
        let entries: Vec<Entry<'_>> = self
            .staged
            .iter()
            .map(|(term, index, range)| Entry {
                term: *term,
                index: *index,
                bytes: &self.bytes[range.clone()],
            })
            .collect();
        self.journal
            .append(&entries)
            .map_err(|error| Fatal::Log { what: "written", reason: error.to_string() })?;
        self.written.0 += self.staged.len() as u64;
        self.written.1 += self.bytes.len() as u64;
        self.staged.clear();
        self.bytes.clear();
        Ok(true)
    }

    /// Records and bytes written since the start.
    pub(crate) fn written(&self) -> (u64, u64) {
        self.written
    }

    /// As [`Log::written`], with the batch that is about to be written.
    pub(crate) fn written_and_staged(&self) -> (u64, u64) {
        (self.written.0 + self.staged.len() as u64, self.written.1 + self.bytes.len() as u64)
    }

    /// The last record known to be on stable storage.
    pub(crate) fn stable(&self) -> LogIndex {
        self.journal.stable()
    }

    /// Sees to it that a sync begins after at most this time.
    pub(crate) fn sync_within(&mut self, delay: Duration) {
        self.sync_due.get_or_insert(Instant::now() + delay);
    }

    /// When the next sync is to begin; `None` while one runs or none is needed.
    pub(crate) fn sync_due(&self) -> Option<Instant> {
        self.sync_due.filter(|_| !self.sync_runs)
    }

    /// Begins a sync unless one runs; it also prepares the next segment.
    pub(crate) fn begin_sync(&mut self) {
        if self.sync_runs {
            return;
        }
        self.sync_runs = true;
        self.sync_due = None;
        let (syncer, done) = (Arc::clone(&self.syncer), self.done.0.clone());
        self.queue.run(Box::new(move || {
            let result = syncer.sync();
            let failed = result.is_err();
            // One sync runs at a time, so there is room, unless the core has gone.
            let _ = done.try_send(result);
            if !failed && let Err(error) = syncer.prepare() {
                tracing::warn!(%error, "the next segment of the changelog could not be prepared");
            }
        }));
    }

    /// The result of the sync that runs.
    pub(crate) async fn synced(&mut self) -> io::Result<LogIndex> {
        self.done.1.recv().await.expect("this struct holds a sender")
    }

    /// Notes that the sync has ended.
    pub(crate) fn sync_ended(&mut self, result: io::Result<LogIndex>) -> Result<LogIndex, Fatal> {
        self.sync_runs = false;
        result.map_err(|error| Fatal::Log { what: "synced", reason: error.to_string() })
    }

    /// Finds out which record must stay and gives back the segments below, on the log thread.
    pub(crate) fn recycle(&self, first_needed: impl FnOnce() -> io::Result<LogIndex> + Send + 'static) {
        let syncer = Arc::clone(&self.syncer);
        self.queue.run(Box::new(move || {
            if let Err(error) = first_needed().and_then(|index| syncer.truncate_before(index)) {
                tracing::warn!(%error, "old checkpoints or segments could not be given back");
            }
        }));
    }
}
