//! Limits of healing and holds of edits with real processes: a limit is obeyed, outlives the master, and copies under way go by
//! it as soon as it changes; what an edit made dispensable is held over `kill -9` of the master until its hold ends.

#![allow(clippy::unwrap_used, reason = "a test may stop")]

mod common;
#[path = "common/replicas.rs"]
mod replicas;
use common::*;
use replicas::chunk_files;
use serde_json::Value;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::process::Output;
use std::time::{Duration, Instant};

const FILES: u64 = 24;
const FILE_BYTES: usize = 2 << 20;
const SERVERS: [&str; 3] = ["cs1", "cs2", "cs3"];
const MIB: u64 = 1 << 20;
/// The least that a limit may allow.
const SLOW: u64 = 64 << 10;

fn json(demo: &Demo, arguments: &[&str]) -> Value {
    let mut with_json = arguments.to_vec();
    with_json.push("--json");
    serde_json::from_str(&demo.ask(&with_json)).unwrap()
}

fn limits(demo: &Demo) -> Vec<Value> {
    json(demo, &["limit", "ls"])["limits"].as_array().unwrap().clone()
}

fn count(demo: &Demo, what: &str) -> u64 {
    demo.status()["chunks"][what].as_u64().unwrap()
}

/// A command that fails in this way and tells the next step.
fn refused(demo: &Demo, arguments: &[&str], exit: i32, code: &str) {
    let Output { status, stdout, stderr } = demo.muskox(arguments).output().unwrap();
    let told = String::from_utf8(stderr).unwrap();
    assert_eq!(status.code(), Some(exit), "{arguments:?}: {told}");
    assert!(told.contains(code) && told.contains("next:") && stdout.is_empty(), "{arguments:?}: {told}");
}

fn write_files(demo: &Demo) {
    for n in 0..FILES {
        fs::write(demo.path(&format!("f{n}")), bytes(n, FILE_BYTES)).unwrap();
    }
    wait_within(Duration::from_secs(60), "all is written", || count(demo, "ok") == FILES);
}

/// The master is killed and started again; all disks come.
fn restart_master(demo: &Demo) {
    let data = demo.data.to_str().unwrap();
    demo.ask(&["demo", "kill", "master", "--data", data]);
    demo.ask(&["demo", "start", "master", "--data", data]);
    wait_within(Duration::from_secs(60), "the master is back with all disks", || {
        let output = demo.muskox(&["status", "--json"]).output().unwrap();
        let status: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        let disks = status["disks"].as_array();
        let up = disks.is_some_and(|all| !all.is_empty() && all.iter().all(|disk| disk["state"] == "ok"));
        up && status["chunks"]["settling"] == false
    });
}

#[test]
fn a_limit_is_obeyed_by_servers_and_outlives_the_master() {
    if !can_mount("a_limit_is_obeyed_by_servers_and_outlives_the_master") {
        return;
    }
    let demo = Demo::start();
    write_files(&demo);
    for server in SERVERS {
        demo.ask(&["limit", "set", "--server", server, "--rate", "512KiB"]);
    }
    assert_eq!(limits(&demo).len(), 3);

    // A third replica of each: each server writes some of them, at its rate.
    let begun = Instant::now();
    demo.ask(&["class", "edit", "default", "--keep", "3*any"]);
    wait_within(Duration::from_secs(60), "somebody says why it takes long", || {
        demo.status()["warnings"].to_string().contains("HEALING_LIMITED server cs")
    });
    restart_master(&demo);
    assert_eq!(limits(&demo).len(), 3);
    let copied = 6;
    wait_within(Duration::from_secs(120), "some are copied", || count(&demo, "ok") >= copied);
    // So many bytes went through three limits of 512 KiB/s, but for a piece of each copy that was ahead.
    let least = (copied * FILE_BYTES as u64).saturating_sub(3 * MIB) / (3 * (512 << 10));
    assert!(begun.elapsed() >= Duration::from_secs(least / 2), "{:?} for {copied}", begun.elapsed());
    assert!(count(&demo, "ok") < FILES, "there is something left to be done faster");
    for server in SERVERS {
        demo.ask(&["limit", "rm", "--server", server]);
    }
    assert!(limits(&demo).is_empty());
    wait_within(Duration::from_secs(90), "all is copied", || count(&demo, "ok") == FILES);
}

/// Bytes that the disks keep of the only chunk there is.
fn stored(demo: &Demo) -> u64 {
    let status = demo.status();
    let disks = status["disks"].as_array().unwrap().iter();
    let files = disks.flat_map(|disk| chunk_files(disk["path"].as_str().unwrap().as_ref(), "chunks"));
    files.filter_map(|(_, path)| fs::metadata(path).ok()).map(|file| file.blocks() * 512).sum()
}

