//! Damaged pages of a replica that were replaced by another replica's.

use super::{Disk, entry_of};
use crate::StoreError;
use crate::header::Flags;
use crate::locks::{exclusive, lock};
use crate::replica::ALL_PAGES;
use types::{ChunkId, Version};

impl Disk {
    /// Reads the whole replica: if every page verifies, makes that durable and takes back that it is damaged. False: pages
    /// of it are damaged still.
    pub fn mended(&self, chunk: ChunkId, version: Version) -> Result<bool, StoreError> {
        let slot = self.slot(chunk);
        let _syncing = lock(&slot.sync);
        let mut state = exclusive(&slot.state);
        self.load(chunk, &mut state).map_err(|error| error.of(chunk))?;
        let replica = state.as_mut().ok_or(StoreError::Absent { chunk })?;
        replica.check_whole(version)?;
        replica.load_table(&ALL_PAGES)?;
        replica.check_table()?;
        if !replica.damaged_pages(ALL_PAGES)?.is_empty() {
            return Ok(false);
        }
        self.sync_replica(chunk, replica)?;
        replica.set_flags(0, Flags::DAMAGED)?;
        self.sync_replica(chunk, replica)?;
        self.index.put(chunk, entry_of(replica));
        self.activity.touch(chunk)?;
        Ok(true)
    }
}
