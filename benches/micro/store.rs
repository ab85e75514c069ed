//! One disk in a real directory, with one whole chunk: writes, reads from the page cache, syncs, the chunk's value.
//!
//! The writes repeat what is there, so the chunk's content is known in the end.

#![allow(clippy::unwrap_used, reason = "a bench that cannot go on stops")]

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use micro::{Place, SIZES, content};
use std::hint::black_box;
use store::{Disk, DiskOptions, Format, ReadBack, Write};
use types::{CHUNK_BYTES, ChunkId, ClusterId, DiskId, PAYLOAD_BYTES_MAX, Term, Version};

const CLUSTER: ClusterId = ClusterId([0xc1; 16]);
const CHUNK: ChunkId = ChunkId((1 << 40) | 7);
/// Only for syncs, which are to find nothing dirty but what they measure.
const SYNCED: ChunkId = ChunkId((1 << 40) | 8);
const VERSION: Version = Version { term: Term(1), counter: 1 };

/// A part of a chunk with its checksums, as a frame brings it.
struct Piece<'a> {
    offset: u64,
    data: &'a [u8],
    page_crcs: Vec<u32>,
    block_values: Vec<[u8; 32]>,
}

fn pieces(data: &[u8], length: usize) -> Vec<Piece<'_>> {
    let piece = |(data, n)| {
        let offset = n * length as u64;
        let page_crcs = wire::crc::page_crcs(offset, data);
        Piece { offset, data, page_crcs, block_values: wire::value::block_values(offset, data) }
    };
    data.chunks_exact(length).zip(0..).map(piece).collect()
}

/// `pending`: the values are not sent along, so that they must be computed when somebody asks.
fn write(disk: &Disk, chunk: ChunkId, piece: &Piece<'_>, pending: bool) {
    let block_values = if pending { &[][..] } else { &piece.block_values };
    let Piece { offset, data, page_crcs, .. } = piece;
    let write =
        Write { chunk, version: VERSION, offset: *offset, data, page_crcs, block_values, create: true };
    disk.write(&write).unwrap();
}

/// As a chunkserver reads: what is not resident is waited for.
fn read(disk: &Disk, offset: u64, length: usize) -> ReadBack {
    let resident = disk.read_resident(CHUNK, VERSION, offset, length as u32);
    resident.unwrap_or_else(|| disk.read(CHUNK, VERSION, offset, length as u32)).unwrap()
}

fn one_disk(criterion: &mut Criterion) {
    let place = Place::make();
    Disk::format(place.dir(), Format { cluster: CLUSTER, disk: DiskId([0xd1; 16]) }).unwrap();
    let options = DiskOptions { cluster: Some(CLUSTER), ..DiskOptions::default() };
    let disk = Disk::open(place.dir(), options).unwrap().disk;
    let whole = content(CHUNK_BYTES as usize);
    let large = pieces(&whole, PAYLOAD_BYTES_MAX as usize);
    large.iter().for_each(|piece| write(&disk, CHUNK, piece, false));
    disk.sync(CHUNK, VERSION).unwrap();

    values(criterion, &disk, &large);
    for (size, length) in SIZES {
        let pieces = pieces(&whole, length);
        let mut next = pieces.iter().cycle();
        let mut next = move || next.next().expect("a cycle has no end");

        let back = read(&disk, pieces[5].offset, length);
        assert_eq!(back.data, pieces[5].data);
        assert_eq!(back.page_crcs, pieces[5].page_crcs);
        let resident = disk.read_resident(CHUNK, VERSION, pieces[5].offset, length as u32);
        assert_eq!(resident.expect("it was read a moment before").unwrap(), back);

        let mut group = criterion.benchmark_group(format!("store, {size}"));
        group.throughput(Throughput::Bytes(length as u64));
        group.bench_function("read, resident", |bench| {
            bench.iter(|| black_box(read(&disk, next().offset, length)));
        });
        group.bench_function("write", |bench| bench.iter(|| write(&disk, CHUNK, next(), false)));
        // What else is dirty would be written before, and waited for.
        disk.sync(CHUNK, VERSION).unwrap();
        let first = &pieces[0];
        group.bench_function("sync after one write", |bench| {
            bench.iter_batched(
                || write(&disk, SYNCED, first, false),
                |()| disk.sync(SYNCED, VERSION).unwrap(),
                BatchSize::PerIteration,
            );
        });
        group.finish();
    }
    assert_eq!(disk.chunk_value(CHUNK, VERSION).unwrap(), *blake3::hash(&whole).as_bytes());
    assert!(disk.verify(CHUNK, VERSION, 0, CHUNK_BYTES).unwrap().is_empty());
    disk.close().unwrap();
}

fn values(criterion: &mut Criterion, disk: &Disk, large: &[Piece<'_>]) {
    let mut group = criterion.benchmark_group("store, value of a chunk");
    let value = || disk.chunk_value(CHUNK, VERSION).unwrap();
    let known = value();
    group.bench_function("all blocks' values known", |bench| bench.iter(value));
    let mut next = large.iter().cycle();
    group.throughput(Throughput::Bytes(u64::from(PAYLOAD_BYTES_MAX)));
    group.bench_function("1 MiB of it pending", |bench| {
        bench.iter_batched(
            || write(disk, CHUNK, next.next().expect("a cycle has no end"), true),
            |()| value(),
            BatchSize::PerIteration,
        );
    });
    group.finish();
    assert_eq!(value(), known);
}

criterion_group! { name = benches; config = micro::criterion(); targets = one_disk }
criterion_main!(benches);
