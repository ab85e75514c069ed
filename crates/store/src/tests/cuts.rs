//! Cuts that go through what is damaged: everything else is cut, and what is damaged stays so.

use crate::Disk;
use crate::crc::crc32c;
use crate::names::chunk_path;
use crate::table::{place_of, range_of};
use crate::testing::*;
use env::{Effort, Fault, SimDisk};
use types::{BLOCK_BYTES, CHUNK_BYTES};

const PAGE: u64 = 4096;
/// What a truncate cuts: from the middle of page 1 on.
const CUT: [(u64, u64); 1] = [(5000, CHUNK_BYTES)];

/// A closed disk with one chunk whose records fill two table pages.
fn closed() -> SimDisk {
    let sim = SimDisk::new(9, "disk");
    format(&sim.dir());
    let (disk, _) = open(&sim.dir());
    write(&disk, CHUNK, V1, 0, &pattern(1, 100_000)).unwrap();
    write(&disk, CHUNK, V1, 5 << 20, &pattern(2, 100_000)).unwrap();
    disk.close().unwrap();
    sim
}

/// What was not cut and is in no damaged page.
fn is_cut_around(disk: &Disk) -> bool {
    read(disk, CHUNK, V2, 0, 4096) == pattern(1, 4096)
        && read(disk, CHUNK, V2, 2 * PAGE, 100_000) == [0; 100_000]
        && read(disk, CHUNK, V2, 5 << 20, 100_000) == [0; 100_000]
}

fn damaged(disk: &Disk) -> Vec<u32> {
    disk.verify(CHUNK, V2, 0, CHUNK_BYTES).unwrap()
}

#[test]
fn a_cut_through_a_damaged_page_zeroes_its_range_and_leaves_it_damaged() {
    let sim = closed();
    sim.flip_bit(&chunk_path(CHUNK), 4500, 3).unwrap();
    let (disk, _) = open(&sim.dir());
    disk.raise(CHUNK, V1, V2, &CUT).unwrap();
    let entry = disk.entry(CHUNK).unwrap();
    assert_eq!((entry.version, entry.damaged), (V2, true));
    let kept = sim.contents(&chunk_path(CHUNK)).unwrap();
    assert!(kept[5000..8192] == [0; 3192] && kept[4501..5000] == pattern(1, 5000)[4501..]);
    for disk in [disk, open(&sim.fork().dir()).0] {
        assert_eq!(damaged(&disk), [1]);
        assert!(is_cut_around(&disk));
        assert!(write(&disk, CHUNK, V2, 5000, b"edge").is_err(), "it is not merged with");
    }
    let (disk, _) = open(&sim.dir());
    write(&disk, CHUNK, V2, PAGE, &pattern(3, 4096)).unwrap();
    assert!(damaged(&disk).is_empty(), "a page that is written whole is whole again");
}

/// What was acknowledged as cut must not come back from a replica that has the page uncut.
#[test]
fn a_cut_through_a_damaged_page_leaves_a_record_that_no_page_has() {
    for torn in [false, true] {
        let sim = closed();
        sim.flip_bit(&chunk_path(CHUNK), 4500, 3).unwrap();
        let (disk, _) = open(&sim.dir());
        let uncut = disk.checksums(CHUNK, V1, 1).unwrap();
        if torn {
            // A write next to it marks its region, and the process stops.
            write(&disk, CHUNK, V1, 0, &pattern(1, 4096)).unwrap();
            drop(disk);
            sim.kill();
        } else {
            drop(disk);
        }
        let (disk, _) = open(&sim.dir());
        assert_eq!(disk.entry(CHUNK).unwrap().torn, torn);
        disk.raise(CHUNK, V1, V2, &CUT).unwrap();
        let mut right = pattern(1, 8192);
        right[5000..].fill(0);
        for disk in [&disk, &open(&sim.fork().dir()).0] {
            let [recorded, found] = disk.checksums(CHUNK, V2, 1).unwrap();
            assert!(![uncut[0], uncut[1], found, crc32c(&right[4096..])].contains(&recorded));
            assert!(disk.chunk_value(CHUNK, V2).is_err(), "it is not taken for equal to another one");
        }
        disk.keep_torn(CHUNK, V2).unwrap();
        write(&disk, CHUNK, V2, PAGE, &pattern(3, 4096)).unwrap();
        assert!(damaged(&disk).is_empty(), "a page that is written whole is whole again");
    }
}

#[test]
fn what_rots_in_the_range_of_a_cut_alone_is_no_damage_after_it() {
    let sim = SimDisk::new(9, "disk");
    format(&sim.dir());
    let (disk, _) = open(&sim.dir());
    write(&disk, CHUNK, V1, 0, &pattern(1, 5000)).unwrap();
    disk.close().unwrap();
    drop(disk);
    sim.flip_bit(&chunk_path(CHUNK), 6000, 3).unwrap();
    let (disk, _) = open(&sim.dir());
    disk.raise(CHUNK, V1, V2, &CUT).unwrap();
    assert!(damaged(&disk).is_empty(), "its bytes are those that were on record");
    assert_eq!(read(&disk, CHUNK, V2, 0, 5000), pattern(1, 5000));
}

