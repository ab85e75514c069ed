//! Edits that no replica can carry out: a page at the cut that the device cannot read, no room for the page it takes.
//!
//! What waits for a replica that is away waits as long as healing does: it may come back. What every replica that is left refuses, for a reason of
//! its own disk and again and again for as long as it takes to give somebody up, ends: the file would wait behind it for ever, and so would the
//! raise by which a chunk that has lost replicas gets others. It is not repeated, for the chunk could not be written until it succeeds; since some
//! replica may have made the cuts before it failed, the chunk's next raise compares all of it, and the donor is one that certainly has not, if there
//! is one. One that was given up may have made them too: that raise leaves its version below the one on record.
//!
//! `NoSpace` says that nothing was cut: each replica that was told has said that it lacks the room, which it says only of a cut that it has not
//! begun. If one may have cut, or is away and has not said, the edit ends with `Io`: nobody knows what became of it.

use crate::fleet::Fleet;
use crate::table::ReplicaState;
use types::{ChunkSlot, Status};

impl Fleet {
    /// Why no replica of the chunk follows its raise, if all have said so and none is waited for that has not.
    pub(super) fn refusal_of_all(&self, slot: ChunkSlot, now_ms: u64) -> Option<Status> {
        use ReplicaState::{Absent, Current, Damaged, Doubtful, Filling, Kept, Stale, StaleAbsent};
        let raise = self.raises.running.get(&slot)?;
        let set = self.table.replicas(slot);
        let awaits_absent = now_ms < self.healed_from_ms(slot, &self.silence(), true);
        let all = set.iter().all(|one| match one.state {
            Current | Damaged | Doubtful => raise.failed.contains_key(&one.disk),
            Absent => !awaits_absent,
            Stale | StaleAbsent | Filling | Kept => true,
        });
        if !all || raise.failed.is_empty() || self.awaits_disks(now_ms) {
            return None;
        }
        let is_uncut =
            raise.cut.is_empty() && raise.members.iter().all(|member| !raise.may_be_cutting(member));
        let full = raise.failed.values().any(|why| *why == Status::NoSpace);
        Some(if full && is_uncut { Status::NoSpace } else { Status::Io })
    }
}
