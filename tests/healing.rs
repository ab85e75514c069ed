//! Healing with real processes: a killed chunkserver's replicas come back elsewhere, and its return harms nothing.

#![allow(clippy::unwrap_used, reason = "a test may stop")]

mod common;
use common::*;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Long enough for the hold-off of a silent server and the copies.
const HEALED_WITHIN: Duration = Duration::from_secs(90);

fn count(demo: &Demo, what: &str) -> u64 {
    demo.status()["chunks"][what].as_u64().unwrap()
}

fn is_healed(demo: &Demo, chunks: u64) -> bool {
    let counts = demo.status()["chunks"].clone();
    let count = |what: &str| counts[what].as_u64().unwrap();
    count("ok") == chunks && count("endangered") + count("undergoal") + count("missing") == 0
}

/// Names of the servers that hold the first chunk of a file.
fn holders(demo: &Demo, name: &str) -> Vec<String> {
    let info = demo.ask(&["file", "info", "--json", demo.path(name).to_str().unwrap()]);
    let info: serde_json::Value = serde_json::from_str(&info).unwrap();
    let replicas = info["chunks"][0]["replicas"].as_array().unwrap();
    replicas.iter().map(|replica| replica["serverName"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_killed_chunkservers_replicas_come_back_on_the_others_and_nothing_is_lost_when_it_returns() {
    if !can_mount(
        "a_killed_chunkservers_replicas_come_back_on_the_others_and_nothing_is_lost_when_it_returns",
    ) {
        return;
    }
    let demo = Demo::start();
    let data = demo.data.to_str().unwrap();
    let files: Vec<(String, Vec<u8>)> = (0..12)
        .map(|n| (format!("f{n}"), bytes(n, if n == 0 { 70 << 20 } else { 5_000 * n as usize })))
        .collect();
    for (name, content) in &files {
        fs::write(demo.path(name), content).unwrap();
    }
    // Written in the middle of nowhere: the hole must stay one.
    let sparse = fs::File::create(demo.path("sparse")).unwrap();
    sparse.write_all_at(b"far away", 50 << 20).unwrap();
    drop(sparse);
    wait_within(HEALED_WITHIN, "all chunks have two replicas", || is_healed(&demo, 14));
    demo.ask(&["demo", "kill", "cs1", "--data", data]);
    wait_until("the loss is seen", || count(&demo, "endangered") > 0);
    wait_within(HEALED_WITHIN, "all chunks have two replicas again", || is_healed(&demo, 14));
    for (name, content) in &files {
        let found = holders(&demo, name);
        assert_eq!(found.len(), 2, "{name}: {found:?}");
        assert!(!found.contains(&"cs1".to_owned()), "{name}: {found:?}");
        assert!(fs::read(demo.path(name)).unwrap() == *content, "{name}");
    }
    // The copies alone must do: the servers they were made from go, one after the other.
    for gone in ["cs2", "cs3"] {
        demo.ask(&["demo", "kill", gone, "--data", data]);
        demo.ask(&["demo", "kill", "mount", "--data", data]);
        demo.ask(&["demo", "start", "mount", "--data", data]);
        for (name, content) in &files {
            assert!(fs::read(demo.path(name)).unwrap() == *content, "{name} without {gone}");
        }
        demo.ask(&["demo", "start", gone, "--data", data]);
        wait_until("it is back", || is_healed(&demo, 14));
    }
    demo.ask(&["demo", "start", "cs1", "--data", data]);
    wait_until("cs1 is back", || {
        demo.status()["servers"].as_array().unwrap().iter().all(|server| server["state"] == "up")
    });
    // What it holds is not needed any more, and goes.
    wait_within(HEALED_WITHIN, "no replica is left over", || {
        let disks = demo.status()["disks"].as_array().unwrap().clone();
        disks.iter().map(|disk| disk["chunks"].as_u64().unwrap()).sum::<u64>() == 28
    });
    assert!(is_healed(&demo, 14));
    for (name, content) in &files {
        assert!(fs::read(demo.path(name)).unwrap() == *content, "{name}");
        fs::write(demo.path(name), &content[..content.len() / 2]).unwrap();
        assert!(fs::read(demo.path(name)).unwrap() == content[..content.len() / 2], "{name}");
    }
    let mut end = vec![0; 8];
    let sparse = fs::File::open(demo.path("sparse")).unwrap();
    sparse.read_exact_at(&mut end, 50 << 20).unwrap();
    assert_eq!(end, b"far away");
}

/// The files of the only chunk there is, one for each replica.
fn chunk_files(demo: &Demo) -> Vec<PathBuf> {
    let found = sh(&demo.data, "find . -path '*/chunks/*' -type f -size +1M");
    found.lines().map(|path| demo.data.join(path)).collect()
}

/// Bytes that are damaged on each of two replicas: whatever a mount asks for first, it meets damage on both.
const PLACES: [[u64; 3]; 2] = [[500_000, 1_500_000, 2_500_000], [700_000, 1_700_000, 2_700_000]];

/// Flips a bit where the device keeps it, and lets the kernel forget what it knows of the file.
fn rot(path: &Path, offset: u64) {
    let file = fs::OpenOptions::new().read(true).write(true).open(path).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, offset).unwrap();
    file.write_all_at(&[byte[0] ^ 8], offset).unwrap();
    file.sync_all().unwrap();
    rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed).unwrap();
}

#[test]
fn replicas_with_damage_in_different_places_are_one_whole_file_and_mend_each_other() {
    if !can_mount("replicas_with_damage_in_different_places_are_one_whole_file_and_mend_each_other") {
        return;
    }
    let mut demo = Demo::start();
    let content = bytes(1, 3_000_000);
    let file = fs::File::create(demo.path("f")).unwrap();
    file.write_all_at(&content, 0).unwrap();
    file.sync_all().unwrap();
    drop(file);
    wait_until("the chunk is counted", || is_healed(&demo, 1));
    // Stopped cleanly, so that nothing is taken for torn; and compared once more since it was written, so that both are read.
    let damage = |demo: &mut Demo| {
        demo.stop();
        demo.run(&[]);
        wait_until("its replicas were compared", || is_healed(demo, 1) && count(demo, "unsettled") == 0);
        demo.stop();
        let paths = chunk_files(demo);
        assert_eq!(paths.len(), 2);
        for (path, places) in paths.iter().zip(PLACES) {
            places.into_iter().for_each(|offset| rot(path, offset));
        }
        demo.run(&[]);
    };
    for round in 0..2 {
        damage(&mut demo);
        assert!(fs::read(demo.path("f")).unwrap() == content, "each page is sound somewhere, round {round}");
        wait_until("both are mended where the device keeps them", || {
            chunk_files(&demo).iter().zip(PLACES).all(|(path, places)| {
                let found = fs::read(path).unwrap();
                places.iter().all(|at| found[*at as usize] == content[*at as usize])
            })
        });
        wait_until("both count again", || is_healed(&demo, 1));
    }
}

#[test]
fn a_page_that_rots_while_its_server_is_killed_is_taken_from_the_other_replica() {
    if !can_mount("a_page_that_rots_while_its_server_is_killed_is_taken_from_the_other_replica") {
        return;
    }
    for which in 0..2 {
        let demo = Demo::start();
        let data = demo.data.to_str().unwrap();
        let content = bytes(2, 3_000_000);
        let file = fs::File::create(demo.path("f")).unwrap();
        file.write_all_at(&content, 0).unwrap();
        file.sync_all().unwrap();
        let all = ["cs1", "cs2", "cs3"];
        all.iter().for_each(|name| drop(demo.ask(&["demo", "kill", name, "--data", data])));
        // It was written a moment ago: what does not match now is taken for a write that the kill cut short.
        rot(&chunk_files(&demo)[which], PLACES[0][0]);
        all.iter().for_each(|name| drop(demo.ask(&["demo", "start", name, "--data", data])));
        demo.ask(&["demo", "kill", "mount", "--data", data]);
        drop(file);
        demo.ask(&["demo", "start", "mount", "--data", data]);
        wait_until("its replicas were compared", || {
            let status = demo.status()["chunks"].clone();
            status["ok"] == 1 && status["unsettled"].as_u64().unwrap_or(0) == 0
        });
        assert!(fs::read(demo.path("f")).unwrap() == content, "replica {which}");
        for path in chunk_files(&demo) {
            assert!(fs::read(&path).unwrap()[..content.len()] == content, "{}", path.display());
        }
    }
}

#[test]
fn bits_that_rot_on_each_replica_in_other_pages_while_all_servers_are_killed_cost_no_byte() {
    if !can_mount("bits_that_rot_on_each_replica_in_other_pages_while_all_servers_are_killed_cost_no_byte") {
        return;
    }
    let demo = Demo::start();
    let data = demo.data.to_str().unwrap();
    let content = bytes(3, 3_000_000);
    let file = fs::File::create(demo.path("f")).unwrap();
    file.write_all_at(&content, 0).unwrap();
    file.sync_all().unwrap();
    let all = ["cs1", "cs2", "cs3"];
    all.iter().for_each(|name| drop(demo.ask(&["demo", "kill", name, "--data", data])));
    let paths = chunk_files(&demo);
    assert_eq!(paths.len(), 2);
    for (path, places) in paths.iter().zip(PLACES) {
        places.into_iter().for_each(|offset| rot(path, offset));
    }
    // One after the other, with a writer that asks for a grant all the time.
    all.iter().for_each(|name| drop(demo.ask(&["demo", "start", name, "--data", data])));
    file.write_all_at(&content[2_900_000..], 2_900_000).unwrap();
    file.sync_all().unwrap();
    drop(file);
    demo.ask(&["demo", "kill", "mount", "--data", data]);
    demo.ask(&["demo", "start", "mount", "--data", data]);
    assert!(fs::read(demo.path("f")).unwrap() == content);
    wait_until("its replicas are equal, and well", || {
        let status = demo.status()["chunks"].clone();
        status["ok"] == 1 && status["unsettled"].as_u64().unwrap_or(0) == 0
    });
    for path in chunk_files(&demo) {
        assert!(fs::read(&path).unwrap()[..content.len()] == content, "{}", path.display());
    }
}

/// It is sound on neither replica: its reader waits for one that may come back, and everybody is told; who writes it anew ends that.
/// A bit of one replica rots unseen, and the server of the other one is away: for long enough that another replica is to be made, or while
/// somebody writes another page. It comes back with all that was there, and that is not lost for its being left behind.
#[test]
fn a_page_that_rotted_unseen_is_taken_from_the_server_that_was_away_meanwhile() {
    if !can_mount("a_page_that_rotted_unseen_is_taken_from_the_server_that_was_away_meanwhile") {
        return;
    }
    for written in [false, true] {
        let demo = Demo::start();
        let data = demo.data.to_str().unwrap();
        let mut content = bytes(3, 3_000_000);
        let file = fs::File::create(demo.path("f")).unwrap();
        file.write_all_at(&content, 0).unwrap();
        file.sync_all().unwrap();
        drop(file);
        wait_until("the chunk is counted", || is_healed(&demo, 1));
        let [rotten, away] = <[String; 2]>::try_from(holders(&demo, "f")).unwrap();
        let of = |server: &String| {
            let within = demo.data.join(server);
            chunk_files(&demo).into_iter().find(|path| path.starts_with(&within)).unwrap()
        };
        rot(&of(&rotten), 500_000);
        demo.ask(&["demo", "kill", &away, "--data", data]);
        if written {
            let file = fs::File::options().write(true).open(demo.path("f")).unwrap();
            // Of the same block, which has to be read to be compared.
            let page = bytes(4, 4096);
            file.write_all_at(&page, 512_000).unwrap();
            file.sync_all().unwrap();
            content[512_000..516_096].copy_from_slice(&page);
        } else {
            wait_within(HEALED_WITHIN, "the rot was met", || count(&demo, "damaged") == 1);
        }
        demo.ask(&["demo", "start", &away, "--data", data]);
        wait_within(HEALED_WITHIN, "all is whole again", || {
            is_healed(&demo, 1) && count(&demo, "damaged") == 0
        });
        assert!(fs::read(demo.path("f")).unwrap() == content, "written: {written}");
        demo.ask(&["demo", "kill", &away, "--data", data]);
        demo.ask(&["demo", "kill", "mount", "--data", data]);
        demo.ask(&["demo", "start", "mount", "--data", data]);
        assert!(fs::read(demo.path("f")).unwrap() == content, "without {away}, written: {written}");
    }
}

#[test]
fn a_page_that_is_sound_nowhere_is_shown_and_whole_again_when_it_is_written() {
    if !can_mount("a_page_that_is_sound_nowhere_is_shown_and_whole_again_when_it_is_written") {
        return;
    }
    const PAGE: usize = 4096;
    let mut demo = Demo::start();
    let mut content = bytes(4, 3_000_000);
    let file = fs::File::create(demo.path("f")).unwrap();
    file.write_all_at(&content, 0).unwrap();
    file.sync_all().unwrap();
    drop(file);
    wait_until("the chunk is counted", || is_healed(&demo, 1));
    demo.stop();
    demo.run(&[]);
    wait_until("its replicas were compared", || is_healed(&demo, 1) && count(&demo, "unsettled") == 0);
    demo.stop();
    let at = 1_500_000 / PAGE * PAGE;
    chunk_files(&demo).iter().for_each(|path| rot(path, at as u64 + 7));
    demo.run(&[]);
    let path = demo.path("f");
    let mut other = vec![0; 100_000];
    let file = fs::File::open(&path).unwrap();
    file.read_exact_at(&mut other, 0).unwrap();
    assert!(other == content[..100_000]);
    let reader = std::thread::spawn(move || {
        let mut page = vec![0; PAGE];
        file.read_exact_at(&mut page, at as u64).map(|()| page)
    });
    wait_until("both are found", || {
        let info = demo.ask(&["file", "info", "--json", path.to_str().unwrap()]);
        let info: serde_json::Value = serde_json::from_str(&info).unwrap();
        let replicas = info["chunks"][0]["replicas"].as_array().unwrap();
        info["health"] == "damaged" && replicas.iter().all(|replica| replica["damaged"] == true)
    });
    let warnings = demo.status()["warnings"].clone();
    assert!(warnings.to_string().contains("CHUNK_DAMAGED"), "{warnings}");
    let new = bytes(5, PAGE);
    let file = fs::File::options().write(true).open(&path).unwrap();
    file.write_all_at(&new, at as u64).unwrap();
    file.sync_all().unwrap();
    content[at..at + PAGE].copy_from_slice(&new);
    if let Ok(page) = reader.join().unwrap() {
        assert!(page == new, "neither zeroes nor what rotted");
    }
    assert!(fs::read(&path).unwrap() == content);
    wait_within(HEALED_WITHIN, "it is whole", || is_healed(&demo, 1) && count(&demo, "damaged") == 0);
}

/// The cut goes through a page that no replica has sound. That page stays damaged; everything else of the file goes on.
#[test]
fn a_truncate_into_a_page_that_is_damaged_everywhere_leaves_a_file_that_can_be_written() {
    if !can_mount("a_truncate_into_a_page_that_is_damaged_everywhere_leaves_a_file_that_can_be_written") {
        return;
    }
    const PAGE: usize = 4096;
    let mut demo = Demo::start();
    let mut content = bytes(6, 6_000_000);
    let file = fs::File::create(demo.path("f")).unwrap();
    file.write_all_at(&content, 0).unwrap();
    file.sync_all().unwrap();
    drop(file);
    wait_until("the chunk is counted", || is_healed(&demo, 1));
    demo.stop();
    demo.run(&[]);
    wait_until("its replicas were compared", || is_healed(&demo, 1) && count(&demo, "unsettled") == 0);
    demo.stop();
    let end = 5_000_000;
    let page = end / PAGE * PAGE;
    let paths = chunk_files(&demo);
    assert_eq!(paths.len(), 2);
    paths.iter().for_each(|path| rot(path, page as u64 + 7));
    demo.run(&[]);
    let path = demo.path("f");
    let file = fs::File::options().write(true).open(&path).unwrap();
    file.set_len(end as u64).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().len(), end as u64);
    let new = bytes(7, 10_000);
    file.write_all_at(&new, 100).unwrap();
    file.sync_all().unwrap();
    content[100..10_100].copy_from_slice(&new);
    assert!(fs::read(&path).is_err(), "neither zeroes nor what rotted");
    wait_until("both are found", || count(&demo, "damaged") == 1);
    content.truncate(page);
    content.extend_from_slice(&new[..PAGE]);
    file.write_all_at(&new[..PAGE], page as u64).unwrap();
    file.sync_all().unwrap();
    let mut appended = fs::File::options().append(true).open(&path).unwrap();
    appended.write_all(&new).unwrap();
    appended.sync_all().unwrap();
    content.extend_from_slice(&new);
    assert!(fs::read(&path).unwrap() == content, "written anew, it is whole");
    wait_within(HEALED_WITHIN, "it is whole", || is_healed(&demo, 1) && count(&demo, "damaged") == 0);
    file.set_len(0).unwrap();
    file.write_all_at(&new, 0).unwrap();
    file.sync_all().unwrap();
    assert!(fs::read(&path).unwrap() == new);
    fs::write(&path, &new[..100]).unwrap();
    assert!(fs::read(&path).unwrap() == new[..100]);
}
