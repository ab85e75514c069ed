//! What could not be stored: each open file is told once, by whichever call comes first.

#![allow(clippy::unwrap_used, reason = "a test may stop")]

mod common;
#[path = "common/hand.rs"]
mod hand;
#[path = "common/hosts.rs"]
mod hosts;
#[path = "common/namespaces.rs"]
mod namespaces;
#[path = "common/replicas.rs"]
mod replicas;
#[path = "common/shell.rs"]
mod shell;

use common::*;
use hand::*;
use hosts::*;
use rustix::io::Errno;
use std::fs;

const SERVERS: [&str; 4] = ["cs1", "cs2", "cs3", "master"];
const LENGTH: usize = 9000;
const EIO: Answer = Err(Errno::IO);

/// A cluster with a mount that gives up soon.
fn impatient() -> Hosts {
    let mut hosts = Hosts::start();
    hosts.kill("mount");
    hosts.mount_options = "timeout=3".to_owned();
    hosts.start_one("mount");
    hosts
}

/// Opens a file of the mount under names of the hand's own.
fn open(hand: &mut Hand, hosts: &Hosts, file: &str, names: &[(&str, &str)]) {
    for (name, flags) in names {
        hand.ok(&format!("open {name} {} {flags}", hosts.path(file).display()));
    }
}

/// A file with synced content.
fn stored(hand: &mut Hand, hosts: &Hosts, file: &str) {
    open(hand, hosts, file, &[("new", "create+w")]);
    hand.ok(&format!("write new 1 {LENGTH}"));
    hand.ok("fsync new");
    hand.ok("close new");
}

#[test]
fn what_could_not_be_stored_is_told_to_each_open_file_once_by_write_close_or_fsync() {
    if !can_mount("what_could_not_be_stored_is_told_to_each_open_file_once_by_write_close_or_fsync") {
        return;
    }
    let mut hosts = impatient();
    let [mut one, mut other, mut closer, mut writer] = std::array::from_fn(|_| Hand::start());
    ["f", "closed", "written"].iter().for_each(|file| stored(&mut one, &hosts, file));
    open(&mut one, &hosts, "f", &[("s", "rw"), ("w", "w"), ("c", "w"), ("r", "r"), ("quiet", "r")]);
    open(&mut other, &hosts, "f", &[("s", "rw")]);
    open(&mut closer, &hosts, "closed", &[("c", "w")]);
    open(&mut writer, &hosts, "written", &[("w", "w")]);
    SERVERS.iter().for_each(|name| hosts.kill(name));
    // Written into memory, and then one of each kind is the first to learn of it.
    one.ok("pwrite w 3000 2 1000");
    one.tell("fsync s");
    closer.ok("pwrite c 3000 2 1000");
    closer.tell("close c");
    writer.tell("until pwrite w 3000 2 1000");
    for (hand, how) in [(&mut one, "fsync"), (&mut closer, "close"), (&mut writer, "write")] {
        assert_eq!(hand.answer(), Some(EIO), "{how}");
    }
    hosts.start_all();
    // Told once: what comes after succeeds, and the file is as it is stored.
    one.ok("fsync s");
    writer.ok("pwrite w 0 3 10");
    writer.ok("fsync w");
    writer.ok("close w");
    open(&mut closer, &hosts, "closed", &[("again", "w")]);
    closer.ok("fsync again");
    closer.ok("close again");
    // The others that had the file open, in this process and in another one.
    assert_eq!(one.call("pwrite w 0 3 10"), EIO);
    one.ok("pwrite w 0 3 10");
    one.ok("fsync w");
    one.ok("close w");
    assert_eq!(one.call("close c"), EIO);
    assert_eq!(other.call("fsync s"), EIO);
    other.ok("fsync s");
    other.ok("close s");
    // Who cannot write is told at fsync alone.
    one.ok("close quiet");
    assert_eq!(one.call("fsync r"), EIO);
    one.ok("fsync r");
    one.ok("close s");
    // Who opens it later is not told: somebody was.
    open(&mut one, &hosts, "f", &[("late", "rw")]);
    one.ok("fsync late");
    one.ok("close late");
    let changed = [bytes(3, 10), bytes(1, LENGTH)[10..].to_vec()].concat();
    for (file, content) in [("f", &changed), ("closed", &bytes(1, LENGTH)), ("written", &changed)] {
        assert!(fs::read(hosts.path(file)).unwrap() == *content, "{file}");
    }
}
