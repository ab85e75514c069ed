//! The writes of one file that are not yet stored and committed.
//!
//! A write is first *dirty*: it lies in a piece of memory that later writes may join or overwrite. When
//! the piece is full, old enough or asked for, it is *sealed* into an extent: immutable, with the
//! checksums of its pages, at most 1 MiB, within one 1 MiB window and so within one chunk. An extent is
//! queued, in flight, and then stored (every replica has it); it leaves when a commit has named its
//! chunk, because until then a fresh chunk may have to be written anew elsewhere.
//!
//! # Invariants
//! 1. Reading through [`Buffer::overlay`] gives the latest write of every byte.
//! 2. Of the extents that touch one block, at most one is in flight, and they go in the order of sealing.
//! 3. Dirty pieces do not overlap, do not touch within a window and do not cross windows.
//!
//! # Elsewhere
//! Who decides what is sent and committed: `pipeline`.

use super::overlay::Overlay;
use bytes::Bytes;
use env::Instant;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use types::{BLOCK_BYTES, CHUNK_BYTES, ChunkIndex, PAYLOAD_BYTES_MAX};

/// Bytes of a window: no extent crosses one.
pub(crate) const WINDOW_BYTES: u64 = PAYLOAD_BYTES_MAX as u64;
const _: () = assert!(CHUNK_BYTES.is_multiple_of(WINDOW_BYTES));
const BLOCK: u64 = BLOCK_BYTES as u64;
/// Pieces above it lie in a buffer for a whole window, which is used again.
const HALF_WINDOW: usize = WINDOW_BYTES as usize / 2;
/// Most extents that wait to be sent: what is not sealed can still merge, and looking for work stays cheap.
const QUEUED_MAX: usize = 64;

/// Number of an extent within its file; in the order of sealing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ExtentId(u64);

/// A moment in the sequence of a file's writes: the first write has stamp 1.
pub(crate) type Stamp = u64;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Queued,
    InFlight,
    Stored,
}

/// Sealed bytes.
#[derive(Debug)]
pub(crate) struct Extent {
    /// First byte within the file.
    pub(crate) offset: u64,
    /// The bytes.
    pub(crate) data: Bytes,
    /// CRC32C of each touched page's piece.
    pub(crate) crcs: Arc<[u32]>,
    /// Raised each time it is sent, so that an answer to an earlier try is told apart.
    pub(crate) attempt: u32,
    state: State,
    /// The oldest write in it.
    stamp: Stamp,
}

impl Extent {
    fn end(&self) -> u64 {
        self.offset + self.data.len() as u64
    }
    /// Which chunk it lies in.
    pub(crate) fn index(&self) -> ChunkIndex {
        chunk_of(self.offset)
    }
}

/// The chunk in which a byte of a file lies.
pub(crate) fn chunk_of(offset: u64) -> ChunkIndex {
    ChunkIndex(u32::try_from(offset / CHUNK_BYTES).expect("lengths are checked against FILE_BYTES_MAX"))
}

#[derive(Debug)]
struct Dirty {
    /// If it is large, a buffer that is used again.
    data: Vec<u8>,
    stamp: Stamp,
    since: Instant,
}

/// A multiset of stamps that knows its least.
#[derive(Debug, Default)]
struct Stamps(BTreeMap<Stamp, usize>);

impl Stamps {
    fn add(&mut self, stamp: Stamp) {
        *self.0.entry(stamp).or_default() += 1;
    }
    fn remove(&mut self, stamp: Stamp) {
        if let Some(count) = self.0.get_mut(&stamp) {
            *count -= 1;
            if *count == 0 {
                self.0.remove(&stamp);
            }
        }
    }
    fn least(&self) -> Option<Stamp> {
        self.0.first_key_value().map(|(stamp, _)| *stamp)
    }
}

