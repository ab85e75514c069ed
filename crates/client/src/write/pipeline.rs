//! What one file's writer does next: the decisions, without doing any of it.
//!
//! Writes, requests to flush and answers go in; grants to ask for, frames to send and commits come out.
//! The engine carries them out and brings back the answers.
//!
//! # Invariants
//! 1. `committed <= stored <= written` for every byte, and a byte leaves memory only when committed.
//! 2. A flush is done when a commit covers every write made before it; an fsync when, besides, each of
//!    their chunks was flushed on a chain with a member that held them all, and a *durable* commit
//!    begun afterwards was answered.
//! 3. Whatever cannot be stored within the limit of time is reported as lost ([`Effect::Lost`]), drops what is unsent,
//!    and is never tried again.
//! 4. Each loss is reported once. What replicas have but could not bring to stable storage stays unsynced when it was reported: the next
//!    fsync tries again, succeeds only if that did, and otherwise fails for those alone who called it.
//! 5. A commit that the master ignored, because somebody else truncated the file, is followed by sending
//!    the data again.
//!
//! # Elsewhere
//! What goes in and comes out: `orders`. Bytes and extents: `buffer`. One chunk's grant and verifiers: `chain`. Attributes that
//! wait for a commit: `changes`. Doing it: `engine`.

mod changes;

pub(crate) use changes::may_wait;

use super::buffer::{Buffer, ExtentId, Stamp, ToDo};
use super::chain::{Chunk, earliest};
pub(crate) use super::orders::{Action, DataError, Effect, Event, Moment, Rules, WriteJob};
use super::orders::{failed_head, is_final, location};
use changes::Waiting;
use env::Instant;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use types::{
    Attributes, CHUNK_BYTES, ChunkId, ChunkIndex, DiskId, FailedHop, SessionId, Status, Term, Timestamp,
    TruncateGeneration, Version, Witness, WriteGrant,
};
use wire::message::FailedEdge;

/// Frames in flight to one chunk's chain: 16 MiB cover a round trip of 16 ms at 1 GB/s.
const FLYING_PER_CHUNK_MAX: usize = 16;
/// Frames in flight of one file.
const FLYING_MAX: usize = 48;
/// Bytes kept for a commit alone before one is sent unasked.
const STORED_BYTES_MAX: u64 = 8 << 20;
/// Stored bytes are committed after this time without anybody asking, so that others see them.
const COMMIT_IDLE: Duration = Duration::from_secs(1);
/// Chunk states kept for their grants alone.
const IDLE_CHUNKS_MAX: usize = 64;
/// Write ids of one writer; more frames than any writer lives to send.
const WRITE_ID_BITS: u32 = 32;
/// A refused commit is tried again with fresh grants this often.
const COMMIT_TRIES_MAX: u32 = 4;

/// The time of the last write, or the one that was set after it.
#[derive(Clone, Copy, Debug)]
struct Modified {
    stamp: Stamp,
    time: Timestamp,
    /// When that was.
    changed: Timestamp,
}

