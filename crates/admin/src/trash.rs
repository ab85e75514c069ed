//! `muskox trash`: which deleted files are meant, and what is told of them.

mod pattern;

pub use pattern::Pattern;

use crate::units::{age, count, counted, printable, size};
use crate::{API_VERSION, table};
use rpc::admin::{RestoreWish, TRASH_BATCH_MAX, TrashEntry};
use serde::Serialize;
use std::collections::BTreeSet;
use types::{RESTORE_PATH_BYTES_MAX, Status, TRASH_PATH_BYTES_MAX, Timestamp};

/// Chunks of the files of one question, beyond the first file's: the master looks at each again.
const BATCH_CHUNKS_MAX: u32 = 4_096;
/// Bytes of the paths of one question.
const BATCH_BYTES_MAX: usize = 40 << 10;
const _: () =
    assert!(BATCH_BYTES_MAX + TRASH_PATH_BYTES_MAX + RESTORE_PATH_BYTES_MAX < rpc::admin::QUESTION_BYTES_MAX);
/// Refusals that are named.
const NAMED_MAX: usize = 10;

/// Which deleted files are meant.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// One of them matches; none: all files.
    pub patterns: Vec<Pattern>,
    /// Deleted at least so many seconds ago.
    pub older_s: Option<u64>,
    /// Deleted at most so many seconds ago.
    pub newer_s: Option<u64>,
}

/// Milliseconds from one time to another; 0 if it is earlier.
fn ms_between(from: Timestamp, to: Timestamp) -> u64 {
    let seconds = to.seconds().saturating_sub(from.seconds());
    let ms = seconds.saturating_mul(1_000) + (i64::from(to.nanos()) - i64::from(from.nanos())) / 1_000_000;
    u64::try_from(ms).unwrap_or(0)
}

impl Wanted {
    /// Whether this file is meant, by the master's clock.
    pub fn matches(&self, entry: &TrashEntry, now: Timestamp) -> bool {
        let ago = ms_between(entry.deleted, now);
        let named = self.patterns.is_empty() || self.patterns.iter().any(|pattern| pattern.matches(entry));
        named
            && self.older_s.is_none_or(|older| ago >= older.saturating_mul(1_000))
            && self.newer_s.is_none_or(|newer| ago <= newer.saturating_mul(1_000))
    }
}

/// Sums of lengths.
pub fn bytes_of(entries: &[TrashEntry]) -> u64 {
    entries.iter().fold(0, |sum, entry| sum.saturating_add(entry.attributes.length))
}

/// `muskox trash ls`, those deleted last first.
pub fn list(entries: &[TrashEntry], now: Timestamp) -> String {
    if entries.is_empty() {
        return "nothing of that is in the trash\nnext  muskox class ls   (which classes keep deleted files)\n".into();
    }
    let row = |entry: &TrashEntry| {
        vec![
            entry.attributes.inode.id.to_string(),
            format!("{} ago", age(ms_between(entry.deleted, now))),
            entry.attributes.owner.uid.to_string(),
            size(entry.attributes.length),
            age(ms_between(now, entry.until)),
            was(&entry.path),
        ]
    };
    let rows: Vec<Vec<String>> = entries.iter().map(row).collect();
    let mut lines = table::lines(&["ID", "DELETED", "OWNER", "SIZE", "KEPT FOR", "WAS"], &rows);
    lines.push(format!("{}, {}", counted(entries.len() as u64, "file"), size(bytes_of(entries))));
    lines.push("next  muskox trash restore PATH   (or an ID; a directory brings back all below it)\n".into());
    lines.join("\n")
}

