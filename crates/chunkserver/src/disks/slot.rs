//! One disk: looking what its directory holds, stamping, and what is said about it.

use super::health::Health;
use super::refusal::Refusal;
use super::tidier::Tidier;
use crate::config::{DISK_JOBS_MAX, DiskConfig};
use crate::turns::Turns;
use codec::control::{DiskRefusal, DiskReport, DiskState, RefusedDisk};
use env::{Clock, Dir, Env, Instant, Queue};
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use store::{Disk, DiskOptions, DiskSpace, Format, OpenDiskError, StoreError};
use tokio::sync::oneshot;
use types::{ClusterId, DiskId};

/// One of the disks.
pub(crate) struct Slot {
    pub(crate) config: DiskConfig,
    pub(super) queue: Arc<dyn Queue>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) health: Health,
    pub(super) tidier: Tidier,
    pub(crate) turns: Arc<Turns>,
    state: Mutex<State>,
    /// Held from a look until its result is the disk's state.
    pub(super) looking: tokio::sync::Mutex<()>,
    /// The look that was begun at the start, until its result was taken.
    first: tokio::sync::Mutex<Option<oneshot::Receiver<Found>>>,
    space: Mutex<Space>,
    errors: AtomicU64,
    /// What other servers sent for replicas here.
    pulled_bytes: AtomicU64,
}

#[derive(Clone)]
pub(super) enum State {
    /// Not served so far; looked at again.
    Refused(Refusal),
    /// An empty directory, to be stamped with this id.
    Blank(DiskId, Arc<dyn Dir>),
    Open(Arc<Disk>),
    /// It was to serve or served, and failed; looked at again, too.
    Failed(DiskId, Refusal),
    /// Removed from the cluster: not served any more.
    Closed,
}

/// What a look at a directory found.
pub(super) enum Found {
    Open(Arc<Disk>),
    Blank(Arc<dyn Dir>),
    Refused(Refusal),
}

#[derive(Default)]
struct Space {
    last: DiskSpace,
    /// Of the kernel and the mount, when it was open last: its device is counted once also when it is not.
    boot: u64,
    /// A look at the disk that has not come back.
    asked: Option<Instant>,
}

/// Opens the disk in a directory if there is one. Blocks.
fn look(config: &DiskConfig, options: DiskOptions) -> Found {
    let dir = match (config.open)() {
        Ok(dir) => dir,
        Err(error) => return Found::Refused(Refusal::of_directory(&config.path, &error)),
    };
    match Disk::open(Arc::clone(&dir), options) {
        Ok(opened) => {
            if options.reopened > 0
                && let Err(error) = opened.disk.try_writing()
            {
                let next = "see the kernel's log (dmesg) and smartctl; it is tried again by itself";
                let reason = format!("{}: it cannot be written: {error}", config.path);
                return Found::Refused(Refusal::new(DiskRefusal::Failed, reason, next));
            }
            for warning in &opened.report.warnings {
                tracing::warn!(path = config.path, warning, "a disk is open with a warning");
            }
            tracing::info!(path = config.path, disk = %opened.disk.id(), report = ?opened.report, "a disk is open");
            Found::Open(Arc::new(opened.disk))
        }
        Err(OpenDiskError::Blank { .. }) => Found::Blank(dir),
        Err(error) => Found::Refused(Refusal::from(&error)),
    }
}

impl Slot {
    /// Begins to open the disk.
    pub(super) fn new(env: &Env, number: usize, config: DiskConfig, cluster: Option<ClusterId>) -> Arc<Self> {
        let queue = env.workers.queue(&format!("disk-{number}"), config.threads.clamp(1, 4));
        let slot = Self {
            state: Mutex::new(State::Refused(Refusal::opening(&config.path))),
            config,
            queue,
            clock: Arc::clone(&env.clock),
            health: Health::default(),
            tidier: Tidier::new(env, number),
            turns: Arc::default(),
            looking: tokio::sync::Mutex::default(),
            first: tokio::sync::Mutex::default(),
            space: Mutex::default(),
            errors: AtomicU64::new(0),
            pulled_bytes: AtomicU64::new(0),
        };
        let first = slot.begin_look(cluster);
        Arc::new(Self { first: tokio::sync::Mutex::new(Some(first)), ..slot })
    }

    fn begin_look(&self, cluster: Option<ClusterId>) -> oneshot::Receiver<Found> {
        let (config, options) = (self.config.clone(), self.options(cluster));
        let (send, found) = oneshot::channel();
        self.queue.run(Box::new(move || drop(send.send(look(&config, options)))));
        found
    }

    /// How the disk is opened.
    fn options(&self, cluster: Option<ClusterId>) -> DiskOptions {
        DiskOptions {
            cluster,
            index_in_memory: self.config.index_in_memory,
            open_chunks_max: self.config.open_chunks_max,
            reopened: self.health.reopened(),
        }
    }

    /// The result of the look that was begun at the start.
    pub(super) async fn first_look(&self) -> Found {
        self.next_look(None).await.0
    }

