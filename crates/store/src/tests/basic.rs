//! Writing, reading, cutting, raising, deleting.

use crate::testing::*;
use crate::{Disk, DiskOptions, StoreError, Write};
use std::sync::Arc;
use types::{BLOCK_BYTES, CHUNK_BYTES, ChunkId};

#[test]
fn what_was_written_is_read_and_the_rest_is_zeroes() {
    let (_guard, _dir, disk) = disk();
    let data = pattern(1, 10_000);
    write(&disk, CHUNK, V1, 4000, &data).unwrap();
    assert_eq!(read(&disk, CHUNK, V1, 4000, 10_000), data);
    assert_eq!(read(&disk, CHUNK, V1, 0, 4000), vec![0; 4000]);
    assert!(disk.read(CHUNK, V1, 1 << 20, 1 << 20).unwrap().zeroes);
    let end = pattern(2, 100);
    write(&disk, CHUNK, V1, CHUNK_BYTES - 100, &end).unwrap();
    assert_eq!(read(&disk, CHUNK, V1, CHUNK_BYTES - 100, 100), end);
    assert!(disk.read(CHUNK, V1, CHUNK_BYTES - 100, 101).is_err());
}

#[test]
fn a_4_kib_replica_costs_at_most_12_kib_of_disk() {
    let (_guard, dir, disk) = disk();
    write(&disk, CHUNK, V1, 0, &pattern(1, 4096)).unwrap();
    disk.sync(CHUNK, V1).unwrap();
    let file = dir.open(&crate::names::chunk_path(CHUNK), env::OpenMode::Read).unwrap();
    assert!(file.allocated_bytes().unwrap() <= 12 << 10, "{} bytes", file.allocated_bytes().unwrap());
}

#[test]
fn a_payload_that_does_not_match_is_refused_and_nothing_is_made() {
    let (_guard, dir, disk) = disk();
    let data = pattern(1, 9000);
    let mut page_crcs = crcs(100, &data);
    page_crcs[2] ^= 1;
    let bad = Write {
        chunk: CHUNK,
        version: V1,
        offset: 100,
        data: &data,
        page_crcs: &page_crcs,
        block_values: &[],
        create: true,
    };
    assert!(matches!(disk.write(&bad), Err(StoreError::CorruptPayload { page: 2, .. })));
    assert!(!dir.exists(&crate::names::chunk_path(CHUNK)).unwrap());
    assert_eq!(disk.counters().corrupt_payloads, 1);
    let short = Write { page_crcs: &page_crcs[..2], ..bad };
    assert!(matches!(disk.write(&short), Err(StoreError::Invalid { .. })));
}

#[test]
fn another_version_is_refused_by_every_operation() {
    let (_guard, _dir, disk) = disk();
    assert!(matches!(disk.read(CHUNK, V1, 0, 1), Err(StoreError::Absent { .. })));
    write(&disk, CHUNK, V1, 0, b"x").unwrap();
    let wrong =
        |result: Result<(), StoreError>| assert!(matches!(result, Err(StoreError::WrongVersion { .. })));
    wrong(write(&disk, CHUNK, V2, 0, b"y"));
    wrong(disk.read(CHUNK, V2, 0, 1).map(drop));
    wrong(disk.sync(CHUNK, V2));
    wrong(disk.verify(CHUNK, V2, 0, 1).map(drop));
    wrong(disk.delete(CHUNK, types::Version::default(), 0).map(drop));
    wrong(disk.chunk_value(CHUNK, V2).map(drop));
    wrong(disk.raise(CHUNK, V2, types::Version { counter: 9, ..V2 }, &[]));
    wrong(disk.read_resident(CHUNK, V2, 0, 1).unwrap().map(drop));
}

#[test]
fn a_raise_cuts_and_a_second_one_changes_nothing() {
    let (_guard, dir, disk) = disk();
    let data = pattern(1, 300_000);
    write(&disk, CHUNK, V1, 0, &data).unwrap();
    disk.sync(CHUNK, V1).unwrap();
    disk.raise(CHUNK, V1, V2, &[(5000, 200_000), (250_000, CHUNK_BYTES)]).unwrap();
    let mut wanted = data;
    wanted[5000..200_000].fill(0);
    wanted[250_000..].fill(0);
    assert_eq!(read(&disk, CHUNK, V2, 0, 300_000), wanted);
    let file = dir.open(&crate::names::chunk_path(CHUNK), env::OpenMode::Read).unwrap();
    assert!(file.allocated_bytes().unwrap() < 120_000, "the room of the cuts is given back");
    write(&disk, CHUNK, V2, 6000, b"new").unwrap();
    disk.raise(CHUNK, V1, V2, &[(5000, 200_000)]).unwrap();
    assert_eq!(read(&disk, CHUNK, V2, 6000, 3), b"new");
}

