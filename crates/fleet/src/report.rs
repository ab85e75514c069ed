//! Servers that come and go, and what their disks say they hold.
//!
//! # Invariants
//! 1. A replica is current only if its disk said so, with the chunk's version, since it last came up (or
//!    took part in the raise that gave the chunk its version).
//! 2. What a complete report does not name is not on the disk.
//! 3. A version above the metadata's was never granted (grants follow the stable record): whoever has it
//!    went through an unfinished raise and is complete, as are those with the metadata's version (`raise::ahead`).

use crate::fleet::{Fleet, Purpose};
use crate::table::ReplicaState;
use crate::{Command, DiskInfo, DiskState, ReportedReplica, ServerInfo};
use types::{ChunkId, ChunkSlot, ClassId, DiskId, ServerId, Status, Version};

impl Fleet {
    pub(crate) fn server_registered(&mut self, info: &ServerInfo, now_ms: u64, out: &mut Vec<Command>) {
        self.server_gone(info.server, now_ms, out);
        let Some(server) = self.hosts.add_server(info.server) else { return };
        self.hosts.describe_server(server, info, now_ms);
        self.weigh_server(server);
        for disk_info in &info.disks {
            let Some(disk) = self.hosts.add_disk(disk_info.disk, server) else { continue };
            self.hosts.disk_mut(disk).up = disk_info.state != DiskState::Failed;
            if self.hosts.describe_disk(disk, disk_info) {
                self.moved(disk);
            }
            self.weigh(disk, now_ms);
        }
    }

    pub(crate) fn server_gone(&mut self, server: ServerId, now_ms: u64, out: &mut Vec<Command>) {
        let Some(number) = self.hosts.server_number(server) else { return };
        let server = &mut self.hosts.servers[usize::from(number)];
        if std::mem::take(&mut server.up) {
            server.since_ms = now_ms;
        }
        for disk in server.disks.clone() {
            self.disk_down(disk, now_ms, out);
        }
    }

    pub(crate) fn heartbeat(
        &mut self,
        server: ServerId,
        disks: &[DiskInfo],
        now_ms: u64,
        out: &mut Vec<Command>,
    ) {
        let Some(number) = self.hosts.server_number(server) else { return };
        if !self.hosts.servers[usize::from(number)].up {
            return;
        }
        for info in disks {
            let known = self.hosts.disk_number(info.disk);
            let ours =
                |disk: &u16| self.hosts.disk(*disk).server == number && !self.hosts.disk(*disk).forgotten;
            let Some(disk) = known.filter(ours) else { continue };
            if info.state == DiskState::Failed {
                self.disk_down(disk, now_ms, out);
            } else {
                // A disk that failed and is well again is believed by its next complete report only.
                self.hosts.disk_mut(disk).up = true;
            }
            if self.hosts.describe_disk(disk, info) {
                self.moved(disk);
            }
        }
    }

    /// The disk cannot be reached: its replicas become absent, raises go on without it.
    pub(crate) fn disk_down(&mut self, disk: u16, now_ms: u64, out: &mut Vec<Command>) {
        if !self.hosts.is_up(disk) {
            return;
        }
        let entry = self.hosts.disk_mut(disk);
        entry.up = false;
        entry.reported = false;
        self.hosts.clear_quarantine(disk);
        self.hosts.consider(disk);
        self.lose_fresh(disk);
        self.raises.disk_away(disk);
        let slots: Vec<ChunkSlot> = self.hosts.disk(disk).chunks.iter().collect();
        for slot in slots {
            let mut set = self.table.replicas(slot);
            let state = match set.state(disk) {
                Some(ReplicaState::Current | ReplicaState::Damaged | ReplicaState::Doubtful) => {
                    self.table.set_open(slot, false);
                    ReplicaState::Absent
                }
                Some(ReplicaState::Filling) => {
                    self.table.set_open(slot, false);
                    ReplicaState::StaleAbsent
                }
                Some(ReplicaState::Stale | ReplicaState::Kept) => ReplicaState::StaleAbsent,
                _ => continue,
            };
            set.set(disk, state);
            self.put_replicas(slot, &set);
        }
        let lost: Vec<_> = self
            .orders
            .iter()
            .filter(|(_, order)| order.disk == disk)
            .map(|(id, order)| (*id, *order))
            .collect();
        for (id, order) in lost {
            self.orders.remove(&id);
            match order.purpose {
                Purpose::Raise(slot) => self.member_failed(slot, id, Status::ChainBroken, now_ms, out),
                Purpose::Outlasted { .. } => {}
                Purpose::Delete(chunk, version) => self.requeue_delete(disk, chunk, version),
                Purpose::Fill(slot) => self.join_done(slot, id, Err(Status::ChainBroken), now_ms, out),
                Purpose::Copy { slot, .. } => self.copy_lost(slot, id),
                Purpose::Mend(slot) => self.mending_lost(slot),
                Purpose::Verify(slot) | Purpose::Remove(slot) => self.removal_lost(slot, id, now_ms),
                Purpose::Close => self.close_lost(disk),
            }
        }
        self.hosts.disk_mut(disk).deleting = 0;
    }

