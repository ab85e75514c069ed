//! Real processes that are killed, stopped, cut off from each other or started on old data while programs write and read.
//!
//! `cargo xtask soak kills --rounds N` runs those that kill for N rounds each. Disks that fail: `disks.rs`. Nonsense on
//! ports: `bad_input.rs`. The table of all faults and their tests: `docs/faults.md`.

#![allow(clippy::unwrap_used, reason = "a test may stop")]

mod common;
#[path = "common/hosts.rs"]
mod hosts;
#[path = "common/load.rs"]
mod load;
#[path = "common/namespaces.rs"]
mod namespaces;
#[path = "common/replicas.rs"]
mod replicas;
#[path = "common/shell.rs"]
mod shell;
#[path = "common/steady.rs"]
mod steady;

use common::*;
use hosts::*;
use load::*;
use namespaces::*;
use replicas::*;
use rustix::process::Signal;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};
use steady::*;

/// Operations of the load that must succeed between two faults.
const PROGRESS: u64 = 12;
/// Until every chunk has its replicas again; the holds of `hosts.rs` are some seconds.
const HEALED_WITHIN: Duration = Duration::from_secs(90);

/// A load is ended and looked at after so many rounds, since what has to be healed grows as long as it goes on.
const ROUNDS_OF_A_LOAD: u64 = 4;

/// How often something is killed: once in CI, as often as asked in the soak.
fn rounds() -> u64 {
    std::env::var("MUSKOX_KILL_ROUNDS").map_or(1, |rounds| rounds.parse().unwrap())
}

/// All caches of the mount are gone, and everything is as promised.
fn check_afresh(hosts: &mut Hosts, promised: &Promised) {
    hosts.kill("mount");
    hosts.start_one("mount");
    promised.check();
}

/// Every chunk comes to its goal, and its replicas are equal, by what the master says and by what is on the disks.
fn check_replicas(hosts: &Hosts, promised: &Promised) {
    let until = Instant::now() + HEALED_WITHIN;
    loop {
        hosts.wait_healed(HEALED_WITHIN);
        let replicas = hosts.all_replicas();
        assert!(replicas.len() * 2 > promised.files.len(), "files have chunks");
        let told = match replicas.iter().find(|(_, replicas)| replicas.len() != 2) {
            Some(other) => Err(format!("{other:?}")),
            None => Ok(()),
        };
        // What has just been restarted may still be compared and made equal.
        match told.and_then(|()| equal_twins(&hosts.disks(), replicas.keys())) {
            Ok(()) => return,
            Err(reason) => assert!(Instant::now() < until, "{reason}"),
        }
    }
}

#[test]
fn no_program_notices_that_a_chunkserver_is_killed_and_its_replicas_are_rebuilt() {
    if !can_mount("no_program_notices_that_a_chunkserver_is_killed_and_its_replicas_are_rebuilt") {
        return;
    }
    let mut hosts = Hosts::start();
    let mut round = 0;
    while round < rounds() {
        let directory = hosts.path(&format!("load{round}"));
        let load = Load::start(&directory, round + 1);
        load.wait_for(PROGRESS);
        for _ in 0..ROUNDS_OF_A_LOAD.min(rounds() - round) {
            kill_one_and_wait(&mut hosts, &load, round);
            round += 1;
        }
        let promised = load.end();
        promised.assert_no_error();
        check_afresh(&mut hosts, &promised);
        check_replicas(&hosts, &promised);
        fs::remove_dir_all(directory).unwrap();
        eprintln!("{round} rounds, {} files in the last ones", promised.files.len());
    }
}

/// A chunkserver is away for a while, on every other round until what it held is elsewhere.
fn kill_one_and_wait(hosts: &mut Hosts, load: &Load, round: u64) {
    let victim = ["cs1", "cs2", "cs3"][round as usize % 3];
    hosts.kill(victim);
    load.wait_for(PROGRESS);
    if round.is_multiple_of(2) {
        let rebuilt = || hosts.count("endangered") == Some(0);
        wait_within(HEALED_WITHIN, "lost replicas are rebuilt on the other servers", rebuilt);
    }
    hosts.start_one(victim);
    hosts.wait_whole();
    load.wait_for(PROGRESS);
}

