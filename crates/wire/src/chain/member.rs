//! The state machine of one chain member for one version of one chunk, without I/O.
//!
//! The driver feeds frames, local results and downstream answers; the machine says what to take, what to
//! answer and when the chain is broken. What it takes, the driver applies locally and forwards at the same
//! time, both in the order of the [`Op`] numbers.
//!
//! # Invariants
//! 1. Taken writes have consecutive sequences; a follower that is given another one fails.
//! 2. A write is answered ok only after it was applied here and every member behind has answered ok.
//! 3. A flush is answered ok only if every write taken before it was applied here and behind, and all of it
//!    went to stable storage; so nothing after a failed operation succeeds.
//! 4. A write of a session is taken once; repeats get the first one's answer.
//! 5. A member that failed, or that does not remember which writes it took (after a restart), takes no write
//!    until the version is raised and a new machine begins.
//! 6. Each operation is answered exactly once; memory is bounded by the window and the tables' maxima.
//! 7. What it reports for a raise covers every write that some member may have and another may lack: those it took
//!    and of which it does not know that all behind have them, and the last it took, for whoever forgot them; also
//!    those of the version before, until a frame of the present one proves that they were dealt with.
//! 8. A member that is being filled leaves its verifier out of its answers, so that no fsync counts on it. Any other one names with its
//!    own those of the replicas that it was made from ([`Member::vouch`]).
//!
//! # Elsewhere
//! Deadlines, connections, files: `chunkserver`. Terms, versions and rights are checked before a frame gets here.

use super::table::{Remembered, Seen, Table};
use crate::message::FailedEdge;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use types::{ChainSequence, DiskId, SessionId, Status, Verifier, Witness};

/// Operations of one member that are not answered. Each may hold a payload of 1 MiB.
pub const WRITES_IN_FLIGHT_MAX: usize = 128;
/// Sessions that write one version of a chunk. Idle ones are not forgotten, for their frames may still be on
/// the way; a further one is refused with [`Status::Gap`], and the raise that follows clears the tables.
pub const SESSIONS_MAX: usize = 256;

/// Number of a write or flush within one member, from 1 in the order they were taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Op(pub u64);

/// What is known about writes that came before the machine began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// There were none: the replica was made by a first write, or the version was raised by this process.
    Beginning,
    /// There may have been some: writes are refused with [`Status::Gap`], a flush is possible.
    Unknown,
    /// There were none of this version, and the replica lacks what was written under those before: it takes all writes,
    /// but nobody counts on it, and it is never the head.
    Filling,
}

/// A write as it arrived.
#[derive(Clone, Copy, Debug)]
pub struct WriteInput {
    /// The client's session.
    pub session: SessionId,
    /// Its number of the write.
    pub write_id: u64,
    /// All numbers below were answered to the client.
    pub answered_below: u64,
    /// 0 from a client: the receiver is the head.
    pub chain_sequence: ChainSequence,
    /// First byte within the chunk.
    pub offset: u32,
    /// Bytes.
    pub length: u32,
    /// The disk to forward to; `None`: the receiver is the tail.
    pub next: Option<DiskId>,
}

/// A flush as it arrived.
#[derive(Clone, Copy, Debug)]
pub struct FlushInput<'a> {
    /// What must have been taken before; 0: no claim.
    pub chain_sequence: ChainSequence,
    /// The verifiers under which the unsynced writes were answered.
    pub held: &'a [Verifier],
    /// The disk to forward to; `None`: the receiver is the tail.
    pub next: Option<DiskId>,
}

/// What to do with a frame that arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Admission {
    /// Apply it here and forward it with this sequence, both after what was taken before.
    Taken {
        /// Its number from now on.
        op: Op,
        /// Its place in the chain's order. Of a flush: the last write before it.
        chain_sequence: ChainSequence,
    },
    /// A repeat of a write in flight: answered when that one is.
    Joined {
        /// The write's number.
        op: Op,
    },
    /// A repeat of a write that was answered: answer it again.
    Repeated {
        /// Its place in the chain's order.
        chain_sequence: ChainSequence,
        /// The members that applied it.
        witnesses: Vec<Witness>,
    },
    /// Neither applied nor forwarded.
    Refused(Refusal),
}

