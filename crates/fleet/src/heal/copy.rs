//! Copies: chosen, ordered, ended. Of a chunk that is quiet, or, when somebody comes to write it, as a member of its chain that
//! is filled (`raise::join`).
//!
//! # Invariants
//! 1. Whether a finished copy is current is decided by its version alone, as with a replica that a disk reports:
//!    a raise since it began has left it below.
//! 2. A replica is `Filling` in the table only while its copy is in the stage `Feeding`, or between its joining and that.
//! 3. `load` and the disks' write counts cover exactly the copies in `copies`.

use super::{Healing, Load, RETRY_MS};
use crate::fleet::{Fleet, Purpose};
use crate::raise::Purposes;
use crate::table::{Health, Replica, ReplicaState};
use crate::{Command, CopyStage, CopyView, Order, OrderId, ReportedReplica};
use placement::{Held, Use};
use types::{ChunkSlot, DiskId, ReplicaAddress, Status};

/// A replica on its way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Copy {
    from: u16,
    to: u16,
    /// The servers of both, whose load is counted.
    servers: (u16, u16),
    stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// The version is being raised, so that nobody may write under it.
    Raising,
    /// Nobody writes: it is being made.
    Copying(OrderId),
    /// Somebody is about to write: it joins the chain with the raise that is under way.
    Joining,
    /// It takes all writes: what it lacks is being brought.
    Feeding(OrderId),
}

impl Copy {
    fn order(&self) -> Option<OrderId> {
        match self.stage {
            Stage::Copying(order) | Stage::Feeding(order) => Some(order),
            Stage::Raising | Stage::Joining => None,
        }
    }
}

impl Healing {
    pub(super) fn load(&self, server: u16) -> Load {
        self.load.get(&server).copied().unwrap_or_default()
    }

    fn count(&mut self, (from, to): (u16, u16), more: bool) {
        let change = |count: &mut usize| *count = if more { *count + 1 } else { count.saturating_sub(1) };
        change(&mut self.load.entry(from).or_default().reading);
        change(&mut self.load.entry(to).or_default().writing);
    }

    /// A copy to this disk was not made: if there is another one for the chunk, the next goes there.
    fn copy_failed(&mut self, slot: ChunkSlot, to: u16, now_ms: u64) {
        self.put_off(slot, now_ms, RETRY_MS);
        if let Some(later) = self.later.get_mut(&slot) {
            later.failed_to = Some(to);
        }
    }
}

impl Fleet {
    /// Every server that could take a copy has as many as it may have.
    pub(super) fn no_copy_has_room(&mut self, now_ms: u64) -> bool {
        let servers = self.hosts.servers.iter().zip(0u16..).filter(|(server, _)| server.up);
        let none = servers.map(|(_, number)| number).all(|number| self.writes_enough(number));
        if none {
            self.all_kept_back(now_ms);
        }
        none
    }

    /// Whether a server reads as many copies as it may.
    fn reads_enough(&self, server: u16) -> bool {
        self.healing.load(server).reading >= self.copies_of(server)
    }

    /// The same of those that it writes.
    fn writes_enough(&self, server: u16) -> bool {
        self.healing.load(server).writing >= self.copies_of(server)
    }

