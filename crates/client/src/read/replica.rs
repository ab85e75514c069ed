//! Which replica to read from: a near one, and of those equally near the one expected to answer first.
//!
//! The master says which are on this host, which have labels that this client prefers, and which the class wants read
//! last. The measure beyond that is the smoothed time of a replica's answers times the requests it already has. Equal ones
//! are taken in an order that the chunk's id turns, so that clients spread without a random number.
//!
//! One that takes much longer than it used to is not waited for: the next one is asked as well, and the first good
//! answer counts (a *hedge*). So a disk that hangs, or a server that is stopped, costs a reader a fraction of a second.
//!
//! # Invariants
//! 1. What is to be read last comes after all others, also after those that failed.
//! 2. One that failed comes after the others for a while. One that was overtaken by a hedge counts as far for a while: else
//!    a near disk that hangs would hold up each read anew.

use env::Instant;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;
use types::{ChunkLocation, DiskId, ReadHints, ReplicaAddress};

/// Taken for a replica that was never asked.
const GUESS: Duration = Duration::from_micros(500);
/// A replica that failed is tried after others, and one that was overtaken is not near, for this long.
const AVOID: Duration = Duration::from_secs(5);
/// A replica that has not answered after so many times its usual time is hedged, within these bounds: a disk of its own
/// seeks in 20 ms, and nobody waits for longer than half a second on purpose.
const HEDGE_FACTOR: u32 = 4;
const HEDGE_MIN: Duration = Duration::from_millis(50);
const HEDGE_MAX: Duration = Duration::from_millis(500);
/// Most hedges of a client at one time: when everything is slow, asking twice makes it slower.
const HEDGES_MAX: usize = 64;
/// Disks remembered; more than any cluster has is not kept.
const DISKS_MAX: usize = 4_096;

#[derive(Clone, Copy, Debug)]
struct Disk {
    answer: Duration,
    asked: u32,
    avoid_until: Instant,
    far_until: Instant,
}

/// See the module.
#[derive(Default)]
pub(crate) struct Replicas {
    disks: Mutex<BTreeMap<DiskId, Disk>>,
    hedges: AtomicUsize,
}

/// Counts a hedge out.
pub(crate) struct Hedge<'a>(&'a AtomicUsize);

impl Drop for Hedge<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Counts a request out when it is answered or given up.
pub(crate) struct Asked<'a> {
    replicas: &'a Replicas,
    disk: DiskId,
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        if let Some(disk) = self.replicas.disks().get_mut(&self.disk) {
            disk.asked = disk.asked.saturating_sub(1);
        }
    }
}

impl Asked<'_> {
    /// It answered well.
    pub(crate) fn answered(self, took: Duration) {
        if let Some(disk) = self.replicas.disks().get_mut(&self.disk) {
            disk.answer = (disk.answer * 7 + took) / 8;
            (disk.avoid_until, disk.far_until) = Default::default();
        }
    }

    /// It did not.
    pub(crate) fn failed(self, now: Instant) {
        if let Some(disk) = self.replicas.disks().get_mut(&self.disk) {
            disk.avoid_until = now + AVOID;
        }
    }
}

