//! What the kernel is told without having asked.

use fuser::{INodeNo, Notifier};
use std::sync::OnceLock;

/// Lets the kernel drop a file's attributes and, if given, its content from an offset on. The latter waits for requests
/// that have pages locked, so it must not hold any of them up.
pub(crate) fn forget(notifier: &OnceLock<Notifier>, inode: INodeNo, content_from: Option<u64>) {
    let Some(notifier) = notifier.get() else { return };
    let from = content_from.map_or(-1, |from| i64::try_from(from).unwrap_or(0));
    if let Err(error) = notifier.inval_inode(inode, from, 0) {
        // The kernel does not know the inode any more.
        tracing::debug!(%error, %inode, "nothing was dropped");
    }
}
