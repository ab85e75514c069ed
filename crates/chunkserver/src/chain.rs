//! One replica as a member of its write chain: drives `wire::chain::Member`.
//!
//! Frames come in on the data runtime, local work runs in the disk's queue, answers of the member behind come
//! in on tasks of the data runtime. All of them meet in [`Inner`], under a lock that is held for decisions
//! only. What a decision wants done is gathered in [`Effects`] and done without the lock, except sending to the
//! member behind, which must happen in the order of the decisions and never waits.
//!
//! # Invariants
//! 1. Local jobs of one replica run one after the other, in the order of the frames ([`strand`]).
//! 2. Frames to the member behind leave in the order in which they were taken, on one connection at a time;
//!    a new connection is begun only when nothing waits on the old one ([`hop`]).
//! 3. Each frame gets exactly one answer.
//! 4. What is read of a replica for one that is being filled, and what that one stores, has its turn between two frames
//!    ([`aside`]).
//! 5. Once closed, nothing is taken; after [`Chain::closed`] returns, nothing is queued or running.

mod aside;
mod hop;
mod reply;
mod strand;

pub(crate) use aside::Next;
pub(crate) use reply::{Arrived, Budget, Reply, What};
pub(crate) use strand::write_with_room;

use crate::disks::Slot;
use crate::events::Events;
use crate::tasks::Tasks;
use crate::vouchers::Vouchers;
use hop::{Hop, Outgoing};
use link::{Pending, Pool};
use reply::Outcome;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use store::{Disk, InventoryEntry, ReplicaState, StoreError};
use strand::{Job, Strand};
use tokio::sync::Notify;
use tokio::time::Instant;
use types::{ChunkId, DiskId, Status, Verifier, Version};
use wire::chain::{Admission, Answer, Closed, Filling, FlushInput, Member, Op, Origin, Refusal, WriteInput};
use wire::message::FailedEdge;

use crate::config::{DEADLINE_MAX, OPENING_FRAMES_MAX};

/// What all chains of a server share.
pub(crate) struct Context {
    /// Connections to members behind.
    pub(crate) pool: Pool,
    pub(crate) events: Events,
    /// On the data runtime, whoever begins them.
    pub(crate) tasks: Tasks,
    /// Chains with operations that have deadlines.
    pub(crate) active: Mutex<BTreeMap<(DiskId, ChunkId), Arc<Chain>>>,
    /// Told when `active` is no longer empty.
    pub(crate) activity: Notify,
    pub(crate) vouchers: Vouchers,
}

/// One replica.
pub(crate) struct Chain {
    pub(crate) slot: Arc<Slot>,
    pub(crate) disk: DiskId,
    pub(crate) chunk: ChunkId,
    /// Held by the order that changes the replica.
    pub(crate) order: tokio::sync::Mutex<()>,
    context: Arc<Context>,
    inner: Mutex<Inner>,
    quiet: Notify,
    /// While it is being filled: a write was taken, or it was closed.
    moved: Notify,
}

struct Inner {
    phase: Phase,
    version: Version,
    /// Made by a first write of this process that is not on the disk yet.
    unborn: bool,
    /// Masters were told that the members of the chain may differ.
    told: bool,
    /// The last frame was taken then.
    taken_at: Instant,
    member: Member,
    waiting: BTreeMap<Op, Waiting>,
    strand: Strand,
    hop: Hop,
    outgoing: VecDeque<Outgoing>,
    active: bool,
    /// What of the replica is here, while it is being filled.
    filling: Option<Filling>,
}

enum Phase {
    /// The replica's header is being read.
    Opening(Vec<Arrived>),
    Serving,
    /// An order changes the replica.
    Closed,
    /// No longer in the table of chains.
    Gone,
}

struct Waiting {
    replies: Vec<Reply>,
    deadline: Instant,
}

/// A replica's header, its verifier, and its disk.
type Found = (Result<(InventoryEntry, Verifier), StoreError>, Arc<Disk>);

/// What a decision wants done without the lock.
#[derive(Default)]
struct Effects {
    answers: Vec<(Reply, Outcome)>,
    waits: Vec<(Op, Pending, Instant)>,
    connect: Option<(String, Instant)>,
    /// The members of the chain may differ in what was written under this version.
    unsettled: Option<Version>,
}