#[derive(Debug)]
struct Commit {
    serial: u64,
    extents: Vec<ExtentId>,
    /// Which chunk at which place: after a truncate there may be another one by the time of the answer.
    chunks: Vec<(ChunkIndex, ChunkId)>,
    generation: TruncateGeneration,
    /// Fsyncs it completes.
    covers: Option<u64>,
    stamp: Stamp,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Pipeline {
    rules: Rules,
    buffer: Buffer,
    /// Boxed: most files have one, and a node of the map has room for eleven.
    chunks: BTreeMap<ChunkIndex, Box<Chunk>>,
    generation: TruncateGeneration,
    epoch: (Term, SessionId),
    stamp: Stamp,
    modified: Option<Modified>,
    changes: Waiting,
    flush_wanted: Stamp,
    syncs: VecDeque<(u64, Stamp)>,
    last_sync: u64,
    synced: u64,
    /// Fsyncs up to this one failed, which is no news to others.
    refused: Option<(u64, Status)>,
    /// The last write that a report covers.
    reported: Stamp,
    commit: Option<Commit>,
    commit_tries: u32,
    /// Something that replicas had taken and not synced is lost. Reported when all chunks were asked, so that it is reported once.
    lost: bool,
    last_serial: u64,
    last_write_id: u64,
    stored_since: Option<Instant>,
    effects: Vec<Effect>,
}

impl Pipeline {
    /// For a file whose truncate generation is known.
    pub(crate) fn new(rules: Rules, generation: TruncateGeneration) -> Self {
        Self {
            rules,
            buffer: Buffer::default(),
            chunks: BTreeMap::new(),
            generation,
            epoch: (Term(0), SessionId(0)),
            stamp: 0,
            modified: None,
            changes: Waiting::default(),
            flush_wanted: 0,
            syncs: VecDeque::new(),
            last_sync: 0,
            synced: 0,
            refused: None,
            reported: 0,
            commit: None,
            commit_tries: 0,
            lost: false,
            last_serial: 0,
            last_write_id: u64::from(rules.writer) << WRITE_ID_BITS,
            stored_since: None,
            effects: Vec::new(),
        }
    }

    // ---- what the file's users do ----

    /// Takes a write in, and says what there is to do for the engine.
    pub(crate) fn write(&mut self, offset: u64, data: &[u8], now: Instant, wall: Timestamp) -> ToDo {
        self.stamp += 1;
        self.modified = Some(Modified { stamp: self.stamp, time: wall, changed: wall });
        self.changes.written();
        self.effects.push(Effect::Changed { offset, length: data.len() as u64 });
        self.buffer.write(offset, data, self.stamp, now)
    }

    /// Asks that everything written so far is stored and committed. Done when [`Pipeline::is_flushed`].
    pub(crate) fn want_flush(&mut self) -> Stamp {
        self.flush_wanted = self.stamp;
        self.stamp
    }
    /// Whether the master was told of everything up to the stamp.
    pub(crate) fn is_flushed(&self, stamp: Stamp) -> bool {
        self.is_committed(stamp) && self.changes.oldest().is_none_or(|oldest| oldest > stamp)
    }
    fn is_committed(&self, stamp: Stamp) -> bool {
        self.buffer.oldest_uncommitted().is_none_or(|oldest| oldest > stamp)
    }
    /// Asks that everything written so far is on stable storage. See [`Pipeline::sync_outcome`].
    pub(crate) fn want_sync(&mut self) -> u64 {
        self.last_sync += 1;
        self.syncs.push_back((self.last_sync, self.stamp));
        self.last_sync
    }
    /// How that fsync ended, unless it is under way or a loss ended it.
    pub(crate) fn sync_outcome(&self, sync: u64) -> Option<Result<(), Status>> {
        let refused = self.refused.filter(|(upto, _)| sync <= *upto).map(|(_, status)| Err(status));
        if sync <= self.synced { Some(Ok(())) } else { refused }
    }
    /// A grant that came with another answer.
    pub(crate) fn offer(&mut self, grant: WriteGrant) {
        let chunk = self.chunks.entry(grant.index).or_default();
        if chunk.last.is_none() && chunk.asking.is_none() {
            self.epoch = (grant.capability.term, grant.capability.session);
            chunk.granted(grant);
        }
    }
    /// This client changed the file's map (with nothing unsent): chunks for which `removed` holds are
    /// gone, the others may have a new version.
    pub(crate) fn edited(&mut self, generation: TruncateGeneration, removed: impl Fn(ChunkIndex) -> bool) {
        // Each edit raises it by one.
        let others_cut = generation.is_after(self.generation.truncated());
        if generation.is_after(self.generation) {
            self.generation = generation;
        }
        self.chunks.retain(|index, chunk| !removed(*index) || chunk.wants_another());
        for (index, chunk) in &mut self.chunks {
            chunk.edited(removed(*index), others_cut);
        }
    }
    /// The generation that an answer named. Only of use while nothing is held: otherwise the next commit
    /// finds out that it was raised.
    pub(crate) fn learn_generation(&mut self, generation: TruncateGeneration) {
        if self.buffer.is_empty() && self.commit.is_none() && generation.is_after(self.generation) {
            self.truncated_by_another(generation);
        }
    }
    /// Gives up what is held and reports it.
    pub(crate) fn fail(&mut self, status: Status) {
        self.reported = self.stamp;
        self.effects.push(Effect::Lost(status));
        self.give_up(status);
    }
    /// Something cannot be done. If that endangers nothing but what was reported already, only the fsyncs under way end.
    fn cannot(&mut self, status: Status) {
        let status = if self.lost { Status::LostTail } else { status };
        let in_danger = self.stamp > self.reported && (!self.is_clean() || self.is_unsynced());
        if in_danger || status == Status::LostTail {
            return self.fail(status);
        }
        self.refused = Some((self.last_sync, status));
        self.give_up(status);
    }
    fn give_up(&mut self, status: Status) {
        if status == Status::Stale {
            self.changes.clear();
        }
        self.effects.push(Effect::Freed(self.buffer.bytes()));
        self.effects.push(Effect::Changed { offset: 0, length: u64::MAX });
        self.buffer.clear();
        self.syncs.clear();
        self.modified = None;
        self.commit = None;
        self.commit_tries = 0;
        self.lost = false;
        self.stored_since = None;
        self.chunks.retain(|_, chunk| chunk.attached || chunk.last.is_some());
        for chunk in self.chunks.values_mut() {
            // A frame may still be on its way to the old version; naming the head as failed ends that. A chunk that is in no map has what is
            // given up now, and no truncate takes that away: another one is to be had.
            if (!chunk.flying.is_empty() || !chunk.attached) && chunk.failed.is_none() {
                // If nothing is on its way, nobody is to be left out for it.
                let status = if chunk.flying.is_empty() { Status::TryAgain } else { Status::TimedOut };
                chunk.failed = chunk.last.as_deref().and_then(|grant| failed_head(grant, status));
            }
            chunk.give_up();
        }
    }

