//! Replicas that cannot be settled after an unclean stop: the disk serves without them, and nothing is forgotten.

use crate::disk::HELD_MAX;
use crate::names::{DELETED, QUARANTINE, chunk_path};
use crate::testing::*;
use crate::{Disk, DiskOptions, FillStart, InventoryEntry, OpenDiskError, StoreError};
use env::{OpenMode, SimDisk};
use types::{CHUNK_BYTES, ChunkId, Version};

const BESIDE: ChunkId = ChunkId(CHUNK.0 + 1);
const LENGTH: usize = 100_000;
/// What was not synced.
const FAR: u64 = 5 << 20;

/// A disk that stopped while a chunk was written: a part of it was synced.
fn stopped(stop: fn(&SimDisk)) -> SimDisk {
    let sim = SimDisk::new(9, "disk");
    format(&sim.dir());
    let (disk, _) = open(&sim.dir());
    write(&disk, CHUNK, V1, 0, &pattern(1, LENGTH)).unwrap();
    disk.sync(CHUNK, V1).unwrap();
    write(&disk, BESIDE, V1, 0, b"beside").unwrap();
    disk.sync(BESIDE, V1).unwrap();
    // From here on the header does not say that all of it may be torn.
    disk.checkpoint().unwrap();
    write(&disk, CHUNK, V1, FAR, &pattern(2, LENGTH)).unwrap();
    drop(disk);
    stop(&sim);
    sim
}

fn spoil_header(sim: &SimDisk) {
    sim.spoil(&chunk_path(CHUNK), CHUNK_BYTES).unwrap();
}

/// Killed, with a header that cannot be read from then on.
fn unreadable() -> SimDisk {
    let sim = stopped(SimDisk::kill);
    spoil_header(&sim);
    sim
}

fn listed(disk: &Disk) -> Option<InventoryEntry> {
    let mut found = None;
    disk.inventory(&mut |entry| found = found.or((entry.chunk == CHUNK).then_some(entry))).unwrap();
    found
}

fn names(sim: &SimDisk, folder: &str) -> usize {
    sim.paths(&format!("{folder}/")).len()
}

fn has_all(disk: &Disk) -> bool {
    disk.unsound_pages(CHUNK, V1).unwrap().is_empty()
        && read(disk, CHUNK, V1, 0, LENGTH as u32) == pattern(1, LENGTH)
        && read(disk, CHUNK, V1, FAR, LENGTH as u32) == pattern(2, LENGTH)
}

/// What is found of the chunk at the next start.
fn judged(sim: &SimDisk) -> (InventoryEntry, Vec<u32>, Vec<u32>) {
    let (disk, report) = open(&sim.dir());
    assert_eq!(report.held_back, 0);
    let pages = disk.torn_pages(CHUNK, V1).unwrap();
    (disk.entry(CHUNK).unwrap(), pages, disk.verify(CHUNK, V1, 0, CHUNK_BYTES).unwrap())
}

/// Starts without the header and stops again.
fn start_without(sim: &SimDisk, stop: impl FnOnce(&SimDisk, Disk)) {
    let (disk, report) = open(&sim.dir());
    assert_eq!(report.held_back, 1);
    stop(sim, disk);
}

fn closed(_: &SimDisk, disk: Disk) {
    disk.close().unwrap();
}

fn killed(sim: &SimDisk, disk: Disk) {
    drop(disk);
    sim.kill();
}

fn cut(sim: &SimDisk, disk: Disk) {
    drop(disk);
    sim.power_cut();
}

#[test]
fn a_header_that_cannot_be_read_after_a_kill_costs_its_replica_and_not_the_disk() {
    let sim = unreadable();
    for round in 0..4 {
        let (disk, report) = open(&sim.dir());
        assert_eq!(report.held_back, 1);
        assert!(disk.held_back()[0].contains(&chunk_path(CHUNK)), "{:?}", disk.held_back());
        assert_eq!(read(&disk, BESIDE, V1, 0, 6), b"beside");
        let entry = listed(&disk).unwrap();
        assert!(entry.bad && entry.version == Version::default(), "{entry:?}");
        assert!(matches!(disk.read(CHUNK, V1, 0, 1), Err(StoreError::Disk { .. })));
        assert!(write(&disk, CHUNK, V1, 0, b"no").is_err() && disk.raise(CHUNK, V1, V2, &[]).is_err());
        disk.settle_held();
        disk.checkpoint().unwrap();
        assert!(sim.dir().exists(&chunk_path(CHUNK)).unwrap() && !disk.take_came_back());
        write(&disk, BESIDE, V1, 6, b" it").unwrap();
        if round % 2 == 0 { killed(&sim, disk) } else { closed(&sim, disk) }
    }
    sim.unspoil();
    let (disk, report) = open(&sim.dir());
    assert!(has_all(&disk) && report.held_back == 0 && disk.held_back().is_empty());
}

