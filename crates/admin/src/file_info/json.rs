//! `muskox file info --json`.

use super::{Health, health, kind_word};
use crate::API_VERSION;
use rpc::admin::FileInfoReply;
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
    archived: bool,
    goal: u32,
    health: &'static str,
    chunks: Vec<Chunk<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Chunk<'a> {
    index: u32,
    chunk: String,
    version: String,
    health: &'static str,
    replicas: Vec<Replica<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Replica<'a> {
    server: String,
    server_name: &'a str,
    disk: String,
    disk_path: &'a str,
    address: &'a str,
    labels: &'a [String],
    damaged: bool,
}

/// The whole document, ending in a newline. Ids are hexadecimal strings; a version is `term.counter`.
pub fn json(info: &FileInfoReply) -> String {
    let chunks = info.chunks.iter().map(|c| Chunk {
        index: c.index.0,
        chunk: format!("{:016x}", c.chunk.0),
        version: c.version.to_string(),
        health: Health::of_chunk(c, info.goal).word(),
        replicas: c
            .replicas
            .iter()
            .map(|r| Replica {
                server: r.server.to_string(),
                server_name: &r.server_name,
                disk: r.disk.to_string(),
                disk_path: &r.disk_path,
                address: &r.address,
                labels: &r.labels,
                damaged: r.damaged,
            })
            .collect(),
    });
    crate::json_text(&Document {
        api_version: API_VERSION,
        kind: "FileInfo",
        path: String::from_utf8_lossy(&info.path).into_owned(),
        inode: info.attributes.inode.id.0,
        file_kind: kind_word(info.attributes.kind),
        length_bytes: info.attributes.length,
        class: &info.class,
        archived: info.stage.archived,
        goal: info.goal,
        health: health(info).word(),
        chunks: chunks.collect(),
    })
}
