//! The raise: how a chunk gets a new version, and with it a new set of replicas that may be written.
//!
//! The order of steps (`docs/protocol/grants.md`): mint a version never used; order every member to take
//! it; when all have answered, make them equal (`settle`); log it; when the record is stable, hand out the chain. A cut (truncate,
//! punch) is a raise whose orders also cut, and whose record is the edit's own.
//!
//! # Invariants
//! 1. A version is minted once per chunk: above the metadata's and above all minted before for it.
//! 2. A raise is logged only if every member has answered `Ok` for exactly its version.
//! 3. A member that failed is left behind at a lower version than the one logged: the others are raised
//!    once more after any failure.
//! 4. A raise ends with at least one member, or changes nothing in the metadata.
//! 5. Cuts that may have reached some replica but no record are repeated by the next raise of the chunk
//!    (before any grant), or, if every replica refuses them for good, all of the chunk is compared, so that members never differ by them.
//! 6. One raise per chunk at a time; what is asked meanwhile joins or waits.
//! 7. A raise with several members is logged only when all of them hold the same bytes.
//! 8. A raise that somebody waits for to write is logged only with as many members as may acknowledge a write. One that nobody
//!    waits for leaves nobody behind below that number before he is taken for lost (`min_write`), and nobody at all whose server
//!    answers before that has lasted for `heal_ms`, except one whose own disk failed.
//! 9. A replica that may have made a cut which was refused is the donor only if there is no other one to follow.
//! 10. No raise is logged with damaged members alone while a sound replica of the version before is there, or may come back.

use crate::fleet::{Fleet, Purpose};
use crate::hops::Accusation;
use crate::table::{ReplicaSet, ReplicaState};
use crate::{Command, Cut, Order, OrderId, RaiseTicket, ReportedReplica, Ticket};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use types::{BlockRange, ChunkId, ChunkSlot, Status, Unsettled, Version};

mod accused;
mod ahead;
mod end;
mod join;
mod readers;
mod refusal;
mod settle;

/// Most questions that wait for one raise; the next is told to try again.
const WAITERS_MAX: usize = 4096;
/// Most edits that wait for one chunk.
const EDITS_MAX: usize = 1024;
/// Most cuts of one edit. When as many are left over from raises that failed, a plain raise repeats them
/// before the next edit adds its own, so an order has at most twice as many.
const CUTS_MAX: usize = 64;

/// A replica that takes part.
#[derive(Clone, Debug)]
struct Member {
    disk: u16,
    /// The lowest version it may have.
    from: Version,
    order: OrderId,
    done: bool,
    /// Its disk went down since: it has what it answered, but must be heard again to be current.
    away: bool,
    /// Pages of it are damaged, as it said when it was found.
    damaged: bool,
    /// What it said when it took the version.
    unsettled: Unsettled,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Members have orders.
    Ordering { deadline_ms: u64 },
    /// All have the version; this disk's replica has torn pages, for which the others are asked.
    Mending { donor: u16, deadline_ms: u64 },
    /// The others are made equal to this disk's replica.
    Settling { donor: u16, deadline_ms: u64 },
    /// They are, and this disk's server is told so.
    Settled { donor: u16, deadline_ms: u64 },
    /// Another replica is begun, which takes the writes of the version, too.
    Joining { deadline_ms: u64 },
    /// Our record is being made stable.
    Logging(RaiseTicket),
    /// All members are ready; the edit's record is awaited.
    Held,
}

impl Phase {
    fn deadline_ms(self) -> Option<u64> {
        match self {
            Self::Ordering { deadline_ms }
            | Self::Mending { deadline_ms, .. }
            | Self::Settling { deadline_ms, .. }
            | Self::Joining { deadline_ms }
            | Self::Settled { deadline_ms, .. } => Some(deadline_ms),
            Self::Logging(_) | Self::Held => None,
        }
    }

    /// Somebody has come to wait: what members are asked to do at once is to be done by then.
    fn hurry(&mut self, by_ms: u64) {
        if let Self::Ordering { deadline_ms } | Self::Settled { deadline_ms, .. } = self {
            *deadline_ms = (*deadline_ms).min(by_ms);
        }
    }
}