#[test]
fn what_can_be_read_again_is_judged_as_it_would_have_been() {
    let sim = stopped(SimDisk::kill);
    // One page that was synced has rotted, one that was not is torn.
    sim.flip_bit(&chunk_path(CHUNK), 5_000, 1).unwrap();
    sim.flip_bit(&chunk_path(CHUNK), FAR + 5_000, 1).unwrap();
    let right = judged(&sim.fork());
    assert!(right.0.marked && right.0.torn && !right.0.power_lost, "{right:?}");
    assert_eq!((right.1.len(), right.2.len()), (1, 1));
    spoil_header(&sim);
    for stop in [killed, closed, killed] {
        start_without(&sim, stop);
    }
    sim.unspoil();
    assert_eq!(judged(&sim), right);
}

#[test]
fn a_loss_of_power_before_or_after_it_could_not_be_settled_is_remembered() {
    let dark = stopped(SimDisk::power_cut);
    let right = judged(&dark.fork());
    assert!(right.0.power_lost);
    spoil_header(&dark);
    start_without(&dark, killed);
    start_without(&dark, closed);
    dark.unspoil();
    assert_eq!(judged(&dark), right);
    // Nobody could sync it, so that closing the disk in order did not help it.
    for close in [killed, closed] {
        let sim = unreadable();
        start_without(&sim, close);
        sim.power_cut();
        start_without(&sim, killed);
        sim.unspoil();
        assert!(judged(&sim).0.power_lost);
    }
    let sim = unreadable();
    start_without(&sim, cut);
    sim.unspoil();
    assert!(judged(&sim).0.power_lost);
}

#[test]
fn what_is_settled_in_service_is_not_judged_by_old_marks_again() {
    let sim = unreadable();
    let (disk, _) = open(&sim.dir());
    sim.unspoil();
    disk.settle_held();
    assert!(disk.held_back().is_empty() && disk.take_came_back() && !disk.take_came_back());
    assert!(has_all(&disk) && listed(&disk).is_some_and(|entry| entry.marked && !entry.bad));
    disk.clear_marked(CHUNK, V1).unwrap();
    disk.sync(CHUNK, V1).unwrap();
    killed(&sim, disk);
    sim.flip_bit(&chunk_path(CHUNK), FAR + 5_000, 1).unwrap();
    let (entry, torn, rotten) = judged(&sim);
    assert!(torn.is_empty() && rotten.len() == 1 && !entry.power_lost, "{entry:?}: {torn:?}, {rotten:?}");
}

#[test]
fn one_that_cannot_be_settled_keeps_no_other_one_back() {
    let sim = SimDisk::new(9, "disk");
    format(&sim.dir());
    let (disk, _) = open(&sim.dir());
    let chunks = [CHUNK, BESIDE, ChunkId(CHUNK.0 + 2)];
    for chunk in chunks {
        write(&disk, chunk, V1, 0, b"data").unwrap();
    }
    killed(&sim, disk);
    for chunk in chunks {
        sim.spoil(&chunk_path(chunk), CHUNK_BYTES).unwrap();
    }
    let (disk, report) = open(&sim.dir());
    assert_eq!(report.held_back, 3);
    sim.unspoil();
    sim.spoil(&chunk_path(CHUNK), CHUNK_BYTES).unwrap();
    (0..3).for_each(|_| disk.settle_held());
    assert!(disk.take_came_back() && disk.held_back().len() == 1);
    assert!(chunks[1..].iter().all(|chunk| read(&disk, *chunk, V1, 0, 4) == b"data"));
    disk.settle_held();
    assert!(!disk.take_came_back());
}

#[test]
fn whoever_opens_a_replica_that_was_held_back_finds_it_settled() {
    let sim = unreadable();
    let (disk, _) = open(&sim.dir());
    sim.flip_bit(&chunk_path(CHUNK), FAR + 5_000, 1).unwrap();
    sim.unspoil();
    assert!(matches!(disk.read(CHUNK, V1, FAR + 4_096, 1), Err(StoreError::Torn { .. })));
    assert!(disk.take_came_back());
}

