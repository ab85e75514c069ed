//! Replicas that are not where the class of their chunk wants them: on a disk with the wrong labels, or in a failure domain with
//! another one.
//!
//! The lowest priority: a replica is made where it should be, by a copy like any other, and then the chunk has one too many,
//! of which the worst goes (`remove`). A chunk for which nothing better can be had now stays as it is, and its turn comes again.

use super::{Healing, LOOKED_MAX};
use crate::Command;
use crate::fleet::Fleet;
use crate::table::ReplicaSet;
use std::cmp::Ordering;
use types::ChunkSlot;

/// Misplaced chunks that one pass looks at: for each a choice is made, which takes some microseconds.
const CHOSEN_MAX: usize = LOOKED_MAX / 16;

impl Healing {
    /// Chunks whose replicas are not where they should be.
    pub(crate) fn misplaced(&self) -> u64 {
        self.misplaced.slots.len()
    }

    /// Whether a chunk is one of them.
    pub(crate) fn waits_misplaced(&self, slot: ChunkSlot) -> bool {
        self.misplaced.slots.contains(slot)
    }
}

impl Fleet {
    /// Whether some of these replicas, as many as are wanted, are not where the class wants them. Of too many, if some are held:
    /// their hold does not keep the others from going where they should be.
    pub(crate) fn is_misplaced(&self, slot: ChunkSlot, set: &ReplicaSet) -> bool {
        let Some(class) = self.classes.known(self.table.class(slot)) else { return false };
        let rule = class.rule(self.table.stage(slot));
        match set.sound().count().cmp(&rule.policy().layout.replicas()) {
            Ordering::Less => false,
            Ordering::Equal => !self.hosts.pool.suits(rule, set.sound()),
            Ordering::Greater if self.holds_any(slot, set) => {
                !self.hosts.pool.judge(rule, &self.held(set.sound())).stands_in.is_empty()
            }
            Ordering::Greater => false,
        }
    }

    /// Begins to move what can be moved now, if nothing that is more urgent has taken all the time there is.
    pub(super) fn begin_moves(&mut self, now_ms: u64, out: &mut Vec<Command>) -> bool {
        let silence = self.silence();
        let mut begun = false;
        for slot in self.healing.misplaced.batch(CHOSEN_MAX) {
            if self.no_copy_has_room(now_ms) {
                break;
            }
            // The one that is where it should be may be on a server that is away for a moment.
            let ripe = now_ms >= self.ripe_ms(slot, &silence);
            if ripe && !self.is_put_off(slot, now_ms) && self.is_misplaced(slot, &self.table.replicas(slot)) {
                begun |= self.begin_copy(slot, Self::destination, now_ms, out);
            }
        }
        begun
    }
}
