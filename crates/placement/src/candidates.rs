//! Disks that may take new chunks, kept in order of preference at constant cost per change.
//!
//! # Invariants
//! 1. Every disk that was set and not removed is in exactly one bucket, the one of its fullness.
//! 2. Disks come out bucket by bucket, emptier first; within a bucket in an order given by the caller's number.
//!
//! Fullness is the percentage of the disk in use plus two points per write in progress, so that a new
//! empty disk takes more than its share without taking everything.

use crate::{Choice, Wanted, choose};

/// Points of fullness per write in progress.
const WRITE_POINTS: u64 = 2;
/// Buckets; what is fuller than the last one counts as the last.
const BUCKETS: usize = 128;

/// A disk that may take a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The caller's number of the disk.
    pub disk: u16,
    /// The failure domain, by default the server.
    pub domain: u32,
    /// Bytes of the disk.
    pub total_bytes: u64,
    /// Bytes free.
    pub free_bytes: u64,
    /// Chunks being written first on it.
    pub writes: u32,
}

impl Candidate {
    /// The bucket: lower is taken first.
    fn fullness(&self) -> usize {
        let used = u128::from(self.total_bytes.saturating_sub(self.free_bytes));
        let percent = (used * 100 / u128::from(self.total_bytes.max(1))) as u64;
        let points = percent + WRITE_POINTS * u64::from(self.writes);
        usize::try_from(points).unwrap_or(usize::MAX).min(BUCKETS - 1)
    }
}

/// Where a disk stands.
#[derive(Clone, Copy, Debug)]
struct Place {
    bucket: u8,
    position: u16,
}

/// The structure.
#[derive(Clone, Debug)]
pub struct Candidates {
    buckets: Vec<Vec<Candidate>>,
    places: Vec<Option<Place>>,
}

impl Default for Candidates {
    fn default() -> Self {
        Self { buckets: vec![Vec::new(); BUCKETS], places: Vec::new() }
    }
}

impl Candidates {
    /// Adds a disk or replaces what is known of it.
    pub fn set(&mut self, candidate: Candidate) {
        let bucket = candidate.fullness();
        let index = usize::from(candidate.disk);
        if index >= self.places.len() {
            self.places.resize(index + 1, None);
        }
        match self.places[index] {
            Some(place) if usize::from(place.bucket) == bucket => {
                self.buckets[bucket][usize::from(place.position)] = candidate;
            }
            _ => {
                self.remove(candidate.disk);
                let position = self.buckets[bucket].len() as u16;
                self.buckets[bucket].push(candidate);
                self.places[index] = Some(Place { bucket: bucket as u8, position });
            }
        }
    }

    /// Takes a disk out; it gets no new chunks.
    pub fn remove(&mut self, disk: u16) {
        let Some(place) = self.places.get_mut(usize::from(disk)).and_then(Option::take) else { return };
        let bucket = &mut self.buckets[usize::from(place.bucket)];
        bucket.swap_remove(usize::from(place.position));
        if let Some(moved) = bucket.get(usize::from(place.position)) {
            self.places[usize::from(moved.disk)] = Some(place);
        }
    }

    /// Disks there are.
    pub fn len(&self) -> usize {
        self.buckets.iter().map(Vec::len).sum()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.buckets.iter().all(Vec::is_empty)
    }

    /// All disks, best first. `tie` orders those of one bucket: each number another way round.
    pub fn in_order(&self, tie: u64) -> impl Iterator<Item = &Candidate> {
        self.buckets.iter().filter(|bucket| !bucket.is_empty()).flat_map(move |bucket| {
            let start = (spread(tie) % bucket.len() as u64) as usize;
            bucket[start..].iter().chain(&bucket[..start])
        })
    }

    /// Chooses disks for a new chunk; those for which `avoid` is true are left out.
    pub fn choose(&self, wanted: &impl Wanted, tie: u64, avoid: impl Fn(&Candidate) -> bool) -> Choice {
        choose(self.in_order(tie).filter(|candidate| !avoid(candidate)), wanted)
    }
}

/// Spreads consecutive numbers over all 64 bits (the finaliser of SplitMix64).
fn spread(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests;
