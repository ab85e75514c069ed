//! How a raise ends: recorded, refused, overtaken by the chunk's removal, or out of time.

use super::{CUTS_MAX, EDITS_MAX, Member, Phase, Purposes, Raise, Remains};
use crate::fleet::{Fleet, Purpose};
use crate::table::{ReplicaSet, ReplicaState};
use crate::{Command, Cut, GrantParts, OrderId, RaiseTicket, Ticket};
use types::{BlockRange, CHUNK_BYTES, ChunkId, ChunkSlot, Status, Unsettled, Version};

impl Fleet {
    /// `meta` gave the chunk a version. Of a raise under way: its members are the current replicas now,
    /// those that went away meanwhile as soon as they are heard again, unless their disk is back without them. All others
    /// are stale.
    pub(crate) fn version_applied(&mut self, slot: ChunkSlot, chunk: ChunkId, version: Version) {
        if self.table.chunk(slot) != Some(chunk) || self.table.version(slot) == Some(version) {
            return;
        }
        let old = self.table.replicas(slot);
        let mut set = ReplicaSet::default();
        if let Some(raise) = self.raises.running.get(&slot).filter(|raise| raise.target == version) {
            for member in &raise.members {
                let here = !member.away && self.hosts.is_up(member.disk);
                let damaged = member.damaged || old.state(member.disk) == Some(ReplicaState::Damaged);
                let state = match here {
                    true if damaged => ReplicaState::Damaged,
                    true => ReplicaState::Current,
                    false => ReplicaState::Absent,
                };
                set.set(member.disk, state);
            }
        }
        self.add_joined(slot, version, &mut set);
        for replica in old.iter() {
            if set.state(replica.disk).is_some() {
                continue;
            }
            let state = match replica.state {
                ReplicaState::Damaged | ReplicaState::Kept => ReplicaState::Kept,
                ReplicaState::Current
                | ReplicaState::Doubtful
                | ReplicaState::Stale
                | ReplicaState::Filling => ReplicaState::Stale,
                ReplicaState::Absent | ReplicaState::StaleAbsent => ReplicaState::StaleAbsent,
            };
            set.set(replica.disk, state);
        }
        self.table.set_version(slot, version);
        self.table.set_open(slot, false);
        self.table.set_quiet(slot, false);
        self.put_replicas(slot, &set);
    }

    /// Our record is stable, or `meta` refused it.
    pub(crate) fn raise_logged(
        &mut self,
        ticket: RaiseTicket,
        result: Result<(), Status>,
        now_ms: u64,
        out: &mut Vec<Command>,
    ) {
        let Some(slot) = self.raises.tickets.remove(&ticket) else { return };
        let awaited = |raise: &Raise| raise.phase == Phase::Logging(ticket);
        if !self.raises.running.get(&slot).is_some_and(awaited) {
            return;
        }
        match result {
            Ok(()) => self.finish_raise(slot, now_ms, out),
            Err(status) => self.fail_raise(slot, status, now_ms, out),
        }
    }

    /// Step 4: the record is stable, the chain is open.
    fn finish_raise(&mut self, slot: ChunkSlot, now_ms: u64, out: &mut Vec<Command>) {
        let Some(raise) = self.raises.running.get(&slot) else { return };
        let (chunk, target) = (raise.chunk, raise.target);
        self.version_applied(slot, chunk, target);
        let Some(mut raise) = self.raises.running.remove(&slot) else { return };
        if self.raises.remains.get(&slot).is_some_and(|remains| remains.minted <= target) {
            self.raises.remains.remove(&slot);
            self.healing.set_unfinished(slot, false, now_ms);
        }
        let set = self.table.replicas(slot);
        let whole = set.current().count() == raise.members.len()
            && raise.members.iter().all(|member| set.current().any(|disk| disk == member.disk));
        self.table.set_open(slot, whole);
        self.table.set_quiet(slot, true);
        self.set_unsettled(slot, false);
        for (disk, seen) in std::mem::take(&mut raise.later) {
            if !self.raises.keep_for_later(slot, disk, seen) {
                self.judge(slot, disk, &seen, now_ms, out);
            }
        }
        if self.is_below_min_write(slot, now_ms) {
            let edit = raise.edits.pop_front();
            let (waiters, edits) = (std::mem::take(&mut raise.waiters), std::mem::take(&mut raise.edits));
            self.hold_back(Purposes { waiters, edit, edits, accused: None }, out);
        }
        let once_more = self.copy_joined(slot, !raise.waiters.is_empty(), now_ms, out);
        if !raise.waiters.is_empty()
            && !once_more
            && let Some(grant) = self.hand_out(slot, now_ms)
        {
            for ticket in raise.waiters.drain(..) {
                out.push(Command::Granted { ticket, grant: Ok(grant.clone()) });
            }
        }
        let edit = raise.edits.pop_front();
        let purposes = Purposes { waiters: raise.waiters, edit, edits: raise.edits, accused: None };
        if purposes.waiters.is_empty() && purposes.edit.is_none() {
            return self.copy_after_raise(slot, now_ms, out);
        }
        self.raise_current(slot, purposes, now_ms, out);
    }

