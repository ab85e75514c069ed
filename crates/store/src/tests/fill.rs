//! Replicas that are being filled.

use crate::testing::*;
use crate::{Disk, FillStart, ReplicaState, StoreError, Write};
use env::SimDisk;
use types::Version;

/// Puts bytes into a replica that is being filled.
fn pour(disk: &Disk, version: Version, offset: u64, data: &[u8]) -> Result<(), StoreError> {
    let page_crcs = crcs(offset, data);
    let write = Write {
        chunk: CHUNK,
        version,
        offset,
        data,
        page_crcs: &page_crcs,
        block_values: &[],
        create: false,
    };
    disk.write(&write)
}

fn states(disk: &Disk) -> Vec<(Version, ReplicaState)> {
    let mut found = Vec::new();
    disk.inventory(&mut |entry| found.push((entry.version, entry.state))).unwrap();
    found
}

#[test]
fn a_filling_replica_is_not_read_and_a_complete_one_is() {
    let (_guard, _dir, disk) = disk();
    let data = pattern(1, 8192);
    assert_eq!(disk.begin_filling(CHUNK, V2, 0).unwrap(), FillStart::Begun);
    pour(&disk, V2, 1 << 20, &data).unwrap();
    assert!(matches!(disk.read(CHUNK, V2, 0, 1), Err(StoreError::Filling { .. })));
    assert!(matches!(disk.chunk_value(CHUNK, V2), Err(StoreError::Filling { .. })));
    assert!(matches!(disk.check(CHUNK, V2), Err(StoreError::Filling { .. })));
    assert_eq!(states(&disk), [(V2, ReplicaState::Filling)]);
    disk.complete(CHUNK, V2).unwrap();
    disk.check(CHUNK, V2).unwrap();
    assert_eq!(states(&disk), [(V2, ReplicaState::Complete)]);
    assert_eq!(read(&disk, CHUNK, V2, 1 << 20, 8192), data);
    assert_eq!(disk.begin_filling(CHUNK, V2, 0).unwrap(), FillStart::Complete);
}

#[test]
fn each_making_of_a_replica_answers_under_a_verifier_of_its_own_also_after_a_kill() {
    let (_guard, dir, mut disk) = disk();
    write(&disk, CHUNK, V1, 0, &pattern(1, 8192)).unwrap();
    let mut seen = vec![disk.verifier(CHUNK).unwrap()];
    assert_eq!(seen, [disk.verifier_of_first(V1)]);
    for start in [FillStart::Kept, FillStart::Begun, FillStart::Begun] {
        for start in [start, FillStart::Begun] {
            assert_eq!(disk.begin_filling(CHUNK, V2, 0).unwrap(), start);
            let verifier = disk.verifier(CHUNK).unwrap();
            assert!(!seen.contains(&verifier), "{verifier:?} of {seen:?}");
            seen.push(verifier);
            disk.complete(CHUNK, V2).unwrap();
            assert_eq!(disk.verifier(CHUNK).unwrap(), verifier);
            disk.delete(CHUNK, V2, 0).unwrap();
        }
        assert_eq!(disk.begin_filling(CHUNK, V2, 0).unwrap(), FillStart::Begun);
        let last = disk.verifier(CHUNK).unwrap();
        seen.push(last);
        disk.complete(CHUNK, V2).unwrap();
        drop(disk);
        disk = open(&dir).0;
        assert_eq!(disk.verifier(CHUNK).unwrap(), last);
        disk.delete(CHUNK, V2, 0).unwrap();
    }
}

