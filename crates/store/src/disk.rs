//! One disk: the operations on its chunks.
//!
//! Opening, syncing and closing chunk files: `disk/files.rs`. Opening and stamping a disk: `disk/open.rs`.
//! Walks and inventory: `disk/walk.rs`. Deleting: `disk/remove.rs`. Filling: `disk/fill.rs`. Health: `disk/health.rs`.
//! Room: `disk/room.rs`. What cannot be settled after an unclean stop: `disk/held.rs`. Comparing: `disk/compare.rs`. Torn pages: `disk/torn.rs`. Syncing and closing many files: `disk/tidy.rs`.

mod compare;
mod files;
mod fill;
mod health;
mod held;
mod mend;
mod open;
mod remove;
mod room;
mod tidy;
mod torn;
mod walk;

use crate::StoreError;
use crate::activity::Activity;
use crate::cache::Cache;
use crate::header::Flags;
use crate::index::{Index, IndexEntry};
use crate::locks::{exclusive, lock};
use crate::names::{FOLDERS, chunk_path, folder_of, folder_path};
use crate::replica::{ALL_PAGES, CheckedWrite, LoadError, Replica};
use crate::report::{Counters, DiskSpace, InventoryEntry, ReadBack, Write};
use crate::stamp::Stamp;
use env::{Dir, OpenMode};
use std::collections::BTreeSet;
use std::io;
use std::ops::Range;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use types::{CHUNK_BYTES, ChunkId, ClusterId, DiskId, PAGE_BYTES, PAYLOAD_BYTES_MAX, Verifier, Version};

pub use fill::FillStart;
pub(crate) use held::HELD_MAX;
pub use open::{DiskOptions, Format, Opened};

/// Part of the device that is kept free: a hundredth, at most 1 GiB.
const RESERVE_PART: u64 = 100;
const RESERVE_BYTES_MAX: u64 = 1 << 30;

/// One open disk. Dropping it without [`Disk::close`] is what a kill does: nothing that was synced is
/// lost, and the next open checks what was being written.
pub struct Disk {
    dir: Arc<dyn Dir>,
    stamp: Mutex<Stamp>,
    disk: DiskId,
    cluster: ClusterId,
    boot: u64,
    /// See `activity::Recovered::epoch`.
    epoch: u64,
    index: Arc<Index>,
    activity: Activity,
    pub(crate) cache: Cache,
    folders: Mutex<Folders>,
    /// Replicas that are bad, should their headers be unable to say so.
    bad: Mutex<BTreeSet<ChunkId>>,
    /// Replicas that could not be settled.
    held: Mutex<held::Held>,
    /// Replicas that became bad since somebody asked.
    losses: Mutex<Vec<(ChunkId, Version)>>,
    /// The last user of the disk ended with a loss of power.
    power_lost: bool,
    /// Replicas opened so far.
    loads: AtomicU64,
    /// The generation that the activity log has after the disk was opened.
    opening: u64,
    /// Fillings begun so far.
    fillings: AtomicU32,
    counts: Counts,
    room: room::Room,
    /// What erasing all deleted replicas would give back.
    deleted_bytes: AtomicU64,
    /// Held for its life.
    _lock: Box<dyn Send + Sync>,
}

/// Which folders exist, and which of them are known to be durable.
struct Folders {
    made: [bool; FOLDERS],
    synced: [bool; FOLDERS],
}

impl Default for Folders {
    fn default() -> Self {
        Self { made: [false; FOLDERS], synced: [false; FOLDERS] }
    }
}

#[derive(Default)]
struct Counts {
    writes: AtomicU64,
    written_bytes: AtomicU64,
    reads: AtomicU64,
    read_bytes: AtomicU64,
    resident_reads: AtomicU64,
    syncs: AtomicU64,
    sync_failures: AtomicU64,
    corrupt_payloads: AtomicU64,
    damaged_pages: AtomicU64,
    torn_pages: AtomicU64,
    kept_pages: AtomicU64,
}

