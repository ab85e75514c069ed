//! Power cuts at every write, bits flipped in every kind of place, noise.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use common::*;
use env::{Env, SimDisk};
use journal::{Journal, Needed, OpenError, Options, ReplayError};
use types::LogIndex;

const SEGMENT: u64 = 4 << 10;

/// A run of appends, syncs, rotations and recycling. Answers what was appended and what was synced when it stopped.
fn run(disk: &SimDisk) -> (u64, u64) {
    let (mut appended, mut synced) = (0, 0);
    let Ok((mut journal, recovery)) = open(disk, SEGMENT) else { return (0, 0) };
    assert!(recovery.cuts.is_empty());
    for round in 0..14 {
        if append(&mut journal, 1 + round % 4, 1).is_err() {
            break;
        }
        appended = journal.last().1.0;
        if round % 3 == 2 {
            let Ok(index) = journal.syncer().sync() else { break };
            synced = index.0;
            let _ = journal.syncer().prepare();
            if round % 2 == 1 && journal.note_stable().is_err() {
                break;
            }
        }
        if round == 8 {
            let _ = journal.syncer().truncate_before(LogIndex(appended - 6));
        }
    }
    (appended, synced)
}

/// Opens what a stopped run left, checks it, and goes on for a while.
fn check_and_go_on(disk: &SimDisk, least: u64, most: u64, what: &str) -> u64 {
    let (mut journal, recovery) = open(disk, SEGMENT).unwrap_or_else(|error| panic!("{what}: {error}"));
    let last = recovery.last.0;
    assert!((least..=most).contains(&last), "{what}: {last} is not in {least}..={most}");
    let found = read(&journal, recovery.first.0).unwrap_or_else(|error| panic!("{what}: {error}"));
    assert_eq!(found.len() as u64, last + 1 - recovery.first.0, "{what}");
    // What was cut must not come back, whatever is written over it.
    for _ in 0..4 {
        append(&mut journal, 2, 2).unwrap();
    }
    disk.kill();
    let (journal, recovery) = open(disk, SEGMENT).unwrap_or_else(|error| panic!("{what}, again: {error}"));
    assert_eq!(recovery.last.0, last + 8, "{what}");
    assert!(recovery.cuts.is_empty(), "{what}: {:?}", recovery.cuts);
    let found = read(&journal, last + 1).unwrap();
    assert!(found.iter().all(|(term, _)| *term == 2), "{what}: {found:?}");
    last
}

#[test]
fn a_power_cut_after_every_single_write_keeps_every_synced_record() {
    let writes = {
        let disk = SimDisk::new(0, "log");
        run(&disk);
        disk.writes()
    };
    assert!(writes > 40);
    for stop in 0..writes {
        for seed in 0..30 {
            let disk = SimDisk::new(seed, "log");
            disk.stop_after_writes(stop);
            let (appended, synced) = run(&disk);
            disk.power_cut();
            // The write in which it stopped may have been done.
            check_and_go_on(&disk, synced, appended + 4, &format!("seed {seed}, stop {stop}"));
        }
    }
}

#[test]
fn a_kill_at_every_single_write_keeps_every_written_record() {
    let writes = {
        let disk = SimDisk::new(0, "log");
        run(&disk);
        disk.writes()
    };
    for stop in 0..writes {
        for seed in 0..4 {
            let disk = SimDisk::new(seed, "log");
            disk.stop_after_writes(stop);
            let (appended, _) = run(&disk);
            disk.kill();
            check_and_go_on(&disk, appended, appended + 4, &format!("seed {seed}, stop {stop}"));
        }
    }
}

/// A stop may leave a file that is as long as a segment and has no bytes of its own; when it is used, it gets them.
#[test]
fn what_there_is_room_for_is_appended_on_a_full_disk_whatever_was_stopped_before() {
    const LARGE: u64 = 32 << 10;
    let grow = |disk: &SimDisk| {
        let Ok((mut journal, _)) = open(disk, LARGE) else { return };
        while journal.last().1.0 < 200 && append(&mut journal, 4, 1).is_ok() {
            let _ = journal.syncer().sync().and_then(|_| journal.syncer().prepare());
        }
    };
    let writes = {
        let disk = SimDisk::new(0, "log");
        grow(&disk);
        disk.writes()
    };
    assert!(writes > 60, "{writes}");
    for stop in 0..writes {
        for seed in 0..16 {
            let disk = SimDisk::new(seed, "log");
            disk.stop_after_writes(stop);
            grow(&disk);
            if seed % 4 == 0 {
                disk.kill()
            } else {
                disk.power_cut()
            }
            let (mut journal, _) = open(&disk, LARGE).unwrap();
            journal.syncer().prepare().unwrap();
            disk.set_capacity(disk.used_bytes());
            while journal.has_room(1, 600) {
                let appended = append(&mut journal, 1, 2);
                assert!(appended.is_ok(), "seed {seed}, stop {stop}: {appended:?}");
            }
        }
    }
}

