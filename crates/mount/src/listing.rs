//! Listing a directory: pages of entries, and how the kernel is told of them.

use crate::attributes::{bare, kind_to_kernel, to_kernel};
use client::{Client, Known};
use fuser::{Generation, INodeNo, ReplyDirectory, ReplyDirectoryPlus};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;
use std::time::Duration;
use types::{Attributes, DirCursor, FileKind, InodeId, Status};

/// Cursor of `.`; that of `..` is one more, and those of entries follow.
const DOT: u64 = 1;
const DOT_DOT: u64 = 2;
/// Bytes of one page of a directory, asked of the master for one buffer of the kernel's.
const DIRECTORY_BYTES: u32 = 64 << 10;

/// One entry as the kernel is told it.
pub(crate) struct Listed {
    offset: u64,
    name: Vec<u8>,
    inode: InodeId,
    kind: FileKind,
    /// None of `.` and `..`: from a listing the kernel takes only their number and kind.
    attributes: Option<Attributes>,
}

impl Listed {
    fn dots(offset: u64, name: &[u8], inode: InodeId) -> Self {
        Self { offset, name: name.to_vec(), inode, kind: FileKind::Directory, attributes: None }
    }
}

/// The entries after `offset`, `.` and `..` first.
pub(crate) async fn read_page(client: Arc<Client>, dir: InodeId, offset: u64) -> Result<Vec<Listed>, Status> {
    let after = DirCursor(offset.saturating_sub(DOT_DOT));
    if offset >= DOT_DOT && client.is_end(dir, after) {
        // The kernel asks until there is nothing more.
        return Ok(Vec::new());
    }
    let listed = client.read_directory(dir, after, DIRECTORY_BYTES).await?;
    let mut page = Vec::with_capacity(listed.entries.len() + 2);
    if offset < DOT {
        page.push(Listed::dots(DOT, b".", dir));
    }
    if offset < DOT_DOT {
        page.push(Listed::dots(DOT_DOT, b"..", listed.parent));
    }
    page.extend(listed.entries.into_iter().map(|entry| Listed {
        offset: entry.cursor.0 + DOT_DOT,
        name: entry.name.as_bytes().to_vec(),
        inode: entry.attributes.inode.id,
        kind: entry.attributes.kind,
        attributes: Some(entry.attributes),
    }));
    Ok(page)
}

/// Names, numbers and kinds.
pub(crate) fn answer(page: Vec<Listed>, mut reply: ReplyDirectory) {
    for entry in page {
        let kind = kind_to_kernel(entry.kind);
        let name = OsStr::from_bytes(&entry.name);
        if reply.add(INodeNo(entry.inode.0), entry.offset, kind, name) {
            break;
        }
    }
    reply.ok();
}

/// Entries with their attributes. The kernel counts a lookup for each but `.` and `..`.
pub(crate) fn answer_plus(page: Vec<Listed>, client: &Client, dir: InodeId, mut reply: ReplyDirectoryPlus) {
    for entry in page {
        let name = OsStr::from_bytes(&entry.name);
        let known = entry.attributes.map(|found| client.remember(&found, Some((dir, entry.name.as_slice()))));
        let (generation, valid_for, attributes) = match &known {
            Some(Known { attributes, valid_for }) => {
                (attributes.inode.generation.0, *valid_for, to_kernel(attributes))
            }
            None => (0, Duration::ZERO, bare(entry.inode, entry.kind)),
        };
        let generation = Generation(u64::from(generation));
        if reply.add(INodeNo(entry.inode.0), entry.offset, name, &valid_for, &attributes, generation) {
            if known.is_some() {
                client.forget(entry.inode, 1);
            }
            break;
        }
    }
    reply.ok();
}
