//! Inodes that a request touches besides the one it is answered with, and what is told of them.
//!
//! # Invariants
//! 1. Looked at right before and right after the record is applied, with nothing between: the difference of the
//!    change counters is this request's own doing.

use meta::Meta;
use types::{InodeRef, Name, News};

/// The inodes, each with its change counter before the request.
#[derive(Default)]
pub(super) struct Bystanders {
    before: Vec<(InodeRef, u64)>,
}

impl Bystanders {
    /// Those of the inodes that exist.
    pub(super) fn of(meta: &Meta, inodes: impl IntoIterator<Item = InodeRef>) -> Self {
        let mut this = Self::default();
        for inode in inodes {
            if let Ok(attributes) = meta.attributes(inode) {
                this.add(inode, attributes.change_counter);
            }
        }
        this
    }

    /// And the inode of a name, if there is one.
    pub(super) fn and_named(mut self, meta: &Meta, parent: InodeRef, name: &Name) -> Self {
        if let Ok(attributes) = meta.lookup(parent, name) {
            self.add(attributes.inode, attributes.change_counter);
        }
        self
    }

    fn add(&mut self, inode: InodeRef, counter: u64) {
        if self.before.iter().all(|(known, _)| *known != inode) {
            self.before.push((inode, counter));
        }
    }

    /// What became of those that are still there.
    pub(super) fn news(self, meta: &Meta) -> Vec<News> {
        let told = |(inode, before)| Some(News { attributes: meta.attributes(inode).ok()?, before });
        self.before.into_iter().filter_map(told).collect()
    }
}
