//! A real process, killed with SIGKILL in the middle of its work, on a real directory with the real index.
//!
//! The child is this test program, started again for one test; it says what was done, line by line.

use crate::testing::*;
use crate::{Disk, DiskOptions};
use env::RealDir;
use std::io::{BufRead, BufReader, Write as _};
use std::process::{Command, Stdio};
use std::sync::Arc;
use types::{CHUNK_BYTES, ChunkId};

const DIRECTORY: &str = "MUSKOX_STORE_KILLED";
const CHUNKS: u64 = 40;

fn disk_at(path: &std::path::Path) -> (Disk, crate::OpenReport) {
    let opened = Disk::open(RealDir::open(path).unwrap(), DiskOptions::default()).unwrap();
    (opened.disk, opened.report)
}

/// What the `n`th write of a round puts at its place.
fn step(round: u64, n: u64) -> (ChunkId, u64, Vec<u8>) {
    (ChunkId(n % CHUNKS + 1), n * 3001 % 300_000, pattern(round << 32 | n, 5000))
}

#[test]
fn a_killed_process_keeps_what_it_answered() {
    if let Some(path) = std::env::var_os(DIRECTORY) {
        return work_until_killed(path.as_ref());
    }
    let guard = tempfile::tempdir().unwrap();
    format(&RealDir::open(guard.path()).unwrap());
    let mut model = vec![vec![0; 310_000]; CHUNKS as usize + 1];
    for round in 0..u64::from(cases(6).cases) {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "tests::kill::a_killed_process_keeps_what_it_answered", "--nocapture"])
            .env(DIRECTORY, guard.path())
            .env("MUSKOX_STORE_ROUND", round.to_string())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut answered =
            lines.map_while(Result::ok).filter_map(|line| line.strip_prefix("done ")?.parse().ok());
        let stop = 17 + round * 13;
        assert!(answered.by_ref().any(|n: u64| n == stop), "the child stopped by itself");
        child.kill().unwrap();
        let last = answered.last().unwrap_or(stop);
        child.wait().unwrap();
        for n in 0..=last {
            let (chunk, offset, data) = step(round, n);
            model[chunk.0 as usize][offset as usize..offset as usize + 5000].copy_from_slice(&data);
        }
        check(guard.path(), &mut model, step(round, last + 1));
    }
}

/// Everything is as answered, but for the one write that was under way.
fn check(path: &std::path::Path, model: &mut [Vec<u8>], under_way: (ChunkId, u64, Vec<u8>)) {
    let (disk, report) = disk_at(path);
    assert_eq!((report.clean, report.power_lost, report.rotten_pages), (false, false, 0), "{report:?}");
    let mut entries = Vec::new();
    disk.inventory(&mut |entry| entries.push(entry)).unwrap();
    for entry in entries {
        assert!(!entry.bad && !entry.damaged);
        if entry.torn {
            assert_eq!(entry.chunk, under_way.0);
            disk.keep_torn(entry.chunk, V1).unwrap();
        }
        assert!(disk.verify(entry.chunk, V1, 0, CHUNK_BYTES).unwrap().is_empty());
        let found = read(&disk, entry.chunk, V1, 0, 310_000);
        let wanted = &mut model[entry.chunk.0 as usize];
        for (at, (found, wanted)) in found.iter().zip(wanted.iter()).enumerate() {
            let new = at.checked_sub(under_way.1 as usize).and_then(|at| under_way.2.get(at));
            let may = entry.chunk == under_way.0 && new == Some(found);
            assert!(found == wanted || may, "byte {at} of chunk {}", entry.chunk);
        }
        *wanted = found;
    }
    // Half of the time the next process follows an orderly one.
    if under_way.1.is_multiple_of(2) {
        disk.close().unwrap();
    }
}

fn work_until_killed(path: &std::path::Path) {
    let round = std::env::var("MUSKOX_STORE_ROUND").unwrap().parse().unwrap();
    let (disk, _) = disk_at(path);
    let disk = Arc::new(disk);
    let mut out = std::io::stdout();
    for n in 0.. {
        let (chunk, offset, data) = step(round, n);
        write(&disk, chunk, V1, offset, &data).unwrap();
        if n % 7 == 0 {
            disk.sync(chunk, V1).unwrap();
        }
        if n % 50 == 0 {
            disk.checkpoint().unwrap();
        }
        writeln!(out, "done {n}").unwrap();
        out.flush().unwrap();
    }
}
