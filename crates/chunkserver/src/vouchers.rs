//! Whose unsynced writes a replica has besides those that it took itself: those of the replica that it was made from.
//!
//! A writer knows by verifiers which replicas have all that it wrote and did not sync (`docs/protocol/data-plane.md`). When all
//! of them were replaced by copies, as when a file moves to its archive, no member of its chain would be among them, and its fsync would
//! fail although nothing is lost. So a copy answers for the verifiers of its source, too.
//!
//! # Invariants
//! 1. A replica answers for another one only if all that this one held when the copy was made is here: one source gave all of
//!    the copy, under one verifier from before the first block until after the last one.
//! 2. It stops when it gets another verifier itself: when its disk lost power, for some of it may be lost then, and when it is made anew.
//! 3. At most [`REPLICAS`] are remembered, the youngest ones, and none when the process ends. What that costs is an error
//!    at the next fsync of a file whose replicas were all replaced since it was written.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};
use types::{ChunkId, DiskId, Verifier};

/// Most replicas that are remembered: some 10 MiB.
const REPLICAS: usize = 65_536;
/// Most verifiers that a replica answers for besides its own: as many moves as it may make before the writer syncs.
pub(crate) const OTHERS: usize = 7;

type Key = (DiskId, ChunkId);

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Vouchers {
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    of: BTreeMap<Key, Voucher>,
    by_age: BTreeMap<u64, Key>,
    next_age: u64,
}

#[derive(Debug)]
struct Voucher {
    /// Of the replica that was made.
    own: Verifier,
    others: Vec<Verifier>,
    age: u64,
}

impl Vouchers {
    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().expect("nothing panics while it is held")
    }

    /// A replica was made under `own`, and has what others held, the latest one first. Without any it vouches for nobody.
    pub(crate) fn put(&self, own: Verifier, chunk: ChunkId, mut others: Vec<Verifier>) {
        others.truncate(OTHERS);
        let mut table = self.lock();
        table.remove((own.disk, chunk));
        if others.is_empty() {
            return;
        }
        let age = table.next_age;
        table.next_age += 1;
        table.by_age.insert(age, (own.disk, chunk));
        table.of.insert((own.disk, chunk), Voucher { own, others, age });
        if table.of.len() > REPLICAS
            && let Some((_, oldest)) = table.by_age.pop_first()
        {
            table.of.remove(&oldest);
        }
    }

    /// For whom the replica answers that has this verifier now.
    pub(crate) fn of(&self, own: Verifier, chunk: ChunkId) -> Vec<Verifier> {
        let table = self.lock();
        let voucher = table.of.get(&(own.disk, chunk)).filter(|voucher| voucher.own == own);
        voucher.map_or(Vec::new(), |voucher| voucher.others.clone())
    }
}

impl Table {
    fn remove(&mut self, key: Key) {
        if let Some(voucher) = self.of.remove(&key) {
            self.by_age.remove(&voucher.age);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use types::Term;

    fn verifier(disk: u8, boot: u64) -> Verifier {
        Verifier { disk: DiskId([disk; 16]), boot, made: 0 }
    }

    fn chunk(n: u64) -> ChunkId {
        ChunkId::new(Term(1), n).expect("small")
    }

    #[test]
    fn a_copy_answers_for_its_sources_until_its_own_disk_lost_power_or_it_is_made_anew() {
        let vouchers = Vouchers::default();
        let (own, others) = (verifier(3, 1), vec![verifier(2, 5), verifier(1, 9)]);
        vouchers.put(own, chunk(1), others.clone());
        assert_eq!(vouchers.of(own, chunk(1)), others);
        assert!(vouchers.of(verifier(3, 2), chunk(1)).is_empty(), "power was lost");
        assert!(vouchers.of(Verifier { made: 4, ..own }, chunk(1)).is_empty(), "it was made anew");
        assert!(vouchers.of(own, chunk(2)).is_empty());
        vouchers.put(own, chunk(1), Vec::new());
        assert!(vouchers.of(own, chunk(1)).is_empty(), "of this copy nobody knows who had what");
    }

    #[test]
    fn the_latest_sources_count() {
        let vouchers = Vouchers::default();
        let others = (1..=20).map(|disk| verifier(disk, 1)).collect();
        vouchers.put(verifier(2, 7), chunk(1), others);
        let expected: Vec<Verifier> = [1, 2, 3, 4, 5, 6, 7].map(|disk| verifier(disk, 1)).to_vec();
        assert_eq!(vouchers.of(verifier(2, 7), chunk(1)), expected);
    }

    #[test]
    fn the_oldest_are_forgotten() {
        let vouchers = Vouchers::default();
        let last = REPLICAS as u64;
        for n in 0..=last {
            vouchers.put(verifier(3, 1), chunk(n), vec![verifier(2, 1)]);
        }
        let known = |n| !vouchers.of(verifier(3, 1), chunk(n)).is_empty();
        assert_eq!((known(0), known(1), known(last)), (false, true, true));
        assert_eq!(vouchers.lock().by_age.len(), REPLICAS);
    }
}
