//! The soft half of the chunk table: which disks hold what, who may write it through which chain, and
//! what is garbage.
//!
//! Everything here can be had again from the metadata and the disks' reports; nothing is stored. Plain
//! synchronous code: [`Fleet::handle`] takes an event and the time and appends [`Command`]s, which the
//! master carries out. The order of steps is in `docs/protocol/grants.md`.
//!
//! # Invariants
//! 1. No version is minted twice for a chunk, and no two chains are handed out under one version.
//! 2. No grant while a member has another version, nor before the record that names the version is stable.
//! 3. What `readable` names is complete, and has at least the version that is told with it.
//! 4. The last current replica is never left out of a chain by a report, and never deleted while a map
//!    has the chunk.
//! 5. Nothing is deleted before the record that removed it is stable, and nothing while settling.
//! 6. A copy never becomes current under a version that was granted to anybody since the copy began, unless all who were
//!    granted it write to the copy too, from the first write on.
//! 7. A change costs in proportion to what it changes: losing a disk touches the chunks on it.
//!
//! # Elsewhere
//! Which disks suit a new chunk: `placement`. What the file's map says: `meta`. Sockets and the log: `master`.

mod classes;
mod edit;
mod event;
mod explain;
mod fleet;
mod garbage;
mod grant;
mod heal;
mod hold;
mod hops;
mod hosts;
mod labels;
mod limits;
mod listing;
mod marks;
mod min_write;
mod nearness;
mod obstacles;
mod prospect;
mod raise;
mod report;
mod reserve;
mod review;
mod slot_set;
mod table;
mod views;

#[cfg(test)]
mod tests;

pub use edit::{Edit, EditEffect, EditPlan, Pace};
pub use event::*;
pub use explain::*;
pub use fleet::Fleet;
pub use limits::LimitView;
pub use listing::{Listed, Standing};
pub use nearness::Reader;
pub use obstacles::{Obstacle, Obstacles, Plan};
pub use prospect::Prospect;

use types::{DiskId, ServerId};

/// Times and limits.
#[derive(Clone, Copy, Debug)]
pub struct FleetOptions {
    /// Replicas wanted of each chunk of class 0 until its class is told.
    pub goal: usize,
    /// How long after the start a grant waits for disks rather than go ahead with fewer replicas than wanted.
    pub grace_ms: u64,
    /// How long after the start the fleet waits for known disks before it calls chunks missing and deletes.
    pub settle_ms: u64,
    /// How long a member of a chain may take to answer a raise before it is dropped.
    pub raise_timeout_ms: u64,
    /// The same as long as nobody waits for the raise: a disk may be busy.
    pub unasked_timeout_ms: u64,
    /// How long members of a raise may take to become equal before they are dropped: up to 64 MiB are compared.
    pub settle_members_ms: u64,
    /// How long the replicas of a removed chunk are left alone, once its removal is stable.
    pub delete_after_ms: u64,
    /// How long a delete order may take before it is sent again.
    pub delete_timeout_ms: u64,
    /// How long a chunk may be unknown before its replica is set aside.
    pub unknown_ms: u64,
    /// How long an accusation of a failed hop is remembered.
    pub blame_ms: u64,
    /// A server silent for so long is taken for lost by chunks with one replica left.
    pub heal_endangered_ms: u64,
    /// A server silent for so long is taken for lost by the other chunks.
    pub heal_ms: u64,
    /// The same for servers that fell silent within `heal_ms` of each other: the link to them is the likelier cause.
    pub heal_together_ms: u64,
    /// After the first grant since a chunk is to be healed, and after a chain that failed, it is left alone for so long.
    pub quiet_ms: u64,
    /// Copies at one time that one server reads, and that one server writes, as long as no limit says otherwise.
    pub copies_per_server: usize,
    /// A copy that is not answered for so long is given up.
    pub copy_timeout_ms: u64,
    /// How long the beginning of a replica that joins a chain may take: writers wait for it.
    pub join_timeout_ms: u64,
}

impl Default for FleetOptions {
    fn default() -> Self {
        Self {
            goal: 2,
            grace_ms: 3_000,
            settle_ms: 30_000,
            raise_timeout_ms: 3_000,
            unasked_timeout_ms: 20_000,
            settle_members_ms: 20_000,
            delete_after_ms: 1_000,
            delete_timeout_ms: 30_000,
            unknown_ms: 3_600_000,
            blame_ms: 60_000,
            heal_endangered_ms: 10_000,
            heal_ms: 60_000,
            heal_together_ms: 600_000,
            quiet_ms: 10_000,
            copies_per_server: 4,
            copy_timeout_ms: 600_000,
            join_timeout_ms: 2_000,
        }
    }
}

