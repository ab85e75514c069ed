//! How long a lost replica is waited for before another is made (`protocols.md` §15).
//!
//! A disk that failed under a server that answers is gone: nothing is waited for. A silent server may come back:
//! chunks with one replica left wait briefly, others longer. Several servers that fell silent together are
//! probably behind one link, and are waited for longest.

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
        let mut silent: Vec<u64> = self.hosts.servers.iter().filter(|server| !server.up).map(since).collect();
        silent.sort_unstable();
        let together = |at: u64| {
            let first = silent.partition_point(|other| *other + options.heal_ms < at);
            silent[first..].iter().take_while(|other| **other <= at + options.heal_ms).take(2).count() > 1
        };
        let lost = |server: &crate::hosts::Server| {
            let at = since(server);
            if server.up {
                // Its disks have failed, or are about to report what they hold.
                return Lost { endangered_ms: at + options.heal_ms, others_ms: at + options.heal_ms };
            }
            if together(at) {
                let long = at + options.heal_together_ms;
                return Lost { endangered_ms: long, others_ms: long };
            }
            Lost { endangered_ms: at + options.heal_endangered_ms, others_ms: at + options.heal_ms }
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
                ReplicaState::Absent => {
                    known += 1;
                    let disk = self.hosts.disk(replica.disk);
                    let answers = self.hosts.server_of(replica.disk).up;
                    if !answers || disk.up {
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
