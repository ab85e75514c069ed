//! Mending: pages of a replica that rotted are replaced by those of another replica of the same version.
//!
//! The order of steps is in `docs/protocol/healing.md`, *Mending*. Nobody writes under the version (it was granted to
//! nobody), so a page of it is the same on every replica that has it sound. A replica of a lower version is never asked: a page
//! of it that has the checksum on record may be older than what was acknowledged. See `docs/decisions/0008-older-pages.md`.
//!
//! # Invariants
//! 1. Only pages that do not match their checksums are written, and only with pages that do.
//! 2. A raise meanwhile ends it: every write names the version.
//! 3. What cannot be mended stays as it is: it may be the only one that has the other pages. Nor does a disk that loses what was to
//!    replace them make an end of the others.
//!
//! Pages that were torn by an unclean stop: `torn`.

use crate::disks::{Slot, on_disk};
use crate::orders::{Orders, note};
use crate::source::{Pages, Sources, runs};
use std::sync::Arc;
use std::time::Duration;
use store::{Disk, StoreError};
use types::{ChunkId, DiskId, PAGE_BYTES, PAYLOAD_BYTES_MAX, ReplicaAddress, Status, Term, Version};

/// How long a source may take to answer.
const SOURCE_WAIT_MAX: Duration = Duration::from_secs(10);
/// Pages asked for at a time.
pub(crate) const RUN_PAGES: u32 = PAYLOAD_BYTES_MAX / PAGE_BYTES;

impl Orders {
    /// Replaces what is damaged. `Corrupt`: a page is sound on no source.
    pub(crate) async fn mend(
        &self,
        slot: &Arc<Slot>,
        (disk, chunk): (DiskId, ChunkId),
        term: Term,
        version: Version,
        sources: &[ReplicaAddress],
    ) -> Result<(), Status> {
        let looked = on_disk(slot, move |disk| disk.unsound_pages(chunk, version)).await;
        let damaged = self.told(slot, (disk, chunk), version, looked)?;
        let mut sources = Sources::new(&self.context, slot, term, chunk, version, sources, SOURCE_WAIT_MAX);
        for (first, count) in runs(damaged.iter().copied(), RUN_PAGES) {
            match sources.pages(first * PAGE_BYTES, count * PAGE_BYTES).await {
                Ok(pages) => self.mend_pages(slot, (disk, chunk), version, (first, count), pages).await?,
                Err(Status::WrongVersion) => return Err(Status::WrongVersion),
                // Each of them may be sound on another source. The last look says whether all were found.
                Err(_) => {
                    for page in first..first + count {
                        if let Ok(pages) = sources.pages(page * PAGE_BYTES, PAGE_BYTES).await {
                            self.mend_pages(slot, (disk, chunk), version, (page, 1), pages).await?;
                        }
                    }
                }
            }
        }
        // Damage that is met from here on is news.
        self.context.events.mended(disk, chunk, version);
        let mended = on_disk(slot, move |disk| disk.mended(chunk, version)).await;
        let pages = damaged.len();
        if !self.told(slot, (disk, chunk), version, mended)? {
            tracing::warn!(%disk, %chunk, pages, "a damaged replica cannot be mended: a page is sound nowhere");
            return Err(Status::Corrupt);
        }
        tracing::info!(%disk, %chunk, pages, "a damaged replica was mended");
        Ok(())
    }

    async fn mend_pages(
        &self,
        slot: &Arc<Slot>,
        replica: (DiskId, ChunkId),
        version: Version,
        run: (u32, u32),
        pages: Pages,
    ) -> Result<(), Status> {
        let chunk = replica.1;
        let put = move |disk: &Disk| write(disk, Disk::replace, chunk, version, run, &pages);
        self.told(slot, replica, version, on_disk(slot, put).await)
    }

    /// Writes pages of another replica over those that are here, in whatever condition these are.
    pub(crate) async fn replace(
        &self,
        slot: &Arc<Slot>,
        replica: (DiskId, ChunkId),
        version: Version,
        run: (u32, u32),
        pages: Pages,
    ) -> Result<(), Status> {
        let chunk = replica.1;
        let put = move |disk: &Disk| write(disk, Disk::write, chunk, version, run, &pages);
        self.told(slot, replica, version, on_disk(slot, put).await)
    }

    /// What the disk did, told and counted if it failed. `Corrupt` is left to sources that lack a page: damage here that stops
    /// the work, as of a record table that cannot be read, is `Io`.
    pub(crate) fn told<T>(
        &self,
        slot: &Slot,
        (disk, chunk): (DiskId, ChunkId),
        version: Version,
        done: std::io::Result<Result<T, StoreError>>,
    ) -> Result<T, Status> {
        done.map_err(|_| Status::Io)?.map_err(|error| {
            note(&self.context.events, slot, disk, chunk, Some(version), &error);
            if error.is_damage() { Status::Io } else { error.status() }
        })
    }
}

fn write(
    disk: &Disk,
    put: fn(&Disk, &store::Write<'_>) -> Result<(), StoreError>,
    chunk: ChunkId,
    version: Version,
    (first, count): (u32, u32),
    pages: &Pages,
) -> Result<(), StoreError> {
    let page = u64::from(PAGE_BYTES);
    let offset = u64::from(first) * page;
    let Some((data, page_crcs)) = pages else {
        return disk.punch(chunk, version, &[(offset, offset + u64::from(count) * page)]);
    };
    put(disk, &store::Write { chunk, version, offset, data, page_crcs, block_values: &[], create: false })
}
