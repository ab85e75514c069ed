//! Readers of a chunk that is raised: members that took the version refuse them, so whoever asks for the chunk's place
//! meanwhile waits until all are equal, and members that are slow have no more time than for a writer. A raise that failed is
//! repeated soon. When all replicas there are have become equal they are read under the new version, before it is recorded: what is to be
//! recorded may have to wait for another chunk of the same edit. A master that is started anew finds them ahead of its metadata, and follows
//! them (`ahead`).

use super::{Member, Phase, Raise, Raises};
use crate::fleet::{Fleet, Purpose};
use types::{ChunkSlot, Version};

impl Raises {
    /// A replica took a version of a raise that did not wait for it.
    pub(super) fn took(&mut self, slot: ChunkSlot, disk: u16, version: Version) {
        let taken = match (self.running.get_mut(&slot), self.remains.get_mut(&slot)) {
            (Some(raise), _) if version <= raise.target => &mut raise.taken,
            (None, Some(remains)) if version <= remains.minted => &mut remains.taken,
            _ => return,
        };
        let taken = taken.entry(disk).or_default();
        *taken = version.max(*taken);
    }

    /// The version to be recorded, and those who hold it with the same bytes.
    pub(crate) fn made_equal(&self, slot: ChunkSlot) -> Option<(Version, Vec<u16>)> {
        let raise = self.running.get(&slot)?;
        let equal = matches!(raise.phase, Phase::Joining { .. } | Phase::Logging(_) | Phase::Held);
        equal.then(|| (raise.target, raise.members.iter().map(|member| member.disk).collect()))
    }

    /// The highest version that this disk's replica is known to have taken and that is not recorded, zero if none; `None`: it has the one
    /// that is being given, of which all are made equal before anybody reads it.
    pub(crate) fn version_on(&self, slot: ChunkSlot, disk: u16) -> Option<Version> {
        let raise = self.running.get(&slot);
        let now = raise.and_then(|raise| raise.taken.get(&disk)).copied().unwrap_or_default();
        if raise.is_some_and(|raise| raise.target == now) {
            return None;
        }
        let before = self.remains.get(&slot).and_then(|remains| remains.taken.get(&disk));
        Some(before.copied().unwrap_or_default().max(now))
    }
}

impl Fleet {
    /// A member is not waited for any more. If it takes the version all the same, readers have to know.
    pub(super) fn outlast(&mut self, raise: &Raise, member: &Member) {
        let is_ordered = matches!(raise.phase, Phase::Ordering { .. });
        match self.orders.get_mut(&member.order).filter(|_| is_ordered) {
            Some(order) => {
                let slot = match order.purpose {
                    Purpose::Raise(slot) => slot,
                    _ => return,
                };
                order.purpose = Purpose::Outlasted { slot, chunk: raise.chunk, version: raise.target };
            }
            None => drop(self.orders.remove(&member.order)),
        }
    }

    /// Whether replicas of the chunk may refuse readers because of a raise: a reader is to be told of then
    /// ([`crate::Event::ReadWanted`]).
    pub fn may_refuse_readers(&self, slot: ChunkSlot) -> bool {
        self.raises.running.contains_key(&slot) || self.raises.remains.contains_key(&slot)
    }

    /// Somebody wants to read the chunk.
    pub(crate) fn read_wanted(&mut self, slot: ChunkSlot, now_ms: u64) {
        let by_ms = now_ms + self.options.raise_timeout_ms;
        if let Some(raise) = self.raises.running.get_mut(&slot) {
            raise.is_read = true;
            raise.phase.hurry(by_ms);
        } else if self.raises.remains.contains_key(&slot) {
            self.healing.hasten(slot, now_ms);
        }
    }
}
