//! Replicas that are being filled: made, given up, made complete.
//!
//! # Invariants
//! 1. A replica says *filling* in its header from its first byte until everything in it is on stable storage; so
//!    one that a stop interrupted is never taken for a complete one.
//! 2. Only a filling replica is erased at once; whatever was complete once is set aside with its hold.

use super::{Disk, entry_of};
use crate::StoreError;
use crate::header::Flags;
use crate::locks::{exclusive, lock};
use crate::names::chunk_path;
use crate::replica::{LoadError, Replica};
use types::{ChunkId, Version};

/// What [`Disk::begin_filling`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FillStart {
    /// There is an empty replica that says *filling*.
    Begun,
    /// A complete and sound replica of this version is here already.
    Complete,
}

impl Disk {
    /// Makes an empty replica of this version that says *filling*. What else is here of the chunk, of a lower
    /// version, damaged or unfinished, is set aside first; a higher version is left alone and refused.
    pub fn begin_filling(
        &self,
        chunk: ChunkId,
        version: Version,
        now_s: u64,
    ) -> Result<FillStart, StoreError> {
        match self.check(chunk, version) {
            Ok(()) => return Ok(FillStart::Complete),
            Err(StoreError::WrongVersion { found, .. }) if found > version => {
                return Err(StoreError::WrongVersion { chunk, found, wanted: version });
            }
            Err(StoreError::Absent { .. }) => {}
            Err(_) => self.clear_the_way(chunk, now_s)?,
        }
        let slot = self.slot(chunk);
        let mut state = exclusive(&slot.state);
        match self.load(chunk, &mut state) {
            Err(LoadError::Absent | LoadError::Stub) => {}
            Ok(()) => return Err(StoreError::Invalid { what: "a replica came while one was to be filled" }),
            Err(error) => return Err(error.of(chunk)),
        }
        let mut replica = self.make(chunk, version, Flags::FILLING)?;
        let begun = self.activity.touch(chunk).map_err(StoreError::from);
        if let Err(error) = begun.and_then(|()| replica.begin(&self.activity)) {
            self.unmake(chunk, &mut state);
            return Err(error);
        }
        self.index.put(chunk, entry_of(&replica));
        *state = Some(replica);
        self.activity.touch(chunk)?;
        Ok(FillStart::Begun)
    }

    fn clear_the_way(&self, chunk: ChunkId, now_s: u64) -> Result<(), StoreError> {
        match self.entry(chunk) {
            Ok(_) if self.discard_filling(chunk)? => Ok(()),
            Ok(found) => self.delete(chunk, found.version, now_s),
            // Its header cannot be read.
            Err(StoreError::DamagedFile { .. }) => self.quarantine(chunk),
            Err(error) => Err(error),
        }
    }

    /// The filling replica has everything: makes it durable, then says so.
    pub fn complete(&self, chunk: ChunkId, version: Version) -> Result<(), StoreError> {
        let slot = self.slot(chunk);
        let _syncing = lock(&slot.sync);
        let mut state = exclusive(&slot.state);
        self.load(chunk, &mut state).map_err(|error| error.of(chunk))?;
        let replica = state.as_mut().ok_or(StoreError::Absent { chunk })?;
        replica.check(version)?;
        if !replica.flags().has(Flags::FILLING) {
            return Ok(());
        }
        self.sync_replica(chunk, replica)?;
        replica.set_flags(Flags::COMPLETE, Flags::FILLING | Flags::NEW)?;
        self.sync_replica(chunk, replica)?;
        self.index.put(chunk, entry_of(replica));
        Ok(self.activity.touch(chunk)?)
    }

    /// Erases a replica that is filling; false if it is not.
    pub fn discard_filling(&self, chunk: ChunkId) -> Result<bool, StoreError> {
        let slot = self.slot(chunk);
        let _syncing = lock(&slot.sync);
        let mut state = exclusive(&slot.state);
        self.load(chunk, &mut state).map_err(|error| error.of(chunk))?;
        if !state.as_ref().is_some_and(|replica: &Replica| replica.flags().has(Flags::FILLING)) {
            return Ok(false);
        }
        self.activity.touch(chunk)?;
        self.dir.remove(&chunk_path(chunk))?;
        *state = None;
        self.gone(chunk)?;
        Ok(true)
    }
}
