//! Healing: a chunk with too few replicas gets another, and one with too many loses some, without being asked.
//!
//! The order of steps is in `docs/protocol/healing.md`. Chunks get into the queues when their replicas change
//! ([`Fleet::put_replicas`]) and leave them in the same way; nothing here walks over chunks that are well.
//! Each pass looks at a bounded number of queued chunks, endangered ones first.
//!
//! # Invariants
//! 1. `endangered`, `undergoal` and `leaving` hold exactly the chunks of that health; `surplus` those at their goal or above
//!    that have a replica which is not needed, `misplaced` those at their goal whose replicas are not where their class wants them.
//!    When a class or a label changed, this holds of a chunk from its next look on (`review`).
//! 2. A chunk has at most one copy that counts; a server reads and writes at most
//!    [`crate::FleetOptions::copies_per_server`] of them, or as many as its limit says (`limits`).
//! 3. A copy begins only under a version that was granted to nobody, and closes the chain: the next grant raises.
//!    So a replica of that version has all that the others have, whenever it turns up.
//! 4. No copy begins while the fleet settles after a start.
//! 5. `unsettled` holds exactly the chunks that the table calls so; `unfinished` those of which a raise failed, so that
//!    replicas may have a version that nobody was told of.

mod balance;
mod copy;
mod doubtful;
mod holdoff;
mod mend;
mod misplaced;
mod remove;
mod room;
mod unfinished;
mod unsettled;

use crate::fleet::Fleet;
use crate::slot_set::SlotSet;
use crate::table::{ChunkTable, Health};
use crate::{Command, Obstacle};
use balance::Balance;
use copy::Copy;
pub(crate) use holdoff::Silence;
use mend::Mending;
use remove::{REMOVALS_MAX, Removal};
use std::collections::BTreeMap;
use types::{ChunkSlot, Status};

/// Queued chunks of one health that one pass looks at: a fraction of a millisecond.
const LOOKED_MAX: usize = 2_048;
/// Raises that run before no more are begun for chunks that nobody asks for: after a loss of power they are thousands.
pub(crate) const RAISES_MAX: usize = 128;
/// Pause after a look at all queued chunks at which nothing could be begun and nothing is under way.
const IDLE_MS: u64 = 500;
/// First pause after a copy that failed; doubled with each further failure of that chunk.
const RETRY_MS: u64 = 1_000;
/// Most doublings of a pause.
const DOUBLINGS_MAX: u32 = 6;

/// Chunks that wait, and where the next look begins.
#[derive(Debug, Default)]
struct Queue {
    slots: SlotSet,
    next: ChunkSlot,
}

impl Queue {
    fn set(&mut self, slot: ChunkSlot, wanted: bool) {
        if wanted { self.slots.insert(slot) } else { self.slots.remove(slot) }
    }

    /// The next chunks in turn, each at most once.
    fn batch(&mut self, most: usize) -> Vec<ChunkSlot> {
        let from = self.next;
        let later = self.slots.iter_from(from);
        let batch: Vec<ChunkSlot> =
            later.chain(self.slots.iter().take_while(|slot| *slot < from)).take(most).collect();
        self.next = batch.last().map_or(ChunkSlot(0), |last| ChunkSlot(last.0.saturating_add(1)));
        batch
    }
}

/// Why a chunk has to wait although it is its turn.
#[derive(Clone, Copy, Debug, Default)]
struct Later {
    /// Its writer is left alone until then.
    alone_until_ms: u64,
    /// After failures the next try comes then.
    retry_ms: u64,
    failures: u32,
    /// The disk to which a copy failed last.
    failed_to: Option<u16>,
    /// Every replica refused to be cut, for this reason: until then nobody asks them again.
    refused: Option<(Status, u64)>,
}

/// Copies that a server takes part in.
#[derive(Clone, Copy, Debug, Default)]
struct Load {
    reading: usize,
    writing: usize,
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Healing {
    endangered: Queue,
    undergoal: Queue,
    leaving: Queue,
    surplus: Queue,
    misplaced: Queue,
    unsettled: Queue,
    unfinished: Queue,
    damaged: Queue,
    mending: BTreeMap<ChunkSlot, Mending>,
    /// Unsettled chunks with a replica that has torn pages.
    torn: SlotSet,
    removals: BTreeMap<ChunkSlot, Removal>,
    copies: BTreeMap<ChunkSlot, Copy>,
    /// Of queued chunks only.
    later: BTreeMap<ChunkSlot, Later>,
    load: BTreeMap<u16, Load>,
    balance: Balance,
    /// Nothing to do before this moment, unless something changes.
    idle_until_ms: u64,
    /// Copies that were timed, and how long one took of late.
    pub(crate) measured: u64,
    pub(crate) mean_ms: u64,
    /// Replicas made so far.
    pub(crate) copied: u64,
    /// Replicas removed so far because there were enough others.
    pub(crate) removed: u64,
}

impl Healing {
    /// A chunk's replicas changed.
    pub(crate) fn classify(
        &mut self,
        slot: ChunkSlot,
        health: Option<Health>,
        surplus: bool,
        misplaced: bool,
    ) {
        self.endangered.set(slot, health == Some(Health::Endangered));
        self.undergoal.set(slot, health == Some(Health::Undergoal));
        self.leaving.set(slot, health == Some(Health::Leaving));
        self.surplus.set(slot, surplus);
        self.misplaced.set(slot, misplaced);
        if self.is_queued(slot) {
            self.wake();
        } else {
            self.later.remove(&slot);
        }
    }

