//! Verdicts, tables and JSON of `status` for clusters in good and bad health.

use super::*;
use rpc::admin::{ChunkCounts, ClientStatus, HopCounts, ServerStatus, WorkStatus};
use types::{ClusterId, DiskId, LogIndex, LogPosition, ServerId, SessionId, Term};

fn home() -> ClusterStatus {
    let server = |n: u8| ServerStatus {
        server: ServerId([n; 16]),
        name: format!("cs{n}"),
        address: format!("127.0.0.1:{}", 9430 + u16::from(n)),
        state: ServerState::Up,
        version: "0.1.0".into(),
        ..Default::default()
    };
    let disk = |n: u8, server: u8| DiskStatus {
        disk: DiskId([n; 16]),
        server: ServerId([server; 16]),
        path: format!("/mnt/d{n}"),
        labels: vec!["ssd".into()],
        state: Some(DiskState::Good),
        total_bytes: 1 << 40,
        free_bytes: 3 << 38,
        chunks: 137,
        errors: 0,
        pulled_bytes: 0,
        reported: true,
        removal: None,
    };
    ClusterStatus {
        cluster: ClusterId([9; 16]),
        name: "home".into(),
        version: "0.1.0".into(),
        term: Term(3),
        uptime_ms: 41_000,
        master_name: "tiger".into(),
        master_address: "127.0.0.1:9421".into(),
        position: LogPosition { applied: LogIndex(184_220), stable: LogIndex(184_218) },
        files: 412,
        directories: 58,
        mapped_chunks: 412,
        checkpoint_age_ms: Some(38_000),
        servers: vec![server(1), server(2), server(3)],
        disks: (1..=6).map(|n| disk(n, n.div_ceil(2))).collect(),
        chunks: ChunkCounts { ok: 412, ..Default::default() },
        clients: vec![ClientStatus {
            name: "ann".into(),
            session: SessionId(7),
            connected: true,
            ..Default::default()
        }],
        work: Vec::new(),
        insecure: false,
        warnings: Vec::new(),
        usable_total_bytes: 3 << 40,
        usable_free_bytes: 9 << 38,
        goal: 2,
        requests: 0,
        refused_disks: Vec::new(),
        min_write: 1,
        hops: HopCounts { reported: 7, denied: 3, held_back: 2, ..Default::default() },
        trash: rpc::admin::TrashStatus::default(),
        mutes: Vec::new(),
        limits: Vec::new(),
        holds: Vec::new(),
    }
}

#[test]
fn how_much_is_in_the_trash_is_said_if_there_is_anything() {
    let mut status = home();
    assert!(!render(&status).contains("trash"));
    status.trash = rpc::admin::TrashStatus { files: 412, bytes: 3 << 30, next_ms: Some(7_200_000) };
    let text = render(&status);
    assert!(text.contains("trash     412 deleted files, 3.0 GiB   the next one goes in 2 h"), "{text}");
    let json: serde_json::Value = serde_json::from_str(&json(&status)).expect("JSON");
    assert_eq!((&json["trash"]["files"], &json["trash"]["nextMs"]), (&412.into(), &7_200_000.into()));
}

#[test]
fn a_disk_whose_place_is_not_known_is_shown_by_its_id() {
    let mut status = home();
    status.disks[3].state = None;
    status.disks[3].path.clear();
    let text = render(&status);
    let shown = format!("id {}", status.disks[3].disk);
    assert!(text.lines().any(|line| line.contains(&shown) && line.contains("away")), "{text}");
}

#[test]
fn a_disk_that_is_not_served_is_shown_once_with_its_reason_and_the_next_step() {
    let mut status = home();
    // The master knows it from before.
    status.disks[2].state = None;
    let disk = rpc::admin::RefusedDisk {
        path: "/mnt/d3".into(),
        refusal: rpc::admin::DiskRefusal::Absent,
        reason: "/mnt/d3 does not exist".into(),
        next: "mount its device".into(),
        ..Default::default()
    };
    status.refused_disks = vec![RefusedDiskStatus { server: ServerId([2; 16]), disk }];
    let reason = "a disk of cs2 is not served (absent): /mnt/d3 does not exist".into();
    status.warnings = vec![Warning { message: reason, ..warning("DISK_NOT_SERVED", Severity::Warning) }];
    let text = render(&status);
    let lines: Vec<&str> = text.lines().filter(|line| line.contains("/mnt/d3")).collect();
    assert_eq!(lines.len(), 2, "{text}");
    assert!(lines[0].contains("DISK_NOT_SERVED"), "{text}");
    assert!(lines[1].starts_with("cs2") && lines[1].contains("absent"), "{text}");
    assert_eq!(verdict(&status), Verdict::Degraded);
    let json: serde_json::Value = serde_json::from_str(&json(&status)).expect("JSON");
    let refused = &json["refusedDisks"][0];
    assert_eq!((refused["path"].as_str(), refused["state"].as_str()), (Some("/mnt/d3"), Some("absent")));
    assert_eq!(refused["next"], "mount its device");
}

