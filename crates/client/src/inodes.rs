//! The inodes this client knows: generation, attributes, who holds them.
//!
//! # Invariants
//! 1. An inode stays while the kernel counts lookups of it (unless there are too many, [`Inodes::surplus`]), a handle is open on it,
//!    an operation uses it, or writes to it are not on stable storage. So a file never has two inodes here.
//! 2. Cached attributes are used for at most `ttl`. What this client changes is told by the answer, or not used again.
//! 3. Of two answers about one inode the one with the higher change counter counts.
//! 4. An inode that leaves takes no loss of writes with it that nobody was told of (`losses`).
//! 5. [`Names`] agrees with the state of each inode whenever that is not locked.

use crate::losses::{Debts, Losses};
use crate::names::{Names, Place};
use crate::read::locate::Locations;
use crate::read::patience::GivenUp;
use crate::signal::Signal;
use crate::write::append::Appends;
use crate::write::pipeline::Pipeline;
use env::Instant;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::{Bound, Deref, DerefMut};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tokio::sync::{Notify, RwLock};
use types::{Attributes, DirCursor, FileKind, InodeId, InodeRef, LogIndex, Status, Timestamp};

/// Inodes named as unused with one request. There are hardly ever two under one name.
const UNUSED_MAX: usize = 16;

/// Attributes and when they were asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cached {
    /// As the master told them.
    pub(crate) attributes: Attributes,
    /// When they were asked for; `None`: they are outdated and not to be shown.
    pub(crate) at: Option<Instant>,
}

/// The writer of one file.
pub(crate) struct Writer {
    /// Decisions and buffers.
    pub(crate) pipeline: Pipeline,
    /// A task carries them out.
    pub(crate) engine: bool,
}

/// Inodes that are kept since something of theirs that was given up could come back; what is beyond is forgotten.
const LINGERING_MAX: usize = 16_384;
/// Pause before their sync is tried again, doubled up to the greatest.
const TRY_AGAIN_MIN: Duration = Duration::from_secs(1);
const TRY_AGAIN_MAX: Duration = Duration::from_secs(60);

/// Whether an inode is to be synced before it is forgotten.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Leaving {
    /// Nobody does that.
    #[default]
    No,
    /// A task does.
    Syncing,
    /// It failed, which was told, and is not tried again unless the inode is used again.
    Failed,
}

/// What changes about an inode.
#[derive(Default)]
pub(crate) struct State {
    /// References of the kernel.
    pub(crate) lookups: u64,
    /// Open handles.
    pub(crate) opens: u32,
    /// See [`Cached`]. Kept when too old, for the length of a file being written.
    pub(crate) cached: Option<Cached>,
    /// A name under which it was found last; see [`Held::found_at`].
    place: Option<Place>,
    /// That name was removed here, and the master was not asked about it since.
    lost_name: bool,
    /// It left the table.
    gone: bool,
    /// The change counter up to which the kernel's pages are right.
    pub(crate) pages_at: Option<u64>,
    /// The last record that an answer about a change of this inode rested on.
    pub(crate) changed_at: LogIndex,
    /// Where its chunks are.
    pub(crate) locations: Locations,
    /// The last read that took the mount's limit in vain.
    pub(crate) given_up: Option<GivenUp>,
    /// Present once it was written.
    pub(crate) writer: Option<Box<Writer>>,
    /// Its append lock.
    pub(crate) appends: Appends,
    /// Writes that were lost, and whether anybody was told.
    pub(crate) losses: Losses,
    /// See [`Leaving`].
    pub(crate) leaving: Leaving,
    /// The pause before the sync of an inode that cannot be forgotten is tried again.
    pub(crate) tried_again: Option<Duration>,
    /// When a name was last asked for in this directory that was not there.
    pub(crate) absent_at: Option<env::Instant>,
    /// Nothing follows this entry of the directory, as of a change counter.
    pub(crate) listed_to: Option<(DirCursor, u64)>,
    /// When a lookup was answered that the next open belongs to; used up by it.
    pub(crate) looked_up: Option<env::Instant>,
}

impl State {
    /// The length that this client's programs see.
    pub(crate) fn length(&self) -> u64 {
        let told = self.cached.map_or(0, |cached| cached.attributes.length);
        told.max(self.writer.as_ref().map_or(0, |writer| writer.pipeline.end()))
    }

    /// The attributes are kept for their length, and not shown any more.
    pub(crate) fn outdate(&mut self) {
        if let Some(cached) = &mut self.cached {
            cached.at = None;
        }
    }

    /// Attributes with this client's own unsent writes.
    pub(crate) fn shown(&self, mut attributes: Attributes) -> Attributes {
        if let Some(writer) = &self.writer {
            writer.pipeline.show(&mut attributes);
        }
        attributes
    }

