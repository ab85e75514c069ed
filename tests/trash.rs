//! Deleted files that are kept, through the command line, with real processes.

#![allow(clippy::unwrap_used, reason = "a test may stop")]

mod common;
use common::*;
use serde_json::Value;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

fn json(demo: &Demo, arguments: &[&str]) -> Value {
    let document: Value = serde_json::from_str(&demo.ask(&[arguments, &["--json"]].concat())).unwrap();
    assert_eq!(document["apiVersion"], "muskox/v1", "{arguments:?}");
    document
}

/// Exit code, and what it says on stdout and on stderr.
fn run(demo: &Demo, arguments: &[&str]) -> (i32, String) {
    let output = demo.muskox(arguments).output().unwrap();
    let says = [output.stdout, output.stderr].concat();
    (output.status.code().unwrap(), String::from_utf8(says).unwrap())
}

fn paths(demo: &Demo, arguments: &[&str]) -> Vec<String> {
    let trash = json(demo, &[&["trash", "ls"], arguments].concat());
    trash["files"].as_array().unwrap().iter().map(|file| file["path"].as_str().unwrap().to_owned()).collect()
}

fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at / 251 + at) as u8).collect()
}

/// Replicas on the disks with a label, and on the others.
fn replicas(demo: &Demo, label: &str) -> (u64, u64) {
    let status = demo.status();
    let has = |disk: &&Value| disk["labels"].as_array().unwrap().iter().any(|one| one == label);
    let disks = status["disks"].as_array().unwrap().iter();
    let (with, without): (Vec<&Value>, Vec<&Value>) = disks.partition(has);
    let sum = |disks: Vec<&Value>| disks.iter().map(|disk| disk["chunks"].as_u64().unwrap()).sum();
    (sum(with), sum(without))
}

/// One disk on each of three servers, the third with `hdd`; what is made in `/kept` is kept there when it is deleted.
fn given() -> Demo {
    let demo = Demo::start_with(&["--disks", "1"]);
    let disks = demo.status()["disks"].as_array().unwrap().clone();
    let mut paths: Vec<&str> = disks.iter().map(|disk| disk["path"].as_str().unwrap()).collect();
    paths.sort_unstable();
    for (path, (server, label)) in paths.iter().zip([("cs1", "ssd"), ("cs2", "ssd"), ("cs3", "hdd")]) {
        demo.ask(&["disk", "label", &format!("{server}:{path}"), label]);
    }
    demo.ask(&["class", "create", "kept", "--keep", "2*ssd", "--trash", "hdd", "--trash-keep", "1h"]);
    fs::create_dir(demo.path("kept")).unwrap();
    demo.ask(&["class", "set", "kept", demo.path("kept").to_str().unwrap()]);
    // After a start of the master these would hold what is on hdd, which each edit here found good enough.
    for hold in json(&demo, &["class", "hold", "ls"])["holds"].as_array().unwrap() {
        demo.ask(&["class", "hold", "end", &hold["id"].to_string()]);
    }
    demo
}

fn write(path: &Path, content: &[u8]) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

#[test]
fn a_deleted_tree_waits_where_its_class_says_and_comes_back_after_a_crash_of_the_master() {
    if !can_mount("a_deleted_tree_waits_where_its_class_says_and_comes_back_after_a_crash_of_the_master") {
        return;
    }
    let demo = given();
    let (one, two) = (demo.path("kept/2019/one"), demo.path("kept/2019/deep/two"));
    write(&one, &pattern(300_000));
    write(&two, &pattern(5));
    write(&demo.path("gone"), b"of a class that keeps nothing");
    let before = fs::metadata(&one).unwrap();
    wait_until("two replicas on ssd", || replicas(&demo, "hdd").1 >= 4);
    fs::remove_file(demo.path("gone")).unwrap();
    fs::remove_dir_all(demo.path("kept/2019")).unwrap();
    assert!(!demo.path("kept/2019").exists());
    let mut all = paths(&demo, &[]);
    all.sort_unstable();
    assert_eq!(all, ["/kept/2019/deep/two", "/kept/2019/one"]);
    assert_eq!(paths(&demo, &["kept/*/one", "--newer", "1h"]), ["/kept/2019/one"]);
    assert_eq!(paths(&demo, &["--older", "1h"]), [""; 0]);
    let shown = demo.status()["trash"].clone();
    assert_eq!((&shown["files"], &shown["bytes"]), (&2.into(), &300_005.into()));
    let text = text(&demo.muskox(&["status"]).output().unwrap());
    assert!(text.contains("trash     2 deleted files"), "{text}");
    wait_until("their chunks are on hdd alone", || replicas(&demo, "hdd") == (2, 0));

    let data = demo.data.to_str().unwrap();
    demo.ask(&["demo", "kill", "master", "--data", data]);
    demo.ask(&["demo", "start", "master", "--data", data]);
    wait_until("the master is back", || run(&demo, &["trash", "ls"]).0 == 0);
    assert_eq!(paths(&demo, &["kept"]).len(), 2);
    let told = demo.ask(&["trash", "restore", "kept/2019"]);
    assert!(told.contains("restored 2 files"), "{told}");
    wait_until("the name is there", || one.exists());
    let after = fs::metadata(&one).unwrap();
    let kept = |of: &fs::Metadata| (of.ino(), of.uid(), of.mode(), of.mtime(), of.mtime_nsec(), of.len());
    assert_eq!(kept(&after), kept(&before));
    assert_eq!((fs::read(&one).unwrap(), fs::read(&two).unwrap()), (pattern(300_000), pattern(5)));
    wait_until("they are back on ssd", || replicas(&demo, "hdd") == (0, 4));
    assert_eq!(fs::read(&one).unwrap(), pattern(300_000));
    assert_eq!(paths(&demo, &[]), [""; 0]);
}