#[test]
fn a_page_that_the_device_could_not_read_when_it_was_cut_never_comes_back_uncut() {
    let sim = closed();
    sim.spoil(&chunk_path(CHUNK), PAGE).unwrap();
    let (disk, _) = open(&sim.dir());
    disk.raise(CHUNK, V1, V2, &CUT).unwrap();
    sim.unspoil();
    for disk in [disk, open(&sim.fork().dir()).0] {
        assert!(disk.entry(CHUNK).unwrap().damaged);
        assert_eq!(damaged(&disk), [1]);
        assert!(is_cut_around(&disk));
    }
}

#[test]
fn a_damaged_page_of_the_table_is_proved_by_the_data_before_a_cut() {
    let sim = closed();
    let table = range_of(place_of((5 << 20) / BLOCK_BYTES as usize).0).0;
    sim.flip_bit(&chunk_path(CHUNK), table, 3).unwrap();
    let (disk, _) = open(&sim.dir());
    disk.raise(CHUNK, V1, V2, &CUT).unwrap();
    assert!(damaged(&disk).is_empty() && is_cut_around(&disk));
    assert_eq!(read(&disk, CHUNK, V2, 4096, 904), pattern(1, 5000)[4096..]);
}

#[test]
fn pages_whose_records_cannot_be_read_are_cut_and_the_others_of_the_table_come_back() {
    let sim = closed();
    let table = range_of(place_of((5 << 20) / BLOCK_BYTES as usize).0).0;
    sim.spoil(&chunk_path(CHUNK), table).unwrap();
    let (disk, _) = open(&sim.dir());
    let cut = (5 << 20) + 5000;
    disk.raise(CHUNK, V1, V2, &[(cut, CHUNK_BYTES)]).unwrap();
    sim.unspoil();
    let first = ((5 << 20) / PAGE) as u32;
    for disk in [disk, open(&sim.fork().dir()).0] {
        assert!(disk.entry(CHUNK).unwrap().damaged);
        let lost: Vec<u32> = (first + 1..first + 25).collect();
        assert_eq!(damaged(&disk), lost, "what was cut does not match what is on record of it");
        assert_eq!(read(&disk, CHUNK, V2, 5 << 20, 4096), pattern(2, 4096));
    }
}

#[test]
fn a_power_cut_at_any_write_of_a_cut_through_a_damaged_page_gives_it_no_valid_checksum() {
    for stop in 0.. {
        let sim = closed();
        sim.flip_bit(&chunk_path(CHUNK), 4500, 3).unwrap();
        let (disk, _) = open(&sim.dir());
        sim.stop_after_writes(stop);
        let done = disk.raise(CHUNK, V1, V2, &CUT).is_ok();
        drop(disk);
        sim.power_cut();
        let (disk, _) = open(&sim.dir());
        let version = disk.entry(CHUNK).unwrap().version;
        disk.keep_torn(CHUNK, version).unwrap();
        assert_eq!(disk.verify(CHUNK, version, 0, 2 * PAGE).unwrap(), [1], "stop {stop}");
        assert!(disk.entry(CHUNK).unwrap().damaged, "stop {stop}");
        if done {
            assert!(version == V2 && stop > 5, "stop {stop}");
            return;
        }
    }
}

#[test]
fn a_cut_whose_bytes_do_not_go_away_fails_and_may_be_repeated() {
    // The page can be cleared in the end, or not.
    for (count, damaged) in [(2, false), (4, true)] {
        let sim = closed();
        let (disk, _) = open(&sim.dir());
        // The table page is written; then neither a hole can be made nor zeroes be written.
        sim.inject(Fault { path: chunk_path(CHUNK), effort: Effort::Write, skip: 1, count });
        assert!(disk.raise(CHUNK, V1, V2, &[(PAGE, 2 * PAGE)]).is_err());
        sim.clear_faults();
        disk.sync(CHUNK, V1).unwrap();
        for _ in 0..2 {
            let (disk, _) = open(&sim.fork().dir());
            let entry = disk.entry(CHUNK).unwrap();
            assert!(!entry.bad && entry.damaged == damaged && entry.version == V1, "{entry:?}");
            let unsound = disk.unsound_pages(CHUNK, V1).unwrap();
            assert_eq!(unsound.len(), usize::from(damaged), "what was cut never comes back");
        }
        disk.raise(CHUNK, V1, V2, &[(PAGE, 2 * PAGE)]).unwrap();
        assert!(disk.mended(CHUNK, V2).unwrap());
        disk.close().unwrap();
        drop(disk);
        let (disk, _) = open(&sim.dir());
        let rest = &pattern(1, 100_000)[2 * PAGE as usize..];
        let right = [&pattern(1, 4096), &[0; 4096][..], rest].concat();
        assert_eq!(read(&disk, CHUNK, V2, 0, 100_000), right);
        disk.check(CHUNK, V2).unwrap();
    }
}