    /// The chain, if it may be handed out as it is. From now on somebody may write under this version.
    pub(crate) fn hand_out(&mut self, slot: ChunkSlot, now_ms: u64) -> Option<GrantParts> {
        if !self.table.is_open(slot) || self.raises.is_running(slot) || self.is_below_min_write(slot, now_ms)
        {
            return None;
        }
        self.table.set_quiet(slot, false);
        self.healing.granted(slot, now_ms, self.options.quiet_ms);
        let chain = self.table.replicas(slot).chain().map(|disk| self.hosts.address(disk)).collect();
        Some(GrantParts {
            chunk: self.table.chunk(slot)?,
            version: self.table.version(slot)?,
            chain,
            fresh: false,
        })
    }

    /// Starts a raise with all current replicas, or hands its purposes to the one that runs already.
    pub(crate) fn raise_current(
        &mut self,
        slot: ChunkSlot,
        purposes: Purposes,
        now_ms: u64,
        out: &mut Vec<Command>,
    ) {
        if let Some(raise) = self.raises.running.get_mut(&slot) {
            raise.phase.hurry(now_ms + self.options.raise_timeout_ms);
            raise.waiters.extend(purposes.waiters);
            raise.edits.extend(purposes.edit);
            raise.edits.extend(purposes.edits);
            return;
        }
        let disks: Vec<u16> = self.table.replicas(slot).members().collect();
        if disks.is_empty() {
            return self.refuse(purposes, self.why_none(slot, now_ms), out);
        }
        self.start_raise(slot, &disks, purposes, now_ms, out);
    }

    /// What to say of a chunk without a current replica: wait if one may come back. If all known disks have told what they hold, it is lost.
    pub(crate) fn why_none(&self, slot: ChunkSlot, now_ms: u64) -> Status {
        let may_return = self.is_settling(now_ms)
            || self.hosts.disks.iter().any(|disk| !disk.reported)
            || !self.table.replicas(slot).is_empty();
        if may_return { Status::TryAgain } else { Status::LostTail }
    }

    /// Answers everybody with a refusal.
    pub(crate) fn refuse(&mut self, purposes: Purposes, status: Status, out: &mut Vec<Command>) {
        for ticket in purposes.waiters {
            out.push(Command::Granted { ticket, grant: Err(status) });
        }
        for (ticket, _) in purposes.edit.into_iter().chain(purposes.edits) {
            self.raises.edits.remove(&ticket);
            out.push(Command::EditReady { ticket, version: Err(status) });
        }
    }

    /// The raise cannot be completed. The metadata stays as it is; what may have happened on disks is
    /// remembered until the next raise of the chunk.
    pub(super) fn fail_raise(
        &mut self,
        slot: ChunkSlot,
        status: Status,
        now_ms: u64,
        out: &mut Vec<Command>,
    ) {
        let Some(raise) = self.raises.running.get(&slot) else { return };
        let minted = raise.target;
        let base = self.table.version(slot).unwrap_or_default();
        let all_refuse = self.refusal_of_all(slot, now_ms);
        let Some(mut raise) = self.raises.running.remove(&slot) else { return };
        self.forget_orders(&raise);
        self.copy_given_up(slot, now_ms);
        let fresh = || Remains { since_ms: now_ms, ..Remains::default() };
        let remains = self.raises.remains.entry(slot).or_insert_with(fresh);
        remains.minted = remains.minted.max(minted);
        if remains.base != base {
            remains.base = base;
            remains.first = raise.first.unwrap_or(minted);
        }
        let members = raise.members.iter().map(|member| (member.disk, member.from));
        for (disk, version) in std::mem::take(&mut raise.taken).into_iter().chain(members) {
            let taken = remains.taken.entry(disk).or_default();
            *taken = version.max(*taken);
        }
        remains.compared = std::mem::take(&mut raise.compared);
        let cutting = raise.members.iter().filter(|member| raise.may_be_cutting(member));
        remains.cut = raise.cut.iter().copied().chain(cutting.map(|member| member.disk)).collect();
        remains.cuts = std::mem::take(&mut raise.cuts);
        remains.refused_ms = all_refuse.map(|_| remains.refused_ms.unwrap_or(now_ms));
        let lasts = remains.refused_ms.is_some_and(|since_ms| now_ms >= since_ms + self.options.heal_ms);
        let refusal = all_refuse.filter(|_| lasts);
        if refusal.is_some() {
            // Whoever cut all the same is made equal to the others; they to him only if none of them is there.
            (remains.cuts, remains.compared) = (Vec::new(), vec![BlockRange::ALL]);
        }
        self.healing.set_unfinished(slot, true, now_ms);
        let later = std::mem::take(&mut raise.later);
        let mut purposes = unanswered(raise);
        if let Some(refusal) = refusal {
            if self.is_short(slot) {
                self.healing.edit_refused(slot, refusal, now_ms, self.options.heal_ms);
            }
            let edit = purposes.edit.take();
            self.refuse(Purposes { edit, ..Purposes::default() }, refusal, out);
        }
        // Of what the edit cut already nothing is said by that: it may be asked for again.
        let (edit, edits) = (purposes.edit.take(), std::mem::take(&mut purposes.edits));
        self.refuse(Purposes { edit, edits, ..Purposes::default() }, Status::TryAgain, out);
        self.refuse(purposes, status, out);
        for (disk, seen) in later {
            if !self.raises.keep_for_later(slot, disk, seen) {
                self.judge(slot, disk, &seen, now_ms, out);
            }
        }
    }

