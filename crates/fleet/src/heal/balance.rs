//! Chunks that move from fuller disks to emptier ones, until all that can take each other's chunks are used by about the same
//! percentage.
//!
//! The last thing healing does: only servers without any copy take part, each in one move at a time. The fullest disk gives first. A
//! chunk of it goes where its class would have it if that replica did not exist, if the disk there is emptier by more than
//! [`APART`], rather to one below the middle between giver and emptiest: by a copy like any other, after which the chunk has one too
//! many, and the giver's goes (`remove`).
//!
//! # Invariants
//! 1. A move never makes the taker fuller than it leaves the giver, so that no chunk goes back.
//! 2. What is under way, and what was moved since a disk last told its room, is counted in by the mean size of the giver's chunks.
//! 3. Of a chunk that gave one replica no other one goes for [`REST_MS`]: a mount that wrote to it and did not sync yet knows its writes by
//!    the disks that took them, and is told of an error when none of them is left.
//! 4. `moves` holds the chunks of which a copy is made for this, or that have one replica too many since.

use super::Healing;
use crate::Command;
use crate::fleet::Fleet;
use crate::hosts::Disk;
use crate::table::{Health, ReplicaState};
use placement::Use;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use types::ChunkSlot;

/// Shares of a disk that are used are counted in these: hundredths of a percent.
const WHOLE: u64 = 10_000;
/// Disks that differ by no more than this are left alone: two percentage points.
const APART: u64 = 200;
/// Chunks of a giver that one pass looks at: for each a choice is made, which takes some microseconds.
const LOOKED_MAX: usize = 128;
/// Pause after all chunks of a giver were looked at and none could go, and when no two disks are far enough apart.
const PAUSE_MS: u64 = 10_000;

/// How long a chunk stays where it is after a move.
const REST_MS: u64 = 3_600_000;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Balance {
    moves: BTreeMap<ChunkSlot, Move>,
    /// Chunks that were moved, and those in order of the moment until which they rest.
    resting: BTreeSet<ChunkSlot>,
    rests: VecDeque<(u64, ChunkSlot)>,
    /// How far the chunks of each giver were looked at.
    walks: BTreeMap<u16, Walk>,
    idle_until_ms: u64,
}

#[derive(Clone, Copy, Debug)]
struct Move {
    giver: u16,
    taker: u16,
    bytes: i64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Walk {
    next: ChunkSlot,
    /// Chunks go to any disk that is emptier: none is left that could go to one below the middle.
    to_any: bool,
    paused_until_ms: u64,
}

impl Healing {
    /// The disk that gives this chunk, of those whose replica is to move for balance.
    pub(super) fn giver(&self, slot: ChunkSlot) -> Option<u16> {
        self.balance.moves.get(&slot).map(|one| one.giver)
    }
}

/// The used share of a disk with so many bytes more.
fn share(disk: &Disk, more_bytes: i64) -> u64 {
    let used = disk.total_bytes.saturating_sub(disk.free_bytes);
    let used = used.saturating_add_signed(disk.moved_bytes + disk.moving_bytes + more_bytes);
    (u128::from(used.min(disk.total_bytes)) * u128::from(WHOLE) / u128::from(disk.total_bytes.max(1))) as u64
}

impl Fleet {
    /// Begins moves between servers that have no other copies. False: there is nothing to do now.
    pub(super) fn begin_balancing(&mut self, now_ms: u64, out: &mut Vec<Command>) -> bool {
        if now_ms < self.healing.balance.idle_until_ms {
            return false;
        }
        self.end_moves();
        let Balance { resting, rests, .. } = &mut self.healing.balance;
        while let Some((_, slot)) = rests.pop_front_if(|(until_ms, _)| *until_ms <= now_ms) {
            resting.remove(&slot);
        }
        let mut begun = false;
        while let Some((giver, emptiest)) = self.fullest(now_ms) {
            if !self.give(giver, emptiest, now_ms, out) {
                break;
            }
            begun = true;
        }
        begun
    }

    /// Forgets moves that were carried out or came to nothing.
    fn end_moves(&mut self) {
        let (copies, table) = (&self.healing.copies, &self.table);
        let is_over =
            |slot: &ChunkSlot| !copies.contains_key(slot) && table.health(*slot) != Some(Health::Overgoal);
        let over: Vec<_> = self.healing.balance.moves.extract_if(.., |slot, _| is_over(slot)).collect();
        for (slot, Move { giver, taker, bytes }) in over {
            let set = self.table.replicas(slot);
            self.count_move(giver, taker, -bytes);
            self.hosts.disk_mut(giver).moved_bytes -= if set.state(giver).is_none() { bytes } else { 0 };
            self.hosts.disk_mut(taker).moved_bytes += if set.state(taker).is_some() { bytes } else { 0 };
        }
    }

    fn count_move(&mut self, giver: u16, taker: u16, bytes: i64) {
        self.hosts.disk_mut(giver).moving_bytes -= bytes;
        self.hosts.disk_mut(taker).moving_bytes += bytes;
    }

