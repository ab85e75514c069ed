//! What the fleet is told and what it wants done: its whole surface besides the queries.
//!
//! The master feeds [`Event`]s in the order in which they happen and carries out [`Command`]s in the
//! order in which they appear. Nothing here waits: a question comes in as an event with a ticket, and
//! its answer leaves as a command with the same ticket, at once or after orders and records.

use placement::{Condition, Layout, ParseError, Policy};
use types::{
    BlockRange, ChunkId, ChunkIndex, ChunkSlot, ClassId, DiskId, Expression, FailedHop, HoldId, Holder,
    InodeRef, Labels, Limit, LimitScope, LogIndex, ReplicaAddress, ServerId, SessionId, Stage, Status,
    StorageClass, Term, Unsettled, Version,
};

/// The caller's number for a question; the answer carries it. Never used twice at the same time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// The fleet's number for a raise it wants in the changelog.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RaiseTicket(pub u64);

/// The fleet's number for an order to a chunkserver; unique within the term.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OrderId(pub u64);

/// A byte range of a chunk, `from..to`, that must read as zeroes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cut {
    /// First byte.
    pub from: u64,
    /// The byte after the last.
    pub to: u64,
}

/// What a disk says about itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DiskState {
    /// Serves reads and writes.
    #[default]
    Good,
    /// Serves reads; takes no new chunks.
    ReadOnly,
    /// Serves nothing; its replicas count as absent.
    Failed,
}

/// A disk as it registers or as a heartbeat describes it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DiskInfo {
    /// Which disk.
    pub disk: DiskId,
    /// Where it is mounted, for people.
    pub path: String,
    /// Labels of the disk alone.
    pub labels: Vec<String>,
    /// Bytes of the device.
    pub total_bytes: u64,
    /// Bytes free on it.
    pub free_bytes: u64,
    /// Disks with the same number are directories of one device (one mount of one kernel) and share its bytes; 0: of its own.
    pub device: u64,
    /// Its state.
    pub state: DiskState,
}

/// A chunkserver as it registers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServerInfo {
    /// Which server.
    pub server: ServerId,
    /// Its name, for people.
    pub name: String,
    /// `host:port` where clients and peers reach it.
    pub address: String,
    /// Labels inherited by its disks.
    pub labels: Vec<String>,
    /// Its disks.
    pub disks: Vec<DiskInfo>,
}

/// A replica named in a disk's report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReportedReplica {
    /// The chunk's slot, if the metadata knows the chunk.
    pub slot: Option<ChunkSlot>,
    /// The chunk.
    pub chunk: ChunkId,
    /// The version the replica has.
    pub version: Version,
    /// Not filling, not lagging, not bad.
    pub complete: bool,
    /// Some of its pages do not match their checksums.
    pub damaged: bool,
    /// It may differ from others of its version until they were compared.
    pub marked: bool,
    /// It is so marked, and may lack writes that were answered and not synced.
    pub power_lost: bool,
    /// Pages of it were being written when its server was stopped, and do not match their checksums: others are to be
    /// asked for them.
    pub torn: bool,
}

impl ReportedReplica {
    /// One of which nothing bad is known.
    pub fn sound(slot: Option<ChunkSlot>, chunk: ChunkId, version: Version) -> Self {
        let (damaged, marked, power_lost, torn) = (false, false, false, false);
        Self { slot, chunk, version, complete: true, damaged, marked, power_lost, torn }
    }
}

/// What a storage class asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClassPolicies {
    /// Of new chunks.
    pub create: Policy,
    /// Of chunks that exist.
    pub keep: Policy,
    /// Of chunks of archived files; `None`: as `keep`.
    pub archive: Option<Policy>,
    /// Of chunks of deleted files; `None`: as before.
    pub trash: Option<Policy>,
    /// Disks to read from only when nothing else is left.
    pub read_last: Option<Condition>,
}

impl ClassPolicies {
    /// The same of both.
    pub fn same(policy: Policy) -> Self {
        Self { create: policy.clone(), keep: policy, archive: None, trash: None, read_last: None }
    }

