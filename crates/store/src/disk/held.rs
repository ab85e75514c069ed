//! Replicas that were being written at an unclean stop and cannot be settled: held back, while the rest of the disk serves.
//!
//! The device cannot read the header of a file, or takes nothing that has to be written again, perhaps for want of room. Such a
//! replica counts as bad, and its file stays as it is.
//!
//! # Invariants
//! 1. Nobody uses a replica that is held back: whoever opens it settles it first, by the marks that it had.
//! 2. The activity log names it with these marks, durably, from before the disk serves until it was settled or its file moved.
//! 3. What it had not synced may be gone as soon as the machine stopped once, in order or not: nobody could sync it.
//!
//! # Elsewhere
//! Settling: `disk/files.rs`. The marks: `activity`. Who tries again, and when: `chunkserver`.

use super::Disk;
use super::walk::UNREADABLE;
use crate::activity::Named;
use crate::header::Flags;
use crate::locks::{exclusive, lock};
use crate::names::chunk_path;
use crate::replica::LoadError;
use std::collections::BTreeMap;
use std::io;
use std::ops::Bound;
use types::ChunkId;

/// With more of them something is wrong with the disk, and it is not served.
pub(crate) const HELD_MAX: usize = 256;

/// What is held back.
#[derive(Default)]
pub(super) struct Held {
    files: BTreeMap<ChunkId, HeldFile>,
    /// The one that was tried last.
    tried: Option<ChunkId>,
    /// One was settled since somebody asked.
    came_back: bool,
}

impl Held {
    fn next(&mut self) -> Option<(ChunkId, Named)> {
        let after = self.tried.map_or(Bound::Unbounded, Bound::Excluded);
        let next =
            self.files.range((after, Bound::Unbounded)).next().or_else(|| self.files.first_key_value());
        let (chunk, named) = next.map(|(chunk, file)| (*chunk, file.named))?;
        self.tried = Some(chunk);
        Some((chunk, named))
    }
}

struct HeldFile {
    named: Named,
    why: String,
}

impl Disk {
    /// The files that are held back, and why; in the order of chunk ids.
    pub fn held_back(&self) -> Vec<String> {
        lock(&self.held).files.values().map(|file| file.why.clone()).collect()
    }

    /// Tries again to settle one replica that is held back, another one each time: a device may take half a minute over a sector
    /// that it cannot read.
    pub fn settle_held(&self) {
        let Some((chunk, named)) = lock(&self.held).next() else { return };
        let slot = self.slot(chunk);
        let mut state = exclusive(&slot.state);
        // Somebody may have settled it, or moved it away.
        if state.is_some() || self.held_mark(chunk).is_none() {
            return;
        }
        let Err(error) = self.load(chunk, &mut state) else { return };
        match self.judge_unread(chunk, named, error) {
            Ok(_) => _ = self.release(chunk),
            Err(error) => tracing::debug!(%chunk, %error, "a replica is still held back"),
        }
    }

    /// Whether a replica was settled since the last call that was held back before: what was told of the disk does not name it.
    pub fn take_came_back(&self) -> bool {
        std::mem::take(&mut lock(&self.held).came_back)
    }

    /// What the activity log goes on saying.
    pub(super) fn held_marks(&self) -> Vec<(ChunkId, Named)> {
        lock(&self.held).files.iter().map(|(chunk, file)| (*chunk, file.named)).collect()
    }

    pub(super) fn held_mark(&self, chunk: ChunkId) -> Option<Named> {
        lock(&self.held).files.get(&chunk).map(|file| file.named)
    }

    pub(super) fn is_held(&self, chunk: ChunkId) -> bool {
        self.held_mark(chunk).is_some()
    }

    /// Holds a replica back that cannot be settled. An error if there are too many.
    pub(super) fn hold_back(&self, chunk: ChunkId, named: Named, error: &io::Error) -> io::Result<()> {
        let why = format!("{}, which was being written at an unclean stop: {error}", chunk_path(chunk));
        let mut held = lock(&self.held);
        if held.files.len() >= HELD_MAX {
            return Err(io::Error::new(error.kind(), format!("{why}, and more than {HELD_MAX} others")));
        }
        tracing::error!(%chunk, disk = %self.disk, why, "a replica cannot be settled and is held back");
        held.files.insert(chunk, HeldFile { named: Named { held: true, ..named }, why });
        drop(held);
        // If its header could be read, the index has its version.
        let says_so = |flags: Flags| flags.has(Flags::BAD) || flags.has(Flags::HELD);
        if !self.index.get(chunk).is_some_and(|entry| says_so(entry.flags)) {
            self.index.put(chunk, UNREADABLE);
        }
        Ok(())
    }

    /// It was just settled.
    pub(super) fn came_back(&self, chunk: ChunkId) {
        if self.release(chunk) {
            tracing::info!(%chunk, disk = %self.disk, "a replica is not held back any more");
            lock(&self.held).came_back = true;
        }
    }

    /// It is settled, or its file is not there any more; false if it was not held back.
    pub(super) fn release(&self, chunk: ChunkId) -> bool {
        let released = lock(&self.held).files.remove(&chunk).is_some();
        released && self.activity.settled(chunk)
    }

    /// What a file is that the activity log names and that is no replica; how many stubs were set aside. An error: nobody can
    /// tell, now.
    pub(super) fn judge_unread(&self, chunk: ChunkId, named: Named, error: LoadError) -> io::Result<u64> {
        match error {
            LoadError::Absent => self.index.remove(chunk),
            LoadError::Stub => return Ok(1),
            // A new chunk whose first header was cut off in the middle.
            LoadError::Unreadable(_) if named.new => {
                self.set_aside(chunk)?;
                self.index.remove(chunk);
                return Ok(1);
            }
            LoadError::Unreadable(what) => self.unreadable(chunk, what),
            LoadError::Disk(error) => return Err(error),
        }
        Ok(0)
    }
}
