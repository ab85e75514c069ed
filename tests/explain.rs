//! Why chunks are where they are, what an edit would take, and what needs somebody, through the command line, with real processes.

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
    wait_until("nothing is held", || held(&demo) == 0);
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

#[test]
fn an_edit_shows_what_it_takes_before_it_is_made_and_changes_nothing_with_plan() {
    if !can_mount("an_edit_shows_what_it_takes_before_it_is_made_and_changes_nothing_with_plan") {
        return;
    }
    let demo = Demo::start_with(&["--disks", "1"]);
    let tree = demo.path("tree");
    fs::create_dir(&tree).unwrap();
    for number in 0..5 {
        fs::write(tree.join(format!("f{number}")), vec![1; 1 << 20]).unwrap();
    }
    fs::write(demo.path("other"), b"other").unwrap();
    let planned = |arguments: &[&str]| -> Value {
        let mut all = arguments.to_vec();
        all.extend(["--plan", "--json"]);
        serde_json::from_str(&demo.ask(&all)).unwrap()
    };
    let path = tree.to_str().unwrap();
    let plan = planned(&["class", "set", "triple", path, "-r"]);
    let of = |plan: &Value, key: &str| plan[key].as_u64().unwrap();
    assert_eq!((of(&plan, "chunks"), of(&plan, "replicasToAdd"), of(&plan, "bytesToAdd")), (5, 5, 5 << 20));
    assert_eq!((of(&plan, "replicasToDrop"), &plan["estimateFrom"]), (0, &"assumed".into()));
    assert_eq!(explained(&demo, &tree)["class"], "default", "nothing was changed");

    let output = demo.muskox(&["class", "set", "triple", path, "-r"]).output().unwrap();
    let says = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success() && says.contains("plan: 5 chunks: 5 replicas to add"), "{says}");
    wait_until("all five have three replicas", || {
        let told = (0..5).map(|number| explained(&demo, &tree.join(format!("f{number}"))));
        told.into_iter().all(|told| told["groups"][0]["replicas"].as_array().unwrap().len() == 3)
    });

    // Of the class itself, and of labels.
    let plan = planned(&["class", "edit", "triple", "--keep", "any"]);
    assert_eq!(
        (of(&plan, "replicasToDrop"), of(&plan, "bytesToDrop"), of(&plan, "holdMs")),
        (10, 10 << 20, 3_600_000)
    );
    let plan = planned(&["class", "edit", "triple", "--keep", "4*any", "--allow-unsatisfiable"]);
    assert_eq!((of(&plan, "replicasLacking"), plan["unmet"].as_array().unwrap().len()), (5, 1));
    let disk = &disks(&demo)[0];
    assert_eq!(of(&planned(&["disk", "label", disk, "ssd"]), "chunks"), 0);
    let text = demo.ask(&["class", "edit", "triple", "--keep", "2*any", "--plan"]);
    assert!(text.contains("5 to drop") && text.contains("taken back"), "{text}");
    let refused = demo.muskox(&["class", "edit", "triple", "--keep", "2*(any", "--plan"]).output().unwrap();
    assert_eq!(refused.status.code(), Some(2));
}

#[test]
fn health_gives_codes_reasons_next_steps_and_the_exit_code_of_status() {
    if !can_mount("health_gives_codes_reasons_next_steps_and_the_exit_code_of_status") {
        return;
    }
    let demo = Demo::start_with(&["--disks", "1"]);
    let text = demo.ask(&["health"]);
    assert!(text.starts_with("HEALTHY"), "{text}");
    fs::write(demo.path("f"), b"f").unwrap();
    demo.ask(&["demo", "kill", "cs2", "--data", demo.data.to_str().unwrap()]);
    wait_until("its absence is noticed", || {
        let output = demo.muskox(&["health", "--json"]).output().unwrap();
        let told: Value = serde_json::from_slice(&output.stdout).unwrap();
        let checks = told["checks"].as_array().unwrap();
        let down =
            checks.iter().any(|check| check["code"] == "SERVER_DOWN" && check["severity"] == "warning");
        assert_eq!(down, told["verdict"] == "DEGRADED" && output.status.code() == Some(3), "{told}");
        down
    });
    let output = demo.muskox(&["health"]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.starts_with("DEGRADED") && text.contains("WARN SERVER_DOWN"), "{text}");
    assert!(text.contains("     why   ") && text.contains("     next  "), "{text}");
}
