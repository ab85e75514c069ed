//! Which replicas a mount reads, with real processes: those that it prefers, and those that the class wants read last only
//! when nothing else is left. How much each chunkserver read is told by its kernel.

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

use common::*;
use hosts::*;
use rustix::process::Signal;
use std::fs;
use std::time::Duration;

const SERVERS: [&str; 3] = ["cs1", "cs2", "cs3"];
const FILES: u64 = 6;
const FILE_BYTES: usize = 2 << 20;
const ALL_BYTES: u64 = FILES * FILE_BYTES as u64;

fn content(file: u64) -> Vec<u8> {
    bytes(file, FILE_BYTES)
}

/// Bytes that a chunkserver has read from files so far. What comes by sockets does not count.
fn read_by(hosts: &Hosts, name: &str) -> u64 {
    let told = fs::read_to_string(format!("/proc/{}/io", hosts.pid(name))).unwrap();
    let line = told.lines().find_map(|line| line.strip_prefix("rchar: ")).unwrap();
    line.parse().unwrap()
}

/// Mounts anew, so that nothing is cached.
fn mount_with(hosts: &mut Hosts, options: &str) {
    hosts.kill("mount");
    hosts.mount_options = format!("timeout=60,{options}");
    hosts.start_one("mount");
}

fn read(hosts: &Hosts, files: std::ops::Range<u64>) {
    for file in files {
        assert!(fs::read(hosts.path(&format!("near/f{file}"))).unwrap() == content(file), "file {file}");
    }
}

/// Reads all files through a fresh mount; what each chunkserver read meanwhile.
fn read_anew(hosts: &mut Hosts, options: &str) -> [u64; 3] {
    mount_with(hosts, options);
    let before = SERVERS.map(|name| read_by(hosts, name));
    read(hosts, 0..FILES);
    std::array::from_fn(|n| read_by(hosts, SERVERS[n]) - before[n])
}

#[test]
fn reads_go_where_the_mount_prefers_and_to_what_is_read_last_when_nothing_else_is_left() {
    if !can_mount("reads_go_where_the_mount_prefers_and_to_what_is_read_last_when_nothing_else_is_left") {
        return;
    }
    let mut hosts = Hosts::start();
    let master = hosts.address("master");
    let ask = |hosts: &Hosts, words: &[&str]| hosts.ask(&[words, &["--master", &master]].concat());
    for (server, label) in [("cs1", "site=one"), ("cs2", "site=two"), ("cs3", "usb")] {
        ask(&hosts, &["server", "label", server, label]);
    }
    let told = ask(&hosts, &["class", "create", "near", "--keep", "3*any", "--read-last", "usb"]);
    assert!(told.contains("read-last     usb   (read only when nothing else is left)"), "{told}");
    fs::create_dir(hosts.path("near")).unwrap();
    let directory = hosts.path("near").display().to_string();
    ask(&hosts, &["class", "set", "near", &directory]);
    for file in 0..FILES {
        fs::write(hosts.path(&format!("near/f{file}")), content(file)).unwrap();
    }
    wait_until("each file has three replicas", || {
        let all = hosts.all_replicas();
        all.len() as u64 == FILES && all.values().all(|replicas| replicas.len() == 3)
    });
    let told = ask(&hosts, &["explain", &hosts.path("near/f0").display().to_string()]);
    assert_eq!(told.matches("; read last").count(), 1, "{told}");

    // A machine that hiccups for 50 ms has another replica asked as well, so a little may come from the other one.
    let little = ALL_BYTES / 4;
    for (options, preferred, other) in [("prefer=site=one", 0, 1), ("prefer=site=two&!usb", 1, 0)] {
        let read = read_anew(&mut hosts, options);
        assert!(read[preferred] >= ALL_BYTES - little && read[other] < little, "{options}: {read:?}");
        assert!(read[2] < FILE_BYTES as u64, "{options}: {read:?}");
    }
    let read_when_spared = read_anew(&mut hosts, "prefer=usb");
    assert!(read_when_spared[2] < FILE_BYTES as u64, "the class outweighs the mount: {read_when_spared:?}");

    // The others hang, and nobody knows yet: then they are gone.
    mount_with(&mut hosts, "prefer=site=one");
    let before = read_by(&hosts, "cs3");
    let began = std::time::Instant::now();
    hosts.send("cs1", Signal::STOP);
    hosts.send("cs2", Signal::STOP);
    read(&hosts, 0..FILES / 2);
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
    let hanging = read_by(&hosts, "cs3") - before;
    assert!(hanging >= ALL_BYTES / 2, "{hanging} bytes of {}", ALL_BYTES / 2);
    hosts.kill("cs1");
    hosts.kill("cs2");
    read(&hosts, FILES / 2..FILES);
    let alone = read_by(&hosts, "cs3") - before;
    assert!(alone >= ALL_BYTES, "{alone} bytes of {ALL_BYTES}");
}
