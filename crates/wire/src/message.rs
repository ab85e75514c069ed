//! The messages of the data plane, and HELLO, as plain values.
//!
//! Each encodes to the body of a frame and decodes from it with every check that needs no knowledge of the
//! chunk. Statuses travel as numbers, 0 for success.

use bytes::Bytes;
use types::{
    Capability, ChainSequence, ClusterId, DiskId, ReplicaAddress, SessionId, Status, Term, Verifier,
};

/// What the connecting side is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// A client of the filesystem.
    Client,
    /// A chunkserver, as the hop before in a chain.
    Chunkserver,
    /// A master or metalogger.
    Master,
    /// An operator's tool.
    Admin,
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
    pub offset: u64,
    /// Bytes of the payload, so that ranges are checked with the body.
    pub length: u32,
    /// CRC32C of each piece of the payload (see [`crate::crc`]).
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

/// An edge of a chain that failed. `from` is `None` where the receiver of the answer is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FailedEdge {
    /// Who could not reach `to` or was refused by it.
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
    pub verifiers: Vec<Verifier>,
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
    pub offset: u64,
    /// Bytes wanted; the whole pages around them fit in one payload.
    pub length: u32,
    /// What is left of the sender's patience.
    pub deadline_ms: u32,
}

/// The answer to [`Read`]: whole pages around the wanted range, as payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadAnswer {
    /// `Ok`: the pages are in the payload, or are all holes.
    pub result: Result<(), Status>,
    /// CRC32C of each page of the payload, the last padded with zeroes.
    pub page_crcs: Vec<u32>,
    /// All pages are holes; no payload and no checksums.
    pub zeroes: bool,
}

/// Asks that what was written before goes to stable storage on every member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flush {
    /// The right to do it; names chunk and version.
    pub capability: Capability,
    /// The receiver's disk.
    pub disk: DiskId,
    /// What a follower must have taken before; 0: no claim (a client, or a head without a memory of writes).
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
    pub verifiers: Vec<Verifier>,
    /// Where it failed, if at an edge.
    pub failed: Option<FailedEdge>,
}

/// Why a body is not the message that its frame's kind promises.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}: {what}")]
pub struct Malformed {
    /// The message.
    pub message: &'static str,
    /// What is wrong with it.
    pub what: &'static str,
}

/// A message that is the body of a frame.
pub trait Message: Sized {
    /// As the body of a frame.
    fn encode(&self) -> Bytes;
    /// Checked.
    fn decode(body: &[u8]) -> Result<Self, Malformed>;
}

macro_rules! not_yet {
    ($($name:ident)*) => {
        $(impl Message for $name {
            fn encode(&self) -> Bytes {
                unimplemented!("lands with codec::data")
            }
            fn decode(_body: &[u8]) -> Result<Self, Malformed> {
                unimplemented!("lands with codec::data")
            }
        })*
    };
}
not_yet!(Hello HelloAnswer Write WriteAnswer Read ReadAnswer Flush FlushAnswer);
