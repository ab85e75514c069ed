//! Replicas too many: stale ones, and those above the goal, go one at a time, when enough others are known to be good.
//!
//! # Invariants
//! 1. A delete order leaves only after every replica that is to remain has answered, since the decision, that it is
//!    complete, sound and of the chunk's version, and those that are on no disk that is to go are at least as many as wanted.
//! 2. One replica of a chunk at a time, and none while the chunk is copied or raised.
//! 3. A current replica is given up only under a version that was granted to nobody and whose chain is closed, so
//!    that no writer counts on it.

use super::RETRY_MS;
use crate::fleet::{Fleet, Purpose};
use crate::raise::Purposes;
use crate::table::{Health, ReplicaSet, ReplicaState};
use crate::{Command, DiskState, Order, OrderId};
use std::collections::BTreeSet;
use types::{ChunkSlot, Status, Version};

/// Removals at one time: enough to keep disks busy, few enough to leave them time for clients.
pub(super) const REMOVALS_MAX: usize = 64;

/// One replica on its way out.
#[derive(Clone, Debug)]
pub(super) struct Removal {
    victim: u16,
    /// The chunk's when it was decided.
    version: Version,
    since_ms: u64,
    stage: Stage,
}

#[derive(Clone, Debug)]
enum Stage {
    /// The others are asked; who has not answered, and who has.
    Verifying { asked: BTreeSet<OrderId>, sound: Vec<u16> },
    /// Ordered.
    Deleting(OrderId),
}

impl Fleet {
    /// Begins to remove what the chunk has too much of. False: not now.
    pub(super) fn begin_removal(&mut self, slot: ChunkSlot, now_ms: u64, out: &mut Vec<Command>) -> bool {
        let set = self.table.replicas(slot);
        let stale = set.iter().find(|replica| replica.state == ReplicaState::Stale);
        let victim = match stale {
            Some(replica) => replica.disk,
            None if self.table.is_quiet(slot) => {
                // Whoever asks for a grant from now on gets it after a raise without the victim.
                self.table.set_open(slot, false);
                let Some(victim) = self.worst(slot, &set) else { return false };
                victim
            }
            None => {
                // A chunk that is written without a pause would keep a disk that is to go for ever: its writers go on without it.
                // Replicas that may differ are compared with it first.
                let is_settled = !self.table.is_unsettled(slot);
                let goes = self.worst(slot, &set).filter(|disk| is_settled && self.table.is_leaving(*disk));
                let members: Vec<u16> = set.current().filter(|disk| Some(*disk) != goes).collect();
                self.healing.put_off(slot, now_ms, RETRY_MS);
                self.start_raise(slot, &members, Purposes::default(), now_ms, out);
                return true;
            }
        };
        let (Some(chunk), Some(version)) = (self.table.chunk(slot), self.table.version(slot)) else {
            return false;
        };
        let remaining: Vec<u16> = set.sound().filter(|disk| *disk != victim).collect();
        let mut asked = BTreeSet::new();
        for disk in remaining {
            let what = Order::Verify { disk: self.hosts.disk(disk).id, chunk, version };
            asked.insert(self.order(disk, Purpose::Verify(slot), what, now_ms, out));
        }
        let stage = Stage::Verifying { asked, sound: Vec::new() };
        self.healing.removals.insert(slot, Removal { victim, version, since_ms: now_ms, stage });
        true
    }

    /// The replica that the class can do without best, that of a disk that gives it for balance before others; one that can be
    /// deleted, if there is any.
    fn worst(&self, slot: ChunkSlot, set: &ReplicaSet) -> Option<u16> {
        // What an edit made dispensable stays for a while; it cannot stand for one that goes.
        let mut held = self.held(set.sound().filter(|disk| self.held_until_ms(slot, *disk).is_none()));
        let giver = self.healing.giver(slot);
        held.iter_mut().for_each(|one| one.leaving |= Some(one.disk) == giver);
        let surplus = self.hosts.pool.judge(self.rule(slot), &held).surplus;
        let can_go = |disk: &&u16| self.hosts.disk(**disk).state == DiskState::Good;
        surplus.iter().find(can_go).or(surplus.first()).copied()
    }

    /// A replica that is to remain answered.
    pub(crate) fn verify_done(
        &mut self,
        slot: ChunkSlot,
        order: OrderId,
        status: Result<(), Status>,
        now_ms: u64,
        out: &mut Vec<Command>,
    ) {
        let Some(open) = self.orders.remove(&order) else { return };
        let Some(removal) = self.healing.removals.get_mut(&slot) else { return };
        let Stage::Verifying { asked, sound } = &mut removal.stage else { return };
        if !asked.remove(&order) {
            return;
        }
        if let Err(status) = status {
            if status == Status::NoChunk {
                let mut set = self.table.replicas(slot);
                set.remove(open.disk);
                self.put_replicas(slot, &set);
            }
            return self.give_up_removal(slot, now_ms);
        }
        sound.push(open.disk);
        if asked.is_empty() {
            let (sound, victim, version) = (std::mem::take(sound), removal.victim, removal.version);
            self.delete_surplus(slot, &sound, victim, version, now_ms, out);
        }
    }