fn add(counter: &AtomicU64, more: u64) {
    counter.fetch_add(more, Ordering::Relaxed);
}

/// The whole pages that cover a byte range.
fn pages_of(offset: u64, length: u64) -> Result<Range<u32>, StoreError> {
    let page = u64::from(PAGE_BYTES);
    let end = offset.checked_add(length).filter(|end| *end <= CHUNK_BYTES && length > 0);
    let end =
        end.ok_or(StoreError::Invalid { what: "a range has at least one byte and ends within the chunk" })?;
    Ok((offset / page) as u32..end.div_ceil(page) as u32)
}

impl Disk {
    /// The disk's id.
    pub fn id(&self) -> DiskId {
        self.disk
    }

    /// The cluster it belongs to.
    pub fn cluster(&self) -> ClusterId {
        self.cluster
    }

    /// How often it was registered with a master.
    pub fn registrations(&self) -> u64 {
        lock(&self.stamp).registrations
    }

    /// Stores the count, durably, before it is used.
    pub fn set_registrations(&self, registrations: u64) -> Result<(), StoreError> {
        let mut stamp = lock(&self.stamp);
        let next = Stamp { registrations, ..*stamp };
        next.store(&*self.dir)?;
        *stamp = next;
        Ok(())
    }

    /// Under what a replica answers.
    pub fn verifier(&self, chunk: ChunkId) -> Result<Verifier, StoreError> {
        Ok(self.verifier_made(self.with_shared(chunk, &(0..1), |replica| Ok(replica.made()))?))
    }

    /// Under what a replica will answer that a first write makes.
    pub fn verifier_of_first(&self, version: Version) -> Verifier {
        self.verifier_made(version.to_u64())
    }

    fn verifier_made(&self, made: u64) -> Verifier {
        Verifier { disk: self.disk, boot: self.epoch, made }
    }

    /// A number that no replica on this disk has answered under: terms leave the first bit free, and the generation of the activity log is
    /// durable, and another one, before anybody is answered. Should the log be damaged, the count of registrations tells processes apart.
    fn next_made(&self) -> u64 {
        let begun = u64::from(self.fillings.fetch_add(1, Ordering::Relaxed));
        1 << 63 | (self.opening & 0xFFFF) << 47 | (self.registrations() & 0x7FFF) << 32 | begun
    }

    /// The boot of the kernel and the mount: the same for all directories of one device.
    pub fn boot(&self) -> u64 {
        self.boot
    }

    /// Room.
    pub fn space(&self) -> Result<DiskSpace, StoreError> {
        let space = self.dir.space()?;
        let reserve_bytes = (space.total_bytes / RESERVE_PART).min(RESERVE_BYTES_MAX);
        let free_bytes = space.free_bytes.saturating_sub(reserve_bytes);
        self.room.is_free(free_bytes);
        Ok(DiskSpace {
            total_bytes: space.total_bytes,
            free_bytes,
            reserve_bytes,
            deleted_bytes: self.deleted_bytes.load(Ordering::Relaxed),
        })
    }

    /// Counts since the disk was opened.
    pub fn counters(&self) -> Counters {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counters {
            writes: get(&self.counts.writes),
            written_bytes: get(&self.counts.written_bytes),
            reads: get(&self.counts.reads),
            read_bytes: get(&self.counts.read_bytes),
            resident_reads: get(&self.counts.resident_reads),
            syncs: get(&self.counts.syncs),
            sync_failures: get(&self.counts.sync_failures),
            activity_syncs: self.activity.syncs(),
            corrupt_payloads: get(&self.counts.corrupt_payloads),
            damaged_pages: get(&self.counts.damaged_pages),
            torn_pages: get(&self.counts.torn_pages),
            kept_pages: get(&self.counts.kept_pages),
            open_chunks: self.cache.len() as u64,
        }
    }

