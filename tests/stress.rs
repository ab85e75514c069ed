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
use rustix::fs as sys;
use std::collections::{BTreeMap, BTreeSet};
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

/// What a name stands for: all that a program can learn of it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    inode: u64,
    mode: u32,
    links: u64,
    owner: (u32, u32),
    device: u64,
    length: u64,
    /// Access, modification, change.
    times: [(i64, i64); 3],
    /// The hash of a file's bytes, the target of a symbolic link.
    content: String,
    extended: BTreeMap<String, Vec<u8>>,
}

impl Entry {
    fn of(path: &Path) -> Self {
        let found = fs::symlink_metadata(path).unwrap();
        let content = if found.is_file() {
            let content = fs::read(path).unwrap();
            assert_eq!(content.len() as u64, found.len(), "{}", path.display());
            blake3::hash(&content).to_string()
        } else if found.is_symlink() {
            fs::read_link(path).unwrap().display().to_string()
        } else {
            String::new()
        };
        Self {
            inode: found.ino(),
            mode: found.mode(),
            links: found.nlink(),
            owner: (found.uid(), found.gid()),
            device: found.rdev(),
            length: found.len(),
            times: [
                (found.atime(), found.atime_nsec()),
                (found.mtime(), found.mtime_nsec()),
                (found.ctime(), found.ctime_nsec()),
            ],
            content,
            extended: extended(path),
        }
    }
}

fn extended(path: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut list = [0_u8; 4096];
    let length = sys::llistxattr(path, &mut list[..]).unwrap();
    let names = list[..length].split(|byte| *byte == 0).filter(|name| !name.is_empty());
    let value = |name: &[u8]| {
        let name = String::from_utf8(name.to_vec()).unwrap();
        let mut value = [0_u8; 4096];
        let length = sys::lgetxattr(path, name.as_str(), &mut value[..]).unwrap();
        (name, value[..length].to_vec())
    };
    names.map(value).collect()
}

/// What a walk over the whole mount finds, by path.
type Scan = BTreeMap<PathBuf, Entry>;

/// Looks at every name and reads every file; link counts are those of the names.
fn scan(mount: &Path) -> Scan {
    let mut scan = Scan::from([(mount.to_owned(), Entry::of(mount))]);
    let mut names: BTreeMap<u64, u64> = BTreeMap::new();
    let mut pending = vec![mount.to_owned()];
    while let Some(directory) = pending.pop() {
        let mut subdirectories = 0;
        for entry in fs::read_dir(&directory).unwrap() {
            let path = entry.unwrap().path();
            let found = Entry::of(&path);
            *names.entry(found.inode).or_default() += 1;
            if found.mode & libc::S_IFMT == libc::S_IFDIR {
                subdirectories += 1;
                pending.push(path.clone());
            }
            scan.insert(path, found);
        }
        assert_eq!(scan[&directory].links, 2 + subdirectories, "{}", directory.display());
    }
    for (path, entry) in scan.iter().filter(|(_, entry)| entry.mode & libc::S_IFMT != libc::S_IFDIR) {
        assert_eq!(entry.links, names[&entry.inode], "names of {}", path.display());
    }
    scan
}

/// How much a check of the whole had to look at.
fn size(scan: &Scan) -> String {
    let of = |kind: u32| scan.values().filter(move |entry| entry.mode & libc::S_IFMT == kind);
    let files: BTreeMap<u64, u64> = of(libc::S_IFREG).map(|file| (file.inode, file.length)).collect();
    format!(
        "{} directories, {} names of {} files with {} MiB, {} symbolic links, {} pipes",
        of(libc::S_IFDIR).count(),
        of(libc::S_IFREG).count(),
        files.len(),
        files.values().sum::<u64>() >> 20,
        of(libc::S_IFLNK).count(),
        of(libc::S_IFIFO).count()
    )
}

/// Both are the same; if not, says what is different, and not all that is there.
fn assert_same(before: &Scan, after: &Scan, when: &str) {
    for path in before.keys().chain(after.keys()) {
        assert_eq!(before.get(path), after.get(path), "{when}: {}", path.display());
    }
}

/// How often each kind of call succeeded and was refused, in all processes: each has to succeed sometimes.
fn check_counts(lists: &[PathBuf]) {
    let mut counts: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    for list in lists {
        for line in fs::read_to_string(counts_beside(list)).unwrap().lines() {
            let words: Vec<&str> = line.split(' ').collect();
            let counted = counts.entry(words[0].to_owned()).or_default();
            counted.0 += words[1].parse::<u64>().unwrap();
            counted.1 += words[2].parse::<u64>().unwrap();
        }
    }
    eprintln!("succeeded, refused: {counts:?}");
    let never: Vec<&str> =
        kinds().filter(|kind| counts.get(*kind).is_none_or(|count| count.0 == 0)).collect();
    assert!(never.is_empty(), "never succeeded: {never:?}");
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
    check_counts(&lists);
    let before = scan(&hosts.mountpoint);
    check_lists(&lists);
    eprintln!("the tree: {}", size(&before));
    hosts.kill("mount");
    hosts.start_one("mount");
    assert_same(&before, &scan(&hosts.mountpoint), "after a new mount");
    check_lists(&lists);
    hosts.wait_healed(TIDY_WITHIN);
    let replicas = hosts.all_replicas();
    equal_twins(&hosts.disks(), replicas.keys()).unwrap();
    let wanted: BTreeMap<String, usize> = replicas.keys().map(|name| (name.clone(), 2)).collect();
    wait_within(TIDY_WITHIN, "the disks hold what files have and nothing else", || stored(&hosts) == wanted);
    hosts.kill_all();
    hosts.start_all();
    assert_same(&before, &scan(&hosts.mountpoint), "after everything was killed");
    check_lists(&lists);
    hosts.kill_all();
    let checked = hosts.ask(&["meta", "check", "--data", hosts.directory("master").to_str().unwrap()]);
    let state = format!(
        "{} inodes, {} directories, {} names, {} chunks, 0 without a name",
        before.values().map(|entry| entry.inode).collect::<BTreeSet<_>>().len(),
        before.values().filter(|entry| entry.mode & libc::S_IFMT == libc::S_IFDIR).count(),
        before.len() - 1,
        replicas.len()
    );
    assert!(checked.contains(&state), "{state}\n{checked}");
    assert!(checked.contains("references, counts and digest agree"), "{checked}");
}