    fn delete_surplus(
        &mut self,
        slot: ChunkSlot,
        sound: &[u16],
        victim: u16,
        version: Version,
        now_ms: u64,
        out: &mut Vec<Command>,
    ) {
        let mut set = self.table.replicas(slot);
        let counts =
            |disk: &&u16| set.state(**disk) == Some(ReplicaState::Current) && !self.table.is_leaving(**disk);
        let still_sound = sound.iter().filter(counts).count();
        let removable = match set.state(victim) {
            Some(ReplicaState::Stale) => true,
            Some(ReplicaState::Current | ReplicaState::Damaged) => {
                self.table.is_quiet(slot) && !self.table.is_open(slot)
            }
            _ => false,
        };
        let same = self.table.version(slot) == Some(version);
        let Some(chunk) = self.table.chunk(slot) else { return };
        if !removable || !same || still_sound < self.goal(slot) {
            return self.give_up_removal(slot, now_ms);
        }
        let what = Order::Delete { disk: self.hosts.disk(victim).id, chunk, version, unknown: false };
        let order = self.order(victim, Purpose::Remove(slot), what, now_ms, out);
        if let Some(removal) = self.healing.removals.get_mut(&slot) {
            removal.stage = Stage::Deleting(order);
        }
        // From now on it is not read, nor a member.
        set.set(victim, ReplicaState::Stale);
        self.put_replicas(slot, &set);
    }

    /// The replica was deleted, or not.
    pub(crate) fn remove_done(
        &mut self,
        slot: ChunkSlot,
        order: OrderId,
        status: Result<(), Status>,
        now_ms: u64,
        out: &mut Vec<Command>,
    ) {
        let Some(open) = self.orders.remove(&order) else { return };
        let ours =
            |removal: &Removal| matches!(removal.stage, Stage::Deleting(deleting) if deleting == order);
        if !self.healing.removals.get(&slot).is_some_and(ours) {
            return;
        }
        match status {
            Ok(()) | Err(Status::NoChunk) => {
                self.healing.removals.remove(&slot);
                self.healing.removed += 1;
                let mut set = self.table.replicas(slot);
                if set.state(open.disk) == Some(ReplicaState::Stale) {
                    set.remove(open.disk);
                    self.put_replicas(slot, &set);
                }
            }
            Err(_) => self.give_up_removal(slot, now_ms),
        }
        self.heal(now_ms, out);
    }

    fn give_up_removal(&mut self, slot: ChunkSlot, now_ms: u64) {
        if let Some(removal) = self.healing.removals.remove(&slot) {
            if let Stage::Verifying { asked, .. } = removal.stage {
                for order in asked {
                    self.orders.remove(&order);
                }
            }
            self.healing.put_off(slot, now_ms, RETRY_MS);
        }
    }

    /// The chunk is raised or has left the metadata: what was asked so far counts no more. A delete order that
    /// has left stands: what it names stays below every later version.
    pub(crate) fn removal_overtaken(&mut self, slot: ChunkSlot, now_ms: u64) {
        let verifying = |removal: &Removal| matches!(removal.stage, Stage::Verifying { .. });
        if self.healing.removals.get(&slot).is_some_and(verifying) {
            self.give_up_removal(slot, now_ms);
        }
    }

    /// An order of a removal was lost with its server.
    pub(crate) fn removal_lost(&mut self, slot: ChunkSlot, order: OrderId, now_ms: u64) {
        let concerned = |removal: &Removal| match &removal.stage {
            Stage::Verifying { asked, .. } => asked.contains(&order),
            Stage::Deleting(deleting) => *deleting == order,
        };
        if self.healing.removals.get(&slot).is_some_and(concerned) {
            self.give_up_removal(slot, now_ms);
        }
    }

    /// Gives up removals whose orders are not answered.
    pub(crate) fn removal_deadlines(&mut self, now_ms: u64) {
        let timeout_ms = self.options.delete_timeout_ms;
        let removals = self.healing.removals.iter();
        let late: Vec<ChunkSlot> = removals
            .filter(|(_, removal)| now_ms >= removal.since_ms + timeout_ms)
            .map(|(slot, _)| *slot)
            .collect();
        for slot in late {
            if let Some(Stage::Deleting(order)) =
                self.healing.removals.get(&slot).map(|one| one.stage.clone())
            {
                self.orders.remove(&order);
            }
            self.give_up_removal(slot, now_ms);
        }
    }

    /// Whether the chunk has a replica that is not needed.
    pub(crate) fn has_surplus(&self, slot: ChunkSlot) -> bool {
        let is_known = || self.classes.known(self.table.class(slot)).is_some();
        let is_stale = || self.table.replicas(slot).iter().any(|one| one.state == ReplicaState::Stale);
        let can_go = || {
            let set = self.table.replicas(slot);
            !self.awaits_look(slot, &set) && (!self.holds_any(slot, &set) || self.worst(slot, &set).is_some())
        };
        match self.table.health(slot) {
            Some(Health::Overgoal) => is_known() && can_go() || is_stale(),
            Some(Health::Ok) => is_stale(),
            _ => false,
        }
    }
}
