//! Syncing and closing chunk files that were not used for long, many at a time.
//!
//! A sync of each file costs a commit of the filesystem's log and a flush of the device, and one more for each folder; a sync of
//! the whole filesystem costs that once. So everything is written (`Dir::sync_all`), then each file tells whether something of
//! it was lost, then the device is flushed with the fdatasync of
//! a small one: not every filesystem does that when it is synced as a whole.
//!
//! # Invariants
//! 1. A replica counts as synced only if it did not change from before the sync of all until its file was asked, its file told
//!    of no loss, and the device was flushed after both.
//! 2. No lock is held while the device is waited for.
//!
//! # Elsewhere
//! Which files are closed: `cache`. Who calls this, and when: `chunkserver`.

use super::{Disk, add};
use crate::StoreError;
use crate::cache::Slot;
use crate::locks::{lock, try_lock};
use crate::replica::Replica;
use std::io;
use std::sync::Arc;
use types::ChunkId;

/// Fewer are synced one by one when a disk is closed: a sync of everything also waits for what others wrote to the filesystem.
pub(super) const TOGETHER_MIN: usize = 32;

/// A replica with unsynced changes, and how many there were.
#[derive(Clone, Copy)]
struct Unsynced {
    chunk: ChunkId,
    written: u64,
}

impl Disk {
    /// More chunk files are open than should stay so: [`Disk::tidy`] is due.
    pub fn is_crowded(&self) -> bool {
        self.cache.is_crowded()
    }

    /// Closes the chunk files that were not used for longest, after a sync of everything if need be. Takes as long as the
    /// device needs for that, while others go on.
    pub fn tidy(&self) -> Result<(), StoreError> {
        if self.close_clean() {
            return Ok(());
        }
        self.sync_quiet(1)?;
        self.close_clean();
        Ok(())
    }

    /// Syncs everything at once, if there is much of it.
    pub(super) fn sync_many(&self) {
        if let Err(error) = self.sync_quiet(TOGETHER_MIN) {
            tracing::warn!(disk = %self.disk, %error, "a disk could not be synced as a whole");
        }
    }

    /// Closes files that need no sync; whether few enough are left.
    fn close_clean(&self) -> bool {
        for chunk in self.cache.by_age() {
            if self.cache.len() <= self.cache.kept() {
                return true;
            }
            // One in the map, one in our hands: nobody uses it.
            if let Some(slot) = self.cache.peek(chunk).filter(|slot| Arc::strong_count(slot) == 2)
                && slot.shut_clean()
            {
                self.cache.forget(chunk, slot);
            }
        }
        self.cache.len() <= self.cache.kept()
    }

    /// Makes durable what does not change meanwhile, if it is so much.
    fn sync_quiet(&self, least: usize) -> io::Result<()> {
        let unsynced: Vec<Unsynced> =
            self.cache.by_age().into_iter().filter_map(|c| self.unsynced(c)).collect();
        if unsynced.len() < least {
            return Ok(());
        }
        let made = lock(&self.folders).made;
        add(&self.counts.syncs, 1);
        self.dir.sync_all()?;
        let written: Vec<Unsynced> =
            unsynced.iter().copied().filter(|replica| self.was_written(*replica)).collect();
        self.flush_device()?;
        for (synced, made) in lock(&self.folders).synced.iter_mut().zip(made) {
            *synced |= made;
        }
        for replica in written {
            self.with_quiet(replica, |chunk, replica| {
                self.activity.sync_begins(chunk);
                self.synced(replica, chunk, replica.written(), &Ok(()));
                if let Err(error) = replica.clear_new() {
                    tracing::warn!(%chunk, %error, "a header could not be written");
                }
            });
        }
        Ok(())
    }

    fn unsynced(&self, chunk: ChunkId) -> Option<Unsynced> {
        let slot = self.cache.peek(chunk)?;
        let state = slot.state.try_read().ok()?;
        let replica = state.as_ref().filter(|replica| !replica.is_clean())?;
        Some(Unsynced { chunk, written: replica.written() })
    }

    /// Asks a file whether something of it was lost. If so, the replica is bad.
    fn was_written(&self, unsynced: Unsynced) -> bool {
        let written = self.with_quiet(unsynced, |chunk, replica| {
            let told = replica.file().check_written();
            if told.is_err() {
                self.synced(replica, chunk, replica.written(), &told);
            }
            told.is_ok()
        });
        written.unwrap_or(false)
    }

    /// Does something with a replica, unless it changed, was synced, failed or is in use.
    fn with_quiet<T>(&self, unsynced: Unsynced, work: impl FnOnce(ChunkId, &mut Replica) -> T) -> Option<T> {
        let slot: Arc<Slot> = self.cache.peek(unsynced.chunk)?;
        // An error is told only once: to whoever holds this.
        let _syncing = try_lock(&slot.sync)?;
        let mut state = slot.state.try_write().ok()?;
        let replica =
            state.as_mut().filter(|replica| !replica.is_clean() && replica.written() == unsynced.written)?;
        Some(work(unsynced.chunk, replica))
    }
}
