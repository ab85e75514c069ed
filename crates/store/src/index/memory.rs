//! An index in memory: for simulated directories, where every start is a walk.

use super::{IndexEntry, IndexError, KvIndex};
use crate::locks::lock;
use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Mutex;
use types::ChunkId;

/// A sorted map.
#[derive(Default)]
pub(crate) struct MemoryIndex {
    map: Mutex<BTreeMap<ChunkId, IndexEntry>>,
}

impl KvIndex for MemoryIndex {
    fn get(&self, chunk: ChunkId) -> Result<Option<IndexEntry>, IndexError> {
        Ok(lock(&self.map).get(&chunk).copied())
    }
    fn put(&self, chunk: ChunkId, entry: IndexEntry) -> Result<(), IndexError> {
        lock(&self.map).insert(chunk, entry);
        Ok(())
    }
    fn remove(&self, chunk: ChunkId) -> Result<(), IndexError> {
        lock(&self.map).remove(&chunk);
        Ok(())
    }
    fn page(&self, after: Option<ChunkId>, max: usize) -> Result<Vec<(ChunkId, IndexEntry)>, IndexError> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let map = lock(&self.map);
        Ok(map.range((from, Bound::Unbounded)).take(max).map(|(chunk, entry)| (*chunk, *entry)).collect())
    }
    fn flush(&self) -> Result<(), IndexError> {
        Ok(())
    }
    fn seal(&self, _digest: [u8; 32]) -> Result<(), IndexError> {
        Ok(())
    }
    fn is_sealed(&self, _digest: [u8; 32]) -> Result<bool, IndexError> {
        Ok(false)
    }
    fn condemn(&self) {}
}