/// What a write brings to do that was not there before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ToDo {
    Nothing,
    /// A first piece waits for company.
    Later,
    /// An extent is to be sent.
    Now,
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Buffer {
    dirty: BTreeMap<u64, Dirty>,
    /// (age, offset) of every dirty piece: the oldest is sealed first.
    ages: BTreeSet<(Instant, u64)>,
    extents: BTreeMap<ExtentId, Extent>,
    by_window: BTreeMap<u64, BTreeSet<ExtentId>>,
    queued: BTreeMap<ChunkIndex, BTreeSet<ExtentId>>,
    queued_count: usize,
    /// (block, extent) of every extent that is queued or in flight.
    pending_blocks: BTreeSet<(u64, ExtentId)>,
    unstored: Stamps,
    uncommitted: Stamps,
    next_id: u64,
    bytes: u64,
    stored_bytes: u64,
    end: u64,
    last_write_end: u64,
}

impl Buffer {
    /// Takes a write in. Pieces that became full are sealed at once, while their bytes are hot.
    pub(crate) fn write(&mut self, offset: u64, data: &[u8], stamp: Stamp, now: Instant) -> ToDo {
        let sequential = self.last_write_end == offset;
        let (mut at, mut rest) = (offset, data);
        let mut to_do = if self.dirty.is_empty() { ToDo::Later } else { ToDo::Nothing };
        while !rest.is_empty() {
            let room = WINDOW_BYTES - at % WINDOW_BYTES;
            let (piece, after) = rest.split_at(rest.len().min(room as usize));
            let start = self.join(at, piece, sequential, stamp, now);
            let full = self.dirty.get(&start).is_some_and(|d| d.data.len() as u64 == WINDOW_BYTES);
            if full && self.seal_one(start) {
                to_do = ToDo::Now;
            }
            at += piece.len() as u64;
            rest = after;
        }
        self.end = self.end.max(at);
        self.last_write_end = at;
        to_do
    }

    /// Puts a piece that lies in one window into the dirty ones; returns where the joined one starts.
    fn join(&mut self, offset: u64, piece: &[u8], sequential: bool, stamp: Stamp, now: Instant) -> u64 {
        let window = offset - offset % WINDOW_BYTES;
        let end = offset + piece.len() as u64;
        let before = self.dirty.range(window..=offset).next_back();
        let before = before.filter(|(at, d)| **at + d.data.len() as u64 >= offset).map(|(at, _)| *at);
        let (start, mut joined) = match before.and_then(|at| Some((at, self.dirty.remove(&at)?))) {
            Some((at, mut dirty)) => {
                self.uncount_dirty(at, &dirty);
                let within = (offset - at) as usize;
                let over = (dirty.data.len() - within).min(piece.len());
                dirty.data[within..within + over].copy_from_slice(&piece[..over]);
                let wanted = within + piece.len();
                if wanted > dirty.data.capacity().max(HALF_WINDOW) && sequential {
                    // The rest of the window is likely to come.
                    let mut whole = env::buffer::take(WINDOW_BYTES as usize);
                    whole.extend_from_slice(&dirty.data);
                    dirty.data = whole;
                }
                dirty.data.extend_from_slice(&piece[over..]);
                (at, dirty)
            }
            None => {
                // Of a stream that has filled a window before the rest of this one is likely to come.
                let is_stream = sequential && window > 0 && piece.len() >= BLOCK as usize;
                let wanted = if is_stream { (window + WINDOW_BYTES - offset) as usize } else { piece.len() };
                let is_large = wanted > HALF_WINDOW && is_stream || wanted == WINDOW_BYTES as usize;
                let mut data = match is_large {
                    true => env::buffer::take(wanted),
                    false => Vec::with_capacity(wanted),
                };
                data.extend_from_slice(piece);
                (offset, Dirty { data, stamp, since: now })
            }
        };
        let limit = end.min(window + WINDOW_BYTES - 1);
        while let Some((at, _)) = self.dirty.range(start..=limit).next() {
            let at = *at;
            let Some(next) = self.dirty.remove(&at) else { break };
            self.uncount_dirty(at, &next);
            let have = start + joined.data.len() as u64;
            if at + next.data.len() as u64 > have {
                joined.data.extend_from_slice(&next.data[(have - at) as usize..]);
            }
            joined.stamp = joined.stamp.min(next.stamp);
            joined.since = joined.since.min(next.since);
        }
        self.bytes += joined.data.len() as u64;
        self.unstored.add(joined.stamp);
        self.uncommitted.add(joined.stamp);
        self.ages.insert((joined.since, start));
        self.dirty.insert(start, joined);
        start
    }

