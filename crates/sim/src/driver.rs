//! A program on each client that does random things to a few files and compares every answer.
//!
//! # Invariants
//! 1. Every call ends in bounded time (`invariants::bounded`), whatever happens to the cluster.
//! 2. While nothing is broken no call fails that the oracle does not expect to fail.
//! 3. A call that fails otherwise is of unknown outcome, and so is one whose client was killed.

pub(crate) mod appends;
mod files;
mod flood;
mod given_up;
mod look;
mod names;

use crate::chance::Chance;
use crate::cluster::{Cluster, Place, Program};
use crate::invariants::bounded::bounded;
use crate::invariants::{numbered, redundancy};
use crate::nemesis::Faults;
use crate::oracle::Oracle;
use crate::oracle::tree::FileId;
use crate::trace::Trace;
use client::{Client, FileHandle};
use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::fmt;
use std::future::Future;
use std::time::Duration;
use types::{InodeId, Status};

/// Files that one client has open for writing.
const HELD_MAX: usize = 3;
/// How often an operation fills the changelog while the master's disk is full.
const FLOODS_PERCENT: u64 = 20;

/// A promise was broken; the sentence says which and how.
#[derive(Debug)]
pub(crate) struct Violation(pub(crate) String);

/// What one call came to.
pub(crate) enum Answer<T> {
    Done(T),
    /// It did not take effect.
    Refused(Status),
    /// Nobody knows.
    Unknown(Status),
    /// The client is no more.
    Died,
}

/// What drivers and faults share.
pub(crate) struct Stage {
    pub(crate) cluster: Cluster,
    pub(crate) oracle: RefCell<Oracle>,
    pub(crate) trace: Trace,
    /// Nothing is broken and nothing was since the last look.
    pub(crate) calm: Cell<bool>,
    /// It is calm, and replicas have been compared since: what one reader was told, every other is told, too.
    pub(crate) settled: Cell<bool>,
    /// Files with a chunk that a loss of power took before it was synced.
    pub(crate) lost: RefCell<BTreeSet<InodeId>>,
    /// The client whose truncate or punch is under way, and the how manieth edit it is.
    pub(crate) editing: Cell<Option<(usize, u64)>>,
    /// Edits so far.
    pub(crate) edits: Cell<u64>,
    /// The master's disk has hardly any room.
    pub(crate) master_is_full: Cell<bool>,
    /// The one disk whose stored bytes the faults of this run may destroy.
    pub(crate) suspect: Cell<Option<Place>>,
    pub(crate) faults: Faults,
    /// What was deleted so far.
    pub(crate) removals: RefCell<redundancy::Watch>,
    /// What had which number so far.
    pub(crate) numbers: RefCell<numbered::Watch>,
}

impl Stage {
    /// A disk with damage that nobody may have noticed yet.
    pub(crate) fn rotten(&self) -> Option<Place> {
        self.suspect.get().filter(|_| self.faults == Faults::Rot)
    }

    /// Things begin to break, or have ceased to.
    pub(crate) fn set_calm(&self, calm: bool) {
        self.calm.set(calm);
        self.settled.set(false);
    }

    /// A promise was broken.
    pub(crate) fn violation(&self, what: impl fmt::Display) -> Violation {
        Violation(what.to_string())
    }
}

/// A file that is open for writing.
struct Held {
    file: FileId,
    handle: FileHandle,
    inode: InodeId,
}

/// One client's program.
pub(crate) struct Driver<'a> {
    stage: &'a Stage,
    /// Which client.
    number: usize,
    /// The tree that it may change.
    tree: usize,
    chance: Chance,
    held: Vec<Held>,
    /// The common log, if it is open here.
    log: Option<(InodeId, FileHandle)>,
    incarnation: u64,
    /// Roots of the trees.
    roots: [InodeId; crate::oracle::TREES],
}

fn is_refusal(status: Status) -> bool {
    matches!(
        status,
        Status::NotFound
            | Status::Exists
            | Status::NotDirectory
            | Status::IsDirectory
            | Status::NotEmpty
            | Status::Invalid
            | Status::NotPermitted
            | Status::TooManyLinks
            | Status::NameTooLong
    )
}

impl<'a> Driver<'a> {
    /// The program of client `number`, with the trees' directories.
    pub(crate) fn new(
        stage: &'a Stage,
        number: usize,
        chance: Chance,
        roots: [InodeId; crate::oracle::TREES],
    ) -> Self {
        Self { stage, number, tree: number, chance, held: Vec::new(), log: None, incarnation: 0, roots }
    }

    /// From now on it changes this tree.
    pub(crate) fn take_tree(&mut self, tree: usize) {
        self.tree = tree;
    }

    /// Does `count` operations with pauses in between.
    pub(crate) async fn run(&mut self, count: u64) -> Result<(), Violation> {
        for _ in 0..count {
            let pause = if self.chance.percent(10) { 2000 } else { 100 };
            let pause = Duration::from_micros(self.chance.below(pause * 1000));
            tokio::time::sleep(pause).await;
            let Some(program) = self.program().await? else { continue };
            self.step(&program).await?;
            redundancy::check(self.stage)?;
        }
        Ok(())
    }

