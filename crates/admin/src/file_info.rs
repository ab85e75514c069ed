//! `muskox file info`: where a file's chunks are, and whether that is where they should be.

mod json;

pub use json::json;

use crate::table;
use crate::units::{counted, printable, size};
use rpc::admin::{FileChunk, FileInfoReply, FileReplica};
use types::FileKind;

/// Chunks shown without `--all`.
const CHUNKS_SHOWN: usize = 16;

/// How a file, or one of its chunks, is doing. In order of severity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Health {
    /// As many replicas as wanted, or more.
    Healthy,
    /// Fewer than wanted.
    Undergoal,
    /// One, although more are wanted.
    Endangered,
    /// Fewer than wanted, since pages of a replica do not match their checksums.
    Damaged,
    /// None can be reached.
    Missing,
}

impl Health {
    /// The word in tables and JSON.
    pub fn word(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Undergoal => "undergoal",
            Self::Endangered => "endangered",
            Self::Damaged => "damaged",
            Self::Missing => "missing",
        }
    }

    fn of_chunk(chunk: &FileChunk, goal: u32) -> Self {
        let sound = sound(chunk);
        match sound {
            n if n as u64 >= u64::from(goal) && n > 0 => Self::Healthy,
            n if n < chunk.replicas.len() => Self::Damaged,
            0 => Self::Missing,
            1 => Self::Endangered,
            _ => Self::Undergoal,
        }
    }
}

fn sound(chunk: &FileChunk) -> usize {
    chunk.replicas.iter().filter(|replica| !replica.damaged).count()
}

/// The health of a file: that of its worst chunk.
pub fn health(info: &FileInfoReply) -> Health {
    info.chunks.iter().map(|c| Health::of_chunk(c, info.goal)).max().unwrap_or(Health::Healthy)
}

/// The whole text, ending in a newline. `all`: every chunk.
pub fn render(info: &FileInfoReply, all: bool) -> String {
    let health = health(info);
    let mut lines = vec![format!(
        "{}   {}   {}   class {}{}   {}",
        title(info),
        size(info.attributes.length),
        match info.attributes.kind {
            FileKind::File => counted(info.chunks.len() as u64, "chunk"),
            other => kind_word(other).into(),
        },
        printable(info.class.as_bytes()),
        if info.stage.archived { ", archived" } else { "" },
        health.word(),
    )];
    if !info.chunks.is_empty() {
        let shown = if all { info.chunks.len() } else { info.chunks.len().min(CHUNKS_SHOWN) };
        let rows: Vec<Vec<String>> = info.chunks[..shown].iter().map(|c| row(c, info.goal)).collect();
        lines.extend(table::lines(&["INDEX", "CHUNK", "VERSION", "REPLICAS", "WHERE"], &rows));
        if shown < info.chunks.len() {
            lines.push(format!("…  {} more   (--all)", info.chunks.len() - shown));
        }
    }
    lines.push(match health {
        Health::Healthy => "next  muskox status".into(),
        Health::Damaged => {
            let path = if info.path.is_empty() { "PATH".into() } else { printable(&info.path) };
            format!("next  muskox explain {path}   (pages are mended if another replica has them; it names those that are kept)")
        }
        _ => "next  muskox status   (shows which servers and disks are away)".into(),
    });
    let mut text = lines.join("\n");
    text.push('\n');
    text
}

fn title(info: &FileInfoReply) -> String {
    if info.path.is_empty() { format!("inode {}", info.attributes.inode.id) } else { printable(&info.path) }
}

/// The word for the kind of an inode, in tables and in JSON.
pub(crate) fn kind_word(kind: FileKind) -> &'static str {
    match kind {
        FileKind::File => "file",
        FileKind::Directory => "directory",
        FileKind::Symlink => "symlink",
        FileKind::Fifo => "fifo",
        FileKind::Socket => "socket",
        FileKind::CharDevice => "character device",
        FileKind::BlockDevice => "block device",
    }
}

fn row(chunk: &FileChunk, goal: u32) -> Vec<String> {
    let places: Vec<String> = chunk.replicas.iter().map(place).collect();
    vec![
        chunk.index.to_string(),
        format!("{:016x}", chunk.chunk.0),
        chunk.version.to_string(),
        format!("{}/{goal}", sound(chunk)),
        if places.is_empty() { "nowhere that can be reached".into() } else { places.join(" · ") },
    ]
}

fn place(replica: &FileReplica) -> String {
    let server = if replica.server_name.is_empty() { &replica.address } else { &replica.server_name };
    let mut text = format!("{server}:{}", replica.disk_path);
    for label in &replica.labels {
        text.push(' ');
        text.push_str(label);
    }
    if replica.damaged {
        text.push_str(" (damaged)");
    }
    printable(text.as_bytes())
}

#[cfg(test)]
mod tests;
