//! How long a lost replica is waited for before another is made (`protocols.md` §15).
//!
//! A disk that failed under a server that answers is gone: nothing is waited for. A silent server may come back:
//! chunks with one replica left wait briefly, others longer. Several servers that fell silent together are
//! probably behind one link, and are waited for longest. A server in maintenance is away on purpose: it is waited for as
//! long as that lasts, and says nothing about the others. A disk that is to go is not waited for.

use crate::fleet::Fleet;
use crate::table::ReplicaState;
use types::ChunkSlot;

/// From when on a server's absence counts as a loss.
#[derive(Clone, Copy, Debug, Default)]
struct Lost {
    endangered_ms: u64,
    others_ms: u64,
}

impl Lost {
    fn of(&self, endangered: bool) -> u64 {
        if endangered { self.endangered_ms } else { self.others_ms }
    }
    fn later(self, other: Self) -> Self {
        Self {
            endangered_ms: self.endangered_ms.max(other.endangered_ms),
            others_ms: self.others_ms.max(other.others_ms),
        }
    }
}

/// Of all servers, by number; and of the disks that have not been heard of in this reign.
pub(crate) struct Silence {
    servers: Vec<Lost>,
    unheard: Lost,
}

impl Fleet {
    /// What the present silences mean.
    pub(crate) fn silence(&self) -> Silence {
        let options = self.options;
        let since = |server: &crate::hosts::Server| server.since_ms.max(self.started_ms);
        let unplanned = self.hosts.servers.iter().filter(|server| !server.up && server.away_until_ms == 0);
        let mut silent: Vec<u64> = unplanned.map(since).collect();
        silent.sort_unstable();
        let together = |at: u64| {
            let first = silent.partition_point(|other| *other + options.heal_ms < at);
            silent[first..].iter().take_while(|other| **other <= at + options.heal_ms).take(2).count() > 1
        };
        let lost = |server: &crate::hosts::Server| {
            let at = since(server);
            let both = |at_ms: u64| Lost { endangered_ms: at_ms, others_ms: at_ms };
            let lost = if server.up {
                // Its disks have failed, or are about to report what they hold.
                both(at + options.heal_ms)
            } else if together(at) {
                both(at + options.heal_together_ms)
            } else {
                Lost { endangered_ms: at + options.heal_endangered_ms, others_ms: at + options.heal_ms }
            };
            lost.later(both(server.away_until_ms))
        };
        let servers: Vec<Lost> = self.hosts.servers.iter().map(lost).collect();
        let awaited = self.hosts.disks.iter().filter(|disk| disk.awaited);
        let unheard =
            awaited.map(|disk| servers[usize::from(disk.server)]).fold(Lost::default(), Lost::later);
        Silence { servers, unheard }
    }

    /// From when on the chunk's lost replicas are taken for lost.
    pub(crate) fn healed_from_ms(&self, slot: ChunkSlot, silence: &Silence, endangered: bool) -> u64 {
        let set = self.table.replicas(slot);
        let (mut known, mut from_ms) = (0, 0);
        for replica in set.iter() {
            match replica.state {
                ReplicaState::Current | ReplicaState::Damaged | ReplicaState::Doubtful => known += 1,
                ReplicaState::Absent if self.table.is_leaving(replica.disk) => known += 1,
                ReplicaState::Absent => {
                    known += 1;
                    let disk = self.hosts.disk(replica.disk);
                    let server = self.hosts.server_of(replica.disk);
                    if !server.up || disk.up || server.away_until_ms > 0 {
                        let lost = silence.servers[usize::from(disk.server)];
                        from_ms = from_ms.max(lost.of(endangered));
                    }
                }
                ReplicaState::Stale
                | ReplicaState::StaleAbsent
                | ReplicaState::Filling
                | ReplicaState::Kept => {}
            }
        }
        // A replica may be on a disk that has not been heard of since the start.
        if known < self.goal(slot) { from_ms.max(silence.unheard.of(endangered)) } else { from_ms }
    }
}
