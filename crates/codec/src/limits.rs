//! Longest lists and strings that a decoder accepts. Senders split what is longer.

/// Chunks that one commit names: 1 TiB of a file.
pub const DIRTY_CHUNKS_MAX: usize = 16_384;
/// Inodes of one `Forget`, `Reclaim` or `Reap`, and claims of a `Reclaim`: half as many inodes with a claim each fit a frame body.
pub const INODES_MAX: usize = 32_768;
/// Inodes that an `Unlink` or `Rename` names as unused.
pub const UNUSED_MAX: usize = 64;
/// Chunks of one `Locate` and its answer.
pub const LOCATIONS_MAX: usize = 1_024;
/// Chunks of one `FileInfo`: 1 TiB of a file.
pub const FILE_INFO_CHUNKS_MAX: usize = 16_384;
/// Entries of one directory answer; its bytes are limited by the frame body.
pub const DIRECTORY_ENTRIES_MAX: usize = 16_384;
/// News of one answer: a rename tells of two directories and two inodes.
pub const NEWS_MAX: usize = 4;
/// Replicas of one chunk in any list, surplus ones included.
pub const MEMBERS_MAX: usize = 64;
/// Supplementary groups of a caller (Linux `NGROUPS_MAX`).
pub const GROUPS_MAX: usize = 65_536;
/// Chunks that one punch cuts at its edges: two, with room.
pub const BOUNDARIES_MAX: usize = 16;
/// `host:port`.
pub const ADDRESS_BYTES_MAX: usize = 280;
/// Names of clients, servers and classes.
pub const LABEL_BYTES_MAX: usize = 255;
/// Name of an extended attribute (Linux `XATTR_NAME_MAX`).
pub const XATTR_NAME_BYTES_MAX: usize = 255;
/// Bytes of a capability's MAC.
pub const MAC_BYTES_MAX: usize = 64;
/// A sentence for a person.
pub const TEXT_BYTES_MAX: usize = 4_096;
/// Largest encoded record: a frame body and what the master adds to it.
pub const RECORD_BYTES_MAX: usize = (1 << 20) + 4_096;
/// A path.
pub const PATH_BYTES_MAX: usize = 4_096;
