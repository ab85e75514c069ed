//! Looking again at chunks whose class, or the labels of whose disks, changed: a bounded part at each tick.
//!
//! Until a chunk's turn comes it stands in the queues as before, and whoever acts on it looks at the class as it is
//! now; so nothing is removed by what a class wanted a moment ago.
//!
//! # Invariants
//! 1. After a change every chunk of the class, or with a replica on the disk, is looked at once more.
//! 2. What is born, or comes into another stage, before its turn comes is not taken for what the edit made dispensable: of
//!    `early`, which the walk passes as if nobody had edited anything.
//! 3. One tick looks at no more than [`LOOKED_MAX`] entries of the table and judges no more than [`JUDGED_MAX`] chunks: about a
//!    millisecond.

use crate::fleet::Fleet;
use crate::slot_set::SlotSet;
use crate::table::ReplicaSet;
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
    /// Those of them that an operator changed.
    edited: BTreeSet<ClassId>,
    next: usize,
    left: usize,
    /// Entries of the table when `left` was set; more are added to it.
    end: usize,
    /// Disks whose labels changed, where to go on among their chunks, and whether an operator changed them.
    disks: BTreeMap<u16, (ChunkSlot, bool)>,
    /// Chunks that no edit that is under way has anything to do with, or that were looked at before their turn.
    early: SlotSet,
}

impl Review {
    /// A class changed: the walk begins anew, from where it is.
    pub(crate) fn class(&mut self, class: ClassId, edited: bool) {
        self.classes.insert(class);
        if edited {
            self.edited.insert(class);
            self.early = SlotSet::default();
        }
        self.left = usize::MAX;
    }

    /// A disk has other labels.
    pub(crate) fn disk(&mut self, disk: u16, edited: bool) {
        if edited {
            self.early = SlotSet::default();
        }
        let was = self.disks.get(&disk).is_some_and(|(_, edited)| *edited);
        self.disks.insert(disk, (ChunkSlot(0), edited || was));
    }

    /// A disk told what it has for the first time in this reign: edits before it may hold some of that.
    pub(crate) fn disk_told(&mut self, disk: u16) {
        self.disks.insert(disk, (ChunkSlot(0), true));
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
        if self.review.is_over() {
            self.review.early = SlotSet::default();
        }
    }

    /// A chunk is new: no edit before it made anything of it dispensable.
    pub(crate) fn review_passes(&mut self, slot: ChunkSlot) {
        if !self.review.is_over() {
            self.review.early.insert(slot);
        }
    }

    /// What an edit has made dispensable of a chunk is to be known now, before something else changes where it is wanted.
    pub(crate) fn review_now(&mut self, slot: ChunkSlot) {
        let set = self.table.replicas(slot);
        if self.awaits_look(slot, &set) {
            // What a disk tells later is looked at then.
            if !self.may_be_held(&set) {
                self.review_passes(slot);
            }
            self.look_after_edit(slot);
        }
    }

    /// Whether an operator's edit concerns the chunk that was not looked at since.
    pub(crate) fn awaits_look(&self, slot: ChunkSlot, set: &ReplicaSet) -> bool {
        let Review { edited, disks, .. } = &self.review;
        let of_disk = |disk| disks.get(&disk).is_some_and(|(from, edited)| *edited && *from <= slot);
        let in_class = || self.is_ahead(slot) && self.is_among(edited, self.table.class(slot));
        let edited = in_class() || set.iter().any(|one| of_disk(one.disk));
        !self.review.early.contains(slot) && edited || self.may_be_held(set)
    }

    fn review_disks(&mut self) -> usize {
        let mut judged = 0;
        while judged < JUDGED_MAX
            && let Some((disk, (from, edited))) = self.review.disks.pop_first()
        {
            let most = JUDGED_MAX - judged;
            let slots: Vec<ChunkSlot> = self.hosts.disk(disk).chunks.iter_from(from).take(most).collect();
            for slot in &slots {
                self.look_by(*slot, edited);
            }
            judged += slots.len();
            if let Some(last) = slots.last().filter(|_| slots.len() == most) {
                self.review.disks.insert(disk, (ChunkSlot(last.0.saturating_add(1)), edited));
            }
        }
        judged
    }

    fn review_classes(&mut self, most: usize) {
        if self.review.classes.is_empty() {
            return;
        }
        let end = self.table.end();
        let Review { left, end: before, .. } = &mut self.review;
        *left = if *left == usize::MAX { end } else { *left + (end - *before) };
        *before = end;
        let mut judged = 0;
        for _ in 0..LOOKED_MAX {
            if self.review.left == 0 {
                self.review.classes.clear();
                self.review.edited.clear();
                return;
            }
            if judged == most {
                return;
            }
            let at = if self.review.next < end { self.review.next } else { 0 };
            self.review.next = at + 1;
            self.review.left -= 1;
            let slot = ChunkSlot(at as u32);
            let class = self.table.class(slot);
            if self.table.chunk(slot).is_some() && self.is_among(&self.review.classes, class) {
                let edited = self.is_among(&self.review.edited, class);
                self.look_by(slot, edited);
                judged += 1;
            }
        }
    }

    /// Whether chunks of this class are concerned by a change of these: it is one, or class 0, which stands in for it.
    fn is_among(&self, changed: &BTreeSet<ClassId>, class: ClassId) -> bool {
        changed.contains(&class) || changed.contains(&ClassId(0)) && self.classes.known(class).is_none()
    }

    /// Whether the walk over the table comes to an entry yet.
    fn is_ahead(&self, slot: ChunkSlot) -> bool {
        let Review { next, left, end, .. } = self.review;
        let (at, next) = (slot.0 as usize, if next < end { next } else { 0 });
        left > 0 && (left == usize::MAX || at >= end || (at + end - next) % end < left)
    }

    fn look_by(&mut self, slot: ChunkSlot, edited: bool) {
        let edited = edited && !self.review.early.contains(slot);
        if edited { self.look_after_edit(slot) } else { self.look_again(slot) }
    }

    /// Sorts the chunk into the queues by what its class wants now.
    pub(crate) fn look_again(&mut self, slot: ChunkSlot) {
        if self.table.chunk(slot).is_some() {
            let set = self.table.replicas(slot);
            self.put_replicas(slot, &set);
        }
    }
}