/// Reports of failed hops in this reign, and what was decided.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HopCounts {
    /// All of them.
    pub reported: u64,
    /// Those of sessions that had made too many: nothing was done.
    pub ignored: u64,
    /// Accused members left out.
    pub far_left_out: u64,
    /// Accusers left out, since they blame everybody.
    pub near_left_out: u64,
    /// Both ends said that nothing had failed: nobody was left out.
    pub denied: u64,
    /// Nobody was left out because too few would have remained, or only the accuser.
    pub spared: u64,
}

/// Chunks by health, and what else an operator wants to see at a glance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Chunks in the metadata.
    pub chunks: u64,
    /// As many current replicas as wanted.
    pub ok: u64,
    /// At least two current replicas, fewer than wanted.
    pub undergoal: u64,
    /// One current replica although more are wanted.
    pub endangered: u64,
    /// No current replica.
    pub missing: u64,
    /// More current replicas than wanted.
    pub overgoal: u64,
    /// Replicas that an edit made dispensable, and that are kept for a while.
    pub held: u64,
    /// As many as wanted, but not without those on disks that are to go.
    pub leaving: u64,
    /// As many as wanted, but not all on disks with the right labels, or apart from each other.
    pub misplaced: u64,
    /// A class or a label changed, and not all chunks that it concerns have been looked at again.
    pub reviewing: bool,
    /// No current replica so far, while disks have yet to report after the start.
    pub unknown: u64,
    /// Whether the fleet waits for known disks after the start.
    pub settling: bool,
    /// Reported replicas of chunks that the metadata does not know.
    pub quarantined: u64,
    /// Replicas of removed chunks not yet deleted.
    pub deleting: u64,
    /// Reservations of fresh chunks.
    pub reserved: u64,
    /// Raises under way.
    pub raising: u64,
    /// Replicas being made for chunks that have too few.
    pub copying: u64,
    /// Replicas made so in this reign.
    pub copied: u64,
    /// Replicas removed in this reign because there were enough others.
    pub removed: u64,
    /// Reports of failed hops so far, and what came of them.
    pub hops: HopCounts,
    /// Grants and edits so far that were told to wait because too few replicas could acknowledge a write.
    pub held_back: u64,
    /// Chunks whose replicas may differ and are to be compared.
    pub unsettled: u64,
    /// Chunks with a replica of which pages are damaged.
    pub damaged: u64,
}

/// A chunkserver as `status` shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerView<'a> {
    /// Identity.
    pub server: ServerId,
    /// Name.
    pub name: &'a str,
    /// Where it is reached.
    pub address: &'a str,
    /// Labels.
    pub labels: &'a [String],
    /// Whether it is registered now.
    pub up: bool,
}

/// A disk as `status` shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiskView<'a> {
    /// Identity.
    pub disk: DiskId,
    /// Whose it is.
    pub server: ServerId,
    /// Where it is mounted.
    pub path: &'a str,
    /// Labels.
    pub labels: &'a [String],
    /// Bytes.
    pub total_bytes: u64,
    /// Bytes free.
    pub free_bytes: u64,
    /// State.
    pub state: DiskState,
    /// Whether its server is registered and the disk has not failed.
    pub up: bool,
    /// Whether its report since the registration is complete.
    pub reported: bool,
    /// Replicas of known chunks.
    pub replicas: u64,
    /// Replicas of unknown chunks.
    pub quarantined: u64,
    /// How far it is with a disk that is to go.
    pub removal: Option<RemovalView>,
}

/// How far it is with a disk that is to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RemovalView {
    /// It stays in service.
    pub drain_only: bool,
    /// Since it was marked, or since the master's start.
    pub since_ms: u64,
    /// Most replicas it held since then.
    pub most: u64,
    /// Chunks that lack good replicas elsewhere.
    pub needed: u64,
    /// Nothing that is only here would be lost with it, and every chunk has what it wants elsewhere.
    pub safe: bool,
}

/// Usable bytes at a number of replicas.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Space {
    /// In all.
    pub total_bytes: u64,
    /// Free.
    pub free_bytes: u64,
}
