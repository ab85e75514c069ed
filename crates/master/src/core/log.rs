//! The core's side of the log: staging a batch, writing it, and group commit.
//!
//! # Invariants
//! 1. A record is staged only if the log has room for it, so that a write after `apply` does not fail for want of room.
//! 2. After an error nothing more is written or synced.
//! 3. On a full disk what clients ask is refused first, then what the master does for itself and for them (raises), and at the very
//!    end sessions and registrations, so that reads go on and servers come back ([`Leaves`]).
//! 4. The record of an edit that was promised room is never refused for want of it: replicas have cut by then.

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
use types::{LogIndex, Op, Origin, Record, Status, Term};

/// Kept for the master's own records: tens of thousands of them.
const RESERVE_BYTES: usize = 1 << 20;
/// Of that, kept for sessions and registrations: what a client can cause again and again, as raises, does not use it up.
const STANDING_BYTES: usize = RESERVE_BYTES / 2;
/// More than the record of an edit takes, with all headers around it.
const EDIT_BYTES: usize = 512;
const _: () = assert!(
    crate::config::LOG_SEGMENT_BYTES_MIN as usize
        > crate::config::BATCH_BYTES_MAX + 2 * codec::limits::RECORD_BYTES_MAX + RESERVE_BYTES
);
/// How often a full disk is asked for room.
const ROOM_INTERVAL: Duration = Duration::from_secs(1);

/// What a record leaves of the log to others when the disk is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Leaves {
    /// What the master itself must record: so does all that a client asks for.
    Reserve,
    /// Sessions and registrations: so does what the master does for itself, and what operators ask for.
    Standing,
    /// Only what edits were promised.
    Promises,
}

impl Leaves {
    /// What a record leaves that was promised nothing.
    pub(crate) fn of(origin: Option<Origin>, op: &Op) -> Self {
        match op {
            Op::OpenSession { .. }
            | Op::CloseSession { .. }
            | Op::RegisterServer { .. }
            | Op::RegisterDisk { .. }
            | Op::SetLabels { .. } => Self::Promises,
            // Whoever asked may be gone, and what is punched for an append lock bears no name.
            Op::SetLength { .. } | Op::Punch { .. } => Self::Reserve,
            _ if origin.is_some() => Self::Reserve,
            _ => Self::Standing,
        }
    }

    fn bytes(self) -> usize {
        match self {
            Self::Reserve => RESERVE_BYTES,
            Self::Standing => STANDING_BYTES,
            Self::Promises => 0,
        }
    }
}

/// The staged batch and the state of group commit.
pub(crate) struct Log {
    journal: Journal,
    syncer: Arc<Syncer>,
    queue: Arc<dyn Queue>,
    bytes: Vec<u8>,
    staged: Vec<(Term, LogIndex, Range<usize>)>,
    /// Edits that are under way, each with room for its record.
    promised: usize,
    /// No segment could be prepared; why, and when it is tried again.
    no_room: Option<(String, Instant)>,
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
            promised: 0,
            no_room: None,
            sync_runs: false,
            sync_due: None,
            done: mpsc::channel(1),
            written: (0, 0),
        }
    }

    /// Adds a record to the batch. Refused if it is too large, or if the disk has no room for it.
    pub(crate) fn stage(&mut self, record: &Record, leaves: Leaves) -> Result<(), Status> {
        let start = self.bytes.len();
        codec::record::encode(record, &mut self.bytes);
        let length = self.bytes.len() - start;
        let refusal = if length > codec::limits::RECORD_BYTES_MAX {
            Some(Status::TooBig)
        } else if !self.has_room(leaves.bytes()) {
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

    /// Keeps room for the record of an edit that replicas are about to carry out. Refused when all that clients ask is.
    pub(crate) fn promise(&mut self) -> Result<(), Status> {
        if !self.takes_changes() {
            return Err(Status::NoSpace);
        }
        self.promised += 1;
        Ok(())
    }

    /// An edit ends: what it was promised is for its record, which is staged next if there is one.
    pub(crate) fn redeem(&mut self) {
        self.promised -= 1;
    }

    /// Whether there is room for what clients ask, if it is as small as an edit's record.
    pub(crate) fn takes_changes(&mut self) -> bool {
        self.has_room(RESERVE_BYTES + EDIT_BYTES)
    }

    /// Whether the batch fits and leaves `reserve` bytes, and what was promised.
    fn has_room(&mut self, reserve: usize) -> bool {
        let needed = |log: &Self| log.bytes.len() + log.promised * EDIT_BYTES + reserve;
        let fits = |log: &Self| log.journal.has_room(log.staged.len() + 1, needed(log));
        // The log thread prepares segments ahead; only if it did not keep up does the core do it, and wait.
        fits(self) || self.look_for_room() && fits(self)
    }

    /// Sees to it that a next segment is ready; false if the disk has no room for it, or had none a moment ago.
    fn look_for_room(&mut self) -> bool {
        let now = Instant::now();
        if self.no_room.as_ref().is_some_and(|(_, again)| now < *again) {
            return false;
        }
        match self.syncer.prepare() {
            Ok(()) => {
                if self.no_room.take().is_some() {
                    tracing::info!("there is room for the changelog again");
                }
                true
            }
            Err(error) => {
                if self.no_room.is_none() {
                    tracing::error!(%error, "no room for the changelog: changes are refused");
                }
                self.no_room = Some((error.to_string(), now + ROOM_INTERVAL));
                false
            }
        }
    }

    /// Looks now and then whether a disk that was full has room again.
    pub(crate) fn retry_room(&mut self) {
        if self.no_room.is_some() {
            self.look_for_room();
        }
    }

    /// Why the changelog cannot grow, as of the last look.
    pub(crate) fn no_room(&self) -> Option<&str> {
        self.no_room.as_ref().map(|(why, _)| why.as_str())
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

    /// Nothing happens for a moment: says in the log that all of it is durable, if it is.
    pub(crate) fn note_stable(&mut self) -> Result<(), Fatal> {
        if !self.staged.is_empty() {
            return Ok(());
        }
        self.journal.note_stable().map_err(|error| Fatal::Log { what: "written", reason: error.to_string() })
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

#[cfg(test)]
mod tests;
