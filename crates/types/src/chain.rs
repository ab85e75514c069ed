//! Where replicas are and who may write them: grants, capabilities, failed hops.

use crate::{ChunkId, ChunkIndex, DiskId, InodeRef, LeaseEpoch, ServerId, SessionId, Status, Term, Version};

/// One replica and how to reach it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReplicaAddress {
    /// The chunkserver.
    pub server: ServerId,
    /// The disk that holds the replica.
    pub disk: DiskId,
    /// `host:port` of the chunkserver's one port.
    pub address: String,
    /// For who is to read it; nothing speaks for or against a replica that is told for another purpose.
    pub hints: ReadHints,
}

/// What speaks for reading a replica before the others of its chunk, or after them. The master tells it to a client, each its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReadHints {
    /// The client is on the replica's host.
    pub same_host: bool,
    /// The disk has the labels that the client prefers.
    pub preferred: bool,
    /// The class of the file wants the disk to be read only when nothing else is left. It outweighs the others.
    pub read_last: bool,
}

/// Where a chunk may be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChunkLocation {
    /// Which part of the file.
    pub index: ChunkIndex,
    /// The chunk.
    pub chunk: ChunkId,
    /// The version a replica must have to be read.
    pub version: Version,
    /// Current replicas; empty when none is registered now.
    pub replicas: Vec<ReplicaAddress>,
    /// Others may be read soon, and have what these lack.
    pub more: bool,
}

/// What a data-plane request may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rights {
    /// Read only.
    Read,
    /// Read and write.
    Write,
}

/// The right to touch a chunk, carried in every data-plane frame.
///
/// The MAC is empty until authentication exists; its place in the frame is there from the first version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capability {
    /// The session it was given to.
    pub session: SessionId,
    /// The term of the master that gave it.
    pub term: Term,
    /// The chunk.
    pub chunk: ChunkId,
    /// The version.
    pub version: Version,
    /// What is allowed.
    pub rights: Rights,
    /// Renewed per session.
    pub lease_epoch: LeaseEpoch,
    /// Keyed BLAKE3 over the fields above.
    pub mac: Vec<u8>,
}

/// The right to write one chunk through one chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WriteGrant {
    /// The file.
    pub inode: InodeRef,
    /// Which part of it.
    pub index: ChunkIndex,
    /// Members in order; the first is the head.
    pub chain: Vec<ReplicaAddress>,
    /// The right itself; names chunk and version.
    pub capability: Capability,
    /// The chunk is not in the file's map yet: its first write brings it into being on the disks, and
    /// a commit puts it into the map.
    pub fresh: bool,
}

/// An edge of a chain that failed, as the client reports it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedHop {
    /// Chunk and version that were being written.
    pub chunk: ChunkId,
    /// See `chunk`.
    pub version: Version,
    /// Who could not reach `to`; `None` is the client itself.
    pub from: Option<DiskId>,
    /// Who could not be reached or refused.
    pub to: DiskId,
    /// How.
    pub status: Status,
}

/// Which replica answered, and under which boot of its disk: unsynced writes survive as long as it stays the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Verifier {
    /// The disk.
    pub disk: DiskId,
    /// Boot id of the kernel mixed with the mount id of the disk; a restart of the process keeps it.
    pub boot: u64,
    /// Which making of the replica: another one each time that a replica of the chunk is made on this disk. One that was copied or
    /// filled has what its source had then, which may be less than the one before held.
    pub made: u64,
}

/// A member of a chain, as it answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Witness {
    /// Its own.
    pub verifier: Verifier,
    /// Those of the replicas that it was made from, one after the other: it has all that they held then.
    pub sources: Vec<Verifier>,
}

/// A chunk that an fsync or a close names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DirtyChunk {
    /// Which part of the file.
    pub index: ChunkIndex,
    /// The chunk.
    pub chunk: ChunkId,
    /// The version under which it was written.
    pub version: Version,
}
