//! What is told of servers, disks and chunks, and what to do about it.

use super::*;

fn up() -> ServerStatus {
    ServerStatus { name: "cs1".into(), state: ServerState::Up, ..ServerStatus::default() }
}

fn down(name: &str) -> ServerStatus {
    ServerStatus { name: name.into(), state: ServerState::Down, ..up() }
}

fn disk(state: DiskState, errors: u64) -> DiskStatus {
    DiskStatus { path: "/mnt/d1".into(), state: Some(state), errors, ..DiskStatus::default() }
}

/// Codes with their severities and amounts.
fn codes(
    servers: &[ServerStatus],
    disks: &[DiskStatus],
    chunks: ChunkCounts,
) -> Vec<(String, Severity, u64)> {
    let mut all = Vec::new();
    health(&Judged { servers, disks, refused: &[], chunks, limits: &[], free_bytes: 0 }, &mut all);
    for one in &all {
        assert!(HealthCode::find(&one.code).is_some() && !one.next.is_empty(), "{one:?}");
    }
    all.into_iter().map(|one| (one.code, one.severity, one.amount)).collect()
}

fn one(code: &str, severity: Severity, amount: u64) -> Vec<(String, Severity, u64)> {
    vec![(code.to_owned(), severity, amount)]
}

#[test]
fn what_is_well_has_no_code() {
    let chunks = ChunkCounts { ok: 7, overgoal: 4, ..Default::default() };
    assert_eq!(codes(&[up()], &[disk(DiskState::Good, 0)], chunks), []);
}

#[test]
fn each_trouble_has_its_code_and_says_how_many_things_it_concerns() {
    let of = |chunks| codes(&[up()], &[], chunks);
    assert_eq!(
        of(ChunkCounts { missing: 2, ..Default::default() }),
        one("CHUNK_MISSING", Severity::Critical, 2)
    );
    assert_eq!(
        of(ChunkCounts { damaged: 3, ..Default::default() }),
        one("CHUNK_DAMAGED", Severity::Warning, 3)
    );
    assert_eq!(
        of(ChunkCounts { undergoal: 4, ..Default::default() }),
        one("CHUNK_UNDERGOAL", Severity::Warning, 4)
    );
    let of = |disk| codes(&[up()], &[disk], ChunkCounts::default());
    assert_eq!(of(disk(DiskState::Failed, 9)), one("DISK_DAMAGED", Severity::Warning, 1));
    assert_eq!(of(disk(DiskState::Good, 9)), one("DISK_ERRORS", Severity::Warning, 1));
}

#[test]
fn a_server_that_is_away_is_a_warning_and_all_of_them_are_critical() {
    let of = |servers: &[ServerStatus]| codes(servers, &[], ChunkCounts::default());
    assert_eq!(of(&[up(), down("cs2")]), one("SERVER_DOWN", Severity::Warning, 1));
    assert_eq!(
        of(&[down("cs1"), down("cs2")]),
        [one("SERVER_DOWN", Severity::Critical, 1), one("SERVER_DOWN", Severity::Critical, 1)].concat()
    );
    assert_eq!(of(&[]), one("SERVER_DOWN", Severity::Critical, 1));
    let planned = || ServerStatus { maintenance: Some(Default::default()), ..down("cs2") };
    assert_eq!(of(&[up(), planned()]), []);
    assert_eq!(of(&[planned()]), one("SERVER_DOWN", Severity::Critical, 1));
}

#[test]
fn of_a_chunk_that_is_damaged_everywhere_nobody_is_told_that_it_has_a_replica_and_is_copied() {
    let endangered = |chunks| {
        let mut all = Vec::new();
        health(
            &Judged { servers: &[up()], disks: &[], refused: &[], chunks, limits: &[], free_bytes: 0 },
            &mut all,
        );
        all.pop().expect("there is something to warn of")
    };
    let whole = endangered(ChunkCounts { endangered: 1, ..Default::default() });
    assert!(whole.message.contains("one replica left") && whole.next.contains("are copied"), "{whole:?}");
    let damaged = endangered(ChunkCounts { endangered: 1, damaged: 1, ..Default::default() });
    assert!(damaged.message.contains("at most one sound replica"), "{damaged:?}");
    assert!(!damaged.next.contains("are copied") && damaged.next.contains("written again"), "{damaged:?}");
}
