//! Looking through all chunks, for people.
//!
//! Nothing is decided here. One question looks at a bounded part of the table, so that it holds nobody up.

use crate::fleet::Fleet;
use crate::table::Health;
use types::{ChunkId, ChunkSlot, Version};

/// How a chunk stands, by the worst that is to be said of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// As many good replicas as wanted, where they should be.
    Ok,
    /// More than wanted.
    Overgoal,
    /// Enough, and not where they should be.
    Misplaced,
    /// Enough, but some of them on disks that are to go.
    Leaving,
    /// Enough, and they may differ until they were compared.
    Uncompared,
    /// Fewer than wanted.
    Undergoal,
    /// Pages of a replica do not match their checksums.
    Damaged,
    /// One, although more are wanted.
    Endangered,
    /// None that can be reached.
    Missing,
    /// None yet: disks have yet to report after the master's start.
    Unknown,
}

/// A chunk that was looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Where it is known.
    pub slot: ChunkSlot,
    /// Which one.
    pub chunk: ChunkId,
    /// As the metadata has it.
    pub version: Version,
    /// How it stands.
    pub standing: Standing,
}

impl Fleet {
    /// Chunks that stand in a way that is wanted, from this slot on: at most `most`, among at most `looked` entries. Then the slot to go on
    /// from; `None`: that was the end.
    pub fn list(
        &self,
        from: ChunkSlot,
        looked: usize,
        most: usize,
        wanted: impl Fn(Standing) -> bool,
    ) -> (Vec<Listed>, Option<ChunkSlot>) {
        let mut found = Vec::new();
        let end = u32::try_from(self.table.end()).unwrap_or(u32::MAX);
        let last = from.0.saturating_add(u32::try_from(looked).unwrap_or(u32::MAX)).min(end);
        for number in from.0..last {
            if found.len() == most {
                return (found, Some(ChunkSlot(number)));
            }
            found.extend(self.listed(ChunkSlot(number)).filter(|one| wanted(one.standing)));
        }
        (found, (last < end).then_some(ChunkSlot(last)))
    }

    fn listed(&self, slot: ChunkSlot) -> Option<Listed> {
        let (chunk, version) = (self.table.chunk(slot)?, self.table.version(slot)?);
        let is_damaged = || self.table.replicas(slot).damaged().next().is_some();
        let standing = match self.table.health(slot)? {
            Health::Missing if !self.settled() => Standing::Unknown,
            Health::Missing => Standing::Missing,
            Health::Endangered => Standing::Endangered,
            _ if is_damaged() => Standing::Damaged,
            Health::Undergoal => Standing::Undergoal,
            _ if self.table.is_unsettled(slot) => Standing::Uncompared,
            Health::Leaving => Standing::Leaving,
            _ if self.healing.waits_misplaced(slot) => Standing::Misplaced,
            Health::Overgoal => Standing::Overgoal,
            Health::Ok => Standing::Ok,
        };
        Some(Listed { slot, chunk, version, standing })
    }
}
