//! The disks of this server: opening, stamping, and what is said about each.
//!
//! # Invariants
//! 1. Every disk has a queue with threads of its own; nothing that may wait for a disk runs elsewhere.
//! 2. A disk that cannot be opened keeps its place with the reason, and the others are served.
//! 3. Only a blank directory is ever stamped, and only after a master has told the cluster.

use crate::config::{Config, DISK_HUNG_AFTER, DISK_JOBS_MAX, DiskConfig};
use crate::error::StartError;
use codec::control::{DiskReport, DiskState};
use env::{Env, Instant, Queue};
use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use store::{Disk, DiskOptions, DiskSpace, Format, OpenDiskError};
use types::{ClusterId, DiskId, Verifier};

/// All of them.
pub(crate) struct Disks {
    all: Vec<Arc<Slot>>,
    by_id: BTreeMap<DiskId, Arc<Slot>>,
}

/// One of them.
pub(crate) struct Slot {
    pub(crate) config: DiskConfig,
    pub(crate) queue: Arc<dyn Queue>,
    state: Mutex<State>,
    space: Mutex<Space>,
    errors: AtomicU64,
}

#[derive(Clone)]
enum State {
    /// An empty directory, to be stamped with this id.
    Blank(DiskId),
    Open(Arc<Disk>),
    Failed(Option<DiskId>, String),
}

#[derive(Default)]
struct Space {
    last: DiskSpace,
    /// A look at the disk that has not come back.
    asked: Option<Instant>,
}

impl Disks {
    /// Opens all disks at the same time.
    pub(crate) async fn open(
        env: &Env,
        config: &Config,
        cluster: Option<ClusterId>,
    ) -> Result<Self, StartError> {
        let mut opening = Vec::new();
        for (number, disk) in config.disks.iter().enumerate() {
            let queue = env.workers.queue(&format!("disk-{number}"), disk.threads.clamp(1, 4));
            let (dir, options) =
                (Arc::clone(&disk.dir), DiskOptions { cluster, index_in_memory: disk.index_in_memory });
            let (send, opened) = tokio::sync::oneshot::channel();
            queue.run(Box::new(move || drop(send.send(Disk::open(dir, options)))));
            opening.push((disk.clone(), queue, opened));
        }
        let mut disks = Self { all: Vec::new(), by_id: BTreeMap::new() };
        for (config, queue, opened) in opening {
            let state = match opened.await {
                Ok(Ok(opened)) => {
                    for warning in &opened.report.warnings {
                        tracing::warn!(path = config.path, warning, "a disk is open with a warning");
                    }
                    tracing::info!(path = config.path, disk = %opened.disk.id(), report = ?opened.report, "a disk is open");
                    State::Open(Arc::new(opened.disk))
                }
                Ok(Err(OpenDiskError::Blank { .. })) if config.format_if_blank => {
                    State::Blank(DiskId(env.seed.next_id()))
                }
                Ok(Err(error)) => failed(&config.path, None, error.to_string()),
                Err(_) => failed(&config.path, None, "the disk's thread ended while opening it".into()),
            };
            disks.add(config, queue, state);
        }
        disks.check_clusters()?;
        let errors: Vec<_> = disks.all.iter().filter_map(|slot| slot.error()).collect();
        if !errors.is_empty() && errors.len() == disks.all.len() {
            return Err(StartError::NoDisk { errors });
        }
        Ok(disks)
    }

    fn add(&mut self, config: DiskConfig, queue: Arc<dyn Queue>, state: State) {
        let state = match state {
            State::Open(disk) if self.by_id.contains_key(&disk.id()) => failed(
                &config.path,
                None,
                format!(
                    "another directory of this server is disk {} already; next step: remove the copy",
                    disk.id()
                ),
            ),
            other => other,
        };
        let slot = Arc::new(Slot {
            config,
            queue,
            state: Mutex::new(state),
            space: Mutex::default(),
            errors: AtomicU64::new(0),
        });
        if let Some(id) = slot.id() {
            self.by_id.insert(id, Arc::clone(&slot));
        }
        self.all.push(slot);
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

    pub(crate) fn get(&self, disk: DiskId) -> Option<&Arc<Slot>> {
        self.by_id.get(&disk)
    }

    pub(crate) fn all(&self) -> &[Arc<Slot>] {
        &self.all
    }

    /// What is told of disks that have an id.
    pub(crate) fn reports(&self, now: Instant) -> Vec<DiskReport> {
        self.all.iter().filter_map(|slot| slot.report(now)).collect()
    }
}

fn failed(path: &str, id: Option<DiskId>, error: String) -> State {
    tracing::error!(path, error, "a disk cannot be used; the others are served");
    State::Failed(id, error)
}

impl Slot {
    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().expect("nothing panics while it is held")
    }

    /// Its id, if it is known.
    pub(crate) fn id(&self) -> Option<DiskId> {
        match &*self.lock() {
            State::Blank(id) => Some(*id),
            State::Open(disk) => Some(disk.id()),
            State::Failed(id, _) => *id,
        }
    }

    /// The open disk.
    pub(crate) fn disk(&self) -> Option<Arc<Disk>> {
        match &*self.lock() {
            State::Open(disk) => Some(Arc::clone(disk)),
            State::Blank(_) | State::Failed(..) => None,
        }
    }

