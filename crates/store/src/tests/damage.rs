//! Bits that change on the disk, and stops between two writes.

use crate::names::chunk_path;
use crate::replica::LoadError;
use crate::table::{place_of, range_of};
use crate::testing::*;
use crate::{Disk, StoreError};
use env::{Dir, File, OpenMode, SimDisk};
use std::sync::Arc;
use types::{BLOCK_BYTES, CHUNK_BYTES, ChunkId};

fn file(dir: &Arc<dyn Dir>) -> Arc<dyn File> {
    dir.open(&chunk_path(CHUNK), OpenMode::ReadWrite).unwrap()
}

fn flip(file: &dyn File, at: u64) {
    let mut byte = [0];
    assert_eq!(file.read_at(&mut byte, at).unwrap(), 1);
    file.write_at(&[byte[0] ^ 0x10], at).unwrap();
}

/// A closed disk with one chunk whose records fill two table pages.
fn closed() -> (tempfile::TempDir, Arc<dyn Dir>) {
    let (guard, dir, disk) = disk();
    write(&disk, CHUNK, V1, 0, &pattern(1, 100_000)).unwrap();
    write(&disk, CHUNK, V1, 5 << 20, &pattern(2, 100_000)).unwrap();
    disk.close().unwrap();
    (guard, dir)
}

fn looked_at(disk: &Disk) -> bool {
    let damaged = disk.verify(CHUNK, V1, 0, CHUNK_BYTES).map(|damaged| !damaged.is_empty());
    damaged.unwrap_or(true)
}

#[test]
fn a_flipped_bit_in_data_or_table_is_rot_and_noticed() {
    // Data, its record, the head of a table page, a record in a later page.
    for at in [5000, (5 << 20) + 7, CHUNK_BYTES + 1024, CHUNK_BYTES + 1120 + 3, CHUNK_BYTES + 2 * 4096 + 900]
    {
        let (_guard, dir) = closed();
        flip(&*file(&dir), at);
        let (disk, report) = open(&dir);
        assert!(report.clean);
        // A record table is made anew by the data; a record that is wrong then is damage, a chaining value is computed.
        let record = at > CHUNK_BYTES + 1024 && at < CHUNK_BYTES + 4096;
        assert_eq!(looked_at(&disk), at < CHUNK_BYTES || record, "byte {at}");
        assert!(at < CHUNK_BYTES || read(&disk, CHUNK, V1, 90_000, 10_000) == pattern(1, 100_000)[90_000..]);
        assert_eq!(disk.counters().torn_pages, 0);
    }
}

#[test]
fn a_flipped_bit_in_a_header_slot_leaves_the_other_or_makes_the_replica_bad() {
    let (_guard, dir) = closed();
    flip(&*file(&dir), CHUNK_BYTES + 16);
    flip(&*file(&dir), CHUNK_BYTES + 512 + 16);
    let (disk, _) = open(&dir);
    let mut entries = Vec::new();
    disk.inventory(&mut |entry| entries.push(entry)).unwrap();
    assert_eq!(entries.len(), 1);
    assert!(entries[0].bad);
    assert!(matches!(disk.read(CHUNK, V1, 0, 1), Err(StoreError::DamagedFile { .. })));
    disk.quarantine(CHUNK).unwrap();
}

/// Named by the activity log, so that it is opened before the disk serves.
#[test]
fn something_else_in_the_place_of_a_file_is_a_bad_replica_and_no_bad_disk() {
    for what in ["directory", "link"] {
        let (_guard, dir, disk) = disk();
        write(&disk, CHUNK, V1, 0, b"here").unwrap();
        write(&disk, ChunkId(CHUNK.0 + 1), V1, 0, b"beside").unwrap();
        drop(disk);
        let path = dir.real_path().unwrap().join(chunk_path(CHUNK));
        std::fs::remove_file(&path).unwrap();
        match what {
            "link" => std::os::unix::fs::symlink("elsewhere", &path).unwrap(),
            _ => std::fs::create_dir(&path).unwrap(),
        }
        let (disk, _) = open(&dir);
        assert_eq!(read(&disk, ChunkId(CHUNK.0 + 1), V1, 0, 6), b"beside");
        assert!(matches!(
            disk.read(CHUNK, V1, 0, 1),
            Err(StoreError::DamagedFile { .. } | StoreError::Absent { .. })
        ));
    }
    // What a fifo answers.
    let not_to_be_read = std::io::Error::from_raw_os_error(29);
    assert!(matches!(LoadError::from(not_to_be_read), LoadError::Unreadable(_)));
}