    fn forget_orders(&mut self, raise: &Raise) {
        for member in &raise.members {
            self.outlast(raise, member);
        }
        if let Some(joining) = raise.joining {
            self.orders.remove(&joining.order);
        }
    }

    /// The chunk has left the metadata: its raise is moot. Gives back disks that were heard meanwhile and
    /// the highest version a replica may have.
    pub(crate) fn abandon_raise(
        &mut self,
        slot: ChunkSlot,
        recorded: Version,
        out: &mut Vec<Command>,
    ) -> (Vec<u16>, Version) {
        let highest = self.raises.highest(slot, recorded);
        self.raises.remains.remove(&slot);
        self.healing.set_unfinished(slot, false, 0);
        let Some(raise) = self.raises.running.remove(&slot) else { return (Vec::new(), highest) };
        self.forget_orders(&raise);
        if let Phase::Logging(ticket) = raise.phase {
            self.raises.tickets.remove(&ticket);
        }
        if let Some(ticket) = raise.edit {
            self.raises.edits.remove(&ticket);
        }
        let later = raise.later.iter().map(|(disk, _)| *disk).collect();
        self.refuse(unanswered(raise), Status::TryAgain, out);
        (later, highest)
    }

    /// An edit wants ranges of a chunk cut: a raise with cuts, now or after the one under way.
    pub(crate) fn edit_wanted(
        &mut self,
        ticket: Ticket,
        slot: ChunkSlot,
        chunk: ChunkId,
        cuts: Vec<Cut>,
        now_ms: u64,
        out: &mut Vec<Command>,
    ) {
        let full = self.raises.running.get(&slot).is_some_and(|raise| raise.edits.len() >= EDITS_MAX);
        if cuts.len() > CUTS_MAX {
            return out.push(Command::EditReady { ticket, version: Err(Status::Invalid) });
        }
        let crowded = self.raises.remains.get(&slot).is_some_and(|remains| remains.cuts.len() >= CUTS_MAX);
        let purposes = if crowded {
            Purposes { edits: [(ticket, cuts)].into(), ..Purposes::default() }
        } else {
            Purposes { edit: Some((ticket, cuts)), ..Purposes::default() }
        };
        if self.table.chunk(slot) != Some(chunk) || full || self.waits_for_more(slot, now_ms) {
            return self.refuse(purposes, Status::TryAgain, out);
        }
        if self.is_out_of_reach(slot, now_ms) {
            return self.hold_back(purposes, out);
        }
        // What an edit since then may have cut already is no reason to refuse it: it may be the one that asks again.
        let has_begun = self.raises.remains.get(&slot).is_some_and(|remains| !remains.cuts.is_empty())
            || self.raises.running.get(&slot).is_some_and(|raise| !raise.cuts.is_empty());
        let is_refused = self.is_short(slot) && !has_begun;
        if let Some(refusal) = self.healing.refusal(slot, now_ms).filter(|_| is_refused) {
            return self.refuse(purposes, refusal, out);
        }
        self.raise_current(slot, purposes, now_ms, out);
    }

    /// The edit's record is stable.
    pub(crate) fn edit_logged(&mut self, ticket: Ticket, now_ms: u64, out: &mut Vec<Command>) {
        let Some(slot) = self.raises.edits.remove(&ticket) else { return };
        let held = |raise: &Raise| raise.phase == Phase::Held && raise.edit == Some(ticket);
        if self.raises.running.get(&slot).is_some_and(held) {
            self.finish_raise(slot, now_ms, out);
        }
    }

