//! The trash to and from protobuf.

use super::{
    RestoreWish, TRASH_BATCH_MAX, TRASH_PAGE_MAX, TrashEntry, TrashPage, TrashQuery, TrashStatus, Unrestored,
};
use crate::common::{list, need, part, text, within};
use crate::limits::LABEL_BYTES_MAX;
use crate::{Malformed, proto};
use types::{InodeId, InodeRef, RESTORE_PATH_BYTES_MAX, Status, TRASH_PATH_BYTES_MAX, Timestamp};

fn path(path: Vec<u8>) -> Result<Vec<u8>, Malformed> {
    within(path.len(), TRASH_PATH_BYTES_MAX, "path of a deleted file")?;
    Ok(path)
}

impl From<&TrashStatus> for proto::TrashStatus {
    fn from(v: &TrashStatus) -> Self {
        Self { files: v.files, bytes: v.bytes, next_ms: v.next_ms }
    }
}

impl From<proto::TrashStatus> for TrashStatus {
    fn from(p: proto::TrashStatus) -> Self {
        Self { files: p.files, bytes: p.bytes, next_ms: p.next_ms }
    }
}

impl From<&TrashQuery> for proto::TrashQuery {
    fn from(v: &TrashQuery) -> Self {
        Self { after: v.after.0 }
    }
}

impl From<proto::TrashQuery> for TrashQuery {
    fn from(p: proto::TrashQuery) -> Self {
        Self { after: InodeId(p.after) }
    }
}

impl From<&TrashPage> for proto::TrashPage {
    fn from(v: &TrashPage) -> Self {
        Self { entries: v.entries.iter().map(Into::into).collect(), end: v.end, now: v.now.to_bits() }
    }
}

impl TryFrom<proto::TrashPage> for TrashPage {
    type Error = Malformed;
    fn try_from(p: proto::TrashPage) -> Result<Self, Malformed> {
        let entries = list(p.entries, TRASH_PAGE_MAX, "deleted files")?;
        Ok(Self { entries, end: p.end, now: Timestamp::from_bits(p.now) })
    }
}

impl From<&TrashEntry> for proto::TrashEntry {
    fn from(v: &TrashEntry) -> Self {
        Self {
            attributes: Some((&v.attributes).into()),
            class: v.class.clone(),
            path: v.path.clone(),
            deleted: v.deleted.to_bits(),
            until: v.until.to_bits(),
        }
    }
}

impl TryFrom<proto::TrashEntry> for TrashEntry {
    type Error = Malformed;
    fn try_from(p: proto::TrashEntry) -> Result<Self, Malformed> {
        Ok(Self {
            attributes: part(p.attributes, "attributes")?,
            class: text(p.class, LABEL_BYTES_MAX, "name of a class")?,
            path: path(p.path)?,
            deleted: Timestamp::from_bits(p.deleted),
            until: Timestamp::from_bits(p.until),
        })
    }
}

impl From<&RestoreWish> for proto::RestoreWish {
    fn from(v: &RestoreWish) -> Self {
        Self { inode: Some((&v.inode).into()), path: v.path.clone() }
    }
}

impl TryFrom<proto::RestoreWish> for RestoreWish {
    type Error = Malformed;
    fn try_from(p: proto::RestoreWish) -> Result<Self, Malformed> {
        // A path from the trash below a directory.
        let most = TRASH_PATH_BYTES_MAX + RESTORE_PATH_BYTES_MAX + 1;
        within(p.path.len(), most, "path of a file to be restored")?;
        Ok(Self { inode: part(p.inode, "inode")?, path: p.path })
    }
}

impl From<&Unrestored> for proto::Unrestored {
    fn from(v: &Unrestored) -> Self {
        Self { wish: v.wish, status: v.status.code().into() }
    }
}

impl TryFrom<proto::Unrestored> for Unrestored {
    type Error = Malformed;
    fn try_from(p: proto::Unrestored) -> Result<Self, Malformed> {
        let status = u16::try_from(p.status).ok().and_then(Status::from_code);
        Ok(Self { wish: p.wish, status: need(status, "status")? })
    }
}

/// What is to be restored.
pub(crate) fn wishes(p: Vec<proto::RestoreWish>) -> Result<Vec<RestoreWish>, Malformed> {
    list(p, TRASH_BATCH_MAX, "deleted files")
}

/// What is to be purged.
pub(crate) fn purged(p: Vec<proto::InodeRef>) -> Result<Vec<InodeRef>, Malformed> {
    list(p, TRASH_BATCH_MAX, "deleted files")
}

/// What was not restored.
pub(crate) fn unrestored(p: Vec<proto::Unrestored>) -> Result<Vec<Unrestored>, Malformed> {
    list(p, TRASH_BATCH_MAX, "deleted files")
}
