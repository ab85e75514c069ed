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

const PAGE: usize = 4096;

/// A file of one chunk and 3 MB on two servers, of which one is to be taken away.
struct Pair {
    demo: Demo,
    content: Vec<u8>,
    stays: String,
    goes: String,
}

impl Pair {
    fn start(seed: u64) -> Self {
        let demo = Demo::start();
        let content = bytes(seed, 3_000_000);
        fs::write(demo.path("f"), &content).unwrap();
        fs::File::open(demo.path("f")).unwrap().sync_all().unwrap();
        wait_until("the chunk is counted", || is_healed(&demo, 1));
        let [stays, goes] = <[String; 2]>::try_from(holders(&demo, "f")).unwrap();
        Self { demo, content, stays, goes }
    }

    fn tell(&self, what: &str, whom: &str) {
        self.demo.ask(&["demo", what, whom, "--data", self.demo.data.to_str().unwrap()]);
    }

    /// The chunk's file on a server.
    fn file_of(&self, server: &str) -> PathBuf {
        let within = self.demo.data.join(server);
        chunk_files(&self.demo).into_iter().find(|path| path.starts_with(&within)).unwrap()
    }

    /// Writes a page of the file, durably.
    fn write(&mut self, page: &[u8], at: usize) {
        let file = fs::File::options().write(true).open(self.demo.path("f")).unwrap();
        file.write_all_at(page, at as u64).unwrap();
        file.sync_all().unwrap();
        self.content[at..at + page.len()].copy_from_slice(page);
    }

    /// Reads a page past all that the mount and the kernel remember.
    fn read(&self, at: usize) -> std::io::Result<Vec<u8>> {
        self.tell("kill", "mount");
        self.tell("start", "mount");
        let mut page = vec![0; PAGE];
        fs::File::open(self.demo.path("f"))?.read_exact_at(&mut page, at as u64).map(|()| page)
    }

    /// The server that was taken away is back, and its replica was found to be stale.
    fn bring_back(&self) {
        self.tell("start", &self.goes);
        let path = self.demo.path("f");
        wait_within(HEALED_WITHIN, "its replica is known to be stale, or whole", || {
            self.demo.ask(&["explain", path.to_str().unwrap()]).contains("stale: it missed writes")
                || is_healed(&self.demo, 1)
        });
    }
}

/// A bit of one replica rots unseen, and the server of the other one is away: for long enough that another replica is to be made, or while
/// somebody writes another page. It comes back with all that was there. Nothing proves that this is what was written last, so it is
/// not used, and it is kept.
#[test]
fn a_page_that_rotted_unseen_is_refused_and_the_replica_that_was_away_meanwhile_is_kept() {
    if !can_mount("a_page_that_rotted_unseen_is_refused_and_the_replica_that_was_away_meanwhile_is_kept") {
        return;
    }
    const AT: usize = 500_000 / PAGE * PAGE;
    for written in [false, true] {
        let mut pair = Pair::start(3);
        rot(&pair.file_of(&pair.stays), 500_000);
        pair.tell("kill", &pair.goes);
        if written {
            // Of the same block, which has to be read to be compared.
            pair.write(&bytes(4, PAGE), 512_000);
        } else {
            wait_within(HEALED_WITHIN, "the rot was met", || count(&pair.demo, "damaged") == 1);
        }
        pair.bring_back();
        wait_within(HEALED_WITHIN, "the rot was met", || count(&pair.demo, "damaged") == 1);
        let refused = pair.read(AT).unwrap_err();
        assert_eq!(refused.raw_os_error(), Some(5), "written: {written}");
        wait_until("it is said that it is kept", || {
            let told = pair.demo.ask(&["explain", pair.demo.path("f").to_str().unwrap()]);
            told.contains("kept while no replica is sound")
        });
        let mut kept = vec![0; PAGE];
        fs::File::open(pair.file_of(&pair.goes)).unwrap().read_exact_at(&mut kept, AT as u64).unwrap();
        assert!(kept == pair.content[AT..AT + PAGE], "people can still get it");
        pair.write(&kept, AT);
        wait_within(2 * HEALED_WITHIN, "all is whole again", || {
            is_healed(&pair.demo, 1) && count(&pair.demo, "damaged") == 0
        });
        pair.tell("kill", &pair.stays);
        pair.read(AT).unwrap();
        assert!(fs::read(pair.demo.path("f")).unwrap() == pair.content, "without {}", pair.stays);
    }
}

