//! Storage classes and labels through the command line, with real processes.

#![allow(clippy::unwrap_used, reason = "a test may stop")]

mod common;
use common::*;
use serde_json::Value;
use std::fs;
use std::process::Output;
use std::time::Duration;

fn run(demo: &Demo, arguments: &[&str]) -> Output {
    demo.muskox(arguments).output().unwrap()
}

fn json(demo: &Demo, arguments: &[&str]) -> Value {
    let mut with_json = arguments.to_vec();
    with_json.push("--json");
    let document: Value = serde_json::from_str(&demo.ask(&with_json)).unwrap();
    assert_eq!(document["apiVersion"], "muskox/v1", "{arguments:?}");
    document
}

/// A command that is refused: its exit code and what it says.
fn refused(demo: &Demo, arguments: &[&str]) -> (i32, String) {
    let output = run(demo, arguments);
    let says = String::from_utf8(output.stderr).unwrap();
    assert!(output.stdout.is_empty() && says.contains("\n  next: "), "{arguments:?}: {says}");
    (output.status.code().unwrap(), says)
}

fn class_of(demo: &Demo, path: &std::path::Path) -> String {
    json(demo, &["class", "get", path.to_str().unwrap()])["class"].as_str().unwrap().to_owned()
}

/// `SERVER:PATH` of all disks, in order.
fn disks(demo: &Demo) -> Vec<String> {
    let status = demo.status();
    let name = |id: &Value| {
        let servers = status["servers"].as_array().unwrap();
        servers.iter().find(|server| server["id"] == *id).unwrap()["name"].as_str().unwrap().to_owned()
    };
    let disks = status["disks"].as_array().unwrap().iter();
    let mut all: Vec<String> =
        disks.map(|disk| format!("{}:{}", name(&disk["server"]), disk["path"].as_str().unwrap())).collect();
    all.sort();
    all
}

fn class<'a>(classes: &'a Value, name: &str) -> &'a Value {
    classes["classes"].as_array().unwrap().iter().find(|class| class["name"] == name).unwrap()
}

