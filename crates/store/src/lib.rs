//! Chunk files on one disk: checksums, versions, index, crash safety, free space. Synchronous.
//!
//! A [`Disk`] is one directory on one device (`env::Dir`). It is called from the threads of that disk
//! and from the data runtime (only [`Disk::read_resident`]). The bytes are described in
//! `docs/format/chunk-file.md` and `docs/format/disk.md`.
//!
//! # Invariants
//! 1. Every page of a replica has a CRC32C in its record; a page is verified before a part of it is
//!    overwritten, so damage is never given a valid checksum.
//! 2. A region is durably marked in the activity log before its first in-place change after a flush.
//!    A mismatch inside a mark, or in a chunk never flushed, is *torn* until other replicas were asked; elsewhere it is rot.
//! 3. The header of a chunk file wins over the index; the index is only ever a cache.
//! 4. A chunk file with unsynced writes is never closed without a sync whose error counts; a
//!    replica whose sync failed is bad until it is rewritten. (A killed process is the exception:
//!    the next one finds the chunk in the activity log.)
//! 5. No lock that two chunks share is held during I/O on a chunk file.
//! 6. No content of the disk causes a panic, an unbounded allocation or an endless loop.
//!
//! # Elsewhere
//! Who may write what, and in which order: `wire` and `chunkserver`. Which replicas should exist: `fleet`.

mod activity;
mod cache;
mod crc;
mod disk;
mod error;
mod header;
mod index;
mod locks;
mod names;
mod replica;
mod report;
mod stamp;
mod table;
mod value;

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

pub use disk::{Disk, DiskOptions, FillStart, Format, Opened};
pub use error::{FormatError, OpenDiskError, StoreError};
pub use report::{
    Counters, DiskSpace, InventoryEntry, OpenReport, Purged, ReadBack, ReplicaState, ScanReport, Write,
};
pub use value::{block_value, hole_value};