    pub(crate) fn reported(
        &mut self,
        disk: DiskId,
        replicas: &[ReportedReplica],
        last: bool,
        now_ms: u64,
        out: &mut Vec<Command>,
    ) {
        let Some(disk) = self.hosts.disk_number(disk).filter(|disk| self.hosts.is_up(*disk)) else { return };
        for replica in replicas {
            self.replica_seen(disk, replica, now_ms, out);
        }
        if !last {
            return;
        }
        let slots: Vec<ChunkSlot> = self.hosts.disk(disk).chunks.iter().collect();
        for slot in slots {
            let mut set = self.table.replicas(slot);
            let untold = matches!(set.state(disk), Some(ReplicaState::Absent | ReplicaState::StaleAbsent));
            if untold && !self.raises.keeps_for_later(slot, disk) {
                set.remove(disk);
                self.put_replicas(slot, &set);
            }
        }
        self.members_told(disk, now_ms, out);
        self.healing.disk_is_back(&self.table, disk);
        let entry = self.hosts.disk_mut(disk);
        let is_first = !std::mem::replace(&mut entry.told, true);
        (entry.reported, entry.awaited) = (true, false);
        if is_first {
            self.look_for_holds(disk);
        }
        self.settle(now_ms, out);
        self.pump_deletes(disk, now_ms, out);
        self.healing.wake();
    }

    /// One replica on a disk that is up: of a known chunk, of a fresh one, of a removed one, or unknown.
    pub(crate) fn replica_seen(
        &mut self,
        disk: u16,
        seen: &ReportedReplica,
        now_ms: u64,
        out: &mut Vec<Command>,
    ) {
        if seen.version.term > self.term || seen.chunk.term() > self.term {
            let term = seen.version.term.max(seen.chunk.term());
            out.push(Command::StepDown { seen: term });
            return;
        }
        if let Some(slot) = seen.slot.filter(|slot| self.table.chunk(*slot) == Some(seen.chunk)) {
            if !self.raises.keep_for_later(slot, disk, *seen) {
                self.judge(slot, disk, seen, now_ms, out);
            }
            return;
        }
        if let Some(reservation) = self.reservations.get_mut(seen.chunk) {
            if let Some(member) = reservation.members.iter_mut().find(|member| member.disk == disk) {
                (member.lost, member.told) = (false, Some(*seen));
            }
            reservation.unsettled |= seen.marked;
            return;
        }
        if self.garbage_seen(disk, seen.chunk) {
            self.pump_deletes(disk, now_ms, out);
            return;
        }
        self.hosts.quarantine(disk, seen, now_ms);
    }

    /// Compares a replica of a known chunk, of which no raise is under way, with the metadata.
    pub(crate) fn judge(
        &mut self,
        slot: ChunkSlot,
        disk: u16,
        seen: &ReportedReplica,
        now_ms: u64,
        out: &mut Vec<Command>,
    ) {
        let Some(version) = self.table.version(slot) else { return };
        // Nobody ever wrote under a version that is quiet: nothing of it can be missing.
        let doubtful = seen.power_lost && !self.table.is_quiet(slot);
        if seen.complete && seen.version > version && !doubtful {
            return self.found_ahead(slot, disk, seen, now_ms, out);
        }
        let mut set = self.table.replicas(slot);
        // Nobody ever wrote under a version that is quiet: there a page that does not match has rotted.
        let damaged = seen.damaged || seen.torn && self.table.is_quiet(slot);
        let state = match seen.complete && seen.version >= version {
            true if doubtful => ReplicaState::Doubtful,
            true if damaged => ReplicaState::Damaged,
            true => ReplicaState::Current,
            false if seen.complete && seen.damaged => ReplicaState::Kept,
            false => ReplicaState::Stale,
        };
        if set.state(disk) == Some(ReplicaState::Filling) {
            if state == ReplicaState::Current {
                // It took every write of the version: the chain stays as it is.
                set.set(disk, state);
                self.put_replicas(slot, &set);
            }
            return; // What it was before it began.
        }
        if set.state(disk) != Some(state) {
            // The set of replicas that may be written changes: the next grant raises first.
            self.table.set_open(slot, false);
        }
        if seen.marked && !matches!(state, ReplicaState::Stale | ReplicaState::Kept) {
            // Others are read rather, as long as they may differ.
            set.remove(disk);
            self.set_unsettled(slot, true);
            if seen.torn {
                self.healing.set_torn(slot);
            }
        }
        set.set(disk, state);
        self.put_replicas(slot, &set);
        self.take_up(slot, now_ms, out);
    }

