//! The activity log: which regions of which chunks may hold torn pages after an unclean stop, and which
//! chunks the index may not know. Layout: `docs/format/disk.md`.
//!
//! The file has two halves. The live one has the higher generation; records are appended to it, and a
//! record counts only in the half and generation it was made for, and one that cannot be read takes no other with it. When
//! a half is full, what is still needed is written to the other half under the next generation.
//!
//! # Invariants
//! 1. A mark is durable before `hold` with `durable` returns.
//! 2. A mark is dropped only when its chunk was synced after its last change (`synced`).
//! 3. A chunk is dropped from the list only when the index was flushed after its last `touch`.
//! 4. After a failed write or sync of the log nothing is marked any more: writers get the error.
//! 5. A chunk that was changed stays named for [`NAMED_CHECKPOINTS`] after its sync: this replica has all that it took,
//!    but others of its chain may not, and whoever would have said so may have been killed too. It is compared then.
//! 6. The log says in order when a chunk was synced and which regions changed again, so that what was synced is not taken
//!    for torn after a kill. These records need not be durable: after a loss of power all marks of the generation count.
//! 7. A chunk that could not be settled stays named with the marks that it had, until it was (`held`).
//!
//! # Elsewhere
//! What is done with the marks after an unclean stop: `disk/open.rs`.

mod format;

pub(crate) use format::{FILE_BYTES, NAME, Named, Recovered, blank};
use format::{HALF_RECORDS, Head, RECORD_BYTES, Record, head_at, record_at};

use crate::index::Index;
use crate::locks::lock;
use env::File;
use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use types::{ChunkId, DiskId};

/// Bytes of a marked region.
pub(crate) const REGION_BYTES: u64 = 4 << 20;
/// How many checkpoints a chunk is named after its last sync. One comes every 5 s, and within the 10 s that a client gives a
/// write each member has it, or another one has said that it has not.
const NAMED_CHECKPOINTS: u64 = 4;
/// Synced chunks are named as long as this many records suffice for all.
const NAMED_MAX: usize = HALF_RECORDS / 2;
/// All regions of a chunk.
pub(crate) const ALL_REGIONS: u16 = u16::MAX;
const _: () = assert!(types::CHUNK_BYTES / REGION_BYTES == 16);

/// The regions that a byte range touches.
pub(crate) fn regions(offset: u64, length: u64) -> u16 {
    if length == 0 {
        return 0;
    }
    let first = offset / REGION_BYTES;
    let last = (offset + length - 1) / REGION_BYTES;
    (first..=last.min(15)).fold(0, |all, region| all | 1 << region)
}

#[derive(Clone, Copy, Debug, Default)]
struct Mark {
    /// What this generation of the log marks.
    regions: u16,
    /// Those of them with unsynced changes, and those of these that were changed since the last sync began.
    open: u16,
    since: u16,
    /// It was never flushed as a whole.
    new: bool,
    /// It was, since it is here.
    flushed: bool,
    /// It has unsynced changes: the mark must stay.
    busy: bool,
    /// When it was last synced: others of its chain may lack what it has.
    synced: Option<u64>,
    /// When it was last touched, until an index flush of a later epoch.
    touched: Option<u64>,
    /// It is held back, with what the log of an earlier user says.
    held: Option<Named>,
    /// The record that completed `regions`, and the last one.
    at: u64,
    last: u64,
}

impl Mark {
    fn is_needed(&self) -> bool {
        self.busy || self.touched.is_some()
    }

    /// Nothing is to be said of it but that it is held back.
    fn is_resting(&self) -> bool {
        self.held.is_some() && !self.is_needed() && self.synced.is_none()
    }

    fn record(&self, chunk: ChunkId) -> Record {
        let synced = self.synced.is_some() && self.open == 0;
        Record { chunk, regions: self.open, new: self.new, synced, ..Record::default() }
    }

    /// What the next generation says of it.
    fn records(&self, chunk: ChunkId) -> Vec<Record> {
        self.held.map_or_else(|| vec![self.record(chunk)], |named| named.records(chunk).collect())
    }
}

