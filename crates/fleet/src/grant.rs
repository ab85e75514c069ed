//! The right to write a chunk that exists, and what becomes of a chain that failed.
//!
//! # Invariants
//! 1. A chain is handed out only if it was granted in this reign by a stable record and its set of
//!    replicas has not changed since; else the chunk is raised first.
//! 2. A report about a version that is no longer the chunk's changes nothing: it has been dealt with.
//! 3. The last current replica is never left out; and a chain of two does not become one by the word of
//!    the one that would remain, while the other still answers the master.

use crate::fleet::Fleet;
use crate::raise::Purposes;
use crate::{Command, Ticket};
use std::collections::{BTreeMap, VecDeque};
use types::{ChunkId, ChunkSlot, FailedHop, SessionId};

/// Most accusations remembered; the oldest goes first.
const BLAMES_MAX: usize = 4096;
/// Reports of failed hops that one session may make within [`crate::FleetOptions::blame_ms`]; later ones
/// are answered with the chain as it is.
const REPORTS_MAX: u32 = 256;

/// Who said that whom could not be reached.
#[derive(Clone, Copy, Debug)]
struct Blame {
    /// `None`: a client.
    from: Option<u16>,
    to: u16,
    at_ms: u64,
}

/// Accusations of late, and how many each session made.
#[derive(Debug, Default)]
pub(crate) struct Blames {
    recent: VecDeque<Blame>,
    sessions: BTreeMap<SessionId, (u64, u32)>,
}

impl Blames {
    /// Counts a session's report; false if it makes too many.
    fn admit(&mut self, session: SessionId, now_ms: u64, window_ms: u64) -> bool {
        let (since, count) = self.sessions.entry(session).or_insert((now_ms, 0));
        if now_ms.saturating_sub(*since) >= window_ms {
            (*since, *count) = (now_ms, 0);
        }
        *count = count.saturating_add(1);
        *count <= REPORTS_MAX
    }

    fn note(&mut self, from: Option<u16>, to: u16, now_ms: u64, window_ms: u64) {
        self.recent.retain(|blame| now_ms.saturating_sub(blame.at_ms) < window_ms);
        if self.recent.len() >= BLAMES_MAX {
            self.recent.pop_front();
        }
        self.recent.push_back(Blame { from, to, at_ms: now_ms });
    }

    /// Whether this disk has blamed two different ones.
    fn blames_everybody(&self, from: u16) -> bool {
        let mut blamed = self.recent.iter().filter(|blame| blame.from == Some(from)).map(|blame| blame.to);
        blamed.next().is_some_and(|first| blamed.any(|to| to != first))
    }

    /// Whether somebody else says the same of `to`, or `to` itself cannot reach its accuser.
    fn confirmed(&self, from: u16, to: u16) -> bool {
        self.recent.iter().any(|blame| {
            blame.to == to && blame.from != Some(from) || blame.from == Some(to) && blame.to == from
        })
    }

    /// The session ended.
    pub(crate) fn forget(&mut self, session: SessionId) {
        self.sessions.remove(&session);
    }
}

impl Fleet {
    /// Answers with the open chain, or after a raise.
    #[expect(clippy::too_many_arguments, reason = "the fields of one event, the clock and the way out")]
    pub(crate) fn grant_existing(
        &mut self,
        ticket: Ticket,
        slot: ChunkSlot,
        chunk: ChunkId,
        session: SessionId,
        failed: Option<&FailedHop>,
        now_ms: u64,
        out: &mut Vec<Command>,
    ) {
        let waiter = Purposes { waiters: vec![ticket], ..Purposes::default() };
        if self.table.chunk(slot) != Some(chunk) || self.waits_for_more(slot, now_ms) {
            return self.refuse(waiter, types::Status::TryAgain, out);
        }
        if self.raises.is_running(slot) {
            if !self.raises.join(slot, ticket) {
                self.refuse(waiter, types::Status::TryAgain, out);
            }
            return;
        }
        let failed = failed
            .filter(|hop| hop.chunk == chunk && Some(hop.version) == self.table.version(slot))
            .filter(|_| self.blames.admit(session, now_ms, self.options.blame_ms));
        if let Some(hop) = failed {
            self.leave_out_filling(slot, hop.to, now_ms);
        }
        if let Some(status) = self.refusal_of_full(slot, failed, now_ms, out) {
            return self.refuse(waiter, status, out);
        }
        if let Some(hop) = failed {
            let chain = self.chain_after(slot, hop, now_ms);
            if !chain.is_empty() {
                return self.start_raise(slot, &chain, None, waiter, now_ms, out);
            }
        }
        match self.hand_out(slot, now_ms) {
            Some(grant) => out.push(Command::Granted { ticket, grant: Ok(grant) }),
            None => self.raise_current(slot, waiter, now_ms, out),
        }
    }

    /// Members of the chain that follows one in which this hop failed.
    fn chain_after(&mut self, slot: ChunkSlot, hop: &FailedHop, now_ms: u64) -> Vec<u16> {
        self.failed_hops += 1;
        let mut chain: Vec<u16> = self.table.replicas(slot).current().collect();
        if hop.status == types::Status::Gap {
            return chain; // A member forgot what it took; its disk has it. All begin anew.
        }
        let member = |disk| self.hosts.disk_number(disk).filter(|disk| chain.contains(disk));
        let (from, to) = (hop.from.and_then(member), member(hop.to));
        let Some(to) = to.filter(|to| from != Some(*to)) else { return chain };
        if hop.from.is_some() && from.is_none() {
            return chain; // Accused by somebody outside the chain: not a hop of it.
        }
        self.blames.note(from, to, now_ms, self.options.blame_ms);
        if chain.len() == 1 {
            return chain;
        }
        if let Some(near) = from.filter(|near| self.blames.blames_everybody(*near)) {
            chain.retain(|disk| *disk != near);
        } else if from.is_none_or(|from| chain.len() > 2 || self.blames.confirmed(from, to)) {
            chain.retain(|disk| *disk != to);
        } else if let Some(at) = chain.iter().position(|disk| *disk == to) {
            // Only the one that would remain accuses it. The raise shows whether it answers; as head of
            // the next chain it is reached on another way.
            chain[..=at].rotate_right(1);
        }
        chain
    }

    /// Whether a chunk has fewer replicas than wanted only because the start was a moment ago.
    pub(crate) fn waits_for_more(&self, slot: ChunkSlot, now_ms: u64) -> bool {
        self.in_grace(now_ms) && self.table.replicas(slot).current().count() < self.options.goal
    }
}
