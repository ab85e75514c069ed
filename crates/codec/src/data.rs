//! Bodies of the data plane's frames as plain values: HELLO, WRITE, READ, FLUSH, VALUES and their
//! answers.
//!
//! Statuses travel as numbers, 0 for success. Every check that needs no knowledge of the chunk is made here:
//! ranges lie in the chunk, there is one checksum for each touched page, a chain is no longer than a chunk
//! has replicas.

mod convert;

use types::{
    BlockRange, Capability, ChainSequence, ClusterId, DiskId, PAGE_BYTES, ReplicaAddress, SessionId, Status,
    Term, Verifier, Witness,
};

/// Blocks of one [`Values`]: their table pages are few, and those without a value are computed while nobody
/// writes them.
pub const VALUES_MAX: u32 = 64;

/// What the connecting side is. Numbers are only ever added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Role {
    /// A client of the filesystem.
    Client = 1,
    /// A chunkserver, as the hop before in a chain.
    Chunkserver = 2,
    /// A master or metalogger.
    Master = 3,
    /// An operator's tool.
    Admin = 4,
}

/// The first frame on each connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    /// What the connecting side speaks.
    pub protocol_version: u32,
    /// What it is.
    pub role: Role,
    /// The cluster it means; `None`: "tell me".
    pub cluster: Option<ClusterId>,
    /// The highest term it has seen; 0 if none.
    pub term: Term,
    /// A client's session; 0 before it has one.
    pub session: SessionId,
    /// For logs: host and purpose.
    pub name: String,
}

/// The answer to [`Hello`]. After a refusal the connection is closed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HelloAnswer {
    /// What the answering side speaks.
    pub protocol_version: u32,
    /// `Ok`: go on.
    pub result: Result<(), Status>,
    /// The cluster; `None` if the answering side does not know yet.
    pub cluster: Option<ClusterId>,
    /// The highest term it has seen; 0 if none.
    pub term: Term,
    /// In words, for the person who reads the log.
    pub message: String,
}

/// Bytes for a chunk; the payload holds them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    /// The right to do it; names chunk and version.
    pub capability: Capability,
    /// The receiver's disk.
    pub disk: DiskId,
    /// The client's number of this write, from 1 per chunk version and session.
    pub write_id: u64,
    /// Every `write_id` below this one has been answered to the client: the head may forget those.
    pub answered_below: u64,
    /// 0 from a client; then given by the head.
    pub chain_sequence: ChainSequence,
    /// First byte within the chunk.
    pub offset: u32,
    /// Bytes of the payload, so that ranges are checked with the body.
    pub length: u32,
    /// CRC32C of each piece of the payload, in order: the bytes that fall into one page.
    pub page_crcs: Vec<u32>,
    /// BLAKE3 chaining value of each whole block covered, or none at all: then they are pending.
    pub block_values: Vec<[u8; 32]>,
    /// The members after the receiver.
    pub next: Vec<ReplicaAddress>,
    /// A fresh chunk: the first write makes the replica, at this version.
    pub create: bool,
    /// Answered only when it is on stable storage, with all writes before it.
    pub durable: bool,
    /// What is left of the sender's patience.
    pub deadline_ms: u32,
}

/// An edge of a chain that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FailedEdge {
    /// Who could not reach `to` or was refused by it; `None`: whoever receives this answer.
    pub from: Option<DiskId>,
    /// Who could not be reached or refused.
    pub to: DiskId,
    /// How.
    pub status: Status,
}

/// The answer to [`Write`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WriteAnswer {
    /// `Ok`: every member from the answering one down has applied it.
    pub result: Result<(), Status>,
    /// Echoed.
    pub write_id: u64,
    /// Its place in the chain's order; 0 if it was given none.
    pub chain_sequence: ChainSequence,
    /// All members from the answering one down; empty after a failure.
    pub witnesses: Vec<Witness>,
    /// Where it failed, if at an edge.
    pub failed: Option<FailedEdge>,
}

/// Asks for bytes of a chunk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Read {
    /// The right to do it; names chunk and version.
    pub capability: Capability,
    /// The receiver's disk.
    pub disk: DiskId,
    /// First byte wanted.
    pub offset: u32,
    /// Bytes wanted; the whole pages around them fit in one payload.
    pub length: u32,
    /// What is left of the sender's patience.
    pub deadline_ms: u32,
    /// The pages are read from the device and verified before they are sent, for they are to be stored elsewhere.
    pub verified: bool,
    /// From a member that is being filled: read in the chain's order, after every write that the receiver has taken.
    pub ordered: bool,
    /// Only two checksums of the first page are wanted, in whatever condition it is: that on record, and that of its bytes.
    pub recorded: bool,
    /// What came before did not match its checksums: whoever has it looks at it first.
    pub doubted: bool,
}

/// The answer to [`Read`]: the whole pages around the wanted range, as payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadAnswer {
    /// `Ok`: the pages are in the payload, or are all holes.
    pub result: Result<(), Status>,
    /// CRC32C of each page of the payload, the last padded with zeroes; or the two that were asked for.
    pub page_crcs: Vec<u32>,
    /// All pages are holes; no payload and no checksums.
    pub zeroes: bool,
    /// If it was asked for in the chain's order: the last write before it.
    pub chain_sequence: ChainSequence,
}

/// Asks that what was written before goes to stable storage on every member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flush {
    /// The right to do it; names chunk and version.
    pub capability: Capability,
    /// The receiver's disk.
    pub disk: DiskId,
    /// What a follower must have taken before; 0: no claim (a client, or a head that saw no writes).
    pub chain_sequence: ChainSequence,
    /// The members after the receiver.
    pub next: Vec<ReplicaAddress>,
    /// The verifiers under which the unsynced writes were answered.
    pub held: Vec<Verifier>,
    /// What is left of the sender's patience.
    pub deadline_ms: u32,
}

/// The answer to [`Flush`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlushAnswer {
    /// `Ok`: on stable storage on every member from the answering one down.
    pub result: Result<(), Status>,
    /// All members from the answering one down; empty after a failure.
    pub witnesses: Vec<Witness>,
    /// Where it failed, if at an edge.
    pub failed: Option<FailedEdge>,
}

/// Asks what blocks are compared by: their BLAKE3 chaining values. From one chunkserver to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Values {
    /// The right to read; names chunk and version.
    pub capability: Capability,
    /// The receiver's disk.
    pub disk: DiskId,
    /// Which blocks; at most [`VALUES_MAX`].
    pub blocks: BlockRange,
    /// Every page is read from the device first, as if it were asked for: what is on record may be older than the bytes.
    pub proved: bool,
    /// What is left of the sender's patience.
    pub deadline_ms: u32,
}

/// The answer to [`Values`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValuesAnswer {
    /// One value for each block, in order.
    pub result: Result<Vec<[u8; 32]>, Status>,
    /// Under what the replica answers; nothing if it is being filled.
    pub witness: Option<Witness>,
}

/// The first and the last byte after it of the whole pages around a range.
pub fn page_span(offset: u32, length: u32) -> (u64, u64) {
    let page = u64::from(PAGE_BYTES);
    let end = u64::from(offset) + u64::from(length);
    (u64::from(offset) / page * page, end.div_ceil(page) * page)
}