    fn is_free(&self, server: u16) -> bool {
        let load = self.healing.load(server);
        (load.reading, load.writing) == (0, 0)
    }

    /// The fullest disk that may give now and the share of the emptiest, if they are far enough apart.
    fn fullest(&mut self, now_ms: u64) -> Option<(u16, u64)> {
        let takers = self.hosts.disks.iter().filter(|disk| disk.takes_chunks());
        let emptiest = takers.map(|disk| share(disk, 0)).min().unwrap_or(WHOLE);
        let is_far = |disk: &Disk| {
            disk.reported && disk.is_good() && disk.chunks.len() > 0 && share(disk, 0) > emptiest + APART
        };
        let (mut fullest, mut some) = (None, false);
        for (number, disk) in (0u16..).zip(&self.hosts.disks).filter(|(_, disk)| is_far(disk)) {
            some = true;
            let paused_until_ms =
                self.healing.balance.walks.get(&number).map_or(0, |walk| walk.paused_until_ms);
            if paused_until_ms <= now_ms && self.is_free(disk.server) {
                fullest = fullest.max(Some((share(disk, 0), number)));
            }
        }
        if !some {
            self.healing.balance.idle_until_ms = now_ms + PAUSE_MS;
        }
        fullest.map(|(_, number)| (number, emptiest))
    }

    /// Moves the next chunk of a disk that can go. False: none of those that were looked at.
    fn give(&mut self, giver: u16, emptiest: u64, now_ms: u64, out: &mut Vec<Command>) -> bool {
        let walk = self.healing.balance.walks.get(&giver).copied().unwrap_or_default();
        let disk = self.hosts.disk(giver);
        let mean = disk.total_bytes.saturating_sub(disk.free_bytes) / disk.chunks.len().max(1);
        let mean = i64::try_from(mean).unwrap_or(i64::MAX);
        let most = if walk.to_any { WHOLE } else { (share(disk, 0) + emptiest) / 2 };
        let batch: Vec<ChunkSlot> = disk.chunks.iter_from(walk.next).take(LOOKED_MAX).collect();
        for slot in &batch {
            let Some(taker) = self.taker(*slot, giver, mean, most, now_ms) else { continue };
            if self.begin_copy(*slot, |_, _, _| Some(taker), now_ms, out) {
                let next = ChunkSlot(slot.0.saturating_add(1));
                self.healing.balance.walks.insert(giver, Walk { next, ..walk });
                let old = self.healing.balance.moves.insert(*slot, Move { giver, taker, bytes: mean });
                debug_assert!(old.is_none(), "a chunk that is at its goal is not being moved");
                self.healing.balance.resting.insert(*slot);
                self.healing.balance.rests.push_back((now_ms + REST_MS, *slot));
                self.count_move(giver, taker, mean);
                return true;
            }
        }
        let next = match batch.last() {
            Some(last) if batch.len() == LOOKED_MAX => {
                Walk { next: ChunkSlot(last.0.saturating_add(1)), ..walk }
            }
            _ if walk.next > ChunkSlot(0) => Walk { next: ChunkSlot(0), ..walk },
            _ if !walk.to_any => Walk { to_any: true, ..walk },
            _ => Walk { paused_until_ms: now_ms + PAUSE_MS, ..Walk::default() },
        };
        self.healing.balance.walks.insert(giver, next);
        false
    }

    /// Where a chunk would be better off than on this disk: on one of which at most so much is used.
    fn taker(&mut self, slot: ChunkSlot, giver: u16, mean: i64, most: u64, now_ms: u64) -> Option<u16> {
        let set = self.table.replicas(slot);
        let is_well = self.table.health(slot) == Some(Health::Ok)
            && !self.table.is_unsettled(slot)
            && set.state(giver) == Some(ReplicaState::Current)
            && set.iter().all(|one| one.state == ReplicaState::Current);
        let rests = self.healing.balance.resting.contains(&slot);
        if !is_well || rests || self.is_put_off(slot, now_ms) || self.is_misplaced(slot, &set) {
            return None;
        }
        let mut held = self.held(set.sound());
        held.iter_mut().for_each(|one| one.leaving |= one.disk == giver);
        self.tie += 1;
        let (before, after) = (share(self.hosts.disk(giver), 0), share(self.hosts.disk(giver), -mean));
        let may = |number: u16| {
            let disk = self.hosts.disk(number);
            let now = share(disk, 0);
            let is_better = now <= most && now + APART < before && share(disk, mean) <= after;
            if is_better && self.is_free(disk.server) { Use::Yes } else { Use::No }
        };
        let chosen = self.hosts.pool.assign(self.rule(slot), &held, self.tie, may);
        let counted = || chosen.slots.iter().filter(|one| !one.lagging);
        let as_wanted =
            |one: &placement::Slot| one.filled.is_some_and(|disk| !disk.off_label && !disk.off_spread);
        // Where two would have to be made, the first alone is not where the giver's is wanted.
        let mut new = chosen.new_disks();
        let taker = new.next().filter(|_| counted().all(as_wanted))?;
        new.next().is_none().then_some(taker)
    }
}
