//! What is there is found: when everything has healed, each chunk in a map has a replica at its version, whether its last writer lives or
//! died half way. But for one: a loss of power took it from all disks before anybody synced it.

use crate::driver::Stage;
use crate::quiet::{Quiet, is_good};

/// Looks for chunks that nobody can read, and notes the files whose chunks a loss of power took.
pub(super) fn check(quiet: &Quiet, stage: &Stage) -> Result<(), String> {
    let mut lost = stage.lost.borrow_mut();
    lost.clear();
    for (view, owner) in quiet.chunks() {
        let on_suspect = || {
            let mut disks = quiet.disks.iter().filter(|disk| Some(disk.place) == quiet.suspect);
            disks.any(|disk| disk.replicas.contains_key(&view.chunk))
        };
        if quiet.good(&view).next().is_some() || on_suspect() {
            continue;
        }
        let others = quiet.trusted().filter_map(|disk| {
            let entry = disk.replicas.get(&view.chunk)?;
            Some((disk.place, entry.version, is_good(entry, entry.version)))
        });
        let others: Vec<_> = others.collect();
        let newer = others.iter().any(|(_, version, good)| *good && *version > view.version);
        let inode = owner.inode.id;
        if newer || !stage.oracle.borrow().may_have_lost(inode) {
            return Err(format!(
                "no replica of chunk {} of {inode} is at {}, so that nobody can read it: {others:?}",
                view.chunk, view.version
            ));
        }
        lost.insert(inode);
    }
    Ok(())
}
