//! Disks that are replaced one by one while programs go on, with real processes.

#![allow(clippy::unwrap_used, reason = "a test may stop")]

mod common;
#[path = "common/load.rs"]
mod load;
use common::*;
use load::*;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::path::PathBuf;

/// The disks in service: the name of the server and the path.
fn disks(demo: &Demo) -> Vec<(String, PathBuf)> {
    let status = demo.status();
    let servers = status["servers"].as_array().unwrap().iter();
    let names: BTreeMap<&str, &str> =
        servers.map(|server| (server["id"].as_str().unwrap(), server["name"].as_str().unwrap())).collect();
    let disks = status["disks"].as_array().unwrap().iter();
    let named = disks.map(|disk| (names[disk["server"].as_str().unwrap()], disk["path"].as_str().unwrap()));
    named.map(|(server, path)| (server.to_owned(), PathBuf::from(path))).collect()
}

#[test]
fn every_disk_is_replaced_under_load_and_no_program_notices() {
    if !can_mount("every_disk_is_replaced_under_load_and_no_program_notices") {
        return;
    }
    let demo = Demo::start_with(&["--chunkservers", "3", "--disks", "1"]);
    let first = disks(&demo);
    let load = Load::start(&demo.path("load"), 7);
    load.wait_for(200);
    // Synced only when none of the disks that took it is left.
    let mut unsynced = File::create(demo.path("unsynced")).unwrap();
    unsynced.write_all(&bytes(9, 3_000_000)).unwrap();
    for (server, old) in &first {
        let new = demo.data.join(server).join("new");
        fs::create_dir(&new).unwrap();
        let name = format!("{server}:{}", old.display());
        let says = demo.ask(&["disk", "replace", &name, "--with", new.to_str().unwrap(), "--wait"]);
        assert!(says.contains("is removed, safe: yes"), "{says}");
        fs::rename(old, old.with_extension("taken-away")).unwrap();
        load.wait_for(100);
    }
    let left = disks(&demo);
    assert!(left.len() == 3 && left.iter().all(|disk| !first.contains(disk)), "{left:?}");
    unsynced.sync_all().expect("the replicas there are were copied from those that had all of it");
    let promised = load.end();
    promised.assert_no_error();
    promised.check();
    assert!(fs::read(demo.path("unsynced")).unwrap() == bytes(9, 3_000_000));
}