/// The page rotted, its bytes were cut, and the replica that was away has it uncut, with the checksum that was on record.
#[test]
fn what_was_cut_of_a_page_that_rotted_does_not_come_back_from_a_stale_replica() {
    if !can_mount("what_was_cut_of_a_page_that_rotted_does_not_come_back_from_a_stale_replica") {
        return;
    }
    const AT: usize = 500_000 / PAGE * PAGE;
    let mut pair = Pair::start(5);
    rot(&pair.file_of(&pair.stays), AT as u64 + 9);
    pair.tell("kill", &pair.goes);
    pair.write(&bytes(6, PAGE), 0);
    let length = pair.content.len();
    let file = fs::File::options().write(true).open(pair.demo.path("f")).unwrap();
    file.set_len(AT as u64 + 1000).unwrap();
    file.set_len(length as u64).unwrap();
    file.sync_all().unwrap();
    drop(file);
    pair.content[AT + 1000..].fill(0);
    pair.bring_back();
    match pair.read(AT) {
        Ok(page) => assert!(page == pair.content[AT..AT + PAGE], "the bytes from before the cut are back"),
        Err(error) => assert_eq!(error.raw_os_error(), Some(5)),
    }
    pair.write(&bytes(7, PAGE), AT);
    wait_within(2 * HEALED_WITHIN, "all is whole again", || {
        is_healed(&pair.demo, 1) && count(&pair.demo, "damaged") == 0
    });
    pair.read(AT).unwrap();
    assert!(fs::read(pair.demo.path("f")).unwrap() == pair.content);
}

/// The disk lost the write of a record without a word: what is new and synced looks damaged, and the stale replica has the page that is
/// on record.
#[test]
fn a_record_whose_write_was_lost_brings_no_older_page_back() {
    if !can_mount("a_record_whose_write_was_lost_brings_no_older_page_back") {
        return;
    }
    const AT: usize = 2_560_000 / PAGE * PAGE;
    /// The records of blocks 31 to 72.
    const TABLE: u64 = (64 << 20) + 4096;
    let mut pair = Pair::start(8);
    pair.tell("kill", &pair.goes);
    let path = pair.file_of(&pair.stays);
    let read_table = || {
        let mut table = vec![0; 4096];
        fs::File::open(&path).unwrap().read_exact_at(&mut table, TABLE).unwrap();
        table
    };
    let old = read_table();
    let before = pair.content[AT..AT + PAGE].to_vec();
    pair.write(&bytes(9, PAGE), AT);
    pair.tell("kill", &pair.stays);
    assert_ne!(read_table(), old);
    fs::File::options().write(true).open(&path).unwrap().write_all_at(&old, TABLE).unwrap();
    pair.tell("start", &pair.stays);
    pair.bring_back();
    match pair.read(AT) {
        Ok(page) => {
            assert!(page != before && page == pair.content[AT..AT + PAGE], "what was synced is replaced")
        }
        Err(error) => assert_eq!(error.raw_os_error(), Some(5)),
    }
    pair.write(&bytes(10, PAGE), AT);
    wait_within(2 * HEALED_WITHIN, "all is whole again", || {
        is_healed(&pair.demo, 1) && count(&pair.demo, "damaged") == 0
    });
    pair.read(AT).unwrap();
    assert!(fs::read(pair.demo.path("f")).unwrap() == pair.content);
}

/// It is sound on neither replica: its reader waits for one that may come back, and everybody is told; who writes it anew ends that.
#[test]
fn a_page_that_is_sound_nowhere_is_shown_and_whole_again_when_it_is_written() {
    if !can_mount("a_page_that_is_sound_nowhere_is_shown_and_whole_again_when_it_is_written") {
        return;
    }
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