    /// Why it is not served.
    pub(crate) fn error(&self) -> Option<String> {
        match &*self.lock() {
            State::Failed(_, error) => Some(error.clone()),
            State::Blank(_) | State::Open(_) => None,
        }
    }

    pub(crate) fn is_blank(&self) -> bool {
        matches!(&*self.lock(), State::Blank(_))
    }

    /// Too many jobs wait for it.
    pub(crate) fn is_busy(&self) -> bool {
        self.queue.depth() >= DISK_JOBS_MAX
    }

    pub(crate) fn count_error(&self) {
        self.errors.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn errors(&self) -> u64 {
        self.errors.load(Ordering::Relaxed)
    }

    /// Stamps a blank disk for the cluster and opens it; stores the counter of registrations. Afterwards it
    /// is open or failed.
    pub(crate) async fn register(self: &Arc<Self>, cluster: ClusterId, registrations: Option<u64>) {
        let slot = Arc::clone(self);
        let done = self.queue.call(move || slot.register_now(cluster, registrations)).await;
        if let Err(error) = done {
            *self.lock() = failed(&self.config.path, self.id(), error.to_string());
        }
    }

    fn register_now(&self, cluster: ClusterId, registrations: Option<u64>) {
        let state = self.lock().clone();
        let (id, result) = match state {
            State::Blank(id) => (id, self.stamp(cluster, id)),
            State::Open(disk) => (disk.id(), Ok(disk)),
            State::Failed(..) => return,
        };
        let result = result.and_then(|disk| {
            let stored = registrations.map_or(Ok(()), |counter| disk.set_registrations(counter));
            stored.map(|()| disk).map_err(|error| error.to_string())
        });
        *self.lock() = match result {
            Ok(disk) => State::Open(disk),
            Err(error) => failed(&self.config.path, Some(id), error),
        };
    }

    fn stamp(&self, cluster: ClusterId, disk: DiskId) -> Result<Arc<Disk>, String> {
        let warnings = Disk::format(Arc::clone(&self.config.dir), Format { cluster, disk })
            .map_err(|error| error.to_string())?;
        for warning in warnings {
            tracing::warn!(path = self.config.path, warning, "a disk was stamped with a warning");
        }
        tracing::info!(path = self.config.path, %disk, %cluster, "a blank disk was stamped");
        let options = DiskOptions { cluster: Some(cluster), index_in_memory: self.config.index_in_memory };
        let opened = Disk::open(Arc::clone(&self.config.dir), options).map_err(|error| error.to_string())?;
        Ok(Arc::new(opened.disk))
    }

    /// Looks at the room on the disk, in its own queue, and tells when it has. One look at a time: a hung disk
    /// shows by one that does not end.
    pub(crate) fn probe(self: &Arc<Self>, now: Instant) -> Option<tokio::sync::oneshot::Receiver<()>> {
        let mut space = self.space.lock().expect("nothing panics while it is held");
        if space.asked.is_some() {
            return None;
        }
        space.asked = Some(now);
        drop(space);
        let slot = Arc::clone(self);
        let (send, looked) = tokio::sync::oneshot::channel();
        self.queue.run(Box::new(move || {
            let found = slot.disk().map(|disk| disk.space());
            let mut space = slot.space.lock().expect("nothing panics while it is held");
            space.asked = None;
            match found {
                Some(Ok(found)) => space.last = found,
                Some(Err(_)) => slot.count_error(),
                None => {}
            }
            let _ = send.send(());
        }));
        Some(looked)
    }

    pub(crate) fn space(&self) -> DiskSpace {
        self.space.lock().expect("nothing panics while it is held").last
    }

    /// Its jobs have not ended for too long.
    pub(crate) fn is_hung(&self, now: Instant) -> bool {
        let asked = self.space.lock().expect("nothing panics while it is held").asked;
        asked.is_some_and(|asked| now.since(asked) > DISK_HUNG_AFTER)
    }

    /// The verifier under which it answers now.
    pub(crate) fn verifier(&self) -> Option<Verifier> {
        self.disk().map(|disk| disk.verifier())
    }

    fn report(&self, now: Instant) -> Option<DiskReport> {
        let (disk, open) = (self.id()?, self.disk());
        let space = self.space();
        let failed = self.error().is_some() || self.is_hung(now);
        Some(DiskReport {
            disk,
            path: self.config.path.clone(),
            labels: self.config.labels.clone(),
            total_bytes: space.total_bytes,
            free_bytes: space.free_bytes,
            registrations: open.as_ref().map_or(0, |disk| disk.registrations()),
            boot: open.as_ref().map_or(0, |disk| disk.verifier().boot),
            state: if failed { DiskState::Failed } else { DiskState::Good },
            errors: self.errors(),
        })
    }
}

/// Runs a job on a disk's queue; an error if the disk is not open or the job was lost.
pub(crate) async fn on_disk<T: Send + 'static>(
    slot: &Slot,
    job: impl FnOnce(&Disk) -> T + Send + 'static,
) -> io::Result<T> {
    let disk = slot.disk().ok_or_else(|| io::Error::other("the disk is not open"))?;
    slot.queue.call(move || job(&disk)).await
}