/// Why something failed, and at which edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Why.
    pub status: Status,
    /// Where; `None` if the chain is not at fault (an outdated version, a full window).
    pub failed: Option<FailedEdge>,
}

/// An operation is to be answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Which.
    pub op: Op,
    /// Its place in the chain's order. Of a flush: the last write before it.
    pub chain_sequence: ChainSequence,
    /// This member and all behind it, or why not.
    pub result: Result<Vec<Witness>, Refusal>,
}

/// What a raise of the version has to know (`protocols.md` §2).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Closed {
    /// The last write that was applied here.
    pub applied: ChainSequence,
    /// Byte ranges `from..to` of writes taken of which it is not known that this member and all behind have them.
    pub unacknowledged: Vec<(u64, u64)>,
    /// Those of the last [`WRITES_IN_FLIGHT_MAX`] writes taken: the head has answered everything before them, so it
    /// and all behind have that.
    pub recent: Vec<(u64, u64)>,
    /// It does not remember what it took.
    pub forgot: bool,
    /// It failed: somebody was told of a hop that broke, or would have been.
    pub failed: bool,
}

#[derive(Debug)]
enum State {
    Open,
    Failed(Refusal),
    Closed,
}

#[derive(Debug)]
struct Pending {
    /// Of a write at the head: whose.
    writer: Option<(SessionId, u64)>,
    chain_sequence: ChainSequence,
    is_write: bool,
    behind: Option<Vec<Witness>>,
}

/// The machine.
#[derive(Debug)]
pub struct Member {
    own: Witness,
    origin: Origin,
    state: State,
    /// Fixed by the first frame: all writers of a version use the same chain.
    next: Option<Option<DiskId>>,
    /// Fixed by the first write.
    head: Option<bool>,
    last_op: Op,
    taken: ChainSequence,
    applied: ChainSequence,
    /// Not answered yet.
    pending: BTreeMap<Op, Pending>,
    /// Not done here yet; also what was answered with a failure of the members behind.
    local: BTreeMap<Op, Option<ChainSequence>>,
    unacknowledged: BTreeMap<ChainSequence, (u64, u64)>,
    recent: VecDeque<(u64, u64)>,
    /// What the raise that began the version reported.
    before: Closed,
    sessions: BTreeMap<SessionId, Table>,
    /// The members of the last answer, shared by the tables' entries.
    witnesses: Arc<[Witness]>,
}

impl Member {
    /// A member that serves the disk named in `verifier`.
    pub fn new(verifier: Verifier, origin: Origin) -> Self {
        Self::numbered_after(Op(0), verifier, origin, Closed::default())
    }

    /// Its successor under a version to which the replica was raised; `before` is what was reported for the raise. Operations are numbered on: what
    /// the member behind says late of one of this version is no answer to one of the next.
    pub fn successor(&self, verifier: Verifier, origin: Origin, before: Closed) -> Self {
        Self::numbered_after(self.last_op, verifier, origin, before)
    }

    fn numbered_after(last_op: Op, verifier: Verifier, origin: Origin, before: Closed) -> Self {
        Self {
            own: Witness { verifier, sources: Vec::new() },
            origin,
            state: State::Open,
            next: None,
            head: None,
            last_op,
            taken: ChainSequence(0),
            applied: ChainSequence(0),
            pending: BTreeMap::new(),
            local: BTreeMap::new(),
            unacknowledged: BTreeMap::new(),
            recent: VecDeque::new(),
            before,
            sessions: BTreeMap::new(),
            witnesses: Arc::new([]),
        }
    }

