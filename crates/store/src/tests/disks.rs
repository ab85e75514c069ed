//! Stamping, opening, refusing; the index.

use crate::testing::*;
use crate::{Disk, DiskOptions, Format, FormatError, OpenDiskError};
use env::{Dir, OpenMode, SimDisk};
use std::sync::Arc;
use types::{ChunkId, ClusterId};

fn refusal(dir: &Arc<dyn Dir>, cluster: Option<ClusterId>) -> OpenDiskError {
    let options = DiskOptions { cluster, index_in_memory: true, ..Default::default() };
    let error = Disk::open(Arc::clone(dir), options).map(|_| ()).unwrap_err();
    assert!(error.to_string().contains("next step: "), "{error}");
    error
}

#[test]
fn an_empty_directory_is_blank_and_gets_no_file() {
    let (_guard, dir) = temporary();
    dir.create_dir_all("lost+found").unwrap();
    assert!(matches!(refusal(&dir, None), OpenDiskError::Blank { .. }));
    assert_eq!(dir.list("").unwrap().len(), 1);
    format(&dir);
    let again = Disk::format(Arc::clone(&dir), Format { cluster: CLUSTER, disk: DISK }).unwrap_err();
    assert!(matches!(again, FormatError::AlreadyFormatted { cluster: CLUSTER, .. }));
}

#[test]
fn foreign_content_is_neither_opened_nor_stamped() {
    let (_guard, dir) = temporary();
    dir.open("holiday.jpg", OpenMode::Create).unwrap();
    assert!(matches!(refusal(&dir, None), OpenDiskError::Foreign { .. }));
    let error = Disk::format(Arc::clone(&dir), Format { cluster: CLUSTER, disk: DISK }).unwrap_err();
    assert!(matches!(error, FormatError::NotEmpty { .. }));
    assert!(error.to_string().contains("holiday.jpg"));
}

#[test]
fn another_cluster_a_second_user_and_a_damaged_stamp_are_refused() {
    let (_guard, dir) = temporary();
    format(&dir);
    assert!(matches!(
        refusal(&dir, Some(ClusterId([9; 16]))),
        OpenDiskError::WrongCluster { found: CLUSTER, .. }
    ));
    let (first, _) = open(&dir);
    assert!(matches!(refusal(&dir, None), OpenDiskError::InUse { .. }));
    drop(first);
    let stamp = dir.open("stamp", OpenMode::ReadWrite).unwrap();
    stamp.write_at(b"?", 20).unwrap();
    let (disk, report) = open(&dir);
    assert_eq!(report.warnings.len(), 1, "one damaged copy is reported and repaired");
    drop(disk);
    let stamp = dir.open("stamp", OpenMode::ReadWrite).unwrap();
    stamp.write_at(b"?", 20).unwrap();
    stamp.write_at(b"?", 4096 + 20).unwrap();
    assert!(matches!(refusal(&dir, None), OpenDiskError::DamagedStamp { .. }));
}

#[test]
fn registrations_are_durable_and_the_verifier_stays_over_a_restart() {
    let (_guard, dir, disk) = disk();
    disk.set_registrations(41).unwrap();
    let verifier = disk.verifier_of_first(V1);
    drop(disk);
    let (disk, _) = open(&dir);
    assert_eq!((disk.registrations(), disk.verifier_of_first(V1)), (41, verifier));
    assert_eq!((disk.id(), disk.cluster()), (DISK, CLUSTER));
}

fn inventory(disk: &Disk) -> Vec<ChunkId> {
    let mut all = Vec::new();
    disk.inventory(&mut |entry| all.push(entry.chunk)).unwrap();
    all
}

