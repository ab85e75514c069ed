//! Closing many chunk files at once, and what a power cut or an error leaves of them.

use super::files::Tight;
use crate::testing::*;
use crate::{Disk, DiskOptions, StoreError};
use env::{Dir, Effort, Fault, SimDisk};
use std::sync::Arc;
use types::ChunkId;

/// A disk that is crowded with more than 48 open files and keeps 32.
fn small(dir: &Arc<dyn Dir>) -> Disk {
    let options = DiskOptions { index_in_memory: true, open_chunks_max: Some(64), ..Default::default() };
    Disk::open(Arc::clone(dir), options).unwrap().disk
}

fn data(n: u64) -> Vec<u8> {
    pattern(n, 9_000)
}

fn fill(disk: &Disk, chunks: std::ops::RangeInclusive<u64>) {
    for n in chunks {
        write(disk, ChunkId(n), V1, 0, &data(n)).unwrap();
    }
}

#[test]
fn a_crowded_disk_is_tidied_with_one_sync_and_loses_nothing_without_power() {
    let sim = SimDisk::new(1, "disk");
    format(&sim.dir());
    let disk = small(&sim.dir());
    fill(&disk, 1..=48);
    assert!(!disk.is_crowded());
    fill(&disk, 49..=60);
    assert!(disk.is_crowded());
    assert_eq!(disk.counters().syncs, 0, "nobody who opened a file waited for another one");
    disk.tidy().unwrap();
    let counters = disk.counters();
    assert_eq!((counters.syncs, counters.open_chunks), (1, 32));
    disk.sync(ChunkId(60), V1).unwrap();
    assert_eq!(disk.counters().syncs, 1, "those that stayed open are synced, too");
    sim.power_cut();
    let disk = small(&sim.dir());
    for n in 1..=60 {
        assert_eq!(read(&disk, ChunkId(n), V1, 0, 9_000), data(n), "chunk {n}");
    }
}

#[test]
fn those_used_last_stay_open_and_reading_needs_no_sync_to_be_tidied() {
    let sim = SimDisk::new(1, "disk");
    format(&sim.dir());
    fill(&small(&sim.dir()), 1..=60);
    sim.kill();
    let disk = small(&sim.dir());
    let before = disk.counters().syncs;
    (1..=60).for_each(|n| drop(read(&disk, ChunkId(n), V1, 0, 100)));
    assert!(disk.is_crowded());
    disk.tidy().unwrap();
    assert_eq!((disk.counters().syncs, disk.counters().open_chunks), (before, 32));
    assert!(disk.read_resident(ChunkId(28), V1, 0, 100).is_none());
    assert!(disk.read_resident(ChunkId(29), V1, 0, 100).is_some());
}

#[test]
fn a_replica_that_changes_during_the_sync_of_all_is_not_taken_for_synced() {
    let sim = SimDisk::new(2, "disk");
    format(&sim.dir());
    let dir = Tight::new(sim.dir(), 1_000);
    let disk = Arc::new(small(&(Arc::clone(&dir) as Arc<dyn Dir>)));
    fill(&disk, 1..=60);
    let other = Arc::clone(&disk);
    dir.during_sync(move || write(&other, ChunkId(3), V1, 4_096, b"meanwhile").unwrap());
    disk.tidy().unwrap();
    let before = disk.counters().syncs;
    disk.sync(ChunkId(3), V1).unwrap();
    assert_eq!(disk.counters().syncs, before + 1);
    sim.power_cut();
    let disk = small(&sim.dir());
    assert_eq!(read(&disk, ChunkId(3), V1, 4_096, 9), b"meanwhile");
}

#[test]
fn a_replica_of_which_something_is_lost_in_the_sync_of_all_is_bad_and_the_others_are_not() {
    let sim = SimDisk::new(3, "disk");
    format(&sim.dir());
    let disk = small(&sim.dir());
    fill(&disk, 1..=60);
    let path = crate::names::chunk_path(ChunkId(7));
    sim.inject(Fault { path, effort: Effort::Sync, skip: 0, count: 1 });
    disk.tidy().unwrap();
    assert_eq!(disk.counters().sync_failures, 1);
    assert_eq!(disk.take_losses(), [(ChunkId(7), V1)]);
    assert!(disk.take_losses().is_empty(), "each is told once");
    for n in 1..=60 {
        assert_eq!(disk.entry(ChunkId(n)).unwrap().bad, n == 7, "chunk {n}");
    }
    assert!(matches!(disk.sync(ChunkId(7), V1), Err(StoreError::Bad { .. })));
}

