//! The disks of this server: which there are, by place and by id, and how one comes into service.
//!
//! # Invariants
//! 1. Every disk has a queue with threads of its own; nothing that may wait for a disk runs elsewhere.
//! 2. A disk that cannot be opened keeps its place with the reason, and the others are served. It is looked at
//!    again, and comes into service without a restart.
//! 3. Only a directory that was there and blank at the start, or that an operator added, is ever stamped, and only after a
//!    master has told the cluster.
//! 4. A disk that was removed from the cluster is closed and stays so until an operator adds it, also if the configuration names it.
//!
//! # Elsewhere
//! One disk: `slot`. What operators changed: `list`, `add`. How it is doing: `health`. Closing files: `tidier`. Why a directory is not served: `refusal`.

mod add;
mod health;
mod list;
mod refusal;
mod slot;
mod tidier;

pub(crate) use list::DiskList;
pub(crate) use refusal::Refusal;
pub(crate) use slot::{Slot, on_disk};

use crate::chains::Chains;
use crate::config::{Config, DISK_OPEN_MAX, DiskConfig, OpenAdded};
use crate::error::StartError;
use codec::control::{DISKS_MAX, DiskRefusal, DiskReport, RefusedDisk};
use env::{Env, Instant};
use slot::{Found, State};
use std::collections::BTreeMap;
use std::sync::{Arc, RwLock};
use tokio::sync::watch;
use types::{ClusterId, DiskId, Status};

/// Replicas that an open disk holds, of whatever condition.
async fn count(slot: &Arc<Slot>, disk: &Arc<store::Disk>) -> Result<u64, Status> {
    let disk = Arc::clone(disk);
    let counted = slot.call(move || {
        let mut count = 0;
        disk.inventory(&mut |_| count += 1).map(|()| count)
    });
    match counted.await {
        Ok(Ok(count)) => Ok(count),
        Ok(Err(_)) | Err(_) => Err(Status::Io),
    }
}

/// All of them.
pub(crate) struct Disks {
    env: Env,
    all: RwLock<Vec<Arc<Slot>>>,
    list: DiskList,
    /// How a disk is opened that an operator adds.
    open_added: Option<OpenAdded>,
    by_id: RwLock<BTreeMap<DiskId, Arc<Slot>>>,
    /// Disks that came into service after the start.
    came: watch::Sender<u64>,
    /// One is added after the other.
    adding: tokio::sync::Mutex<()>,
}

impl Disks {
    /// Opens all disks at the same time. One that takes long is not waited for.
    pub(crate) async fn open(
        env: &Env,
        config: &Config,
        list: DiskList,
        cluster: Option<ClusterId>,
    ) -> Result<Self, StartError> {
        let mut wanted = config.disks.clone();
        if let Some(open) = &config.open_added {
            let mut added = list.added();
            added.retain(|path| wanted.iter().all(|disk| disk.path != *path));
            added.truncate(DISKS_MAX.saturating_sub(wanted.len()));
            // One that is blank has not been stamped, since this process ended before; its device may not be mounted now.
            wanted.extend(added.iter().map(|path| DiskConfig { format_if_blank: false, ..open(path) }));
        }
        let slots: Vec<_> = wanted
            .into_iter()
            .enumerate()
            .map(|(number, disk)| Slot::new(env, number, disk, cluster))
            .collect();
        let (by_id, came) = (RwLock::default(), watch::Sender::new(0));
        let (all, open_added) = (RwLock::new(slots.clone()), config.open_added.clone());
        let disks = Self {
            env: env.clone(),
            all,
            list,
            open_added,
            by_id,
            came,
            adding: tokio::sync::Mutex::default(),
        };
        let until = tokio::time::Instant::now() + DISK_OPEN_MAX;
        for slot in &slots {
            if let Ok(found) = tokio::time::timeout_at(until, slot.first_look()).await {
                disks.settle(slot, found, slot.config.format_if_blank);
            }
        }
        disks.check_clusters()?;
        let hopeless =
            |slot: &Arc<Slot>| slot.refusal().is_some_and(|refusal| refusal.refusal != DiskRefusal::Opening);
        if !slots.is_empty() && slots.iter().all(hopeless) {
            return Err(StartError::NoDisk { refused: disks.refused(env.clock.now()) });
        }
        Ok(disks)
    }