impl Replicas {
    fn disks(&self) -> MutexGuard<'_, BTreeMap<DiskId, Disk>> {
        self.disks.lock().expect("nothing panics while it is held")
    }

    /// The order in which to try the replicas of a chunk, as indexes into `replicas`.
    pub(crate) fn order(&self, location: &ChunkLocation, now: Instant) -> Vec<usize> {
        let disks = self.disks();
        let count = location.replicas.len();
        let mut order: Vec<_> = (0..count)
            .map(|n| {
                let ReplicaAddress { disk, hints, .. } = &location.replicas[n];
                let known = disks.get(disk);
                let avoid = known.is_some_and(|disk| now < disk.avoid_until);
                let near = known.is_none_or(|disk| now >= disk.far_until);
                let (same_host, preferred) = (near && hints.same_host, near && hints.preferred);
                let cost = known.map_or(GUESS, |disk| disk.answer.saturating_mul(disk.asked + 1));
                let turn = (n + (location.chunk.0 % count as u64) as usize) % count;
                (hints.read_last, avoid, !same_host, !preferred, cost, turn, n)
            })
            .collect();
        order.sort_unstable();
        order.into_iter().map(|(.., n)| n).collect()
    }

    /// How long this replica is waited for before the next one, of which these are the hints, is asked as well. Before one
    /// that is to be read last it is given all the time there is: being slow for once is no reason.
    pub(crate) fn patience(&self, disk: DiskId, next: ReadHints) -> Duration {
        if next.read_last {
            return HEDGE_MAX;
        }
        let answer = self.disks().get(&disk).map_or(GUESS, |disk| disk.answer);
        answer.saturating_mul(HEDGE_FACTOR).clamp(HEDGE_MIN, HEDGE_MAX)
    }

    /// The right to ask one more; `None` if too many are asked twice already.
    pub(crate) fn hedge(&self) -> Option<Hedge<'_>> {
        let before = self.hedges.fetch_add(1, Ordering::Relaxed);
        let hedge = Hedge(&self.hedges);
        (before < HEDGES_MAX).then_some(hedge)
    }

    /// Another one answered first; this one has taken so long without an answer.
    pub(crate) fn late(&self, disk: DiskId, took: Duration, now: Instant) {
        if let Some(disk) = self.disks().get_mut(&disk) {
            disk.far_until = now + AVOID;
            disk.answer = disk.answer.max((disk.answer * 7 + took) / 8);
        }
    }

    /// A request is sent.
    pub(crate) fn ask(&self, disk: DiskId) -> Asked<'_> {
        let mut disks = self.disks();
        if disks.len() >= DISKS_MAX && !disks.contains_key(&disk) {
            disks.retain(|_, disk| disk.asked > 0);
        }
        let never = Instant::default();
        let new = Disk { answer: GUESS, asked: 0, avoid_until: never, far_until: never };
        disks.entry(disk).or_insert(new).asked += 1;
        Asked { replicas: self, disk }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use types::{ChunkId, ChunkIndex, ServerId, Version};

    const NOW: Instant = Instant(Duration::from_secs(100));

    fn location(chunk: u64) -> ChunkLocation {
        let replica = |n| ReplicaAddress {
            server: ServerId([n; 16]),
            disk: DiskId([n; 16]),
            address: String::new(),
            hints: ReadHints::default(),
        };
        ChunkLocation {
            index: ChunkIndex(0),
            chunk: ChunkId(chunk),
            version: Version::default(),
            replicas: (0..3).map(replica).collect(),
            more: false,
        }
    }

    #[test]
    fn the_faster_replica_is_asked_first_unless_it_is_busy() {
        let replicas = Replicas::default();
        for _ in 0..50 {
            replicas.ask(DiskId([2; 16])).answered(Duration::from_micros(50));
        }
        assert_eq!(replicas.order(&location(0), NOW)[0], 2);
        let _busy: Vec<_> = (0..20).map(|_| replicas.ask(DiskId([2; 16]))).collect();
        assert_ne!(replicas.order(&location(0), NOW)[0], 2);
    }

    #[test]
    fn a_failed_replica_is_tried_last_for_a_while() {
        let replicas = Replicas::default();
        replicas.ask(DiskId([0; 16])).failed(NOW);
        assert_eq!(replicas.order(&location(0), NOW).last(), Some(&0));
        assert_eq!(replicas.order(&location(0), NOW + AVOID)[0], 0);
    }

    #[test]
    fn a_replica_is_hedged_after_some_times_its_usual_time_and_one_that_was_late_comes_later() {
        let replicas = Replicas::default();
        let (disk, near) = (DiskId([0; 16]), ReadHints::default());
        assert_eq!(replicas.patience(disk, near), HEDGE_MIN);
        for _ in 0..50 {
            replicas.ask(disk).answered(Duration::from_millis(40));
        }
        let patience = replicas.patience(disk, near);
        assert!((150..170).contains(&patience.as_millis()), "{patience:?}");
        let read_last = ReadHints { read_last: true, ..near };
        assert_eq!(
            replicas.patience(disk, read_last),
            HEDGE_MAX,
            "one to be read last is not asked for a hiccup"
        );
        replicas.late(disk, Duration::from_secs(60), NOW);
        assert_eq!(replicas.patience(disk, near), HEDGE_MAX);
        assert_eq!(replicas.order(&location(0), NOW).last(), Some(&0));
        let hedges: Vec<_> = std::iter::from_fn(|| replicas.hedge()).collect();
        assert_eq!(hedges.len(), HEDGES_MAX);
        drop(hedges);
        assert!(replicas.hedge().is_some());
    }

    /// A location with these hints: the same host, preferred, read last.
    fn hinted(hints: [(bool, bool, bool); 3]) -> ChunkLocation {
        let mut location = location(0);
        for (replica, (same_host, preferred, read_last)) in location.replicas.iter_mut().zip(hints) {
            replica.hints = ReadHints { same_host, preferred, read_last };
        }
        location
    }

    #[test]
    fn the_same_host_comes_first_then_what_is_preferred_then_the_fast_and_at_the_end_what_is_read_last() {
        let replicas = Replicas::default();
        replicas.ask(DiskId([2; 16])).answered(Duration::from_nanos(1));
        const FAR: (bool, bool, bool) = (false, false, false);
        let (here, preferred, both) = ((true, false, false), (false, true, false), (true, true, false));
        for (hints, order) in [
            ([FAR, FAR, FAR], [2, 0, 1]),
            ([FAR, preferred, FAR], [1, 2, 0]),
            ([preferred, here, FAR], [1, 0, 2]),
            ([here, both, preferred], [1, 0, 2]),
            ([preferred, FAR, (true, true, true)], [0, 1, 2]),
            ([(true, false, true), (false, false, true), (false, true, true)], [0, 2, 1]),
        ] {
            assert_eq!(replicas.order(&hinted(hints), NOW), order, "{hints:?}");
        }
    }

    #[test]
    fn a_near_replica_that_failed_or_was_overtaken_waits_behind_all_but_those_that_are_read_last() {
        let replicas = Replicas::default();
        let location = hinted([(true, true, false), (false, false, false), (false, false, true)]);
        assert_eq!(replicas.order(&location, NOW), [0, 1, 2]);
        replicas.ask(DiskId([0; 16])).failed(NOW);
        assert_eq!(replicas.order(&location, NOW), [1, 0, 2]);
        assert_eq!(replicas.order(&location, NOW + AVOID), [0, 1, 2]);
        replicas.late(DiskId([0; 16]), HEDGE_MIN, NOW + AVOID);
        assert_eq!(replicas.order(&location, NOW + AVOID), [1, 0, 2]);
        replicas.ask(DiskId([0; 16])).answered(HEDGE_MIN);
        assert_eq!(replicas.order(&location, NOW + AVOID), [0, 1, 2], "it answers again");
        for failed in [0, 1] {
            replicas.ask(DiskId([failed; 16])).failed(NOW);
        }
        assert_eq!(replicas.order(&location, NOW), [0, 1, 2]);
    }

    #[test]
    fn equal_replicas_are_spread_by_chunk() {
        let replicas = Replicas::default();
        let firsts: Vec<_> = (0..3).map(|chunk| replicas.order(&location(chunk), NOW)[0]).collect();
        assert_eq!(firsts, [0, 2, 1]);
    }
}
