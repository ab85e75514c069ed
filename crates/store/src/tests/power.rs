//! Kills and power cuts at every write, while working and while recovering.
//!
//! What must hold afterwards: a byte that was synced and not changed since is exact; a byte of an
//! unsynced change is one of the values it had since the last sync; no page is called corrupt; a raise
//! that is found was cut in full; a second recovery finds what the first one left.

use super::model::{Op, chunk_id, ops, payload, version};
use crate::testing::*;
use crate::{Disk, StoreError};
use env::SimDisk;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::Arc;
use types::CHUNK_BYTES;

const PIECE: u64 = 4096;

/// What a chunk may be found as.
#[derive(Clone, Default)]
struct Chunk {
    /// The version answered last, and the one of an unanswered raise.
    version: u32,
    raising: Option<u32>,
    /// It was synced since it was made.
    synced: bool,
    /// Per piece of 4 KiB that was ever written: the values since the last sync, oldest first.
    pieces: BTreeMap<u64, Vec<Vec<u8>>>,
    /// The cut of an unanswered raise.
    cut: Option<(u64, u64)>,
}

impl Chunk {
    fn change(&mut self, offset: u64, data: &[u8]) {
        let end = offset + data.len() as u64;
        for piece in offset / PIECE..end.div_ceil(PIECE) {
            let base = piece * PIECE;
            let values = self.pieces.entry(piece).or_insert_with(|| vec![vec![0; PIECE as usize]]);
            let mut next = values.last().cloned().unwrap();
            let (from, to) = (offset.max(base), end.min(base + PIECE));
            next[(from - base) as usize..(to - base) as usize]
                .copy_from_slice(&data[(from - offset) as usize..(to - offset) as usize]);
            values.push(next);
        }
    }
    /// Only the last value may be found from now on.
    fn settle(&mut self) {
        for values in self.pieces.values_mut() {
            values.drain(..values.len() - 1);
        }
    }
    /// Only what a killed process leaves: the last answered value, and that of the change under way.
    fn settle_but(&mut self, under_way: bool) {
        for values in self.pieces.values_mut() {
            let keep = if under_way { 2 } else { 1 };
            values.drain(..values.len().saturating_sub(keep));
        }
    }
}

/// Does the operations until the first error; says whether all were done.
fn work(disk: &Disk, ops: &[Op], chunks: &mut [Chunk; 3]) -> bool {
    for op in ops {
        let done = match op {
            Op::Write { chunk, offset, length, seed } => {
                let data = payload(*seed, *length);
                let model = &mut chunks[*chunk as usize];
                model.version = model.version.max(1);
                model.change(*offset, &data);
                write(disk, chunk_id(*chunk), version(model.version), *offset, &data).is_ok()
            }
            Op::Cut { chunk, from, length } => {
                let model = &mut chunks[*chunk as usize];
                if model.version == 0 {
                    continue;
                }
                let next = model.version + 1;
                (model.raising, model.cut) = (Some(next), Some((*from, from + length)));
                // Only pieces that were ever written can change.
                for piece in model.pieces.clone().into_keys() {
                    let (a, b) = ((piece * PIECE).max(*from), ((piece + 1) * PIECE).min(from + length));
                    if a < b {
                        model.change(a, &vec![0; (b - a) as usize]);
                    }
                }
                let cut = [(*from, from + length)];
                let done = disk.raise(chunk_id(*chunk), version(next - 1), version(next), &cut).is_ok();
                if done {
                    (model.version, model.raising, model.cut, model.synced) = (next, None, None, true);
                    model.settle();
                }
                done
            }
            Op::Sync { chunk } => {
                let model = &mut chunks[*chunk as usize];
                match disk.sync(chunk_id(*chunk), version(model.version.max(1))) {
                    Ok(()) => {
                        model.synced = true;
                        model.settle();
                        true
                    }
                    Err(StoreError::Absent { .. }) => true,
                    Err(_) => false,
                }
            }
            Op::Checkpoint => disk.checkpoint().is_ok(),
            Op::Reopen { .. } | Op::Verify { .. } => continue,
        };
        if !done {
            return false;
        }
    }
    true
}