    // ---- what is shown ----

    /// What is written here over a range.
    pub(crate) fn buffer(&self) -> &Buffer {
        &self.buffer
    }
    /// The end of the last write that the master may not know of.
    pub(crate) fn end(&self) -> u64 {
        self.buffer.end()
    }
    /// The last write.
    pub(crate) fn last_write(&self) -> Stamp {
        self.stamp
    }
    /// Puts in what the master was not told of.
    pub(crate) fn show(&self, attributes: &mut Attributes) {
        attributes.length = attributes.length.max(self.end());
        self.changes.show(attributes);
        if let Some(modified) = self.modified {
            attributes.modified = modified.time;
            attributes.changed = attributes.changed.max(modified.changed);
        }
    }
    /// Whether the master was told of everything.
    pub(crate) fn is_clean(&self) -> bool {
        self.buffer.is_empty() && self.changes.is_empty()
    }
    /// Whether a change of attributes waits, or its answer is waited for.
    pub(crate) fn has_changes(&self) -> bool {
        !self.changes.is_empty()
    }
    /// Whether something is stored that a loss of power could take.
    pub(crate) fn is_unsynced(&self) -> bool {
        self.chunks.values().any(|chunk| chunk.oldest_unsynced().is_some() || chunk.synced_unnamed)
    }
    /// Whether a chunk with bytes that were given up would be had again if nobody remembered that another one is to be had in its place, which
    /// a sync does.
    pub(crate) fn wants_others(&self) -> bool {
        self.chunks.values().any(|chunk| chunk.wants_another())
    }
    /// Whether there is nothing to do until somebody asks for something.
    pub(crate) fn is_idle(&self) -> bool {
        self.is_clean()
            && self.syncs.is_empty()
            && self.commit.is_none()
            && !self.lost
            && self.chunks.values().all(|chunk| chunk.asking.is_none() && !chunk.is_syncing())
    }
    /// What others have to hear since the last time.
    pub(crate) fn take_effects(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.effects)
    }