#[test]
fn a_copy_that_runs_goes_faster_and_slower_as_soon_as_its_limit_does() {
    if !can_mount("a_copy_that_runs_goes_faster_and_slower_as_soon_as_its_limit_does") {
        return;
    }
    let demo = Demo::start();
    let content = bytes(1, 60 << 20);
    fs::write(demo.path("f"), &content).unwrap();
    wait_within(Duration::from_secs(60), "it is written", || count(&demo, "ok") == 1);
    let set = |rate: u64| {
        demo.ask(&["limit", "set", "--from", "any", "--to", "any", "--rate", &rate.to_string()]);
    };
    let copies = || limits(&demo)[0]["running"].as_u64().unwrap();
    set(SLOW);
    let before = stored(&demo);
    demo.ask(&["class", "edit", "default", "--keep", "3*any"]);
    wait_within(Duration::from_secs(60), "a copy has begun", || stored(&demo) > before + SLOW);
    assert_eq!(copies(), 1);

    // It had sixteen minutes to go.
    set(4 * MIB);
    wait_within(Duration::from_secs(60), "it goes faster", || stored(&demo) > before + 8 * MIB);
    set(SLOW);
    assert_eq!(copies(), 1, "it runs still");
    // What was asked for before the change may come, and no more than the limit has from then on.
    let (begun, from) = (Instant::now(), stored(&demo));
    wait_until("six seconds are over", || {
        let (elapsed, came) = (begun.elapsed(), stored(&demo).saturating_sub(from));
        assert!(came <= 4 * MIB + SLOW * (begun.elapsed().as_secs() + 1), "{came} bytes in {elapsed:?}");
        elapsed >= Duration::from_secs(6)
    });
    assert_eq!((copies(), count(&demo, "ok")), (1, 0), "it is not over");
    demo.ask(&["limit", "rm", "--from", "any", "--to", "any"]);
    wait_within(Duration::from_secs(60), "it goes as fast as it can", || count(&demo, "ok") == 1);
    assert!(fs::read(demo.path("f")).unwrap() == content);
}

#[test]
fn a_limit_that_makes_no_sense_is_refused_with_the_next_step() {
    let demo = Demo::start_with(&["--no-mount", "--chunkservers", "2", "--disks", "1"]);
    demo.ask(&["server", "label", "cs1", "site=home"]);
    refused(&demo, &["limit", "set", "--from", "tape", "--to", "any", "--copies", "1"], 6, "E0206");
    refused(&demo, &["limit", "set", "--from", "site=home|", "--to", "any", "--copies", "1"], 2, "E0205");
    refused(&demo, &["limit", "set", "--server", "cs1"], 2, "E0246");
    refused(&demo, &["limit", "set", "--server", "cs1", "--copies", "0"], 2, "E0246");
    refused(&demo, &["limit", "set", "--server", "cs1", "--rate", "1KiB"], 2, "E0246");
    refused(&demo, &["limit", "set", "--server", "cs9", "--copies", "1"], 5, "E0209");
    refused(&demo, &["limit", "rm", "--server", "cs1"], 5, "E0244");
    refused(&demo, &["class", "hold", "end", "1"], 5, "E0245");
    assert!(limits(&demo).is_empty());
    demo.ask(&["limit", "set", "--from", "tape", "--to", "any", "--copies", "1", "--allow-unsatisfiable"]);
    let set = json(&demo, &["limit", "set", "--server", "cs1", "--copies", "3", "--rate", "1MiB"]);
    assert_eq!(set["kind"], "LimitSet", "{set}");
    let of = |limit: &Value| {
        let words = ["server", "from", "to", "copies", "bytesPerSecond"];
        words.map(|word| limit[word].to_string()).join(" ")
    };
    let mut all: Vec<String> = limits(&demo).iter().map(of).collect();
    all.sort();
    assert_eq!(all, ["\"cs1\" null null 3 1048576", "null \"tape\" \"any\" 1 null"]);
}

#[test]
fn what_an_edit_made_dispensable_is_held_over_kill_9_of_the_master_until_its_hold_ends() {
    if !can_mount("what_an_edit_made_dispensable_is_held_over_kill_9_of_the_master_until_its_hold_ends") {
        return;
    }
    let demo = Demo::start();
    demo.ask(&["class", "edit", "default", "--keep", "3*any"]);
    write_files(&demo);
    demo.ask(&["class", "edit", "default", "--keep", "2*any", "--yes"]);
    wait_until("it is held", || count(&demo, "held") == FILES);
    restart_master(&demo);
    wait_until("it is held still", || count(&demo, "held") == FILES);
    let holds = json(&demo, &["class", "hold", "ls"]);
    let holds = holds["holds"].as_array().unwrap();
    let hold = holds.iter().find(|hold| hold["replicas"] == FILES).unwrap();
    assert_eq!((&hold["what"], &hold["before"]), (&"class default".into(), &"keep 3*any".into()));
    assert_eq!(replica_count(&demo), 3 * FILES);
    let id = hold["id"].as_u64().unwrap().to_string();
    demo.ask(&["class", "hold", "end", &id]);
    refused(&demo, &["class", "hold", "end", &id], 5, "E0245");
    wait_within(Duration::from_secs(60), "they are gone", || {
        (count(&demo, "held"), count(&demo, "ok"), count(&demo, "overgoal")) == (0, FILES, 0)
    });
    wait_within(Duration::from_secs(60), "disks have two of each", || replica_count(&demo) == 2 * FILES);
    for n in 0..FILES {
        assert!(fs::read(demo.path(&format!("f{n}"))).unwrap() == bytes(n, FILE_BYTES), "f{n}");
    }
}

/// Replicas that the disks say they have.
fn replica_count(demo: &Demo) -> u64 {
    let disks = demo.status()["disks"].as_array().unwrap().clone();
    disks.iter().map(|disk| disk["chunks"].as_u64().unwrap()).sum()
}
