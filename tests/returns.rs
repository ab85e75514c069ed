//! A server that was killed and comes back after writes to its chunks: what is moved to make it current, counted in bytes.

#![allow(clippy::unwrap_used, reason = "a test may stop")]

mod common;
#[path = "common/replicas.rs"]
mod replicas;
use common::*;
use replicas::equal_twins;
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

/// Long enough to read some hundreds of MiB on three servers at once, and for the quiet that a chunk is left after a write.
const CURRENT_WITHIN: Duration = Duration::from_secs(180);
const FILES: u64 = 30;
const FILE_BYTES: usize = 16 << 20;
const BLOCK_BYTES: usize = 64 << 10;
const WRITE_BYTES: usize = 4 << 10;
/// One block of so many is written to.
const ONE_OF: usize = 100;

fn name(file: u64) -> String {
    format!("f{file}")
}

/// The first chunk of a file: its name on disks, and the servers that hold it.
fn chunk(demo: &Demo, file: u64) -> (String, Vec<String>) {
    let info = demo.ask(&["file", "info", "--json", demo.path(&name(file)).to_str().unwrap()]);
    let info: Value = serde_json::from_str(&info).unwrap();
    let chunk = &info["chunks"][0];
    let replicas = chunk["replicas"].as_array().unwrap().iter();
    let servers = replicas.map(|replica| replica["serverName"].as_str().unwrap().to_owned()).collect();
    (chunk["chunk"].as_str().unwrap().to_owned(), servers)
}

fn is_healed(demo: &Demo) -> bool {
    let counts = &demo.status()["chunks"];
    let none = ["endangered", "undergoal", "missing", "unsettled"].iter().all(|what| counts[*what] == 0);
    none && counts["ok"] == FILES
}

/// Bytes that others sent the servers that are there, since these were started, so that replicas were made or made equal.
fn pulled(demo: &Demo) -> u64 {
    let status = demo.status();
    let disks = status["disks"].as_array().unwrap().iter().filter(|disk| disk["state"] != "away");
    disks.map(|disk| disk["pulledBytes"].as_u64().unwrap()).sum()
}

/// Waits until each server has told once more what it has counted.
fn wait_for_counts(demo: &Demo) {
    let begun = Instant::now();
    wait_until("all servers were heard again", || {
        let now_ms = u64::try_from(begun.elapsed().as_millis()).unwrap();
        let status = demo.status();
        let servers = status["servers"].as_array().unwrap();
        servers.iter().all(|server| server["heardMsAgo"].as_u64().is_some_and(|ago| ago < now_ms))
    });
}

#[test]
fn a_server_that_returns_is_made_current_by_the_blocks_that_were_written_meanwhile() {
    if !can_mount("a_server_that_returns_is_made_current_by_the_blocks_that_were_written_meanwhile") {
        return;
    }
    let demo = Demo::start_with(&["--chunkservers", "3", "--disks", "1"]);
    let mut contents: Vec<Vec<u8>> = (0..FILES).map(|file| bytes(file + 1, FILE_BYTES)).collect();
    for (file, content) in (0..).zip(&contents) {
        fs::write(demo.path(&name(file)), content).unwrap();
    }
    wait_within(CURRENT_WITHIN, "all chunks have two replicas", || is_healed(&demo));
    let before: Vec<(String, Vec<String>)> = (0..FILES).map(|file| chunk(&demo, file)).collect();

    demo.part("kill", "cs1");
    wait_until("its disk is away", || demo.ask(&["disk", "ls"]).contains("away"));
    let earlier = pulled(&demo);
    // It is known to return: what is measured is that, and not the copies that would be made in its stead after 10 s.
    demo.ask(&["server", "maintenance", "on", "cs1", "--for", "30m"]);
    let blocks = FILES as usize * FILE_BYTES / BLOCK_BYTES;
    let (mut written, mut numbers) = (BTreeSet::new(), bytes(7, 1 << 20).into_iter());
    while written.len() < blocks / ONE_OF {
        let number = numbers.by_ref().take(8).fold(0, |number, byte| (number << 8) | u64::from(byte));
        written.insert(usize::try_from(number % blocks as u64).unwrap());
    }
    for block in &written {
        let (file, at) = (block * BLOCK_BYTES / FILE_BYTES, block * BLOCK_BYTES % FILE_BYTES);
        let at = at + block % (BLOCK_BYTES / WRITE_BYTES) * WRITE_BYTES;
        let data = bytes(1_000 + *block as u64, WRITE_BYTES);
        let open = File::options().write(true).open(demo.path(&name(file as u64))).unwrap();
        open.write_all_at(&data, at as u64).unwrap();
        open.sync_all().unwrap();
        contents[file][at..at + WRITE_BYTES].copy_from_slice(&data);
    }
    let was_on_it = |file: usize| before[file].1.iter().any(|server| server == "cs1");
    let files: BTreeSet<usize> = written.iter().map(|block| block * BLOCK_BYTES / FILE_BYTES).collect();
    let missed_chunks = files.iter().filter(|file| was_on_it(**file)).count();
    let missed_blocks = written.iter().filter(|block| was_on_it(**block * BLOCK_BYTES / FILE_BYTES)).count();
    assert!(missed_chunks >= 10, "{missed_chunks} of its chunks were written");

    demo.part("start", "cs1");
    demo.ask(&["server", "maintenance", "off", "cs1"]);
    wait_within(CURRENT_WITHIN, "all chunks have two replicas again", || is_healed(&demo));
    wait_for_counts(&demo);
    let (moved, whole) = (pulled(&demo) - earlier, (missed_chunks * FILE_BYTES) as u64);
    println!(
        "{missed_blocks} blocks of {missed_chunks} chunks were written: {moved} bytes moved, {:.2} % of {whole}",
        moved as f64 * 100.0 / whole as f64
    );
    assert!(moved >= (missed_blocks * BLOCK_BYTES) as u64, "{moved}: it is counted");
    assert!(moved * 20 < whole, "{moved} of {whole}");

    let after: Vec<(String, Vec<String>)> = (0..FILES).map(|file| chunk(&demo, file)).collect();
    for (file, (one, other)) in before.iter().zip(&after).enumerate() {
        let sorted = |servers: &[String]| servers.iter().cloned().collect::<BTreeSet<_>>();
        assert_eq!((&one.0, sorted(&one.1)), (&other.0, sorted(&other.1)), "file {file} is where it was");
    }
    let disks: Vec<_> = (1..=3).map(|n| demo.data.join(format!("cs{n}/d1"))).collect();
    equal_twins(&disks, after.iter().map(|(chunk, _)| chunk)).unwrap();
    // Each of the others goes in its turn, so that what the first one has is read.
    for gone in ["cs2", "cs3"] {
        demo.part("kill", gone);
        demo.mount_anew();
        for (file, content) in (0..).zip(&contents) {
            assert!(fs::read(demo.path(&name(file))).unwrap() == *content, "file {file} without {gone}");
        }
        demo.part("start", gone);
        wait_until("it is back", || is_healed(&demo));
    }
}
