//! Disks that are added while their server runs, through the command line, with real processes.

#![allow(clippy::unwrap_used, reason = "a test may stop")]

mod common;
use common::*;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};

/// Exit code, and what it says on stderr.
fn failed(demo: &Demo, arguments: &[&str]) -> (i32, String) {
    let output = demo.muskox(arguments).output().unwrap();
    (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
}

/// The disk at a path, as `status` shows it.
fn shown(demo: &Demo, path: &Path) -> Option<Value> {
    let status = demo.status();
    status["disks"].as_array()?.iter().find(|disk| disk["path"] == path.to_str().unwrap()).cloned()
}

fn is_up(demo: &Demo, path: &Path) -> bool {
    shown(demo, path).is_some_and(|disk| disk["state"] == "ok" && disk["reported"] == true)
}

/// Paths of the disks that hold the first chunk of a file.
fn holders(demo: &Demo, file: &Path) -> Vec<PathBuf> {
    let info = demo.ask(&["file", "info", "--json", file.to_str().unwrap()]);
    let info: Value = serde_json::from_str(&info).unwrap();
    let replicas = info["chunks"][0]["replicas"].as_array().unwrap();
    replicas.iter().map(|replica| PathBuf::from(replica["diskPath"].as_str().unwrap())).collect()
}

/// Three servers with a disk each, and an empty directory that nobody was told of.
fn given() -> (Demo, PathBuf) {
    let demo = Demo::start_with(&["--disks", "1"]);
    let extra = demo.data.join("extra");
    fs::create_dir(&extra).unwrap();
    (demo, extra)
}

/// A file of which one replica is on the disk with the label `fast`.
fn write_fast(demo: &Demo, name: &str) -> PathBuf {
    let dir = demo.path("fast");
    if !dir.exists() {
        fs::create_dir(&dir).unwrap();
        demo.ask(&["class", "create", "fast", "--keep", "fast,any"]);
        demo.ask(&["class", "set", "fast", dir.to_str().unwrap()]);
    }
    let file = dir.join(name);
    fs::write(&file, pattern(300_000)).unwrap();
    file
}

fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at / 251 + at) as u8).collect()
}

#[test]
fn a_disk_is_added_to_a_server_that_runs_and_is_served_after_its_restart() {
    let (demo, extra) = given();
    let path = extra.to_str().unwrap();
    let says = demo.ask(&["disk", "add", "cs1", path, "--label", "fast,kind=nvme"]);
    assert!(says.contains(&format!("cs1:{path} is in service")), "{says}");
    // Who was told so finds it, with its labels.
    let disk = shown(&demo, &extra).unwrap();
    let mut labels: Vec<&str> =
        disk["labels"].as_array().unwrap().iter().map(|l| l.as_str().unwrap()).collect();
    labels.sort_unstable();
    assert_eq!(labels, ["fast", "kind=nvme"]);
    wait_until("it takes chunks", || is_up(&demo, &extra));
    let file = write_fast(&demo, "a");
    assert!(holders(&demo, &file).contains(&extra));

    let data = demo.data.to_str().unwrap();
    for process in ["cs1", "master"] {
        demo.ask(&["demo", "kill", process, "--data", data]);
        demo.ask(&["demo", "start", process, "--data", data]);
    }
    wait_until("it is back, although no configuration names it", || is_up(&demo, &extra));
    assert_eq!(shown(&demo, &extra).unwrap()["labels"], disk["labels"]);
    assert_eq!(fs::read(&file).unwrap(), pattern(300_000));
    let file = write_fast(&demo, "b");
    assert!(holders(&demo, &file).contains(&extra));
}

#[test]
fn a_disk_that_was_removed_is_added_again() {
    let (demo, extra) = given();
    let (path, name) = (extra.to_str().unwrap(), format!("cs1:{}", extra.display()));
    let add = ["disk", "add", "cs1", path, "--label", "fast"];
    demo.ask(&add);
    wait_until("it takes chunks", || is_up(&demo, &extra));
    let file = write_fast(&demo, "a");
    // So that its chunks can leave the disk.
    demo.ask(&["class", "edit", "fast", "--keep", "2*any"]);
    demo.ask(&["disk", "remove", &name, "--wait"]);
    assert!(shown(&demo, &extra).is_none());
    demo.ask(&add);
    wait_until("it takes chunks again", || is_up(&demo, &extra));
    demo.ask(&["class", "edit", "fast", "--keep", "fast,any"]);
    wait_until("chunks are where their class wants them", || holders(&demo, &file).contains(&extra));
    assert_eq!(fs::read(&file).unwrap(), pattern(300_000));
    let data = demo.data.to_str().unwrap();
    demo.ask(&["demo", "kill", "cs1", "--data", data]);
    demo.ask(&["demo", "start", "cs1", "--data", data]);
    wait_until("it stays", || is_up(&demo, &extra));
}

