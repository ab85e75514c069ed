//! Deleting in two steps: a replica is moved aside, and erased after its hold or for want of room.

use super::walk::UNREADABLE;
use super::{Disk, entry_of};
use crate::StoreError;
use crate::error::is_exhausted;
use crate::index::IndexEntry;
use crate::locks::{exclusive, lock};
use crate::names::{DELETED, QUARANTINE, chunk_path, deleted_name, deleted_named, folder_of, folder_path};
use crate::replica::{LoadError, Replica};
use crate::report::Purged;
use env::OpenMode;
use std::io;
use std::sync::atomic::Ordering;
use types::{ChunkId, Version};

/// Replicas of one chunk in quarantine; more than that is a mistake somewhere.
const QUARANTINED_PER_CHUNK_MAX: u32 = 1000;

/// A deleted replica; they sort by age.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct DeletedFile {
    at_s: u64,
    name: String,
    bytes: u64,
}

/// A replica that was moved aside.
#[derive(Debug)]
pub(super) struct Aside {
    version: Version,
    /// Where it is among the deleted ones, and its bytes.
    path: Option<(String, u64)>,
}

impl Disk {
    /// Moves a replica of at most this version to `deleted/`, and says which it had. `now_s` (seconds since 1970) is kept in its
    /// name for [`Disk::purge_deleted`]. If its header cannot be read, the index says the version; if nothing does, nobody can
    /// tell what it is, and it goes to `quarantine/`.
    pub fn delete(&self, chunk: ChunkId, upto: Version, now_s: u64) -> Result<Version, StoreError> {
        let deleted = self.delete_if(chunk, upto, now_s, || true)?;
        Ok(deleted.expect("it is wanted"))
    }

    /// As [`Disk::delete`], if it is still wanted when nobody else has the chunk; `None` if not.
    pub fn delete_if(
        &self,
        chunk: ChunkId,
        upto: Version,
        now_s: u64,
        wanted: impl FnOnce() -> bool,
    ) -> Result<Option<Version>, StoreError> {
        Ok(self.move_aside(chunk, upto, now_s, wanted)?.map(|aside| aside.version))
    }

    /// As [`Disk::delete_if`].
    pub(super) fn move_aside(
        &self,
        chunk: ChunkId,
        upto: Version,
        now_s: u64,
        wanted: impl FnOnce() -> bool,
    ) -> Result<Option<Aside>, StoreError> {
        let slot = self.slot(chunk);
        let _syncing = lock(&slot.sync);
        let mut state = exclusive(&slot.state);
        if !wanted() {
            return Ok(None);
        }
        let found = match self.load(chunk, &mut state) {
            Ok(()) => state.as_ref().map_or(UNREADABLE.version, Replica::version),
            Err(LoadError::Unreadable(_)) => UNREADABLE.version,
            Err(LoadError::Disk(error)) if !is_exhausted(&error) => self.indexed(chunk).version,
            Err(error) => return Err(error.of(chunk)),
        };
        let highest = if state.is_some() { found } else { found.max(self.indexed(chunk).version) };
        if highest > upto {
            return Err(StoreError::WrongVersion { chunk, found: highest, wanted: upto });
        }
        // It may be wanted back: what was written goes with it. A failure is logged and counted.
        if let Some(replica) = state.as_mut()
            && self.sync_replica(chunk, replica).is_ok()
            && let Err(error) = replica.clear_new()
        {
            tracing::warn!(%chunk, disk = %self.disk, %error, "a header could not be written");
        }
        self.activity.touch(chunk)?;
        let mut path = None;
        if found == UNREADABLE.version {
            tracing::warn!(%chunk, disk = %self.disk, "a replica was to be deleted and cannot be read as one: it is in quarantine");
            self.set_aside(chunk)?;
        } else {
            let file = match state.as_ref() {
                Some(replica) => replica.file(),
                None => self.dir.open(&chunk_path(chunk), OpenMode::ReadWrite)?,
            };
            let bytes = file.allocated_bytes()?;
            let name = format!("{DELETED}/{}", deleted_name(now_s, chunk, found, bytes));
            self.dir.rename(&chunk_path(chunk), &name)?;
            self.deleted_bytes.fetch_add(bytes, Ordering::Relaxed);
            path = Some((name, bytes));
        }
        *state = None;
        self.gone(chunk)?;
        Ok(Some(Aside { version: found, path }))
    }

    /// What was to take the place of a replica could not be made: it is put back.
    pub(super) fn put_back(&self, chunk: ChunkId, aside: &Aside) -> Result<(), StoreError> {
        let Some((path, bytes)) = &aside.path else { return Ok(()) };
        let slot = self.slot(chunk);
        let _syncing = lock(&slot.sync);
        let mut state = exclusive(&slot.state);
        self.activity.touch(chunk)?;
        if self.dir.exists(&chunk_path(chunk))? {
            return Ok(());
        }
        self.dir.rename(path, &chunk_path(chunk))?;
        self.deleted_bytes.fetch_sub(*bytes, Ordering::Relaxed);
        // It counts as it did before: also after a loss of power.
        self.dir.sync_dir(&folder_path(folder_of(chunk)))?;
        self.load(chunk, &mut state).map_err(|error| error.of(chunk))?;
        if let Some(replica) = state.as_ref() {
            self.index.put(chunk, entry_of(replica));
        }
        Ok(self.activity.touch(chunk)?)
    }

    /// What the index says, which may know what cannot be read.
    fn indexed(&self, chunk: ChunkId) -> IndexEntry {
        self.index.get(chunk).unwrap_or(UNREADABLE)
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
        self.activity.compared(chunk);
        lock(&self.bad).remove(&chunk);
        self.release(chunk);
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
        for file in self.deleted()?.into_iter().take_while(|file| file.at_s < before_s) {
            self.erase(&file, &mut purged)?;
        }
        Ok(purged)
    }

    /// Erases deleted replicas, oldest first, until `wanted_bytes` are free; never quarantined ones.
    pub fn purge_for_space(&self, wanted_bytes: u64) -> Result<Purged, StoreError> {
        let mut purged = Purged::default();
        for file in self.deleted()? {
            if self.space()?.free_bytes >= wanted_bytes {
                break;
            }
            self.erase(&file, &mut purged)?;
        }
        Ok(purged)
    }

    /// Deleted replicas, oldest first.
    fn deleted(&self) -> io::Result<Vec<DeletedFile>> {
        let named = |entry: env::DirEntry| {
            let (at_s, bytes) = deleted_named(&entry.name)?;
            Some(DeletedFile { at_s, name: entry.name, bytes })
        };
        let mut deleted: Vec<_> = self.dir.list(DELETED)?.into_iter().filter_map(named).collect();
        deleted.sort();
        Ok(deleted)
    }

    /// Counts what erasing all deleted replicas would give back.
    pub(super) fn count_deleted(&self) -> io::Result<()> {
        let bytes = self.deleted()?.iter().fold(0u64, |sum, file| sum.saturating_add(file.bytes));
        self.deleted_bytes.store(bytes, Ordering::Relaxed);
        Ok(())
    }

    fn erase(&self, file: &DeletedFile, purged: &mut Purged) -> Result<(), StoreError> {
        match self.dir.remove(&format!("{DELETED}/{}", file.name)) {
            Ok(()) => {}
            // Another thread of this disk was faster.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error.into()),
        }
        let less = |bytes: u64| Some(bytes.saturating_sub(file.bytes));
        let _ = self.deleted_bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
        purged.files += 1;
        purged.bytes += file.bytes;
        Ok(())
    }
}
