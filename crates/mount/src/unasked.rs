//! What the kernel is told without having asked.

use crate::dispatch::Dispatch;
use crate::pages::Pages;
use fuser::{INodeNo, Notifier};
use std::sync::{Arc, OnceLock};

/// The way to the kernel, and which pages it may have.
#[derive(Default)]
pub(crate) struct Unasked {
    /// Filled once the kernel is there to be told something.
    pub(crate) notifier: OnceLock<Notifier>,
    pub(crate) pages: Pages,
}

impl Unasked {
    /// Has the kernel drop a file's attributes. Waits for nothing.
    pub(crate) fn forget_attributes(&self, inode: INodeNo) {
        self.forget(inode, -1);
    }

    /// Bytes from `from` on were appended: the kernel drops what it has of them. That waits for requests that have pages locked, so it
    /// is done where it holds none of them up.
    pub(crate) fn appended(self: &Arc<Self>, dispatch: &Dispatch, inode: INodeNo, from: u64) {
        if !self.pages.outdated(inode, from) {
            return;
        }
        let this = Arc::clone(self);
        dispatch.aside(move || {
            while let Some(from) = this.pages.next(inode) {
                this.forget(inode, i64::try_from(from).unwrap_or(0));
            }
        });
    }

    /// `content_from`: from where on its content is dropped, too; below 0 none of it.
    fn forget(&self, inode: INodeNo, content_from: i64) {
        let Some(notifier) = self.notifier.get() else { return };
        if let Err(error) = notifier.inval_inode(inode, content_from, 0) {
            // As a rule the kernel does not know the inode any more.
            self.pages.forget(inode);
            tracing::debug!(%error, %inode, "nothing was dropped");
        }
    }
}