#[derive(Default)]
struct Marks {
    map: BTreeMap<ChunkId, Mark>,
    pending: Vec<Record>,
    /// Records ever pushed.
    pushed: u64,
    /// Grows with each flush of the index.
    epoch: u64,
    /// Grows with each checkpoint.
    checkpoints: u64,
}

impl Marks {
    fn push(&mut self, chunk: ChunkId) {
        self.pushed += 1;
        if let Some(mark) = self.map.get_mut(&chunk) {
            mark.last = self.pushed;
            self.pending.push(mark.record(chunk));
        }
    }

    /// Drops what is no longer needed after a flush of the index that began epoch `epoch`; what is left.
    fn live(&mut self, epoch: u64) -> Vec<Record> {
        let checkpoints = self.checkpoints;
        self.map.retain(|_, mark| {
            if mark.touched.is_some_and(|touched| touched < epoch) {
                mark.touched = None;
            }
            mark.regions = mark.open;
            mark.synced = mark.synced.filter(|synced| checkpoints < synced + NAMED_CHECKPOINTS);
            mark.is_needed() || mark.synced.is_some() || mark.held.is_some()
        });
        if self.map.len() > NAMED_MAX {
            self.map.retain(|_, mark| mark.is_needed() || mark.held.is_some());
        }
        // Everything pending is in the map, thus among the live ones.
        self.pending.clear();
        self.records()
    }

    fn records(&self) -> Vec<Record> {
        self.map.iter().flat_map(|(chunk, mark)| mark.records(*chunk)).collect()
    }
}

struct Log {
    generation: u64,
    used: usize,
    failed: bool,
}

/// The log of one disk.
pub(crate) struct Activity {
    file: Arc<dyn File>,
    disk: DiskId,
    boot: u64,
    epoch: u64,
    index: Arc<Index>,
    marks: Mutex<Marks>,
    log: Mutex<Log>,
    /// Up to which pushed record the log is in the page cache, and on the device.
    written: AtomicU64,
    durable: AtomicU64,
    syncs: AtomicU64,
}

impl Activity {
    /// A log that takes no marks: while a disk is being opened the marks of its last user still stand.
    pub(crate) fn closed(
        file: Arc<dyn File>,
        disk: DiskId,
        [boot, epoch]: [u64; 2],
        generation: u64,
        index: Arc<Index>,
    ) -> Self {
        Self {
            file,
            disk,
            boot,
            epoch,
            index,
            marks: Mutex::default(),
            log: Mutex::new(Log { generation, used: 0, failed: true }),
            written: AtomicU64::new(0),
            durable: AtomicU64::new(0),
            syncs: AtomicU64::new(0),
        }
    }

    /// Begins a new generation, with the marks of chunks that are held back. Everything else that the old one named must be settled.
    pub(crate) fn begin(
        file: Arc<dyn File>,
        disk: DiskId,
        [boot, epoch]: [u64; 2],
        generation: u64,
        index: Arc<Index>,
        held: impl IntoIterator<Item = (ChunkId, Named)>,
    ) -> io::Result<Self> {
        let activity = Self::closed(file, disk, [boot, epoch], generation - 1, index);
        let mut marks = Marks::default();
        for (chunk, named) in held {
            marks.map.insert(chunk, Mark { held: Some(named), ..Mark::default() });
        }
        let live = marks.records();
        *lock(&activity.marks) = marks;
        let mut log = lock(&activity.log);
        activity.begin_generation(&mut log, &live, false)?;
        log.failed = false;
        drop(log);
        Ok(activity)
    }

    fn write_head(&self, generation: u64, clean: bool) -> io::Result<()> {
        let head = Head { generation, disk: self.disk, boot: self.boot, clean, epoch: self.epoch };
        self.file.write_at(&head.encode(), head_at(generation))?;
        self.sync_file()
    }

    fn sync_file(&self) -> io::Result<()> {
        self.syncs.fetch_add(1, Ordering::Relaxed);
        self.file.sync_data()
    }

    /// Nothing is marked any more (invariant 4).
    pub(crate) fn has_failed(&self) -> bool {
        // Whoever holds the lock is about to find out.
        self.log.try_lock().is_ok_and(|log| log.failed)
    }