    /// Copies the chunk if a source and a destination have time for it; after a raise if somebody may write under
    /// its version. False: not now.
    pub(super) fn begin_copy(
        &mut self,
        slot: ChunkSlot,
        mut to: impl FnMut(&mut Self, ChunkSlot, Option<u16>) -> Option<u16>,
        now_ms: u64,
        out: &mut Vec<Command>,
    ) -> bool {
        let set = self.table.replicas(slot);
        let members: Vec<u16> = set.members().collect();
        let mut readable: Vec<u16> = set.readable().collect();
        readable.sort_by_key(|disk| self.healing.load(self.hosts.disk(*disk).server).reading);
        let mut chosen = None;
        for from in readable.iter().copied() {
            let has_time = !self.reads_enough(self.hosts.disk(from).server);
            if has_time && let Some(to) = to(self, slot, Some(from)) {
                chosen = Some((from, to));
                break;
            }
            self.kept_back(from, now_ms);
            // From elsewhere it could go nowhere else, unless limits between labels are in the way.
            if has_time && self.closed_to(from).is_empty() {
                return false;
            }
        }
        let Some((from, to)) = chosen else { return false };
        // From the disk whose place it takes: that is usually on the same server.
        let replaced = self.replaced_by(&set, to).filter(|old| readable.contains(old));
        let has_time = |old: &u16| {
            !self.reads_enough(self.hosts.disk(*old).server) && !self.limits_are_full(&[*old], &[to])
        };
        let from = replaced.filter(has_time).unwrap_or(from);
        // After a failure a page may have to come from another source.
        let has_failed = self.healing.later.get(&slot).is_some_and(|later| later.failures > 0);
        let sources = if has_failed { readable } else { vec![from] };
        if !self.limits_allow(&sources, to, now_ms) {
            return false;
        }
        self.limit_begins(slot, sources, to);
        let servers = (self.hosts.disk(from).server, self.hosts.disk(to).server);
        self.healing.copies.insert(slot, Copy { from, to, servers, stage: Stage::Raising });
        self.healing.count(servers, true);
        self.hosts.count_write(to, true);
        if self.table.is_quiet(slot) {
            self.order_copy(slot, now_ms, out);
        } else {
            self.start_raise(slot, &members, Purposes::default(), now_ms, out);
        }
        true
    }

    /// Where the class wants a replica that does not exist, beside those that count; never on a server with a damaged one, which is
    /// mended. At the first and every other try one with a stale replica, of which only what differs is written; else rather
    /// one of a server without any replica of the chunk.
    /// `from`: where the copy would be read, if the limits of that count.
    pub(crate) fn destination(&mut self, slot: ChunkSlot, from: Option<u16>) -> Option<u16> {
        let held = self.held(self.table.replicas(slot).sound());
        self.destination_beside(slot, &held, from)
    }

    /// The same for a chunk some of whose disks are full: their replicas fill nothing.
    pub(super) fn way_out(&mut self, slot: ChunkSlot, from: Option<u16>) -> Option<u16> {
        let mut held = self.held(self.table.replicas(slot).sound());
        for one in &mut held {
            one.leaving |= self.hosts.is_full(one.disk);
        }
        self.destination_beside(slot, &held, from)
    }

    fn destination_beside(&mut self, slot: ChunkSlot, held: &[Held], from: Option<u16>) -> Option<u16> {
        self.tie += 1;
        let set = self.table.replicas(slot);
        let damaged: Vec<u16> = set.damaged().map(|disk| self.hosts.disk(disk).server).collect();
        // Rot is met when a copy begins, or later: what was left behind may be the last that has those pages.
        let is_last = |disk| set.sound().next().is_none() && set.state(disk) == Some(ReplicaState::Stale);
        let stays = |replica: &&Replica| !self.table.is_leaving(replica.disk);
        let others: Vec<u16> =
            set.iter().filter(stays).map(|replica| self.hosts.disk(replica.disk).server).collect();
        let closed = from.map(|from| self.closed_to(from)).unwrap_or_default();
        let is_closed = |disk| closed.iter().any(|to| self.hosts.pool.meets(disk, to));
        let may_begin = |disk| !self.writes_enough(self.hosts.disk(disk).server) && !is_closed(disk);
        let choose_at = |full: Use, suits: &dyn Fn(u16, u16) -> bool| {
            let may = |disk| {
                let server = self.hosts.disk(disk).server;
                let is_kept = set.state(disk) == Some(ReplicaState::Kept);
                if is_kept || is_last(disk) || damaged.contains(&server) || !suits(disk, server) {
                    Use::No
                } else if may_begin(disk) {
                    Use::Yes
                } else {
                    full
                }
            };
            self.hosts.pool.assign(self.rule(slot), held, self.tie, may).new_disks().next()
        };
        let later = self.healing.later.get(&slot).copied().unwrap_or_default();
        // Where a copy failed the next one does not go, if there is another disk.
        let failed =
            later.failed_to.filter(|failed| choose_at(Use::Yes, &|disk, _| disk != *failed).is_some());
        let choose_at = |full, suits: &dyn Fn(u16, u16) -> bool| {
            choose_at(full, &|disk, server| failed != Some(disk) && suits(disk, server))
        };
        let choose = |suits: &dyn Fn(u16, u16) -> bool| choose_at(Use::Busy, suits);
        // What takes the place of a disk that goes is waited for, but not by a chunk that is endangered.
        if let Some(new) = choose_at(Use::Yes, &|disk, _| self.replaced_by(&set, disk).is_some()) {
            if may_begin(new) {
                return Some(new);
            } else if self.table.health(slot) != Some(Health::Endangered) {
                return None;
            }
        }
        let any = choose(&|_, _| true)?;
        let tried = later.failures % 2 == 1;
        let is_stale = |disk, _| !tried && set.state(disk) == Some(ReplicaState::Stale);
        match choose_at(Use::Yes, &is_stale) {
            // Of a server that returns many wait for their turn: to copy all of a chunk elsewhere meanwhile would take longer.
            Some(stale) => may_begin(stale).then_some(stale),
            None => choose(&|_, server| !others.contains(&server)).or(Some(any)),
        }
    }

