//! The right to write a chunk that exists.
//!
//! # Invariants
//! 1. A chain is handed out only if it was granted in this reign by a stable record and its set of
//!    replicas has not changed since; else the chunk is raised first.
//! 2. A report about a version that is no longer the chunk's changes nothing: it has been dealt with.
//!
//! # Elsewhere
//! Who is left out of a chain that failed: `hops`. How few may remain: `min_write`.

use crate::fleet::Fleet;
use crate::raise::Purposes;
use crate::{Command, Ticket};
use types::{ChunkId, ChunkSlot, FailedHop, SessionId};

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
        if self.is_out_of_reach(slot, now_ms) {
            return self.hold_back(waiter, out);
        }
        if self.raises.is_running(slot) {
            if !self.raises.join(slot, ticket, now_ms + self.options.raise_timeout_ms) {
                self.refuse(waiter, types::Status::TryAgain, out);
            }
            return;
        }
        let reported =
            failed.filter(|hop| hop.chunk == chunk && Some(hop.version) == self.table.version(slot));
        let failed = reported.filter(|_| self.blames.admit(session, now_ms, self.options.blame_ms));
        if let Some(hop) = failed {
            self.leave_out_filling(slot, hop.to, now_ms);
        }
        if let Some(status) = self.refusal_of_full(slot, failed, now_ms, out) {
            return self.refuse(waiter, status, out);
        }
        if let Some(hop) = failed {
            return self.raise_after(slot, hop, waiter, now_ms, out);
        }
        // Too many reports blame nobody; but what was sent under this version may still be on its way.
        match self.hand_out(slot, now_ms).filter(|_| reported.is_none()) {
            Some(grant) => out.push(Command::Granted { ticket, grant: Ok(grant) }),
            None => self.raise_current(slot, waiter, now_ms, out),
        }
    }

    /// Whether a chunk has fewer replicas than wanted only because the start was a moment ago, or because its servers
    /// were stopped a moment ago and one has torn pages.
    pub(crate) fn waits_for_more(&self, slot: ChunkSlot, now_ms: u64) -> bool {
        self.in_grace(now_ms) && self.table.replicas(slot).current().count() < self.goal(slot)
            || self.waits_for_torn(slot, now_ms)
    }
}
