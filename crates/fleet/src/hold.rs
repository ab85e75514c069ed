//! Replicas that an edit of a class or of labels made dispensable: they stay for a while, so that the edit can be taken back
//! without a copy.
//!
//! A held replica is like any other, but for one thing: it is not removed as surplus. It counts for the goal, is read, and follows
//! writes. What is on a disk that is to go is not held, nor what nobody wanted before the edit. A disk that is running out of
//! room gives its held replicas up, before a writer is turned away.
//!
//! The metadata has one hold for each edit: what was wanted before. Which replicas it keeps follows from that and from where they
//! are; it is worked out when the edit is looked at, and again from what disks report after a start.
//!
//! # Invariants
//! 1. Only replicas that exist are held, each by a hold that has not ended and that wanted it; by that which ends last.
//! 2. Between an edit and the look at a chunk that it concerns, no current replica of the chunk is removed; nor, while there are
//!    holds, before the disks that it is on have told all that they have in this reign, and were looked at.
//! 3. One tick releases no more than [`RELEASED_MAX`] replicas.
//!
//! # Elsewhere
//! Which chunks an edit concerns: `review`. Which surplus replica goes first: `heal::remove`. When holds end: `master`.

use crate::classes::Class;
use crate::event::HeldFor;
use crate::fleet::Fleet;
use crate::labels::ToldLabels;
use crate::slot_set::SlotSet;
use crate::table::{ReplicaSet, ReplicaState};
use placement::{Held, Pool, Rule};
use std::collections::{BTreeMap, BTreeSet};
use types::{ChunkSlot, ClassId, HoldId, Holder, Labels};

/// Replicas that one tick releases: each is judged, which takes some microseconds.
const RELEASED_MAX: usize = 1_000;
/// The same of disks without room: few, since the room that they give is not seen before the next heartbeat.
const PRESSED_MAX: usize = 16;

/// What was wanted before an edit.
#[derive(Debug)]
enum Before {
    Class(ClassId, Box<Class>),
    Labels(Holder, Labels),
}

#[derive(Debug)]
struct Entry {
    before: Before,
    until_ms: u64,
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Holds {
    /// Those that have not ended, in the order of the edits.
    entries: BTreeMap<HoldId, Entry>,
    /// Held replicas by disk, then by hold.
    disks: BTreeMap<u16, BTreeMap<HoldId, SlotSet>>,
    /// The disks with the labels that they had before an edit, and what the pool was made of.
    pools: BTreeMap<HoldId, (u64, Pool)>,
}

impl Holds {
    /// By which hold a replica is kept.
    fn of(&self, disk: u16, slot: ChunkSlot) -> Option<HoldId> {
        let holds = self.disks.get(&disk)?;
        holds.iter().find(|(_, slots)| slots.contains(slot)).map(|(hold, _)| *hold)
    }

    /// Until when a replica is held. What an edit kept whose hold is over is held until it was looked at: another one may want it.
    fn until_ms(&self, disk: u16, slot: ChunkSlot) -> Option<u64> {
        let hold = self.of(disk, slot)?;
        Some(self.entries.get(&hold).map_or(0, |entry| entry.until_ms))
    }

    /// All held replicas.
    pub(crate) fn len(&self) -> u64 {
        self.disks.values().flat_map(BTreeMap::values).map(SlotSet::len).sum()
    }

    /// Whether any edit holds anything.
    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    fn insert(&mut self, disk: u16, slot: ChunkSlot, hold: HoldId) {
        self.disks.entry(disk).or_default().entry(hold).or_default().insert(slot);
    }

    /// The replica is held no longer.
    pub(crate) fn remove(&mut self, disk: u16, slot: ChunkSlot) {
        let Some(holds) = self.disks.get_mut(&disk) else { return };
        holds.retain(|_, slots| {
            slots.remove(slot);
            slots.len() > 0
        });
        if holds.is_empty() {
            self.disks.remove(&disk);
        }
    }

    /// At most so many of a disk, of holds that are over or of all, the first edits first.
    fn some(&self, disk: u16, all: bool, most: usize) -> Vec<ChunkSlot> {
        let holds = self.disks.get(&disk).into_iter().flatten();
        let wanted = holds.filter(|(hold, _)| all || !self.entries.contains_key(hold));
        wanted.flat_map(|(_, slots)| slots.iter()).take(most).collect()
    }

    /// The rule of a class before this edit: that of the first edit of the class from then on, if there is one.
    fn class_before(&self, hold: HoldId, class: ClassId) -> Option<&Class> {
        self.entries.range(hold..).find_map(|(_, entry)| match &entry.before {
            Before::Class(of, before) if *of == class => Some(&**before),
            _ => None,
        })
    }

