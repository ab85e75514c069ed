//! Mending replicas of which pages rotted, in place, from others of their version; never from one of a lower version, whose pages
//! may be older than what was acknowledged.
//!
//! A damaged replica is not given up for that: it may be the only one that has some other page. It is read last, does not
//! count for the goal, and is a member of chains. Order of steps: `docs/protocol/healing.md`, *Mending*.
//!
//! # Invariants
//! 1. `damaged` holds exactly the chunks with a damaged replica on a disk that is up.
//! 2. A chunk has at most one mending order, under a version that was granted to nobody.
//! 3. At most [`MENDING_MAX`] replicas are mended at a time: each is read whole, twice.
//! 4. A damaged replica becomes stale for its damage only after another one was read whole and had, or got of it, every page. One
//!    that could not follow a raise is kept until then: neither deleted nor in the way of a copy. Nor does a copy go where a stale one
//!    is while no current one is sound.

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
    /// The disk that it is on.
    disk: u16,
    version: Version,
    since_ms: u64,
    /// Damage was met meanwhile, perhaps after the last look.
    met_again: bool,
    /// A replica that cannot be mended, or was left behind, and goes if this one turns out to have all pages.
    gives_up: Option<u16>,
}

impl Healing {
    /// Damage was met in the replica on this disk.
    pub(crate) fn met_damage(&mut self, slot: ChunkSlot, disk: u16) {
        if let Some(mending) = self.mending.get_mut(&slot).filter(|one| one.disk == disk) {
            mending.met_again = true;
        }
    }

    /// Whether an odd number of tries for the chunk failed.
    fn is_second_try(&self, slot: ChunkSlot) -> bool {
        self.tries(slot) % 2 == 1
    }

    fn tries(&self, slot: ChunkSlot) -> usize {
        self.later.get(&slot).map_or(0, |later| later.failures as usize)
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
        for slot in self.healing.damaged.batch(super::LOOKED_MAX) {
            if self.healing.mending.len() >= MENDING_MAX {
                break;
            }
            let set = self.table.replicas(slot);
            // Each in its turn: one that cannot be mended may have what another one lacks.
            let sound = set.sound().next();
            let damaged: Vec<u16> = set.damaged().chain(set.kept().filter(|_| sound.is_some())).collect();
            if damaged.is_empty() || self.is_put_off(slot, now_ms) {
                continue;
            }
            let disk = damaged[self.healing.tries(slot) / 2 % damaged.len()];
            if set.readable().all(|other| other == disk) && set.left_behind().next().is_none() {
                continue; // Whoever comes back with another one wakes this.
            }
            // With stale ones only it is read whole: its page may have been written anew, and they are kept until then.
            let busy = !self.table.is_quiet(slot) || self.table.is_unsettled(slot);
            if busy
                && self.is_short(slot)
                && self.healing.is_second_try(slot)
                && self.destination(slot, None).is_some()
            {
                continue; // One that is written all the time is not raised for this for ever: a copy has its turn.
            }
            begun = true;
            if busy {
                self.healing.put_off(slot, now_ms, RETRY_MS);
                let current: Vec<u16> = set.current().collect();
                self.start_raise(slot, &current, Purposes::default(), now_ms, out);
                continue;
            }
            // Whoever asks for a grant from now on gets it after a raise, which ends the work.
            self.table.set_open(slot, false);
            match sound.filter(|_| set.state(disk) == Some(ReplicaState::Kept)) {
                Some(whole) => self.order_mending(slot, whole, Some(disk), now_ms, out),
                None => self.order_mending(slot, disk, None, now_ms, out),
            }
        }
        begun
    }

    /// Orders a replica to be read whole, and what it lacks to be taken from the others.
    fn order_mending(
        &mut self,
        slot: ChunkSlot,
        disk: u16,
        gives_up: Option<u16>,
        now_ms: u64,
        out: &mut Vec<Command>,
    ) {
        let (Some(chunk), Some(version)) = (self.table.chunk(slot), self.table.version(slot)) else { return };
        let set = self.table.replicas(slot);
        let others = set.readable().filter(|other| *other != disk);
        let what = Order::Mend {
            disk: self.hosts.disk(disk).id,
            chunk,
            version,
            sources: others.map(|disk| self.hosts.address(disk)).collect(),
        };
        let order = self.order(disk, Purpose::Mend(slot), what, now_ms, out);
        let mending = Mending { order, disk, version, since_ms: now_ms, met_again: false, gives_up };
        self.healing.mending.insert(slot, mending);
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
        // A raise that runs takes the states of its members as they were.
        let same = self.table.version(slot) == Some(mending.version) && !self.raises.is_running(slot);
        use ReplicaState::{Current, Damaged, Kept, Stale};
        let change = match (status, mending.gives_up) {
            (Ok(()), _) if mending.met_again => None,
            (Ok(()), None) => Some((open.disk, Damaged, Current)),
            // It is made anew.
            (Ok(()), Some(hopeless)) if set.state(hopeless) == Some(Kept) => Some((hopeless, Kept, Stale)),
            (Ok(()), Some(hopeless)) => Some((hopeless, Damaged, Stale)),
            (Err(Status::Corrupt), Some(_)) => Some((open.disk, Current, Damaged)),
            // What is sound nowhere may be sound on a disk that is away.
            (Err(Status::Corrupt | Status::WrongVersion | Status::TimedOut), None) | (Err(_), Some(_)) => {
                None
            }
            // Its own disk does not take them. Another one has to be whole before this one goes.
            (Err(_), None) => {
                let is_closed = same && self.table.is_quiet(slot) && !self.table.is_open(slot);
                if let Some(whole) = set.sound().next().filter(|_| is_closed) {
                    return self.order_mending(slot, whole, Some(open.disk), now_ms, out);
                }
                None
            }
        };
        match change.filter(|(disk, from, _)| same && set.state(*disk) == Some(*from)) {
            Some((disk, _, to)) => {
                set.set(disk, to);
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
