//! Slots of one kind in pages of a fixed size: no doubling, no moving, no slack beyond one page.

use std::ops::{Index, IndexMut};

const PAGE_SHIFT: u32 = 9;
const PAGE_SLOTS: usize = 1 << PAGE_SHIFT;

/// No slot.
pub(crate) const NONE: u32 = u32::MAX;

#[derive(Debug)]
pub(crate) struct Slab<T> {
    pages: Vec<Box<[T]>>,
    /// One bit for each slot: it is taken.
    taken: Vec<u64>,
    free: Vec<u32>,
    /// Slots at and above were never taken.
    fresh: u32,
    len: u32,
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self { pages: Vec::new(), taken: Vec::new(), free: Vec::new(), fresh: 0, len: 0 }
    }
}

impl<T: Default> Slab<T> {
    /// Takes the slot that was freed last, else the next fresh one.
    pub(crate) fn insert(&mut self, value: T) -> u32 {
        let slot = self.free.pop().unwrap_or_else(|| {
            let slot = self.fresh;
            assert!(slot < NONE, "memory ends before 2^32 slots do");
            if (slot >> PAGE_SHIFT) as usize == self.pages.len() {
                self.pages.push((0..PAGE_SLOTS).map(|_| T::default()).collect());
                self.taken.resize(self.pages.len() * PAGE_SLOTS / 64, 0);
            }
            self.fresh += 1;
            slot
        });
        self[slot] = value;
        self.taken[(slot >> 6) as usize] |= 1 << (slot & 63);
        self.len += 1;
        slot
    }

    /// Empties a taken slot.
    pub(crate) fn remove(&mut self, slot: u32) -> T {
        assert!(self.is_taken(slot), "a slot is freed once");
        self.taken[(slot >> 6) as usize] &= !(1 << (slot & 63));
        self.free.push(slot);
        self.len -= 1;
        std::mem::take(&mut self[slot])
    }

    pub(crate) fn is_taken(&self, slot: u32) -> bool {
        self.taken.get((slot >> 6) as usize).is_some_and(|word| word >> (slot & 63) & 1 == 1)
    }

    /// A slot whose number came from outside.
    pub(crate) fn get(&self, slot: u32) -> Option<&T> {
        self.is_taken(slot).then(|| &self[slot])
    }

    pub(crate) fn len(&self) -> usize {
        self.len as usize
    }

    /// All taken slots, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        self.some_from(0, self.fresh)
    }

    /// All slots are below.
    pub(crate) fn end(&self) -> u32 {
        self.fresh
    }

    /// Of so many slots from this one on those that are taken, in order.
    pub(crate) fn some_from(&self, slot: u32, slots: u32) -> impl Iterator<Item = (u32, &T)> {
        (slot..slot.saturating_add(slots).min(self.fresh))
            .filter(|slot| self.is_taken(*slot))
            .map(|slot| (slot, &self[slot]))
    }
}

impl<T> Index<u32> for Slab<T> {
    type Output = T;
    fn index(&self, slot: u32) -> &T {
        &self.pages[(slot >> PAGE_SHIFT) as usize][slot as usize & (PAGE_SLOTS - 1)]
    }
}

impl<T> IndexMut<u32> for Slab<T> {
    fn index_mut(&mut self, slot: u32) -> &mut T {
        &mut self.pages[(slot >> PAGE_SHIFT) as usize][slot as usize & (PAGE_SLOTS - 1)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_freed_slot_is_taken_again_and_the_walk_skips_free_ones() {
        let mut slab = Slab::default();
        let slots: Vec<u32> = (0..2000u64).map(|n| slab.insert(n)).collect();
        assert_eq!(slab.remove(slots[700]), 700);
        assert_eq!(slab.get(slots[700]), None);
        assert_eq!(slab.get(1 << 30), None);
        assert_eq!((slab.len(), slab.iter().count()), (1999, 1999));
        assert_eq!(slab.insert(5), slots[700]);
        assert_eq!(slab[slots[700]], 5);
    }
}