/// A replica that is begun, or was.
#[derive(Clone, Copy, Debug)]
struct Joining {
    disk: u16,
    order: OrderId,
}

/// One raise under way.
#[derive(Debug)]
struct Raise {
    chunk: ChunkId,
    target: Version,
    /// The target of the first round.
    first: Option<Version>,
    cuts: Vec<Cut>,
    /// Whose record names the version.
    edit: Option<Ticket>,
    members: Vec<Member>,
    /// A member was left behind since the last orders.
    lost: bool,
    /// One was since the beginning.
    thinned: bool,
    /// Those of them who said that their own disk fails, or has no room for what is to be cut.
    failed: BTreeMap<u16, Status>,
    /// The version that each disk's replica is known to have taken since it began, members or not.
    taken: BTreeMap<u16, Version>,
    /// What was compared since the metadata's version, by this raise or ones that failed before it: who followed a donor then
    /// has said so, and may have what a member of this round lacks.
    compared: Vec<BlockRange>,
    /// Who may have made cuts that are not recorded.
    cut: BTreeSet<u16>,
    /// Who of them may have made cuts that were refused before this raise.
    cut_before: BTreeSet<u16>,
    /// Another member could not be made equal to this one.
    shunned: Option<u16>,
    /// The present orders were given when that was known.
    avoids_shunned: bool,
    /// A hop between two members failed, and it is not known yet whose fault that is.
    accused: Option<Accusation>,
    phase: Phase,
    /// Takes the writes of the version without being a member.
    joining: Option<Joining>,
    /// Grants that wait for the end.
    waiters: Vec<Ticket>,
    /// Somebody wants to read, whom those that took the version refuse.
    is_read: bool,
    /// Edits that come next.
    edits: VecDeque<(Ticket, Vec<Cut>)>,
    /// Reports that came meanwhile; judged at the end.
    later: Vec<(u16, ReportedReplica)>,
}

/// What a failed raise leaves behind.
#[derive(Debug, Default)]
struct Remains {
    /// When the first one failed since the last that did not.
    since_ms: u64,
    /// The highest version minted for it.
    minted: Version,
    /// The metadata's version when it was tried last, and the first version minted over that.
    base: Version,
    first: Version,
    /// Cuts that may have been made on some replicas.
    cuts: Vec<Cut>,
    /// Who may have made those, or some that were refused since.
    cut: BTreeSet<u16>,
    /// What was compared, on some of them.
    compared: Vec<BlockRange>,
    /// Replicas that are known to have one of the versions minted, by disk.
    taken: BTreeMap<u16, Version>,
    /// Replicas that had a version of an earlier reign above the metadata's.
    earlier: BTreeMap<u16, Version>,
    /// Since when each raise failed because every replica refused it for a reason of its own disk.
    refused_ms: Option<u64>,
}

/// All raises.
#[derive(Debug, Default)]
pub(crate) struct Raises {
    running: BTreeMap<ChunkSlot, Raise>,
    remains: BTreeMap<ChunkSlot, Remains>,
    tickets: BTreeMap<RaiseTicket, ChunkSlot>,
    edits: BTreeMap<Ticket, ChunkSlot>,
    last_ticket: u64,
}

impl Raises {
    pub(crate) fn len(&self) -> usize {
        self.running.len()
    }

    /// Those that wait for more than the record of their edit.
    pub(crate) fn under_way(&self) -> usize {
        self.running.values().filter(|raise| raise.phase != Phase::Held).count()
    }

    pub(crate) fn is_running(&self, slot: ChunkSlot) -> bool {
        self.running.contains_key(&slot)
    }

    /// Keeps what a disk says of a chunk until its raise is over. False: none is under way.
    pub(crate) fn keep_for_later(&mut self, slot: ChunkSlot, disk: u16, seen: ReportedReplica) -> bool {
        let Some(raise) = self.running.get_mut(&slot) else { return false };
        raise.later.retain(|(other, _)| *other != disk);
        raise.later.push((disk, seen));
        true
    }

