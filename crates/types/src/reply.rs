//! What the master answers.

use crate::{Attributes, ChunkLocation, DirCursor, FsStat, InodeId, InodeRef, LogIndex, Name, WriteGrant};

/// A name found or made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The inode's attributes.
    pub attributes: Attributes,
    /// For a file with content: where its first chunk is.
    pub first: Option<ChunkLocation>,
    /// For a new file, if asked for: the right to write its first chunk.
    pub grant: Option<WriteGrant>,
    /// Whether this request made it.
    pub created: bool,
}

/// One entry of a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirectoryEntry {
    /// Stays the same while the entry lives.
    pub cursor: DirCursor,
    /// Its name.
    pub name: Name,
    /// Attributes of the inode.
    pub attributes: Attributes,
}

/// An inode that a request touched besides the one it is answered with: the directory of a name, the target of
/// an unlink. Told so that a client need not ask again for what it changed itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct News {
    /// As the request left it.
    pub attributes: Attributes,
    /// Its change counter before the request; the same as now if the request did not change it.
    pub before: u64,
}

/// The answer to a [`crate::Request`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "fields carry the names of the vocabulary")]
pub enum Reply {
    Done,
    Entry(Box<Entry>),
    Attributes(Attributes),
    Target(Vec<u8>),
    /// `end`: nothing follows the last entry. `parent`: where `..` leads.
    Directory {
        entries: Vec<DirectoryEntry>,
        end: bool,
        parent: InodeId,
    },
    Xattr(Vec<u8>),
    XattrNames(Vec<Vec<u8>>),
    FsStat(FsStat),
    Locations(Vec<ChunkLocation>),
    Grant(Box<WriteGrant>),
    /// The append lock is held; these are the file's attributes. `wanted`: somebody waits for it.
    AppendLock {
        attributes: Attributes,
        wanted: bool,
    },
    /// Of the inodes asked about, those that no longer exist.
    Gone(Vec<InodeRef>),
    /// A file's chunks with all known replicas.
    FileInfo(Box<FileInfo>),
}

/// Everything about one file's chunks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileInfo {
    /// Attributes.
    pub attributes: Attributes,
    /// Name of the storage class.
    pub class: String,
    /// Replicas the class asks for.
    pub goal: u32,
    /// Chunks in order; holes are left out.
    pub chunks: Vec<ChunkLocation>,
}

/// Where the log stands; carried by every answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogPosition {
    /// The last record applied when the answer was made.
    pub applied: LogIndex,
    /// The last record known to be on stable storage.
    pub stable: LogIndex,
}
