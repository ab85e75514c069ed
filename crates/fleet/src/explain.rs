//! Why a chunk is where it is: its replicas, where its class wants them, and what is in the way.
//!
//! For people: nothing is decided here. What is said is what healing would do at this moment, by the same judgement
//! (`placement`), hold-offs (`heal::holdoff`) and obstacles (`obstacles`).
//!
//! # Elsewhere
//! Names of files, servers and disks: `master`.

use crate::fleet::Fleet;
use crate::heal::Silence;
use crate::hosts::Disk;
use crate::table::{Health, ReplicaSet, ReplicaState};
use crate::{DiskState, Obstacle};
use placement::{Condition, Filled, Judgement, Slot};
use types::{ChunkSlot, DiskId};

/// A chunk as it is and as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explained {
    /// All replicas that are known of.
    pub replicas: Vec<ReplicaView>,
    /// Replicas that its class wants, in the order of its expression.
    pub places: Vec<PlaceView>,
    /// The copy that is under way.
    pub copy: Option<CopyView>,
    /// What is in the way, and until when if that is known; `None`: it has all it wants, where it should be, and no more.
    pub hindrance: Option<(Obstacle, Option<u64>)>,
}

/// A replica of a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplicaView {
    /// Where.
    pub disk: DiskId,
    /// What it is worth by itself.
    pub worth: Worth,
    /// What it is to the class.
    pub role: Role,
    /// An edit made it dispensable, and it is kept until then.
    pub held_until_ms: Option<u64>,
    /// The class wants its disk read only when nothing else is left.
    pub read_last: bool,
}

/// What a replica is worth by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Worth {
    /// Complete, at the chunk's version, and can be reached.
    Good,
    /// So when last heard of.
    Away,
    /// Of a lower version, or incomplete: not read.
    Stale,
    /// So when last heard of.
    StaleAway,
    /// It takes writes, and lacks what was written before.
    Filling,
    /// Some pages do not match their checksums.
    Damaged,
    /// To be compared with others before it is believed.
    Doubtful,
    /// Stale and damaged, kept for its pages.
    Kept,
}

/// What a replica is to the class of its chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// It is where it should be.
    Fits,
    /// It stays until there is a better one: on a disk with other labels, or in a failure domain with another.
    StandsIn,
    /// Its disk is to go; it is needed yet.
    Leaving,
    /// Nobody needs it.
    Surplus,
    /// It does not count.
    None,
}

/// A replica that the class wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlaceView {
    /// On which disks.
    pub condition: Condition,
    /// It lags.
    pub lagging: bool,
    /// Where that is.
    pub at: At,
}

/// Where a wanted replica is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    /// Here.
    Held {
        /// Where.
        disk: DiskId,
        /// The disk has not the labels.
        off_label: bool,
        /// Another one is in the same failure domain.
        off_spread: bool,
    },
    /// Nowhere yet; this disk would take it.
    Free(DiskId),
    /// Nowhere, and no disk can take it.
    Nowhere(Lack),
}

/// Why no disk can take a replica: disks that have the labels, each counted once, by what is wrong with it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Lack {
    /// Not connected, or failed.
    pub away: usize,
    /// To go.
    pub leaving: usize,
    /// Without room for a chunk, or read-only.
    pub full: usize,
    /// In a failure domain with another replica.
    pub near: usize,
}

/// How far a copy is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CopyStage {
    /// The chunk's version is being raised, so that nobody writes under it.
    Raising,
    /// It joins the chain of a writer.
    Joining,
    /// It is being made.
    Copying,
    /// It takes all writes, and what was there before is being brought.
    Feeding,
}

/// A copy that is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CopyView {
    /// The first source.
    pub from: DiskId,
    /// Where to.
    pub to: DiskId,
    /// How far it is.
    pub stage: CopyStage,
    /// Since when its bytes move.
    pub sent_ms: Option<u64>,
}

fn worth(state: ReplicaState) -> Worth {
    match state {
        ReplicaState::Current => Worth::Good,
        ReplicaState::Absent => Worth::Away,
        ReplicaState::Stale => Worth::Stale,
        ReplicaState::StaleAbsent => Worth::StaleAway,
        ReplicaState::Filling => Worth::Filling,
        ReplicaState::Damaged => Worth::Damaged,
        ReplicaState::Doubtful => Worth::Doubtful,
        ReplicaState::Kept => Worth::Kept,
    }
}

/// What a replica is that fills nothing in the choice shown.
fn of_judgement(judgement: &Judgement, disk: u16) -> Role {
    match () {
        () if judgement.fits.contains(&disk) || judgement.stands_in.contains(&disk) => Role::StandsIn,
        () if judgement.leaving.contains(&disk) => Role::Leaving,
        () if judgement.surplus.contains(&disk) => Role::Surplus,
        () => Role::None,
    }
}

impl Fleet {
    /// Explains chunks, in the order asked for. For each a choice of disks is made, which takes some microseconds.
    pub fn explain(&self, slots: &[ChunkSlot], now_ms: u64) -> Vec<Explained> {
        let silence = self.silence();
        slots.iter().map(|slot| self.explain_one(*slot, &silence, now_ms)).collect()
    }

