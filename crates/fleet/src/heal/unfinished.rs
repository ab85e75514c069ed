//! Raises that failed: members may have taken a version that nobody was told of, and then readers are sent to replicas
//! that refuse them. Nobody may come to ask for the chunk again, so the raise is repeated until it succeeds. With fewer
//! members than may acknowledge a write it waits as long as healing does, and after a start for whoever has not been heard
//! (`raise::ahead`): who returns in time does not begin as stale.

use super::{Healing, RETRY_MS};
use crate::Command;
use crate::fleet::Fleet;
use crate::raise::Purposes;
use crate::table::ReplicaState;
use types::ChunkSlot;

impl Healing {
    /// A raise of the chunk failed, or a later one made good for it.
    pub(crate) fn set_unfinished(&mut self, slot: ChunkSlot, unfinished: bool, now_ms: u64) {
        self.unfinished.set(slot, unfinished);
        if unfinished {
            self.put_off(slot, now_ms, RETRY_MS);
            self.wake();
        }
    }
}

impl Fleet {
    /// Repeats raises that failed, with all who are current.
    pub(super) fn finish_raises(&mut self, now_ms: u64, out: &mut Vec<Command>) -> bool {
        let mut begun = false;
        let silence = self.silence();
        let mut room = self.room_for_raises();
        let batch = if room > 0 { self.healing.unfinished.batch(super::LOOKED_MAX) } else { Vec::new() };
        for slot in batch {
            if room == 0 {
                break;
            }
            if self.waits_for_torn(slot, now_ms) {
                continue;
            }
            // One on a disk that is back is about to be told.
            let set = self.table.replicas(slot);
            let mut absent = set.iter().filter(|one| one.state == ReplicaState::Absent).map(|one| one.disk);
            let too_few = self.is_out_of_reach(slot, now_ms) || absent.any(|disk| self.hosts.is_up(disk));
            if too_few && now_ms < self.healed_from_ms(slot, &silence, true) {
                continue;
            }
            let current: Vec<u16> = set.members().collect();
            if !current.is_empty() && !self.is_put_off(slot, now_ms) {
                self.start_raise(slot, &current, Purposes::default(), now_ms, out);
                room -= 1;
                begun = true;
            }
        }
        begun
    }
}
