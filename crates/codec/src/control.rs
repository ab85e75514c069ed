//! Messages between a chunkserver and a master, as plain values (`docs/protocol/control.md`).
//!
//! # Invariants
//! 1. Every order carries the term of the master that gave it.
//! 2. A report is cut into pieces of at most [`REPORT_ENTRIES_MAX`] replicas; the last says so.

mod convert;

pub(crate) use convert::disk_state;

use types::{
    BlockRange, ChainSequence, ChunkId, ClusterId, DiskId, ReplicaAddress, ServerId, Status, Term, Unsettled,
    Version,
};

/// Replicas in one [`ChunkReport`], and in one [`ToMaster::Born`].
pub const REPORT_ENTRIES_MAX: usize = 10_000;
/// Disks of one server.
pub const DISKS_MAX: usize = 256;
/// Labels of one server or disk.
pub const LABELS_MAX: usize = 64;
/// Ranges that one raise cuts.
pub const CUTS_MAX: usize = 64;
/// Ranges of touched blocks in one answer: every second block of a chunk.
pub const TOUCHED_MAX: usize = 512;

/// From a chunkserver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ToMaster {
    /// The first message: who is here.
    Register(Register),
    /// After [`Registered`]: what one disk holds.
    Report(ChunkReport),
    /// Every 2 s: space and state of all disks.
    Heartbeat {
        /// All disks that are served.
        disks: Vec<DiskReport>,
        /// Those that are not.
        refused: Vec<RefusedDisk>,
    },
    /// First writes have created these replicas.
    Born(Vec<BornReplica>),
    /// An order was carried out or refused.
    OrderDone(OrderDone),
    /// A replica turned out damaged: it is no longer served.
    Damaged {
        /// The disk.
        disk: DiskId,
        /// The chunk.
        chunk: ChunkId,
        /// The version of the damaged replica.
        version: Version,
    },
    /// The chain of a replica has failed, and other members may lack some of what it has.
    Unsettled {
        /// The disk.
        disk: DiskId,
        /// The chunk.
        chunk: ChunkId,
        /// The version of the damaged replica.
        version: Version,
    },
    /// [`ToServer::AddDisk`] changed nothing. If it did, the server registers anew, with the disk.
    DiskNotAdded(RefusedDisk),
}

/// To a chunkserver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ToServer {
    /// The server is in; its disks' counters are recorded. Reports follow.
    Registered(Registered),
    /// The server may not register. The stream ends after it.
    Refused(Refused),
    /// Something to do; answered by [`OrderDone`].
    Order(Order),
    /// Answers a heartbeat.
    HeartbeatAck {
        /// The master's term.
        term: Term,
    },
    /// Serve a directory that the configuration does not name, or that was removed.
    AddDisk {
        /// From the root of the server's filesystems.
        path: String,
    },
}

/// A chunkserver introduces itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Register {
    /// Identity.
    pub server: ServerId,
    /// What people call it.
    pub name: String,
    /// `host:port` where clients and peers reach it.
    pub address: String,
    /// The cluster its disks belong to; `None` when all are blank.
    pub cluster: Option<ClusterId>,
    /// Labels that its disks inherit.
    pub labels: Vec<String>,
    /// The highest term it has seen.
    pub highest_term: Term,
    /// Its disks.
    pub disks: Vec<DiskReport>,
    /// The release it runs, for people.
    pub version: String,
    /// Directories that it was given and does not serve.
    pub refused: Vec<RefusedDisk>,
}

/// What a disk says about itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u32)]
pub enum DiskState {
    /// Serves reads and writes.
    #[default]
    Good = 1,
    /// Serves reads; takes no new chunks.
    ReadOnly = 2,
    /// Serves nothing.
    Failed = 3,
}

/// A disk at registration or in a heartbeat.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DiskReport {
    /// Identity.
    pub disk: DiskId,
    /// Where it is mounted, for people.
    pub path: String,
    /// Labels of the disk alone.
    pub labels: Vec<String>,
    /// Bytes of the device.
    pub total_bytes: u64,
    /// Bytes free to us.
    pub free_bytes: u64,
    /// The counter in its stamp.
    pub registrations: u64,
    /// See [`types::Verifier`].
    pub boot: u64,
    /// State.
    pub state: DiskState,
    /// Failed reads, writes and syncs since the process started.
    pub errors: u64,
    /// Bytes that other servers sent, since then, so that replicas here were made, filled, repaired or mended.
    pub pulled_bytes: u64,
}

/// Why a directory that a chunkserver was given is not served.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u32)]
pub enum DiskRefusal {
    /// It is being opened.
    #[default]
    Opening = 1,
    /// There is no such directory.
    Absent = 2,
    /// It cannot be read.
    Unreadable = 3,
    /// It is empty and may not be stamped.
    Blank = 4,
    /// It holds something else.
    Foreign = 5,
    /// It is a disk of another cluster.
    OtherCluster = 6,
    /// Its stamp is damaged.
    Damaged = 7,
    /// Another release wrote it, in another format.
    OtherFormat = 8,
    /// Another process has it.
    InUse = 9,
    /// Another directory of the server is the same disk.
    Duplicate = 10,
    /// It failed in service.
    Failed = 11,
    /// It does not answer.
    Hanging = 12,
    /// It is mounted read-only: what it holds is read.
    ReadOnly = 13,
    /// It is served without some replicas, which cannot be settled after an unclean stop.
    HeldBack = 14,
}