    fn explain_one(&self, slot: ChunkSlot, silence: &Silence, now_ms: u64) -> Explained {
        let set = self.table.replicas(slot);
        let rule = self.rule(slot);
        let held = self.held(set.sound());
        // Of several choices that are equally good, the one by which a surplus replica would go.
        let slots = match self.table.health(slot) {
            Some(Health::Overgoal) => self.hosts.pool.fill_with_held(rule, &held),
            _ => self.assignment(slot, &set, &[]).slots,
        };
        let judgement = self.hosts.pool.judge(rule, &held);
        let filled = |disk: u16| {
            let filled = slots.iter().filter_map(|slot| slot.filled);
            filled.into_iter().find(|filled| filled.held && filled.disk == disk)
        };
        let role = |disk: u16| match filled(disk) {
            Some(Filled { off_label: false, off_spread: false, .. }) => Role::Fits,
            Some(_) => Role::StandsIn,
            None => of_judgement(&judgement, disk),
        };
        let replica = |one: &crate::table::Replica| ReplicaView {
            disk: self.hosts.disk(one.disk).id,
            worth: worth(one.state),
            role: role(one.disk),
            held_until_ms: self.held_until_ms(slot, one.disk),
            read_last: self.class_of(slot).is_read_last(one.disk, &self.hosts.pool),
        };
        Explained {
            replicas: set.iter().map(replica).collect(),
            places: self.places_of(slot, &set, &slots),
            copy: self.copy_of(slot),
            hindrance: self.hindrance(slot, &set, silence, now_ms),
        }
    }

    fn places_of(&self, slot: ChunkSlot, set: &ReplicaSet, slots: &[Slot]) -> Vec<PlaceView> {
        let rule = self.rule(slot);
        let place = |(number, one): (usize, &Slot)| {
            let at = match one.filled {
                Some(Filled { disk, held: true, off_label, off_spread }) => {
                    At::Held { disk: self.hosts.disk(disk).id, off_label, off_spread }
                }
                Some(filled) => At::Free(self.hosts.disk(filled.disk).id),
                None => At::Nowhere(self.lack(slot, set, number)),
            };
            let condition = self.hosts.pool.condition_at(rule, number)?.clone();
            Some(PlaceView { condition, lagging: one.lagging, at })
        };
        slots.iter().enumerate().filter_map(place).collect()
    }

    /// What is wrong with the disks that have the labels of a place and no replica.
    fn lack(&self, slot: ChunkSlot, set: &ReplicaSet, place: usize) -> Lack {
        let rule = self.rule(slot);
        let mut lack = Lack::default();
        for (number, disk) in (0u16..).zip(&self.hosts.disks) {
            let held = matches!(set.state(number), Some(ReplicaState::Current | ReplicaState::Damaged));
            if disk.forgotten || held || !self.hosts.pool.holds_at(rule, place, number) {
                continue;
            }
            let count = match disk {
                Disk { leaving: true, .. } => &mut lack.leaving,
                Disk { up: false, .. } | Disk { state: DiskState::Failed, .. } => &mut lack.away,
                _ if !self.hosts.disk(number).takes_chunks() => &mut lack.full,
                _ => &mut lack.near,
            };
            *count += 1;
        }
        lack
    }

    fn hindrance(
        &self,
        slot: ChunkSlot,
        set: &ReplicaSet,
        silence: &Silence,
        now_ms: u64,
    ) -> Option<(Obstacle, Option<u64>)> {
        let (is_mended, is_removed) = self.is_worked_on(slot);
        let lacks = self.is_short(slot)
            || self.table.health(slot) == Some(Health::Missing)
            || self.table.is_unsettled(slot)
            || self.is_misplaced(slot, set);
        let is_damaged = set.damaged().next().is_some();
        let obstacle = match () {
            () if !self.settled() && (lacks || is_damaged) => Obstacle::Settling,
            () if is_mended => Obstacle::Mending,
            () if lacks => self.obstacle(slot, silence, now_ms),
            () if is_damaged => self.why_later(slot, now_ms).unwrap_or(Obstacle::Waiting),
            () if is_removed || self.has_surplus(slot) => Obstacle::Surplus,
            () if self.table.health(slot) == Some(Health::Overgoal) && self.holds_any(slot, set) => {
                Obstacle::Held
            }
            () => return None,
        };
        // Who comes back needs no disk.
        let lost = set.iter().any(|one| one.state == ReplicaState::Absent);
        let is_awaited = lost && now_ms < self.ripe_ms(slot, silence);
        let obstacle = match obstacle {
            Obstacle::NoDisk | Obstacle::NoReplica if is_awaited => Obstacle::Awaited,
            other => other,
        };
        let until_ms = match obstacle {
            Obstacle::Awaited => Some(self.ripe_ms(slot, silence)),
            Obstacle::BeingWritten | Obstacle::Failed => self.later_ms(slot),
            Obstacle::Held => set.iter().filter_map(|one| self.held_until_ms(slot, one.disk)).min(),
            Obstacle::Settling => Some(self.started_ms + self.options.settle_ms),
            _ => None,
        };
        Some((obstacle, until_ms))
    }
}