#[test]
fn nothing_is_overwritten_or_purged_without_a_word() {
    if !can_mount("nothing_is_overwritten_or_purged_without_a_word") {
        return;
    }
    let demo = given();
    let file = demo.path("kept/f");
    for content in ["first", "second"] {
        write(&file, content.as_bytes());
        fs::remove_file(&file).unwrap();
    }
    write(&file, b"third");
    let (code, says) = run(&demo, &["trash", "restore", "/kept/f"]);
    assert_eq!((code, says.contains("/kept/f: something has that name")), (6, true), "{says}");
    assert!(says.contains("1 file deleted earlier"), "{says}");
    assert_eq!(fs::read(&file).unwrap(), b"third");
    demo.ask(&["trash", "restore", "/kept/f", "--to", "/back/here"]);
    wait_until("it is elsewhere", || demo.path("back/here/kept/f").exists());
    assert_eq!(fs::read(demo.path("back/here/kept/f")).unwrap(), b"second", "the one deleted last");
    demo.ask(&["trash", "restore", "/kept/f", "--overwrite"]);
    wait_until("it took the place", || fs::read(&file).is_ok_and(|content| content == b"first"));
    assert_eq!(paths(&demo, &[]), ["/kept/f"], "what had the place");

    let (code, says) = run(&demo, &["trash", "restore", "/kept/none"]);
    assert_eq!((code, says.starts_with("E0240")), (5, true), "{says}");
    assert_eq!(run(&demo, &["trash", "purge"]).0, 2, "not everything by accident");
    let (code, says) = run(&demo, &["trash", "purge", "--all"]);
    assert_eq!((code, says.starts_with("E0241 1 deleted file of 5 B")), (6, true), "{says}");
    assert_eq!(paths(&demo, &[]).len(), 1);
    let id = json(&demo, &["trash", "ls"])["files"][0]["id"].to_string();
    let told = demo.ask(&["trash", "purge", &id, "--yes"]);
    assert!(told.contains("purged 1 file"), "{told}");
    assert_eq!(paths(&demo, &[]), [""; 0]);
    let (code, says) = run(&demo, &["class", "delete", "kept"]);
    assert_eq!((code, says.starts_with("E0203")), (6, true), "{says}");
}

#[test]
fn a_deleted_file_goes_when_its_time_is_over() {
    if !can_mount("a_deleted_file_goes_when_its_time_is_over") {
        return;
    }
    let demo = given();
    demo.ask(&["class", "edit", "kept", "--trash-keep", "2s"]);
    let file = demo.path("kept/f");
    write(&file, &pattern(100_000));
    wait_until("its replicas are there", || replicas(&demo, "hdd").1 == 2);
    fs::remove_file(&file).unwrap();
    assert_eq!(paths(&demo, &[]), ["/kept/f"]);
    wait_until("it is gone", || paths(&demo, &[]).is_empty());
    wait_until("and its chunks", || replicas(&demo, "hdd") == (0, 0));
    wait_until("nothing is left to be done", || demo.status()["chunks"]["deleting"] == 0);
}
