//! A full disk that copies on write: not even what exists can be written anew.

use crate::names::chunk_path;
use crate::table::range_of;
use crate::testing::*;
use crate::{Disk, StoreError};
use env::SimDisk;

const PAGE: u64 = 4096;

/// A disk with one chunk of eight pages, synced, and no room beside it but for so many pages.
fn full(pages: u64) -> (SimDisk, Disk) {
    let sim = SimDisk::new(3, "disk");
    format(&sim.dir());
    let (disk, _) = open(&sim.dir());
    write(&disk, CHUNK, V1, 0, &pattern(1, 32_768)).unwrap();
    disk.close().unwrap();
    drop(disk);
    let (disk, _) = open(&sim.dir());
    // It is marked as being written, so that marks need no room.
    write(&disk, CHUNK, V1, 0, &pattern(1, 4096)).unwrap();
    sim.set_capacity(sim.used_bytes() + pages * PAGE);
    sim.set_copies_on_write(true);
    (sim, disk)
}

/// The replica of the disk, and of one that finds what is on the device after a loss of power.
fn each(sim: &SimDisk, disk: Disk, mut check: impl FnMut(&Disk)) {
    check(&disk);
    let again = sim.fork();
    drop(disk);
    again.set_copies_on_write(false);
    again.set_capacity(1 << 40);
    for power in [false, true] {
        if power {
            again.power_cut();
        }
        check(&open(&again.dir()).0);
    }
}

#[test]
fn a_write_that_finds_no_room_to_copy_leaves_the_replica_as_it_was() {
    let (sim, disk) = full(0);
    let table = || sim.contents(&chunk_path(CHUNK)).unwrap()[range_of(0).0 as usize..].to_vec();
    let before = table();
    for _ in 0..2 {
        let refused = write(&disk, CHUNK, V1, PAGE, &pattern(2, 8192));
        assert!(matches!(refused, Err(StoreError::NoSpace)), "{refused:?}");
        assert_eq!(table(), before);
    }
    each(&sim, disk, |disk| {
        let entry = disk.entry(CHUNK).unwrap();
        assert!(!entry.bad && !entry.damaged, "{entry:?}");
        assert_eq!(read(disk, CHUNK, V1, 0, 32_768), pattern(1, 32_768));
    });
}

/// The data found the last page, and its record none. What the page held is gone; the rest of the replica is not.
#[test]
fn a_page_whose_record_finds_no_room_to_be_copied_is_damaged_alone() {
    for in_service in [true, false] {
        let (sim, disk) = full(1);
        let refused = write(&disk, CHUNK, V1, PAGE, &pattern(2, 4096));
        assert!(matches!(refused, Err(StoreError::NoSpace)), "{refused:?}");
        let entry = disk.entry(CHUNK).unwrap();
        assert!(!entry.bad && entry.damaged, "{entry:?}");
        assert_eq!(read(&disk, CHUNK, V1, 0, 4096), pattern(1, 32_768)[..4096]);
        assert_eq!(read(&disk, CHUNK, V1, 2 * PAGE, 4096), pattern(1, 32_768)[8192..12_288]);
        assert_eq!(disk.verify(CHUNK, V1, 0, 32_768).unwrap(), [1]);
        sim.set_capacity(1 << 40);
        let disk = match in_service {
            true => disk,
            false => {
                drop(disk);
                sim.kill();
                let (disk, _) = open(&sim.dir());
                disk.keep_torn(CHUNK, V1).unwrap();
                disk
            }
        };
        write(&disk, CHUNK, V1, PAGE, &pattern(3, 4096)).unwrap();
        assert!(disk.mended(CHUNK, V1).unwrap());
        assert_eq!(read(&disk, CHUNK, V1, PAGE, 4096), pattern(3, 4096));
    }
}
