//! What goes into a file's pipeline and what comes out of it.

use super::buffer::ExtentId;
use bytes::Bytes;
use env::Instant;
use std::sync::Arc;
use std::time::Duration;
use types::{
    AttributeChanges, Attributes, Caller, ChunkId, ChunkIndex, ChunkLocation, DirtyChunk, FailedHop,
    SessionId, Status, Term, Timestamp, TruncateGeneration, Verifier, Version, Witness, WriteGrant,
};
use wire::message::FailedEdge;

/// What rules the decisions from outside.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    /// Monotonic time.
    pub(crate) now: Instant,
    /// The master's term; grants of another are void.
    pub(crate) term: Term,
    /// The client's session; grants to another are void.
    pub(crate) session: SessionId,
    /// Somebody waits for room: store and commit everything.
    pub(crate) pressure: bool,
}

/// Settings.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    /// How long a small write waits for company.
    pub(crate) delay: Duration,
    /// How long a chain may be in trouble before data is given up.
    pub(crate) timeout: Option<Duration>,
    /// Which writer of this client it is. Chains remember the write ids of a session, and a file's writer may be
    /// forgotten and made anew while its chunk keeps its version: ids of one are never given by another.
    pub(crate) writer: u32,
}

/// A WRITE frame to be sent.
#[derive(Debug)]
pub(crate) struct WriteJob {
    pub(crate) extent: ExtentId,
    pub(crate) attempt: u32,
    pub(crate) grant: Arc<WriteGrant>,
    pub(crate) write_id: u64,
    pub(crate) answered_below: u64,
    /// Within the file.
    pub(crate) offset: u64,
    pub(crate) data: Bytes,
    pub(crate) crcs: Arc<[u32]>,
    pub(crate) create: bool,
    pub(crate) durable: bool,
}

/// Something to be done; each is answered by the [`Event`] of the same name.
#[derive(Debug)]
pub(crate) enum Action {
    /// `known`: the chunk granted before. If the answer names another, the file's truncate generation is
    /// wanted with it.
    Grant {
        index: ChunkIndex,
        serial: u64,
        failed: Option<FailedHop>,
        known: Option<ChunkId>,
    },
    Write(WriteJob),
    Flush {
        serial: u64,
        grant: Arc<WriteGrant>,
        held: Vec<Verifier>,
    },
    Attributes {
        serial: u64,
        changes: AttributeChanges,
        caller: Caller,
    },
    Commit {
        serial: u64,
        truncate_generation: TruncateGeneration,
        length: u64,
        modified: Option<Timestamp>,
        chunks: Vec<DirtyChunk>,
        durable: bool,
    },
}

/// Why a data-plane frame failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DataError {
    /// No answer: the connection broke or the time was up.
    Link,
    /// A member refused, or could not reach the next.
    Refused { status: Status, failed: Option<FailedEdge> },
}

/// An answer.
#[derive(Debug)]
pub(crate) enum Event {
    Granted {
        index: ChunkIndex,
        serial: u64,
        result: Result<(WriteGrant, Option<TruncateGeneration>), Status>,
    },
    Written {
        index: ChunkIndex,
        extent: ExtentId,
        attempt: u32,
        version: Version,
        result: Result<Vec<Witness>, DataError>,
    },
    Flushed {
        index: ChunkIndex,
        serial: u64,
        version: Version,
        result: Result<Vec<Witness>, DataError>,
    },
    Attributes {
        serial: u64,
        result: Result<Attributes, Status>,
    },
    Committed {
        serial: u64,
        result: Result<Attributes, Status>,
    },
}

/// What others have to hear.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// What was read of this range from a server before now is outdated.
    Changed { offset: u64, length: u64 },
    /// The chunk is in the file's map now.
    Located(ChunkLocation),
    /// The chunk is at this version now: replicas of an earlier one may lack what is written from here on.
    Raised { index: ChunkIndex, version: Version },
    /// As the master answered.
    Attributes(Attributes),
    /// Bytes of memory that are free again.
    Freed(u64),
    /// Writes were given up.
    Lost(Status),
}

/// Refusals that waiting does not change.
pub(crate) fn is_final(status: Status) -> bool {
    matches!(
        status,
        Status::Stale
            | Status::NotFound
            | Status::NoSpace
            | Status::Quota
            | Status::NotPermitted
            | Status::AccessDenied
            | Status::ReadOnly
            | Status::FileTooBig
            | Status::IsDirectory
            | Status::Invalid
            | Status::Unsupported
            | Status::LostTail
    )
}

/// The head of the chain as the hop that failed.
pub(crate) fn failed_head(grant: &WriteGrant, status: Status) -> Option<FailedHop> {
    let to = grant.chain.first()?.disk;
    let capability = &grant.capability;
    Some(FailedHop { chunk: capability.chunk, version: capability.version, from: None, to, status })
}

/// Where the granted chunk is.
pub(crate) fn location(grant: &WriteGrant) -> ChunkLocation {
    ChunkLocation {
        index: grant.index,
        chunk: grant.capability.chunk,
        version: grant.capability.version,
        replicas: grant.chain.clone(),
        more: false,
    }
}