    /// Whether something a disk said of a chunk is kept.
    pub(crate) fn keeps_for_later(&self, slot: ChunkSlot, disk: u16) -> bool {
        self.running.get(&slot).is_some_and(|raise| raise.later.iter().any(|(other, _)| *other == disk))
    }

    /// A disk that is back told all it holds: members on it of which it said nothing are no more. Gives back the raises that
    /// have none left and are not recorded yet.
    fn disk_told(&mut self, disk: u16) -> Vec<ChunkSlot> {
        let mut deserted = Vec::new();
        for (slot, raise) in &mut self.running {
            if raise.later.iter().any(|(other, _)| *other == disk) {
                continue;
            }
            let before = raise.members.len();
            raise.members.retain(|member| member.disk != disk || !member.away);
            let recorded = matches!(raise.phase, Phase::Logging(_) | Phase::Held);
            raise.thinned |= raise.members.len() < before;
            if raise.members.is_empty() && before > 0 && !recorded {
                deserted.push(*slot);
            }
        }
        deserted
    }

    /// A grant waits for the end of the raise of this chunk, whose members have until then to answer. False: there is no room.
    pub(crate) fn join(&mut self, slot: ChunkSlot, ticket: Ticket, deadline_ms: u64) -> bool {
        match self.running.get_mut(&slot) {
            Some(raise) if raise.waiters.len() < WAITERS_MAX => {
                raise.waiters.push(ticket);
                raise.phase.hurry(deadline_ms);
                true
            }
            _ => false,
        }
    }

    /// A disk went down: members on it must be heard again.
    pub(crate) fn disk_away(&mut self, disk: u16) {
        for raise in self.running.values_mut() {
            raise.later.retain(|(other, _)| *other != disk);
            if raise.joining.is_some_and(|one| one.disk == disk)
                && !matches!(raise.phase, Phase::Joining { .. })
            {
                raise.joining = None;
            }
            for member in raise.members.iter_mut().filter(|member| member.disk == disk) {
                member.away = true;
            }
        }
    }

    pub(crate) fn next_deadline_ms(&self) -> Option<u64> {
        let deadlines = self.running.values().filter_map(|raise| raise.phase.deadline_ms());
        deadlines.min()
    }

    /// The highest version a replica of the chunk may have, given the metadata's.
    fn highest(&self, slot: ChunkSlot, recorded: Version) -> Version {
        let running = self.running.get(&slot).map_or(recorded, |raise| raise.target);
        let remains = self.remains.get(&slot).map_or(recorded, |remains| remains.minted);
        recorded.max(running).max(remains)
    }
}

/// What a raise is for.
#[derive(Default)]
pub(crate) struct Purposes {
    pub(crate) waiters: Vec<Ticket>,
    pub(crate) edit: Option<(Ticket, Vec<Cut>)>,
    pub(crate) edits: VecDeque<(Ticket, Vec<Cut>)>,
    /// The hop that failed, if one member accuses another.
    pub(crate) accused: Option<Accusation>,
}

impl Raise {
    /// Somebody waits for it to write, or to cut.
    fn is_for_writing(&self) -> bool {
        !self.waiters.is_empty() || self.edit.is_some() || !self.edits.is_empty()
    }

    /// Somebody waits for it.
    fn is_awaited(&self) -> bool {
        self.is_for_writing() || self.is_read
    }

    /// Whether the member has an order to cut, and has not answered.
    fn may_be_cutting(&self, member: &Member) -> bool {
        matches!(self.phase, Phase::Ordering { .. }) && !self.cuts.is_empty() && !member.done
    }

    /// The member is left behind: it may have the version, so the others are raised once more.
    fn leave_behind(&mut self, at: usize) -> Member {
        (self.lost, self.thinned) = (true, true);
        self.members.remove(at)
    }
}