#[test]
fn a_chunk_that_is_deleted_meanwhile_is_set_aside_and_named_no_more() {
    let sim = unreadable();
    let (disk, _) = open(&sim.dir());
    assert_eq!(disk.delete(CHUNK, V2, 5).unwrap(), Version::default());
    assert_eq!((names(&sim, QUARANTINE), names(&sim, DELETED), listed(&disk)), (1, 0, None));
    assert!(disk.held_back().is_empty() && !disk.take_came_back());
    killed(&sim, disk);
    sim.unspoil();
    let (disk, report) = open(&sim.dir());
    assert_eq!((report.held_back, names(&sim, QUARANTINE), listed(&disk)), (0, 1, None));
}

#[test]
fn a_copy_takes_the_place_of_a_replica_that_is_held_back_and_has_none_of_its_marks() {
    let sim = unreadable();
    let (disk, _) = open(&sim.dir());
    assert_eq!(disk.begin_filling(CHUNK, V2, 5).unwrap(), FillStart::Begun);
    write(&disk, CHUNK, V2, 0, &pattern(7, LENGTH)).unwrap();
    disk.complete(CHUNK, V2).unwrap();
    disk.checkpoint().unwrap();
    cut(&sim, disk);
    let (disk, report) = open(&sim.dir());
    assert_eq!((report.held_back, names(&sim, QUARANTINE)), (0, 1));
    let entry = disk.entry(CHUNK).unwrap();
    assert!(entry.version == V2 && !entry.torn && !entry.bad, "{entry:?}");
    assert_eq!(read(&disk, CHUNK, V2, 0, LENGTH as u32), pattern(7, LENGTH));
}

/// Records that survived a loss of power without their data: settling writes the data, which has no room.
fn without_room() -> SimDisk {
    let sim = stopped(SimDisk::kill);
    let file = sim.dir().open(&chunk_path(CHUNK), OpenMode::ReadWrite).unwrap();
    file.punch_hole(FAR, LENGTH as u64).unwrap();
    file.sync_data().unwrap();
    sim.power_cut();
    sim.set_capacity(sim.used_bytes());
    sim
}

#[test]
fn no_room_to_write_again_what_was_being_written_costs_its_replica_until_there_is_room() {
    let sim = without_room();
    let (disk, report) = open(&sim.dir());
    assert_eq!(report.held_back, 1);
    assert_eq!(read(&disk, BESIDE, V1, 0, 6), b"beside");
    assert!(listed(&disk).is_some_and(|entry| entry.bad && entry.version == V1));
    sim.set_capacity(1 << 40);
    disk.settle_held();
    assert!(disk.take_came_back());
    let entry = listed(&disk).unwrap();
    assert!(entry.power_lost && entry.torn && !entry.bad, "{entry:?}");
    assert_eq!(read(&disk, CHUNK, V1, 0, LENGTH as u32), pattern(1, LENGTH));
}

/// Its version is known, so that it gives its room back.
#[test]
fn a_replica_that_has_no_room_to_be_settled_can_be_deleted() {
    let sim = without_room();
    let (disk, _) = open(&sim.dir());
    assert!(matches!(disk.delete(CHUNK, Version::default(), 5), Err(StoreError::WrongVersion { .. })));
    assert_eq!(disk.delete(CHUNK, V1, 5).unwrap(), V1);
    assert_eq!((names(&sim, DELETED), disk.held_back().len()), (1, 0));
}

#[test]
fn a_disk_that_would_hold_back_too_much_is_refused_as_it_is() {
    let sim = SimDisk::new(9, "disk");
    format(&sim.dir());
    let (disk, _) = open(&sim.dir());
    let chunks: Vec<ChunkId> = (0..=HELD_MAX as u64).map(|n| ChunkId(CHUNK.0 + n)).collect();
    for chunk in &chunks {
        write(&disk, *chunk, V1, 0, b"data").unwrap();
    }
    killed(&sim, disk);
    for chunk in &chunks {
        sim.spoil(&chunk_path(*chunk), CHUNK_BYTES).unwrap();
    }
    for _ in 0..2 {
        let refused = Disk::open(sim.dir(), DiskOptions::default()).map(drop);
        assert!(matches!(refused, Err(OpenDiskError::Disk { .. })));
        sim.kill();
    }
    sim.unspoil();
    let (disk, report) = open(&sim.dir());
    assert_eq!(report.held_back, 0);
    assert!(chunks.iter().all(|chunk| read(&disk, *chunk, V1, 0, 4) == b"data"));
}