    /// The replica has what these held: it was made from them.
    pub fn vouch(&mut self, sources: Vec<Verifier>) {
        self.own.sources = sources;
    }

    /// A write arrived. Failing answers of others that it causes are appended to `out`.
    pub fn write(&mut self, input: &WriteInput, out: &mut Vec<Answer>) -> Admission {
        let head = input.chain_sequence == ChainSequence(0);
        if head && let Some(repeat) = self.repeat_of(input) {
            return repeat;
        }
        if let Err(refusal) = self.admit(input.next) {
            return Admission::Refused(refusal);
        }
        if self.origin == Origin::Unknown {
            return Admission::Refused(self.here(Status::Gap));
        }
        if self.head.is_some_and(|known| known != head) || head && self.origin == Origin::Filling {
            return Admission::Refused(Refusal { status: Status::Invalid, failed: None });
        }
        let sequence = ChainSequence(self.taken.0.saturating_add(1));
        if !head && input.chain_sequence != sequence {
            let refusal = self.here(Status::Gap);
            self.fail_from(Op(self.last_op.0 + 1), refusal, out);
            return Admission::Refused(refusal);
        }
        if self.is_full() {
            return Admission::Refused(Refusal { status: Status::TryAgain, failed: None });
        }
        if head && self.sessions.len() >= SESSIONS_MAX && !self.sessions.contains_key(&input.session) {
            return Admission::Refused(self.here(Status::Gap));
        }
        self.head = Some(head);
        self.taken = sequence;
        let writer = head.then_some((input.session, input.write_id));
        let op = self.take(writer, true, input.next);
        if let Some((session, write_id)) = writer {
            self.sessions.entry(session).or_default().taken(write_id, input.answered_below, op);
        }
        let from = u64::from(input.offset);
        let range = (from, from + u64::from(input.length));
        self.unacknowledged.insert(sequence, range);
        if self.recent.len() == WRITES_IN_FLIGHT_MAX {
            self.recent.pop_front();
        }
        self.recent.push_back(range);
        Admission::Taken { op, chain_sequence: sequence }
    }

    /// A flush arrived.
    pub fn flush(&mut self, input: &FlushInput<'_>) -> Admission {
        if let Err(refusal) = self.admit(input.next) {
            return Admission::Refused(refusal);
        }
        let own = self.own.verifier;
        // A replica that was made anew has what its source had: whether that is all, the writer judges by the others.
        let lost = |held: &Verifier| (held.disk, held.made) == (own.disk, own.made) && held.boot != own.boot;
        if input.held.iter().any(lost) {
            return Admission::Refused(self.here(Status::LostTail));
        }
        if input.chain_sequence > self.taken {
            return Admission::Refused(self.here(Status::Gap));
        }
        if self.is_full() {
            return Admission::Refused(Refusal { status: Status::TryAgain, failed: None });
        }
        let op = self.take(None, false, input.next);
        Admission::Taken { op, chain_sequence: self.taken }
    }

    /// Somebody wants to read in the chain's order, for a member that is being filled: after the write that is given
    /// back, the last one taken.
    pub fn read(&self) -> Result<ChainSequence, Status> {
        match (&self.state, self.origin) {
            (State::Failed(refusal), _) => Err(refusal.status),
            (State::Closed, _) => Err(Status::WrongVersion),
            (State::Open, Origin::Unknown) => Err(Status::Gap),
            (State::Open, Origin::Filling) => Err(Status::NoChunk),
            (State::Open, Origin::Beginning) => Ok(self.taken),
        }
    }

    /// The replica holds everything now, on stable storage.
    pub fn filled(&mut self) {
        if self.origin == Origin::Filling {
            self.origin = Origin::Beginning;
        }
    }

    /// The last write taken.
    pub fn taken(&self) -> ChainSequence {
        self.taken
    }

