//! Removal of disks and servers, as operators see it.

mod convert;

pub(super) use convert::HOLDER_BYTES_MAX;

use types::{ChunkId, ChunkIndex, InodeId};

/// Obstacles that one answer names.
pub const OBSTACLES_MAX: usize = 64;

/// How far it is with a disk that is to go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DiskRemoval {
    /// It stays in service when nothing on it is needed any more.
    pub drain_only: bool,
    /// Since it was marked, or since the master's start.
    pub since_ms_ago: u64,
    /// Most replicas it held since then.
    pub most: u64,
    /// Chunks that lack good replicas elsewhere.
    pub needed: u64,
    /// Every chunk has what it wants elsewhere.
    pub safe: bool,
}

/// Which disk or server an operator asks about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RemovalTarget {
    /// A server's name or id; of a disk `SERVER:PATH` or its id.
    pub holder: String,
    /// Whether a disk is meant.
    pub disk: bool,
}

/// What keeps disks from being removed; of what is not marked: what the removal would take.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Removal {
    /// The disk or server by the name that people use.
    pub holder: String,
    /// It is to go.
    pub marked: bool,
    /// The disks that go.
    pub disks: Vec<RemovalDisk>,
    /// Chunks on them.
    pub chunks: u64,
    /// Replicas to be made elsewhere.
    pub copies: u64,
    /// Bytes in use on them.
    pub bytes: u64,
    /// Bytes free on the disks that stay.
    pub room_bytes: u64,
    /// Every chunk has what it wants elsewhere.
    pub safe: bool,
    /// What is in the way: the first ones. At most [`OBSTACLES_MAX`].
    pub obstacles: Vec<RemovalObstacle>,
    /// How many there are.
    pub obstacles_total: u64,
    /// Copies that were timed since the master's start.
    pub timed: u64,
    /// What one of them took, in the mean.
    pub copy_ms: u64,
    /// Copies that go on at the same time.
    pub at_once: u64,
}

/// A disk that goes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RemovalDisk {
    /// `SERVER:PATH`.
    pub name: String,
    /// Replicas on it.
    pub chunks: u64,
    /// How far it is; `None`: it is not marked.
    pub removal: Option<DiskRemoval>,
}

/// A chunk that is in the way of a removal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RemovalObstacle {
    /// The chunk.
    pub chunk: ChunkId,
    /// A file that has it; `None`: it is being made.
    pub inode: Option<InodeId>,
    /// Which part of the file.
    pub index: ChunkIndex,
    /// Why.
    pub kind: ObstacleKind,
    /// What its class asks for.
    pub wants: String,
}

/// What is in the way of one chunk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u32)]
pub enum ObstacleKind {
    /// No good replica can be reached that could be copied.
    NoReplica = 1,
    /// No disk that stays has its labels and room, apart from its other replicas.
    NoDisk = 2,
    /// It is being written for the first time.
    BeingMade = 3,
    /// Somebody writes it; it is left alone for a while.
    BeingWritten = 4,
    /// Its replicas are to be compared.
    Compared = 5,
    /// A copy is under way.
    Copying = 6,
    /// A copy failed and is tried again.
    Failed = 7,
    /// A replica that may come back is waited for.
    Awaited = 8,
    /// Its turn has not come.
    #[default]
    Waiting = 9,
    /// A damaged replica is being mended.
    Mending = 10,
    /// A replica that is not needed is about to go.
    Surplus = 11,
    /// Disks have yet to report after the master's start.
    Settling = 12,
    /// A replica that an edit made dispensable is kept for a while.
    Held = 13,
    /// It would be copied, and a limit that an operator set has no place.
    Limited = 14,
}

impl ObstacleKind {
    /// All of them, in order of their numbers.
    pub const ALL: &[Self] = &[
        Self::NoReplica,
        Self::NoDisk,
        Self::BeingMade,
        Self::BeingWritten,
        Self::Compared,
        Self::Copying,
        Self::Failed,
        Self::Awaited,
        Self::Waiting,
        Self::Mending,
        Self::Surplus,
        Self::Settling,
        Self::Held,
        Self::Limited,
    ];

    /// Whether it does not go away by itself.
    pub fn needs_somebody(self) -> bool {
        matches!(self, Self::NoReplica | Self::NoDisk)
    }

    /// The word in JSON.
    pub fn word(self) -> &'static str {
        match self {
            Self::NoReplica => "no-replica",
            Self::NoDisk => "no-disk",
            Self::BeingMade => "being-made",
            Self::BeingWritten => "being-written",
            Self::Compared => "being-compared",
            Self::Copying => "being-copied",
            Self::Failed => "copy-failed",
            Self::Awaited => "replica-awaited",
            Self::Waiting => "waiting",
            Self::Mending => "being-mended",
            Self::Surplus => "surplus",
            Self::Settling => "disks-awaited",
            Self::Held => "surplus-held",
            Self::Limited => "limited",
        }
    }
}
