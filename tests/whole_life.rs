//! The whole life of a file under one class, with real processes: made on `ssd`, kept there and on `backup`, archived on `hdd`,
//! deleted, and restored; read at each stage while the server with the backup is stopped.

#![allow(clippy::unwrap_used, reason = "a test may stop")]

mod common;
use common::*;
use serde_json::Value;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::time::Duration;

/// What a stage may take: copies, and the quiet that they wait for.
const STAGE: Duration = Duration::from_secs(90);
const LENGTH: usize = 3 << 20;

/// Three servers with an `ssd` and an `hdd` disk each, and a fourth with a `backup` disk alone.
fn given() -> Demo {
    let demo = Demo::start_with(&["--chunkservers", "4", "--disks", "2"]);
    let disk = |server: u32, disk: u32| {
        format!("cs{server}:{}", demo.data.join(format!("cs{server}/d{disk}")).display())
    };
    for server in 1..=3 {
        demo.ask(&["disk", "label", &disk(server, 1), "ssd"]);
        demo.ask(&["disk", "label", &disk(server, 2), "hdd"]);
    }
    demo.ask(&["disk", "label", &disk(4, 1), "backup"]);
    demo.ask(&["disk", "remove", &disk(4, 2), "--wait"]);
    let parts =
        ["--create", "2*ssd", "--keep", "2*ssd,backup", "--archive", "2*hdd,backup", "--archive-after", "1h"];
    let create = ["class", "create", "hot", "--trash", "hdd", "--trash-keep", "1h"];
    demo.ask(&[&create[..], &parts].concat());
    std::fs::create_dir(demo.path("hot")).unwrap();
    demo.ask(&["class", "set", "hot", demo.path("hot").to_str().unwrap()]);
    demo
}

/// The only group of a file's chunks, by `muskox explain`.
fn group(demo: &Demo, file: &Path) -> Value {
    let told: Value =
        serde_json::from_str(&demo.ask(&["explain", file.to_str().unwrap(), "--json"])).unwrap();
    assert_eq!(told["class"], "hot", "{told}");
    told["groups"][0].clone()
}

/// Labels of the disks with a good replica, in order.
fn labels(group: &Value) -> Vec<&str> {
    let good = group["replicas"].as_array().unwrap().iter().filter(|replica| replica["state"] == "good");
    let mut labels: Vec<&str> = good.map(|replica| replica["labels"][0].as_str().unwrap()).collect();
    labels.sort_unstable();
    labels
}

/// Whether a file is where a part of its class wants it, nowhere else, and nothing is left to do.
fn is_at(demo: &Demo, file: &Path, part: &str, wanted: &[&str]) -> bool {
    let group = group(demo, file);
    let held = group["places"].as_array().unwrap().iter().all(|place| place["held"] == true);
    group["part"] == part && held && group["inTheWay"].is_null() && labels(&group) == wanted
}

/// Reads it from the servers, not from this host's memory.
fn read(file: &Path) -> Vec<u8> {
    let mut open = File::open(file).unwrap();
    rustix::fs::fadvise(&open, 0, None, rustix::fs::Advice::DontNeed).unwrap();
    let mut content = Vec::new();
    open.read_to_end(&mut content).unwrap();
    content
}

/// Reads it while the server with the backup is stopped.
fn read_without_backup(demo: &Demo, file: &Path) {
    demo.part("kill", "cs4");
    assert!(read(file) == bytes(4, LENGTH), "{}", file.display());
    demo.part("start", "cs4");
    wait_until("it is back", || {
        let status = demo.status();
        status["servers"].as_array().unwrap().iter().all(|server| server["state"] == "up")
    });
}

/// Replicas on disks with a label.
fn replicas(demo: &Demo, label: &str) -> u64 {
    let status = demo.status();
    let has = |disk: &&Value| disk["labels"].as_array().unwrap().iter().any(|one| one == label);
    status["disks"].as_array().unwrap().iter().filter(has).map(|disk| disk["chunks"].as_u64().unwrap()).sum()
}

#[test]
fn a_file_goes_where_its_class_says_at_each_stage_of_its_life_and_is_read_without_the_backup() {
    if !can_mount("a_file_goes_where_its_class_says_at_each_stage_of_its_life_and_is_read_without_the_backup")
    {
        return;
    }
    let demo = given();
    let file = demo.path("hot/file");
    std::fs::write(&file, bytes(4, LENGTH)).unwrap();
    File::open(&file).unwrap().sync_all().unwrap();
    let made = group(&demo, &file);
    assert_eq!(
        labels(&made).into_iter().filter(|label| *label != "backup").collect::<Vec<_>>(),
        ["ssd", "ssd"]
    );

    wait_within(STAGE, "it is kept with a backup", || is_at(&demo, &file, "keep", &["backup", "ssd", "ssd"]));
    read_without_backup(&demo, &file);

    demo.ask(&["class", "edit", "hot", "--archive-after", "5s"]);
    wait_within(STAGE, "it is archived", || is_at(&demo, &file, "archive", &["backup", "hdd", "hdd"]));
    read_without_backup(&demo, &file);

    std::fs::remove_file(&file).unwrap();
    let counts = |demo: &Demo| ["ssd", "hdd", "backup"].map(|label| replicas(demo, label));
    wait_within(STAGE, "it waits where deleted files do", || counts(&demo) == [0, 1, 0]);
    demo.ask(&["trash", "restore", "hot/file"]);
    wait_until("it has its name again", || file.exists());
    read_without_backup(&demo, &file);
    wait_within(STAGE, "it is archived again", || is_at(&demo, &file, "archive", &["backup", "hdd", "hdd"]));
    assert!(read(&file) == bytes(4, LENGTH));
}
