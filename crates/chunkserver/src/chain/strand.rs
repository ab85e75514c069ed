//! Local work of one replica: one job after the other, in the disk's queue.
//!
//! Jobs that came together run together, with one fdatasync for all that want one. What has its turn between two frames
//! and is none is a job like the others, but its failure is no failure of the chain.

use super::reply::What;
use super::{Chain, Effects};
use std::collections::VecDeque;
use std::sync::Arc;
use store::{Disk, StoreError};
use types::Status;
use wire::chain::Op;

/// Jobs of one replica that run before other replicas of the disk get their turn.
const BATCH_JOBS_MAX: usize = 32;
/// Room that is made when a write finds none.
const ROOM_BYTES: u64 = 64 << 20;

/// What is to be done with the replica. Dropped undone if something before it fails.
pub(super) enum Job {
    /// A frame that was taken.
    Frame(Op, What),
    /// Something between two frames.
    Aside(Box<dyn FnOnce(&Disk) + Send>),
}

/// The jobs that wait.
#[derive(Default)]
pub(super) struct Strand {
    jobs: VecDeque<Job>,
    /// A run is in the disk's queue or on its thread.
    running: bool,
    /// A job failed or took too long: what follows must not be applied.
    stopped: bool,
}

impl Strand {
    pub(super) fn push(&mut self, job: Job) {
        if !self.stopped {
            self.jobs.push_back(job);
        }
    }

    /// Nothing more is begun.
    pub(super) fn stop(&mut self) {
        self.stopped = true;
        self.jobs.clear();
    }

    pub(super) fn is_quiet(&self) -> bool {
        !self.running && self.jobs.is_empty()
    }
}

impl Chain {
    /// Begins a run if there is something to do and none is under way. The lock is not held: in a simulation
    /// the run happens here.
    pub(super) fn kick(self: &Arc<Self>) {
        if let Some(run) = self.next_run() {
            self.slot.run(move || run.run());
        }
    }

    /// The same for whoever is in the disk's queue already.
    pub(super) fn run_here(self: &Arc<Self>) {
        if let Some(run) = self.next_run() {
            run.run();
        }
    }

    fn next_run(self: &Arc<Self>) -> Option<Run> {
        let mut inner = self.lock();
        if inner.strand.running || inner.strand.jobs.is_empty() {
            return None;
        }
        inner.strand.running = true;
        Some(Run { chain: Arc::clone(self), ended: false })
    }
}

/// A run; if it is lost (the queue is full, a job panicked), the member fails.
struct Run {
    chain: Arc<Chain>,
    ended: bool,
}

impl Run {
    fn run(mut self) {
        loop {
            let batch: Vec<Job> = {
                let mut inner = self.chain.lock();
                let count = inner.strand.jobs.len().min(BATCH_JOBS_MAX);
                if count == 0 {
                    inner.strand.running = false;
                    self.ended = true;
                    break;
                }
                inner.strand.jobs.drain(..count).collect()
            };
            let done = self.chain.carry_out(batch);
            self.chain.carried_out(done);
        }
        self.chain.quiet.notify_waiters();
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        let mut effects = Effects::default();
        if let Ok(mut inner) = self.chain.inner.lock() {
            inner.strand.stop();
            inner.strand.running = false;
            let mut out = Vec::new();
            inner.member.applied(Op(0), Err(Status::Io), &mut out);
            inner.settle(out, &mut effects);
        }
        self.chain.answer(effects);
        self.chain.quiet.notify_waiters();
    }
}

/// How far a batch got: what is done, in order, then perhaps one failure, after which nothing was done.
struct Done {
    done: Vec<Op>,
    failed: Option<(Op, StoreError)>,
}

impl Chain {
    fn carry_out(&self, batch: Vec<Job>) -> Done {
        let mut done = Vec::new();
        let mut failed = None;
        let Some(disk) = self.slot.disk() else {
            let error = StoreError::Disk { source: std::io::Error::other("the disk is not open") };
            let frame = |job: &Job| if let Job::Frame(op, _) = job { Some(*op) } else { None };
            return Done { done, failed: batch.iter().find_map(frame).map(|op| (op, error)) };
        };
        let mut to_sync = Vec::new();
        let mut version = None;
        for job in batch {
            let (op, what) = match job {
                Job::Frame(op, what) => (op, what),
                Job::Aside(work) => {
                    work(&disk);
                    continue;
                }
            };
            version = Some(what.capability().version);
            let synced = match &what {
                What::Write(write, payload) => {
                    let write_to = store::Write {
                        chunk: write.capability.chunk,
                        version: write.capability.version,
                        offset: u64::from(write.offset),
                        data: payload,
                        page_crcs: &write.page_crcs,
                        block_values: &write.block_values,
                        create: write.create,
                    };
                    if let Err(error) = write_with_room(&disk, &write_to) {
                        failed = Some((op, error));
                        break;
                    }
                    write.durable
                }
                What::Flush(_) => true,
            };
            if synced {
                to_sync.push(op);
            } else {
                done.push(op);
            }
        }
        if let (Some(first), Some(version)) = (to_sync.first(), version) {
            match disk.sync(self.chunk, version) {
                Ok(()) => done.extend(&to_sync),
                // Earlier than any failed write of the batch.
                Err(error) => failed = Some((*first, error)),
            }
        }
        Done { done, failed }
    }

    fn carried_out(&self, Done { done, failed }: Done) {
        let mut effects = Effects::default();
        let mut born = None;
        {
            let mut inner = self.lock();
            let inner = &mut *inner;
            let mut out = Vec::new();
            if !done.is_empty() && std::mem::take(&mut inner.unborn) {
                born = Some(inner.version);
            }
            for op in done {
                inner.member.applied(op, Ok(()), &mut out);
            }
            if let Some((op, error)) = failed {
                self.note(&error, inner.version);
                inner.strand.stop();
                inner.member.applied(op, Err(error.status()), &mut out);
            }
            inner.settle(out, &mut effects);
        }
        if let Some(version) = born {
            self.context.events.born(self.disk, self.chunk, version);
        }
        self.answer(effects);
    }

    fn note(&self, error: &StoreError, version: types::Version) {
        match error {
            StoreError::Absent { .. }
            | StoreError::WrongVersion { .. }
            | StoreError::CorruptPayload { .. }
            | StoreError::NoSpace
            | StoreError::Invalid { .. } => {
                tracing::debug!(disk = %self.disk, chunk = %self.chunk, %error, "a write was refused");
            }
            _ => {
                tracing::warn!(disk = %self.disk, chunk = %self.chunk, %error, "a write failed");
                self.slot.count_error();
            }
        }
        if error.is_damage() {
            self.context.events.damaged(self.disk, self.chunk, version);
        }
    }
}

/// Writes; if the disk is full, erases deleted replicas before their time, as long as there are any.
pub(crate) fn write_with_room(disk: &Disk, write: &store::Write<'_>) -> Result<(), StoreError> {
    loop {
        match disk.write(write) {
            Err(StoreError::NoSpace) => {}
            result => return result,
        }
        let purged = disk.purge_for_space(ROOM_BYTES)?;
        if purged.files == 0 {
            return Err(StoreError::NoSpace);
        }
        tracing::info!(disk = %disk.id(), ?purged, "deleted replicas were erased early to make room");
    }
}
