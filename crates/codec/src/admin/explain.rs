//! Why the chunks of a file are where they are, as operators see it.

mod convert;

use super::{FileTarget, ObstacleKind, Unmet};
use types::{Attributes, ChunkIndex, InodeId};

/// Groups of equal chunks in one answer, and ranges of chunks in all of them.
pub const GROUPS_MAX: usize = 512;
/// See [`GROUPS_MAX`].
pub const RANGES_MAX: usize = 8_192;
/// Parts of a class that an answer speaks of.
pub const PARTS_MAX: usize = 8;

/// What an operator wants explained.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExplainTarget {
    /// A file or directory.
    pub target: FileTarget,
    /// The directory that it lies in, if it was named by number: a file may be in several.
    pub parent: Option<InodeId>,
}

/// Where a file's chunks are, where they should be, and what is in the way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// Its path; empty if it was asked for by number.
    pub path: Vec<u8>,
    /// Attributes.
    pub attributes: Attributes,
    /// Its class.
    pub class: String,
    /// So many directories up the same class is found, without another one between.
    pub levels: u32,
    /// The class of the directory above those; empty: there is none.
    pub above: String,
    /// What the class asks for.
    pub parts: Vec<ExplainedPart>,
    /// What replicas may not share, as `class show` prints it.
    pub spread: String,
    /// Chunks in all.
    pub chunks: u64,
    /// Chunks by what is to be said of them. At most [`GROUPS_MAX`].
    pub groups: Vec<ChunkGroup>,
    /// Chunks that are in none of them.
    pub left_out: u64,
}

/// A part of a class.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExplainedPart {
    /// `create`, `keep`...
    pub name: String,
    /// Its expression.
    pub wants: String,
    /// What the disks cannot give.
    pub unmet: Vec<Unmet>,
}

/// Chunks of which the same is to be said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChunkGroup {
    /// Which parts of the file: first and last.
    pub ranges: Vec<(ChunkIndex, ChunkIndex)>,
    /// How many chunks these are; holes are none.
    pub chunks: u64,
    /// The part of the class that says where they should be.
    pub part: String,
    /// Their replicas.
    pub replicas: Vec<ExplainedReplica>,
    /// The replicas that the part asks for.
    pub places: Vec<ExplainedPlace>,
    /// What is in the way; `None`: nothing is to be done.
    pub hindrance: Option<Hindrance>,
    /// The copy that is under way.
    pub copy: Option<ExplainedCopy>,
}

/// A replica.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExplainedReplica {
    /// `SERVER:PATH`.
    pub disk: String,
    /// Labels of disk and server.
    pub labels: Vec<String>,
    /// What it is worth.
    pub worth: Worth,
    /// What it is to the class.
    pub role: Role,
    /// Its server is not connected (1) or in maintenance (2).
    pub away: ServerAbsence,
    /// It is dispensable since an edit, and kept for so long yet.
    pub held_ms: Option<u64>,
    /// The class wants its disk read only when nothing else is left.
    pub read_last: bool,
}

/// Whether a server is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u32)]
pub enum ServerAbsence {
    /// It is.
    #[default]
    Here = 0,
    /// It is not.
    Away = 1,
    /// It is away on purpose.
    Maintenance = 2,
}

/// What a replica is worth by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u32)]
pub enum Worth {
    /// Complete, current, and can be reached.
    #[default]
    Good = 1,
    /// So when last heard of.
    Away = 2,
    /// Of a lower version, or incomplete.
    Stale = 3,
    /// So when last heard of.
    StaleAway = 4,
    /// It takes writes, and lacks what was written before.
    Filling = 5,
    /// Some pages do not match their checksums.
    Damaged = 6,
    /// To be compared before it is believed.
    Doubtful = 7,
    /// Stale and damaged, kept for its pages.
    Kept = 8,
}

impl Worth {
    /// All of them, in order of their numbers.
    pub const ALL: &[Self] = &[
        Self::Good,
        Self::Away,
        Self::Stale,
        Self::StaleAway,
        Self::Filling,
        Self::Damaged,
        Self::Doubtful,
        Self::Kept,
    ];

    /// The word in tables and JSON.
    pub fn word(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Away => "away",
            Self::Stale => "stale",
            Self::StaleAway => "stale-away",
            Self::Filling => "filling",
            Self::Damaged => "damaged",
            Self::Doubtful => "doubtful",
            Self::Kept => "kept-for-its-pages",
        }
    }
}

/// What a replica is to the class of its chunk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u32)]
pub enum Role {
    /// Where it should be.
    Fits = 1,
    /// Kept until there is a better one.
    StandsIn = 2,
    /// Its disk is to go; it is needed yet.
    Leaving = 3,
    /// Nobody needs it.
    Surplus = 4,
    /// It does not count.
    #[default]
    None = 5,
}

impl Role {
    /// All of them, in order of their numbers.
    pub const ALL: &[Self] = &[Self::Fits, Self::StandsIn, Self::Leaving, Self::Surplus, Self::None];

    /// The word in tables and JSON.
    pub fn word(self) -> &'static str {
        match self {
            Self::Fits => "fits",
            Self::StandsIn => "stands-in",
            Self::Leaving => "leaving",
            Self::Surplus => "surplus",
            Self::None => "does-not-count",
        }
    }
}

/// A replica that a part of a class asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExplainedPlace {
    /// On which disks.
    pub condition: String,
    /// It lags.
    pub lagging: bool,
    /// `SERVER:PATH` of the disk that has it, or could take it; empty: there is none.
    pub disk: String,
    /// It has it.
    pub held: bool,
    /// The disk has not the labels.
    pub off_label: bool,
    /// Another replica is in the same failure domain.
    pub off_spread: bool,
    /// Of disks with the labels, if none can take it: not connected or failed.
    pub lack_away: u32,
    /// To go.
    pub lack_leaving: u32,
    /// Without room.
    pub lack_full: u32,
    /// In a failure domain with another replica.
    pub lack_near: u32,
}

/// What is in the way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hindrance {
    /// What.
    pub kind: ObstacleKind,
    /// For so long yet, at most, if that is known.
    pub wait_ms: Option<u64>,
}

/// A copy that is under way.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExplainedCopy {
    /// `SERVER:PATH` of the first source.
    pub from: String,
    /// `SERVER:PATH` of where it is made.
    pub to: String,
    /// How far it is.
    pub stage: CopyStage,
    /// Since its bytes move.
    pub since_ms_ago: Option<u64>,
}

/// How far a copy is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u32)]
pub enum CopyStage {
    /// Writers are made to name a new version first.
    #[default]
    Raising = 1,
    /// It joins the chain of a writer.
    Joining = 2,
    /// It is being made.
    Copying = 3,
    /// It takes all writes, and what was there before is being brought.
    Feeding = 4,
}

impl CopyStage {
    /// All of them, in order of their numbers.
    pub const ALL: &[Self] = &[Self::Raising, Self::Joining, Self::Copying, Self::Feeding];

    /// The word in tables and JSON.
    pub fn word(self) -> &'static str {
        match self {
            Self::Raising => "raising",
            Self::Joining => "joining",
            Self::Copying => "copying",
            Self::Feeding => "feeding",
        }
    }
}
