//! Damaged pages of a replica that were replaced by another replica's.

use super::{Disk, add, entry_of};
use crate::StoreError;
use crate::header::Flags;
use crate::replica::ALL_PAGES;
use crate::report::Write;
use std::ops::Range;
use types::{CHUNK_BYTES, ChunkId, Version};

impl Disk {
    /// The pages that do not match their checksums and can be replaced, torn ones among them: not those of which the device cannot
    /// read the checksums. If there are any, the replica says `damaged` from now on, unless all are torn.
    pub fn unsound_pages(&self, chunk: ChunkId, version: Version) -> Result<Vec<u32>, StoreError> {
        let mut pages = self.verify(chunk, version, 0, CHUNK_BYTES)?;
        pages.extend(self.torn_pages(chunk, version)?);
        pages.sort_unstable();
        self.with_shared(chunk, &ALL_PAGES, |replica| {
            pages.retain(|page| replica.has_record(*page));
            Ok(pages)
        })
    }

    /// Writes pages that another replica of the version has sound, over damaged ones. If they cannot be stored the replica stays
    /// damaged, for good, and the others of its pages can be read: nothing of them was at stake.
    pub fn replace(&self, write: &Write<'_>) -> Result<(), StoreError> {
        self.put(write, true)
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

    /// Makes what was replaced durable and reads the whole replica: if every page verifies, takes back that it is damaged. False: pages
    /// of it are damaged still.
    pub fn mended(&self, chunk: ChunkId, version: Version) -> Result<bool, StoreError> {
        self.with_whole(chunk, version, |replica| {
            replica.load_table(&ALL_PAGES)?;
            let table = replica.check_table();
            let mended = table.is_ok() && replica.damaged_pages(ALL_PAGES)?.is_empty();
            self.sync_replica(chunk, replica)?;
            if replica.flags().has(Flags::WORN) {
                let what = "its disk did not keep what was to replace damaged pages";
                return Err(StoreError::DamagedFile { chunk, what });
            }
            // All others were asked: what was torn and is left has rotted.
            self.clear_torn(replica);
            let (set, clear) = if mended { (0, Flags::DAMAGED) } else { (Flags::DAMAGED, 0) };
            replica.set_flags(set, clear)?;
            self.sync_replica(chunk, replica)?;
            self.index.put(chunk, entry_of(replica));
            self.activity.touch(chunk)?;
            table.map(|()| mended)
        })
    }
}