    fn uncount_dirty(&mut self, at: u64, dirty: &Dirty) {
        self.ages.remove(&(dirty.since, at));
        self.bytes -= dirty.data.len() as u64;
        self.unstored.remove(dirty.stamp);
        self.uncommitted.remove(dirty.stamp);
    }

    /// Seals what is old enough, or everything if `all`, oldest first, as long as not too much is queued.
    /// What shares a block with an extent on its way stays, so that later writes still merge into it.
    pub(crate) fn seal(&mut self, all: bool, now: Instant, delay: Duration) {
        let mut after = (Instant::default(), 0);
        while self.queued_count < QUEUED_MAX {
            let Some(age) = self.ages.range(after..).next().copied() else { break };
            if !all && now < age.0 + delay {
                break;
            }
            self.seal_one(age.1);
            after = (age.0, age.1 + 1);
        }
    }

    fn is_blocked(&self, at: u64) -> bool {
        let length = self.dirty.get(&at).map_or(0, |d| d.data.len() as u64);
        length > 0 && blocks(at, length).any(|block| self.first_pending(block).is_some())
    }

    fn seal_one(&mut self, at: u64) -> bool {
        if self.is_blocked(at) {
            return false;
        }
        let Some(dirty) = self.dirty.remove(&at) else { return false };
        self.ages.remove(&(dirty.since, at));
        // A buffer for a whole window is not kept for a part of one: what is unsent is counted by its bytes.
        let is_wasteful = dirty.data.len() <= HALF_WINDOW && dirty.data.capacity() >= WINDOW_BYTES as usize;
        let exact = is_wasteful.then(|| Bytes::copy_from_slice(&dirty.data));
        let shared = env::buffer::share(dirty.data);
        let data = exact.unwrap_or(shared);
        let crcs = wire::crc::page_crcs(at % CHUNK_BYTES, &data).into();
        self.next_id += 1;
        let id = ExtentId(self.next_id);
        self.by_window.entry(at / WINDOW_BYTES).or_default().insert(id);
        let extent = Extent { offset: at, data, crcs, attempt: 0, state: State::Stored, stamp: dirty.stamp };
        self.extents.insert(id, extent);
        self.mark_queued(id);
        true
    }

    fn mark_queued(&mut self, id: ExtentId) {
        let Some(extent) = self.extents.get_mut(&id) else { return };
        extent.state = State::Queued;
        self.queued.entry(extent.index()).or_default().insert(id);
        self.queued_count += 1;
        for block in blocks(extent.offset, extent.data.len() as u64) {
            self.pending_blocks.insert((block, id));
        }
    }

    fn first_pending(&self, block: u64) -> Option<ExtentId> {
        self.pending_blocks
            .range((block, ExtentId(0))..=(block, ExtentId(u64::MAX)))
            .next()
            .map(|(_, id)| *id)
    }

