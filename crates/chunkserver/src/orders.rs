//! What masters order: raising, deleting, verifying, copying (`copy`) and repairing (`repair`) replicas.
//!
//! # Invariants
//! 1. An order of a lower term than the highest seen is refused.
//! 2. Before a replica is changed its chain is closed and drained, so that no frame of the old version is
//!    queued or running; what was taken is applied first, for members behind may have it.
//! 3. An order carried out twice changes nothing the second time, and does not disturb the chain.
//! 4. Whatever version a raise gave a replica, each master hears of it, also one that came while the disk was at it.
//!
//! # Elsewhere
//! Whose turn it is, and which order is not begun any more: `turns`.

use crate::chain::Chain;
use crate::chains::Chains;
use crate::config::{DELETED_HOLD, ORDER_WAIT_MAX, UNKNOWN_HOLD};
use crate::disks::{Disks, Slot, on_disk};
use crate::events::Events;
use crate::pace::Paces;
use crate::standing::Standing;
use crate::turns::{Claim, Tie, Turns};
use codec::control::{Cut, Order, OrderDone, OrderKind, TOUCHED_MAX};
use env::Clock;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use store::{Disk, InventoryEntry, ReplicaState, StoreError};
use types::{
    BLOCK_BYTES, BlockRange, CHUNK_BYTES, ChunkId, DiskId, Memory, Status, Term, Unsettled, Verifier, Version,
};
use wire::chain::{Closed, Origin};

/// What orders need.
pub(crate) struct Orders {
    pub(crate) standing: Arc<Standing>,
    pub(crate) disks: Arc<Disks>,
    pub(crate) chains: Arc<Chains>,
    pub(crate) context: Arc<crate::chain::Context>,
    pub(crate) clock: Arc<dyn Clock>,
    /// How fast copies that were ordered may go.
    pub(crate) paces: Paces,
    /// Of orders for disks that are not here.
    pub(crate) strays: Arc<Turns>,
}

/// How an order ended, apart from its number.
#[derive(Debug)]
struct Ended {
    result: Result<(), Status>,
    found: Option<Version>,
    closed: Closed,
    memory: Memory,
}

impl From<Result<(), Status>> for Ended {
    fn from(result: Result<(), Status>) -> Self {
        Self { result, found: None, closed: Closed::default(), memory: Memory::Kept }
    }
}

/// What a disk did with a replica.
struct OnDisk {
    result: Result<(), StoreError>,
    /// The version it has now.
    now: Option<Version>,
    /// What it remembers of the writes before, if its chain does not.
    memory: Memory,
    /// Under what it answers, if it was raised.
    verifier: Option<Verifier>,
}

impl OnDisk {
    fn untouched() -> Self {
        Self { result: Ok(()), now: None, memory: Memory::Kept, verifier: None }
    }
}

impl Orders {
    /// Takes an order that came over a link, to be carried out in its turn; or refuses it, since too many wait for its disk.
    pub(crate) fn claim(&self, order: &Order, tie: &Tie) -> Result<Arc<Claim>, OrderDone> {
        let (disk, chunk) = target(&order.what);
        let slot = self.disks.get(disk);
        let turns = slot.as_ref().map_or(&self.strays, |slot| &slot.turns);
        let claim = turns.claim(&order.what, tie).map(|mut claim| {
            if matches!(order.what, OrderKind::Copy { .. } | OrderKind::Feed { .. }) {
                claim.pace = Some(self.paces.begin(disk, chunk));
            } else {
                // What is copied there is overtaken: it comes to its end at its next question.
                self.paces.set(disk, chunk, 0);
            }
            claim
        });
        claim.map(Arc::new).ok_or_else(|| done(order.order, Err(Status::TryAgain).into()))
    }

    /// Lets a copy that was ordered go so fast. At once: it takes no turn.
    pub(crate) fn pace(&self, order: u64, disk: DiskId, chunk: ChunkId, bytes_per_s: u64) -> OrderDone {
        let known = self.paces.set(disk, chunk, bytes_per_s);
        done(order, if known { Ok(()) } else { Err(Status::NoChunk) }.into())
    }

    /// Carries out one order in its turn.
    pub(crate) async fn carry_out(&self, order: Order, claim: &Arc<Claim>) -> OrderDone {
        let number = order.order;
        let turn = claim.turn().await;
        let ended = if turn.is_none() || claim.is_void() {
            Err(Status::TryAgain).into()
        } else if order.term < self.standing.highest_term() {
            Err(Status::WrongTerm).into()
        } else {
            self.of_term(order.term, order.what, claim).await
        };
        drop(turn);
        if let Err(status) = ended.result {
            // A delete of what was never written is the ordinary end of an unused grant.
            match status {
                Status::NoChunk => {
                    tracing::debug!(order = number, "an order concerned a chunk that is not here")
                }
                _ => {
                    tracing::info!(order = number, %status, found = ?ended.found, "an order was not carried out")
                }
            }
        }
        done(number, ended)
    }

