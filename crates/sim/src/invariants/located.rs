//! A stale replica is never read: readers are sent only to replicas that are complete and at the version of the
//! metadata, and of a durable file to one at least.

use crate::cluster::Cluster;
use crate::quiet::{Quiet, is_good};
use std::collections::BTreeSet;

/// Compares what the master tells of each file with the disks.
pub(super) async fn check(quiet: &Quiet, cluster: &Cluster) -> Result<(), String> {
    let inodes: BTreeSet<_> = quiet.chunks().map(|(_, owner)| owner.inode.id).collect();
    for inode in inodes {
        let info = cluster.file_info(inode).await?;
        for chunk in info.chunks {
            let known = quiet.meta.find_chunk(chunk.chunk);
            let Some((_, owner)) = known.filter(|(view, _)| view.version == chunk.version) else {
                return Err(format!("the master tells of {} another map than its log", inode));
            };
            if chunk.replicas.is_empty() && quiet.is_durable(&owner) {
                return Err(format!("readers of chunk {} of {inode} are sent nowhere", chunk.chunk));
            }
            for replica in chunk.replicas {
                let disk = quiet.disks.iter().find(|disk| disk.id == replica.disk);
                if disk.is_some_and(|disk| Some(disk.place) == quiet.suspect) {
                    continue;
                }
                let entry = disk.and_then(|disk| disk.replicas.get(&chunk.chunk));
                if !entry.is_some_and(|entry| is_good(entry, chunk.version)) {
                    return Err(format!(
                        "readers of chunk {} of {inode} at {} are sent to {}, where it is {entry:?}",
                        chunk.chunk, chunk.version, replica.disk_path
                    ));
                }
            }
        }
    }
    Ok(())
}
