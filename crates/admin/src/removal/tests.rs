//! Plans and states of removals as operators see them.

use super::*;
use crate::API_VERSION;
use rpc::admin::ObstacleKind;
use types::{ChunkId, ChunkIndex, InodeId};

fn marked(chunks: u64, safe: bool) -> Removal {
    let removal = DiskRemoval { drain_only: false, since_ms_ago: 60_000, most: 120, needed: chunks, safe };
    Removal {
        holder: "falcon:/mnt/hdd1".into(),
        marked: true,
        disks: vec![RemovalDisk { name: "falcon:/mnt/hdd1".into(), chunks, removal: Some(removal) }],
        chunks,
        safe,
        ..Removal::default()
    }
}

fn no_disk(number: u64) -> RemovalObstacle {
    RemovalObstacle {
        chunk: ChunkId(number),
        inode: Some(InodeId(57)),
        index: ChunkIndex(3),
        kind: ObstacleKind::NoDisk,
        wants: "class photos: 2*ssd".into(),
    }
}

#[test]
fn a_removal_says_how_far_it_is_and_what_is_in_the_way() {
    let text = render("disk", &marked(30, false));
    assert!(text.starts_with("falcon:/mnt/hdd1   safe: no\n"), "{text}");
    assert!(text.contains("75 %, 30 of 120 chunks left, about 20 s left; 30 chunks needed yet"), "{text}");
    assert!(text.ends_with("(undo: muskox disk keep falcon:/mnt/hdd1)\n"), "{text}");
    let stuck = Removal { obstacles: vec![no_disk(1)], obstacles_total: 9, ..marked(30, false) };
    let text = render("disk", &stuck);
    assert!(text.contains("part 3 of inode 57   no disk that stays has its labels"), "{text}");
    assert!(text.contains("(class photos: 2*ssd)") && text.contains("… 8 more"), "{text}");
    assert!(is_stuck(&stuck) && !is_stuck(&marked(30, false)));
    assert!(render("disk", &marked(0, true)).starts_with("falcon:/mnt/hdd1   safe: yes\n  100 %"));
}

#[test]
fn something_that_goes_on_by_itself_is_not_stuck() {
    let copying = RemovalObstacle { kind: ObstacleKind::Copying, ..no_disk(2) };
    let both = Removal { obstacles: vec![no_disk(1), copying], obstacles_total: 2, ..marked(30, false) };
    assert!(!is_stuck(&both));
}

#[test]
fn a_plan_says_what_it_takes() {
    let plan = Removal {
        holder: "vps1".into(),
        disks: vec![RemovalDisk { name: "vps1:/srv".into(), chunks: 12, removal: None }],
        chunks: 12,
        copies: 11,
        bytes: 6 << 30,
        room_bytes: 1 << 40,
        timed: 9,
        copy_ms: 2_000,
        at_once: 2,
        obstacles: vec![no_disk(1)],
        obstacles_total: 1,
        ..Removal::default()
    };
    let text = render("server", &plan);
    assert!(
        text.starts_with("vps1   plan: 12 chunks on 1 disk, 6.0 GiB in use; 11 replicas to be made"),
        "{text}"
    );
    assert!(
        text.contains(
            "  takes about 11 s (measured: 9 copies of late took 2,000 ms each, up to 2 at once)\n"
        ),
        "{text}"
    );
    assert!(text.contains("in the way: 1 chunk\n"), "{text}");
    let free = Removal { obstacles: Vec::new(), obstacles_total: 0, ..plan.clone() };
    assert!(render("server", &free).ends_with("next  muskox server remove vps1 --wait\n"));
    let value: serde_json::Value = serde_json::from_str(&json(&plan)).expect("it is JSON");
    assert_eq!((&value["apiVersion"], &value["marked"]), (&API_VERSION.into(), &false.into()));
    assert_eq!((&value["estimateMs"], &value["estimateFrom"]), (&11_000.into(), &"measured".into()));
    assert_eq!(value["obstacles"][0]["reason"], "no-disk");
}

#[test]
fn a_table_shows_the_time_left_and_what_is_safe() {
    let removal =
        |safe, drain_only| DiskRemoval { safe, drain_only, since_ms_ago: 60_000, most: 120, needed: 1 };
    assert_eq!(in_table(&removal(false, false), 60), "leaving 50 %, 60 s left");
    assert_eq!(in_table(&removal(true, false), 3), "leaving, safe");
    assert_eq!(in_table(&removal(true, true), 0), "drained, safe");
    assert_eq!(in_table(&removal(false, false), 120), "leaving 0 %");
}

#[test]
fn every_reason_has_a_sentence() {
    for kind in ObstacleKind::ALL {
        assert!(why(*kind).len() > 10 && !kind.word().is_empty());
    }
}