#[test]
fn what_was_set_aside_for_a_replica_that_cannot_be_begun_is_put_back() {
    let sim = SimDisk::new(3, "disk");
    format(&sim.dir());
    let (disk, _) = open(&sim.dir());
    let data = pattern(1, 8192);
    write(&disk, CHUNK, V1, 0, &data).unwrap();
    disk.sync(CHUNK, V1).unwrap();
    sim.set_capacity(sim.used_bytes());
    disk.begin_empty(CHUNK, V2, 77).unwrap_err();
    assert_eq!(states(&disk), [(V1, ReplicaState::Complete)]);
    assert_eq!(read(&disk, CHUNK, V1, 0, 8192), data);
    assert_eq!(disk.purge_deleted(u64::MAX).unwrap().files, 0);
    drop(disk);
    sim.power_cut();
    sim.set_capacity(1 << 40);
    let (disk, _) = open(&sim.dir());
    assert_eq!(states(&disk), [(V1, ReplicaState::Complete)]);
    disk.begin_empty(CHUNK, V2, 78).unwrap();
    assert_eq!(states(&disk), [(V2, ReplicaState::Filling)]);
}

/// While it was filled its marks were only in the page cache, for its header said that it is new.
#[test]
fn a_write_right_after_the_end_of_a_filling_is_known_after_a_loss_of_power() {
    let sim = SimDisk::new(3, "disk");
    format(&sim.dir());
    let (disk, _) = open(&sim.dir());
    disk.begin_filling(CHUNK, V1, 0).unwrap();
    pour(&disk, V1, 0, &pattern(1, 8192)).unwrap();
    disk.complete(CHUNK, V1).unwrap();
    pour(&disk, V1, 0, &pattern(2, 8192)).unwrap();
    drop(disk);
    sim.power_cut();
    let (disk, _) = open(&sim.dir());
    let entry = disk.entry(CHUNK).unwrap();
    assert!(entry.marked && entry.power_lost, "{entry:?}");
}

#[test]
fn a_replica_of_nothing_but_zeroes_is_filled_too() {
    let (_guard, dir, disk) = disk();
    disk.begin_filling(CHUNK, V1, 0).unwrap();
    disk.complete(CHUNK, V1).unwrap();
    drop(disk);
    let (disk, _) = open(&dir);
    disk.check(CHUNK, V1).unwrap();
    assert!(disk.read(CHUNK, V1, 0, 4096).unwrap().zeroes);
}

#[test]
fn an_older_replica_is_the_beginning_of_the_new_one_but_never_a_higher_version() {
    let (_guard, dir, disk) = disk();
    let (old, new) = (pattern(4, 100_000), pattern(5, 300));
    write(&disk, CHUNK, V1, 0, &old).unwrap();
    assert_eq!(disk.begin_filling(CHUNK, V2, 77).unwrap(), FillStart::Kept);
    assert!(matches!(disk.read(CHUNK, V2, 0, 1), Err(StoreError::Filling { .. })));
    assert_eq!(states(&disk), [(V2, ReplicaState::Filling)]);
    // Found after a stop, it is gone on with.
    pour(&disk, V2, 65_536, &new).unwrap();
    drop(disk);
    let (disk, _) = open(&dir);
    assert_eq!(states(&disk), [(V2, ReplicaState::Filling)]);
    assert_eq!(disk.begin_filling(CHUNK, V2, 77).unwrap(), FillStart::Kept);
    disk.complete(CHUNK, V2).unwrap();
    disk.check(CHUNK, V2).unwrap();
    assert!(!disk.entry(CHUNK).unwrap().marked, "all of it was compared");
    let mut expected = old.clone();
    expected[65_536..][..300].copy_from_slice(&new);
    assert_eq!(read(&disk, CHUNK, V2, 0, 100_000), expected);
    assert!(matches!(disk.begin_filling(CHUNK, V1, 77), Err(StoreError::WrongVersion { .. })));
    assert!(!disk.discard_filling(CHUNK).unwrap(), "a complete one is not discarded");
    assert_eq!(dir.list(crate::names::DELETED).unwrap().len(), 0);
}

