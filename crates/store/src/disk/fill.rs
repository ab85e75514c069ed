//! Replicas that are being filled: made, given up, made complete.
//!
//! # Invariants
//! 1. A replica says *filling* in its header from its first byte until everything in it is on stable storage; so
//!    one that a stop interrupted is never taken for a complete one.
//! 2. Only a replica that was filling from its beginning is erased at once; what cannot be used is set aside with its
//!    hold, and put back if nothing can be begun in its place.
//! 3. Each of them answers under a verifier of its own.
//! 4. An older replica is made the new one by its differing blocks only if every page of it matches its checksum.

use super::remove::Aside;
use super::{Disk, entry_of};
use crate::StoreError;
use crate::header::Flags;
use crate::locks::{exclusive, lock};
use crate::names::chunk_path;
use crate::replica::{ALL_PAGES, LoadError, Replica};
use types::{ChunkId, Version};

/// What [`Disk::begin_filling`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FillStart {
    /// There is an empty replica that says *filling*.
    Begun,
    /// There is one that says *filling* and holds what an older one held.
    Kept,
    /// A complete and sound replica of this version is here already.
    Complete,
}

impl Disk {
    /// Makes a replica of this version that says *filling*: of what is here of the chunk, if that is sound and not of a
    /// higher version (which is left alone and refused), else an empty one. What cannot be used is set aside first.
    pub fn begin_filling(
        &self,
        chunk: ChunkId,
        version: Version,
        now_s: u64,
    ) -> Result<FillStart, StoreError> {
        self.begin(chunk, version, now_s, true)
    }

    /// As [`Disk::begin_filling`], if nothing has to be changed for it that is here; `None` if it has.
    pub fn begin_filling_anew(
        &self,
        chunk: ChunkId,
        version: Version,
    ) -> Result<Option<FillStart>, StoreError> {
        self.begin_in_place(chunk, version, false)
    }

    /// Makes an empty replica of this version that says *filling*, durably, and sets aside what is here of a lower one. It
    /// reads nothing, for writers wait.
    pub fn begin_empty(&self, chunk: ChunkId, version: Version, now_s: u64) -> Result<(), StoreError> {
        match self.begin(chunk, version, now_s, false)? {
            FillStart::Begun | FillStart::Kept => self.sync(chunk, version),
            FillStart::Complete => {
                Err(StoreError::Invalid { what: "a replica that is to be filled lacks something" })
            }
        }
    }

    fn begin(
        &self,
        chunk: ChunkId,
        version: Version,
        now_s: u64,
        keep: bool,
    ) -> Result<FillStart, StoreError> {
        if let Some(begun) = self.begin_in_place(chunk, version, keep)? {
            return Ok(begun);
        }
        let aside = self.clear_the_way(chunk, version, now_s)?;
        self.begin_anew(chunk, version).inspect_err(|_| {
            if let Err(error) = aside.map_or(Ok(()), |aside| self.put_back(chunk, &aside)) {
                tracing::warn!(%chunk, disk = %self.id(), %error, "a replica that was set aside in vain was not put back");
            }
        })
    }

    /// `None`: what is here of the chunk is in the way.
    fn begin_in_place(
        &self,
        chunk: ChunkId,
        version: Version,
        keep: bool,
    ) -> Result<Option<FillStart>, StoreError> {
        match self.check(chunk, version) {
            Ok(()) => Ok(Some(FillStart::Complete)),
            Err(StoreError::WrongVersion { found, .. }) if found > version => {
                Err(StoreError::WrongVersion { chunk, found, wanted: version })
            }
            Err(StoreError::Absent { .. }) => self.begin_anew(chunk, version).map(Some),
            Err(_) if keep && self.keep(chunk, version)? => Ok(Some(FillStart::Kept)),
            Err(_) => Ok(None),
        }
    }

    /// Makes an empty replica where none is.
    fn begin_anew(&self, chunk: ChunkId, version: Version) -> Result<FillStart, StoreError> {
        let slot = self.slot(chunk);
        let mut state = exclusive(&slot.state);
        match self.load(chunk, &mut state) {
            Err(LoadError::Absent | LoadError::Stub) => {}
            Ok(()) => return Err(StoreError::Invalid { what: "a replica came while one was to be filled" }),
            Err(error) => return Err(error.of(chunk)),
        }
        let mut replica = self.make(chunk, version, Flags::FILLING, self.next_made())?;
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

    /// Takes what is here as the beginning of a replica of this version. False: it cannot be used.
    fn keep(&self, chunk: ChunkId, version: Version) -> Result<bool, StoreError> {
        let slot = self.slot(chunk);
        let _syncing = lock(&slot.sync);
        let mut state = exclusive(&slot.state);
        let loaded = self.load(chunk, &mut state).is_ok();
        let Some(replica) = state.as_mut().filter(|_| loaded) else { return Ok(false) };
        let flags = replica.flags();
        if replica.version() > version
            || [Flags::BAD, Flags::DAMAGED, Flags::LAGGING].iter().any(|bit| flags.has(*bit))
        {
            return Ok(false);
        }
        replica.load_table(&ALL_PAGES)?;
        if replica.check_table().is_err()
            || !replica.damaged_pages(ALL_PAGES).is_ok_and(|pages| pages.is_empty())
        {
            return Ok(false);
        }
        self.activity.touch(chunk)?;
        if !replica.has_durable_header() {
            self.sync_replica(chunk, replica)?;
        }
        // First it says that it is not complete, then of which version it will be.
        replica.set_filling(self.next_made())?;
        self.sync_replica(chunk, replica)?;
        if replica.version() != version {
            replica.set_version(version)?;
            self.sync_replica(chunk, replica)?;
        }
        self.index.put(chunk, entry_of(replica));
        self.activity.touch(chunk)?;
        Ok(true)
    }

    /// Gives back what was set aside, unless it was erased.
    fn clear_the_way(
        &self,
        chunk: ChunkId,
        version: Version,
        now_s: u64,
    ) -> Result<Option<Aside>, StoreError> {
        match self.discard_filling(chunk) {
            Ok(true) => Ok(None),
            // What cannot be read as a replica is set aside, too.
            _ => self.move_aside(chunk, version, now_s, || true),
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
        // All of it was compared.
        self.clear_torn(replica);
        let compared = Flags::MARKED | Flags::POWER_LOST;
        replica.set_flags(Flags::COMPLETE, Flags::FILLING | Flags::NEW | compared)?;
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
