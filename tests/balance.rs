//! Disks of different sizes are used by the same percentage: while they are filled, and after a new one was added.

#![allow(clippy::unwrap_used, reason = "a test may stop")]

mod common;
#[path = "common/loops.rs"]
mod loops;

use common::*;
use loops::*;
use std::fs;
use std::time::Duration;

/// Six disks on three servers, so that two replicas can fill all of them.
const PLACES: [(&str, u64); 6] =
    [("cs1/d1", 1024), ("cs1/d2", 256), ("cs2/d1", 1024), ("cs2/d2", 256), ("cs3/d1", 512), ("cs3/d2", 512)];
/// The one that is added.
const NEW_MIB: u64 = 1024;
const APART_MAX: f64 = 3.0;
const WITHIN: Duration = Duration::from_secs(600);
const MIB: usize = 1 << 20;

/// Percentages in use, by what the servers tell, of the disks that are in service.
fn used(demo: &Demo) -> Vec<f64> {
    let status = demo.status();
    let disks = status["disks"].as_array().unwrap();
    let percent = |disk: &serde_json::Value| {
        let (total, free) = (disk["totalBytes"].as_f64()?, disk["freeBytes"].as_f64()?);
        (total > 0.0).then_some((total - free) * 100.0 / total)
    };
    disks.iter().filter_map(percent).collect()
}

fn apart(demo: &Demo) -> f64 {
    let used = used(demo);
    used.iter().copied().fold(0.0, f64::max) - used.iter().copied().fold(100.0, f64::min)
}

fn is_whole(demo: &Demo) -> bool {
    let chunks = &demo.status()["chunks"];
    ["endangered", "undergoal", "overgoal", "missing"].iter().all(|what| chunks[*what] == 0)
}

#[test]
fn disks_of_any_size_fill_evenly_and_a_new_one_takes_its_share() {
    if !can_loop("disks_of_any_size_fill_evenly_and_a_new_one_takes_its_share") {
        return;
    }
    let cluster = Cluster::start(&["--chunkservers", "3", "--disks", "2"], &PLACES);
    let demo = &cluster.demo;
    let usable = demo.status()["storage"]["usableFreeBytes"].as_u64().unwrap();
    let percent = if soak() { 90 } else { 25 };
    let files = usable * percent / 100 / MIB as u64;
    for file in 0..files {
        fs::write(demo.path(&file.to_string()), bytes(file, MIB)).unwrap();
    }
    let even = || apart(demo) <= APART_MAX && is_whole(demo);
    wait_within(WITHIN, "all disks are used by about the same percentage", even);
    println!("{files} files: {:.1?}", used(demo));

    let extra = Loop::mount(&demo.data.join("cs3/extra"), NEW_MIB);
    demo.ask(&["disk", "add", "cs3", extra.mountpoint.to_str().unwrap()]);
    let begun = std::time::Instant::now();
    // Its share is that of the others by then; what was moved once rests for an hour, so the last of them may be further from it.
    let joined = || {
        let used = used(demo);
        let mean = used.iter().sum::<f64>() / used.len() as f64;
        used.len() == PLACES.len() + 1 && used.last().is_some_and(|new| (new - mean).abs() <= APART_MAX)
    };
    wait_within(WITHIN, "the new disk has its share", || joined() && is_whole(demo));
    println!("balanced in {:.1?}: {:.1?}", begun.elapsed(), used(demo));
    for file in 0..files {
        assert!(fs::read(demo.path(&file.to_string())).unwrap() == bytes(file, MIB), "file {file}");
    }
    assert!(is_whole(demo));
}
