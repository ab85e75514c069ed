//! File maps: which chunk is at which place of a file.
//!
//! Chunk 0 is inline in the inode, so a small file has no map of its own; further chunks are in a sorted
//! tree, so a sparse file costs what its chunks cost, wherever they are. What a map says is in the digest through
//! the chunks, which name owner and index.

use crate::inodes::Place;
use crate::slab::{NONE, Slab};
use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use types::{ChunkIndex, ChunkSlot};

/// The maps of files with more than their chunk 0.
#[derive(Debug, Default)]
pub(crate) struct Maps {
    /// From chunk index to chunk slot; never empty.
    rest: Slab<BTreeMap<u32, u32>>,
}

impl Maps {
    pub(crate) fn get(&self, place: Place, index: ChunkIndex) -> Option<ChunkSlot> {
        let slot = match index.0 {
            0 => Some(place.main).filter(|slot| *slot != NONE),
            other => self.rest.get(place.side).and_then(|rest| rest.get(&other)).copied(),
        };
        slot.map(ChunkSlot)
    }

    /// Puts a chunk where there is none.
    pub(crate) fn insert(&mut self, place: &mut Place, index: ChunkIndex, chunk: ChunkSlot) {
        if index.0 == 0 {
            place.main = chunk.0;
            return;
        }
        if place.side == NONE {
            place.side = self.rest.insert(BTreeMap::new());
        }
        self.rest[place.side].insert(index.0, chunk.0);
    }

    /// Makes a hole.
    pub(crate) fn remove(&mut self, place: &mut Place, index: ChunkIndex) {
        if index.0 == 0 {
            place.main = NONE;
        } else if place.side != NONE {
            self.rest[place.side].remove(&index.0);
            if self.rest[place.side].is_empty() {
                self.rest.remove(place.side);
                place.side = NONE;
            }
        }
    }

    /// Chunks of a range of indexes, in order.
    pub(crate) fn range(
        &self,
        place: Place,
        range: RangeInclusive<u32>,
    ) -> impl Iterator<Item = (ChunkIndex, ChunkSlot)> {
        let first = (range.contains(&0) && place.main != NONE).then_some((0, place.main));
        let rest = self.rest.get(place.side).filter(|_| !range.is_empty());
        let rest = rest.into_iter().flat_map(move |rest| rest.range(range.clone()).map(|(i, s)| (*i, *s)));
        first.into_iter().chain(rest).map(|(index, slot)| (ChunkIndex(index), ChunkSlot(slot)))
    }

    /// Chunks in a map.
    pub(crate) fn count(&self, place: Place) -> u32 {
        u32::from(place.main != NONE) + self.rest.get(place.side).map_or(0, |rest| rest.len() as u32)
    }
}
