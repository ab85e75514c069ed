//! Open chunk files: one slot per chunk, with the chunk's locks, and a bound on how many are open.
//!
//! Beyond some the disk is *crowded*, and those not used for longest are synced together and closed by a thread of their own
//! (`disk/tidy.rs`). Whoever opens one more waits for a file to be closed only if that thread cannot follow.
//!
//! # Invariants
//! 1. A chunk has at most one slot, so its locks exclude everybody else; a slot leaves the map only when
//!    nobody else holds it and its file is closed.
//! 2. The lock of the map is held for lookups only, never during I/O.
//! 3. Locks are taken in this order: `Slot::sync`, `Slot::state`, the map. The map's lock is let go
//!    before a slot's lock is taken.

use crate::locks::{lock, try_lock};
use crate::replica::Replica;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, RwLock};
use types::ChunkId;

/// Most chunk files open at once (each thread may hold one more): what is written in some seconds that one sync of the whole
/// disk may take.
pub(crate) const OPEN_CHUNKS_MAX: usize = 4096;
/// With fewer a disk would do little but open and close.
pub(crate) const OPEN_CHUNKS_MIN: usize = 16;
/// With more than so many the disk is crowded. One sync for all costs least for many, but what is not synced is verified after
/// a kill.
const CROWD: usize = 1024;
/// So many stay open then. A full record table takes 100 KiB of memory, so tables take some 50 MiB per disk, twice as much
/// while it is crowded.
const KEPT: usize = 512;
const _: () = assert!(KEPT < CROWD && 2 * CROWD < OPEN_CHUNKS_MAX);

/// A chunk's locks, and its file if it is open.
#[derive(Default)]
pub(crate) struct Slot {
    /// Held during an fdatasync (whose error is told only once) and by whatever closes the file.
    pub(crate) sync: Mutex<()>,
    /// Shared by readers, exclusive for changes.
    pub(crate) state: RwLock<Option<Replica>>,
    used: AtomicU64,
}

impl Slot {
    /// Closes the file if that needs no sync; whether it is closed.
    pub(crate) fn shut_clean(&self) -> bool {
        let (Some(_syncing), Ok(mut state)) = (try_lock(&self.sync), self.state.try_write()) else {
            return false;
        };
        let is_clean = state.as_mut().is_none_or(|replica| replica.clear_new().is_ok() && replica.is_clean());
        if is_clean {
            *state = None;
        }
        is_clean
    }
}

/// The slots of one disk.
pub(crate) struct Cache {
    slots: Mutex<BTreeMap<ChunkId, Arc<Slot>>>,
    clock: AtomicU64,
    open_max: usize,
}

impl Cache {
    /// Keeps about so many files open.
    pub(crate) fn new(open_max: usize) -> Self {
        let open_max = open_max.clamp(OPEN_CHUNKS_MIN, OPEN_CHUNKS_MAX);
        Self { slots: Mutex::default(), clock: AtomicU64::new(0), open_max }
    }

    /// More files are open than should stay so.
    pub(crate) fn is_crowded(&self) -> bool {
        self.len() > CROWD.min(self.open_max - self.open_max / 4)
    }

    /// How many files stay open when the disk is tidied.
    pub(crate) fn kept(&self) -> usize {
        KEPT.min(self.open_max / 2)
    }

    /// The slot of a chunk, and one that should be closed because there are too many.
    pub(crate) fn slot(&self, chunk: ChunkId) -> (Arc<Slot>, Option<(ChunkId, Arc<Slot>)>) {
        let now = self.clock.fetch_add(1, Ordering::Relaxed);
        let mut slots = lock(&self.slots);
        let slot = Arc::clone(slots.entry(chunk).or_default());
        slot.used.store(now, Ordering::Relaxed);
        let victim = if slots.len() > self.open_max { oldest(&slots) } else { None };
        (slot, victim)
    }

    /// The slot that was not used for longest, of those that nobody uses and, if there are such, of which nothing is to
    /// be synced.
    pub(crate) fn oldest(&self) -> Option<(ChunkId, Arc<Slot>)> {
        oldest(&lock(&self.slots))
    }

    /// The slot of a chunk if there is one.
    pub(crate) fn known(&self, chunk: ChunkId) -> Option<Arc<Slot>> {
        let now = self.clock.fetch_add(1, Ordering::Relaxed);
        let slot = lock(&self.slots).get(&chunk).cloned()?;
        slot.used.store(now, Ordering::Relaxed);
        Some(slot)
    }

    /// The slot of a chunk if there is one, which does not count as a use.
    pub(crate) fn peek(&self, chunk: ChunkId) -> Option<Arc<Slot>> {
        lock(&self.slots).get(&chunk).cloned()
    }

    /// All chunks with a slot, those first that were not used for longest.
    pub(crate) fn by_age(&self) -> Vec<ChunkId> {
        let used = |slot: &Slot| slot.used.load(Ordering::Relaxed);
        let mut all: Vec<(u64, ChunkId)> =
            lock(&self.slots).iter().map(|(chunk, slot)| (used(slot), *chunk)).collect();
        all.sort_unstable();
        all.into_iter().map(|(_, chunk)| chunk).collect()
    }

    /// Forgets a slot whose file was closed, unless somebody took it meanwhile: who opened the file again may be done with it
    /// and have left changes that are to be synced.
    pub(crate) fn forget(&self, chunk: ChunkId, slot: Arc<Slot>) {
        let mut slots = lock(&self.slots);
        // One in the map, one in our hands: nobody opens it now.
        if Arc::strong_count(&slot) == 2 && slot.state.try_read().is_ok_and(|state| state.is_none()) {
            slots.remove(&chunk);
        }
    }

    /// All slots.
    pub(crate) fn all(&self) -> Vec<(ChunkId, Arc<Slot>)> {
        lock(&self.slots).iter().map(|(chunk, slot)| (*chunk, Arc::clone(slot))).collect()
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        lock(&self.slots).len()
    }
}

fn oldest(slots: &BTreeMap<ChunkId, Arc<Slot>>) -> Option<(ChunkId, Arc<Slot>)> {
    let unused = slots.iter().filter(|(_, slot)| Arc::strong_count(slot) == 1);
    let oldest = unused.min_by_key(|(_, slot)| {
        let is_clean = slot.state.try_read().is_ok_and(|state| state.as_ref().is_none_or(Replica::is_clean));
        (!is_clean, slot.used.load(Ordering::Relaxed))
    });
    oldest.map(|(chunk, slot)| (*chunk, Arc::clone(slot)))
}