    /// Something changed that may allow what was not possible.
    pub(crate) fn wake(&mut self) {
        self.idle_until_ms = 0;
    }

    /// Somebody was given the right to write the chunk: it is probably about to be written, and to be left alone soon. That
    /// is waited for once: who comes again and again would put the chunk off for ever.
    pub(crate) fn granted(&mut self, slot: ChunkSlot, now_ms: u64, quiet_ms: u64) {
        if self.is_queued(slot) {
            let fresh = Later { alone_until_ms: now_ms + quiet_ms, ..Later::default() };
            self.later.entry(slot).or_insert(fresh);
        }
    }

    /// The chunk is not looked at for so long.
    fn leave_alone(&mut self, slot: ChunkSlot, now_ms: u64, pause_ms: u64) {
        if self.is_queued(slot) {
            let later = self.later.entry(slot).or_default();
            later.alone_until_ms = later.alone_until_ms.max(now_ms + pause_ms);
        }
    }

    /// The chunk's turn comes again after a pause that doubles each time.
    fn put_off(&mut self, slot: ChunkSlot, now_ms: u64, pause_ms: u64) {
        if !self.is_queued(slot) {
            return;
        }
        let later = self.later.entry(slot).or_default();
        let pause_ms = pause_ms << later.failures.min(DOUBLINGS_MAX);
        later.failures += 1;
        later.retry_ms = later.retry_ms.max(now_ms + pause_ms);
    }

    /// Somebody waits for what failed: it is tried again as after a first failure.
    pub(crate) fn hasten(&mut self, slot: ChunkSlot, now_ms: u64) {
        if let Some(later) = self.later.get_mut(&slot) {
            later.retry_ms = later.retry_ms.min(now_ms + RETRY_MS);
            self.wake();
        }
    }

    /// An edit ended because every replica refuses it, of a chunk that is short of replicas. It gets them next: more raises with cuts, each
    /// of which fails, would put that off.
    pub(crate) fn edit_refused(&mut self, slot: ChunkSlot, why: Status, now_ms: u64, pause_ms: u64) {
        self.hasten(slot, now_ms);
        if let Some(later) = self.later.get_mut(&slot) {
            later.refused = Some((why, now_ms + pause_ms));
        }
    }

    /// Why an edit of the chunk ended a moment ago.
    pub(crate) fn refusal(&self, slot: ChunkSlot, now_ms: u64) -> Option<Status> {
        let (why, until_ms) = self.later.get(&slot)?.refused?;
        (now_ms < until_ms).then_some(why)
    }

    /// A disk has told all it holds: what failed without it may succeed with it, so the chunks on it wait no longer.
    pub(crate) fn disk_is_back(&mut self, table: &ChunkTable, disk: u16) {
        let concerned = |slot: &ChunkSlot| table.replicas(*slot).state(disk).is_some();
        for (_, later) in self.later.iter_mut().filter(|(slot, later)| later.failures > 0 && concerned(slot))
        {
            (later.retry_ms, later.failures) = (0, 0);
        }
    }

    fn is_queued(&self, slot: ChunkSlot) -> bool {
        let queues = [
            &self.endangered,
            &self.undergoal,
            &self.leaving,
            &self.surplus,
            &self.misplaced,
            &self.unsettled,
            &self.unfinished,
            &self.damaged,
        ];
        queues.iter().any(|queue| queue.slots.contains(slot))
    }

    /// Why the chunk has to wait although it is its turn.
    fn why_later(&self, slot: ChunkSlot, now_ms: u64) -> Option<Obstacle> {
        let later = self.later.get(&slot)?;
        match () {
            () if now_ms < later.alone_until_ms => Some(Obstacle::BeingWritten),
            () if later.failures > 0 => Some(Obstacle::Failed),
            () => None,
        }
    }

