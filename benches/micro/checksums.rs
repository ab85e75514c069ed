//! CRC32C per page plus BLAKE3 per block against BLAKE3 alone: `docs/decisions/0003-checksums.md`.

use blake3::hazmat::HasherExt;
use crc_fast::CrcAlgorithm::Crc32Iscsi;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use micro::content;
use std::hint::black_box;

const PAGE: usize = 4 << 10;
const BLOCK: usize = 64 << 10;
const FRAME: usize = 1 << 20;
/// More than the caches hold, so that bytes come from memory as in a real stream.
const COLD: usize = 256 << 20;

fn crcs(data: &[u8]) -> u64 {
    data.chunks(PAGE).map(|page| crc_fast::checksum(Crc32Iscsi, page)).fold(0, |all, crc| all ^ crc)
}

fn values(data: &[u8], part: usize) -> u8 {
    let mut all = 0;
    for (n, block) in data.chunks(part).enumerate() {
        let mut hasher = blake3::Hasher::new();
        hasher.set_input_offset((n * part) as u64);
        hasher.update(block);
        all ^= hasher.finalize_non_root()[0];
    }
    all
}

/// What is measured here is what the data plane computes.
fn check(data: &[u8]) {
    let wanted = wire::crc::page_crcs(0, data);
    assert_eq!(crcs(data), wanted.iter().fold(0, |all, crc| all ^ u64::from(*crc)));
    let wanted = wire::value::block_values(0, data);
    assert_eq!(wanted.len(), data.len() / BLOCK);
    assert_eq!(values(data, BLOCK), wanted.iter().fold(0, |all, value| all ^ value[0]));
}

fn checksums(criterion: &mut Criterion) {
    let data = content(COLD);
    check(&data[..FRAME]);
    for (name, length) in [("4 KiB hot", PAGE), ("1 MiB hot", FRAME), ("256 MiB from memory", COLD)] {
        let data = &data[..length];
        let mut group = criterion.benchmark_group(format!("checksums, {name}"));
        group.throughput(Throughput::Bytes(length as u64)).sample_size(10);
        group.bench_function("crc32c per page", |bench| bench.iter(|| crcs(black_box(data))));
        group.bench_function("blake3 per page", |bench| bench.iter(|| values(black_box(data), PAGE)));
        if length >= BLOCK {
            group.bench_function("blake3 per block", |bench| bench.iter(|| values(black_box(data), BLOCK)));
            group.bench_function("crc32c per page and blake3 per block", |bench| {
                bench.iter(|| (crcs(black_box(data)), values(black_box(data), BLOCK)));
            });
        }
        group.finish();
    }
}

criterion_group!(benches, checksums);
criterion_main!(benches);