impl Fleet {
    /// Whether too few are left, and that is to be waited for: to acknowledge a write, because of those who want to write; or
    /// because of those who would begin as stale, if nobody waits. A reader is a reason to leave out one who is slow, but not to go on with too few.
    fn lacks_members(&self, slot: ChunkSlot, now_ms: u64) -> bool {
        let set = self.table.replicas(slot);
        let Some(raise) = self.raises.running.get(&slot) else { return false };
        let enough = self.may_acknowledge(slot, &set, raise.members.iter().map(|member| member.disk), now_ms);
        if raise.is_for_writing() {
            return !enough;
        }
        let leaves_out = || !raise.is_read && self.leaves_out_well_ones(&set, raise);
        raise.thinned && (!enough || leaves_out()) && !self.are_given_up(slot, now_ms)
    }

    /// Whether one who counts and whose server answers is no member, for no better reason than that it was slow.
    fn leaves_out_well_ones(&self, set: &ReplicaSet, raise: &Raise) -> bool {
        let is_out = |disk: u16| {
            !matches!(raise.failed.get(&disk), Some(Status::Io | Status::Corrupt))
                && raise.members.iter().all(|member| member.disk != disk)
        };
        set.iter().any(|replica| match replica.state {
            ReplicaState::Current | ReplicaState::Damaged => is_out(replica.disk),
            // It is back, and about to tell.
            ReplicaState::Absent => is_out(replica.disk) && self.hosts.is_up(replica.disk),
            _ => false,
        })
    }

    /// How long members have to answer an order that is soon carried out.
    fn answer_ms(&self, is_awaited: bool) -> u64 {
        if is_awaited { self.options.raise_timeout_ms } else { self.options.unasked_timeout_ms }
    }

    /// Whether those whom raises of the chunk lost are taken for lost: by healing, if their servers are silent; if they
    /// answer and refuse, or cannot follow the others, when that has lasted.
    fn are_given_up(&self, slot: ChunkSlot, now_ms: u64) -> bool {
        let since = self.raises.remains.get(&slot).map(|remains| remains.since_ms);
        let lasted = since.is_some_and(|since_ms| now_ms >= since_ms + self.options.heal_ms);
        lasted && now_ms >= self.healed_from_ms(slot, &self.silence(), true)
    }

    /// Whether those who are still members lack pages that one who was left out has.
    fn loses_pages(&self, slot: ChunkSlot, now_ms: u64) -> bool {
        let members = self.raises.members(slot);
        self.leaves_pages_behind(slot, &self.table.replicas(slot), &members, now_ms)
    }

    /// A disk told all it holds: raises go on without what it lost.
    pub(crate) fn members_told(&mut self, disk: u16, now_ms: u64, out: &mut Vec<Command>) {
        for slot in self.raises.disk_told(disk) {
            self.fail_raise(slot, Status::TryAgain, now_ms, out);
        }
    }

    /// A version for the chunk that was never given to it.
    fn mint(&self, slot: ChunkSlot) -> Option<Version> {
        let recorded = self.table.version(slot)?;
        let highest = self.raises.highest(slot, recorded);
        let counter = if highest.term == self.term { highest.counter.checked_add(1)? } else { 1 };
        Some(Version { term: self.term, counter })
    }

