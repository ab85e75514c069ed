//! Opening, settling, syncing and closing chunk files.

use super::{Disk, add, entry_of};
use crate::StoreError;
use crate::activity::{ALL_REGIONS, Named};
use crate::cache::Slot;
use crate::error::is_out_of_files;
use crate::header::Flags;
use crate::locks::{exclusive, lock, shared};
use crate::names::{CHUNKS, chunk_path, folder_of, folder_path};
use crate::replica::{LoadError, Replica, Settled};
use env::{File, OpenMode};
use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use types::{ChunkId, Version};

impl Disk {
    /// Syncs and closes a chunk file.
    pub(super) fn shut(&self, chunk: ChunkId, slot: &Slot) -> io::Result<()> {
        let _syncing = lock(&slot.sync);
        let mut state = exclusive(&slot.state);
        let Some(replica) = state.as_mut() else {
            return Ok(());
        };
        // The error of a bad replica was counted; another fdatasync proves nothing.
        if !replica.flags().has(Flags::BAD) {
            self.sync_replica(chunk, replica)?;
            replica.clear_new()?;
        }
        *state = None;
        Ok(())
    }

    /// The slot of a chunk. Makes room for it if too many files are open.
    pub(super) fn slot(&self, chunk: ChunkId) -> Arc<Slot> {
        let (slot, victim) = self.cache.slot(chunk);
        if let Some((other, old)) = victim {
            self.close_victim(other, old);
        }
        slot
    }

    /// Runs `work` on a replica whose records of `pages` are loaded, under the shared lock if possible.
    pub(super) fn with_shared<T>(
        &self,
        chunk: ChunkId,
        pages: &Range<u32>,
        work: impl FnOnce(&Replica) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let slot = self.slot(chunk);
        {
            let state = shared(&slot.state);
            if let Some(replica) = state.as_ref().filter(|replica| replica.has_table(pages)) {
                return work(replica);
            }
        }
        let mut state = exclusive(&slot.state);
        self.load(chunk, &mut state).map_err(|error| error.of(chunk))?;
        let replica = state.as_mut().ok_or(StoreError::Absent { chunk })?;
        replica.load_table(pages)?;
        work(replica)
    }

    /// Runs `work` on a complete replica of this version, while nobody else uses or syncs it.
    pub(super) fn with_whole<T>(
        &self,
        chunk: ChunkId,
        version: Version,
        work: impl FnOnce(&mut Replica) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let slot = self.slot(chunk);
        let _syncing = lock(&slot.sync);
        let mut state = exclusive(&slot.state);
        self.load(chunk, &mut state).map_err(|error| error.of(chunk))?;
        let replica = state.as_mut().ok_or(StoreError::Absent { chunk })?;
        replica.check_whole(version)?;
        work(replica)
    }

    /// Opens the chunk's file if it is not open. A header that says `NEW` was left by an unclean stop,
    /// since every orderly way of closing clears it: such a chunk is settled first.
    pub(super) fn load(&self, chunk: ChunkId, state: &mut Option<Replica>) -> Result<(), LoadError> {
        if state.is_some() {
            return Ok(());
        }
        self.load_named(chunk, state, None).map(drop)
    }

    /// Opens the chunk's file. If it is new, or `named` by the activity log, what the
    /// process before left in the page cache is made durable and torn pages are looked for.
    pub(super) fn load_named(
        &self,
        chunk: ChunkId,
        state: &mut Option<Replica>,
        named: Option<Named>,
    ) -> Result<Settled, LoadError> {
        // Counts of changes of different openings never meet.
        let opening = self.loads.fetch_add(1, Ordering::Relaxed) << 32;
        let named = named.or_else(|| self.held_mark(chunk));
        let path = chunk_path(chunk);
        let file = self.with_files(|| self.dir.open(&path, OpenMode::ReadWrite)).map_err(LoadError::from)?;
        let mut replica = match Replica::load(file, chunk, self.cluster, opening) {
            Err(LoadError::Stub) => {
                self.set_aside(chunk).map_err(LoadError::Disk)?;
                self.index.remove(chunk);
                self.release(chunk);
                return Err(LoadError::Stub);
            }
            loaded => loaded?,
        };
        let indexed = self.index.get(chunk).filter(|entry| entry.version == replica.version());
        if lock(&self.bad).contains(&chunk) || indexed.is_some_and(|entry| entry.flags.has(Flags::BAD)) {
            replica.set_bad();
        }
        if indexed.is_some_and(|entry| entry.flags.has(Flags::WORN)) {
            replica.set_worn();
        }
        let mut settled = Settled::default();
        if named.is_some() || replica.flags().has(Flags::NEW) {
            settled = self.settle(chunk, &mut replica, named).map_err(|error| {
                // Its version is known, to the report and to whoever deletes it.
                if named.is_some() {
                    let mut entry = entry_of(&replica);
                    entry.flags.set(Flags::HELD);
                    self.index.put(chunk, entry);
                }
                LoadError::Disk(error)
            })?;
        }
        self.came_back(chunk);
        if indexed != Some(entry_of(&replica)) {
            self.index.put(chunk, entry_of(&replica));
        }
        *state = Some(replica);
        Ok(settled)
    }

