//! Helpers of the tests: directories, disks and writes with right checksums.

use crate::crc::{crc32c, pieces};
use crate::{Disk, DiskOptions, Format, OpenReport, StoreError, Write};
use env::{Dir, RealDir};
use std::sync::Arc;
use types::{CHUNK_BYTES, ChunkId, ClusterId, DiskId, Term, Version};

pub(crate) const CLUSTER: ClusterId = ClusterId([0xc1; 16]);
pub(crate) const DISK: DiskId = DiskId([0xd1; 16]);
pub(crate) const CHUNK: ChunkId = ChunkId((1 << 40) | 7);
pub(crate) const V1: Version = Version { term: Term(1), counter: 1 };
pub(crate) const V2: Version = Version { term: Term(1), counter: 2 };

impl Disk {
    /// How many pages of a chunk's record table are in memory.
    pub(crate) fn table_pages_in_memory(&self, chunk: ChunkId) -> usize {
        let slot = self.cache.peek(chunk);
        slot.map_or(0, |slot| {
            crate::locks::shared(&slot.state).as_ref().map_or(0, |replica| replica.loaded_table_pages())
        })
    }
}

/// An empty real directory, removed when the guard is dropped.
pub(crate) fn temporary() -> (tempfile::TempDir, Arc<dyn Dir>) {
    let guard = tempfile::tempdir().unwrap();
    let dir = RealDir::open(guard.path()).unwrap();
    (guard, dir)
}

/// Makes a disk of a directory.
pub(crate) fn format(dir: &Arc<dyn Dir>) {
    Disk::format(Arc::clone(dir), Format { cluster: CLUSTER, disk: DISK }).unwrap();
}

/// Opens a disk with the index in memory.
pub(crate) fn open(dir: &Arc<dyn Dir>) -> (Disk, OpenReport) {
    let options = DiskOptions { cluster: Some(CLUSTER), index_in_memory: true, ..Default::default() };
    let opened = Disk::open(Arc::clone(dir), options).unwrap();
    (opened.disk, opened.report)
}

/// A new disk in a temporary directory.
pub(crate) fn disk() -> (tempfile::TempDir, Arc<dyn Dir>, Disk) {
    let (guard, dir) = temporary();
    format(&dir);
    let (disk, report) = open(&dir);
    assert!(report.clean, "a new disk is clean");
    (guard, dir, disk)
}

/// CRCs of the pieces of a payload.
pub(crate) fn crcs(offset: u64, data: &[u8]) -> Vec<u32> {
    pieces(offset, data.len() as u64).map(|piece| crc32c(piece.of(data))).collect()
}

/// Writes with right checksums, making the chunk if need be.
pub(crate) fn write(
    disk: &Disk,
    chunk: ChunkId,
    version: Version,
    offset: u64,
    data: &[u8],
) -> Result<(), StoreError> {
    let page_crcs = crcs(offset, data);
    disk.write(&Write {
        chunk,
        version,
        offset,
        data,
        page_crcs: &page_crcs,
        block_values: &[],
        create: true,
    })
}

/// Reads a range, verifying every page as a reader does.
pub(crate) fn read(disk: &Disk, chunk: ChunkId, version: Version, offset: u64, length: u32) -> Vec<u8> {
    let back = disk.read(chunk, version, offset, length).unwrap();
    let start = (offset % 4096) as usize;
    if back.zeroes {
        return vec![0; length as usize];
    }
    for (n, (page, crc)) in back.data.chunks_exact(4096).zip(&back.page_crcs).enumerate() {
        assert_eq!(crc32c(page), *crc, "page {n} of the read at {offset} is damaged");
    }
    back.data[start..start + length as usize].to_vec()
}

/// Reads the whole chunk, verifying it.
pub(crate) fn read_all(disk: &Disk, chunk: ChunkId, version: Version) -> Vec<u8> {
    let mut all = Vec::with_capacity(CHUNK_BYTES as usize);
    for at in (0..CHUNK_BYTES).step_by(1 << 20) {
        all.extend_from_slice(&read(disk, chunk, version, at, 1 << 20));
    }
    all
}

/// Bytes that differ from place to place.
pub(crate) fn pattern(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(2).wrapping_add(1);
    (0..length)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 56) as u8
        })
        .collect()
}

/// How many cases a random test runs: `count`, times MUSKOX_STORE_CASES in a long run.
pub(crate) fn cases(count: u32) -> proptest::test_runner::Config {
    let factor = std::env::var("MUSKOX_STORE_CASES").ok().and_then(|factor| factor.parse().ok()).unwrap_or(1);
    proptest::test_runner::Config {
        cases: count * factor,
        max_shrink_iters: 200,
        failure_persistence: None,
        ..Default::default()
    }
}
