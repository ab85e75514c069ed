//! Chunks whose replicas may differ: a chain failed and nobody may come to ask for the next one, or a member was stopped
//! while the chunk was being written. All reads go to one replica until a raise has made them equal (`raise::settle`).

use super::{Healing, RETRY_MS};
use crate::Command;
use crate::fleet::Fleet;
use crate::raise::Purposes;
use types::{ChunkId, ChunkSlot, DiskId, Version};

impl Healing {
    /// Chunks with damaged replicas.
    pub(crate) fn damaged(&self) -> u64 {
        self.damaged.slots.len()
    }

    /// Chunks to be compared.
    pub(crate) fn unsettled(&self) -> u64 {
        self.unsettled.slots.len()
    }

    /// A replica of an unsettled chunk has torn pages.
    pub(crate) fn set_torn(&mut self, slot: ChunkSlot) {
        if self.unsettled.slots.contains(slot) {
            self.torn.insert(slot);
        }
    }

    /// Whether one of its replicas is known to have torn pages.
    pub(crate) fn is_torn(&self, slot: ChunkSlot) -> bool {
        self.torn.contains(slot)
    }
}

impl Fleet {
    /// A server says that its chain of this replica failed. The writer is probably about to ask for another one, and
    /// to name the hop: it is given time for that.
    pub(crate) fn unsettled(
        &mut self,
        disk: DiskId,
        slot: Option<ChunkSlot>,
        chunk: ChunkId,
        version: Version,
        now_ms: u64,
    ) {
        if let Some(reservation) = self.reservations.get_mut(chunk) {
            reservation.unsettled = true;
            return;
        }
        let known = self.hosts.disk_number(disk).is_some();
        let slot = slot.filter(|slot| known && self.table.chunk(*slot) == Some(chunk));
        if let Some(slot) = slot.filter(|slot| self.table.version(*slot) == Some(version)) {
            self.set_unsettled(slot, true);
            self.healing.leave_alone(slot, now_ms, self.options.quiet_ms);
        }
    }

    /// The replicas of the chunk may differ, or have been made equal.
    pub(crate) fn set_unsettled(&mut self, slot: ChunkSlot, unsettled: bool) {
        // Nobody ever wrote under a version that is quiet.
        let unsettled = unsettled && !self.table.is_quiet(slot) && self.table.chunk(slot).is_some();
        self.table.set_unsettled(slot, unsettled);
        self.healing.unsettled.set(slot, unsettled);
        if unsettled {
            self.table.set_open(slot, false);
            self.healing.wake();
        } else {
            self.healing.torn.remove(slot);
        }
        let set = self.table.replicas(slot);
        self.note_draining(slot, &set, &set);
    }

    /// Whether a replica with torn pages is to wait for others that may have them sound: a raise without them would leave
    /// them behind.
    pub(crate) fn waits_for_torn(&self, slot: ChunkSlot, now_ms: u64) -> bool {
        let set = self.table.replicas(slot);
        let here: Vec<u16> = set.current().chain(set.doubtful()).collect();
        self.healing.is_torn(slot) && self.may_be_bettered(slot, &here, now_ms)
    }

    /// Raises chunks with several replicas that may differ, and those with one that has torn pages.
    pub(super) fn begin_comparisons(&mut self, now_ms: u64, out: &mut Vec<Command>) -> bool {
        let mut begun = false;
        let mut room = self.room_for_raises();
        let batch = if room > 0 { self.healing.unsettled.batch(super::LOOKED_MAX) } else { Vec::new() };
        for slot in batch {
            if room == 0 {
                break;
            }
            let current: Vec<u16> = self.table.replicas(slot).members().collect();
            let enough = current.len() > 1 || self.healing.is_torn(slot);
            let is_begun = if current.is_empty() {
                self.trust_doubtful(slot, now_ms, out)
            } else if enough && !self.is_put_off(slot, now_ms) && !self.waits_for_torn(slot, now_ms) {
                self.healing.put_off(slot, now_ms, RETRY_MS);
                self.start_raise(slot, &current, Purposes::default(), now_ms, out);
                true
            } else {
                false
            };
            room -= usize::from(is_begun);
            begun |= is_begun;
        }
        begun
    }
}