#[test]
fn a_damaged_page_is_never_merged_with() {
    let (_guard, dir) = closed();
    flip(&*file(&dir), 5000);
    let (disk, _) = open(&dir);
    assert!(matches!(write(&disk, CHUNK, V1, 4500, b"edge"), Err(StoreError::Damaged { page: 1, .. })));
    assert!(matches!(disk.punch(CHUNK, V1, &[(4500, 4600)]), Err(StoreError::Damaged { page: 1, .. })));
    assert!(disk.entry(CHUNK).unwrap().damaged);
    assert_eq!(disk.entry(CHUNK).unwrap().version, V1);
    write(&disk, CHUNK, V1, 4096, &pattern(9, 4096)).unwrap();
    assert!(!looked_at(&disk), "a whole page that is rewritten is whole again");
}

#[test]
fn a_kill_between_data_and_table_is_torn_until_others_were_asked_also_after_further_stops() {
    let (_guard, dir, torn) = torn();
    for round in 0..3 {
        let (disk, report) = open(&dir);
        let found = u64::from(round == 0);
        assert_eq!((report.torn_pages, report.rotten_pages, report.chunks_checked), (found, 0, found));
        assert_eq!(disk.torn_pages(CHUNK, V1).unwrap(), [2]);
        for refused in [disk.read(CHUNK, V1, 8192, 4096).map(drop), write(&disk, CHUNK, V1, 9000, b"part")] {
            assert!(matches!(refused, Err(StoreError::Torn { page: 2, .. })), "{refused:?}");
        }
        assert!(disk.verify(CHUNK, V1, 0, CHUNK_BYTES).unwrap().is_empty(), "it is not taken for rot");
        assert_eq!(read(&disk, CHUNK, V1, 12288, 4096), pattern(1, 100_000)[12288..16384]);
        let entry = disk.entry(CHUNK).unwrap();
        assert!(entry.torn && entry.marked && !entry.damaged);
        assert!(disk.check(CHUNK, V1).is_err(), "no other replica goes on the word of this one");
        if round == 1 {
            disk.close().unwrap();
        }
    }
    let (disk, _) = open(&dir);
    assert_eq!(disk.keep_torn(CHUNK, V1).unwrap(), [2]);
    assert_eq!(read(&disk, CHUNK, V1, 8192, 4096), torn);
    let entry = disk.entry(CHUNK).unwrap();
    assert!(!entry.torn && entry.marked && !entry.damaged);
    disk.clear_marked(CHUNK, V1).unwrap();
    assert!(!disk.entry(CHUNK).unwrap().marked);
}

/// A disk that was not closed, with a torn page 2, and the bytes of that.
fn torn() -> (tempfile::TempDir, Arc<dyn Dir>, Vec<u8>) {
    let (guard, dir) = closed();
    let (disk, _) = open(&dir);
    write(&disk, CHUNK, V1, 0, b"marks the region").unwrap();
    drop(disk);
    let torn = pattern(3, 4096);
    file(&dir).write_at(&torn, 8192).unwrap();
    (guard, dir, torn)
}

#[test]
fn a_torn_page_is_replaced_by_a_write_of_all_of_it_and_a_cut_leaves_the_rest_of_it_torn() {
    let (_guard, dir, torn) = torn();
    let (disk, _) = open(&dir);
    disk.raise(CHUNK, V1, V2, &[(8192, 8292), (12288, 12298)]).unwrap();
    assert_eq!(disk.torn_pages(CHUNK, V2).unwrap(), [2]);
    assert_eq!(read(&disk, CHUNK, V2, 12288, 10), [0; 10]);
    let fork = disk.keep_torn(CHUNK, V2).unwrap();
    assert_eq!(fork, [2]);
    let found = read(&disk, CHUNK, V2, 8192, 4096);
    assert!(found[..100] == [0; 100] && found[100..] == torn[100..]);

    let (_guard, dir, _) = self::torn();
    let (disk, _) = open(&dir);
    let whole = pattern(4, 4096);
    write(&disk, CHUNK, V1, 8192, &whole).unwrap();
    assert_eq!(read(&disk, CHUNK, V1, 8192, 4096), whole);
    assert!(disk.torn_pages(CHUNK, V1).unwrap().is_empty());
}

