//! Judging the members of a chain by the reports of hops that failed (`docs/protocol/grants.md`, *A failed hop*).
//!
//! A report names an edge: who could not reach whom. It comes from a client, which may be wrong, so both ends are asked:
//! each says with its answer to the raise whether the chain had failed there. The near end's word decides unless it denies
//! it; then the far end's does.
//!
//! # Invariants
//! 1. Nobody is left out if both ends deny it, and nothing is held against the near end.
//! 2. A chain is left with no fewer sound members than may acknowledge a write, and never with nobody.
//! 3. A chain of two does not become one by the word of the one that would remain, while the other answers the master.
//! 4. A session has [`REPORTS_MAX`] reports within [`crate::FleetOptions::blame_ms`]; later ones change nothing.

use crate::fleet::Fleet;
use crate::raise::Purposes;
use crate::{Command, HopCounts};
use std::collections::{BTreeMap, VecDeque};
use types::{ChunkSlot, FailedHop, SessionId, Status};

/// Most accusations remembered; the oldest goes first.
const BLAMES_MAX: usize = 4096;
/// Reports of failed hops that one session may make within [`crate::FleetOptions::blame_ms`]; later ones
/// are answered with the chain as it is.
pub(crate) const REPORTS_MAX: u32 = 256;

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
    pub(crate) counts: HopCounts,
}

impl Blames {
    /// Counts a session's report; false if it makes too many.
    pub(crate) fn admit(&mut self, session: SessionId, now_ms: u64, window_ms: u64) -> bool {
        let (since, count) = self.sessions.entry(session).or_insert((now_ms, 0));
        if now_ms.saturating_sub(*since) >= window_ms {
            (*since, *count) = (now_ms, 0);
        }
        *count = count.saturating_add(1);
        let admitted = *count <= REPORTS_MAX;
        self.counts.reported += 1;
        self.counts.ignored += u64::from(!admitted);
        admitted
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

/// A member is said to have failed to reach another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Accusation {
    pub(crate) near: u16,
    pub(crate) far: u16,
}

/// What a member of a raise says of its chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Word {
    /// Not heard yet.
    Awaited,
    /// It remembers all it took, and nothing failed there.
    Denies,
    /// The chain failed there, or it does not remember.
    DoesNotDeny,
}

