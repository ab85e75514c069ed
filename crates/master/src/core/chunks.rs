//! All chunks, a part at a time, for operators who look for those that are not as they should be.

use super::Core;
use codec::admin::{CHUNK_PAGE_MAX, ChunkEntry, ChunkPage, ChunkQuery, ChunkState};
use fleet::{Explained, Listed, Standing};
use types::{ChunkIndex, ChunkSlot};

/// Entries of the table that one question looks at.
const LOOKED_MAX: usize = 16_384;

fn state(standing: Standing) -> ChunkState {
    match standing {
        Standing::Ok => ChunkState::Ok,
        Standing::Overgoal => ChunkState::Overgoal,
        Standing::Misplaced => ChunkState::Misplaced,
        Standing::Leaving => ChunkState::Leaving,
        Standing::Uncompared => ChunkState::Uncompared,
        Standing::Undergoal => ChunkState::Undergoal,
        Standing::Damaged => ChunkState::Damaged,
        Standing::Endangered => ChunkState::Endangered,
        Standing::Missing => ChunkState::Missing,
        Standing::Unknown => ChunkState::Unknown,
    }
}

impl Core {
    /// The next chunks that stand in a way that is asked for.
    pub(super) fn chunk_page(&self, query: &ChunkQuery) -> ChunkPage {
        let wanted = |standing| query.states.contains(&state(standing));
        let (found, next) = self.fleet.list(ChunkSlot(query.from), LOOKED_MAX, CHUNK_PAGE_MAX, wanted);
        let slots: Vec<ChunkSlot> = found.iter().map(|one| one.slot).collect();
        let explained = self.fleet.explain(&slots, self.now_ms());
        let chunks = found.iter().zip(&explained).map(|(one, explained)| self.chunk_told(one, explained));
        ChunkPage { chunks: chunks.collect(), next: next.map(|slot| slot.0) }
    }

    fn chunk_told(&self, one: &Listed, explained: &Explained) -> ChunkEntry {
        let owner = self.meta.find_chunk(one.chunk).map(|(_, owner)| owner);
        let class = owner.as_ref().and_then(|owner| self.meta.class(owner.class));
        let part = owner.as_ref().map_or("keep", |owner| self.part_of(owner.inode));
        let index = owner.as_ref().map_or(ChunkIndex(0), |owner| owner.index);
        ChunkEntry {
            chunk: one.chunk,
            version: one.version,
            state: state(one.standing),
            class: class.map_or_else(String::new, |class| class.name.to_string()),
            inode: owner.map(|owner| owner.inode.id),
            told: self.group_of(index, part, explained, self.now_ms()),
        }
    }
}
