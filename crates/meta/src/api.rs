//! The public face: what goes in and what comes out.

use types::{
    Attributes, ChunkId, ChunkIndex, ChunkSlot, ClassId, ClusterId, DirCursor, DirectoryEntry, DiskId,
    InodeId, InodeRef, LogIndex, Name, Record, Reply, Sequence, ServerId, SessionId, Status, Term, Timestamp,
    Version,
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

/// The state.
#[derive(Debug, Default)]
pub struct Meta {}

#[allow(unused_variables, reason = "signatures first")]
impl Meta {
    /// Before the first record: no cluster, no root.
    pub fn new() -> Self {
        Self::default()
    }

    /// Applies the record that follows. Total: whatever the record says, the outcome is an answer.
    /// A record whose index is not the next one is refused with `Gap`, one of an older term with `WrongTerm`.
    pub fn apply(&mut self, record: &Record) -> Outcome {
        unimplemented!()
    }

    /// As [`Meta::apply`], for records read back from a log: the position advances also over a record
    /// that changes nothing.
    pub fn replay(&mut self, record: &Record) -> Outcome {
        unimplemented!()
    }

    /// Finds a name.
    pub fn lookup(&self, parent: InodeRef, name: &Name) -> Result<Attributes, Status> {
        unimplemented!()
    }
    /// The parent of a directory; the root is its own.
    pub fn parent_of(&self, dir: InodeRef) -> Result<Attributes, Status> {
        unimplemented!()
    }
    /// What stat(2) shows.
    pub fn attributes(&self, inode: InodeRef) -> Result<Attributes, Status> {
        unimplemented!()
    }
    /// An inode by its bare number, for a handle that outlived a restart.
    pub fn reopen(&self, inode: InodeId) -> Result<Attributes, Status> {
        unimplemented!()
    }
    /// The storage class of an inode.
    pub fn class_of(&self, inode: InodeRef) -> Result<ClassId, Status> {
        unimplemented!()
    }
    /// Target of a symlink.
    pub fn read_link(&self, inode: InodeRef) -> Result<Vec<u8>, Status> {
        unimplemented!()
    }
    /// Entries after a cursor, as many as surely fit into `bytes_max` encoded bytes (one at least, if there is
    /// one), and whether nothing follows.
    pub fn read_directory(
        &self,
        dir: InodeRef,
        after: DirCursor,
        bytes_max: u32,
    ) -> Result<(Vec<DirectoryEntry>, bool), Status> {
        unimplemented!()
    }
    /// Value of an extended attribute.
    pub fn xattr(&self, inode: InodeRef, name: &[u8]) -> Result<Vec<u8>, Status> {
        unimplemented!()
    }
    /// Names of all extended attributes.
    pub fn xattrs(&self, inode: InodeRef) -> Result<Vec<Vec<u8>>, Status> {
        unimplemented!()
    }
    /// The chunk at one place of a file; `None` is a hole.
    pub fn chunk_at(&self, inode: InodeRef, index: ChunkIndex) -> Result<Option<ChunkView>, Status> {
        unimplemented!()
    }
    /// Chunks whose index is in `first .. first + count`, in order; holes are left out.
    pub fn chunks(&self, inode: InodeRef, first: ChunkIndex, count: u32) -> Result<Vec<ChunkView>, Status> {
        unimplemented!()
    }
    /// A chunk by its id.
    pub fn find_chunk(&self, chunk: ChunkId) -> Option<(ChunkView, ChunkOwner)> {
        unimplemented!()
    }
    /// Whose the chunk in a slot is.
    pub fn owner_of(&self, slot: ChunkSlot) -> Option<(ChunkView, ChunkOwner)> {
        unimplemented!()
    }
    /// Every chunk, in order of slots: what `fleet` learns after a start.
    pub fn all_chunks(&self) -> Box<dyn Iterator<Item = (ChunkView, ChunkOwner)> + '_> {
        unimplemented!()
    }
    /// Which chunks an edit must cut on disk, with a raised version, before it can be logged.
    pub fn cut_boundaries(&self, inode: InodeRef, cut: Cut) -> Result<Vec<Boundary>, Status> {
        unimplemented!()
    }
    /// The answer given to a request of a session, if it was a mutation that succeeded and the client has
    /// not confirmed the answer.
    pub fn answered(&self, session: SessionId, sequence: Sequence) -> Option<Reply> {
        unimplemented!()
    }
    /// Whether the session exists.
    pub fn has_session(&self, session: SessionId) -> bool {
        unimplemented!()
    }
    /// All sessions and their names, in order.
    pub fn sessions(&self) -> Vec<(SessionId, String)> {
        unimplemented!()
    }
    /// Inodes without a name, in order: after a start they go once nobody reclaims them.
    pub fn orphans(&self) -> Vec<InodeRef> {
        unimplemented!()
    }
    /// Whether the inode exists under this generation.
    pub fn exists(&self, inode: InodeRef) -> bool {
        unimplemented!()
    }
    /// The registry's entry of a disk.
    pub fn disk_registrations(&self, disk: DiskId) -> Option<DiskRegistration> {
        unimplemented!()
    }
    /// All disks that ever registered, in order.
    pub fn disks(&self) -> Vec<(DiskId, DiskRegistration)> {
        unimplemented!()
    }
    /// The cluster, once it was made.
    pub fn cluster(&self) -> Option<ClusterId> {
        unimplemented!()
    }
    /// The reign named by the last `NewTerm`.
    pub fn term(&self) -> Term {
        unimplemented!()
    }
    /// Term and index of the last record applied.
    pub fn applied(&self) -> (Term, LogIndex) {
        unimplemented!()
    }
    /// The time in the last record applied; the next record's may not be below.
    pub fn time(&self) -> Timestamp {
        unimplemented!()
    }
    /// The highest inode number ever given; the next file takes the one above.
    pub fn inode_highest(&self) -> InodeId {
        unimplemented!()
    }
    /// 128 bits over the whole state, kept current.
    pub fn digest(&self) -> [u8; 16] {
        unimplemented!()
    }
    /// How much there is.
    pub fn counts(&self) -> Counts {
        unimplemented!()
    }
    /// Writes the state in pieces of at most 128 KiB.
    pub fn write_checkpoint(
        &self,
        sink: &mut dyn FnMut(&[u8]) -> std::io::Result<()>,
    ) -> std::io::Result<()> {
        unimplemented!()
    }
}

/// Builds a [`Meta`] from a checkpoint's bytes, cut anywhere.
#[derive(Debug, Default)]
pub struct Loader {}

#[allow(unused_variables, reason = "signatures first")]
impl Loader {
    /// Nothing read yet.
    pub fn new() -> Self {
        Self::default()
    }
    /// Takes the next bytes.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<(), LoadError> {
        unimplemented!()
    }
    /// After the last byte: checks the whole against itself, its own digest, and the one that is expected.
    pub fn finish(self, expected: Option<[u8; 16]>) -> Result<Meta, LoadError> {
        unimplemented!()
    }
}