#[test]
fn if_the_device_cannot_be_flushed_nothing_counts_as_synced() {
    let sim = SimDisk::new(4, "disk");
    format(&sim.dir());
    let disk = small(&sim.dir());
    fill(&disk, 1..=60);
    sim.inject(Fault { path: "probe".to_owned(), effort: Effort::Sync, skip: 0, count: 1 });
    assert!(disk.tidy().is_err());
    let before = disk.counters().syncs;
    disk.sync(ChunkId(1), V1).unwrap();
    assert_eq!(disk.counters().syncs, before + 1);
    disk.tidy().unwrap();
    assert_eq!(disk.counters().open_chunks, 32);
}

/// A write and its fsync came between the closing of a file and the forgetting of its slot: the fsync answered and synced
/// nothing.
#[test]
fn a_replica_written_again_while_its_file_is_put_away_is_not_forgotten() {
    let sim = SimDisk::new(5, "disk");
    format(&sim.dir());
    let disk = small(&sim.dir());
    fill(&disk, 1..=1);
    disk.sync(ChunkId(1), V1).unwrap();
    let slot = disk.cache.peek(ChunkId(1)).unwrap();
    assert!(slot.shut_clean());
    write(&disk, ChunkId(1), V1, 4_096, b"meanwhile").unwrap();
    disk.cache.forget(ChunkId(1), slot);
    disk.sync(ChunkId(1), V1).unwrap();
    sim.power_cut();
    let disk = small(&sim.dir());
    assert_eq!(read(&disk, ChunkId(1), V1, 4_096, 9), b"meanwhile");
}

#[test]
fn a_power_cut_at_any_write_while_tidying_leaves_what_was_synced() {
    for stop in 0u64.. {
        let mut all = true;
        for draw in 0..6 {
            let sim = SimDisk::new(10 * stop + draw, "disk");
            format(&sim.dir());
            let disk = small(&sim.dir());
            fill(&disk, 1..=50);
            for n in 1..=5 {
                disk.sync(ChunkId(n), V1).unwrap();
            }
            // Changes in place of what was synced before.
            fill(&disk, 4..=5);
            sim.stop_after_writes(stop);
            let done = disk.tidy().is_ok();
            all &= done && disk.close().is_ok();
            sim.power_cut();
            let (disk, report) = open(&sim.dir());
            assert_eq!(report.rotten_pages, 0, "stop {stop}");
            for n in 1..=50 {
                match disk.entry(ChunkId(n)) {
                    Ok(entry) => {
                        assert!(!entry.bad && !entry.damaged, "stop {stop}: {entry:?}");
                        disk.keep_torn(ChunkId(n), V1).unwrap();
                        let found = read(&disk, ChunkId(n), V1, 0, 9_000);
                        assert!(!(done || n <= 5) || found == data(n), "stop {stop}, draw {draw}, chunk {n}");
                    }
                    Err(StoreError::Absent { .. }) => assert!(!done && n > 5, "stop {stop}: chunk {n}"),
                    Err(error) => panic!("stop {stop}, chunk {n}: {error}"),
                }
            }
        }
        if all {
            return;
        }
    }
}

#[test]
fn threads_write_sync_and_read_while_others_tidy() {
    let (_guard, dir) = temporary();
    format(&dir);
    let disk = small(&dir);
    std::thread::scope(|scope| {
        for worker in 0..3u64 {
            let disk = &disk;
            scope.spawn(move || {
                for round in 0..6 {
                    for n in 0..40 {
                        let chunk = ChunkId(1 + n + 40 * worker);
                        write(disk, chunk, V1, round * 100, &round.to_le_bytes()).unwrap();
                        if n % 7 == 0 {
                            disk.sync(chunk, V1).unwrap();
                        }
                        assert_eq!(read(disk, chunk, V1, round * 100, 8), round.to_le_bytes());
                    }
                }
            });
        }
        scope.spawn(|| {
            for _ in 0..20 {
                disk.tidy().unwrap();
                disk.checkpoint().unwrap();
            }
        });
    });
    disk.close().unwrap();
    drop(disk);
    let (disk, report) = open(&dir);
    assert!(report.clean);
    for n in 1..=120 {
        assert!(!disk.entry(ChunkId(n)).unwrap().bad);
        assert_eq!(read(&disk, ChunkId(n), V1, 500, 8), 5u64.to_le_bytes());
    }
}
