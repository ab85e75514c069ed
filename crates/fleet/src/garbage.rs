//! Removed chunks: their replicas are deleted when the record that removed them is stable, and not at once: who removes a tree is
//! to have the machines for that. A disk without much room does not wait.
//!
//! # Invariants
//! 1. No delete order leaves before the removing record is stable, nor while the fleet settles after a start.
//! 2. An order names the highest version a replica of the chunk may have; one above it is not touched.
//! 3. Replicas on disks that are away are remembered for this reign and deleted when the disk returns.
//!    After a new start they are unknown chunks.
//! 4. An unknown chunk is deleted when it has been one for [`crate::FleetOptions::unknown_ms`], and kept aside by its server for
//!    days. Until then a client may come and show that it was granted it. One that refused to be deleted is never asked again.

use crate::fleet::{Fleet, Purpose};
use crate::{Command, Order, OrderId};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use types::{ChunkId, ChunkSlot, LogIndex, Status, Version};

/// Most removed chunks remembered; of those beyond it the replicas stay, and are quarantined later.
const GONE_MAX: usize = 1 << 22;
/// Delete orders under way per disk: enough to keep it busy, few enough to leave it time for clients.
const DELETING_MAX: usize = 64;

/// A removed chunk with replicas left.
#[derive(Debug)]
struct Gone {
    version: Version,
    /// The record that removed it.
    index: LogIndex,
    /// Disks that have not said that it is deleted.
    holders: Vec<u16>,
}

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct Garbage {
    gone: BTreeMap<ChunkId, Gone>,
    unstable: BTreeSet<(LogIndex, ChunkId)>,
    /// Those that are stable and rest, and until when.
    resting: VecDeque<(u64, ChunkId)>,
    /// Unknown chunks that are being deleted: they must not enter a map.
    forgotten: BTreeSet<ChunkId>,
    stable: LogIndex,
    replicas: u64,
}

impl Garbage {
    /// Replicas still to be deleted.
    pub(crate) fn replicas(&self) -> u64 {
        self.replicas
    }
    /// Whether a chunk was removed in this reign and replicas of it are left.
    fn contains(&self, chunk: ChunkId) -> bool {
        self.gone.contains_key(&chunk)
    }
    /// Whether replicas of a chunk are being deleted.
    pub(crate) fn is_going(&self, chunk: ChunkId) -> bool {
        self.contains(chunk) || self.forgotten.contains(&chunk)
    }
}

impl Fleet {
    /// `meta`: a chunk left all maps.
    pub(crate) fn chunk_left(
        &mut self,
        slot: ChunkSlot,
        chunk: ChunkId,
        version: Version,
        index: LogIndex,
        now_ms: u64,
        out: &mut Vec<Command>,
    ) {
        if self.table.chunk(slot) != Some(chunk) {
            return;
        }
        let recorded = self.table.version(slot).unwrap_or(version).max(version);
        let (later, highest) = self.abandon_raise(slot, recorded, out);
        let copy = self.copy_abandoned(slot);
        let replicas = self.table.replicas(slot);
        let mut holders: Vec<u16> = replicas.iter().map(|one| one.disk).chain(later).chain(copy).collect();
        holders.sort_unstable();
        holders.dedup();
        self.vacate(slot);
        self.chunk_gone(chunk, highest, holders, index, now_ms, out);
    }

    /// Makes room for a chunk that is born in this slot.
    pub(crate) fn clear_slot(&mut self, slot: ChunkSlot, out: &mut Vec<Command>) {
        if let Some(version) = self.table.version(slot) {
            self.abandon_raise(slot, version, out);
            self.copy_abandoned(slot);
            self.vacate(slot);
        }
    }

    fn vacate(&mut self, slot: ChunkSlot) {
        self.set_unsettled(slot, false);
        self.put_replicas(slot, &Default::default());
        self.table.remove(slot);
    }

    /// Nobody needs the chunk any more; its replicas go once `index` is stable.
    pub(crate) fn chunk_gone(
        &mut self,
        chunk: ChunkId,
        version: Version,
        holders: Vec<u16>,
        index: LogIndex,
        now_ms: u64,
        out: &mut Vec<Command>,
    ) {
        if holders.is_empty() || self.garbage.gone.len() >= GONE_MAX {
            return;
        }
        self.garbage.replicas += holders.len() as u64;
        self.garbage.gone.insert(chunk, Gone { version, index, holders });
        self.garbage.unstable.insert((index, chunk));
        let stable = self.garbage.stable;
        self.stable(stable, now_ms, out);
    }

    /// The log is stable up to here.
    pub(crate) fn stable(&mut self, index: LogIndex, now_ms: u64, out: &mut Vec<Command>) {
        self.garbage.stable = self.garbage.stable.max(index);
        let rested_ms = now_ms + self.options.delete_after_ms;
        while let Some((at, chunk)) = self.garbage.unstable.first().copied().filter(|(at, _)| *at <= index) {
            self.garbage.unstable.remove(&(at, chunk));
            self.garbage.resting.push_back((rested_ms, chunk));
        }
        self.delete_rested(now_ms, out);
    }

    /// Begins to delete what has rested for long enough, and all on disks that need the room.
    pub(crate) fn delete_rested(&mut self, now_ms: u64, out: &mut Vec<Command>) {
        let mut disks = BTreeSet::new();
        while let Some((until_ms, chunk)) = self.garbage.resting.front().copied() {
            let gone = self.garbage.gone.get(&chunk);
            let is_urgent =
                || gone.is_some_and(|gone| gone.holders.iter().any(|disk| self.is_pressed(*disk)));
            if now_ms < until_ms && !is_urgent() {
                break;
            }
            self.garbage.resting.pop_front();
            let Some(gone) = gone else { continue };
            let version = gone.version;
            for disk in gone.holders.clone() {
                self.queue_delete(disk, chunk, version);
                disks.insert(disk);
            }
        }
        for disk in disks {
            self.pump_deletes(disk, now_ms, out);
        }
    }