#[test]
fn a_chunk_value_is_the_hash_of_its_64_mib_however_it_was_written() {
    let (_guard, _dir, disk) = disk();
    let data = pattern(1, 3 * BLOCK_BYTES as usize);
    let values: Vec<[u8; 32]> = data
        .chunks_exact(BLOCK_BYTES as usize)
        .enumerate()
        .map(|(n, block)| crate::value::block_value(n, block))
        .collect();
    let page_crcs = crcs(0, &data);
    let whole = Write {
        chunk: CHUNK,
        version: V1,
        offset: 0,
        data: &data,
        page_crcs: &page_crcs,
        block_values: &values,
        create: true,
    };
    disk.write(&whole).unwrap();
    let other = ChunkId(CHUNK.0 + 1);
    for (n, piece) in data.chunks(10_007).enumerate() {
        write(&disk, other, V1, n as u64 * 10_007, piece).unwrap();
    }
    let mut chunk = data.clone();
    chunk.resize(CHUNK_BYTES as usize, 0);
    let wanted = *blake3::hash(&chunk).as_bytes();
    assert_eq!(disk.chunk_value(CHUNK, V1).unwrap(), wanted);
    assert_eq!(disk.chunk_value(other, V1).unwrap(), wanted);
    assert_eq!(disk.chunk_value(other, V1).unwrap(), wanted);
    write(&disk, other, V1, 70_000, b"changed").unwrap();
    assert_ne!(disk.chunk_value(other, V1).unwrap(), wanted);
}

#[test]
fn a_page_with_the_checksum_of_a_hole_is_not_taken_for_one() {
    let (_guard, _dir, disk) = disk();
    let page = colliding_page();
    write(&disk, CHUNK, V1, 8192, &page).unwrap();
    assert_eq!(read(&disk, CHUNK, V1, 8192, 4096), page);
    write(&disk, CHUNK, V1, 8192 + 4000, &[0; 96]).unwrap();
    write(&disk, CHUNK, V1, 0, b"edge").unwrap();
    assert_eq!(read(&disk, CHUNK, V1, 8192, 4000), page[..4000]);
}

/// A page other than zeroes whose CRC is that of zeroes: the last four bytes are chosen so.
fn colliding_page() -> Vec<u8> {
    let mut page = pattern(3, 4096);
    // CRC is linear: find the four bytes by solving for each bit.
    let tail = |page: &mut Vec<u8>, value: u32| {
        page[4092..].copy_from_slice(&value.to_le_bytes());
        crate::crc::crc32c(page)
    };
    let base = tail(&mut page, 0);
    let columns: Vec<u32> = (0..32).map(|bit| tail(&mut page, 1 << bit) ^ base).collect();
    let mut rows: Vec<(u32, u32)> =
        columns.iter().enumerate().map(|(bit, column)| (*column, 1 << bit)).collect();
    let (mut target, mut answer) = (base ^ types::ZERO_PAGE_CRC, 0);
    for bit in 0..32 {
        let Some(at) = rows.iter().position(|(column, _)| column >> bit & 1 == 1) else { continue };
        let (column, inputs) = rows.swap_remove(at);
        for row in &mut rows {
            if row.0 >> bit & 1 == 1 {
                row.0 ^= column;
                row.1 ^= inputs;
            }
        }
        if target >> bit & 1 == 1 {
            target ^= column;
            answer ^= inputs;
        }
    }
    assert_eq!(tail(&mut page, answer), types::ZERO_PAGE_CRC);
    page
}

#[test]
fn a_deleted_replica_is_erased_after_its_hold_and_a_quarantined_one_stays() {
    let (_guard, dir, disk) = disk();
    for n in 0..3 {
        let chunk = ChunkId(n + 1);
        write(&disk, chunk, V1, 0, b"data").unwrap();
        disk.delete(chunk, V1, 100 + n).unwrap();
        assert!(matches!(disk.read(chunk, V1, 0, 1), Err(StoreError::Absent { .. })));
    }
    write(&disk, CHUNK, V1, 0, b"data").unwrap();
    disk.quarantine(CHUNK).unwrap();
    assert!(matches!(disk.quarantine(CHUNK), Err(StoreError::Absent { .. })));
    assert_eq!(disk.purge_deleted(101).unwrap().files, 1);
    assert_eq!(disk.purge_for_space(0).unwrap().files, 0);
    assert_eq!(disk.purge_for_space(u64::MAX).unwrap().files, 2);
    assert_eq!(dir.list("quarantine").unwrap().len(), 1);
    let mut entries = 0;
    disk.inventory(&mut |_| entries += 1).unwrap();
    assert_eq!(entries, 0);
    write(&disk, CHUNK, V2, 0, b"again").unwrap();
    assert_eq!(read(&disk, CHUNK, V2, 0, 5), b"again");
}

