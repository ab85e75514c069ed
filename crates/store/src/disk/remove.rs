//! Deleting in two steps: a replica is moved aside, and erased after its hold or for want of room.

use super::Disk;
use crate::StoreError;
use crate::locks::{exclusive, lock};
use crate::names::{DELETED, QUARANTINE, chunk_path, deleted_at, deleted_name};
use crate::report::Purged;
use env::OpenMode;
use std::io;
use types::{ChunkId, Version};

/// Replicas of one chunk in quarantine; more than that is a mistake somewhere.
const QUARANTINED_PER_CHUNK_MAX: u32 = 1000;

impl Disk {
    /// Moves the replica to `deleted/`. `now_s` (seconds since 1970) is kept in its name for
    /// [`Disk::purge_deleted`].
    pub fn delete(&self, chunk: ChunkId, version: Version, now_s: u64) -> Result<(), StoreError> {
        let slot = self.slot(chunk);
        let _syncing = lock(&slot.sync);
        let mut state = exclusive(&slot.state);
        self.load(chunk, &mut state).map_err(|error| error.of(chunk))?;
        let replica = state.as_mut().ok_or(StoreError::Absent { chunk })?;
        let found = replica.version();
        if found != version {
            return Err(StoreError::WrongVersion { chunk, found, wanted: version });
        }
        // It may be wanted back: what was written goes with it. A failure is logged and counted.
        if self.sync_replica(chunk, replica).is_ok() {
            replica.clear_new()?;
        }
        self.activity.touch(chunk)?;
        self.dir.rename(&chunk_path(chunk), &format!("{DELETED}/{}", deleted_name(now_s, chunk, version)))?;
        *state = None;
        self.gone(chunk)
    }

    /// Moves the replica to `quarantine/`, whatever its version.
    pub fn quarantine(&self, chunk: ChunkId) -> Result<(), StoreError> {
        let slot = self.slot(chunk);
        let _syncing = lock(&slot.sync);
        let mut state = exclusive(&slot.state);
        if let Some(replica) = state.as_mut()
            && self.sync_replica(chunk, replica).is_ok()
        {
            replica.clear_new()?;
        }
        self.activity.touch(chunk)?;
        if !self.dir.exists(&chunk_path(chunk))? {
            return Err(StoreError::Absent { chunk });
        }
        self.set_aside(chunk)?;
        *state = None;
        self.gone(chunk)
    }

    pub(super) fn gone(&self, chunk: ChunkId) -> Result<(), StoreError> {
        self.activity.clean(chunk);
        lock(&self.bad).remove(&chunk);
        self.index.remove(chunk);
        Ok(self.activity.touch(chunk)?)
    }

    /// Moves a chunk file to `quarantine/` under the first free number.
    pub(super) fn set_aside(&self, chunk: ChunkId) -> io::Result<()> {
        for n in 0..QUARANTINED_PER_CHUNK_MAX {
            let aside = format!("{QUARANTINE}/{:016x}-{n}", chunk.0);
            if !self.dir.exists(&aside)? {
                return self.dir.rename(&chunk_path(chunk), &aside);
            }
        }
        Err(io::Error::other("the quarantine holds too many replicas of one chunk"))
    }

    /// Erases deleted replicas that were deleted before `before_s`.
    pub fn purge_deleted(&self, before_s: u64) -> Result<Purged, StoreError> {
        let mut purged = Purged::default();
        for (_, name) in self.deleted()?.into_iter().take_while(|(at, _)| *at < before_s) {
            self.erase(&name, &mut purged)?;
        }
        Ok(purged)
    }

    /// Erases deleted replicas, oldest first, until `wanted_bytes` are free; never quarantined ones.
    pub fn purge_for_space(&self, wanted_bytes: u64) -> Result<Purged, StoreError> {
        let mut purged = Purged::default();
        for (_, name) in self.deleted()? {
            if self.space()?.free_bytes >= wanted_bytes {
                break;
            }
            self.erase(&name, &mut purged)?;
        }
        Ok(purged)
    }

    /// Deleted replicas, oldest first.
    fn deleted(&self) -> io::Result<Vec<(u64, String)>> {
        let mut deleted: Vec<(u64, String)> = self
            .dir
            .list(DELETED)?
            .into_iter()
            .filter_map(|entry| Some((deleted_at(&entry.name)?, entry.name)))
            .collect();
        deleted.sort();
        Ok(deleted)
    }

    fn erase(&self, name: &str, purged: &mut Purged) -> Result<(), StoreError> {
        let path = format!("{DELETED}/{name}");
        let bytes = self.dir.open(&path, OpenMode::Read)?.allocated_bytes()?;
        self.dir.remove(&path)?;
        purged.files += 1;
        purged.bytes += bytes;
        Ok(())
    }
}
