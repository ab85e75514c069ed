//! The disks of this server: which there are, by place and by id, and how one comes into service.
//!
//! # Invariants
//! 1. Every disk has a queue with threads of its own; nothing that may wait for a disk runs elsewhere.
//! 2. A disk that cannot be opened keeps its place with the reason, and the others are served. It is looked at
//!    again, and comes into service without a restart.
//! 3. Only a directory that was there and blank at the start is ever stamped, and only after a master has told
//!    the cluster.
//!
//! # Elsewhere
//! One disk: `slot`. How it is doing: `health`. Closing files: `tidier`. Why a directory is not served: `refusal`.

mod health;
mod refusal;
mod slot;
mod tidier;

pub(crate) use slot::{Slot, on_disk};

use crate::config::{Config, DISK_OPEN_MAX};
use crate::error::StartError;
use codec::control::{DiskRefusal, DiskReport, RefusedDisk};
use env::{Env, Instant};
use refusal::Refusal;
use slot::{Found, State};
use std::collections::BTreeMap;
use std::sync::{Arc, RwLock};
use tokio::sync::watch;
use types::{ClusterId, DiskId};

/// All of them.
pub(crate) struct Disks {
    env: Env,
    all: Vec<Arc<Slot>>,
    by_id: RwLock<BTreeMap<DiskId, Arc<Slot>>>,
    /// Disks that came into service after the start.
    came: watch::Sender<u64>,
}

impl Disks {
    /// Opens all disks at the same time. One that takes long is not waited for.
    pub(crate) async fn open(
        env: &Env,
        config: &Config,
        cluster: Option<ClusterId>,
    ) -> Result<Self, StartError> {
        let all: Vec<_> = config
            .disks
            .iter()
            .enumerate()
            .map(|(number, disk)| Slot::new(env, number, disk.clone(), cluster))
            .collect();
        let disks = Self { env: env.clone(), all, by_id: RwLock::default(), came: watch::Sender::new(0) };
        let until = tokio::time::Instant::now() + DISK_OPEN_MAX;
        for slot in &disks.all {
            if let Ok(found) = tokio::time::timeout_at(until, slot.first_look()).await {
                disks.settle(slot, found, true);
            }
        }
        disks.check_clusters()?;
        let hopeless =
            |slot: &Arc<Slot>| slot.refusal().is_some_and(|refusal| refusal.refusal != DiskRefusal::Opening);
        if !disks.all.is_empty() && disks.all.iter().all(hopeless) {
            return Err(StartError::NoDisk { refused: disks.refused(env.clock.now()) });
        }
        Ok(disks)
    }

    /// Looks again at a disk that is not served; links register anew if it came into service.
    pub(crate) async fn look_again(&self, slot: &Arc<Slot>, cluster: Option<ClusterId>) {
        let cluster = cluster.or_else(|| self.cluster());
        let (found, first) = slot.next_look(cluster).await;
        if self.settle(slot, found, first) {
            tracing::info!(path = slot.config.path, "a disk came into service");
            self.came.send_modify(|count| *count += 1);
        }
    }

    /// Takes what was found for the state of a disk; whether it is of use now.
    fn settle(&self, slot: &Arc<Slot>, found: Found, first: bool) -> bool {
        let path = &slot.config.path;
        let mut by_id = self.by_id.write().expect("nothing panics while it is held");
        let another = |id: DiskId| by_id.get(&id).is_some_and(|holder| !Arc::ptr_eq(holder, slot));
        let state = match found {
            Found::Open(disk) if another(disk.id()) => State::Refused(Refusal::duplicate(path, disk.id())),
            Found::Open(disk) => State::Open(disk),
            Found::Blank(dir) if slot.config.format_if_blank && first => {
                State::Blank(DiskId(self.env.seed.next_id()), dir)
            }
            Found::Blank(_) if slot.config.format_if_blank => State::Refused(Refusal::appeared_blank(path)),
            Found::Blank(_) => State::Refused(Refusal::blank(path)),
            Found::Refused(refusal) => State::Refused(refusal),
        };
        let state = match (state, slot.failed()) {
            // The master goes on hearing of a disk that failed.
            (State::Refused(refusal), Some(id)) => State::Failed(id, refusal),
            (state, _) => state,
        };
        slot.set(state);
        by_id.retain(|_, holder| !Arc::ptr_eq(holder, slot));
        if let Some(id) = slot.id() {
            by_id.insert(id, Arc::clone(slot));
        }
        slot.id().is_some() && slot.failed().is_none()
    }

    fn check_clusters(&self) -> Result<(), StartError> {
        let mut wanted = None;
        for slot in &self.all {
            if let Some(disk) = slot.disk() {
                let wanted = *wanted.get_or_insert(disk.cluster());
                if wanted != disk.cluster() {
                    let path = slot.config.path.clone();
                    return Err(StartError::TwoClusters { path, found: disk.cluster(), wanted });
                }
            }
        }
        Ok(())
    }

    /// The cluster that open disks belong to.
    pub(crate) fn cluster(&self) -> Option<ClusterId> {
        self.all.iter().find_map(|slot| slot.disk()).map(|disk| disk.cluster())
    }

    pub(crate) fn get(&self, disk: DiskId) -> Option<Arc<Slot>> {
        self.by_id.read().expect("nothing panics while it is held").get(&disk).map(Arc::clone)
    }

    pub(crate) fn all(&self) -> &[Arc<Slot>] {
        &self.all
    }

    /// Tells when a disk came into service after the start.
    pub(crate) fn came(&self) -> watch::Receiver<u64> {
        self.came.subscribe()
    }

    /// What is told of disks that have an id.
    pub(crate) fn reports(&self, now: Instant) -> Vec<DiskReport> {
        self.all.iter().filter_map(|slot| slot.report(now)).collect()
    }

    /// What is told of those that are not served.
    pub(crate) fn refused(&self, now: Instant) -> Vec<RefusedDisk> {
        self.all.iter().filter_map(|slot| slot.refused(now)).collect()
    }
}
