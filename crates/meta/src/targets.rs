//! Targets of symbolic links.

use crate::digest::{LongItem, Sum, Tag};
use crate::slab::Slab;
use types::InodeId;

/// All targets.
#[derive(Debug, Default)]
pub(crate) struct Targets {
    slab: Slab<Box<[u8]>>,
    sum: Sum,
}

fn hash(owner: InodeId, target: &[u8]) -> u128 {
    LongItem::new(Tag::Target).u64(owner.0).text(target).hash()
}

impl Targets {
    pub(crate) fn insert(&mut self, owner: InodeId, target: &[u8]) -> u32 {
        self.sum.add(hash(owner, target));
        self.slab.insert(target.into())
    }
    pub(crate) fn get(&self, slot: u32) -> &[u8] {
        &self.slab[slot]
    }
    pub(crate) fn remove(&mut self, owner: InodeId, slot: u32) {
        let target = self.slab.remove(slot);
        self.sum.take(hash(owner, &target));
    }
    pub(crate) fn sum(&self) -> Sum {
        self.sum
    }
    /// What one target adds to the sum.
    pub(crate) fn recomputed<'a>(targets: impl Iterator<Item = (InodeId, &'a [u8])>) -> Sum {
        let mut sum = Sum::default();
        targets.for_each(|(owner, target)| sum.add(hash(owner, target)));
        sum
    }
}