#[test]
fn a_file_that_is_written_and_synced_all_the_time_gets_its_replica_back_meanwhile() {
    if !can_mount("a_file_that_is_written_and_synced_all_the_time_gets_its_replica_back_meanwhile") {
        return;
    }
    let mut hosts = Hosts::start();
    let image = hosts.path("image");
    let writer = Steady::start(&image);
    writer.wait_for(50);
    let names = |hosts: &Hosts| -> Vec<String> {
        let chunks = hosts.replicas(&image);
        chunks.values().flatten().map(|replica| replica["serverName"].as_str().unwrap().to_owned()).collect()
    };
    let before = names(&hosts);
    assert_eq!(before.len(), 2);
    hosts.kill(&before[1]);
    writer.wait_for(50);
    let loss = writer.slowest();
    let whole = || names(&hosts).len() == 2 && hosts.count("endangered") == Some(0);
    wait_within(HEALED_WITHIN, "the chunk is whole while it is written", whole);
    let (filling, after) = (writer.slowest(), names(&hosts));
    assert!(!after.contains(&before[1]), "{after:?}");
    writer.wait_for(50);
    // The new replica alone must do.
    hosts.kill(&before[0]);
    writer.wait_for(50);
    eprintln!(
        "{} changes; the slowest at the loss {loss:?}, while it was filled {filling:?}",
        writer.changes()
    );
    let content = writer.end();
    hosts.kill("mount");
    hosts.start_one("mount");
    assert!(fs::read(&image).unwrap() == content, "other bytes than were synced");
    before.iter().for_each(|name| hosts.start_one(name));
    hosts.wait_whole();
    hosts.wait_healed(HEALED_WITHIN);
    equal_twins(&hosts.disks(), hosts.all_replicas().keys()).unwrap();
}

#[test]
fn no_program_notices_that_the_master_is_killed_and_started_again() {
    if !can_mount("no_program_notices_that_the_master_is_killed_and_started_again") {
        return;
    }
    let mut hosts = Hosts::start();
    let load = Load::start(&hosts.path("load"), 2);
    load.wait_for(PROGRESS);
    for _ in 0..rounds().max(2) {
        hosts.kill("master");
        hosts.start_one("master");
        load.wait_for(PROGRESS);
    }
    let promised = load.end();
    promised.assert_no_error();
    check_afresh(&mut hosts, &promised);
    // Nothing is there that nobody made.
    let names = fs::read_dir(hosts.path("load")).unwrap().count();
    assert_eq!(names, promised.files.len() + WRITERS as usize);
    check_replicas(&hosts, &promised);
}

#[test]
fn what_an_fsync_covers_survives_that_everything_is_killed_at_once() {
    if !can_mount("what_an_fsync_covers_survives_that_everything_is_killed_at_once") {
        return;
    }
    let mut hosts = Hosts::start();
    for round in 0..rounds() {
        let load = Load::start(&hosts.path(&format!("load{round}")), 100 + round);
        load.wait_for(PROGRESS);
        hosts.kill_all();
        let promised = load.end().durable();
        hosts.start_all();
        promised.check();
        check_replicas(&hosts, &promised);
        if round > 0 {
            fs::remove_dir_all(hosts.path(&format!("load{}", round - 1))).unwrap();
        }
    }
}

#[test]
fn processes_that_stop_for_a_while_are_waited_for_or_gone_around() {
    if !can_mount("processes_that_stop_for_a_while_are_waited_for_or_gone_around") {
        return;
    }
    let mut hosts = Hosts::start();
    let load = Load::start(&hosts.path("load"), 3);
    load.wait_for(PROGRESS);
    // The kernel still takes its connections, and nobody answers on them.
    hosts.send("cs2", Signal::STOP);
    load.wait_for(2 * PROGRESS);
    hosts.send("cs2", Signal::CONT);
    load.wait_for(PROGRESS);
    let stopped = Instant::now();
    hosts.send("master", Signal::STOP);
    // Longer than the lease of a session, and than a chunkserver waits for heartbeats to be answered.
    wait_within(Duration::from_secs(20), "the master was away for long", || {
        stopped.elapsed() > Duration::from_secs(12)
    });
    hosts.send("master", Signal::CONT);
    load.wait_for(PROGRESS);
    let promised = load.end();
    promised.assert_no_error();
    check_afresh(&mut hosts, &promised);
    check_replicas(&hosts, &promised);
}

/// What programs are told when their mount was stopped for longer than its session lives.
#[test]
fn a_mount_that_was_stopped_for_longer_than_its_lease_goes_on_and_what_it_synced_is_there() {
    if !can_mount("a_mount_that_was_stopped_for_longer_than_its_lease_goes_on_and_what_it_synced_is_there") {
        return;
    }
    let hosts = Hosts::start();
    let content = bytes(7, 300_000);
    let file = fs::File::create(hosts.path("f")).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, &content, 0).unwrap();
    file.sync_all().unwrap();
    hosts.send("mount", Signal::STOP);
    let clients = |hosts: &Hosts| hosts.status().and_then(|status| Some(status["clients"].as_array()?.len()));
    wait_within(Duration::from_secs(40), "its session has ended", || clients(&hosts) == Some(0));
    hosts.send("mount", Signal::CONT);
    assert!(fs::read(hosts.path("f")).unwrap() == content);
    wait_until("files can be made again", || fs::write(hosts.path("g"), &content).is_ok());
    assert!(fs::read(hosts.path("g")).unwrap() == content);
    drop(file);
}