impl DiskRefusal {
    /// All of them.
    pub const ALL: [Self; 14] = [
        Self::Opening,
        Self::Absent,
        Self::Unreadable,
        Self::Blank,
        Self::Foreign,
        Self::OtherCluster,
        Self::Damaged,
        Self::OtherFormat,
        Self::InUse,
        Self::Duplicate,
        Self::Failed,
        Self::Hanging,
        Self::ReadOnly,
        Self::HeldBack,
    ];

    /// The word for people and in JSON.
    pub fn word(self) -> &'static str {
        match self {
            Self::Opening => "opening",
            Self::Absent => "absent",
            Self::Unreadable => "unreadable",
            Self::Blank => "blank",
            Self::Foreign => "foreign",
            Self::OtherCluster => "other-cluster",
            Self::Damaged => "damaged",
            Self::OtherFormat => "other-format",
            Self::InUse => "in-use",
            Self::Duplicate => "duplicate",
            Self::Failed => "failed",
            Self::Hanging => "hanging",
            Self::ReadOnly => "read-only",
            Self::HeldBack => "held-back",
        }
    }
}

/// A directory that is not served, in a registration or a heartbeat.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RefusedDisk {
    /// Where it is.
    pub path: String,
    /// Labels of the disk alone.
    pub labels: Vec<String>,
    /// For the program.
    pub refusal: DiskRefusal,
    /// For the person.
    pub reason: String,
    /// What the person can do.
    pub next: String,
}

/// What is to be known about a replica besides chunk and version.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReplicaFlags(u32);

impl ReplicaFlags {
    /// Holds all of the chunk: the only kind that counts.
    pub const COMPLETE: Self = Self(1);
    /// Is being filled.
    pub const FILLING: Self = Self(1 << 1);
    /// Holds an earlier sync point.
    pub const LAGGING: Self = Self(1 << 2);
    /// Some of its pages failed a check.
    pub const DAMAGED: Self = Self(1 << 3);
    /// The activity log has marks on it: compare before reading from several replicas.
    pub const MARKED: Self = Self(1 << 4);
    /// Has pages that were being written at an unclean stop and do not match their checksums.
    pub const TORN: Self = Self(1 << 5);
    /// Its disk failed to store something: of no use until it is made anew.
    pub const BAD: Self = Self(1 << 6);
    /// Its machine lost power while it was being written: what was not synced may be gone.
    pub const POWER_LOST: Self = Self(1 << 7);

    /// The bits of a message. Bits of later releases are kept.
    pub fn from_bits(bits: u32) -> Self {
        Self(bits)
    }
    /// The bits for a message.
    pub fn bits(self) -> u32 {
        self.0
    }
    /// Both.
    pub fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
    /// Whether all of `other` are set.
    pub fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
    /// Has all writes of its version: neither filling nor lagging nor bad.
    pub fn is_complete(self) -> bool {
        let spoilers = Self::FILLING.with(Self::LAGGING).with(Self::BAD);
        self.contains(Self::COMPLETE) && self.0 & spoilers.0 == 0
    }
}

/// One replica of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReportedChunk {
    /// The chunk.
    pub chunk: ChunkId,
    /// The replica's version.
    pub version: Version,
    /// Its condition.
    pub flags: ReplicaFlags,
}

/// What a disk holds, or a piece of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChunkReport {
    /// The disk.
    pub disk: DiskId,
    /// At most [`REPORT_ENTRIES_MAX`].
    pub entries: Vec<ReportedChunk>,
    /// What no piece named, the disk does not have.
    pub last: bool,
}

/// A replica that a first write created.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BornReplica {
    /// The disk.
    pub disk: DiskId,
    /// The chunk.
    pub chunk: ChunkId,
    /// The version.
    pub version: Version,
}

/// The answer to an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderDone {
    /// The order's number.
    pub order: u64,
    /// How it went.
    pub result: Result<(), Status>,
    /// After `WrongVersion`: the version found.
    pub found: Option<Version>,
    /// After a raise: the last sequence applied under the old version.
    pub applied: ChainSequence,
    /// After a raise: what may differ between the members. At most [`TOUCHED_MAX`] ranges in each list.
    pub unsettled: Unsettled,
}

/// The server is in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registered {
    /// The master's term.
    pub term: Term,
    /// The cluster; blank disks are stamped with it.
    pub cluster: ClusterId,
    /// The counters for the stamps, written before the server serves anything.
    pub disks: Vec<(DiskId, u64)>,
    /// Without an answer for this long the server takes no writes.
    pub lease_ms: u32,
}

