//! The chunks of one disk: a set of slots at about two bytes each, and less when the disk holds many.
//!
//! Slots are cut into ranges of 65,536. A range with few members keeps them sorted as 16-bit numbers, a
//! full one is a bitmap (the layout known as Roaring). It exists so that losing a disk touches exactly
//! the chunks on it and not the table of all chunks.
//!
//! # Invariants
//! 1. `len` is the number of members.
//! 2. No empty range is kept.

use std::collections::BTreeMap;
use types::ChunkSlot;

/// Members up to which sorted numbers are smaller than the bitmap.
const FEW_MAX: usize = 4096;
/// Words of a bitmap of 65,536 bits.
const WORDS: usize = 1024;

#[derive(Clone, Debug)]
enum Range {
    Few(Vec<u16>),
    Many(Box<[u64; WORDS]>, u32),
}

/// See the module.
#[derive(Clone, Debug, Default)]
pub(crate) struct SlotSet {
    ranges: BTreeMap<u16, Range>,
    len: u64,
}

fn split(slot: ChunkSlot) -> (u16, u16) {
    ((slot.0 >> 16) as u16, slot.0 as u16)
}

impl SlotSet {
    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    pub(crate) fn contains(&self, slot: ChunkSlot) -> bool {
        let (high, low) = split(slot);
        match self.ranges.get(&high) {
            Some(Range::Few(lows)) => lows.binary_search(&low).is_ok(),
            Some(Range::Many(words, _)) => words[usize::from(low >> 6)] >> (low & 63) & 1 != 0,
            None => false,
        }
    }

    pub(crate) fn insert(&mut self, slot: ChunkSlot) {
        let (high, low) = split(slot);
        let range = self.ranges.entry(high).or_insert_with(|| Range::Few(Vec::new()));
        self.len += u64::from(range.insert(low));
    }

    pub(crate) fn remove(&mut self, slot: ChunkSlot) {
        let (high, low) = split(slot);
        let Some(range) = self.ranges.get_mut(&high) else { return };
        self.len -= u64::from(range.remove(low));
        if range.is_empty() {
            self.ranges.remove(&high);
        }
    }

    /// All members in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = ChunkSlot> + '_ {
        self.iter_from(ChunkSlot(0))
    }

    /// The members from `first` on, in order.
    pub(crate) fn iter_from(&self, first: ChunkSlot) -> impl Iterator<Item = ChunkSlot> + '_ {
        let (high, _) = split(first);
        let all = self.ranges.range(high..).flat_map(|(high, range)| {
            let base = u32::from(*high) << 16;
            range.iter().map(move |low| ChunkSlot(base | u32::from(low)))
        });
        all.skip_while(move |slot| *slot < first)
    }
}

impl Range {
    fn is_empty(&self) -> bool {
        match self {
            Self::Few(lows) => lows.is_empty(),
            Self::Many(_, count) => *count == 0,
        }
    }

    fn insert(&mut self, low: u16) -> bool {
        match self {
            Self::Few(lows) => {
                let Err(at) = lows.binary_search(&low) else { return false };
                if lows.len() == FEW_MAX {
                    let mut words = Box::new([0u64; WORDS]);
                    for low in lows.iter().chain([&low]) {
                        words[usize::from(*low >> 6)] |= 1 << (low & 63);
                    }
                    *self = Self::Many(words, FEW_MAX as u32 + 1);
                } else {
                    if lows.len() == lows.capacity() {
                        lows.reserve_exact(lows.len() / 4 + 4); // growth by a quarter wastes little
                    }
                    lows.insert(at, low);
                }
                true
            }
            Self::Many(words, count) => {
                let word = &mut words[usize::from(low >> 6)];
                let bit = 1u64 << (low & 63);
                let new = *word & bit == 0;
                *word |= bit;
                *count += u32::from(new);
                new
            }
        }
    }

    fn remove(&mut self, low: u16) -> bool {
        match self {
            Self::Few(lows) => match lows.binary_search(&low) {
                Ok(at) => {
                    lows.remove(at);
                    true
                }
                Err(_) => false,
            },
            Self::Many(words, count) => {
                let word = &mut words[usize::from(low >> 6)];
                let bit = 1u64 << (low & 63);
                let had = *word & bit != 0;
                *word &= !bit;
                *count -= u32::from(had);
                // Half the limit, so that a set at the limit does not change its form back and forth.
                if (*count as usize) < FEW_MAX / 2 {
                    let lows: Vec<u16> = self.iter().collect();
                    *self = Self::Few(lows);
                }
                had
            }
        }
    }

    fn iter(&self) -> impl Iterator<Item = u16> + '_ {
        let (few, many) = match self {
            Self::Few(lows) => (lows.as_slice(), &[][..]),
            Self::Many(words, _) => (&[][..], words.as_slice()),
        };
        let bits = many.iter().enumerate().flat_map(|(index, word)| {
            let mut rest = *word;
            std::iter::from_fn(move || {
                let bit = (rest != 0).then(|| rest.trailing_zeros())?;
                rest &= rest - 1;
                Some((index as u16) << 6 | bit as u16)
            })
        });
        few.iter().copied().chain(bits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn a_slot_set_behaves_like_a_set(
            steps in prop::collection::vec((0u32..3, 0u32..12_000, any::<bool>()), 1..200),
            dense in any::<bool>(),
        ) {
            let mut set = SlotSet::default();
            let mut model = BTreeSet::new();
            if dense {
                for slot in 0..6_000 {
                    set.insert(ChunkSlot(slot));
                    model.insert(slot);
                }
            }
            for (range, low, insert) in steps {
                let slot = range << 16 | low;
                if insert {
                    set.insert(ChunkSlot(slot));
                    model.insert(slot);
                } else {
                    // Removing a run makes bitmaps shrink back.
                    for slot in slot..slot + 50 {
                        set.remove(ChunkSlot(slot));
                        model.remove(&slot);
                    }
                }
                prop_assert_eq!(set.len(), model.len() as u64);
                prop_assert_eq!(set.contains(ChunkSlot(slot)), model.contains(&slot));
            }
            prop_assert!(set.iter().map(|slot| slot.0).eq(model.iter().copied()));
            let later = set.iter_from(ChunkSlot(70_000)).map(|slot| slot.0);
            prop_assert!(later.eq(model.range(70_000..).copied()));
        }
    }
}