#[test]
fn for_an_empty_beginning_an_older_replica_is_set_aside_unread_and_a_newer_one_is_left_alone() {
    let (_guard, dir, disk) = disk();
    let deleted = || dir.list(crate::names::DELETED).unwrap().len();
    write(&disk, CHUNK, V1, 0, &pattern(4, 100_000)).unwrap();
    disk.begin_empty(CHUNK, V2, 77).unwrap();
    assert_eq!((deleted(), states(&disk)), (1, vec![(V2, ReplicaState::Filling)]));
    pour(&disk, V2, 4096, &pattern(5, 300)).unwrap();
    assert!(matches!(disk.begin_empty(CHUNK, V1, 77), Err(StoreError::WrongVersion { .. })));
    disk.begin_empty(CHUNK, V2, 77).unwrap();
    assert_eq!(deleted(), 1, "what was never complete is not kept");
    disk.complete(CHUNK, V2).unwrap();
    assert!(disk.read(CHUNK, V2, 0, 65_536).unwrap().zeroes);
    assert!(disk.begin_empty(CHUNK, V2, 77).is_err(), "it lacks nothing");
}

#[test]
fn an_older_replica_with_rot_that_nobody_met_is_set_aside_but_not_by_who_fills_in_place() {
    let (_guard, dir, disk) = disk();
    write(&disk, CHUNK, V1, 0, &pattern(4, 100_000)).unwrap();
    disk.sync(CHUNK, V1).unwrap();
    let file = dir.open(&crate::names::chunk_path(CHUNK), env::OpenMode::ReadWrite).unwrap();
    file.write_at(b"rot", 70_000).unwrap();
    let deleted = || dir.list(crate::names::DELETED).unwrap().len();
    assert_eq!(disk.begin_filling_anew(CHUNK, V2).unwrap(), None);
    assert_eq!((deleted(), disk.entry(CHUNK).unwrap().version), (0, V1));
    assert_eq!(read(&disk, CHUNK, V1, 0, 65_536), pattern(4, 100_000)[..65_536]);
    assert_eq!(disk.begin_filling(CHUNK, V2, 77).unwrap(), FillStart::Begun);
    assert_eq!(deleted(), 1, "it is kept for its hold");
}

#[test]
fn a_damaged_replica_is_set_aside_for_a_sound_one() {
    let (_guard, dir, disk) = disk();
    write(&disk, CHUNK, V1, 0, &pattern(3, 4096)).unwrap();
    disk.sync(CHUNK, V1).unwrap();
    let file = dir.open(&crate::names::chunk_path(CHUNK), env::OpenMode::ReadWrite).unwrap();
    file.write_at(b"rot", 100).unwrap();
    assert_eq!(disk.verify(CHUNK, V1, 0, 4096).unwrap(), [0]);
    assert!(disk.check(CHUNK, V1).is_err());
    assert_eq!(disk.begin_filling(CHUNK, V1, 5).unwrap(), FillStart::Begun);
    pour(&disk, V1, 0, &pattern(3, 4096)).unwrap();
    disk.complete(CHUNK, V1).unwrap();
    disk.check(CHUNK, V1).unwrap();
    assert_eq!(read(&disk, CHUNK, V1, 0, 4096), pattern(3, 4096));
}

#[test]
fn a_replica_whose_filling_was_cut_off_is_never_complete() {
    for steps in 0..4 {
        for power in [false, true] {
            let (env, world) = env::Env::simulated(steps);
            let simulated = world.disk("d");
            let dir = simulated.dir();
            format(&dir);
            let (disk, _) = open(&dir);
            let data = pattern(9, 200_000);
            if steps > 0 {
                disk.begin_filling(CHUNK, V2, 0).unwrap();
            }
            if steps > 1 {
                pour(&disk, V2, 4096, &data).unwrap();
            }
            if steps > 2 {
                disk.complete(CHUNK, V2).unwrap();
            }
            drop(disk);
            if power {
                simulated.power_cut();
            } else {
                simulated.kill();
            }
            let (disk, _) = open(&simulated.dir());
            let complete: Vec<_> =
                states(&disk).into_iter().filter(|one| one.1 == ReplicaState::Complete).collect();
            assert_eq!(complete.len(), usize::from(steps > 2), "after {steps} steps, power {power}");
            if steps > 2 {
                disk.check(CHUNK, V2).unwrap();
                assert_eq!(read(&disk, CHUNK, V2, 4096, 200_000), data);
            } else {
                assert_ne!(disk.begin_filling(CHUNK, V2, 0).unwrap(), FillStart::Complete);
            }
            drop(env);
        }
    }
}
