//! One machine of two loses power: what it had not synced is taken from the other, which only stopped or could not be reached.
//! Nothing below the kernel is cut here: the disks are put back to an earlier state, and the kernel's boot id is another one.

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
use hosts::Hosts;
use replicas::{copy_directory, equal_twins};
use std::fs;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::time::Duration;

const SIZE: usize = 1 << 20;
const HEALED_WITHIN: Duration = Duration::from_secs(120);
/// Long waits: nobody is given up while this test is under way.
const CONFIG: &str = "[master]\nheal-after-endangered-seconds = 300\nheal-after-seconds = 300\n";

/// A file of which one replica's machine is about to lose power.
struct Torn {
    hosts: Hosts,
    lost: String,
    kept: String,
    new: Vec<u8>,
}

/// Writes and syncs a file, then writes it again without a sync; the first state of one replica is what a loss of power leaves.
fn torn() -> Torn {
    let mut hosts = Hosts::apart();
    hosts.kill("master");
    fs::write(hosts.data.join("muskox.toml"), CONFIG).unwrap();
    hosts.start_all();
    let (old, new) = (bytes(1, SIZE), bytes(2, SIZE));
    let mut file = fs::File::create(hosts.path("f")).unwrap();
    file.write_all(&old).unwrap();
    file.sync_all().unwrap();
    drop(file);
    hosts.wait_healed(HEALED_WITHIN);
    let replicas = hosts.replicas(&hosts.path("f"));
    let servers: Vec<String> = replicas
        .values()
        .flatten()
        .map(|replica| replica["serverName"].as_str().unwrap().to_owned())
        .collect();
    let [kept, lost] = <[String; 2]>::try_from(servers).unwrap();
    hosts.kill("mount");
    copy_directory(&hosts.directory(&lost), &hosts.data.join("synced"));
    hosts.start_one("mount");
    let file = fs::File::options().write(true).open(hosts.path("f")).unwrap();
    file.write_all_at(&new, 0).unwrap();
    drop(file);
    hosts.kill("mount");
    let synced = hosts.data.join("synced");
    hosts.lose_power(&lost, &synced);
    Torn { hosts, lost, kept, new }
}

impl Torn {
    /// What was written last is there, in two equal replicas.
    fn check(&mut self) {
        self.hosts.wait_whole();
        self.hosts.wait_healed(HEALED_WITHIN);
        self.hosts.start_one("mount");
        assert!(fs::read(self.hosts.path("f")).unwrap() == self.new, "acknowledged, and one replica kept it");
        let named = self.hosts.all_replicas();
        equal_twins(&self.hosts.disks(), named.keys()).unwrap();
    }
}

#[test]
fn a_server_that_lost_power_and_cannot_reach_the_other_does_not_become_the_truth() {
    if !namespaces::can_namespace(
        "a_server_that_lost_power_and_cannot_reach_the_other_does_not_become_the_truth",
    ) {
        return;
    }
    let mut torn = torn();
    let version = |torn: &Torn| torn.hosts.file_info("/f")["chunks"][0]["version"].clone();
    let before = version(&torn);
    assert!(before.is_string());
    torn.hosts.cut(&torn.lost, &torn.kept);
    torn.hosts.start_one(&torn.lost);
    wait_within(HEALED_WITHIN, "the replicas were compared, or not", || version(&torn) != before);
    torn.hosts.join(&torn.lost, &torn.kept);
    torn.check();
}

#[test]
fn a_server_that_lost_power_waits_for_the_one_that_was_only_killed() {
    if !namespaces::can_namespace("a_server_that_lost_power_waits_for_the_one_that_was_only_killed") {
        return;
    }
    let mut torn = torn();
    torn.hosts.kill(&torn.kept);
    torn.hosts.start_one(&torn.lost);
    wait_until("its disks are in service", || torn.hosts.disks_in_service() == 4);
    torn.hosts.start_one("mount");
    // The writer comes while only the old bytes can be reached.
    let path = torn.hosts.path("f");
    let writer = std::thread::spawn(move || {
        let file = fs::File::options().write(true).open(path).unwrap();
        file.write_all_at(b"more", SIZE as u64).unwrap();
        file.sync_all().unwrap();
    });
    wait_until("the writer waits", || torn.hosts.count("missing") == Some(1));
    torn.hosts.start_one(&torn.kept);
    writer.join().unwrap();
    torn.new.extend_from_slice(b"more");
    torn.hosts.kill("mount");
    torn.check();
}