    /// The chunks that have extents to be sent.
    pub(crate) fn chunks_queued(&self) -> impl Iterator<Item = ChunkIndex> + '_ {
        self.queued.keys().copied()
    }

    /// Takes the next extent of a chunk that may go now, and marks it in flight.
    pub(crate) fn send_next(&mut self, index: ChunkIndex) -> Option<(ExtentId, &Extent)> {
        let ids = self.queued.get(&index)?;
        let id = *ids.iter().find(|id| {
            self.extents.get(id).is_some_and(|extent| {
                blocks(extent.offset, extent.data.len() as u64)
                    .all(|block| self.first_pending(block) == Some(**id))
            })
        })?;
        self.unqueue(index, id);
        let extent = self.extents.get_mut(&id)?;
        extent.state = State::InFlight;
        extent.attempt += 1;
        Some((id, extent))
    }

    fn unqueue(&mut self, index: ChunkIndex, id: ExtentId) {
        if let Some(ids) = self.queued.get_mut(&index) {
            self.queued_count -= usize::from(ids.remove(&id));
            if ids.is_empty() {
                self.queued.remove(&index);
            }
        }
    }

    /// Whether this try of this extent is still the one in flight.
    pub(crate) fn is_in_flight(&self, id: ExtentId, attempt: u32) -> bool {
        self.extents.get(&id).is_some_and(|e| e.state == State::InFlight && e.attempt == attempt)
    }

    /// Every replica has it. Returns its range.
    pub(crate) fn stored(&mut self, id: ExtentId) -> Option<(u64, u64, Stamp)> {
        let extent = self.extents.get_mut(&id).filter(|e| e.state == State::InFlight)?;
        extent.state = State::Stored;
        let (offset, length, stamp) = (extent.offset, extent.data.len() as u64, extent.stamp);
        for block in blocks(offset, length) {
            self.pending_blocks.remove(&(block, id));
        }
        self.stored_bytes += length;
        self.unstored.remove(stamp);
        Some((offset, length, stamp))
    }

    /// Was in flight and has to be sent again.
    pub(crate) fn requeue(&mut self, id: ExtentId) {
        if self.extents.get(&id).is_some_and(|e| e.state == State::InFlight) {
            self.mark_queued(id);
        }
    }

    /// The chunk has a new version (or, with `stored_too`, is another one): its extents go again.
    pub(crate) fn requeue_chunk(&mut self, index: ChunkIndex, stored_too: bool) {
        let windows = index_windows(index);
        let ids: Vec<ExtentId> = self.by_window.range(windows).flat_map(|(_, ids)| ids).copied().collect();
        for id in ids {
            let Some(extent) = self.extents.get(&id) else { continue };
            match extent.state {
                State::InFlight => self.mark_queued(id),
                State::Stored if stored_too => {
                    self.stored_bytes -= extent.data.len() as u64;
                    self.unstored.add(extent.stamp);
                    self.mark_queued(id);
                }
                State::Stored | State::Queued => {}
            }
        }
    }

    /// Extents that every replica has, and the end of the last of them: what a commit may name.
    pub(crate) fn stored_extents(&self) -> (Vec<ExtentId>, u64) {
        let stored = self.extents.iter().filter(|(_, e)| e.state == State::Stored);
        stored.fold((Vec::new(), 0), |(mut ids, end), (id, extent)| {
            ids.push(*id);
            (ids, end.max(extent.end()))
        })
    }

    /// Whether a chunk has extents here that every replica has, but no commit names.
    pub(crate) fn has_stored(&self, index: ChunkIndex) -> bool {
        let mut ids = self.by_window.range(index_windows(index)).flat_map(|(_, ids)| ids);
        ids.any(|id| self.extents.get(id).is_some_and(|e| e.state == State::Stored))
    }

    /// A commit named them: they need not be kept. Returns the ranges that left.
    pub(crate) fn committed(&mut self, ids: &[ExtentId]) -> Vec<(u64, u64)> {
        let mut ranges = Vec::with_capacity(ids.len());
        for id in ids {
            if !self.extents.get(id).is_some_and(|e| e.state == State::Stored) {
                continue;
            }
            let Some(extent) = self.extents.remove(id) else { continue };
            let (window, length) = (extent.offset / WINDOW_BYTES, extent.data.len() as u64);
            if let Some(in_window) = self.by_window.get_mut(&window) {
                in_window.remove(id);
                if in_window.is_empty() {
                    self.by_window.remove(&window);
                }
            }
            self.bytes -= length;
            self.stored_bytes -= length;
            self.uncommitted.remove(extent.stamp);
            ranges.push((extent.offset, length));
        }
        if self.is_empty() {
            self.clear();
        }
        ranges
    }

    /// Gives everything up, also the memory that empty maps keep. Numbers of extents go on, so that late answers find nothing.
    pub(crate) fn clear(&mut self) {
        *self = Self { next_id: self.next_id, last_write_end: self.last_write_end, ..Self::default() };
    }

    /// Nothing unsent, unstored or uncommitted.
    pub(crate) fn is_empty(&self) -> bool {
        self.dirty.is_empty() && self.extents.is_empty()
    }
    /// Bytes held.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }
    /// Bytes held only because no commit has named them.
    pub(crate) fn stored_bytes(&self) -> u64 {
        self.stored_bytes
    }
    /// One past the last byte held (or held since the buffer was last empty).
    pub(crate) fn end(&self) -> u64 {
        self.end
    }
    /// The oldest write that some replica may lack.
    pub(crate) fn oldest_unstored(&self) -> Option<Stamp> {
        self.unstored.least()
    }
    /// The oldest write that no commit covers.
    pub(crate) fn oldest_uncommitted(&self) -> Option<Stamp> {
        self.uncommitted.least()
    }
    /// When the oldest dirty piece that waits for nothing else is due.
    pub(crate) fn due(&self, delay: Duration) -> Option<Instant> {
        self.ages.iter().find(|(_, at)| !self.is_blocked(*at)).map(|(since, _)| *since + delay)
    }
    /// Whether a dirty piece lies in the chunk.
    pub(crate) fn has_dirty(&self, index: ChunkIndex) -> bool {
        let start = u64::from(index.0) * CHUNK_BYTES;
        self.dirty.range(start..start + CHUNK_BYTES).next().is_some()
    }
    /// Whether something in the chunk has to be sent.
    pub(crate) fn has_queued(&self, index: ChunkIndex) -> bool {
        self.queued.contains_key(&index)
    }

    /// What is written here over `[offset, offset + length)`, as it is now.
    pub(crate) fn overlay(&self, offset: u64, length: u64) -> Overlay {
        let end = offset.saturating_add(length);
        let mut overlay = Overlay::default();
        if length == 0 || self.is_empty() {
            return overlay;
        }
        let mut ids = BTreeSet::new();
        for (_, in_window) in self.by_window.range(offset / WINDOW_BYTES..=(end - 1) / WINDOW_BYTES) {
            ids.extend(in_window);
        }
        for extent in ids.into_iter().filter_map(|id| self.extents.get(&id)) {
            let (from, to) = (extent.offset.max(offset), extent.end().min(end));
            if from < to {
                let slice = (from - extent.offset) as usize..(to - extent.offset) as usize;
                overlay.push(from, extent.data.slice(slice));
            }
        }
        let first = offset - offset % WINDOW_BYTES;
        for (at, dirty) in self.dirty.range(first..end) {
            let (from, to) = ((*at).max(offset), (at + dirty.data.len() as u64).min(end));
            if from < to {
                let slice = (from - at) as usize..(to - at) as usize;
                overlay.push(from, Bytes::copy_from_slice(&dirty.data[slice]));
            }
        }
        overlay
    }
}

fn blocks(offset: u64, length: u64) -> std::ops::RangeInclusive<u64> {
    offset / BLOCK..=(offset + length - 1) / BLOCK
}

fn index_windows(index: ChunkIndex) -> std::ops::Range<u64> {
    let per_chunk = CHUNK_BYTES / WINDOW_BYTES;
    let first = u64::from(index.0) * per_chunk;
    first..first + per_chunk
}

#[cfg(test)]
mod tests;
