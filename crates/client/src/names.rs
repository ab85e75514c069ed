//! Which inodes were found under a name, so that an unlink or a rename need not look at all of them.
//!
//! # Invariants
//! 1. Every known inode with a name is here under that name, and under no other. Several may be found
//!    under one name: answers about it may come in any order.
//! 2. Every inode that is held and may lose a name that is not known here is counted as unclear.
//!
//! Its lock is taken under the one of an inode's state, and nothing is locked under it.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard};
use types::{InodeId, InodeRef, Name};

/// A directory and a name in it.
pub(crate) type Place = (InodeId, Name);

/// See the module.
#[derive(Default)]
pub(crate) struct Names {
    index: Mutex<Index>,
}

#[derive(Default)]
struct Index {
    found: BTreeSet<(Place, InodeId)>,
    unclear: BTreeSet<InodeRef>,
}

impl Names {
    fn index(&self) -> MutexGuard<'_, Index> {
        self.index.lock().expect("nothing panics while it is held")
    }

    /// An inode was found under a name, and no longer under the one before.
    pub(crate) fn moved(&self, inode: InodeId, from: Option<Place>, to: Option<Place>) {
        let mut index = self.index();
        if let Some(place) = from {
            index.found.remove(&(place, inode));
        }
        if let Some(place) = to {
            index.found.insert((place, inode));
        }
    }

    /// The inodes found under a name.
    pub(crate) fn at(&self, place: &Place) -> Vec<InodeId> {
        let range = (place.clone(), InodeId(0))..=(place.clone(), InodeId(u64::MAX));
        self.index().found.range(range).map(|(_, inode)| *inode).collect()
    }

    /// Whether a held inode may lose a name that is not known here.
    pub(crate) fn set_unclear(&self, inode: InodeRef, unclear: bool) {
        let mut index = self.index();
        if unclear {
            index.unclear.insert(inode);
        } else {
            index.unclear.remove(&inode);
        }
    }

    /// Whether there is such an inode.
    pub(crate) fn any_unclear(&self) -> bool {
        !self.index().unclear.is_empty()
    }
}
