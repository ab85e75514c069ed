//! Hash indexes from a key to a slot, where the key lives in the slot.
//!
//! 256 small tables instead of one: a table that grows holds up its one request for as long as moving
//! 1/256 of the entries takes, and old and new table exist side by side only for that part. Numbers that
//! follow each other share a table, since what was made together is used together: walking files in the
//! order of their creation touches one small table at a time, which stays in the processor's cache.

use hashbrown::HashTable;

const SHARDS: usize = 256;

/// Where a key is looked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hash {
    shard: usize,
    value: u64,
}

/// Numbers of a run of this many share a shard.
const RUN_SHIFT: u32 = 10;

impl Hash {
    /// For keys that are numbers given in order.
    pub(crate) fn of_number(number: u64) -> Self {
        Self { shard: mix(number >> RUN_SHIFT) as usize % SHARDS, value: mix(number) }
    }
    /// For keys that are hashed already.
    pub(crate) fn of_hashed(hash: u32) -> Self {
        let value = mix(u64::from(hash));
        // The top seven bits and the low ones serve inside a shard, so the shard is taken from between.
        Self { shard: (value >> 48) as usize % SHARDS, value }
    }
}

#[derive(Debug)]
pub(crate) struct Index {
    shards: Box<[HashTable<u32>]>,
}

impl Default for Index {
    fn default() -> Self {
        Self { shards: (0..SHARDS).map(|_| HashTable::new()).collect() }
    }
}

impl Index {
    pub(crate) fn find(&self, hash: Hash, is_key: impl Fn(u32) -> bool) -> Option<u32> {
        self.shards[hash.shard].find(hash.value, |slot| is_key(*slot)).copied()
    }

    /// The key must not be in yet; `rehash` gives the hash of the key in a slot.
    pub(crate) fn insert(&mut self, hash: Hash, slot: u32, rehash: impl Fn(u32) -> Hash) {
        self.shards[hash.shard].insert_unique(hash.value, slot, |slot| rehash(*slot).value);
    }

    pub(crate) fn remove(&mut self, hash: Hash, slot: u32) {
        let found = self.shards[hash.shard].find_entry(hash.value, |other| *other == slot);
        found.expect("what is in a slab is in its index").remove();
    }
}

/// Spreads the bits of a number that may be one of a dense series.
pub(crate) fn mix(number: u64) -> u64 {
    let mut x = number;
    x = (x ^ (x >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    x = (x ^ (x >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    x ^ (x >> 33)
}
