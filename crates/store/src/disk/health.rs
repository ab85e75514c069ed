//! Whether the disk itself is well, as distinct from one of its replicas.
//!
//! An operation that failed says little: one bad sector is one bad replica. A small file that cannot be written and
//! synced, or a directory that is no longer where it was, says that the disk cannot be used.

use super::Disk;
use crate::StoreError;
use crate::cache::Slot;
use crate::locks::lock;
use crate::names::PROBE;
use env::OpenMode;
use std::io;
use std::sync::Arc;
use types::{ChunkId, PAGE_BYTES, Version};

/// Files that are closed for the sake of one that cannot be opened, at most.
const CLOSED_MAX: usize = 64;

impl Disk {
    /// Whether the path of the disk still leads to it (it may have been renamed, unmounted or mounted over), and whether
    /// it may be written. Asks nothing of the device.
    pub fn check_place(&self) -> Result<(), StoreError> {
        Ok(self.dir.check_place()?)
    }

    /// Its activity log failed: nothing can be written any more before the disk is opened again.
    pub fn is_worn_out(&self) -> bool {
        self.activity.has_failed()
    }

    /// Writes a page to a file of its own and makes it durable. A full disk is no failure.
    pub fn try_writing(&self) -> Result<(), StoreError> {
        match self.flush_device().map_err(StoreError::from) {
            Err(StoreError::NoSpace) => Ok(()),
            result => result,
        }
    }

    /// Replicas of which a sync lost something since the last call: nobody waited for it, perhaps.
    pub fn take_losses(&self) -> Vec<(ChunkId, Version)> {
        std::mem::take(&mut lock(&self.losses))
    }

    /// Writes a page to a file of its own and syncs it, which makes the device keep all that it was given before.
    pub(super) fn flush_device(&self) -> io::Result<()> {
        let file = self.with_files(|| self.dir.open(PROBE, OpenMode::Create))?;
        file.write_at(&[0; PAGE_BYTES as usize], 0)?;
        file.sync_data()
    }

    /// Does what opens a file or folder. If the process may have no more open, others are closed for it.
    pub(super) fn with_files<T>(&self, work: impl Fn() -> io::Result<T>) -> io::Result<T> {
        let mut done = work();
        for _ in 0..CLOSED_MAX {
            match &done {
                Err(error) if crate::error::is_exhausted(error) && self.close_one() => done = work(),
                _ => break,
            }
        }
        done
    }

    /// Closes the file that was not used for longest; false if all are in use.
    fn close_one(&self) -> bool {
        self.cache.oldest().is_some_and(|(chunk, slot)| self.close_victim(chunk, slot))
    }

    /// Closes a file to have another one open; false if it had to stay.
    pub(super) fn close_victim(&self, chunk: types::ChunkId, slot: Arc<Slot>) -> bool {
        match self.shut(chunk, &slot) {
            Ok(()) => {
                self.cache.forget(chunk, slot);
                true
            }
            Err(error) => {
                tracing::error!(%chunk, %error, "a chunk file could not be synced");
                false
            }
        }
    }
}