#[test]
fn a_replica_that_was_damaged_before_keeps_no_bytes_that_may_be_rot() {
    let (_guard, dir) = closed();
    flip(&*file(&dir), 5000);
    let (disk, _) = open(&dir);
    assert_eq!(disk.verify(CHUNK, V1, 0, CHUNK_BYTES).unwrap(), [1]);
    write(&disk, CHUNK, V1, 0, b"marks the region").unwrap();
    drop(disk);
    let (disk, report) = open(&dir);
    assert_eq!(report.torn_pages, 1);
    assert!(disk.keep_torn(CHUNK, V1).unwrap().is_empty());
    let entry = disk.entry(CHUNK).unwrap();
    assert!(entry.damaged && !entry.torn);
    assert_eq!(disk.verify(CHUNK, V1, 0, CHUNK_BYTES).unwrap(), [1]);
}

#[test]
fn a_mismatch_outside_of_the_marked_region_is_not_settled() {
    let (_guard, dir) = closed();
    let (disk, _) = open(&dir);
    write(&disk, CHUNK, V1, 0, b"marks the first region").unwrap();
    drop(disk);
    flip(&*file(&dir), 5 << 20);
    let (disk, report) = open(&dir);
    assert_eq!(report.torn_pages, 0);
    assert!(looked_at(&disk));
}

#[test]
fn what_was_synced_has_rotted_after_a_kill_and_may_be_torn_after_a_loss_of_power() {
    for power_lost in [false, true] {
        for old in [false, true] {
            let sim = SimDisk::new(9, "disk");
            format(&sim.dir());
            let (mut disk, _) = open(&sim.dir());
            write(&disk, CHUNK, V1, 0, &pattern(1, 100_000)).unwrap();
            write(&disk, CHUNK, V1, 5 << 20, &pattern(2, 100_000)).unwrap();
            if old {
                disk.close().unwrap();
                drop(disk);
                disk = open(&sim.dir()).0;
                write(&disk, CHUNK, V1, 0, &pattern(3, 100)).unwrap();
            }
            disk.sync(CHUNK, V1).unwrap();
            write(&disk, CHUNK, V1, 6 << 20, &pattern(4, 4096)).unwrap();
            drop(disk);
            if power_lost {
                sim.power_cut()
            } else {
                sim.kill()
            }
            for at in [8192, 5 << 20] {
                sim.flip_bit(&chunk_path(CHUNK), at, 3).unwrap();
            }
            let (disk, report) = open(&sim.dir());
            assert_eq!(report.rotten_pages, u64::from(!power_lost), "what was changed lately is looked at");
            assert_eq!(disk.entry(CHUNK).unwrap().damaged, !power_lost);
            let (torn, rotten) =
                (disk.torn_pages(CHUNK, V1).unwrap(), disk.verify(CHUNK, V1, 0, CHUNK_BYTES));
            let second = (5 << 20) / 4096;
            match power_lost {
                false => assert_eq!((&torn[..], &rotten.unwrap()[..]), (&[second][..], &[2][..])),
                true => assert!(torn.starts_with(&[2, second]) && rotten.unwrap().is_empty(), "{torn:?}"),
            }
        }
    }
}

#[test]
fn a_file_without_a_header_never_was_a_replica() {
    let (_guard, dir, disk) = disk();
    write(&disk, CHUNK, V1, 0, b"data").unwrap();
    drop(disk);
    file(&dir).write_at(&[0; 4096], CHUNK_BYTES).unwrap();
    let (disk, report) = open(&dir);
    assert_eq!(report.stubs, 1);
    assert!(matches!(disk.read(CHUNK, V1, 0, 1), Err(StoreError::Absent { .. })));
    write(&disk, CHUNK, V1, 0, b"data").unwrap();
}

#[test]
fn a_file_of_any_content_is_no_reason_to_stop() {
    for seed in 0..40 {
        let (_guard, dir) = closed();
        let noise = pattern(seed, 4096);
        file(&dir).write_at(&noise, CHUNK_BYTES + (seed % 6) * 700).unwrap();
        if seed % 3 == 0 {
            file(&dir).set_len(CHUNK_BYTES + seed * 100).unwrap();
        }
        let (disk, _) = open(&dir);
        let _ = disk.read(CHUNK, V1, 0, 1 << 20);
        let _ = disk.verify(CHUNK, V1, 0, CHUNK_BYTES);
        let _ = write(&disk, CHUNK, V1, 77, b"x");
        let _ = disk.sync(CHUNK, V1);
        let _ = disk.raise(CHUNK, V1, V2, &[(10, 20)]);
        disk.scan().unwrap();
        disk.close().unwrap();
    }
}

