//! Why chunks are where they are, through the command line, with real processes.

#![allow(clippy::unwrap_used, reason = "a test may stop")]

mod common;
use common::*;
use serde_json::Value;
use std::fs;
use std::path::Path;

fn explained(demo: &Demo, path: &Path) -> Value {
    serde_json::from_str(&demo.ask(&["explain", path.to_str().unwrap(), "--json"])).unwrap()
}

/// `SERVER:PATH` of a disk of each of the three servers.
fn disks(demo: &Demo) -> [String; 3] {
    let status = demo.status();
    let path = |n: u32| {
        let disks = status["disks"].as_array().unwrap().iter().map(|disk| disk["path"].as_str().unwrap());
        let of = format!("/cs{n}/");
        format!("cs{n}:{}", disks.filter(|path| path.contains(&of)).min().unwrap())
    };
    [1, 2, 3].map(path)
}

#[test]
fn a_file_says_where_it_is_where_it_should_be_and_what_is_in_the_way() {
    if !can_mount("a_file_says_where_it_is_where_it_should_be_and_what_is_in_the_way") {
        return;
    }
    let demo = Demo::start_with(&["--disks", "1"]);
    let all = disks(&demo);
    for (disk, label) in all.iter().zip(["ssd", "hdd", "hdd"]) {
        demo.ask(&["disk", "label", disk, label]);
    }
    demo.ask(&["class", "create", "hot", "--keep", "ssd,hdd"]);
    let tree = demo.path("tree");
    fs::create_dir(&tree).unwrap();
    demo.ask(&["class", "set", "hot", tree.to_str().unwrap()]);
    fs::create_dir(tree.join("below")).unwrap();
    let file = tree.join("below/file");
    fs::write(&file, vec![7; 3 << 20]).unwrap();

    // Where it should be, by a class from above.
    wait_until("its replicas are where they should be", || {
        let told = explained(&demo, &file);
        told["groups"][0]["inTheWay"].is_null()
            && told["groups"][0]["replicas"].as_array().unwrap().len() == 2
    });
    let told = explained(&demo, &file);
    assert_eq!((&told["class"], &told["inheritedLevels"]), (&"hot".into(), &2.into()));
    assert_eq!(told["classAbove"], "default");
    let places = told["groups"][0]["places"].as_array().unwrap();
    let ssd = places.iter().find(|place| place["condition"] == "ssd").unwrap();
    assert_eq!((&ssd["disk"], &ssd["held"]), (&all[0].as_str().into(), &true.into()));
    let text = demo.ask(&["explain", file.to_str().unwrap()]);
    let above = format!("class hot, as {}; above it: default", tree.display());
    assert!(text.contains(&above) && text.contains("good, where it should be"), "{text}");
    let directory = explained(&demo, &tree);
    assert_eq!((&directory["fileKind"], &directory["inheritedLevels"]), (&"directory".into(), &0.into()));

    // What no disk can give is in the way, with the reason.
    demo.ask(&[
        "class",
        "edit",
        "hot",
        "--keep",
        "ssd,2*hdd,tape",
        "--mode",
        "strict",
        "--allow-unsatisfiable",
    ]);
    wait_until("it is said that a disk is missing", || {
        let told = explained(&demo, &file);
        let group = &told["groups"][0];
        group["inTheWay"] == "no-disk" && group["replicas"].as_array().unwrap().len() == 3
    });
    let text = demo.ask(&["explain", file.to_str().unwrap()]);
    assert!(text.contains("tape: no disk: no further one has the labels"), "{text}");
    assert!(text.contains("cannot be met: keep: 1 of 1 replicas on tape have no disk"), "{text}");

    // What an edit makes dispensable is held, and counts again when the edit is taken back.
    demo.ask(&["class", "edit", "hot", "--keep", "ssd,hdd"]);
    let held = |demo: &Demo| demo.status()["chunks"]["held"].as_u64().unwrap();
    wait_until("a replica is held", || explained(&demo, &file)["groups"][0]["inTheWay"] == "surplus-held");
    let told = explained(&demo, &file);
    let replicas = told["groups"][0]["replicas"].as_array().unwrap();
    let of_hour = |replica: &&Value| replica["heldMs"].as_u64().is_some_and(|ms| ms > 3_000_000);
    assert_eq!((replicas.len(), replicas.iter().filter(of_hour).count(), held(&demo)), (3, 1, 1));
    let text = demo.ask(&["explain", file.to_str().unwrap()]);
    assert!(text.contains("since an edit") && text.contains("so that it can be taken back"), "{text}");
    demo.ask(&["class", "edit", "hot", "--keep", "ssd,2*hdd"]);
    wait_until("nothing is to be done", || explained(&demo, &file)["groups"][0]["inTheWay"].is_null());
    assert_eq!(held(&demo), 0);
    demo.ask(&["class", "edit", "hot", "--keep", "ssd,hdd"]);

    // A server that is away is waited for.
    demo.ask(&["demo", "kill", "cs1", "--data", demo.data.to_str().unwrap()]);
    wait_until("it is said that a replica is waited for", || {
        let told = explained(&demo, &file);
        let group = &told["groups"][0];
        let states: Vec<&str> =
            group["replicas"].as_array().unwrap().iter().map(|one| one["state"].as_str().unwrap()).collect();
        group["inTheWay"] == "replica-awaited"
            && group["waitMs"].as_u64().is_some()
            && states.contains(&"away")
    });

    let nothing = demo.muskox(&["explain", "/nothing"]).output().unwrap();
    assert_eq!(nothing.status.code(), Some(5));
    assert!(String::from_utf8(nothing.stderr).unwrap().contains("\n  next: "));
}