#[test]
fn no_program_notices_partitions_between_any_two_roles() {
    if !can_namespace("no_program_notices_partitions_between_any_two_roles") {
        return;
    }
    let mut hosts = Hosts::apart();
    let load = Load::start(&hosts.path("load"), 4);
    load.wait_for(PROGRESS);
    // Both ways, one way, the other way; of each pair of roles.
    let cases: &[&[(&str, &str)]] = &[
        &[("mount", "cs1"), ("cs1", "mount")],
        &[("mount", "cs2")],
        &[("cs3", "mount")],
        &[("cs1", "cs2"), ("cs2", "cs1")],
        &[("cs2", "cs3")],
        &[("master", "cs1"), ("cs1", "master")],
        &[("cs2", "master")],
        &[("master", "cs3")],
    ];
    for ways in cases {
        ways.iter().for_each(|(from, to)| hosts.cut(from, to));
        load.wait_for(PROGRESS);
        ways.iter().for_each(|(from, to)| hosts.join(from, to));
        hosts.wait_whole();
    }
    // Without the master nothing new is begun; it is waited for.
    for ways in
        [&[("mount", "master"), ("master", "mount")][..], &[("mount", "master")], &[("master", "mount")]]
    {
        ways.iter().for_each(|(from, to)| hosts.cut(from, to));
        let connected = |hosts: &Hosts| {
            let status = hosts.status().unwrap_or_default();
            status["clients"].as_array().is_some_and(|all| all.iter().any(|one| one["connected"] == true))
        };
        wait_until("the master misses the mount", || !connected(&hosts));
        ways.iter().for_each(|(from, to)| hosts.join(from, to));
        load.wait_for(PROGRESS);
    }
    let promised = load.end();
    promised.assert_no_error();
    check_afresh(&mut hosts, &promised);
    check_replicas(&hosts, &promised);
}

#[test]
fn a_chunkserver_that_returns_after_its_files_were_changed_and_removed_is_never_believed() {
    if !can_mount("a_chunkserver_that_returns_after_its_files_were_changed_and_removed_is_never_believed") {
        return;
    }
    let mut hosts = Hosts::start();
    let (old, new) = (bytes(1, 400_000), bytes(2, 400_000));
    let name = |n: u32| format!("f{n}");
    for n in 0..9 {
        fs::write(hosts.path(&name(n)), &old).unwrap();
    }
    hosts.wait_healed(HEALED_WITHIN);
    hosts.kill("cs1");
    // A copy of its disks as they are now comes back much later.
    let aside = hosts.data.join("aside");
    copy_directory(&hosts.directory("cs1"), &aside);
    let change = |hosts: &Hosts, content: &[u8]| {
        for n in 0..3 {
            let file = fs::OpenOptions::new().write(true).open(hosts.path(&name(n))).unwrap();
            std::os::unix::fs::FileExt::write_all_at(&file, content, 0).unwrap();
            file.sync_all().unwrap();
        }
    };
    change(&hosts, &new);
    for n in 3..6 {
        fs::remove_file(hosts.path(&name(n))).unwrap();
    }
    hosts.start_one("cs1");
    hosts.wait_whole();
    hosts.wait_healed(HEALED_WITHIN);
    wait_within(HEALED_WITHIN, "all replicas are equal", || {
        equal_twins(&hosts.disks(), hosts.all_replicas().keys()).is_ok()
    });
    let check = |hosts: &mut Hosts, changed: &[u8]| {
        hosts.kill("mount");
        hosts.start_one("mount");
        for n in 0..9 {
            let expected = match n {
                0..3 => Some(changed),
                3..6 => None,
                _ => Some(&old[..]),
            };
            let found = fs::read(hosts.path(&name(n))).ok();
            assert!(found.as_deref() == expected, "file {n}");
        }
    };
    check(&mut hosts, &new);
    // The copy: its stamps were used since, so its disks are not taken, and what it holds is nobody's.
    hosts.kill("cs1");
    fs::remove_dir_all(hosts.directory("cs1")).unwrap();
    copy_directory(&aside, &hosts.directory("cs1"));
    let newest = bytes(3, 400_000);
    change(&hosts, &newest);
    hosts.start_one("cs1");
    let untrusted =
        |hosts: &Hosts| hosts.warnings().iter().filter(|w| w.starts_with("DISK_UNTRUSTED")).count();
    wait_until("both disks of the copy are refused", || untrusted(&hosts) == 2);
    check(&mut hosts, &newest);
    wait_within(HEALED_WITHIN, "the others hold everything", || {
        hosts.count("endangered") == Some(0) && hosts.count("undergoal") == Some(0)
    });
    check(&mut hosts, &newest);
}