    /// Edits of labels from this one on, the last one first.
    fn labels_since(&self, hold: HoldId) -> impl Iterator<Item = (HoldId, Holder, &Labels)> {
        self.entries.range(hold..).rev().filter_map(|(id, entry)| match &entry.before {
            Before::Labels(holder, before) => Some((*id, *holder, before)),
            Before::Class(..) => None,
        })
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

    /// A hold was made, or lasts longer.
    pub(crate) fn hold_told(&mut self, hold: HoldId, cause: HeldFor, until_ms: u64) {
        if let Some(known) = self.holds.entries.get_mut(&hold) {
            known.until_ms = until_ms;
            return;
        }
        let before = match cause {
            HeldFor::Class(class, policies) => {
                Before::Class(class, Box::new(Class::adopt(&policies, &mut self.hosts.pool)))
            }
            HeldFor::Labels(holder, labels) => Before::Labels(holder, labels),
        };
        self.holds.entries.insert(hold, Entry { before, until_ms });
    }

    /// A hold is over: what it kept is released at the next ticks.
    pub(crate) fn hold_ended(&mut self, hold: HoldId) {
        if let Some(Entry { before: Before::Class(_, class), .. }) = self.holds.entries.remove(&hold) {
            class.dismiss(&mut self.hosts.pool);
        }
        // What was before the edits that remain is made anew when it is asked for.
        self.holds.pools.clear();
    }

    /// Replicas that each hold keeps.
    pub fn held_by(&self) -> BTreeMap<HoldId, u64> {
        let mut sum: BTreeMap<HoldId, u64> = self.holds.entries.keys().map(|hold| (*hold, 0)).collect();
        for (hold, slots) in self.holds.disks.values().flatten() {
            if let Some(count) = sum.get_mut(hold) {
                *count += slots.len();
            }
        }
        sum
    }

    /// A disk has told all that it has for the first time in this reign: what holds keep of that is to be found.
    pub(crate) fn look_for_holds(&mut self, disk: u16) {
        if !self.holds.is_empty() {
            self.review.disk_told(disk);
        }
    }

    /// Whether holds may keep something of these that was not looked at in this reign.
    pub(crate) fn may_be_held(&self, set: &ReplicaSet) -> bool {
        !self.holds.is_empty() && set.iter().any(|one| !self.hosts.disk(one.disk).told)
    }

    /// An operator's edit concerns the chunk, or did before the master's start: sorts it into the queues by what its class wants
    /// now, and holds what that can do without and was wanted before.
    pub(crate) fn look_after_edit(&mut self, slot: ChunkSlot) {
        let set = self.table.replicas(slot);
        let is_good = |state| matches!(state, ReplicaState::Current | ReplicaState::Absent);
        let good: Vec<u16> = set.iter().filter(|one| is_good(one.state)).map(|one| one.disk).collect();
        for disk in &good {
            self.holds.remove(*disk, slot);
        }
        let holds = self.holds_of(slot, &good);
        if !holds.is_empty() && self.classes.known(self.table.class(slot)).is_some() {
            let held = self.held(good.iter().copied());
            let now = self.hosts.pool.judge(self.rule(slot), &held);
            let mut dispensable: BTreeSet<u16> = now.surplus.into_iter().chain(now.stands_in).collect();
            for hold in holds {
                if dispensable.is_empty() {
                    break;
                }
                for disk in self.wanted_before(hold, slot, &held) {
                    if dispensable.remove(&disk) {
                        self.holds.insert(disk, slot, hold);
                    }
                }
            }
        }
        self.look_again(slot);
    }

    /// Holds that concern a chunk, the one that ends last first.
    fn holds_of(&self, slot: ChunkSlot, disks: &[u16]) -> Vec<HoldId> {
        let class = self.table.class(slot);
        let is_of = |entry: &Entry| match &entry.before {
            Before::Class(of, _) => *of == class,
            Before::Labels(Holder::Disk(of), _) => disks.iter().any(|disk| self.hosts.disk(*disk).id == *of),
            Before::Labels(Holder::Server(of), _) => {
                disks.iter().any(|disk| self.hosts.server_of(*disk).id == *of)
            }
        };
        let entries = self.holds.entries.iter().filter(|(_, entry)| is_of(entry));
        let mut holds: Vec<(u64, HoldId)> = entries.map(|(hold, entry)| (entry.until_ms, *hold)).collect();
        holds.sort_unstable_by(|one, other| other.cmp(one));
        holds.into_iter().map(|(_, hold)| hold).collect()
    }

    /// Which of these replicas were where the chunk was wanted before an edit.
    fn wanted_before(&mut self, hold: HoldId, slot: ChunkSlot, held: &[Held]) -> Vec<u16> {
        let labels = self.undo_labels(hold);
        let (class, stage) = (self.table.class(slot), self.table.stage(slot));
        let pool = labels.map_or(&self.hosts.pool, |labels| &self.holds.pools[&labels].1);
        let rule: &Rule = match self.holds.class_before(hold, class) {
            Some(before) => before.rule(stage),
            None => self.rule(slot),
        };
        pool.judge(rule, held).fits
    }

    /// Makes the pool as it was before this edit, unless it is there; `None`: labels were not edited since.
    fn undo_labels(&mut self, hold: HoldId) -> Option<HoldId> {
        let first = self.holds.labels_since(hold).last().map(|(first, ..)| first)?;
        let made_of = self.hosts.pool.revision();
        if self.holds.pools.get(&first).is_none_or(|(of, _)| *of != made_of) {
            let mut told: ToldLabels = self.hosts.told.clone();
            let mut pool = self.hosts.pool.clone();
            let mut concerned = BTreeSet::new();
            for (_, holder, before) in self.holds.labels_since(first) {
                told.set(holder, before.clone());
                concerned.extend(self.hosts.labels_with(holder, before).into_iter().map(|(disk, ..)| disk));
            }
            for disk in concerned {
                pool.set(disk, self.hosts.disk(disk).server, &self.hosts.labels_by(&told, disk));
            }
            self.holds.pools.insert(first, (made_of, pool));
        }
        Some(first)
    }

    /// Lets go of replicas whose time is over, and of some on disks that need the room.
    pub(crate) fn release_holds(&mut self) {
        let disks: Vec<u16> = self.holds.disks.keys().copied().collect();
        let (mut over, mut pressed) = (RELEASED_MAX, PRESSED_MAX);
        for disk in disks {
            let ended = self.holds.some(disk, false, over);
            over -= ended.len();
            for slot in ended {
                // Another hold may want it, if it is still good.
                self.holds.remove(disk, slot);
                self.look_after_edit(slot);
            }
            if self.is_pressed(disk) {
                let some = self.holds.some(disk, true, pressed);
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