/// Why the server may not register.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// For the program.
    pub status: Status,
    /// For the person.
    pub reason: String,
    /// The master's term.
    pub term: Term,
}

/// Something to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// Unique within the term.
    pub order: u64,
    /// The master's term; a lower one than the highest seen is refused.
    pub term: Term,
    /// What.
    pub what: OrderKind,
}

/// A byte range of a chunk, `from..to`, that must read as zeroes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cut {
    /// First byte.
    pub from: u32,
    /// The byte after the last.
    pub to: u32,
}

/// What an order asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OrderKind {
    /// Bring a replica from any version in `from..to` to `to`, durably, with `cuts` reading as zeroes. A
    /// replica already at `to` answers success.
    Raise {
        /// The disk.
        disk: DiskId,
        /// The chunk.
        chunk: ChunkId,
        /// The lowest version it may have.
        from: Version,
        /// The version it gets.
        to: Version,
        /// What must read as zeroes afterwards.
        cuts: Vec<Cut>,
    },
    /// Set a replica aside if its version is at most `version`.
    Delete {
        /// The disk.
        disk: DiskId,
        /// The chunk.
        chunk: ChunkId,
        /// The highest version it may have.
        version: Version,
        /// The metadata does not know the chunk: it is kept for days, not for an hour.
        unknown: bool,
    },
    /// Make a replica of this version from others: pulled, verified, complete and durable before the answer.
    /// What else the disk has of the chunk, of a lower version or not sound, is set aside.
    Copy {
        /// The disk that gets it.
        disk: DiskId,
        /// The chunk.
        chunk: ChunkId,
        /// The version that the sources have.
        version: Version,
        /// Where to read it, the first one first. 1 to 9.
        sources: Vec<ReplicaAddress>,
    },
    /// How fast a copy or a filling may go that was ordered over this link. Carried out at once; without one it does nothing.
    Pace {
        /// The disk that gets the replica.
        disk: DiskId,
        /// The chunk.
        chunk: ChunkId,
        /// Bytes read per second; 0: as many as go through.
        bytes_per_s: u64,
    },
    /// Make blocks of a complete replica of this version equal to the source's, durably, by their differences; and
    /// forget that it had to be compared.
    Repair {
        /// The disk.
        disk: DiskId,
        /// The chunk.
        chunk: ChunkId,
        /// The version that both have.
        version: Version,
        /// Where to read; `None`: the others follow this replica, which has nothing to change.
        source: Option<ReplicaAddress>,
        /// Which blocks. At most [`TOUCHED_MAX`] ranges.
        blocks: Vec<BlockRange>,
    },
    /// Begin an empty replica that is to be filled, durably, and set aside what is there of a lower version. Nothing of this
    /// version was granted yet. It takes the writes of the version from the first one on.
    Fill {
        /// The disk that gets it.
        disk: DiskId,
        /// The chunk.
        chunk: ChunkId,
        /// The version.
        version: Version,
    },
    /// After [`OrderKind::Fill`]: pull what it lacks from members before it in the chain, while the chunk is written.
    /// Answered with success when it is complete and durable.
    Feed {
        /// The disk.
        disk: DiskId,
        /// The chunk.
        chunk: ChunkId,
        /// The version that all have.
        version: Version,
        /// Where to read it, the first one first. 1 to 9.
        sources: Vec<ReplicaAddress>,
    },
    /// Replace the pages of a replica of this version that do not match their checksums by those of the sources, durably.
    /// Answered with `Corrupt` if a page is sound on none of them; what could be replaced is.
    Mend {
        /// The damaged replica's.
        disk: DiskId,
        /// The chunk.
        chunk: ChunkId,
        /// The version that all have.
        version: Version,
        /// Where to read. 0 to 9: with none, the replica is only read whole.
        sources: Vec<ReplicaAddress>,
    },
    /// Replace the torn pages of a replica of this version by those of the first source on which they match their checksums,
    /// durably; or by those of a doubted one, if they match the checksum that is on record here. What matches on none keeps its
    /// bytes, with a new checksum. Refused with `ChainBroken` if one of them cannot be asked.
    MendTorn {
        /// The replica's.
        disk: DiskId,
        /// The chunk.
        chunk: ChunkId,
        /// The version that all have.
        version: Version,
        /// Where to read. 0 to 9.
        sources: Vec<ReplicaAddress>,
        /// Those that may have an older page than this replica. 0 to 9.
        doubted: Vec<ReplicaAddress>,
    },
    /// Serve a disk no more, now and after every start. `Busy` if it holds more replicas than these.
    Close {
        /// The disk.
        disk: DiskId,
        /// Those that nobody needs.
        replicas: u64,
    },
    /// Answered with success if the replica is complete, sound, of this version, and its checksums can be read.
    Verify {
        /// The disk.
        disk: DiskId,
        /// The chunk.
        chunk: ChunkId,
        /// The version it must have.
        version: Version,
    },
}