    /// fdatasyncs so far.
    pub(crate) fn syncs(&self) -> u64 {
        self.syncs.load(Ordering::Relaxed)
    }

    /// Names a chunk whose index entry changes. Called before the change and after it, so that a flush
    /// of the index in between does not drop the name.
    pub(crate) fn touch(&self, chunk: ChunkId) -> io::Result<()> {
        let target = {
            let mut marks = lock(&self.marks);
            let epoch = marks.epoch;
            let known = marks.map.contains_key(&chunk);
            marks.map.entry(chunk).or_default().touched = Some(epoch);
            if !known {
                marks.push(chunk);
            }
            marks.map.get(&chunk).map_or(0, |mark| mark.last)
        };
        self.commit(target, false)
    }

    /// Marks regions of a chunk (or, `new`, the whole of a chunk that was never flushed) that are about
    /// to change. Waits for the device only if this generation does not mark them yet. Called under the chunk's lock.
    pub(crate) fn hold(&self, chunk: ChunkId, regions: u16, new: bool) -> io::Result<()> {
        let (at, last) = {
            let mut marks = lock(&self.marks);
            let mark = marks.map.entry(chunk).or_default();
            mark.busy = true;
            let begun = new && !mark.new && !mark.flushed;
            let (marked, open) = (regions & !mark.regions == 0, regions & !mark.open == 0);
            mark.new |= begun;
            mark.regions |= regions;
            mark.open |= regions;
            mark.since |= regions;
            if begun || !open {
                marks.push(chunk);
            }
            let Some(mark) = marks.map.get_mut(&chunk) else { return Ok(()) };
            if !marked {
                mark.at = mark.last;
            }
            (mark.at, mark.last)
        };
        self.commit(last, false)?;
        // A new chunk says so in its header; naming it serves only to find it after a kill. When it is not new any more, what
        // was marked meanwhile is made durable.
        if new { Ok(()) } else { self.commit(at, true) }
    }

    /// All that was changed until now is about to be synced. Called under the chunk's lock.
    pub(crate) fn sync_begins(&self, chunk: ChunkId) {
        if let Some(mark) = lock(&self.marks).map.get_mut(&chunk) {
            mark.since = 0;
        }
    }

    /// The chunk has no unsynced change. Called under the chunk's lock.
    pub(crate) fn clean(&self, chunk: ChunkId) {
        self.sync_begins(chunk);
        self.synced(chunk, false);
    }

    /// What was changed before the last sync began is stable; `busy`: the chunk was changed since. Called under its lock.
    pub(crate) fn synced(&self, chunk: ChunkId, busy: bool) {
        let mut marks = lock(&self.marks);
        let checkpoints = marks.checkpoints;
        let Some(mark) = marks.map.get_mut(&chunk).filter(|mark| mark.busy) else { return };
        (mark.busy, mark.open, mark.synced) = (false, 0, Some(checkpoints));
        (mark.new, mark.flushed) = (false, true);
        let since = mark.since;
        marks.push(chunk);
        if busy && let Some(mark) = marks.map.get_mut(&chunk) {
            (mark.busy, mark.open) = (true, since);
            marks.push(chunk);
        }
        let target = marks.pushed;
        drop(marks);
        // Should it fail, more is taken for torn than needed, and whoever marks next has the error.
        let _ = self.commit(target, false);
    }

    /// The chunk's replicas were made equal, or this one is gone.
    pub(crate) fn compared(&self, chunk: ChunkId) {
        if let Some(mark) = lock(&self.marks).map.get_mut(&chunk) {
            mark.synced = None;
        }
    }

    /// A chunk that was held back is settled, or its file was moved away; false if it was not held back.
    pub(crate) fn settled(&self, chunk: ChunkId) -> bool {
        let target = {
            let mut marks = lock(&self.marks);
            let checkpoints = marks.checkpoints;
            let Some(mark) = marks.map.get_mut(&chunk).filter(|mark| mark.held.is_some()) else {
                return false;
            };
            (mark.held, mark.synced) = (None, Some(checkpoints));
            marks.push(chunk);
            marks.pushed
        };
        // Should it fail, the old marks count once more, and whoever marks next has the error.
        let _ = self.commit(target, true);
        true
    }