/// Checks a recovered disk; returns the pages found.
fn check(disk: &Disk, chunks: &[Chunk; 3], power_lost: bool) -> BTreeMap<(usize, u64), Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut listed = Vec::new();
    disk.inventory(&mut |entry| {
        assert!(!entry.bad && !entry.damaged, "{entry:?}");
        listed.push(entry.chunk);
    })
    .unwrap();
    for (n, model) in chunks.iter().enumerate() {
        let chunk = chunk_id(n as u64);
        let at = match disk.entry(chunk) {
            Ok(entry) => entry.version,
            Err(StoreError::Absent { .. }) => {
                assert!(!model.synced, "chunk {chunk} was synced and is gone");
                assert!(!listed.contains(&chunk));
                continue;
            }
            Err(error) => panic!("chunk {chunk}: {error}"),
        };
        assert!(listed.contains(&chunk), "chunk {chunk} is not in the inventory");
        // There is no other replica to ask.
        disk.keep_torn(chunk, at).unwrap();
        assert!(!disk.entry(chunk).unwrap().torn);
        let raised = model.raising.map(version) == Some(at);
        assert!(raised || at == version(model.version), "chunk {chunk} is at {at}");
        assert!(
            disk.verify(chunk, at, 0, CHUNK_BYTES).unwrap().is_empty(),
            "chunk {chunk} has corrupt pages"
        );
        for (piece, values) in &model.pieces {
            let bytes = read(disk, chunk, at, piece * PIECE, PIECE as u32);
            let right = (0..PIECE as usize).all(|i| values.iter().any(|value| value[i] == bytes[i]));
            assert!(
                right,
                "page {piece} of chunk {chunk} holds what was never there (power lost: {power_lost})"
            );
            if let Some((from, to)) = model.cut.filter(|_| raised) {
                for (i, byte) in bytes.iter().enumerate() {
                    let place = piece * PIECE + i as u64;
                    assert!(*byte == 0 || !(from..to).contains(&place), "byte {place} survived its cut");
                }
            }
            found.insert((n, *piece), bytes);
        }
    }
    found
}

fn recovered(sim: &SimDisk, power_lost: bool) -> Disk {
    let (disk, report) = open(&sim.dir());
    assert_eq!(report.rotten_pages, 0, "{report:?}");
    assert!(!report.clean);
    assert_eq!(report.power_lost, power_lost);
    disk
}

/// Runs `ops` on a fresh disk, stops at the `stop`th change, and checks. False if there was no such change.
fn stopped_at(seed: u64, ops: &[Op], stop: u64, power_lost: bool) -> bool {
    let sim = SimDisk::new(seed, "disk");
    format(&sim.dir());
    let (disk, _) = open(&sim.dir());
    let mut chunks: [Chunk; 3] = Default::default();
    sim.stop_after_writes(stop);
    let all = work(&disk, ops, &mut chunks);
    // A killed process leaves everything to the kernel, until power is lost as well.
    let after_power_cut = chunks.clone();
    if power_lost {
        sim.power_cut();
    } else {
        sim.kill();
        for model in &mut chunks {
            model.settle_but(!all);
        }
    }
    drop(disk);
    // Recovery itself may be stopped, too.
    let again = sim.fork();
    let first = check(&recovered(&sim, power_lost), &chunks, power_lost);
    sim.power_cut();
    let second = check(&recovered(&sim, true), &chunks, true);
    assert_eq!(first, second, "what one recovery left, the next one finds");
    again.stop_after_writes(stop % 9);
    let half = Disk::open(again.dir(), Default::default());
    again.power_cut();
    drop(half);
    check(&open(&again.dir()).0, &after_power_cut, true);
    !all
}

/// At each change, so many draws of what the loss of power takes and tears.
fn at_every_change(seed: u64, ops: &[Op], step: usize, draws: u64) {
    for stop in (0u64..).step_by(step) {
        let seed = seed.wrapping_add(stop.wrapping_mul(1_000));
        let lost = (0..draws).fold(false, |lost, draw| lost | stopped_at(seed + draw, ops, stop, true));
        let killed = stopped_at(seed, ops, stop, false);
        if !lost && !killed {
            return;
        }
    }
}

