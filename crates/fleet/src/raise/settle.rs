//! Making the members of a raise equal: what was in flight when their chain broke is on some of them and not on others.
//!
//! The order of steps is in `docs/protocol/grants.md`, *Settling*. One member, the donor, keeps what it has, but for its
//! torn pages, which it takes from the others; then these take from it the blocks in which they may differ. Nobody reads or
//! writes the new version before that is done.
//!
//! # Invariants
//! 1. The donor holds every acknowledged write: it is the first of the old chain among those that remember what they
//!    took, or, if none does, among those that lost least; before that, one that certainly did not make a cut that was refused. One that lost power is
//!    never followed by one that did not, whatever becomes of the reading: who cannot follow is left behind.
//! 2. A torn page of the donor keeps its bytes only if each other member was asked for it and has no sound one, or was left
//!    behind. One that lost power may have an older page: of it only such a page is taken as the donor had on record.
//! 3. What members report is asked for again after a failure: they keep it until they are told that all are equal. A member
//!    that followed another one forgets it earlier, and none knows who takes part in the next round: so what was compared once
//!    is compared in each round until one is recorded.

use super::{Member, Phase, Raise};
use crate::fleet::{Fleet, Purpose};
use crate::{Command, Order, OrderId};
use std::collections::BTreeMap;
use types::{BlockRange, ChunkSlot, Memory, Status};

/// Ranges of blocks in one order; beyond it one range that covers them all.
const RANGES_MAX: usize = 512;

/// The blocks in which members may differ.
fn doubtful(raise: &Raise) -> Vec<BlockRange> {
    let told = || raise.members.iter().map(|member| &member.unsettled);
    if told().any(|one| one.memory >= Memory::Marked) {
        return vec![BlockRange::ALL];
    }
    let forgot = told().any(|one| one.memory == Memory::Forgot);
    let recent = told().filter(|_| forgot).flat_map(|one| &one.recent);
    let touched = told().flat_map(|one| &one.touched);
    BlockRange::join(touched.chain(recent).chain(&raise.compared).copied().collect(), RANGES_MAX)
}

/// A donor failed twice to ask others for its torn pages. If all of them lost power and it did not, it is they who are left
/// behind, for acknowledged writes may be on it alone.
fn only_donor_may_stay(raise: &mut Raise, donor: u16) -> bool {
    let lost_power = |member: &Member| member.unsettled.memory.lost_power();
    let alone = raise.members.iter().all(|member| lost_power(member) != (member.disk == donor));
    if alone {
        raise.members.retain(|member| member.disk == donor);
        raise.members.iter_mut().for_each(|member| member.done = true);
        (raise.lost, raise.thinned) = (true, true);
    }
    alone
}

impl Fleet {
    /// All members have the version: those that may differ from the donor are made equal to it.
    pub(super) fn settle_members(&mut self, slot: ChunkSlot, now_ms: u64, out: &mut Vec<Command>) {
        let set = self.table.replicas(slot);
        let Some(raise) = self.raises.running.get_mut(&slot) else { return };
        let blocks = doubtful(raise);
        if raise.members.iter().all(|member| member.unsettled.memory.lost_power()) {
            let members: Vec<u16> = raise.members.iter().map(|member| member.disk).collect();
            if self.may_be_bettered(slot, &members, now_ms) {
                return self.fail_raise(slot, Status::TryAgain, now_ms, out);
            }
        }
        let members = self.raises.members(slot).into_iter();
        let ranks: BTreeMap<u16, _> = members.map(|disk| (disk, self.raises.rank(slot, disk))).collect();
        let Some(raise) = self.raises.running.get_mut(&slot) else { return };
        let place = |disk: u16| set.iter().position(|replica| replica.disk == disk).unwrap_or(set.len());
        let donor = raise.members.iter().min_by_key(|member| {
            let memory = member.unsettled.memory;
            let (shunned, cut) =
                (raise.shunned == Some(member.disk), raise.cut_before.contains(&member.disk));
            (memory.lost_power(), ranks[&member.disk], shunned, cut, memory, place(member.disk))
        });
        let Some(donor) = donor else { return };
        let (donor, torn) = (donor.disk, donor.unsettled.memory.is_torn());
        if blocks.is_empty() {
            return self.members_ready(slot, now_ms, out);
        }
        raise.compared = blocks;
        if !torn {
            return self.settle_others(slot, donor, now_ms, out);
        }
        raise.phase = Phase::Mending { donor, deadline_ms: now_ms + self.options.settle_members_ms };
        // What lost power may have an older page, and have it sound: that must not win over one that was being written.
        let all_lost = raise.members.iter().all(|member| member.unsettled.memory.lost_power());
        let mut others: Vec<&Member> = raise.members.iter().filter(|member| member.disk != donor).collect();
        others.sort_by_key(|member| place(member.disk));
        let (sources, doubted): (Vec<_>, Vec<_>) =
            others.into_iter().partition(|member| all_lost || !member.unsettled.memory.lost_power());
        let addresses =
            |members: Vec<&Member>| members.iter().map(|member| self.hosts.address(member.disk)).collect();
        let what = Order::MendTorn {
            disk: self.hosts.disk(donor).id,
            chunk: raise.chunk,
            version: raise.target,
            sources: addresses(sources),
            doubted: addresses(doubted),
        };
        let order = self.order(donor, Purpose::Raise(slot), what, now_ms, out);
        self.await_member(slot, donor, order);
    }

