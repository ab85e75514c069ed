//! What keeps a disk from being removed, chunk by chunk; and what its removal would take, before it is marked.
//!
//! For people: nothing is decided here. A plan looks at every chunk of the disks, in parts that the caller bounds.
//!
//! # Elsewhere
//! Which chunks a marked disk is needed for: `marks`.

use crate::fleet::Fleet;
use crate::heal::Silence;
use crate::table::{Health, ReplicaSet};
use placement::{Assignment, Held, Use};
use types::{ChunkId, ChunkSlot, DiskId};

/// What is in the way of one chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Obstacle {
    /// No good replica can be reached that could be copied.
    NoReplica,
    /// No disk that stays has its labels and room, apart from its other replicas.
    NoDisk,
    /// It is being written for the first time.
    BeingMade,
    /// Somebody writes it; it is left alone for a while.
    BeingWritten,
    /// Its replicas are to be compared, or are being.
    Compared,
    /// A copy is under way.
    Copying,
    /// A copy failed and is tried again.
    Failed,
    /// A replica that may come back is waited for.
    Awaited,
    /// Its turn has not come.
    Waiting,
    /// It would be copied, and a limit that an operator set has no place.
    Limited,
    /// A damaged replica is being mended.
    Mending,
    /// A replica that is not needed is about to go.
    Surplus,
    /// A replica that an edit made dispensable is kept for a while.
    Held,
    /// Disks have yet to report after the master's start.
    Settling,
}

/// What keeps disks from being removed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Obstacles {
    /// The first ones.
    pub chunks: Vec<(ChunkId, Option<ChunkSlot>, Obstacle)>,
    /// All of them.
    pub total: u64,
}

/// What the removal of disks would take, as far as it was looked at.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    disks: Vec<u16>,
    at: usize,
    next: ChunkSlot,
    most: usize,
    /// Chunks on the disks.
    pub chunks: u64,
    /// Replicas to be made elsewhere.
    pub copies: u64,
    /// What would be in the way.
    pub obstacles: Obstacles,
}

impl Plan {
    /// Whether all chunks were looked at.
    pub fn is_over(&self) -> bool {
        self.at >= self.disks.len()
    }
}