/// New chunk, sync, change in place across a region's and a table page's border, cut, raise, more.
fn script() -> Vec<Op> {
    let write = |chunk, offset, length, seed| Op::Write { chunk, offset, length, seed };
    vec![
        write(0, 0, 5000, 1),
        write(0, 4096, 70_000, 2),
        Op::Sync { chunk: 0 },
        write(0, 100, 9000, 3),
        Op::Checkpoint,
        write(0, 2000, 9000, 5),
        write(0, (4 << 20) - 5000, 10_000, 6),
        write(1, 3, 20, 7),
        Op::Sync { chunk: 0 },
        write(0, (31 << 16) - 5000, 10_000, 9),
        write(0, 0, 8192, 8),
        Op::Cut { chunk: 0, from: 1000, length: 50_000 },
        write(0, 30_000, 5000, 10),
        Op::Sync { chunk: 1 },
        Op::Checkpoint,
        write(1, 0, 4096, 11),
        Op::Cut { chunk: 1, from: 10, length: 5 },
        write(0, 30_000, 5000, 13),
    ]
}

#[test]
fn a_stop_at_any_write_of_a_script_leaves_what_was_synced() {
    at_every_change(1000, &script(), 1, u64::from(cases(6).cases));
}

/// Does the steps on a disk with two synced replicas until one fails; how many were done.
fn administer(disk: &Disk) -> usize {
    let steps: [&dyn Fn() -> Result<(), StoreError>; 9] = [
        &|| disk.set_registrations(1),
        &|| disk.begin_filling(CHUNK, V2, 5).map(drop),
        &|| write(disk, CHUNK, V2, 0, &pattern(7, 9_000)),
        &|| disk.complete(CHUNK, V2),
        &|| disk.delete(chunk_id(0), version(1), 77).map(drop),
        &|| disk.quarantine(chunk_id(1)),
        &|| disk.set_registrations(2),
        &|| disk.purge_deleted(100).map(drop),
        &|| disk.checkpoint(),
    ];
    steps.iter().take_while(|step| step().is_ok()).count()
}

#[test]
fn a_power_cut_at_any_write_of_what_masters_order_leaves_each_step_done_or_not() {
    for stop in 0u64.. {
        let mut all = true;
        for draw in 0..8 {
            let sim = SimDisk::new(9_000 + 10 * stop + draw, "disk");
            format(&sim.dir());
            let (disk, _) = open(&sim.dir());
            for n in 0..2 {
                write(&disk, chunk_id(n), version(1), 0, b"there from the start").unwrap();
                disk.sync(chunk_id(n), version(1)).unwrap();
            }
            sim.stop_after_writes(stop);
            let done = administer(&disk);
            all &= done == 9;
            sim.power_cut();
            drop(disk);
            let what = format!("stop {stop}, draw {draw}, {done} steps done");
            let disk = recovered(&sim, true);
            let counters = [u64::from(done > 0) + u64::from(done > 6), 1 + u64::from(done >= 6)];
            assert!((counters[0]..=counters[1]).contains(&disk.registrations()), "{what}");
            match disk.entry(CHUNK) {
                Ok(entry) if entry.state == crate::ReplicaState::Complete => {
                    assert!(done >= 3, "{what}");
                    disk.check(CHUNK, V2).unwrap();
                    assert_eq!(read(&disk, CHUNK, V2, 0, 9_000), pattern(7, 9_000), "{what}");
                }
                // Never read; gone on with, or begun anew.
                Ok(entry) => {
                    assert!(done < 4 && entry.state == crate::ReplicaState::Filling, "{what}: {entry:?}");
                    assert_ne!(disk.begin_filling(CHUNK, V2, 6).unwrap(), crate::FillStart::Complete);
                }
                Err(StoreError::Absent { .. }) => assert!(done < 4, "{what}"),
                Err(error) => panic!("{what}: {error}"),
            }
            for (n, gone_after) in [(0, 4), (1, 5)] {
                match disk.entry(chunk_id(n)) {
                    Ok(_) => assert_eq!(read(&disk, chunk_id(n), version(1), 0, 5), b"there", "{what}"),
                    Err(StoreError::Absent { .. }) => {
                        assert!(done >= gone_after, "{what}: chunk {n} is gone")
                    }
                    Err(error) => panic!("{what}: {error}"),
                }
            }
        }
        if all {
            return;
        }
    }
}

