//! The demo: one command to a mounted cluster, and back.

#![allow(clippy::unwrap_used, reason = "a test may stop")]

mod common;
use common::*;
use std::fs;

#[test]
fn one_command_gives_a_mounted_cluster_that_keeps_its_files() {
    if !can_mount("one_command_gives_a_mounted_cluster_that_keeps_its_files") {
        return;
    }
    let mut demo = Demo::start();
    let json = demo.json();
    let names: Vec<_> =
        json["processes"].as_array().unwrap().iter().map(|p| p["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["master", "cs1", "cs2", "cs3", "mount"]);
    fs::write(demo.path("hello.txt"), "hello\n").unwrap();
    let info = demo.ask(&["file", "info", demo.path("hello.txt").to_str().unwrap()]);
    assert!(info.contains("2/2") && info.contains("hello.txt"), "{info}");
    let status = demo.status();
    for key in ["ok", "undergoal", "endangered", "missing", "overgoal"] {
        assert!(status["chunks"][key].is_u64(), "{key}: {status}");
    }
    assert_eq!(status["chunks"]["ok"], 1);
    demo.stop();
    assert!(!demo.data.join("demo.json").exists());
    assert!(fs::read_dir(&demo.mountpoint).unwrap().next().is_none(), "unmounted");
    demo.run(&[]);
    assert_eq!(fs::read_to_string(demo.path("hello.txt")).unwrap(), "hello\n");
}

#[test]
fn a_directory_in_use_is_refused_by_the_holders_pid() {
    let demo = Demo::start_with(&["--no-mount"]);
    let output = demo.command().arg("--no-mount").output().unwrap();
    let pid = demo.pids().last().unwrap().to_string();
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(6), "{message}");
    assert!(message.contains(&pid) && message.contains("next:"), "{message}");
}

#[test]
fn a_busy_mount_is_detached_at_ctrl_c_and_no_process_stays() {
    if !can_mount("a_busy_mount_is_detached_at_ctrl_c_and_no_process_stays") {
        return;
    }
    let mut demo = Demo::start();
    let held = fs::File::create(demo.path("held")).unwrap();
    let pids = demo.pids();
    demo.stop();
    assert!(pids.iter().all(|pid| !is_alive(*pid)));
    drop(held);
    assert!(fs::read_dir(&demo.mountpoint).unwrap().next().is_none());
}

#[test]
fn children_die_with_the_demo_and_a_dead_mount_is_detached_by_the_next() {
    if !can_mount("children_die_with_the_demo_and_a_dead_mount_is_detached_by_the_next") {
        return;
    }
    let mut demo = Demo::start();
    fs::write(demo.path("f"), "x").unwrap();
    let pids = demo.pids();
    // Only the demo itself and the mount are killed: the mount leaves a dead mountpoint behind.
    signal(pids[pids.len() - 2], rustix::process::Signal::KILL);
    signal(pids[pids.len() - 1], rustix::process::Signal::KILL);
    wait_until("all processes of the demo have ended", || pids.iter().all(|pid| !is_alive(*pid)));
    demo.forget();
    demo.run(&[]);
    assert_eq!(fs::read_to_string(demo.path("f")).unwrap(), "x");
    // What the killed one left behind does not pass for a second demo.
    demo.ask(&["status"]);
}

#[test]
fn a_process_is_killed_and_started_again_by_name() {
    if !can_mount("a_process_is_killed_and_started_again_by_name") {
        return;
    }
    let demo = Demo::start();
    fs::write(demo.path("f"), bytes(1, 300_000)).unwrap();
    let data = demo.data.to_str().unwrap();
    for name in ["cs2", "master", "mount"] {
        demo.ask(&["demo", "kill", name, "--data", data]);
        let again = demo.muskox(&["demo", "kill", name, "--data", data]).output().unwrap();
        assert!(!again.status.success());
        demo.ask(&["demo", "start", name, "--data", data]);
        assert_eq!(fs::read(demo.path("f")).unwrap(), bytes(1, 300_000), "after {name}");
    }
    fs::write(demo.path("g"), "still writable").unwrap();
    let unknown = demo.muskox(&["demo", "kill", "cs9", "--data", data]).output().unwrap();
    assert_eq!(unknown.status.code(), Some(5));
    demo.ask(&["demo", "stop", "--data", data]);
    wait_until("the demo has stopped", || !demo.data.join("demo.json").exists());
}

#[test]
fn all_roles_run_in_one_process_too() {
    if !can_mount("all_roles_run_in_one_process_too") {
        return;
    }
    let mut demo = Demo::start_with(&["--in-process", "--chunkservers", "2", "--disks", "1"]);
    fs::write(demo.path("f"), bytes(2, 200_000)).unwrap();
    demo.stop();
    demo.run(&["--in-process", "--chunkservers", "2", "--disks", "1"]);
    assert_eq!(fs::read(demo.path("f")).unwrap(), bytes(2, 200_000));
}