    /// The copy of a chunk that is under way.
    pub(crate) fn copy_of(&self, slot: ChunkSlot) -> Option<CopyView> {
        let copy = self.healing.copies.get(&slot)?;
        let sent_ms = copy.order().and_then(|order| self.orders.get(&order)).map(|open| open.sent_ms);
        let stage = match copy.stage {
            Stage::Raising => CopyStage::Raising,
            Stage::Joining => CopyStage::Joining,
            Stage::Copying(_) => CopyStage::Copying,
            Stage::Feeding(_) => CopyStage::Feeding,
        };
        let (from, to) = (self.hosts.disk(copy.from).id, self.hosts.disk(copy.to).id);
        Some(CopyView { from, to, stage, sent_ms })
    }

    fn order_copy(&mut self, slot: ChunkSlot, now_ms: u64, out: &mut Vec<Command>) {
        let (Some(chunk), Some(version)) = (self.table.chunk(slot), self.table.version(slot)) else { return };
        let Some(copy) = self.healing.copies.get(&slot).copied() else { return };
        // Whoever asks for a grant from now on gets it after a raise, which leaves the copy below.
        self.table.set_open(slot, false);
        let sources = self.sources(slot, copy);
        let what = Order::Copy { disk: self.hosts.disk(copy.to).id, chunk, version, sources };
        let order = self.order(copy.to, Purpose::Copy { slot, chunk, version }, what, now_ms, out);
        self.set_stage(slot, Stage::Copying(order));
        self.pace_copy(slot, out);
    }

    fn sources(&self, slot: ChunkSlot, copy: Copy) -> Vec<ReplicaAddress> {
        let set = self.table.replicas(slot);
        let may = |disk: &u16| *disk == copy.from || self.is_counted(slot, *disk);
        let mut sources: Vec<u16> = set.readable().filter(may).collect();
        sources.sort_by_key(|disk| (set.state(*disk), *disk != copy.from));
        sources.into_iter().map(|disk| self.hosts.address(disk)).collect()
    }

    /// Whether a server was told to make the copy.
    pub(crate) fn is_ordered(&self, slot: ChunkSlot) -> bool {
        self.healing.copies.get(&slot).is_some_and(|copy| copy.order().is_some())
    }

    fn set_stage(&mut self, slot: ChunkSlot, stage: Stage) {
        if let Some(copy) = self.healing.copies.get_mut(&slot) {
            copy.stage = stage;
        }
    }