    // ---- decisions ----

    /// Adds what is to be done now. Returns when to ask again if nothing happens before.
    pub(crate) fn decide(&mut self, moment: Moment, actions: &mut Vec<Action>) -> Option<Instant> {
        let epoch = (moment.term, moment.session);
        if self.epoch != epoch {
            self.epoch = epoch;
            for chunk in self.chunks.values_mut() {
                chunk.grant =
                    chunk.grant.take().filter(|g| (g.capability.term, g.capability.session) == epoch);
            }
        }
        let all = moment.pressure || !self.syncs.is_empty() || !self.is_flushed(self.flush_wanted);
        self.buffer.seal(all, moment.now, self.rules.delay);
        let mut wake = if all { None } else { self.buffer.due(self.rules.delay) };
        self.send(moment.now, &mut wake, actions);
        self.sync_chunks(moment.now, &mut wake, actions);
        self.decide_changes(moment.now, &mut wake, actions);
        self.decide_commit(moment, &mut wake, actions);
        wake
    }

    fn send(&mut self, now: Instant, wake: &mut Option<Instant>, actions: &mut Vec<Action>) {
        let mut flying: usize = self.chunks.values().map(|chunk| chunk.flying.len()).sum();
        let syncing = !self.syncs.is_empty();
        let refreshing =
            self.chunks.iter().filter(|(_, chunk)| chunk.wants_grant(syncing)).map(|(index, _)| *index);
        let mut wanted: Vec<ChunkIndex> = self.buffer.chunks_queued().chain(refreshing).collect();
        wanted.sort_unstable();
        wanted.dedup();
        for index in wanted {
            let chunk = self.chunks.entry(index).or_default();
            let Some(grant) = chunk.usable_grant(index, now, wake, &mut self.last_serial, actions) else {
                continue;
            };
            while flying < FLYING_MAX
                && chunk.flying.len() < FLYING_PER_CHUNK_MAX
                && chunk.durable_flying.is_none()
            {
                let Some((id, extent)) = self.buffer.send_next(index) else { break };
                let repeated = chunk.was_sent(id);
                let (write_id, answered_below) = chunk.write_id(id, &mut self.last_write_id);
                let mut job = WriteJob {
                    extent: id,
                    attempt: extent.attempt,
                    grant: Arc::clone(&grant),
                    write_id,
                    answered_below,
                    offset: extent.offset,
                    data: extent.data.clone(),
                    crcs: Arc::clone(&extent.crcs),
                    create: grant.fresh && !chunk.born,
                    durable: false,
                };
                let last = !self.buffer.has_queued(index) && !self.buffer.has_dirty(index);
                let whole = chunk.is_held() && chunk.laggard().is_none();
                // The head answers a repeat as it answered the first, and that one may not have been durable.
                if syncing && !repeated && last && chunk.flying.is_empty() && !chunk.is_syncing() && whole {
                    job.durable = true;
                    chunk.durable_flying = Some(id);
                }
                chunk.flying.insert(id);
                flying += 1;
                actions.push(Action::Write(job));
            }
        }
    }

    /// Flushes what fsyncs are to cover; if something is lost, everything that may be lost with it.
    fn sync_chunks(&mut self, now: Instant, wake: &mut Option<Instant>, actions: &mut Vec<Action>) {
        let wanted = self.syncs.back().map(|(_, stamp)| *stamp);
        let stored = wanted.filter(|upto| self.buffer.oldest_unstored().is_none_or(|at| at > *upto));
        let Some(upto) = stored.or(self.lost.then_some(Stamp::MAX)) else { return };
        let is_due =
            |chunk: &Chunk, upto| !chunk.is_syncing() && chunk.unsynced.is_some_and(|oldest| oldest <= upto);
        self.lost |= self.chunks.values().any(|chunk| is_due(chunk, upto) && !chunk.is_held());
        let upto = if self.lost { Stamp::MAX } else { upto };
        let mut asked = false;
        for (index, chunk) in &mut self.chunks {
            asked |= chunk.is_syncing();
            if !is_due(chunk, upto) || !chunk.is_held() {
                continue;
            }
            asked = true;
            let Some(grant) = chunk.usable_grant(*index, now, wake, &mut self.last_serial, actions) else {
                continue;
            };
            self.last_serial += 1;
            let held = chunk.start_flush(self.last_serial);
            actions.push(Action::Flush { serial: self.last_serial, grant, held });
        }
        if self.lost && !asked {
            self.fail(Status::LostTail);
        }
    }