#[test]
fn a_power_cut_during_recovery_loses_nothing_more() {
    for seed in 0..120 {
        let base = disk_with(seed, SEGMENT, &[5, 3, 8, 8, 2, 9, 9], 3);
        base.power_cut();
        for stop in 0..12 {
            let disk = base.fork();
            disk.stop_after_writes(stop);
            let opened = open(&disk, SEGMENT).map(|(_, recovery)| recovery.last);
            disk.power_cut();
            let last = check_and_go_on(&disk, 16, 44, &format!("seed {seed}, stop {stop}"));
            if let Ok(before) = opened {
                assert!(last >= before.0, "seed {seed}, stop {stop}: recovered records are durable");
            }
        }
    }
}

/// Where things are in the first segment of [`two_batches`].
const FIRST_BATCH: u64 = 1024;

/// Two batches: the first is synced, and the header of the second says so.
fn two_batches() -> (SimDisk, u64) {
    let disk = SimDisk::new(1, "log");
    let (mut journal, _) = open(&disk, SEGMENT).unwrap();
    append(&mut journal, 3, 1).unwrap();
    journal.syncer().sync().unwrap();
    let used = |disk: &SimDisk| {
        let bytes = disk.contents("segment-0000000000000001").unwrap();
        bytes.len() as u64 - bytes.iter().rev().take_while(|byte| **byte == 0).count() as u64
    };
    let second = used(&disk).next_multiple_of(8);
    append(&mut journal, 2, 1).unwrap();
    disk.kill();
    (disk, second)
}

#[test]
fn one_bad_copy_of_the_stamp_is_no_harm_and_two_are_refused() {
    let (disk, _) = two_batches();
    for offset in 0..56 {
        let (first, second, both) = (disk.fork(), disk.fork(), disk.fork());
        let name = "segment-0000000000000001";
        first.flip_bit(name, offset, 3).unwrap();
        second.flip_bit(name, 512 + offset, 3).unwrap();
        both.flip_bit(name, offset, 3).unwrap();
        both.flip_bit(name, 512 + offset, 3).unwrap();
        for disk in [first, second] {
            assert_eq!(open(&disk, SEGMENT).unwrap().1.last, LogIndex(5), "byte {offset}");
        }
        let error = open(&both, SEGMENT).map(drop).unwrap_err();
        assert!(matches!(error, OpenError::Stamp { .. }), "byte {offset}: {error}");
    }
}

#[test]
fn a_flipped_bit_in_what_is_known_durable_is_refused_by_name() {
    let (disk, second) = two_batches();
    // Batch header, record headers and bodies of the first batch, byte by byte; padding is not covered.
    let mut padding = 0;
    for offset in FIRST_BATCH..second {
        let disk = disk.fork();
        disk.flip_bit("segment-0000000000000001", offset, offset as u32 % 8).unwrap();
        let before = files(&*disk.dir(), "");
        match open(&disk, SEGMENT) {
            Err(OpenError::Damaged { file, offset: at, index, stable }) => {
                assert_eq!((file.as_str(), at), ("segment-0000000000000001", FIRST_BATCH));
                assert_eq!((index, stable), (LogIndex(1), LogIndex(3)));
                assert_eq!(files(&*disk.dir(), ""), before, "nothing was changed");
            }
            Ok((journal, recovery)) => {
                padding += 1;
                assert_eq!(recovery.last, LogIndex(5), "byte {offset}");
                assert_eq!(read(&journal, 1).unwrap().len(), 5);
            }
            Err(error) => panic!("byte {offset}: {error}"),
        }
    }
    assert!(padding < 24, "{padding} bytes are not covered");
}

