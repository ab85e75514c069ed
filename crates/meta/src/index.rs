//! Hash indexes from a key to a slot, where the key lives in the slot.
//!
//! 256 small tables instead of one: a table that grows holds up its one request for as long as moving
//! 1/256 of the entries takes, and old and new table exist side by side only for that part.

use hashbrown::HashTable;

const SHARDS: usize = 256;

#[derive(Debug)]
pub(crate) struct Index {
    shards: Box<[HashTable<u32>]>,
}

impl Default for Index {
    fn default() -> Self {
        Self { shards: (0..SHARDS).map(|_| HashTable::new()).collect() }
    }
}

/// The top seven bits and the low ones serve inside a shard, so the shard is taken from between.
fn shard_of(hash: u64) -> usize {
    (hash >> 48) as usize % SHARDS
}

impl Index {
    pub(crate) fn find(&self, hash: u64, is_key: impl Fn(u32) -> bool) -> Option<u32> {
        self.shards[shard_of(hash)].find(hash, |slot| is_key(*slot)).copied()
    }

    /// The key must not be in yet; `rehash` gives the hash of the key in a slot.
    pub(crate) fn insert(&mut self, hash: u64, slot: u32, rehash: impl Fn(u32) -> u64) {
        self.shards[shard_of(hash)].insert_unique(hash, slot, |slot| rehash(*slot));
    }

    pub(crate) fn remove(&mut self, hash: u64, slot: u32) {
        let found = self.shards[shard_of(hash)].find_entry(hash, |other| *other == slot);
        found.expect("what is in a slab is in its index").remove();
    }
}

/// Spreads the bits of a number that may be one of a dense series.
pub(crate) fn hash_u64(number: u64) -> u64 {
    let mut x = number;
    x = (x ^ (x >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    x = (x ^ (x >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    x ^ (x >> 33)
}