    /// The result of the first look, or else of a new one; `true`: it was the first.
    pub(super) async fn next_look(&self, cluster: Option<ClusterId>) -> (Found, bool) {
        let mut first = self.first.lock().await;
        let (found, is_first) = match first.as_mut() {
            // Left in place if whoever waits here gives up.
            Some(begun) => (begun.await, true),
            None => (self.begin_look(cluster).await, false),
        };
        *first = None;
        let lost = || {
            Refusal::new(
                DiskRefusal::Unreadable,
                format!("the thread of {} ended while opening it", self.config.path),
                "see the chunkserver's log",
            )
        };
        (found.unwrap_or_else(|_| Found::Refused(lost())), is_first)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().expect("nothing panics while it is held")
    }

    /// Changes the state, and tells the log if a disk is not served for a new reason.
    pub(super) fn set(&self, state: State) {
        let old = std::mem::replace(&mut *self.lock(), state.clone());
        let reason = |state: &State| match state {
            State::Refused(refusal) | State::Failed(_, refusal) => Some(refusal.clone()),
            State::Blank(..) | State::Open(_) | State::Closed => None,
        };
        if let Some(refusal) = reason(&state)
            && reason(&old).as_ref() != Some(&refusal)
        {
            let path = &self.config.path;
            tracing::error!(path, reason = refusal.reason, next = refusal.next, "a disk is not served");
        }
    }

    /// Its id, if it is known.
    pub(crate) fn id(&self) -> Option<DiskId> {
        match &*self.lock() {
            State::Refused(_) | State::Closed => None,
            State::Blank(id, _) | State::Failed(id, _) => Some(*id),
            State::Open(disk) => Some(disk.id()),
        }
    }

    /// The open disk.
    pub(crate) fn disk(&self) -> Option<Arc<Disk>> {
        match &*self.lock() {
            State::Open(disk) => Some(Arc::clone(disk)),
            State::Refused(_) | State::Blank(..) | State::Failed(..) | State::Closed => None,
        }
    }

    /// Why it did not come into service.
    pub(super) fn refusal(&self) -> Option<Refusal> {
        match &*self.lock() {
            State::Refused(refusal) => Some(refusal.clone()),
            State::Blank(..) | State::Open(_) | State::Failed(..) | State::Closed => None,
        }
    }

    /// The same, also of one that failed.
    pub(super) fn why_not_served(&self) -> Option<Refusal> {
        match &*self.lock() {
            State::Refused(refusal) | State::Failed(_, refusal) => Some(refusal.clone()),
            State::Blank(..) | State::Open(_) | State::Closed => None,
        }
    }

    /// It did not come into service, or failed in it, and is to be looked at again.
    pub(crate) fn is_refused(&self) -> bool {
        matches!(&*self.lock(), State::Refused(_) | State::Failed(..))
    }

    /// The disk that failed.
    pub(crate) fn failed(&self) -> Option<DiskId> {
        match &*self.lock() {
            State::Failed(id, _) => Some(*id),
            State::Refused(_) | State::Blank(..) | State::Open(_) | State::Closed => None,
        }
    }

    /// How long to wait before it is looked at again.
    pub(crate) fn pause(&self) -> Duration {
        self.health.pause()
    }

    /// Why it is not served, with the next step.
    pub(crate) fn error(&self) -> Option<String> {
        match &*self.lock() {
            State::Refused(refusal) | State::Failed(_, refusal) => Some(refusal.to_string()),
            State::Blank(..) | State::Open(_) | State::Closed => None,
        }
    }

    /// It was removed from the cluster.
    pub(crate) fn is_closed(&self) -> bool {
        matches!(&*self.lock(), State::Closed)
    }

    pub(crate) fn is_blank(&self) -> bool {
        matches!(&*self.lock(), State::Blank(..))
    }

    /// Too many jobs wait for it.
    pub(crate) fn is_busy(&self) -> bool {
        self.queue.depth() >= DISK_JOBS_MAX
    }

    /// Something failed on it: whether the disk itself is at fault shows at the next look.
    pub(crate) fn count_error(&self) {
        self.errors.fetch_add(1, Ordering::Relaxed);
        self.health.suspect();
    }

    pub(crate) fn errors(&self) -> u64 {
        self.errors.load(Ordering::Relaxed)
    }

