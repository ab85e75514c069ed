//! The soft half of the chunk table: replicas, the grant machine, garbage.
#![allow(clippy::missing_panics_doc)]
mod event;
pub use event::*;

use types::{ChunkId, ChunkIndex, ChunkSlot, DiskId, InodeRef, ReplicaAddress, ServerId, Term, Version};

/// Times and limits.
#[derive(Clone, Copy, Debug)]
pub struct FleetOptions {
    /// How long after the start the fleet waits for known disks before it calls chunks missing and deletes.
    pub settle_ms: u64,
    /// How long a member of a chain may take to answer a raise before it is dropped.
    pub raise_timeout_ms: u64,
    /// How long a delete order may take before it is sent again.
    pub delete_timeout_ms: u64,
    /// How long an accusation of a failed hop is remembered.
    pub blame_ms: u64,
}

impl Default for FleetOptions {
    fn default() -> Self {
        Self { settle_ms: 30_000, raise_timeout_ms: 3_000, delete_timeout_ms: 30_000, blame_ms: 60_000 }
    }
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
    /// Reports of failed hops so far.
    pub failed_hops: u64,
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
}

/// Usable bytes at a number of replicas.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Space {
    /// In all.
    pub total_bytes: u64,
    /// Free.
    pub free_bytes: u64,
}

/// See the module.
pub struct Fleet {
    term: Term,
}

impl Fleet {
    /// A fleet for one reign.
    pub fn new(term: Term, _options: FleetOptions, _now_ms: u64) -> Self {
        Self { term }
    }
    /// Takes in one event; what is to be done is appended to `out`. Never fails.
    pub fn handle(&mut self, _event: Event, _now_ms: u64, _out: &mut Vec<Command>) {
        unimplemented!()
    }
    /// The reign it serves.
    pub fn term(&self) -> Term {
        self.term
    }
    /// Current replicas that can be reached now, best first.
    pub fn locations(&self, _slot: ChunkSlot) -> Vec<ReplicaAddress> {
        unimplemented!()
    }
    /// Version of a chunk as the metadata has it.
    pub fn version(&self, _slot: ChunkSlot) -> Option<Version> {
        unimplemented!()
    }
    /// Whether a commit may put this fresh chunk into the map: it is reserved for this place (also by a
    /// reservation that was replaced since), or it was granted by an earlier term.
    pub fn may_attach(
        &self,
        _inode: InodeRef,
        _index: ChunkIndex,
        _chunk: ChunkId,
        _version: Version,
    ) -> bool {
        unimplemented!()
    }
    /// Counts, kept current.
    pub fn summary(&self) -> Summary {
        unimplemented!()
    }
    /// All servers seen in this reign.
    pub fn servers(&self) -> impl Iterator<Item = ServerView<'_>> {
        std::iter::empty()
    }
    /// All disks seen in this reign or known to the metadata.
    pub fn disks(&self) -> impl Iterator<Item = DiskView<'_>> {
        std::iter::empty()
    }
    /// Usable bytes at this many replicas, each on another server.
    pub fn space(&self, _goal: usize) -> Space {
        unimplemented!()
    }
    /// When `Tick` next has something to do, if nothing else happens.
    pub fn next_deadline_ms(&self) -> Option<u64> {
        unimplemented!()
    }
}
