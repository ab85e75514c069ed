//! How one disk is doing: jobs that do not end, failures in service, whether it may be written.
//!
//! One failed operation says little about a disk, so it only raises the question; [`Slot::examine`] answers it. A disk
//! that failed is given up as a whole: its chains end, and it is opened anew when it can be, under another verifier.
//!
//! # Invariants
//! 1. A job that hangs shows by its age, wherever it hangs: what is asked of the disk besides proves nothing, since
//!    a frozen filesystem answers many questions.
//! 2. A disk that keeps failing is tried at growing intervals, since each return disturbs the chains of its server.

use super::refusal::Refusal;
use super::slot::Slot;
use crate::config::{
    DISK_CALM_AFTER, DISK_HANGING_AFTER, DISK_HUNG_AFTER, DISK_RETRY_DOUBLINGS_MAX, DISK_RETRY_INTERVAL,
    DISK_SETTLE_INTERVAL,
};
use codec::control::DiskRefusal;
use env::Instant;
use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use store::{Disk, DiskSpace, StoreError};

/// What the operator does about a disk that failed in service.
const AFTER_FAILURE: &str =
    "see the kernel's log (dmesg) and smartctl; it is tried again by itself, or replace the disk";

/// What is known of a disk's health.
#[derive(Default)]
pub(super) struct Health {
    state: Mutex<State>,
    /// An operation failed since the last look.
    suspect: AtomicBool,
    read_only: AtomicBool,
    reopened: AtomicU64,
}

#[derive(Default)]
struct State {
    last: u64,
    /// Jobs that have begun and not ended.
    running: BTreeMap<u64, Instant>,
    /// Failures in a row, and the last one.
    failures: u32,
    failed_at: Option<Instant>,
    /// When it was last tried to settle what the disk holds back.
    settled_at: Option<Instant>,
}

impl Health {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nothing panics while it is held")
    }

    /// How often the disk was given up.
    pub(super) fn reopened(&self) -> u64 {
        self.reopened.load(Ordering::Relaxed)
    }

    pub(super) fn suspect(&self) {
        self.suspect.store(true, Ordering::Relaxed);
    }

    /// How long ago the oldest job that has not ended was begun.
    pub(super) fn oldest_job(&self, now: Instant) -> Duration {
        self.lock().running.values().map(|begun| now.since(*begun)).max().unwrap_or_default()
    }

    /// How long to wait before the disk is tried again.
    pub(super) fn pause(&self) -> Duration {
        let doublings = self.lock().failures.saturating_sub(1).min(DISK_RETRY_DOUBLINGS_MAX);
        DISK_RETRY_INTERVAL * (1 << doublings)
    }

    fn failed(&self, now: Instant) {
        let mut state = self.lock();
        if state.failed_at.is_some_and(|at| now.since(at) > DISK_CALM_AFTER) {
            state.failures = 0;
        }
        (state.failures, state.failed_at) = (state.failures.saturating_add(1), Some(now));
    }
}

/// A job that runs.
struct Running {
    slot: Arc<Slot>,
    number: u64,
}

impl Running {
    fn begin(slot: &Arc<Slot>) -> Self {
        let mut state = slot.health.lock();
        state.last += 1;
        let number = state.last;
        state.running.insert(number, slot.clock.now());
        drop(state);
        Self { slot: Arc::clone(slot), number }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.slot.health.lock().running.remove(&self.number);
    }
}

impl Slot {
    /// Runs a job in the disk's queue.
    pub(crate) fn run(self: &Arc<Self>, job: impl FnOnce() + Send + 'static) {
        let slot = Arc::clone(self);
        self.queue.run(Box::new(move || {
            let running = Running::begin(&slot);
            job();
            drop(running);
            slot.tidy_if_crowded();
        }));
    }

    /// The same, and gives its result to a task. If the job panics or is lost, an error.
    pub(crate) async fn call<T: Send + 'static>(
        self: &Arc<Self>,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> io::Result<T> {
        let slot = Arc::clone(self);
        let running = move || {
            let running = Running::begin(&slot);
            let done = job();
            drop(running);
            slot.tidy_if_crowded();
            done
        };
        self.queue.call(running).await
    }

    /// A job has not ended for so long that people should know; no new chunks come here.
    pub(crate) fn is_hanging(&self, now: Instant) -> bool {
        self.waited(now) > DISK_HANGING_AFTER
    }

    /// It counts as failed until it answers.
    pub(crate) fn is_hung(&self, now: Instant) -> bool {
        self.waited(now) > DISK_HUNG_AFTER
    }

