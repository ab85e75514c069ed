//! The public face: what goes in and what comes out.

use types::{
    Attributes, ChunkId, ChunkIndex, ChunkSlot, ClassId, DirCursor, HoldId, Holder, InodeRef, Labels, Mark,
    Reply, ServerId, Stage, Status, Timestamp, Version,
};

/// What applying a record led to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The answer. `Reply::Entry` comes without location and grant: the master adds them.
    pub reply: Result<Reply, Status>,
    /// What `fleet` and the session layer must learn, in order.
    pub effects: Vec<Effect>,
    /// The state changed: the record must be logged. False for refusals, for repeats of an answered
    /// request and for operations with nothing to do; the record's index is then still free.
    pub changed: bool,
}

/// What others must learn of a change. What a class, a label or a mark is now is asked of `Meta`, before another record is
/// applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "fields carry the names of the vocabulary")]
pub enum Effect {
    /// A chunk came into a file's map.
    ChunkBorn { slot: ChunkSlot, chunk: ChunkId, version: Version, class: ClassId },
    /// No file refers to the chunk any longer; the slot may be given anew by the next record.
    ChunkGone { slot: ChunkSlot, chunk: ChunkId, version: Version },
    /// The chunk's version changed to this one.
    ChunkVersion { slot: ChunkSlot, chunk: ChunkId, version: Version },
    /// The inode exists no longer.
    InodeGone { inode: InodeRef },
    /// The inode lost its last name, or left the trash for good, and lives until it is reaped. Its chunks stay where they
    /// are, for that is mostly at once.
    Orphaned { inode: InodeRef },
    /// The chunk's file has another class.
    ChunkClass { slot: ChunkSlot, class: ClassId },
    /// The chunk's file is in another stage.
    ChunkStage { slot: ChunkSlot, stage: Stage },
    /// The file went into the trash, and nobody has it open.
    Shelved { inode: InodeRef },
    /// The file may be archived one day, unless it changes before; or sooner than was told last.
    Ages { inode: InodeRef },
    /// A class was made or changed.
    ClassSet { class: ClassId },
    /// A class that no chunk has is gone.
    ClassGone { class: ClassId },
    /// A server or a disk has other labels.
    Labelled { holder: Holder },
    /// A server or a disk has another mark.
    Marked { holder: Holder },
    /// A limit of healing was set, or is gone.
    LimitsSet,
    /// Something is held from now on, or for longer than before.
    Held { hold: HoldId },
    /// A hold is over.
    HoldEnded { hold: HoldId },
    /// A server or a disk is no longer known.
    Forgotten { holder: Holder },
}

/// A chunk in a file's map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChunkView {
    /// Its dense index.
    pub slot: ChunkSlot,
    /// Which part of the file.
    pub index: ChunkIndex,
    /// The chunk.
    pub chunk: ChunkId,
    /// Its version.
    pub version: Version,
}

/// Whose a chunk is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChunkOwner {
    /// The file.
    pub inode: InodeRef,
    /// Which part of it.
    pub index: ChunkIndex,
    /// The file's storage class.
    pub class: ClassId,
    /// In which part of its life the file is.
    pub stage: Stage,
}

/// An edit that cuts content away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// `SetLength`.
    Length(u64),
    /// `Punch`.
    Range {
        /// First byte.
        offset: u64,
        /// Bytes.
        length: u64,
    },
}

/// A chunk that stays in the map but must read as zeroes in part once the edit is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Boundary {
    /// The chunk.
    pub view: ChunkView,
    /// First byte within the chunk to erase.
    pub from: u32,
    /// The byte after the last.
    pub to: u32,
}

/// A disk that has registered at some time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KnownDisk {
    /// The server that last registered it.
    pub server: ServerId,
    /// The counter in its stamp.
    pub registrations: u64,
    /// Where it was mounted there.
    pub path: String,
    /// Labels of the disk alone.
    pub labels: Labels,
    /// What is meant to happen to it.
    pub mark: Mark,
}

/// A server that has registered at some time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KnownServer {
    /// What people call it.
    pub name: String,
    /// `host:port` where it was reached last.
    pub address: String,
    /// Labels that its disks inherit.
    pub labels: Labels,
    /// What is meant to happen to it.
    pub mark: Mark,
}

/// How much has a class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClassUse {
    /// Inodes of all kinds, also those without a name.
    pub inodes: u64,
    /// Lengths of files.
    pub bytes: u64,
}

/// An entry of a directory, as far as a walk over a tree needs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// Where the walk goes on.
    pub cursor: DirCursor,
    /// What is there.
    pub inode: InodeRef,
    /// Whether it has entries of its own.
    pub directory: bool,
    /// Its class.
    pub class: ClassId,
    /// Chunks in its map.
    pub chunks: u32,
}

/// A deleted file that is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trashed {
    /// Its attributes as they are now.
    pub attributes: Attributes,
    /// Its class.
    pub class: ClassId,
    /// What it was called, from the root. Without a slash at the beginning: the end of a path that is too long to be kept.
    pub path: Vec<u8>,
    /// When its last name went.
    pub deleted: Timestamp,
    /// Until when it is kept.
    pub until: Timestamp,
}

/// How much is in the trash.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TrashUse {
    /// Deleted files that are kept.
    pub files: u64,
    /// Their lengths when they were deleted, or when the metadata was loaded.
    pub bytes: u64,
    /// When the next one goes.
    pub next: Option<Timestamp>,
}

/// How much there is of what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub struct Counts {
    pub inodes: u64,
    pub directories: u64,
    pub entries: u64,
    pub chunks: u64,
    pub sessions: u64,
    pub orphans: u64,
}

/// Why a checkpoint could not be loaded.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    /// The bytes cannot be understood.
    #[error("the checkpoint is malformed: {what}")]
    Malformed {
        /// What is wrong.
        what: &'static str,
    },
    /// Written by a newer release in a way that this one must not ignore.
    #[error("the checkpoint has format version {found}, this release reads up to {known}")]
    Version {
        /// In the checkpoint.
        found: u32,
        /// Known here.
        known: u32,
    },
    /// The content contradicts itself.
    #[error("the checkpoint contradicts itself: {what}")]
    Inconsistent {
        /// What is wrong.
        what: &'static str,
    },
    /// The content is not what its writer, or the live master at that index, had.
    #[error("the checkpoint's digest differs")]
    Digest,
}
