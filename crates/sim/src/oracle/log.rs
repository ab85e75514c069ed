//! What a file may contain to which all clients append.
//!
//! Every record has a number and fills one slot of fixed size, so that a reader sees from the bytes which record is
//! where, and whether it is whole.
//!
//! # Invariants
//! 1. A record that was appended and closed is where its append said, and nothing else is ever there.
//! 2. No record is found twice, none in part, and none where nobody was told of it, unless its append was never
//!    answered.

use super::content::{WriteId, fill};
use std::collections::{BTreeMap, BTreeSet};

/// The size of a record. A slot never lies across a block.
pub(crate) const RECORD_BYTES: u64 = 128;

/// How sure it is that a record is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// Its writer has not closed the file since.
    Open { incarnation: u64 },
    /// A loss of power may take it.
    Closed { incarnation: u64 },
    /// Nothing may take it.
    Synced,
    /// It may be there or not.
    Doubtful,
}

/// See the module.
#[derive(Default)]
pub(crate) struct Log {
    /// By slot, all records whose append was answered with it.
    told: BTreeMap<u64, BTreeMap<WriteId, Standing>>,
    /// Their appends were never answered.
    adrift: BTreeSet<WriteId>,
    /// What a reader found since anything changed, once replicas had been compared.
    seen: Option<Vec<u8>>,
}

/// The bytes of a record.
pub(crate) fn record(id: WriteId) -> Vec<u8> {
    let mut bytes = vec![0; RECORD_BYTES as usize];
    fill(id, 0, &mut bytes);
    bytes
}

impl Log {
    /// Records that were appended in one call by this incarnation of a client, the first of them at `at`.
    pub(crate) fn appended(&mut self, at: u64, ids: &[WriteId], incarnation: u64) -> Result<(), String> {
        self.seen = None;
        if !at.is_multiple_of(RECORD_BYTES) {
            return Err(format!("an append of whole records was put at {at}, within another one"));
        }
        for (slot, id) in (at / RECORD_BYTES..).zip(ids) {
            let there = self.told.entry(slot).or_default();
            // What another client has not closed may have been given up, if it was silent for long: it will be told.
            // If it is not, two records are to be found in this slot, which `check` finds out.
            let sure = |standing: &Standing| match standing {
                Standing::Doubtful => false,
                Standing::Open { incarnation: by } => *by == incarnation,
                Standing::Closed { .. } | Standing::Synced => true,
            };
            if let Some((other, standing)) = there.iter().find(|(_, standing)| sure(standing)) {
                return Err(format!("record {id} was appended over record {other} ({standing:?}) at {at}"));
            }
            there.insert(*id, Standing::Open { incarnation });
        }
        Ok(())
    }

    /// An append whose outcome nobody knows.
    pub(crate) fn adrift(&mut self, ids: &[WriteId]) {
        self.seen = None;
        self.adrift.extend(ids);
    }

    fn each(&mut self, mut change: impl FnMut(&mut Standing)) {
        self.told.values_mut().flat_map(BTreeMap::values_mut).for_each(&mut change);
    }

    /// The client's close succeeded.
    pub(crate) fn closed(&mut self, by: u64) {
        self.each(|standing| {
            if *standing == (Standing::Open { incarnation: by }) {
                *standing = Standing::Closed { incarnation: by };
            }
        });
    }

    /// The client's fsync succeeded: that covers what it closed before, too.
    pub(crate) fn synced(&mut self, by: u64) {
        self.each(|standing| {
            if let Standing::Open { incarnation } | Standing::Closed { incarnation } = *standing
                && incarnation == by
            {
                *standing = Standing::Synced;
            }
        });
    }

    /// The client was told of an error, or died: what it had not closed is in doubt.
    pub(crate) fn failed(&mut self, by: u64) {
        self.each(|standing| {
            if *standing == (Standing::Open { incarnation: by }) {
                *standing = Standing::Doubtful;
            }
        });
    }

    /// Power was lost somewhere.
    pub(crate) fn power_cut(&mut self) {
        self.seen = None;
        self.each(|standing| {
            if *standing != Standing::Synced {
                *standing = Standing::Doubtful;
            }
        });
    }

    /// Whether a reader can be told exactly what to find.
    pub(crate) fn is_certain(&self) -> bool {
        self.adrift.is_empty()
            && self.told.values().all(|there| !there.values().any(|s| *s == Standing::Doubtful))
    }

    /// Compares what a reader finds with what the one before found. Replicas have been compared, so it is the same.
    pub(crate) fn agrees(&mut self, found: &[u8]) -> Result<(), String> {
        let seen = self.seen.get_or_insert_with(|| found.to_vec());
        match seen.iter().zip(found).position(|(one, other)| one != other) {
            Some(at) => Err(format!("a second read differs at {at}, in slot {}", at as u64 / RECORD_BYTES)),
            None if seen.len() != found.len() => {
                Err(format!("a second read found {} bytes instead of {}", found.len(), seen.len()))
            }
            None => Ok(()),
        }
    }

