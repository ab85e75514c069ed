//! `muskox health mute` on real processes: what is muted costs no health until it concerns more, also across a restart of the
//! master.

#![allow(clippy::unwrap_used, reason = "a test may stop")]

mod common;
use common::*;
use serde_json::Value;
use std::time::Duration;

/// The exit code of `muskox health`, and its document.
fn health(demo: &Demo) -> (i32, Value) {
    let output = demo.muskox(&["health", "--json"]).output().unwrap();
    (output.status.code().unwrap(), serde_json::from_slice(&output.stdout).unwrap())
}

fn refused(demo: &Demo, arguments: &[&str]) -> (i32, String) {
    let output = demo.muskox(arguments).output().unwrap();
    (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
}

/// Kills or starts a process of the demo.
fn part(demo: &Demo, verb: &str, name: &str) {
    demo.ask(&["demo", verb, name, "--data", demo.data.to_str().unwrap()]);
}

/// Chunkservers that the master misses.
fn missed(document: &Value) -> usize {
    let checks = document["checks"].as_array().unwrap();
    checks.iter().filter(|check| check["code"] == "SERVER_DOWN").count()
}

#[test]
fn a_muted_code_costs_no_health_across_a_restart_until_it_concerns_more() {
    let demo = Demo::start_with(&["--no-mount", "--chunkservers", "3", "--disks", "1"]);
    let (code, says) = refused(&demo, &["health", "mute", "SERVER_DWON"]);
    assert!(code == 5 && says.contains("did you mean SERVER_DOWN?"), "{code} {says}");
    let (code, says) = refused(&demo, &["health", "mute", "SERVER_DOWN"]);
    assert!(code == 6 && says.contains("nothing has the health code SERVER_DOWN"), "{code} {says}");

    part(&demo, "kill", "cs3");
    wait_until("cs3 is missed", || missed(&health(&demo).1) == 1);
    assert_eq!(health(&demo).0, 3);
    let told = demo.ask(&["health", "mute", "SERVER_DOWN", "--for", "30m", "--reason", "new fans"]);
    let wanted =
        "SERVER_DOWN is muted for 30 min more, until it concerns more than 1 or nothing   (new fans)";
    assert!(told.starts_with(wanted), "{told}");
    let (code, document) = health(&demo);
    assert_eq!((code, &document["verdict"]), (0, &"HEALTHY".into()), "{document}");
    assert_eq!(document["checks"][0]["muted"], true, "it is shown still: {document}");
    let status = demo.muskox(&["status"]).output().unwrap();
    let text = String::from_utf8(status.stdout).unwrap();
    assert!(status.status.success() && text.contains("muted     SERVER_DOWN for 30 min more"), "{text}");
    assert!(!text.contains("WARN"), "{text}");

    part(&demo, "kill", "master");
    part(&demo, "start", "master");
    wait_until("the other two are back", || {
        let (_, document) = health(&demo);
        missed(&document) == 1
    });
    let (code, document) = health(&demo);
    assert_eq!((code, &document["mutes"][0]["reason"]), (0, &"new fans".into()), "{document}");

    part(&demo, "kill", "cs2");
    // Until the new master waits for disks no longer, numbers end nothing.
    wait_within(Duration::from_secs(60), "a second server is more than was muted", || health(&demo).0 == 3);
    let ended = health(&demo).1;
    assert_eq!(
        (&ended["mutes"][0]["amount"], &ended["mutes"][0]["grownTo"]),
        (&1.into(), &2.into()),
        "{ended}"
    );
    let text = String::from_utf8(demo.muskox(&["health"]).output().unwrap().stdout).unwrap();
    assert!(
        text.contains("NOTE SERVER_DOWN is muted no longer: it concerned 1 when it was muted, now 2"),
        "{text}"
    );

    // Sticky: whatever comes, until somebody ends it.
    demo.ask(&["health", "mute", "SERVER_DOWN", "--sticky"]);
    assert_eq!(health(&demo).0, 0);
    demo.ask(&["health", "unmute", "SERVER_DOWN"]);
    assert_eq!(health(&demo).0, 3);
}

#[test]
fn a_mute_ends_when_nothing_has_its_code_any_more_and_when_its_time_is_over() {
    let demo = Demo::start_with(&["--no-mount", "--chunkservers", "2", "--disks", "1"]);
    part(&demo, "kill", "cs2");
    wait_until("cs2 is missed", || missed(&health(&demo).1) == 1);
    demo.ask(&["health", "mute", "SERVER_DOWN", "--for", "1s"]);
    wait_until("its time is over", || health(&demo).0 == 3);
    demo.ask(&["health", "mute", "SERVER_DOWN"]);
    assert_eq!(health(&demo).0, 0);
    part(&demo, "start", "cs2");
    wait_until("the mute went with its reason", || {
        let (_, document) = health(&demo);
        missed(&document) == 0 && document["mutes"].as_array().unwrap().is_empty()
    });
}
