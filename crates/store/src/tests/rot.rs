//! One flipped bit in every kind of byte that a disk holds, while it is closed and while it is open.
//!
//! What must hold: no reader is ever given wrong bytes that look right; what was hit is noticed by the judge and
//! makes way for a copy, or was of no importance; nothing beside it suffers.

use crate::names::chunk_path;
use crate::table::{place_of, range_of};
use crate::testing::*;
use crate::{Disk, DiskOptions, FillStart, StoreError};
use env::SimDisk;
use std::collections::BTreeMap;
use std::sync::Arc;
use types::{CHUNK_BYTES, ChunkId, PAGE_BYTES, Term, Version};

const PAGE: u64 = PAGE_BYTES as u64;
const V3: Version = Version { term: Term(1), counter: 3 };
const LOOKS_LIKE_HOLE_AT: u64 = 6 << 20;

/// A closed disk with one chunk at its second version: data in two table pages, with a hole between, and a page whose
/// bytes are no zeroes although its neighbours are holes.
fn closed() -> SimDisk {
    let sim = SimDisk::new(77, "disk");
    format(&sim.dir());
    let (disk, _) = open(&sim.dir());
    write(&disk, CHUNK, V1, 0, &pattern(1, 70_000)).unwrap();
    write(&disk, CHUNK, V1, 200_000, &pattern(2, 5_000)).unwrap();
    write(&disk, CHUNK, V1, 5 << 20, &pattern(3, 66_000)).unwrap();
    write(&disk, CHUNK, V1, LOOKS_LIKE_HOLE_AT, &[0; 4096]).unwrap();
    disk.sync(CHUNK, V1).unwrap();
    disk.raise(CHUNK, V1, V2, &[(30_000, 40_000)]).unwrap();
    // Keeps the chaining values with the table page that changes.
    disk.chunk_value(CHUNK, V2).unwrap();
    write(&disk, CHUNK, V2, 60_000, &pattern(4, 100)).unwrap();
    disk.close().unwrap();
    sim
}

/// What every page holds.
type Truth = BTreeMap<u64, Vec<u8>>;

fn pages() -> impl Iterator<Item = u64> {
    let ranges = [0..20, 48..51, 1280..1298, 1536..1538, 9000..9001];
    ranges.into_iter().flatten().map(|page| page * PAGE)
}

fn truth(sim: &SimDisk) -> Truth {
    let (disk, _) = open(&sim.fork().dir());
    pages().map(|at| (at, read(&disk, CHUNK, V2, at, PAGE_BYTES))).collect()
}

/// Reads as a client does; how many pages could not be read, or did not match their checksum.
fn lost_pages(disk: &Disk, truth: &Truth, what: &str) -> usize {
    let lost = truth.iter().filter(|(at, right)| match disk.read(CHUNK, V2, **at, PAGE_BYTES) {
        Ok(back) if back.zeroes => {
            assert!(right.iter().all(|byte| *byte == 0), "{what}: zeroes in place of the page at {at}");
            false
        }
        Ok(back) if crate::crc::crc32c(&back.data) == back.page_crcs[0] => {
            assert!(back.data == **right, "{what}: wrong bytes that look right in the page at {at}");
            false
        }
        Ok(_) | Err(_) => true,
    });
    lost.count()
}

/// The judge looks at everything; whether it found fault.
fn is_condemned(disk: &Disk) -> bool {
    match disk.verify(CHUNK, V2, 0, CHUNK_BYTES) {
        Ok(damaged) => !damaged.is_empty() || disk.check(CHUNK, V2).is_err(),
        Err(_) => true,
    }
}

