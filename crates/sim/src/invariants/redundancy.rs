//! Redundancy never drops by the system's own action: a good replica is removed only while as many others as are wanted
//! are complete. Looked at after every step of every client, and every second while the cluster heals.

use crate::cluster::{Cluster, Place};
use crate::driver::{Stage, Violation};
use crate::quiet::{deleted_replica, end_faults, is_good, opened, recovered};
use meta::Meta;
use std::collections::BTreeSet;
use store::ReplicaState;
use types::{ChunkId, Version};

/// Where a disk keeps replicas that were deleted and are not erased yet.
const DELETED: &str = "deleted/";

/// The deleted replicas that were seen.
#[derive(Default)]
pub(crate) struct Watch {
    seen: BTreeSet<(Place, String)>,
}

/// A replica that was deleted since the last look.
struct Deleted {
    place: Place,
    path: String,
    chunk: ChunkId,
    version: Version,
}

/// Looks at what was deleted since the last look.
pub(crate) fn check(stage: &Stage) -> Result<(), Violation> {
    let new = stage.removals.borrow_mut().new_ones(&stage.cluster);
    if new.is_empty() {
        return Ok(());
    }
    let judged = recovered(&stage.cluster.master_disk().fork())
        .and_then(|meta| new.iter().try_for_each(|deleted| judge(stage, &meta, deleted)));
    judged.map_err(|reason| stage.violation(reason))
}

impl Watch {
    fn new_ones(&mut self, cluster: &Cluster) -> Vec<Deleted> {
        let mut new = Vec::new();
        for place in Cluster::places() {
            for path in cluster.disk(place).paths(DELETED) {
                let named = path.strip_prefix(DELETED).and_then(deleted_replica);
                if let Some((chunk, version)) = named
                    && self.seen.insert((place, path.clone()))
                {
                    new.push(Deleted { place, path, chunk, version });
                }
            }
        }
        new
    }
}

/// A chunk that is still in a map, at the version that was deleted, must have enough other replicas.
fn judge(stage: &Stage, meta: &Meta, deleted: &Deleted) -> Result<(), String> {
    let Deleted { place, path, chunk, version } = deleted;
    let Some((view, owner)) = meta.find_chunk(*chunk) else { return Ok(()) };
    if *version < view.version || makes_room(stage, meta, deleted) || !was_good(stage, meta, deleted)? {
        return Ok(());
    }
    let mut others = Vec::new();
    // Its own disk may have been given it anew since: nobody looks while all clients wait.
    for other in Cluster::places() {
        let disk = stage.cluster.disk(other).fork();
        let entry = opened(&disk, meta).ok().and_then(|disk| disk.entry(*chunk).ok());
        let good = entry.is_some_and(|entry| entry.version >= view.version && is_good(&entry, entry.version));
        // What the suspect says is not believed; that it has one is enough.
        if good || entry.is_some() && Some(other) == stage.suspect.get() {
            others.push(other);
        }
    }
    let wanted = stage.cluster.goal();
    if others.len() < wanted {
        return Err(format!(
            "a good replica of chunk {chunk} of {} (at {version}) was deleted on {place} ({path}) while {wanted} were wanted and {others:?} had others",
            owner.inode.id
        ));
    }
    Ok(())
}

/// A copy that came to its end when a writer had come: it had not been counted yet, and a replica that is filled through the chain of
/// the next version takes its place.
fn makes_room(stage: &Stage, meta: &Meta, deleted: &Deleted) -> bool {
    let disk = stage.cluster.disk(deleted.place).fork();
    let entry = opened(&disk, meta).ok().and_then(|disk| disk.entry(deleted.chunk).ok());
    entry.is_some_and(|entry| entry.state == ReplicaState::Filling && entry.version > deleted.version)
}

/// Whether the deleted file is of a complete replica: it is put back, on a copy of the disk.
fn was_good(stage: &Stage, meta: &Meta, deleted: &Deleted) -> Result<bool, String> {
    let Deleted { place, path, chunk, version } = deleted;
    if Some(*place) == stage.suspect.get() {
        return Ok(false);
    }
    let disk = stage.cluster.disk(*place).fork();
    end_faults(&disk);
    disk.dir().rename(path, &chunk_path(*chunk)).map_err(|error| format!("{place}, {path}: {error}"))?;
    let opened = opened(&disk, meta).map_err(|error| format!("{place}: {error}"))?;
    let entry = opened.entry(*chunk).map_err(|error| format!("{place}, {path}: {error}"))?;
    Ok(is_good(&entry, *version) && !entry.damaged)
}

/// Where a disk keeps a chunk (`docs/format/disk.md`).
pub(super) fn chunk_path(chunk: ChunkId) -> String {
    let folder = (chunk.0 >> 12).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 56;
    format!("chunks/{folder:02x}/{:016x}", chunk.0)
}
