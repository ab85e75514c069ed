//! Random operations against a model in memory, on a simulated disk and on a real one.

use crate::testing::*;
use crate::{Disk, StoreError};
use env::{Dir, SimDisk};
use proptest::prelude::*;
use std::sync::Arc;
use types::{CHUNK_BYTES, ChunkId, Term, Version};

/// One operation on one of three chunks. Places are drawn from the first pages, from both sides of a
/// table page's border and of a region's, and from the end.
#[derive(Clone, Debug)]
pub(super) enum Op {
    Write { chunk: u64, offset: u64, length: usize, seed: u64 },
    Cut { chunk: u64, from: u64, length: u64 },
    Sync { chunk: u64 },
    Checkpoint,
    Reopen { clean: bool },
    Verify { chunk: u64 },
}

pub(super) fn ops(count: std::ops::Range<usize>) -> impl Strategy<Value = Vec<Op>> {
    let place = prop_oneof![
        0..20_000_u64,
        (31 << 16) - 9_000..(31_u64 << 16) + 9_000,
        (4 << 20) - 9_000..(4_u64 << 20) + 9_000,
        CHUNK_BYTES - 20_000..CHUNK_BYTES,
    ];
    let length = prop_oneof![1..300_usize, Just(4096), 1..20_000_usize, 60_000..150_000_usize];
    let op = prop_oneof![
        6 => (0..3_u64, place.clone(), length, any::<u64>(), any::<bool>()).prop_map(
            |(chunk, offset, length, seed, aligned)| {
                let offset = if aligned { offset / 4096 * 4096 } else { offset };
                let length = length.min((CHUNK_BYTES - offset) as usize);
                Op::Write { chunk, offset, length, seed }
            }
        ),
        2 => (0..3_u64, place, 1..200_000_u64).prop_map(|(chunk, from, length)| {
            Op::Cut { chunk, from, length: length.min(CHUNK_BYTES - from) }
        }),
        2 => (0..3_u64).prop_map(|chunk| Op::Sync { chunk }),
        1 => Just(Op::Checkpoint),
        1 => any::<bool>().prop_map(|clean| Op::Reopen { clean }),
        1 => (0..3_u64).prop_map(|chunk| Op::Verify { chunk }),
    ];
    proptest::collection::vec(op, count)
}

pub(super) fn chunk_id(chunk: u64) -> ChunkId {
    ChunkId(1 << 40 | (chunk + 1))
}

pub(super) fn version(counter: u32) -> Version {
    Version { term: Term(1), counter }
}

/// Data of an operation: some of it is zeroes.
pub(super) fn payload(seed: u64, length: usize) -> Vec<u8> {
    let mut data = pattern(seed, length);
    if seed.is_multiple_of(4) {
        let middle = length / 2;
        data[middle..].fill(0);
    }
    data
}

struct Model {
    version: u32,
    data: Vec<u8>,
}

fn run(dir: &Arc<dyn Dir>, ops: &[Op], restarted: impl Fn() -> Arc<dyn Dir>) {
    format(dir);
    let (mut disk, _) = open(dir);
    let mut models: [Option<Model>; 3] = [None, None, None];
    for op in ops {
        match op {
            Op::Write { chunk, offset, length, seed } => {
                let model = models[*chunk as usize]
                    .get_or_insert_with(|| Model { version: 1, data: vec![0; CHUNK_BYTES as usize] });
                let data = payload(*seed, *length);
                write(&disk, chunk_id(*chunk), version(model.version), *offset, &data).unwrap();
                model.data[*offset as usize..*offset as usize + length].copy_from_slice(&data);
                let wanted = &model.data[*offset as usize..*offset as usize + length];
                assert_eq!(
                    read(&disk, chunk_id(*chunk), version(model.version), *offset, *length as u32),
                    wanted
                );
            }
            Op::Cut { chunk, from, length } => {
                let Some(model) = &mut models[*chunk as usize] else { continue };
                let next = model.version + 1;
                let cut = [(*from, from + length)];
                disk.raise(chunk_id(*chunk), version(model.version), version(next), &cut).unwrap();
                model.version = next;
                model.data[*from as usize..(from + length) as usize].fill(0);
            }
            Op::Sync { chunk } => {
                let known = models[*chunk as usize].as_ref().map_or(1, |model| model.version);
                match disk.sync(chunk_id(*chunk), version(known)) {
                    Err(StoreError::Absent { .. }) => assert!(models[*chunk as usize].is_none()),
                    other => other.unwrap(),
                }
            }
            Op::Checkpoint => disk.checkpoint().unwrap(),
            Op::Reopen { clean } => {
                if *clean {
                    disk.close().unwrap();
                }
                drop(disk);
                let report;
                (disk, report) = open(&restarted());
                assert_eq!((report.torn_pages, report.rotten_pages, report.stubs), (0, 0, 0));
                assert_eq!((report.clean, report.power_lost), (*clean, false));
            }
            Op::Verify { chunk } => {
                let Some(model) = &models[*chunk as usize] else { continue };
                assert!(
                    disk.verify(chunk_id(*chunk), version(model.version), 0, CHUNK_BYTES).unwrap().is_empty()
                );
            }
        }
    }
    let mut entries = 0;
    disk.inventory(&mut |entry| {
        entries += 1;
        assert!(!entry.bad && !entry.damaged && !entry.torn);
    })
    .unwrap();
    assert_eq!(entries, models.iter().flatten().count());
    for (chunk, model) in models.iter().enumerate() {
        let Some(model) = model else { continue };
        let (chunk, version) = (chunk_id(chunk as u64), version(model.version));
        assert!(read_all(&disk, chunk, version) == model.data, "chunk {chunk} differs from the model");
        assert_eq!(disk.chunk_value(chunk, version).unwrap(), *blake3::hash(&model.data).as_bytes());
    }
}

proptest! {
    #![proptest_config(cases(24))]

    #[test]
    fn a_simulated_disk_holds_what_the_model_holds(ops in ops(1..40)) {
        let sim = SimDisk::new(1, "disk");
        run(&sim.dir(), &ops, || sim.dir());
    }
}

proptest! {
    #![proptest_config(cases(8))]

    #[test]
    fn a_real_disk_holds_what_the_model_holds(ops in ops(1..40)) {
        let (_guard, dir) = temporary();
        run(&dir, &ops, || Arc::clone(&dir));
    }
}

#[test]
fn a_disk_is_usable_from_many_threads() {
    fn check<T: Send + Sync>() {}
    check::<Disk>();
}