    /// Waits until the record `target` is in the log, or on the device.
    fn commit(&self, target: u64, durable: bool) -> io::Result<()> {
        let done = if durable { &self.durable } else { &self.written };
        if done.load(Ordering::Acquire) >= target {
            return Ok(());
        }
        let mut log = lock(&self.log);
        if done.load(Ordering::Acquire) >= target {
            return Ok(());
        }
        if log.failed {
            return Err(io::Error::other("the activity log of this disk failed earlier"));
        }
        let result = self.commit_locked(&mut log, durable);
        log.failed = result.is_err();
        result
    }

    fn commit_locked(&self, log: &mut Log, durable: bool) -> io::Result<()> {
        let (batch, pushed) = {
            let mut marks = lock(&self.marks);
            (std::mem::take(&mut marks.pending), marks.pushed)
        };
        if log.used + batch.len() > HALF_RECORDS {
            return self.turn(log);
        }
        if !batch.is_empty() {
            let bytes: Vec<u8> = batch.iter().flat_map(|record| record.encode(log.generation)).collect();
            self.file.write_at(&bytes, record_at(log.generation, log.used))?;
            log.used += batch.len();
        }
        self.written.store(pushed, Ordering::Release);
        if durable {
            self.sync_file()?;
            self.durable.store(pushed, Ordering::Release);
        }
        Ok(())
    }

    /// Flushes the index, drops what is no longer needed and moves to the other half.
    fn turn(&self, log: &mut Log) -> io::Result<()> {
        let epoch = {
            let mut marks = lock(&self.marks);
            marks.epoch += 1;
            marks.epoch
        };
        self.index.flush();
        let (live, pushed) = {
            let mut marks = lock(&self.marks);
            (marks.live(epoch), marks.pushed)
        };
        if live.len() > HALF_RECORDS {
            return Err(io::Error::other("more chunks have unsynced changes than the activity log holds"));
        }
        self.begin_generation(log, &live, false)?;
        self.written.store(pushed, Ordering::Release);
        self.durable.store(pushed, Ordering::Release);
        Ok(())
    }

    fn begin_generation(&self, log: &mut Log, live: &[Record], clean: bool) -> io::Result<()> {
        let next = log.generation + 1;
        if !live.is_empty() {
            let bytes: Vec<u8> = live.iter().flat_map(|record| record.encode(next)).collect();
            self.file.write_at(&bytes, record_at(next, 0))?;
            // Before the head: a head without its records would lose the marks.
            self.sync_file()?;
        }
        self.write_head(next, clean)?;
        (log.generation, log.used) = (next, live.len());
        Ok(())
    }

    /// Flushes the index and drops marks and names that are no longer needed. To be called every few seconds.
    pub(crate) fn checkpoint(&self) -> io::Result<()> {
        let mut log = lock(&self.log);
        if log.failed {
            return Err(io::Error::other("the activity log of this disk failed earlier"));
        }
        lock(&self.marks).checkpoints += 1;
        if self.is_resting(&log) {
            return Ok(());
        }
        let result = self.turn(&mut log);
        log.failed = result.is_err();
        result
    }

    /// The log says what is needed and no more.
    fn is_resting(&self, log: &Log) -> bool {
        let marks = lock(&self.marks);
        marks.map.values().all(Mark::is_resting) && log.used == marks.records().len()
    }

    /// Leaves word that everything is synced and flushed, if that is so. What was synced lately stays named.
    pub(crate) fn finish(&self) -> io::Result<bool> {
        self.checkpoint()?;
        let mut log = lock(&self.log);
        let live: Vec<Record> = {
            let marks = lock(&self.marks);
            if marks.map.values().any(Mark::is_needed) {
                return Ok(false);
            }
            marks.records()
        };
        // Any later mark would have to begin a new generation.
        log.failed = true;
        self.begin_generation(&mut log, &live, true)?;
        Ok(true)
    }
}

const _: () = assert!(RECORD_BYTES == 32);

#[cfg(test)]
mod tests;