    /// The operation was done here, or failed here: then nothing later may be applied.
    pub fn applied(&mut self, op: Op, result: Result<(), Status>, out: &mut Vec<Answer>) {
        match result {
            Ok(()) => {
                if let Some(Some(sequence)) = self.local.remove(&op) {
                    self.applied = self.applied.max(sequence);
                }
                self.settle(op, out);
            }
            Err(status) => {
                self.local.split_off(&op);
                self.fail_from(op, self.here(status), out);
            }
        }
    }

    /// The member behind answered, or did not in time. What was answered before, or belongs to an earlier version, changes nothing.
    pub fn answered(&mut self, op: Op, result: Result<Vec<Witness>, Refusal>, out: &mut Vec<Answer>) {
        let Some(pending) = self.pending.get_mut(&op) else { return };
        match result {
            Ok(witnesses) => {
                pending.behind = Some(witnesses);
                self.settle(op, out);
            }
            Err(refusal) => self.fail_from(op, self.edge_behind(refusal), out),
        }
    }

    /// The connection to the member behind is gone, and with it everything it has not answered.
    pub fn lost_behind(&mut self, status: Status, out: &mut Vec<Answer>) {
        let first = self.pending.iter().find(|(_, pending)| pending.behind.is_none()).map(|(op, _)| *op);
        let refusal = self.edge_behind(Refusal { status, failed: None });
        if let Some(first) = first {
            self.fail_from(first, refusal, out);
        }
    }

    /// No further frame is taken, and everything not answered is refused with `status`. What was taken is
    /// still to be applied here, for members behind may have it: [`Member::report`] is for after that.
    pub fn close(&mut self, status: Status, out: &mut Vec<Answer>) {
        self.refuse_pending(Op(0), Refusal { status, failed: None }, out);
        self.before.failed |= matches!(self.state, State::Failed(_));
        self.state = State::Closed;
    }

    /// What was applied, for the raise of the version.
    pub fn report(&self) -> Closed {
        let mut closed = Closed { applied: self.applied, ..self.before.clone() };
        // The tail has nobody behind who could lack anything.
        if self.next.flatten().is_some() {
            closed.unacknowledged.extend(self.unacknowledged.values());
        }
        closed.recent.extend(&self.recent);
        closed.forgot |= self.origin == Origin::Unknown;
        closed
    }

    /// It failed, and members behind may lack some of what it has.
    pub fn is_unsettled(&self) -> bool {
        matches!(self.state, State::Failed(_)) && !self.report().unacknowledged.is_empty()
    }

    /// It took writes from a member before it, which may not have applied the last of them.
    pub fn follows(&self) -> bool {
        self.head == Some(false)
    }

    /// The members were made equal: what the raise reported is dealt with.
    pub fn settled(&mut self) {
        self.before = Closed::default();
    }

    /// Whether an operation waits to be done here (and not only behind).
    pub fn waits_here(&self, op: Op) -> bool {
        self.local.contains_key(&op)
    }

    /// Whether nothing waits to be done here.
    pub fn is_drained(&self) -> bool {
        self.local.is_empty()
    }

    /// Whether nothing waits for an answer.
    pub fn is_idle(&self) -> bool {
        self.pending.is_empty()
    }

    /// Whether it takes writes.
    pub fn is_open(&self) -> bool {
        matches!(self.state, State::Open)
    }

    fn repeat_of(&mut self, input: &WriteInput) -> Option<Admission> {
        let table = self.sessions.get_mut(&input.session)?;
        match table.look(input.write_id, input.answered_below) {
            Seen::New => None,
            Seen::Before(Remembered::InFlight(op)) if self.pending.contains_key(&op) => {
                Some(Admission::Joined { op })
            }
            // It failed, and so did the member: `admit` says how.
            Seen::Before(Remembered::InFlight(_)) => None,
            Seen::Before(Remembered::Applied(chain_sequence, witnesses)) => {
                Some(Admission::Repeated { chain_sequence, witnesses: witnesses.to_vec() })
            }
            Seen::Forgotten => Some(Admission::Refused(Refusal { status: Status::Invalid, failed: None })),
            Seen::Full => Some(Admission::Refused(Refusal { status: Status::TryAgain, failed: None })),
        }
    }

