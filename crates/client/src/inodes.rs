//! The inodes this client knows: generation, attributes, who holds them.
//!
//! # Invariants
//! 1. An inode stays while the kernel counts lookups of it, a handle is open on it, or writes to it are not
//!    on stable storage.
//! 2. Cached attributes are used for at most `ttl`, and not at all after this client changed a name.
//! 3. Of two answers about one inode the one with the higher change counter counts.

use crate::read::locate::Locations;
use crate::write::pipeline::Pipeline;
use env::Instant;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};
use tokio::sync::{Notify, RwLock, watch};
use types::{Attributes, InodeId, InodeRef, LogIndex, Name, Timestamp};

/// Attributes and when they were asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cached {
    /// As the master told them.
    pub(crate) attributes: Attributes,
    /// When they were asked for.
    pub(crate) at: Instant,
    /// [`Inodes::epoch`] then.
    pub(crate) epoch: u64,
}

/// The writer of one file.
pub(crate) struct Writer {
    /// Decisions and buffers.
    pub(crate) pipeline: Pipeline,
    /// A task carries them out.
    pub(crate) engine: bool,
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
    /// A name under which it was found last.
    pub(crate) name: Option<(InodeId, Name)>,
    /// The change counter up to which the kernel's pages are right.
    pub(crate) pages_at: Option<u64>,
    /// The last record that an answer about a change of this inode rested on.
    pub(crate) changed_at: LogIndex,
    /// Where its chunks are.
    pub(crate) locations: Locations,
    /// Present once it was written.
    pub(crate) writer: Option<Box<Writer>>,
    /// It waits to be synced before it is forgotten.
    pub(crate) leaving: bool,
}

impl State {
    /// The length that this client's programs see.
    pub(crate) fn length(&self) -> u64 {
        let told = self.cached.map_or(0, |cached| cached.attributes.length);
        told.max(self.writer.as_ref().map_or(0, |writer| writer.pipeline.end()))
    }

    /// Attributes with this client's own unsent writes.
    pub(crate) fn shown(&self, mut attributes: Attributes) -> Attributes {
        if let Some(writer) = &self.writer {
            attributes.length = attributes.length.max(writer.pipeline.end());
            if let Some(modified) = writer.pipeline.modified() {
                attributes.modified = modified;
                attributes.changed = attributes.changed.max(modified);
            }
        }
        attributes
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
    /// Writers hold it shared for a moment; truncate and punch hold it alone while the file is settled.
    pub(crate) gate: RwLock<()>,
    /// Wakes the engine.
    pub(crate) kick: Notify,
    /// Marked when the writer got on.
    pub(crate) progress: watch::Sender<()>,
}

impl Inode {
    /// Locks what changes. Never held across a wait.
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nothing panics while it is held")
    }
}

/// All of them.
#[derive(Default)]
pub(crate) struct Inodes {
    table: Mutex<Table>,
}

#[derive(Default)]
struct Table {
    inodes: BTreeMap<InodeId, Arc<Inode>>,
    epoch: u64,
    forgotten: BTreeSet<InodeRef>,
}

impl Inodes {
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
        if let Some(inode) = table.inodes.get(&reference.id).filter(|i| i.reference == reference) {
            return Arc::clone(inode);
        }
        let inode = Arc::new(Inode {
            reference,
            state: Mutex::default(),
            gate: RwLock::new(()),
            kick: Notify::new(),
            progress: watch::Sender::new(()),
        });
        table.inodes.insert(reference.id, Arc::clone(&inode));
        inode
    }

    /// All, in order of their numbers.
    pub(crate) fn all(&self) -> Vec<Arc<Inode>> {
        self.table().inodes.values().map(Arc::clone).collect()
    }

    /// Grows when this client changes names.
    pub(crate) fn epoch(&self) -> u64 {
        self.table().epoch
    }

    /// This client changed a name: link counts and directories told before are outdated.
    pub(crate) fn names_changed(&self) {
        self.table().epoch += 1;
    }

    /// Takes the inode out if nobody holds it. False: its writes are to be synced first, by the caller,
    /// who then calls again with `synced`.
    pub(crate) fn leave(&self, inode: &Arc<Inode>, synced: bool) -> bool {
        let mut table = self.table();
        let mut state = inode.state();
        if state.lookups > 0 || state.opens > 0 || inode.reference.id == InodeId::ROOT {
            state.leaving = false;
            return true;
        }
        let unlinked = state.cached.is_some_and(|cached| cached.attributes.links == 0);
        let pending =
            state.writer.as_ref().is_some_and(|w| w.engine || (w.pipeline.is_unsynced() && !unlinked));
        if pending && !synced {
            return std::mem::replace(&mut state.leaving, true);
        }
        drop(state);
        if table.inodes.get(&inode.reference.id).is_some_and(|known| Arc::ptr_eq(known, inode)) {
            table.inodes.remove(&inode.reference.id);
            table.forgotten.insert(inode.reference);
        }
        true
    }

    /// At most `max` inodes that left since the last time.
    pub(crate) fn take_forgotten(&self, max: usize) -> Vec<InodeRef> {
        let mut table = self.table();
        let mut taken = Vec::new();
        while taken.len() < max
            && let Some(inode) = table.forgotten.pop_first()
        {
            taken.push(inode);
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

    /// Takes an answer in, asked for at `at` when the epoch was `epoch`.
    pub(crate) fn told(inode: &Inode, attributes: Attributes, at: Instant, epoch: u64) {
        let mut state = inode.state();
        let newer = state.cached.is_none_or(|cached| {
            let known = cached.attributes.change_counter;
            attributes.change_counter > known || (attributes.change_counter == known && at >= cached.at)
        });
        if newer {
            state.cached = Some(Cached { attributes, at, epoch });
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