/// After a flip: nothing wrong is read, damage is found, and it makes way for a copy. Whether anything was noticed.
fn check(disk: &Disk, truth: &Truth, value: [u8; 32], what: &str) -> bool {
    let lost = lost_pages(disk, truth, what);
    // A record table is made anew by the data for it.
    let condemned = is_condemned(disk);
    let left = lost_pages(disk, truth, what);
    assert!(left == 0 || condemned, "{what}: {left} pages are lost and the judge finds nothing");
    assert!(left < 2 || disk.entry(CHUNK).is_err(), "{what}: {left} pages");
    match disk.chunk_value(CHUNK, V2) {
        Ok(found) => assert_eq!(found, value, "{what}: a wrong chunk value"),
        Err(
            StoreError::Damaged { .. } | StoreError::DamagedFile { .. } | StoreError::WrongVersion { .. },
        ) => {}
        Err(error) => panic!("{what}: {error}"),
    }
    let start = disk.begin_filling(CHUNK, V2, 5).unwrap();
    assert_eq!(
        start == FillStart::Begun,
        condemned,
        "{what}: what is damaged makes way, what is sound stays"
    );
    condemned || lost > 0
}

/// Flips one bit of the chunk file while the disk is closed, and while it is open and the chunk in use.
fn flip_and_check(sim: &SimDisk, truth: &Truth, value: [u8; 32], at: u64, bit: u32) -> bool {
    let what = format!("byte {at}, bit {bit}");
    let stopped = sim.fork();
    stopped.flip_bit(&chunk_path(CHUNK), at, bit).unwrap();
    let (disk, report) = open(&stopped.dir());
    assert_eq!(report.torn_pages, 0, "{what}");
    let noticed = check(&disk, truth, value, &what);
    drop(disk);
    let running = sim.fork();
    let (disk, _) = open(&running.dir());
    assert_eq!(lost_pages(&disk, truth, &what), 0);
    running.flip_bit(&chunk_path(CHUNK), at, bit).unwrap();
    let lost = lost_pages(&disk, truth, &what);
    assert!(lost <= 1, "{what}: {lost} pages while it runs");
    assert!(lost == 0 || is_condemned(&disk), "{what}");
    noticed
}

fn value_of(sim: &SimDisk) -> [u8; 32] {
    open(&sim.fork().dir()).0.chunk_value(CHUNK, V2).unwrap()
}

#[test]
fn every_byte_of_headers_and_the_first_table_page_may_rot() {
    let sim = closed();
    let (truth, value) = (truth(&sim), value_of(&sim));
    let mut unnoticed = Vec::new();
    for at in 0..4096u64 {
        let bit = (at * 5 % 8) as u32;
        if !flip_and_check(&sim, &truth, value, CHUNK_BYTES + at, bit) {
            unnoticed.push(at);
        }
    }
    // Both header slots say the same, so that either may rot.
    assert!(unnoticed.iter().copied().eq(0..1024), "{unnoticed:?}");
}

#[test]
fn a_rotten_header_of_the_newest_version_leaves_a_replica_that_is_stale_and_not_taken_for_current() {
    let sim = closed();
    let (disk, _) = open(&sim.dir());
    disk.raise(CHUNK, V2, V3, &[]).unwrap();
    disk.close().unwrap();
    drop(disk);
    let mut stale = Vec::new();
    for at in 0..1024u64 {
        let rotten = sim.fork();
        rotten.flip_bit(&chunk_path(CHUNK), CHUNK_BYTES + at, (at % 8) as u32).unwrap();
        let (disk, _) = open(&rotten.dir());
        match disk.entry(CHUNK).unwrap().version {
            V3 => disk.check(CHUNK, V3).unwrap(),
            V2 => {
                stale.push(at / 512);
                assert!(matches!(disk.read(CHUNK, V3, 0, 1), Err(StoreError::WrongVersion { .. })));
                assert!(matches!(disk.check(CHUNK, V3), Err(StoreError::WrongVersion { .. })));
                assert_eq!(disk.begin_filling(CHUNK, V3, 5).unwrap(), FillStart::Kept);
            }
            version => panic!("byte {at}: {version}"),
        }
    }
    assert!(stale.len() == 512 && stale.iter().all(|slot| *slot == stale[0]), "{stale:?}");
}