#[test]
fn deleting_or_damaging_the_index_loses_nothing() {
    let (_guard, dir) = temporary();
    format(&dir);
    let open = || Disk::open(Arc::clone(&dir), DiskOptions::default()).unwrap();
    let first = open();
    assert_eq!(first.report.index_rebuilt, None);
    let chunks: Vec<ChunkId> = (1..=20).map(ChunkId).collect();
    for chunk in &chunks {
        write(&first.disk, *chunk, V1, 0, b"data").unwrap();
    }
    first.disk.close().unwrap();
    drop(first);
    let second = open();
    assert_eq!((second.report.index_rebuilt, inventory(&second.disk)), (None, chunks.clone()));
    second.disk.close().unwrap();
    drop(second.disk);
    dir.remove_dir_all("index").unwrap();
    let third = open();
    assert!(third.report.index_rebuilt.is_some());
    assert_eq!(inventory(&third.disk), chunks);
    third.disk.close().unwrap();
    drop(third.disk);
    for file in ["index/db", "index/conf"] {
        let file = dir.open(file, OpenMode::ReadWrite).unwrap();
        let length = file.len().unwrap();
        file.write_at(&vec![0x5a; length as usize], 0).unwrap();
    }
    let fourth = open();
    assert!(fourth.report.index_rebuilt.is_some());
    assert_eq!(inventory(&fourth.disk), chunks);
}

#[test]
fn an_index_that_rots_while_its_disk_serves_misleads_nobody() {
    for (places, orderly) in (0..9).flat_map(|places| [(places, false), (places, true)]) {
        let (_guard, dir) = temporary();
        format(&dir);
        let open = || Disk::open(Arc::clone(&dir), DiskOptions::default()).unwrap();
        let first = open();
        let chunks: Vec<ChunkId> = (1..=40).map(ChunkId).collect();
        for chunk in &chunks[..20] {
            write(&first.disk, *chunk, V1, 0, b"data").unwrap();
        }
        first.disk.checkpoint().unwrap();
        // One bit in each eighth of each file, or all bytes.
        for file in ["index/db", "index/conf"] {
            let file = dir.open(file, OpenMode::ReadWrite).unwrap();
            let length = file.len().unwrap();
            if places == 8 {
                file.write_at(&vec![0x5a; length as usize], 0).unwrap();
            } else if length > 0 {
                let (mut byte, at) = ([0], (length - 1) * (2 * places + 1) / 16);
                file.read_at(&mut byte, at).unwrap();
                file.write_at(&[byte[0] ^ 4], at).unwrap();
            }
        }
        assert_eq!(inventory(&first.disk), chunks[..20]);
        for chunk in &chunks[20..] {
            write(&first.disk, *chunk, V1, 0, b"data").unwrap();
        }
        assert_eq!(inventory(&first.disk), chunks);
        for chunk in &chunks {
            assert_eq!(read(&first.disk, *chunk, V1, 0, 4), b"data");
        }
        if orderly {
            first.disk.close().unwrap();
        }
        drop(first.disk);
        assert_eq!(inventory(&open().disk), chunks, "places {places}, orderly {orderly}");
    }
}

#[test]
fn a_killed_process_leaves_an_index_that_the_activity_log_completes() {
    let (_guard, dir) = temporary();
    format(&dir);
    let open = || Disk::open(Arc::clone(&dir), DiskOptions::default()).unwrap();
    let first = open();
    write(&first.disk, ChunkId(1), V1, 0, b"data").unwrap();
    write(&first.disk, ChunkId(2), V1, 0, b"data").unwrap();
    first.disk.checkpoint().unwrap();
    write(&first.disk, ChunkId(3), V1, 0, b"data").unwrap();
    first.disk.raise(ChunkId(1), V1, V2, &[]).unwrap();
    first.disk.delete(ChunkId(2), V1, 5).unwrap();
    drop(first);
    // What the index had not flushed at the kill.
    dir.remove_dir_all("index").unwrap();
    dir.create_dir_all("index").unwrap();
    let second = open();
    assert!(!second.report.clean && !second.report.power_lost);
    assert_eq!(second.report.torn_pages, 0);
    assert_eq!(inventory(&second.disk), [ChunkId(1), ChunkId(3)]);
    assert_eq!(second.disk.entry(ChunkId(1)).unwrap().version, V2);
    assert_eq!(read(&second.disk, ChunkId(3), V1, 0, 4), b"data");
}