    /// The client, connected; `None` if the cluster is away for too long.
    pub(crate) async fn program(&mut self) -> Result<Option<Program>, Violation> {
        match self.stage.cluster.program(self.number).await {
            Ok(program) => {
                if program.incarnation != self.incarnation {
                    self.died();
                    self.incarnation = program.incarnation;
                    self.note(format_args!("is client{}", program.incarnation));
                }
                Ok(Some(program))
            }
            Err(reason) if self.stage.calm.get() => {
                Err(self.stage.violation(format_args!("a client cannot connect: {reason}")))
            }
            Err(_) => {
                self.note(format_args!("cannot connect"));
                Ok(None)
            }
        }
    }

    async fn step(&mut self, program: &Program) -> Result<(), Violation> {
        if self.stage.master_is_full.get() && self.chance.percent(FLOODS_PERCENT) {
            return Box::pin(self.flood(program)).await;
        }
        if self.stage.faults.go_on() {
            if self.chance.percent(10) {
                return Box::pin(self.lose_touch(program)).await;
            }
            if self.holds_doubtful() && self.chance.percent(70) {
                return Box::pin(self.go_on(program)).await;
            }
        }
        match self.chance.below(100) {
            0..12 => self.open(program).await,
            12..40 => self.write(program).await,
            40..52 => self.read(program).await,
            52..58 => self.fsync(program).await,
            58..61 => self.flush(program).await,
            61..67 => self.close(program).await,
            67..71 => self.truncate(program).await,
            71..74 => self.punch(program).await,
            74..84 => self.read_other(program).await,
            84..91 => self.change_names(program).await,
            91..94 => self.append(program).await,
            94..97 => self.list(program).await,
            97..99 => self.barrier(program).await,
            _ => self.sync_all(program).await,
        }
    }

    /// Forgets what the client that is no more had open.
    fn died(&mut self) {
        self.held.clear();
        self.log = None;
        self.stage.oracle.borrow_mut().client_died(self.incarnation);
    }

    fn note(&self, what: fmt::Arguments<'_>) {
        self.stage.trace.note(format_args!("client {}: {what}", self.number));
    }

    /// One call to the client, which must not fail while all is calm.
    async fn ask<T>(
        &self,
        program: &Program,
        what: fmt::Arguments<'_>,
        shown: impl FnOnce(&T) -> String,
        call: impl Future<Output = Result<T, Status>>,
    ) -> Result<Answer<T>, Violation> {
        match self.ask_in_doubt(program, what, shown, call).await? {
            Answer::Unknown(status) if self.stage.calm.get() => {
                Err(self.stage.violation(format_args!("{what} failed: {status:?}")))
            }
            answer => Ok(answer),
        }
    }

    /// One call to the client: bounded, traced, and ended when the client is killed.
    async fn ask_in_doubt<T>(
        &self,
        program: &Program,
        what: fmt::Arguments<'_>,
        shown: impl FnOnce(&T) -> String,
        call: impl Future<Output = Result<T, Status>>,
    ) -> Result<Answer<T>, Violation> {
        let bounded = bounded(call);
        let outcome = tokio::select! {
            biased;
            () = program.gone.notified() => {
                // For whoever asks next.
                program.gone.notify_one();
                self.note(format_args!("{what}: killed"));
                // At once, for others may look at its files before this driver goes on.
                self.stage.oracle.borrow_mut().client_died(program.incarnation);
                return Ok(Answer::Died);
            }
            outcome = bounded => outcome,
        };
        match outcome {
            Err(reason) => Err(self.stage.violation(format_args!("{what} {reason}"))),
            Ok(Ok(value)) => {
                self.note(format_args!("{what}: {}", shown(&value)));
                Ok(Answer::Done(value))
            }
            Ok(Err(status)) => {
                self.note(format_args!("{what}: {status:?}"));
                Ok(if is_refusal(status) { Answer::Refused(status) } else { Answer::Unknown(status) })
            }
        }
    }

    /// The directory of a path and the last name. Counts no lookup.
    async fn parent<'p>(
        &self,
        client: &Client,
        tree: usize,
        path: &'p str,
    ) -> Result<(InodeId, &'p [u8]), Status> {
        let Some((dir, name)) = path.split_once('/') else { return Ok((self.roots[tree], path.as_bytes())) };
        let known = client.lookup(self.roots[tree], dir.as_bytes()).await?;
        client.forget(known.attributes.inode.id, 1);
        if known.attributes.kind != types::FileKind::Directory {
            return Err(Status::NotDirectory);
        }
        Ok((known.attributes.inode.id, name.as_bytes()))
    }
}

fn nothing<T>(_: &T) -> String {
    "ok".to_owned()
}
