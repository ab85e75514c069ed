//! Listing a directory: pages of entries, and how the kernel is told of them.

use crate::attributes::{kind_to_kernel, to_kernel};
use client::{Client, Known};
use fuser::{Generation, INodeNo, ReplyDirectory, ReplyDirectoryPlus};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;
use types::{DirCursor, InodeId, Status};

/// Cursor of `.`; that of `..` is one more, and those of entries follow.
const DOT: u64 = 1;
const DOT_DOT: u64 = 2;
/// Bytes of one page of a directory, asked of the master for one buffer of the kernel's.
const DIRECTORY_BYTES: u32 = 64 << 10;

/// One entry as the kernel is told it.
pub(crate) struct Listed {
    offset: u64,
    name: Vec<u8>,
    known: Known,
}

/// The entries after `offset`, `.` and `..` first.
pub(crate) async fn read_page(client: Arc<Client>, dir: InodeId, offset: u64) -> Result<Vec<Listed>, Status> {
    let mut page = Vec::new();
    if offset < DOT {
        page.push(Listed { offset: DOT, name: b".".to_vec(), known: client.attributes(dir).await? });
    }
    if offset < DOT_DOT {
        page.push(Listed { offset: DOT_DOT, name: b"..".to_vec(), known: client.lookup_parent(dir).await? });
    }
    let after = DirCursor(offset.saturating_sub(DOT_DOT));
    let valid_for = std::time::Duration::ZERO;
    for entry in client.read_directory(dir, after, DIRECTORY_BYTES).await?.entries {
        page.push(Listed {
            offset: entry.cursor.0 + DOT_DOT,
            name: entry.name.as_bytes().to_vec(),
            known: Known { attributes: entry.attributes, valid_for },
        });
    }
    Ok(page)
}

/// Names, numbers and kinds.
pub(crate) fn answer(page: Vec<Listed>, mut reply: ReplyDirectory) {
    for entry in page {
        let kind = kind_to_kernel(entry.known.attributes.kind);
        let number = INodeNo(entry.known.attributes.inode.id.0);
        if reply.add(number, entry.offset, kind, OsStr::from_bytes(&entry.name)) {
            break;
        }
    }
    reply.ok();
}

/// Entries with their attributes. The kernel counts a lookup for each but `.` and `..`.
pub(crate) fn answer_plus(page: Vec<Listed>, client: &Client, dir: InodeId, mut reply: ReplyDirectoryPlus) {
    for entry in page {
        let is_dot = entry.offset <= DOT_DOT;
        let found_at = Some((dir, entry.name.as_slice()));
        let known = if is_dot { entry.known } else { client.remember(&entry.known.attributes, found_at) };
        let attributes = &known.attributes;
        let generation = Generation(u64::from(attributes.inode.generation.0));
        let number = INodeNo(attributes.inode.id.0);
        let name = OsStr::from_bytes(&entry.name);
        if reply.add(number, entry.offset, name, &known.valid_for, &to_kernel(attributes), generation) {
            if !is_dot {
                client.forget(attributes.inode.id, 1);
            }
            break;
        }
    }
    reply.ok();
}
