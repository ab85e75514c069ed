//! Marks of operators: disks and servers that are to go, and servers that are away on purpose.
//!
//! A replica on a disk that is to go is read, written and copied from like any other, but does not count for the goal. So its
//! chunk is healed, and then it is one too many and is removed as such (`heal::remove`): when the others were asked. What is left
//! is an empty disk, which its server closes.
//!
//! # Invariants
//! 1. `Disk::leaving`, the table's notion of it and `draining` agree; new chunks are not placed on such a disk.
//! 2. `needed` of a disk that is to go holds every chunk on it that has too few settled replicas on disks that stay. After a mark
//!    that is all of its chunks until each was looked at.
//! 3. A disk is safe only if nothing is needed on it, nobody waits to be looked at again, and what is on it is known; or
//!    every chunk there is has what it wants elsewhere.
//! 4. A disk is closed only while it is safe and holds nothing, or what cannot be deleted from it.
//!
//! # Elsewhere
//! Why a chunk is needed yet: `obstacles`. Marks in the metadata, and time left: `master`.

use crate::fleet::{Fleet, Purpose};
use crate::slot_set::SlotSet;
use crate::table::{Health, ReplicaSet};
use crate::{Command, DiskState, Order, OrderId, RemovalView, Removing};
use std::collections::BTreeMap;
use types::{ChunkSlot, DiskId, Holder, ServerId, Status};

/// Pause before a disk that refused to be closed is asked again.
const CLOSE_RETRY_MS: u64 = 2_000;

/// Marks by the metadata.
#[derive(Debug, Default)]
pub(crate) struct ToldMarks {
    servers: BTreeMap<ServerId, Removing>,
    disks: BTreeMap<DiskId, Removing>,
    away: BTreeMap<ServerId, u64>,
}

/// A disk that is to go.
#[derive(Debug)]
pub(crate) struct Draining {
    what: Removing,
    since_ms: u64,
    most: u64,
    /// Chunks on it that lack replicas elsewhere.
    pub(crate) needed: SlotSet,
    /// The order to close it, and when it was given.
    closing: Option<(OrderId, u64)>,
    pub(crate) retry_ms: u64,
}

impl Fleet {
    /// A server or a disk is to go, or stays after all.
    pub(crate) fn removing(&mut self, holder: Holder, removing: Option<Removing>, now_ms: u64) {
        let marks = &mut self.hosts.marks;
        let disks = match holder {
            Holder::Server(server) => {
                set(&mut marks.servers, server, removing);
                self.disks_of(server)
            }
            Holder::Disk(disk) => {
                set(&mut marks.disks, disk, removing);
                self.hosts.disk_number(disk).into_iter().collect()
            }
        };
        for disk in disks {
            self.weigh(disk, now_ms);
        }
    }

    /// A server is away on purpose, or no longer.
    pub(crate) fn maintenance(&mut self, server: ServerId, until_ms: Option<u64>) {
        set(&mut self.hosts.marks.away, server, until_ms);
        if let Some(number) = self.hosts.server_number(server) {
            self.weigh_server(number);
            self.healing.wake();
        }
    }

    fn disks_of(&self, server: ServerId) -> Vec<u16> {
        let number = self.hosts.server_number(server);
        number.map(|number| self.hosts.servers[usize::from(number)].disks.clone()).unwrap_or_default()
    }

    /// Takes what is told of a server for what it is.
    pub(crate) fn weigh_server(&mut self, number: u16) {
        let server = &mut self.hosts.servers[usize::from(number)];
        server.away_until_ms = self.hosts.marks.away.get(&server.id).copied().unwrap_or(0);
    }

    /// Keeps invariant 1 of a disk whose mark, or whose server, may have changed.
    pub(crate) fn weigh(&mut self, number: u16, now_ms: u64) {
        let disk = self.hosts.disk(number);
        let of_server = self.hosts.marks.servers.get(&self.hosts.server_of(number).id);
        let what = self.hosts.marks.disks.get(&disk.id).or(of_server).copied();
        let was = self.draining.contains_key(&number);
        match what {
            Some(what) => {
                let fresh = || Draining {
                    what,
                    since_ms: now_ms,
                    most: 0,
                    needed: disk.chunks.clone(),
                    closing: None,
                    retry_ms: 0,
                };
                self.draining.entry(number).or_insert_with(fresh).what = what;
            }
            None => drop(self.draining.remove(&number)),
        }
        if was != what.is_some() {
            self.hosts.disk_mut(number).leaving = what.is_some();
            self.table.set_leaving(number, what.is_some());
            self.hosts.consider(number);
            self.moved(number);
        }
    }

    /// The disk among these, which is to go, whose place this one takes.
    pub(crate) fn replaced_by(&self, set: &ReplicaSet, new: u16) -> Option<u16> {
        if self.draining.is_empty() {
            return None;
        }
        let id = self.hosts.disk(new).id;
        let is_replaced = |disk: &u16| self.draining.get(disk).is_some_and(|one| one.what.with == Some(id));
        set.iter().map(|replica| replica.disk).find(is_replaced)
    }

    /// Keeps invariant 2 for a chunk whose replicas, goal or agreement changed.
    pub(crate) fn note_draining(&mut self, slot: ChunkSlot, old: &ReplicaSet, new: &ReplicaSet) {
        if self.draining.is_empty() {
            return;
        }
        let is_needed = self.lacks_others(slot, new);
        for replica in old.iter().chain(new.iter()) {
            let Some(draining) = self.draining.get_mut(&replica.disk) else { continue };
            draining.most = draining.most.max(self.hosts.disk(replica.disk).chunks.len());
            if is_needed && new.state(replica.disk).is_some() {
                draining.needed.insert(slot);
            } else {
                draining.needed.remove(slot);
            }
        }
    }