#[test]
fn what_cannot_be_a_disk_is_refused_with_a_next_step_and_changes_nothing() {
    let (demo, extra) = given();
    let path = extra.to_str().unwrap();
    let foreign = demo.data.join("foreign");
    fs::create_dir(&foreign).unwrap();
    fs::write(foreign.join("letter.txt"), "dear").unwrap();
    let own: Value = demo.status()["disks"][0].clone();
    let (server, own_path) = (own["server"].as_str().unwrap(), own["path"].as_str().unwrap());
    let absent = demo.data.join("absent");
    for (arguments, code, exit) in [
        (&["cs1", absent.to_str().unwrap()][..], "E0229", 6),
        (&["cs1", foreign.to_str().unwrap()], "E0229", 6),
        (&["cs1", "extra"], "E0229", 6),
        (&[server, own_path], "E0229", 6),
        (&["cs9", path], "E0209", 5),
    ] {
        let (found, says) = failed(&demo, &[&["disk", "add"], arguments].concat());
        assert!(says.starts_with(code) && says.contains("next: "), "{arguments:?}: {says}");
        assert_eq!(found, exit, "{says}");
    }
    assert_eq!(fs::read_dir(&foreign).unwrap().count(), 1, "a directory of somebody else stays as it is");
    assert_eq!(fs::read_dir(&extra).unwrap().count(), 0);
    let data = demo.data.to_str().unwrap();
    demo.ask(&["demo", "kill", "cs1", "--data", data]);
    wait_until("the server is away", || {
        let status = demo.status();
        let servers = status["servers"].as_array().unwrap();
        servers.iter().any(|server| server["name"] == "cs1" && server["state"] == "down")
    });
    let (exit, says) = failed(&demo, &["disk", "add", "cs1", path]);
    assert!(says.starts_with("E0228"), "{says}");
    assert_eq!(exit, 7);
    demo.ask(&["demo", "start", "cs1", "--data", data]);
    wait_until("nothing of it is left", || demo.status()["servers"].as_array().unwrap().len() == 3);
    assert_eq!(demo.status()["disks"].as_array().unwrap().len(), 3);
}

#[test]
fn a_disk_that_cannot_be_stamped_is_not_said_to_be_in_service_and_is_when_it_can() {
    let (demo, extra) = given();
    let path = extra.to_str().unwrap();
    let chattr = |flag: &str| std::process::Command::new("chattr").arg(flag).arg(&extra).status();
    let can = chattr("+i").is_ok_and(|status| status.success());
    if !runs(
        can,
        "a_disk_that_cannot_be_stamped_is_not_said_to_be_in_service_and_is_when_it_can",
        "chattr +i",
    ) {
        return;
    }
    let add = ["disk", "add", "cs1", path];
    let (exit, says) = failed(&demo, &add);
    chattr("-i").unwrap();
    assert!(says.starts_with("E0229") && exit == 6, "{says}");
    let says = demo.ask(&add);
    assert!(says.contains("is in service"), "{says}");
    wait_until("it takes chunks", || is_up(&demo, &extra));
}

#[test]
fn disks_are_added_one_right_after_the_other_and_none_within_another() {
    let (demo, extra) = given();
    for n in 0..4 {
        let path = demo.data.join(format!("more{n}"));
        fs::create_dir(&path).unwrap();
        demo.ask(&["disk", "add", "cs1", path.to_str().unwrap()]);
    }
    let inner = demo.data.join("more0/deleted");
    fs::create_dir_all(&inner).unwrap();
    for within in [&inner, &demo.data] {
        let (exit, says) = failed(&demo, &["disk", "add", "cs1", within.to_str().unwrap()]);
        assert!(says.starts_with("E0229") && says.contains("one below the other") && exit == 6, "{says}");
    }
    demo.ask(&["disk", "add", "cs1", extra.to_str().unwrap()]);
    let files: Vec<PathBuf> = (0..40).map(|n| demo.path(&format!("file{n}"))).collect();
    files.iter().for_each(|file| fs::write(file, pattern(50_000)).unwrap());
    let used = |path: &Path| files.iter().any(|file| holders(&demo, file).contains(&path.to_path_buf()));
    assert!((0..4).any(|n| used(&demo.data.join(format!("more{n}")))), "they take chunks");
}

#[test]
fn a_disk_is_replaced_by_another_one_of_its_server() {
    let (demo, extra) = given();
    let files: Vec<PathBuf> = (0..12).map(|n| demo.path(&format!("file{n}"))).collect();
    files.iter().for_each(|file| fs::write(file, pattern(300_000)).unwrap());
    let disks = demo.status()["disks"].clone();
    let servers = demo.status()["servers"].clone();
    let cs1 =
        servers.as_array().unwrap().iter().find(|server| server["name"] == "cs1").unwrap()["id"].clone();
    let old = disks.as_array().unwrap().iter().find(|disk| disk["server"] == cs1).unwrap();
    let old = PathBuf::from(old["path"].as_str().unwrap());
    let before: Vec<Vec<PathBuf>> = files.iter().map(|file| holders(&demo, file)).collect();
    assert!(before.iter().any(|holders| holders.contains(&old)));
    let name = format!("cs1:{}", old.display());
    demo.ask(&["disk", "label", &name, "ssd"]);

    let missing = demo.data.join("missing");
    let (exit, says) = failed(&demo, &["disk", "replace", &name, "--with", missing.to_str().unwrap()]);
    assert!(says.starts_with("E0229") && exit == 6, "{says}");
    assert!(shown(&demo, &old).unwrap()["removal"].is_null(), "nothing was begun");
    let (exit, says) = failed(&demo, &["disk", "replace", &name, "--with", &name]);
    assert!(says.starts_with("E0229") && exit == 6, "{says}");

    let says = demo.ask(&["disk", "replace", &name, "--with", extra.to_str().unwrap(), "--wait"]);
    assert!(says.contains("is removed, safe: yes"), "{says}");
    assert!(shown(&demo, &old).is_none());
    assert_eq!(shown(&demo, &extra).unwrap()["labels"].as_array().unwrap(), &["ssd"]);
    for (file, before) in files.iter().zip(&before) {
        let mut wanted: Vec<PathBuf> =
            before.iter().map(|disk| if *disk == old { extra.clone() } else { disk.clone() }).collect();
        let mut after = holders(&demo, file);
        wanted.sort();
        after.sort();
        assert_eq!(after, wanted);
    }
    fs::rename(&old, demo.data.join("taken-away")).unwrap();
    files.iter().for_each(|file| assert_eq!(fs::read(file).unwrap(), pattern(300_000)));
}
