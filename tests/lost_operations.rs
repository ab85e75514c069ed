//! The master's machine loses power, and with it operations that were answered and not yet stable: who has the files open is told.
//!
//! Nothing below the kernel is cut here: the master's directory is put back to what it was before those operations.

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
use replicas::copy_directory;
use rustix::io::Errno;
use std::fs;

const LENGTH: usize = 9000;

#[test]
fn what_went_with_the_masters_power_is_told_to_whoever_has_it_open_and_the_rest_goes_on() {
    if !can_mount("what_went_with_the_masters_power_is_told_to_whoever_has_it_open_and_the_rest_goes_on") {
        return;
    }
    let mut hosts = Hosts::start();
    let path = |hosts: &Hosts, name: &str| hosts.path(name).display().to_string();
    let [mut one, mut other] = std::array::from_fn(|_| Hand::start());
    for name in ["longer", "quiet", "moved"] {
        one.ok(&format!("open {name} {} create+rw", path(&hosts, name)));
        one.ok(&format!("write {name} 1 {LENGTH}"));
        one.ok(&format!("fsync {name}"));
    }
    other.ok(&format!("open longer {} rw", path(&hosts, "longer")));
    // All of it is stable, also in the log; what follows is what power takes.
    fs::File::open(&hosts.mountpoint).unwrap().sync_all().unwrap();
    let stable = hosts.data.join("stable");
    copy_directory(&hosts.directory("master"), &stable);

    one.ok(&format!("open new {} create+rw", path(&hosts, "new")));
    one.ok(&format!("pwrite longer {LENGTH} 2 {LENGTH}"));
    one.ok(&format!("open closed {} w", path(&hosts, "longer")));
    one.ok("close closed");
    fs::rename(hosts.path("moved"), hosts.path("renamed")).unwrap();
    fs::create_dir(hosts.path("directory")).unwrap();
    hosts.lose_power("master", &stable);
    hosts.start_all();

    // The length that was answered is in doubt: each open file is told once.
    for hand in [&mut one, &mut other] {
        assert_eq!(hand.call("fsync longer"), Err(Errno::IO));
        hand.ok("fsync longer");
    }
    one.ok("fsync quiet");
    let same = bytes(1, LENGTH);
    let longer = fs::read(hosts.path("longer")).unwrap();
    assert!(longer.starts_with(&same), "what was synced is there");
    assert!([&[][..], &bytes(2, LENGTH)].contains(&&longer[LENGTH..]), "the rest is there, or not");
    // Names are what they were, as soon as the kernel asks again.
    wait_until("names that were lost are forgotten", || {
        ["new", "renamed", "directory"].iter().all(|name| !hosts.path(name).exists())
    });
    assert!(fs::read(hosts.path("moved")).unwrap() == same);
    assert!(fs::read(hosts.path("quiet")).unwrap() == same);
    // A file that was never made is gone for who has it open, whatever is made now. Once another file has its number the kernel
    // answers by itself.
    assert_eq!(one.call("fsync new"), Err(Errno::STALE));
    assert_eq!(one.call("fsync new"), Err(Errno::STALE));
    for round in 3..6 {
        let (name, content) = (format!("after-{round}"), bytes(round, LENGTH));
        fs::write(hosts.path(&name), &content).unwrap();
        assert!(fs::read(hosts.path(&name)).unwrap() == content);
    }
    for call in ["fsync new", "until pwrite new 0 7 100"] {
        assert!([Err(Errno::STALE), Err(Errno::IO)].contains(&one.call(call)), "{call}");
    }
    for round in 3..6 {
        assert!(fs::read(hosts.path(&format!("after-{round}"))).unwrap() == bytes(round, LENGTH));
    }
}