/// A path for people; one that lacks its beginning shows that.
fn was(path: &[u8]) -> String {
    let cut = if path.starts_with(b"/") { "" } else { "…/" };
    format!("{cut}{}", printable(path))
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    api_version: &'static str,
    kind: &'static str,
    files: Vec<File>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct File {
    id: u64,
    path: String,
    whole_path: bool,
    class: String,
    uid: u32,
    gid: u32,
    bytes: u64,
    deleted_ms_ago: u64,
    kept_ms: u64,
}

/// `muskox trash ls --json`.
pub fn json(entries: &[TrashEntry], now: Timestamp) -> String {
    let file = |entry: &TrashEntry| File {
        id: entry.attributes.inode.id.0,
        path: String::from_utf8_lossy(&entry.path).into_owned(),
        whole_path: entry.path.starts_with(b"/"),
        class: entry.class.clone(),
        uid: entry.attributes.owner.uid,
        gid: entry.attributes.owner.gid,
        bytes: entry.attributes.length,
        deleted_ms_ago: ms_between(entry.deleted, now),
        kept_ms: ms_between(now, entry.until),
    };
    let files = entries.iter().map(file).collect();
    crate::json_text(&Document { api_version: API_VERSION, kind: "Trash", files })
}

/// What is to be restored, in questions that the master answers quickly.
#[derive(Debug, Default)]
pub struct Plan {
    /// One question each.
    pub batches: Vec<Vec<RestoreWish>>,
    /// Older files of a name of which a newer one is restored.
    pub older: u64,
}

/// Where files are to go, those deleted last first: to the path that they had, or below a directory.
pub fn plan(entries: &[TrashEntry], to: Option<&str>) -> Plan {
    let mut plan = Plan::default();
    let mut taken = BTreeSet::new();
    let (mut chunks, mut bytes) = (0u32, 0);
    for entry in entries {
        let path = match to {
            Some(to) => [to.as_bytes(), &entry.path].join(&b'/'),
            None => entry.path.clone(),
        };
        if !taken.insert(path.clone()) {
            plan.older += 1;
            continue;
        }
        let begun = plan.batches.last().map_or(TRASH_BATCH_MAX, Vec::len);
        if begun == TRASH_BATCH_MAX || chunks > BATCH_CHUNKS_MAX || bytes > BATCH_BYTES_MAX {
            plan.batches.push(Vec::new());
            (chunks, bytes) = (0, 0);
        }
        chunks = chunks.saturating_add(entry.attributes.chunks);
        bytes += path.len() + 32;
        let wish = RestoreWish { inode: entry.attributes.inode, path };
        if let Some(batch) = plan.batches.last_mut() {
            batch.push(wish);
        }
    }
    plan
}

/// What came of a restore.
#[derive(Debug, Default)]
pub struct Restored {
    /// Files that are back.
    pub files: u64,
    /// Older files of their names, which stay.
    pub older: u64,
    /// Files that are not, and why.
    pub refused: Vec<(Vec<u8>, Status)>,
}

fn why(status: Status) -> &'static str {
    match status {
        Status::Exists => "something has that name",
        Status::IsDirectory => "a directory has that name",
        Status::NotDirectory => "a part of the path is no directory",
        Status::NotFound | Status::Stale => "it is in the trash no longer",
        Status::Invalid => "the beginning of its path is not known, or the path cannot be one: say --to",
        Status::NameTooLong => "a name of the path is too long",
        Status::NoSpace => "the changelog has no room",
        Status::TooManyLinks => "the directory has as many others as one can have",
        _ => "the master refused it",
    }
}

impl Restored {
    /// For people.
    pub fn told(&self) -> String {
        let mut lines =
            vec![format!("restored {}, with owner, times and class", counted(self.files, "file"))];
        if self.older > 0 {
            let older = counted(self.older, "file");
            lines.push(format!("{older} deleted earlier under the same names: still in the trash, by ID"));
        }
        for (path, status) in self.refused.iter().take(NAMED_MAX) {
            lines.push(format!("not restored  {}: {}", was(path), why(*status)));
        }
        if self.refused.len() > NAMED_MAX {
            lines.push(format!("… {} more not restored", count((self.refused.len() - NAMED_MAX) as u64)));
        }
        lines.push(match self.refused.is_empty() {
            true => "next  muskox trash ls\n".into(),
            false => "next  muskox trash restore WHAT --to DIR   (or --overwrite)\n".into(),
        });
        lines.join("\n")
    }

    /// For programs.
    pub fn json(&self) -> String {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Refused {
            path: String,
            why: &'static str,
        }
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Document {
            api_version: &'static str,
            kind: &'static str,
            restored: u64,
            older: u64,
            refused: Vec<Refused>,
        }
        let refused = |(path, status): &(Vec<u8>, Status)| Refused {
            path: String::from_utf8_lossy(path).into_owned(),
            why: why(*status),
        };
        let (restored, older) = (self.files, self.older);
        let refused = self.refused.iter().map(refused).collect();
        crate::json_text(&Document { api_version: API_VERSION, kind: "Restored", restored, older, refused })
    }
}

/// So many files are gone for good, for people.
pub fn purged(files: u64) -> String {
    format!("purged {}: their room is free again\nnext  muskox status\n", counted(files, "file"))
}

/// So many files are gone for good, for programs.
pub fn purged_json(files: u64) -> String {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Document {
        api_version: &'static str,
        kind: &'static str,
        purged: u64,
    }
    crate::json_text(&Document { api_version: API_VERSION, kind: "Purged", purged: files })
}

#[cfg(test)]
mod tests;