    async fn of_term(&self, term: Term, what: OrderKind, claim: &Arc<Claim>) -> Ended {
        let (disk, chunk) = match (target(&what), &what) {
            ((disk, _), OrderKind::Close { replicas, .. }) => {
                return self.disks.close(disk, *replicas, &self.chains).await.into();
            }
            (place, _) => place,
        };
        let Some(slot) = self.disks.get(disk) else { return Err(Status::NoChunk).into() };
        if slot.disk().is_none() {
            return Err(Status::Io).into();
        }
        match &what {
            OrderKind::Verify { version, .. } => return self.verify(&slot, disk, chunk, *version).await,
            OrderKind::Mend { version, sources, .. } => {
                return self.mend(&slot, (disk, chunk), term, *version, sources).await.into();
            }
            OrderKind::MendTorn { version, sources, doubted, .. } => {
                return self.mend_torn(&slot, (disk, chunk), term, *version, sources, doubted).await.into();
            }
            OrderKind::Feed { version, sources, .. } => {
                let pace = claim.pace.as_ref();
                return self.feed(disk, chunk, term, *version, sources, pace).await.into();
            }
            _ => {}
        }
        loop {
            let chain = self.chains.for_order(&slot, disk, chunk);
            let Some(_order) = within(chain.order.lock()).await else { return Err(Status::TimedOut).into() };
            // The order before this one may have ended it: frames find another one by now.
            if chain.is_gone() {
                self.chains.forget(&chain);
                continue;
            }
            if claim.is_void() {
                return Err(Status::TryAgain).into();
            }
            return self.of_chain(&slot, &chain, term, what, claim).await;
        }
    }

    /// Carries out what changes a replica; its chain's `order` is held.
    async fn of_chain(
        &self,
        slot: &Arc<Slot>,
        chain: &Arc<Chain>,
        term: Term,
        what: OrderKind,
        claim: &Arc<Claim>,
    ) -> Ended {
        match what {
            OrderKind::Verify { .. }
            | OrderKind::Close { .. }
            | OrderKind::Mend { .. }
            | OrderKind::MendTorn { .. }
            | OrderKind::Pace { .. }
            | OrderKind::Feed { .. } => {
                unreachable!("they change no chain")
            }
            OrderKind::Raise { from, to, cuts, .. } => self.raise(slot, chain, from, to, cuts, claim).await,
            OrderKind::Copy { version, sources, .. } => {
                self.copy(slot, chain, term, version, &sources, claim.pace.as_ref()).await.into()
            }
            OrderKind::Fill { version, .. } => self.begin_filling(slot, chain, version).await.into(),
            OrderKind::Repair { version, source, blocks, .. } => {
                self.repair(slot, chain, term, version, source, &blocks).await.into()
            }
            OrderKind::Delete { version, unknown, .. } => {
                self.delete(slot, chain, version, unknown, claim).await
            }
        }
    }

    /// Looks whether a replica is what the master takes it for. Writes of it go on meanwhile.
    async fn verify(&self, slot: &Arc<Slot>, disk: DiskId, chunk: ChunkId, version: Version) -> Ended {
        if slot.turns.is_deleting(chunk) {
            return Err(Status::TryAgain).into();
        }
        match on_disk(slot, move |disk| disk.check(chunk, version)).await {
            Ok(Ok(())) => Ok(()).into(),
            Ok(Err(error)) => {
                note(&self.context.events, slot, disk, chunk, Some(version), &error);
                Err(error.status()).into()
            }
            Err(_) => Err(Status::Io).into(),
        }
    }

    async fn raise(
        &self,
        slot: &Arc<Slot>,
        chain: &Arc<Chain>,
        from: Version,
        to: Version,
        cuts: Vec<Cut>,
        claim: &Claim,
    ) -> Ended {
        if chain.open_version() == Some(to) {
            // Repeated; writes of the new version may be under way.
            return Ended { found: Some(to), ..Ok(()).into() };
        }
        let Some(mut closed) = within(chain.close(Status::WrongVersion)).await else {
            return Err(Status::TimedOut).into();
        };
        let chunk = chain.chunk;
        let cuts: Vec<(u64, u64)> = cuts.iter().map(|cut| (u64::from(cut.from), u64::from(cut.to))).collect();
        let touched = !closed.unacknowledged.is_empty();
        let done = on_disk(slot, move |disk| {
            let is_damaged = || disk.entry(chunk).is_ok_and(|entry| entry.damaged);
            let before = is_damaged();
            (raise_on(disk, chunk, from, to, &cuts, touched), !before && is_damaged())
        });
        let done = done.await;
        // A cut goes through damage that it meets.
        if let Ok(((OnDisk { result: Ok(()), .. }, _), true)) = &done {
            self.context.events.damaged(chain.disk, chunk, to);
        }
        if let Ok(((_, Raised::Unfinished), _)) = &done {
            closed.unacknowledged = vec![(0, CHUNK_BYTES)];
        }
        // The disk took longer than the link lasted, and may have been reported over another one as it was before.
        if claim.is_void() && !matches!(done, Ok(((_, Raised::Not), _))) {
            self.disks.tell_anew();
        }
        let done = done.map(|((on_disk, raised), _)| (on_disk, raised != Raised::Not));
        self.after(chain, done, closed, |now, raised| {
            let origin = if raised { Origin::Beginning } else { Origin::Unknown };
            (now == to).then_some(origin)
        })
    }

