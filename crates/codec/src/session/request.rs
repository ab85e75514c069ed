//! Requests to and from protobuf.

use crate::common::{
    list, maybe, name, part, rename_mode, rename_mode_code, within, xattr_mode, xattr_mode_code, xattr_name,
    xattr_value,
};
use crate::limits::{DIRTY_CHUNKS_MAX, INODES_MAX, LOCATIONS_MAX, UNUSED_MAX};
use crate::{Malformed, proto};
use proto::request::Request as P;
use types::{ChunkIndex, DirCursor, InodeId, Request, Sequence, Timestamp, TruncateGeneration};

impl From<&Request> for P {
    fn from(request: &Request) -> Self {
        match request {
            Request::Lookup { parent, name } => {
                Self::Lookup(proto::Lookup { parent: Some(parent.into()), name: name.as_bytes().to_vec() })
            }
            Request::LookupParent { dir } => {
                Self::LookupParent(proto::LookupParent { dir: Some(dir.into()) })
            }
            Request::GetAttributes { inode } => {
                Self::GetAttributes(proto::GetAttributes { inode: Some(inode.into()) })
            }
            Request::ReadLink { inode } => Self::ReadLink(proto::ReadLink { inode: Some(inode.into()) }),
            Request::ReadDirectory { dir, after, bytes_max } => Self::ReadDirectory(proto::ReadDirectory {
                dir: Some(dir.into()),
                after: after.0,
                bytes_max: *bytes_max,
            }),
            Request::GetXattr { inode, name } => {
                Self::GetXattr(proto::GetXattr { inode: Some(inode.into()), name: name.clone() })
            }
            Request::ListXattrs { inode } => {
                Self::ListXattrs(proto::ListXattrs { inode: Some(inode.into()) })
            }
            Request::StatFs => Self::StatFs(proto::StatFs {}),
            Request::Locate { inode, first, count } => {
                Self::Locate(proto::Locate { inode: Some(inode.into()), first: first.0, count: *count })
            }
            Request::Grant { inode, index, failed } => Self::Grant(proto::Grant {
                inode: Some(inode.into()),
                index: index.0,
                failed: failed.as_ref().map(Into::into),
            }),
            Request::Create { parent, name, node, exclusive, grant } => Self::Create(proto::Create {
                parent: Some(parent.into()),
                name: name.as_bytes().to_vec(),
                node: Some(node.into()),
                exclusive: *exclusive,
                grant: *grant,
            }),
            Request::Link { inode, parent, name } => Self::Link(proto::Link {
                inode: Some(inode.into()),
                parent: Some(parent.into()),
                name: name.as_bytes().to_vec(),
            }),
            Request::Unlink { parent, name, unused } => Self::Unlink(proto::Unlink {
                parent: Some(parent.into()),
                name: name.as_bytes().to_vec(),
                unused: unused.iter().map(|inode| inode.0).collect(),
            }),
            Request::RemoveDirectory { parent, name } => Self::RemoveDirectory(proto::RemoveDirectory {
                parent: Some(parent.into()),
                name: name.as_bytes().to_vec(),
            }),
            Request::Rename { from, from_name, to, to_name, mode, unused } => Self::Rename(proto::Rename {
                from: Some(from.into()),
                from_name: from_name.as_bytes().to_vec(),
                to: Some(to.into()),
                to_name: to_name.as_bytes().to_vec(),
                mode: rename_mode_code(*mode),
                unused: unused.iter().map(|inode| inode.0).collect(),
            }),
            Request::SetAttributes { inode, changes, caller } => Self::SetAttributes(proto::SetAttributes {
                inode: Some(inode.into()),
                changes: Some(changes.into()),
                caller: Some(caller.into()),
            }),
            Request::SetLength { inode, length, clear_privileges } => Self::SetLength(proto::SetLength {
                inode: Some(inode.into()),
                length: *length,
                clear_privileges: *clear_privileges,
            }),
            Request::Punch { inode, offset, length } => {
                Self::Punch(proto::Punch { inode: Some(inode.into()), offset: *offset, length: *length })
            }
            Request::SetXattr { inode, name, value, mode } => Self::SetXattr(proto::SetXattr {
                inode: Some(inode.into()),
                name: name.clone(),
                value: value.clone(),
                mode: xattr_mode_code(*mode),
            }),
            Request::RemoveXattr { inode, name } => {
                Self::RemoveXattr(proto::RemoveXattr { inode: Some(inode.into()), name: name.clone() })
            }
            Request::Commit {
                inode,
                truncate_generation,
                length,
                modified,
                accessed,
                chunks,
                clear_privileges,
                durable,
            } => Self::Commit(proto::Commit {
                inode: Some(inode.into()),
                truncate_generation: truncate_generation.0,
                length: *length,
                modified: modified.map(Timestamp::to_bits),
                accessed: accessed.map(Timestamp::to_bits),
                chunks: chunks.iter().map(Into::into).collect(),
                clear_privileges: *clear_privileges,
                durable: *durable,
            }),
            Request::Forget { inodes, as_of } => Self::Forget(proto::Forget {
                inodes: inodes.iter().map(Into::into).collect(),
                as_of: as_of.0,
            }),
            Request::Reclaim { inodes, appending, last } => Self::Reclaim(proto::Reclaim {
                inodes: inodes.iter().map(Into::into).collect(),
                appending: appending.iter().map(Into::into).collect(),
                last: *last,
            }),
            Request::AppendLock { inode, held } => {
                Self::AppendLock(proto::AppendLock { inode: Some(inode.into()), held: *held })
            }
            Request::AppendUnlock { inode, forfeit } => {
                Self::AppendUnlock(proto::AppendUnlock { inode: Some(inode.into()), forfeit: *forfeit })
            }
            Request::Barrier => Self::Barrier(proto::Barrier {}),
            Request::KeepAlive => Self::KeepAlive(proto::KeepAlive {}),
            Request::FileInfo { inode } => Self::FileInfo(proto::GetFileInfo { inode: Some(inode.into()) }),
            Request::Goodbye => Self::Goodbye(proto::Goodbye {}),
            Request::Reopen { inode } => Self::Reopen(proto::Reopen { inode: inode.0 }),
        }
    }
}

