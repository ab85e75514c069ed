//! All replicas of a quiet chunk with the same version are byte-identical, also after a writer died half way.
//!
//! Whatever kept a write from some of them, a raise or a comparison in the background has made them equal since
//! ([`super::healed`] waits for that).

use crate::cluster::Place;
use crate::quiet::Quiet;

/// Compares the replicas of every chunk.
pub(super) fn check(quiet: &Quiet) -> Result<(), String> {
    for (view, owner) in quiet.chunks() {
        let mut first: Option<(Place, [u8; 32])> = None;
        for disk in quiet.good(&view) {
            let value = disk.value(view.chunk, view.version)?;
            match first {
                Some((other, expected)) if expected != value => {
                    return Err(format!(
                        "chunk {} of {} differs on {other} and {}, both at {}",
                        view.chunk, owner.inode.id, disk.place, view.version
                    ));
                }
                Some(_) => {}
                None => first = Some((disk.place, value)),
            }
        }
    }
    Ok(())
}
