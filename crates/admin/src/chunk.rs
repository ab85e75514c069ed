//! `muskox chunk ls`: chunks that are not as they should be, or all of them.

use crate::explain::json::{Group, group};
use crate::removal::why;
use crate::units::{count, counted, printable};
use crate::{API_VERSION, table};
use rpc::admin::{ChunkEntry, ChunkState, ExplainedReplica, Worth};
use serde::Serialize;
use std::collections::BTreeMap;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a> {
    api_version: &'static str,
    kind: &'static str,
    chunks: Vec<Chunk<'a>>,
    /// There are more that were asked for.
    more: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Chunk<'a> {
    chunk: String,
    version: String,
    state: &'static str,
    class: &'a str,
    inode: Option<u64>,
    #[serde(flatten)]
    told: Group<'a>,
}

/// Chunks as a table. `more`: not all that were asked for are among them.
pub fn list(chunks: &[ChunkEntry], more: bool) -> String {
    if chunks.is_empty() {
        return "no chunk is in such a state\nnext  muskox chunk ls --all   (those that are as they should be, too)\n"
            .into();
    }
    let rows: Vec<Vec<String>> = chunks.iter().map(row).collect();
    let head = ["CHUNK", "VERSION", "STATE", "REPLICAS", "CLASS", "FILE", "WHERE", "IN THE WAY"];
    let mut lines = table::lines(&head, &rows);
    let mut states: BTreeMap<ChunkState, u64> = BTreeMap::new();
    for chunk in chunks {
        *states.entry(chunk.state).or_default() += 1;
    }
    let told = states.iter().rev().map(|(state, number)| format!("{} {}", count(*number), state.word()));
    let told = told.collect::<Vec<_>>().join(" · ");
    let end = if more { ", and there are more   (--limit COUNT)" } else { "" };
    lines.push(format!("{}: {told}{end}", counted(chunks.len() as u64, "chunk")));
    lines.push(match chunks.iter().find_map(|one| one.inode) {
        Some(inode) => {
            format!("next  find MOUNT -inum {inode}   (the paths of such a file), then muskox explain PATH\n")
        }
        None => "next  muskox status\n".into(),
    });
    lines.join("\n")
}

fn row(chunk: &ChunkEntry) -> Vec<String> {
    let good = chunk.told.replicas.iter().filter(|one| one.worth == Worth::Good).count();
    let wanted = chunk.told.places.iter().filter(|one| !one.lagging).count();
    let places: Vec<String> = chunk.told.replicas.iter().map(place).collect();
    let index = chunk.told.ranges.first().map_or(0, |range| range.0.0);
    vec![
        format!("{:016x}", chunk.chunk.0),
        chunk.version.to_string(),
        chunk.state.word().into(),
        format!("{good}/{wanted}"),
        printable(chunk.class.as_bytes()),
        chunk.inode.map_or_else(|| "-".into(), |inode| format!("inode {inode} part {index}")),
        if places.is_empty() { "nowhere that is known".into() } else { places.join(" · ") },
        chunk.told.hindrance.map_or_else(|| "-".into(), |one| why(one.kind).into()),
    ]
}

fn place(replica: &ExplainedReplica) -> String {
    let worth =
        if replica.worth == Worth::Good { String::new() } else { format!(" ({})", replica.worth.word()) };
    printable(format!("{}{worth}", replica.disk).as_bytes())
}

fn shown(one: &ChunkEntry) -> Chunk<'_> {
    Chunk {
        chunk: format!("{:016x}", one.chunk.0),
        version: one.version.to_string(),
        state: one.state.word(),
        class: &one.class,
        inode: one.inode.map(|inode| inode.0),
        told: group(&one.told),
    }
}

/// The same for programs.
pub fn json(chunks: &[ChunkEntry], more: bool) -> String {
    let chunks = chunks.iter().map(shown).collect();
    crate::json_text(&Document { api_version: API_VERSION, kind: "Chunks", chunks, more })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rpc::admin::{ChunkGroup, ExplainedPlace, Hindrance, ObstacleKind};
    use types::{ChunkId, ChunkIndex, InodeId, Term, Version};

    fn chunk(number: u64, state: ChunkState) -> ChunkEntry {
        let replica = |disk: &str, worth| ExplainedReplica { disk: disk.into(), worth, ..Default::default() };
        ChunkEntry {
            chunk: ChunkId(number),
            version: Version { term: Term(3), counter: 2 },
            state,
            class: "photos".into(),
            inode: Some(InodeId(1_732)),
            told: ChunkGroup {
                ranges: vec![(ChunkIndex(4), ChunkIndex(4))],
                chunks: 1,
                part: "keep".into(),
                replicas: vec![replica("cs1:/d1", Worth::Good), replica("cs2:/d1", Worth::Stale)],
                places: vec![ExplainedPlace::default(), ExplainedPlace::default()],
                hindrance: Some(Hindrance { kind: ObstacleKind::Copying, wait_ms: None }),
                copy: None,
            },
        }
    }

    #[test]
    fn each_chunk_says_how_it_stands_and_why() {
        let chunks = [
            chunk(1, ChunkState::Undergoal),
            chunk(2, ChunkState::Endangered),
            chunk(3, ChunkState::Undergoal),
        ];
        let text = list(&chunks, true);
        let row = "0000000000000001  3.2      undergoal   1/2       photos  inode 1732 part 4  cs1:/d1 · cs2:/d1 (stale)  it is being copied";
        assert!(text.contains(row), "{text}");
        assert!(
            text.contains("\n3 chunks: 1 endangered · 2 undergoal, and there are more   (--limit COUNT)\n"),
            "{text}"
        );
        assert!(
            text.ends_with(
                "next  find MOUNT -inum 1732   (the paths of such a file), then muskox explain PATH\n"
            ),
            "{text}"
        );
        assert!(list(&[], false).starts_with("no chunk is in such a state\nnext  "));
        let value: serde_json::Value = serde_json::from_str(&json(&chunks, false)).expect("it is JSON");
        assert_eq!((&value["kind"], &value["more"]), (&"Chunks".into(), &false.into()));
        let first = &value["chunks"][0];
        assert_eq!((&first["state"], &first["inTheWay"]), (&"undergoal".into(), &"being-copied".into()));
        assert_eq!((&first["ranges"][0][0], &first["replicas"][1]["state"]), (&4.into(), &"stale".into()));
    }
}