    /// The disk whose replica is to join the chain that the present raise ends with. `awaited`: somebody waits to write.
    pub(crate) fn copy_to_join(&mut self, slot: ChunkSlot, awaited: bool) -> Option<u16> {
        let copy = self.healing.copies.get(&slot).copied()?;
        if copy.stage == Stage::Raising && awaited {
            self.set_stage(slot, Stage::Joining);
        } else if copy.stage != Stage::Joining {
            return None;
        }
        Some(copy.to)
    }

    /// A raise is over. A replica that joined is fed. True: somebody came to write too late for one to join, and the
    /// chunk is raised once more with it rather than granted without.
    pub(crate) fn copy_joined(
        &mut self,
        slot: ChunkSlot,
        awaited: bool,
        now_ms: u64,
        out: &mut Vec<Command>,
    ) -> bool {
        let Some(copy) = self.healing.copies.get(&slot).copied() else { return false };
        match copy.stage {
            Stage::Raising if awaited => {
                self.set_stage(slot, Stage::Joining);
                return true;
            }
            Stage::Raising | Stage::Copying(_) | Stage::Feeding(_) => return false,
            Stage::Joining => {}
        }
        let sources = self.sources(slot, copy);
        // The members may have gone away since they took the version.
        let joined = self.table.replicas(slot).state(copy.to) == Some(ReplicaState::Filling);
        let possible = joined && !sources.is_empty();
        let (Some(chunk), Some(version), true) = (self.table.chunk(slot), self.table.version(slot), possible)
        else {
            self.copy_given_up(slot, now_ms);
            return false;
        };
        let disk = self.hosts.disk(copy.to).id;
        let what = Order::Feed { disk, chunk, version, sources };
        let order = self.order(copy.to, Purpose::Copy { slot, chunk, version }, what, now_ms, out);
        self.set_stage(slot, Stage::Feeding(order));
        self.pace_copy(slot, out);
        false
    }

    /// A writer could not reach the replica that is being filled: the next chain goes without it.
    pub(crate) fn leave_out_filling(&mut self, slot: ChunkSlot, disk: DiskId, now_ms: u64) {
        let disk = self.hosts.disk_number(disk);
        if disk.and_then(|disk| self.table.replicas(slot).state(disk)) == Some(ReplicaState::Filling) {
            self.copy_refused(slot, now_ms);
        }
    }

    /// The raise for a copy is over and nobody else wanted it.
    pub(crate) fn copy_after_raise(&mut self, slot: ChunkSlot, now_ms: u64, out: &mut Vec<Command>) {
        let raised = |copy: &&Copy| copy.stage == Stage::Raising;
        let Some(copy) = self.healing.copies.get(&slot).filter(raised).copied() else { return };
        let wanted = self.is_short(slot)
            || self.is_misplaced(slot, &self.table.replicas(slot))
            || self.healing.giver(slot).is_some();
        let possible = !self.raises.is_running(slot) && self.hosts.is_up(copy.to);
        if wanted && possible && self.table.is_quiet(slot) {
            self.order_copy(slot, now_ms, out);
        } else {
            self.end_copy(slot);
        }
    }

    /// Takes a copy out of the books; its order may still be under way. A replica that is not full by now is stale, and the
    /// chain that it takes part in is not given to anybody else.
    fn end_copy(&mut self, slot: ChunkSlot) -> Option<Copy> {
        let copy = self.healing.copies.remove(&slot)?;
        self.healing.count(copy.servers, false);
        self.limit_ends(slot);
        self.hosts.count_write(copy.to, false);
        self.healing.wake();
        let mut set = self.table.replicas(slot);
        if set.state(copy.to) == Some(ReplicaState::Filling) {
            set.set(copy.to, ReplicaState::Stale);
            self.table.set_open(slot, false);
            self.put_replicas(slot, &set);
        }
        Some(copy)
    }

    /// What these chunks want is another thing now: a copy that waits for its raise was chosen for the old one.
    pub(crate) fn choose_again(&mut self, concerned: impl Fn(ChunkSlot) -> bool) {
        let waits = |(slot, copy): &(&ChunkSlot, &Copy)| copy.stage == Stage::Raising && concerned(**slot);
        let slots: Vec<ChunkSlot> = self.healing.copies.iter().filter(waits).map(|(slot, _)| *slot).collect();
        for slot in slots {
            self.end_copy(slot);
        }
    }