impl Fleet {
    /// Fresh chunks that somebody has begun to write to a disk.
    pub(crate) fn being_made(&self, number: u16) -> impl Iterator<Item = ChunkId> + '_ {
        let some = self.hosts.disk(number).writes > 0;
        some.then(|| self.reservations.written_on(number)).into_iter().flatten()
    }

    /// What keeps marked disks from being removed; at most so many of it by name.
    pub fn obstacles(&self, disks: &[DiskId], most: usize, now_ms: u64) -> Obstacles {
        let (mut found, silence) = (Obstacles::default(), self.silence());
        for number in disks.iter().filter_map(|disk| self.hosts.disk_number(*disk)) {
            let Some(draining) = self.draining.get(&number) else { continue };
            found.total += draining.needed.len();
            for slot in draining.needed.iter().take(most.saturating_sub(found.chunks.len())) {
                let Some(chunk) = self.table.chunk(slot) else { continue };
                found.chunks.push((chunk, Some(slot), self.obstacle(slot, &silence, now_ms)));
            }
            for chunk in self.being_made(number) {
                found.total += 1;
                if found.chunks.len() < most {
                    found.chunks.push((chunk, None, Obstacle::BeingMade));
                }
            }
        }
        found
    }

    /// What is in the way of a chunk that lacks something.
    pub(crate) fn obstacle(&self, slot: ChunkSlot, silence: &Silence, now_ms: u64) -> Obstacle {
        let set = self.table.replicas(slot);
        if set.readable().next().is_none() {
            Obstacle::NoReplica
        } else if self.is_copied(slot) {
            Obstacle::Copying
        } else if self.table.is_unsettled(slot) {
            Obstacle::Compared
        } else if self.table.staying(&set) >= self.goal(slot) && !self.is_misplaced(slot, &set) {
            Obstacle::Waiting
        } else if now_ms < self.ripe_ms(slot, silence) && self.has_place(slot, &set) {
            Obstacle::Awaited
        } else {
            self.turn(slot, &set, now_ms)
        }
    }

    fn has_place(&self, slot: ChunkSlot, set: &ReplicaSet) -> bool {
        self.assignment(slot, set, &[]).new_disks().next().is_some()
    }

    /// Why a chunk that could be copied is not being copied yet.
    fn turn(&self, slot: ChunkSlot, set: &ReplicaSet, now_ms: u64) -> Obstacle {
        let places: Vec<u16> = self.assignment(slot, set, &[]).new_disks().collect();
        let sources: Vec<u16> = set.readable().collect();
        match self.why_later(slot, now_ms) {
            _ if places.is_empty() => Obstacle::NoDisk,
            Some(why) => why,
            None if self.limits_are_full(&sources, &places) => Obstacle::Limited,
            None => Obstacle::Waiting,
        }
    }

    /// From when on what the chunk has lost is made anew.
    pub(crate) fn ripe_ms(&self, slot: ChunkSlot, silence: &Silence) -> u64 {
        self.healed_from_ms(slot, silence, self.table.health(slot) == Some(Health::Endangered))
    }

    /// Disks that could take replicas that the chunk wants and has not, apart from these.
    fn places(&self, slot: ChunkSlot, set: &ReplicaSet, without: &[u16]) -> usize {
        self.assignment(slot, set, without).new_disks().count()
    }

    /// Which disk each wanted replica is on, or could be, apart from these.
    pub(crate) fn assignment(&self, slot: ChunkSlot, set: &ReplicaSet, without: &[u16]) -> Assignment {
        let leaves = |disk| self.table.is_leaving(disk) || without.contains(&disk);
        let held: Vec<Held> =
            set.sound().map(|disk| Held { disk, leaving: leaves(disk), lagging: false }).collect();
        let may = |disk| if leaves(disk) || set.state(disk).is_some() { Use::No } else { Use::Yes };
        self.hosts.pool.assign(self.rule(slot), &held, 0, may)
    }

    /// A plan for the removal of disks; it names at most so many obstacles.
    pub fn plan(&self, disks: &[DiskId], most: usize) -> Plan {
        let disks = disks.iter().filter_map(|disk| self.hosts.disk_number(*disk)).collect();
        Plan { disks, most, ..Plan::default() }
    }

    /// Looks at so many chunks more.
    pub fn go_on_planning(&self, plan: &mut Plan, chunks: usize) {
        let Some(disk) = plan.disks.get(plan.at).copied() else { return };
        let slots: Vec<ChunkSlot> = self.hosts.disk(disk).chunks.iter_from(plan.next).take(chunks).collect();
        match slots.last().filter(|_| slots.len() == chunks) {
            Some(last) => plan.next = ChunkSlot(last.0.saturating_add(1)),
            None => (plan.at, plan.next) = (plan.at + 1, ChunkSlot(0)),
        }
        for slot in slots {
            let set = self.table.replicas(slot);
            // One that is on several of the disks is counted with the first.
            let first = set.iter().map(|replica| replica.disk).find(|disk| plan.disks.contains(disk));
            let Some(chunk) = self.table.chunk(slot).filter(|_| first == Some(disk)) else { continue };
            plan.chunks += 1;
            let stays = |disk: &u16| !self.table.is_leaving(*disk) && !plan.disks.contains(disk);
            let lacking = self.goal(slot).saturating_sub(set.sound().filter(stays).count());
            let places = if lacking == 0 { 0 } else { self.places(slot, &set, &plan.disks) };
            plan.copies += places.min(lacking) as u64;
            let obstacle = match () {
                () if lacking > 0 && set.readable().next().is_none() => Obstacle::NoReplica,
                () if places < lacking => Obstacle::NoDisk,
                () => continue,
            };
            plan.obstacles.total += 1;
            if plan.obstacles.chunks.len() < plan.most {
                plan.obstacles.chunks.push((chunk, Some(slot), obstacle));
            }
        }
    }
}
