//! The public face: what goes in and what comes out.

use types::{ChunkId, ChunkIndex, ChunkSlot, ClassId, InodeRef, Reply, ServerId, Status, Version};

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

/// What others must learn of a change.
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
    /// The inode lost its last name and lives until it is reaped.
    Orphaned { inode: InodeRef },
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DiskRegistration {
    /// The server that last registered it.
    pub server: ServerId,
    /// The counter in its stamp.
    pub registrations: u64,
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