    /// Whether somebody here uses the content: an open handle, or a writer at work.
    pub(crate) fn is_held(&self) -> bool {
        self.opens > 0 || self.writer.as_ref().is_some_and(|writer| writer.engine) || self.is_dirty()
    }

    /// Whether it is a directory that the kernel has and the master has not, or may not have: who forgets it cannot ask again.
    pub(crate) fn is_left_over(&self) -> bool {
        let is_removed = |attributes: Attributes| self.lost_name || attributes.links == 0;
        let cached = self.cached.map(|cached| cached.attributes);
        self.lookups > 0 && cached.is_some_and(|known| known.kind == FileKind::Directory && is_removed(known))
    }

    /// Whether the kernel opens it by itself and tells nobody: a pipe, a socket or a device.
    fn is_opened_unseen(&self) -> bool {
        let kind = self.cached.map(|cached| cached.attributes.kind);
        kind.is_some_and(|kind| !matches!(kind, FileKind::File | FileKind::Directory | FileKind::Symlink))
    }

    /// Whether the master was not told of all writes.
    pub(crate) fn is_dirty(&self) -> bool {
        self.writer.as_ref().is_some_and(|writer| !writer.pipeline.is_clean())
    }
}

/// One inode.
pub(crate) struct Inode {
    /// Number and generation.
    pub(crate) reference: InodeRef,
    state: Mutex<State>,
    names: Arc<Names>,
    /// Writers hold it shared for a moment; truncate and punch hold it alone while the file is settled.
    pub(crate) gate: RwLock<()>,
    /// An open holds it shared until its handle counts; the removal of a name holds it alone from when it says whether
    /// the file is in use until it is answered.
    pub(crate) opening: RwLock<()>,
    /// Wakes the engine.
    pub(crate) kick: Notify,
    /// Wakes the keeper of the append lock.
    pub(crate) hurry: Notify,
    /// Marked when the writer got on, and when the append lock came or went.
    pub(crate) progress: Signal,
}

impl Inode {
    /// Locks what changes. Never held across a wait.
    pub(crate) fn state(&self) -> Held<'_> {
        Held { inode: self, state: self.state.lock().expect("nothing panics while it is held") }
    }
}

/// The locked state of an inode. [`Names`] is told of what changed before the lock is given back.
pub(crate) struct Held<'a> {
    inode: &'a Inode,
    state: MutexGuard<'a, State>,
}

impl Held<'_> {
    /// The inode was found under this name.
    pub(crate) fn found_at(&mut self, place: Place) {
        self.put_at(Some(place));
    }

    fn put_at(&mut self, place: Option<Place>) {
        let state = &mut *self.state;
        if !state.gone && state.place != place {
            let before = std::mem::replace(&mut state.place, place.clone());
            self.inode.names.moved(self.inode.reference.id, before, place);
        }
    }

    /// It is in the table no longer.
    fn leave_table(&mut self) {
        self.put_at(None);
        self.state.gone = true;
    }
}

impl Deref for Held<'_> {
    type Target = State;

    fn deref(&self) -> &State {
        &self.state
    }
}

impl DerefMut for Held<'_> {
    fn deref_mut(&mut self) -> &mut State {
        &mut self.state
    }
}

/// All of them.
pub(crate) struct Inodes {
    table: Mutex<Table>,
    names: Arc<Names>,
    max: usize,
    /// Woken when there are twice as many as should be.
    crowded: Arc<Notify>,
}

#[derive(Default)]
struct Table {
    inodes: BTreeMap<InodeId, Arc<Inode>>,
    /// Left, and the master is to be told, those in `ripe` next.
    forgotten: BTreeSet<InodeRef>,
    ripe: BTreeSet<InodeRef>,
    /// They would have left, but something used them, or a sync that they need failed; when to try again.
    lingering: BTreeMap<InodeId, Instant>,
    debts: Debts,
}

impl Inodes {
    /// `max` are to be kept although nothing is open.
    pub(crate) fn new(max: usize) -> Self {
        Self { table: Mutex::default(), names: Arc::default(), max, crowded: Arc::default() }
    }

    /// Who waits here is woken when there are twice as many as should be.
    pub(crate) fn crowded(&self) -> Arc<Notify> {
        Arc::clone(&self.crowded)
    }

    /// How many there are beyond those to be kept, and whether they are as many again.
    pub(crate) fn surplus(&self) -> (usize, bool) {
        let surplus = self.len().saturating_sub(self.max);
        (surplus, surplus > self.max)
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().expect("nothing panics while it is held")
    }

    /// The inode, if known.
    pub(crate) fn get(&self, id: InodeId) -> Option<Arc<Inode>> {
        self.table().inodes.get(&id).map(Arc::clone)
    }

