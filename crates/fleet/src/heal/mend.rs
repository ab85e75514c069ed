//! Mending replicas of which pages rotted, in place, from others of their version.
//!
//! A damaged replica is not given up for that: it may be the only one that has some other page. It is read last, does not
//! count for the goal, and is a member of chains. Order of steps: `docs/protocol/healing.md`, *Mending*.
//!
//! # Invariants
//! 1. `damaged` holds exactly the chunks with a damaged replica on a disk that is up.
//! 2. A chunk has at most one mending order, under a version that was granted to nobody.
//! 3. At most [`MENDING_MAX`] replicas are mended at a time: each is read whole, twice.
//! 4. A damaged replica becomes stale only if its pages could not be written while a sound one is there.

use super::{Healing, RETRY_MS};
use crate::fleet::{Fleet, Purpose};
use crate::raise::Purposes;
use crate::table::ReplicaState;
use crate::{Command, Order, OrderId};
use types::{ChunkSlot, Status, Version};

/// Most replicas that are mended at a time.
const MENDING_MAX: usize = 16;

/// A replica that is being mended.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mending {
    order: OrderId,
    version: Version,
    since_ms: u64,
    /// Damage was met meanwhile, perhaps after the last look.
    met_again: bool,
}

impl Healing {
    /// Damage was met in a replica of the chunk.
    pub(crate) fn met_damage(&mut self, slot: ChunkSlot) {
        if let Some(mending) = self.mending.get_mut(&slot) {
            mending.met_again = true;
        }
    }

    /// Whether an odd number of tries for the chunk failed.
    fn is_second_try(&self, slot: ChunkSlot) -> bool {
        self.later.get(&slot).is_some_and(|later| later.failures % 2 == 1)
    }

    /// The chunk has, or has no longer, a damaged replica.
    pub(crate) fn set_damaged(&mut self, slot: ChunkSlot, damaged: bool) {
        self.damaged.set(slot, damaged);
    }
}

impl Fleet {
    /// Orders damaged replicas to be mended, after a raise if somebody may write under their version.
    pub(super) fn begin_mending(&mut self, now_ms: u64, out: &mut Vec<Command>) -> bool {
        let mut begun = false;
        if self.healing.mending.len() >= MENDING_MAX {
            return false;
        }
        for slot in self.healing.damaged.batch() {
            if self.healing.mending.len() >= MENDING_MAX {
                break;
            }
            let set = self.table.replicas(slot);
            let Some(disk) = set.damaged().next().filter(|_| !self.is_put_off(slot, now_ms)) else {
                continue;
            };
            let sources: Vec<u16> = set.readable().filter(|other| *other != disk).collect();
            if sources.is_empty() {
                continue; // Whoever comes back with another one wakes this.
            }
            let busy = !self.table.is_quiet(slot) || self.table.is_unsettled(slot);
            if busy && self.healing.is_second_try(slot) && self.destination(slot).is_some() {
                continue; // One that is written all the time is not raised for this for ever: a copy has its turn.
            }
            begun = true;
            if busy {
                self.healing.put_off(slot, now_ms, RETRY_MS);
                let current: Vec<u16> = set.current().collect();
                self.start_raise(slot, &current, None, Purposes::default(), now_ms, out);
                continue;
            }
            let (Some(chunk), Some(version)) = (self.table.chunk(slot), self.table.version(slot)) else {
                continue;
            };
            // Whoever asks for a grant from now on gets it after a raise, which ends the work.
            self.table.set_open(slot, false);
            let what = Order::Mend {
                disk: self.hosts.disk(disk).id,
                chunk,
                version,
                sources: sources.into_iter().map(|disk| self.hosts.address(disk)).collect(),
            };
            let order = self.order(disk, Purpose::Mend(slot), what, now_ms, out);
            self.healing.mending.insert(slot, Mending { order, version, since_ms: now_ms, met_again: false });
        }
        begun
    }

    /// A damaged replica was mended or could not be.
    pub(crate) fn mend_done(
        &mut self,
        slot: ChunkSlot,
        order: OrderId,
        status: Result<(), Status>,
        now_ms: u64,
        out: &mut Vec<Command>,
    ) {
        let Some(open) = self.orders.remove(&order) else { return };
        let Some(mending) = self.healing.mending.get(&slot).filter(|one| one.order == order).copied() else {
            return;
        };
        self.healing.mending.remove(&slot);
        let mut set = self.table.replicas(slot);
        let same = self.table.version(slot) == Some(mending.version)
            && set.state(open.disk) == Some(ReplicaState::Damaged);
        let state = match status {
            Ok(()) if mending.met_again => None,
            Ok(()) => Some(ReplicaState::Current),
            // What is sound nowhere may be sound on a disk that is away.
            Err(Status::Corrupt | Status::WrongVersion | Status::TimedOut) => None,
            // Its own disk does not take them: it is made anew.
            Err(_) => set.sound().next().map(|_| ReplicaState::Stale),
        };
        match state.filter(|_| same) {
            Some(state) => {
                set.set(open.disk, state);
                self.put_replicas(slot, &set);
            }
            None => self.healing.put_off(slot, now_ms, RETRY_MS),
        }
        self.healing.wake();
        self.heal(now_ms, out);
    }

    /// The server that was to do it is gone, or the chunk is.
    pub(crate) fn mending_lost(&mut self, slot: ChunkSlot) {
        self.healing.mending.remove(&slot);
    }

    /// Gives up what is not answered.
    pub(crate) fn mending_deadlines(&mut self, now_ms: u64) {
        let timeout_ms = self.options.copy_timeout_ms;
        let late = self.healing.mending.iter().filter(|(_, one)| now_ms >= one.since_ms + timeout_ms);
        let late: Vec<(ChunkSlot, OrderId)> = late.map(|(slot, one)| (*slot, one.order)).collect();
        for (slot, order) in late {
            self.orders.remove(&order);
            self.healing.mending.remove(&slot);
            self.healing.put_off(slot, now_ms, RETRY_MS);
        }
    }
}