#[test]
fn a_later_table_page_and_data_may_rot_and_so_may_what_should_be_a_hole() {
    let sim = closed();
    let (truth, value) = (truth(&sim), value_of(&sim));
    let table = CHUNK_BYTES + 2 * 4096;
    for at in (0..4096).step_by(11).chain([0, 4, 8, 16, 18, 24, 32, 63, 64, 4095]) {
        assert!(flip_and_check(&sim, &truth, value, table + at, (at % 8) as u32), "table byte {at}");
    }
    for at in [0, 4095, 4096, 69_999, 70_000, 73_727, 200_000, 204_800, 5 << 20, (5 << 20) + 65_999] {
        assert!(flip_and_check(&sim, &truth, value, at, (at % 8) as u32), "data byte {at}");
    }
    for at in [32_768, 36_000, 100_000, LOOKS_LIKE_HOLE_AT + 7] {
        assert!(flip_and_check(&sim, &truth, value, at, 3), "byte {at} lies in a hole");
    }
    assert!(!flip_and_check(&sim, &truth, value, 60 << 20, 3), "no record was ever written");
}

#[test]
fn with_both_headers_rotten_a_replica_is_shown_as_bad_and_not_read() {
    let sim = closed();
    let truth = truth(&sim);
    for field in [0, 8, 10, 16, 24, 32, 40, 56, 60, 64, 68, 100, 508] {
        let rotten = sim.fork();
        rotten.flip_bit(&chunk_path(CHUNK), CHUNK_BYTES + field, 1).unwrap();
        rotten.flip_bit(&chunk_path(CHUNK), CHUNK_BYTES + 512 + field, 1).unwrap();
        let (disk, _) = open(&rotten.dir());
        assert_eq!(lost_pages(&disk, &truth, "both headers"), truth.len());
        let mut listed = Vec::new();
        disk.inventory(&mut |entry| listed.push(entry)).unwrap();
        assert!(listed.len() == 1 && listed[0].bad, "{listed:?}");
        assert_eq!(disk.begin_filling(CHUNK, V2, 5).unwrap(), FillStart::Begun);
    }
}

#[test]
fn a_bit_of_stamp_activity_log_or_index_costs_a_copy_of_it_or_time_and_never_a_replica() {
    let sim = closed();
    let truth = truth(&sim);
    let sizes = [("stamp", 4_224), ("activity", 2_048), ("activity", 262_144 + 2_048)];
    for (file, end) in sizes {
        for at in (end - 2_048..end).step_by(3) {
            let rotten = sim.fork();
            if rotten.flip_bit(file, at, (at % 8) as u32).is_err() {
                continue;
            }
            let (disk, report) = open(&rotten.dir());
            assert_eq!(report.rotten_pages + report.torn_pages, 0, "{file} byte {at}");
            assert_eq!(lost_pages(&disk, &truth, file), 0, "{file} byte {at}");
            assert!(!is_condemned(&disk), "{file} byte {at}");
        }
    }
}

#[test]
fn an_index_with_a_flipped_bit_is_rebuilt_or_says_what_the_files_say() {
    let (guard, dir) = temporary();
    format(&dir);
    let options = DiskOptions::default();
    let disk = Disk::open(Arc::clone(&dir), options).unwrap().disk;
    let chunks: Vec<ChunkId> = (1..=300).map(ChunkId).collect();
    for chunk in &chunks {
        write(&disk, *chunk, if chunk.0 % 3 == 0 { V2 } else { V1 }, 0, b"data").unwrap();
    }
    let inventory = |disk: &Disk| {
        let mut all = Vec::new();
        disk.inventory(&mut |entry| all.push((entry.chunk, entry.version, entry.bad))).unwrap();
        all
    };
    let right = inventory(&disk);
    assert_eq!(right.len(), chunks.len());
    disk.close().unwrap();
    drop(disk);
    let files: Vec<std::path::PathBuf> =
        walk(&guard.path().join("index")).into_iter().filter(|path| path.is_file()).collect();
    let before: Vec<(std::path::PathBuf, Vec<u8>)> =
        files.into_iter().map(|path| (path.clone(), std::fs::read(path).unwrap())).collect();
    let mut rebuilt = 0;
    for (n, (path, content)) in before.iter().cycle().take(60).enumerate() {
        let used = content.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        if used == 0 {
            continue;
        }
        let mut rotten = content.clone();
        rotten[(n * 7_919) % used] ^= 1 << (n % 8);
        std::fs::write(path, rotten).unwrap();
        let opened = Disk::open(Arc::clone(&dir), options).unwrap();
        rebuilt += u32::from(opened.report.index_rebuilt.is_some());
        assert!(inventory(&opened.disk) == right, "{} byte {}", path.display(), (n * 7_919) % used);
        opened.disk.close().unwrap();
        drop(opened.disk);
        std::fs::remove_dir_all(guard.path().join("index")).unwrap();
        for (path, content) in &before {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
        }
    }
    assert!(rebuilt > 0, "no flip was ever noticed");
}

