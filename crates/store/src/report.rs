//! What goes in and out of a [`crate::Disk`]: requests, answers, inventory, counts.

use bytes::Bytes;
use types::{ChunkId, Version};

/// One write.
#[derive(Clone, Copy, Debug)]
pub struct Write<'a> {
    /// The chunk.
    pub chunk: ChunkId,
    /// The version it must have, or is created with.
    pub version: Version,
    /// First byte within the chunk.
    pub offset: u64,
    /// 1 ..= 1 MiB of bytes, within the chunk.
    pub data: &'a [u8],
    /// CRC32C of the payload bytes that fall in each touched page, in order.
    pub page_crcs: &'a [u32],
    /// BLAKE3 chaining value (at its offset in the chunk) of each whole block covered, in order; or
    /// empty: they stay pending.
    pub block_values: &'a [[u8; 32]],
    /// Makes the replica if it is absent.
    pub create: bool,
}

/// Whole pages as stored, for the reader to verify.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadBack {
    /// Whole pages; empty if `zeroes`.
    pub data: Bytes,
    /// Stored CRC32C of each page; empty if `zeroes`.
    pub page_crcs: Vec<u32>,
    /// All pages are zeroes.
    pub zeroes: bool,
}

/// What a replica is good for, apart from damage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReplicaState {
    /// Has everything of its version.
    #[default]
    Complete,
    /// Takes new writes, lacks older blocks.
    Filling,
    /// Brought up to date in the background.
    Lagging,
}

/// One replica on this disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InventoryEntry {
    /// The chunk.
    pub chunk: ChunkId,
    /// Its version; 0.0 if the header cannot be read (then `bad`).
    pub version: Version,
    /// What it is good for.
    pub state: ReplicaState,
    /// Not to be read: the header is unreadable or the disk lost a write.
    pub bad: bool,
    /// Some page or record page is damaged; the others can be read.
    pub damaged: bool,
    /// Has torn pages since an unclean stop: other replicas are to be asked for them.
    pub torn: bool,
    /// It was being written when the process or the machine stopped: replicas may differ in what was not synced.
    pub marked: bool,
    /// Marked, and the machine lost power: some of what was not synced may be gone.
    pub power_lost: bool,
}

/// What was found when a disk was opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OpenReport {
    /// The last user closed it.
    pub clean: bool,
    /// The machine lost power or was booted (or the filesystem mounted anew) without a clean close.
    pub power_lost: bool,
    /// The index was rebuilt from the files, and why.
    pub index_rebuilt: Option<String>,
    /// Chunks read from their files because the activity log names them.
    pub chunks_checked: u64,
    /// Pages that were found torn.
    pub torn_pages: u64,
    /// Pages that do not match their record outside of marked regions.
    pub rotten_pages: u64,
    /// Files that never got a header (made, never synced), moved to quarantine.
    pub stubs: u64,
    /// Replicas that could not be settled and are held back.
    pub held_back: u64,
    /// What the operator should know (a filesystem for tests only...).
    pub warnings: Vec<String>,
}

/// What a walk over all chunk files found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ScanReport {
    /// Chunk files seen.
    pub chunks: u64,
    /// Entries of the index that were missing or wrong.
    pub corrected: u64,
    /// Entries of the index without a file, removed.
    pub vanished: u64,
    /// Chunk files whose header cannot be read.
    pub unreadable: u64,
    /// Files that never got a header, moved to quarantine.
    pub stubs: u64,
    /// Names that are not chunk files, left alone.
    pub foreign: u64,
    /// Torn pages found on the way.
    pub torn_pages: u64,
    /// Pages that do not match their record.
    pub rotten_pages: u64,
}

/// What was erased for good.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Purged {
    /// Files.
    pub files: u64,
    /// Bytes given back.
    pub bytes: u64,
}

/// Room on the disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DiskSpace {
    /// Bytes in all.
    pub total_bytes: u64,
    /// Bytes that chunks may still take (without the reserve).
    pub free_bytes: u64,
    /// Kept free, so that the table, the activity log and the filesystem itself always have room.
    pub reserve_bytes: u64,
    /// Bytes of deleted replicas, which are given back when room is wanted.
    pub deleted_bytes: u64,
}

/// Counts since the disk was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Writes done.
    pub writes: u64,
    /// Payload bytes written.
    pub written_bytes: u64,
    /// Reads done.
    pub reads: u64,
    /// Bytes read from files (holes cost nothing).
    pub read_bytes: u64,
    /// Reads answered from the page cache without waiting.
    pub resident_reads: u64,
    /// fdatasyncs of chunk files.
    pub syncs: u64,
    /// fdatasyncs that failed.
    pub sync_failures: u64,
    /// fdatasyncs of the activity log.
    pub activity_syncs: u64,
    /// Payloads refused because of their checksum.
    pub corrupt_payloads: u64,
    /// Pages of replicas found damaged.
    pub damaged_pages: u64,
    /// Pages found torn after an unclean stop.
    pub torn_pages: u64,
    /// Torn pages that matched their checksums nowhere: they kept their bytes, with new checksums.
    pub kept_pages: u64,
    /// Chunk files open now.
    pub open_chunks: u64,
}