#[test]
fn a_healthy_cluster_reads_like_this() {
    assert_eq!(
        render(&home()),
        "\
cluster home   HEALTHY   version 0.1.0   up 41 s
metadata  master tiger 127.0.0.1:9421   term 3   change 184,220 (stable 184,218)
          412 files, 58 directories   checkpoint 38 s ago
storage   3 of 3 servers, 6 disks   raw used 1.5 TiB of 6.0 TiB   usable free 2.2 TiB of 3.0 TiB (2 replicas)
chunks    412 ok · 0 under · 0 endangered · 0 missing
clients   1 mount
work      idle

SERVER  DISK     LABELS  STATE  USED             CHUNKS  ERRORS
cs1     /mnt/d1  ssd     ok     25 % of 1.0 TiB  137     0
cs1     /mnt/d2  ssd     ok     25 % of 1.0 TiB  137     0
cs2     /mnt/d3  ssd     ok     25 % of 1.0 TiB  137     0
cs2     /mnt/d4  ssd     ok     25 % of 1.0 TiB  137     0
cs3     /mnt/d5  ssd     ok     25 % of 1.0 TiB  137     0
cs3     /mnt/d6  ssd     ok     25 % of 1.0 TiB  137     0
next      muskox file info PATH   (where a file's chunks are)
"
    );
}

fn warning(code: &str, severity: Severity) -> Warning {
    let (message, next) = ("why".into(), "what to do".into());
    Warning { code: code.into(), severity, message, next, amount: 1 }
}

fn mute(code: &str) -> MuteStatus {
    MuteStatus {
        code: types::HealthCode::find(code).expect("a code"),
        since_ms_ago: 0,
        left_ms: Some(1_800_000),
        amount: 1,
        sticky: false,
        reason: String::new(),
        grown_to: None,
    }
}

#[test]
fn the_verdict_is_that_of_the_worst_warning_that_nobody_muted() {
    let verdict_of = |warnings: &[Warning], mutes: &[MuteStatus]| {
        verdict(&ClusterStatus { warnings: warnings.to_vec(), mutes: mutes.to_vec(), ..home() })
    };
    let (note, down) = (warning("TRASH_LARGE", Severity::Note), warning("SERVER_DOWN", Severity::Warning));
    let unmet = warning("CLASS_UNSATISFIABLE photos", Severity::Warning);
    let missing = warning("CHUNK_MISSING", Severity::Critical);
    assert_eq!(verdict_of(&[], &[]), Verdict::Healthy);
    assert_eq!(verdict_of(std::slice::from_ref(&note), &[]), Verdict::Healthy);
    assert_eq!(verdict_of(&[down.clone(), note], &[]), Verdict::Degraded);
    assert_eq!(verdict_of(&[missing.clone(), down.clone()], &[]), Verdict::Critical);
    assert_eq!(verdict_of(&[missing, down.clone()], &[mute("CHUNK_MISSING")]), Verdict::Degraded);
    assert_eq!(verdict_of(&[unmet], &[mute("CLASS_UNSATISFIABLE")]), Verdict::Healthy);
    let ended = MuteStatus { grown_to: Some(2), ..mute("SERVER_DOWN") };
    assert_eq!(verdict_of(&[down], &[ended]), Verdict::Degraded);
    assert_eq!(Verdict::Degraded.exit().code(), 3);
    assert_eq!(Verdict::Critical.exit().code(), 4);
}

#[test]
fn what_is_muted_takes_one_line_in_all() {
    let mut status = home();
    status.warnings = vec![warning("SERVER_DOWN", Severity::Warning), warning("INSECURE", Severity::Note)];
    status.mutes = vec![MuteStatus { left_ms: None, ..mute("INSECURE") }, mute("SERVER_DOWN")];
    let text = render(&status);
    assert!(text.contains("muted     INSECURE, SERVER_DOWN for 30 min more   (muskox health)\n"), "{text}");
    assert!(text.contains("HEALTHY") && !text.contains("WARN") && !text.contains("NOTE"), "{text}");
    let json: serde_json::Value = serde_json::from_str(&json(&status)).expect("json");
    assert_eq!((&json["verdict"], &json["warnings"][0]["muted"]), (&"healthy".into(), &true.into()));
}

#[test]
fn a_large_and_troubled_cluster_fits_a_terminal_and_shows_the_troubled_disk() {
    let mut status = home();
    status.disks =
        (0..500).map(|n| DiskStatus { path: format!("/mnt/d{n:03}"), ..status.disks[0].clone() }).collect();
    status.disks[431].state = Some(DiskState::Failed);
    for n in 0..40 {
        status.warnings.push(Warning { code: format!("CODE_{n}"), next: "x".into(), ..Default::default() });
        status.work.push(WorkStatus { what: format!("copying {n}"), done: 1, total: 4 });
    }
    let text = render(&status);
    assert!(text.lines().count() <= LINES_MAX, "{text}");
    assert!(text.contains("/mnt/d431") && text.contains("more"), "{text}");
    assert!(text.lines().last().is_some_and(|l| l.starts_with("next")));
}

#[test]
fn json_has_a_version_and_the_counts_that_scripts_wait_for() {
    let mut status = home();
    status.chunks.missing = 2;
    status.warnings = vec![warning("CHUNK_MISSING", Severity::Critical)];
    let json: serde_json::Value = serde_json::from_str(&json(&status)).expect("json");
    assert_eq!(json["apiVersion"], "muskox/v1");
    assert_eq!(json["verdict"], "critical");
    for (key, number) in [("ok", 412), ("undergoal", 0), ("endangered", 0), ("missing", 2), ("overgoal", 0)] {
        assert_eq!(json["chunks"][key], number, "{key}");
    }
    assert_eq!(json["disks"][0]["state"], "ok");
    assert_eq!(json["servers"][0]["id"], "01".repeat(16));
    assert_eq!(json["warnings"][0]["code"], "CHUNK_MISSING");
    assert_eq!(json["metadata"]["checkpointAgeMs"], 38_000);
    assert_eq!(json["storage"]["minWrite"], 1);
    for (key, number) in [("reported", 7), ("denied", 3), ("heldBack", 2), ("nearLeftOut", 0)] {
        assert_eq!(json["hops"][key], number, "{key}");
    }
}

#[test]
fn an_empty_cluster_says_how_to_go_on() {
    let mut fresh = home();
    fresh.clients.clear();
    assert!(render(&fresh).contains("next      muskox mount --master 127.0.0.1:9421 /mnt/muskox"));
}
