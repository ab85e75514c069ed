//! Edits that no replica can carry out: a page at the cut that the device cannot read, no room for the page it takes.
//!
//! What waits for a replica that is away waits as long as that takes: it may come back. What every replica refuses, for a reason of
//! its own disk and again and again, ends: the file would wait behind it for ever. The cuts stay remembered, since some replica may have
//! made them before it failed, and the chunk's next raise repeats them on all.

use crate::fleet::Fleet;
use crate::table::ReplicaState;
use types::{ChunkSlot, Status};

impl Fleet {
    /// Why no replica of the chunk can follow its raise, if all have said so and none may come back that has not, and raises have failed
    /// for as long as it takes to give somebody up.
    pub(super) fn refusal_for_good(&self, slot: ChunkSlot, now_ms: u64) -> Option<Status> {
        use ReplicaState::{Absent, Current, Damaged, Doubtful};
        let raise = self.raises.running.get(&slot)?;
        let since_ms = self.raises.remains.get(&slot)?.since_ms;
        let set = self.table.replicas(slot);
        let mut counting =
            set.iter().filter(|one| matches!(one.state, Absent | Current | Damaged | Doubtful));
        let all = counting.all(|one| one.state != Absent && raise.failed.contains_key(&one.disk));
        if !all || self.awaits_disks(now_ms) || now_ms < since_ms + self.options.heal_ms {
            return None;
        }
        let full = raise.failed.values().any(|why| *why == Status::NoSpace);
        (!raise.failed.is_empty()).then_some(if full { Status::NoSpace } else { Status::Io })
    }
}