    fn decide_commit(&mut self, moment: Moment, wake: &mut Option<Instant>, actions: &mut Vec<Action>) {
        let syncing = !self.syncs.is_empty();
        let in_doubt = self.chunks.values().any(|chunk| chunk.wants_grant(syncing));
        if self.commit.is_some() || self.changes.is_sent() || in_doubt || self.lost {
            return;
        }
        let stored_upto = self.buffer.oldest_unstored().map_or(Stamp::MAX, |oldest| oldest - 1);
        let unsynced = self.chunks.values().filter_map(|chunk| chunk.oldest_unsynced()).min();
        let unsynced = unsynced.into_iter().chain(self.changes.oldest()).min();
        let durable_upto = unsynced.map_or(Stamp::MAX, |oldest| oldest - 1).min(stored_upto);
        let covers =
            self.syncs.iter().take_while(|(_, stamp)| *stamp <= durable_upto).map(|(n, _)| *n).last();
        let stored_bytes = self.buffer.stored_bytes();
        let flush = self.flush_wanted <= stored_upto && !self.is_committed(self.flush_wanted);
        let full = stored_bytes >= STORED_BYTES_MAX || (moment.pressure && stored_bytes > 0);
        let idle_at = self.stored_since.map(|since| since + COMMIT_IDLE);
        // A flush does not wait for an fsync that is under way, but nothing else is hurried meanwhile.
        if covers.is_none() && !flush && !full && idle_at.is_none_or(|at| moment.now < at) {
            earliest(wake, idle_at);
            return;
        }
        self.send_changes(actions);
        let (extents, length) = self.buffer.stored_extents();
        let durable = covers.is_some();
        let mut chunks = Vec::new();
        let mut named = Vec::new();
        for (index, chunk) in &self.chunks {
            let unnamed = !chunk.attached && self.buffer.has_stored(*index);
            if unnamed || (durable && chunk.synced_unnamed) {
                let dirty = chunk.as_dirty();
                chunks.extend(dirty.map(|dirty| (*index, dirty.chunk)));
                named.extend(dirty);
            }
        }
        self.stored_since = None;
        self.last_serial += 1;
        let serial = self.last_serial;
        self.commit =
            Some(Commit { serial, extents, chunks, generation: self.generation, covers, stamp: self.stamp });
        actions.push(Action::Commit {
            serial,
            truncate_generation: self.generation,
            length,
            modified: self.modified.map(|modified| modified.time),
            chunks: named,
            durable,
        });
    }

    // ---- answers ----

    /// Takes an answer in.
    pub(crate) fn handle(&mut self, event: Event, now: Instant) {
        match event {
            Event::Granted { index, serial, result } => self.granted(index, serial, result, now),
            Event::Written { index, extent, attempt, version, result } => {
                if self.buffer.is_in_flight(extent, attempt) {
                    self.written(index, extent, version, result, now);
                }
            }
            Event::Flushed { index, serial, version, result } => {
                if self.chunks.get(&index).is_some_and(|chunk| chunk.is_flushing(serial)) {
                    self.flushed(index, version, result, now);
                }
            }
            Event::Attributes { serial, result } => self.changed(serial, result),
            Event::Committed { serial, result } => {
                if let Some(commit) = self.commit.take_if(|commit| commit.serial == serial) {
                    self.committed(commit, result);
                }
            }
        }
    }