/// Nothing was appended after the last sync, so that no record says that it was one.
#[test]
fn a_flipped_bit_in_the_last_records_of_an_idle_log_is_refused() {
    let name = "segment-0000000000000001";
    let disk = SimDisk::new(1, "log");
    let (mut journal, _) = open(&disk, SEGMENT).unwrap();
    append(&mut journal, 3, 1).unwrap();
    journal.note_stable().unwrap();
    let before = disk.contents(name).unwrap();
    journal.syncer().sync().unwrap();
    assert_eq!(disk.contents(name).unwrap(), before, "it was not durable");
    journal.note_stable().unwrap();
    let after = disk.contents(name).unwrap();
    assert_ne!(after, before);
    journal.note_stable().unwrap();
    assert_eq!(disk.contents(name).unwrap(), after, "once is enough");
    drop(journal);
    disk.kill();
    let changed = before.iter().zip(&after).position(|(a, b)| a != b).unwrap() as u64;
    let mut padding = 0;
    for offset in FIRST_BATCH..changed {
        let disk = disk.fork();
        disk.flip_bit(name, offset, offset as u32 % 8).unwrap();
        match open(&disk, SEGMENT) {
            Err(OpenError::Damaged { stable, .. }) => assert_eq!(stable, LogIndex(3)),
            Ok((journal, _)) => {
                padding += 1;
                assert_eq!(read(&journal, 1).unwrap().len(), 3);
            }
            Err(error) => panic!("byte {offset}: {error}"),
        }
    }
    assert!(padding < 24, "{padding} bytes are not covered");
    // It is one batch among others: what follows is found, and a torn one is no harm.
    let (mut journal, recovery) = open(&disk, SEGMENT).unwrap();
    assert!(recovery.cuts.is_empty());
    append(&mut journal, 2, 2).unwrap();
    assert_eq!(read(&journal, 1).unwrap().len(), 5);
    drop(journal);
    assert_eq!(open(&disk, SEGMENT).unwrap().1.last, LogIndex(5));
}

/// A torn write does not make a file shorter.
#[test]
fn a_segment_that_lacks_its_end_is_refused_unless_only_zeroes_are_missing() {
    let (whole, second) = two_batches();
    for length in [FIRST_BATCH, second - 8, second, second + 8] {
        let disk = whole.fork();
        let file = disk.dir().open("segment-0000000000000001", env::OpenMode::ReadWrite).unwrap();
        file.set_len(length).unwrap();
        let error = open(&disk, SEGMENT).map(drop).unwrap_err();
        assert!(matches!(error, OpenError::Short { found, made: SEGMENT, .. } if found == length), "{error}");
    }
    let disk = whole.fork();
    let file = disk.dir().open("segment-0000000000000001", env::OpenMode::ReadWrite).unwrap();
    file.set_len(SEGMENT - 8).unwrap();
    let (mut journal, recovery) = open(&disk, SEGMENT).unwrap();
    assert_eq!(recovery.last, LogIndex(5));
    append(&mut journal, 3, 1).unwrap();
    assert_eq!(read(&journal, 1).unwrap().len(), 8);
}

#[test]
fn a_flipped_bit_above_what_is_known_durable_is_cut_and_kept_aside() {
    let (disk, second) = two_batches();
    let end = {
        let bytes = disk.contents("segment-0000000000000001").unwrap();
        bytes.iter().rposition(|byte| *byte != 0).unwrap() as u64
    };
    for offset in second..=end {
        let disk = disk.fork();
        let name = "segment-0000000000000001";
        disk.flip_bit(name, offset, offset as u32 % 8).unwrap();
        let damaged = disk.contents(name).unwrap();
        let (journal, recovery) = open(&disk, SEGMENT).unwrap();
        if recovery.last == LogIndex(5) {
            continue; // padding
        }
        assert_eq!(recovery.last, LogIndex(3), "byte {offset}");
        assert_eq!(recovery.cuts.len(), 1, "byte {offset}");
        let cut = &recovery.cuts[0];
        assert_eq!((cut.segment.as_str(), cut.offset, cut.index), (name, second, LogIndex(4)));
        assert!(cut.kept_as.starts_with("cut-4-"));
        assert_eq!(disk.contents(&cut.kept_as).unwrap(), damaged[second as usize..]);
        assert_eq!(read(&journal, 1).unwrap().len(), 3);
        drop(journal);
        check_and_go_on(&disk, 3, 3, &format!("byte {offset}"));
    }
}

