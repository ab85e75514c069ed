//! What an operator asks a master and is told, as plain values.

mod change;
mod chunks;
mod convert;
mod edit;
mod explain;
mod health;
mod limits;
mod removal;
mod trash;

pub use change::*;
pub use chunks::*;
pub use edit::*;
pub use explain::*;
pub use health::{MuteStatus, MuteWish};
pub use limits::*;
pub use removal::*;
pub use trash::*;

use crate::control::{DiskState, RefusedDisk};
use types::{
    Attributes, ChunkId, ChunkIndex, ClusterId, DiskId, InodeId, LogPosition, ServerId, SessionId, Stage,
    Term, Version,
};

/// Servers in one status.
pub const SERVERS_MAX: usize = 4_096;
/// Disks in one status.
pub const STATUS_DISKS_MAX: usize = 65_536;
/// Clients in one status; what is beyond is counted by the master's metrics only.
pub const CLIENTS_MAX: usize = 8_192;
/// Warnings, and pieces of work, in one status.
pub const NOTES_MAX: usize = 1_024;

/// The state of a cluster at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClusterStatus {
    /// Identity.
    pub cluster: ClusterId,
    /// What people call it.
    pub name: String,
    /// The master's release.
    pub version: String,
    /// The reign.
    pub term: Term,
    /// Since the master started.
    pub uptime_ms: u64,
    /// The master's name.
    pub master_name: String,
    /// Where the master is reached.
    pub master_address: String,
    /// Where the log stands.
    pub position: LogPosition,
    /// Inodes that are not directories.
    pub files: u64,
    /// Directories.
    pub directories: u64,
    /// Chunks in the maps of files.
    pub mapped_chunks: u64,
    /// Since the last checkpoint was complete; `None`: there is none yet.
    pub checkpoint_age_ms: Option<u64>,
    /// All servers.
    pub servers: Vec<ServerStatus>,
    /// All disks.
    pub disks: Vec<DiskStatus>,
    /// Chunks by health.
    pub chunks: ChunkCounts,
    /// All sessions.
    pub clients: Vec<ClientStatus>,
    /// Background work under way.
    pub work: Vec<WorkStatus>,
    /// The operator accepted that nothing is authenticated.
    pub insecure: bool,
    /// What deserves a look.
    pub warnings: Vec<Warning>,
    /// Bytes that fit in all at the default number of replicas.
    pub usable_total_bytes: u64,
    /// Bytes that still fit at the default number of replicas.
    pub usable_free_bytes: u64,
    /// The default number of replicas.
    pub goal: u32,
    /// Requests of clients since the master started.
    pub requests: u64,
    /// Directories that servers were given and do not serve.
    pub refused_disks: Vec<RefusedDiskStatus>,
    /// Fewest replicas that may acknowledge a write.
    pub min_write: u32,
    /// Judging of failed hops.
    pub hops: HopCounts,
    /// Deleted files that are kept.
    pub trash: TrashStatus,
    /// Mutes of health codes, by code.
    pub mutes: Vec<MuteStatus>,
    /// Limits of healing.
    pub limits: Vec<LimitStatus>,
    /// Holds of what edits made dispensable.
    pub holds: Vec<HoldStatus>,
}

/// A directory that a server does not serve.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RefusedDiskStatus {
    /// Whose it is.
    pub server: ServerId,
    /// Which, and why not.
    pub disk: RefusedDisk,
}

/// Whether a server is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u32)]
pub enum ServerState {
    /// Registered.
    Up = 1,
    /// Not heard of.
    #[default]
    Down = 2,
}

/// A chunkserver.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServerStatus {
    /// Identity.
    pub server: ServerId,
    /// Name.
    pub name: String,
    /// `host:port`.
    pub address: String,
    /// State.
    pub state: ServerState,
    /// Since its last message.
    pub heard_ms_ago: u64,
    /// Labels.
    pub labels: Vec<String>,
    /// Its release.
    pub version: String,
    /// It is to go, with all its disks.
    pub removing: bool,
    /// It is in maintenance.
    pub maintenance: Option<Maintenance>,
}

/// A server is away on purpose: what it holds is not healed meanwhile.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Maintenance {
    /// For so long yet; `None`: until somebody ends it.
    pub left_ms: Option<u64>,
}

/// A disk.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DiskStatus {
    /// Identity.
    pub disk: DiskId,
    /// Whose it is.
    pub server: ServerId,
    /// Where it is mounted there.
    pub path: String,
    /// Labels of the disk alone.
    pub labels: Vec<String>,
    /// `None`: its server is not connected.
    pub state: Option<DiskState>,
    /// Bytes.
    pub total_bytes: u64,
    /// Bytes free.
    pub free_bytes: u64,
    /// Replicas of known chunks.
    pub chunks: u64,
    /// Failed operations.
    pub errors: u64,
    /// As in [`crate::control::DiskReport`].
    pub pulled_bytes: u64,
    /// Whether its report is complete.
    pub reported: bool,
    /// How far it is, if the disk is to go.
    pub removal: Option<DiskRemoval>,
}

