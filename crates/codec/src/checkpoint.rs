//! Pieces of a metadata checkpoint as plain values, and the stream they form.
//!
//! A piece is a four-byte little-endian length and that many bytes of protobuf (`proto/checkpoint.proto`,
//! `docs/format/checkpoint.md`). Each item is checked by itself here; whether the items fit together is
//! checked by `meta`.

mod convert;

use crate::{Malformed, proto};
use prost::Message as _;
use types::{
    Attributes, ChunkId, ChunkIndex, ClassId, ClusterId, DirCursor, DiskId, HealthCode, HoldCause, HoldId,
    InodeId, Labels, Limit, LimitScope, LogIndex, Mark, Mute, Sequence, ServerId, SessionId, StorageClass,
    TaskId, TaskWork, Term, Timestamp, Version,
};

/// The format version that this release writes, and the highest that it reads.
pub const FORMAT_VERSION: u32 = 5;
/// Largest piece, without its length: a session with as many answers as one may keep.
pub const PIECE_BYTES_MAX: usize = 3 << 20;

/// Where the state stands.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "described in proto/checkpoint.proto")]
pub struct Header {
    pub format_version: u32,
    pub cluster: Option<ClusterId>,
    pub term: Term,
    pub applied_term: Term,
    pub applied: LogIndex,
    pub at: Timestamp,
    pub inode_highest: InodeId,
    pub classes_given: u32,
}

/// An inode.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "described in proto/checkpoint.proto")]
pub struct Inode {
    pub attributes: Attributes,
    pub class: ClassId,
    pub table: u64,
    pub target: Vec<u8>,
    pub archived: bool,
}

/// Entries of one table, or a part of them.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "described in proto/checkpoint.proto")]
pub struct Table {
    pub id: u64,
    pub refs: u32,
    pub cursor_last: u64,
    pub entries: Vec<Entry>,
}

/// An entry of a table; its name was checked.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "described in proto/checkpoint.proto")]
pub struct Entry {
    pub cursor: DirCursor,
    pub inode: InodeId,
    pub name: Vec<u8>,
}

/// A chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "described in proto/checkpoint.proto")]
pub struct Chunk {
    pub chunk: ChunkId,
    pub version: Version,
    pub owner: InodeId,
    pub index: ChunkIndex,
    pub refs: u32,
}

/// An extended attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "described in proto/checkpoint.proto")]
pub struct Xattr {
    pub inode: InodeId,
    pub name: Vec<u8>,
    pub value: Vec<u8>,
}

/// A session.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "described in proto/checkpoint.proto")]
pub struct Session {
    pub session: SessionId,
    pub name: String,
    pub answered_below: Sequence,
    pub answers: Vec<(Sequence, Answer)>,
}

/// The answer to a mutation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "described in proto/checkpoint.proto")]
pub enum Answer {
    Done,
    Attributes(Attributes),
    Entry { attributes: Attributes, created: bool },
}

/// A disk that registered at some time.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "described in proto/checkpoint.proto")]
pub struct Disk {
    pub disk: DiskId,
    pub server: ServerId,
    pub registrations: u64,
    pub path: String,
    pub labels: Labels,
    pub mark: Mark,
}

/// A server that registered at some time.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "described in proto/checkpoint.proto")]
pub struct Server {
    pub server: ServerId,
    pub name: String,
    pub address: String,
    pub labels: Labels,
    pub mark: Mark,
}

/// A storage class.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "described in proto/checkpoint.proto")]
pub struct Class {
    pub class: ClassId,
    pub definition: StorageClass,
}

/// A task under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "described in proto/checkpoint.proto")]
pub struct Task {
    pub task: TaskId,
    pub work: TaskWork,
}

/// A deleted file that is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "described in proto/checkpoint.proto")]
pub struct Trashed {
    pub inode: InodeId,
    pub path: Vec<u8>,
    pub deleted: Timestamp,
    pub until: Timestamp,
}

/// A limit of healing.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "described in proto/checkpoint.proto")]
pub struct Limited {
    pub scope: LimitScope,
    pub limit: Limit,
}

/// A hold.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "described in proto/checkpoint.proto")]
pub struct Held {
    pub hold: HoldId,
    pub cause: HoldCause,
    pub since: Timestamp,
    pub until: Timestamp,
}

/// What the whole must come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "described in proto/checkpoint.proto")]
pub struct End {
    pub digest: [u8; 16],
    pub inodes: u64,
    pub entries: u64,
    pub chunks: u64,
}

/// One piece.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Piece {
    Header(Header),
    Inodes(Vec<Inode>),
    Tables(Vec<Table>),
    Chunks(Vec<Chunk>),
    Xattrs(Vec<Xattr>),
    Session(Session),
    Disks(Vec<Disk>),
    Servers(Vec<Server>),
    Classes(Vec<Class>),
    Tasks(Vec<Task>),
    Trash(Vec<Trashed>),
    Mutes(Vec<(HealthCode, Mute)>),
    Limits(Vec<Limited>),
    Holds(Vec<Held>),
    End(End),
}

impl Piece {
    /// Appends length and bytes.
    pub fn encode(self, out: &mut Vec<u8>) {
        let piece = proto::CheckpointPiece { content: Some(self.into()) };
        let length = piece.encoded_len();
        debug_assert!(length <= PIECE_BYTES_MAX, "the writer fills no piece beyond its limit");
        out.extend_from_slice(&(length as u32).to_le_bytes());
        piece.encode_raw(out);
    }

    fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let piece = proto::CheckpointPiece::decode(bytes)?;
        piece.content.ok_or(Malformed::new("piece of unknown kind"))?.try_into()
    }
}

/// Finds the pieces in a stream that arrives cut anywhere.
#[derive(Debug, Default)]
pub struct Splitter {
    rest: Vec<u8>,
}

impl Splitter {
    /// Takes the next bytes and gives each piece that is complete to `visit`.
    pub fn feed<E: From<Malformed>>(
        &mut self,
        bytes: &[u8],
        mut visit: impl FnMut(Piece) -> Result<(), E>,
    ) -> Result<(), E> {
        self.rest.extend_from_slice(bytes);
        let mut at = 0;
        while let Some((length, after)) = self.rest[at..].split_first_chunk::<4>() {
            let length = u32::from_le_bytes(*length) as usize;
            if length > PIECE_BYTES_MAX {
                return Err(Malformed::new("piece too long").into());
            }
            let Some(piece) = after.get(..length) else { break };
            visit(Piece::decode(piece)?)?;
            at += 4 + length;
        }
        self.rest.drain(..at);
        Ok(())
    }

    /// Whether the stream ends between two pieces.
    pub fn is_at_end(&self) -> bool {
        self.rest.is_empty()
    }
}

#[cfg(test)]
mod tests;
