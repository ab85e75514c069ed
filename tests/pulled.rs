//! A disk that is pulled while four programs write and four read: nobody sees an error, what has one replica left is healed first,
//! everything is at its goal again, and every file is right. What it costs is measured by `benches/heal`.

#![allow(clippy::unwrap_used, reason = "a test may stop")]

mod common;
#[path = "common/load.rs"]
mod load;
use common::*;
use load::*;
use serde_json::Value;
use std::fs;
use std::time::Duration;

/// Long enough to copy what this test writes, on a machine with other work.
const HEALED_WITHIN: Duration = Duration::from_secs(180);
/// Files of each class, of one chunk each.
const FILES: u64 = 120;
const FILE_BYTES: usize = 1 << 20;
/// What each server may read and write for healing until what is endangered is healed.
const HEALING_RATE: &str = "8MiB";

/// Chunks that lack something, by how badly.
#[derive(Clone, Copy, Debug)]
struct Lacking {
    endangered: u64,
    undergoal: u64,
}

fn count(demo: &Demo, what: &str) -> u64 {
    demo.status()["chunks"][what].as_u64().unwrap()
}

fn lacking(demo: &Demo) -> Lacking {
    let chunks = &demo.status()["chunks"];
    let count = |what: &str| chunks[what].as_u64().unwrap();
    assert_eq!(count("missing"), 0, "{chunks}");
    Lacking { endangered: count("endangered"), undergoal: count("undergoal") }
}

fn is_healed(demo: &Demo) -> bool {
    let lacking = lacking(demo);
    lacking.endangered + lacking.undergoal == 0
}

#[test]
fn a_disk_pulled_under_load_costs_no_error_and_what_it_endangers_is_healed_first() {
    if !can_mount("a_disk_pulled_under_load_costs_no_error_and_what_it_endangers_is_healed_first") {
        return;
    }
    let demo = Demo::start_with(&["--chunkservers", "4", "--disks", "1"]);
    // The load has three replicas, so that what is endangered are the files of `two` alone, whatever is being written.
    let classes = [("two", "default"), ("three", "triple"), ("load", "triple")];
    for (directory, class) in classes {
        fs::create_dir(demo.path(directory)).unwrap();
        demo.ask(&["class", "set", class, demo.path(directory).to_str().unwrap()]);
    }
    let files: Vec<_> = (0..2 * FILES)
        .map(|file| (demo.path(classes[file as usize % 2].0).join(file.to_string()), bytes(file, FILE_BYTES)))
        .collect();
    for (path, content) in &files {
        fs::write(path, content).unwrap();
    }
    wait_within(HEALED_WITHIN, "all files are at their goal", || is_healed(&demo));
    let load = Load::start(&demo.path("load"), 3);
    load.wait_for(200);

    // Slower than any machine, so that the order can be watched.
    let servers = ["cs2", "cs3", "cs4"];
    for server in servers {
        demo.ask(&["limit", "set", "--server", server, "--rate", HEALING_RATE]);
    }
    fs::rename(demo.data.join("cs1/d1"), demo.data.join("cs1/pulled")).unwrap();
    let mut seen: Vec<Lacking> = Vec::new();
    wait_within(HEALED_WITHIN, "what is endangered is healed, also under load", || {
        let now = lacking(&demo);
        let is_noticed = !seen.is_empty() || now.endangered > 0;
        if is_noticed && seen.is_empty() {
            let listed: Value =
                serde_json::from_str(&demo.ask(&["chunk", "ls", "--state", "endangered", "--json"])).unwrap();
            let listed = listed["chunks"].as_array().unwrap();
            assert!(!listed.is_empty() && listed.iter().all(|one| one["class"] == "default"), "{listed:?}");
        }
        seen.extend(is_noticed.then_some(now));
        is_noticed && now.endangered == 0
    });
    let most = |of: fn(&Lacking) -> u64| seen.iter().map(of).max().unwrap();
    let (endangered, undergoal) = (most(|one| one.endangered), most(|one| one.undergoal));
    println!("at most {endangered} endangered and {undergoal} under goal: {seen:?}");
    assert!(endangered > FILES / 5 && undergoal > FILES / 2, "{endangered} and {undergoal} of {FILES}");
    // Servers that have nothing to read or to take for the last of them go on with the others.
    let first = seen.iter().find(|one| one.endangered * 10 <= endangered).unwrap();
    assert!(first.undergoal * 2 >= undergoal, "{first:?} of {endangered} and {undergoal}");
    for server in servers {
        demo.ask(&["limit", "rm", "--server", server]);
    }
    wait_within(HEALED_WITHIN, "everything is at its goal again, also under load", || is_healed(&demo));

    load.wait_for(200);
    let promised = load.end();
    promised.assert_no_error();
    demo.mount_anew();
    promised.check();
    for (path, content) in &files {
        assert!(fs::read(path).unwrap() == *content, "{}", path.display());
    }
    wait_within(HEALED_WITHIN, "every chunk is at its goal", || {
        is_healed(&demo) && count(&demo, "ok") == count(&demo, "mapped")
    });
    let all = demo.ask(&["chunk", "ls"]);
    assert!(all.starts_with("no chunk is in such a state\n"), "{all}");
    let some = demo.ask(&["chunk", "ls", "--all", "--limit", "10"]);
    assert!(some.contains("\n10 chunks: 10 ok, and there are more"), "{some}");
    assert!(demo.data.join("cs1/pulled").exists() && !demo.data.join("cs1/d1").exists());
}