fn walk(path: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(path).unwrap().flatten() {
        if entry.path().is_dir() {
            found.extend(walk(&entry.path()));
        } else {
            found.push(entry.path());
        }
    }
    found.sort();
    found
}

#[test]
fn a_write_that_is_lost_or_lands_elsewhere_is_never_read_as_the_zeroes_before_it() {
    for stray in [env::Stray::Lost, env::Stray::Misdirected(45_056)] {
        let mut lost = 0;
        for skip in 0.. {
            let sim = closed();
            let (at, data) = (9000 * PAGE, pattern(5, PAGE as usize));
            let mut truth = truth(&sim);
            truth.insert(at, data.clone());
            let (disk, _) = open(&sim.dir());
            sim.lead_astray(&chunk_path(CHUNK), skip, stray);
            write(&disk, CHUNK, V2, at, &data).unwrap();
            let _ = disk.sync(CHUNK, V2);
            if sim.is_astray() {
                break;
            }
            disk.close().unwrap();
            drop(disk);
            let (disk, _) = open(&sim.dir());
            let pages = lost_pages(&disk, &truth, &format!("{stray:?} after {skip}"));
            assert!(pages == 0 || is_condemned(&disk), "{stray:?} after {skip}");
            lost += pages;
        }
        assert!(lost >= 2, "data and records: {lost}");
    }
}

/// The page of the table that has the record of a page, at its place in the file.
fn table_at(page: u64) -> u64 {
    range_of(place_of((page / 16) as usize).0).0
}

/// A closed disk with a page that was written and synced, while the write of its record got lost: an older page of the
/// table is there, which calls it a hole.
fn with_a_lost_record() -> SimDisk {
    let sim = closed();
    let before = {
        let (disk, _) = open(&sim.dir());
        write(&disk, CHUNK, V2, 9000 * PAGE, &pattern(5, PAGE as usize)).unwrap();
        disk.close().unwrap();
        let at = table_at(9000) as usize;
        sim.contents(&chunk_path(CHUNK)).unwrap()[at..at + 4096].to_vec()
    };
    let (disk, _) = open(&sim.dir());
    write(&disk, CHUNK, V2, 9001 * PAGE, &pattern(6, PAGE as usize)).unwrap();
    disk.close().unwrap();
    sim.overwrite(&chunk_path(CHUNK), table_at(9000), &before).unwrap();
    sim
}

