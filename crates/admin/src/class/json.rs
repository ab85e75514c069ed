//! `muskox class ls --json` and `muskox class show --json`.

use crate::API_VERSION;
use rpc::admin::{ClassStatus, Unmet};
use serde::Serialize;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a> {
    api_version: &'static str,
    kind: &'static str,
    classes: Vec<Class<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct One<'a> {
    api_version: &'static str,
    kind: &'static str,
    class: Class<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Class<'a> {
    id: u16,
    name: &'a str,
    create: Option<&'a str>,
    keep: &'a str,
    archive: Option<Archive<'a>>,
    trash: Option<&'a str>,
    trash_keep_seconds: u64,
    mode: &'static str,
    spread: String,
    min_write: Option<u8>,
    read_last: Option<&'a str>,
    inodes: u64,
    bytes: u64,
    met: bool,
    unmet: Vec<Lacks<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Archive<'a> {
    to: &'a str,
    after_seconds: u64,
    by: &'static str,
    min_size_bytes: u64,
    reversible: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Lacks<'a> {
    part: &'a str,
    condition: &'a str,
    wanted: u32,
    lacking: u32,
    disks: u32,
    domains: u32,
}

/// All classes, ending in a newline.
pub fn json(classes: &[ClassStatus]) -> String {
    let classes = classes.iter().map(class).collect();
    crate::json_text(&Document { api_version: API_VERSION, kind: "Classes", classes })
}

/// One class, ending in a newline.
pub fn json_one(status: &ClassStatus) -> String {
    crate::json_text(&One { api_version: API_VERSION, kind: "Class", class: class(status) })
}

fn class(status: &ClassStatus) -> Class<'_> {
    let class = &status.class;
    let archive = class.archive.as_ref().map(|archive| Archive {
        to: archive.to.as_str(),
        after_seconds: archive.after_s,
        by: archive.by.word(),
        min_size_bytes: archive.min_size,
        reversible: archive.reversible,
    });
    Class {
        id: status.id.0,
        name: class.name.as_str(),
        create: class.create.as_ref().map(types::Expression::as_str),
        keep: class.keep.as_str(),
        archive,
        trash: class.trash.as_ref().map(types::Expression::as_str),
        trash_keep_seconds: class.trash_keep_s,
        mode: class.mode.word(),
        spread: class.spread.to_string(),
        min_write: class.min_write,
        read_last: class.read_last.as_ref().map(types::Expression::as_str),
        inodes: status.inodes,
        bytes: status.bytes,
        met: status.unmet.is_empty(),
        unmet: status.unmet.iter().map(lacks).collect(),
    }
}

fn lacks(unmet: &Unmet) -> Lacks<'_> {
    Lacks {
        part: &unmet.part,
        condition: &unmet.condition,
        wanted: unmet.wanted,
        lacking: unmet.lacking,
        disks: unmet.disks,
        domains: unmet.domains,
    }
}
