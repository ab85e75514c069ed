//! Removal of disks and servers through the command line, with real processes: *safe* is believed by taking the disk's directory
//! away and reading everything.

#![allow(clippy::unwrap_used, reason = "a test may stop")]

mod common;
#[path = "common/load.rs"]
mod load;
#[path = "common/loops.rs"]
mod loops;
use common::*;
use load::*;
use loops::*;
use serde_json::Value;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

/// Long enough to copy what these tests write, on a machine with other work.
const REMOVED_WITHIN: Duration = Duration::from_secs(180);

fn run(demo: &Demo, arguments: &[&str]) -> Output {
    demo.muskox(arguments).output().unwrap()
}

/// A command that is refused: its exit code and what it says.
fn refused(demo: &Demo, arguments: &[&str]) -> (i32, String) {
    let output = run(demo, arguments);
    (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
}

/// The disk at a path, as `status` shows it.
fn shown(demo: &Demo, path: &Path) -> Option<Value> {
    let output = run(demo, &["status", "--json"]);
    let status: Value = serde_json::from_slice(&output.stdout).ok()?;
    let disks = status["disks"].as_array()?;
    disks.iter().find(|disk| disk["path"] == path.to_str().unwrap()).cloned()
}

fn warns(demo: &Demo, code: &str) -> bool {
    demo.status()["warnings"]
        .as_array()
        .unwrap()
        .iter()
        .any(|one| one["code"].as_str().unwrap().starts_with(code))
}

fn is_healed(demo: &Demo) -> bool {
    let counts = demo.status()["chunks"].clone();
    let count = |what: &str| counts[what].as_u64().unwrap();
    count("ok") > 0 && count("endangered") + count("undergoal") + count("missing") + count("leaving") == 0
}

/// Paths of the disks that hold the first chunk of a file.
fn holders(demo: &Demo, file: &Path) -> Vec<PathBuf> {
    let info = demo.ask(&["file", "info", "--json", file.to_str().unwrap()]);
    let info: Value = serde_json::from_str(&info).unwrap();
    let replicas = info["chunks"][0]["replicas"].as_array().unwrap();
    replicas.iter().map(|replica| PathBuf::from(replica["diskPath"].as_str().unwrap())).collect()
}

#[test]
fn the_smallest_of_four_disks_is_removed_under_load_and_a_restart_of_the_master_and_nothing_is_lost() {
    let name =
        "the_smallest_of_four_disks_is_removed_under_load_and_a_restart_of_the_master_and_nothing_is_lost";
    if !can_loop(name) {
        return;
    }
    let places = [("cs1/d1", 2048), ("cs2/d1", 2048), ("cs3/d1", 2048), ("cs4/d1", 1024)];
    let cluster = Cluster::start(&["--chunkservers", "4", "--disks", "1"], &places);
    let (demo, smallest) = (&cluster.demo, &cluster.loops[3]);
    let data = demo.data.to_str().unwrap();
    let disk = format!("cs4:{}", smallest.mountpoint.display());
    let load = Load::start(&demo.path("load"), 1);
    load.wait_for(400);
    let plan: Value =
        serde_json::from_str(&demo.ask(&["disk", "remove", &disk, "--plan", "--json"])).unwrap();
    assert_eq!((&plan["marked"], &plan["obstaclesTotal"]), (&false.into(), &0.into()));
    assert!(plan["copies"].as_u64().unwrap() > 0, "{plan}");
    let mut remove = demo.muskox(&["disk", "remove", &disk, "--wait"]);
    let mut remove = remove.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let left =
        |demo: &Demo| shown(demo, &smallest.mountpoint).and_then(|disk| disk["removal"]["needed"].as_u64());
    wait_until("chunks leave the disk", || left(demo).is_some_and(|left| left > 0));
    // By a process begun while there is a master: a fork of this one flushes the load's files as it closes them.
    sh(&demo.data, &format!("for what in kill start; do {MUSKOX} demo $what master --data {data}; done"));
    wait_until("the master is back, with the mark", || {
        shown(demo, &smallest.mountpoint).is_none_or(|disk| disk["removal"].is_object())
    });
    wait_within(REMOVED_WITHIN, "the disk is removed", || remove.try_wait().unwrap().is_some());
    let mut says = String::new();
    remove.stderr.take().unwrap().read_to_string(&mut says).unwrap();
    let output = remove.wait_with_output().unwrap();
    assert!(output.status.success(), "{says}");
    assert!(text(&output).contains("is removed, safe: yes"), "{}", text(&output));
    assert!(says.contains("chunks left"), "progress in plain lines: {says}");
    // It was safe: its directory goes while the load is on.
    assert_eq!(shown(demo, &smallest.mountpoint), None);
    smallest.pull();
    load.wait_for(200);
    let promised = load.end();
    promised.assert_no_error();
    demo.mount_anew();
    promised.check();
    wait_within(REMOVED_WITHIN, "every chunk has what it wants", || is_healed(demo));

    // It is not used again, neither while its directory is away nor when it is back.
    for directory_is_back in [false, true] {
        if directory_is_back {
            smallest.mount_again();
        }
        demo.ask(&["demo", "kill", "cs4", "--data", data]);
        demo.ask(&["demo", "start", "cs4", "--data", data]);
        wait_until("cs4 is back", || {
            demo.status()["servers"].as_array().unwrap().iter().all(|server| server["state"] == "up")
        });
        let status = demo.status();
        assert_eq!(status["disks"].as_array().unwrap().len(), 3);
        assert_eq!(status["refusedDisks"], Value::Array(Vec::new()));
    }
    let (code, says) = refused(demo, &["server", "forget", "cs4"]);
    assert_eq!((code, says.starts_with("E0224")), (6, true), "{says}");
    demo.ask(&["demo", "kill", "cs4", "--data", data]);
    wait_until("cs4 is gone", || warns(demo, "SERVER_DOWN"));
    demo.ask(&["server", "forget", "cs4"]);
    assert!(!demo.ask(&["server", "ls"]).contains("cs4"));
    promised.check();
}

#[test]
fn what_can_go_nowhere_stays_with_a_reason_and_keep_undoes_it() {
    if !can_mount("what_can_go_nowhere_stays_with_a_reason_and_keep_undoes_it") {
        return;
    }
    let demo = Demo::start_with(&["--chunkservers", "2", "--disks", "1"]);
    let file = demo.path("f");
    fs::write(&file, bytes(1, 100_000)).unwrap();
    wait_until("it has two replicas", || is_healed(&demo));
    let place = holders(&demo, &file)[0].clone();
    let server = if place.to_str().unwrap().contains("cs1") { "cs1" } else { "cs2" };
    let disk = format!("{server}:{}", place.display());
    let plan = run(&demo, &["disk", "remove", &disk, "--plan", "--json"]);
    assert_eq!(plan.status.code(), Some(6));
    let plan: Value = serde_json::from_slice(&plan.stdout).unwrap();
    assert_eq!((&plan["obstaclesTotal"], &plan["obstacles"][0]["reason"]), (&1.into(), &"no-disk".into()));
    assert!(shown(&demo, &place).unwrap()["removal"].is_null(), "a plan changes nothing");

    let text = demo.ask(&["disk", "remove", &disk]);
    assert!(text.contains("safe: no"), "{text}");
    let (code, says) = refused(&demo, &["disk", "remove", &disk, "--wait"]);
    assert!(code == 6 && says.contains("E0226"), "{code} {says}");
    assert!(warns(&demo, "REMOVAL_STUCK"));
    assert!(demo.ask(&["disk", "ls"]).contains("leaving"));
    let state = run(&demo, &["disk", "remove", &disk, "--plan", "--json"]);
    let state: Value = serde_json::from_slice(&state.stdout).unwrap();
    assert_eq!((&state["marked"], &state["safe"]), (&true.into(), &false.into()));
    assert_eq!(holders(&demo, &file).len(), 2, "nothing was dropped");
    let (code, says) = refused(&demo, &["disk", "remove", &disk, "--wait", "--timeout", "1s"]);
    assert!(code == 8 && says.contains("E0227"), "{code} {says}");

    demo.ask(&["disk", "keep", &disk]);
    assert!(shown(&demo, &place).unwrap()["removal"].is_null());
    wait_until("its chunks have what they want as they are", || is_healed(&demo));
    assert!(!warns(&demo, "REMOVAL_STUCK"));
    assert_eq!(refused(&demo, &["disk", "remove", "cs1:/nowhere"]).0, 5);
    assert_eq!(fs::read(&file).unwrap(), bytes(1, 100_000));
}

#[test]
fn files_without_a_name_and_those_with_one_replica_leave_a_server_that_goes() {
    if !can_mount("files_without_a_name_and_those_with_one_replica_leave_a_server_that_goes") {
        return;
    }
    let demo = Demo::start_with(&["--chunkservers", "3", "--disks", "2"]);
    let (single, unnamed) = (demo.path("single"), demo.path("unnamed"));
    fs::write(&single, b"").unwrap();
    demo.ask(&["class", "set", "single", single.to_str().unwrap()]);
    fs::write(&single, bytes(1, 300_000)).unwrap();
    // Made and never written: what is reserved for it keeps nobody.
    let idle = File::create(demo.path("idle")).unwrap();
    let mut open = File::options().read(true).write(true).create_new(true).open(&unnamed).unwrap();
    open.write_all(&bytes(2, 300_000)).unwrap();
    open.sync_all().unwrap();
    fs::remove_file(&unnamed).unwrap();
    let place = holders(&demo, &single)[0].clone();
    let server =
        ["cs1", "cs2", "cs3"].into_iter().find(|name| place.to_str().unwrap().contains(name)).unwrap();

    demo.ask(&["server", "remove", server, "--drain-only", "--wait"]);
    let text = demo.ask(&["server", "ls"]);
    assert!(text.contains("up, leaving"), "{text}");
    demo.ask(&["server", "keep", server]);
    let text = demo.ask(&["server", "remove", server, "--wait"]);
    assert!(text.contains("is empty, safe: yes"), "{text}");
    let names = |demo: &Demo| demo.ask(&["disk", "ls"]);
    assert!(!names(&demo).contains(server), "{}", names(&demo));
    let directory = place.parent().unwrap();
    fs::rename(directory, directory.with_extension("taken-away")).unwrap();
    let mut found = vec![0; 300_000];
    rustix::fs::fadvise(&open, 0, None, rustix::fs::Advice::DontNeed).unwrap();
    open.read_exact_at(&mut found, 0).unwrap();
    assert!(found == bytes(2, 300_000), "the file without a name");
    idle.write_all_at(b"late", 0).unwrap();
    idle.sync_all().unwrap();
    drop((open, idle));
    demo.mount_anew();
    assert!(fs::read(&single).unwrap() == bytes(1, 300_000), "the file with one replica");
    assert_eq!(fs::read(demo.path("idle")).unwrap(), b"late");
}

#[test]
fn a_server_in_maintenance_is_expected_back_also_by_a_new_master() {
    if !can_mount("a_server_in_maintenance_is_expected_back_also_by_a_new_master") {
        return;
    }
    let demo = Demo::start_with(&["--chunkservers", "3", "--disks", "1"]);
    let data = demo.data.to_str().unwrap();
    let file = demo.path("f");
    fs::write(&file, bytes(1, 100_000)).unwrap();
    wait_until("it has two replicas", || is_healed(&demo));
    let place = holders(&demo, &file)[0].clone();
    let server =
        ["cs1", "cs2", "cs3"].into_iter().find(|name| place.to_str().unwrap().contains(name)).unwrap();
    demo.ask(&["server", "maintenance", "on", server, "--for", "30m"]);
    demo.ask(&["demo", "kill", server, "--data", data]);
    demo.ask(&["demo", "kill", "master", "--data", data]);
    demo.ask(&["demo", "start", "master", "--data", data]);
    wait_until("the master knows that the server is away on purpose", || {
        let output = run(&demo, &["server", "ls"]);
        String::from_utf8(output.stdout).unwrap().contains("down, maintenance for 29 min")
    });
    wait_until("it is missed by nobody", || {
        warns(&demo, "SERVER_MAINTENANCE") && !warns(&demo, "SERVER_DOWN")
    });
    demo.ask(&["server", "maintenance", "off", server]);
    assert!(warns(&demo, "SERVER_DOWN"));
    wait_within(REMOVED_WITHIN, "its replicas are made elsewhere", || {
        is_healed(&demo) && holders(&demo, &file).iter().all(|holder| *holder != place)
    });
}

#[test]
fn of_a_server_that_a_new_master_has_not_heard_nothing_is_said_to_be_safe() {
    if !can_mount("of_a_server_that_a_new_master_has_not_heard_nothing_is_said_to_be_safe") {
        return;
    }
    let demo = Demo::start_with(&["--chunkservers", "3", "--disks", "1"]);
    let data = demo.data.to_str().unwrap();
    for name in ["cs1", "master"] {
        demo.ask(&["demo", "kill", name, "--data", data]);
    }
    demo.ask(&["demo", "start", "master", "--data", data]);
    let plan = || -> Option<Value> {
        serde_json::from_slice(&run(&demo, &["server", "remove", "cs1", "--plan", "--json"]).stdout).ok()
    };
    wait_until("the new master answers", || plan().is_some_and(|plan| !plan["safe"].is_null()));
    assert_eq!(plan().unwrap()["safe"], false);
}
