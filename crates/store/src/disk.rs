//! One disk: the public operations.

use crate::{
    Counters, DiskSpace, FormatError, InventoryEntry, OpenDiskError, OpenReport, Purged, ReadBack,
    ScanReport, StoreError, Write,
};
use env::Dir;
use std::sync::Arc;
use types::{ChunkId, ClusterId, DiskId, Verifier, Version};

/// How a new disk is stamped.
#[derive(Clone, Copy, Debug)]
pub struct Format {
    /// The cluster.
    pub cluster: ClusterId,
    /// A fresh random id.
    pub disk: DiskId,
}

/// How a disk is opened.
#[derive(Clone, Copy, Debug, Default)]
pub struct DiskOptions {
    /// Refuse a disk of another cluster.
    pub cluster: Option<ClusterId>,
    /// Keep the index in memory even on a real directory (rebuilt by a scan at each start).
    pub index_in_memory: bool,
}

/// An open disk and what was found.
pub struct Opened {
    /// The disk.
    pub disk: Disk,
    /// What was found.
    pub report: OpenReport,
}

/// One open disk.
pub struct Disk {}

#[expect(unused_variables, reason = "the bodies follow")]
impl Disk {
    /// Stamps an empty directory. Returns warnings for the operator.
    pub fn format(dir: Arc<dyn Dir>, format: Format) -> Result<Vec<String>, FormatError> {
        unimplemented!()
    }
    /// Opens a stamped directory: takes it for this process, and after an unclean stop settles what was
    /// being written.
    pub fn open(dir: Arc<dyn Dir>, options: DiskOptions) -> Result<Opened, OpenDiskError> {
        unimplemented!()
    }
    /// The disk's id.
    pub fn id(&self) -> DiskId {
        unimplemented!()
    }
    /// The cluster it belongs to.
    pub fn cluster(&self) -> ClusterId {
        unimplemented!()
    }
    /// How often it was registered with a master.
    pub fn registrations(&self) -> u64 {
        unimplemented!()
    }
    /// Stores the count, durably, before it is used.
    pub fn set_registrations(&self, registrations: u64) -> Result<(), StoreError> {
        unimplemented!()
    }
    /// Which boot of this disk answers: unsynced writes survive as long as it stays the same.
    pub fn verifier(&self) -> Verifier {
        unimplemented!()
    }
    /// Room.
    pub fn space(&self) -> Result<DiskSpace, StoreError> {
        unimplemented!()
    }
    /// Counts since the disk was opened.
    pub fn counters(&self) -> Counters {
        unimplemented!()
    }
    /// Names every replica, in the order of chunk ids, from the index.
    pub fn inventory(&self, each: &mut dyn FnMut(InventoryEntry)) -> Result<(), StoreError> {
        unimplemented!()
    }
    /// One replica, from its header.
    pub fn entry(&self, chunk: ChunkId) -> Result<InventoryEntry, StoreError> {
        unimplemented!()
    }
    /// Writes; see [`Write`]. Not durable before [`Disk::sync`].
    pub fn write(&self, write: &Write<'_>) -> Result<(), StoreError> {
        unimplemented!()
    }
    /// Reads the whole pages that cover the range, with their stored CRCs. The reader verifies.
    pub fn read(
        &self,
        chunk: ChunkId,
        version: Version,
        offset: u64,
        length: u32,
    ) -> Result<ReadBack, StoreError> {
        unimplemented!()
    }
    /// As [`Disk::read`], but `None` if that would wait for the device or for another thread.
    pub fn read_resident(
        &self,
        chunk: ChunkId,
        version: Version,
        offset: u64,
        length: u32,
    ) -> Option<Result<ReadBack, StoreError>> {
        unimplemented!()
    }
    /// Reads pages again under the chunk's lock and judges them; returns the damaged ones.
    pub fn verify(
        &self,
        chunk: ChunkId,
        version: Version,
        offset: u64,
        length: u64,
    ) -> Result<Vec<u32>, StoreError> {
        unimplemented!()
    }
    /// Makes everything written to the chunk durable. An error is final: the replica is bad.
    pub fn sync(&self, chunk: ChunkId, version: Version) -> Result<(), StoreError> {
        unimplemented!()
    }
    /// Makes `cuts` (byte ranges `from..to`) read as zeroes and takes the version from `from` to `to`,
    /// durably with all that was written. Does nothing if it is at `to`.
    pub fn raise(
        &self,
        chunk: ChunkId,
        from: Version,
        to: Version,
        cuts: &[(u64, u64)],
    ) -> Result<(), StoreError> {
        unimplemented!()
    }
    /// Moves the replica to `deleted/`. `now_s` (seconds since 1970) is kept in its name for
    /// [`Disk::purge_deleted`].
    pub fn delete(&self, chunk: ChunkId, version: Version, now_s: u64) -> Result<(), StoreError> {
        unimplemented!()
    }
    /// Moves the replica to `quarantine/`, whatever its version.
    pub fn quarantine(&self, chunk: ChunkId) -> Result<(), StoreError> {
        unimplemented!()
    }
    /// Erases deleted replicas that were deleted before `before_s`.
    pub fn purge_deleted(&self, before_s: u64) -> Result<Purged, StoreError> {
        unimplemented!()
    }
    /// Erases deleted replicas, oldest first, until `wanted_bytes` are free; never quarantined ones.
    pub fn purge_for_space(&self, wanted_bytes: u64) -> Result<Purged, StoreError> {
        unimplemented!()
    }
    /// BLAKE3 of the whole chunk (64 MiB, holes as zeroes), from the blocks' chaining values; pending ones
    /// are computed from verified pages.
    pub fn chunk_value(&self, chunk: ChunkId, version: Version) -> Result<[u8; 32], StoreError> {
        unimplemented!()
    }
    /// The replica was compared with its peers: forget that it was torn or marked.
    pub fn clear_torn(&self, chunk: ChunkId, version: Version) -> Result<(), StoreError> {
        unimplemented!()
    }
    /// Walks all chunk files and corrects the index.
    pub fn scan(&self) -> Result<ScanReport, StoreError> {
        unimplemented!()
    }
    /// Flushes the index and drops marks that are no longer needed. To be called every few seconds.
    pub fn checkpoint(&self) -> Result<(), StoreError> {
        unimplemented!()
    }
    /// Syncs everything and leaves word that nothing needs to be checked. Without it the next open is as
    /// after a kill.
    pub fn close(&self) -> Result<(), StoreError> {
        unimplemented!()
    }
}