/// All chunk files of all disks, wherever they lie.
fn all_chunks(hosts: &Hosts) -> usize {
    let disks = hosts.disks();
    let count = |disk: &std::path::PathBuf, directory| chunk_files(disk, directory).len();
    disks.iter().map(|disk| count(disk, "chunks") + count(disk, "quarantine") + count(disk, "deleted")).sum()
}

#[test]
fn a_master_with_old_or_no_metadata_deletes_nothing_on_full_chunkservers() {
    if !can_mount("a_master_with_old_or_no_metadata_deletes_nothing_on_full_chunkservers") {
        return;
    }
    let mut hosts = Hosts::start();
    let content = bytes(5, 200_000);
    fs::write(hosts.path("before"), &content).unwrap();
    hosts.wait_healed(HEALED_WITHIN);
    hosts.kill_all();
    let old = hosts.data.join("old");
    copy_directory(&hosts.directory("master"), &old);
    hosts.start_all();
    // One reign more than the copy will have had when it starts.
    hosts.kill("master");
    hosts.start_one("master");
    hosts.wait_whole();
    for n in 0..5 {
        fs::write(hosts.path(&format!("after{n}")), &content).unwrap();
    }
    hosts.wait_healed(HEALED_WITHIN);
    hosts.kill_all();
    let chunks = all_chunks(&hosts);
    assert_eq!(chunks, 12);
    let replace = |hosts: &Hosts, with: Option<&Path>| {
        fs::remove_dir_all(hosts.directory("master")).unwrap();
        if let Some(with) = with {
            copy_directory(with, &hosts.directory("master"));
        }
    };

    // Empty: another cluster, whose master the chunkservers do not follow.
    replace(&hosts, None);
    for name in ["master", "cs1", "cs2", "cs3"] {
        hosts.start_one(name);
    }
    let log = hosts.log("cs1");
    wait_until("cs1 is refused", || contents(&log).windows(17).any(|words| words == b"belong to cluster"));
    assert_eq!(hosts.disks_in_service(), 0);
    hosts.kill_all();
    assert_eq!(all_chunks(&hosts), chunks);

    // Old: its term is below what the chunkservers have seen. It ends, and says why.
    replace(&hosts, Some(&old));
    hosts.start_one("master");
    hosts.start_one("cs1");
    assert_ne!(hosts.wait_ended("master"), 0);
    let said = String::from_utf8(contents(&hosts.log("master"))).unwrap();
    let last = said.lines().rev().take(3).collect::<String>();
    assert!(last.contains("newer master"), "{last}");
    hosts.kill_all();

    // Old, but of a higher term by now: what it does not know is kept in quarantine.
    for _ in 0..4 {
        hosts.start_one("master");
        wait_until("it serves", || hosts.status().is_some());
        hosts.kill("master");
    }
    hosts.start_all();
    wait_until("what it does not know is counted", || hosts.count("quarantined") == Some(10));
    assert!(fs::read(hosts.path("before")).unwrap() == content);
    assert!(fs::read(hosts.path("after0")).is_err());
    hosts.kill_all();
    assert_eq!(all_chunks(&hosts), chunks, "nothing was deleted");
}

#[test]
fn files_without_a_name_go_when_the_client_that_had_them_open_was_killed() {
    if !can_mount("files_without_a_name_go_when_the_client_that_had_them_open_was_killed") {
        return;
    }
    let mut hosts = Hosts::start();
    let content = bytes(9, 500_000);
    let open: Vec<_> = (0..4)
        .map(|n| {
            let path = hosts.path(&format!("f{n}"));
            fs::write(&path, &content).unwrap();
            let file = fs::File::open(&path).unwrap();
            fs::remove_file(&path).unwrap();
            file
        })
        .collect();
    let chunks = |hosts: &Hosts| hosts.count("ok");
    wait_until("they hold chunks", || chunks(&hosts) == Some(4));
    let mut found = vec![0; content.len()];
    std::os::unix::fs::FileExt::read_exact_at(&open[3], &mut found, 0).unwrap();
    assert!(found == content, "an open file is read without a name");
    hosts.kill("mount");
    drop(open);
    wait_within(Duration::from_secs(60), "their chunks are gone", || chunks(&hosts) == Some(0));
    hosts.start_one("mount");
    assert_eq!(fs::read_dir(&hosts.mountpoint).unwrap().count(), 0);
}