    /// Starts a raise of the chunk with these disks as members, in the order of the chain. No raise of the chunk may be running.
    pub(crate) fn start_raise(
        &mut self,
        slot: ChunkSlot,
        disks: &[u16],
        purposes: Purposes,
        now_ms: u64,
        out: &mut Vec<Command>,
    ) {
        let (Some(chunk), Some(recorded)) = (self.table.chunk(slot), self.table.version(slot)) else {
            return self.refuse(purposes, Status::TryAgain, out);
        };
        let (edit, mut cuts) = match purposes.edit {
            Some((ticket, cuts)) => (Some(ticket), cuts),
            None => (None, Vec::new()),
        };
        let (mut compared, mut taken, mut cut) = Default::default();
        let mut refused = false;
        if let Some(remains) = self.raises.remains.get(&slot) {
            // Cuts that are left are repeated by all.
            refused = remains.cuts.is_empty();
            (compared, taken, cut) = (remains.compared.clone(), remains.taken.clone(), remains.cut.clone());
            cuts = end::join_cuts(&remains.cuts, &cuts);
        }
        if let Some(ticket) = edit {
            self.raises.edits.insert(ticket, slot);
        }
        self.table.set_open(slot, false);
        self.copy_overtaken(slot);
        self.removal_overtaken(slot, now_ms);
        let member = |disk: &u16| Member {
            disk: *disk,
            from: taken.get(disk).copied().unwrap_or_default().max(recorded),
            order: OrderId(0),
            done: false,
            away: false,
            damaged: false,
            unsettled: Unsettled::default(),
        };
        let raise = Raise {
            chunk,
            target: recorded,
            first: None,
            cuts,
            edit,
            members: disks.iter().map(member).collect(),
            lost: false,
            thinned: false,
            failed: BTreeMap::new(),
            taken: BTreeMap::new(),
            compared,
            cut_before: if refused { cut.clone() } else { BTreeSet::new() },
            cut,
            shunned: None,
            avoids_shunned: false,
            accused: purposes.accused,
            phase: Phase::Ordering { deadline_ms: now_ms },
            joining: None,
            waiters: purposes.waiters,
            is_read: false,
            edits: purposes.edits,
            later: Vec::new(),
        };
        self.raises.running.insert(slot, raise);
        self.order_members(slot, now_ms, out);
    }

    /// Steps 1 and 2: a fresh version, and orders to all members.
    fn order_members(&mut self, slot: ChunkSlot, now_ms: u64, out: &mut Vec<Command>) {
        let Some(target) = self.mint(slot) else {
            return self.fail_raise(slot, Status::TryAgain, now_ms, out);
        };
        let Some(mut raise) = self.raises.running.remove(&slot) else { return };
        raise.first.get_or_insert(target);
        raise.target = target;
        raise.lost = false;
        raise.avoids_shunned = raise.shunned.is_some();
        if let Some(joining) = raise.joining.take() {
            self.orders.remove(&joining.order);
        }
        let before = raise.members.len();
        raise.members.retain(|member| !member.away && self.hosts.is_up(member.disk));
        raise.thinned |= raise.members.len() < before;
        raise.phase = Phase::Ordering { deadline_ms: now_ms + self.answer_ms(raise.is_awaited()) };
        for member in &mut raise.members {
            member.done = false;
            let what = Order::Raise {
                disk: self.hosts.disk(member.disk).id,
                chunk: raise.chunk,
                from: member.from,
                to: target,
                cuts: raise.cuts.clone(),
            };
            member.order = self.order(member.disk, Purpose::Raise(slot), what, now_ms, out);
        }
        let empty = raise.members.is_empty();
        self.raises.running.insert(slot, raise);
        if empty {
            self.fail_raise(slot, Status::TryAgain, now_ms, out);
        }
    }

    /// A member has taken the version, or was made equal to another one.
    pub(crate) fn member_done(
        &mut self,
        slot: ChunkSlot,
        order: OrderId,
        unsettled: Unsettled,
        now_ms: u64,
        out: &mut Vec<Command>,
    ) {
        let Some(raise) = self.raises.running.get_mut(&slot) else { return };
        let target = raise.target;
        let Some(member) = raise.members.iter_mut().find(|member| member.order == order) else { return };
        member.done = true;
        member.from = target;
        if matches!(raise.phase, Phase::Ordering { .. }) {
            member.unsettled = unsettled;
            raise.taken.insert(member.disk, target);
            raise.cut.extend((!raise.cuts.is_empty()).then_some(member.disk));
        }
        self.judge_hop(slot, now_ms);
        self.check_members(slot, now_ms, out);
    }