    /// What a class of the metadata asks for.
    pub fn of(class: &StorageClass) -> Result<Self, ParseError> {
        let policy = |layout: &Expression| {
            Ok(Policy {
                layout: Layout::parse(layout.as_str())?,
                spread: class.spread.clone(),
                mode: class.mode,
                min_write: class.min_write.map(usize::from),
            })
        };
        let archive = class.archive.as_ref().map(|archive| &archive.to);
        Ok(Self {
            create: policy(class.create.as_ref().unwrap_or(&class.keep))?,
            keep: policy(&class.keep)?,
            archive: archive.map(policy).transpose()?,
            trash: class.trash.as_ref().map(policy).transpose()?,
            read_last: class.read_last.as_ref().map(|text| Condition::parse(text.as_str())).transpose()?,
        })
    }

    /// What is asked of chunks that exist.
    pub fn of_stage(&self, stage: Stage) -> &Policy {
        let archive = self.archive.as_ref().filter(|_| stage.archived);
        let trash = self.trash.as_ref().filter(|_| stage.trashed);
        trash.or(archive).unwrap_or(&self.keep)
    }

    /// Fewest replicas that may acknowledge a write: what new chunks and those of the stage can give, so that what was
    /// written can be written again.
    pub fn min_write(&self, stage: Stage) -> usize {
        self.create.min_write().min(self.of_stage(stage).min_write())
    }
}

/// What becomes of a disk that is to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Removing {
    /// It stays in service when nothing on it is needed any more, instead of being closed.
    pub drain_only: bool,
    /// The disk that takes its place.
    pub with: Option<DiskId>,
}

