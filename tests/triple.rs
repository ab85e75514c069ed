//! Three replicas on three servers, by class `triple`: two of them must acknowledge a write, so one may be away without anybody
//! noticing, and with two away writers wait while readers go on. And of chunks with one replica each: an edit of two of them, of which one
//! is away, leaves the other one to its readers.

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

use common::*;
use hosts::*;
use load::*;
use replicas::*;
use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// Operations of the load that must succeed between two faults.
const PROGRESS: u64 = 12;
const HEALED_WITHIN: Duration = Duration::from_secs(90);
/// Where a file's second chunk begins.
const BORDER: u64 = types::CHUNK_BYTES;

/// A directory whose files have three replicas each.
fn triple(hosts: &Hosts) -> PathBuf {
    let directory = hosts.path("triple");
    fs::create_dir(&directory).unwrap();
    hosts.ask(&["class", "set", "triple", directory.to_str().unwrap()]);
    directory
}

/// Every chunk has three equal replicas.
fn check_three(hosts: &Hosts, directory: &Path) {
    let three = || {
        let replicas = hosts.all_replicas();
        !replicas.is_empty() && replicas.values().all(|replicas| replicas.len() == 3)
    };
    wait_within(HEALED_WITHIN, "every chunk has three replicas", three);
    let well =
        || ["endangered", "undergoal", "missing", "overgoal"].iter().all(|what| hosts.count(what) == Some(0));
    wait_within(HEALED_WITHIN, "no chunk lacks anything", well);
    let equal = || equal_replicas(&hosts.disks(), hosts.all_replicas().keys(), 3).is_ok();
    wait_within(HEALED_WITHIN, "they are equal", equal);
    assert!(directory.exists());
}

#[test]
fn of_three_replicas_one_is_killed_and_no_program_notices() {
    if !can_mount("of_three_replicas_one_is_killed_and_no_program_notices") {
        return;
    }
    let mut hosts = Hosts::start();
    let directory = triple(&hosts);
    let load = Load::start(&directory.join("load"), 31);
    load.wait_for(PROGRESS);
    for victim in ["cs1", "cs2", "cs3"] {
        hosts.kill(victim);
        load.wait_for(PROGRESS);
        hosts.start_one(victim);
        hosts.wait_whole();
        load.wait_for(PROGRESS);
    }
    let promised = load.end();
    promised.assert_no_error();
    hosts.kill("mount");
    hosts.start_one("mount");
    promised.check();
    check_three(&hosts, &directory);
}

#[test]
fn with_two_of_three_replicas_away_writers_wait_and_readers_do_not() {
    if !can_mount("with_two_of_three_replicas_away_writers_wait_and_readers_do_not") {
        return;
    }
    let mut hosts = Hosts::start();
    let directory = triple(&hosts);
    let load = Load::start(&directory.join("load"), 32);
    load.wait_for(PROGRESS);
    let kept = directory.join("kept");
    fs::write(&kept, bytes(7, 300_000)).unwrap();
    fs::File::open(&kept).unwrap().sync_all().unwrap();
    for (first, second) in [("cs1", "cs2"), ("cs2", "cs3"), ("cs3", "cs1")] {
        // A cut under way is on some replicas when the others fall away.
        let file = directory.join(format!("cut-{first}"));
        fs::write(&file, bytes(8, 300_000)).unwrap();
        fs::File::open(&file).unwrap().sync_all().unwrap();
        let open = fs::OpenOptions::new().write(true).open(&file).unwrap();
        let cut = std::thread::spawn(move || open.set_len(100_000));
        hosts.kill(first);
        hosts.kill(second);
        hosts.kill("mount");
        // The cut's program has lost its mount.
        let _ = cut.join().unwrap();
        hosts.start_one("mount");
        assert!(fs::read(&kept).unwrap() == bytes(7, 300_000), "one replica is read while two are away");
        let found = fs::read(&file).unwrap();
        assert!(found[..100_000] == bytes(8, 300_000)[..100_000], "{}", found.len());
        hosts.start_one(first);
        hosts.start_one(second);
        hosts.wait_whole();
        // A replica that a raise left behind is not read, so none may be when the two others fall away.
        check_three(&hosts, &directory);
    }
    drop(load.end());
    assert!(fs::read(&kept).unwrap() == bytes(7, 300_000));
    check_three(&hosts, &directory);
}

/// A file of two chunks with data at both sides of their border, each on a server of its own, and these.
fn on_two_servers(hosts: &Hosts) -> (PathBuf, String, String) {
    let directory = hosts.path("one");
    fs::create_dir(&directory).unwrap();
    hosts.ask(&["class", "set", "single", directory.to_str().unwrap()]);
    for n in 0..40 {
        let file = directory.join(format!("f{n}"));
        let open = fs::File::create(&file).unwrap();
        open.write_all_at(&bytes(9, 300_000), 0).unwrap();
        open.write_all_at(&bytes(9, 300_000), BORDER - 150_000).unwrap();
        open.sync_all().unwrap();
        let info = hosts.file_info(file.to_str().unwrap());
        let at = |n: usize| info["chunks"][n]["replicas"][0]["serverName"].as_str().unwrap().to_owned();
        if at(0) != at(1) {
            return (file, at(0), at(1));
        }
    }
    panic!("every chunk is on one server");
}

#[test]
fn a_chunk_is_read_while_a_punch_that_cut_it_waits_for_the_next_one() {
    const NAME: &str = "a_chunk_is_read_while_a_punch_that_cut_it_waits_for_the_next_one";
    if !can_mount(NAME) || !has_program(NAME, "fallocate") {
        return;
    }
    let mut hosts = Hosts::start();
    let (file, _, away) = on_two_servers(&hosts);
    let version = |hosts: &Hosts| hosts.file_info(file.to_str().unwrap())["chunks"][0]["version"].clone();
    let before = version(&hosts);
    hosts.kill(&away);
    let from = (BORDER - 50_000).to_string();
    let punch =
        Command::new("fallocate").args(["-p", "-o", &from, "-l", "100000"]).arg(&file).spawn().unwrap();
    wait_within(HEALED_WITHIN, "the first chunk is cut", || version(&hosts) != before);
    for page in 1..5 {
        let read = Command::new("timeout")
            .args(["20", "dd", "iflag=direct", "bs=4096", "count=1", "status=none"])
            .args([format!("skip={page}"), format!("if={}", file.display())])
            .output()
            .unwrap();
        assert!(read.stdout == bytes(9, 300_000)[page * 4096..][..4096], "page {page}: {read:?}");
    }
    hosts.start_one(&away);
    let punched = punch.wait_with_output().unwrap();
    assert!(punched.status.success(), "{punched:?}");
    hosts.wait_whole();
    let found = fs::read(&file).unwrap();
    let border = BORDER as usize;
    assert!(found[border - 50_000..border + 50_000].iter().all(|byte| *byte == 0));
    assert!(found[border - 150_000..border - 50_000] == bytes(9, 300_000)[..100_000]);
    assert!(found[border + 50_000..] == bytes(9, 300_000)[200_000..]);
}