/// What the words of both ends come to; `None`: one of them is no member any more.
fn weigh(near: Option<Word>, far: Option<Word>) -> Outcome {
    match (near, far) {
        (None, _) | (_, None) => Outcome::Moot,
        (Some(Word::DoesNotDeny), _) | (Some(Word::Denies), Some(Word::DoesNotDeny)) => Outcome::Upheld,
        (Some(Word::Denies), Some(Word::Denies)) => Outcome::Denied,
        (Some(Word::Awaited), _) | (_, Some(Word::Awaited)) => Outcome::Open,
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Open,
    Moot,
    Denied,
    Upheld,
}

impl Fleet {
    /// Raises a chunk of which this hop failed, without the one whom a client could not reach; where members accuse each
    /// other both are asked first.
    pub(crate) fn raise_after(
        &mut self,
        slot: ChunkSlot,
        hop: &FailedHop,
        mut purposes: Purposes,
        now_ms: u64,
        out: &mut Vec<Command>,
    ) {
        let set = self.table.replicas(slot);
        let mut chain: Vec<u16> = set.members().collect();
        if chain.is_empty() {
            return self.raise_current(slot, purposes, now_ms, out);
        }
        let member = |disk| self.hosts.disk_number(disk).filter(|disk| chain.contains(disk));
        let (from, to) = (hop.from.and_then(member), member(hop.to));
        let needs_all = self.needs_all(slot);
        // A member that forgot what it took has it on its disk, and one that can take nothing for the moment hears no master, or has too
        // much to do: all begin anew, and who does not answer is left behind.
        let is_well = matches!(hop.status, Status::Gap | Status::TryAgain);
        let to = to.filter(|to| !is_well && !needs_all && from != Some(*to));
        match (hop.from, from, to) {
            (Some(_), Some(near), Some(far)) => purposes.accused = Some(Accusation { near, far }),
            (None, _, Some(far)) => {
                self.blames.note(None, far, now_ms, self.options.blame_ms);
                let rest = chain.iter().copied().filter(|disk| *disk != far);
                if self.may_acknowledge(slot, &set, rest.clone(), now_ms) {
                    chain = rest.collect();
                    self.blames.counts.far_left_out += 1;
                } else {
                    self.blames.counts.spared += 1;
                }
            }
            // Not a hop of this chain.
            _ => {}
        }
        self.start_raise(slot, &chain, purposes, now_ms, out);
    }

    /// Pages of a replica are torn or damaged: whoever is left out may have the only sound ones.
    fn needs_all(&self, slot: ChunkSlot) -> bool {
        self.healing.is_torn(slot) || self.table.replicas(slot).damaged().next().is_some()
    }

    /// A member of a raise was heard: who is left out for the hop that failed, if that can be said by now.
    pub(crate) fn judge_hop(&mut self, slot: ChunkSlot, now_ms: u64) {
        let Some(Accusation { near, far }) = self.raises.accusation(slot) else { return };
        match weigh(self.raises.word(slot, near), self.raises.word(slot, far)) {
            Outcome::Open => return,
            Outcome::Moot => {}
            Outcome::Denied => self.blames.counts.denied += 1,
            Outcome::Upheld => self.leave_out(slot, near, far, now_ms),
        }
        self.raises.close_accusation(slot);
    }

    /// The hop did fail: the far end goes, or the near end, if it blames everybody.
    fn leave_out(&mut self, slot: ChunkSlot, near: u16, far: u16, now_ms: u64) {
        self.blames.note(Some(near), far, now_ms, self.options.blame_ms);
        let set = self.table.replicas(slot);
        let members = self.raises.members(slot);
        let at_fault = if self.blames.blames_everybody(near) { near } else { far };
        let rest = || members.iter().copied().filter(|disk| *disk != at_fault);
        let by_its_word_alone = at_fault == far && rest().count() == 1 && !self.blames.confirmed(near, far);
        if by_its_word_alone || self.needs_all(slot) || !self.may_acknowledge(slot, &set, rest(), now_ms) {
            // As head of the next chain the accused one is reached on another way.
            self.raises.put_first(slot, far);
            self.blames.counts.spared += 1;
            return;
        }
        self.drop_member(slot, at_fault);
        let counts = &mut self.blames.counts;
        *(if at_fault == near { &mut counts.near_left_out } else { &mut counts.far_left_out }) += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_near_ends_word_decides_unless_it_denies_and_both_denials_acquit() {
        use Word::{Awaited, Denies, DoesNotDeny};
        let table = [
            (Some(Awaited), Some(DoesNotDeny), Outcome::Open),
            (Some(Denies), Some(Awaited), Outcome::Open),
            (Some(Denies), Some(Denies), Outcome::Denied),
            (Some(Denies), Some(DoesNotDeny), Outcome::Upheld),
            (Some(DoesNotDeny), Some(Awaited), Outcome::Upheld),
            (Some(DoesNotDeny), Some(Denies), Outcome::Upheld),
            (None, Some(DoesNotDeny), Outcome::Moot),
            (Some(DoesNotDeny), None, Outcome::Moot),
        ];
        for (near, far, outcome) in table {
            assert_eq!(weigh(near, far), outcome, "{near:?} {far:?}");
        }
    }

    #[test]
    fn a_session_has_so_many_reports_a_minute_and_all_are_counted() {
        let mut blames = Blames::default();
        let mut admitted = |now_ms| blames.admit(SessionId(1), now_ms, 60_000);
        assert!((0..REPORTS_MAX).all(|_| admitted(5)));
        assert!(!admitted(60_004));
        assert!(admitted(60_005));
        assert!(blames.admit(SessionId(2), 5, 60_000), "another one has its own");
        let counts = blames.counts;
        assert_eq!((counts.reported, counts.ignored), (u64::from(REPORTS_MAX) + 3, 1));
    }
}