/// What was wanted before an edit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HeldFor {
    /// Of chunks of a class.
    Class(ClassId, Box<ClassPolicies>),
    /// A server or a disk had these labels.
    Labels(Holder, Labels),
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "fields carry the names of the vocabulary")]
pub enum Event {
    /// At start, once: the disks that the metadata knows. While they have not all reported the fleet settles.
    KnownDisks(Vec<(ServerId, DiskId)>),
    /// A chunkserver registered, its disks' counters are recorded. Its reports follow. Before it, the
    /// disks' former replicas count as absent, also if the fleet was not told that the server had gone.
    ServerRegistered(ServerInfo),
    /// A chunkserver's control stream ended.
    ServerGone { server: ServerId },
    /// A heartbeat: space and state of the disks named.
    Heartbeat { server: ServerId, disks: Vec<DiskInfo> },
    /// Replicas a disk holds; `last` ends its report, and what it did not name it does not have.
    Reported { disk: DiskId, replicas: Vec<ReportedReplica>, last: bool },
    /// A chunkserver created a replica by a first write (its message `Born`).
    ReplicaBorn { disk: DiskId, slot: Option<ChunkSlot>, chunk: ChunkId, version: Version },
    /// A chunkserver found a replica damaged: it is no longer read nor written.
    Damaged { disk: DiskId, slot: Option<ChunkSlot>, chunk: ChunkId },
    /// The chain of a replica failed, and other members may lack some of what it has.
    Unsettled { disk: DiskId, slot: Option<ChunkSlot>, chunk: ChunkId, version: Version },
    /// `meta`: a chunk entered a map; also once for each chunk after a checkpoint is loaded.
    ChunkBorn { slot: ChunkSlot, chunk: ChunkId, version: Version, class: ClassId },
    /// `meta`: a chunk left all maps by the record `index`. Delivered when the record is *applied* (the
    /// slot may be used again at once); nothing is deleted before [`Event::Stable`] reaches `index`.
    ChunkGone { slot: ChunkSlot, chunk: ChunkId, version: Version, index: LogIndex },
    /// `meta`: a chunk is in another class now.
    ChunkClass { slot: ChunkSlot, class: ClassId },
    /// `meta`: the chunk's file is in another stage; also after `ChunkBorn`, if it is not in the first.
    ChunkStage { slot: ChunkSlot, stage: Stage },
    /// `meta`: what a class asks for; at the start once for each, before the chunks.
    ClassSet { class: ClassId, policies: Box<ClassPolicies> },
    /// `meta`: the class is no more. What is left of its chunks keeps what it has.
    ClassGone { class: ClassId },
    /// `meta`: the labels of a server; from now on those that it registers with count no more.
    ServerLabels { server: ServerId, labels: Labels },
    /// `meta`: the same of a disk.
    DiskLabels { disk: DiskId, labels: Labels },
    /// `meta`: a server, with all its disks, or a disk is to go; `None`: it stays.
    Removing { holder: Holder, removing: Option<Removing> },
    /// `meta`: what a server holds is not healed before then, since it is away on purpose; `None`: it is not.
    Maintenance { server: ServerId, until_ms: Option<u64> },
    /// `meta`: what the edits from this one on make dispensable is held until then; comes before the edit. Or it lasts longer.
    Held { hold: HoldId, cause: HeldFor, until_ms: u64 },
    /// `meta`: the hold is over.
    HoldEnded { hold: HoldId },
    /// `meta`: all limits of copying that there are.
    Limits(Vec<(LimitScope, Limit)>),
    /// `meta`: the server or disk is not known any more. A disk that is seen again is a new one.
    Forgotten { holder: Holder },
    /// `meta`: a record gave the chunk this version (a raise or an edit was applied).
    ChunkVersion { slot: ChunkSlot, chunk: ChunkId, version: Version },
    /// The log is stable (here and wherever `ack` asks for) up to and including this index.
    Stable { index: LogIndex },
    /// The inode no longer exists, or was deleted while nobody had it open, by the record `index`: what was reserved for it is
    /// released.
    InodeGone { inode: InodeRef, index: LogIndex },
    /// A truncate or a punch was applied (record `index`): reservations for these parts of the file are void, so that
    /// bytes written before it cannot come back. `first..=last`. `editor`: nothing of the map was cut, and what this
    /// session alone ever wrote to stays, since it committed everything before it asked.
    RangeCut {
        inode: InodeRef,
        first: ChunkIndex,
        last: ChunkIndex,
        index: LogIndex,
        editor: Option<SessionId>,
    },
    /// A session wants to write. `existing`: what the file's map says now. Answer: [`Command::Granted`].
    GrantWanted {
        /// Answered with the same ticket.
        ticket: Ticket,
        /// The file.
        inode: InodeRef,
        /// Which part.
        index: ChunkIndex,
        /// The chunk in the map, if there is one.
        existing: Option<(ChunkSlot, ChunkId)>,
        /// Of the file; for a chunk yet to be made.
        class: ClassId,
        /// Who asks.
        session: SessionId,
        /// Why the grant it has is of no use.
        failed: Option<FailedHop>,
    },
    /// A session wants to read a chunk of which [`crate::Fleet::may_refuse_readers`] says so.
    ReadWanted { slot: ChunkSlot },
    /// A truncate or punch cuts ranges out of a chunk of the map. Answer: [`Command::EditReady`], after
    /// which the chunk is held until [`Event::EditLogged`] or [`Event::EditDropped`]. The caller runs
    /// one edit per inode at a time (two edits with two chunks each could otherwise wait for each other).
    EditWanted { ticket: Ticket, slot: ChunkSlot, chunk: ChunkId, cuts: Vec<Cut> },
    /// The record that names the edit's version is stable (its `ChunkVersion` came before).
    EditLogged { ticket: Ticket },
    /// The edit's record was not made after all; the fleet records the raise itself.
    EditDropped { ticket: Ticket },
    /// An order was carried out or refused. Arriving twice or late does no harm.
    /// `unsettled`: of a raise, in what the replicas may differ.
    OrderDone { order: OrderId, status: Result<(), Status>, unsettled: Unsettled },
    /// The record asked for by [`Command::LogRaise`] is stable (`Ok`) or was refused.
    Logged { raise: RaiseTicket, result: Result<(), Status> },
    /// A session ended; what it reserved is released.
    SessionGone { session: SessionId },
    /// Time passes; at least every 200 ms.
    Tick,
}