    /// A member is left behind: it refused, did not answer in time or went away.
    pub(crate) fn member_failed(
        &mut self,
        slot: ChunkSlot,
        order: OrderId,
        why: Status,
        now_ms: u64,
        out: &mut Vec<Command>,
    ) {
        let Some(raise) = self.raises.running.get_mut(&slot) else { return };
        let Some(at) = raise.members.iter().position(|member| member.order == order) else { return };
        // Without room a replica is left as it was. Of all else nobody knows how far it came.
        let may_have_cut = why != Status::NoSpace && raise.may_be_cutting(&raise.members[at]);
        let member = raise.leave_behind(at);
        raise.cut.extend(may_have_cut.then_some(member.disk));
        if matches!(why, Status::Io | Status::Corrupt | Status::NoSpace) {
            raise.failed.insert(member.disk, why);
        }
        if why == Status::NoChunk {
            let mut set = self.table.replicas(slot);
            set.remove(member.disk);
            self.put_replicas(slot, &set);
        }
        self.judge_hop(slot, now_ms);
        self.check_members(slot, now_ms, out);
    }

    /// A member could not be made equal to a donor that is shunned since the last orders, because of another member: the round
    /// to come is for both of them. False: it is not so.
    fn member_spared(&mut self, slot: ChunkSlot, order: OrderId) -> bool {
        let Some(raise) = self.raises.running.get_mut(&slot) else { return false };
        if raise.shunned.is_none() || raise.avoids_shunned || !matches!(raise.phase, Phase::Settling { .. }) {
            return false;
        }
        let member = raise.members.iter_mut().find(|member| member.order == order);
        member.map(|member| member.done = true).is_some()
    }

    /// When all have answered: again if somebody was left behind (it may have taken the version without
    /// saying so), else on to the next step.
    fn check_members(&mut self, slot: ChunkSlot, now_ms: u64, out: &mut Vec<Command>) {
        let Some(raise) = self.raises.running.get_mut(&slot) else { return };
        if raise.members.is_empty() {
            return self.fail_raise(slot, Status::TryAgain, now_ms, out);
        }
        if raise.members.iter().any(|member| !member.done) {
            return;
        }
        if self.lacks_members(slot, now_ms) || self.loses_pages(slot, now_ms) {
            return self.fail_raise(slot, Status::TryAgain, now_ms, out);
        }
        let Some(raise) = self.raises.running.get(&slot) else { return };
        if raise.lost {
            return self.order_members(slot, now_ms, out);
        }
        match raise.phase {
            Phase::Ordering { .. } => self.settle_members(slot, now_ms, out),
            Phase::Mending { donor, .. } => self.settle_others(slot, donor, now_ms, out),
            Phase::Settling { donor, .. } => self.settle_donor(slot, donor, now_ms, out),
            Phase::Settled { .. } => self.members_ready(slot, now_ms, out),
            Phase::Joining { .. } | Phase::Logging(_) | Phase::Held => {}
        }
    }

    /// All members have the version and the same bytes.
    fn members_ready(&mut self, slot: ChunkSlot, now_ms: u64, out: &mut Vec<Command>) {
        if !self.begin_joining(slot, now_ms, out) {
            self.all_ready(slot, out);
        }
    }

    /// Whoever is to have the version has it.
    fn all_ready(&mut self, slot: ChunkSlot, out: &mut Vec<Command>) {
        let Some(raise) = self.raises.running.get_mut(&slot) else { return };
        match raise.edit {
            Some(ticket) => {
                raise.phase = Phase::Held;
                out.push(Command::EditReady { ticket, version: Ok(raise.target) });
            }
            None => self.log_raise(slot, out),
        }
    }

    /// Step 3.
    fn log_raise(&mut self, slot: ChunkSlot, out: &mut Vec<Command>) {
        let Some(raise) = self.raises.running.get_mut(&slot) else { return };
        self.raises.last_ticket += 1;
        let ticket = RaiseTicket(self.raises.last_ticket);
        raise.phase = Phase::Logging(ticket);
        self.raises.tickets.insert(ticket, slot);
        out.push(Command::LogRaise {
            raise: ticket,
            chunk: raise.chunk,
            version: raise.target,
            members: raise.members.iter().map(|member| self.hosts.disk(member.disk).id).collect(),
        });
    }
}
