//! Chunks whose disks are full.
//!
//! A disk takes no new chunk unless a whole one fits; what is below that is for chunks that grow. When that is used
//! up too, the member says so and leaves its chain like any other that failed. The last one that may acknowledge a write
//! cannot leave: its chunk is copied to a disk with room first, and the writer tries again until it is. Only if no disk has
//! room is the writer told.

use crate::Command;
use crate::fleet::Fleet;
use crate::hosts::{FULL_BELOW_BYTES, Hosts};
use types::{ChunkSlot, DiskId, FailedHop, Status};

impl Hosts {
    /// A disk had no room for a write, and so has no other directory of its device. Believed until the next heartbeat.
    pub(crate) fn out_of_room(&mut self, disk: DiskId) {
        let Some(number) = self.disk_number(disk) else { return };
        let device = self.disk(number).device;
        for other in 0..self.disks.len() as u16 {
            if other == number || device != 0 && self.disk(other).device == device {
                self.disk_mut(other).free_bytes = 0;
                self.consider(other);
            }
        }
    }

    pub(super) fn is_full(&self, disk: u16) -> bool {
        self.disk(disk).free_bytes < FULL_BELOW_BYTES
    }
}

impl Fleet {
    /// What a writer is told of whose chunk too few replicas have room; `None`: it has a chain to try.
    pub(crate) fn refusal_of_full(
        &mut self,
        slot: ChunkSlot,
        failed: Option<&FailedHop>,
        now_ms: u64,
        out: &mut Vec<Command>,
    ) -> Option<Status> {
        let no_room = failed.filter(|hop| hop.status == Status::NoSpace);
        if let Some(hop) = no_room {
            self.hosts.out_of_room(hop.to);
        }
        let current: Vec<u16> = self.table.replicas(slot).current().collect();
        let with_room = current.iter().filter(|disk| !self.hosts.is_full(**disk)).count();
        if current.is_empty() || with_room >= self.min_write_of(slot) {
            return None;
        }
        if self.healing.copies.contains_key(&slot) {
            // A grant would end the copy that this writer waits for.
            return Some(Status::TryAgain);
        }
        if no_room.is_none() || current.len() > self.min_write_of(slot) {
            return None;
        }
        if self.way_out(slot, None).is_none() {
            return Some(if self.is_settling(now_ms) { Status::TryAgain } else { Status::NoSpace });
        }
        self.begin_copy(slot, Self::way_out, now_ms, out);
        Some(Status::TryAgain)
    }
}
