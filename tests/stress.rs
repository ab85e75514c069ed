//! Many processes do all that programs do to files, at random and in each other's way; then everything is counted.
//!
//! `cargo xtask soak stress` does it for ten minutes with fresh numbers.

#![allow(clippy::unwrap_used, reason = "a test may stop")]

mod common;
#[path = "common/hosts.rs"]
mod hosts;
#[path = "common/namespaces.rs"]
mod namespaces;
#[path = "common/replicas.rs"]
mod replicas;
#[path = "common/shell.rs"]
mod shell;
#[path = "common/strain.rs"]
mod strain;

use common::*;
use hosts::*;
use replicas::*;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use strain::*;

const PROCESSES: u64 = 8;
/// What each process does in CI.
const OPERATIONS: u64 = 400;
const SEED: u64 = 20_261_122;
/// Until what was left over is gone from the disks.
const TIDY_WITHIN: Duration = Duration::from_secs(120);
/// How a process of the test is told what to do.
const TOLD: &str = "MUSKOX_STRESS_PROCESS";

/// One of the processes: it does nothing unless the test started it.
#[test]
fn a_process_of_the_test() {
    let Ok(told) = std::env::var(TOLD) else { return };
    let words: Vec<&str> = told.splitn(4, ' ').collect();
    let (number, seed) = (words[0].parse().unwrap(), words[1].parse().unwrap());
    let (mount, list) = words[3].split_once(' ').unwrap();
    let amount = match words[2].strip_suffix('s') {
        Some(seconds) => Amount::Time(Duration::from_secs(seconds.parse().unwrap())),
        None => Amount::Operations(words[2].parse().unwrap()),
    };
    work(Path::new(mount), number, seed, amount, Path::new(list));
}

/// What a walk over the whole mount comes to.
#[derive(Debug, Default, PartialEq, Eq)]
struct Scan {
    inodes: BTreeMap<u64, u64>,
    directories: u64,
    names: u64,
}

/// Looks at every name and reads every file; link counts are those of the names.
fn scan(mount: &Path) -> Scan {
    let mut scan = Scan::default();
    let mut links = BTreeMap::new();
    let mut pending = vec![mount.to_owned()];
    scan.directories = 1;
    scan.inodes.insert(fs::metadata(mount).unwrap().ino(), 1);
    while let Some(directory) = pending.pop() {
        let mut subdirectories = 0;
        for entry in fs::read_dir(&directory).unwrap() {
            let path = entry.unwrap().path();
            let found = fs::symlink_metadata(&path).unwrap();
            scan.names += 1;
            *scan.inodes.entry(found.ino()).or_default() += 1;
            if found.is_dir() {
                scan.directories += 1;
                subdirectories += 1;
                pending.push(path);
                continue;
            }
            links.insert(found.ino(), (found.nlink(), path.clone()));
            if found.is_file() {
                assert_eq!(fs::read(&path).unwrap().len() as u64, found.len(), "{}", path.display());
            }
        }
        let nlink = fs::symlink_metadata(&directory).unwrap().nlink();
        assert_eq!(nlink, 2 + subdirectories, "{}", directory.display());
    }
    for (inode, (nlink, path)) in links {
        assert_eq!(nlink, scan.inodes[&inode], "names of {}", path.display());
    }
    scan
}

/// All files of all processes have the bytes that were written last.
fn check_lists(lists: &[PathBuf]) {
    for list in lists {
        for line in fs::read_to_string(list).unwrap().lines() {
            let (path, hash) = line.rsplit_once(' ').unwrap();
            assert_eq!(blake3::hash(&fs::read(path).unwrap()).to_string(), hash, "{path}");
        }
    }
}

/// The chunk files of all disks, by name.
fn stored(hosts: &Hosts) -> BTreeMap<String, usize> {
    let mut stored = BTreeMap::new();
    for disk in hosts.disks() {
        chunk_files(&disk, "chunks").into_iter().for_each(|(name, _)| *stored.entry(name).or_default() += 1);
    }
    stored
}

#[test]
fn after_all_operations_by_many_processes_every_count_is_right() {
    if !can_mount("after_all_operations_by_many_processes_every_count_is_right") {
        return;
    }
    let mut hosts = Hosts::start();
    let seconds = std::env::var("MUSKOX_STRESS_SECONDS").ok();
    let seed = std::env::var("MUSKOX_STRESS_SEED").map_or(SEED, |seed| seed.parse().unwrap());
    let amount = seconds.map_or(OPERATIONS.to_string(), |seconds| format!("{seconds}s"));
    let lists: Vec<PathBuf> = (0..PROCESSES).map(|number| hosts.data.join(format!("list{number}"))).collect();
    let processes: Vec<_> = (0..PROCESSES)
        .zip(&lists)
        .map(|(number, list)| {
            let mut command = Command::new(std::env::current_exe().unwrap());
            let told = format!("{number} {seed} {amount} {} {}", hosts.mountpoint.display(), list.display());
            command.args(["--exact", "a_process_of_the_test", "--nocapture"]).env(TOLD, told);
            command.spawn().unwrap()
        })
        .collect();
    for mut process in processes {
        assert!(process.wait().unwrap().success(), "a process was given an error; seed {seed}");
    }
    let before = scan(&hosts.mountpoint);
    check_lists(&lists);
    hosts.kill("mount");
    hosts.start_one("mount");
    assert_eq!(scan(&hosts.mountpoint), before, "after a new mount");
    check_lists(&lists);
    hosts.wait_healed(TIDY_WITHIN);
    let replicas = hosts.all_replicas();
    equal_twins(&hosts.disks(), replicas.keys()).unwrap();
    let wanted: BTreeMap<String, usize> = replicas.keys().map(|name| (name.clone(), 2)).collect();
    wait_within(TIDY_WITHIN, "the disks hold what files have and nothing else", || stored(&hosts) == wanted);
    hosts.kill_all();
    let checked = hosts.ask(&["meta", "check", "--data", hosts.directory("master").to_str().unwrap()]);
    let state = format!(
        "{} inodes, {} directories, {} names, {} chunks, 0 without a name",
        before.inodes.len(),
        before.directories,
        before.names,
        replicas.len()
    );
    assert!(checked.contains(&state), "{state}\n{checked}");
    assert!(checked.contains("references, counts and digest agree"), "{checked}");
}