    /// Writes; see [`Write`]. Not durable before [`Disk::sync`].
    pub fn write(&self, write: &Write<'_>) -> Result<(), StoreError> {
        self.put(write, false)
    }

    /// Takes room for a write of `bytes`, or refuses it.
    fn take_room(&self, bytes: u64) -> Result<(), StoreError> {
        if self.room.take(bytes) {
            return Ok(());
        }
        if self.space()?.free_bytes < bytes {
            return Err(StoreError::NoSpace);
        }
        // If it is more than may be taken unasked, the next write asks again.
        if !self.room.take(bytes) {
            self.room.forget();
        }
        Ok(())
    }

    /// `mends`: the same bytes are on another replica of this version.
    fn put(&self, write: &Write<'_>, mends: bool) -> Result<(), StoreError> {
        let checked = CheckedWrite::new(*write).inspect_err(|error| {
            if matches!(error, StoreError::CorruptPayload { .. }) {
                add(&self.counts.corrupt_payloads, 1);
            }
        })?;
        self.take_room(write.data.len() as u64)?;
        let done = self.put_checked(&checked, mends);
        if matches!(done, Err(StoreError::NoSpace)) {
            // Others took it.
            self.room.forget();
        }
        done
    }

    fn put_checked(&self, checked: &CheckedWrite<'_>, mends: bool) -> Result<(), StoreError> {
        let write = &checked.write;
        let slot = self.slot(write.chunk);
        let mut state = exclusive(&slot.state);
        let made = self.load_or_make(write, &mut state)?;
        let replica = state.as_mut().ok_or(StoreError::Absent { chunk: write.chunk })?;
        let result = self.write_to(replica, checked, made, mends);
        if let Err(error) = &result {
            self.note(replica, error);
            if made {
                self.unmake(write.chunk, &mut state);
            }
            return result;
        }
        if made {
            self.index.put(write.chunk, entry_of(replica));
            self.activity.touch(write.chunk)?;
        }
        let row = replica.take_row();
        drop(state);
        if let Some(row) = row {
            row.leave();
        }
        add(&self.counts.writes, 1);
        add(&self.counts.written_bytes, write.data.len() as u64);
        Ok(())
    }

