//! Deleting replicas of which the header cannot be read.

use crate::names::{DELETED, QUARANTINE, chunk_path};
use crate::testing::*;
use crate::{Disk, DiskOptions, FillStart, StoreError};
use env::SimDisk;
use types::{CHUNK_BYTES, ChunkId, Version};

/// A disk with a replica at its second version, synced and closed, that is open and has not looked at it since.
fn disk_with_a_closed_file() -> (SimDisk, Disk) {
    let sim = SimDisk::new(5, "disk");
    format(&sim.dir());
    let options = DiskOptions { index_in_memory: true, open_chunks_max: Some(16), ..DiskOptions::default() };
    let disk = Disk::open(sim.dir(), options).unwrap().disk;
    write(&disk, CHUNK, V1, 0, &pattern(1, 9_000)).unwrap();
    disk.raise(CHUNK, V1, V2, &[]).unwrap();
    for n in 1..40 {
        let other = ChunkId(CHUNK.0 + n);
        write(&disk, other, V1, 0, b"beside").unwrap();
    }
    (sim, disk)
}

fn names(sim: &SimDisk, folder: &str) -> usize {
    sim.paths(&format!("{folder}/")).len()
}

#[test]
fn a_replica_whose_header_the_device_cannot_read_is_deleted_by_what_the_index_says() {
    let (sim, disk) = disk_with_a_closed_file();
    let before = names(&sim, DELETED);
    sim.spoil(&chunk_path(CHUNK), CHUNK_BYTES).unwrap();
    assert!(matches!(disk.entry(CHUNK), Err(StoreError::Disk { .. })));
    let refused = disk.delete(CHUNK, V1, 5);
    assert!(matches!(refused, Err(StoreError::WrongVersion { found: V2, .. })), "{refused:?}");
    assert_eq!(disk.delete(CHUNK, V2, 5).unwrap(), V2);
    assert_eq!((names(&sim, DELETED), names(&sim, QUARANTINE)), (before + 1, 0));
    assert!(matches!(disk.delete(CHUNK, V2, 5), Err(StoreError::Absent { .. })));
    write(&disk, CHUNK, V1, 0, b"anew").unwrap();
}

#[test]
fn a_replica_of_which_nobody_knows_the_version_is_set_aside_and_not_erased() {
    let (sim, disk) = disk_with_a_closed_file();
    drop(disk);
    sim.power_cut();
    sim.spoil(&chunk_path(CHUNK), CHUNK_BYTES).unwrap();
    let (disk, _) = open(&sim.dir());
    let before = (names(&sim, DELETED), names(&sim, QUARANTINE));
    assert_eq!(disk.delete(CHUNK, V2, 5).unwrap(), Version::default());
    assert_eq!((names(&sim, DELETED), names(&sim, QUARANTINE)), (before.0, before.1 + 1));
    disk.inventory(&mut |entry| assert_ne!(entry.chunk, CHUNK)).unwrap();
}

#[test]
fn a_replica_whose_header_does_not_match_its_checksum_is_deleted_too() {
    let (sim, disk) = disk_with_a_closed_file();
    for slot in [0, 512] {
        sim.flip_bit(&chunk_path(CHUNK), CHUNK_BYTES + slot + 20, 1).unwrap();
    }
    assert!(matches!(disk.delete(CHUNK, V1, 5), Err(StoreError::WrongVersion { .. })));
    disk.delete(CHUNK, V2, 5).unwrap();
    assert_eq!(names(&sim, QUARANTINE), 1);
}

/// On a cluster of two servers a copy can go nowhere else.
#[test]
fn a_copy_takes_the_place_of_a_replica_whose_header_cannot_be_read() {
    let (sim, disk) = disk_with_a_closed_file();
    sim.spoil(&chunk_path(CHUNK), CHUNK_BYTES).unwrap();
    let v3 = Version { counter: 3, ..V2 };
    assert_eq!(disk.begin_filling(CHUNK, v3, 5).unwrap(), FillStart::Begun);
}
