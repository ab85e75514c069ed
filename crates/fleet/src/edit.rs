//! What an edit of a class, of labels, or of the class of files would do to chunks, before it is made.
//!
//! A copy of the disks, as the edit would make them, is judged by `placement` as healing would: once for the state before and once
//! for the state after, and the difference is the edit's. Chunks with the same replicas and class are judged once.
//!
//! # Invariants
//! 1. Nothing of the fleet is changed.
//! 2. A step looks at no more than [`LOOKED_MAX`] entries of the table and judges no more than [`JUDGED_MAX`] chunks anew.
//!
//! # Elsewhere
//! Bytes, and which files have a class: `master`.

use crate::event::ClassPolicies;
use crate::fleet::Fleet;
use crate::table::ReplicaState;
use placement::{Held, Pool, Rule, Use};
use std::collections::BTreeMap;
use types::{ChunkSlot, ClassId, Holder, Labels};

/// Entries of the table that one step looks at.
const LOOKED_MAX: usize = 16_384;
/// Chunks that one step judges anew: each takes some microseconds.
const JUDGED_MAX: usize = 64;
/// Judgements that are remembered.
const KNOWN_MAX: usize = 65_536;
/// Times that the mean time of a copy remembers.
const PACE_MEMORY: u64 = 16;

/// An edit that is only thought of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Edit {
    /// A class is to ask for this.
    Class(ClassId, Box<ClassPolicies>),
    /// A server or a disk is to have these labels.
    Labels(Holder, Labels),
    /// Some files are to have another class; the caller knows which.
    Files,
}

/// What an edit would do to one chunk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EditEffect {
    /// Replicas to be made.
    pub add: usize,
    /// Replicas that would be dispensable then.
    pub drop: usize,
    /// Replicas that would be wanted, and that no disk could take.
    pub lacking: usize,
    /// Replicas that would stay where they are not wanted, since no disk is better.
    pub amiss: usize,
}

/// The state of disks and classes before or after.
#[derive(Debug)]
struct State {
    pool: Pool,
    /// What classes want of chunks that exist.
    keep: BTreeMap<ClassId, Rule>,
}

/// What is known of a chunk for a judgement: its class and the disks with replicas that are good, or were when last heard of.
type Likeness = (ClassId, Vec<u16>);

/// An edit and how far it was looked at.
#[derive(Debug)]
pub struct EditPlan {
    before: State,
    after: State,
    class: Option<ClassId>,
    next: usize,
    known: BTreeMap<(Likeness, ClassId), EditEffect>,
    judged: usize,
}

/// Time that copies took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pace {
    /// Copies that were measured in this reign.
    pub copies: u64,
    /// How long one took, of late.
    pub mean_ms: u64,
    /// Copies that may run at the same time now.
    pub at_once: u64,
}

impl Fleet {
    /// Begins to look at an edit.
    pub fn plan_edit(&self, edit: &Edit) -> EditPlan {
        let state = || State { pool: self.hosts.pool.clone(), keep: self.classes.keeps().collect() };
        let (before, mut after) = (state(), state());
        let mut class = None;
        match edit {
            Edit::Class(edited, policies) => {
                let rule = after.pool.adopt(&policies.keep);
                after.keep.insert(*edited, rule);
                class = Some(*edited);
            }
            Edit::Labels(holder, labels) => {
                for (disk, server, labels) in self.hosts.labels_with(*holder, labels) {
                    after.pool.set(disk, server, &labels);
                }
            }
            Edit::Files => {}
        }
        EditPlan { before, after, class, next: 0, known: BTreeMap::new(), judged: 0 }
    }