    /// Opens the chunk's file, or makes it if the write may; `true`: it was made.
    fn load_or_make(&self, write: &Write<'_>, state: &mut Option<Replica>) -> Result<bool, StoreError> {
        if state.is_none() && write.create {
            // As a rule it is not there, so that one system call does.
            match self.make(write.chunk, write.version, Flags::COMPLETE, write.version.to_u64()) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                made => {
                    *state = Some(made?);
                    return Ok(true);
                }
            }
        }
        match self.load(write.chunk, state) {
            Err(LoadError::Absent | LoadError::Stub) if write.create => {
                *state =
                    Some(self.make(write.chunk, write.version, Flags::COMPLETE, write.version.to_u64())?);
                Ok(true)
            }
            loaded => loaded.map(|()| false).map_err(|error| error.of(write.chunk)),
        }
    }

    fn write_to(
        &self,
        replica: &mut Replica,
        checked: &CheckedWrite<'_>,
        made: bool,
        mends: bool,
    ) -> Result<(), StoreError> {
        replica.check(checked.write.version)?;
        let pages = checked.pages();
        replica.load_table(&pages)?;
        let replaces = mends && replica.damaged_pages(pages.clone())?.len() == pages.len();
        if made {
            self.activity.touch(checked.write.chunk)?;
        }
        replica.write(checked, replaces, &self.activity)
    }

    /// Makes the file of a chunk, complete or filling, and its folder.
    fn make(&self, chunk: ChunkId, version: Version, flag: u16, made: u64) -> io::Result<Replica> {
        let folder = folder_of(chunk);
        let is_there = lock(&self.folders).made[usize::from(folder)];
        if !is_there {
            let path = folder_path(folder);
            self.with_files(|| self.dir.create_dir_all(&path))?;
            lock(&self.folders).made[usize::from(folder)] = true;
        }
        let path = chunk_path(chunk);
        let file = self.with_files(|| self.dir.open(&path, OpenMode::CreateNew))?;
        Ok(Replica::new(file, chunk, version, self.cluster, Flags(flag | Flags::NEW), made))
    }

    /// Takes back a file whose first write failed.
    fn unmake(&self, chunk: ChunkId, state: &mut Option<Replica>) {
        *state = None;
        self.activity.clean(chunk);
        if let Err(error) = self.dir.remove(&chunk_path(chunk)) {
            tracing::warn!(%chunk, %error, "a chunk file whose first write failed could not be removed");
        }
    }

    /// Reads the whole pages that cover the range, with their stored CRCs. The reader verifies.
    pub fn read(
        &self,
        chunk: ChunkId,
        version: Version,
        offset: u64,
        length: u32,
    ) -> Result<ReadBack, StoreError> {
        let pages = checked_pages(offset, length)?;
        let read = self.with_shared(chunk, &pages, |replica| {
            replica.check_whole(version)?;
            replica.read_untorn(pages.clone(), |file, buffer, at| file.read_at(buffer, at).map(Some))
        })?;
        let read = read.ok_or(StoreError::Invalid { what: "a blocking read was not answered" })?;
        Ok(self.read_back(read))
    }

    /// As [`Disk::read`], but `None` if that would wait for the device or for another thread.
    pub fn read_resident(
        &self,
        chunk: ChunkId,
        version: Version,
        offset: u64,
        length: u32,
    ) -> Option<Result<ReadBack, StoreError>> {
        let pages = match checked_pages(offset, length) {
            Ok(pages) => pages,
            Err(error) => return Some(Err(error)),
        };
        let slot = self.cache.known(chunk)?;
        let state = slot.state.try_read().ok()?;
        let replica = state.as_ref().filter(|replica| replica.has_table(&pages))?;
        let read = replica
            .check_whole(version)
            .and_then(|()| replica.read_untorn(pages, |file, buffer, at| file.read_resident_at(buffer, at)));
        match read {
            // The way that waits says which page the device cannot read.
            Ok(None) | Err(StoreError::Disk { .. }) => None,
            Ok(Some(read)) => {
                add(&self.counts.resident_reads, 1);
                Some(Ok(self.read_back(read)))
            }
            Err(error) => Some(Err(error)),
        }
    }

    fn read_back(&self, pages: crate::replica::Pages) -> ReadBack {
        add(&self.counts.reads, 1);
        add(&self.counts.read_bytes, pages.read_bytes);
        ReadBack { data: pages.data, page_crcs: pages.crcs, zeroes: pages.zeroes }
    }

    /// Reads pages again under the chunk's lock and judges them, after what is left of a damaged record table was proved; returns the damaged ones, those that the device
    /// cannot read among them, torn ones not. If there are any, the replica says `damaged` from now on.
    pub fn verify(
        &self,
        chunk: ChunkId,
        version: Version,
        offset: u64,
        length: u64,
    ) -> Result<Vec<u32>, StoreError> {
        let pages = pages_of(offset, length)?;
        self.prove_table(chunk, version, &pages)?;
        let damaged = self.with_shared(chunk, &pages, |replica| {
            replica.check_whole(version)?;
            let mut damaged = replica.damaged_pages(pages.clone())?;
            damaged.retain(|page| !replica.may_be_torn(*page));
            Ok(damaged)
        })?;
        if !damaged.is_empty() {
            add(&self.counts.damaged_pages, damaged.len() as u64);
            let slot = self.slot(chunk);
            let mut state = exclusive(&slot.state);
            if let Some(replica) = state.as_mut() {
                self.set_flags(replica, Flags::DAMAGED, 0);
            }
        }
        Ok(damaged)
    }

    /// Makes everything written to the chunk durable. An error is final: the replica is bad.
    pub fn sync(&self, chunk: ChunkId, version: Version) -> Result<(), StoreError> {
        let slot = self.slot(chunk);
        let _syncing = lock(&slot.sync);
        let (file, upto, entry) = {
            let mut state = exclusive(&slot.state);
            self.load(chunk, &mut state).map_err(|error| error.of(chunk))?;
            let replica = state.as_ref().ok_or(StoreError::Absent { chunk })?;
            replica.check(version)?;
            if !replica.is_dirty() && !replica.entry_unsynced {
                return Ok(());
            }
            self.activity.sync_begins(chunk);
            (replica.file(), replica.written(), replica.entry_unsynced)
        };
        // Readers and writers go on meanwhile.
        let result = self.sync_file(chunk, &*file, entry);
        let mut state = exclusive(&slot.state);
        if let Some(replica) = state.as_mut() {
            self.synced(replica, chunk, upto, &result);
        }
        Ok(result?)
    }

    /// Makes `cuts` (byte ranges `from..to`) read as zeroes and takes the version from `from` to `to`,
    /// durably with all that was written. Does nothing if it is at `to`.
    pub fn raise(
        &self,
        chunk: ChunkId,
        from: Version,
        to: Version,
        cuts: &[(u64, u64)],
    ) -> Result<(), StoreError> {
        let slot = self.slot(chunk);
        let _syncing = lock(&slot.sync);
        let mut state = exclusive(&slot.state);
        self.load(chunk, &mut state).map_err(|error| error.of(chunk))?;
        let replica = state.as_mut().ok_or(StoreError::Absent { chunk })?;
        if replica.version() == to {
            replica.check(to)?;
            return Ok(self.sync_replica(chunk, replica)?);
        }
        replica.check(from)?;
        if to < from {
            return Err(StoreError::Invalid { what: "a version is never lowered" });
        }
        self.activity.touch(chunk)?;
        if !cuts.is_empty() {
            replica.load_table(&ALL_PAGES)?;
            let cut = self.cut(replica, cuts);
            cut.inspect_err(|error| self.note(replica, error))?;
        }
        let said =
            |error: std::io::Error| if cuts.is_empty() { error.into() } else { StoreError::half_way(error) };
        self.take_version(chunk, replica, to, !cuts.is_empty()).map_err(said)?;
        self.index.put(chunk, entry_of(replica));
        self.activity.touch(chunk).map_err(said)
    }

    /// Says durably in its header that a replica has a version.
    fn take_version(
        &self,
        chunk: ChunkId,
        replica: &mut Replica,
        to: Version,
        was_cut: bool,
    ) -> std::io::Result<()> {
        // Before the header: the new version must never be found without the cuts.
        if was_cut || !replica.has_durable_header() {
            self.sync_replica(chunk, replica)?;
        }
        replica.set_version(to)?;
        self.sync_replica(chunk, replica)
    }

    /// Makes ranges of a replica read as zeroes, but for damaged pages that they begin or end in: those stay damaged.
    fn cut(&self, replica: &mut Replica, cuts: &[(u64, u64)]) -> Result<(), StoreError> {
        let chunk = replica.chunk();
        if replica.has_damaged_table() {
            let settled = replica.prove_table()?;
            add(&self.counts.damaged_pages, settled.rotten_pages);
            tracing::warn!(%chunk, disk = %self.disk, ?settled, "a damaged record table was made anew");
        }
        let planned = replica.plan_cut(cuts)?;
        if let Some(page) = planned.damaged {
            tracing::warn!(%chunk, disk = %self.disk, page, "a cut goes through a damaged page, which stays damaged");
            self.note(replica, &StoreError::Damaged { chunk, page });
            self.sync_replica(chunk, replica)?;
        }
        replica.carry_out_cut(planned, &self.activity)
    }

    /// Whether the replica has this version, is complete and sound, and its checksums can be read. A page of checksums that is older than
    /// the data is told by what lies under its holes: that is read.
    pub fn check(&self, chunk: ChunkId, version: Version) -> Result<(), StoreError> {
        let under_holes = self.with_shared(chunk, &ALL_PAGES, |replica| {
            replica.check_whole(version)?;
            let flags = replica.flags();
            if flags.has(Flags::DAMAGED) || flags.has(Flags::TORN) || !flags.has(Flags::COMPLETE) {
                return Err(StoreError::DamagedFile { chunk, what: "its header says so" });
            }
            replica.check_table()?;
            replica.damaged_under_holes()
        })?;
        let Some(page) = under_holes else { return Ok(()) };
        let damage = StoreError::Damaged { chunk, page };
        if let Some(replica) = exclusive(&self.slot(chunk).state).as_mut() {
            self.note(replica, &damage);
        }
        Err(damage)
    }

    /// One replica, from its header.
    pub fn entry(&self, chunk: ChunkId) -> Result<InventoryEntry, StoreError> {
        self.with_shared(chunk, &(0..1), |replica| Ok(replica.flags().entry(chunk, replica.version())))
    }

    /// Flushes the index and drops marks that are no longer needed. To be called every few seconds.
    pub fn checkpoint(&self) -> Result<(), StoreError> {
        for (_, slot) in self.cache.all() {
            // Whoever is busy is taken the next time.
            if let Ok(mut state) = slot.state.try_write()
                && let Some(replica) = state.as_mut()
                && let Err(error) = replica.clear_new()
            {
                tracing::warn!(chunk = %replica.chunk(), %error, "a header could not be written");
            }
        }
        Ok(self.activity.checkpoint()?)
    }

    /// Syncs everything and leaves word that nothing needs to be checked. Without it the next open is as
    /// after a kill.
    pub fn close(&self) -> Result<(), StoreError> {
        let mut failed = None;
        self.sync_many();
        for (chunk, slot) in self.cache.all() {
            if let Err(error) = self.shut(chunk, &slot) {
                failed = Some(error);
            }
        }
        if let Some(error) = failed {
            return Err(error.into());
        }
        self.index.seal();
        self.activity.finish()?;
        Ok(())
    }

    /// Changes flags in header and index; a header that cannot be written is logged, the index says it.
    fn set_flags(&self, replica: &mut Replica, set: u16, clear: u16) {
        let before = replica.flags();
        if let Err(error) = replica.set_flags(set, clear) {
            tracing::warn!(chunk = %replica.chunk(), %error, "a header could not be written");
        }
        if replica.flags() != before {
            self.index.put(replica.chunk(), entry_of(replica));
        }
    }

    /// Takes note of damage that an operation met.
    fn note(&self, replica: &mut Replica, error: &StoreError) {
        match error {
            StoreError::Damaged { .. } | StoreError::DamagedFile { .. } => {
                add(&self.counts.damaged_pages, 1);
                self.set_flags(replica, Flags::DAMAGED, 0);
            }
            _ => {
                if replica.flags().has(Flags::BAD) {
                    lock(&self.bad).insert(replica.chunk());
                }
                if self.index.get(replica.chunk()).is_some_and(|known| known != entry_of(replica)) {
                    self.index.put(replica.chunk(), entry_of(replica));
                }
            }
        }
    }
}

fn entry_of(replica: &Replica) -> IndexEntry {
    let mut flags = replica.flags();
    // Of no interest outside the header, and cleared without telling the index.
    flags.clear(Flags::NEW);
    IndexEntry { version: replica.version(), flags }
}

fn checked_pages(offset: u64, length: u32) -> Result<Range<u32>, StoreError> {
    let pages = pages_of(offset, u64::from(length))?;
    if u64::from(PAGE_BYTES) * pages.len() as u64 > u64::from(PAYLOAD_BYTES_MAX) {
        return Err(StoreError::Invalid { what: "a read covers at most 1 MiB of whole pages" });
    }
    Ok(pages)
}
