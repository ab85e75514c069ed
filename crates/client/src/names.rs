//! Which inodes were found under a name, so that an unlink or a rename need not look at all of them.
//!
//! # Invariants
//! 1. Every known inode with a name is here under that name, and under no other. Several may be found
//!    under one name: answers about it may come in any order.
//!
//! Its lock is taken under the one of an inode's state, and nothing is locked under it.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard};
use types::{InodeId, Name};

/// A directory and a name in it.
pub(crate) type Place = (InodeId, Name);

/// See the module.
#[derive(Default)]
pub(crate) struct Names {
    found: Mutex<BTreeSet<(Place, InodeId)>>,
}

impl Names {
    fn found(&self) -> MutexGuard<'_, BTreeSet<(Place, InodeId)>> {
        self.found.lock().expect("nothing panics while it is held")
    }

    /// An inode was found under a name, and no longer under the one before.
    pub(crate) fn moved(&self, inode: InodeId, from: Option<Place>, to: Option<Place>) {
        let mut found = self.found();
        if let Some(place) = from {
            found.remove(&(place, inode));
        }
        if let Some(place) = to {
            found.insert((place, inode));
        }
    }

    /// The inodes found under a name.
    pub(crate) fn at(&self, place: &Place) -> Vec<InodeId> {
        let range = (place.clone(), InodeId(0))..=(place.clone(), InodeId(u64::MAX));
        self.found().range(range).map(|(_, inode)| *inode).collect()
    }
}