#[test]
fn resident_reads_answer_what_is_in_the_page_cache() {
    let (_guard, _dir, disk) = disk();
    let data = pattern(1, 8192);
    assert!(disk.read_resident(CHUNK, V1, 0, 8192).is_none());
    write(&disk, CHUNK, V1, 0, &data).unwrap();
    let back = disk.read_resident(CHUNK, V1, 0, 8192).expect("just written").unwrap();
    assert_eq!(&back.data[..], &data[..]);
}

#[test]
fn in_place_changes_of_one_region_cost_one_sync_of_the_activity_log() {
    let (_guard, _dir, disk) = disk();
    let before = disk.counters().activity_syncs;
    for n in 0..10 {
        write(&disk, CHUNK, V1, n * 100, b"new chunk").unwrap();
        disk.sync(CHUNK, V1).unwrap();
    }
    assert_eq!(disk.counters().activity_syncs, before, "a new chunk needs no mark");
    disk.checkpoint().unwrap();
    let before = disk.counters().activity_syncs;
    for n in 0..10 {
        write(&disk, CHUNK, V1, n * 100, b"old chunk").unwrap();
        disk.sync(CHUNK, V1).unwrap();
    }
    assert_eq!(disk.counters().activity_syncs, before + 1);
}

#[test]
fn many_chunks_share_a_bounded_number_of_open_files() {
    let (_guard, dir) = temporary();
    format(&dir);
    let options = DiskOptions { index_in_memory: true, open_chunks_max: Some(64), ..Default::default() };
    let disk = Disk::open(Arc::clone(&dir), options).unwrap().disk;
    let count = 64 + 50;
    for n in 1..=count {
        write(&disk, ChunkId(n), V1, 0, &n.to_le_bytes()).unwrap();
    }
    assert!(disk.counters().open_chunks <= 64 + 1);
    assert!(disk.counters().syncs >= 49, "what is closed is synced");
    for n in 1..=count {
        assert_eq!(read(&disk, ChunkId(n), V1, 0, 8), n.to_le_bytes());
    }
    disk.close().unwrap();
    drop(disk);
    let (disk, report) = open(&dir);
    assert!(report.clean);
    for n in 1..=count {
        disk.clear_marked(ChunkId(n), V1).unwrap(); // They were written a moment before: to be compared.
    }
    let mut seen = Vec::new();
    disk.inventory(&mut |entry| seen.push((entry.chunk.0, entry.version, entry.marked))).unwrap();
    assert_eq!(seen, (1..=count).map(|n| (n, V1, false)).collect::<Vec<_>>());
}

#[test]
fn threads_that_write_and_read_one_chunk_never_see_half_a_write() {
    let (_guard, _dir, disk) = disk();
    write(&disk, CHUNK, V1, 0, &[0; 8192]).unwrap();
    std::thread::scope(|scope| {
        for byte in 1..=3_u8 {
            let disk = &disk;
            scope.spawn(move || {
                for _ in 0..100 {
                    write(disk, CHUNK, V1, 1000, &[byte; 6000]).unwrap();
                    let back = read(disk, CHUNK, V1, 1000, 6000);
                    assert!(back.iter().all(|found| *found == back[0]));
                    disk.sync(CHUNK, V1).unwrap();
                }
            });
        }
        scope.spawn(|| (0..20).for_each(|_| disk.checkpoint().unwrap()));
    });
}

/// The records of a whole chunk take 100 KiB, of which a small file needs 3.
#[test]
fn records_take_memory_only_where_something_was_written() {
    let (_guard, dir, disk) = disk();
    for n in 1..=20 {
        write(&disk, ChunkId(n), V1, 0, b"small").unwrap();
        assert!(disk.read(ChunkId(n), V1, 63 << 20, 1 << 20).unwrap().zeroes);
    }
    let pages = |disk: &Disk| (1..=20).map(|n| disk.table_pages_in_memory(ChunkId(n))).sum::<usize>();
    assert_eq!(pages(&disk), 20);
    write(&disk, ChunkId(1), V1, 40 << 20, b"more").unwrap();
    assert_eq!(pages(&disk), 21);
    disk.close().unwrap();
    drop(disk);
    let (disk, _) = open(&dir);
    for n in 1..=20 {
        assert_eq!(read(&disk, ChunkId(n), V1, 0, 5), b"small");
        assert!(disk.read(ChunkId(n), V1, 63 << 20, 1 << 20).unwrap().zeroes);
    }
    assert_eq!(read(&disk, ChunkId(1), V1, 40 << 20, 4), b"more");
    assert_eq!(pages(&disk), 21);
}
