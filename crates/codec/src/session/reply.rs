//! Replies to and from protobuf.

use crate::common::{list, maybe, name, part, target, text, within, xattr_name, xattr_value};
use crate::limits::{
    DIRECTORY_ENTRIES_MAX, FILE_INFO_CHUNKS_MAX, INODES_MAX, LABEL_BYTES_MAX, LOCATIONS_MAX,
};
use crate::{Malformed, proto};
use proto::answer::Reply as P;
use types::{DirCursor, DirectoryEntry, Entry, FileInfo, FsStat, InodeId, News, Reply, XATTRS_BYTES_MAX};

impl From<&Reply> for P {
    fn from(reply: &Reply) -> Self {
        match reply {
            Reply::Done => Self::Done(proto::Done {}),
            Reply::Entry(entry) => Self::Entry(proto::Entry {
                attributes: Some((&entry.attributes).into()),
                first: entry.first.as_ref().map(Into::into),
                grant: entry.grant.as_ref().map(Into::into),
                created: entry.created,
            }),
            Reply::Attributes(attributes) => Self::Attributes(attributes.into()),
            Reply::Target(target) => Self::Target(target.clone()),
            Reply::Directory { entries, end, parent } => Self::Directory(proto::Directory {
                entries: entries.iter().map(Into::into).collect(),
                end: *end,
                parent: parent.0,
            }),
            Reply::Xattr(value) => Self::Xattr(value.clone()),
            Reply::XattrNames(names) => Self::XattrNames(proto::XattrNames { names: names.clone() }),
            Reply::FsStat(stat) => Self::FsStat(proto::FsStat {
                total_bytes: stat.total_bytes,
                free_bytes: stat.free_bytes,
                inodes: stat.inodes,
            }),
            Reply::Locations(locations) => {
                Self::Locations(proto::Locations { locations: locations.iter().map(Into::into).collect() })
            }
            Reply::Grant(grant) => Self::Grant((&**grant).into()),
            Reply::AppendLock { attributes, wanted } => {
                Self::AppendLock(proto::AppendLocked { attributes: Some(attributes.into()), wanted: *wanted })
            }
            Reply::Gone(inodes) => {
                Self::Gone(proto::Gone { inodes: inodes.iter().map(Into::into).collect() })
            }
            Reply::FileInfo(info) => Self::FileInfo((&**info).into()),
        }
    }
}

impl TryFrom<P> for Reply {
    type Error = Malformed;
    fn try_from(p: P) -> Result<Self, Malformed> {
        Ok(match p {
            P::Done(_) => Self::Done,
            P::Entry(p) => Self::Entry(Box::new(Entry {
                attributes: part(p.attributes, "attributes of an entry")?,
                first: maybe(p.first)?,
                grant: maybe(p.grant)?,
                created: p.created,
            })),
            P::Attributes(p) => Self::Attributes(p.try_into()?),
            P::Target(bytes) => Self::Target(target(bytes)?),
            P::Directory(p) => Self::Directory {
                entries: list(p.entries, DIRECTORY_ENTRIES_MAX, "entries of a directory")?,
                end: p.end,
                parent: InodeId(p.parent),
            },
            P::Xattr(value) => Self::Xattr(xattr_value(value)?),
            P::XattrNames(p) => {
                let bytes = p.names.iter().map(|n| n.len() + 1).sum();
                within(bytes, XATTRS_BYTES_MAX, "names of extended attributes")?;
                Self::XattrNames(p.names.into_iter().map(xattr_name).collect::<Result<_, _>>()?)
            }
            P::FsStat(p) => Self::FsStat(FsStat {
                total_bytes: p.total_bytes,
                free_bytes: p.free_bytes,
                inodes: p.inodes,
            }),
            P::Locations(p) => Self::Locations(list(p.locations, LOCATIONS_MAX, "locations")?),
            P::Grant(p) => Self::Grant(Box::new(p.try_into()?)),
            P::AppendLock(p) => {
                Self::AppendLock { attributes: part(p.attributes, "attributes")?, wanted: p.wanted }
            }
            P::Gone(p) => Self::Gone(list(p.inodes, INODES_MAX, "inodes that are gone")?),
            P::FileInfo(p) => Self::FileInfo(Box::new(p.try_into()?)),
        })
    }
}

impl From<&DirectoryEntry> for proto::DirectoryEntry {
    fn from(v: &DirectoryEntry) -> Self {
        Self {
            cursor: v.cursor.0,
            name: v.name.as_bytes().to_vec(),
            attributes: Some((&v.attributes).into()),
        }
    }
}

impl TryFrom<proto::DirectoryEntry> for DirectoryEntry {
    type Error = Malformed;
    fn try_from(p: proto::DirectoryEntry) -> Result<Self, Malformed> {
        Ok(Self {
            cursor: DirCursor(p.cursor),
            name: name(p.name)?,
            attributes: part(p.attributes, "attributes of an entry")?,
        })
    }
}

impl From<&News> for proto::News {
    fn from(v: &News) -> Self {
        Self { attributes: Some((&v.attributes).into()), before: v.before }
    }
}

impl TryFrom<proto::News> for News {
    type Error = Malformed;
    fn try_from(p: proto::News) -> Result<Self, Malformed> {
        Ok(Self { attributes: part(p.attributes, "attributes of news")?, before: p.before })
    }
}

impl From<&FileInfo> for proto::FileInfo {
    fn from(v: &FileInfo) -> Self {
        Self {
            attributes: Some((&v.attributes).into()),
            class: v.class.clone(),
            goal: v.goal,
            chunks: v.chunks.iter().map(Into::into).collect(),
        }
    }
}

impl TryFrom<proto::FileInfo> for FileInfo {
    type Error = Malformed;
    fn try_from(p: proto::FileInfo) -> Result<Self, Malformed> {
        Ok(Self {
            attributes: part(p.attributes, "attributes of a file")?,
            class: text(p.class, LABEL_BYTES_MAX, "name of a class")?,
            goal: p.goal,
            chunks: list(p.chunks, FILE_INFO_CHUNKS_MAX, "chunks of a file")?,
        })
    }
}
