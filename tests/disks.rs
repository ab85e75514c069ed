//! Disks that are full, fail, hang or come back, with real processes on small filesystems of their own.

#![allow(clippy::unwrap_used, reason = "a test may stop")]

mod common;
#[path = "common/loops.rs"]
mod loops;
use common::*;
use loops::*;
use std::fs::{self, File};
use std::io::{self, Write};
use std::time::{Duration, Instant};

/// A writer without room is told within this time; it does not wait for its timeout of a minute.
const TOLD_WITHIN: Duration = Duration::from_secs(20);

/// Writes a file and fsyncs it.
fn store(demo: &Demo, name: &str, content: &[u8]) -> io::Result<()> {
    let mut file = File::create(demo.path(name))?;
    file.write_all(content)?;
    file.sync_all()
}

fn is_full(result: &io::Result<()>) -> bool {
    matches!(result, Err(error) if error.raw_os_error() == Some(libc::ENOSPC))
}

/// Servers that hold the first chunk of a file.
fn holders(demo: &Demo, name: &str) -> Vec<String> {
    let info = demo.ask(&["file", "info", "--json", demo.path(name).to_str().unwrap()]);
    let info: serde_json::Value = serde_json::from_str(&info).unwrap();
    let replicas = info["chunks"][0]["replicas"].as_array().unwrap();
    replicas.iter().map(|replica| replica["serverName"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn full_disks_give_enospc_lose_nothing_acknowledged_and_freed_room_is_used_again() {
    let name = "full_disks_give_enospc_lose_nothing_acknowledged_and_freed_room_is_used_again";
    if !can_loop(name) {
        return;
    }
    let cluster =
        Cluster::start(&["--chunkservers", "2", "--disks", "1"], &[("cs1/d1", 300), ("cs2/d1", 300)]);
    let demo = &cluster.demo;
    let content = |n: u64| bytes(n, 16 << 20);
    let fill = |from: u64| {
        for n in from.. {
            assert!(n < from + 100, "the disks never became full");
            let begun = Instant::now();
            let result = store(demo, &format!("f{n}"), &content(n));
            if result.is_err() {
                assert!(is_full(&result), "{result:?}");
                assert!(begun.elapsed() < TOLD_WITHIN, "{:?}", begun.elapsed());
                return n;
            }
        }
        unreachable!("the range has no end");
    };
    let stored = fill(0);
    assert!(stored >= 8, "only {stored} files had room");
    for n in 0..stored {
        assert!(fs::read(demo.path(&format!("f{n}"))).unwrap() == content(n), "f{n}");
    }
    // A file that is there has no room to grow either, beyond what is kept for that.
    let mut grown = fs::OpenOptions::new().append(true).open(demo.path("f0")).unwrap();
    let mut result = Ok(());
    for n in 0..20 {
        result = grown.write_all(&content(1000 + n)).and_then(|()| grown.sync_all());
        if result.is_err() {
            break;
        }
    }
    assert!(is_full(&result), "{result:?}");
    drop(grown);
    assert!(fs::read(demo.path("f0")).unwrap().starts_with(&content(0)));
    for n in 0..stored / 2 {
        fs::remove_file(demo.path(&format!("f{n}"))).unwrap();
    }
    let free = || demo.status()["disks"][0]["freeBytes"].as_u64().unwrap();
    wait_until("the room of the removed files is shown as free", || free() > 64 << 20);
    let again = fill(1_000_000);
    assert!(again > 1_000_001, "freed room was not used again");
    for n in (stored / 2..stored).chain(1_000_000..again) {
        assert!(fs::read(demo.path(&format!("f{n}"))).unwrap() == content(n), "f{n}");
    }
}

#[test]
fn a_file_on_full_disks_goes_on_growing_where_there_is_room() {
    if !can_loop("a_file_on_full_disks_goes_on_growing_where_there_is_room") {
        return;
    }
    let places = [("cs1/d1", 400), ("cs2/d1", 400), ("cs3/d1", 400), ("cs4/d1", 400)];
    let cluster = Cluster::start(&["--chunkservers", "4", "--disks", "1"], &places);
    let demo = &cluster.demo;
    let (first, more) = (bytes(1, 1 << 20), bytes(2, 24 << 20));
    store(demo, "f", &first).unwrap();
    let before = holders(demo, "f");
    assert_eq!(before.len(), 2);
    for one in &cluster.loops {
        if before.iter().any(|name| one.mountpoint.to_str().unwrap().contains(name)) {
            one.fill_up_to(2 << 20);
        }
    }
    let mut file = fs::OpenOptions::new().append(true).open(demo.path("f")).unwrap();
    file.write_all(&more).unwrap();
    file.sync_all().unwrap();
    drop(file);
    assert!(fs::read(demo.path("f")).unwrap() == [first, more].concat());
    wait_within(Duration::from_secs(90), "both replicas are where there is room", || {
        let now = holders(demo, "f");
        now.len() == 2 && now.iter().all(|name| !before.contains(name))
    });
}

#[test]
fn on_the_masters_full_disk_changes_fail_with_enospc_reads_go_on_and_room_helps_at_once() {
    if !can_loop("on_the_masters_full_disk_changes_fail_with_enospc_reads_go_on_and_room_helps_at_once") {
        return;
    }
    let cluster = Cluster::start(&["--chunkservers", "2", "--disks", "1"], &[("master", 400)]);
    let demo = &cluster.demo;
    let content = bytes(1, 3 << 20);
    store(demo, "f", &content).unwrap();
    let segments = || fs::read_dir(demo.data.join("master/log")).unwrap().count();
    wait_until("the next segment is ready", || segments() >= 2);
    cluster.loops[0].fill_up_to(2 << 20);
    // Each change carries much to the log.
    let value = bytes(2, 60_000);
    let change = |n: u32| {
        let path = demo.path(&format!("x{n}"));
        File::create(&path)?;
        rustix::fs::setxattr(&path, "user.n", &value, rustix::fs::XattrFlags::empty())
            .map_err(io::Error::from)
    };
    let mut done = 0;
    let result = loop {
        let result = change(done);
        if result.is_err() {
            break result;
        }
        done += 1;
        assert!(done < 10_000, "the log never found its disk full");
    };
    assert!(is_full(&result), "{result:?}");
    assert!(done > 1_000, "only {done} changes had room");
    let codes = || -> Vec<String> {
        let warnings = demo.status()["warnings"].as_array().unwrap().clone();
        warnings.iter().map(|warning| warning["code"].as_str().unwrap().to_owned()).collect()
    };
    assert!(codes().contains(&"LOG_FULL".to_owned()), "{:?}", codes());
    assert!(fs::read(demo.path("f")).unwrap() == content);
    assert_eq!(fs::metadata(demo.path("x0")).unwrap().len(), 0);
    let begun = Instant::now();
    let written = store(demo, "g", &content);
    // A small record may still have found room; what is acknowledged is there.
    assert!(written.is_ok() || is_full(&written), "{written:?}");
    assert!(begun.elapsed() < TOLD_WITHIN, "{:?}", begun.elapsed());
    cluster.loops[0].make_room();
    wait_until("changes are taken again", || change(done).is_ok());
    wait_until("the warning is gone", || !codes().contains(&"LOG_FULL".to_owned()));
    store(demo, "h", &content).unwrap();
    assert!(fs::read(demo.path("h")).unwrap() == content);
    let mut read = vec![0; value.len()];
    for n in [0, done / 2, done - 1] {
        let path = demo.path(&format!("x{n}"));
        let length = rustix::fs::getxattr(&path, "user.n", &mut read[..]).unwrap();
        assert!(read[..length] == value, "x{n}");
    }
}