impl TryFrom<P> for Request {
    type Error = Malformed;
    fn try_from(p: P) -> Result<Self, Malformed> {
        Ok(match p {
            P::Lookup(p) => Self::Lookup { parent: part(p.parent, "parent")?, name: name(p.name)? },
            P::LookupParent(p) => Self::LookupParent { dir: part(p.dir, "directory")? },
            P::GetAttributes(p) => Self::GetAttributes { inode: part(p.inode, "inode")? },
            P::ReadLink(p) => Self::ReadLink { inode: part(p.inode, "inode")? },
            P::ReadDirectory(p) => Self::ReadDirectory {
                dir: part(p.dir, "directory")?,
                after: DirCursor(p.after),
                bytes_max: p.bytes_max,
            },
            P::GetXattr(p) => Self::GetXattr { inode: part(p.inode, "inode")?, name: xattr_name(p.name)? },
            P::ListXattrs(p) => Self::ListXattrs { inode: part(p.inode, "inode")? },
            P::StatFs(_) => Self::StatFs,
            P::Locate(p) => {
                within(p.count as usize, LOCATIONS_MAX, "chunks to locate")?;
                Self::Locate { inode: part(p.inode, "inode")?, first: ChunkIndex(p.first), count: p.count }
            }
            P::Grant(p) => Self::Grant {
                inode: part(p.inode, "inode")?,
                index: ChunkIndex(p.index),
                failed: maybe(p.failed)?,
            },
            P::Create(p) => Self::Create {
                parent: part(p.parent, "parent")?,
                name: name(p.name)?,
                node: part(p.node, "node")?,
                exclusive: p.exclusive,
                grant: p.grant,
            },
            P::Link(p) => Self::Link {
                inode: part(p.inode, "inode")?,
                parent: part(p.parent, "parent")?,
                name: name(p.name)?,
            },
            P::Unlink(p) => Self::Unlink {
                parent: part(p.parent, "parent")?,
                name: name(p.name)?,
                unused: unused(p.unused)?,
            },
            P::RemoveDirectory(p) => {
                Self::RemoveDirectory { parent: part(p.parent, "parent")?, name: name(p.name)? }
            }
            P::Rename(p) => Self::Rename {
                from: part(p.from, "source directory")?,
                from_name: name(p.from_name)?,
                to: part(p.to, "target directory")?,
                to_name: name(p.to_name)?,
                mode: rename_mode(p.mode)?,
                unused: unused(p.unused)?,
            },
            P::SetAttributes(p) => Self::SetAttributes {
                inode: part(p.inode, "inode")?,
                changes: part(p.changes, "changes of attributes")?,
                caller: part(p.caller, "caller")?,
            },
            P::SetLength(p) => Self::SetLength {
                inode: part(p.inode, "inode")?,
                length: p.length,
                clear_privileges: p.clear_privileges,
            },
            P::Punch(p) => Self::Punch { inode: part(p.inode, "inode")?, offset: p.offset, length: p.length },
            P::SetXattr(p) => Self::SetXattr {
                inode: part(p.inode, "inode")?,
                name: xattr_name(p.name)?,
                value: xattr_value(p.value)?,
                mode: xattr_mode(p.mode)?,
            },
            P::RemoveXattr(p) => {
                Self::RemoveXattr { inode: part(p.inode, "inode")?, name: xattr_name(p.name)? }
            }
            P::Commit(p) => Self::Commit {
                inode: part(p.inode, "inode")?,
                truncate_generation: TruncateGeneration(p.truncate_generation),
                length: p.length,
                modified: p.modified.map(Timestamp::from_bits),
                accessed: p.accessed.map(Timestamp::from_bits),
                chunks: list(p.chunks, DIRTY_CHUNKS_MAX, "chunks of a commit")?,
                clear_privileges: p.clear_privileges,
                durable: p.durable,
            },
            P::Forget(p) => Self::Forget {
                inodes: list(p.inodes, INODES_MAX, "inodes to forget")?,
                as_of: Sequence(p.as_of),
            },
            P::Reclaim(p) => Self::Reclaim {
                inodes: list(p.inodes, INODES_MAX, "inodes to reclaim")?,
                appending: list(p.appending, INODES_MAX, "append locks to reclaim")?,
                last: p.last,
            },
            P::AppendLock(p) => Self::AppendLock { inode: part(p.inode, "inode")?, held: p.held },
            P::AppendUnlock(p) => Self::AppendUnlock { inode: part(p.inode, "inode")?, forfeit: p.forfeit },
            P::Barrier(_) => Self::Barrier,
            P::KeepAlive(_) => Self::KeepAlive,
            P::FileInfo(p) => Self::FileInfo { inode: part(p.inode, "inode")? },
            P::Goodbye(_) => Self::Goodbye,
            P::Reopen(p) => Self::Reopen { inode: InodeId(p.inode) },
        })
    }
}

fn unused(inodes: Vec<u64>) -> Result<Vec<InodeId>, Malformed> {
    within(inodes.len(), UNUSED_MAX, "unused inodes")?;
    Ok(inodes.into_iter().map(InodeId).collect())
}