    /// Copies under way.
    pub(crate) fn copying(&self) -> usize {
        self.copies.len()
    }
}

impl Fleet {
    /// Begins what can be begun now.
    pub(crate) fn heal(&mut self, now_ms: u64, out: &mut Vec<Command>) {
        if !self.settled() || now_ms < self.healing.idle_until_ms {
            return;
        }
        let begun = self.finish_raises(now_ms, out)
            | self.begin_comparisons(now_ms, out)
            | self.begin_mending(now_ms, out)
            | self.begin_copies(now_ms, out)
            | self.begin_removals(now_ms, out)
            | self.begin_moves(now_ms, out)
            | self.begin_balancing(now_ms, out);
        let Healing { copies, mending, removals, .. } = &self.healing;
        let is_idle =
            copies.is_empty() && mending.is_empty() && removals.is_empty() && self.raises.len() == 0;
        if !begun && is_idle {
            self.healing.idle_until_ms = now_ms + IDLE_MS;
        }
        self.tell_paces(out);
    }

    /// Whether a replica of the chunk is being made, or its version raised for that.
    pub(crate) fn is_copied(&self, slot: ChunkSlot) -> bool {
        self.healing.copies.contains_key(&slot)
    }

    /// Why the chunk has to wait although it is its turn.
    pub(crate) fn why_later(&self, slot: ChunkSlot, now_ms: u64) -> Option<Obstacle> {
        self.healing.why_later(slot, now_ms)
    }

    /// Until when, if that is known.
    pub(crate) fn later_ms(&self, slot: ChunkSlot) -> Option<u64> {
        self.healing.later.get(&slot).map(|later| later.alone_until_ms.max(later.retry_ms))
    }

    /// Whether a damaged replica of the chunk is being mended, and whether one that is not needed is being removed.
    pub(crate) fn is_worked_on(&self, slot: ChunkSlot) -> (bool, bool) {
        (self.healing.mending.contains_key(&slot), self.healing.removals.contains_key(&slot))
    }

    /// Whether the chunk cannot have its turn, whatever it lacks.
    fn is_put_off(&self, slot: ChunkSlot, now_ms: u64) -> bool {
        self.healing.copies.contains_key(&slot)
            || self.healing.mending.contains_key(&slot)
            || self.healing.removals.contains_key(&slot)
            || self.raises.is_running(slot)
            || self.waits_for_pages(slot, now_ms)
            || self.waits_for_witnesses(slot, now_ms)
            || self
                .healing
                .later
                .get(&slot)
                .is_some_and(|later| now_ms < later.alone_until_ms.max(later.retry_ms))
    }

    /// All replicas here are damaged, and one that has their pages may come back: a raise would leave it behind.
    fn waits_for_pages(&self, slot: ChunkSlot, now_ms: u64) -> bool {
        let set = self.table.replicas(slot);
        let here: Vec<u16> = set.current().collect();
        !here.is_empty() && self.leaves_pages_behind(slot, &set, &here, now_ms)
    }

    /// How many raises may be begun that nobody asks for: more would keep those waiting that somebody asks for.
    fn room_for_raises(&self) -> usize {
        RAISES_MAX.saturating_sub(self.raises.under_way())
    }

    fn begin_removals(&mut self, now_ms: u64, out: &mut Vec<Command>) -> bool {
        let mut begun = false;
        if self.healing.removals.len() < REMOVALS_MAX {
            for slot in self.healing.surplus.batch(LOOKED_MAX) {
                if self.is_put_off(slot, now_ms) || self.healing.removals.len() >= REMOVALS_MAX {
                    continue;
                }
                if self.has_surplus(slot) {
                    begun |= self.begin_removal(slot, now_ms, out);
                } else {
                    self.look_again(slot);
                }
            }
        }
        begun
    }

    /// Whether the chunk has fewer sound replicas that count than its class wants, and some.
    pub(crate) fn is_short(&self, slot: ChunkSlot) -> bool {
        matches!(self.table.health(slot), Some(Health::Endangered | Health::Undergoal | Health::Leaving))
    }

    fn begin_copies(&mut self, now_ms: u64, out: &mut Vec<Command>) -> bool {
        let silence = self.silence();
        let mut begun = false;
        for health in [Health::Endangered, Health::Undergoal, Health::Leaving] {
            let queue = match health {
                Health::Endangered => &mut self.healing.endangered,
                Health::Undergoal => &mut self.healing.undergoal,
                _ => &mut self.healing.leaving,
            };
            for slot in queue.batch(LOOKED_MAX) {
                if self.no_copy_has_room(now_ms) {
                    return begun;
                }
                let ripe = now_ms >= self.healed_from_ms(slot, &silence, health == Health::Endangered);
                if ripe && !self.is_put_off(slot, now_ms) && !self.waits_for_torn(slot, now_ms) {
                    if self.is_short(slot) {
                        begun |= self.begin_copy(slot, Self::destination, now_ms, out);
                    } else {
                        self.look_again(slot);
                    }
                }
            }
        }
        begun
    }
}