    pub(crate) fn replica_born(
        &mut self,
        disk: DiskId,
        slot: Option<ChunkSlot>,
        chunk: ChunkId,
        version: Version,
        now_ms: u64,
        out: &mut Vec<Command>,
    ) {
        let Some(disk) = self.hosts.disk_number(disk).filter(|disk| self.hosts.is_up(*disk)) else { return };
        let known = slot.filter(|slot| self.table.chunk(*slot) == Some(chunk));
        if known.is_some_and(|slot| self.table.replicas(slot).state(disk) == Some(ReplicaState::Current)) {
            return; // Its birth is old news; by now it may have been raised.
        }
        let seen = ReportedReplica::sound(slot, chunk, version);
        self.replica_seen(disk, &seen, now_ms, out);
    }

    /// A damaged replica no longer counts: what of it verifies can still be read, and it is mended.
    pub(crate) fn damaged(&mut self, disk: DiskId, slot: Option<ChunkSlot>, chunk: ChunkId) {
        let Some(disk) = self.hosts.disk_number(disk) else { return };
        let Some(slot) = slot.filter(|slot| self.table.chunk(*slot) == Some(chunk)) else { return };
        self.healing.met_damage(slot, disk);
        let mut set = self.table.replicas(slot);
        if set.state(disk) == Some(ReplicaState::Current) {
            set.set(disk, ReplicaState::Damaged);
            self.table.set_open(slot, false);
            self.put_replicas(slot, &set);
        }
    }

    /// A chunk entered a map: by the commit of a fresh one, or because it was loaded.
    pub(crate) fn chunk_born(
        &mut self,
        slot: ChunkSlot,
        chunk: ChunkId,
        version: Version,
        class: ClassId,
        now_ms: u64,
        out: &mut Vec<Command>,
    ) {
        self.clear_slot(slot, out);
        self.table.insert(slot, chunk, version, class);
        // One of an earlier reign may have been edited before this one began.
        if chunk.term() == self.term {
            self.review_passes(slot);
        }
        let (members, unsettled) = self.take_reservation(chunk).unwrap_or_default();
        let mut set = self.table.replicas(slot);
        let mut open = !members.is_empty() && version == self.first_version();
        let mut told = Vec::new();
        for member in members {
            let up = self.hosts.is_up(member.disk);
            let present = up && !member.lost;
            open &= present;
            if self.hosts.disk(member.disk).forgotten {
                continue;
            }
            if up && !present && self.hosts.disk(member.disk).reported {
                continue; // It came back and told what it holds: this was lost before it was stable.
            }
            let state = match (present, version == self.first_version()) {
                (true, true) => ReplicaState::Current,
                (false, true) => ReplicaState::Absent,
                (true, false) => ReplicaState::Stale,
                (false, false) => ReplicaState::StaleAbsent,
            };
            set.set(member.disk, state);
            told.extend(member.told.filter(|_| present).map(|seen| (member.disk, seen)));
        }
        self.put_replicas(slot, &set);
        self.table.set_open(slot, open);
        self.set_unsettled(slot, unsettled);
        self.healing.granted(slot, now_ms, self.options.quiet_ms);
        // Replicas told before the chunk was known: those of the reservation that were away meanwhile; and if it was granted by
        // an earlier term and is attached now, all of them.
        let unknown = self.hosts.unquarantine(chunk).into_iter();
        told.extend(unknown.map(|(disk, seen)| (disk, ReportedReplica { marked: true, ..seen })));
        for (disk, seen) in told {
            let seen = ReportedReplica { slot: Some(slot), ..seen };
            if !self.raises.keep_for_later(slot, disk, seen) {
                self.judge(slot, disk, &seen, now_ms, out);
            }
        }
    }
}
