//! Edits that no replica can carry out: a page at the cut that the device cannot read, no room for the page it takes.
//!
//! What waits for a replica that is away waits as long as that takes: it may come back. What every replica refuses, for a reason of
//! its own disk and again and again for as long as it takes to give somebody up, ends: the file would wait behind it for ever. It is not
//! repeated, for the chunk could not be written until it succeeds; since some replica may have made the cuts before it failed, the chunk's
//! next raise compares all of it.

use crate::fleet::Fleet;
use crate::table::ReplicaState;
use types::{ChunkSlot, Status};

impl Fleet {
    /// Why no replica of the chunk follows its raise, if all have said so and none may come back that has not.
    pub(super) fn refusal_of_all(&self, slot: ChunkSlot, now_ms: u64) -> Option<Status> {
        use ReplicaState::{Absent, Current, Damaged, Doubtful};
        let raise = self.raises.running.get(&slot)?;
        let set = self.table.replicas(slot);
        let mut counting =
            set.iter().filter(|one| matches!(one.state, Absent | Current | Damaged | Doubtful));
        let all = counting.all(|one| one.state != Absent && raise.failed.contains_key(&one.disk));
        if !all || raise.failed.is_empty() || self.awaits_disks(now_ms) {
            return None;
        }
        let full = raise.failed.values().any(|why| *why == Status::NoSpace);
        Some(if full { Status::NoSpace } else { Status::Io })
    }
}