    /// The donor has nothing torn: the others follow it.
    pub(super) fn settle_others(&mut self, slot: ChunkSlot, donor: u16, now_ms: u64, out: &mut Vec<Command>) {
        let Some(raise) = self.raises.running.get_mut(&slot) else { return };
        if raise.members.len() == 1 {
            return self.members_ready(slot, now_ms, out);
        }
        let blocks = doubtful(raise);
        raise.phase = Phase::Settling { donor, deadline_ms: now_ms + self.options.settle_members_ms };
        for at in 0..raise.members.len() {
            self.order_repair(slot, at, donor, &blocks, now_ms, out);
        }
    }

    fn await_member(&mut self, slot: ChunkSlot, disk: u16, order: OrderId) {
        let Some(raise) = self.raises.running.get_mut(&slot) else { return };
        if let Some(member) = raise.members.iter_mut().find(|member| member.disk == disk) {
            (member.order, member.done) = (order, false);
        }
    }

    /// The others are equal to the donor, which may forget what it kept for them.
    pub(super) fn settle_donor(&mut self, slot: ChunkSlot, donor: u16, now_ms: u64, out: &mut Vec<Command>) {
        let Some(is_awaited) = self.raises.running.get(&slot).map(Raise::is_awaited) else { return };
        let answer_ms = self.answer_ms(is_awaited);
        let Some(raise) = self.raises.running.get_mut(&slot) else { return };
        raise.phase = Phase::Settled { donor, deadline_ms: now_ms + answer_ms };
        let Some(at) = raise.members.iter().position(|member| member.disk == donor) else { return };
        self.order_repair(slot, at, donor, &[], now_ms, out);
    }

    /// Orders a member to follow the donor. The donor itself has its order when the others are done.
    fn order_repair(
        &mut self,
        slot: ChunkSlot,
        at: usize,
        donor: u16,
        blocks: &[BlockRange],
        now_ms: u64,
        out: &mut Vec<Command>,
    ) {
        let Some(raise) = self.raises.running.get(&slot) else { return };
        let (disk, is_last) = (raise.members[at].disk, blocks.is_empty());
        if (disk == donor) != is_last {
            return;
        }
        let what = Order::Repair {
            disk: self.hosts.disk(disk).id,
            chunk: raise.chunk,
            version: raise.target,
            source: (!is_last).then(|| self.hosts.address(donor)),
            blocks: blocks.to_vec(),
        };
        let order = self.order(disk, Purpose::Raise(slot), what, now_ms, out);
        self.await_member(slot, disk, order);
    }

    /// A member could not be made equal to the donor, or this could not ask the others for its torn pages, and it may be the
    /// donor that is at fault: once, the next round takes another donor. False: it is the member that is left behind.
    pub(super) fn shun_donor(&mut self, slot: ChunkSlot, order: OrderId) -> bool {
        let Some(raise) = self.raises.running.get_mut(&slot) else { return false };
        let (Phase::Settling { donor, .. } | Phase::Mending { donor, .. }) = raise.phase else {
            return false;
        };
        if raise.shunned.is_some() && matches!(raise.phase, Phase::Mending { .. }) {
            return only_donor_may_stay(raise, donor);
        }
        let Some(member) = raise.members.iter_mut().find(|member| member.order == order) else {
            return false;
        };
        if raise.shunned.is_some() {
            return false;
        }
        raise.shunned = Some(donor);
        member.done = true;
        raise.lost = true;
        true
    }
}
