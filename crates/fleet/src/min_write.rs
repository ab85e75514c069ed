//! Fewest replicas that may acknowledge a write (`docs/protocol/grants.md`, *Enough replicas to write to*).
//!
//! Sound replicas count; one that is being filled lacks what was there before, and one that lost power has yet to be compared. One
//! with damaged pages counts where no sound one is left behind by it, or awaited: what is bad of it is bad, and can be written over. A chunk with fewer keeps what it has: nobody is granted it, no truncate cuts it, and no report of
//! a failed hop leaves anybody out. Who wants to write is told to try again until healing or a server that returns has
//! brought enough.
//!
//! # Invariants
//! 1. A chain that is handed out has at least as many such members at that moment as the class of its chunk says.
//! 2. A raise that somebody waits for to write is recorded only with so many.
//! 3. A raise that nobody waits for is recorded with fewer than that, and than it began with, only when those whom it lost are given up.
//!    With as many or more it leaves out nobody who counts and whose server answers before that (`raise`).

use crate::Command;
use crate::fleet::Fleet;
use crate::raise::Purposes;
use crate::table::{ReplicaSet, ReplicaState};
use types::{ChunkSlot, Status};

impl Fleet {
    /// Whether the chunk has too few replicas to be written as it is.
    pub(crate) fn is_below_min_write(&self, slot: ChunkSlot, now_ms: u64) -> bool {
        let set = self.table.replicas(slot);
        !self.may_acknowledge(slot, &set, set.current(), now_ms)
    }

    /// Whether it has too few also if it is raised: those that lost power may follow the others by that.
    pub(crate) fn is_out_of_reach(&self, slot: ChunkSlot, now_ms: u64) -> bool {
        let set = self.table.replicas(slot);
        !set.is_empty() && !self.may_acknowledge(slot, &set, set.members(), now_ms)
    }

    /// Whether these members are enough by what is known of them.
    pub(crate) fn may_acknowledge(
        &self,
        slot: ChunkSlot,
        set: &ReplicaSet,
        members: impl Iterator<Item = u16>,
        now_ms: u64,
    ) -> bool {
        let members: Vec<u16> = members.collect();
        let is_damaged = |disk: &&u16| set.state(**disk) == Some(ReplicaState::Damaged);
        let damaged = members.iter().filter(is_damaged).count();
        let least = self.min_write_of(slot);
        members.len() - damaged >= least
            || members.len() >= least && !self.may_be_mended(slot, set, &members, now_ms)
    }

    /// Whether a chain or a record without the other replicas loses pages that one of these may have: all members are damaged.
    pub(crate) fn leaves_pages_behind(
        &self,
        slot: ChunkSlot,
        set: &ReplicaSet,
        members: &[u16],
        now_ms: u64,
    ) -> bool {
        let is_damaged = |disk: &u16| set.state(*disk) == Some(ReplicaState::Damaged);
        members.iter().all(is_damaged) && self.may_be_mended(slot, set, members, now_ms)
    }

    /// Whether a replica on none of these disks may have the pages that are bad on them.
    fn may_be_mended(&self, slot: ChunkSlot, set: &ReplicaSet, members: &[u16], now_ms: u64) -> bool {
        use ReplicaState::{Absent, Current, Damaged, Doubtful};
        let known =
            set.iter().filter(|one| matches!(one.state, Current | Absent | Damaged | Doubtful)).count();
        // At a start it may be on a disk that has not been heard of.
        if known < self.goal(slot) && self.awaits_disks(now_ms) {
            return true;
        }
        set.iter().filter(|replica| !members.contains(&replica.disk)).any(|replica| match replica.state {
            ReplicaState::Current => true,
            ReplicaState::Absent => self.may_return(self.hosts.disk(replica.disk), now_ms),
            _ => false,
        })
    }

    /// Answers those who want to write that they are to wait.
    pub(crate) fn hold_back(&mut self, purposes: Purposes, out: &mut Vec<Command>) {
        let edits = usize::from(purposes.edit.is_some()) + purposes.edits.len();
        self.held_back += (purposes.waiters.len() + edits) as u64;
        self.refuse(purposes, Status::TryAgain, out);
    }
}
