//! Everything at one moment at which nothing is under way: the metadata as its log tells it, and the replicas as
//! their files tell them. Looked at through copies of the disks, so that looking changes nothing.
//!
//! # Elsewhere
//! What must be true of it: `invariants`.

use crate::cluster::{Cluster, Place};
use crate::driver::Stage;
use meta::{ChunkOwner, ChunkView, Meta};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use store::{Disk, DiskOptions, InventoryEntry, ReplicaState};
use types::{ChunkId, DiskId, InodeId, LogIndex, Version};

/// Where a disk keeps replicas that were deleted and are not erased yet.
const DELETED: &str = "deleted";

/// More than any run writes.
const CAPACITY_BYTES: u64 = 1 << 50;

/// One disk.
pub(crate) struct QuietDisk {
    pub(crate) place: Place,
    pub(crate) id: DiskId,
    pub(crate) replicas: BTreeMap<ChunkId, InventoryEntry>,
    /// Deleted and not erased yet.
    pub(crate) deleted: Vec<(ChunkId, Version)>,
    disk: Disk,
    /// The same disk after a loss of power at this moment.
    dark: Disk,
}

/// See the module.
pub(crate) struct Quiet {
    /// The state after the last record that was answered.
    pub(crate) meta: Meta,
    pub(crate) applied: LogIndex,
    pub(crate) disks: Vec<QuietDisk>,
    /// Files that the oracle knows to be on stable storage to the last byte.
    durable: BTreeSet<InodeId>,
    /// The disk whose bytes were destroyed where nobody may have noticed yet.
    pub(crate) suspect: Option<Place>,
}

impl QuietDisk {
    /// BLAKE3 of a replica.
    pub(crate) fn value(&self, chunk: ChunkId, version: Version) -> Result<[u8; 32], String> {
        self.disk.chunk_value(chunk, version).map_err(|error| format!("on {}: {error}", self.place))
    }

    /// BLAKE3 of what a loss of power would leave of it.
    pub(crate) fn value_in_the_dark(&self, chunk: ChunkId, version: Version) -> Result<[u8; 32], String> {
        self.dark.chunk_value(chunk, version).map_err(|error| format!("on {}: {error}", self.place))
    }
}

impl Quiet {
    /// Looks at a cluster that is whole and idle.
    pub(crate) async fn look(stage: &Stage) -> Result<Self, String> {
        let cluster = &stage.cluster;
        let status = cluster.status().await.ok_or("the master does not answer")?;
        let applied = status.position.applied;
        let meta = replayed(cluster, applied)?;
        let disks = Cluster::places().map(|place| {
            let disk = cluster.disk(place);
            let open = |disk: &env::SimDisk| {
                opened(disk, &meta).map_err(|error| format!("{place} cannot be opened: {error}"))
            };
            let (now, dark) = (disk.fork(), disk.fork());
            dark.power_cut();
            let deleted = now.dir().list(DELETED).map_err(|error| format!("{place}: {error}"))?;
            let deleted = deleted.iter().filter_map(|entry| deleted_replica(&entry.name)).collect();
            let (disk, dark) = (open(&now)?, open(&dark)?);
            let mut replicas = BTreeMap::new();
            disk.inventory(&mut |entry| _ = replicas.insert(entry.chunk, entry))
                .map_err(|error| format!("{place}: {error}"))?;
            Ok(QuietDisk { id: disk.id(), replicas, deleted, disk, dark, place })
        });
        let disks = disks.collect::<Result<_, String>>()?;
        let durable = stage.oracle.borrow().durable_inodes().collect();
        Ok(Self { applied, disks, durable, meta, suspect: stage.rotten() })
    }

    /// Chunks in the maps of files, and whose they are.
    pub(crate) fn chunks(&self) -> impl Iterator<Item = (ChunkView, ChunkOwner)> + '_ {
        self.meta.all_chunks()
    }

    /// Whether all that was ever written to the chunk's file is on stable storage.
    pub(crate) fn is_durable(&self, owner: &ChunkOwner) -> bool {
        self.durable.contains(&owner.inode.id)
    }

    /// The disks that say what is on them.
    pub(crate) fn trusted(&self) -> impl Iterator<Item = &QuietDisk> {
        self.disks.iter().filter(|disk| Some(disk.place) != self.suspect)
    }

    /// The trusted disks with a replica of the chunk that may be read.
    pub(crate) fn good<'a>(&'a self, view: &ChunkView) -> impl Iterator<Item = &'a QuietDisk> + use<'a> {
        let (chunk, version) = (view.chunk, view.version);
        self.trusted()
            .filter(move |disk| disk.replicas.get(&chunk).is_some_and(|entry| is_good(entry, version)))
    }
}

/// Whether a replica is complete and at this version.
pub(crate) fn is_good(entry: &InventoryEntry, version: Version) -> bool {
    entry.version == version && entry.state == ReplicaState::Complete && !entry.bad
}

/// The state after record `upto`, from the newest checkpoint and the log.
pub(crate) fn replayed(cluster: &Cluster, upto: LogIndex) -> Result<Meta, String> {
    let copy = cluster.master_disk().fork().dir();
    master::checkpoint::replay(&copy, upto).map_err(|error| format!("the log cannot be replayed: {error}"))
}

/// The state that a master started on this disk would find. The disk is a copy: a torn tail of the log is cut.
pub(crate) fn recovered(disk: &env::SimDisk) -> Result<Meta, String> {
    end_faults(disk);
    let salts = Arc::new(Counting::default());
    let found = master::checkpoint::recovered(&disk.dir(), salts);
    found.map_err(|error| format!("the metadata cannot be recovered: {error}"))
}

/// A copy of a disk, opened.
pub(crate) fn opened(disk: &env::SimDisk, meta: &Meta) -> Result<Disk, String> {
    end_faults(disk);
    let options = DiskOptions { cluster: meta.cluster(), index_in_memory: true, ..DiskOptions::default() };
    Disk::open(disk.dir(), options).map(|opened| opened.disk).map_err(|error| error.to_string())
}

/// What its hosts will find once they have made room and nothing fails any more. Of a sector that cannot be read nobody
/// knows what it holds, so it may be what it should.
pub(crate) fn end_faults(disk: &env::SimDisk) {
    disk.clear_faults();
    disk.unspoil();
    disk.set_capacity(CAPACITY_BYTES);
    disk.set_copies_on_write(false);
}

/// Numbers for segments of a log that nobody appends to.
#[derive(Default)]
struct Counting(AtomicU64);

impl env::Seed for Counting {
    fn next_u64(&self) -> u64 {
        self.0.fetch_add(1, Ordering::Relaxed)
    }
}

/// Chunk and version in the name of a deleted replica (`docs/format/disk.md`).
pub(crate) fn deleted_replica(name: &str) -> Option<(ChunkId, Version)> {
    let mut parts = name.split('-').skip(1).map(|part| u64::from_str_radix(part, 16).ok());
    let (chunk, version) = (parts.next()??, parts.next()??);
    Some((ChunkId(chunk), Version::from_u64(version)?))
}
