//! What replicas are compared by, and what is remembered until they were.

use super::Disk;
use crate::StoreError;
use crate::header::Flags;
use crate::locks::exclusive;
use crate::replica::ALL_PAGES;
use crate::report::ReplicaState;
use std::ops::Range;
use types::{BLOCKS_PER_CHUNK, ChunkId, PAGES_PER_BLOCK, Version};

impl Disk {
    /// BLAKE3 of the whole chunk (64 MiB, holes as zeroes), from the blocks' chaining values.
    pub fn chunk_value(&self, chunk: ChunkId, version: Version) -> Result<[u8; 32], StoreError> {
        let values = self.block_values(chunk, version, 0..BLOCKS_PER_CHUNK, ReplicaState::Complete)?;
        Ok(crate::value::chunk_value(values))
    }

    /// The chaining values of blocks, of a replica in this state; pending ones are computed from verified pages, and what is left
    /// of a damaged record table is proved by the data first.
    pub fn block_values(
        &self,
        chunk: ChunkId,
        version: Version,
        blocks: Range<u32>,
        wanted: ReplicaState,
    ) -> Result<Vec<[u8; 32]>, StoreError> {
        self.values(chunk, version, blocks, wanted)?.into_iter().collect()
    }

    /// As [`Disk::block_values`], without those of blocks with pages that do not match their checksums.
    pub fn sound_block_values(
        &self,
        chunk: ChunkId,
        version: Version,
        blocks: Range<u32>,
        wanted: ReplicaState,
    ) -> Result<Vec<Option<[u8; 32]>>, StoreError> {
        let values = self.values(chunk, version, blocks, wanted)?.into_iter();
        let sound = |value| match value {
            Err(StoreError::Damaged { .. } | StoreError::Torn { .. }) => Ok(None),
            value => value.map(Some),
        };
        values.map(sound).collect()
    }

    fn values(
        &self,
        chunk: ChunkId,
        version: Version,
        blocks: Range<u32>,
        wanted: ReplicaState,
    ) -> Result<Vec<Result<[u8; 32], StoreError>>, StoreError> {
        if blocks.start >= blocks.end || blocks.end > BLOCKS_PER_CHUNK {
            return Err(StoreError::Invalid { what: "a range of blocks lies within the chunk" });
        }
        let pages = blocks.start * PAGES_PER_BLOCK..blocks.end * PAGES_PER_BLOCK;
        if wanted != ReplicaState::Filling {
            self.prove_table(chunk, version, &pages)?;
        }
        let looked = self.with_shared(chunk, &pages, |replica| {
            match wanted {
                ReplicaState::Filling => replica.check(version)?,
                ReplicaState::Complete | ReplicaState::Lagging => replica.check_whole(version)?,
            }
            let mut values = Vec::with_capacity(blocks.len());
            let mut computed = Vec::new();
            for block in blocks.clone() {
                let found = replica.block_value(block as usize);
                if let Ok((value, true)) = found {
                    computed.push((block as usize, value));
                }
                values.push(found.map(|(value, _)| value));
            }
            Ok((values, computed, replica.written()))
        });
        let (values, computed, at) = looked?;
        if let Some(damage) =
            values.iter().filter_map(|value| value.as_ref().err()).find(|one| one.is_damage())
            && let Some(replica) = exclusive(&self.slot(chunk).state).as_mut()
        {
            self.note(replica, damage);
        }
        if !computed.is_empty() {
            let slot = self.slot(chunk);
            let mut state = exclusive(&slot.state);
            // Only if it is the same open file and nothing was written since.
            if let Some(replica) = state.as_mut().filter(|replica| replica.written() == at) {
                replica.keep_values(&computed);
            }
        }
        Ok(values)
    }

    /// The replica was made equal to its peers: forget that it was marked or had torn pages.
    pub fn clear_marked(&self, chunk: ChunkId, version: Version) -> Result<(), StoreError> {
        let slot = self.slot(chunk);
        let mut state = exclusive(&slot.state);
        self.load(chunk, &mut state).map_err(|error| error.of(chunk))?;
        let replica = state.as_mut().ok_or(StoreError::Absent { chunk })?;
        replica.check(version)?;
        self.clear_torn(replica);
        self.set_flags(replica, 0, Flags::MARKED | Flags::POWER_LOST);
        self.activity.compared(chunk);
        Ok(())
    }

    /// Makes byte ranges read as zeroes, without changing the version. Not durable before [`Disk::sync`].
    pub fn punch(&self, chunk: ChunkId, version: Version, ranges: &[(u64, u64)]) -> Result<(), StoreError> {
        let slot = self.slot(chunk);
        let mut state = exclusive(&slot.state);
        self.load(chunk, &mut state).map_err(|error| error.of(chunk))?;
        let replica = state.as_mut().ok_or(StoreError::Absent { chunk })?;
        replica.check(version)?;
        replica.load_table(&ALL_PAGES)?;
        let punched = replica.cut(ranges, &self.activity);
        punched.inspect_err(|error| self.note(replica, error))
    }

    /// Replicas of this version may differ: says so in the header, until [`Disk::clear_marked`]. Durable with the next sync.
    pub fn mark(&self, chunk: ChunkId, version: Version) -> Result<(), StoreError> {
        let slot = self.slot(chunk);
        let mut state = exclusive(&slot.state);
        self.load(chunk, &mut state).map_err(|error| error.of(chunk))?;
        let replica = state.as_mut().ok_or(StoreError::Absent { chunk })?;
        replica.check(version)?;
        self.set_flags(replica, Flags::MARKED, 0);
        Ok(())
    }

    /// The replica is about to be made what another one is: from now on it answers as one that was made anew. What an answer under its verifier
    /// before said of unsynced writes is true of the other one only.
    pub fn renew(&self, chunk: ChunkId, version: Version) -> Result<(), StoreError> {
        let slot = self.slot(chunk);
        let mut state = exclusive(&slot.state);
        self.load(chunk, &mut state).map_err(|error| error.of(chunk))?;
        let replica = state.as_mut().ok_or(StoreError::Absent { chunk })?;
        replica.check(version)?;
        Ok(replica.set_made(self.next_made())?)
    }
}
