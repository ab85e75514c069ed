//! The changelog's records: what was decided, never a choice to be made again.

use crate::{
    AttributeChanges, Caller, ChunkId, ChunkIndex, ClassId, ClusterId, DirtyChunk, DiskId, HealthCode,
    HoldCause, HoldId, Holder, InodeRef, Labels, Limit, LimitScope, LogIndex, Mark, Mute, Name, NodeSpec,
    Origin, RenameMode, ServerId, SessionId, StorageClass, TaskId, TaskWork, Term, Timestamp,
    TruncateGeneration, Version, XattrMode,
};

/// One entry of the changelog.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The reign that wrote it.
    pub term: Term,
    /// Its place; without gaps.
    pub index: LogIndex,
    /// The master's wall clock when it was made; never below the record before.
    pub at: Timestamp,
    /// Whose request it carries out, if a client's.
    pub origin: Option<Origin>,
    /// What happens.
    pub op: Op,
}

/// A chunk whose content an edit cuts, with the version its replicas were raised to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RaisedChunk {
    /// Which part of the file.
    pub index: ChunkIndex,
    /// The chunk.
    pub chunk: ChunkId,
    /// The version its replicas now have.
    pub version: Version,
}

/// An operation of the state machine. Names and numbers are only ever added.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "fields carry the names of the vocabulary")]
pub enum Op {
    /// The first record: makes the root directory.
    NewCluster {
        cluster: ClusterId,
    },
    /// A master begins its reign; critical.
    NewTerm {
        term: Term,
    },
    /// A client arrives; critical.
    OpenSession {
        session: SessionId,
        name: String,
    },
    /// A client left or was evicted; its answers are forgotten. Critical.
    CloseSession {
        session: SessionId,
    },
    /// A node with a name. `inode` is the identity given to it. Not `exclusive` and the name exists as
    /// a file: the outcome is that file and nothing changes (and nothing is logged).
    Create {
        parent: InodeRef,
        name: Name,
        inode: InodeRef,
        node: NodeSpec,
        exclusive: bool,
    },
    Link {
        inode: InodeRef,
        parent: InodeRef,
        name: Name,
    },
    /// `keep`: somebody has it open, so the last name going makes it an orphan.
    Unlink {
        parent: InodeRef,
        name: Name,
        keep: bool,
    },
    RemoveDirectory {
        parent: InodeRef,
        name: Name,
    },
    /// `keep`: as for `Unlink`, for a replaced target.
    Rename {
        from: InodeRef,
        from_name: Name,
        to: InodeRef,
        to_name: Name,
        mode: RenameMode,
        keep: bool,
    },
    SetAttributes {
        inode: InodeRef,
        changes: AttributeChanges,
        caller: Caller,
    },
    /// Chunks wholly beyond the length leave the map; `boundary` is the chunk that was cut.
    SetLength {
        inode: InodeRef,
        length: u64,
        clear_privileges: bool,
        boundary: Option<RaisedChunk>,
    },
    /// Chunks wholly inside leave the map; `boundaries` were cut.
    Punch {
        inode: InodeRef,
        offset: u64,
        length: u64,
        boundaries: Vec<RaisedChunk>,
    },
    /// Whoever holds the append lock, or claims it after a start of the master, has it no longer.
    ForfeitAppends {
        inode: InodeRef,
    },
    SetXattr {
        inode: InodeRef,
        name: Vec<u8>,
        value: Vec<u8>,
        mode: XattrMode,
    },
    RemoveXattr {
        inode: InodeRef,
        name: Vec<u8>,
    },
    /// Length (grows only), times and map after writing. `at` of the record is used if `modified` is not given.
    /// A chunk the map lacks is attached; one that differs from the map is refused with `Io`.
    /// An older truncate generation: length and chunks are ignored, and the attributes answered.
    Commit {
        inode: InodeRef,
        truncate_generation: TruncateGeneration,
        length: u64,
        modified: Option<Timestamp>,
        accessed: Option<Timestamp>,
        chunks: Vec<DirtyChunk>,
        clear_privileges: bool,
        durable: bool,
    },
    /// The set of replicas that may be written changes; critical.
    Raise {
        chunk: ChunkId,
        version: Version,
        members: Vec<DiskId>,
    },
    /// Orphans that nobody has open any longer are freed.
    Reap {
        inodes: Vec<InodeRef>,
    },
    /// A disk registered; `registrations` is the counter in its stamp from now on. Critical.
    RegisterDisk {
        server: ServerId,
        disk: DiskId,
        registrations: u64,
        path: String,
    },
    /// A class is made or changed. A new one has the lowest id that was never given. Critical.
    SetClass {
        class: ClassId,
        definition: Box<StorageClass>,
    },
    /// A class that nothing has goes; critical.
    DeleteClass {
        class: ClassId,
    },
    /// These inodes have this class from now on; those that are gone are passed over. Critical.
    SetInodeClass {
        inodes: Vec<InodeRef>,
        class: ClassId,
    },
    /// These files leave the trash for good: they are orphans from now on. Those that are not in the trash are passed over.
    PurgeTrash {
        inodes: Vec<InodeRef>,
    },
    /// A file leaves the trash and has a name again. `replace`: what has the name loses it. `keep`: as for `Rename`.
    RestoreTrash {
        inode: InodeRef,
        parent: InodeRef,
        name: Name,
        replace: bool,
        keep: bool,
    },
    /// Of these files those are archived that did not change for as long as their class says.
    Archive {
        inodes: Vec<InodeRef>,
    },
    /// A task begins; its id is the index of this record. Critical.
    BeginTask {
        work: TaskWork,
    },
    /// A task is done, or was cancelled; critical.
    EndTask {
        task: TaskId,
    },
    /// A server came for the first time, or under another name or address; critical.
    RegisterServer {
        server: ServerId,
        name: String,
        address: String,
    },
    /// Labels, instead of those before; critical.
    SetLabels {
        holder: Holder,
        labels: Labels,
    },
    /// A mark, instead of the one before; critical.
    SetMark {
        holder: Holder,
        mark: Mark,
    },
    /// A server without disks, or a disk, is no longer known; critical.
    Forget {
        holder: Holder,
    },
    /// A mute of a health code, instead of the one before, if there was one; critical.
    SetMute {
        code: HealthCode,
        mute: Option<Box<Mute>>,
    },
    /// A limit of healing, instead of the one before; `None`: there is none. Critical.
    SetLimit {
        scope: LimitScope,
        limit: Option<Limit>,
    },
    /// What the edit that follows makes dispensable stays until then. One that is there for the same cause lasts longer; the id
    /// of a new one is the index of this record. Critical.
    Hold {
        cause: HoldCause,
        until: Timestamp,
    },
    /// A hold is over, or was ended; critical.
    EndHold {
        hold: HoldId,
    },
}

