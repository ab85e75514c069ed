//! Fewest replicas that may acknowledge a write (`docs/protocol/grants.md`, *Enough replicas to write to*).
//!
//! Only sound replicas count: one that is being filled lacks what was there before, one with damaged pages is about to
//! be mended or given up, one that lost power has yet to be compared. A chunk with fewer keeps what it has: nobody is granted it, no truncate cuts it, and no report of
//! a failed hop leaves anybody out. Who wants to write is told to try again until healing or a server that returns has
//! brought enough.
//!
//! # Invariants
//! 1. A chain that is handed out has at least [`FleetOptions::min_write`] sound members at that moment.
//! 2. A raise that somebody waits for to write is recorded only with so many.

use crate::fleet::Fleet;
use crate::raise::Purposes;
use crate::table::{ReplicaSet, ReplicaState};
use crate::{Command, FleetOptions};
use types::{ChunkSlot, Status};

impl FleetOptions {
    /// Until storage classes say it, it follows from the goal.
    pub fn min_write(&self) -> usize {
        if self.goal <= 2 { 1 } else { 2 }
    }
}

impl Fleet {
    /// Whether the chunk has too few replicas to be written as it is.
    pub(crate) fn is_below_min_write(&self, slot: ChunkSlot) -> bool {
        self.table.replicas(slot).sound().count() < self.options.min_write()
    }

    /// Whether it has too few also if it is raised: those that lost power may follow the others by that.
    pub(crate) fn is_out_of_reach(&self, slot: ChunkSlot) -> bool {
        let set = self.table.replicas(slot);
        !set.is_empty() && !self.may_acknowledge(&set, set.members())
    }

    /// Whether enough of these members are sound by what is known of them.
    pub(crate) fn may_acknowledge(&self, set: &ReplicaSet, members: impl Iterator<Item = u16>) -> bool {
        let sound = members.filter(|disk| set.state(*disk) != Some(ReplicaState::Damaged));
        sound.count() >= self.options.min_write()
    }

    /// Answers those who want to write that they are to wait.
    pub(crate) fn hold_back(&mut self, purposes: Purposes, out: &mut Vec<Command>) {
        let edits = usize::from(purposes.edit.is_some()) + purposes.edits.len();
        self.held_back += (purposes.waiters.len() + edits) as u64;
        self.refuse(purposes, Status::TryAgain, out);
    }
}