    fn admit(&self, next: Option<DiskId>) -> Result<(), Refusal> {
        match &self.state {
            State::Open => {}
            State::Failed(refusal) => return Err(*refusal),
            State::Closed => return Err(Refusal { status: Status::WrongVersion, failed: None }),
        }
        if self.next.is_some_and(|known| known != next) {
            return Err(Refusal { status: Status::Invalid, failed: None });
        }
        Ok(())
    }

    fn is_full(&self) -> bool {
        self.pending.len().max(self.local.len()) >= WRITES_IN_FLIGHT_MAX
    }

    fn take(&mut self, writer: Option<(SessionId, u64)>, is_write: bool, next: Option<DiskId>) -> Op {
        self.next = Some(next);
        // Nobody is granted a version before its members are equal.
        self.settled();
        self.last_op.0 += 1;
        let behind = if next.is_none() { Some(Vec::new()) } else { None };
        let pending = Pending { writer, chain_sequence: self.taken, is_write, behind };
        self.pending.insert(self.last_op, pending);
        self.local.insert(self.last_op, is_write.then_some(self.taken));
        self.last_op
    }

    /// A failure at this member itself, as whoever receives it will tell: `from` is the receiver.
    fn here(&self, status: Status) -> Refusal {
        Refusal { status, failed: Some(FailedEdge { from: None, to: self.own.verifier.disk, status }) }
    }

    /// A failure that the member behind told, or that befell the way to it.
    fn edge_behind(&self, refusal: Refusal) -> Refusal {
        let Some(next) = self.next.flatten() else {
            return self.here(refusal.status);
        };
        let own = Some(self.own.verifier.disk);
        let failed = match refusal.failed {
            Some(edge) if edge.from.is_some() => edge,
            Some(edge) if edge.to == next => FailedEdge { from: own, ..edge },
            Some(_) => FailedEdge { from: own, to: next, status: Status::BadMessage },
            None => FailedEdge { from: own, to: next, status: refusal.status },
        };
        Refusal { status: refusal.status, failed: Some(failed) }
    }

    fn settle(&mut self, op: Op, out: &mut Vec<Answer>) {
        let behind = self.pending.get(&op).is_some_and(|pending| pending.behind.is_some());
        if !behind || self.local.contains_key(&op) {
            return;
        }
        let Some(pending) = self.pending.remove(&op) else { return };
        let mut witnesses = pending.behind.unwrap_or_default();
        if self.origin != Origin::Filling {
            witnesses.insert(0, self.own.clone());
        }
        if pending.is_write {
            self.unacknowledged.remove(&pending.chain_sequence);
        }
        if let Some((session, write_id)) = pending.writer {
            if *self.witnesses != *witnesses {
                self.witnesses = witnesses.clone().into();
            }
            let shared = Arc::clone(&self.witnesses);
            self.sessions.entry(session).or_default().applied(write_id, pending.chain_sequence, shared);
        }
        out.push(Answer { op, chain_sequence: pending.chain_sequence, result: Ok(witnesses) });
    }

    /// The first failure is the one that is told from now on.
    fn fail_from(&mut self, op: Op, refusal: Refusal, out: &mut Vec<Answer>) {
        if matches!(self.state, State::Open) {
            self.state = State::Failed(refusal);
        }
        self.refuse_pending(op, refusal, out);
    }

    fn refuse_pending(&mut self, from: Op, refusal: Refusal, out: &mut Vec<Answer>) {
        for (op, pending) in self.pending.split_off(&from) {
            out.push(Answer { op, chain_sequence: pending.chain_sequence, result: Err(refusal) });
        }
    }
}

#[cfg(test)]
mod tests;
