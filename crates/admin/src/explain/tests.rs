//! What `explain` prints.

use super::*;
use rpc::admin::{ExplainedPart, Hindrance};
use types::{Attributes, Generation, InodeId, InodeRef, Owner, Timestamp, TruncateGeneration};

fn film(groups: Vec<ChunkGroup>) -> Explanation {
    let at = Timestamp::new(0, 0);
    Explanation {
        path: b"/photos/2019/film".to_vec(),
        attributes: Attributes {
            inode: InodeRef { id: InodeId(5), generation: Generation(1) },
            kind: FileKind::File,
            mode: 0o644,
            links: 1,
            owner: Owner::default(),
            device: 0,
            length: 4 << 30,
            chunks: 64,
            accessed: at,
            modified: at,
            changed: at,
            created: at,
            change_counter: 1,
            truncate_generation: TruncateGeneration(0),
        },
        class: "photos".into(),
        levels: 2,
        above: "default".into(),
        parts: vec![ExplainedPart { name: "keep".into(), wants: "ssd,hdd".into(), unmet: Vec::new() }],
        spread: "host".into(),
        chunks: groups.iter().map(|group| group.chunks).sum(),
        groups,
        left_out: 0,
    }
}

fn well(first: u32, last: u32) -> ChunkGroup {
    let replica = |disk: &str, label: &str| ExplainedReplica {
        disk: disk.into(),
        labels: vec![label.into()],
        role: Role::Fits,
        ..ExplainedReplica::default()
    };
    let place = |condition: &str, disk: &str| ExplainedPlace {
        condition: condition.into(),
        disk: disk.into(),
        held: true,
        ..ExplainedPlace::default()
    };
    ChunkGroup {
        ranges: vec![(ChunkIndex(first), ChunkIndex(last))],
        chunks: u64::from(last - first + 1),
        part: "keep".into(),
        replicas: vec![replica("cs1:/d1", "ssd"), replica("cs2:/d2", "hdd")],
        places: vec![place("ssd", "cs1:/d1"), place("hdd", "cs2:/d2")],
        ..ChunkGroup::default()
    }
}

#[test]
fn a_file_that_is_where_it_should_be_reads_like_this() {
    let mut group = well(0, 61);
    group.ranges.push((ChunkIndex(63), ChunkIndex(63)));
    group.chunks += 1;
    assert_eq!(
        render(&film(vec![group]), false),
        "\
/photos/2019/film   4.0 GiB, 63 chunks   class photos, as /photos; above it: default
  keep        ssd,hdd, spread over host
chunk 0-61, 63   63 chunks
  is          cs1:/d1 [ssd]   good, where it should be
              cs2:/d2 [hdd]   good, where it should be
  by keep     ssd: cs1:/d1
              hdd: cs2:/d2
next  muskox class show photos
"
        .replace("4.0 GiB", &size(4 << 30))
    );
}

#[test]
fn what_is_in_the_way_comes_first_with_its_reason_and_how_long() {
    let mut group = well(62, 63);
    group.replicas[1] = ExplainedReplica {
        worth: Worth::Away,
        role: Role::None,
        away: ServerAbsence::Maintenance,
        ..group.replicas[1].clone()
    };
    group.places[1] = ExplainedPlace { condition: "hdd".into(), lack_full: 2, ..ExplainedPlace::default() };
    group.hindrance = Some(Hindrance { kind: ObstacleKind::Awaited, wait_ms: Some(90_000) });
    let text = render(&film(vec![well(0, 61), group]), false);
    let at = |what: &str| text.find(what).unwrap_or_else(|| panic!("{what}: {text}"));
    assert!(at("chunk 62-63") < at("chunk 0-61"));
    at("cs2:/d2 [hdd]   good when last heard of; its server is in maintenance\n");
    at("hdd: no disk: 2 with the labels full\n");
    at(&format!(
        "in the way  a replica that may come back is waited for (heal-after): {} yet\n",
        age(90_000)
    ));
}

#[test]
fn a_replica_that_is_read_last_is_called_so() {
    let mut group = well(0, 1);
    group.replicas[1].read_last = true;
    let told = film(vec![group]);
    assert!(render(&told, false).contains("cs2:/d2 [hdd]   good, where it should be; read last\n"));
    let document = json(&told);
    assert!(
        document.contains("\"readLast\": true") && document.contains("\"readLast\": false"),
        "{document}"
    );
}

#[test]
fn many_places_are_counted_unless_all_are_asked_for() {
    let groups = (0..6).map(|n| {
        let mut group = well(n, n);
        group.replicas[0].disk = format!("cs{n}:/d1");
        group
    });
    let told = film(groups.collect());
    assert!(render(&told, false).contains("\n…  2 chunks more in other places   (--all)\n"));
    assert!(render(&told, true).contains("\nchunk 5   1 chunk\n"));
}

#[test]
fn a_class_of_its_own_and_one_from_above_the_mount_are_said() {
    let mut told = film(Vec::new());
    told.levels = 0;
    assert!(render(&told, false).contains("class photos, its own; its directory has default\n"));
    told.levels = 4;
    assert!(render(&told, false).contains("class photos, as 4 levels above it; above it: default\n"));
    told.levels = 3;
    told.above.clear();
    assert!(render(&told, false).contains("class photos, as /\n"));
}

#[test]
fn programs_get_the_same_with_words_and_numbers() {
    let mut group = well(0, 9);
    group.hindrance = Some(Hindrance { kind: ObstacleKind::Copying, wait_ms: None });
    group.copy = Some(ExplainedCopy {
        from: "cs1:/d1".into(),
        to: "cs3:/d1".into(),
        stage: CopyStage::Copying,
        since_ms_ago: Some(7),
    });
    let document: serde_json::Value = serde_json::from_str(&json(&film(vec![group]))).expect("JSON");
    assert_eq!((&document["apiVersion"], &document["kind"]), (&"muskox/v1".into(), &"Explanation".into()));
    assert_eq!(document["classAbove"], "default");
    let group = &document["groups"][0];
    assert_eq!((&group["ranges"][0][1], &group["inTheWay"]), (&9.into(), &"being-copied".into()));
    assert_eq!((&group["copy"]["stage"], &group["copy"]["sinceMsAgo"]), (&"copying".into(), &7.into()));
    assert_eq!((&group["replicas"][1]["state"], &group["places"][1]["held"]), (&"good".into(), &true.into()));
}