#[test]
fn labels_and_classes_are_ruled_from_the_command_line_and_survive_the_master() {
    if !can_mount("labels_and_classes_are_ruled_from_the_command_line_and_survive_the_master") {
        return;
    }
    let demo = Demo::start();
    let data = demo.data.to_str().unwrap();
    let fresh = json(&demo, &["class", "ls"]);
    assert_eq!(
        (&class(&fresh, "default")["keep"], &class(&fresh, "triple")["met"]),
        (&"2*any".into(), &true.into())
    );

    // Labels of disks and servers, live.
    let all = disks(&demo);
    let [first, second, .., last] = &*all else { panic!("{all:?}") };
    for disk in [first, last] {
        let text = demo.ask(&["disk", "label", disk, "ssd"]);
        assert!(text.contains("labels: (none) → ssd   effective now"), "{text}");
    }
    demo.ask(&["server", "label", "cs1", "site=home"]);
    demo.ask(&["disk", "label", second, "usb"]);
    let changed = json(&demo, &["disk", "label", second, "--remove", "usb"]);
    assert_eq!((&changed["before"][0], &changed["after"]), (&"usb".into(), &Value::Array(Vec::new())));
    assert!(demo.ask(&["server", "ls"]).contains("site=home"));
    let (code, says) = refused(&demo, &["disk", "label", "cs1:/nowhere", "ssd"]);
    assert_eq!((code, says.starts_with("E0208")), (5, true), "{says}");

    // Classes: a typo, what no disk can hold, creation, edits.
    let create = ["class", "create", "photos", "--keep", "2*sdd"];
    let (code, says) = refused(&demo, &create);
    assert_eq!(code, 6);
    assert!(says.contains("character 3") && says.contains("did you mean ssd?"), "{says}");
    let (code, says) = refused(&demo, &["class", "create", "photos", "--keep", "2*(ssd"]);
    assert_eq!((code, says.starts_with("E0205")), (2, true), "{says}");
    let (code, says) = refused(&demo, &["class", "create", "photos", "--keep", "3*ssd"]);
    assert_eq!((code, says.starts_with("E0212")), (6, true), "{says}");
    let text = demo.ask(&[
        "class",
        "create",
        "photos",
        "--keep",
        " 2 * ssd ",
        "--trash",
        "any",
        "--trash-keep",
        "14d",
    ]);
    assert!(
        text.contains("keep          2*ssd   ok") && text.contains("trash         any for 14d"),
        "{text}"
    );
    demo.ask(&["class", "create", "far", "--keep", "2*tape", "--allow-unsatisfiable"]);
    let (code, says) = refused(&demo, &["class", "create", "photos", "--keep", "any"]);
    assert_eq!((code, says.starts_with("E0202")), (1, true), "{says}");
    demo.ask(&["class", "edit", "photos", "--create", "ssd", "--min-write", "1"]);
    demo.ask(&["class", "clone", "photos", "pictures"]);
    demo.ask(&["class", "rename", "pictures", "paintings"]);
    demo.ask(&["class", "delete", "paintings"]);
    let (code, _) = refused(&demo, &["class", "delete", "default"]);
    assert_eq!(code, 6);
    let (code, says) = refused(&demo, &["class", "show", "photo"]);
    assert_eq!((code, says.contains("did you mean photos?")), (5, true), "{says}");
    assert!(demo.ask(&["class", "ls"]).contains("lacks 2 replicas on tape"));

    // A path's class, inheritance, a tree.
    let tree = demo.path("tree");
    for directory in ["a/b", "c"] {
        fs::create_dir_all(tree.join(directory)).unwrap();
    }
    for number in 0..400 {
        fs::write(tree.join(format!("a/b/f{number}")), b"x").unwrap();
    }
    fs::write(tree.join("c/kept"), b"y").unwrap();
    let kept = tree.join("c/kept");
    demo.ask(&["class", "set", "single", kept.to_str().unwrap()]);
    assert_eq!((class_of(&demo, &kept), class_of(&demo, &tree)), ("single".into(), "default".into()));
    let path = tree.to_str().unwrap();
    demo.ask(&["class", "xchg", "default", "photos", path, "-r"]);
    assert_eq!(class_of(&demo, &kept), "single", "another class is left alone");
    assert_eq!(class_of(&demo, &tree.join("a/b/f399")), "photos");
    fs::write(tree.join("a/new"), b"z").unwrap();
    assert_eq!(class_of(&demo, &tree.join("a/new")), "photos", "it is inherited");
    fs::rename(tree.join("a/new"), demo.path("moved")).unwrap();
    assert_eq!(class_of(&demo, &demo.path("moved")), "photos", "a file keeps its class when it moves");
    demo.ask(&["class", "set", "photos", path, "-r"]);
    let inodes = |demo: &Demo| class(&json(demo, &["class", "ls"]), "photos")["inodes"].as_u64().unwrap();
    // The tree, a, b, c, 400 files, the one that moved and the one that had another class.
    assert_eq!(inodes(&demo), 406);
    let (code, says) = refused(&demo, &["class", "delete", "photos"]);
    assert!(code == 6 && says.contains("406 files and directories have it"), "{says}");
    assert_eq!(json(&demo, &["task", "ls"])["tasks"], Value::Array(Vec::new()));
    assert_eq!(refused(&demo, &["task", "cancel", "7"]).0, 5);

    // Chunks follow the class.
    let on_ssd = |demo: &Demo, path: &std::path::Path| {
        let info = json(demo, &["file", "info", path.to_str().unwrap()]);
        let replicas = info["chunks"][0]["replicas"].as_array().unwrap().clone();
        let ssd = |replica: &&Value| replica["labels"].as_array().unwrap().contains(&"ssd".into());
        (replicas.iter().filter(ssd).count(), replicas.len(), info["goal"].as_u64().unwrap())
    };
    fs::write(tree.join("a/made"), b"made").unwrap();
    let (first, replicas, goal) = on_ssd(&demo, &tree.join("a/made"));
    assert_eq!((first, goal), (replicas, 2), "it is written where the class says");
    for file in [&tree.join("a/made"), &kept] {
        // What it was given before is held for a while.
        wait_within(Duration::from_secs(90), "it is where the class says", || {
            let (first, _, goal) = on_ssd(&demo, file);
            (first, goal) == (2, 2)
        });
    }

    // A label that goes: nothing is dropped, and everybody says so.
    let text = demo.ask(&["disk", "label", last, "--replace"]);
    assert!(text.contains("class photos cannot be met now: nothing of it goes"), "{text}");
    let warned = |demo: &Demo| demo.status()["warnings"].to_string().contains("CLASS_UNSATISFIABLE photos");
    assert!(warned(&demo));

    // Out, in, and through a restart of the master.
    let file = demo.data.join("classes.toml");
    fs::write(&file, demo.ask(&["class", "export"])).unwrap();
    let file = file.to_str().unwrap();
    let before = json(&demo, &["class", "ls"]);
    demo.ask(&["demo", "kill", "master", "--data", data]);
    demo.ask(&["demo", "start", "master", "--data", data]);
    wait_until("the master is back with all disks", || {
        let output = run(&demo, &["status", "--json"]);
        let status: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        let in_service =
            status["disks"].as_array().map(|disks| disks.iter().filter(|disk| disk["state"] == "ok").count());
        in_service == Some(all.len())
    });
    assert_eq!(json(&demo, &["class", "ls"]), before);
    assert_eq!(class_of(&demo, &tree.join("a/b/f399")), "photos");
    assert!(demo.ask(&["disk", "ls"]).contains("ssd"));
    let text = demo.ask(&["class", "import", file]);
    assert!(text.contains("class photos   unchanged") && !text.contains("created"), "{text}");
    demo.ask(&["class", "delete", "far"]);
    demo.ask(&["class", "edit", "photos", "--keep", "any"]);
    assert!(!warned(&demo), "it can be met again");
    let (code, _) = refused(&demo, &["class", "import", file]);
    assert_eq!(code, 6, "the label is gone");
    demo.ask(&["disk", "label", last, "ssd"]);
    let text = demo.ask(&["class", "import", file, "--allow-unsatisfiable"]);
    assert!(text.contains("class far   created") && text.contains("class photos   changed"), "{text}");
    assert_eq!(demo.ask(&["class", "export"]), fs::read_to_string(file).unwrap());
}