    /// The chunk is raised for another reason: what is made will be of a version that is not current. The replica joins the
    /// next chain, unless it has become a member like any other.
    pub(crate) fn copy_overtaken(&mut self, slot: ChunkSlot) {
        let Some(copy) = self.healing.copies.get(&slot).copied() else { return };
        let Some(order) = copy.order() else { return };
        self.orders.remove(&order);
        if self.table.replicas(slot).state(copy.to) == Some(ReplicaState::Current) {
            self.end_copy(slot);
        } else {
            self.set_stage(slot, Stage::Joining);
        }
    }

    /// The disk did not begin the replica, or a writer does not reach it.
    pub(crate) fn copy_refused(&mut self, slot: ChunkSlot, now_ms: u64) {
        if let Some(copy) = self.end_copy(slot) {
            self.healing.copy_failed(slot, copy.to, now_ms);
        }
    }

    /// A raise of the chunk failed, perhaps the one for its copy.
    pub(crate) fn copy_given_up(&mut self, slot: ChunkSlot, now_ms: u64) {
        if self.end_copy(slot).is_some() {
            self.healing.put_off(slot, now_ms, RETRY_MS);
        }
    }

    /// The chunk left the metadata. Gives back the disk on which a copy of it may come to be.
    pub(crate) fn copy_abandoned(&mut self, slot: ChunkSlot) -> Option<u16> {
        self.healing.removals.remove(&slot);
        self.mending_lost(slot);
        self.end_copy(slot).filter(|copy| copy.stage != Stage::Raising).map(|copy| copy.to)
    }

    /// The server that was to make the copy is gone.
    pub(crate) fn copy_lost(&mut self, slot: ChunkSlot, order: OrderId) {
        if self.healing.copies.get(&slot).is_some_and(|copy| copy.order() == Some(order)) {
            self.end_copy(slot);
        }
    }

    /// A copy was made or could not be.
    pub(crate) fn copy_done(
        &mut self,
        order: OrderId,
        status: Result<(), Status>,
        now_ms: u64,
        out: &mut Vec<Command>,
    ) {
        let Some(open) = self.orders.remove(&order) else { return };
        let Purpose::Copy { slot, chunk, version } = open.purpose else { return };
        let same = self.table.chunk(slot) == Some(chunk);
        match status {
            Ok(()) => {
                self.healing.copied += 1;
                self.measure_copy(open.sent_ms, now_ms);
                let slot = same.then_some(slot);
                let seen = ReportedReplica::sound(slot, chunk, version);
                self.replica_seen(open.disk, &seen, now_ms, out);
            }
            Err(_) if same => self.healing.copy_failed(slot, open.disk, now_ms),
            Err(_) => {}
        }
        self.copy_lost(slot, order);
        self.heal(now_ms, out);
    }

    /// Gives up copies that are not answered, and those whose raise came to nothing.
    pub(crate) fn copy_deadlines(&mut self, now_ms: u64) {
        let timeout_ms = |slot| self.options.copy_timeout_ms + self.paced_ms(slot);
        let is_late = |slot: &ChunkSlot, copy: &Copy| match copy.order() {
            Some(order) => {
                let open = self.orders.get(&order);
                open.is_none_or(|open| now_ms >= open.sent_ms + timeout_ms(*slot))
            }
            None => !self.raises.is_running(*slot),
        };
        let copies = self.healing.copies.iter();
        let late: Vec<ChunkSlot> =
            copies.filter(|(slot, copy)| is_late(slot, copy)).map(|(slot, _)| *slot).collect();
        for slot in late {
            let Some(copy) = self.end_copy(slot) else { continue };
            match copy.order() {
                Some(order) => {
                    self.orders.remove(&order);
                    self.healing.copy_failed(slot, copy.to, now_ms);
                }
                None => self.healing.put_off(slot, now_ms, RETRY_MS),
            }
        }
    }
}