#[test]
fn a_page_that_the_device_cannot_read_is_damaged_and_the_others_are_read() {
    let sim = env::SimDisk::new(8, "disk");
    format(&sim.dir());
    let (disk, _) = open(&sim.dir());
    write(&disk, CHUNK, V1, 0, &pattern(1, 3 * 4096)).unwrap();
    // The judge reads all three at once, then each by itself.
    sim.inject(env::Fault { path: "chunks".into(), effort: env::Effort::Read, skip: 0, count: 2 });
    assert_eq!(disk.verify(CHUNK, V1, 0, 3 * 4096).unwrap(), [0]);
    assert!(disk.entry(CHUNK).unwrap().damaged);
    assert_eq!(read(&disk, CHUNK, V1, 4096, 4096), pattern(1, 3 * 4096)[4096..8192]);
}

#[test]
fn a_bit_of_the_table_that_rots_before_a_kill_costs_one_page_at_most() {
    let data = pattern(1, 100_000);
    for byte in (CHUNK_BYTES + 1024..CHUNK_BYTES + 4096).step_by(37) {
        let sim = SimDisk::new(9, "disk");
        format(&sim.dir());
        let (disk, _) = open(&sim.dir());
        write(&disk, CHUNK, V1, 0, &data).unwrap();
        disk.sync(CHUNK, V1).unwrap();
        drop(disk);
        sim.kill();
        sim.flip_bit(&chunk_path(CHUNK), byte, (byte % 8) as u32).unwrap();
        let (disk, _) = open(&sim.dir());
        let damaged = disk.verify(CHUNK, V1, 0, CHUNK_BYTES).unwrap();
        assert!(damaged.len() < 2, "byte {byte}: {damaged:?}");
        for (page, right) in
            data.chunks(4096).enumerate().filter(|(page, _)| !damaged.contains(&(*page as u32)))
        {
            assert_eq!(read(&disk, CHUNK, V1, page as u64 * 4096, right.len() as u32), right, "byte {byte}");
        }
    }
}

/// A synced block, one that is being written at a kill, and their chunk's file; one page of that becomes unreadable.
fn killed_with_an_unreadable_page(at: u64) -> SimDisk {
    let sim = SimDisk::new(9, "disk");
    format(&sim.dir());
    let (disk, _) = open(&sim.dir());
    write(&disk, CHUNK, V1, 0, &pattern(1, 100_000)).unwrap();
    disk.sync(CHUNK, V1).unwrap();
    write(&disk, CHUNK, V1, 5 << 20, &pattern(2, 100_000)).unwrap();
    drop(disk);
    sim.kill();
    sim.spoil(&chunk_path(CHUNK), at).unwrap();
    sim
}

fn unsound(disk: &Disk) -> Vec<u32> {
    let damaged = disk.verify(CHUNK, V1, 0, CHUNK_BYTES).unwrap();
    damaged.into_iter().chain(disk.torn_pages(CHUNK, V1).unwrap()).collect()
}

fn has_all(disk: &Disk) -> bool {
    unsound(disk).is_empty()
        && read(disk, CHUNK, V1, 0, 100_000) == pattern(1, 100_000)
        && read(disk, CHUNK, V1, 5 << 20, 100_000) == pattern(2, 100_000)
}

#[test]
fn a_sector_that_cannot_be_read_after_a_kill_costs_the_pages_in_it_and_not_the_disk() {
    let table = range_of(place_of((5 << 20) / BLOCK_BYTES as usize).0).0;
    for (at, torn, lost) in [(4096, 0, 1), ((5 << 20) + 4096, 1, 1), (table, 0, 42 * 16)] {
        let sim = killed_with_an_unreadable_page(at);
        let (disk, report) = open(&sim.dir());
        assert_eq!(report.torn_pages, torn, "byte {at}");
        let unsound = unsound(&disk);
        assert_eq!(unsound.len(), lost, "byte {at}: {unsound:?}");
        let old = pattern(1, 100_000);
        for page in (0..old.len() / 4096).filter(|page| !unsound.contains(&(*page as u32))) {
            let from = page * 4096;
            assert_eq!(read(&disk, CHUNK, V1, from as u64, 4096), old[from..from + 4096], "byte {at}");
        }
        // It was only for a while, and nothing was written over.
        let _ = disk.chunk_value(CHUNK, V1);
        assert!(!has_all(&disk));
        sim.unspoil();
        assert!(has_all(&disk), "byte {at}");
        drop(disk);
        sim.kill();
        assert!(has_all(&open(&sim.dir()).0), "byte {at}");
    }
}
