//! What an fsync covers is on stable storage: were power lost now, every replica that readers are sent to would
//! still hold it, each by itself.

use crate::quiet::Quiet;

/// Compares every replica with what a loss of power would leave of it.
pub(super) fn check(quiet: &Quiet) -> Result<(), String> {
    for (view, owner) in quiet.chunks().filter(|(_, owner)| quiet.is_durable(owner)) {
        for disk in quiet.good(&view) {
            let lit = disk.value(view.chunk, view.version)?;
            let dark = disk.value_in_the_dark(view.chunk, view.version);
            if dark.as_ref() != Ok(&lit) {
                let why = dark.err().unwrap_or_else(|| "other bytes".to_owned());
                return Err(format!(
                    "chunk {} of {} at {} was synced, but a loss of power would take it from {}: {why}; good are {:?}",
                    view.chunk,
                    owner.inode.id,
                    view.version,
                    disk.place,
                    quiet.good(&view).map(|disk| disk.place.to_string()).collect::<Vec<_>>()
                ));
            }
        }
    }
    Ok(())
}
