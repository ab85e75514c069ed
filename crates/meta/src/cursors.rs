//! The order of a directory's entries: by cursor, which only grows.
//!
//! Blocks of up to 64 slots. A new entry goes to the end; one that leaves is found by two binary searches,
//! and thinned-out neighbours are merged, so that removing a million entries in any order stays cheap
//! and a listing resumes after a cursor whose entry is gone.

const BLOCK_SLOTS: usize = 64;
const THIN: usize = BLOCK_SLOTS / 4;

#[derive(Debug)]
struct Block {
    /// No entry of the block has a lower cursor, none of the blocks before has one as high.
    first: u64,
    slots: Vec<u32>,
}

/// Slots ordered by the cursor that the owner keeps in each slot and shows through `cursor_of`.
#[derive(Debug, Default)]
pub(crate) struct CursorList {
    blocks: Vec<Block>,
    len: u32,
}

impl CursorList {
    pub(crate) fn len(&self) -> u32 {
        self.len
    }

    /// Appends; the cursor is above all others.
    pub(crate) fn push(&mut self, cursor: u64, slot: u32) {
        self.len += 1;
        match self.blocks.last_mut() {
            Some(block) if block.slots.len() < BLOCK_SLOTS => block.slots.push(slot),
            _ => self.blocks.push(Block { first: cursor, slots: vec![slot] }),
        }
    }

    pub(crate) fn remove(&mut self, cursor: u64, cursor_of: impl Fn(u32) -> u64) {
        let at = self.blocks.partition_point(|block| block.first <= cursor) - 1;
        let slots = &mut self.blocks[at].slots;
        let within = slots
            .binary_search_by_key(&cursor, |slot| cursor_of(*slot))
            .expect("an entry is in its directory's order");
        slots.remove(within);
        self.len -= 1;
        if slots.is_empty() {
            self.blocks.remove(at);
        } else if slots.len() < THIN {
            self.merge(at);
        }
    }

    fn merge(&mut self, at: usize) {
        let fits = |left: usize, right: usize| {
            right < self.blocks.len()
                && self.blocks[left].slots.len() + self.blocks[right].slots.len() <= BLOCK_SLOTS / 2
        };
        let left = if fits(at, at + 1) {
            at
        } else if at > 0 && fits(at - 1, at) {
            at - 1
        } else {
            return;
        };
        let right = self.blocks.remove(left + 1);
        self.blocks[left].slots.extend(right.slots);
    }

    /// Slots whose cursor is above `after`, in order.
    pub(crate) fn after(&self, after: u64, cursor_of: impl Fn(u32) -> u64) -> impl Iterator<Item = u32> {
        let block = self.blocks.partition_point(|block| block.first <= after).saturating_sub(1);
        let skip = self
            .blocks
            .get(block)
            .map_or(0, |block| block.slots.partition_point(|slot| cursor_of(*slot) <= after));
        self.blocks.iter().skip(block).flat_map(|block| &block.slots).copied().skip(skip)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_behaves_like_a_sorted_set_under_any_order_of_removal() {
        for stride in [1usize, 3, 7, 333] {
            let mut list = CursorList::default();
            let mut plain = std::collections::BTreeSet::new();
            // The slot of an entry is half its cursor.
            let cursor_of = |slot: u32| u64::from(slot) * 2;
            for slot in 1..=1000 {
                list.push(cursor_of(slot), slot);
                plain.insert(slot);
            }
            for step in 0..990 {
                let victim = *plain.iter().nth(step * stride % plain.len()).unwrap();
                plain.remove(&victim);
                list.remove(cursor_of(victim), cursor_of);
                for after in [0, 1, 2, 999, cursor_of(victim), 1500, 2000, 9999] {
                    let found: Vec<u32> = list.after(after, cursor_of).collect();
                    let wanted: Vec<u32> = plain.iter().copied().filter(|s| cursor_of(*s) > after).collect();
                    assert_eq!(found, wanted);
                }
                assert_eq!(list.len() as usize, plain.len());
            }
        }
    }
}
