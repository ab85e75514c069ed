//! Bytes written by this release and by every one before it: the same, and still read.
//!
//! The golden files hold the sectors that are not all zeroes: for each, its offset (8 bytes,
//! little-endian) and its 512 bytes. With MUSKOX_BLESS=1 in the environment the files are written and not compared;
//! that is for a new format, never for a changed one.

use crate::activity::{Activity, FILE_BYTES, Recovered, blank};
use crate::index::{Index, MemoryIndex};
use crate::names::chunk_path;
use crate::testing::*;
use env::{OpenMode, SimDisk};
use std::path::PathBuf;
use std::sync::Arc;
use types::{BLOCK_BYTES, ChunkId};

const SECTOR: usize = 512;

fn golden(name: &str, found: &[u8]) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("testdata").join(name);
    if std::env::var_os("MUSKOX_BLESS").is_some() {
        std::fs::write(&path, found).unwrap();
    }
    let wanted = std::fs::read(&path).unwrap();
    assert!(wanted == found, "the bytes differ from {}", path.display());
    wanted
}

fn sectors(file: &[u8]) -> Vec<u8> {
    let mut kept = Vec::new();
    for (n, sector) in file.chunks(SECTOR).enumerate() {
        if !crate::crc::is_zeroes(sector) {
            kept.extend_from_slice(&((n * SECTOR) as u64).to_le_bytes());
            kept.extend_from_slice(sector);
            kept.resize(kept.len() + SECTOR - sector.len(), 0);
        }
    }
    kept
}

fn expanded(golden: &[u8], length: usize) -> Vec<u8> {
    let mut file = vec![0; length];
    for piece in golden.chunks_exact(8 + SECTOR) {
        let at = crate::header::u64_at(piece, 0) as usize;
        let end = (at + SECTOR).min(length);
        file[at..end].copy_from_slice(&piece[8..8 + end - at]);
    }
    file
}

/// A page, a part of a page whose record is in table page 1, a cut and a raise.
fn sample() -> SimDisk {
    let sim = SimDisk::new(1, "golden");
    format(&sim.dir());
    let (disk, _) = open(&sim.dir());
    write(&disk, CHUNK, V1, 0, &pattern(1, 4096)).unwrap();
    write(&disk, CHUNK, V1, 31 * u64::from(BLOCK_BYTES) + 1000, &pattern(2, 500)).unwrap();
    disk.raise(CHUNK, V1, V2, &[(100, 200)]).unwrap();
    drop(disk);
    sim
}

fn check(disk: &crate::Disk) {
    let mut first = pattern(1, 4096);
    first[100..200].fill(0);
    assert_eq!(read(disk, CHUNK, V2, 0, 4096), first);
    assert_eq!(read(disk, CHUNK, V2, 31 * u64::from(BLOCK_BYTES) + 1000, 500), pattern(2, 500));
    assert!(disk.verify(CHUNK, V2, 0, types::CHUNK_BYTES).unwrap().is_empty());
}

#[test]
fn a_chunk_file_of_format_1_is_written_and_read_byte_by_byte() {
    let file = sample().contents(&chunk_path(CHUNK)).unwrap();
    let wanted = golden("chunk-v1.bin", &sectors(&file));
    let sim = SimDisk::new(2, "old");
    format(&sim.dir());
    let folder = crate::names::folder_path(crate::names::folder_of(CHUNK));
    sim.dir().create_dir_all(&folder).unwrap();
    let old = sim.dir().open(&chunk_path(CHUNK), OpenMode::Create).unwrap();
    for piece in wanted.chunks_exact(8 + SECTOR) {
        old.write_at(&piece[8..], crate::header::u64_at(piece, 0)).unwrap();
    }
    check(&open(&sim.dir()).0);
}

#[test]
fn a_stamp_of_format_2_is_written_and_read_byte_by_byte() {
    let found = sample().contents("stamp").unwrap();
    let wanted = golden("stamp-v2.bin", &sectors(&found));
    let stamp = crate::stamp::Stamp::decode(&expanded(&wanted, found.len())).unwrap();
    assert_eq!((stamp.cluster, stamp.disk, stamp.registrations), (CLUSTER, DISK, 0));
}

#[test]
fn an_activity_log_of_format_1_is_written_and_read_byte_by_byte() {
    let sim = SimDisk::new(1, "golden");
    let file = sim.dir().open("activity", OpenMode::Create).unwrap();
    file.write_at(&blank(DISK, 7), 0).unwrap();
    let index = Arc::new(Index::new(Box::new(MemoryIndex::default())));
    let log = Activity::begin(file, DISK, [7, 5], 1, index, []).unwrap();
    log.touch(ChunkId(3)).unwrap();
    log.hold(CHUNK, 0b101, true).unwrap();
    log.hold(ChunkId(4), 1 << 15, false).unwrap();
    let wanted = golden("activity-v1.bin", &sectors(&sim.contents("activity").unwrap()));
    let last = Recovered::decode(&expanded(&wanted, FILE_BYTES), DISK);
    assert_eq!((last.generation, last.boot, last.epoch, last.clean, last.damaged), (1, 7, 5, false, false));
    let chunks: Vec<_> =
        last.chunks.into_iter().map(|(chunk, named)| (chunk, named.regions, named.new)).collect();
    assert_eq!(chunks, [(ChunkId(3), 0, false), (ChunkId(4), 1 << 15, false), (CHUNK, 0b101, true)]);
}
