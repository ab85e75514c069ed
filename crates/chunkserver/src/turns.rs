//! Whose turn it is among the orders for one disk, and which of them count no more.
//!
//! A disk may hang for as long as it likes, and with it every order that is under way on it. So each disk has turns of its own, and
//! an order that reads from other servers, whose disks may hang as well, does not take the turn of one that does not.
//!
//! # Invariants
//! 1. At most so many orders for one disk are under way or wait; a further one is refused.
//! 2. An order whose link is gone is not begun: its master may have judged anew since, by what this server reported.
//! 3. A delete order is not begun either when the disk was reported after it came. It is looked at with the chunk locked.
//! 4. Nobody vouches for a replica while an order to delete it is not over.

use crate::config::{ORDERS_PULLING_MAX, ORDERS_RUNNING_MAX, ORDERS_TAKEN_MAX};
use crate::pace::Pace;
use codec::control::OrderKind;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use types::ChunkId;

/// A link as long as it lasts.
pub(crate) struct Alive(#[expect(dead_code, reason = "its end tells of the link's")] watch::Sender<()>);

/// Tells its orders whether a link is gone.
#[derive(Clone)]
pub(crate) struct Tie(watch::Receiver<()>);

impl Alive {
    pub(crate) fn new() -> (Self, Tie) {
        let (alive, tie) = watch::channel(());
        (Self(alive), Tie(tie))
    }
}

impl Tie {
    fn is_gone(&self) -> bool {
        self.0.has_changed().is_err()
    }

    async fn gone(mut self) {
        while self.0.changed().await.is_ok() {}
    }
}

/// The orders of one disk.
pub(crate) struct Turns {
    taken: Arc<Semaphore>,
    /// Of those that wait for nothing but this disk, and of those that read from other servers.
    here: Arc<Semaphore>,
    pulling: Arc<Semaphore>,
    /// How often the disk was reported.
    reports: AtomicU64,
    /// Chunks with orders to delete them that are not over, and how many.
    deleting: Mutex<BTreeMap<ChunkId, usize>>,
}

/// An order's place among those of its disk, until it is over and answered.
pub(crate) struct Claim {
    turns: Arc<Turns>,
    tie: Tie,
    pulls: bool,
    /// Of what reads from other servers for the master's sake.
    pub(crate) pace: Option<Arc<Pace>>,
    /// What it is to delete, and how often the disk had been reported when it came.
    deletes: Option<(ChunkId, u64)>,
    _taken: OwnedSemaphorePermit,
}

impl Default for Turns {
    fn default() -> Self {
        let of = |most| Arc::new(Semaphore::new(most));
        Self {
            taken: of(ORDERS_TAKEN_MAX),
            here: of(ORDERS_RUNNING_MAX),
            pulling: of(ORDERS_PULLING_MAX),
            reports: AtomicU64::new(0),
            deleting: Mutex::default(),
        }
    }
}

impl Turns {
    /// Takes an order that came over a link. `None`: too many wait.
    pub(crate) fn claim(self: &Arc<Self>, what: &OrderKind, tie: &Tie) -> Option<Claim> {
        let taken = Arc::clone(&self.taken).try_acquire_owned().ok()?;
        let deletes = match what {
            OrderKind::Delete { chunk, .. } => Some((*chunk, self.reports.load(Ordering::Relaxed))),
            _ => None,
        };
        if let Some((chunk, _)) = deletes {
            *self.lock().entry(chunk).or_default() += 1;
        }
        let turns = Arc::clone(self);
        Some(Claim { turns, tie: tie.clone(), pulls: pulls(what), pace: None, deletes, _taken: taken })
    }

    /// The disk is about to be reported.
    pub(crate) fn reported(&self) {
        self.reports.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn is_deleting(&self, chunk: ChunkId) -> bool {
        self.lock().contains_key(&chunk)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<ChunkId, usize>> {
        self.deleting.lock().expect("nothing panics while it is held")
    }
}

impl Claim {
    /// Waits for its turn, as long as its link lasts.
    pub(crate) async fn turn(&self) -> Option<OwnedSemaphorePermit> {
        let running = if self.pulls { &self.turns.pulling } else { &self.turns.here };
        tokio::select! {
            biased;
            () = self.tie.clone().gone() => None,
            turn = Arc::clone(running).acquire_owned() => turn.ok(),
        }
    }

    /// It is not to be begun any more.
    pub(crate) fn is_void(&self) -> bool {
        let reports = self.turns.reports.load(Ordering::Relaxed);
        self.tie.is_gone() || self.deletes.is_some_and(|(_, before)| before != reports)
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let Some((chunk, _)) = self.deletes else { return };
        let mut deleting = self.turns.lock();
        if let Some(count) = deleting.get_mut(&chunk) {
            *count -= 1;
            if *count == 0 {
                deleting.remove(&chunk);
            }
        }
    }
}

/// Whether it reads from other servers.
fn pulls(what: &OrderKind) -> bool {
    match what {
        OrderKind::Raise { .. }
        | OrderKind::Delete { .. }
        | OrderKind::Fill { .. }
        | OrderKind::Verify { .. }
        | OrderKind::Pace { .. }
        | OrderKind::Close { .. } => false,
        OrderKind::Repair { source, .. } => source.is_some(),
        OrderKind::Copy { .. }
        | OrderKind::Feed { .. }
        | OrderKind::Mend { .. }
        | OrderKind::MendTorn { .. } => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use types::{DiskId, Version};

    const CHUNK: ChunkId = ChunkId(7);

    fn delete() -> OrderKind {
        let (disk, version) = (DiskId([1; 16]), Version::default());
        OrderKind::Delete { disk, chunk: CHUNK, version, unknown: false }
    }

    fn copy() -> OrderKind {
        let (disk, version) = (DiskId([1; 16]), Version::default());
        OrderKind::Copy { disk, chunk: CHUNK, version, sources: Vec::new() }
    }

    #[test]
    fn an_order_to_delete_is_void_when_its_link_is_gone_or_its_disk_was_reported_since() {
        let turns = Arc::<Turns>::default();
        let (alive, tie) = Alive::new();
        turns.reported();
        let (early, other) = (turns.claim(&delete(), &tie), turns.claim(&copy(), &tie));
        let (early, other) = (early.expect("there is room"), other.expect("there is room"));
        assert!(!early.is_void() && !other.is_void());
        turns.reported();
        let late = turns.claim(&delete(), &tie).expect("there is room");
        assert!(early.is_void() && !late.is_void() && !other.is_void());
        drop(alive);
        assert!(late.is_void() && other.is_void());
        assert!(turns.is_deleting(CHUNK));
        drop((early, other));
        assert!(turns.is_deleting(CHUNK), "one of two is not over");
        drop(late);
        assert!(!turns.is_deleting(CHUNK));
    }

    #[test]
    fn orders_beyond_the_limit_are_refused_until_others_are_over() {
        let turns = Arc::<Turns>::default();
        let (_alive, tie) = Alive::new();
        let mut claims: Vec<_> = (0..=ORDERS_TAKEN_MAX).map(|_| turns.claim(&delete(), &tie)).collect();
        assert!(claims.pop().expect("it was asked for").is_none());
        assert!(claims.pop().expect("it was asked for").is_some());
        assert!(turns.claim(&delete(), &tie).is_some());
    }

    #[tokio::test]
    async fn who_waits_for_other_servers_takes_no_turn_of_those_who_do_not() {
        let turns = Arc::<Turns>::default();
        let (alive, tie) = Alive::new();
        let pulling = turns.claim(&copy(), &tie).expect("there is room");
        let mut running = Vec::new();
        for _ in 0..ORDERS_PULLING_MAX {
            running.push(pulling.turn().await.expect("there is a turn"));
        }
        assert!(turns.claim(&delete(), &tie).expect("there is room").turn().await.is_some());
        drop(alive);
        assert!(pulling.turn().await.is_none(), "it waits no longer than its link lasts");
    }
}