    /// Checks the whole file. Nothing may be open.
    pub(crate) fn check(&self, found: &[u8]) -> Result<(), String> {
        if !(found.len() as u64).is_multiple_of(RECORD_BYTES) {
            return Err(format!("{} bytes are no whole records", found.len()));
        }
        let all: BTreeMap<Vec<u8>, WriteId> = self
            .told
            .values()
            .flat_map(BTreeMap::keys)
            .chain(&self.adrift)
            .map(|id| (record(*id), *id))
            .collect();
        let mut seen = BTreeSet::new();
        let slots = found.chunks_exact(RECORD_BYTES as usize);
        let mut there = BTreeMap::new();
        for (slot, bytes) in (0..).zip(slots) {
            let told = self.told.get(&slot);
            match all.get(bytes) {
                Some(id) if !seen.insert(*id) => return Err(format!("record {id} is there twice")),
                Some(id) if self.adrift.contains(id) || told.is_some_and(|t| t.contains_key(id)) => {
                    there.insert(slot, *id);
                }
                Some(id) => return Err(format!("record {id} is in slot {slot}, where nobody put it")),
                // A writer that died half way may leave a hole, nothing else.
                None if bytes.iter().all(|byte| *byte == 0) => {}
                None => return Err(format!("slot {slot} holds no whole record")),
            }
        }
        for (slot, told) in &self.told {
            for (id, standing) in told.iter().filter(|(_, standing)| **standing != Standing::Doubtful) {
                if there.get(slot) != Some(id) {
                    let other = there.get(slot);
                    return Err(format!("record {id} ({standing:?}) is not in slot {slot}: {other:?} is"));
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(ids: &[WriteId]) -> Vec<u8> {
        ids.iter()
            .flat_map(|id| if *id == 0 { vec![0; RECORD_BYTES as usize] } else { record(*id) })
            .collect()
    }

    #[test]
    fn what_was_closed_is_where_it_was_put_and_nothing_is_put_over_it() {
        let mut log = Log::default();
        log.appended(0, &[1, 2], 7).unwrap();
        log.closed(7);
        assert!(log.appended(RECORD_BYTES, &[3], 8).is_err());
        log.appended(2 * RECORD_BYTES, &[4], 8).unwrap();
        log.closed(8);
        log.check(&file(&[1, 2, 4])).unwrap();
        for wrong in [&[1, 2][..], &[1, 2, 1], &[2, 1, 4], &[1, 0, 4], &[1, 2, 4, 4], &[1, 2, 4, 3]] {
            assert!(log.check(&file(wrong)).is_err(), "{wrong:?}");
        }
        assert!(log.check(&file(&[1, 2, 4])[..300]).is_err());
    }

    #[test]
    fn once_replicas_are_compared_every_reader_finds_the_same() {
        let mut log = Log::default();
        log.appended(0, &[1, 2], 7).unwrap();
        log.failed(7);
        log.agrees(&file(&[1])).unwrap();
        log.agrees(&file(&[1])).unwrap();
        for other in [&[][..], &[2], &[1, 2]] {
            assert!(log.agrees(&file(other)).is_err(), "{other:?}");
        }
        log.power_cut();
        log.agrees(&file(&[1, 2])).unwrap();
    }

    #[test]
    fn what_a_dead_writer_left_may_be_there_or_not_and_be_written_over() {
        let mut log = Log::default();
        log.appended(0, &[1], 7).unwrap();
        log.closed(7);
        log.appended(RECORD_BYTES, &[2, 3], 7).unwrap();
        log.failed(7);
        assert!(!log.is_certain());
        for may_be in [&[1][..], &[1, 2], &[1, 0, 3], &[1, 2, 3]] {
            log.check(&file(may_be)).unwrap();
        }
        log.appended(RECORD_BYTES, &[4], 8).unwrap();
        log.closed(8);
        log.check(&file(&[1, 4, 3])).unwrap();
        assert!(log.check(&file(&[1, 2, 3])).is_err());
        log.appended(3 * RECORD_BYTES, &[5], 7).unwrap();
        log.appended(3 * RECORD_BYTES, &[6], 8).unwrap();
        assert!(log.appended(3 * RECORD_BYTES, &[7], 8).is_err(), "over its own");
        log.closed(8);
        log.check(&file(&[1, 4, 3, 6])).unwrap_err();
        log.failed(7);
        log.check(&file(&[1, 4, 3, 6])).unwrap();
        log.power_cut();
        log.check(&file(&[1])).unwrap();
    }
}
