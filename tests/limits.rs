//! Limits of healing and holds with real processes: a limit slows copies down at once, outlives the master, and its end lets them
//! go on; what an edit made dispensable is held over a restart until its hold is ended.

#![allow(clippy::unwrap_used, reason = "a test may stop")]

mod common;
use common::*;
use serde_json::Value;
use std::fs;
use std::time::{Duration, Instant};

const FILES: u64 = 24;
const FILE_BYTES: usize = 2 << 20;
const SERVERS: [&str; 3] = ["cs1", "cs2", "cs3"];

fn json(demo: &Demo, arguments: &[&str]) -> Value {
    let mut with_json = arguments.to_vec();
    with_json.push("--json");
    serde_json::from_str(&demo.ask(&with_json)).unwrap()
}

fn count(demo: &Demo, what: &str) -> u64 {
    demo.status()["chunks"][what].as_u64().unwrap()
}

/// The master again, with all disks.
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
fn a_limit_is_obeyed_by_servers_survives_the_master_and_holds_do_too() {
    if !can_mount("a_limit_is_obeyed_by_servers_survives_the_master_and_holds_do_too") {
        return;
    }
    let demo = Demo::start();
    for n in 0..FILES {
        fs::write(demo.path(&format!("f{n}")), bytes(n, FILE_BYTES)).unwrap();
    }
    wait_within(Duration::from_secs(60), "all is written", || count(&demo, "ok") == FILES);
    for server in SERVERS {
        demo.ask(&["limit", "set", "--server", server, "--rate", "512KiB"]);
    }
    let refused =
        demo.muskox(&["limit", "set", "--from", "tape", "--to", "any", "--copies", "1"]).output().unwrap();
    assert_eq!(refused.status.code(), Some(6), "{}", text(&refused));
    let limits = json(&demo, &["limit", "ls"]);
    assert_eq!(limits["limits"].as_array().unwrap().len(), 3, "{limits}");

    // A third replica of each: each server writes some of them, at its rate.
    let begun = Instant::now();
    demo.ask(&["class", "edit", "default", "--keep", "3*any"]);
    wait_within(Duration::from_secs(60), "somebody says why it takes long", || {
        demo.status()["warnings"].to_string().contains("HEALING_LIMITED server cs")
    });
    restart_master(&demo);
    assert_eq!(json(&demo, &["limit", "ls"])["limits"].as_array().unwrap().len(), 3);
    let copied = 6;
    wait_within(Duration::from_secs(120), "some are copied", || count(&demo, "ok") >= copied);
    // So many bytes went through three limits of 512 KiB/s, but for a piece of each copy that was ahead.
    let least = (copied * FILE_BYTES as u64).saturating_sub(3 << 20) / (3 * (512 << 10));
    assert!(begun.elapsed() >= Duration::from_secs(least / 2), "{:?} for {copied}", begun.elapsed());
    assert!(count(&demo, "ok") < FILES, "there is something left to be done faster");
    for server in SERVERS {
        demo.ask(&["limit", "rm", "--server", server]);
    }
    let none = demo.muskox(&["limit", "rm", "--server", "cs1"]).output().unwrap();
    assert_eq!(none.status.code(), Some(5), "{}", text(&none));
    wait_within(Duration::from_secs(90), "all is copied", || count(&demo, "ok") == FILES);

    // What the way back makes dispensable is held, over a restart too, until somebody ends that.
    demo.ask(&["class", "edit", "default", "--keep", "2*any", "--yes"]);
    wait_until("it is held", || count(&demo, "held") == FILES);
    restart_master(&demo);
    wait_until("it is held still", || count(&demo, "held") == FILES);
    let holds = json(&demo, &["class", "hold", "ls"]);
    let holds = holds["holds"].as_array().unwrap();
    let hold = holds.iter().find(|hold| hold["replicas"] == FILES).unwrap();
    assert_eq!((&hold["what"], &hold["before"]), (&"class default".into(), &"keep 3*any".into()));
    let id = hold["id"].as_u64().unwrap().to_string();
    demo.ask(&["class", "hold", "end", &id]);
    let again = demo.muskox(&["class", "hold", "end", &id]).output().unwrap();
    assert_eq!(again.status.code(), Some(5), "{}", text(&again));
    wait_within(Duration::from_secs(60), "they are gone", || {
        (count(&demo, "held"), count(&demo, "ok"), count(&demo, "overgoal")) == (0, FILES, 0)
    });
    for n in 0..FILES {
        assert_eq!(fs::read(demo.path(&format!("f{n}"))).unwrap(), bytes(n, FILE_BYTES), "f{n}");
    }
}