#[test]
fn a_replica_with_bytes_under_a_hole_is_not_taken_for_sound_by_whoever_asks_its_headers_alone() {
    for elsewhere in [false, true] {
        let sim = with_a_lost_record();
        let (disk, _) = open(&sim.dir());
        if elsewhere {
            // With the next change its page of the table says that there is something to look at.
            write(&disk, CHUNK, V2, 9100 * PAGE, &pattern(7, PAGE as usize)).unwrap();
        }
        disk.close().unwrap();
        drop(disk);
        let (disk, _) = open(&sim.dir());
        assert!(matches!(disk.check(CHUNK, V2), Err(StoreError::Damaged { page: 9001, .. })));
        assert!(disk.entry(CHUNK).unwrap().damaged);
        assert_eq!(disk.begin_filling(CHUNK, V2, 5).unwrap(), FillStart::Begun);
    }
    // Zeroes under a hole are what it says.
    let sim = closed();
    let (disk, _) = open(&sim.dir());
    write(&disk, CHUNK, V2, 9000 * PAGE, &[0; 4 * PAGE as usize]).unwrap();
    disk.close().unwrap();
    drop(disk);
    let (disk, _) = open(&sim.dir());
    disk.check(CHUNK, V2).unwrap();
}

#[test]
fn a_torn_table_page_that_calls_a_written_page_a_hole_leaves_damage() {
    let sim = with_a_lost_record();
    sim.flip_bit(&chunk_path(CHUNK), table_at(9000) + 40, 1).unwrap();
    let (disk, _) = open(&sim.dir());
    // It is made anew by the data, and written, for whoever asks for another page.
    assert_eq!(disk.verify(CHUNK, V2, 9100 * PAGE, PAGE).unwrap(), []);
    assert!(disk.entry(CHUNK).unwrap().damaged);
    disk.close().unwrap();
    drop(disk);
    let (disk, _) = open(&sim.dir());
    assert!(disk.entry(CHUNK).unwrap().damaged);
    assert_eq!(disk.begin_filling(CHUNK, V2, 5).unwrap(), FillStart::Begun);
}

#[test]
fn what_a_start_takes_away_under_a_hole_stays_away() {
    let mut left = 0;
    for seed in 0..8 {
        let sim = SimDisk::new(seed, "disk");
        format(&sim.dir());
        let (disk, _) = open(&sim.dir());
        write(&disk, CHUNK, V1, 0, &pattern(1, PAGE as usize)).unwrap();
        disk.mark(CHUNK, V1).unwrap();
        disk.sync(CHUNK, V1).unwrap();
        disk.checkpoint().unwrap();
        // Of the first write in a page of the table the data alone is not lost.
        for skip in [0, 0, 1] {
            sim.lead_astray(&chunk_path(CHUNK), skip, env::Stray::Lost);
        }
        write(&disk, CHUNK, V1, 9000 * PAGE, &pattern(5, PAGE as usize)).unwrap();
        assert!(!sim.is_astray());
        drop(disk);
        sim.kill();
        let bytes_there = |sim: &SimDisk| {
            let file = sim.dir().open(&chunk_path(CHUNK), env::OpenMode::Read).unwrap();
            file.next_data(9000 * PAGE).unwrap() == Some(9000 * PAGE)
        };
        left += u64::from(bytes_there(&sim));
        drop(open(&sim.dir()));
        sim.power_cut();
        assert!(!bytes_there(&sim), "seed {seed}");
    }
    assert_eq!(left, 8);
}

#[test]
fn what_was_written_under_a_hole_when_the_process_stopped_is_no_damage() {
    for after in 0.. {
        let sim = closed();
        let (disk, _) = open(&sim.dir());
        sim.stop_after_writes(after);
        // The first one whose record is in its page of the table.
        let done = write(&disk, CHUNK, V2, 9000 * PAGE, &pattern(5, PAGE as usize)).is_ok();
        drop(disk);
        sim.kill();
        for _ in 0..2 {
            let (disk, _) = open(&sim.dir());
            assert!(!is_condemned(&disk), "after {after}");
            let page = read(&disk, CHUNK, V2, 9000 * PAGE, PAGE_BYTES);
            assert!(
                page == pattern(5, PAGE as usize) || !done && page.iter().all(|byte| *byte == 0),
                "after {after}"
            );
            // Another page of the same table page.
            write(&disk, CHUNK, V2, 9100 * PAGE, &pattern(6, PAGE as usize)).unwrap();
            disk.close().unwrap();
        }
        if done {
            break;
        }
    }
}