    /// The inode, made known if it is not. One with another generation takes its place.
    pub(crate) fn enter(&self, reference: InodeRef) -> Arc<Inode> {
        let mut table = self.table();
        // It is known again before the master was told that it was forgotten.
        table.forgotten.remove(&reference);
        table.ripe.remove(&reference);
        if let Some(inode) = table.inodes.get(&reference.id).filter(|i| i.reference == reference) {
            return Arc::clone(inode);
        }
        let inode = Arc::new(Inode {
            reference,
            state: Mutex::default(),
            names: Arc::clone(&self.names),
            gate: RwLock::new(()),
            opening: RwLock::new(()),
            kick: Notify::new(),
            hurry: Notify::new(),
            progress: Signal::default(),
        });
        let (lost, changed_at) = table.debts.settle(reference);
        {
            let mut state = inode.state();
            lost.into_iter().for_each(|status| state.losses.note(status));
            state.changed_at = changed_at.unwrap_or_default();
        }
        if let Some(before) = table.inodes.insert(reference.id, Arc::clone(&inode)) {
            before.state().leave_table();
        }
        if table.inodes.len() > 2 * self.max {
            self.crowded.notify_one();
        }
        inode
    }

    /// All, in order of their numbers.
    pub(crate) fn all(&self) -> Vec<Arc<Inode>> {
        self.table().inodes.values().map(Arc::clone).collect()
    }

    /// Of these inodes, which may lose their name, those that nobody uses here. Of one that may be open unseen, the kernel says
    /// when it is not, by forgetting it.
    pub(crate) fn unused(inodes: &[Arc<Inode>]) -> Vec<InodeId> {
        let is_unused = |state: &State| !state.is_held() && !state.is_opened_unseen();
        let unused = inodes.iter().filter(|inode| is_unused(&inode.state()));
        unused.map(|inode| inode.reference.id).take(UNUSED_MAX).collect()
    }

    /// The attributes of what was found under this name are not to be shown any more.
    pub(crate) fn outdate(&self, place: &Place) {
        for inode in self.found_at(place) {
            inode.state().outdate();
        }
    }

    /// What was found under this name has most likely lost it.
    pub(crate) fn lost_name(&self, place: &Place) {
        for inode in self.found_at(place) {
            inode.state().lost_name = true;
        }
    }

    /// Inodes keep the name under which they are known when it moves.
    pub(crate) fn renamed(&self, from: &Place, to: &Place, exchange: bool) {
        let moved = self.found_at(from);
        let back = if exchange { self.found_at(to) } else { Vec::new() };
        for (inodes, place) in [(moved, to), (back, from)] {
            for inode in inodes {
                inode.state().found_at(place.clone());
            }
        }
    }

    /// The inodes found under this name, in order of their numbers.
    pub(crate) fn found_at(&self, place: &Place) -> Vec<Arc<Inode>> {
        self.names.at(place).into_iter().filter_map(|inode| self.get(inode)).collect()
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.table().inodes.len()
    }

    /// At most `max` of the inodes that follow `after` and are wanted, and where to go on; from the start again after the
    /// last one. Looks at a bounded number.
    pub(crate) fn walk(
        &self,
        after: Option<InodeId>,
        max: usize,
        wanted: impl Fn(&Inode) -> bool,
    ) -> (Option<InodeId>, Vec<Arc<Inode>>) {
        let table = self.table();
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let mut found = Vec::new();
        for (looked_at, (id, inode)) in (1..).zip(table.inodes.range((from, Bound::Unbounded))) {
            if wanted(inode) {
                found.push(Arc::clone(inode));
            }
            if found.len() == max || looked_at == 4 * max {
                return (Some(*id), found);
            }
        }
        (None, found)
    }

    /// The master does not know the inode any more.
    pub(crate) fn removed(inode: &Inode) {
        if let Some(cached) = &mut inode.state().cached {
            cached.attributes.links = 0;
        }
    }

    /// The master does not know the inode any more, asked at `at`. Says whether it is a directory: an empty one
    /// without a name is what is left of it, as long as the kernel knows it.
    pub(crate) fn removed_directory(inode: &Inode, at: Instant) -> bool {
        let mut state = inode.state();
        let Some(cached) = state.cached.as_mut() else { return false };
        let is_directory = cached.attributes.kind == FileKind::Directory;
        if is_directory {
            (cached.attributes.links, cached.attributes.length) = (0, 0);
            cached.at = Some(at);
        }
        is_directory
    }

