//! The index of a disk: chunk id to version and state. A cache of what the headers say, never more.
//!
//! Losing it costs a walk over the chunk files and nothing else, so an error here never fails an
//! operation: the index is declared broken, the inventory comes from the files, and the next start
//! builds a new one.
//!
//! A damaged database may open without an error and lack entries, and what a report does not name counts as gone. So an
//! index that is closed in order is *sealed* with a digest of its entries, and one that does not match is built anew.

mod memory;
mod sled;

pub(crate) use self::memory::MemoryIndex;
pub(crate) use self::sled::open as open_sled;

use crate::header::Flags;
use std::sync::atomic::{AtomicBool, Ordering};
use types::{ChunkId, Version};

/// Entries read at a time for the digest.
const DIGEST_ENTRIES: usize = 1024;

/// Why an index could not be used; only ever shown.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct IndexError(pub(crate) String);

/// What the index holds per chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct IndexEntry {
    pub(crate) version: Version,
    pub(crate) flags: Flags,
}

impl IndexEntry {
    fn encode(self) -> [u8; 10] {
        let mut bytes = [0; 10];
        bytes[..8].copy_from_slice(&self.version.to_u64().to_le_bytes());
        bytes[8..].copy_from_slice(&self.flags.0.to_le_bytes());
        bytes
    }
    fn decode(bytes: &[u8]) -> Option<Self> {
        let bytes: [u8; 10] = bytes.try_into().ok()?;
        Some(Self {
            version: Version::from_u64(crate::header::u64_at(&bytes, 0))?,
            flags: Flags(crate::header::u16_at(&bytes, 8)),
        })
    }
}

/// A map from chunk ids, in their order.
pub(crate) trait KvIndex: Send + Sync {
    fn get(&self, chunk: ChunkId) -> Result<Option<IndexEntry>, IndexError>;
    fn put(&self, chunk: ChunkId, entry: IndexEntry) -> Result<(), IndexError>;
    fn remove(&self, chunk: ChunkId) -> Result<(), IndexError>;
    /// At most `max` entries above `after`, in order.
    fn page(&self, after: Option<ChunkId>, max: usize) -> Result<Vec<(ChunkId, IndexEntry)>, IndexError>;
    /// What was put survives a killed process.
    fn flush(&self) -> Result<(), IndexError>;
    /// Keeps the digest of all entries.
    fn seal(&self, digest: [u8; 32]) -> Result<(), IndexError>;
    /// Whether this digest was kept last.
    fn is_sealed(&self, digest: [u8; 32]) -> Result<bool, IndexError>;
    /// Makes the next start build a new one.
    fn condemn(&self);
}

/// Of all entries.
fn digest(index: &dyn KvIndex) -> Result<[u8; 32], IndexError> {
    let mut hasher = blake3::Hasher::new();
    let mut after = None;
    loop {
        let page = index.page(after, DIGEST_ENTRIES)?;
        for (chunk, entry) in &page {
            hasher.update(&chunk.0.to_le_bytes());
            hasher.update(&entry.encode());
        }
        match page.last() {
            Some((last, _)) => after = Some(*last),
            None => return Ok(*hasher.finalize().as_bytes()),
        }
    }
}

/// Whether an index that was closed in order still holds what it held then.
pub(crate) fn is_intact(index: &dyn KvIndex) -> bool {
    digest(index).and_then(|digest| index.is_sealed(digest)).unwrap_or(false)
}

/// An index that turns errors into one state: broken.
pub(crate) struct Index {
    inner: Box<dyn KvIndex>,
    broken: AtomicBool,
}

impl Index {
    pub(crate) fn new(inner: Box<dyn KvIndex>) -> Self {
        Self { inner, broken: AtomicBool::new(false) }
    }

    /// An operation failed: the files must be asked.
    pub(crate) fn is_broken(&self) -> bool {
        self.broken.load(Ordering::Acquire)
    }

    fn noted<T: Default>(&self, result: Result<T, IndexError>) -> T {
        result.unwrap_or_else(|error| {
            if !self.broken.swap(true, Ordering::AcqRel) {
                tracing::warn!(%error, "the chunk index failed; the files are used until the next start");
                self.inner.condemn();
            }
            T::default()
        })
    }

    fn usable(&self) -> bool {
        !self.is_broken()
    }

    pub(crate) fn get(&self, chunk: ChunkId) -> Option<IndexEntry> {
        if self.usable() { self.noted(self.inner.get(chunk)) } else { None }
    }
    pub(crate) fn put(&self, chunk: ChunkId, entry: IndexEntry) {
        if self.usable() {
            self.noted(self.inner.put(chunk, entry));
        }
    }
    pub(crate) fn remove(&self, chunk: ChunkId) {
        if self.usable() {
            self.noted(self.inner.remove(chunk));
        }
    }
    pub(crate) fn page(&self, after: Option<ChunkId>, max: usize) -> Vec<(ChunkId, IndexEntry)> {
        if self.usable() { self.noted(self.inner.page(after, max)) } else { Vec::new() }
    }
    /// Nothing changes it any more.
    pub(crate) fn seal(&self) {
        if self.usable() {
            self.noted(digest(&*self.inner).and_then(|digest| self.inner.seal(digest)));
            self.flush();
        }
    }
    pub(crate) fn flush(&self) {
        if self.usable() {
            self.noted(self.inner.flush());
        }
    }
}

#[cfg(test)]
mod tests;