    fn granted(
        &mut self,
        index: ChunkIndex,
        serial: u64,
        result: Result<(WriteGrant, Option<TruncateGeneration>), Status>,
        now: Instant,
    ) {
        let Some(chunk) = self.chunks.get_mut(&index) else { return };
        if chunk.asking.take_if(|asked| *asked == serial).is_none() {
            return;
        }
        let (grant, generation) = match result {
            Ok(answer) => answer,
            Err(Status::LostTail) => {
                // No disk has it any more: there is nothing left that could be synced.
                self.chunks.remove(&index);
                return self.lost_with(index);
            }
            Err(status) => {
                if is_final(status) {
                    // Told once: the next write finds out anew whether there is room.
                    if let Some(hop) = chunk.failed.as_mut().filter(|hop| hop.status == Status::NoSpace) {
                        hop.status = Status::TimedOut;
                    }
                    self.cannot(status);
                } else if status == Status::TimedOut || !chunk.trouble(now, self.rules.timeout) {
                    // The question alone has taken as long as the limit allows, or all of them together.
                    self.cannot(Status::Io);
                }
                return;
            }
        };
        let another = chunk.id().is_some_and(|known| known != grant.capability.chunk);
        let committed_before = another && chunk.attached;
        if let Some(generation) =
            generation.filter(|generation| another && generation.is_after(self.generation))
        {
            self.truncated_by_another(generation);
        } else if committed_before && !chunk.maybe_cut {
            // What was committed to the old chunk is gone, and nobody truncated the file.
            self.chunks.remove(&index);
            return self.lost_with(index);
        }
        self.buffer.requeue_chunk(index, another);
        self.effects.push(Effect::Raised { index, version: grant.capability.version });
        self.chunks.entry(index).or_default().granted(grant);
    }

    /// A chunk is lost. What waits to be written to it is given up at once.
    fn lost_with(&mut self, index: ChunkIndex) {
        self.lost = true;
        if self.buffer.has_queued(index) || self.buffer.has_dirty(index) {
            self.fail(Status::LostTail);
        }
    }

    fn written(
        &mut self,
        index: ChunkIndex,
        extent: ExtentId,
        version: Version,
        result: Result<Vec<Witness>, DataError>,
        now: Instant,
    ) {
        let Some(chunk) = self.chunks.get_mut(&index) else { return };
        match result {
            Ok(witnesses) => {
                let Some((offset, length, stamp)) = self.buffer.stored(extent) else { return };
                chunk.stored(extent, stamp, &witnesses);
                let held = chunk.is_held() || chunk.unsynced.is_some();
                chunk.forget_held_if_synced();
                self.stored_since.get_or_insert(now);
                self.effects.push(Effect::Changed { offset, length });
                self.lost |= !held;
            }
            Err(error) => {
                self.buffer.requeue(extent);
                chunk.flying.remove(&extent);
                if chunk.durable_flying == Some(extent) {
                    chunk.durable_flying = None;
                }
                self.chain_failed(index, version, error, now);
            }
        }
    }

    fn flushed(
        &mut self,
        index: ChunkIndex,
        version: Version,
        result: Result<Vec<Witness>, DataError>,
        now: Instant,
    ) {
        let Some(chunk) = self.chunks.get_mut(&index) else { return };
        match result {
            Ok(witnesses) => {
                if !chunk.flushed(&witnesses) {
                    self.lost = true;
                } else if let Some(disk) = chunk.laggard() {
                    // Others hold everything: the chain goes on without it, and is flushed again.
                    self.lost_by(index, version, disk, now);
                }
            }
            Err(error) => {
                chunk.flush_failed();
                if let DataError::Refused { status: Status::LostTail, failed } = error {
                    chunk.not_held_by(failed.map(|edge| edge.to));
                    if !chunk.is_held() {
                        self.lost = true;
                        return;
                    }
                }
                self.chain_failed(index, version, error, now);
            }
        }
    }

    /// A member of the chain does not hold what it answered for.
    fn lost_by(&mut self, index: ChunkIndex, version: Version, disk: DiskId, now: Instant) {
        let status = Status::LostTail;
        let failed = Some(FailedEdge { from: None, to: disk, status });
        self.chain_failed(index, version, DataError::Refused { status, failed }, now);
    }