    /// Another server has sent so much for a replica on it.
    pub(crate) fn count_pulled(&self, bytes: u64) {
        self.pulled_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Stamps a blank disk for the cluster and opens it; stores the counter of registrations. Afterwards it
    /// is open or failed; one that is full keeps its counter and serves what it has. One that is not served is not asked:
    /// it may hang.
    pub(crate) async fn register(self: &Arc<Self>, cluster: ClusterId, registrations: Option<u64>) {
        if self.is_refused() {
            return;
        }
        let slot = Arc::clone(self);
        let done = self.call(move || slot.register_now(cluster, registrations)).await;
        if let (Err(error), Some(id)) = (done, self.id()) {
            self.fail(id, DiskRefusal::Failed, &error.to_string());
        }
    }

    fn register_now(&self, cluster: ClusterId, registrations: Option<u64>) {
        let state = self.lock().clone();
        let (id, result) = match state {
            State::Blank(id, dir) => (id, self.stamp(dir, cluster, id)),
            State::Open(disk) => (disk.id(), Ok(disk)),
            State::Refused(_) | State::Failed(..) | State::Closed => return,
        };
        let result = result.and_then(|disk| {
            match registrations.map_or(Ok(()), |counter| disk.set_registrations(counter)) {
                Err(StoreError::NoSpace) => {
                    tracing::warn!(path = self.config.path, "a full disk does not count this registration");
                    Ok(disk)
                }
                stored => stored.map(|()| disk).map_err(|error| error.to_string()),
            }
        });
        match result {
            Ok(disk) if self.is_blank() => self.set(State::Open(disk)),
            Ok(_) => {}
            Err(error) => self.fail(id, DiskRefusal::Failed, &error),
        }
    }

    pub(super) fn fail(&self, id: DiskId, kind: DiskRefusal, why: &str) {
        self.set(State::Failed(id, self.failure(kind, why)));
    }

    fn stamp(&self, dir: Arc<dyn Dir>, cluster: ClusterId, disk: DiskId) -> Result<Arc<Disk>, String> {
        let warnings =
            Disk::format(Arc::clone(&dir), Format { cluster, disk }).map_err(|error| error.to_string())?;
        for warning in warnings {
            tracing::warn!(path = self.config.path, warning, "a disk was stamped with a warning");
        }
        tracing::info!(path = self.config.path, %disk, %cluster, "a blank disk was stamped");
        let opened = Disk::open(dir, self.options(Some(cluster))).map_err(|error| error.to_string())?;
        Ok(Arc::new(opened.disk))
    }

    /// Looks at the disk, in its own queue, and tells when it has. One look at a time. `None` also of a disk that is
    /// not served: it is looked at otherwise.
    pub(crate) fn probe(self: &Arc<Self>, now: Instant) -> Option<oneshot::Receiver<()>> {
        let mut space = self.space.lock().expect("nothing panics while it is held");
        if space.asked.is_some() || self.is_refused() {
            return None;
        }
        space.asked = Some(now);
        drop(space);
        let slot = Arc::clone(self);
        let (send, looked) = oneshot::channel();
        self.run(move || {
            let found = slot.disk().and_then(|disk| slot.examine(&disk));
            let boot = slot.disk().map(|disk| disk.boot());
            let mut space = slot.space.lock().expect("nothing panics while it is held");
            space.asked = None;
            space.last = found.unwrap_or(space.last);
            space.boot = boot.unwrap_or(space.boot);
            drop(space);
            let _ = send.send(());
        });
        Some(looked)
    }

    pub(crate) fn space(&self) -> DiskSpace {
        self.space.lock().expect("nothing panics while it is held").last
    }

    /// How long the oldest job has been under way, or a look has waited for its turn.
    pub(super) fn waited(&self, now: Instant) -> Duration {
        let asked = self.space.lock().expect("nothing panics while it is held").asked;
        asked.map_or(Duration::ZERO, |asked| now.since(asked)).max(self.health.oldest_job(now))
    }

    pub(super) fn report(&self, now: Instant) -> Option<DiskReport> {
        let (disk, open) = (self.id()?, self.disk());
        let Space { last: space, boot, .. } = *self.space.lock().expect("nothing panics while it is held");
        let state = if self.error().is_some() || self.is_hung(now) {
            DiskState::Failed
        } else if self.is_hanging(now) || self.is_read_only() {
            DiskState::ReadOnly
        } else {
            DiskState::Good
        };
        Some(DiskReport {
            disk,
            path: self.config.path.clone(),
            labels: self.config.labels.clone(),
            total_bytes: space.total_bytes,
            free_bytes: space.free_bytes + space.deleted_bytes,
            registrations: open.as_ref().map_or(0, |disk| disk.registrations()),
            boot: open.as_ref().map_or(boot, |disk| disk.boot()),
            state,
            errors: self.errors(),
            pulled_bytes: self.pulled_bytes.load(Ordering::Relaxed),
        })
    }

    pub(super) fn refused(&self, now: Instant) -> Option<RefusedDisk> {
        let refusal = match &*self.lock() {
            State::Refused(refusal) | State::Failed(_, refusal) => Some(refusal.clone()),
            State::Blank(..) | State::Open(_) | State::Closed => None,
        };
        let refusal = refusal.or_else(|| self.complaint(now))?;
        Some(RefusedDisk {
            path: self.config.path.clone(),
            labels: self.config.labels.clone(),
            refusal: refusal.refusal,
            reason: refusal.reason,
            next: refusal.next,
        })
    }
}

/// Runs a job on a disk's queue; an error if the disk is not open or the job was lost.
pub(crate) async fn on_disk<T: Send + 'static>(
    slot: &Arc<Slot>,
    job: impl FnOnce(&Disk) -> T + Send + 'static,
) -> io::Result<T> {
    let disk = slot.disk().ok_or_else(|| io::Error::other("the disk is not open"))?;
    slot.call(move || job(&disk)).await
}
