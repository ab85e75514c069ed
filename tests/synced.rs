//! What a write with O_SYNC or O_DSYNC has returned for is there after the mount or everything was killed, and after power was lost
//! everywhere; what nobody synced is not, so nothing else has stored it: the process that writes has its files open until then.
//!
//! Power is lost in that each role's filesystem goes on from what its device was given until then: an image that is copied
//! behind the filesystem's back. What was in the kernel's memory alone is gone.

#![allow(clippy::unwrap_used, reason = "a test may stop")]

mod common;
#[path = "common/hand.rs"]
mod hand;
#[path = "common/hosts.rs"]
mod hosts;
#[path = "common/loops.rs"]
mod loops;
#[path = "common/namespaces.rs"]
mod namespaces;
#[path = "common/replicas.rs"]
mod replicas;
#[path = "common/shell.rs"]
mod shell;

use common::*;
use hand::*;
use hosts::*;
use loops::*;
use replicas::*;
use rustix::process::Signal;
use std::collections::BTreeMap;
use std::fs;

const SERVERS: [&str; 4] = ["master", "cs1", "cs2", "cs3"];
const WAYS: [&str; 8] = [
    "sync",
    "dsync",
    "sync+append",
    "dsync+append",
    "sync+direct",
    "dsync+direct",
    "sync+append+direct",
    "dsync+append+direct",
];
/// Lengths of the writes to each file, one after the other.
const LENGTHS: [usize; 3] = [5000, 70_000, 4096];

/// Writes a file in each way; what each has to hold.
fn write_all_ways(hosts: &Hosts, hand: &mut Hand) -> BTreeMap<&'static str, Vec<u8>> {
    let mut written = BTreeMap::new();
    for way in WAYS {
        hand.ok(&format!("open f {} create+rw+{way}", hosts.path(way).display()));
        let mut content = Vec::new();
        for (seed, length) in LENGTHS.into_iter().enumerate() {
            assert_eq!(hand.ok(&format!("write f {seed} {length}")), length.to_string());
            content.extend(bytes(seed as u64, length));
        }
        if !way.contains("append") {
            // Over what was just stored.
            hand.ok("pwrite f 3000 9 4000");
            content[3000..7000].copy_from_slice(&bytes(9, 4000));
        }
        written.insert(way, content);
    }
    written
}

fn check(hosts: &Hosts, written: &BTreeMap<&'static str, Vec<u8>>) {
    for (way, content) in written {
        assert!(fs::read(hosts.path(way)).unwrap() == *content, "{way}");
    }
}

/// Writes in each way, and something that nobody syncs while no server can take it; then `kill` has its way.
fn check_killed(kill: impl FnOnce(&mut Hosts)) {
    let mut hosts = Hosts::start();
    let mut hand = Hand::start();
    let written = write_all_ways(&hosts, &mut hand);
    let lost = hosts.path("lost");
    hand.ok(&format!("open lost {} create+rw", lost.display()));
    SERVERS.iter().for_each(|name| hosts.send(name, Signal::STOP));
    hand.ok("write lost 7 5000");
    kill(&mut hosts);
    hosts.start_all();
    check(&hosts, &written);
    assert_eq!(fs::metadata(lost).unwrap().len(), 0, "something else has stored it");
}

#[test]
fn what_a_synced_write_returned_for_survives_that_the_mount_is_killed() {
    if can_mount("what_a_synced_write_returned_for_survives_that_the_mount_is_killed") {
        check_killed(|hosts| {
            hosts.kill("mount");
            SERVERS.iter().for_each(|name| hosts.send(name, Signal::CONT));
        });
    }
}

#[test]
fn what_a_synced_write_returned_for_survives_that_everything_is_killed() {
    if can_mount("what_a_synced_write_returned_for_survives_that_everything_is_killed") {
        check_killed(Hosts::kill_all);
    }
}

#[test]
fn what_a_synced_write_returned_for_survives_that_power_is_lost_everywhere() {
    if !can_loop("what_a_synced_write_returned_for_survives_that_power_is_lost_everywhere") {
        return;
    }
    let mut hosts = Hosts::start();
    hosts.kill_all();
    let mut loops: Vec<Loop> = SERVERS.iter().map(|name| Loop::mount(&hosts.directory(name), 512)).collect();
    hosts.start_all();
    // What nobody synced is there to be lost: else this test would show nothing.
    let lost = hosts.path("lost");
    fs::write(&lost, bytes(7, 100_000)).unwrap();
    let chunk = hosts.replicas(&lost).into_keys().next().unwrap();
    let mut hand = Hand::start();
    let written = write_all_ways(&hosts, &mut hand);
    hosts.kill_all();
    loops.iter_mut().for_each(Loop::lose_power);
    SERVERS.iter().for_each(|name| hosts.boot_anew(name));
    for (name, path) in hosts.disks().iter().flat_map(|disk| chunk_files(disk, "chunks")) {
        let kept = name == chunk && contents(&path).starts_with(&bytes(7, 100_000));
        assert!(!kept, "the loss of power took nothing");
    }
    hosts.start_all();
    check(&hosts, &written);
}