/// An order to a chunkserver. Each carries the term; a lower one is refused there.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "fields carry the names of the vocabulary")]
pub enum Order {
    /// Bring the replica from any version in `from..to` to `to`, durably, with `cuts` reading as zeroes.
    /// A replica already at `to` answers `Ok` (an order may arrive twice).
    Raise { disk: DiskId, chunk: ChunkId, from: Version, to: Version, cuts: Vec<Cut> },
    /// Set aside the replica if its version is at most `version`; absent answers `NoChunk`.
    Delete { disk: DiskId, chunk: ChunkId, version: Version, unknown: bool },
    /// Make a replica of this version from one of the sources, complete and durable before the answer.
    Copy { disk: DiskId, chunk: ChunkId, version: Version, sources: Vec<ReplicaAddress> },
    /// A copy or a filling of this replica, ordered before, may read so many bytes per second; 0: as many as go through. Its
    /// answer says nothing.
    Pace { disk: DiskId, chunk: ChunkId, bytes_per_s: u64 },
    /// Begin a replica that says *filling* and takes the writes of this version, of which none was granted yet.
    Fill { disk: DiskId, chunk: ChunkId, version: Version },
    /// Make that replica complete and durable while its chunk is written, from one of the sources, before the answer.
    Feed { disk: DiskId, chunk: ChunkId, version: Version, sources: Vec<ReplicaAddress> },
    /// Make these blocks of a replica of this version what they are at the source, durable before the answer. Without
    /// a source: the others have followed this replica.
    Repair {
        disk: DiskId,
        chunk: ChunkId,
        version: Version,
        source: Option<ReplicaAddress>,
        blocks: Vec<BlockRange>,
    },
    /// Replace the torn pages of the replica by those of the first source on which they match their checksums, durably; or
    /// by those of a doubted one, if they match the replica's. What matches on none keeps its bytes.
    MendTorn {
        disk: DiskId,
        chunk: ChunkId,
        version: Version,
        sources: Vec<ReplicaAddress>,
        doubted: Vec<ReplicaAddress>,
    },
    /// Replace the pages of the replica that do not match their checksums by those of the sources, durably. `Corrupt`: one
    /// is sound nowhere.
    Mend { disk: DiskId, chunk: ChunkId, version: Version, sources: Vec<ReplicaAddress> },
    /// Answer `Ok` only if the replica is complete, sound, of this version, and its checksums can be read.
    Verify { disk: DiskId, chunk: ChunkId, version: Version },
    /// Serve the disk no more, now and after every start. Refused if it holds more replicas than these, which nobody needs.
    Close { disk: DiskId, replicas: u64 },
}

/// A grant, less the capability that the master adds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrantParts {
    /// The chunk.
    pub chunk: ChunkId,
    /// Its version.
    pub version: Version,
    /// Members in order.
    pub chain: Vec<ReplicaAddress>,
    /// The map lacks the chunk: its first write makes it, a commit puts it into the map.
    pub fresh: bool,
}

/// What the master is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "fields carry the names of the vocabulary")]
pub enum Command {
    /// Send an order; a server that is not connected just loses it (the fleet learns by `ServerGone`).
    Order { server: ServerId, order: OrderId, term: Term, what: Order },
    /// Log `Op::Raise`; answer with `ChunkVersion` when applied and `Logged` when stable.
    LogRaise {
        /// Names the raise in the answer.
        raise: RaiseTicket,
        /// The chunk.
        chunk: ChunkId,
        /// Its new version.
        version: Version,
        /// The disks that have it.
        members: Vec<DiskId>,
    },
    /// The answer to `GrantWanted`.
    Granted { ticket: Ticket, grant: Result<GrantParts, Status> },
    /// The answer to `EditWanted`: all members have this version and the cuts.
    EditReady { ticket: Ticket, version: Result<Version, Status> },
    /// The disk was to go, is closed and holds nothing that is needed: log that it is forgotten.
    Closed { disk: DiskId },
    /// A replica carries a term above ours: there is a newer master, this one must stop.
    StepDown { seen: Term },
}
