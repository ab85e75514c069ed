//! Which disks are candidates, and in which order.

use super::*;
use crate::AnyDisk;
use proptest::prelude::*;
use std::collections::BTreeMap;

const CHUNK: u64 = 64 << 20;

fn disk(disk: u16, domain: u32, total_chunks: u64, used_chunks: u64) -> Candidate {
    Candidate {
        disk,
        domain,
        total_bytes: total_chunks * CHUNK,
        free_bytes: (total_chunks - used_chunks) * CHUNK,
        writes: 0,
    }
}

fn percent(candidate: &Candidate) -> f64 {
    100.0 * (1.0 - candidate.free_bytes as f64 / candidate.total_bytes as f64)
}

/// Writes chunks and returns the disks as they are then.
fn fill(mut disks: Vec<Candidate>, chunks: u64, replicas: usize) -> Vec<Candidate> {
    let mut candidates = Candidates::default();
    for one in &disks {
        candidates.set(*one);
    }
    for tie in 0..chunks {
        for number in candidates.choose(&AnyDisk(replicas), tie, |_| false).found() {
            let one = &mut disks[usize::from(number)];
            one.free_bytes -= CHUNK;
            candidates.set(*one);
        }
    }
    disks
}

#[test]
fn unequal_disks_converge_to_equal_percentages() {
    let sizes = [4000, 1000, 500, 2000, 3000, 1500];
    let start = [0, 900, 100, 0, 1500, 200];
    let disks = (0..6).map(|n| disk(n, u32::from(n), sizes[usize::from(n)], start[usize::from(n)])).collect();
    let before: u64 = start.iter().sum();
    let after = fill(disks, (9600 - before) / 2, 2);
    // Disk 1 began far above the others and takes nothing; the rest meet.
    let percents: Vec<f64> = after.iter().map(percent).collect();
    let (low, high) = percents
        .iter()
        .enumerate()
        .filter(|(n, _)| *n != 1)
        .fold((f64::MAX, 0f64), |(low, high), (_, percent)| (low.min(*percent), high.max(*percent)));
    assert!(high - low < 2.5, "{percents:?}");
    assert!((percents[1] - 90.0).abs() < 0.1, "{percents:?}");
}

#[test]
fn a_new_empty_disk_does_not_take_every_chunk_that_is_being_written() {
    let mut candidates = Candidates::default();
    let mut writes = BTreeMap::new();
    for n in 0..4 {
        candidates.set(disk(n, u32::from(n), 1000, if n == 3 { 0 } else { 40 }));
    }
    for tie in 0..40 {
        for number in candidates.choose(&AnyDisk(1), tie, |_| false).found() {
            *writes.entry(number).or_insert(0) += 1;
            let used = if number == 3 { 0 } else { 40 };
            candidates.set(Candidate { writes: writes[&number], ..disk(number, number.into(), 1000, used) });
        }
    }
    assert!(writes.len() == 4 && writes[&3] > 10, "{writes:?}");
}

#[test]
fn equal_disks_share_by_turns() {
    let disks = (0..8).map(|n| disk(n, u32::from(n) / 2, 1000, 0)).collect();
    let after = fill(disks, 400, 2);
    for one in &after {
        assert!((percent(one) - 10.0).abs() < 2.0, "{after:?}");
    }
}

#[test]
fn avoided_disks_are_left_out() {
    let mut candidates = Candidates::default();
    for n in 0..3 {
        candidates.set(disk(n, u32::from(n), 10, 0));
    }
    let mut chosen: Vec<u16> = candidates.choose(&AnyDisk(2), 5, |one| one.disk == 1).found().collect();
    chosen.sort_unstable();
    assert_eq!(chosen, [0, 2]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn every_disk_set_and_not_removed_comes_out_once_and_emptier_ones_first(
        steps in prop::collection::vec((0u16..40, 0u64..=100, 0u32..9, any::<bool>()), 1..120),
        tie in any::<u64>(),
    ) {
        let mut candidates = Candidates::default();
        let mut model = BTreeMap::new();
        for (number, used, writes, set) in steps {
            if set {
                let one = Candidate { writes, ..disk(number, 0, 100, used) };
                candidates.set(one);
                model.insert(number, one);
            } else {
                candidates.remove(number);
                model.remove(&number);
            }
        }
        let order: Vec<Candidate> = candidates.in_order(tie).copied().collect();
        prop_assert!(order.windows(2).all(|pair| pair[0].fullness() <= pair[1].fullness()));
        let mut sorted = order.clone();
        sorted.sort_unstable_by_key(|one| one.disk);
        prop_assert_eq!(sorted, model.into_values().collect::<Vec<_>>());
        prop_assert_eq!(order.len(), candidates.len());
        prop_assert_eq!(candidates.is_empty(), order.is_empty());
    }
}
