//! Replicas that an edit of a class or of labels made dispensable: they stay for a while, so that the edit can be taken back
//! without a copy.
//!
//! A held replica is like any other, but for one thing: it is not removed as surplus. It counts for the goal, is read, and follows
//! writes. What healing makes too many is not held, nor what is on a disk that is to go. A disk that is running out of
//! room gives its held replicas up, before a writer is turned away.
//!
//! # Invariants
//! 1. Only replicas that exist are held; each ends at its time, rounded up by a part of the hold.
//! 2. Between an edit and the look at a chunk that it concerns, no current replica of the chunk is removed.
//! 3. One tick releases no more than [`RELEASED_MAX`] replicas.
//!
//! # Elsewhere
//! Which chunks an edit concerns: `review`. Which surplus replica goes first: `heal::remove`.

use crate::fleet::Fleet;
use crate::slot_set::SlotSet;
use crate::table::{ReplicaSet, ReplicaState};
use std::collections::BTreeMap;
use types::ChunkSlot;

/// Replicas that one tick releases: each is judged, which takes some microseconds.
const RELEASED_MAX: usize = 1_000;
/// The same of disks without room: few, since the room that they give is not seen before the next heartbeat.
const PRESSED_MAX: usize = 16;
/// Different ends of holds that a disk remembers: a hold is rounded up by this part of it.
const ENDS: u64 = 64;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Holds {
    /// By disk, then by end.
    disks: BTreeMap<u16, BTreeMap<u64, SlotSet>>,
}

impl Holds {
    /// Until when a replica is held.
    pub(crate) fn until_ms(&self, disk: u16, slot: ChunkSlot) -> Option<u64> {
        let ends = self.disks.get(&disk)?;
        ends.iter().find(|(_, slots)| slots.contains(slot)).map(|(until_ms, _)| *until_ms)
    }

    /// All held replicas.
    pub(crate) fn len(&self) -> u64 {
        self.disks.values().flat_map(BTreeMap::values).map(SlotSet::len).sum()
    }

    fn insert(&mut self, disk: u16, slot: ChunkSlot, until_ms: u64) {
        self.disks.entry(disk).or_default().entry(until_ms).or_default().insert(slot);
    }

    /// The replica is held no longer.
    pub(crate) fn remove(&mut self, disk: u16, slot: ChunkSlot) {
        let Some(ends) = self.disks.get_mut(&disk) else { return };
        ends.retain(|_, slots| {
            slots.remove(slot);
            slots.len() > 0
        });
        if ends.is_empty() {
            self.disks.remove(&disk);
        }
    }

    /// At most so many of a disk whose time is over by then, first ends first.
    fn ended(&self, disk: u16, now_ms: u64, most: usize) -> Vec<ChunkSlot> {
        let ends = self.disks.get(&disk).into_iter().flat_map(|ends| ends.range(..=now_ms));
        ends.flat_map(|(_, slots)| slots.iter()).take(most).collect()
    }
}

impl Fleet {
    /// Until when a replica is held that is dispensable.
    pub(crate) fn held_until_ms(&self, slot: ChunkSlot, disk: u16) -> Option<u64> {
        self.holds.until_ms(disk, slot).filter(|_| !self.table.is_leaving(disk))
    }

    /// Whether any replica of these is held.
    pub(crate) fn holds_any(&self, slot: ChunkSlot, set: &ReplicaSet) -> bool {
        !self.holds.disks.is_empty() && set.iter().any(|one| self.held_until_ms(slot, one.disk).is_some())
    }

    /// An operator's edit concerns the chunk: sorts it into the queues by what its class wants now, and holds what that can do
    /// without.
    pub(crate) fn look_after_edit(&mut self, slot: ChunkSlot, now_ms: u64) {
        let set = self.table.replicas(slot);
        let is_good = |state| matches!(state, ReplicaState::Current | ReplicaState::Absent);
        let good: Vec<u16> = set.iter().filter(|one| is_good(one.state)).map(|one| one.disk).collect();
        for disk in &good {
            self.holds.remove(*disk, slot);
        }
        let hold_ms = self.options.hold_ms;
        if hold_ms > 0 && self.classes.known(self.table.class(slot)).is_some() {
            let held = self.held(good.iter().copied());
            let judgement = self.hosts.pool.judge(self.rule(slot), &held);
            let part_ms = (hold_ms / ENDS).max(1);
            let until_ms = (now_ms + hold_ms).next_multiple_of(part_ms);
            for disk in judgement.surplus.into_iter().chain(judgement.stands_in) {
                self.holds.insert(disk, slot, until_ms);
            }
        }
        self.look_again(slot);
    }

    /// Lets go of replicas whose time is over, and of some on disks that need the room.
    pub(crate) fn release_holds(&mut self, now_ms: u64) {
        let disks: Vec<u16> = self.holds.disks.keys().copied().collect();
        let (mut over, mut pressed) = (RELEASED_MAX, PRESSED_MAX);
        for disk in disks {
            let ended = self.holds.ended(disk, now_ms, over);
            over -= ended.len();
            self.let_go(disk, &ended);
            if self.is_pressed(disk) {
                let some = self.holds.ended(disk, u64::MAX, pressed);
                pressed -= some.len();
                self.let_go(disk, &some);
            }
        }
    }

    fn let_go(&mut self, disk: u16, slots: &[ChunkSlot]) {
        for slot in slots {
            self.holds.remove(disk, *slot);
            self.look_again(*slot);
        }
    }

    /// Whether a disk takes chunks and has hardly any room for another one.
    pub(crate) fn is_pressed(&self, disk: u16) -> bool {
        let disk = self.hosts.disk(disk);
        disk.up && disk.free_bytes < disk.needed_bytes() + disk.total_bytes / 50
    }
}
