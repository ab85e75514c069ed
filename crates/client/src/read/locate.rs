//! Where the chunks of one file are, as far as was told lately.
//!
//! Before leases a location is used for at most `ttl`, and asked for again when a replica refuses it, or when this
//! client's own writer was granted another version: a replica that was left out refuses nothing at the old one.

use env::Instant;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use types::{ChunkIndex, ChunkLocation, Version};

/// Chunks asked for at once, so that a stream asks once per 512 MiB.
pub(crate) const LOCATE_COUNT: u32 = 8;
/// Locations kept per file.
const KEPT_MAX: usize = 64;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Locations {
    known: BTreeMap<ChunkIndex, (Option<Arc<ChunkLocation>>, Instant)>,
    serial: u64,
}

impl Locations {
    /// The location, or `Some(None)` for a hole, if it was told within `ttl`.
    pub(crate) fn get(
        &self,
        index: ChunkIndex,
        now: Instant,
        ttl: Duration,
    ) -> Option<Option<Arc<ChunkLocation>>> {
        let (location, told) = self.known.get(&index)?;
        (now.since(*told) <= ttl).then(|| location.clone())
    }

    /// Grows with each change that an answer under way may not know of.
    pub(crate) fn serial(&self) -> u64 {
        self.serial
    }

    /// What the master answered for `count` chunks from `first`, asked at `told` when the serial was
    /// `serial`. Kept only if nothing changed since. Returns the location of the first.
    pub(crate) fn answered(
        &mut self,
        first: ChunkIndex,
        count: u32,
        answer: Vec<ChunkLocation>,
        told: Instant,
        serial: u64,
    ) -> Option<Arc<ChunkLocation>> {
        let answer: Vec<Arc<ChunkLocation>> = answer.into_iter().map(Arc::new).collect();
        let found = answer.iter().find(|location| location.index == first).cloned();
        if serial == self.serial {
            if self.known.len() + count as usize > KEPT_MAX {
                self.known.clear();
            }
            for index in first.0..first.0.saturating_add(count) {
                self.known.insert(ChunkIndex(index), (None, told));
            }
            for location in answer {
                self.known.insert(location.index, (Some(location), told));
            }
        }
        found
    }

    /// One location.
    pub(crate) fn put(&mut self, location: ChunkLocation, told: Instant) {
        self.serial += 1;
        self.known.insert(location.index, (Some(Arc::new(location)), told));
    }

    /// The chunk is at this version: a location at another is not used any more, for its replicas may be stale.
    pub(crate) fn raised(&mut self, index: ChunkIndex, version: Version) {
        self.serial += 1;
        let same =
            |known: &Option<Arc<ChunkLocation>>| known.as_ref().is_some_and(|one| one.version == version);
        if self.known.get(&index).is_some_and(|(known, _)| !same(known)) {
            self.known.remove(&index);
        }
    }

    /// Forgets what was told before `since`, or is on its way.
    pub(crate) fn forget_before(&mut self, since: Option<Instant>) {
        self.serial += 1;
        self.known.retain(|_, (_, told)| since.is_some_and(|since| *told >= since));
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self) {
        self.serial += 1;
        self.known.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use types::ChunkId;

    fn location(index: u32, chunk: u64) -> ChunkLocation {
        ChunkLocation {
            index: ChunkIndex(index),
            chunk: ChunkId(chunk),
            version: Version::default(),
            replicas: Vec::new(),
            more: false,
        }
    }

    #[test]
    fn a_location_is_not_used_after_its_chunk_was_raised() {
        let (mut locations, now) = (Locations::default(), Instant::default());
        let ttl = Duration::from_secs(1);
        locations.put(location(0, 7), now);
        let serial = locations.serial();
        locations.raised(ChunkIndex(0), Version::default());
        assert!(locations.get(ChunkIndex(0), now, ttl).is_some(), "it is the same version");
        locations.raised(ChunkIndex(0), Version { counter: 9, ..Version::default() });
        assert_eq!(locations.get(ChunkIndex(0), now, ttl), None);
        locations.answered(ChunkIndex(0), 1, vec![location(0, 7)], now, serial);
        assert_eq!(locations.get(ChunkIndex(0), now, ttl), None, "an answer on its way may be older");
    }

    #[test]
    fn what_was_told_with_newer_attributes_is_kept() {
        let (mut locations, now) = (Locations::default(), Instant::default());
        let ttl = Duration::from_secs(1);
        let later = now + Duration::from_millis(1);
        locations.put(location(0, 7), now);
        locations.put(location(1, 8), later);
        let serial = locations.serial();
        locations.forget_before(Some(later));
        assert_eq!(locations.get(ChunkIndex(0), later, ttl), None);
        assert!(locations.get(ChunkIndex(1), later, ttl).is_some());
        locations.answered(ChunkIndex(0), 1, vec![location(0, 7)], now, serial);
        assert_eq!(locations.get(ChunkIndex(0), later, ttl), None, "it was on its way");
        locations.forget_before(None);
        assert_eq!(locations.get(ChunkIndex(1), later, ttl), None);
    }

    #[test]
    fn an_answer_that_was_overtaken_by_a_commit_is_not_kept() {
        let (mut locations, now) = (Locations::default(), Instant::default());
        let ttl = Duration::from_secs(1);
        let serial = locations.serial();
        locations.put(location(0, 7), now);
        assert_eq!(locations.answered(ChunkIndex(0), 8, Vec::new(), now, serial), None);
        assert_eq!(locations.get(ChunkIndex(0), now, ttl), Some(Some(Arc::new(location(0, 7)))));
        let serial = locations.serial();
        locations.answered(ChunkIndex(0), 2, vec![location(1, 8)], now, serial);
        assert_eq!(locations.get(ChunkIndex(0), now, ttl), Some(None));
        assert_eq!(locations.get(ChunkIndex(1), now + ttl * 2, ttl), None);
    }
}