    /// [`Slot::is_hung`] now: what is asked of it would only wait.
    pub(crate) fn is_stuck(&self) -> bool {
        self.is_hung(self.clock.now())
    }

    pub(super) fn is_read_only(&self) -> bool {
        self.health.read_only.load(Ordering::Relaxed)
    }

    /// Why an open disk is not of full use.
    pub(super) fn complaint(&self, now: Instant) -> Option<Refusal> {
        let path = &self.config.path;
        if self.is_hanging(now) {
            return Some(Refusal::new(
                DiskRefusal::Hanging,
                format!("{path} does not answer: something asked of it has not ended for more than 5 s"),
                "see the kernel's log: dmesg; it comes back by itself when its device answers",
            ));
        }
        if self.is_read_only() {
            return Some(Refusal::new(
                DiskRefusal::ReadOnly,
                format!("{path} is mounted read-only: it is read, and takes nothing"),
                "see the kernel's log (dmesg), check the filesystem, and mount it again for writing",
            ));
        }
        let held = self.disk()?.held_back();
        let more = if held.len() > 1 { format!(", and {} more", held.len() - 1) } else { String::new() };
        let reason = format!("{path} serves without {}{more}", held.first()?);
        let next =
            "see the kernel's log (dmesg) and smartctl, or make room on it; it is tried again by itself";
        Some(Refusal::new(DiskRefusal::HeldBack, reason, next))
    }

    /// Tries now and then to settle what the disk holds back; whether something came back.
    fn settle_held(&self, disk: &Disk) -> bool {
        let now = self.clock.now();
        let mut state = self.health.lock();
        let due = state.settled_at.is_none_or(|at| now.since(at) > DISK_SETTLE_INTERVAL);
        if due {
            state.settled_at = Some(now);
        }
        drop(state);
        if due {
            disk.settle_held();
        }
        disk.take_came_back()
    }

    /// Looks whether the disk can go on, and at its room. Gives it up if it cannot. Blocks.
    pub(super) fn examine(&self, disk: &Disk) -> Option<DiskSpace> {
        let is_kind =
            |error: &StoreError, kind| matches!(error, StoreError::Disk { source } if source.kind() == kind);
        match disk.check_place() {
            Ok(()) if self.is_read_only() => {
                // What could not be written meanwhile left it without its activity log.
                self.health.read_only.store(false, Ordering::Relaxed);
                self.give_up(disk, DiskRefusal::Failed, "it can be written again and is opened anew", false);
                return None;
            }
            Ok(()) => {}
            Err(StoreError::Exhausted { .. }) => return None,
            Err(error) if is_kind(&error, io::ErrorKind::ReadOnlyFilesystem) => {
                self.health.read_only.store(true, Ordering::Relaxed);
            }
            Err(error) => {
                self.give_up(disk, DiskRefusal::Absent, &error.to_string(), false);
                return None;
            }
        }
        let suspect = self.health.suspect.swap(false, Ordering::Relaxed) || disk.is_worn_out();
        let looked = disk.space().and_then(|space| {
            if suspect && !self.is_read_only() {
                disk.try_writing()?;
                if disk.is_worn_out() {
                    let source = io::Error::other("its activity log could not be written");
                    return Err(StoreError::Disk { source });
                }
            }
            Ok(space)
        });
        if looked.is_ok() && !self.is_read_only() && self.settle_held(disk) {
            // The master is told what it holds, and in which condition, when it registers.
            let why = "a replica that was held back can be used: the disk is opened anew";
            self.give_up(disk, DiskRefusal::Failed, why, false);
            return None;
        }
        match looked {
            Ok(space) => Some(space),
            Err(StoreError::Exhausted { .. }) => {
                self.health.suspect();
                None
            }
            Err(error) => {
                self.give_up(disk, DiskRefusal::Failed, &error.to_string(), true);
                None
            }
        }
    }

    /// It is not served any more until it was opened anew. `sick`: it may well fail again.
    fn give_up(&self, disk: &Disk, kind: DiskRefusal, why: &str, sick: bool) {
        self.count_error();
        self.health.reopened.fetch_add(1, Ordering::Relaxed);
        if sick {
            self.health.failed(self.clock.now());
        }
        self.fail(disk.id(), kind, why);
    }

    /// What a master and people are told of a disk that cannot be used.
    pub(super) fn failure(&self, kind: DiskRefusal, why: &str) -> Refusal {
        Refusal::split(kind, &format!("{}: {why}", self.config.path), AFTER_FAILURE)
    }
}