/// Reports of failed hops since the master started, and what was decided (`docs/protocol/grants.md`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HopCounts {
    /// All of them.
    pub reported: u64,
    /// Those of clients that had made too many: nothing was done.
    pub ignored: u64,
    /// Accused members left out.
    pub far_left_out: u64,
    /// Accusers left out, since they blame everybody.
    pub near_left_out: u64,
    /// Both ends said that nothing had failed.
    pub denied: u64,
    /// Nobody was left out because too few would have remained, or only the accuser.
    pub spared: u64,
    /// Writers that were told to wait because too few replicas could acknowledge a write.
    pub held_back: u64,
}

/// Chunks by health.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ChunkCounts {
    /// As many replicas as wanted.
    pub ok: u64,
    /// At least two, fewer than wanted.
    pub undergoal: u64,
    /// One, although more are wanted.
    pub endangered: u64,
    /// None.
    pub missing: u64,
    /// More than wanted.
    pub overgoal: u64,
    /// Replicas that an edit made dispensable, and that are kept for a while.
    pub held: u64,
    /// As many as wanted, but not without those on disks that are to go.
    pub leaving: u64,
    /// None so far, while disks have yet to report.
    pub unknown: u64,
    /// Replicas of chunks that the metadata does not know.
    pub quarantined: u64,
    /// Replicas of removed chunks not yet deleted.
    pub deleting: u64,
    /// Disks have yet to report after the master's start.
    pub settling: bool,
    /// Their replicas may differ in what nobody acknowledged or synced, and are to be compared.
    pub unsettled: u64,
    /// A replica of them has pages that do not match their checksums. They are among the others by how many are sound.
    pub damaged: u64,
}

/// A session.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientStatus {
    /// Name.
    pub name: String,
    /// Session.
    pub session: SessionId,
    /// Where it connects from; empty while it is not connected.
    pub address: String,
    /// Since the session was opened.
    pub since_ms_ago: u64,
    /// Whether it is connected now.
    pub connected: bool,
}

/// Background work.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WorkStatus {
    /// In a few words.
    pub what: String,
    /// How much is done.
    pub done: u64,
    /// Of how much; 0: not known.
    pub total: u64,
}

/// How bad a warning is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u32)]
pub enum Severity {
    /// Good to know; the cluster is healthy.
    #[default]
    Note = 1,
    /// The cluster is degraded.
    Warning = 2,
    /// Data cannot be read, or soon cannot.
    Critical = 3,
}

/// What deserves a look.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Warning {
    /// The word of a [`types::HealthCode`], and what it is about if that is one thing: `CLASS_UNSATISFIABLE photos`.
    pub code: String,
    /// How bad.
    pub severity: Severity,
    /// What, to what, why.
    pub message: String,
    /// One runnable command, or what to do.
    pub next: String,
    /// How many things it concerns.
    pub amount: u64,
}

impl Warning {
    /// The code alone, and what the warning is about, which may be empty.
    pub fn parts(&self) -> (&str, &str) {
        self.code.split_once(' ').unwrap_or((&self.code, ""))
    }
}

/// Which file an operator asks about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileTarget {
    /// By path from the cluster's root, `/`-separated.
    Path(Vec<u8>),
    /// By number.
    Inode(InodeId),
}

/// A file and where its chunks are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileInfoReply {
    /// Its path; empty if it was asked for by number and no name is known.
    pub path: Vec<u8>,
    /// Attributes.
    pub attributes: Attributes,
    /// Name of its storage class.
    pub class: String,
    /// Replicas the class asks for.
    pub goal: u32,
    /// Chunks in order; holes are left out. At most [`crate::limits::FILE_INFO_CHUNKS_MAX`].
    pub chunks: Vec<FileChunk>,
    /// In which part of its life it is.
    pub stage: Stage,
}

/// One chunk of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileChunk {
    /// Which part of the file.
    pub index: ChunkIndex,
    /// The chunk.
    pub chunk: ChunkId,
    /// Its version.
    pub version: Version,
    /// Current replicas that can be reached.
    pub replicas: Vec<FileReplica>,
}

/// One replica and where it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FileReplica {
    /// The server.
    pub server: ServerId,
    /// Its name.
    pub server_name: String,
    /// The disk.
    pub disk: DiskId,
    /// Where it is mounted there.
    pub disk_path: String,
    /// Where the server is reached.
    pub address: String,
    /// Labels of server and disk.
    pub labels: Vec<String>,
    /// Pages of it do not match their checksums.
    pub damaged: bool,
}