impl Op {
    /// Critical records wait for stable storage before they are answered (`protocols.md` §11).
    pub fn is_critical(&self) -> bool {
        match self {
            Self::NewCluster { .. }
            | Self::NewTerm { .. }
            | Self::OpenSession { .. }
            | Self::CloseSession { .. }
            | Self::Raise { .. }
            | Self::RegisterDisk { .. }
            | Self::SetClass { .. }
            | Self::DeleteClass { .. }
            | Self::SetInodeClass { .. }
            | Self::BeginTask { .. }
            | Self::EndTask { .. }
            | Self::RegisterServer { .. }
            | Self::SetLabels { .. }
            | Self::SetMark { .. }
            | Self::Forget { .. }
            | Self::SetMute { .. }
            | Self::SetLimit { .. }
            | Self::Hold { .. }
            | Self::EndHold { .. } => true,
            Self::SetLength { boundary, .. } => boundary.is_some(),
            Self::Punch { boundaries, .. } => !boundaries.is_empty(),
            Self::Commit { durable, .. } => *durable,
            Self::Create { .. }
            | Self::Link { .. }
            | Self::Unlink { .. }
            | Self::RemoveDirectory { .. }
            | Self::Rename { .. }
            | Self::SetAttributes { .. }
            | Self::ForfeitAppends { .. }
            | Self::SetXattr { .. }
            | Self::RemoveXattr { .. }
            | Self::PurgeTrash { .. }
            | Self::RestoreTrash { .. }
            | Self::Archive { .. }
            | Self::Reap { .. } => false,
        }
    }
}
