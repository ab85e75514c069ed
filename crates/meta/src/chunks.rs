//! The durable half of the chunk table: id, version, owner. Where replicas are is `fleet`'s.
//!
//! # Invariants
//! 1. A chunk is in the table exactly while a file's map refers to it; `refs` counts the references.
//! 2. A version only grows.
//! 3. A chunk changes only through functions here that keep the digest.

use crate::digest::{Item, Sum, Tag};
use crate::index::{Hash, Index};
use crate::slab::Slab;
use types::{ChunkId, ChunkIndex, ChunkSlot, InodeId, Version};

/// One chunk.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Chunk {
    pub(crate) id: ChunkId,
    version: u64,
    /// The file whose map refers to it; with snapshots, one of them.
    pub(crate) owner: InodeId,
    pub(crate) index: ChunkIndex,
    pub(crate) refs: u32,
}

const _: () = assert!(size_of::<Chunk>() == 32);

impl Chunk {
    pub(crate) fn new(id: ChunkId, version: Version, owner: InodeId, index: ChunkIndex) -> Self {
        Self { id, version: version.to_u64(), owner, index, refs: 1 }
    }
    pub(crate) fn version(&self) -> Version {
        Version::from_u64(self.version).expect("packed from a version")
    }
    fn hash(&self) -> u128 {
        Item::<40>::new(Tag::Chunk)
            .u64(self.id.0)
            .u64(self.version)
            .u64(self.owner.0)
            .u32(self.index.0)
            .u32(self.refs)
            .hash()
    }
}

/// All chunks.
#[derive(Debug, Default)]
pub(crate) struct Chunks {
    slab: Slab<Chunk>,
    index: Index,
    sum: Sum,
}

impl Chunks {
    pub(crate) fn find(&self, id: ChunkId) -> Option<ChunkSlot> {
        self.index.find(Hash::of_number(id.0), |slot| self.slab[slot].id == id).map(ChunkSlot)
    }
    /// A chunk by a slot that came from outside.
    pub(crate) fn get(&self, slot: ChunkSlot) -> Option<&Chunk> {
        self.slab.get(slot.0)
    }
    /// A chunk by a slot from a file's map.
    pub(crate) fn at(&self, slot: ChunkSlot) -> &Chunk {
        &self.slab[slot.0]
    }
    pub(crate) fn insert(&mut self, chunk: Chunk) -> ChunkSlot {
        self.sum.add(chunk.hash());
        let slot = self.slab.insert(chunk);
        let slab = &self.slab;
        self.index.insert(Hash::of_number(chunk.id.0), slot, |slot| Hash::of_number(slab[slot].id.0));
        ChunkSlot(slot)
    }
    pub(crate) fn set_version(&mut self, slot: ChunkSlot, version: Version) {
        let chunk = &mut self.slab[slot.0];
        debug_assert!(version > chunk.version(), "a version only grows");
        self.sum.take(chunk.hash());
        chunk.version = version.to_u64();
        self.sum.add(chunk.hash());
    }
    /// Removes a chunk that one map referred to, once.
    pub(crate) fn remove(&mut self, slot: ChunkSlot) -> Chunk {
        self.index.remove(Hash::of_number(self.slab[slot.0].id.0), slot.0);
        let chunk = self.slab.remove(slot.0);
        self.sum.take(chunk.hash());
        chunk
    }
    pub(crate) fn len(&self) -> usize {
        self.slab.len()
    }
    pub(crate) fn iter(&self) -> impl Iterator<Item = (ChunkSlot, &Chunk)> {
        self.slab.iter().map(|(slot, chunk)| (ChunkSlot(slot), chunk))
    }
    pub(crate) fn sum(&self) -> Sum {
        self.sum
    }
    /// The sum computed anew.
    pub(crate) fn recomputed(&self) -> Sum {
        let mut sum = Sum::default();
        self.iter().for_each(|(_, chunk)| sum.add(chunk.hash()));
        sum
    }
}