    /// Whether a chunk has too few settled replicas on disks that stay.
    pub(crate) fn lacks_others(&self, slot: ChunkSlot, set: &ReplicaSet) -> bool {
        self.table.staying(set) < self.goal(slot) || self.table.is_unsettled(slot)
    }

    /// Invariant 3.
    fn is_safe(&self, number: u16, draining: &Draining) -> bool {
        let count = |health| self.table.count(health);
        let all_are_well =
            [Health::Missing, Health::Endangered, Health::Undergoal, Health::Leaving].map(count) == [0; 4];
        let is_known = self.hosts.disk(number).told || all_are_well;
        let is_settled = self.settled() && self.review.is_over();
        is_settled && is_known && draining.needed.len() == 0 && self.being_made(number).next().is_none()
    }

    /// How far it is with a disk.
    pub(crate) fn removal(&self, number: u16) -> Option<RemovalView> {
        let draining = self.draining.get(&number)?;
        Some(RemovalView {
            drain_only: draining.what.drain_only,
            since_ms: draining.since_ms,
            most: draining.most,
            needed: draining.needed.len(),
            safe: self.is_safe(number, draining),
        })
    }

    /// Has disks closed that are empty and safe.
    pub(crate) fn close_drained(&mut self, now_ms: u64, out: &mut Vec<Command>) {
        let numbers: Vec<u16> = self.draining.keys().copied().collect();
        for number in numbers {
            let timeout_ms = self.options.delete_timeout_ms;
            let Some(draining) = self.draining.get_mut(&number) else { continue };
            if let Some((order, _)) = draining.closing.filter(|(_, sent_ms)| now_ms >= sent_ms + timeout_ms) {
                self.orders.remove(&order);
                draining.closing = None;
            }
            if draining.closing.is_some() || draining.what.drain_only || now_ms < draining.retry_ms {
                continue;
            }
            let (disk, server) = (self.hosts.disk(number), self.hosts.server_of(number));
            let can_delete = disk.up && disk.state == DiskState::Good;
            let is_empty = disk.chunks.len() == 0
                && disk.deletes.is_empty()
                && disk.deleting == 0
                && !self.awaits_deletion(number);
            let ready = server.up && (is_empty || !can_delete);
            if !ready || !self.draining.get(&number).is_some_and(|one| self.is_safe(number, one)) {
                continue;
            }
            let replicas = disk.chunks.len() + disk.quarantine.len() as u64 + disk.quarantine_unnamed;
            let what = Order::Close { disk: disk.id, replicas };
            let order = self.order(number, Purpose::Close, what, now_ms, out);
            if let Some(draining) = self.draining.get_mut(&number) {
                draining.closing = Some((order, now_ms));
            }
        }
    }

    /// The order was lost with the disk's server.
    pub(crate) fn close_lost(&mut self, number: u16) {
        if let Some(draining) = self.draining.get_mut(&number) {
            draining.closing = None;
        }
    }

    /// A disk was closed, or there is more on it than was known.
    pub(crate) fn close_done(
        &mut self,
        order: OrderId,
        status: Result<(), Status>,
        now_ms: u64,
        out: &mut Vec<Command>,
    ) {
        let Some(open) = self.orders.remove(&order) else { return };
        let Some(draining) = self.draining.get_mut(&open.disk) else { return };
        if draining.closing.is_none_or(|(closing, _)| closing != order) {
            return;
        }
        (draining.closing, draining.retry_ms) = (None, now_ms + CLOSE_RETRY_MS);
        if status.is_ok() {
            self.disk_down(open.disk, now_ms, out);
            out.push(Command::Closed { disk: self.hosts.disk(open.disk).id });
        }
    }

    /// The metadata know a server or a disk no longer.
    pub(crate) fn forgotten(&mut self, holder: Holder, now_ms: u64, out: &mut Vec<Command>) {
        match holder {
            Holder::Server(server) => {
                self.hosts.marks.servers.remove(&server);
                self.maintenance(server, None);
                self.hosts.told.forget_server(server);
                if let Some(number) = self.hosts.server_number(server) {
                    self.hosts.servers[usize::from(number)].forgotten = true;
                }
            }
            Holder::Disk(disk) => {
                self.removing(holder, None, now_ms);
                self.hosts.told.forget_disk(disk);
                let Some(number) = self.hosts.disk_number(disk) else { return };
                self.disk_down(number, now_ms, out);
                let slots: Vec<ChunkSlot> = self.hosts.disk(number).chunks.iter().collect();
                for slot in slots {
                    let mut set = self.table.replicas(slot);
                    set.remove(number);
                    self.put_replicas(slot, &set);
                }
                self.hosts.forget_disk(number);
                self.settle(now_ms, out);
            }
        }
    }

    /// Chunks that have no sound replica, and have one on a server that is away, or may have.
    pub fn only_on(&self, server: ServerId) -> u64 {
        let missing = self.table.count(Health::Missing);
        let disks = self.disks_of(server);
        let all_told = disks.iter().all(|disk| self.hosts.disk(*disk).told);
        if missing == 0 || !self.settled() || !all_told {
            return missing;
        }
        let is_missing = |slot: &ChunkSlot| self.table.health(*slot) == Some(Health::Missing);
        disks.iter().map(|disk| self.hosts.disk(*disk).chunks.iter().filter(is_missing).count() as u64).sum()
    }
}

fn set<K: Ord, V>(map: &mut BTreeMap<K, V>, key: K, value: Option<V>) {
    match value {
        Some(value) => drop(map.insert(key, value)),
        None => drop(map.remove(&key)),
    }
}