    fn chain_failed(&mut self, index: ChunkIndex, version: Version, error: DataError, now: Instant) {
        let Some(chunk) = self.chunks.get_mut(&index) else { return };
        let Some(grant) = chunk.grant.clone().filter(|grant| grant.capability.version == version) else {
            return; // A new grant is already asked for.
        };
        match error {
            DataError::Link if !chunk.link_retried => {
                chunk.link_retried = true;
                return;
            }
            DataError::Link => chunk.failed = failed_head(&grant, Status::TimedOut),
            DataError::Refused { status: Status::WrongTerm, .. } => {}
            DataError::Refused { status, failed: None } => chunk.failed = failed_head(&grant, status),
            DataError::Refused { failed: Some(edge), .. } => {
                chunk.failed = Some(FailedHop {
                    chunk: grant.capability.chunk,
                    version,
                    from: edge.from,
                    to: edge.to,
                    status: edge.status,
                });
            }
        }
        chunk.grant = None;
        if !chunk.trouble(now, self.rules.timeout) {
            self.cannot(Status::Io);
        }
    }

    fn committed(&mut self, commit: Commit, result: Result<Attributes, Status>) {
        let attributes = match result {
            Ok(attributes) => attributes,
            Err(status) if is_final(status) || status == Status::TimedOut => return self.cannot(status),
            Err(status) => {
                self.commit_tries += 1;
                if self.commit_tries >= COMMIT_TRIES_MAX {
                    return self.cannot(status);
                }
                for (index, id) in commit.chunks {
                    if let Some(chunk) = self.chunks.get_mut(&index).filter(|chunk| chunk.id() == Some(id)) {
                        chunk.refresh = true;
                        chunk.grant = None;
                    }
                }
                return;
            }
        };
        self.commit_tries = 0;
        // Somebody else truncated the file, or a truncate of ours was lost with a tail of the log.
        if attributes.truncate_generation != commit.generation {
            self.effects.push(Effect::Attributes(attributes));
            return self.truncated_by_another(attributes.truncate_generation);
        }
        for (index, id) in commit.chunks {
            if let Some(chunk) = self.chunks.get_mut(&index).filter(|chunk| chunk.id() == Some(id)) {
                chunk.attached = true;
                chunk.synced_unnamed &= commit.covers.is_none();
                if let Some(grant) = chunk.last.as_deref() {
                    self.effects.push(Effect::Located(location(grant)));
                }
            }
        }
        let before = self.buffer.bytes();
        for (offset, length) in self.buffer.committed(&commit.extents) {
            self.effects.push(Effect::Changed { offset, length });
        }
        self.effects.push(Effect::Freed(before - self.buffer.bytes()));
        self.effects.push(Effect::Attributes(attributes));
        if self.modified.is_some_and(|modified| modified.stamp <= commit.stamp) {
            self.modified = None;
        }
        if let Some(covers) = commit.covers {
            self.synced = covers;
            self.syncs.retain(|(sync, _)| *sync > covers);
        }
        self.forget_idle_chunks();
    }

    /// Everything not committed goes again, under new grants and the new generation.
    fn truncated_by_another(&mut self, generation: TruncateGeneration) {
        self.generation = generation;
        self.effects.push(Effect::Changed { offset: 0, length: u64::MAX });
        for (index, chunk) in &mut self.chunks {
            self.buffer.requeue_chunk(*index, true);
            chunk.cut();
        }
        self.commit = None;
    }

    fn forget_idle_chunks(&mut self) {
        if self.chunks.len() > IDLE_CHUNKS_MAX {
            let buffer = &self.buffer;
            let in_use = |index: ChunkIndex| buffer.overlay(u64::from(index.0) * CHUNK_BYTES, CHUNK_BYTES);
            self.chunks.retain(|index, chunk| !chunk.is_idle() || !in_use(*index).is_empty());
        }
    }
}

#[cfg(test)]
mod tests;