    /// Looks at some chunks more of an edit of a class or of labels. `None`: it was at all.
    pub fn go_on_with_edit(&self, plan: &mut EditPlan) -> Option<Vec<(ChunkSlot, EditEffect)>> {
        if plan.next >= self.table.end() {
            return None;
        }
        let mut found = Vec::new();
        plan.judged = 0;
        let end = self.table.end().min(plan.next + LOOKED_MAX);
        while plan.next < end && plan.judged < JUDGED_MAX {
            let slot = ChunkSlot(plan.next as u32);
            plan.next += 1;
            let class = self.table.class(slot);
            if self.table.chunk(slot).is_some() && plan.class.is_none_or(|edited| edited == class) {
                let effect = self.edit_effect(plan, slot, class);
                if effect != EditEffect::default() {
                    found.push((slot, effect));
                }
            }
        }
        Some(found)
    }

    /// What the edit does to a chunk that is to have this class afterwards.
    pub fn edit_effect(&self, plan: &mut EditPlan, slot: ChunkSlot, class: ClassId) -> EditEffect {
        let set = self.table.replicas(slot);
        let is_good = |state| matches!(state, ReplicaState::Current | ReplicaState::Absent);
        let mut disks: Vec<u16> = set.iter().filter(|one| is_good(one.state)).map(|one| one.disk).collect();
        disks.sort_unstable();
        let key = ((self.table.class(slot), disks), class);
        if let Some(known) = plan.known.get(&key) {
            return *known;
        }
        plan.judged += 1;
        let ((now, disks), _) = &key;
        let before = self.wanted_of(&plan.before, *now, disks);
        let after = self.wanted_of(&plan.after, class, disks);
        let more = |part: fn(&EditEffect) -> usize| part(&after).saturating_sub(part(&before));
        let effect = EditEffect {
            add: more(|one| one.add),
            drop: more(|one| one.drop),
            lacking: more(|one| one.lacking),
            amiss: more(|one| one.amiss),
        };
        if plan.known.len() < KNOWN_MAX {
            plan.known.insert(key, effect);
        }
        effect
    }

    /// What a class would do to a chunk with replicas on these disks.
    fn wanted_of(&self, state: &State, class: ClassId, disks: &[u16]) -> EditEffect {
        let Some(rule) = state.keep.get(&class).or(state.keep.get(&ClassId(0))) else {
            return EditEffect::default();
        };
        let leaves = |disk| self.table.is_leaving(disk);
        let held = |disk: &u16| Held { disk: *disk, leaving: leaves(*disk), lagging: false };
        let held: Vec<Held> = disks.iter().map(held).collect();
        let may = |disk| if leaves(disk) || disks.contains(&disk) { Use::No } else { Use::Yes };
        let assignment = state.pool.assign(rule, &held, 0, may);
        let filled = || assignment.slots.iter().filter(|slot| !slot.lagging).filter_map(|slot| slot.filled);
        let (add, kept) = (filled().filter(|one| !one.held).count(), filled().filter(|one| one.held).count());
        let lacking = assignment.missing();
        // Nothing goes while something is missing.
        let drop = if lacking > 0 { 0 } else { disks.len() - kept };
        EditEffect {
            add,
            drop,
            lacking,
            amiss: filled().filter(|one| one.off_label || one.off_spread).count(),
        }
    }

    /// How fast chunks are copied.
    pub fn pace(&self) -> Pace {
        let up = self.hosts.servers.iter().zip(0u16..).filter(|(server, _)| server.up);
        let at_once: usize = up.map(|(_, number)| self.copies_of(number)).sum();
        let (copies, mean_ms) = (self.healing.measured, self.healing.mean_ms);
        Pace { copies, mean_ms, at_once: at_once as u64 }
    }

    /// A copy that was ordered then was made.
    pub(crate) fn measure_copy(&mut self, sent_ms: u64, now_ms: u64) {
        let took_ms = now_ms.saturating_sub(sent_ms);
        let healing = &mut self.healing;
        healing.measured += 1;
        let memory = healing.measured.min(PACE_MEMORY);
        healing.mean_ms = (healing.mean_ms * (memory - 1) + took_ms).div_ceil(memory);
    }
}
