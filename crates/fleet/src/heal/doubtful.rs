//! Replicas whose machine lost power while they were being written: they have their version, and may lack writes that were answered
//! and not synced.
//!
//! They follow another replica of the version by the next raise (`raise::settle`). While there is none, but one may come back
//! that lost nothing, nobody reads or writes the chunk: a reader would be shown the past, and a writer would make it the truth.
//! That is waited for as long as for a silent server before its replicas are replaced; then the doubtful ones are all there is.

use super::RETRY_MS;
use crate::Command;
use crate::fleet::Fleet;
use crate::hosts::Disk;
use crate::raise::Purposes;
use crate::table::ReplicaState;
use types::ChunkSlot;

impl Fleet {
    /// Whether a disk that is away is waited for. One that failed under a server that answers is not.
    pub(crate) fn may_return(&self, disk: &Disk, now_ms: u64) -> bool {
        let server = &self.hosts.servers[usize::from(disk.server)];
        (disk.up || !server.up) && now_ms < server.since_ms.max(self.started_ms) + self.options.heal_ms
    }

    /// Whether a replica on none of these disks may hold what these lack.
    pub(crate) fn may_be_bettered(&self, slot: ChunkSlot, disks: &[u16], now_ms: u64) -> bool {
        let set = self.table.replicas(slot);
        let others = set.iter().filter(|replica| !disks.contains(&replica.disk));
        let (mut known, mut better) = (disks.len(), false);
        for replica in others {
            match replica.state {
                ReplicaState::Current | ReplicaState::Damaged => better = true,
                ReplicaState::Absent => better |= self.may_return(self.hosts.disk(replica.disk), now_ms),
                ReplicaState::Doubtful => known += 1,
                ReplicaState::Stale
                | ReplicaState::StaleAbsent
                | ReplicaState::Filling
                | ReplicaState::Kept => {}
            }
        }
        better || known < self.goal(slot) && self.awaits_disks(now_ms)
    }

    /// Whether a disk that the metadata knows has not been heard of in this reign, and is waited for.
    pub(crate) fn awaits_disks(&self, now_ms: u64) -> bool {
        self.hosts.disks.iter().any(|disk| disk.awaited && self.may_return(disk, now_ms))
    }

    /// All doubtful replicas of a chunk that has no better one and need not wait for one any more: a raise makes them equal.
    pub(super) fn trust_doubtful(&mut self, slot: ChunkSlot, now_ms: u64, out: &mut Vec<Command>) -> bool {
        let set = self.table.replicas(slot);
        let doubtful: Vec<u16> = set.doubtful().collect();
        if doubtful.is_empty()
            || self.is_put_off(slot, now_ms)
            || self.may_be_bettered(slot, &doubtful, now_ms)
        {
            return false;
        }
        self.healing.put_off(slot, now_ms, RETRY_MS);
        self.start_raise(slot, &doubtful, Purposes::default(), now_ms, out);
        true
    }
}