    /// Whether replicas of removed chunks that have not rested yet are on the disk. It looks at all of these.
    pub(crate) fn awaits_deletion(&self, disk: u16) -> bool {
        let resting = self.garbage.resting.iter().map(|(_, chunk)| chunk);
        let unstable = self.garbage.unstable.iter().map(|(_, chunk)| chunk);
        resting
            .chain(unstable)
            .filter_map(|chunk| self.garbage.gone.get(chunk))
            .any(|gone| gone.holders.contains(&disk))
    }

    /// A disk has a replica; true if its chunk was removed: it is deleted like the others.
    pub(crate) fn garbage_seen(&mut self, disk: u16, chunk: ChunkId) -> bool {
        let Some(gone) = self.garbage.gone.get_mut(&chunk) else { return false };
        if !gone.holders.contains(&disk) {
            gone.holders.push(disk);
            self.garbage.replicas += 1;
        }
        if gone.index <= self.garbage.stable {
            let version = gone.version;
            self.queue_delete(disk, chunk, version);
        }
        true
    }

    fn queue_delete(&mut self, disk: u16, chunk: ChunkId, version: Version) {
        self.hosts.disk_mut(disk).deletes.insert(chunk, version);
    }

    /// Sends as many delete orders as a disk may have, if it is up and has told what it holds.
    pub(crate) fn pump_deletes(&mut self, disk: u16, now_ms: u64, out: &mut Vec<Command>) {
        while self.settled() {
            let entry = self.hosts.disk_mut(disk);
            if !entry.up || !entry.reported || entry.deleting >= DELETING_MAX {
                return;
            }
            let Some((chunk, version)) = entry.deletes.pop_first() else { return };
            entry.deleting += 1;
            let what = Order::Delete { disk: entry.id, chunk, version, unknown: false };
            self.order(disk, Purpose::Delete(chunk, version), what, now_ms, out);
        }
    }

    /// Sets aside what nobody knows and nobody came for: garbage of an earlier reign, or of a client that died.
    pub(crate) fn forget_unknown(&mut self, now_ms: u64, out: &mut Vec<Command>) {
        let before_ms = now_ms.saturating_sub(self.options.unknown_ms);
        if !self.settled() || before_ms <= self.started_ms {
            return;
        }
        for disk in 0..self.hosts.disks.len() as u16 {
            let entry = self.hosts.disk(disk);
            if !entry.up || !entry.reported {
                continue;
            }
            let room = DELETING_MAX.saturating_sub(entry.deleting);
            for (chunk, version) in self.hosts.take_unknown(disk, before_ms, room) {
                let entry = self.hosts.disk_mut(disk);
                entry.deleting += 1;
                let what = Order::Delete { disk: entry.id, chunk, version, unknown: true };
                self.garbage.forgotten.insert(chunk);
                self.order(disk, Purpose::Delete(chunk, version), what, now_ms, out);
            }
        }
    }

    /// A delete order was answered: done, absent, or not to be done (a version above what was ever
    /// given: kept for people to look at). Any other refusal is repeated by and by.
    pub(crate) fn delete_done(
        &mut self,
        order: OrderId,
        status: Result<(), Status>,
        now_ms: u64,
        out: &mut Vec<Command>,
    ) {
        if !matches!(status, Ok(()) | Err(Status::NoChunk | Status::WrongVersion)) {
            return;
        }
        let Some(open) = self.orders.remove(&order) else { return };
        let Purpose::Delete(chunk, _) = open.purpose else { return };
        let disk = open.disk;
        self.hosts.disk_mut(disk).deleting -= 1;
        if let Some(gone) = self.garbage.gone.get_mut(&chunk) {
            let before = gone.holders.len();
            gone.holders.retain(|holder| *holder != disk);
            self.garbage.replicas -= (before - gone.holders.len()) as u64;
            if gone.holders.is_empty() {
                self.garbage.gone.remove(&chunk);
            }
        }
        if status == Err(Status::WrongVersion) {
            self.hosts.keep_for_people(disk);
        }
        self.pump_deletes(disk, now_ms, out);
    }

    /// The disk went away with delete orders unanswered: they are given again when it is back.
    pub(crate) fn requeue_delete(&mut self, disk: u16, chunk: ChunkId, version: Version) {
        if self.garbage.contains(chunk) {
            self.queue_delete(disk, chunk, version);
        }
    }

    /// Sends delete orders again that have not been carried out for long.
    pub(crate) fn resend_deletes(&mut self, now_ms: u64, out: &mut Vec<Command>) {
        let timeout_ms = self.options.delete_timeout_ms;
        for (order, open) in &mut self.orders {
            let Purpose::Delete(chunk, version) = open.purpose else { continue };
            if now_ms.saturating_sub(open.sent_ms) < timeout_ms {
                continue;
            }
            open.sent_ms = now_ms;
            let unknown = !self.garbage.gone.contains_key(&chunk);
            let what = Order::Delete { disk: self.hosts.disk(open.disk).id, chunk, version, unknown };
            let server = self.hosts.server_of(open.disk).id;
            out.push(Command::Order { server, order: *order, term: self.term, what });
        }
    }
}
