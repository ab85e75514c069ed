//! Chunks, as operators look through them.

use super::explain::ChunkGroup;
use crate::common::{list, need, part, text, version, within};
use crate::limits::LABEL_BYTES_MAX;
use crate::{Malformed, proto};
use std::collections::BTreeSet;
use types::{ChunkId, InodeId, Version};

/// Chunks in one answer.
pub const CHUNK_PAGE_MAX: usize = 256;

/// Which chunks an operator asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChunkQuery {
    /// Where to begin: 0, and then what the last answer said.
    pub from: u32,
    /// How they stand.
    pub states: BTreeSet<ChunkState>,
}

/// A part of all chunks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChunkPage {
    /// Those that stand in a way that was asked for.
    pub chunks: Vec<ChunkEntry>,
    /// Where to go on; `None`: nothing follows.
    pub next: Option<u32>,
}

/// A chunk.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChunkEntry {
    /// Which one.
    pub chunk: ChunkId,
    /// Its version.
    pub version: Version,
    /// How it stands.
    pub state: ChunkState,
    /// The name of its class.
    pub class: String,
    /// A file that has it; `None`: it left its file a moment ago.
    pub inode: Option<InodeId>,
    /// Which part of the file it is, where its replicas are, and what is in the way.
    pub told: ChunkGroup,
}

/// How a chunk stands, by the worst that is to be said of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u32)]
pub enum ChunkState {
    /// As many good replicas as wanted, where they should be.
    #[default]
    Ok = 1,
    /// More than wanted.
    Overgoal = 2,
    /// Enough, and not where they should be.
    Misplaced = 3,
    /// Enough, but some of them on disks that are to go.
    Leaving = 4,
    /// Enough, and they may differ until they were compared.
    Uncompared = 5,
    /// Fewer than wanted.
    Undergoal = 6,
    /// Pages of a replica do not match their checksums.
    Damaged = 7,
    /// One, although more are wanted.
    Endangered = 8,
    /// None that can be reached.
    Missing = 9,
    /// None yet: disks have yet to report after the master's start.
    Unknown = 10,
}

impl ChunkState {
    /// All of them, in order of their numbers.
    pub const ALL: [Self; 10] = [
        Self::Ok,
        Self::Overgoal,
        Self::Misplaced,
        Self::Leaving,
        Self::Uncompared,
        Self::Undergoal,
        Self::Damaged,
        Self::Endangered,
        Self::Missing,
        Self::Unknown,
    ];

    /// The word in tables, JSON and arguments.
    pub fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Overgoal => "overgoal",
            Self::Misplaced => "misplaced",
            Self::Leaving => "leaving",
            Self::Uncompared => "uncompared",
            Self::Undergoal => "undergoal",
            Self::Damaged => "damaged",
            Self::Endangered => "endangered",
            Self::Missing => "missing",
            Self::Unknown => "unknown",
        }
    }

    fn of_number(number: u32) -> Result<Self, Malformed> {
        need(Self::ALL.into_iter().find(|state| *state as u32 == number), "state of a chunk")
    }
}

impl From<&ChunkQuery> for proto::ChunksQuery {
    fn from(v: &ChunkQuery) -> Self {
        Self { from: v.from, states: v.states.iter().map(|state| *state as u32).collect() }
    }
}

impl TryFrom<proto::ChunksQuery> for ChunkQuery {
    type Error = Malformed;
    fn try_from(p: proto::ChunksQuery) -> Result<Self, Malformed> {
        within(p.states.len(), ChunkState::ALL.len(), "states of chunks")?;
        let states: Result<_, _> = p.states.into_iter().map(ChunkState::of_number).collect();
        Ok(Self { from: p.from, states: states? })
    }
}

impl From<&ChunkPage> for proto::ChunkPage {
    fn from(v: &ChunkPage) -> Self {
        Self { chunks: v.chunks.iter().map(Into::into).collect(), next: v.next }
    }
}

impl TryFrom<proto::ChunkPage> for ChunkPage {
    type Error = Malformed;
    fn try_from(p: proto::ChunkPage) -> Result<Self, Malformed> {
        Ok(Self { chunks: list(p.chunks, CHUNK_PAGE_MAX, "chunks")?, next: p.next })
    }
}

impl From<&ChunkEntry> for proto::ChunkEntry {
    fn from(v: &ChunkEntry) -> Self {
        Self {
            chunk: v.chunk.0,
            version: v.version.to_u64(),
            state: v.state as u32,
            class: v.class.clone(),
            inode: v.inode.map(|inode| inode.0),
            told: Some((&v.told).into()),
        }
    }
}

impl TryFrom<proto::ChunkEntry> for ChunkEntry {
    type Error = Malformed;
    fn try_from(p: proto::ChunkEntry) -> Result<Self, Malformed> {
        Ok(Self {
            chunk: ChunkId(p.chunk),
            version: version(p.version)?,
            state: ChunkState::of_number(p.state)?,
            class: text(p.class, LABEL_BYTES_MAX, "name of a class")?,
            inode: p.inode.map(InodeId),
            told: part(p.told, "replicas of a chunk")?,
        })
    }
}
