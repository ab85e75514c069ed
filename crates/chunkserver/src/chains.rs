//! The chains of all replicas that were written, raised or deleted lately.
//!
//! A chain that is not here is not remembered: its replica's header is read when the next frame comes, and its
//! writers are asked for a raise (`Origin::Unknown`). So forgetting idle ones is always safe.

use crate::chain::{Arrived, Chain, Context};
use crate::config::CHAINS_MAX;
use crate::disks::Slot;
use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard};
use tokio::time::Instant;
use types::{ChunkId, DiskId, Status};

type Key = (DiskId, ChunkId);

/// Idle chains that are looked for at once when there are too many.
const FORGET_BATCH: usize = 1_024;

/// The table.
pub(crate) struct Chains {
    context: Arc<Context>,
    table: Mutex<Table>,
}

#[derive(Default)]
struct Table {
    chains: BTreeMap<Key, Arc<Chain>>,
    /// Where the search for idle ones goes on.
    cursor: Option<Key>,
}

/// A chain that is to be opened; if that is lost (the queue is full, it panicked), its frames are refused.
struct Opening {
    chains: Arc<Chains>,
    chain: Arc<Chain>,
    here: bool,
}

impl Opening {
    fn run(mut self) {
        self.here = self.chain.open();
    }
}

impl Drop for Opening {
    fn drop(&mut self) {
        if !self.here {
            self.chain.not_opened();
            self.chains.forget(&self.chain);
        }
    }
}

impl Chains {
    pub(crate) fn new(context: Arc<Context>) -> Self {
        Self { context, table: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().expect("nothing panics while it is held")
    }

    /// Gives a frame to the chain of its replica.
    pub(crate) fn arrive(self: &Arc<Self>, slot: &Arc<Slot>, disk: DiskId, mut arrived: Arrived) {
        let chunk = arrived.what.capability().chunk;
        loop {
            let (chain, new) = self.get(slot, disk, chunk);
            let given_back = chain.arrive(arrived);
            if new {
                self.open(&chain);
            }
            let Some(back) = given_back else { return };
            self.forget(&chain);
            arrived = back;
        }
    }

    /// The chain of a replica; `true`: it was not known, and [`Chains::open`] is to be called.
    fn get(&self, slot: &Arc<Slot>, disk: DiskId, chunk: ChunkId) -> (Arc<Chain>, bool) {
        let mut table = self.lock();
        if let Some(chain) = table.chains.get(&(disk, chunk)) {
            return (Arc::clone(chain), false);
        }
        if table.chains.len() >= CHAINS_MAX {
            table.forget_some();
        }
        let chain = Chain::opening(slot, disk, chunk, &self.context);
        table.chains.insert((disk, chunk), Arc::clone(&chain));
        (chain, true)
    }

    /// The chain of a replica for an order, which closes it before anything else; no frame opens it meanwhile.
    pub(crate) fn for_order(&self, slot: &Arc<Slot>, disk: DiskId, chunk: ChunkId) -> Arc<Chain> {
        self.get(slot, disk, chunk).0
    }

    /// The chain of a replica that was written, raised or begun by this process and not forgotten since.
    pub(crate) fn known(&self, disk: DiskId, chunk: ChunkId) -> Option<Arc<Chain>> {
        self.lock().chains.get(&(disk, chunk)).map(Arc::clone)
    }

    /// Opens it in the disk's queue, where its first frames are carried out at once.
    fn open(self: &Arc<Self>, chain: &Arc<Chain>) {
        let opening = Opening { chains: Arc::clone(self), chain: Arc::clone(chain), here: false };
        chain.slot.run(move || opening.run());
    }

    /// A connection of another server ended: what its chains sent last may be here and not there.
    pub(crate) fn lost_before(&self) {
        let now = Instant::now();
        let chains: Vec<Arc<Chain>> = self.lock().chains.values().map(Arc::clone).collect();
        chains.iter().for_each(|chain| chain.lost_before(now));
    }

    /// Closes all chains; afterwards nothing is queued or running.
    pub(crate) async fn close_all(&self) {
        let chains: Vec<Arc<Chain>> = self.lock().chains.values().map(Arc::clone).collect();
        // At the same time: one hung disk must not keep the others from being drained.
        let mut closing = tokio::task::JoinSet::new();
        for chain in chains {
            closing.spawn(async move { drop(chain.close(Status::TryAgain).await) });
        }
        while closing.join_next().await.is_some() {}
    }

    /// Ends the chains of a disk that is not served any more; afterwards nothing of theirs is queued or running.
    pub(crate) async fn leave_disk(&self, disk: DiskId) {
        let of_disk = (disk, ChunkId(0))..=(disk, ChunkId(u64::MAX));
        let chains: Vec<Arc<Chain>> =
            self.lock().chains.range(of_disk).map(|(_, one)| Arc::clone(one)).collect();
        for chain in chains {
            let _order = chain.order.lock().await;
            chain.close(Status::Io).await;
            chain.leave();
            self.forget(&chain);
        }
        self.context.events.forget(disk);
    }

    /// Takes a chain that is gone out of the table.
    pub(crate) fn forget(&self, chain: &Arc<Chain>) {
        let mut table = self.lock();
        let key = (chain.disk, chain.chunk);
        if table.chains.get(&key).is_some_and(|found| Arc::ptr_eq(found, chain)) {
            table.chains.remove(&key);
        }
    }
}

impl Table {
    fn forget_some(&mut self) {
        let from = self.cursor.map_or(Bound::Unbounded, Bound::Excluded);
        let looked: Vec<Key> =
            self.chains.range((from, Bound::Unbounded)).take(FORGET_BATCH).map(|(key, _)| *key).collect();
        self.cursor = looked.last().copied();
        for key in looked {
            if self.chains.get(&key).is_some_and(|chain| chain.leave_if_idle()) {
                self.chains.remove(&key);
            }
        }
    }
}