/// Makes the first pages of a replica what another one has; how many steps were done.
fn follow(disk: &Disk, new: &[u8]) -> usize {
    let steps: [&dyn Fn() -> Result<(), StoreError>; 5] = [
        &|| disk.mark(CHUNK, V1),
        &|| disk.renew(CHUNK, V1),
        &|| write(disk, CHUNK, V1, 0, new),
        &|| disk.sync(CHUNK, V1),
        &|| disk.clear_marked(CHUNK, V1),
    ];
    steps.iter().take_while(|step| step().is_ok()).count()
}

#[test]
fn a_stop_at_any_write_of_a_repair_leaves_no_changed_byte_under_the_name_of_before() {
    let (old, new) = (pattern(1, 200_000), pattern(2, 8_192));
    for stop in 0u64.. {
        let mut all = true;
        for draw in 0..8 {
            let (sim, power_lost) = (SimDisk::new(7_000 + 10 * stop + draw, "disk"), draw > 0);
            format(&sim.dir());
            let (disk, _) = open(&sim.dir());
            write(&disk, CHUNK, V1, 0, &old).unwrap();
            disk.sync(CHUNK, V1).unwrap();
            let before = disk.verifier(CHUNK).unwrap();
            sim.stop_after_writes(stop);
            let done = follow(&disk, &new);
            all &= done == 5;
            if power_lost {
                sim.power_cut()
            } else {
                sim.kill()
            }
            drop(disk);
            let what = format!("stop {stop}, draw {draw}, {done} steps done");
            let disk = recovered(&sim, power_lost);
            let entry = disk.entry(CHUNK).unwrap();
            assert!(!entry.damaged && !entry.bad, "{what}: {entry:?}");
            disk.keep_torn(CHUNK, V1).unwrap();
            let bytes = read(&disk, CHUNK, V1, 0, old.len() as u32);
            assert!(bytes[new.len()..] == old[new.len()..], "{what}: what is not repaired stays");
            if bytes[..new.len()] != old[..new.len()] {
                assert!(done >= 2, "{what}: it was changed before it was named anew");
                assert_ne!(disk.verifier(CHUNK).unwrap(), before, "{what}");
                assert!(entry.marked || done >= 4, "{what}: half a repair, and nobody is told");
            }
            if done >= 4 {
                assert!(bytes[..new.len()] == new, "{what}: it was synced");
            }
        }
        if all {
            return;
        }
    }
}

#[test]
fn a_power_cut_at_any_write_of_stamping_leaves_a_blank_directory_or_a_disk() {
    for stop in 0u64.. {
        let mut all = true;
        for draw in 0..20 {
            let sim = SimDisk::new(500 * stop + draw, "disk");
            sim.stop_after_writes(stop);
            let format = crate::Format { cluster: CLUSTER, disk: DISK };
            let done = Disk::format(sim.dir(), format).is_ok();
            all &= done;
            sim.power_cut();
            let options = crate::DiskOptions { index_in_memory: true, ..Default::default() };
            match Disk::open(sim.dir(), options) {
                Ok(opened) => assert_eq!(opened.disk.id(), DISK),
                Err(crate::OpenDiskError::Blank { .. }) => {
                    assert!(!done, "stop {stop}, draw {draw}: it said that it was done");
                    Disk::format(sim.dir(), format).unwrap();
                }
                Err(error) => panic!("stop {stop}, draw {draw}: {error}"),
            }
        }
        if all {
            return;
        }
    }
}

