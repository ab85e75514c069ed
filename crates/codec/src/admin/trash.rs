//! Deleted files, as operators see them and bring them back.

mod convert;

pub(super) use convert::{purged, unrestored, wishes};

use types::{Attributes, InodeId, InodeRef, Status, Timestamp};

/// Deleted files in one answer.
pub const TRASH_PAGE_MAX: usize = 1_024;
/// Deleted files that one question restores or purges.
pub const TRASH_BATCH_MAX: usize = 256;

/// How much is in the trash.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TrashStatus {
    /// Deleted files that are kept.
    pub files: u64,
    /// Their lengths.
    pub bytes: u64,
    /// Until the next one goes.
    pub next_ms: Option<u64>,
}

/// A part of the trash.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrashPage {
    /// Deleted files by number.
    pub entries: Vec<TrashEntry>,
    /// Nothing follows.
    pub end: bool,
    /// The master's clock.
    pub now: Timestamp,
}

/// A deleted file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrashEntry {
    /// Its attributes.
    pub attributes: Attributes,
    /// The name of its class.
    pub class: String,
    /// Its path. Without a slash at the beginning: the end of a path that is too long to be kept.
    pub path: Vec<u8>,
    /// When it was deleted.
    pub deleted: Timestamp,
    /// Until when it is kept.
    pub until: Timestamp,
}

/// Which part of the trash an operator asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TrashQuery {
    /// Files above this number.
    pub after: InodeId,
}

/// A deleted file, and where it is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RestoreWish {
    /// Which.
    pub inode: InodeRef,
    /// The path that it gets, from the root.
    pub path: Vec<u8>,
}

/// A deleted file that was not restored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unrestored {
    /// Which one of those that were asked for.
    pub wish: u32,
    /// Why.
    pub status: Status,
}
