//! Torn pages: those that were being written when a server was stopped, and do not match their checksums.
//!
//! Part of settling (`docs/protocol/grants.md`): the version was granted to nobody yet. For each such page the other replicas
//! are asked first, in their order; one on which it matches its checksum wins.
//!
//! # Invariants
//! 1. A page keeps its bytes only if each source said that it does not have it sound either.
//! 2. A stop at any moment leaves pages that are torn or sound: the header says *torn* until all is durable.

use crate::disks::{Slot, on_disk};
use crate::mend::runs;
use crate::orders::Orders;
use crate::source::Sources;
use std::sync::Arc;
use std::time::Duration;
use types::{ChunkId, DiskId, PAGE_BYTES, ReplicaAddress, Status, Term, Version};

/// How long a source may take to answer, twice: writers wait for it.
const SOURCE_WAIT_MAX: Duration = Duration::from_secs(3);

impl Orders {
    /// Replaces torn pages by those of sources; what none has keeps its bytes. `ChainBroken`: a source could not be asked.
    pub(crate) async fn mend_torn(
        &self,
        slot: &Arc<Slot>,
        replica: (DiskId, ChunkId),
        term: Term,
        version: Version,
        sources: &[ReplicaAddress],
    ) -> Result<(), Status> {
        let (disk, chunk) = replica;
        let looked = on_disk(slot, move |disk| disk.torn_pages(chunk, version)).await;
        let torn = self.told(slot, replica, version, looked)?;
        let mut sources = Sources::new(&self.context, term, chunk, version, sources, SOURCE_WAIT_MAX);
        for (first, count) in runs(&torn) {
            match sources.sound(first * PAGE_BYTES, count * PAGE_BYTES).await {
                Ok(pages) => self.replace(slot, replica, version, (first, count), pages).await?,
                // Each of them may be sound on another source.
                Err(Status::Corrupt) => {
                    for page in first..first + count {
                        match sources.sound(page * PAGE_BYTES, PAGE_BYTES).await {
                            Ok(pages) => self.replace(slot, replica, version, (page, 1), pages).await?,
                            Err(Status::Corrupt) => {}
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
}