    /// Looks again at a disk that is not served; links register anew if it came into service.
    pub(crate) async fn look_again(&self, slot: &Arc<Slot>, cluster: Option<ClusterId>) {
        let _alone = slot.looking.lock().await;
        if !slot.is_refused() {
            return;
        }
        let cluster = cluster.or_else(|| self.cluster());
        let (found, first) = slot.next_look(cluster).await;
        if self.settle(slot, found, first && slot.config.format_if_blank) {
            tracing::info!(path = slot.config.path, "a disk came into service");
            self.came.send_modify(|count| *count += 1);
        }
    }

    /// Takes what was found for the state of a disk; whether it is of use now. `stamp`: also an empty directory.
    fn settle(&self, slot: &Arc<Slot>, found: Found, stamp: bool) -> bool {
        let path = &slot.config.path;
        let mut by_id = self.by_id.write().expect("nothing panics while it is held");
        let another = |id: DiskId| by_id.get(&id).is_some_and(|holder| !Arc::ptr_eq(holder, slot));
        let state = match found {
            Found::Open(disk) if self.list.is_closed(disk.id()) => {
                tracing::info!(path, disk = %disk.id(), "a disk that was removed is not served");
                slot.run(move || drop(disk.close()));
                State::Closed
            }
            // What is left there may be the directory that its device was mounted on.
            Found::Refused(_) | Found::Blank(_) if self.list.was_closed_at(path) => State::Closed,
            Found::Open(disk) if another(disk.id()) => State::Refused(Refusal::duplicate(path, disk.id())),
            Found::Open(disk) => State::Open(disk),
            Found::Blank(dir) if stamp => State::Blank(DiskId(self.env.seed.next_id()), dir),
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

    /// Links register anew: what was to be told of a disk that was not closed after all was dropped.
    pub(crate) fn tell_anew(&self) {
        self.came.send_modify(|count| *count += 1);
    }

    /// Closes a disk for good that nothing is needed of, unless it holds more replicas than its master knows of. If it is refused,
    /// [`Disks::tell_anew`] is to follow the answer.
    pub(crate) async fn close(&self, id: DiskId, replicas: u64, chains: &Chains) -> Result<(), Status> {
        if self.list.is_closed(id) {
            return Ok(());
        }
        let slot = self.get(id);
        let path = slot.as_ref().map_or("", |slot| &slot.config.path);
        let Some(slot) = &slot else {
            return self.list.close(id, path).await.map_err(|_| Status::Io);
        };
        // From here on nothing begins on it; what had begun is brought to its end.
        let disk = slot.disk();
        slot.set(State::Closed);
        chains.leave_disk(id).await;
        let done = match &disk {
            Some(disk) => match count(slot, disk).await {
                Ok(count) if count > replicas => Err(Status::Busy),
                Ok(_) => self.list.close(id, path).await.map_err(|_| Status::Io),
                Err(status) => Err(status),
            },
            None => self.list.close(id, path).await.map_err(|_| Status::Io),
        };
        match (done, disk) {
            (Err(status), Some(disk)) => {
                slot.set(State::Open(disk));
                return Err(status);
            }
            (Err(status), None) => return Err(status),
            (Ok(()), Some(disk)) => {
                if let Ok(Err(error)) = slot.call(move || disk.close()).await {
                    tracing::warn!(path, %error, "a disk that was removed could not be closed in order");
                }
            }
            (Ok(()), None) => {}
        }
        self.by_id.write().expect("nothing panics while it is held").remove(&id);
        tracing::info!(path, disk = %id, "a disk was removed: it is closed and not served again");
        Ok(())
    }

    fn check_clusters(&self) -> Result<(), StartError> {
        let mut wanted = None;
        for slot in &self.all() {
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
        self.all().iter().find_map(|slot| slot.disk()).map(|disk| disk.cluster())
    }

    pub(crate) fn get(&self, disk: DiskId) -> Option<Arc<Slot>> {
        self.by_id.read().expect("nothing panics while it is held").get(&disk).map(Arc::clone)
    }

    pub(crate) fn all(&self) -> Vec<Arc<Slot>> {
        self.all.read().expect("nothing panics while it is held").clone()
    }

    /// Tells when a disk came into service after the start.
    pub(crate) fn came(&self) -> watch::Receiver<u64> {
        self.came.subscribe()
    }

    /// What is told of disks that have an id.
    pub(crate) fn reports(&self, now: Instant) -> Vec<DiskReport> {
        self.all().iter().filter_map(|slot| slot.report(now)).collect()
    }

    /// What is told of those that are not served.
    pub(crate) fn refused(&self, now: Instant) -> Vec<RefusedDisk> {
        self.all().iter().filter_map(|slot| slot.refused(now)).collect()
    }
}
