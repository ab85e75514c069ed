//! Raises in which one member accuses another: what `hops` has to know of them, and may change.

use super::{Phase, Raises};
use crate::fleet::Fleet;
use crate::hops::{Accusation, Word};
use types::{ChunkSlot, Memory};

impl Raises {
    /// The accusation to be judged by the answers to the present orders.
    pub(crate) fn accusation(&self, slot: ChunkSlot) -> Option<Accusation> {
        let raise = self.running.get(&slot)?;
        raise.accused.filter(|_| matches!(raise.phase, Phase::Ordering { .. }))
    }

    /// It was judged.
    pub(crate) fn close_accusation(&mut self, slot: ChunkSlot) {
        if let Some(raise) = self.running.get_mut(&slot) {
            raise.accused = None;
        }
    }

    /// What this member says of its chain; `None`: it is none.
    pub(crate) fn word(&self, slot: ChunkSlot, disk: u16) -> Option<Word> {
        let mut members = self.running.get(&slot)?.members.iter();
        let member = members.find(|member| member.disk == disk)?;
        let denies = member.unsettled.memory == Memory::Kept && !member.unsettled.failed;
        Some(match (member.done, denies) {
            (false, _) => Word::Awaited,
            (true, true) => Word::Denies,
            (true, false) => Word::DoesNotDeny,
        })
    }

    /// The disks of the members, in the order of the chain.
    pub(crate) fn members(&self, slot: ChunkSlot) -> Vec<u16> {
        let members = self.running.get(&slot).map_or(&[][..], |raise| &raise.members);
        members.iter().map(|member| member.disk).collect()
    }

    /// Makes this member the head of the chain that is to come.
    pub(crate) fn put_first(&mut self, slot: ChunkSlot, disk: u16) {
        let Some(raise) = self.running.get_mut(&slot) else { return };
        if let Some(at) = raise.members.iter().position(|member| member.disk == disk) {
            raise.members[..=at].rotate_right(1);
        }
    }
}

impl Fleet {
    /// Leaves a member behind. It may take the version all the same.
    pub(crate) fn drop_member(&mut self, slot: ChunkSlot, disk: u16) {
        let Some(mut raise) = self.raises.running.remove(&slot) else { return };
        if let Some(at) = raise.members.iter().position(|member| member.disk == disk) {
            let may_have_cut = raise.may_be_cutting(&raise.members[at]);
            let member = raise.leave_behind(at);
            raise.cut.extend(may_have_cut.then_some(disk));
            self.outlast(&raise, &member);
        }
        self.raises.running.insert(slot, raise);
    }
}
