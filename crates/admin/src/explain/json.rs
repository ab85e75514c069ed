//! `muskox explain --json`.

use crate::API_VERSION;
use crate::file_info::kind_word;
use rpc::admin::{ChunkGroup, ExplainedCopy, ExplainedPart, ExplainedPlace, ExplainedReplica, Explanation};
use serde::Serialize;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a> {
    api_version: &'static str,
    kind: &'static str,
    path: String,
    inode: u64,
    file_kind: &'static str,
    length_bytes: u64,
    class: &'a str,
    /// Directories up that have the same class in a row.
    inherited_levels: u32,
    class_above: Option<&'a str>,
    spread: &'a str,
    parts: Vec<Part<'a>>,
    chunks: u64,
    groups: Vec<Group<'a>>,
    chunks_left_out: u64,
}

#[derive(Serialize)]
struct Part<'a> {
    name: &'a str,
    wants: &'a str,
    unmet: Vec<String>,
}

/// Chunks of which the same is said.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Group<'a> {
    ranges: Vec<[u32; 2]>,
    chunks: u64,
    part: &'a str,
    replicas: Vec<Replica<'a>>,
    places: Vec<Place<'a>>,
    in_the_way: Option<&'static str>,
    wait_ms: Option<u64>,
    copy: Option<Copy<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Replica<'a> {
    disk: &'a str,
    labels: &'a [String],
    state: &'static str,
    role: &'static str,
    held_ms: Option<u64>,
    read_last: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Place<'a> {
    condition: &'a str,
    lagging: bool,
    disk: Option<&'a str>,
    held: bool,
    off_label: bool,
    off_spread: bool,
    disks_away: u32,
    disks_leaving: u32,
    disks_full: u32,
    disks_near: u32,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Copy<'a> {
    from: &'a str,
    to: &'a str,
    stage: &'static str,
    since_ms_ago: Option<u64>,
}

fn part(part: &ExplainedPart) -> Part<'_> {
    let unmet = part.unmet.iter().map(ToString::to_string).collect();
    Part { name: &part.name, wants: &part.wants, unmet }
}

fn replica(replica: &ExplainedReplica) -> Replica<'_> {
    let (state, role) = (replica.worth.word(), replica.role.word());
    let ExplainedReplica { disk, labels, held_ms, read_last, .. } = replica;
    Replica { disk, labels, state, role, held_ms: *held_ms, read_last: *read_last }
}

fn place(place: &ExplainedPlace) -> Place<'_> {
    Place {
        condition: &place.condition,
        lagging: place.lagging,
        disk: Some(place.disk.as_str()).filter(|disk| !disk.is_empty()),
        held: place.held,
        off_label: place.off_label,
        off_spread: place.off_spread,
        disks_away: place.lack_away,
        disks_leaving: place.lack_leaving,
        disks_full: place.lack_full,
        disks_near: place.lack_near,
    }
}

fn copy(copy: &ExplainedCopy) -> Copy<'_> {
    Copy { from: &copy.from, to: &copy.to, stage: copy.stage.word(), since_ms_ago: copy.since_ms_ago }
}

/// Chunks of which the same is said, for programs.
pub(crate) fn group(group: &ChunkGroup) -> Group<'_> {
    Group {
        ranges: group.ranges.iter().map(|(first, last)| [first.0, last.0]).collect(),
        chunks: group.chunks,
        part: &group.part,
        replicas: group.replicas.iter().map(replica).collect(),
        places: group.places.iter().map(place).collect(),
        in_the_way: group.hindrance.map(|one| one.kind.word()),
        wait_ms: group.hindrance.and_then(|one| one.wait_ms),
        copy: group.copy.as_ref().map(copy),
    }
}

/// The whole document, ending in a newline. Ranges are first and last.
pub fn json(told: &Explanation) -> String {
    crate::json_text(&Document {
        api_version: API_VERSION,
        kind: "Explanation",
        path: String::from_utf8_lossy(&told.path).into_owned(),
        inode: told.attributes.inode.id.0,
        file_kind: kind_word(told.attributes.kind),
        length_bytes: told.attributes.length,
        class: &told.class,
        inherited_levels: told.levels,
        class_above: Some(told.above.as_str()).filter(|above| !above.is_empty()),
        spread: &told.spread,
        parts: told.parts.iter().map(part).collect(),
        chunks: told.chunks,
        groups: told.groups.iter().map(group).collect(),
        chunks_left_out: told.left_out,
    })
}