    /// Takes the inode out if nobody holds it. False: its writes are to be synced first, by the caller,
    /// who then calls again, and says whether that `failed`. One that something uses is found in [`Inodes::take_lingering`] later. What it owes is
    /// remembered: losses that nobody was told of, and changes that the master has not on stable storage.
    pub(crate) fn leave(&self, inode: &Arc<Inode>, failed: bool, stable: LogIndex, now: Instant) -> bool {
        let mut table = self.table();
        let mut state = inode.state();
        // The task that keeps its append lock comes back here.
        let in_use = state.lookups > 0 || state.opens > 0 || state.appends.is_busy();
        if in_use || inode.reference.id == InodeId::ROOT {
            (state.leaving, state.tried_again) = (Leaving::No, None);
            return true;
        }
        if failed {
            state.leaving = Leaving::Failed;
        }
        // One in the table, one in the caller's hands; who wants another one waits for the table. The task that writes it has one,
        // but may begin later.
        if Arc::strong_count(inode) > 2 || state.is_dirty() {
            table.lingering.insert(inode.reference.id, now);
            return true;
        }
        let unlinked = state.cached.is_some_and(|cached| cached.attributes.links == 0);
        let is_unsynced = state.writer.as_ref().is_some_and(|writer| writer.pipeline.is_unsynced());
        let wants_others = state.writer.as_ref().is_some_and(|writer| writer.pipeline.wants_others());
        if (is_unsynced || wants_others) && !unlinked && state.leaving != Leaving::Failed {
            return std::mem::replace(&mut state.leaving, Leaving::Syncing) == Leaving::Syncing;
        }
        // What was given up is not forgotten before it cannot come back: another sync is tried later.
        if wants_others && !unlinked && table.lingering.len() < LINGERING_MAX {
            let pause = state.tried_again.map_or(TRY_AGAIN_MIN, |pause| (2 * pause).min(TRY_AGAIN_MAX));
            (state.leaving, state.tried_again) = (Leaving::No, Some(pause));
            table.lingering.insert(inode.reference.id, now + pause);
            return true;
        }
        if table.inodes.get(&inode.reference.id).is_some_and(|known| Arc::ptr_eq(known, inode)) {
            state.leave_table();
            table.inodes.remove(&inode.reference.id);
            match state.losses.untold() {
                _ if unlinked => {}
                Some(status) => table.debts.owe(inode.reference, status),
                // Its handles were told; those to come would sync what is not known any more.
                None if is_unsynced => table.debts.owe(inode.reference, Status::Io),
                None => table.debts.watch(inode.reference, state.changed_at, stable),
            }
            table.forgotten.insert(inode.reference);
        }
        true
    }

    /// The master lost what came after `stable`: forgotten inodes that it concerns owe a report. Says whether
    /// there are any.
    pub(crate) fn tail_lost(&self, stable: LogIndex) -> bool {
        self.table().debts.tail_lost(stable)
    }

    /// Those that something used when they were to leave, and those whose sync is to be tried again by now; at most `max`.
    pub(crate) fn take_lingering(&self, max: usize, now: Instant) -> Vec<Arc<Inode>> {
        let mut table = self.table();
        let due = table.lingering.iter().filter(|(_, at)| **at <= now).map(|(id, _)| *id);
        let due: Vec<InodeId> = due.take(max).collect();
        table.lingering.retain(|id, _| due.binary_search(id).is_err());
        due.iter().filter_map(|id| table.inodes.get(id).cloned()).collect()
    }

    /// At most `max` inodes that left before it answered with none for the last time; so a directory page has that
    /// long to be made use of ([`Inodes::glimpsed`]).
    pub(crate) fn take_forgotten(&self, max: usize) -> Vec<InodeRef> {
        let mut table = self.table();
        let mut taken = Vec::new();
        while taken.len() < max
            && let Some(inode) = table.ripe.pop_first()
        {
            taken.push(inode);
        }
        if taken.is_empty() {
            table.ripe = std::mem::take(&mut table.forgotten);
        }
        taken
    }

    /// A directory page named the inode, so the master counts it as known here. Unless the caller makes it
    /// known with [`Inodes::enter`], the master is told that it is not.
    pub(crate) fn glimpsed(&self, reference: InodeRef) {
        let mut table = self.table();
        if !table.inodes.contains_key(&reference.id) {
            table.forgotten.insert(reference);
        }
    }

    /// Takes an answer in, asked for at `at`.
    pub(crate) fn told(inode: &Inode, attributes: Attributes, at: Instant) {
        let mut state = inode.state();
        let newer = state.cached.is_none_or(|cached| {
            let known = cached.attributes.change_counter;
            attributes.change_counter > known
                || (attributes.change_counter == known && cached.at.is_none_or(|before| at >= before))
        });
        if newer {
            state.lost_name = false;
            state.cached = Some(Cached { attributes, at: Some(at) });
        }
        if let Some(writer) = &mut state.writer {
            writer.pipeline.learn_generation(attributes.truncate_generation);
        }
    }
}

/// The wall clock as the filesystem stores it.
pub(crate) fn wall(env: &env::Env) -> Timestamp {
    let (seconds, nanos) = env.clock.wall();
    Timestamp::new(seconds, nanos)
}