    fn settle(&self, chunk: ChunkId, replica: &mut Replica, named: Option<Named>) -> io::Result<Settled> {
        let new = replica.flags().has(Flags::NEW);
        // The page cache survives a kill: what was synced is as it was, whatever the header says.
        let power_lost = named.map_or(self.power_lost, |named| named.power_lost);
        let flushed = named.is_some_and(|named| !named.new) && !power_lost;
        let named = named.unwrap_or_default();
        let marked = match (power_lost, new && !flushed) {
            (_, true) => ALL_REGIONS,
            (false, false) => named.open,
            (true, false) => named.regions,
        };
        // First what is there, so that a header that survives is there before the next is written. A failed
        // sync makes the replica bad, which is all there is to do about it.
        replica.assume_dirty();
        replica.entry_unsynced |= new;
        if self.sync_replica(chunk, replica).is_err() || marked == 0 && !named.changed {
            return Ok(Settled::default());
        }
        let settled = replica.settle(named.regions, marked)?;
        // What was synced has lost nothing.
        let power_lost = if power_lost && marked != 0 { Flags::POWER_LOST } else { 0 };
        replica.set_flags(Flags::MARKED | power_lost, 0)?;
        add(&self.counts.torn_pages, settled.torn_pages);
        add(&self.counts.damaged_pages, settled.rotten_pages);
        if self.sync_replica(chunk, replica).is_ok() {
            replica.clear_new()?;
        }
        Ok(settled)
    }

    pub(super) fn sync_file(&self, chunk: ChunkId, file: &dyn File, entry: bool) -> io::Result<()> {
        add(&self.counts.syncs, 1);
        file.sync_data()?;
        if entry {
            let folder = folder_of(chunk);
            let path = folder_path(folder);
            self.with_files(|| self.dir.sync_dir(&path))?;
            let known = lock(&self.folders).synced[usize::from(folder)];
            if !known {
                self.with_files(|| self.dir.sync_dir(CHUNKS))?;
                lock(&self.folders).synced[usize::from(folder)] = true;
            }
        }
        Ok(())
    }

    /// Takes the result of an fdatasync that covered all changes up to `upto`.
    pub(super) fn synced(&self, replica: &mut Replica, chunk: ChunkId, upto: u64, result: &io::Result<()>) {
        match result {
            Ok(()) => {
                replica.set_synced(upto);
                replica.entry_unsynced = false;
                self.activity.synced(chunk, replica.is_dirty());
            }
            // Its folder could not be opened; nothing was lost, and it is not synced.
            Err(error) if is_out_of_files(error) => {}
            Err(error) => {
                tracing::error!(%chunk, disk = %self.disk, %error, "fdatasync failed: something of a replica is lost");
                add(&self.counts.sync_failures, 1);
                replica.lost();
                if replica.flags().has(Flags::BAD) {
                    lock(&self.bad).insert(chunk);
                }
                lock(&self.losses).push((chunk, replica.version()));
                self.index.put(chunk, entry_of(replica));
            }
        }
    }

    /// fdatasyncs a replica under its locks.
    pub(super) fn sync_replica(&self, chunk: ChunkId, replica: &mut Replica) -> io::Result<()> {
        if !replica.is_dirty() && !replica.entry_unsynced {
            return Ok(());
        }
        let (file, upto) = (replica.file(), replica.written());
        self.activity.sync_begins(chunk);
        let result = self.sync_file(chunk, &*file, replica.entry_unsynced);
        self.synced(replica, chunk, upto, &result);
        result
    }
}
