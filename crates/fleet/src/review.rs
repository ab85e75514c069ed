//! Looking again at chunks whose class, or the labels of whose disks, changed: a bounded part at each tick.
//!
//! Until a chunk's turn comes it stands in the queues as before, and whoever acts on it looks at the class as it is
//! now; so nothing is removed by what a class wanted a moment ago.
//!
//! # Invariants
//! 1. After a change every chunk of the class, or with a replica on the disk, is looked at once more.
//! 2. One tick looks at no more than [`LOOKED_MAX`] entries of the table and judges no more than [`JUDGED_MAX`] chunks: about a
//!    millisecond.

use crate::fleet::Fleet;
use std::collections::{BTreeMap, BTreeSet};
use types::{ChunkSlot, ClassId};

/// Chunks judged at one tick.
const JUDGED_MAX: usize = 1_000;
/// Entries of the table looked at in one tick to find them.
const LOOKED_MAX: usize = 65_536;

/// What is left to look at.
#[derive(Debug, Default)]
pub(crate) struct Review {
    /// Classes that changed; the walk goes round the table from `next` and has `left` entries to go.
    classes: BTreeSet<ClassId>,
    next: usize,
    left: usize,
    /// Disks whose labels changed, and where to go on among their chunks.
    disks: BTreeMap<u16, ChunkSlot>,
}

impl Review {
    /// A class changed: the walk begins anew, from where it is.
    pub(crate) fn class(&mut self, class: ClassId) {
        self.classes.insert(class);
        self.left = usize::MAX;
    }

    /// A disk has other labels.
    pub(crate) fn disk(&mut self, disk: u16) {
        self.disks.insert(disk, ChunkSlot(0));
    }

    /// Whether nothing is left.
    pub(crate) fn is_over(&self) -> bool {
        self.classes.is_empty() && self.disks.is_empty()
    }
}

impl Fleet {
    /// Takes the next part.
    pub(crate) fn go_on_reviewing(&mut self) {
        let judged = self.review_disks();
        self.review_classes(JUDGED_MAX - judged);
    }

    fn review_disks(&mut self) -> usize {
        let mut judged = 0;
        while judged < JUDGED_MAX
            && let Some((disk, from)) = self.review.disks.pop_first()
        {
            let most = JUDGED_MAX - judged;
            let slots: Vec<ChunkSlot> = self.hosts.disk(disk).chunks.iter_from(from).take(most).collect();
            for slot in &slots {
                self.look_again(*slot);
            }
            judged += slots.len();
            if let Some(last) = slots.last().filter(|_| slots.len() == most) {
                self.review.disks.insert(disk, ChunkSlot(last.0.saturating_add(1)));
            }
        }
        judged
    }

    fn review_classes(&mut self, most: usize) {
        if self.review.classes.is_empty() {
            return;
        }
        let end = self.table.end();
        self.review.left = self.review.left.min(end);
        let mut judged = 0;
        for _ in 0..LOOKED_MAX {
            if self.review.left == 0 {
                self.review.classes.clear();
                return;
            }
            if judged == most {
                return;
            }
            let at = if self.review.next < end { self.review.next } else { 0 };
            self.review.next = at + 1;
            self.review.left -= 1;
            let slot = ChunkSlot(at as u32);
            if self.table.chunk(slot).is_some() && self.concerns(self.table.class(slot)) {
                self.look_again(slot);
                judged += 1;
            }
        }
    }

    /// Whether chunks of this class are to be looked at: it changed, or class 0, which stands in for it.
    fn concerns(&self, class: ClassId) -> bool {
        let changed = &self.review.classes;
        changed.contains(&class) || changed.contains(&ClassId(0)) && self.classes.known(class).is_none()
    }

    /// Sorts the chunk into the queues by what its class wants now.
    pub(crate) fn look_again(&mut self, slot: ChunkSlot) {
        if self.table.chunk(slot).is_some() {
            let set = self.table.replicas(slot);
            self.put_replicas(slot, &set);
        }
    }
}