impl Chain {
    /// A chain whose replica is not known yet; [`Chain::open`] is to be called.
    pub(crate) fn opening(
        slot: &Arc<Slot>,
        disk: DiskId,
        chunk: ChunkId,
        context: &Arc<Context>,
    ) -> Arc<Self> {
        let nobody = Verifier { disk, boot: 0, made: 0 };
        Arc::new(Self {
            slot: Arc::clone(slot),
            disk,
            chunk,
            order: tokio::sync::Mutex::new(()),
            context: Arc::clone(context),
            inner: Mutex::new(Inner {
                phase: Phase::Opening(Vec::new()),
                version: Version::default(),
                unborn: false,
                told: false,
                taken_at: Instant::now(),
                member: Member::new(nobody, Origin::Unknown),
                waiting: BTreeMap::new(),
                strand: Strand::default(),
                hop: Hop::Idle,
                outgoing: VecDeque::new(),
                active: false,
                filling: None,
            }),
            quiet: Notify::new(),
            moved: Notify::new(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().expect("nothing panics while it is held")
    }

    /// Reads the replica's header, then takes the frames that came meanwhile and carries them out. To be called in the
    /// disk's queue. False: there is no replica and nothing that makes one; the chain is gone.
    pub(crate) fn open(self: &Arc<Self>) -> bool {
        let found = self.slot.disk().map(|disk| {
            let entry = disk.entry(self.chunk);
            (entry.and_then(|entry| Ok((entry, disk.verifier(self.chunk)?))), disk)
        });
        let mut effects = Effects::default();
        let here = self.opened(found, &mut effects);
        self.act(effects);
        self.run_here();
        here
    }

    /// It could not be opened, for the disk's queue did not take that or its thread stopped.
    pub(crate) fn not_opened(self: &Arc<Self>) {
        let mut effects = Effects::default();
        self.opened(None, &mut effects);
        self.act(effects);
    }

    fn opened(self: &Arc<Self>, found: Option<Found>, effects: &mut Effects) -> bool {
        let mut inner = self.lock();
        let inner = &mut *inner;
        let Phase::Opening(frames) = &mut inner.phase else { return true };
        let frames = std::mem::take(frames);
        let result = match found {
            Some((Ok((entry, verifier)), _)) if !entry.bad && entry.state != ReplicaState::Filling => {
                Ok((entry.version, verifier, Origin::Unknown))
            }
            Some((Ok(_), _)) | None => Err(Status::Io),
            Some((Err(StoreError::Absent { .. }), disk)) => frames
                .iter()
                .find_map(Arrived::creates)
                .map(|version| (version, disk.verifier_of_first(version), Origin::Beginning))
                .ok_or(Status::NoChunk),
            Some((Err(error), _)) => Err(error.status()),
        };
        match result {
            Ok((version, verifier, origin)) => {
                inner.phase = Phase::Serving;
                inner.version = version;
                inner.unborn = origin == Origin::Beginning;
                inner.member = Member::new(verifier, origin);
                inner.member.vouch(self.context.vouchers.of(verifier, self.chunk));
                for arrived in frames {
                    self.take(inner, arrived, effects);
                }
                true
            }
            Err(status) => {
                inner.phase = Phase::Gone;
                for arrived in frames {
                    effects.answers.push((arrived.reply, Outcome::Refused(self.here(status))));
                }
                false
            }
        }
    }

    /// A frame arrived. It is given back if this chain is gone.
    pub(crate) fn arrive(self: &Arc<Self>, arrived: Arrived) -> Option<Arrived> {
        let mut effects = Effects::default();
        {
            let mut inner = self.lock();
            let inner = &mut *inner;
            match &mut inner.phase {
                Phase::Gone => return Some(arrived),
                Phase::Opening(frames) if frames.len() < OPENING_FRAMES_MAX => frames.push(arrived),
                Phase::Opening(_) => {
                    let refusal = Refusal { status: Status::TryAgain, failed: None };
                    effects.answers.push((arrived.reply, Outcome::Refused(refusal)));
                }
                Phase::Serving | Phase::Closed => self.take(inner, arrived, &mut effects),
            }
        }
        self.finish(effects);
        None
    }

    fn take(self: &Arc<Self>, inner: &mut Inner, arrived: Arrived, effects: &mut Effects) {
        let Arrived { what, reply, deadline } = arrived;
        if matches!(inner.phase, Phase::Closed) {
            let refusal = Refusal { status: Status::WrongVersion, failed: None };
            return effects.answers.push((reply, Outcome::Refused(refusal)));
        }
        if what.capability().version != inner.version {
            let refusal = self.here(Status::WrongVersion);
            return effects.answers.push((reply, Outcome::Refused(refusal)));
        }
        let mut out = Vec::new();
        inner.look_behind(&mut out);
        let admission = match &what {
            What::Write(write, _) => inner.member.write(
                &WriteInput {
                    session: write.capability.session,
                    write_id: write.write_id,
                    answered_below: write.answered_below,
                    chain_sequence: write.chain_sequence,
                    offset: write.offset,
                    length: write.length,
                    next: write.next.first().map(|next| next.disk),
                },
                &mut out,
            ),
            What::Flush(flush) => inner.member.flush(&FlushInput {
                chain_sequence: flush.chain_sequence,
                held: &flush.held,
                next: flush.next.first().map(|next| next.disk),
            }),
        };
        inner.settle(out, effects);
        match admission {
            Admission::Taken { op, chain_sequence } => {
                inner.taken_at = Instant::now();
                if let (Some(filling), What::Write(write, payload)) = (&mut inner.filling, &what) {
                    filling.wrote(write.offset, payload);
                    self.moved.notify_one();
                }
                inner.waiting.insert(op, Waiting { replies: vec![reply], deadline });
                self.watch(inner);
                if let Some(outgoing) = Outgoing::new(op, &what, chain_sequence, deadline) {
                    self.send_behind(inner, outgoing, effects);
                }
                inner.strand.push(Job::Frame(op, what));
            }
            Admission::Joined { op } => match inner.waiting.get_mut(&op) {
                Some(waiting) if waiting.replies.len() < reply::JOINED_MAX => waiting.replies.push(reply),
                _ => {
                    let refusal = Refusal { status: Status::TryAgain, failed: None };
                    effects.answers.push((reply, Outcome::Refused(refusal)));
                }
            },
            Admission::Repeated { chain_sequence, witnesses } => {
                effects.answers.push((reply, Outcome::Done { chain_sequence, witnesses }));
            }
            Admission::Refused(refusal) => effects.answers.push((reply, Outcome::Refused(refusal))),
        }
    }

    /// Has the deadlines of this chain looked at.
    fn watch(self: &Arc<Self>, inner: &mut Inner) {
        if !inner.active {
            inner.active = true;
            let mut active = self.context.active.lock().expect("nothing panics while it is held");
            active.insert((self.disk, self.chunk), Arc::clone(self));
            drop(active);
            self.context.activity.notify_one();
        }
    }

    /// Fails what is not done in time. False: nothing waits here any more, and it need not be looked at.
    pub(crate) fn look_at_deadlines(self: &Arc<Self>, now: Instant) -> bool {
        let mut effects = Effects::default();
        let waits = {
            let mut inner = self.lock();
            let inner = &mut *inner;
            let late = inner.waiting.iter().find(|(_, waiting)| waiting.deadline <= now).map(|(op, _)| *op);
            if let Some(op) = late {
                let mut out = Vec::new();
                if inner.member.waits_here(op) {
                    inner.strand.stop();
                    inner.member.applied(op, Err(Status::TimedOut), &mut out);
                } else {
                    let refusal = Refusal { status: Status::TimedOut, failed: None };
                    inner.member.answered(op, Err(refusal), &mut out);
                }
                inner.settle(out, &mut effects);
            }
            inner.active = !inner.waiting.is_empty();
            if !inner.active {
                let mut active = self.context.active.lock().expect("nothing panics while it is held");
                active.remove(&(self.disk, self.chunk));
            }
            inner.active
        };
        self.finish(effects);
        waits
    }

    /// A failure at this disk, as whoever receives the answer will tell.
    fn here(&self, status: Status) -> Refusal {
        Refusal { status, failed: Some(FailedEdge { from: None, to: self.disk, status }) }
    }

    /// Refuses everything not answered, takes nothing more, and waits until nothing is queued or running.
    /// Nobody else may be changing the replica: [`Chain::order`] is held.
    pub(crate) async fn close(self: &Arc<Self>, status: Status) -> Closed {
        let mut effects = Effects::default();
        {
            let mut inner = self.lock();
            let inner = &mut *inner;
            if let Phase::Opening(frames) = &mut inner.phase {
                let refusal = Refusal { status, failed: None };
                let refused = std::mem::take(frames).into_iter();
                effects.answers.extend(refused.map(|arrived| (arrived.reply, Outcome::Refused(refusal))));
            }
            inner.phase = Phase::Closed;
            let mut out = Vec::new();
            inner.member.close(status, &mut out);
            inner.settle(out, &mut effects);
            inner.outgoing.clear();
            inner.hop = Hop::Idle;
        }
        self.moved.notify_one();
        self.finish(effects);
        loop {
            let mut quiet = std::pin::pin!(self.quiet.notified());
            quiet.as_mut().enable();
            {
                let inner = self.lock();
                if inner.strand.is_quiet() {
                    let report = inner.member.report();
                    return Closed { failed: report.failed || inner.told, ..report };
                }
            }
            quiet.await;
        }
    }

    /// After [`Chain::close`]: the replica is at this version now, answers under this verifier, and takes frames again. `before` is what
    /// was reported of an earlier one and not dealt with yet.
    pub(crate) fn reopen(&self, version: Version, verifier: Verifier, origin: Origin, before: Closed) {
        let mut inner = self.lock();
        inner.phase = Phase::Serving;
        inner.version = version;
        (inner.unborn, inner.told) = (false, false);
        inner.filling = (origin == Origin::Filling).then(Filling::default);
        inner.member = inner.member.successor(verifier, origin, before);
        inner.member.vouch(self.context.vouchers.of(verifier, self.chunk));
        inner.strand = Strand::default();
    }

    /// The connection over which the member before sent its frames may be gone, and that member with it.
    pub(crate) fn lost_before(self: &Arc<Self>, now: Instant) {
        let mut effects = Effects::default();
        {
            let mut inner = self.lock();
            let recent = now.saturating_duration_since(inner.taken_at) < DEADLINE_MAX;
            let counts = inner.member.follows() && inner.filling.is_none();
            if recent && !inner.told && counts && matches!(inner.phase, Phase::Serving) {
                inner.told = true;
                effects.unsettled = Some(inner.version);
            }
        }
        self.finish(effects);
    }

    /// The members of its chain were made equal.
    pub(crate) fn settled(&self) {
        self.lock().member.settled();
    }

    /// After [`Chain::close`]: it is to be dropped from the table of chains.
    pub(crate) fn leave(&self) {
        self.lock().phase = Phase::Gone;
    }

    /// Whether it is to be dropped from the table of chains.
    pub(crate) fn is_gone(&self) -> bool {
        matches!(self.lock().phase, Phase::Gone)
    }

    /// Takes an idle chain out of service; false if it is busy.
    pub(crate) fn leave_if_idle(&self) -> bool {
        let mut inner = self.lock();
        let idle = matches!(inner.phase, Phase::Serving)
            && inner.waiting.is_empty()
            && inner.strand.is_quiet()
            && inner.filling.is_none()
            && self.order.try_lock().is_ok();
        if idle {
            inner.phase = Phase::Gone;
        }
        idle || matches!(inner.phase, Phase::Gone)
    }

    /// Its version, if it takes writes and lacks nothing.
    pub(crate) fn open_version(&self) -> Option<Version> {
        let inner = self.lock();
        let open = matches!(inner.phase, Phase::Serving) && inner.member.is_open();
        (open && inner.filling.is_none()).then_some(inner.version)
    }

    /// Does what was decided. The lock is not held.
    fn finish(self: &Arc<Self>, effects: Effects) {
        self.act(effects);
        self.kick();
    }

    /// Does what was decided but for the local work.
    fn act(self: &Arc<Self>, mut effects: Effects) {
        for (op, pending, deadline) in std::mem::take(&mut effects.waits) {
            let chain = Arc::clone(self);
            self.context.tasks.spawn(async move {
                let patience = deadline.saturating_duration_since(Instant::now());
                chain.answered(op, hop::interpret(pending.answer(patience).await));
            });
        }
        if let Some((address, deadline)) = effects.connect.take() {
            let chain = Arc::clone(self);
            self.context.tasks.spawn(async move {
                let patience = deadline.saturating_duration_since(Instant::now());
                let link = tokio::time::timeout(patience, chain.context.pool.get(&address)).await;
                chain.connected(&address, link.unwrap_or(Err(link::LinkError::TimedOut)));
            });
        }
        self.answer(effects);
    }

    /// Answers, and tells what is to be told.
    fn answer(&self, effects: Effects) {
        for (reply, outcome) in effects.answers {
            reply.answer(outcome);
        }
        if let Some(version) = effects.unsettled {
            self.tell_unsettled(version);
        }
    }

    /// Masters and the replica's own header say that it is to be compared, should nobody come to write it.
    fn tell_unsettled(&self, version: Version) {
        let (slot, disk, chunk) = (Arc::clone(&self.slot), self.disk, self.chunk);
        self.slot.run(move || {
            // Raised or deleted meanwhile: dealt with.
            if let Some(Err(error)) = slot.disk().map(|disk| disk.mark(chunk, version)) {
                tracing::debug!(%disk, %chunk, %error, "a replica to be compared was not marked");
            }
        });
        self.context.events.unsettled(disk, chunk, version);
    }
}

impl Inner {
    /// Turns the machine's answers into replies.
    fn settle(&mut self, out: Vec<Answer>, effects: &mut Effects) {
        for answer in out {
            let Some(waiting) = self.waiting.remove(&answer.op) else { continue };
            let outcome = match answer.result {
                Ok(witnesses) => Outcome::Done { chain_sequence: answer.chain_sequence, witnesses },
                Err(refusal) => Outcome::Refused(refusal),
            };
            for reply in waiting.replies {
                effects.answers.push((reply, outcome.clone()));
            }
        }
        if !self.told && matches!(self.phase, Phase::Serving) && self.member.is_unsettled() {
            self.told = true;
            effects.unsettled = Some(self.version);
        }
    }
}

/// What a sender gives of its patience to what it asks for: the rest is for the way back.
pub(crate) fn shorter(patience: Duration) -> Duration {
    patience - (patience / 4).min(Duration::from_millis(500))
}