    async fn delete(
        &self,
        slot: &Arc<Slot>,
        chain: &Arc<Chain>,
        version: Version,
        unknown: bool,
        claim: &Arc<Claim>,
    ) -> Ended {
        let Some(closed) = within(chain.close(Status::NoChunk)).await else {
            return Err(Status::TimedOut).into();
        };
        let (chunk, now_s) = (chain.chunk, u64::try_from(self.clock.wall().0).unwrap_or(0));
        let longer = if unknown { UNKNOWN_HOLD - DELETED_HOLD } else { Duration::ZERO };
        let now_s = now_s + longer.as_secs();
        // The job may wait for its disk while the link breaks and the replica is told anew.
        let claim = Arc::clone(claim);
        let done = on_disk(slot, move |disk| delete_on(disk, chunk, version, now_s, &claim)).await;
        let void = matches!(done, Ok(None));
        let done = done.map(|done| (done.unwrap_or_else(OnDisk::untouched), false));
        let ended = self.after(chain, done, closed, |_, _| None);
        if void { Err(Status::TryAgain).into() } else { ended }
    }

    /// Reopens the chain or drops it: a replica whose state is not known for sure is read again when the next
    /// frame comes.
    fn after(
        &self,
        chain: &Arc<Chain>,
        done: std::io::Result<(OnDisk, bool)>,
        closed: Closed,
        origin: impl Fn(Version, bool) -> Option<Origin>,
    ) -> Ended {
        let mut memory = Memory::Kept;
        let (result, found) = match done {
            Ok((OnDisk { result, now, memory: of_disk, verifier }, raised)) => {
                // What is torn is torn, whatever was taken since.
                if closed.forgot || of_disk.is_torn() {
                    memory = of_disk;
                }
                let origin = now.filter(|_| result.is_ok()).and_then(|now| origin(now, raised));
                match (origin, now, verifier) {
                    (Some(origin), Some(now), Some(verifier)) => {
                        chain.reopen(now, verifier, origin, closed.clone());
                    }
                    _ => chain.leave(),
                }
                if let Err(error) = &result {
                    note(&self.context.events, &chain.slot, chain.disk, chain.chunk, now, error);
                }
                (result.map_err(|error| error.status()), now)
            }
            Err(error) => {
                tracing::warn!(disk = %chain.disk, chunk = %chain.chunk, %error, "an order was lost on its disk");
                chain.leave();
                (Err(Status::Io), None)
            }
        };
        // Does nothing to a chain that was reopened.
        if chain.is_gone() {
            self.chains.forget(chain);
        }
        Ended { result, found, closed, memory }
    }
}

pub(crate) fn note(
    events: &Events,
    slot: &Slot,
    disk: DiskId,
    chunk: ChunkId,
    version: Option<Version>,
    error: &StoreError,
) {
    if matches!(
        error,
        StoreError::Absent { .. } | StoreError::WrongVersion { .. } | StoreError::Filling { .. }
    ) {
        return;
    }
    tracing::warn!(%disk, %chunk, %error, "an order failed on its disk");
    slot.count_error();
    if let (true, Some(version)) = (error.is_damage(), version) {
        events.damaged(disk, chunk, version);
    }
}

/// Whether a replica was raised now, so that nothing was written yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Raised {
    /// It had the version already, or has not got it.
    Not,
    Now,
    /// From a version of an earlier reign of which its master does not know: what that raise cut may be cut here alone.
    Unfinished,
}