#[test]
fn a_log_that_lacks_what_the_caller_knows_of_is_refused_and_left_as_it_is() {
    let (disk, second) = two_batches();
    let name = "segment-0000000000000001";
    disk.flip_bit(name, second + 40, 3).unwrap();
    let damaged = disk.contents(name).unwrap();
    let needed = |first, last| {
        let needed = Needed { first: LogIndex(first), last: LogIndex(last) };
        Journal::open(disk.dir(), Options { needed, ..options(SEGMENT) }).map(|(_, recovery)| recovery.last)
    };
    let ends_early = needed(1, 4);
    assert!(matches!(ends_early, Err(OpenError::Damaged { stable: LogIndex(4), .. })), "{ends_early:?}");
    let begins_late = needed(0, 3);
    assert!(matches!(begins_late, Err(OpenError::Gap { first: LogIndex(1), .. })), "{begins_late:?}");
    assert_eq!(disk.contents(name).unwrap(), damaged);
    assert_eq!(files(&*disk.dir(), "cut-"), Vec::<String>::new());
    assert_eq!(needed(1, 3).unwrap(), LogIndex(3), "the tail may go");
    assert_ne!(disk.contents(name).unwrap(), damaged);
}

#[test]
fn later_segments_say_what_was_durable_in_damaged_earlier_ones() {
    let disk = disk_with(1, SEGMENT, &[6, 6, 6, 6, 6, 6], 6);
    let names = files(&*disk.dir(), "segment-");
    assert!(names.len() >= 3);
    for name in &names[..names.len() - 1] {
        let disk = disk.fork();
        disk.overwrite(name, FIRST_BATCH, &[0; 48]).unwrap();
        let Err(OpenError::Damaged { file, .. }) = open(&disk, SEGMENT).map(drop) else {
            panic!("{name} is damaged")
        };
        assert!(file <= *name);
    }
}

#[test]
fn whole_later_segments_that_were_never_durable_are_cut() {
    let disk = disk_with(1, SEGMENT, &[6, 6, 6, 6, 6, 6], 1);
    let names = files(&*disk.dir(), "segment-");
    disk.overwrite(&names[1], FIRST_BATCH, &[0; 48]).unwrap();
    let (journal, recovery) = open(&disk, SEGMENT).unwrap();
    assert!(recovery.last.0 >= 6 && recovery.last.0 < 36);
    assert_eq!(recovery.cuts.len(), names.len() - 1, "{:?}", recovery.cuts);
    assert_eq!(files(&*disk.dir(), "cut-").len(), names.len() - 1);
    let last = recovery.last.0;
    drop(journal);
    check_and_go_on(&disk, last, last, "after the cut");
}

#[test]
fn damage_found_while_reading_names_the_record() {
    let disk = SimDisk::new(1, "log");
    let (mut journal, _) = open(&disk, SEGMENT).unwrap();
    append(&mut journal, 3, 1).unwrap();
    disk.flip_bit("segment-0000000000000001", FIRST_BATCH + 60, 1).unwrap();
    let error = read(&journal, 1).unwrap_err();
    assert!(matches!(error, ReplayError::Damaged { index: LogIndex(1), offset: FIRST_BATCH, .. }), "{error}");
}

#[test]
fn noise_is_refused_or_cut_but_never_read() {
    let disk = disk_with(1, SEGMENT, &[6, 6, 6, 6, 6, 6], 3);
    let names = files(&*disk.dir(), "segment-");
    let (env, _world) = Env::simulated(5);
    let draw = |limit: u64| env.seed.next_u64() % limit;
    for round in 0..400 {
        let disk = disk.fork();
        let name = &names[draw(names.len() as u64) as usize];
        let noise: Vec<u8> = (0..1 + draw(64)).flat_map(|_| env.seed.next_u64().to_le_bytes()).collect();
        let at = draw(SEGMENT - noise.len() as u64);
        disk.overwrite(name, at, &noise).unwrap();
        if round % 5 == 0 {
            let file = disk.dir().open(name, env::OpenMode::ReadWrite).unwrap();
            file.set_len(draw(2 * SEGMENT)).unwrap();
        }
        if let Ok((journal, recovery)) = open(&disk, SEGMENT) {
            assert!(recovery.last.0 <= 36);
            assert_eq!(read(&journal, 1).unwrap().len() as u64, recovery.last.0, "round {round}");
        }
    }
}

#[test]
fn a_file_of_noise_in_place_of_a_segment_is_refused() {
    let (env, _world) = Env::simulated(6);
    for round in 0..50 {
        let disk = SimDisk::new(round, "log");
        let noise: Vec<u8> = (0..600).flat_map(|_| env.seed.next_u64().to_le_bytes()).collect();
        let file = disk.dir().open("segment-0000000000000001", env::OpenMode::Create).unwrap();
        file.write_at(&noise[..(round as usize * 97) % noise.len()], 0).unwrap();
        assert!(Journal::open(disk.dir(), options(SEGMENT)).is_err());
    }
}
