//! Damaged pages of a replica that were replaced by another replica's.

use super::{Disk, add, entry_of};
use crate::StoreError;
use crate::header::Flags;
use crate::replica::ALL_PAGES;
use std::ops::Range;
use types::{CHUNK_BYTES, ChunkId, Version};

impl Disk {
    /// The pages that do not match their checksums, torn ones among them. If there are any, the replica says `damaged` from
    /// now on, unless all are torn.
    pub fn unsound_pages(&self, chunk: ChunkId, version: Version) -> Result<Vec<u32>, StoreError> {
        let mut pages = self.verify(chunk, version, 0, CHUNK_BYTES)?;
        pages.extend(self.torn_pages(chunk, version)?);
        pages.sort_unstable();
        Ok(pages)
    }

    /// Makes pages of the record table that do not match their own checksum anew, durably, if there are some for these pages:
    /// what they say is proved by the data, and a page that does not match it is damaged from now on.
    pub(super) fn prove_table(
        &self,
        chunk: ChunkId,
        version: Version,
        pages: &Range<u32>,
    ) -> Result<(), StoreError> {
        if !self.with_shared(chunk, pages, |replica| Ok(replica.has_damaged_table()))? {
            return Ok(());
        }
        self.with_whole(chunk, version, |replica| {
            if !replica.has_damaged_table() {
                return Ok(());
            }
            let settled = replica.prove_table()?;
            add(&self.counts.damaged_pages, settled.rotten_pages);
            self.sync_replica(chunk, replica)?;
            self.index.put(chunk, entry_of(replica));
            tracing::warn!(%chunk, disk = %self.disk, ?settled, "a damaged record table was made anew");
            Ok(self.activity.touch(chunk)?)
        })
    }

    /// Reads the whole replica: if every page verifies, makes that durable and takes back that it is damaged. False: pages
    /// of it are damaged still.
    pub fn mended(&self, chunk: ChunkId, version: Version) -> Result<bool, StoreError> {
        self.with_whole(chunk, version, |replica| {
            replica.load_table(&ALL_PAGES)?;
            replica.check_table()?;
            let mended = replica.damaged_pages(ALL_PAGES)?.is_empty();
            self.sync_replica(chunk, replica)?;
            // All others were asked: what was torn and is left has rotted.
            self.clear_torn(replica);
            let (set, clear) = if mended { (0, Flags::DAMAGED) } else { (Flags::DAMAGED, 0) };
            replica.set_flags(set, clear)?;
            self.sync_replica(chunk, replica)?;
            self.index.put(chunk, entry_of(replica));
            self.activity.touch(chunk)?;
            Ok(mended)
        })
    }
}
