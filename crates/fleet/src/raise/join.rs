//! A replica that joins the chain of a chunk that somebody is about to write, to be filled while it is written.
//!
//! The order of steps is in `docs/protocol/filling.md`. The replica is begun when all members have the version and hold the
//! same bytes, and before anybody is granted it; so it takes every write of the version. It is no member: the record does
//! not name it, and the raise does not fail with it.
//!
//! # Invariants
//! 1. A replica is `Filling` in the table only if it was begun at the table's version, before that was recorded.
//! 2. It is fed only if it is `Filling` when the raise ends; from then on no chain of the version lacks it.

use super::{Joining, Phase};
use crate::fleet::{Fleet, Purpose};
use crate::table::{ReplicaSet, ReplicaState};
use crate::{Command, Order, OrderId};
use types::{ChunkSlot, Status, Version};

impl Fleet {
    /// Has another replica begun if the chunk is to get one. False: there is none to wait for.
    pub(super) fn begin_joining(&mut self, slot: ChunkSlot, now_ms: u64, out: &mut Vec<Command>) -> bool {
        let awaited = self.raises.running.get(&slot).is_some_and(|raise| !raise.waiters.is_empty());
        let Some(disk) = self.copy_to_join(slot, awaited) else { return false };
        let Some(raise) = self.raises.running.get(&slot) else { return false };
        if !self.hosts.is_up(disk) || raise.members.iter().any(|member| member.disk == disk) {
            return false;
        }
        let (id, chunk, version) = (self.hosts.disk(disk).id, raise.chunk, raise.target);
        let what = Order::Fill { disk: id, chunk, version };
        let order = self.order(disk, Purpose::Fill(slot), what, now_ms, out);
        if let Some(raise) = self.raises.running.get_mut(&slot) {
            raise.phase = Phase::Joining { deadline_ms: now_ms + self.options.join_timeout_ms };
            raise.joining = Some(Joining { disk, order });
        }
        true
    }

    /// The replica was begun, or could not be: then it goes without it.
    pub(crate) fn join_done(
        &mut self,
        slot: ChunkSlot,
        order: OrderId,
        result: Result<(), Status>,
        now_ms: u64,
        out: &mut Vec<Command>,
    ) {
        self.orders.remove(&order);
        let Some(raise) = self.raises.running.get_mut(&slot) else { return };
        let ours = raise.joining.is_some_and(|joining| joining.order == order);
        if !ours || !matches!(raise.phase, Phase::Joining { .. }) {
            return;
        }
        if result.is_err() {
            raise.joining = None;
            self.copy_refused(slot, now_ms);
        }
        self.all_ready(slot, out);
    }

    /// Goes on without replicas that were not begun in time.
    pub(super) fn join_deadlines(&mut self, now_ms: u64, out: &mut Vec<Command>) {
        let is_late = |phase: Phase| matches!(phase, Phase::Joining { deadline_ms } if deadline_ms <= now_ms);
        let running = self.raises.running.iter();
        let late: Vec<(ChunkSlot, OrderId)> = running
            .filter(|(_, raise)| is_late(raise.phase))
            .filter_map(|(slot, raise)| Some((*slot, raise.joining?.order)))
            .collect();
        for (slot, order) in late {
            self.join_done(slot, order, Err(Status::TimedOut), now_ms, out);
        }
    }

    /// Adds the replica that joined, behind the members of the raise that brings the chunk to this version.
    pub(super) fn add_joined(&self, slot: ChunkSlot, version: Version, set: &mut ReplicaSet) {
        let raise = self.raises.running.get(&slot).filter(|raise| raise.target == version);
        let joined = raise.and_then(|raise| raise.joining).map(|joining| joining.disk);
        if let Some(disk) = joined.filter(|disk| self.hosts.is_up(*disk) && set.state(*disk).is_none()) {
            set.set(disk, ReplicaState::Filling);
        }
    }
}
