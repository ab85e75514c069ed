//! Torn pages of a replica, for which other replicas are asked first.

use super::{Disk, add, entry_of};
use crate::StoreError;
use crate::header::Flags;
use crate::replica::{ALL_PAGES, Replica};
use types::{ChunkId, Version};

impl Disk {
    /// The pages of a replica that are torn.
    pub fn torn_pages(&self, chunk: ChunkId, version: Version) -> Result<Vec<u32>, StoreError> {
        self.with_shared(chunk, &ALL_PAGES, |replica| {
            replica.check_whole(version)?;
            Ok(replica.torn_pages())
        })
    }

    /// The checksum on record of a page, in whatever condition it is, and that of its bytes.
    pub fn checksums(&self, chunk: ChunkId, version: Version, page: u32) -> Result<[u32; 2], StoreError> {
        self.with_shared(chunk, &(page..page + 1), |replica| {
            replica.check_whole(version)?;
            replica.checksums(page)
        })
    }

    /// All other replicas were asked: what is still torn keeps its bytes and gets a new checksum, durably. Returns those
    /// pages. A replica that said *damaged* before may have rot among them: there they are damaged from now on.
    pub fn keep_torn(&self, chunk: ChunkId, version: Version) -> Result<Vec<u32>, StoreError> {
        self.with_whole(chunk, version, |replica| {
            replica.load_table(&ALL_PAGES)?;
            let (mut kept, mut damaged) = (replica.torn_pages(), false);
            if replica.flags().has(Flags::DAMAGED) {
                (kept, damaged) = (Vec::new(), !kept.is_empty());
            }
            for page in std::mem::take(&mut kept) {
                match replica.keep_torn(page, &self.activity)? {
                    true => kept.push(page),
                    false => damaged = true,
                }
            }
            // First the pages, then that they are not torn.
            self.sync_replica(chunk, replica)?;
            if damaged {
                replica.set_flags(Flags::DAMAGED, 0)?;
            }
            replica.clear_torn()?;
            self.sync_replica(chunk, replica)?;
            self.index.put(chunk, entry_of(replica));
            self.activity.touch(chunk)?;
            add(&self.counts.kept_pages, kept.len() as u64);
            Ok(kept)
        })
    }

    /// No page is torn any more; a header that cannot say so is logged, and another look finds nothing.
    pub(super) fn clear_torn(&self, replica: &mut Replica) {
        if let Err(error) = replica.clear_torn() {
            tracing::warn!(chunk = %replica.chunk(), %error, "a header could not be written");
        }
        self.index.put(replica.chunk(), entry_of(replica));
    }
}
