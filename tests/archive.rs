//! Files that are archived when they did not change for long, through the command line, with real processes.

#![allow(clippy::unwrap_used, reason = "a test may stop")]

mod common;
use common::*;
use serde_json::Value;
use std::fs::{self, File, FileTimes};
use std::io::Write;
use std::path::Path;
use std::time::{Duration, SystemTime};

fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at / 251 + at) as u8).collect()
}

fn info(demo: &Demo, file: &Path) -> Value {
    serde_json::from_str(&demo.ask(&["file", "info", "--json", file.to_str().unwrap()])).unwrap()
}

/// Whether a file is archived, and the labels of the disks that hold its first chunk.
fn place(demo: &Demo, file: &Path) -> (bool, Vec<String>) {
    let info = info(demo, file);
    let replicas = info["chunks"][0]["replicas"].as_array().unwrap();
    let label = |replica: &Value| replica["labels"][0].as_str().unwrap().to_owned();
    let mut labels: Vec<String> = replicas.iter().map(label).collect();
    labels.sort_unstable();
    (info["archived"] == true, labels)
}

fn is_archived(demo: &Demo, file: &Path) -> bool {
    place(demo, file) == (true, vec!["hdd".into()])
}

fn is_alive(demo: &Demo, file: &Path) -> bool {
    place(demo, file) == (false, vec!["ssd".into(), "ssd".into()])
}

/// Three servers with a disk each, the third with `hdd`; `/old` has a class with an archive there.
fn given(archive: &[&str]) -> Demo {
    let demo = Demo::start_with(&["--disks", "1"]);
    let disks = demo.status()["disks"].as_array().unwrap().clone();
    let mut paths: Vec<&str> = disks.iter().map(|disk| disk["path"].as_str().unwrap()).collect();
    paths.sort_unstable();
    for (path, (server, label)) in paths.iter().zip([("cs1", "ssd"), ("cs2", "ssd"), ("cs3", "hdd")]) {
        demo.ask(&["disk", "label", &format!("{server}:{path}"), label]);
    }
    let create = ["class", "create", "old", "--keep", "2*ssd", "--archive", "hdd", "--min-size", "1KiB"];
    let says = demo.ask(&[&create, archive].concat());
    assert!(says.contains("archive       hdd after") && !says.contains("not acted upon"), "{says}");
    fs::create_dir(demo.path("old")).unwrap();
    demo.ask(&["class", "set", "old", demo.path("old").to_str().unwrap()]);
    demo
}

#[test]
fn a_file_that_does_not_change_moves_to_the_archive_and_a_write_brings_it_back() {
    if !can_mount("a_file_that_does_not_change_moves_to_the_archive_and_a_write_brings_it_back") {
        return;
    }
    let demo = given(&["--archive-after", "4s"]);
    let (file, small) = (demo.path("old/file"), demo.path("old/small"));
    fs::write(&file, pattern(300_000)).unwrap();
    File::open(&file).unwrap().sync_all().unwrap();
    fs::write(&small, pattern(1_000)).unwrap();
    let mut unsynced = File::create(demo.path("old/unsynced")).unwrap();
    unsynced.write_all(&pattern(200_000)).unwrap();
    assert!(is_alive(&demo, &file));
    // The master dies before the time has come, and finds the file again.
    let data = demo.data.to_str().unwrap();
    demo.ask(&["demo", "kill", "master", "--data", data]);
    demo.ask(&["demo", "start", "master", "--data", data]);
    wait_until("it is archived", || is_archived(&demo, &file));
    assert_eq!(fs::read(&file).unwrap(), pattern(300_000));
    assert!(is_alive(&demo, &small), "it is too short to be archived");
    wait_until("what was not synced has moved, too", || is_archived(&demo, &demo.path("old/unsynced")));
    unsynced.sync_all().expect("the new replica was copied from one that had all of it");
    demo.ask(&["demo", "kill", "master", "--data", data]);
    demo.ask(&["demo", "start", "master", "--data", data]);
    wait_until("it is so after a crash of the master", || is_archived(&demo, &file));

    demo.ask(&["class", "edit", "old", "--archive-after", "1h"]);
    assert_eq!(info(&demo, &file)["archived"], true, "what is archived stays so");
    let mut open = File::options().append(true).open(&file).unwrap();
    open.write_all(b"more").unwrap();
    open.sync_all().unwrap();
    assert_eq!(info(&demo, &file)["archived"], false);
    drop(open);
    wait_until("it is back", || is_alive(&demo, &file));
    assert_eq!(fs::read(&file).unwrap(), [&pattern(300_000)[..], b"more"].concat());
}

#[test]
fn without_a_way_back_a_file_is_written_in_the_archive_and_its_age_is_that_of_its_content() {
    if !can_mount("without_a_way_back_a_file_is_written_in_the_archive_and_its_age_is_that_of_its_content") {
        return;
    }
    let demo = given(&["--archive-after", "1h", "--archive-by", "mtime", "--reversible", "false"]);
    let (old, new) = (demo.path("old/old"), demo.path("old/new"));
    for file in [&old, &new] {
        fs::write(file, pattern(100_000)).unwrap();
    }
    let before = SystemTime::now() - Duration::from_secs(7_200);
    File::options().write(true).open(&old).unwrap().set_times(FileTimes::new().set_modified(before)).unwrap();
    wait_until("it is archived", || is_archived(&demo, &old));
    assert!(is_alive(&demo, &new));
    fs::write(&old, pattern(200_000)).unwrap();
    wait_until("it is there still", || is_archived(&demo, &old));
    assert_eq!(fs::read(&old).unwrap(), pattern(200_000));
}