/// Raises from whatever version in `from..to` is found.
/// `touched`: members behind may lack some of what it has, which is to be remembered also over a restart.
fn raise_on(
    disk: &Disk,
    chunk: ChunkId,
    from: Version,
    to: Version,
    cuts: &[(u64, u64)],
    touched: bool,
) -> (OnDisk, Raised) {
    let (found, memory) = match disk.entry(chunk) {
        Ok(entry) if entry.state == ReplicaState::Filling => {
            let result = Err(StoreError::Filling { chunk });
            return (OnDisk { result, now: None, memory: Memory::Forgot, verifier: None }, Raised::Not);
        }
        Ok(entry) => (entry.version, memory_of(&entry)),
        Err(error) => {
            let nothing = OnDisk { result: Err(error), now: None, memory: Memory::Forgot, verifier: None };
            return (nothing, Raised::Not);
        }
    };
    if found != to && !(from <= found && found < to) {
        let result = Err(StoreError::WrongVersion { chunk, found, wanted: from });
        return (OnDisk { result, now: Some(found), memory, verifier: None }, Raised::Not);
    }
    let unfinished = from < found && found.term < to.term;
    let marked = if touched || unfinished { disk.mark(chunk, found) } else { Ok(()) };
    let result = marked.and_then(|()| disk.raise(chunk, found, to, cuts));
    let now = if result.is_ok() { to } else { found };
    let verifier = disk.verifier(chunk).ok();
    let raised = match () {
        () if found == to => Raised::Not,
        () if unfinished => Raised::Unfinished,
        () => Raised::Now,
    };
    (OnDisk { result, now: Some(now), memory, verifier }, raised)
}

/// What a replica whose chain forgot its writes may lack or have too much.
fn memory_of(entry: &InventoryEntry) -> Memory {
    match (entry.marked, entry.power_lost, entry.torn) {
        (false, ..) => Memory::Forgot,
        (true, false, false) => Memory::Marked,
        (true, false, true) => Memory::Torn,
        (true, true, false) => Memory::PowerLost,
        (true, true, true) => Memory::PowerLostTorn,
    }
}

/// `None`: the order counted no more.
fn delete_on(disk: &Disk, chunk: ChunkId, version: Version, now_s: u64, claim: &Claim) -> Option<OnDisk> {
    let deleted = disk.delete_if(chunk, version, now_s, || !claim.is_void()).transpose()?;
    let now = match &deleted {
        Ok(found) | Err(StoreError::WrongVersion { found, .. }) => Some(*found),
        Err(_) => None,
    };
    Some(OnDisk { result: deleted.map(drop), now, memory: Memory::Kept, verifier: None })
}

/// The disk and the chunk that an order is about; one that closes a disk is about no chunk.
fn target(what: &OrderKind) -> (DiskId, ChunkId) {
    match what {
        OrderKind::Raise { disk, chunk, .. }
        | OrderKind::Delete { disk, chunk, .. }
        | OrderKind::Copy { disk, chunk, .. }
        | OrderKind::Fill { disk, chunk, .. }
        | OrderKind::Feed { disk, chunk, .. }
        | OrderKind::Pace { disk, chunk, .. }
        | OrderKind::Repair { disk, chunk, .. }
        | OrderKind::Mend { disk, chunk, .. }
        | OrderKind::MendTorn { disk, chunk, .. }
        | OrderKind::Verify { disk, chunk, .. } => (*disk, *chunk),
        OrderKind::Close { disk, .. } => (*disk, ChunkId(0)),
    }
}

/// What is said of an order that ended.
fn done(order: u64, ended: Ended) -> OrderDone {
    OrderDone {
        order,
        result: ended.result,
        found: ended.found,
        applied: ended.closed.applied,
        unsettled: Unsettled {
            touched: blocks(&ended.closed.unacknowledged),
            recent: blocks(&ended.closed.recent),
            memory: ended.memory,
            failed: ended.closed.failed,
        },
    }
}

pub(crate) async fn within<T>(work: impl Future<Output = T>) -> Option<T> {
    tokio::time::timeout(ORDER_WAIT_MAX, work).await.ok()
}

/// Byte ranges as ranges of blocks, merged and bounded.
fn blocks(ranges: &[(u64, u64)]) -> Vec<BlockRange> {
    let block = u64::from(BLOCK_BYTES);
    // Blocks of a chunk are few: the numbers fit.
    let range = |(from, to): &(u64, u64)| BlockRange {
        first: (from / block) as u32,
        count: (to.div_ceil(block) - from / block) as u32,
    };
    BlockRange::join(ranges.iter().map(range).collect(), TOUCHED_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn touched_blocks_are_merged() {
        let block = u64::from(BLOCK_BYTES);
        let range = |first, count| BlockRange { first, count };
        assert_eq!(blocks(&[]), []);
        assert_eq!(blocks(&[(5 * block, 5 * block + 1), (0, 1), (1, block + 1)]), [range(0, 2), range(5, 1)]);
        let many: Vec<_> = (0..=TOUCHED_MAX as u64).map(|n| (2 * n * block, 2 * n * block + 1)).collect();
        assert_eq!(blocks(&many), [range(0, 2 * TOUCHED_MAX as u32 + 1)]);
    }
}
