//! What a client asks of the master over its session.

use crate::{
    AttributeChanges, Caller, ChunkIndex, DirCursor, DirtyChunk, FailedHop, FileKind, InodeId, InodeRef,
    Name, Owner, Sequence, Timestamp, TruncateGeneration,
};
use std::time::Duration;

/// A session that did not ask for its append lock for so long loses it, if others wait.
pub const APPEND_LEASE: Duration = Duration::from_secs(10);

/// An append lock that a session holds, as it was told last by the master that gave it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AppendClaim {
    /// Whose.
    pub inode: InodeRef,
    /// [`TruncateGeneration::forfeits`] when it was told.
    pub forfeits: u8,
}

/// What rename(2) does with an existing target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RenameMode {
    /// Replace it.
    Replace,
    /// Refuse.
    NoReplace,
    /// Swap both.
    Exchange,
}

/// What setxattr(2) does with an existing attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum XattrMode {
    /// Create or replace.
    Set,
    /// Refuse if it exists.
    Create,
    /// Refuse if it does not exist.
    Replace,
}

/// A node to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeSpec {
    /// Kind.
    pub kind: FileKind,
    /// Permission bits, umask already applied.
    pub mode: u16,
    /// Owner; the group is replaced by the parent's if the parent is setgid.
    pub owner: Owner,
    /// Device number of a device node, else 0.
    pub device: u32,
    /// Target of a symlink, else empty.
    pub target: Vec<u8>,
}

/// A client's request. Reads are not logged; mutations become a [`crate::Record`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "fields carry the names of the vocabulary")]
pub enum Request {
    /// Finds a name. Answer: `Entry`, with the first chunk's location for a file.
    Lookup { parent: InodeRef, name: Name },
    /// The parent of a directory (`..`). Answer: `Entry`.
    LookupParent { dir: InodeRef },
    /// Answer: `Attributes`.
    GetAttributes { inode: InodeRef },
    /// Answer: `Target`.
    ReadLink { inode: InodeRef },
    /// Entries after a cursor, with attributes. Answer: `Directory`.
    ReadDirectory { dir: InodeRef, after: DirCursor, bytes_max: u32 },
    /// Answer: `Xattr`.
    GetXattr { inode: InodeRef, name: Vec<u8> },
    /// Answer: `XattrNames`.
    ListXattrs { inode: InodeRef },
    /// Answer: `FsStat`.
    StatFs,
    /// Where chunks are. Answer: `Locations`; holes are left out.
    Locate { inode: InodeRef, first: ChunkIndex, count: u32 },
    /// The right to write one chunk; `failed` reports why the last one is of no use. Answer: `Grant`.
    Grant { inode: InodeRef, index: ChunkIndex, failed: Option<FailedHop> },
    /// Makes any node. Answer: `Entry`; for a file with `grant`, the first chunk's write grant with it.
    /// Not `exclusive`: an existing file is answered as by `Lookup`.
    Create { parent: InodeRef, name: Name, node: NodeSpec, exclusive: bool, grant: bool },
    /// A further name. Answer: `Entry`.
    Link { inode: InodeRef, parent: InodeRef, name: Name },
    /// Removes a name of anything but a directory. `unused`: inodes that may be meant and that this client does not use; any other one that
    /// it knows it may have open, and stays.
    Unlink { parent: InodeRef, name: Name, unused: Vec<InodeId> },
    /// Removes an empty directory.
    RemoveDirectory { parent: InodeRef, name: Name },
    /// Atomic rename. `unused`: of a target that is replaced, as with [`Request::Unlink`].
    Rename {
        from: InodeRef,
        from_name: Name,
        to: InodeRef,
        to_name: Name,
        mode: RenameMode,
        unused: Vec<InodeId>,
    },
    /// chmod, chown, utimens. Answer: `Attributes`.
    SetAttributes { inode: InodeRef, changes: AttributeChanges, caller: Caller },
    /// truncate. Answer: `Attributes`.
    SetLength { inode: InodeRef, length: u64, clear_privileges: bool },
    /// Makes a range read as zeroes without changing the length. Answer: `Attributes`.
    Punch { inode: InodeRef, offset: u64, length: u64 },
    /// Answer: `Done`.
    SetXattr { inode: InodeRef, name: Vec<u8>, value: Vec<u8>, mode: XattrMode },
    /// Answer: `Done`.
    RemoveXattr { inode: InodeRef, name: Vec<u8> },
    /// Tells length, times and map after data has reached the chain. `durable`: fsync, wait for stable
    /// storage. The length only grows by it. Answer: `Attributes`.
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
    /// The client's kernel no longer knows these; an unlinked one may be freed. No answer is awaited. `as_of`: the
    /// client had every answer up to this request when it forgot them; what a later one named it may know.
    Forget { inodes: Vec<InodeRef>, as_of: Sequence },
    /// After a new connection: inodes this client holds open, and what it claims of their append locks. A long
    /// list comes in pieces, the end of which is `last`. Answer: `Gone` with those that are gone.
    Reclaim { inodes: Vec<InodeRef>, appending: Vec<AppendClaim>, last: bool },
    /// The right to append, until `AppendUnlock`: nobody else appends to the file or truncates it meanwhile. Answered when
    /// it is free. `held`: this session holds it already, which renews it; `Busy` at once if it does not. Answer:
    /// `AppendLock`.
    AppendLock { inode: InodeRef, held: bool },
    /// Everything appended is committed: others may append. `forfeit`: some of it was given up, and its frames may still
    /// be on their way. Without effect if this session neither holds the lock nor waits for it. Answer: `Done`.
    AppendUnlock { inode: InodeRef, forfeit: bool },
    /// Everything answered to this session so far is on stable storage (fsync of a directory, syncfs).
    Barrier,
    /// Keeps the session's lease. Answer: `Done`.
    KeepAlive,
    /// Chunks, versions and replicas of a file or of a path from the root. Answer: `FileInfo`.
    FileInfo { inode: InodeRef },
    /// Ends the session; what it reserved is released.
    Goodbye,
    /// Where a given inode is now, for a handle that outlived a restart. Answer: `Attributes`.
    Reopen { inode: InodeId },
}

impl Request {
    /// Whether the request changes logged state.
    pub fn is_mutation(&self) -> bool {
        matches!(
            self,
            Self::Create { .. }
                | Self::Link { .. }
                | Self::Unlink { .. }
                | Self::RemoveDirectory { .. }
                | Self::Rename { .. }
                | Self::SetAttributes { .. }
                | Self::SetLength { .. }
                | Self::Punch { .. }
                | Self::SetXattr { .. }
                | Self::RemoveXattr { .. }
                | Self::Commit { .. }
        )
    }
}
