//! The last good replica of a chunk is never deleted, whatever the fleet believed when it gave the order.

use crate::quiet::Quiet;

/// Looks for chunks in the maps of files whose only good replicas are deleted ones.
pub(super) fn check(quiet: &Quiet) -> Result<(), String> {
    for (view, owner) in quiet.chunks() {
        let at_least = |version| version >= view.version;
        let good = |disk: &crate::quiet::QuietDisk| {
            disk.replicas.get(&view.chunk).is_some_and(|entry| at_least(entry.version) && !entry.bad)
        };
        if quiet.trusted().any(good) {
            continue;
        }
        for disk in quiet.trusted() {
            if disk.deleted.iter().any(|(chunk, version)| *chunk == view.chunk && at_least(*version)) {
                return Err(format!(
                    "the last good replica of chunk {} of {} (at {}) was deleted on {}",
                    view.chunk, owner.inode.id, view.version, disk.place
                ));
            }
        }
        if quiet.is_durable(&owner) {
            return Err(format!(
                "no disk that can be trusted has chunk {} of {} any more",
                view.chunk, owner.inode.id
            ));
        }
    }
    Ok(())
}