proptest! {
    #![proptest_config(cases(4))]

    #[test]
    fn a_stop_at_any_write_of_random_work_leaves_what_was_synced(ops in ops(5..25), seed in any::<u32>()) {
        at_every_change(seed.into(), &ops, 3, 1);
    }
}

#[test]
fn a_failed_fdatasync_makes_the_replica_bad_for_good() {
    let sim = SimDisk::new(3, "disk");
    format(&sim.dir());
    let (disk, _) = open(&sim.dir());
    write(&disk, CHUNK, V1, 0, b"synced").unwrap();
    disk.sync(CHUNK, V1).unwrap();
    write(&disk, CHUNK, V1, 0, b"lost!!").unwrap();
    sim.inject(env::Fault { path: "chunks".to_owned(), effort: env::Effort::Sync, skip: 0, count: 1 });
    assert!(matches!(disk.sync(CHUNK, V1), Err(StoreError::Disk { .. })));
    assert!(matches!(disk.sync(CHUNK, V1), Err(StoreError::Bad { .. })));
    assert!(matches!(disk.read(CHUNK, V1, 0, 6), Err(StoreError::Bad { .. })));
    assert!(matches!(write(&disk, CHUNK, V1, 0, b"again!"), Err(StoreError::Bad { .. })));
    assert!(matches!(disk.raise(CHUNK, V1, V2, &[]), Err(StoreError::Bad { .. })));
    assert!(disk.entry(CHUNK).unwrap().bad);
    disk.close().unwrap();
    drop(disk);
    let (disk, _) = open(&sim.dir());
    assert!(disk.entry(CHUNK).unwrap().bad, "also after a restart");
    disk.delete(CHUNK, V1, 0).unwrap();
    write(&disk, CHUNK, V2, 0, b"anew").unwrap();
    assert_eq!(read(&disk, CHUNK, V2, 0, 4), b"anew");
}

/// The kernel forgets what it could not write and goes on showing it: another fdatasync finds nothing to do.
#[test]
fn what_a_failed_fdatasync_left_in_the_page_cache_is_written_again_after_a_kill() {
    let sim = SimDisk::new(11, "disk");
    format(&sim.dir());
    let (disk, _) = open(&sim.dir());
    write(&disk, CHUNK, V1, 0, &pattern(1, 100_000)).unwrap();
    disk.sync(CHUNK, V1).unwrap();
    write(&disk, CHUNK, V1, 50_000, &pattern(2, 100_000)).unwrap();
    for effort in [env::Effort::Sync, env::Effort::Write] {
        sim.inject(env::Fault { path: "chunks".to_owned(), effort, skip: 0, count: 1 });
    }
    assert!(disk.sync(CHUNK, V1).is_err());
    drop(disk);
    sim.kill();
    sim.clear_faults();
    let (disk, _) = open(&sim.dir());
    assert!(!disk.entry(CHUNK).unwrap().bad, "its header could not say so");
    let found = read(&disk, CHUNK, V1, 0, 150_000);
    drop(disk);
    sim.power_cut();
    let (disk, _) = open(&sim.dir());
    assert_eq!(disk.torn_pages(CHUNK, V1).unwrap(), []);
    assert_eq!(read(&disk, CHUNK, V1, 0, 150_000), found);
}

#[test]
fn a_full_disk_refuses_writes_and_harms_nothing() {
    let sim = SimDisk::new(4, "disk");
    format(&sim.dir());
    let (disk, _) = open(&sim.dir());
    sim.set_capacity(8 << 20);
    let mut stored = 0;
    let full = loop {
        match write(&disk, CHUNK, V1, stored, &pattern(stored, 100_000)) {
            Ok(()) => stored += 100_000,
            Err(error) => break error,
        }
    };
    assert!(matches!(full, StoreError::NoSpace), "{full}");
    assert!(stored > 6 << 20);
    for at in (0..stored).step_by(100_000) {
        assert_eq!(read(&disk, CHUNK, V1, at, 100_000), pattern(at, 100_000));
    }
    disk.sync(CHUNK, V1).unwrap();
    let before = disk.space().unwrap();
    assert_eq!(before.deleted_bytes, 0);
    disk.delete(CHUNK, V1, 1).unwrap();
    let held = disk.space().unwrap();
    assert!(held.deleted_bytes >= stored, "what waits in deleted/ can be had: {held:?}");
    drop(disk);
    let (disk, _) = open(&sim.dir());
    assert_eq!(disk.space().unwrap(), held, "also after a restart");
    assert_eq!(disk.purge_for_space(1 << 20).unwrap().bytes, held.deleted_bytes);
    assert_eq!(disk.space().unwrap().deleted_bytes, 0);
    write(&disk, CHUNK, V2, 0, b"room again").unwrap();
}

