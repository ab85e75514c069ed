//! Damaged pages that are replaced, and a disk that does not keep what was to replace them.

use crate::names::chunk_path;
use crate::table::{place_of, range_of};
use crate::testing::*;
use crate::{Disk, StoreError, Write};
use env::{Effort, Fault, SimDisk};
use types::BLOCK_BYTES;

const PAGE: usize = 4096;
const LENGTH: usize = 100_000;
/// In another table page than the first bytes.
const FAR: u64 = 5 << 20;

/// A replica that is on stable storage, with a page of which a bit flipped.
fn rotten() -> (SimDisk, Disk) {
    let sim = SimDisk::new(9, "disk");
    format(&sim.dir());
    let (disk, _) = open(&sim.dir());
    write(&disk, CHUNK, V1, 0, &pattern(1, LENGTH)).unwrap();
    write(&disk, CHUNK, V1, FAR, &pattern(2, LENGTH)).unwrap();
    disk.sync(CHUNK, V1).unwrap();
    disk.close().unwrap();
    drop(disk);
    sim.flip_bit(&chunk_path(CHUNK), 2 * PAGE as u64 + 5, 1).unwrap();
    let (disk, _) = open(&sim.dir());
    assert_eq!(disk.unsound_pages(CHUNK, V1).unwrap(), [2]);
    (sim, disk)
}

fn replace(disk: &Disk) -> Result<(), StoreError> {
    let page = &pattern(1, LENGTH)[2 * PAGE..3 * PAGE];
    let (offset, page_crcs) = (2 * PAGE as u64, crcs(0, page));
    let (chunk, version) = (CHUNK, V1);
    disk.replace(&Write {
        chunk,
        version,
        offset,
        data: page,
        page_crcs: &page_crcs,
        block_values: &[],
        create: false,
    })
}

fn fail(sim: &SimDisk, effort: Effort) {
    sim.inject(Fault { path: "chunks".to_owned(), effort, skip: 0, count: 1 });
}

#[test]
fn a_replica_of_which_all_damaged_pages_were_replaced_is_sound() {
    let (sim, disk) = rotten();
    replace(&disk).unwrap();
    assert!(disk.mended(CHUNK, V1).unwrap());
    disk.check(CHUNK, V1).unwrap();
    drop(disk);
    sim.power_cut();
    let (disk, _) = open(&sim.dir());
    disk.check(CHUNK, V1).unwrap();
    assert_eq!(read(&disk, CHUNK, V1, 0, LENGTH as u32), pattern(1, LENGTH));
}

/// The disk has no good sector left for that page: all others are as they were, and may be the only ones.
#[test]
fn what_a_disk_did_not_keep_of_pages_that_replace_damaged_ones_leaves_the_others_readable() {
    for effort in [Effort::Sync, Effort::Write] {
        let (sim, disk) = rotten();
        fail(&sim, effort);
        let done = replace(&disk).and_then(|()| disk.mended(CHUNK, V1));
        assert!(
            matches!(done, Err(StoreError::Disk { .. } | StoreError::DamagedFile { .. })),
            "{effort:?}: {done:?}"
        );
        let entry = disk.entry(CHUNK).unwrap();
        assert!(entry.damaged && !entry.bad, "{effort:?}: {entry:?}");
        assert_eq!(read(&disk, CHUNK, V1, FAR, LENGTH as u32), pattern(2, LENGTH), "{effort:?}");
        drop(disk);
        sim.kill();
    }
}

/// The page cache shows them still, and another fdatasync says nothing.
#[test]
fn a_replica_that_lost_what_was_to_replace_damaged_pages_is_never_mended_in_place() {
    let (sim, disk) = rotten();
    replace(&disk).unwrap();
    fail(&sim, Effort::Sync);
    assert!(matches!(disk.mended(CHUNK, V1), Err(StoreError::Disk { .. })));
    assert!(disk.mended(CHUNK, V1).is_err());
    assert!(disk.check(CHUNK, V1).is_err());
    disk.raise(CHUNK, V1, V2, &[]).unwrap();
    disk.close().unwrap();
    drop(disk);
    let (disk, _) = open(&sim.dir());
    assert_eq!(read(&disk, CHUNK, V2, FAR, LENGTH as u32), pattern(2, LENGTH));
    assert!(matches!(disk.mended(CHUNK, V2), Err(StoreError::DamagedFile { .. })), "also after a restart");
    assert!(disk.entry(CHUNK).unwrap().damaged);
}

/// Nothing but such pages: bytes that somebody wrote are lost with the sync.
#[test]
fn a_replica_that_lost_anything_else_is_bad() {
    let (sim, disk) = rotten();
    replace(&disk).unwrap();
    write(&disk, CHUNK, V1, FAR, &pattern(3, PAGE)).unwrap();
    fail(&sim, Effort::Sync);
    assert!(disk.mended(CHUNK, V1).is_err());
    assert!(disk.entry(CHUNK).unwrap().bad);
    let (sim, disk) = rotten();
    write(&disk, CHUNK, V1, FAR, &pattern(3, PAGE)).unwrap();
    replace(&disk).unwrap();
    fail(&sim, Effort::Sync);
    assert!(disk.mended(CHUNK, V1).is_err());
    assert!(disk.entry(CHUNK).unwrap().bad);
}

#[test]
fn pages_whose_checksums_the_device_cannot_read_keep_no_other_from_being_mended() {
    let (sim, disk) = rotten();
    disk.close().unwrap();
    drop(disk);
    let table = place_of(FAR as usize / BLOCK_BYTES as usize).0;
    sim.spoil(&chunk_path(CHUNK), range_of(table).0).unwrap();
    let (disk, _) = open(&sim.dir());
    assert_eq!(disk.unsound_pages(CHUNK, V1).unwrap(), [2]);
    replace(&disk).unwrap();
    assert!(matches!(disk.mended(CHUNK, V1), Err(StoreError::DamagedFile { .. })));
    drop(disk);
    sim.power_cut();
    sim.unspoil();
    let (disk, _) = open(&sim.dir());
    assert_eq!(disk.unsound_pages(CHUNK, V1).unwrap(), [], "it is on stable storage");
    assert!(disk.mended(CHUNK, V1).unwrap());
}
