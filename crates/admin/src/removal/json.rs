//! The same for programs.

use super::{copies, progress};
use crate::API_VERSION;
use crate::edit_plan::estimate;
use rpc::admin::{Removal, RemovalDisk, RemovalObstacle};
use serde::Serialize;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a> {
    api_version: &'static str,
    kind: &'static str,
    holder: &'a str,
    marked: bool,
    safe: bool,
    progress: Option<String>,
    chunks: u64,
    copies: u64,
    estimate_ms: u64,
    estimate_from: &'static str,
    bytes: u64,
    room_bytes: u64,
    disks: Vec<Disk<'a>>,
    obstacles_total: u64,
    obstacles: Vec<Obstacle<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Disk<'a> {
    name: &'a str,
    chunks: u64,
    removal: Option<State>,
}

/// How far it is with a disk that is to go.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct State {
    drain_only: bool,
    since_ms_ago: u64,
    most: u64,
    needed: u64,
    safe: bool,
    left_ms: Option<u64>,
}

#[derive(Serialize)]
struct Obstacle<'a> {
    chunk: String,
    inode: Option<u64>,
    index: u32,
    reason: &'static str,
    wants: &'a str,
}

/// How far it is with a disk that holds so many chunks.
pub(crate) fn state(removal: &rpc::admin::DiskRemoval, chunks: u64) -> State {
    State {
        drain_only: removal.drain_only,
        since_ms_ago: removal.since_ms_ago,
        most: removal.most,
        needed: removal.needed,
        safe: removal.safe,
        left_ms: super::left_ms(removal, chunks),
    }
}

/// The whole document, ending in a newline.
pub fn json(removal: &Removal) -> String {
    let disk = |disk: &'_ RemovalDisk| disk.removal.as_ref().map(|one| state(one, disk.chunks));
    let obstacle = |one: &RemovalObstacle| one.inode.map(|inode| inode.0);
    let (estimate_ms, measured) = estimate(&copies(removal));
    crate::json_text(&Document {
        api_version: API_VERSION,
        kind: "Removal",
        holder: &removal.holder,
        marked: removal.marked,
        safe: removal.safe,
        progress: removal.marked.then(|| progress(removal)),
        chunks: removal.chunks,
        copies: removal.copies,
        estimate_ms,
        estimate_from: if measured { "measured" } else { "assumed" },
        bytes: removal.bytes,
        room_bytes: removal.room_bytes,
        disks: removal
            .disks
            .iter()
            .map(|one| Disk { name: &one.name, chunks: one.chunks, removal: disk(one) })
            .collect(),
        obstacles_total: removal.obstacles_total,
        obstacles: removal
            .obstacles
            .iter()
            .map(|one| Obstacle {
                chunk: one.chunk.to_string(),
                inode: obstacle(one),
                index: one.index.0,
                reason: one.kind.word(),
                wants: &one.wants,
            })
            .collect(),
    })
}