#[test]
fn a_disk_that_others_fill_refuses_writes_although_it_had_room_a_moment_ago() {
    let sim = SimDisk::new(4, "disk");
    format(&sim.dir());
    let (disk, _) = open(&sim.dir());
    write(&disk, CHUNK, V1, 0, &pattern(1, 100_000)).unwrap();
    disk.sync(CHUNK, V1).unwrap();
    for room in [0, 60_000] {
        sim.set_capacity(sim.used_bytes() + room);
        let refused = write(&disk, CHUNK, V1, 1 << 20, &pattern(2, 100_000)).unwrap_err();
        assert!(matches!(refused, StoreError::NoSpace), "{refused}");
        let entry = disk.entry(CHUNK).unwrap();
        assert!(!entry.bad && !entry.damaged && !disk.is_worn_out(), "{entry:?}");
        assert_eq!(read(&disk, CHUNK, V1, 0, 100_000), pattern(1, 100_000));
        sim.set_capacity(1 << 40);
        write(&disk, CHUNK, V1, 0, &pattern(1, 100_000)).unwrap();
    }
    disk.sync(CHUNK, V1).unwrap();
    disk.check(CHUNK, V1).unwrap();
}

#[test]
fn a_write_that_fails_half_way_leaves_pages_that_match() {
    for skip in 0..6 {
        let sim = SimDisk::new(5 + skip, "disk");
        format(&sim.dir());
        let (disk, _) = open(&sim.dir());
        let old = pattern(1, 50_000);
        write(&disk, CHUNK, V1, 0, &old).unwrap();
        disk.sync(CHUNK, V1).unwrap();
        sim.inject(env::Fault { path: "chunks".to_owned(), effort: env::Effort::Write, skip, count: 1 });
        let new = pattern(2, 3 << 20);
        let mut failed = false;
        for (n, piece) in new.chunks(1 << 20).enumerate() {
            failed |= write(&disk, CHUNK, V1, 100 + (n << 20) as u64, piece).is_err();
        }
        assert!(failed);
        sim.clear_faults();
        assert!(disk.verify(CHUNK, V1, 0, CHUNK_BYTES).unwrap().is_empty(), "after write {skip} failed");
        write(&disk, CHUNK, V1, 100, b"goes on").unwrap();
        disk.sync(CHUNK, V1).unwrap();
    }
}

#[test]
fn a_resident_read_never_waits_for_the_device() {
    let sim = SimDisk::new(6, "disk");
    format(&sim.dir());
    let (disk, _) = open(&sim.dir());
    write(&disk, CHUNK, V1, 0, b"data").unwrap();
    assert!(disk.read_resident(CHUNK, V1, 0, 4).unwrap().is_ok());
    sim.set_resident(false);
    assert!(disk.read_resident(CHUNK, V1, 0, 4).is_none());
    assert!(disk.read_resident(CHUNK, V1, 8192, 4).unwrap().unwrap().zeroes, "a hole needs no device");
}

#[test]
fn unsupported_filesystems_are_refused_with_the_line_to_type() {
    let sim = SimDisk::new(7, "disk");
    sim.set_filesystem("vfat");
    let format = crate::Format { cluster: CLUSTER, disk: DISK };
    let error = Disk::format(Arc::clone(&sim.dir()), format).unwrap_err();
    assert!(error.to_string().contains("mkfs.ext4"), "{error}");
}
