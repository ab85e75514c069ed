//! What `file info` prints for files of each kind.

use super::*;
use types::{
    Attributes, ChunkId, ChunkIndex, Generation, InodeId, InodeRef, Owner, Term, Timestamp,
    TruncateGeneration, Version,
};

fn movie(chunks: u32, replicas: usize) -> FileInfoReply {
    let replica = |n: usize| FileReplica {
        server_name: format!("cs{n}"),
        disk_path: "/d1".into(),
        labels: vec!["ssd".into()],
        ..Default::default()
    };
    let chunk = |n: u32| FileChunk {
        index: ChunkIndex(n),
        chunk: ChunkId(0xa91f + u64::from(n)),
        version: Version { term: Term(1), counter: 1 },
        replicas: (1..=replicas).map(replica).collect(),
    };
    FileInfoReply {
        path: b"/movie.mkv".to_vec(),
        attributes: Attributes {
            inode: InodeRef { id: InodeId(5), generation: Generation(1) },
            kind: FileKind::File,
            mode: 0o644,
            links: 1,
            owner: Owner::default(),
            device: 0,
            length: u64::from(chunks) << 26,
            chunks,
            accessed: Timestamp::new(0, 0),
            modified: Timestamp::new(0, 0),
            changed: Timestamp::new(0, 0),
            created: Timestamp::new(0, 0),
            change_counter: 1,
            truncate_generation: TruncateGeneration(0),
        },
        stage: types::Stage::default(),
        class: "default".into(),
        goal: 2,
        chunks: (0..chunks).map(chunk).collect(),
    }
}

#[test]
fn a_healthy_file_reads_like_this() {
    assert_eq!(
        render(&movie(2, 2), false),
        "\
/movie.mkv   128 MiB   2 chunks   class default   healthy
INDEX  CHUNK             VERSION  REPLICAS  WHERE
0      000000000000a91f  1.1      2/2       cs1:/d1 ssd · cs2:/d1 ssd
1      000000000000a920  1.1      2/2       cs1:/d1 ssd · cs2:/d1 ssd
next  muskox status
"
    );
}

#[test]
fn a_long_file_is_cut_unless_all_is_wanted() {
    assert_eq!(render(&movie(67, 2), false).lines().count(), 1 + 1 + 16 + 1 + 1);
    assert!(render(&movie(67, 2), false).contains("…  51 more   (--all)"));
    assert_eq!(render(&movie(67, 2), true).lines().count(), 1 + 1 + 67 + 1);
}

#[test]
fn a_file_is_as_well_as_its_worst_chunk() {
    assert_eq!(health(&movie(3, 2)), Health::Healthy);
    assert_eq!(health(&movie(3, 3)), Health::Healthy);
    assert_eq!(health(&movie(3, 1)), Health::Endangered);
    assert_eq!(health(&movie(0, 0)), Health::Healthy);
    let mut movie = movie(3, 2);
    movie.chunks[2].replicas.clear();
    assert_eq!(health(&movie), Health::Missing);
    assert!(render(&movie, false).contains("nowhere"));
    movie.goal = 3;
    movie.chunks.truncate(2);
    assert_eq!(health(&movie), Health::Undergoal);
}

#[test]
fn a_damaged_replica_is_shown_and_does_not_count() {
    let mut movie = movie(1, 2);
    movie.chunks[0].replicas[1].damaged = true;
    let text = render(&movie, false);
    assert!(
        text.contains("damaged") && text.contains("1/2") && text.contains("cs2:/d1 ssd (damaged)"),
        "{text}"
    );
    let json: serde_json::Value = serde_json::from_str(&json(&movie)).unwrap();
    assert_eq!(json["health"], "damaged");
    assert_eq!(json["chunks"][0]["replicas"][1]["damaged"], true);
}

#[test]
fn json_names_chunk_version_and_replicas() {
    let json: serde_json::Value = serde_json::from_str(&json(&movie(1, 2))).expect("json");
    assert_eq!(json["apiVersion"], "muskox/v1");
    assert_eq!(json["chunks"][0]["chunk"], "000000000000a91f");
    assert_eq!(json["chunks"][0]["version"], "1.1");
    assert_eq!(json["chunks"][0]["replicas"][1]["serverName"], "cs2");
    assert_eq!(json["health"], "healthy");
}

#[test]
fn a_file_that_is_archived_says_so() {
    let mut info = movie(1, 2);
    assert!(!render(&info, false).contains("archived"));
    info.stage.archived = true;
    assert!(render(&info, false).contains("class default, archived   healthy"));
    let json: serde_json::Value = serde_json::from_str(&json(&info)).expect("JSON");
    assert_eq!(json["archived"], true);
}
