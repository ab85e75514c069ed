//! Open disks for which one condition holds, in order of preference, at constant cost per change.
//!
//! # Invariants
//! 1. Every disk in it is in exactly one bucket, the one of its fullness, and `filled` has the bits of the buckets that
//!    are not empty.
//! 2. Disks come out bucket by bucket, emptier first; within a bucket in an order given by the caller's number.

/// Buckets of fullness; what is fuller than the last one counts as the last.
pub(super) const BUCKETS: usize = 128;

/// Where a disk stands.
#[derive(Clone, Copy, Debug)]
struct Place {
    bucket: u8,
    position: u16,
}

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct Order {
    buckets: Vec<Vec<u16>>,
    filled: u128,
    places: Vec<Option<Place>>,
}

impl Default for Order {
    fn default() -> Self {
        Self { buckets: vec![Vec::new(); BUCKETS], filled: 0, places: Vec::new() }
    }
}

impl Order {
    /// Puts a disk where it belongs.
    pub(super) fn set(&mut self, disk: u16, fullness: u8) {
        let index = usize::from(disk);
        if index >= self.places.len() {
            self.places.resize(index + 1, None);
        }
        if self.places[index].is_some_and(|place| place.bucket == fullness) {
            return;
        }
        self.remove(disk);
        let bucket = &mut self.buckets[usize::from(fullness)];
        self.places[index] = Some(Place { bucket: fullness, position: bucket.len() as u16 });
        bucket.push(disk);
        self.filled |= 1 << fullness;
    }

    /// Takes a disk out.
    pub(super) fn remove(&mut self, disk: u16) {
        let Some(place) = self.places.get_mut(usize::from(disk)).and_then(Option::take) else { return };
        let bucket = &mut self.buckets[usize::from(place.bucket)];
        bucket.swap_remove(usize::from(place.position));
        if let Some(moved) = bucket.get(usize::from(place.position)) {
            self.places[usize::from(*moved)] = Some(place);
        } else if bucket.is_empty() {
            self.filled &= !(1 << place.bucket);
        }
    }

    /// Shows disks, best first, until that is enough. `start` says where a bucket begins: each number another way round.
    pub(super) fn walk(&self, start: u64, mut is_enough: impl FnMut(u16) -> bool) {
        let mut left = self.filled;
        while left != 0 {
            let bucket = &self.buckets[left.trailing_zeros() as usize];
            left &= left - 1;
            let (before, from) = bucket.split_at((start % bucket.len() as u64) as usize);
            if from.iter().chain(before).any(|disk| is_enough(*disk)) {
                return;
            }
        }
    }
}
