//! What masters are to hear of replicas: those that first writes made, those found damaged, and those whose chain
//! failed with writes that other members may lack.
//!
//! Each control link subscribes before its report is made, so that nothing falls between report and events;
//! a replica told twice does no harm.

use codec::control::BornReplica;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use tokio::sync::Notify;
use types::{ChunkId, DiskId, Version};

use crate::config::EVENTS_MAX;

/// Damaged replicas that were told; more are told again when they are met again.
const TOLD_MAX: usize = 65_536;

/// A replica that is not as it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Concern {
    pub(crate) disk: DiskId,
    pub(crate) chunk: ChunkId,
    pub(crate) version: Version,
}

/// All links' queues.
#[derive(Default)]
pub(crate) struct Events {
    links: Mutex<Vec<Arc<EventQueue>>>,
    told: Mutex<BTreeSet<Concern>>,
}

/// One link's queue.
#[derive(Default)]
pub(crate) struct EventQueue {
    waiting: Mutex<Waiting>,
    pub(crate) arrived: Notify,
}

/// What waits to be told.
#[derive(Default)]
pub(crate) struct Waiting {
    pub(crate) born: Vec<BornReplica>,
    pub(crate) damaged: Vec<Concern>,
    /// Of chains that failed; the same fields.
    pub(crate) unsettled: Vec<Concern>,
    /// Something was left out: the link has to begin anew.
    pub(crate) overflowed: bool,
}

impl Events {
    pub(crate) fn subscribe(&self) -> Arc<EventQueue> {
        let queue = Arc::<EventQueue>::default();
        self.links.lock().expect("nothing panics while it is held").push(Arc::clone(&queue));
        queue
    }

    pub(crate) fn unsubscribe(&self, queue: &Arc<EventQueue>) {
        self.links
            .lock()
            .expect("nothing panics while it is held")
            .retain(|other| !Arc::ptr_eq(other, queue));
    }

    pub(crate) fn born(&self, disk: DiskId, chunk: ChunkId, version: Version) {
        self.tell(|waiting| waiting.born.push(BornReplica { disk, chunk, version }));
    }

    /// Told once per process and version.
    pub(crate) fn damaged(&self, disk: DiskId, chunk: ChunkId, version: Version) {
        let damaged = Concern { disk, chunk, version };
        let mut told = self.told.lock().expect("nothing panics while it is held");
        if told.len() >= TOLD_MAX {
            told.clear();
        }
        if told.insert(damaged) {
            drop(told);
            self.tell(|waiting| waiting.damaged.push(damaged));
        }
    }

    /// A replica was mended: damage of it is told again.
    pub(crate) fn mended(&self, disk: DiskId, chunk: ChunkId, version: Version) {
        let mut told = self.told.lock().expect("nothing panics while it is held");
        told.remove(&Concern { disk, chunk, version });
    }

    /// A disk is opened anew: what it has is told anew.
    pub(crate) fn forget(&self, disk: DiskId) {
        self.told.lock().expect("nothing panics while it is held").retain(|damaged| damaged.disk != disk);
    }

    pub(crate) fn unsettled(&self, disk: DiskId, chunk: ChunkId, version: Version) {
        self.tell(|waiting| waiting.unsettled.push(Concern { disk, chunk, version }));
    }

    fn tell(&self, add: impl Fn(&mut Waiting)) {
        for queue in self.links.lock().expect("nothing panics while it is held").iter() {
            let mut waiting = queue.waiting.lock().expect("nothing panics while it is held");
            if waiting.born.len() + waiting.damaged.len() + waiting.unsettled.len() < EVENTS_MAX {
                add(&mut waiting);
            } else {
                waiting.overflowed = true;
            }
            drop(waiting);
            queue.arrived.notify_one();
        }
    }
}

impl EventQueue {
    pub(crate) fn take_born(&self) -> Vec<BornReplica> {
        std::mem::take(&mut self.waiting.lock().expect("nothing panics while it is held").born)
    }

    pub(crate) fn take_damaged(&self) -> Vec<Concern> {
        std::mem::take(&mut self.waiting.lock().expect("nothing panics while it is held").damaged)
    }

    pub(crate) fn take(&self) -> Waiting {
        std::mem::take(&mut *self.waiting.lock().expect("nothing panics while it is held"))
    }
}