    /// The edit's record was not made: replicas have the new version, so it is recorded as a plain raise.
    pub(crate) fn edit_dropped(&mut self, ticket: Ticket, out: &mut Vec<Command>) {
        let Some(slot) = self.raises.edits.remove(&ticket) else { return };
        let Some(raise) = self.raises.running.get_mut(&slot) else { return };
        if raise.phase == Phase::Held && raise.edit == Some(ticket) {
            raise.edit = None;
            // It may be asked for again: who wants to write comes back behind it, so that it does not cut what was written since.
            let waiters = std::mem::take(&mut raise.waiters);
            self.refuse(Purposes { waiters, ..Purposes::default() }, Status::TryAgain, out);
            self.log_raise(slot, out);
        }
    }

    /// An order was answered.
    pub(crate) fn order_done(
        &mut self,
        order: OrderId,
        status: Result<(), Status>,
        unsettled: Unsettled,
        now_ms: u64,
        out: &mut Vec<Command>,
    ) {
        let Some(open) = self.orders.get(&order).copied() else { return };
        match open.purpose {
            Purpose::Raise(slot) => {
                self.orders.remove(&order);
                match status {
                    Ok(()) => self.member_done(slot, order, unsettled, now_ms, out),
                    // The donor could not be read. Any other failure is the member's own.
                    Err(Status::ChainBroken)
                        if self.member_spared(slot, order) || self.shun_donor(slot, order) =>
                    {
                        self.check_members(slot, now_ms, out);
                    }
                    Err(status) => {
                        self.member_failed(slot, order, status, now_ms, out);
                    }
                }
            }
            Purpose::Outlasted { slot, chunk, version } => {
                self.orders.remove(&order);
                if status.is_ok() && self.table.chunk(slot) == Some(chunk) {
                    self.raises.took(slot, open.disk, version);
                }
            }
            Purpose::Delete(..) => self.delete_done(order, status, now_ms, out),
            Purpose::Fill(slot) => self.join_done(slot, order, status, now_ms, out),
            Purpose::Copy { .. } => self.copy_done(order, status, now_ms, out),
            Purpose::Mend(slot) => self.mend_done(slot, order, status, now_ms, out),
            Purpose::Verify(slot) => self.verify_done(slot, order, status, now_ms, out),
            Purpose::Remove(slot) => self.remove_done(slot, order, status, now_ms, out),
            Purpose::Close => self.close_done(order, status, now_ms, out),
        }
    }

    /// Leaves behind members that have not answered in time.
    pub(crate) fn raise_deadlines(&mut self, now_ms: u64, out: &mut Vec<Command>) {
        let late: Vec<ChunkSlot> = self
            .raises
            .running
            .iter()
            .filter(|(_, raise)| raise.phase.deadline_ms().is_some_and(|deadline_ms| deadline_ms <= now_ms))
            .map(|(slot, _)| *slot)
            .collect();
        for slot in late {
            let Some(raise) = self.raises.running.remove(&slot) else { continue };
            let missing: Vec<&Member> = raise.members.iter().filter(|member| !member.done).collect();
            missing.iter().for_each(|member| self.outlast(&raise, member));
            let orders: Vec<OrderId> = missing.iter().map(|member| member.order).collect();
            self.raises.running.insert(slot, raise);
            for order in orders {
                self.member_failed(slot, order, Status::TimedOut, now_ms, out);
            }
        }
        self.join_deadlines(now_ms, out);
    }
}

/// Everybody who has not been answered yet.
fn unanswered(raise: Raise) -> Purposes {
    let answered = matches!(raise.phase, Phase::Held | Phase::Logging(_));
    let edit = raise.edit.filter(|_| !answered).map(|ticket| (ticket, Vec::new()));
    Purposes { waiters: raise.waiters, edit, edits: raise.edits, accused: None }
}

/// The union of both lists of cuts.
pub(super) fn join_cuts(first: &[Cut], second: &[Cut]) -> Vec<Cut> {
    let mut cuts: Vec<Cut> = first.iter().chain(second).copied().collect();
    cuts.sort_unstable();
    let mut joined: Vec<Cut> = Vec::new();
    for cut in cuts.into_iter().filter(|cut| cut.from < cut.to && cut.from < CHUNK_BYTES) {
        match joined.last_mut() {
            Some(last) if cut.from <= last.to => last.to = last.to.max(cut.to),
            _ => joined.push(cut),
        }
    }
    joined
}
