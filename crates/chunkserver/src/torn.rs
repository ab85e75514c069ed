//! Torn pages: those that were being written when a server was stopped, and do not match their checksums.
//!
//! Part of settling (`docs/protocol/grants.md`): the version was granted to nobody yet. For each such page the other replicas
//! are asked first, in their order; one on which it matches its checksum wins. One that lost power may have the page as it was
//! before, which matches as well: of these a page is taken only if it is the one whose checksum is on record here.
//!
//! # Invariants
//! 1. A page keeps its bytes only if each source said that it does not have it sound either.
//! 2. A stop at any moment leaves pages that are torn or sound: the header says *torn* until all is durable.

use crate::disks::{Slot, on_disk};
use crate::mend::RUN_PAGES;
use crate::orders::Orders;
use crate::source::{Sources, runs};
use std::sync::Arc;
use std::time::Duration;
use types::{ChunkId, DiskId, PAGE_BYTES, ReplicaAddress, Status, Term, Version};

/// How long a source may take to answer, twice: writers wait for it.
const SOURCE_WAIT_MAX: Duration = Duration::from_secs(3);

impl Orders {
    /// Replaces torn pages by those of sources, or of doubted ones; what none has keeps its bytes. `ChainBroken`: one of them
    /// could not be asked.
    pub(crate) async fn mend_torn(
        &self,
        slot: &Arc<Slot>,
        replica: (DiskId, ChunkId),
        term: Term,
        version: Version,
        sources: &[ReplicaAddress],
        doubted: &[ReplicaAddress],
    ) -> Result<(), Status> {
        let (disk, chunk) = replica;
        let looked = on_disk(slot, move |disk| disk.torn_pages(chunk, version)).await;
        let torn = self.told(slot, replica, version, looked)?;
        let mut sources = Sources::new(&self.context, slot, term, chunk, version, sources, SOURCE_WAIT_MAX);
        let doubted = Sources::new(&self.context, slot, term, chunk, version, doubted, SOURCE_WAIT_MAX);
        for (first, count) in runs(torn.iter().copied(), RUN_PAGES) {
            match sources.sound(first * PAGE_BYTES, count * PAGE_BYTES).await {
                Ok(pages) => self.replace(slot, replica, version, (first, count), pages).await?,
                // Each of them may be sound on another source.
                Err(Status::Corrupt) => {
                    for page in first..first + count {
                        match sources.sound(page * PAGE_BYTES, PAGE_BYTES).await {
                            Ok(pages) => self.replace(slot, replica, version, (page, 1), pages).await?,
                            Err(Status::Corrupt) => {
                                self.take_recorded(slot, replica, version, page, &doubted).await?;
                            }
                            Err(status) => return Err(status),
                        }
                    }
                }
                Err(status) => return Err(status),
            }
        }
        let kept = on_disk(slot, move |disk| disk.keep_torn(chunk, version)).await;
        let kept = self.told(slot, replica, version, kept)?;
        let pages = torn.len();
        match kept.is_empty() {
            true => tracing::info!(%disk, %chunk, pages, "torn pages were taken from other replicas"),
            false => {
                tracing::warn!(%disk, %chunk, pages, ?kept, "torn pages match their checksums on no replica and keep their bytes");
            }
        }
        Ok(())
    }

    /// Takes a page of the first doubted source that has the one whose checksum is on record here, if there is one.
    async fn take_recorded(
        &self,
        slot: &Arc<Slot>,
        replica: (DiskId, ChunkId),
        version: Version,
        page: u32,
        doubted: &Sources<'_>,
    ) -> Result<(), Status> {
        let chunk = replica.1;
        let recorded = on_disk(slot, move |disk| disk.checksums(chunk, version, page)).await;
        // A damaged table: there is nothing to go by.
        let Ok(recorded) = self.told(slot, replica, version, recorded) else { return Ok(()) };
        match doubted.sound_as(page, recorded[0]).await {
            Ok(pages) => self.replace(slot, replica, version, (page, 1), pages).await,
            Err(Status::Corrupt) => Ok(()),
            Err(status) => Err(status),
        }
    }
}