/// The others of its chain may have been killed before they took or told anything.
#[test]
fn a_replica_that_was_written_and_synced_shortly_before_a_stop_is_compared_afterwards() {
    for orderly in [false, true] {
        let (_guard, dir) = temporary();
        format(&dir);
        let open = || Disk::open(Arc::clone(&dir), DiskOptions::default()).unwrap().disk;
        let disk = open();
        let marked = |disk: &Disk, n| disk.entry(ChunkId(n)).unwrap().marked;
        write(&disk, ChunkId(1), V1, 0, b"old").unwrap();
        disk.sync(ChunkId(1), V1).unwrap();
        for _ in 0..4 {
            disk.checkpoint().unwrap();
        }
        write(&disk, ChunkId(2), V1, 0, b"new").unwrap();
        disk.sync(ChunkId(2), V1).unwrap();
        disk.checkpoint().unwrap();
        assert!(!marked(&disk, 2), "while it is open its chain knows better");
        if orderly {
            disk.close().unwrap();
        }
        drop(disk);
        let disk = open();
        assert_eq!((marked(&disk, 1), marked(&disk, 2)), (false, true), "orderly: {orderly}");
        drop(disk);
        let disk = open();
        assert!(marked(&disk, 2), "until it was compared");
        disk.clear_marked(ChunkId(2), V1).unwrap();
        disk.sync(ChunkId(2), V1).unwrap();
        drop(disk);
        assert!(!marked(&open(), 2));
    }
}

#[test]
fn a_disk_whose_directory_was_renamed_or_replaced_says_so() {
    let guard = tempfile::tempdir().unwrap();
    let (at, away) = (guard.path().join("disk"), guard.path().join("away"));
    std::fs::create_dir(&at).unwrap();
    let dir = env::RealDir::open(&at).unwrap();
    format(&dir);
    let (disk, _) = open(&dir);
    disk.check_place().unwrap();
    std::fs::rename(&at, &away).unwrap();
    assert!(disk.check_place().unwrap_err().to_string().contains("no longer"));
    std::fs::create_dir(&at).unwrap();
    assert!(disk.check_place().unwrap_err().to_string().contains("another directory"));
    std::fs::remove_dir(&at).unwrap();
    std::fs::rename(&away, &at).unwrap();
    disk.check_place().unwrap();
}

#[test]
fn a_disk_that_cannot_be_written_is_told_from_a_full_one() {
    let sim = env::SimDisk::new(9, "disk");
    format(&sim.dir());
    let (disk, _) = open(&sim.dir());
    disk.try_writing().unwrap();
    sim.set_capacity(0);
    disk.try_writing().unwrap();
    sim.set_capacity(1 << 30);
    for effort in [env::Effort::Write, env::Effort::Sync] {
        sim.inject(env::Fault { path: String::new(), effort, skip: 0, count: u64::MAX });
        assert!(disk.try_writing().is_err());
        sim.clear_faults();
    }
}

#[test]
fn a_disk_that_is_opened_again_after_a_failure_answers_under_another_verifier() {
    let (_guard, dir, disk) = disk();
    let before = (disk.verifier_of_first(V1), disk.boot());
    drop(disk);
    let options = DiskOptions { index_in_memory: true, reopened: 1, ..Default::default() };
    let disk = Disk::open(Arc::clone(&dir), options).unwrap().disk;
    let after = disk.verifier_of_first(V1);
    assert!(after != before.0 && disk.boot() == before.1);
    drop(disk);
    assert_eq!(open(&dir).0.verifier_of_first(V1), after, "the next process does not know that it failed");
}

#[test]
fn a_boot_changes_the_verifier_only_if_the_disk_was_not_closed_in_order() {
    let sim = SimDisk::new(3, "disk");
    format(&sim.dir());
    let mut before = open(&sim.dir()).0.verifier_of_first(V1);
    for in_order in [false, true, true, false] {
        let (disk, _) = open(&sim.dir());
        write(&disk, CHUNK, V1, 0, &pattern(1, 8192)).unwrap();
        if in_order {
            disk.close().unwrap();
        }
        drop(disk);
        sim.power_cut();
        let (disk, _) = open(&sim.dir());
        let after = disk.verifier_of_first(V1);
        assert_eq!(after == before, in_order);
        before = after;
    }
}
